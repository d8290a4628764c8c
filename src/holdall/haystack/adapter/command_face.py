"""The part of the face that commands points and watches entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from holdall.core.errors import InvalidValue
from holdall.haystack.adapter.arrays import check_duration, check_level
from holdall.haystack.adapter.core import AdapterCore
from holdall.haystack.adapter.taking import as_kind, checked_text, plain_ids

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from holdall.haystack.adapter.taking import Id
    from holdall.haystack.kinds import Kind, Number
    from holdall.haystack.stores.entities import Entity


class CommandFace(AdapterCore):
    """Priority arrays and watches."""

    @final
    async def point_write(
        self,
        id: Id,
        level: int,
        val: Any,
        who: str | None = "",
        duration: object = None,
    ) -> list[dict[str, Any]]:
        """Command a writable point at a level; answers its 17 levels.

        Args:
            id: Whose.
            level: 1 (highest) to 17.
            val: What it shall be, of the point's kind and unit; None lets go of the level.
            who: Who commands it.
            duration: For how long, at level 8: a `Number` with a unit of time, a `timedelta`, or
                seconds; without end unless set.

        Raises:
            NotFound: There is no such point.
            InvalidValue: It is not `writable`, there is no such level, the value does not fit, or
                the level has no duration.
        """
        number = check_level(level)
        by = checked_text("" if who is None else who, "who commands")
        seconds = check_duration(duration, number)
        point, entity = await self._point(id)
        if "writable" not in entity:
            raise InvalidValue(
                f"@{point.id} cannot be commanded: it has no tag `writable`", reference=point.id
            )
        value: Kind = None
        if val is not None:
            value = point.value(as_kind(val, point.id), f"the value at level {number}")
            if isinstance(value, str):
                checked_text(value, "the value")
        return await self._arrays.write(point, number, value, by, seconds)

    @final
    async def point_array(self, id: Id) -> list[dict[str, Any]]:
        """Answer the 17 levels of a point: `level`, `levelDis`, `val`, `who`, and `expires`.

        Raises:
            NotFound: There is no such point.
        """
        point, _ = await self._point(id)
        return await self._arrays.read(point)

    # Watches.

    @final
    async def watch_sub(
        self, watch_id: str, ids: Sequence[Id], *, lease: Number | timedelta | float | None = None
    ) -> list[Entity | None]:
        """Open a watch under an id of the caller's, or add to it.

        Args:
            watch_id: Any text; a watch of this id that is open is added to.
            ids: Whose changes are told of; one that is not there yet may come.
            lease: For how long the watch lives without being asked, in seconds or as a duration
                of `point_write`; 300 seconds unless set, from one second to a day.

        Returns:
            The entities of these ids, as they are now; None in place of a missing one.

        Raises:
            InvalidValue: The watch's id is no text, an id is none, or the lease not above nothing.
        """
        watch, plain = checked_text(watch_id, "the id of a watch"), plain_ids(ids)
        await self._get([])
        return list(await self._watches.subscribe(watch, plain, lease))

    @final
    async def watch_unsub(
        self, watch_id: str, ids: Sequence[Id] = (), *, close: bool = False
    ) -> None:
        """Take entities out of a watch, or close it.

        Raises:
            NotFound: There is no such watch, or its lease ended.
        """
        watch, plain = checked_text(watch_id, "the id of a watch"), plain_ids(ids)
        await self._ready()
        await self._watches.unsubscribe(watch, plain, close=close)

    @final
    async def watch_poll(self, watch_id: str, refresh: bool = False) -> list[Entity]:
        """Answer the entities of a watch that changed since the last call.

        Args:
            watch_id: Which watch.
            refresh: Answer every entity of it.

        Returns:
            Entities as they are now; one that is gone is its id with the marker `removed`.

        Raises:
            NotFound: There is no such watch, or its lease ended.
        """
        watch = checked_text(watch_id, "the id of a watch")
        await self._get([])
        return await self._watches.poll(watch, refresh=refresh)
