"""The local store answers what the memory store answers."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from holdall.core.runtime import Runtime
from holdall.objects.backends.local import LocalSettings, LocalStore
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.testing import object_store_machine

pytestmark = pytest.mark.untraced

STEPS = settings(
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("more", [{}, {"attributes": "beside"}], ids=["auto", "beside"])
def test_the_local_store_answers_what_the_memory_store_answers(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    number = count()

    def make(runtime: Runtime) -> LocalStore:
        path = str(tmp_path / str(next(number)))
        return LocalStore(LocalSettings(path=path, durable=False, **more), runtime)

    run_state_machine_as_test(object_store_machine(make), settings=STEPS)


def test_a_folder_in_memory_answers_what_the_whole_answers() -> None:
    def make(runtime: Runtime) -> MemoryStore:
        return MemoryStore(MemorySettings(prefix="a/b"), runtime)

    run_state_machine_as_test(object_store_machine(make), settings=STEPS)
