"""The suites of stores and of the adapter, over a file of SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holdall.haystack.sqlite import SqliteAdapter
from holdall.haystack.stores.sqlite import (
    SqliteEntities,
    SqliteHaystackSettings,
    SqliteHistories,
)
from holdall.testing import EntityStoreSuite, HaystackAdapterSuite, HistoryStoreSuite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def settings(tmp_path: Path) -> SqliteHaystackSettings:
    return SqliteHaystackSettings(str(tmp_path / "suite.db"), durable=False)


class TestSqliteEntities(EntityStoreSuite):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[Any], SqliteEntities]:
        return lambda runtime: SqliteEntities(settings(tmp_path), runtime)


class TestSqliteHistories(HistoryStoreSuite):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[Any], SqliteHistories]:
        return lambda runtime: SqliteHistories(settings(tmp_path), runtime)


class TestSqliteAdapter(HaystackAdapterSuite):
    @pytest.fixture
    def make_adapter(self, tmp_path: Path) -> Callable[[], SqliteAdapter]:
        return lambda: SqliteAdapter(tmp_path / "suite.db", durable=False)
