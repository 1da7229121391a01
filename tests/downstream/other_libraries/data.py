"""Writes small data sets in the formats that mmseg, mmdet, mmpose and mmaction2 read."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

KEYPOINTS = 17


def main(folder: str) -> None:
    root = Path(folder)
    rng = np.random.default_rng(0)
    write_segmentation(root / "segmentation", rng)
    write_coco(root / "coco", rng)
    write_frames(root / "frames", rng)
    write_skeletons(root / "skeletons.pkl", rng)


def write_segmentation(root: Path, rng: np.random.Generator) -> None:
    """Write pictures and masks of classes 0 to 5, with some pixels to be ignored, as PNG."""
    for split, size in (("train", 6), ("val", 3)):
        for part in ("img", "ann"):
            (root / part / split).mkdir(parents=True)
        for index in range(size):
            size_of_one = (72 + 4 * index, 64)
            picture(rng, *size_of_one).save(root / "img" / split / f"{index}.png")
            labels = rng.choice([0, 1, 2, 3, 4, 5, 255], (4, 4)).astype(np.uint8)
            mask = Image.fromarray(labels).resize(size_of_one, Image.Resampling.NEAREST)
            mask.save(root / "ann" / split / f"{index}.png")


def write_coco(root: Path, rng: np.random.Generator) -> None:
    """Write people and cars in boxes and polygons, the people's keypoints apart; one is empty."""
    (root / "annotations").mkdir(parents=True)
    for split, size in (("train", 8), ("val", 4)):
        (root / split).mkdir()
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index in range(size):
            width, height = (96, 72) if index % 3 else (64, 88)
            name = f"{index:03}.jpg"
            picture(rng, width, height).save(root / split / name)
            images.append({"id": index, "file_name": name, "width": width, "height": height})
            for annotation in objects(rng, width, height) if index != 3 else ():
                annotation |= {"id": len(annotations) + 1, "image_id": index}
                annotations.append(annotation)
        names = {f"keypoint {number}": number for number in range(KEYPOINTS)}
        person = {"id": 1, "name": "person", "keypoints": [*names], "skeleton": [[1, 2]]}
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [person, {"id": 3, "name": "car"}],
        }
        (root / "annotations" / f"{split}.json").write_text(json.dumps(content))
        people = [one for one in annotations if "keypoints" in one]
        content |= {"annotations": people, "categories": [person]}
        (root / "annotations" / f"keypoints_{split}.json").write_text(json.dumps(content))


def objects(rng: np.random.Generator, width: int, height: int) -> Iterator[dict[str, Any]]:
    for number in range(int(rng.integers(1, 4))):
        x, y = (int(rng.integers(0, side // 3)) for side in (width, height))
        w, h = (int(rng.integers(34, side // 2 + 20)) for side in (width, height))
        w, h = min(w, width - x), min(h, height - y)
        crowd = int(number == 2)
        box = {"bbox": [x, y, w, h], "area": w * h, "iscrowd": crowd}
        corners = [x, y, x + w, y, x + w, y + h, x, y + h]
        if number % 2:
            yield {"category_id": 3, "segmentation": [corners], **box}
            continue
        points = rng.uniform((x, y), (x + w, y + h), (KEYPOINTS, 2)).round(1)
        seen = rng.choice([0, 1, 2], (KEYPOINTS, 1), p=[0.2, 0.2, 0.6])
        keypoints = np.where(seen > 0, np.hstack([points, seen]), 0.0)
        yield {
            "category_id": 1,
            "segmentation": [corners],
            "keypoints": keypoints.ravel().tolist(),
            "num_keypoints": int((seen > 0).sum()),
            **box,
        }


def write_frames(root: Path, rng: np.random.Generator) -> None:
    """Write short clips as folders of numbered pictures, and lists of them with their classes."""
    for split, size in (("train", 6), ("val", 4)):
        lines = []
        for index in range(size):
            folder = root / split / f"clip_{index}"
            folder.mkdir(parents=True)
            frames = 6 + index
            for frame in range(1, frames + 1):
                picture(rng, 48, 40).save(folder / f"img_{frame:05}.jpg")
            lines.append(f"clip_{index} {frames} {index % 3}")
        (root / f"{split}.txt").write_text("\n".join(lines) + "\n")
    (root / "pictures.txt").write_text(
        "".join(f"clip_0/img_{frame:05}.jpg {frame % 2}\n" for frame in range(1, 7))
    )


def write_skeletons(path: Path, rng: np.random.Generator) -> None:
    """Write moving keypoints of one or two people as mmaction2's pickles have them."""
    names = {split: [f"{split}_{index}" for index in range(6)] for split in ("train", "val")}
    annotations = [
        {
            "frame_dir": name,
            "label": index % 3,
            "img_shape": (100, 120),
            "original_shape": (100, 120),
            "total_frames": 12 + index,
            "keypoint": rng.uniform(0, 100, (1 + index % 2, 12 + index, KEYPOINTS, 2)),
            "keypoint_score": rng.uniform(0.3, 1, (1 + index % 2, 12 + index, KEYPOINTS)),
        }
        for split in names.values()
        for index, name in enumerate(split)
    ]
    path.write_bytes(pickle.dumps({"split": names, "annotations": annotations}))


def picture(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return a picture of large coloured patches, so that crops and flips show."""
    patches = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((width, height), Image.Resampling.BILINEAR)


if __name__ == "__main__":
    main(sys.argv[1])
