"""Cases that run on MMEngine and on mm2pl alike: ``python cases.py PACKAGE`` prints their outcomes.

An outcome is ``{"value": ...}`` or ``{"raises": [the exception's class and its bases]}``.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

PACKAGE = sys.argv[1]
registry_module = import_module(f"{PACKAGE}.registry")
config_module = import_module(f"{PACKAGE}.config")
ManagerMixin = import_module(f"{PACKAGE}.utils").ManagerMixin
Registry = registry_module.Registry
DefaultScope = registry_module.DefaultScope
build_from_cfg = registry_module.build_from_cfg
CASES: dict[str, Any] = {}

LIBRARIES = {
    # A library whose registry has locations; the second location builds while it is imported.
    "libdet/__init__.py": "",
    "libdet/registry.py": """
        from PACKAGE.registry import Registry, MODELS as ROOT
        MODELS = Registry("det model", parent=ROOT, locations=["libdet.heads", "libdet.models"])
        HEADS = Registry("det head", parent=MODELS, scope="dethead")
    """,
    "libdet/heads.py": """
        from libdet.registry import HEADS
        @HEADS.register_module()
        class Head: pass
    """,
    "libdet/models.py": """
        from libdet.registry import MODELS
        @MODELS.register_module(name=["Net", "AliasNet"])
        class Net:
            def __init__(self, depth=1): self.depth = depth
        @MODELS.register_module()
        class Lib: pass
        BUILT = MODELS.build(dict(type="Net", depth=7))
    """,
    # A sibling.
    "libcls/__init__.py": "",
    "libcls/registry.py": """
        from PACKAGE.registry import Registry, MODELS as ROOT
        MODELS = Registry("cls model", parent=ROOT)
        @MODELS.register_module()
        class Net:
            def __init__(self, depth=1): self.depth = -depth
        @MODELS.register_module()
        class Outer:
            def __init__(self, inner): self.inner = MODELS.build(inner)
    """,
    # An OpenMMLab package without locations: register_all_modules is called instead.
    "mmseg/__init__.py": "",
    "mmseg/registry.py": """
        from PACKAGE.registry import Registry, MODELS as ROOT
        MODELS = Registry("seg model", parent=ROOT)
    """,
    "mmseg/utils.py": """
        CALLS = []
        def register_all_modules(init_default_scope=True):
            CALLS.append(init_default_scope)
            from mmseg.registry import MODELS
            MODELS.register_module(name="Seg", module=dict, force=True)
    """,
    # One whose utils are missing, and one whose register_all_modules fails.
    "mmocr/__init__.py": "",
    "mmocr/registry.py": """
        from PACKAGE.registry import Registry, MODELS as ROOT
        MODELS = Registry("ocr model", parent=ROOT)
    """,
    "mmpose/__init__.py": "",
    "mmpose/registry.py": """
        from PACKAGE.registry import Registry, MODELS as ROOT
        MODELS = Registry("pose model", parent=ROOT)
    """,
    "mmpose/utils.py": """
        def register_all_modules(init_default_scope=True):
            import a_package_that_is_missing
    """,
    # Packages that fail to import.
    "libold/__init__.py": "assert False, 'libold needs another version'",
    "libbad/__init__.py": "import a_package_that_is_missing",
    "libodd/__init__.py": "",
    "libodd/module.py": "raise OSError('odd')",
    "libodd/thing.py": "class Thing: pass\nclass thing: pass\nVALUE = 3",
    "libplain/__init__.py": "class Plain:\n    def __init__(self, size=1): self.size = size",
}


def case(function: Any) -> Any:
    CASES[function.__name__] = function
    return function


def animals() -> SimpleNamespace:
    """Return a small tree: dog > hound > (little, mid); dog > samoyed."""
    dog = Registry("dogs", scope="dog")
    hound = Registry("hounds", parent=dog, scope="hound")
    samoyed = Registry("samoyeds", parent=dog, scope="samoyed")
    little = Registry("little hounds", parent=hound, scope="little_hound")
    mid = Registry("mid hounds", parent=hound, scope="mid_hound")
    tree = SimpleNamespace(dog=dog, hound=hound, samoyed=samoyed, little=little, mid=mid)
    for name, registry in vars(tree).items():
        registry.register_module(name=name.title(), module=_kind(name.title()))
        registry.register_module(name="Shared", module=_kind(f"Shared{name.title()}"))
    return tree


def _kind(name: str) -> type:
    def __init__(self: Any, size: int = 0, legs: int = 4) -> None:
        self.size, self.legs = size, legs

    return type(name, (), {"__init__": __init__})


def show(value: Any) -> Any:
    if value is None or isinstance(value, int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [show(item) for item in value]
    if isinstance(value, dict):
        return {str(key): show(item) for key, item in value.items()}
    return getattr(value, "__name__", type(value).__name__)


# --------------------------------------------------------------------------- get


def _get_cases() -> None:
    for name in ("dog", "hound", "samoyed", "little", "mid"):
        for key in (
            "Dog",
            "Hound",
            "Little",
            "Shared",
            "Nothing",
            "dog.Dog",
            "dog.Hound",
            "dog.Shared",
            "hound.Hound",
            "hound.Dog",
            "hound.little_hound.Little",
            "little_hound.Little",
            "little_hound.Shared",
            "samoyed.Samoyed",
            "samoyed.Dog",
            "samoyed.Hound",
            "dog.hound.Hound",
            "dog.samoyed.Samoyed",
            "hound.mid_hound.Shared",
            "hound.mid_hound.Dog",
            "hound.libplain.Plain",
            "samoyed.Shared.x",
            "cat.Cat",
        ):
            CASES[f"{name}.get({key})"] = functools.partial(_get, name, key)
            CASES[f"{name}: type={key}"] = functools.partial(_build, name, key)


def _get(name: str, key: str) -> Any:
    return getattr(animals(), name).get(key)


def _build(name: str, key: str) -> Any:
    return getattr(animals(), name).build({"type": key})


_get_cases()

DOTTED = (
    "libplain.Plain",
    "libplain.Plain.size",
    "libplain.Nothing",
    "libplain.nothing.Nothing",
    "libplain",
    "libodd.thing.Thing",
    "libodd.thing.thing",
    "libodd.thing",
    "libodd.thing.VALUE",
    "libodd.module.Thing",
    "libbad.Thing",
    "libold.Thing",
    "missing_package.Thing",
    "collections.OrderedDict",
    "collections.abc.Mapping",
    "os.path.join",
    "json",
    "builtins.dict.fromkeys",
    "mmengine.config.ConfigDict",
    "mmengine.registry.Registry",
    "mmengine.ConfigDict",
    "mmengine.registry.nothing",
    "",
    "Plain.",
    "libplain..Plain",
    "a b.c",
)
for _key in DOTTED:
    CASES[f"get({_key!r})"] = lambda key=_key: Registry("r", scope="r").get(key)
    CASES[f"build({_key!r})"] = lambda key=_key: Registry("r", scope="r").build({"type": key})

for _key in (1, None, dict, ["Dog"]):
    CASES[f"get of {_key!r}"] = lambda key=_key: animals().dog.get(key)


@case
def contains() -> Any:
    tree = animals()
    keys = ["Dog", "Shared", "dog.Dog", "hound.Hound", "samoyed.Hound", "x"]
    return [key in registry for registry in vars(tree).values() for key in keys]


# --------------------------------------------------------------------------- constructing


@case
def scope_of_a_script() -> Any:
    return Registry("r").scope


@case
def scope_where_there_is_no_file() -> Any:
    space: dict[str, Any] = {"Registry": Registry}
    exec("scope = Registry('r').scope", space)
    return space["scope"]


@case
def scopes_of_libraries_are_their_packages() -> Any:
    import libcls.registry
    import libdet.registry

    return [libcls.registry.MODELS.scope, libdet.registry.MODELS.scope]


@case
def scopes_of_the_root_registries() -> Any:
    roots = {n: v for n, v in vars(registry_module.root).items() if isinstance(v, Registry)}
    return {n: [v.name, v.scope, v.build_func.__name__] for n, v in sorted(roots.items())}


@case
def split_scope_key() -> Any:
    return [Registry.split_scope_key(key) for key in ("a", "a.b", "a.b.c", ".a", "a.", "")]


@case
def build_func_is_inherited() -> Any:
    def own(cfg: Any, registry: Any) -> Any:
        return ["own", registry.name, cfg]

    parent = Registry("parent", build_func=own, scope="p")
    child = Registry("child", parent=parent, scope="c")
    return [parent.build(1), child.build(2), Registry("r", scope="r").build_func is build_from_cfg]


@case
def root_of_each() -> Any:
    return [registry.root.name for registry in vars(animals()).values()]


@case
def children_and_parents() -> Any:
    return [[list(r.children), r.parent and r.parent.name] for r in vars(animals()).values()]


@case
def lengths() -> Any:
    return [len(registry) for registry in vars(animals()).values()]


@case
def two_children_of_one_scope() -> Any:
    tree = animals()
    return Registry("again", parent=tree.dog, scope="hound")


@case
def two_grandchildren_of_one_scope() -> Any:
    tree = animals()
    return Registry("again", parent=tree.samoyed, scope="little_hound").scope


@case
def parent_of_wrong_type() -> Any:
    return Registry("r", parent="dog", scope="r")


@case
def scope_of_wrong_type() -> Any:
    return Registry("r", scope=1)


@case
def representation() -> Any:
    registry = Registry("r", scope="r")
    registry.register_module(name="b", module=len)
    registry.register_module(name="a", module=len)
    return repr(registry)


# --------------------------------------------------------------------------- registering


@case
def registered_names() -> Any:
    registry = Registry("r", scope="r")
    registry.register_module(module=len)
    registry.register_module(name=["x", "y"], module=sorted)
    registry.register_module(name=("z",), module=sorted)
    registry.register_module(name=(), module=sum)

    @registry.register_module()
    def function() -> None: ...

    @registry.register_module(name="Kind")
    class Other: ...

    registry.register_module(name="partial", module=functools.partial(int, 3))
    return [list(registry.module_dict), registry.get("Kind"), registry.build({"type": "partial"})]


@case
def force_replaces() -> Any:
    registry = Registry("r", scope="r")
    registry.register_module(name="x", module=len)
    registry.register_module(name="x", module=sorted, force=True)
    return registry.get("x")


REGISTER_WRONGLY = {
    "twice": {"name": "len", "module": len},
    "twice by alias": {"name": ["new", "len"], "module": len},
    "not callable": {"module": 1},
    "no name": {"module": functools.partial(int)},
    "name is a number": {"name": 1},
    "names are numbers": {"name": [1]},
    "name is a set": {"name": {"a"}},
    "force is a number": {"force": 1},
    "a class as the name": {"name": dict},
}
for _name, _kwargs in REGISTER_WRONGLY.items():

    def _register(kwargs: Any = _kwargs) -> Any:
        registry = Registry("r", scope="r")
        registry.register_module(module=len)
        return registry.register_module(**kwargs)

    CASES[f"register {_name}"] = _register


@case
def decorating_a_string() -> Any:
    return Registry("r", scope="r").register_module()("text")


# --------------------------------------------------------------------------- default scope


@case
def no_default_scope() -> Any:
    return DefaultScope.get_current_instance()


@case
def newest_default_scope_is_current() -> Any:
    DefaultScope.get_instance("a", scope_name="first")
    DefaultScope.get_instance("b", scope_name="second")
    return DefaultScope.get_current_instance().scope_name


@case
def default_scope_of_wrong_type() -> Any:
    return DefaultScope.get_instance("a", scope_name=1)


@case
def default_scope_without_name() -> Any:
    return DefaultScope.get_instance(scope_name="a")


@case
def overwriting_the_default_scope() -> Any:
    seen = []
    DefaultScope.get_instance("a", scope_name="first")
    with DefaultScope.overwrite_default_scope("second"):
        seen.append(DefaultScope.get_current_instance().scope_name)
        with DefaultScope.overwrite_default_scope(None):
            seen.append(DefaultScope.get_current_instance().scope_name)
        with DefaultScope.overwrite_default_scope("third"):
            seen.append(DefaultScope.get_current_instance().scope_name)
        seen.append(DefaultScope.get_current_instance().scope_name)
    return [*seen, DefaultScope.get_current_instance().scope_name]


@case
def overwriting_ends_with_an_exception() -> Any:
    try:
        with DefaultScope.overwrite_default_scope("second"):
            raise ValueError
    except ValueError:
        return DefaultScope.get_current_instance()


@case
def overwriting_forgets_what_was_created_inside() -> Any:
    with DefaultScope.overwrite_default_scope("a"):
        DefaultScope.get_instance("b", scope_name="b")
    return DefaultScope.check_instance_created("b")


def _init(*scopes: str) -> Any:
    for scope in scopes:
        registry_module.init_default_scope(scope)
    return DefaultScope.get_current_instance().scope_name, len(DefaultScope._instance_dict)


for _scopes in (["a"], ["a", "a"], ["a", "b"], ["a", "b", "a"], ["a", "b", "a", "a", "b"]):
    CASES[f"init_default_scope {' '.join(_scopes)}"] = functools.partial(_init, *_scopes)

SWITCHES = (None, "dog", "hound", "samoyed", "little_hound", "cat")
for _default in SWITCHES:
    for _scope in SWITCHES:

        def _switch(default: Any = _default, scope: Any = _scope) -> Any:
            tree = animals()
            if default:
                DefaultScope.get_instance("default", scope_name=default)
            seen = []
            for registry in (tree.dog, tree.little):
                with registry.switch_scope_and_registry(scope) as current:
                    now = DefaultScope.get_current_instance()
                    seen.append([current.name, now and now.scope_name])
                now = DefaultScope.get_current_instance()
                seen.append(now and now.scope_name)
            return seen

        def _build_switched(default: Any = _default, scope: Any = _scope) -> Any:
            tree = animals()
            if default:
                DefaultScope.get_instance("default", scope_name=default)
            cfg = {"type": "Shared"} if scope is None else {"type": "Shared", "_scope_": scope}
            return [registry.build(cfg) for registry in vars(tree).values()]

        CASES[f"switch to {_scope} from {_default}"] = _switch
        CASES[f"build with _scope_={_scope} and default {_default}"] = _build_switched


@case
def a_default_scope_is_the_first_that_is_searched() -> Any:
    tree = animals()
    DefaultScope.get_instance("default", scope_name="samoyed")
    return [
        [
            type(tree.hound.build({"type": key})).__name__
            for key in ("Shared", "Dog", "hound.Hound")
        ],
        tree.hound.get("Shared").__name__,
    ]


@case
def a_default_scope_hides_the_own_names() -> Any:
    tree = animals()
    DefaultScope.get_instance("default", scope_name="samoyed")
    return tree.hound.build({"type": "Hound"})


@case
def scope_key_is_not_an_argument() -> Any:
    cfg = {"type": "Hound", "_scope_": "hound", "size": 2}
    return animals().dog.build(cfg).size, cfg


@case
def a_default_scope_that_fails_to_import() -> Any:
    DefaultScope.get_instance("default", scope_name="libbad")
    return animals().dog.build({"type": "Dog"})


@case
def a_default_scope_whose_check_fails() -> Any:
    DefaultScope.get_instance("default", scope_name="libold")
    return animals().dog.build({"type": "Dog"})


# --------------------------------------------------------------------------- libraries

LIBRARY_KEYS = ("Net", "libdet.Net", "libdet.AliasNet", "libdet.Head", "libdet.dethead.Head")
LIBRARY_KEYS += ("libcls.Net", "libcls.Lib", "mmseg.Seg", "mmocr.Nothing", "mmpose.Nothing")
LIBRARY_KEYS += ("libbad.Net", "libold.Net", "libplain.Net", "dethead.Head", "libdet.models.Lib")
for _key in LIBRARY_KEYS:
    CASES[f"root model {_key}"] = lambda key=_key: registry_module.MODELS.build({"type": key})
    for _scope in ("libdet", "libcls", "mmseg"):

        def _from_library(key: str = _key, scope: str = _scope) -> Any:
            DefaultScope.get_instance("default", scope_name=scope)
            return registry_module.MODELS.build({"type": key})

        def _get_from_library(key: str = _key, scope: str = _scope) -> Any:
            return import_module(f"{scope}.registry").MODELS.get(key)

        CASES[f"model {_key} in {_scope}"] = _from_library
        CASES[f"{_scope}.registry.MODELS.get({_key})"] = _get_from_library


@case
def register_all_modules_is_called_once_without_setting_the_scope() -> Any:
    models = import_module("mmseg.registry").MODELS
    models.get("Seg"), models.get("Seg")
    return import_module("mmseg.utils").CALLS, DefaultScope.get_current_instance()


@case
def a_scope_holds_for_what_is_built_inside() -> Any:
    cfg = {"type": "Outer", "inner": {"type": "Net", "depth": 3}, "_scope_": "libcls"}
    outer = registry_module.MODELS.build(cfg)
    DefaultScope.get_instance("default", scope_name="libdet")
    inner = registry_module.MODELS.build(
        {"type": "libcls.Outer", "inner": {"type": "Net", "depth": 3}}
    )
    return outer.inner.depth, inner.inner.depth


# --------------------------------------------------------------------------- building


class Thing:
    def __init__(self, size: int, color: str = "red", **kwargs: Any) -> None:
        if size < 0:
            raise OSError("negative")
        self.shown = [size, color, kwargs]


class Managed(ManagerMixin):  # type: ignore[misc,valid-type]
    def __init__(self, name: str, size: int = 1) -> None:
        super().__init__(name)
        self.size = size


def things() -> Any:
    registry = Registry("things", scope="things")
    registry.register_module(module=Thing)
    registry.register_module(module=Managed)
    registry.register_module(name="function", module=lambda *args, **kwargs: [args, kwargs])
    return registry


Config, ConfigDict = config_module.Config, config_module.ConfigDict
BUILD = {
    "dict": [{"type": "Thing", "size": 1}],
    "ConfigDict": [ConfigDict(type="Thing", size=1)],
    "Config": [Config({"type": "Thing", "size": 1})],
    "extra arguments": [{"type": "Thing", "size": 1, "x": 2, "y": {"z": 3}}],
    "default_args": [{"type": "Thing", "size": 1}, {"size": 2, "color": "blue"}],
    "default_args ConfigDict": [{"type": "Thing"}, ConfigDict(size=2)],
    "default_args Config": [{"type": "Thing"}, Config({"size": 2})],
    "Config and default_args": [Config({"type": "Thing"}), {"size": 2}],
    "type in default_args": [{"size": 1}, {"type": "Thing"}],
    "type in both": [{"type": "function", "size": 1}, {"type": "Thing", "size": 2}],
    "a class": [{"type": Thing, "size": 1}],
    "a class in a ConfigDict": [ConfigDict(type=Thing, size=1)],
    "a function": [{"type": "function", "a": 1}],
    "a callable": [{"type": functools.partial(Thing, 1), "color": "x"}],
    "a method": [{"type": "builtins.dict.fromkeys"}],
    "empty": [{}],
    "empty with default_args": [{}, {"size": 1}],
    "no dict": ["Thing"],
    "a list": [[{"type": "Thing"}]],
    "none": [None],
    "type none": [{"type": None}],
    "type number": [{"type": 3}],
    "default_args number": [{"type": "Thing", "size": 1}, 3],
    "default_args number, no type": [{"size": 1}, "x"],
    "missing argument": [{"type": "Thing"}],
    "wrong argument": [{"type": "Managed", "name": "a", "sise": 1}],
    "the constructor fails": [{"type": "Thing", "size": -1}],
    "unknown": [{"type": "Thnig", "size": 1}],
    "scope none": [{"type": "Thing", "size": 1, "_scope_": None}],
    "scope number": [{"type": "Thing", "size": 1, "_scope_": 3}],
    "key is a number": [{"type": "Thing", "size": 1, 3: 4}],
}
for _name, _args in BUILD.items():

    def _build_thing(args: Any = _args) -> Any:
        built = things().build(args[0], **dict(zip(["default_args"], args[1:], strict=False)))
        return built.shown if isinstance(built, Thing) else built

    CASES[f"build {_name}"] = _build_thing


@case
def build_leaves_the_config_as_it_was() -> Any:
    cfg, default = {"type": "Thing", "size": 1, "_scope_": "things"}, {"color": "x"}
    things().build(cfg, default_args=default)
    return cfg, default


@case
def registry_of_wrong_type() -> Any:
    return build_from_cfg({"type": "Thing"}, "things")


@case
def registry_of_wrong_type_without_type() -> Any:
    return build_from_cfg({}, "things")


@case
def managed_objects_are_built_once_by_name() -> Any:
    registry = things()
    first = registry.build({"type": "Managed", "name": "one", "size": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = registry.build({"type": "Managed", "name": "one", "size": 4})
    Managed._instance_dict.clear()
    return first is again, again.size


@case
def managed_object_without_name() -> Any:
    return things().build({"type": "Managed"})


@case
def what_the_constructor_raises_is_the_same_object() -> Any:
    error = OSError("mine")

    def fail() -> None:
        raise error

    try:
        Registry("r", scope="r").build({"type": fail})
    except OSError as raised:
        return raised is error, str(raised), raised.args


class FakeRunner:
    @classmethod
    def from_cfg(cls, cfg: Any) -> Any:
        return [cls.__name__, sorted(cfg.keys())]


class OtherRunner(FakeRunner): ...


def _run(cfg: Any) -> Any:
    registry = Registry("r", registry_module.build_runner_from_cfg, scope="r")
    registry.register_module(name="Runner", module=FakeRunner)
    registry.register_module(module=OtherRunner)
    return registry.build(cfg)


for _name, _cfg in {
    "default": {"a": 1},
    "Config": Config({"a": 1}),
    "ConfigDict": ConfigDict(a=1),
    "by name": {"runner_type": "OtherRunner"},
    "by class": {"runner_type": OtherRunner},
    "with scope": {"runner_type": "OtherRunner", "_scope_": "r"},
    "unknown": {"runner_type": "Nothing"},
    "number": {"runner_type": 1},
    "function": {"runner_type": len},
    "no dict": [1],
}.items():
    CASES[f"build_runner_from_cfg {_name}"] = functools.partial(_run, _cfg)


class Schedule:
    def __init__(self, optimizer: Any, by_epoch: bool = True, begin: int = 0) -> None:
        self.shown = ["plain", optimizer, by_epoch, begin]

    @classmethod
    def build_iter_from_epoch(cls, *args: Any, **kwargs: Any) -> Any:
        return SimpleNamespace(shown=["converted", args, kwargs])


def _schedule(cfg: Any, default_args: Any = None) -> Any:
    registry = Registry("r", registry_module.build_scheduler_from_cfg, scope="r")
    registry.register_module(module=Schedule)
    return registry.build(cfg, default_args=default_args).shown


_convert = {"type": "Schedule", "convert_to_iter_based": True}
for _name, _args in {
    "plain": [{"type": "Schedule"}, {"optimizer": 1}],
    "plain with epoch_length": [{"type": "Schedule"}, {"optimizer": 1, "epoch_length": 5}],
    "class": [{"type": Schedule, "begin": 3}, {"optimizer": 1}],
    "convert": [_convert, {"optimizer": 1, "epoch_length": 5}],
    "convert class": [{**_convert, "type": Schedule}, {"optimizer": 1, "epoch_length": 5}],
    "convert false": [{**_convert, "convert_to_iter_based": False}, {"optimizer": 1}],
    "convert without epoch_length": [_convert, {"optimizer": 1}],
    "convert by iteration": [{**_convert, "by_epoch": False}, {"optimizer": 1, "epoch_length": 5}],
    "convert unknown": [{**_convert, "type": "x"}, {"optimizer": 1, "epoch_length": 5}],
    "convert number": [{**_convert, "type": 3}, {"optimizer": 1, "epoch_length": 5}],
    "convert without type": [{"convert_to_iter_based": True}, {"epoch_length": 5}],
    "convert with scope": [{**_convert, "_scope_": "r"}, {"optimizer": 1, "epoch_length": 5}],
    "unknown": [{"type": "x"}, {"optimizer": 1}],
    "without type": [{}, {"optimizer": 1}],
    "no dict": [3],
}.items():
    CASES[f"build_scheduler_from_cfg {_name}"] = functools.partial(_schedule, *_args)


@case
def scheduler_registry_of_wrong_type() -> Any:
    return registry_module.build_scheduler_from_cfg({"type": "x"}, 3)


@case
def runner_registry_of_wrong_type() -> Any:
    return registry_module.build_runner_from_cfg({"type": "x"}, 3)


@case
def tree_of_registered_modules() -> Any:
    return registry_module.traverse_registry_tree(animals().mid, verbose=False)


# --------------------------------------------------------------------------- running


def run(function: Any) -> dict[str, Any]:
    DefaultScope._instance_dict.clear()
    try:
        return {"value": show(function())}
    except Exception as error:
        return {"raises": [kind.__name__ for kind in type(error).__mro__], "says": str(error)}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in LIBRARIES.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(dedent(text).replace("PACKAGE", PACKAGE))
        sys.path.insert(0, folder)
        stdout = os.dup(1)
        os.dup2(2, 1)  # warnings that the logger prints are not part of the answer
        outcomes = {name: run(function) for name, function in CASES.items()}
        sys.stdout.flush()
        os.dup2(stdout, 1)
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
