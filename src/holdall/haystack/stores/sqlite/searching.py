"""Which entities meet a condition, in the order of their ids.

There are four ways, and the cheapest is taken:

    few may be meant      they are found by the source that names the fewest, and looked at here
    some                  SQL finds the numbers of those that are meant, and their ids are sorted
    many, a short page    the entities are gone through in the order of ids until the page is full;
                          what SQL cannot say of one entity quickly is asked here, for a while
    no source             they are gone through as SQL says it
"""

# ruff: noqa: S608 - values are parameters; names in the text are ours

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from holdall.haystack.filter import compiled
from holdall.haystack.stores.entities import Found
from holdall.haystack.stores.sqlite.conditions import compile_condition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdall.haystack.stores.entities import Entity, Stored
    from holdall.haystack.stores.sqlite.conditions import Condition, Source
    from holdall.haystack.stores.sqlite.snapshot import Snapshot
    from holdall.records.predicate import Node

Meant: TypeAlias = "Callable[[Entity], bool]"

_decode = msgspec.json.Decoder(list[int]).decode
_FEW: Final = 200
_MANY: Final = 25_000
_SHORT: Final = 2_000
"""Up to how many entities are a short page."""
_AT_ONCE: Final = 500
_HOPS: Final = 2
"""Through how many Refs in turn a source leads that is tried last."""


def search(snapshot: Snapshot, predicate: Node, limit: int, after: str | None) -> Found:
    """Answer a page of entities; see `EntityStore.find`."""
    condition = compile_condition(predicate, snapshot)
    meant = None if condition.exact else compiled(predicate, snapshot.resolve)
    found = _found(snapshot, predicate, condition, meant, limit, after)
    return Found(snapshot.state, found[:limit], len(found) > limit)


def _found(
    snapshot: Snapshot,
    predicate: Node,
    condition: Condition,
    meant: Meant | None,
    limit: int,
    after: str | None,
) -> list[Stored]:
    """Answer those of a page, and one more where there are others."""
    sources = condition.sources
    if not sources:
        found = _in_order(snapshot, condition, limit, after, meant)
        assert found is not None
        return found
    many = min(_MANY, 10 * limit + _MANY // 5)
    quick = [source for source in sources if source.hops < _HOPS]
    few, source, count = _survey(snapshot, quick)
    if few is None and count >= many:
        if limit <= _SHORT:
            found = _on_the_way(snapshot, predicate, condition, meant, limit, after)
            if found is not None:
                return found
        if len(quick) < len(sources):
            few, source, count = _survey(snapshot, sources)
    if few is not None:
        return _sorted(snapshot, few, limit, after, meant or compiled(predicate, snapshot.resolve))
    assert source is not None
    return _sorted(snapshot, _numbers(snapshot, source), limit, after, meant)


def _on_the_way(
    snapshot: Snapshot,
    predicate: Node,
    condition: Condition,
    meant: Meant | None,
    limit: int,
    after: str | None,
) -> list[Stored] | None:
    """Go through the ids to fill a page; None where hardly any of the many is meant."""
    if condition.pointed:
        return _in_order(snapshot, condition, limit, after, meant)
    pointed = compile_condition(predicate, snapshot, pointed=True)
    look = compiled(predicate, snapshot.resolve)
    return _in_order(snapshot, pointed, limit, after, look, 5 * limit + 1_000)


def _survey(
    snapshot: Snapshot, sources: Sequence[Source]
) -> tuple[list[int] | None, Source | None, int]:
    """Find out how many may be meant.

    Returns:
        The numbers of all that may be, where some source has only few; the source with the
        fewest; and how many those are, at most so many as are many.
    """
    if len(sources) > 1 or any(source.rest for source in sources):
        for source in sources:
            asked = f"SELECT n FROM ({source.select}) LIMIT {_FEW + 1}"
            rows = snapshot.connection.execute(asked, source.params).fetchall()
            if len(rows) <= _FEW:
                return list({n for (n,) in rows}), source, len(rows)
    best, fewest = None, _MANY
    for source in sources:
        asked = f"SELECT count(*) FROM (SELECT n FROM ({source.select}) LIMIT {_MANY})"
        (count,) = snapshot.connection.execute(asked, source.params).fetchone()
        if best is None or count < fewest:
            best, fewest = source, count
    return None, best, fewest


def _numbers(snapshot: Snapshot, source: Source) -> list[int]:
    rest = f" WHERE {source.rest}" if source.rest else ""
    # A text of them all takes a third of the time that as many rows take.
    asked = f"SELECT json_group_array(e.n) FROM ({source.select}) AS e{rest}"
    row = snapshot.connection.execute(asked, (*source.params, *source.rest_params)).fetchone()
    return list(set(_decode(row[0])))


def _sorted(
    snapshot: Snapshot,
    numbers: list[int],
    limit: int,
    after: str | None,
    meant: Meant | None,
) -> list[Stored]:
    if meant is None and after is None and len(numbers) <= limit:
        entries = snapshot.entries_of(numbers)
        entries.sort(key=itemgetter(0))
        return [entry[1] for entry in entries]
    pairs = snapshot.ids_of(numbers)
    pairs.sort()
    order = [n for of, n in pairs if after is None or of > after]
    at_once = limit + 1 if meant is None else _AT_ONCE
    batches = (order[at : at + at_once] for at in range(0, len(order), at_once))
    return _page(snapshot, batches, limit, meant)


def _in_order(
    snapshot: Snapshot,
    condition: Condition,
    limit: int,
    after: str | None,
    meant: Meant | None,
    most: int | None = None,
) -> list[Stored] | None:
    """Go through the ids; None where more than `most` entities were looked at."""
    cursor = snapshot.connection.execute(
        f"SELECT e.n FROM hs_entities AS e WHERE e.id>? AND {condition.sql} ORDER BY e.id",
        (after or "", *condition.params),
    )
    at_once = min(limit + 1, _AT_ONCE)
    looked = 0

    def batches() -> Iterator[list[int]]:
        nonlocal looked
        while rows := cursor.fetchmany(at_once):
            looked += len(rows)
            if most is not None and looked > most:
                return
            yield [n for (n,) in rows]

    found = _page(snapshot, batches(), limit, meant)
    cursor.close()
    return None if most is not None and looked > most and len(found) <= limit else found


def _page(
    snapshot: Snapshot, batches: Iterator[list[int]], limit: int, meant: Meant | None
) -> list[Stored]:
    found: list[Stored] = []
    for numbers in batches:
        for _, stored, _ in snapshot.entries_of(numbers):
            if meant is None or meant(stored.entity):
                found.append(stored)
        if len(found) > limit:
            break
    return found
