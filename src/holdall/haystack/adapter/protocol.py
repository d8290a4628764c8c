"""What haystack-py calls a storage adapter: ten methods, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@runtime_checkable
class StorageAdapter(Protocol):
    """Answers the operations of the Haystack HTTP API.

    Whatever has these ten methods is one; it may also subclass this. `HaystackAdapter` is ours.
    Ids are text with or without `@`.
    """

    async def about(self) -> Mapping[str, Any]:
        """Tags about the store."""
        ...

    async def read(self, filter_str: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Entities that a filter means, at most `limit`."""
        ...

    async def read_by_ids(self, ids: list[str]) -> Sequence[Mapping[str, Any] | None]:
        """The entities of these ids, in their order; None in place of one that is not there."""
        ...

    async def nav(self, nav_id: str | None) -> Sequence[Mapping[str, Any]]:
        """What lies under a place of the tree; under its root for None."""
        ...

    async def his_read(self, id: str, range_str: str) -> Sequence[Mapping[str, Any]]:
        """Samples of a point: dicts with `ts` and `val`, in the order of time."""
        ...

    async def his_write(self, id: str, items: list[dict[str, Any]]) -> None:
        """Take samples of a point: dicts with `ts` and `val`."""
        ...

    async def point_write(
        self,
        id: str,
        level: int,
        val: Any,
        who: str,
    ) -> Sequence[Mapping[str, Any]]:
        """Command a point at a level, or let go with None; answers its 17 levels."""
        ...

    async def watch_sub(self, watch_id: str, ids: list[str]) -> Sequence[Mapping[str, Any] | None]:
        """Open a watch, or add to it; answers what its new entities are now."""
        ...

    async def watch_unsub(self, watch_id: str, ids: list[str]) -> None:
        """Take entities out of a watch."""
        ...

    async def watch_poll(self, watch_id: str, refresh: bool) -> Sequence[Mapping[str, Any]]:
        """What changed in a watch since it was asked last; all of it to `refresh`."""
        ...
