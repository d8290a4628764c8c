"""What a cache has in memory, and which requests are under way to fill it."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from sys import getsizeof
from typing import TYPE_CHECKING, Any, TypeAlias, final

from msgspec import Struct

from holdall.objects.results import ObjectMeta

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from holdall.core.reference import Reference
    from holdall.objects.options import GetOptions

Place: TypeAlias = tuple[str, str, str, str]
"""Key, scheme, container and host: hashed in a third of the time that a `Reference` takes."""

# What the entry, its place, the answer with its texts and the dictionary take, apart from key,
# body and the user's own pairs; measured on Python 3.11 to 3.13, and rounded up.
_OVERHEAD = 900


class Entry(Struct, frozen=True, gc=False):
    """What is known of one object since one moment. A newer one replaces it.

    Args:
        meta: As the store answered it; never handed out itself, since its pairs can be changed.
        data: All of its bytes; None where they are not kept.
        checked: When the request was sent that answered it, by the cache's clock.
        tagged: Whether that request asked for tags.
        told: Whether `meta` is what a `head` answers.
    """

    meta: ObjectMeta
    data: bytes | None
    checked: float
    tagged: bool
    told: bool

    def serves(self, options: GetOptions) -> bool:
        """Whether it has what these options ask for, if it is recent enough."""
        return (self.tagged or not options.tags) and (
            options.if_match is None or options.if_match == self.meta.etag
        )

    def same(self, meta: ObjectMeta) -> bool:
        """Whether its bytes are those of another answer."""
        mine = self.meta
        return mine.etag is not None and mine.etag == meta.etag and mine.size == meta.size

    def cost(self) -> int:
        """How many bytes of memory it takes, all in all."""
        meta = self.meta
        size = _OVERHEAD + 4 * len(meta.key) + (0 if self.data is None else len(self.data))
        for pairs in (meta.metadata, meta.tags):
            if pairs:
                size += getsizeof(pairs)
                size += sum(getsizeof(name) + getsizeof(value) for name, value in pairs.items())
        return size


@final
class Fill:
    """A request whose answer may be kept, unless what it is about changes meanwhile.

    Attributes:
        begun: When it was sent, by the cache's clock.
        dropped: Whether its answer is to be forgotten.
        expired: Whether it ended by the deadline of the caller that sent it.
        answer: What it answered; None while it is under way.
    """

    __slots__ = ("answer", "begun", "dropped", "expired", "key", "what")

    def __init__(self, key: str, what: Hashable | None, begun: float) -> None:
        self.key = key
        self.what = what
        self.begun = begun
        self.dropped = False
        self.expired = False
        self.answer: Any = None


@final
class Entries:
    """Entries up to a budget of bytes; those that were not used for the longest time go first.

    Threads share it: the lock is held for a few lines and never across a wait. What was changed
    is dropped under its key alone, whatever the scheme and container, because behind a router two
    addresses can lead to one object.

    Args:
        budget: How many bytes the entries take at most.

    Attributes:
        hits: How many calls were served.
        size: How many bytes the entries take.
    """

    def __init__(self, budget: int) -> None:
        self.hits = 0
        self.size = 0
        self._budget = budget
        self._guard = threading.Lock()
        self._entries: OrderedDict[Place, tuple[Entry, int]] = OrderedDict()
        self._places: dict[str, tuple[Place, ...]] = {}
        self._fills: dict[str, set[Fill]] = {}
        self._flights: dict[Hashable, Fill] = {}
        self._forgotten: deque[Fill] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def body(self, place: Place, oldest: float, options: GetOptions) -> Entry | None:
        """The entry that serves a get; None where none does. Counts a hit.

        Args:
            place: Of the object.
            oldest: It must be newer than this.
            options: What is asked for.
        """
        with self._guard:
            found = self._entries.get(place)
            if found is None:
                return None
            entry = found[0]
            if entry.data is None or entry.checked <= oldest or not entry.serves(options):
                return None
            self._entries.move_to_end(place)
            self.hits += 1
            return entry

    def find(self, place: Place, oldest: float, tags: bool, *, told: bool = False) -> Entry | None:
        """The entry that is newer than this, and has tags, or all that a `head` tells, if asked."""
        with self._guard:
            found = self._entries.get(place)
            if found is None:
                return None
            entry = found[0]
            lacks = (tags and not entry.tagged) or (told and not entry.told)
            if lacks or entry.checked <= oldest:
                return None
            self._entries.move_to_end(place)
            return entry

    def last(self, place: Place) -> Entry | None:
        """The entry, however old."""
        found = self._entries.get(place)
        return None if found is None else found[0]

    def hit(self) -> None:
        """Count a call that was served in another way than by `body`."""
        with self._guard:
            self.hits += 1

    def flight(self, what: Hashable, ref: Reference, now: float) -> Fill:
        """The request of this kind that is under way, or a new one, sent now."""
        with self._guard:
            fill = self._flights.get(what)
            if fill is None:
                fill = self._flights[what] = self._begin(ref.key, what, now)
            return fill

    def begin(self, ref: Reference, now: float) -> Fill:
        """A request that nobody shares, sent now."""
        with self._guard:
            return self._begin(ref.key, None, now)

    def _begin(self, key: str, what: Hashable | None, now: float) -> Fill:
        while self._forgotten:
            self._end(self._forgotten.popleft())
        fill = Fill(key, what, now)
        self._fills.setdefault(key, set()).add(fill)
        return fill

    def end(self, fill: Fill) -> None:
        """The request is over; what it answers from now on is not kept."""
        with self._guard:
            self._end(fill)

    def forget(self, fill: Fill) -> None:
        """As `end`, a little later: for `__del__`, which may run while the lock is held."""
        fill.dropped = True
        self._forgotten.append(fill)

    def _end(self, fill: Fill) -> None:
        fill.dropped = True
        fills = self._fills.get(fill.key)
        if fills is not None:
            fills.discard(fill)
            if not fills:
                del self._fills[fill.key]
        if self._flights.get(fill.what) is fill:
            del self._flights[fill.what]

    def keep(
        self,
        fill: Fill,
        place: Place,
        meta: ObjectMeta,
        data: bytes | None,
        tagged: bool,
        told: bool,
    ) -> Entry:
        """Keep what a request answered, and answer the entry.

        It is not kept when the object was changed since, or a later request has answered. Bytes
        that are kept stay under an answer without them, as long as they are the same.
        """
        with self._guard:
            before = self._entries.get(place)
            if data is None and before is not None and before[0].same(meta):
                data = before[0].data
            entry = Entry(meta, data, fill.begun, tagged, told)
            if fill.dropped or (before is not None and before[0].checked > fill.begun):
                return entry
            cost = entry.cost()
            if before is None:
                self._places[place[0]] = (*self._places.get(place[0], ()), place)
            else:
                self.size -= before[1]
            self._entries[place] = (entry, cost)
            self._entries.move_to_end(place)
            self.size += cost
            while self.size > self._budget:
                self._remove(next(iter(self._entries)))
            return entry

    def gone(self, fill: Fill, place: Place) -> None:
        """A request answered that there is no such object."""
        with self._guard:
            before = self._entries.get(place)
            if before is not None and before[0].checked <= fill.begun:
                self._remove(place)

    def drop(self, refs: Iterable[Reference]) -> None:
        """Forget objects, and whatever the requests under way will answer of them."""
        with self._guard:
            for ref in refs:
                for place in self._places.get(ref.key, ()):
                    self._remove(place)
                for fill in self._fills.pop(ref.key, ()):
                    self._end(fill)

    def clear(self) -> None:
        """Forget all objects, and whatever the requests under way will answer."""
        with self._guard:
            self._entries.clear()
            self._places.clear()
            self.size = 0
            for fills in [*self._fills.values()]:
                for fill in [*fills]:
                    self._end(fill)

    def _remove(self, place: Place) -> None:
        _, cost = self._entries.pop(place)
        self.size -= cost
        left = tuple(other for other in self._places[place[0]] if other != place)
        if left:
            self._places[place[0]] = left
        else:
            del self._places[place[0]]
