"""`TimescaleAdapter`: entities and histories in PostgreSQL, with TimescaleDB where it is there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from msgspec.structs import replace

from holdall.core.config import literal, load_settings
from holdall.core.errors import InvalidConfig
from holdall.core.runtime.loop import LoopRuntime
from holdall.core.secrets import Secret
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.haystack.stores.postgres import (
    PostgresEntities,
    PostgresHaystackSettings,
    PostgresHistories,
)
from holdall.haystack.stores.postgres.database import PostgresDatabase

if TYPE_CHECKING:
    from holdall.core.secrets import SecretSource

VARIABLE: Final = "TIMESCALE_DSN"
_OF_ADDRESS: Final = frozenset({"host", "port", "user", "password", "sslmode"})
_SETTINGS: Final = frozenset(PostgresHaystackSettings.__struct_fields__)
_OURS: Final = _SETTINGS - _OF_ADDRESS


class TimescaleAdapter(HaystackAdapter):
    """Keeps entities, histories, watches and priority arrays in PostgreSQL.

    Where the extension TimescaleDB is there, histories are a hypertable, otherwise a plain table,
    and a line of the log says so. The tables `entities` and `history` are made by the first call;
    those that haystack-py made are taken over with all their rows.

    Args:
        dsn: The address, as `postgresql://user:password@host:port/database` or in libpq's form
            `host=… dbname=…`; or where to find it, as `Secret` takes it. None is that of the
            variable `TIMESCALE_DSN`.
        settings: Others of `PostgresHaystackSettings`, such as `schema="plant"`, `connections=20`
            or `timeout="1m"`.

    Raises:
        InvalidConfig: Neither a dsn nor the variable is there, or a setting cannot be.
    """

    def __init__(self, dsn: SecretSource | Secret | None = None, **settings: Any) -> None:
        if dsn is None:
            if not os.environ.get(VARIABLE):
                raise InvalidConfig(
                    f"there is no dsn: give one, or set the variable {VARIABLE} to "
                    "postgresql://user:password@host:port/database"
                )
            dsn = {"env": VARIABLE}
        secret = dsn if isinstance(dsn, Secret) else Secret(dsn)
        chosen = replace(load_settings(PostgresHaystackSettings, settings), dsn=secret)
        runtime = LoopRuntime()
        database = PostgresDatabase(chosen, runtime)
        super().__init__(
            PostgresEntities(chosen, runtime, database),
            PostgresHistories(chosen, runtime, database),
        )


def open_postgres(url: str) -> TimescaleAdapter:
    """Open `postgresql://user:password@host:port/database`, also `postgres://` or `timescale://`.

    What stands behind a `?` are settings of `PostgresHaystackSettings`: `?schema=plant`, and
    parameters of libpq, such as `application_name=plant` or `sslrootcert=…`. An address with
    nothing behind `://` is that of the variable `TIMESCALE_DSN`.

    Raises:
        InvalidConfig: A setting cannot be.
    """
    rest, _, query = url.partition("://")[2].partition("?")
    named: dict[str, str] = {}
    theirs: list[str] = []
    for part in filter(None, query.split("&")):
        ((name, value),) = parse_qsl(part, keep_blank_values=True)
        if name == "dsn":
            raise InvalidConfig("the setting 'dsn' says what the address says already")
        if rest and name not in _OURS and name in _of_libpq():
            theirs.append(part)
        else:
            if "@" in query and name.lower().replace("-", "_") not in _SETTINGS:
                # Its name, which the error would show, may be of a password.
                raise InvalidConfig(
                    "the address of the PostgreSQL server has an @ behind a ?, and what stands "
                    "there is no setting: in a password '/', '?' and '#' are percent-encoded, as "
                    "%2F, %3F and %23"
                )
            # libpq has plain seconds.
            seconds = name == "connect_timeout" and value.isdecimal()
            named[name] = f"{value}s" if seconds else value
    settings = literal(named)
    if not rest:
        return TimescaleAdapter(**settings)
    # As libpq has it, so that what is percent-encoded in a password means itself.
    more = f"?{'&'.join(theirs)}" if theirs else ""
    return TimescaleAdapter(Secret(f"postgresql://{rest}{more}"), **settings)


def _of_libpq() -> frozenset[str]:
    """The parameters that this libpq knows; none without its driver, which is told of later."""
    try:
        from psycopg.pq import Conninfo
    except ImportError:
        return frozenset()
    return frozenset(one.keyword.decode() for one in Conninfo.get_defaults())
