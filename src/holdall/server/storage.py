"""What operations ask of a store: all that `HaystackAdapter` can, or ten methods and no more."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, final

from msgspec import Struct

from holdall.core.errors import InvalidConfig, NotFound
from holdall.haystack.adapter.protocol import StorageAdapter
from holdall.haystack.adapter.samples import Point
from holdall.haystack.adapter.taking import plain_id
from holdall.haystack.kinds import Ref

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from holdall.haystack.kinds import Number
    from holdall.haystack.stores.histories import Samples, Span
    from holdall.server.accounts.places import Place

Row = Mapping[str, Any]
METHODS: Final = (
    "about", "read", "read_by_ids", "nav", "his_read", "his_write", "point_write",
    "watch_sub", "watch_unsub", "watch_poll",
)  # fmt: skip


class Entities(Struct, frozen=True):
    """Entities that were read, and whether others follow."""

    rows: Sequence[Row]
    more: bool


class Watch(Struct, frozen=True):
    """A watch that was opened or added to.

    Attributes:
        id: Its id, which nobody guesses.
        lease: Seconds that it lives without being asked.
        rows: The entities that were asked for; None in place of a missing one.
    """

    id: str
    lease: float
    rows: Sequence[Row | None]


class Storage(ABC):
    """A store behind a server.

    Args:
        adapter: The store.
    """

    def __init__(self, adapter: StorageAdapter) -> None:
        self._adapter = adapter

    @final
    @property
    def adapter(self) -> StorageAdapter:
        """The store."""
        return self._adapter

    @final
    async def connect(self) -> None:
        """Connect, where the store has a way to."""
        await _called(self._adapter, "connect")

    @final
    async def close(self) -> None:
        """Let go of files and connections, where the store has a way to."""
        await _called(self._adapter, "close")

    @final
    async def about(self) -> Row:
        """Tags about the store."""
        return await self._adapter.about()

    @final
    async def by_ids(self, ids: Sequence[str]) -> Sequence[Row | None]:
        """Entities in the order of their ids; None in place of a missing one."""
        found = await self._adapter.read_by_ids(list(ids))
        if len(found) == len(ids):
            return found
        # Some stores leave missing ones out, which hides which they are.
        known = {_id_of(one): one for one in found if one is not None}
        return [known.get(of) for of in ids]

    @final
    async def nav(self, of: str | None) -> Sequence[Row]:
        """What lies under a place of the tree."""
        return await self._adapter.nav(of)

    @final
    async def points(self, ids: Sequence[str]) -> list[Point]:
        """What points say of their histories.

        Raises:
            NotFound: One of them is not there.
        """
        entities = await self.by_ids(ids)
        for of, entity in zip(ids, entities, strict=True):
            if entity is None:
                raise NotFound(f"there is no point @{of}", reference=of)
        there = [entity for entity in entities if entity is not None]
        sites = list(
            dict.fromkeys(
                site.val
                for entity in there
                if "tz" not in entity and isinstance(site := entity.get("siteRef"), Ref)
            )
        )
        zones = dict(zip(sites, await self.by_ids(sites), strict=True)) if sites else {}
        return [
            Point.of(of, entity, _zone_of(zones, entity))
            for of, entity in zip(ids, there, strict=True)
        ]

    @property
    @abstractmethod
    def accounts(self) -> Place | None:
        """Where accounts may be kept in the store; None where they cannot."""

    @abstractmethod
    async def now(self) -> datetime:
        """The clock that ranges such as `today` go by."""

    @abstractmethod
    async def read(self, filter_str: str, limit: int) -> Entities:
        """Entities that a filter means, at most `limit`."""

    @abstractmethod
    async def last(self, of: str) -> datetime | None:
        """The last moment of a history; None where it is not known."""

    @abstractmethod
    def samples(self, of: str, span: Span, *, size: int) -> AsyncIterator[Samples | Sequence[Row]]:
        """Samples of a point page by page, as columns or rows."""

    @abstractmethod
    async def his_write(self, items: Mapping[str, Sequence[Row]]) -> None:
        """Take samples of points; all or none of them where the store can."""

    @abstractmethod
    async def array(self, of: str) -> Sequence[Row]:
        """The 17 levels of a point."""

    @abstractmethod
    async def command(
        self, of: str, level: int, val: Any, who: str, duration: Number | None
    ) -> None:
        """Command a point at a level."""

    @abstractmethod
    async def watch_open(self, ids: Sequence[str], lease: Number | None) -> Watch:
        """Open a watch, for about as long a lease as asked."""

    @abstractmethod
    async def watch_add(self, watch: str, ids: Sequence[str]) -> Watch:
        """Add to a watch that is open."""

    @abstractmethod
    async def watch_unsub(self, watch: str, ids: Sequence[str], *, close: bool) -> None:
        """Take entities out of a watch, or close it."""

    @abstractmethod
    async def watch_poll(self, watch: str, *, refresh: bool) -> Sequence[Row]:
        """What changed in a watch."""

    @abstractmethod
    async def load(self, entities: Sequence[Row]) -> None:
        """Keep entities in the place of those of their ids."""


def storage_of(adapter: object) -> Storage:
    """What operations ask, over an adapter of any kind.

    Raises:
        InvalidConfig: It is none; names what it has not.
    """
    from holdall.haystack.adapter.face import HaystackAdapter
    from holdall.server.storage_plain import PlainStorage
    from holdall.server.storage_whole import WholeStorage

    if isinstance(adapter, HaystackAdapter):
        return WholeStorage(adapter)
    missing = [name for name in METHODS if not callable(getattr(adapter, name, None))]
    if missing or not isinstance(adapter, StorageAdapter):
        raise InvalidConfig(
            f"storage is a {type(adapter).__name__}, which has no {', '.join(missing)}: it takes "
            "a storage adapter, such as holdall.open_adapter(…) answers"
        )
    return PlainStorage(adapter)


async def _called(adapter: object, name: str) -> None:
    method: Callable[[], Any] | None = getattr(adapter, name, None)
    if callable(method):
        done = method()
        if inspect.isawaitable(done):
            await done


def _id_of(entity: Row) -> str:
    return plain_id(entity.get("id"))


def _zone_of(sites: Mapping[str, Row | None], entity: Row) -> object:
    site = entity.get("siteRef")
    found = sites.get(site.val) if isinstance(site, Ref) else None
    return None if found is None else found.get("tz")


def present() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)
