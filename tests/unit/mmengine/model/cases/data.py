"""Data preprocessors and batching."""

from __future__ import annotations

from collections import namedtuple

import torch
from common import M, S, outcome
from torch import nn


def case_cast_data():
    Point = namedtuple("Point", "x y")
    element = S.BaseDataElement(metainfo=dict(a=1), label=torch.tensor([1]))
    x = torch.ones(2)
    cast = M.BaseDataPreprocessor()
    values = [
        x,
        [x, "a", b"b", None, 1.5],
        (x, [x]),
        Point(x, [x]),
        dict(a=x, b=dict(c=[x])),
        element,
        [element],
        "text",
        None,
        3,
        {1, 2},
        nn.Parameter(x),
    ]
    results = [outcome(lambda value=value: cast(value, True)) for value in values]
    same = cast(element)
    return [results, cast(x) is x, same is element, cast([x])[0] is x, str(cast.device)]


def images(*sizes, channels=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(6)
    return [
        torch.randint(0, 255, (channels, *size), generator=generator).to(dtype) for size in sizes
    ]


def case_image_preprocessor():
    stats = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
    byte = torch.uint8
    batches = {
        "list": lambda: images((5, 7), (6, 4)),
        "bytes": lambda: images((5, 7), (6, 4), dtype=byte),
        "tuple": lambda: tuple(images((4, 4), (4, 4))),
        "batch": lambda: torch.stack(images((5, 7), (5, 7), dtype=byte)),
        "gray": lambda: images((5, 7), (5, 7), channels=1),
        "three_dims": lambda: images((5, 7))[0],
        "rank_2": lambda: [each[0] for each in images((5, 7))],
        "numbers": lambda: [1, 2],
        "empty": list,
        "text": lambda: "x",
    }
    settings = {
        "plain": {},
        "normal": stats,
        "swap": dict(bgr_to_rgb=True, **stats),
        "swap_only": dict(rgb_to_bgr=True),
        "one_mean": dict(mean=[100], std=[2]),
        "padded": dict(pad_size_divisor=4, pad_value=-1, **stats),
    }
    results = {}
    for setting, kwargs in settings.items():
        for name, make in batches.items():
            if name == "gray" and "swap" in setting:
                continue
            preprocessor = M.ImgDataPreprocessor(**kwargs)
            for extra in ({}, dict(data_samples=[1], other=torch.ones(1))):
                results[f"{setting}/{name}/{len(extra)}"] = outcome(
                    lambda p=preprocessor, make=make, extra=extra: p(dict(inputs=make(), **extra))
                )
    layout = M.ImgDataPreprocessor(bgr_to_rgb=True)(dict(inputs=batches["batch"]()))["inputs"]
    results["layout"] = list(layout.stride())
    results["no_inputs"] = outcome(lambda: preprocessor(dict(img=1)))
    results["not_a_dict"] = outcome(lambda: preprocessor((torch.ones(1),)))
    for name, kwargs in {
        "both_swaps": dict(bgr_to_rgb=True, rgb_to_bgr=True),
        "mean_alone": dict(mean=[1.0]),
        "two_means": dict(mean=[1, 2], std=[1, 2]),
        "two_stds": dict(mean=[1], std=[1, 2]),
    }.items():
        results[name] = outcome(lambda kwargs=kwargs: M.ImgDataPreprocessor(**kwargs))
    return [results, list(M.ImgDataPreprocessor(**stats).state_dict())]


def case_stack_batch():
    batches = {
        "equal": images((4, 4), (4, 4)),
        "differing": images((5, 7), (6, 4), (1, 9)),
        "rank_1": [torch.ones(2), torch.ones(2)],
        "rank_1_differing": [torch.ones(2), torch.ones(3)],
        "rank_2": [torch.ones(2, 3), torch.ones(2, 5)],
        "rank_4": [torch.ones(1, 2, 3, 4), torch.ones(1, 4, 3, 2)],
        "channels_differ": [torch.ones(1, 2, 2), torch.ones(3, 2, 2)],
        "integers": [
            torch.ones(1, 2, 2, dtype=torch.int64),
            torch.ones(1, 3, 2, dtype=torch.int64),
        ],
        "ranks_differ": [torch.ones(1, 2), torch.ones(1, 2, 2)],
        "empty": [],
        "tuple": (torch.ones(1, 2),),
    }
    return {
        f"{name}/{divisor}": outcome(lambda b=batch, d=divisor: M.stack_batch(b, d, 3))
        for name, batch in batches.items()
        for divisor in (1, 4, 32, 2.5)
    }
