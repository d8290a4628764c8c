"""The suites of stores and of the adapter, over PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holdall.haystack.postgres import TimescaleAdapter
from holdall.haystack.stores.postgres import PostgresEntities
from holdall.testing import EntityStoreSuite, HaystackAdapterSuite

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.haystack.stores.postgres import PostgresHaystackSettings


class TestPostgresEntities(EntityStoreSuite):
    @pytest.fixture
    def make_store(
        self, postgres_place: PostgresHaystackSettings
    ) -> Callable[[Any], PostgresEntities]:
        return lambda runtime: PostgresEntities(postgres_place, runtime)


class TestTimescaleAdapter(HaystackAdapterSuite):
    @pytest.fixture
    def make_adapter(
        self, postgres_place: PostgresHaystackSettings
    ) -> Callable[[], TimescaleAdapter]:
        return lambda: TimescaleAdapter(postgres_place.dsn, schema=postgres_place.schema)
