"""The PostgreSQL behind these tests, and an empty table on it."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.postgres import PostgresRecords, PostgresSettings
from holdall.records.database import Database
from serving import databases
from serving.databases import PostgresServer
from serving.process import HOST

Open = Callable[..., Database]


@pytest.fixture
def options(
    postgres_server: PostgresServer, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What opens an empty table of records; the password comes from the environment."""
    monkeypatch.setenv("PGPASSWORD", databases.PASSWORD)
    return {
        "host": HOST,
        "port": postgres_server.port,
        "database": postgres_database,
        "user": databases.USER,
        "table": f"t_{uuid4().hex}",
    }


@pytest.fixture
def open_db(options: dict[str, Any]) -> Iterator[Open]:
    """Opens the table, with other settings where a test wants them."""
    opened: list[Database] = []

    def open_it(**settings: Any) -> Database:
        chosen = PostgresSettings(**{**options, **settings})
        opened.append(Database(PostgresRecords.open(chosen, BlockingRuntime())))
        return opened[-1]

    yield open_it
    for one in opened:
        one.close()


@pytest.fixture
def db(open_db: Open) -> Database:
    """The table, opened."""
    return open_db()


@pytest.fixture
def ask(
    postgres_server: PostgresServer, postgres_database: str, options: dict[str, Any]
) -> Callable[[str], list[tuple[Any, ...]]]:
    """Runs a statement as the owner of all, with the name of the table for `TABLE_`."""

    def asked(statement: str) -> list[tuple[Any, ...]]:
        named = statement.replace("TABLE_", f'"{options["table"]}"')
        return postgres_server.ask(named, postgres_database)

    return asked
