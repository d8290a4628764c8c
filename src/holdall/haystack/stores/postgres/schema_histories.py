"""The tables of histories in PostgreSQL, and how they are made.

history        the samples: `point_id`, `ts` and `val` as they always were, and beside them the
               unit of a number, `flag` for a boolean, `str` for a text, and `other` for what fits
               none of these, as Hayson. Where all of them are NULL the sample is `NA`
hs_histories   how many samples each history has, and its first and last moment. Its row is locked
               by whoever writes the history. Where its moments are not those of the samples,
               others have written or dropped some, and the samples are counted anew
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdall.core.errors import InvalidConfig
from holdall.haystack.kinds import Number
from holdall.haystack.stores.postgres.database import Part, Place
from holdall.haystack.stores.postgres.timescale import UNLIMITED, follow, make_hypertable
from holdall.records.backends.postgres.steps import Ask

if TYPE_CHECKING:
    from holdall.records.backends.postgres.steps import Steps

_SEED: Final = {
    "point_id": "text",
    "ts": "timestamp with time zone",
    "val": "double precision",
}
_OURS: Final = {"unit": "text", "flag": "boolean", "str": "text", "other": "json"}

_COLUMNS: Final = """
SELECT attname::text, format_type(atttypid, atttypmod)
FROM pg_attribute WHERE attrelid = to_regclass($1::text) AND attnum > 0 AND NOT attisdropped
"""
_UNIQUE: Final = """
SELECT EXISTS (
    SELECT FROM pg_index
    WHERE indrelid = to_regclass($1::text) AND indisunique AND indisvalid AND indpred IS NULL
        AND indnkeyatts = 2 AND ARRAY(
            SELECT attname::text FROM unnest(indkey) WITH ORDINALITY AS key (num, place)
            JOIN pg_attribute ON attrelid = indrelid AND attnum = num
            WHERE place <= 2 ORDER BY place
        ) = ARRAY['point_id', 'ts']
)
"""


def _make(place: Place, _: int) -> Steps[None]:
    history = place.table("history")
    # A table that is taken over may be large.
    yield Ask("SET LOCAL statement_timeout = 0")
    reply = yield Ask(_COLUMNS, (history,))
    found = dict(reply.rows)
    if found:
        yield from _take_over(history, found)
        if "unit" not in found:
            yield from _give_units(place)
    else:
        columns = ", ".join(f"{name} {kind}" for name, kind in _OURS.items())
        yield Ask(
            f'CREATE TABLE {history} (point_id text COLLATE "C" NOT NULL, '
            f"ts timestamptz NOT NULL, val double precision, {columns})"
        )
    yield from make_hypertable(place)
    reply = yield Ask(_UNIQUE, (history,))
    if not reply.rows[0][0]:
        yield Ask(f"CREATE UNIQUE INDEX history_point_id_ts ON {history} (point_id, ts)")
    kept = place.table("hs_histories")
    yield Ask(
        f'CREATE TABLE IF NOT EXISTS {kept} (point_id text COLLATE "C" PRIMARY KEY, '
        "count bigint NOT NULL DEFAULT 0, first timestamptz, last timestamptz) "
        "WITH (fillfactor = 50)"
    )
    yield Ask(
        f"INSERT INTO {kept} SELECT point_id, count(*), min(ts), max(ts) "  # noqa: S608 - ours
        f"FROM {history} GROUP BY point_id"
    )


def _take_over(history: str, found: dict[str, str]) -> Steps[None]:
    """Take over a table that others made.

    Raises:
        InvalidConfig: It is one of something else.
    """
    if not _SEED.items() <= found.items() or any(
        found.get(name, kind) != kind for name, kind in _OURS.items()
    ):
        raise InvalidConfig(
            f"{history} is a table of something else, and is left as it is: name another schema "
            "in the setting 'schema'"
        )
    yield Ask(f"LOCK TABLE {history} IN SHARE ROW EXCLUSIVE MODE")
    for name, kind in _OURS.items():
        yield Ask(f"ALTER TABLE {history} ADD COLUMN IF NOT EXISTS {name} {kind}")
    reply = yield Ask(_UNIQUE, (history,))
    if reply.rows[0][0]:
        return
    reply = yield Ask(
        f"SELECT EXISTS (SELECT FROM {history} GROUP BY point_id, ts "  # noqa: S608 - ours
        "HAVING count(*) > 1)"
    )
    if reply.rows[0][0]:
        # Of several at one moment the one that was written last lies last, as far as can be known.
        yield Ask(
            f"DELETE FROM {history} AS h USING ("  # noqa: S608 - ours
            "SELECT tableoid AS part, ctid AS place, row_number() OVER "
            f"(PARTITION BY point_id, ts ORDER BY ctid DESC) AS nth FROM {history}"
            ") AS d WHERE h.tableoid = d.part AND h.ctid = d.place AND d.nth > 1"
        )


def _give_units(place: Place) -> Steps[None]:
    """Give the numbers of a table that had no units those of their points."""
    history, entities = place.table("history"), place.table("entities")
    reply = yield Ask(
        f"SELECT DISTINCT tags->>'unit' FROM {entities} "  # noqa: S608 - ours
        "WHERE jsonb_typeof(tags->'unit') = 'string'"
    )
    units = [unit for (unit,) in reply.rows if _is_unit(unit)]
    if not units:
        return
    yield Ask(f"SELECT {UNLIMITED}")
    yield Ask(
        f"UPDATE {history} AS h SET unit = e.tags->>'unit' "  # noqa: S608 - ours
        f"FROM {entities} AS e WHERE e.id = h.point_id AND e.tags->>'unit' = ANY ($1::text[]) "
        "AND coalesce(e.tags->>'kind', 'Number') = 'Number' AND h.val <> 'NaN'",
        (units,),
    )


def _is_unit(text: str) -> bool:
    try:
        Number(0, text)
    except ValueError:
        return False
    return bool(text)


PART: Final = Part("histories", 1, _make, follow)
