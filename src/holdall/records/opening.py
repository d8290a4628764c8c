"""`holdall.open_database`, its asynchronous twin, and many databases from one file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from holdall.core.config import read_settings, take_text
from holdall.core.errors import InvalidConfig
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.async_database import AsyncDatabase
from holdall.records.database import Database
from holdall.records.registry import open_records, register

if TYPE_CHECKING:
    from holdall.records.contract import RecordStore
    from holdall.records.registry import DatabasePlace

# What a file written for dataknobs-data names, by the name of ours.
CLASSES = {
    "dataknobs_data.backends.memory.MemoryDatabase": "memory",
    "dataknobs_data.backends.sqlite.SQLiteDatabase": "sqlite",
    "dataknobs_data.backends.postgres.PostgresDatabase": "postgres",
    "dataknobs_data.backends.s3.S3Database": "s3",
}


def open_database(place: DatabasePlace) -> Database:
    """Open a database of records.

    Args:
        place: A URL (`sqlite:///app.db`, `memory://`, `postgresql://…`, `s3://bucket/records/`),
            whose query may hold settings; a mapping with `type` (or `backend`, or `url`) and the
            settings of that backend; or a `pathlib.Path` of a configuration file (TOML, YAML,
            JSON).

    Nothing is created or connected before the first call.

    Raises:
        InvalidConfig: No such backend, or a setting cannot be; names it.
    """
    return Database(open_records(place, BlockingRuntime()))


def open_database_async(place: DatabasePlace) -> AsyncDatabase:
    """Open a database of records for asyncio; the arguments of `open_database`."""
    # asyncio takes longer to import than all of this package.
    from holdall.core.runtime.loop import LoopRuntime

    return AsyncDatabase(open_records(place, LoopRuntime()))


def open_databases(
    source: str | os.PathLike[str] | Mapping[str, Any],
) -> dict[str, Database]:
    """Open the databases that a file describes, by name.

        databases:
          - name: archive
            class: s3
            bucket: ${S3_BUCKET}

    Args:
        source: The path of a file (YAML, TOML, JSON), or what is in it. Each entry of `databases`
            has a `name`, a `class` (the name of a backend, or a class path of dataknobs-data),
            and the settings of that backend. `${VAR}` and `${VAR:default}` are filled in.

    Raises:
        InvalidConfig: A setting is missing or cannot be, or two databases have one name.
    """
    tree = read_settings(source)
    file = None if isinstance(source, Mapping) else os.fspath(source)
    where = f" in {file}" if file else ""
    entries = tree.get("databases")
    if len(tree) != 1 or not isinstance(entries, list):
        raise InvalidConfig(f"there must be one setting 'databases', with a list of them{where}")
    opened: dict[str, Database] = {}
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise InvalidConfig(f"{entry!r} describes no database: name, class, settings{where}")
        rest = dict(entry)
        name = take_text(rest, "name", place=file)
        kind = take_text(rest, "class", place=file)
        if name is None:
            raise InvalidConfig(f"a database{where} has no 'name'")
        if name in opened:
            raise InvalidConfig(f"two databases{where} are called {name!r}")
        if kind is not None:
            rest["type"] = CLASSES.get(kind, kind)
        try:
            opened[name] = open_database(rest)
        except InvalidConfig as error:
            raise InvalidConfig(f"the database {name!r}{where}: {error}") from error
    return opened


@final
class DatabaseFactory:
    """Makes databases by the name of their backend."""

    def create(self, backend: str, **settings: Any) -> Database:
        """Open a database.

        Args:
            backend: `memory`, `sqlite`, `postgres`, `s3`, …
            settings: Those of the backend; ones that are None do not count.

        Raises:
            InvalidConfig: No such backend, or a setting cannot be; names it.
        """
        given = {name: value for name, value in settings.items() if value is not None}
        return open_database({"type": backend, **given})

    def register(self, name: str, kind: type[RecordStore]) -> None:
        """Make a backend known under a name, in this process.

        Raises:
            InvalidConfig: The name is taken.
        """
        register(name, kind)
