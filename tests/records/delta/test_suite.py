"""The database in a Delta Lake table keeps the contract."""

from pathlib import Path

import pytest

from holdall.records.backends.delta import DeltaRecords
from holdall.testing import RecordStoreSuite
from holdall.testing.records.faces import MakeRecords
from records.delta.opening import settings_in


class TestDelta(RecordStoreSuite):
    every = 2  # each search reads files: each face asks one half of them

    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeRecords:
        settings = settings_in(tmp_path)
        return lambda runtime: DeltaRecords.open(settings, runtime)
