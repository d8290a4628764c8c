"""Priority arrays when somebody else writes between what is read and what is kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import NotFound, PreconditionFailed
from holdall.core.runtime.loop import LoopRuntime
from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.haystack.stores.entities import Delete, Note
from holdall.haystack.stores.memory_entities import MemoryEntities, MemoryEntitySettings
from holdall.haystack.stores.memory_histories import MemoryHistories, MemoryHistorySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from holdall.haystack.stores.entities import Change

POINTS = [{"id": Ref(of), "point": MARKER, "writable": MARKER} for of in ("p1", "p2")]


class Interrupted(MemoryEntities):
    """Somebody else does something before a commit."""

    before: Callable[[], Coroutine[Any, Any, Any]] | None = None
    times = 1

    async def commit(self, changes: Sequence[Change], *, due: int | None = None) -> int:
        other = self.before
        if other is not None and self.times:
            self.times -= 1
            self.before = None
            await other()
            self.before = other
        return await super().commit(changes, due=due)


def opened() -> tuple[HaystackAdapter, Interrupted]:
    runtime = LoopRuntime()
    store = Interrupted(MemoryEntitySettings(), runtime)
    return HaystackAdapter(store, MemoryHistories(MemoryHistorySettings(), runtime)), store


def test_a_command_without_an_end_takes_back_no_announcement_of_another() -> None:
    async def work() -> None:
        adapter, store = opened()
        await adapter.load(POINTS)
        store.before = lambda: adapter.point_write("p2", 8, 2, "other", Number(5, "min"))
        await adapter.point_write("p1", 10, 1)
        assert (await store.get([])).state.due is not None

    asyncio.run(work())


def test_two_commands_with_an_end_are_both_announced() -> None:
    async def work() -> None:
        adapter, store = opened()
        await adapter.load(POINTS)
        store.before = lambda: adapter.point_write("p2", 8, 2, "other", Number(5, "min"))
        await adapter.point_write("p1", 8, 1, "me", 0.02)
        await asyncio.sleep(0.03)
        assert await adapter.read("writeLevel") == await adapter.read_by_ids(["p2"])
        assert (await store.get([])).state.due is not None

    asyncio.run(work())


def test_a_command_that_comes_between_at_another_level_is_kept() -> None:
    async def work() -> None:
        adapter, store = opened()
        await adapter.load(POINTS)
        store.before = lambda: adapter.point_write("p1", 9, 2)
        levels = await adapter.point_write("p1", 10, 1)
        assert [row["val"] for row in levels[8:10]] == [Number(2), Number(1)]

    asyncio.run(work())


def test_a_command_of_a_point_that_goes_meanwhile_is_refused_and_leaves_nothing() -> None:
    async def work() -> None:
        adapter, store = opened()
        await adapter.load(POINTS)
        await adapter.point_write("p1", 9, 1)
        store.before = lambda: adapter.delete("p1")
        with pytest.raises(NotFound):
            await adapter.point_write("p1", 10, 1)
        assert (await store.get([], ["array/p1"])).notes == [None]

    asyncio.run(work())


@pytest.mark.parametrize("first", [True, False])
def test_a_command_that_comes_while_its_point_is_loaded_stays_in_effect(first: bool) -> None:
    async def work() -> None:
        adapter, store = opened()
        await adapter.load(POINTS)
        if not first:
            await adapter.point_write("p1", 10, 1)
        store.before = lambda: adapter.point_write("p1", 9, 2)
        await adapter.load(POINTS)
        (found,) = await adapter.read("writeLevel")
        assert (found["writeLevel"], found["writeVal"]) == (Number(9), Number(2))

    asyncio.run(work())


def test_what_is_due_of_a_point_that_was_made_anew_changes_nothing() -> None:
    async def work() -> None:
        adapter, store = opened()
        await adapter.load(POINTS)
        await adapter.point_write("p1", 8, 1, "me", 0.01)
        await store.commit([Delete("p1"), Note("array/p1", None)])
        await adapter.create({**POINTS[0], "writeVal": 7})
        versions = await adapter.versions(["p1"])
        await asyncio.sleep(0.02)
        assert len(await adapter.read("writeVal==7")) == 1
        assert await adapter.versions(["p1"]) == versions
        assert (await store.get([], ["due"])).state.due is None

    asyncio.run(work())


def test_who_is_never_first_is_told_so() -> None:
    async def work() -> None:
        adapter, store = opened()
        await adapter.load(POINTS)
        store.times = 1_000_000
        store.before = lambda: adapter.point_write("p1", 9, 2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("holdall.haystack.adapter.trying._MOST", 5)
            with pytest.raises(PreconditionFailed) as caught:
                await adapter.point_write("p1", 10, 1)
        assert caught.value.transient

    asyncio.run(work())
