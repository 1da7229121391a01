"""Cases that run with the real MMEngine and with mm2pl, each in a process of its own.

``python cases PACKAGE`` prints one JSON object: the result of every function named ``case_*``.
Tensors become a digest of their bytes, so that equal means equal to the last bit.
"""

from __future__ import annotations

import json

import averages
import data
import joined
import models
import torch
import weights

torch.set_num_threads(1)
results = {
    name.removeprefix("case_"): case()
    for module in (weights, models, data, averages, joined)
    for name, case in vars(module).items()
    if name.startswith("case_")
}
print(json.dumps(results))
