from pycocotools.mask import *  # noqa: F403
