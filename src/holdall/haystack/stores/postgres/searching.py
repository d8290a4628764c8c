"""Finding entities by a condition.

What SQL says exactly is filtered, sorted and cut off by PostgreSQL, in one statement that answers
the numbers of what it finds; those that are not ready in memory are then read by their numbers.
What SQL cannot say is read in the order of ids, and filtered here. So are the first entities for a
few hits of a path, since PostgreSQL finds all hits before it sorts them.
"""

# ruff: noqa: S608 - values are parameters; names in the text are ours

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec import Struct

from holdall.haystack.filter import compiled, paths_of
from holdall.haystack.stores.entities import Found, Stored
from holdall.haystack.stores.kept import Entry, Kept
from holdall.haystack.stores.postgres.conditions import Compiled, compile_condition
from holdall.haystack.stores.postgres.database import Place
from holdall.haystack.stores.postgres.leaves import Params
from holdall.haystack.stores.postgres.reading import (
    BODY,
    NUMBERS_OF,
    SEEN_COLUMNS,
    Seen,
    by_id,
    entries,
    first_after,
    load_sql,
    seen,
    seen_sql,
    unpacked,
)
from holdall.records.backends.postgres.steps import Ask, Mark
from holdall.records.predicate import Node

if TYPE_CHECKING:
    from holdall.haystack.stores.entities import Entity
    from holdall.records.backends.postgres.steps import Steps

Meant: TypeAlias = Callable[["Entity"], bool]

_MOST: Final = 2**62
_MANY_CHANGED: Final = 20_000
_LONG: Final = 1_000
"""From which limit on all hits may come in any order, because they are likely to be fewer."""
_FEW: Final = 100
"""Up to which limit hits of a path may be found sooner by a look at the first entities."""
_LOOKED_AT: Final = 8
"""How many entities are looked at for each hit."""
_AT_ONCE: Final = 500
_AT_MOST: Final = 10_000


class Hits(Struct, frozen=True):
    """What a search by SQL alone found.

    Args:
        seen: The store.
        numbers: Of the entities.
        sorted: Whether they are in the order of ids.
        ready: Those that were ready in memory; None for the others.
        rows: Of the others, to be decoded.
    """

    seen: Seen
    numbers: Sequence[int]
    sorted: bool
    ready: Sequence[Entry | None]
    rows: Sequence[Sequence[Any]]


class Search(Struct, frozen=True):
    """What is searched for, and where.

    Args:
        place: Where the tables are.
        kept: What is ready in memory.
        predicate: The condition.
        limit: How many at most.
        after: Only ids after this one.
    """

    place: Place
    kept: Kept
    predicate: Node
    limit: int
    after: str | None

    def found(self) -> Steps[Hits | Found | Seen]:
        """Search.

        Returns:
            Hits, where SQL said it all; what was found, where it did not; and only what is seen
            of the store where there are entities of others to be taken over before.
        """
        condition = compile_condition(self.predicate, self.place)
        if not condition.exact:
            return (yield from self._filtered(condition))
        if self.limit <= _FEW and any(len(path) > 1 for path in paths_of(self.predicate)):
            first = yield from self._first()
            if first is not None:
                return first
        in_order = not condition.select or self.after is not None or self.limit < _LONG
        hits = yield from self._asked(condition, in_order=in_order)
        if isinstance(hits, Hits) and not hits.sorted and len(hits.numbers) > self.limit:
            hits = yield from self._asked(condition, in_order=True)
        if isinstance(hits, Hits) and not _is_whole(hits):
            # Somebody committed in between.
            yield Mark.SNAPSHOT
            hits = yield from self._asked(condition, in_order=True)
            yield Mark.END
        if hits is not None:
            return hits
        return (yield from self._filtered(condition))

    def _asked(self, condition: Compiled, *, in_order: bool) -> Steps[Hits | Seen | None]:
        """Ask for what SQL says; None where there are numbers of which it cannot."""
        blind = not self.kept.entries
        since = _MOST if blind else self.kept.number
        reply = yield Ask(*self._statement(condition, since, in_order=in_order))
        (row,) = reply.rows
        known = seen(row)
        odd, late, packed = row[SEEN_COLUMNS:]
        if known.foreign:
            return known
        if odd:
            return None
        changed = unpacked(late)
        self.kept.follow(
            known.state.epoch,
            known.state.number,
            lambda _: None if blind or len(changed) == _MANY_CHANGED else changed,
        )
        numbers = unpacked(packed)
        if not in_order:
            if len(numbers) > self.limit:
                return Hits(known, numbers, False, (), ())
            numbers = list(dict.fromkeys(numbers))
        ready = list(map(self.kept.entries.get, numbers))
        number = known.state.number
        missing = [
            n
            for n, entry in zip(numbers, ready, strict=True)
            if entry is None or entry[1].version > number
        ]
        rows: Sequence[Any] = ()
        if missing:
            # As text: the driver takes longer to write down a list than the server to read it.
            listed = "{" + ",".join(map(str, missing)) + "}"
            reply = yield Ask(load_sql(self.place), (listed,))
            rows = reply.rows
        return Hits(known, numbers, in_order, ready, rows)

    def _statement(
        self, condition: Compiled, number: int, *, in_order: bool
    ) -> tuple[str, list[Any]]:
        entities = self.place.table("entities")
        params = condition.params
        taken = len(params.values)
        limit = params.add(min(self.limit + 1, _MOST), "bigint")
        since = params.add(number, "bigint")
        odd = params.add(sorted(condition.odd), "text[]")
        if in_order:
            where = condition.sql
            if self.after is not None:
                where += f" AND e.id > {params.add(first_after(self.after), 'text')}"
            hits = f"SELECT e.n FROM {entities} AS e WHERE {where} ORDER BY e.id LIMIT {limit}"
        else:
            hits = f"SELECT n FROM ({condition.select}) AS met LIMIT {limit}"
        late = f"SELECT n FROM {entities} WHERE version > {since} LIMIT {_MANY_CHANGED}"
        sql = (
            f"SELECT {seen_sql(self.place)}, "
            f"EXISTS (SELECT FROM {self.place.table('hs_odd')} WHERE tag = ANY({odd})), "
            f"{NUMBERS_OF.format(late)}, {NUMBERS_OF.format(hits)} "
            f"FROM {self.place.table('hs_meta')} AS m"
        )
        values = list(params.values)
        del params.values[taken:]
        return sql, values

    def _first(self) -> Steps[Found | Seen | None]:
        """Look at the first entities of all; None where there are not enough hits among them."""
        everybody = Compiled("TRUE", "", Params(), exact=False, odd=frozenset())
        yield Mark.SNAPSHOT
        reply = yield Ask(f"SELECT {seen_sql(self.place)} FROM {self.place.table('hs_meta')} AS m")
        known = seen(reply.rows[0])
        found: list[Stored] = []
        whole = False
        if not known.foreign:
            size = _LOOKED_AT * (self.limit + 1)
            judging = _Judging(self.predicate, self.place)
            reply = yield self._page(everybody, self.after or "", size)
            found = yield from judging.meant(reply.rows)
            whole = len(reply.rows) < size
        yield Mark.END
        if known.foreign:
            return known
        if not whole and len(found) <= self.limit:
            return None
        return Found(known.state, found[: self.limit], len(found) > self.limit)

    def _filtered(self, condition: Compiled) -> Steps[Found | Seen]:
        """Go through those that may be meant, in their order."""
        if condition.odd:
            condition = compile_condition(self.predicate, self.place, numbers=False)
        yield Mark.SNAPSHOT
        reply = yield Ask(f"SELECT {seen_sql(self.place)} FROM {self.place.table('hs_meta')} AS m")
        known = seen(reply.rows[0])
        if known.foreign:
            yield Mark.END
            return known
        judging = _Judging(self.predicate, self.place)
        found: list[Stored] = []
        after, size = self.after or "", min(self.limit + 1, _AT_ONCE)
        while len(found) <= self.limit:
            reply = yield self._page(condition, after, size)
            if reply.rows:
                found += yield from judging.meant(reply.rows)
            if len(reply.rows) < size:
                break
            after = reply.rows[-1][1]
            size = min(2 * size, _AT_MOST)
        yield Mark.END
        return Found(known.state, found[: self.limit], len(found) > self.limit)

    def _page(self, condition: Compiled, after: str, size: int) -> Ask:
        """Ask for entities behind an id that meet a condition, in the order of ids."""
        params = condition.params
        taken = len(params.values)
        first = params.add(first_after(after), "text")
        most = params.add(size, "bigint")
        sql = (
            f"SELECT {BODY} FROM {self.place.table('entities')} AS e "
            f"WHERE {condition.sql} AND e.id > {first} ORDER BY e.id LIMIT {most}"
        )
        values = list(params.values)
        del params.values[taken:]
        return Ask(sql, values)


class _Judging:
    """Says of entities whether they are meant, and reads those that Refs lead to.

    Args:
        predicate: The condition.
        place: Where the tables are.
    """

    def __init__(self, predicate: Node, place: Place) -> None:
        self._test: Meant = compiled(predicate, self._resolve)
        self._sql = (
            f"SELECT {BODY} FROM {place.table('entities')} AS e WHERE e.id = ANY($1::text[])"
        )
        self._known: dict[str, Entity | None] = {}
        self._missing: set[str] = set()
        self._unsure = False

    def meant(self, rows: Sequence[Sequence[Any]]) -> Steps[list[Stored]]:
        """Those of some rows that are meant."""
        some = [entry[1] for entry in entries(rows).values()]
        verdicts = [False] * len(some)
        pending: Sequence[int] = range(len(some))
        while pending:
            again = []
            for at in pending:
                self._unsure = False
                verdicts[at] = self._test(some[at].entity)
                if self._unsure:
                    again.append(at)
            if not again:
                break
            reply = yield Ask(self._sql, (sorted(self._missing),))
            self._known.update(dict.fromkeys(self._missing))
            self._known.update((of, one.entity) for of, one in by_id(entries(reply.rows)).items())
            self._missing.clear()
            pending = again
        return [one for one, verdict in zip(some, verdicts, strict=True) if verdict]

    def _resolve(self, of: str) -> Entity | None:
        if of not in self._known:
            self._missing.add(of)
            self._unsure = True
            return None
        return self._known[of]


def _is_whole(hits: Hits) -> bool:
    """Whether what was read is of the same moment as what was found."""
    number = hits.seen.state.number
    if any(row[2] is None or row[2] > number for row in hits.rows):
        return False
    missing = sum(entry is None or entry[1].version > number for entry in hits.ready)
    return len(hits.rows) == missing


def decoded(hits: Hits, kept: Kept, limit: int) -> Found:
    """What was found, with what was read besides.

    Raises:
        Corrupt: An entity is not as it was written.
    """
    loaded = entries(hits.rows)
    state = hits.seen.state
    if loaded:
        kept.put(state.epoch, state.number, loaded)
    pairs = [
        one
        for n, entry in zip(hits.numbers, hits.ready, strict=True)
        if (one := loaded.get(n, entry)) is not None
    ]
    if not hits.sorted:
        pairs.sort(key=itemgetter(0))
    return Found(state, [one[1] for one in pairs[:limit]], len(pairs) > limit)
