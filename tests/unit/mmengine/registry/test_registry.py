from __future__ import annotations

import logging
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from mm2pl.errors import ConfigKeyError
from mm2pl.mmengine.logging import MMLogger
from mm2pl.mmengine.registry import HOOKS, MODELS, Registry, build_from_cfg


def test_importing_the_registry_imports_no_torch() -> None:
    code = "import sys, mm2pl.mmengine.registry; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_root_registry_finds_our_own_classes_without_an_import() -> None:
    code = """
import sys
from mm2pl.mmengine.registry import HOOKS
assert len(HOOKS) == 0
print(HOOKS.get('IterTimerHook').__module__, HOOKS.get('mmengine.EMAHook').__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["mm2pl.mmengine.hooks.iter_timer_hook", "EMAHook"]


def test_our_own_modules_have_the_scope_mmengine() -> None:
    space: dict[str, Any] = {"__name__": "mm2pl.mmengine.registry.root", "Registry": Registry}
    exec(compile("registry = Registry('r')", __file__, "exec"), space)
    assert space["registry"].scope == "mmengine"


def test_code_in_no_file_has_the_scope_mmengine_and_a_warning(logged: Any) -> None:
    space: dict[str, Any] = {"Registry": Registry}
    exec("registry = Registry('r')", space)
    assert space["registry"].scope == "mmengine"
    assert [level for level, _ in logged] == [logging.WARNING]
    assert 'set scope as "mmengine" when scope can not be inferred' in logged[0][1]


def test_names_of_the_module_mmengine_are_found_in_ours() -> None:
    assert MODELS.get("mmengine.registry.Registry") is Registry
    assert MODELS.get("mmengine.registry.build_functions.build_from_cfg") is build_from_cfg


def test_an_own_location_that_does_not_exist_is_passed_over() -> None:
    registry = Registry("r", scope="r", locations=["mmengine.there_is_no_such_module"])
    assert registry.get("Nothing") is None


def test_a_foreign_location_that_does_not_exist_is_an_error() -> None:
    registry = Registry("r", scope="r", locations=["there_is_no_such_module"])
    with pytest.raises(ModuleNotFoundError) as caught:
        registry.get("Nothing")
    assert str(caught.value) == (
        "there_is_no_such_module cannot be imported for r::r: ModuleNotFoundError: "
        "No module named 'there_is_no_such_module'\n"
        "Hint: install the package that has there_is_no_such_module"
    )
    assert caught.value.name == "there_is_no_such_module"


def test_a_location_that_lacks_a_name_is_an_import_error_and_not_a_missing_module(
    packages: Any,
) -> None:
    packages({"lacking_name.py": "from collections import no_such_name"})
    with pytest.raises(ImportError, match="lacking_name cannot be imported") as caught:
        Registry("r", scope="r", locations=["lacking_name"]).get("Nothing")
    assert not isinstance(caught.value, ModuleNotFoundError)


def test_a_location_that_raises_something_else_has_a_note(packages: Any) -> None:
    packages({"breaking.py": "raise OSError('broken')"})
    with pytest.raises(OSError, match="broken") as caught:
        Registry("r", scope="r", locations=["breaking"]).get("Nothing")
    assert caught.value.__notes__ == ["While importing breaking for r::r"]


def test_a_location_is_tried_again_after_a_failure_and_then_no_more(packages: Any) -> None:
    packages({"located.py": "raise OSError('not yet')"})
    registry = Registry("r", scope="r", locations=["located"])
    with pytest.raises(OSError, match="not yet"):
        registry.get("nothing")
    sys.modules["located"] = ModuleType("located")
    assert registry.get("nothing") is None
    del sys.modules["located"]
    assert registry.get("nothing") is None  # else the file would be imported and raise


def test_a_registry_with_a_parent_imports_its_locations_first(packages: Any) -> None:
    packages({"located_child.py": "LOADED = True"})
    root = Registry("root", scope="root", locations=["there_is_no_such_module"])
    child = Registry("child", parent=root, scope="child", locations=["located_child"])
    child.register_module(name="found", module=len)
    assert child.get("found") is len
    assert "located_child" in sys.modules


def test_a_grandchild_finds_what_its_parents_locations_register(packages: Any) -> None:
    packages(
        {
            "biglib/__init__.py": "",
            "biglib/registry.py": """
                from mm2pl.mmengine.registry import MODELS as ROOT, Registry
                MODELS = Registry('model', parent=ROOT, locations=['biglib.models'])
            """,
            "biglib/models.py": """
                from biglib.registry import MODELS
                MODELS.register_module(name='Big', module=dict)
            """,
        }
    )
    import biglib.registry  # type: ignore[import-not-found]

    grandchild = Registry("g", parent=biglib.registry.MODELS, scope="g")
    assert grandchild.get("Big") is dict


def test_a_hit_is_logged_for_those_who_debug() -> None:
    logger = MMLogger.get_instance("debugging", log_level="DEBUG")
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logger.handlers = [handler]
    registry = Registry("r", scope="r")
    registry.register_module(module=len)
    registry.get("len")
    assert records == ['Get class `len` from "r" registry in "r"']


def test_no_logger_is_made_to_drop_debug_messages() -> None:
    registry = Registry("r", scope="r")
    registry.register_module(module=dict)
    assert registry.build({"type": "dict", "a": 1}) == {"a": 1}
    assert not MMLogger._instance_dict


def test_a_name_that_is_taken_says_by_whom_and_what_to_do() -> None:
    registry = Registry("r", scope="r")
    registry.register_module(module=len)
    with pytest.raises(ConfigKeyError, match=r"builtins\nHint: .*force=True"):
        registry.register_module(module=len)


def test_an_object_whose_import_fails_says_why(packages: Any) -> None:
    packages({"failing/__init__.py": "", "failing/module.py": "raise OSError('no disk')"})
    with pytest.raises(RuntimeError, match=r"Failed to get failing.module.X: OSError: no disk"):
        Registry("r", scope="r").get("failing.module.X")


def test_a_scope_whose_own_check_fails_raises_what_the_check_raised(packages: Any) -> None:
    packages({"tooold/__init__.py": "assert False, 'tooold needs mmcv < 2'"})
    with pytest.raises(AssertionError, match="tooold needs mmcv") as caught:
        Registry("r", scope="r").get("tooold.Net")
    assert caught.value.__notes__ == [
        "While importing tooold.registry for r::r (to find `tooold.Net`)"
    ]


def test_an_unimportable_default_scope_is_warned_of_with_its_cause(
    packages: Any, default_scope: Any, logged: Any
) -> None:
    packages({"lacking/__init__.py": "import a_package_that_is_missing"})
    default_scope("lacking")
    registry = Registry("r", scope="r")
    with registry.switch_scope_and_registry(None) as current:
        assert current is registry
    assert "`lacking.registry`" in logged[0][1]
    assert "No module named 'a_package_that_is_missing'" in logged[0][1]
    assert 'Failed to search registry with scope "lacking"' in logged[1][1]


def test_a_known_package_that_is_not_installed_is_named_with_its_pip_name(
    default_scope: Any, logged: Any
) -> None:
    default_scope("mmhuman3d")
    with Registry("r", scope="r").switch_scope_and_registry(None):
        assert "pip install mmhuman3d" in logged[0][1]


def test_an_openmmlab_package_without_utils_is_warned_of(packages: Any, logged: Any) -> None:
    packages({"mmflow/__init__.py": ""})
    assert Registry("r", scope="mmflow", parent=Registry("p", scope="p")).get("Net") is None
    assert logged == [
        (30, "Failed to import `mmflow.utils`: ModuleNotFoundError: No module named 'mmflow.utils'")
    ]


def test_a_failing_register_all_modules_has_a_note(packages: Any) -> None:
    packages(
        {
            "mmrotate/__init__.py": "",
            "mmrotate/utils.py": "def register_all_modules(scope): raise OSError('broken')",
        }
    )
    with pytest.raises(OSError, match="broken") as caught:
        Registry("r", scope="mmrotate").get("Net")
    assert caught.value.__notes__ == [
        "While importing mmrotate.utils.register_all_modules for mmrotate::r"
    ]


def test_repr_lists_the_registered_names() -> None:
    registry = Registry("animals", scope="r")
    registry.register_module(name="cat", module=len)
    assert "Registry of animals" in repr(registry)
    assert "cat" in repr(registry)


def test_registering_returns_the_class_unchanged() -> None:
    class Thing: ...

    registry = Registry("r", scope="r")
    assert registry.register_module()(Thing) is Thing
    assert registry.register_module(name="again", module=Thing) is Thing


def test_hooks_of_a_library_find_ours_through_the_root(packages: Any) -> None:
    child = Registry("hook", parent=HOOKS, scope="a_library_of_this_test")
    try:
        assert child.get("CheckpointHook") is HOOKS.get("CheckpointHook")
    finally:
        del HOOKS.children["a_library_of_this_test"]
