"""What a query means, by the plainest way to answer it: look at each row, and sort."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdall.core.runtime.blocking import drive
from holdall.records.ordering import position_of
from holdall.records.predicate import compiled
from holdall.records.stored import Found, Stored, Write, reader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.records.contract import RecordStore
    from holdall.records.query import Query


def fill(store: RecordStore, rows: Mapping[str, dict[str, Any]]) -> None:
    """Write rows by their ids, each with some metadata."""
    drive(store.put([Write(id_, row, {"x": row.get("x")}, "upsert") for id_, row in rows.items()]))


def disagreements(
    store: RecordStore, ids: Sequence[str], asked: Sequence[Query]
) -> list[tuple[Query, list[str], list[str]]]:
    """Ask a store; answer each query whose answer is not what it means, with both answers.

    Args:
        store: The store.
        ids: Of all its records.
        asked: The queries.
    """
    rows = [row for row in drive(store.get(ids)) if isinstance(row, Stored)]
    assert len(rows) == len(ids)
    wrong = []
    for query in asked:
        every = filter(compiled(query.predicate, reader), rows)
        meant = [row.id for row in sorted(every, key=position_of(query.sorts, reader))]
        number = drive(store.count(query.predicate))
        found = Found(query.predicate, query.sorts, None, query.skipped, query.maximum)
        answer = [row.id for row in drive(store.find(found))]
        end = None if query.maximum is None else query.skipped + query.maximum
        if answer != meant[query.skipped : end] or number != len(meant):
            wrong.append((query, answer, meant))
    return wrong
