"""The suite of databases over the one in memory."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.testing import RecordStoreSuite

if TYPE_CHECKING:
    from holdall.testing.records.faces import MakeRecords

_names = count()


class TestMemory(RecordStoreSuite):
    @pytest.fixture
    def make_store(self) -> MakeRecords:
        settings = MemoryRecordSettings(name=f"suite{next(_names)}")
        return lambda runtime: MemoryRecords.open(settings, runtime)
