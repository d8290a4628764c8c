"""The part of the face that is about entities."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, final
from zoneinfo import ZoneInfo

from holdall import __version__
from holdall.core.errors import (
    AlreadyExists,
    InvalidQuery,
    InvalidValue,
    NotFound,
    PreconditionFailed,
)
from holdall.haystack.adapter.arrays import without_array
from holdall.haystack.adapter.core import AdapterCore
from holdall.haystack.adapter.leaving import leaves, left_nothing
from holdall.haystack.adapter.navigation import children
from holdall.haystack.adapter.ranges import moment
from holdall.haystack.adapter.samples import Point
from holdall.haystack.adapter.taking import (
    adopted,
    checked_version,
    id_of,
    listed,
    plain_id,
    plain_ids,
    tags_of,
)
from holdall.haystack.filter import parse_filter
from holdall.haystack.kinds import REMOVE, Number, Ref
from holdall.haystack.stores.entities import Add, Delete, Update
from holdall.haystack.stores.views import view

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdall.haystack.adapter.taking import Id
    from holdall.haystack.stores.entities import Entity
    from holdall.haystack.stores.histories import Bounds

MOST: Final = 10_000
"""How many entities `read` answers when it is told no limit."""
_LOADED: Final = 1_000
_NO_LIMIT: Final = 2**40
_BOUNDS: Final = ("hisStart", "hisEnd")
_NO_SAMPLES: Final[dict[str, Any]] = {"hisSize": Number(0)}


class Entities(list["Entity"]):
    """A list of entities, which knows whether others follow.

    Attributes:
        token: For the next page, with the same filter; None where there is none.
    """

    token: str | None = None

    @property
    def more(self) -> bool:
        """Whether the list was cut: others follow."""
        return self.token is not None


class EntityFace(AdapterCore):
    """Reading and changing entities."""

    @final
    async def about(self) -> dict[str, Any]:
        """Tags about the store, as the standard's `about` has them."""
        state = (await self._get([])).state
        here = ZoneInfo("UTC")
        return {
            "haystackVersion": "4.0",
            "tz": "UTC",
            "serverName": self._entities.address,
            "serverTime": moment(state.now, here),
            "serverBootTime": self._begun.astimezone(here),
            "productName": "Holdall",
            "productVersion": __version__,
            "vendorName": "The Holdall authors",
        }

    @final
    async def read(
        self, filter_str: str, limit: int | None = None, *, token: str | None = None
    ) -> Entities:
        """Answer entities that a filter means, in the order of their ids.

        Points with a history have `hisSize`, `hisStart` and `hisEnd`.

        Args:
            filter_str: A filter, such as `point and siteRef->area > 100`.
            limit: At most so many; 10,000 unless set. `more` of the answer says that it was cut.
            token: Of the answer before, for those that follow it.

        Raises:
            InvalidQuery: The filter means nothing; says where.
            InvalidValue: The limit is no number from 0, or the token none.
        """
        if not isinstance(filter_str, str):
            raise InvalidQuery(f"{filter_str!r} is no filter: it takes a text")
        node = parse_filter(filter_str)
        if limit is not None and (type(limit) is not int or limit < 0):
            raise InvalidValue(f"limit is {limit!r}: it takes 0 or more")
        most = MOST if limit is None else min(limit, _NO_LIMIT)
        last = None if token is None else plain_id(token)
        await self._ready()
        if most == 0:
            return Entities()
        page = await self._entities.find(node, limit=most, after=last)
        if await self._settled(page.state):
            page = await self._entities.find(node, limit=most, after=last)
        found = Entities([stored.entity for stored in page.entities])
        if page.his:
            found = Entities(await self._with_history(found))
        if page.more:
            found.token = id_of(found[-1])
        return found

    @final
    async def read_by_ids(self, ids: Sequence[Id]) -> list[Entity | None]:
        """Answer the entities of these ids, in their order; None in place of a missing one.

        Raises:
            InvalidValue: An id is none.
        """
        got = await self._get(plain_ids(ids))
        there = [stored.entity for stored in got.entities if stored is not None]
        rich = iter(await self._with_history(there))
        return [None if stored is None else next(rich) for stored in got.entities]

    @final
    async def versions(self, ids: Sequence[Id]) -> list[int | None]:
        """Answer the versions of entities, for `expected`; None in place of a missing one."""
        got = await self._get(plain_ids(ids))
        return [None if stored is None else stored.version for stored in got.entities]

    @final
    async def nav(self, nav_id: Id | None = None) -> list[dict[str, Any]]:
        """Answer what lies under a place of the tree of sites, spaces, equipment and points.

        Args:
            nav_id: The `navId` of a row, or an id; None for the sites.

        Raises:
            NotFound: There is no such place.
        """
        place = None if nav_id is None else plain_id(nav_id)
        await self._get([])
        return await children(self._entities, place)

    @final
    async def create(self, entity: Mapping[str, Any]) -> Ref:
        """Keep a new entity; answers its id, which is made where it has none.

        Args:
            entity: Tags, as kinds or as Hayson has them; None and `REMOVE` are no tag.

        Raises:
            AlreadyExists: There is one of its id.
            InvalidValue: A tag is none, or its value of no kind.
        """
        tags = adopted(entity, make_id=True)
        await self._ready()
        of = id_of(tags)
        while True:
            try:
                await self._entities.commit([Add(tags), left_nothing(of)])
            except AlreadyExists:
                raise
            except PreconditionFailed as error:
                if error.transient:
                    raise
                await self._leaving.clear([of])
            else:
                return Ref(of)

    @final
    async def update(
        self,
        id: Id,
        tags: Mapping[str, Any],
        *,
        expected: int | None = None,
    ) -> int:
        """Change tags of an entity; answers its new version.

        Args:
            id: Whose.
            tags: New values; `REMOVE` or None takes a tag away.
            expected: The version that it must have; any unless set.

        Raises:
            NotFound: There is no such entity.
            PreconditionFailed: It has another version: somebody changed it meanwhile.
            InvalidValue: A tag is none, or it is the id.
        """
        of, version = plain_id(id), checked_version(expected)
        checked = tags_of(tags)
        checked.update({name: REMOVE for name, value in tags.items() if value is None})
        ref = checked.get("id", of)
        if ref is REMOVE or plain_id(ref) != of:
            raise InvalidValue(f"the id of @{of} cannot change", reference=of)
        if isinstance(ref, str):
            checked.pop("id", None)
        await self._ready()
        return await self._entities.commit([Update(of, checked, version)])

    @final
    async def delete(self, id: Id, *, expected: int | None = None) -> None:
        """Delete an entity, what is commanded of it, and its history.

        What breaks off after the entity went is finished by deleting again, or when there is an
        entity of that id again, which then has no samples. Either waits for up to 10 seconds for
        one who may be at it still.

        Raises:
            NotFound: There is no such entity, and nothing left of one.
            PreconditionFailed: It has another version than expected.
        """
        of, version = plain_id(id), checked_version(expected)
        await self._ready()
        try:
            await self._entities.commit([Delete(of, version), without_array(of), leaves(of)])
        except NotFound:
            if not await self._leaving.clear([of]):
                raise
        else:
            await self._leaving.clear([of])

    @final
    async def load(self, entities: Iterable[Mapping[str, Any]]) -> int:
        """Keep entities in the place of those of their ids; answers how many.

        A thousand are kept in one commit, so that one which fails leaves those before it. What is
        commanded of a point stays in effect, and its history stays.

        Raises:
            InvalidValue: An entity has no id, or a value of no kind; names it by its place.
        """
        await self._ready()
        loaded = 0
        batch: list[Entity] = []
        for at, entity in enumerate(listed(entities, "entities")):
            batch.append(adopted(entity, place=f"entity {at}"))
            if len(batch) == _LOADED:
                await self._put(batch)
                loaded, batch = loaded + len(batch), []
        if batch:
            await self._put(batch)
        return loaded + len(batch)

    async def _put(self, batch: Sequence[Entity]) -> None:
        await self._arrays.put(batch, self._leaving)

    async def _with_history(self, entities: list[Entity]) -> list[Entity]:
        """The same entities, those of points with what their history reaches over."""
        points = [at for at, entity in enumerate(entities) if "his" in entity]
        if not points:
            return entities
        bounds = await self._histories.bounds([id_of(entities[at]) for at in points])
        reached = [
            entities[at] for at, reach in zip(points, bounds, strict=True) if reach is not None
        ]
        zones = await self._site_zones(reached)
        rich = list(entities)
        for at, reach in zip(points, bounds, strict=True):
            rich[at] = _with_bounds(entities[at], reach, zones)
        return rich


def _with_bounds(entity: Entity, reach: Bounds | None, zones: Mapping[str, object]) -> Entity:
    if reach is None:
        if type(entity) is MappingProxyType and "hisStart" not in entity and "hisEnd" not in entity:
            return MappingProxyType(entity | _NO_SAMPLES)
        return view({n: v for n, v in entity.items() if n not in _BOUNDS} | _NO_SAMPLES)
    site = entity.get("siteRef")
    try:
        zone = zones.get(site.val) if isinstance(site, Ref) else None
        where = Point.of(id_of(entity), entity, zone).zone
    except InvalidValue:
        where = ZoneInfo("UTC")
    return view(
        {
            **entity,
            "hisSize": Number(reach.count),
            "hisStart": moment(reach.first, where),
            "hisEnd": moment(reach.last, where),
        }
    )
