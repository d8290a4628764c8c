"""Watches when the numbers of the store begin anew, or what changed is no longer known."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from holdall.haystack import MARKER, Ref
from holdall.haystack.memory import InMemoryAdapter

if TYPE_CHECKING:
    import pytest

    from holdall.haystack.stores.memory_table import EntityTable


def table_of(adapter: InMemoryAdapter) -> EntityTable:
    return adapter.stores[0]._table  # type: ignore[attr-defined, no-any-return]


def restored(adapter: InMemoryAdapter) -> None:
    """As after a restore of an older state."""
    table_of(adapter)._epoch = "another"
    table_of(adapter)._number = 1


def test_after_a_restore_a_watch_begins_with_everything() -> None:
    async def work() -> None:
        adapter = InMemoryAdapter([{"id": Ref(of)} for of in "abc"])
        await adapter.watch_sub("w", ["a"])
        for number in range(20):
            await adapter.update("c", {"n": number})
        await adapter.watch_sub("w", ["b"])
        restored(adapter)
        assert await adapter.watch_poll("w") == [{"id": Ref("a")}, {"id": Ref("b")}]
        assert await adapter.watch_poll("w") == []
        await adapter.update("b", {"n": MARKER})
        assert await adapter.watch_poll("w") == [{"id": Ref("b"), "n": MARKER}]

    asyncio.run(work())


def test_a_watch_that_is_added_to_after_a_restore_keeps_its_ids() -> None:
    async def work() -> None:
        adapter = InMemoryAdapter([{"id": Ref(of)} for of in "abc"])
        await adapter.watch_sub("w", ["a", "b"])
        restored(adapter)
        await adapter.watch_sub("w", ["c"])
        assert len(await adapter.watch_poll("w")) == 3
        await adapter.update("a", {"n": MARKER})
        assert await adapter.watch_poll("w") == [{"id": Ref("a"), "n": MARKER}]

    asyncio.run(work())


def test_a_watch_behind_what_is_known_begins_with_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("holdall.haystack.stores.memory_table._KEPT_REMOVALS", 1)

    async def work() -> None:
        adapter = InMemoryAdapter([{"id": Ref(of)} for of in "abcd"])
        await adapter.watch_sub("w", ["a", "d"])
        for of in "abc":
            await adapter.delete(of)
        removed = {"id": Ref("a"), "removed": MARKER}
        assert await adapter.watch_poll("w") == [removed, {"id": Ref("d")}]
        assert await adapter.watch_poll("w") == []
        assert await adapter.watch_poll("w", True) == [{"id": Ref("d")}]

    asyncio.run(work())


def test_changes_of_several_pages_are_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdall.haystack.adapter.watching._PAGE", 2)

    async def work() -> None:
        ids = [f"e{at}" for at in range(9)]
        adapter = InMemoryAdapter([{"id": Ref(of)} for of in ids])
        await adapter.watch_sub("w", ids)
        for of in [*ids, ids[0]]:
            await adapter.update(of, {"n": MARKER})
        told = [str(one["id"])[1:] for one in await adapter.watch_poll("w")]
        assert told == [*ids[1:], ids[0]]

    asyncio.run(work())
