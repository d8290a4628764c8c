"""The database in PostgreSQL keeps the contract."""

from typing import Any

import pytest

from holdall.records.backends.postgres import PostgresRecords, PostgresSettings
from holdall.testing import RecordStoreSuite
from holdall.testing.records.faces import MakeRecords


class TestPostgres(RecordStoreSuite):
    @pytest.fixture
    def make_store(self, options: dict[str, Any]) -> MakeRecords:
        settings = PostgresSettings(**options)
        return lambda runtime: PostgresRecords.open(settings, runtime)
