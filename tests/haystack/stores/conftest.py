"""Places on the servers behind the tests of stores."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack.stores.postgres.database import PostgresDatabase
from holdall.haystack.stores.postgres.settings import PostgresHaystackSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving.databases import PostgresServer


_EMPTY = """
DO $$
DECLARE
    held text;
BEGIN
    SET LOCAL holdall.own = 'on';
    FOR held IN
        SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
        WHERE schemaname = '{schema}' AND tablename NOT IN ('hs_parts', 'hs_meta')
    LOOP
        EXECUTE 'DELETE FROM ' || held;
    END LOOP;
    UPDATE {schema}.hs_meta SET epoch = '{epoch}', number = 0, due = NULL, forgotten = 0;
END
$$
"""


@pytest.fixture(scope="session")
def postgres_made(
    postgres_server: PostgresServer, postgres_database: str
) -> PostgresHaystackSettings:
    """A schema with the tables of stores, which the tests of a worker share."""
    schema = f"shared_{uuid4().hex}"
    postgres_server.ask(f"CREATE SCHEMA {schema}", postgres_database)
    settings = PostgresHaystackSettings(
        dsn=Secret(postgres_server.dsn(postgres_database)), schema=schema
    )
    database = PostgresDatabase(settings, BlockingRuntime())
    drive(database.enter(settings))
    drive(database.leave(settings))
    return settings


@pytest.fixture
def postgres_place(
    postgres_server: PostgresServer,
    postgres_database: str,
    postgres_made: PostgresHaystackSettings,
) -> PostgresHaystackSettings:
    """A schema with empty tables, which are emptied again before the next test."""
    epoch = uuid4().hex
    postgres_server.ask(_EMPTY.format(schema=postgres_made.schema, epoch=epoch), postgres_database)
    return postgres_made


@pytest.fixture
def postgres_schema(
    postgres_server: PostgresServer, postgres_database: str
) -> Iterator[PostgresHaystackSettings]:
    """A schema without tables, which goes when the test ends."""
    schema = f"own_{uuid4().hex}"
    postgres_server.ask(f"CREATE SCHEMA {schema}", postgres_database)
    yield PostgresHaystackSettings(
        dsn=Secret(postgres_server.dsn(postgres_database)), schema=schema
    )
    postgres_server.ask(f"DROP SCHEMA {schema} CASCADE", postgres_database)
