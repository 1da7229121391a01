"""Configs in pure Python and lazy objects: what they give."""
# ruff: noqa: F821  # the harness brings `write`

import copy
import pickle
import sys

from mmengine.config import Config, ConfigDict
from mmengine.config.lazy import LazyAttr, LazyObject


def read(folder, main="main.py", /, *, args=None, **files):
    write(folder, **files)
    return Config.fromfile(str(folder / main), **(args or {})).to_dict()


# -------------------------------------------------------------------------- configs in pure Python
def lazy(folder, main="main.py", /, **files):
    write(folder, **files)
    cfg = Config.fromfile(str(folder / main))
    return [cfg.to_dict(), cfg._to_lazy_dict(), sorted(cfg._imported_names)]


def case_lazy_imports(folder):
    return lazy(
        folder,
        main__py="""\
            from thelib.models import Net, Head as H
            import thelib.data
            import thelib.nn as nn
            import thelib
            model = dict(type=Net, head=dict(type=H), act=nn.functional.relu, raw=nn)
            data = [dict(type=thelib.data.Set), (thelib.other.attr.deep,)]
            """,
    )


def case_lazy_bases(folder):
    return lazy(
        folder,
        "sub/main.py",
        default__py="""\
            from thelib.hooks import Hook
            hooks = dict(a=dict(type=Hook))
            scope = 'x'
            unused = 1
            """,
        base_in_model__py="""\
            from mmengine.config import read_base
            with read_base():
                from ..default import hooks
            from thelib.models import Net
            model = dict(type=Net, depth=18, parts=[dict(type=Net)])
            hooks.update(dict(b=1))
            """,
        sub_in_main__py="""\
            from mmengine.config import read_base
            from thelib.models import Big
            with read_base():
                from ..base.model import *
                from ..default import scope, unused as renamed
            model.update(dict(type=Big, new=model.depth * 2))
            model.parts[0].extra = [v for v in range(2)]
            lr = dict(v=renamed)
            """,
    )


def case_lazy_star_brings_all_names(folder):
    return lazy(
        folder,
        base__py="from thelib import A\nfrom mmengine.config import read_base\nx = dict(type=A)\n",
        main__py="""\
            from mmengine.config import read_base
            with read_base():
                from .base import *
            y = dict(type=A)
            """,
    )


def case_lazy_merge_with_delete(folder):
    return lazy(
        folder,
        base__py="from thelib import A\nmodel = dict(type=A, head=dict(n=1, m=dict(k=1)))\n",
        main__py="""\
            from mmengine.config import read_base
            from thelib import B
            with read_base():
                from .base import *
            model.merge(dict(type=B, head=dict(m=dict(_delete_=True, j=2))))
            """,
    )


def case_lazy_locations(folder):
    write(
        folder,
        main__py="a = 1\nfrom thelib import (Net,\n    Head)\nimport thelib.x\nb = thelib.y\n",
    )
    cfg = Config.fromfile(str(folder / "main.py"))
    values = cfg._to_lazy_dict(keep_imported=True)
    return [values[name].location for name in ("Net", "Head", "thelib", "b")]


def case_lazy_standard_library_is_imported(folder):
    # Without a third-party import first, what MMEngine does depends on where Python is installed.
    return lazy(
        folder,
        main__py="""\
            from thelib import A
            from itertools import chain
            a = dict(type=A, values=list(chain([1], [2])))
            """,
    )


def case_lazy_by_argument(folder):
    write(folder, main__py="a = dict(b=1)\n")
    cfg = Config.fromfile(str(folder / "main.py"), lazy_import=True)
    return [cfg.to_dict(), cfg.text]


def case_lazy_keeps_templates(folder):
    return lazy(folder, main__py="from thelib import A\na = '{{ fileDirname }}'\n")


def case_lazy_file_variable(folder):
    return lazy(folder, main__py="from thelib import A\na = __file__\n")


def case_lazy_functions_see_globals(folder):
    return lazy(
        folder,
        main__py="""\
            from thelib import A
            def make(n):
                return [dict(type=A, i=i) for i in range(n)]
            parts = make(2)
            del make
            """,
    )


def case_lazy_import_in_a_function(folder):
    return lazy(
        folder,
        main__py="""\
            from thelib import A
            def make():
                from thelib import B
                return B
            value = dict(type=make())
            del make
            if True:
                from thelib import C as D
            other = dict(type=D)
            """,
    )


def case_lazy_star_of_a_library(folder):
    return lazy(folder, main__py="from thelib import *\n")


def case_lazy_call(folder):
    return lazy(folder, main__py="from thelib import A\na = A()\n")


def case_lazy_other_context_manager(folder):
    return lazy(folder, main__py="with open('x'):\n    pass\n")


def case_lazy_missing_base(folder):
    text = "from mmengine.config import read_base\nwith read_base():\n    from .nope import *\n"
    return lazy(folder, main__py=text)


def case_lazy_missing_name_in_base(folder):
    text = "from mmengine.config import read_base\nwith read_base():\n    from .base import nope\n"
    return lazy(folder, base__py="a = 1\n", main__py=text)


def case_lazy_with_old_base(folder):
    text = "from mmengine.config import read_base\nwith read_base():\n    from .base import *\n"
    return lazy(folder, base__py="_base_ = 'x.py'\n", main__py=text)


def case_old_with_lazy_base(folder):
    return read(folder, base__py="from thelib import A\n", main__py="_base_ = 'base.py'\n")


def case_old_style_by_argument(folder):
    return read(
        folder,
        args={"lazy_import": False},
        base__py="from json import dumps\na = dumps([1])\n",
        main__py="_base_ = 'base.py'\n",
    )


def case_lazy_base_of_a_package(folder):
    write(folder / "thelib", configs_in_base__py="from thelib import A\na = dict(type=A)\n")
    (folder / "thelib" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    sys.path.insert(0, str(folder))
    try:
        text = """\
            from mmengine.config import read_base
            with read_base():
                from thelib.configs.base import *
            a.b = 1
            """
        return lazy(folder, main__py=text)
    finally:
        sys.path.remove(str(folder))


def case_lazy_build_on_access(folder):
    write(
        folder,
        main__py="""\
            from collections import OrderedDict
            import thelib
            from mmengine.version import __version__ as version
            import mmengine.version as m
            a = dict(type=version, deep=[dict(v=m.version_info)], n=m)
            """,
    )
    cfg = Config.fromfile(str(folder / "main.py"))
    plain = dict(**cfg.a)
    return [cfg.a.type, cfg.a["type"], cfg.a.get("type"), cfg.a.items()[0], cfg.a.values()[0],
            plain["type"], cfg.a.deep[0].v, cfg.a.pop("type"), cfg.a.n.__name__.rpartition(".")[2],
            type(cfg.a.to_dict()["n"]).__name__]  # fmt: skip


def case_lazy_survives_copies(folder):
    write(folder, main__py="from thelib import A\na = dict(type=A, b=[dict(type=A.c)])\n")
    cfg = Config.fromfile(str(folder / "main.py"))
    cfg2 = Config(cfg._cfg_dict)
    cfg2.a.update({"x": cfg2._to_lazy_dict()["a"]["type"]})
    ways = [copy.copy(cfg), copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg)), cfg2]
    return [[way._to_lazy_dict(), sorted(way._imported_names)] for way in ways]


def case_lazy_import_fails_on_access(folder):
    write(folder, main__py="from thelib import A\na = dict(type=A)\n")
    return Config.fromfile(str(folder / "main.py")).a.type


def case_lazy_name_does_not_exist(folder):
    write(folder, main__py="from json.decoder import Nope\nimport thelib\na = dict(type=Nope)\n")
    text = (folder / "main.py").read_text().replace("json.decoder", "yaml.nodes")
    (folder / "main.py").write_text(text)
    return Config.fromfile(str(folder / "main.py")).a.type


def case_lazy_objects(folder):
    one = LazyObject("collections.abc", "Mapping", "f.py, line 3")
    module = LazyObject(["os", "os.path"])
    attr = module.path.join
    again = pickle.loads(pickle.dumps([one, attr, copy.deepcopy(attr), copy.deepcopy(one)]))
    return [
        one, str(one), one.module, one.build().__name__, module.module, module.build().__name__,
        attr, attr.module, attr.name, attr.build()("a", "b"), attr.location, one.x.y,
        one.x.location, again, repr(LazyObject("torch.nn")), LazyAttr("b", one, "here").location,
    ]  # fmt: skip


def case_lazy_object_of_a_number(folder):
    return LazyObject(1)


def case_lazy_object_imported_is_a_number(folder):
    return LazyObject("os", 1)


def case_lazy_attribute_does_not_exist(folder):
    return LazyObject("os").nope.build()


def case_lazy_config_dict_flag(folder):
    cfg = ConfigDict(a=LazyObject("os"), b=[LazyObject("os", "sep")])
    ConfigDict.lazy = True
    try:
        kept = [type(cfg.a).__name__, type(cfg["a"]).__name__, type(cfg.values()[0]).__name__]
    finally:
        ConfigDict.lazy = False
    return [kept, cfg.a.__name__, type(cfg.b[0]).__name__, cfg.to_dict(), cfg._to_lazy_dict()]
