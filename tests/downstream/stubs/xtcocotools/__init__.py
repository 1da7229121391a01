"""pycocotools in the place of xtcocotools, whose wheels are built for NumPy 1."""
