from pycocotools.coco import *  # noqa: F403
