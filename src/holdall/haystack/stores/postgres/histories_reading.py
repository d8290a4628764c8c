"""What is asked of `history`: samples of a span, and what histories reach over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdall.haystack.stores.chunks import joined
from holdall.haystack.stores.histories import Samples, Span
from holdall.haystack.stores.postgres.histories_rows import (
    CODE,
    bounds_of,
    doubles_of,
    moment_text,
    moments_of,
    samples_of,
)
from holdall.records.backends.postgres.steps import Ask, Mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.haystack.stores.histories import Bounds
    from holdall.haystack.stores.postgres.database import Place
    from holdall.records.backends.postgres.steps import Steps

PIECE: Final = 250_000
"""How many samples of a history one statement answers at most, for it has a time-out."""
_IDS: Final = 100

ORDERLY: Final = (
    "set_config('enable_bitmapscan', 'off', TRUE), set_config('enable_sort', 'off', TRUE)"
)
"""What a transaction selects that goes along the index: where the server knows too little of the
table it would read all that follows, sort it and throw most of it away, for each page again."""

# The samples as they lie in two columns of bytes: half the work of a COPY for both sides.
_READ: Final = """
SELECT wanted.n, found.*
FROM unnest($1::text[]) WITH ORDINALITY AS wanted (id, n), LATERAL (
    SELECT string_agg(timestamptz_send(ts), ''::bytea),
        string_agg(float8send(coalesce(val, 'NaN')), ''::bytea),
        count(val) = count(*) AND (
            count(unit) = 0
            OR count(unit) = count(*) AND min(unit COLLATE "C") = max(unit COLLATE "C")
        ),
        min(unit COLLATE "C")
    FROM (
        SELECT ts, val, unit FROM {history}
        WHERE point_id = wanted.id AND ts >= $2::timestamptz AND ts < $3::timestamptz
        ORDER BY ts LIMIT $4::bigint
    ) AS sample
) AS found
"""
_CODES: Final = f"""
SELECT array_agg(code) FROM (
    SELECT {CODE} AS code FROM {{history}}
    WHERE point_id = $1::text AND ts >= $2::timestamptz AND ts < $3::timestamptz
    ORDER BY ts LIMIT $4::bigint
) AS sample
"""  # noqa: S608 - ours
_BOUNDS: Final = """
SELECT wanted.n, timestamptz_send(begin.ts), timestamptz_send(finish.ts),
    CASE WHEN begin.ts = kept.first AND finish.ts = kept.last THEN kept.count END
FROM unnest($1::text[]) WITH ORDINALITY AS wanted (id, n)
CROSS JOIN LATERAL (
    SELECT ts FROM {history} WHERE point_id = wanted.id ORDER BY ts LIMIT 1
) AS begin
CROSS JOIN LATERAL (
    SELECT ts FROM {history} WHERE point_id = wanted.id ORDER BY ts DESC LIMIT 1
) AS finish
LEFT JOIN {kept} AS kept ON kept.point_id = wanted.id
"""
_COUNT: Final = """
SELECT point_id, timestamptz_send(min(ts)), timestamptz_send(max(ts)), count(*)
FROM {history} WHERE point_id = ANY ($1::text[]) GROUP BY point_id
"""


def read(place: Place, ids: Sequence[str], span: Span, limit: int) -> Steps[list[Samples]]:
    """Read samples of a span, all of them as of one moment.

    Args:
        place: Where they are.
        ids: Whose.
        span: Which.
        limit: At most the first so many of each; 0 is all.
    """
    read: list[Samples] = []
    yield Mark.SNAPSHOT
    yield Ask(f"SELECT {ORDERLY}")
    for at in range(0, len(ids), _IDS):
        some = ids[at : at + _IDS]
        begun = yield from read_piece(place, some, span, min(limit or PIECE, PIECE))
        for point, first in zip(some, begun, strict=True):
            read.append((yield from _whole(place, point, first, span, limit)))
    yield Mark.END
    return read


def _whole(place: Place, point: str, first: Samples, span: Span, limit: int) -> Steps[Samples]:
    """The samples of a history whose first piece was read."""
    parts = [first]
    left = limit - len(first)
    while len(parts[-1]) == PIECE and left:
        rest = Span(parts[-1].ts[-1] + 1, span.end)
        parts += yield from read_piece(place, [point], rest, min(left, PIECE) if limit else PIECE)
        left -= len(parts[-1])
    return joined(parts) if len(parts) > 1 else first


def read_piece(place: Place, ids: Sequence[str], span: Span, limit: int) -> Steps[list[Samples]]:
    """Read the first so many samples of a span of each history."""
    history = place.table("history")
    where = moment_text(span.start), moment_text(span.end), limit
    reply = yield Ask(_READ.format(history=history), (list(ids), *where), binary=True)
    read = [joined([])] * len(ids)
    for n, ts, vals, plain, unit in reply.rows:
        if ts is None:
            continue
        moments, values = moments_of(ts), doubles_of(vals)
        if plain:
            read[n - 1] = Samples(moments, values, unit)
        else:
            asked = Ask(_CODES.format(history=history), (ids[n - 1], *where), binary=True)
            codes = (yield asked).rows[0][0]
            read[n - 1] = samples_of(moments, values, codes)
    return read


def bounds(place: Place, ids: Sequence[str]) -> Steps[tuple[dict[str, Bounds | None], list[str]]]:
    """Read what histories reach over, and say of which it is not known, for others changed them."""
    asked = _BOUNDS.format(history=place.table("history"), kept=place.table("hs_histories"))
    reply = yield Ask(asked, (list(ids),), binary=True)
    found: dict[str, Bounds | None] = {}
    unknown: list[str] = []
    for n, first, last, known in reply.rows:
        if known is None:
            unknown.append(ids[n - 1])
        else:
            found[ids[n - 1]] = bounds_of(first, last, known)
    return found, unknown


def count(place: Place, ids: Sequence[str]) -> Steps[dict[str, Bounds | None]]:
    """Count the samples of histories, without keeping how many there are."""
    reply = yield Ask(_COUNT.format(history=place.table("history")), (list(ids),), binary=True)
    return {point: bounds_of(*reach) for point, *reach in reply.rows}
