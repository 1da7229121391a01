"""Writes what the inferencers are given: three images, a clip of them, names of actions."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def write(folder: Path) -> None:
    (folder / "video").mkdir(parents=True)
    pictures = [_picture(number) for number in range(3)]
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    video = cv2.VideoWriter(str(folder / "video" / "clip.avi"), codec, 10, (80, 64))
    for number in range(8):
        video.write(pictures[number % 3])
    video.release()
    (folder / "video" / "labels.txt").write_text("walk\nrun\njump\nsit\n")


def _picture(number: int) -> np.ndarray:
    """Return some boxes on a ramp with a little noise, 64 x 80 pixels."""
    random = np.random.RandomState(number)
    picture = np.linspace(0, 200, 64 * 80 * 3).reshape(64, 80, 3) + random.randint(
        0, 30, (64, 80, 3)
    )
    for _ in range(4):
        x, y = random.randint(0, 60, 2)
        color = tuple(map(int, random.randint(0, 255, 3)))
        cv2.rectangle(picture, (int(x), int(y)), (int(x) + 18, int(y) + 14), color, -1)
    return picture.clip(0, 255).astype(np.uint8)
