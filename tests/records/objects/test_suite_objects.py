"""The suite of databases over stores of objects, on a disk and in memory."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from holdall.records.backends.objects import (
    FileRecords,
    FileRecordSettings,
    ObjectRecords,
    ObjectRecordSettings,
)
from holdall.testing import RecordStoreSuite

if TYPE_CHECKING:
    from pathlib import Path

    from holdall.testing.records.faces import MakeRecords

_names = count()


class TestOnMemory(RecordStoreSuite):
    @pytest.fixture
    def make_store(self) -> MakeRecords:
        settings = ObjectRecordSettings(store=f"memory://records{next(_names)}/some/place")
        return lambda runtime: ObjectRecords.open(settings, runtime)


class TestOnFiles(RecordStoreSuite):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeRecords:
        settings = FileRecordSettings(path=str(tmp_path / "records"), durable=False)
        return lambda runtime: FileRecords.open(settings, runtime)
