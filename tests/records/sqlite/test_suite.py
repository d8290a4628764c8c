"""The database in a file of SQLite keeps the contract."""

from pathlib import Path

import pytest

from holdall.records.backends.sqlite import SqliteRecords, SqliteRecordSettings
from holdall.testing.records import RecordStoreSuite
from holdall.testing.records.faces import MakeRecords


class TestSqlite(RecordStoreSuite):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeRecords:
        settings = SqliteRecordSettings(str(tmp_path / "a.db"), durable=False)
        return lambda runtime: SqliteRecords(settings, runtime)
