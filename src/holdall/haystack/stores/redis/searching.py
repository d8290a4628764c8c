"""Which entities meet a condition, in the order of their ids.

The server answers ids: all of those that are meant, where they are not very many, or of so many
ids in their order those that are. Bodies are asked for where they are not ready here. What the
index cannot say is asked here of each entity.

An answer is that of one commit: where another one came between two requests, it begins anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

import msgspec

from holdall.haystack.filter import compiled
from holdall.haystack.stores.entities import Found
from holdall.haystack.stores.redis import scripts
from holdall.haystack.stores.redis.conditions import tree_of
from holdall.haystack.stores.redis.scripts_finding import FIND_SEARCH, FIND_SETS, WALKED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.haystack.stores.entities import Entity, State, Stored
    from holdall.haystack.stores.kept import Entry
    from holdall.haystack.stores.redis.asking import Asking
    from holdall.records.predicate import Node

_LOOKED_AT: Final = 500
"""How many entities are looked at here at once."""
_READ: Final = 5_000
"""How many bodies are asked for at once."""
_FIRST_STEP: Final = 50
_STEP: Final = 4
_SHORT: Final = 3
"""How many steps are walked, before it is asked whether a condition is still met by very many."""
_encode = msgspec.json.Encoder().encode


class Moved(Exception):
    """Somebody committed between two requests."""


@final
class Search:
    """A search.

    Args:
        asking: How the server is asked.
        predicate: The condition.
        limit: How many at most.
        after: Only ids after this one.
    """

    def __init__(self, asking: Asking, predicate: Node, limit: int, after: str | None) -> None:
        self._asking = asking
        self._predicate = predicate
        self._tree = _encode(tree_of(predicate))
        self._limit = limit
        self._after = after or ""
        self._still = True
        self._state: State
        self._found: list[Stored] = []
        self._known: dict[str, Entity | None] = {}
        self._missing: set[str] = set()
        self._unsure = False

    async def found(self, *, still: bool = True) -> Found:
        """Answer a page.

        Args:
            still: Whether it is refused that others write meanwhile.

        Raises:
            Moved: They do.
        """
        self._still = still
        self._known = {}
        self._found = []
        wide = self._asking.wide
        if self._tree not in wide or not await self._walk(_SHORT):
            self._found = []
            head, sure, *answer = await self._asked(b"all", self._limit)
            self._state = self._asking.seen(head)
            if answer:
                wide.discard(self._tree)
                ids, _, bodies = answer
                orders = self._asking.orders
                await self._take(orders.of(self._tree, ids), sure == b"1", bodies)
            else:
                wide.add(self._tree)
                await self._walk()
        found = self._found
        return Found(self._state, found[: self._limit], len(found) > self._limit)

    async def _walk(self, most: int | None = None) -> bool:
        """Go through the ids in their order; answer whether that was far enough.

        Args:
            most: How many steps it may take.
        """
        last, count = self._after, max(_FIRST_STEP, min(2 * self._limit, WALKED))
        steps = 0
        while most is None or steps < most:
            steps += 1
            head, sure, ids, beyond = await self._asked(b"walk", count, last)
            if steps == 1 and most is not None:
                self._state = self._asking.seen(head)
            else:
                self._check(head)
            if await self._take(self._asking.orders.once(ids), sure == b"1") or not beyond:
                return True
            last, count = beyond.decode(), min(count * _STEP, WALKED)
        return False

    async def _take(self, ids: list[str], exact: bool, bodies: bytes = b"") -> bool:
        """Take those of some ids that are meant; answer whether there are enough.

        Args:
            ids: In their order.
            exact: Whether all of them are meant.
            bodies: Of all of them, or nothing.
        """
        ready: Mapping[str, Entry | None] = {}
        if bodies:
            ready = dict(zip(ids, await self._asking.entries(ids, bodies), strict=True))
        if self._after:
            ids = [of for of in ids if of > self._after]
        at_once = min(self._limit + 1, _READ) if exact else _LOOKED_AT
        for at in range(0, len(ids), at_once):
            entries = await self._read(ids[at : at + at_once], ready)
            stored = [entry[1] for entry in entries if entry is not None]
            # Where others write, an entity may have changed since it was found.
            sure = exact and self._still
            self._found += stored if sure else await self._meant(stored)
            if len(self._found) > self._limit:
                return True
        return False

    async def _asked(self, way: bytes, limit: int, after: str = "") -> Any:
        asking = self._asking
        for _ in range(3):
            script = FIND_SEARCH if asking.index == "search" else FIND_SETS
            args = [asking.known, self._tree, way, b"%d" % limit, after.encode()]
            reply = await asking.run(script, args)
            if reply != b"?index":
                return reply
            await asking.prepare()
        raise Moved

    def _check(self, head: bytes) -> State:
        """Read the head of an answer.

        Raises:
            Moved: Somebody committed since the first one.
        """
        state = self._asking.seen(head)
        if self._still and state.number != self._state.number:
            raise Moved
        return state

    async def _read(
        self, ids: Sequence[str], ready: Mapping[str, Entry | None]
    ) -> list[Entry | None]:
        """Entities as of the commit that is answered; None where there is none."""
        asking, number = self._asking, self._state.number
        kept = asking.kept
        found: list[Any]
        try:
            found = list(map(kept.entries.__getitem__, ids))
        except KeyError:
            found = list(map(kept.entries.get, ids))
        else:
            # Who puts newer ones in moves the number first.
            if kept.number == number and kept.epoch == self._state.epoch:
                return found
        lacking = [
            of
            for of, entry in zip(ids, found, strict=True)
            if entry is None or entry[1].version > number
        ]
        read, state = ready, self._state
        if not all(of in ready for of in lacking):
            args = [asking.known, " ".join(lacking).encode()]
            head, bodies = await asking.run(scripts.GET, args)
            state = self._check(head)
            read = dict(zip(lacking, await asking.entries(lacking, bodies), strict=True))
        asking.keep(state, [read[of] for of in lacking])
        wanted = set(lacking)
        return [read[of] if of in wanted else entry for of, entry in zip(ids, found, strict=True)]

    async def _meant(self, stored: Sequence[Stored]) -> list[Stored]:
        """Those of some entities that are meant; what their Refs name is read on the way."""
        meant = compiled(self._predicate, self._resolve)
        verdicts: list[bool] = [False] * len(stored)
        pending = list(range(len(stored)))
        while pending:
            again = []
            for at in pending:
                self._unsure = False
                verdicts[at] = meant(stored[at].entity)
                if self._unsure:
                    again.append(at)
            if not again:
                break
            missing = sorted(self._missing)
            self._missing.clear()
            for of, entry in zip(missing, await self._read(missing, {}), strict=True):
                self._known[of] = None if entry is None else entry[1].entity
            pending = again
        return [one for one, verdict in zip(stored, verdicts, strict=True) if verdict]

    def _resolve(self, of: str) -> Entity | None:
        if of not in self._known:
            self._missing.add(of)
            self._unsure = True
            return None
        return self._known[of]
