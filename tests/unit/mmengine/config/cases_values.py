"""ConfigDict, Config, merging and command-line options: what using them gives."""
# ruff: noqa: F821  # the harness brings `write`

import argparse
import copy
import pickle
import sys
from collections import OrderedDict

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.config.config import add_args


# -------------------------------------------------------------------------------------- ConfigDict
def tree():
    return ConfigDict(a=1, b={"c": [{"d": 2}, ({"e": 3},)]}, f=None)


def case_config_dict_access(folder):
    cfg = tree()
    return [cfg.a, cfg["b"].c[0].d, cfg.get("zz"), cfg.get("zz", 4), "b" in cfg, len(cfg)]


def case_config_dict_missing_attribute(folder):
    return tree().zz


def case_config_dict_missing_key(folder):
    return tree()["zz"]


def case_config_dict_pop(folder):
    cfg = tree()
    return [cfg.pop("a"), cfg.pop("zz"), cfg.pop("zz", 2), cfg]


def case_config_dict_types(folder):
    cfg = tree()
    cfg.g = OrderedDict(h=[{}])
    cfg["i"] = ({"j": {}},)
    kinds = [cfg.b, cfg.b.c[0], cfg.b.c[1][0], cfg.g, cfg.g.h[0], cfg.i[0].j]
    return [type(value).__name__ for value in kinds]


def case_config_dict_update(folder):
    cfg = tree()
    cfg.update({"b": {"x": 1}, "a": {"y": 2}}, f=[{}])
    cfg.b.update(c=3)
    return [cfg, type(cfg.a).__name__, type(cfg.f[0]).__name__]


def case_config_dict_update_with_two_arguments(folder):
    return tree().update({}, {})


def case_config_dict_merge(folder):
    cfg = tree()
    cfg.merge({"b": {"_delete_": True, "x": 1}, "g": {"_delete_": True, "y": {"z": 1}}, "f": 2})
    return cfg


def case_config_dict_setdefault(folder):
    cfg = tree()
    return [cfg.setdefault("a", 5), cfg.setdefault("n", {"m": 1}), cfg, type(cfg.n).__name__]


def case_config_dict_from_pairs(folder):
    pairs = [("a", {"b": 1}), ("c", [{}])]
    return [ConfigDict(pairs), ConfigDict(("k", {"v": 1})), ConfigDict({}, a=1), ConfigDict(None)]


def case_config_dict_copies(folder):
    cfg = tree()
    shallow, deep = copy.copy(cfg), copy.deepcopy(cfg)
    cfg.b.c.append(4)
    cfg.b.c[0].d = 9
    cfg.h = 1
    return [cfg, shallow, deep, type(shallow.b).__name__, type(deep.b.c[0]).__name__]


def case_config_dict_pickles(folder):
    again = pickle.loads(pickle.dumps(tree()))
    return [again, type(again.b.c[1][0]).__name__]


def case_config_dict_equality(folder):
    cfg = tree()
    return [cfg == tree(), cfg == cfg.to_dict(), cfg != tree(), cfg == 3, cfg == {"a": 1}]


def case_config_dict_views(folder):
    cfg = tree()
    return [list(cfg), list(cfg.keys()), cfg.items(), cfg.values(), dict(**cfg), repr(cfg)]


def case_config_dict_read_only_names(folder):
    cfg = tree()
    cfg.items = 1


def case_config_dict_frozen(folder):
    cfg = tree()
    cfg.freeze()
    cfg.a = 2
    cfg.b.new = 1


def case_config_dict_or(folder):
    return [tree() | {"a": 2}, {"z": 2} | tree()]


def case_config_dict_delete(folder):
    cfg = tree()
    del cfg.a, cfg["f"]
    return cfg


# ------------------------------------------------------------------------------------------ Config
def config():
    return Config({"a": 1, "b": {"c": [{"d": 2}, 3], "e": (1, 2)}, "s": "x"})


def case_config_interface(folder):
    cfg = config()
    cfg.new = {"x": 1}
    cfg["other"] = [{"y": 1}]
    return [len(cfg), list(cfg), cfg.new.x, cfg.other[0].y, cfg.get("zz", 1), repr(cfg), "a" in cfg]


def case_config_missing_attribute(folder):
    return config().zz


def case_config_missing_key(folder):
    return config()["zz"]


def case_config_of_a_list(folder):
    return Config([1])


def case_config_with_reserved_key(folder):
    return Config({"text": 1})


def case_config_copies(folder):
    cfg = config()
    shallow, deep, pickled = copy.copy(cfg), copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg))
    cfg.b.c[0].d = 7
    cfg.z = 1
    return [one.to_dict() for one in (cfg, shallow, deep, pickled)]


def case_fromstring(folder):
    texts = {".py": "a = dict(b=1)", ".yaml": "a: {b: 1}", ".json": '{"a": {"b": 1}}'}
    return [Config.fromstring(text, suffix).to_dict() for suffix, text in texts.items()]


def case_fromstring_of_another_format(folder):
    return Config.fromstring("a = 1", ".xml")


def case_dump_json_and_yaml(folder):
    cfg = config()
    cfg.dump(str(folder / "a.json"))
    cfg.dump(folder / "a.yaml")
    return [(folder / name).read_text() for name in ("a.json", "a.yaml")]


def case_dump_follows_the_name_of_the_file(folder):
    write(folder, main__json='{"a": [1]}')
    return Config.fromfile(str(folder / "main.json")).dump()


def case_auto_argparser(folder):
    write(folder, main__py="a = 1\nb = dict(c='x', d=[1.5], e=False)\nf = 2.5\n")
    before, sys.argv = sys.argv, ["prog", str(folder / "main.py")]
    try:
        parser, cfg = Config.auto_argparser("what")
        line = [str(folder / "main.py"), "--a", "3", "--b.d", "1", "2", "--b.e", "--f", "0.5"]
        return [vars(parser.parse_args(line)), cfg.to_dict()]
    finally:
        sys.argv = before


# --------------------------------------------------------------------------------- merge_from_dict
MERGES = {
    "plain": {"a": 2, "b.e": [1], "n.m.o": 1},
    "list_index": {"b.c.0.d": 5},
    "list_index_as_dict": {"b": {"c": {"0": {"x": 1}}}},
    "list_index_too_large": {"b.c.7.d": 5},
    "into_a_value": {"a.x": 1},
    "into_a_tuple": {"b.e.0": 1},
    "no_index": {"b.c.x": {"y": 1}},
    "delete": {"b": {"_delete_": True, "x": 1}},
    "delete_in_list": {"b.c.0": {"_delete_": True, "x": 1}},
    "dict_then_key": {"n": {"a": 1}, "n.b": 2},
    "new_list_of_dicts": {"n": [{"a": {"b": 1}}]},
    "list_index_of_value": {"b.c.1": 5},
    "dict_over_value_in_list": {"b.c.1.x": 5},
}


def merging(options, allow_list_keys):
    def case(folder):
        cfg = config()
        cfg.merge_from_dict(copy.deepcopy(options), allow_list_keys=allow_list_keys)
        return [cfg.to_dict(), type(cfg._cfg_dict).__name__]

    return case


for name, options in MERGES.items():
    globals()[f"case_merge_{name}"] = merging(options, True)
    globals()[f"case_merge_without_list_keys_{name}"] = merging(options, False)


def case_merge_keeps_the_options(folder):
    options = {"b": {"_delete_": True, "x": 1}, "n.m": {"o": {"_delete_": True}}}
    config().merge_from_dict(options)
    return options


def case_merge_twice(folder):
    cfg, before = config(), config()
    copied = copy.copy(cfg)
    cfg.merge_from_dict({"b.c.0.d": 1})
    cfg.merge_from_dict({"b.c.0.x": 2})
    return [cfg.to_dict(), copied == before, copied.to_dict()]


# -------------------------------------------------------------------------------------- DictAction
VALUES = [
    "1", "-2", "1.5", "1e3", "1_000", "true", "False", "TRUE", "None", "none", "nan", "inf", "x",
    "", "a b", "'q'", '"q r"', "a,b", "1,2.5,x", "a,", "a,,b", ",", "[a]", "[]", "()", "(1,)",
    "(1,2)", "[1, 2]", "[[1]]", "[(1,2),(3,4)]", "[(a, [b, c]), d, (e)]", "((1,2),(3,(4,5)))",
    "[a,[b,c],(d,)]", "a=b", "x=1,y=2", "'[1,2]'", "\"(1,'a')\"", "['a','b']", "(a", "[a,b", "a)",
    "[(a,b), [1,2], false", "{'a': 1}", "a]b,[c", "(a)(b)", "[a][b]", "(1,2),3", "3,(1,2)", "1,(2",
    "s3://x/y:1", "a[0]", "[a[0],b(1,2)]", "0x10", "007", "1.", ".5", "+3", "  7 ", "[ ' a ' , b ]",
    "(1,2),(3,4)",
]  # fmt: skip


def parsing(text):
    def case(folder):
        parser = argparse.ArgumentParser()
        parser.add_argument("--opts", nargs="+", action=DictAction, default={"d": 0})
        line = ["--opts", f"k={text}", "other=1", "--opts", "more=2"]
        return vars(parser.parse_args(line))

    return case


for text in VALUES:
    globals()[f"case_option_{text}"] = parsing(text)


def case_options_then_merge(folder):
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    line = ["--cfg-options", "b.c.0.d=[1,(2,3)]", "a=None", "b.e=x,y", "new.deep.key='v w'"]
    cfg = config()
    cfg.merge_from_dict(parser.parse_args(line).cfg_options)
    return cfg.to_dict()


def case_add_args(folder):
    cfg = {"a": 1, "b": "x", "c": {"d": [2], "e": True}}
    parser = add_args(argparse.ArgumentParser(), cfg, "p.")
    return vars(parser.parse_args(["--p.a", "2", "--p.c.d", "3", "4"]))
