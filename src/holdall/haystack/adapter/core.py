"""What every part of the adapter's face stands on: two stores, opened once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, final

from holdall.core.errors import NotFound, Unavailable
from holdall.haystack.adapter.arrays import PriorityArrays
from holdall.haystack.adapter.leaving import Leaving
from holdall.haystack.adapter.samples import Point
from holdall.haystack.adapter.taking import plain_id, plain_ids
from holdall.haystack.adapter.watching import Watches
from holdall.haystack.kinds import Ref
from holdall.haystack.units import canonical
from holdall.haystack.zones import zone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from holdall.haystack.adapter.taking import Id
    from holdall.haystack.stores.entities import Entity, EntityStore, Got, State
    from holdall.haystack.stores.histories import HistoryStore


class AdapterCore:
    """Two stores that are connected by the first call.

    Args:
        entities: Where the entities are kept.
        histories: Where the histories are kept.
    """

    def __init__(self, entities: EntityStore, histories: HistoryStore) -> None:
        self._entities = entities
        self._histories = histories
        self._arrays = PriorityArrays(entities)
        self._leaving = Leaving(entities, histories)
        self._watches = Watches(entities)
        self._connected = False
        self._closed = 0
        self._connecting = entities.runtime.single_flight()
        self._begun = datetime.now(UTC)

    @final
    async def connect(self) -> None:
        """Connect, and make what is missing there.

        Raises:
            Unavailable: Nobody answers, or it was closed meanwhile.
        """
        while not self._connected:
            closed = self._closed
            await self._connecting.run("connect", self._connect)
            if self._closed != closed:
                raise Unavailable(f"{self._entities.address} was closed", transient=False)

    async def _connect(self) -> None:
        if not self._connected:
            closed = self._closed
            await self._entities.runtime.call(_prepare, None)
            await self._entities.connect()
            await self._histories.connect()
            if self._closed == closed:
                self._connected = True
            else:
                await self._let_go()

    @final
    async def close(self) -> None:
        """Let go of files and connections; the next call connects again."""
        self._connected = False
        self._closed += 1
        await self._let_go()

    async def _let_go(self) -> None:
        try:
            await self._histories.close()
        finally:
            await self._entities.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @final
    @property
    def stores(self) -> tuple[EntityStore, HistoryStore]:
        """The two stores that it stands on."""
        return self._entities, self._histories

    async def _ready(self) -> None:
        if not self._connected:
            await self.connect()

    async def _get(self, ids: Sequence[str]) -> Got:
        await self._ready()
        got = await self._entities.get(ids)
        if await self._settled(got.state):
            got = await self._entities.get(ids)
        return got

    async def _settled(self, state: State) -> bool:
        """Take back what is due; says whether anything was."""
        if state.due is None or state.due > state.now:
            return False
        await self._arrays.settle(state.now)
        return True

    async def _point(self, id: Id) -> tuple[Point, Entity]:
        got = await self._get([plain_id(id)])
        points = await self._points_of([plain_id(id)], got)
        stored = got.entities[0]
        assert stored is not None
        return points[0], stored.entity

    async def _points(self, ids: Sequence[Id]) -> list[Point]:
        plain = plain_ids(ids)
        return await self._points_of(plain, await self._get(plain))

    async def _points_of(self, ids: Sequence[str], got: Got) -> list[Point]:
        for of, stored in zip(ids, got.entities, strict=True):
            if stored is None:
                raise NotFound(f"there is no point @{of}", reference=of)
        entities = [stored.entity for stored in got.entities if stored is not None]
        zones = await self._site_zones(entities)
        points = []
        for of, entity in zip(ids, entities, strict=True):
            site = entity.get("siteRef")
            points.append(
                Point.of(of, entity, zones.get(site.val) if isinstance(site, Ref) else None)
            )
        return points

    async def _site_zones(self, entities: Sequence[Entity]) -> dict[str, object]:
        """The zones of the sites of points that name none, by the id of the site."""
        sites = {
            site.val: None
            for entity in entities
            if "tz" not in entity and isinstance(site := entity.get("siteRef"), Ref)
        }
        if not sites:
            return {}
        got = await self._entities.get(list(sites))
        return {
            of: stored.entity.get("tz")
            for of, stored in zip(sites, got.entities, strict=True)
            if stored is not None
        }


def _prepare() -> None:
    """Read the lists of zones and units, which wait for the disk, before a loop needs them."""
    zone("New_York")
    canonical("kW")
