"""How entities ask the server: the answers of scripts, and what is made ready before."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final, final
from uuid import uuid4

from holdall.core.errors import Corrupt, Unavailable, Unsupported
from holdall.haystack.codecs.hayson_reading import HaysonReading
from holdall.haystack.stores.bodies import UNREADABLE, read_body
from holdall.haystack.stores.entities import State, Stored
from holdall.haystack.stores.kept import Kept
from holdall.haystack.stores.redis import scripts
from holdall.haystack.stores.views import view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.core.runtime import Runtime
    from holdall.haystack.stores.kept import Entry
    from holdall.haystack.stores.redis.server import RedisPlace
    from holdall.objects.backends.redis.lua import Script

_log = logging.getLogger(__name__)
_TRIES: Final = 5
_REMEMBERED: Final = 256
_LARGE: Final = 100_000
"""From how many bytes of bodies on they are read in a thread."""
_LOOK_AGAIN: Final = 0.05
_ORDERS: Final = 16
_LONG: Final = 2_000
_LONGEST: Final = 400_000
"""Of answers of how many bytes the order is remembered: together they take at most some 25 MB."""


@final
class Wide:
    """Conditions that very many entities met when they were asked last; the last few of them."""

    def __init__(self) -> None:
        self._known: dict[bytes, None] = {}

    def __contains__(self, condition: bytes) -> bool:
        return condition in self._known

    def add(self, condition: bytes) -> None:
        """Remember one."""
        self._known[condition] = None
        if len(self._known) > _REMEMBERED:
            self._known.pop(next(iter(self._known)), None)

    def discard(self, condition: bytes) -> None:
        """Forget one."""
        self._known.pop(condition, None)


@final
class Orders:
    """What the server answered last, and its ids in their order, by the condition.

    To tell thousands of ids apart and to sort them takes as long as to find them. Who asks the same
    again mostly gets the same bytes, and their ids are known then.

    Args:
        document: What each id of an answer may begin with, as an answer of Search does.
    """

    def __init__(self, document: bytes) -> None:
        self._document = document
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[bytes, list[str]]] = {}

    def of(self, condition: bytes, answer: bytes) -> list[str]:
        """The ids of an answer, in their order. Nobody changes the list.

        Args:
            condition: What was asked.
            answer: Ids with a blank between.
        """
        known = self._known.get(condition)
        if known is not None and known[0] == answer:
            return known[1]
        ids = self.once(answer)
        if _LONG <= len(answer) <= _LONGEST:
            with self._lock:
                self._known.pop(condition, None)
                self._known[condition] = (answer, ids)
                if len(self._known) > _ORDERS:
                    del self._known[next(iter(self._known))]
        return ids

    def once(self, answer: bytes) -> list[str]:
        """The same of an answer that is not expected again."""
        # No id holds the braces that these begin with.
        return sorted(answer.replace(self._document, b"").decode().split(" ")) if answer else []


@final
class Asking:
    """Runs scripts of entities, and keeps what was read.

    Args:
        place: The server.
        user: Who asks.
        runtime: How to wait.
        cache: Of how many bytes of JSON entities are kept ready.

    Attributes:
        kept: What was read, ready.
        index: Which index is kept there, as far as is known.
        wide: Conditions that very many met.
        orders: What was answered last.
    """

    def __init__(self, place: RedisPlace, user: object, runtime: Runtime, cache: int) -> None:
        self._place = place
        self._user = user
        self._runtime = runtime
        self.kept = Kept(cache)
        self.index = "sets"
        self.wide = Wide()
        self.orders = Orders(place.key + b"x:")

    @property
    def known(self) -> bytes:
        """The commit as of which entities are kept ready."""
        kept = self.kept
        return f"{kept.epoch} {kept.number}".encode() if kept.entries else b""

    async def run(self, script: Script, args: Sequence[bytes], *, once: bool = False) -> Any:
        """Run a script, when all is ready for it; see `RedisPlace.run`."""
        for _ in range(_TRIES):
            reply = await self._place.run(self._user, script, args, once=once)
            if reply != b"?run":
                return reply
            await self.prepare()
        raise Unavailable(f"{self._place.ref}: the server is started again and again")

    def seen(self, head: bytes) -> State:
        """Read the head of an answer, and forget entities that have changed."""
        epoch, number, now, due, self.index, changed = head.decode().split(" ", 5)
        state = State(epoch, int(number), int(now), int(due) or None)
        self.kept.follow(epoch, state.number, lambda _: None if changed == "*" else changed.split())
        return state

    async def entries(self, ids: Sequence[str], text: bytes) -> list[Entry | None]:
        """Read bodies, in the order of their ids; many in a thread where there is a loop.

        Raises:
            Corrupt: One is not as it was written.
        """
        if len(text) < _LARGE:
            return _entries(ids, text)
        return await self._runtime.call(_entries, None, ids, text)

    async def read(
        self, ids: Sequence[str], notes: Sequence[bytes]
    ) -> tuple[State, list[Entry | None], list[bytes | None]]:
        """Read entities and notes as of one commit; only those that are not ready are sent."""
        kept = self.kept.entries
        lacking = [of for of in ids if of not in kept]
        while True:
            args = [self.known, " ".join(lacking).encode(), *notes]
            head, bodies, *values = await self.run(scripts.GET, args)
            state = self.seen(head)
            loaded = dict(zip(lacking, await self.entries(lacking, bodies), strict=True))
            self.keep(state, list(loaded.values()))
            found = [loaded[of] if of in loaded else kept.get(of) for of in ids]
            stale = [
                of
                for of, entry in zip(ids, found, strict=True)
                if of not in loaded and (entry is None or entry[1].version > state.number)
            ]
            if not stale:
                return state, found, values
            lacking = list(ids)  # some have changed: now all of them are of one commit

    def keep(self, state: State, entries: Sequence[Entry | None]) -> None:
        """Keep entities ready that were read with a state."""
        some = {entry[0]: entry for entry in entries if entry is not None}
        if some:
            self.kept.put(state.epoch, state.number, some)

    async def prepare(self) -> None:
        """Make what is missing there, and wait until it can be asked.

        Raises:
            Unsupported: A later version of Holdall wrote what is there, or it needs a module.
        """
        place = self._place
        of_format, index, run, ready, started = await self._look()
        if not of_format:
            wanted = b"search" if place.search and await self._may_search() else b"sets"
            await place.run(self._user, scripts.MAKE, [uuid4().hex.encode(), wanted])
            of_format, index, run, ready, started = await self._look()
        if of_format != str(scripts.FORMAT):
            raise Unsupported(
                f"{place.ref}: what is there is of format {of_format}, and this version of Holdall "
                f"knows format {scripts.FORMAT}: use a later version"
            )
        self.index = index
        if run == ready == started:
            return
        if index == "search":
            await self._indexed()
        await place.run(self._user, scripts.READY, [uuid4().hex.encode(), started.encode()])

    async def _may_search(self) -> bool:
        reply = await self._place.run(self._user, scripts.PROBE)
        # There is no such index yet, and whoever says so has looked for it.
        if reply == b"OK" or b"index" in reply.lower():
            return True
        _log.warning(
            "%s: the module Search cannot be used (%s): entities are found by sets",
            self._place.ref,
            reply.decode(errors="replace"),
        )
        return False

    async def _look(self) -> list[str]:
        reply = await self._place.run(self._user, scripts.LOOK)
        return [one.decode() for one in reply]

    async def _indexed(self) -> None:
        """Wait until Search has gone through all entities, as it does after every start.

        Raises:
            Unavailable: It takes longer than the server may be silent.
        """
        place = self._place
        made = False
        documents = entities = "0"
        for _ in range(max(1, int(place.timeout / _LOOK_AGAIN))):
            reply = await place.run(self._user, scripts.INDEXED)
            if isinstance(reply, bytes):
                if made or b"nknown command" in reply:
                    raise Unsupported(
                        f"{place.ref}: what is there is found by the module Search, which this "
                        f"server does not have or does not let be used: {reply.decode()}"
                    )
                await place.run(self._user, scripts.INDEX)
                made = True
                continue
            indexing, documents, entities, failures = map(bytes.decode, reply)
            if indexing == "0":
                if documents == entities and failures == "0":
                    return
                raise Corrupt(
                    f"{place.ref}: Search knows {documents} of {entities} entities, and failed at "
                    f"{failures}: drop its index, and it is made anew"
                )
            await self._runtime.sleep(_LOOK_AGAIN)
        raise Unavailable(
            f"{place.ref}: since the server was started, Search has read {documents} of {entities} "
            "entities, and nobody is answered before it has read all",
            transient=True,
        )


def _entries(ids: Sequence[str], text: bytes) -> list[Entry | None]:
    reading = HaysonReading()
    entries: list[Entry | None] = []
    of = ""
    try:
        # JSON holds no line break of its own.
        for of, line in zip(ids, text.split(b"\n") if ids else (), strict=True):
            version, _, body = line.partition(b",")
            if body:
                tags = view(read_body(reading, body))
                entries.append((of, Stored(tags, int(version)), len(body)))
            else:
                entries.append(None)
    except UNREADABLE as error:
        raise Corrupt(f"@{of} is not as it was written: {error}", reference=of) from error
    return entries
