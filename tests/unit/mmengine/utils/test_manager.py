from __future__ import annotations

import threading
import time

import pytest

from mm2pl.mmengine.utils import ManagerMixin


class Named(ManagerMixin):
    def __init__(self, name: str = "", fail: bool = False, delay: float = 0) -> None:
        super().__init__(name)
        time.sleep(delay)
        if fail:
            raise OSError("the constructor failed")


def in_threads(number: int, call) -> list[object]:
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(call())) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)
    return results


def test_threads_that_ask_at_once_get_one_instance() -> None:
    found = in_threads(8, lambda: Named.get_instance("shared"))
    assert len(found) == 8
    assert len({id(instance) for instance in found}) == 1


def test_an_instance_is_not_seen_before_it_is_made() -> None:
    slow = threading.Thread(target=Named.get_instance, args=("slow",), kwargs={"delay": 0.2})
    slow.start()
    time.sleep(0.05)
    made_while_waiting = Named.get_instance("slow")
    slow.join()
    assert made_while_waiting is Named.get_current_instance()


def test_a_failing_constructor_does_not_keep_other_threads_locked_out() -> None:
    with pytest.raises(OSError, match="constructor failed"):
        Named.get_instance("broken", fail=True)
    assert not Named.check_instance_created("broken")
    assert len(in_threads(1, lambda: Named.get_instance("next"))) == 1


def test_asking_for_a_current_instance_in_vain_does_not_lock_other_threads_out() -> None:
    with pytest.raises(RuntimeError, match="at least once"):
        Named.get_current_instance()
    assert len(in_threads(1, lambda: Named.get_instance("next"))) == 1
