"""The suite of adapters over the stores in memory."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from holdall.core.runtime.loop import LoopRuntime
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.haystack.stores.memory_entities import MemoryEntities, MemoryEntitySettings
from holdall.haystack.stores.memory_histories import MemoryHistories, MemoryHistorySettings
from holdall.testing import HaystackAdapterSuite

if TYPE_CHECKING:
    from collections.abc import Callable

_names = count()


class TestMemoryAdapter(HaystackAdapterSuite):
    @pytest.fixture
    def make_adapter(self) -> Callable[[], HaystackAdapter]:
        name = f"adapter{next(_names)}"

        def make() -> HaystackAdapter:
            runtime = LoopRuntime()
            return HaystackAdapter(
                MemoryEntities(MemoryEntitySettings(name=name), runtime),
                MemoryHistories(MemoryHistorySettings(name=name), runtime),
            )

        return make
