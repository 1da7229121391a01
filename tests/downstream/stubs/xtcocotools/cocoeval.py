from pycocotools.cocoeval import *  # noqa: F403
