"""The suites of stores of entities and of histories, over those in memory."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from holdall.haystack.stores.memory_entities import MemoryEntities, MemoryEntitySettings
from holdall.haystack.stores.memory_histories import MemoryHistories, MemoryHistorySettings
from holdall.testing import EntityStoreSuite, HistoryStoreSuite

if TYPE_CHECKING:
    from collections.abc import Callable

_names = count()


class TestMemoryEntities(EntityStoreSuite):
    @pytest.fixture
    def make_store(self) -> Callable[[Any], MemoryEntities]:
        settings = MemoryEntitySettings(name=f"suite{next(_names)}")
        return lambda runtime: MemoryEntities(settings, runtime)


class TestMemoryHistories(HistoryStoreSuite):
    @pytest.fixture
    def make_store(self) -> Callable[[Any], MemoryHistories]:
        settings = MemoryHistorySettings(name=f"suite{next(_names)}")
        return lambda runtime: MemoryHistories(settings, runtime)
