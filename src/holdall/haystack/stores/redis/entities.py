"""Entities on a Redis or Valkey server, with the module Search or without."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, final

from holdall.core.errors import NotFound, PreconditionFailed
from holdall.haystack.stores.bodies import note_name
from holdall.haystack.stores.entities import (
    Changed,
    Changes,
    EntityStore,
    Got,
    Note,
    Stored,
    StoredNote,
)
from holdall.haystack.stores.redis import scripts
from holdall.haystack.stores.redis.asking import Asking
from holdall.haystack.stores.redis.committing import Plan, message
from holdall.haystack.stores.redis.searching import Moved, Search
from holdall.haystack.stores.redis.server import RedisPlace
from holdall.haystack.stores.redis.settings import RedisHaystackSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.core.runtime import Runtime
    from holdall.haystack.stores.entities import Change, Found
    from holdall.records.predicate import Node

_TRIES: Final = 500
_AT_ONCE: Final = 3
_LONGEST: Final = 0.05
_MANY: Final = 100
"""How many changes are written down in a thread."""
_FINDS: Final = 5
"""How often a search begins anew that others write into."""


@final
class RedisEntities(EntityStore):
    """Keeps entities on a server, for any number of tasks, threads and processes.

    Args:
        settings: Which server.
        runtime: How to wait.
        place: The server, where it is shared with a store of histories.
    """

    settings_type = RedisHaystackSettings

    def __init__(
        self, settings: RedisHaystackSettings, runtime: Runtime, place: RedisPlace | None = None
    ) -> None:
        super().__init__(settings, runtime)
        self._address = settings.address
        self._place = RedisPlace(settings, runtime) if place is None else place
        self._asking = Asking(self._place, self, runtime, settings.cache)

    @property
    def type(self) -> str:
        """`redis`."""
        return "redis"

    @property
    def address(self) -> str:
        """The server and the database."""
        return self._address

    async def connect(self) -> None:
        """See `EntityStore.connect`.

        Raises:
            Unavailable: Nobody answers.
            Unauthenticated: The server wants other credentials.
            Unsupported: A later version of Holdall wrote what is there, or it needs a module.
        """
        await self._place.enter(self)
        await self._asking.prepare()

    async def get(self, ids: Sequence[str], notes: Sequence[str] = ()) -> Got:
        """See `EntityStore.get`."""
        wanted = list(dict.fromkeys(ids))
        names = list(dict.fromkeys(notes))
        state, entries, values = await self._asking.read(wanted, [*map(note_name, names)])
        known = {of: entry and entry[1] for of, entry in zip(wanted, entries, strict=True)}
        noted = dict(zip(names, map(_note, values), strict=True))
        return Got(state, [known[of] for of in ids], [noted[name] for name in notes])

    async def commit(self, changes: Sequence[Change], *, due: int | None = None) -> int:
        """See `EntityStore.commit`.

        It is one script, which nothing comes between: two thousand entities take the server some
        tens of milliseconds, in which it answers nobody else.
        """
        asking = self._asking
        if not changes and due is None:
            return (await self.get([])).state.number
        kept = asking.kept.entries

        def ready(of: str) -> Stored | None:
            entry = kept.get(of)
            return None if entry is None else entry[1]

        plan = Plan(changes, ready)
        for tried in range(_TRIES):
            if tried >= _AT_ONCE:
                longest = min(0.001 * 2 ** (tried - _AT_ONCE), _LONGEST)
                await self.runtime.sleep(random.uniform(0, longest))
            try:
                draft = plan.draft()
            except (NotFound, PreconditionFailed):
                if plan.is_read:
                    raise
            else:
                if len(changes) < _MANY:
                    args = message(plan, draft, due, asking.index)
                else:  # in a thread where there is a loop
                    args = await self.runtime.call(message, None, plan, draft, due, asking.index)
                reply = await asking.run(scripts.COMMIT, args, once=True)
                if reply not in (b"?moved", b"?index"):
                    asking.kept.committed(int(reply), draft.entities)
                    return int(reply)
            await self._read(plan)
        raise PreconditionFailed(f"others wrote {_TRIES} times in between", transient=True)

    async def _read(self, plan: Plan) -> None:
        ids = plan.asked
        names = [one.name for one in plan.changes if isinstance(one, Note)]
        got = await self.get(ids, names)
        plan.know(
            dict(zip(ids, got.entities, strict=True)), dict(zip(names, got.notes, strict=True))
        )

    async def find(self, predicate: Node, *, limit: int, after: str | None = None) -> Found:
        """See `EntityStore.find`."""
        search = Search(self._asking, predicate, limit, after)
        for _ in range(_FINDS):
            try:
                return await search.found()
            except Moved:
                continue
        # Somebody writes all the time: what is answered is then of several commits.
        return await search.found(still=False)

    async def changes(self, since: int, *, limit: int) -> Changes:
        """See `EntityStore.changes`."""
        asking = self._asking
        args = [asking.known, str(since).encode(), str(limit).encode()]
        head, *told = await asking.run(scripts.CHANGES, args)
        state = asking.seen(head)
        if not told:
            return Changes(state, (), state.number, known=False)
        upto, late, bodies = told
        pairs = late.decode().split()
        ids, versions = pairs[::2], map(int, pairs[1::2])
        entries = await asking.entries(ids, bodies)
        asking.keep(state, entries)
        changed = [
            Changed(of, version, None if entry is None else entry[1].entity)
            for of, version, entry in zip(ids, versions, entries, strict=True)
        ]
        return Changes(state, changed, int(upto))

    async def close(self) -> None:
        """See `EntityStore.close`."""
        await self._place.leave(self)


def _note(value: bytes | None) -> StoredNote | None:
    if value is None:
        return None
    version, _, kept = value.partition(b" ")
    return StoredNote(kept, int(version))
