"""Writes small data sets in the formats that mmpretrain's data set classes read."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
from PIL import Image

VOC_CLASSES = ("aeroplane", "bicycle", "bird", "cat", "dog", "person")


def main(folder: str) -> None:
    root = Path(folder)
    rng = np.random.default_rng(0)
    write_cifar10(root / "cifar10" / "cifar-10-batches-py", rng)
    write_imagenet(root / "imagenet", rng)
    write_voc(root / "VOC2007", rng)
    write_inshop(root / "inshop", rng)


def write_cifar10(folder: Path, rng: np.random.Generator) -> None:
    """Write the pickled batches of CIFAR-10's Python version, with a few images in each."""
    folder.mkdir(parents=True)
    for name, size in {**{f"data_batch_{i}": 3 for i in range(1, 6)}, "test_batch": 7}.items():
        labels = [int(label) for label in rng.integers(0, 10, size)]
        pixels = rng.integers(0, 256, (size, 3 * 32 * 32), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": labels}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))


def write_imagenet(root: Path, rng: np.random.Generator) -> None:
    """Write ``train``, ``val`` and the lists in ``meta``, most images as JPEG, some as PNG."""
    (root / "meta").mkdir(parents=True)
    for split, size in (("train", 14), ("val", 7)):
        (root / split).mkdir()
        lines = []
        for index in range(size):
            name = f"{split}_{index}.{'png' if index % 5 == 4 else 'JPEG'}"
            _image(rng, 72 + index, 60 - index).save(root / split / name)
            lines.append(f"{name} {int(rng.integers(0, 10))}")
        (root / "meta" / f"{split}.txt").write_text("\n".join(lines) + "\n")


def write_voc(root: Path, rng: np.random.Generator) -> None:
    """Write images, annotations with several objects each, some of them difficult, and lists."""
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / part).mkdir(parents=True)
    for split, size in (("trainval", 8), ("test", 6)):
        names = [f"{split}_{index:03}" for index in range(size)]
        for name in names:
            _image(rng, 50, 40).save(root / "JPEGImages" / f"{name}.jpg")
            objects = "".join(
                f"<object><name>{kind}</name><difficult>{int(rng.random() < 0.2)}</difficult>"
                "</object>"
                for kind in rng.choice(VOC_CLASSES, 3)
            )
            text = f"<annotation>{objects}</annotation>"
            (root / "Annotations" / f"{name}.xml").write_text(text)
        (root / "ImageSets/Main" / f"{split}.txt").write_text("\n".join(names) + "\n")


def write_inshop(root: Path, rng: np.random.Generator) -> None:
    """Write images of a few items, and the list of who trains, asks and is found."""
    rows = [(item, use) for item in range(4) for use in ("train", "train", "train", "train")]
    rows += [(item, use) for item in range(4, 7) for use in ("query", *["gallery"] * 4)]
    (root / "Img").mkdir(parents=True)
    lines = [str(len(rows)), "image_name item_id evaluation_status"]
    for index, (item, use) in enumerate(rows):
        _image(rng, 44, 52).save(root / "Img" / f"{index}.jpg")
        lines.append(f"{index}.jpg id_{item} {use}")
    (root / "Eval").mkdir()
    (root / "Eval/list_eval_partition.txt").write_text("\n".join(lines) + "\n")


def _image(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return a picture of large coloured patches, so that crops and flips show."""
    patches = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((width, height), Image.Resampling.BILINEAR)


if __name__ == "__main__":
    main(sys.argv[1])
