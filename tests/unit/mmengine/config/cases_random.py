"""Configs made at random, with bases, deletions, templates and options: what they come to."""
# ruff: noqa: F821  # the harness brings `write`

import copy
import pickle
import random

from mmengine.config import Config

KEYS = ["a", "b", "c", "type", "k-1", "_scope_"]
ATOMS = [0, 1, -2.5, True, None, "x", "data/", "{{ fileBasename }}", "{{$MM_UNSET:u}}", (1, 2), []]
FORMATS = ["py", "py", "py", "yaml", "json"]


class Code(str):
    """What stands in a config as it is, without quotes."""

    def __repr__(self):
        return str(self)


def value(rng, depth, base_keys=()):
    """Return a random config value."""
    kind = rng.random()
    if base_keys and kind < 0.15:
        key = rng.choice(base_keys)
        forms = [f"{{{{_base_.{key}}}}}", f"_base_.{key}", f"_base_['{key}']"]
        return Code(rng.choice(forms))
    if depth == 0 or kind < 0.35:
        return rng.choice(ATOMS)
    if kind < 0.55:
        make = rng.choice([list, list, tuple])
        return make(value(rng, depth - 1, base_keys) for _ in range(rng.randint(0, 3)))
    items = {rng.choice(KEYS): value(rng, depth - 1, base_keys) for _ in range(rng.randint(0, 4))}
    if rng.random() < 0.25:
        items["_delete_"] = rng.random() < 0.7
    return items


def assignments(values):
    return "".join(f"{name} = {item!r}\n" for name, item in values.items())


def base(rng, names, suffix):
    values = {name: value(rng, 3) for name in names}
    if suffix == "py":
        return assignments(values)
    text = repr(plain(values))
    swaps = [("True", "true"), ("False", "false"), ("None", "null"), ("'", '"')]
    for ours, theirs in swaps:
        text = text.replace(ours, theirs)
    return text


def plain(item):
    """JSON has no tuples."""
    if isinstance(item, dict):
        return {key: plain(each) for key, each in item.items()}
    return [plain(each) for each in item] if isinstance(item, (list, tuple)) else item


def options(rng, cfg):
    """Return random options whose keys mostly exist."""
    found = {}
    for _ in range(rng.randint(1, 3)):
        path, node = [], cfg.to_dict()
        while isinstance(node, (dict, list)) and node and rng.random() < 0.8:
            keys = list(node) if isinstance(node, dict) else range(len(node))
            key = rng.choice([key for key in keys if key != "k.1"] or ["new"])
            path.append(str(key))
            node = node[key]
        # MMEngine can set an element of a list to nothing but a dict; cases_values.py has the rest.
        plain_values = [] if path and path[-1].isdigit() else [5, "v", [1]]
        new = rng.choice([*plain_values, {"z": 1}, {"_delete_": True}])
        found[".".join(path or ["new"])] = new
    return found


def random_case(seed):
    def case(folder):
        rng = random.Random(seed)
        one, two = rng.choice(FORMATS), rng.choice(FORMATS)
        files = {
            f"one__{one}": base(rng, ["m", "n"], one),
            f"two__{two}": base(rng, ["o", "p"], two),
        }
        values = {
            rng.choice(["m", "n", "o", "p", "q", "r"]): value(rng, 3, ("m", "n", "o", "p"))
            for _ in range(4)
        }
        bases = f"_base_ = ['./one.{one}', 'two.{two}']\n"
        write(folder, **files, middle__py=bases + assignments(values))
        child = {name: value(rng, 3, ("m", "p")) for name in rng.sample("mnopq", 2)}
        write(folder, main__py="_base_ = 'middle.py'\n" + assignments(child))
        cfg = Config.fromfile(str(folder / "main.py"))
        before = [cfg.to_dict(), copy.deepcopy(cfg).to_dict()]
        before.append(pickle.loads(pickle.dumps(cfg)).to_dict())
        try:
            cfg.merge_from_dict(options(rng, cfg), allow_list_keys=rng.random() < 0.8)
        except (KeyError, TypeError, AttributeError):
            return [*before, "refused"]
        return [*before, cfg.to_dict()]

    return case


for seed in range(100):
    globals()[f"case_random_{seed}"] = random_case(seed)
