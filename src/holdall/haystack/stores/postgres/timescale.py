"""TimescaleDB, where a database has it: hypertables, compression and retention."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from holdall.core.errors import InvalidConfig
from holdall.records.backends.postgres.steps import Ask
from holdall.records.backends.postgres.table import quoted

if TYPE_CHECKING:
    from datetime import timedelta

    from holdall.haystack.stores.postgres.database import Place
    from holdall.records.backends.postgres.steps import Steps

_log = logging.getLogger("holdall.haystack")

_EXTENSION: Final = """
SELECT nspname::text, coalesce(current_setting('timescaledb.license', TRUE), '')
FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
WHERE extname = 'timescaledb'
"""
_HYPERTABLE: Final = """
SELECT compression_enabled FROM timescaledb_information.hypertables
WHERE hypertable_schema = $1::text AND hypertable_name = 'history'
"""
_POLICY: Final = """
SELECT EXISTS (
    SELECT FROM timescaledb_information.jobs
    WHERE hypertable_schema = $1::text AND hypertable_name = 'history' AND proc_name = $2::text
        AND (config->>$3::text)::interval = $4::interval
)
"""

UNLIMITED: Final = """
CASE WHEN current_setting('timescaledb.max_tuples_decompressed_per_dml_transaction', TRUE)
    IS NOT NULL
THEN set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', TRUE) END
"""
"""What a transaction selects that writes into chunks that may be compressed, however much it is."""


class _Extension(Struct, frozen=True):
    """The extension, as a database has it.

    Args:
        schema: Where its functions are.
        licence: Which one it runs under: `timescale`, or `apache`, which has less.
        hypertable: Whether `history` is a hypertable.
        compressing: Whether its chunks may be compressed.
    """

    schema: str
    licence: str
    hypertable: bool
    compressing: bool

    def function(self, name: str) -> str:
        """One of its functions, as statements name it."""
        return f"{quoted(self.schema)}.{name}"


def _look(place: Place) -> Steps[_Extension | None]:
    found = yield Ask(_EXTENSION)
    if not found.rows:
        return None
    schema, licence = found.rows[0]
    made = yield Ask(_HYPERTABLE, (place.schema,))
    compressing = bool(made.rows and made.rows[0][0])
    return _Extension(schema, licence, bool(made.rows), compressing)


def make_hypertable(place: Place) -> Steps[None]:
    """Make a hypertable of `history` where the extension is and no sample is there yet."""
    history = place.table("history")
    extension = yield from _look(place)
    if extension is None:
        _log.info(
            "%s is a plain table: this database has no extension timescaledb, and the settings "
            "'chunk', 'compress_after' and 'keep' mean nothing there",
            history,
        )
        return
    if extension.hypertable:
        return
    held = yield Ask(f"SELECT EXISTS (SELECT FROM {history})")  # noqa: S608 - ours
    if held.rows[0][0]:
        _log.info(
            "%s holds samples and stays a plain table: create_hypertable('%s', 'ts', "
            "migrate_data => TRUE) makes a hypertable of it",
            *(history, history),
        )
        return
    yield Ask(
        f"SELECT {extension.function('create_hypertable')}($1::text::regclass, 'ts'::name, "
        "chunk_time_interval => $2::interval, create_default_indexes => FALSE)",
        (history, place.settings.chunk),
    )


def follow(place: Place) -> Steps[None]:
    """Have TimescaleDB compress and drop as the settings say; None changes nothing there.

    Raises:
        InvalidConfig: The extension runs under a licence that has neither.
    """
    compress, keep = place.settings.compress_after, place.settings.keep
    if compress is None and keep is None:
        return
    history = place.table("history")
    extension = yield from _look(place)
    if extension is None or not extension.hypertable:
        _log.warning(
            "%s is a plain table, in which nothing is compressed or dropped: the settings "
            "'compress_after' and 'keep' want a hypertable of TimescaleDB",
            history,
        )
        return
    if extension.licence == "apache":
        raise InvalidConfig(
            "this TimescaleDB runs under the licence 'apache', which neither compresses nor drops "
            "by itself: leave out the settings 'compress_after' and 'keep'"
        )
    if compress is not None:
        if not extension.compressing:
            yield Ask(
                f"ALTER TABLE {history} SET (timescaledb.compress, "
                "timescaledb.compress_segmentby = 'point_id', timescaledb.compress_orderby = 'ts')"
            )
        yield from _have(place, extension, "compression", "compress_after", compress)
    if keep is not None:
        yield from _have(place, extension, "retention", "drop_after", keep)


def _have(
    place: Place, extension: _Extension, name: str, argument: str, age: timedelta
) -> Steps[None]:
    """Have a policy that acts on chunks of an age."""
    there = yield Ask(_POLICY, (place.schema, f"policy_{name}", argument, age))
    if there.rows[0][0]:
        return
    history = place.table("history")
    remove, add = (extension.function(f"{verb}_{name}_policy") for verb in ("remove", "add"))
    yield Ask(f"SELECT {remove}($1::text::regclass, if_exists => TRUE)", (history,))
    yield Ask(
        f"SELECT {add}($1::text::regclass, {argument} => $2::interval, if_not_exists => TRUE)",
        (history, age),
    )
