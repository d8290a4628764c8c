"""A catalogue of the objects of a store, as records in SQLite: the second part of the demo."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import holdall
from holdall import F, Query, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def catalogue(
    store: holdall.DataStore,
    path: str,
    row: Callable[[str, str, float], None],
    check: Callable[[bool, str], None],
) -> None:
    """Keep what is known of each object as a record, and ask for some.

    Args:
        store: Whose objects.
        path: Where the database goes.
        row: Takes a step: what, figures, seconds.
        check: Takes a condition, and what is wrong when it does not hold.
    """
    with holdall.open_database(f"sqlite:///{path}") as db:
        began = time.perf_counter()
        db.create_index("suffix")
        written = db.stream_write(_records(store))
        row("records of the objects", f"{written:,} in SQLite", time.perf_counter() - began)

        began = time.perf_counter()
        suffix = _most_common(store)
        query = Query().filter(F("suffix") == suffix).sort("size", "desc").limit(3)
        found = [(record.get_value("key"), record.get_value("size")) for record in db.search(query)]
        sizes = sorted((m.size for m in store.walk() if _suffix(m.key) == suffix), reverse=True)
        check([size for _, size in found] == sizes[:3], f"the largest are not {found}")
        print(f"   the largest of {suffix!r}: {found}")
        row("the largest of a kind", f"3 of {len(sizes):,} {suffix!r}", time.perf_counter() - began)

        began = time.perf_counter()
        groups = db.group("suffix", objects="count", bytes=("sum", "size"))
        check(sum(one["objects"] for one in groups) == written, "a record is in no group")
        seconds = time.perf_counter() - began
        row("sizes by kind", f"{len(groups)} kinds, {written:,} records", seconds)

        began = time.perf_counter()
        mine, yours = db.first(), db.first()
        assert mine is not None
        assert yours is not None
        mine.fields["seen"] = 1
        db.update(mine)
        refused = False
        try:
            yours.fields["seen"] = 2
            db.update(yours)
        except holdall.errors.PreconditionFailed:
            refused = True
        check(refused, "an update of an old version was not refused")
        row("a lost update", "refused", time.perf_counter() - began)


def _records(store: holdall.DataStore) -> Iterator[Record]:
    for meta in store.walk():
        yield Record(
            {
                "key": meta.key,
                "suffix": _suffix(meta.key),
                "size": meta.size,
                "modified": meta.modified,
            },
            id=meta.key,
        )


def _suffix(key: str) -> str:
    name = key.rpartition("/")[2]
    return name.rpartition(".")[2] if "." in name else ""


def _most_common(store: holdall.DataStore) -> str:
    suffixes = [_suffix(meta.key) for meta in store.walk()]
    return max(set(suffixes), key=suffixes.count)
