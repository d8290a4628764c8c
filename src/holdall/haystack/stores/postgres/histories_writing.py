"""How samples are written and taken away: each history by one at a time.

Whoever writes locks the rows of its histories in `hs_histories` first, in the order of their ids;
so nobody waits for one who waits for him, and two that write the same samples take turns. Samples
where none are yet, as after the last one, go in by COPY alone, which is twice as fast as a merge.
Others at their moments are taken away before, and counted, which takes half as long as an upsert;
what is there already as it is, as when a write is repeated, is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdall.haystack.stores.chunks import part
from holdall.haystack.stores.histories import Span
from holdall.haystack.stores.postgres.histories_reading import ORDERLY, read_piece
from holdall.haystack.stores.postgres.histories_rows import (
    ALL,
    DOUBLES,
    LAST,
    are_doubles,
    bounds_of,
    is_same,
    moment_text,
    moments_of,
    rows,
)
from holdall.haystack.stores.postgres.timescale import UNLIMITED
from holdall.records.backends.postgres.steps import Ask, Copy, Mark, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from holdall.haystack.stores.histories import Bounds, Samples
    from holdall.haystack.stores.postgres.database import Place
    from holdall.records.backends.postgres.steps import Steps

_PIECE: Final = 250_000
"""How many samples one statement writes at most, for it has a time-out."""
_TAKEN: Final = 500
"""How many moments a statement names at most; of more it would go through all in between."""
_FEW: Final = 64
"""Up to how many samples of a history are taken away together with those of others."""
_NEAR: Final = 86_400_000_000
"""Over how many microseconds such samples may reach."""
_DENSE: Final = 4
"""Of how many times as many samples that are there those are picked out that go."""

_MAKE: Final = """
INSERT INTO {kept} (point_id) SELECT id FROM unnest($1::text[]) AS wanted (id)
ORDER BY id COLLATE "C" ON CONFLICT DO NOTHING RETURNING point_id
"""
_LOCK: Final = f"""
SELECT timestamptz_send(last), {ORDERLY}, {UNLIMITED}
FROM {{kept}} WHERE point_id = ANY ($1::text[])
ORDER BY point_id COLLATE "C" FOR UPDATE
"""  # noqa: S608 - ours
# Asked when all is locked: what others wrote before is seen. The moments that are the same for all
# points leave most chunks of a hypertable out; and by its order the index is used in any case.
_LOOK: Final = """
SELECT * FROM (
    SELECT wanted.n,
        (
            SELECT ts FROM {history}
            WHERE point_id = wanted.id AND ts >= kept.last AND ts >= $4::timestamptz
            ORDER BY ts DESC LIMIT 1
        ) IS DISTINCT FROM kept.last
        OR CASE WHEN wanted.first <= kept.first THEN (
            SELECT ts FROM {history} WHERE point_id = wanted.id ORDER BY ts LIMIT 1
        ) IS DISTINCT FROM kept.first ELSE FALSE END AS wrong,
        (
            SELECT ts FROM {history}
            WHERE point_id = wanted.id AND ts >= wanted.first AND ts <= wanted.last
                AND ts >= $5::timestamptz AND ts <= $6::timestamptz
            ORDER BY ts LIMIT 1
        ) IS NOT NULL AS held
    FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY
        AS wanted (id, first, last, n)
    JOIN {kept} AS kept ON kept.point_id = wanted.id
) AS looked WHERE wrong OR held
"""
_COUNT: Final = """
UPDATE {kept} AS kept SET (count, first, last) = (
    SELECT count(*), min(ts), max(ts) FROM {history} WHERE point_id = wanted.id
) FROM unnest($1::text[]) AS wanted (id) WHERE kept.point_id = wanted.id
"""
_COUNTED: Final = f"""
{_COUNT} RETURNING kept.point_id, timestamptz_send(first), timestamptz_send(last), count
"""
_WRITTEN: Final = """
UPDATE {kept} AS kept SET count = kept.count + wanted.count,
    first = least(kept.first, wanted.first), last = greatest(kept.last, wanted.last)
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::bigint[])
    AS wanted (id, first, last, count)
WHERE kept.point_id = wanted.id
"""
_RIGHT: Final = f"""
{_COUNT} AND (
    kept.first IS DISTINCT FROM (
        SELECT ts FROM {{history}} WHERE point_id = wanted.id ORDER BY ts LIMIT 1
    )
    OR kept.last IS DISTINCT FROM (
        SELECT ts FROM {{history}} WHERE point_id = wanted.id ORDER BY ts DESC LIMIT 1
    )
)
"""  # noqa: S608 - ours
_TOOK: Final = """
UPDATE {kept} AS kept SET count = count - $2::bigint,
    first = (SELECT ts FROM {history} WHERE point_id = $1::text ORDER BY ts LIMIT 1),
    last = (SELECT ts FROM {history} WHERE point_id = $1::text ORDER BY ts DESC LIMIT 1)
WHERE kept.point_id = $1::text
"""
_FORGET: Final = "DELETE FROM {kept} WHERE point_id = $1::text AND first IS NULL"
_WITHIN: Final = "point_id = $1::text AND ts >= $2::timestamptz AND ts <= $3::timestamptz"
_DELETE: Final = f"DELETE FROM {{history}} WHERE {_WITHIN}"  # noqa: S608 - ours
_DELETE_SOME: Final = f"""
DELETE FROM {{history}} WHERE {_WITHIN} AND ts = ANY ($4::timestamptz[])
"""  # noqa: S608 - ours
# A CASE is no join: whatever is known of the table, the moments are looked up in a hash table.
_DELETE_FEW: Final = """
WITH gone AS (
    DELETE FROM {history}
    WHERE point_id = ANY ($3::text[]) AND ts >= $4::timestamptz AND ts <= $5::timestamptz
        AND CASE
            WHEN (point_id, ts) IN (
                SELECT id, moment FROM unnest($1::text[], $2::timestamptz[]) AS wanted (id, moment)
            ) THEN TRUE
            ELSE FALSE END
    RETURNING point_id
)
SELECT point_id, count(*) FROM gone GROUP BY point_id
"""


class Writing:
    """The statements that change histories.

    Args:
        place: Where they are.
    """

    def __init__(self, place: Place) -> None:
        names = {"history": place.table("history"), "kept": place.table("hs_histories")}
        self._make, self._lock, self._look, self._count, self._written = (
            text.format(**names) for text in (_MAKE, _LOCK, _LOOK, _COUNT, _WRITTEN)
        )
        self._right, self._counted, self._took, self._forget = (
            text.format(**names) for text in (_RIGHT, _COUNTED, _TOOK, _FORGET)
        )
        self._delete, self._delete_some, self._delete_few = (
            text.format(**names) for text in (_DELETE, _DELETE_SOME, _DELETE_FEW)
        )
        self._place = place
        self._history = names["history"]

    def write(self, samples: Mapping[str, Samples]) -> Steps[None]:
        """Write samples, all of them or none.

        Args:
            samples: Those of each history, which are none nowhere.
        """
        ids = sorted(samples)
        first = [moment_text(samples[point].ts[0]) for point in ids]
        last = [moment_text(samples[point].ts[-1]) for point in ids]
        yield Mark.BEGIN
        ended = yield from self._begin(ids)
        begin = moment_text(min([some.ts[0] for some in samples.values()]))
        end = moment_text(max([some.ts[-1] for some in samples.values()]))
        reply = yield Ask(self._look, (ids, first, last, moment_text(ended), begin, end))
        wrong = [ids[n - 1] for n, is_wrong, _ in reply.rows if is_wrong]
        held = {ids[n - 1] for n, _, is_held in reply.rows if is_held}
        if wrong:
            yield Ask(self._count, (wrong,))
        added = {point: len(samples[point]) for point in ids}
        for piece in _pieces((point, samples[point]) for point in ids):
            fresh = yield from self._make_room(piece, held, added)
            if not fresh:
                continue
            doubles = all(are_doubles(some) for _, some in fresh)
            columns = DOUBLES if doubles else ALL
            yield Copy(
                f"COPY {self._history} ({columns}) FROM STDIN (FORMAT binary)",
                rows(fresh, doubles=doubles),
            )
        yield Ask(self._written, (ids, first, last, [added[point] for point in ids]))
        yield Mark.END

    def count(self, ids: Sequence[str]) -> Steps[dict[str, Bounds | None]]:
        """Count the samples of histories that others changed, and keep how many there are."""
        yield Mark.BEGIN
        yield from self._begin(sorted(ids))
        reply = yield Ask(self._counted, (list(ids),), binary=True)
        yield Mark.END
        return {point: bounds_of(*reach) for point, *reach in reply.rows}

    def delete(self, point: str, span: Span) -> Steps[int]:
        """Delete the samples of a span, and answer how many there were."""
        yield Mark.BEGIN
        yield from self._begin([point])
        yield Ask(self._right, ([point],))
        where = point, moment_text(span.start), moment_text(span.end - 1)
        gone = (yield Ask(self._delete, where)).number
        yield from self._end(point, gone)
        return gone

    def remove(self, point: str, moments: Sequence[int]) -> Steps[int]:
        """Delete the samples at some moments, in order, and answer how many there were."""
        yield Mark.BEGIN
        yield from self._begin([point])
        yield Ask(self._right, ([point],))
        gone = yield from self._take(point, moments)
        yield from self._end(point, gone)
        return gone

    def _begin(self, ids: list[str]) -> Steps[int]:
        """Lock histories; answer the earliest of their last moments."""
        locked: Reply | None = None
        while locked is None or locked.number < len(ids):  # one may be deleted in between
            made = yield Ask(self._make, (ids,))
            locked = yield Ask(self._lock, (ids,), binary=True)
            if made.rows:
                # Others may have written what has not been counted yet.
                yield Ask(self._right, ([point for (point,) in made.rows],))
        return min(moments_of(b"".join([last for last, *_ in locked.rows if last])), default=LAST)

    def _end(self, point: str, gone: int) -> Steps[None]:
        yield Ask(self._took, (point, gone))
        yield Ask(self._forget, (point,))
        yield Mark.END

    def _make_room(
        self, piece: list[tuple[str, Samples]], held: set[str], added: dict[str, int]
    ) -> Steps[list[tuple[str, Samples]]]:
        """Take away what stands where samples are to be written.

        Args:
            piece: The samples.
            held: The histories that have some where theirs are, or in between.
            added: How many samples each history will have more; less what is taken away.

        Returns:
            Those of the piece that are not there yet as they are.
        """
        there = [(point, some) for point, some in piece if point in held]
        few = _near(there)
        if few:
            for point, count in (yield from self._take_few(few)):
                added[point] -= count
        written: set[str] = set()
        for point, some in there[len(few) :]:
            gone = yield from self._take_many(point, some)
            if gone is None:
                written.add(point)
            added[point] -= len(some) if gone is None else gone
        return [(point, some) for point, some in piece if point not in written]

    def _take_few(self, samples: list[tuple[str, Samples]]) -> Steps[Sequence[tuple[str, int]]]:
        """Take away what stands at the moments of a few samples each of many histories."""
        ids = [point for point, some in samples for _ in some.ts]
        moments = [moment_text(moment) for _, some in samples for moment in some.ts]
        reach = min(some.ts[0] for _, some in samples), max(some.ts[-1] for _, some in samples)
        points = [point for point, _ in samples]
        reply = yield Ask(self._delete_few, (ids, moments, points, *map(moment_text, reach)))
        return reply.rows

    def _take_many(self, point: str, samples: Samples) -> Steps[int | None]:
        """Take away what stands at the moments of a history; None where nothing is to be done."""
        moments = samples.ts
        span, most = Span(moments[0], moments[-1] + 1), len(moments) * _DENSE
        (there,) = yield from read_piece(self._place, [point], span, most)
        if there.ts == moments and is_same(there, samples):
            return None
        if len(there) == most:  # there may be very many more in between
            return (yield from self._take(point, moments))
        new = set(moments)
        common = [moment for moment in there.ts if moment in new]
        if len(common) == len(there):
            where = point, moment_text(moments[0]), moment_text(moments[-1])
            return (yield Ask(self._delete, where)).number
        return (yield from self._take(point, common))

    def _take(self, point: str, moments: Sequence[int]) -> Steps[int]:
        gone = 0
        for at in range(0, len(moments), _TAKEN):
            some = [moment_text(moment) for moment in moments[at : at + _TAKEN]]
            gone += (yield Ask(self._delete_some, (point, some[0], some[-1], some))).number
        return gone


def _near(samples: list[tuple[str, Samples]]) -> list[tuple[str, Samples]]:
    """Those that are few each, and near to each other; they are brought to the front."""
    samples.sort(key=lambda one: len(one[1]) > _FEW)
    few = [one for one in samples if len(one[1]) <= _FEW]
    first = min([some.ts[0] for _, some in few], default=0)
    last = max([some.ts[-1] for _, some in few], default=0)
    return few if len(few) > 1 and last - first <= _NEAR else []


def _pieces(
    samples: Iterator[tuple[str, Samples]],
) -> Iterator[list[tuple[str, Samples]]]:
    """Samples of histories in pieces of as many as a statement writes."""
    piece: list[tuple[str, Samples]] = []
    room = _PIECE
    for point, some in samples:
        at = 0
        while at < len(some):
            taken = part(some, at, min(at + room, len(some)))
            piece.append((point, taken))
            at, room = at + len(taken), room - len(taken)
            if not room:
                yield piece
                piece, room = [], _PIECE
    if piece:
        yield piece
