"""What was left of deleted points, when those who clear it away fail, end or meet one another."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import AlreadyExists, NotFound, PreconditionFailed, Unavailable
from holdall.haystack import MARKER, Ref
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.stores.entities import Note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdall.haystack.stores.entities import Change, StoredNote

POINT = {"id": Ref("p1"), "point": MARKER, "his": MARKER}
SAMPLES = [{"ts": datetime(2024, 1, 15, 12, tzinfo=UTC), "val": 1.0}]


def failing(adapter: InMemoryAdapter, patch: pytest.MonkeyPatch, uncertain: bool) -> None:
    """Let the next deletion of samples fail."""
    histories = adapter.stores[1]
    delete = histories.delete

    async def fail(_: str) -> int:
        patch.setattr(histories, "delete", delete)
        error = Unavailable("gone in the middle")
        error.uncertain = uncertain
        raise error

    patch.setattr(histories, "delete", fail)


def before(
    adapter: InMemoryAdapter,
    patch: pytest.MonkeyPatch,
    name: str,
    other: Callable[[], Awaitable[Any]],
) -> None:
    """Let somebody else do something before the second call from now on of the entities."""
    entities = adapter.stores[0]
    call = getattr(entities, name)

    async def first(*args: Any) -> Any:
        patch.setattr(entities, name, second)
        return await call(*args)

    async def second(*args: Any) -> Any:
        patch.setattr(entities, name, call)
        await other()
        return await call(*args)

    patch.setattr(entities, name, first)


def counted(adapter: InMemoryAdapter, patch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that are made, which take no time."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    patch.setattr(adapter.stores[0].runtime, "sleep", sleep)
    return pauses


async def left(adapter: InMemoryAdapter) -> StoredNote | None:
    return (await adapter.stores[0].get((), ["left/p1"])).notes[0]


async def broken_off(patch: pytest.MonkeyPatch) -> InMemoryAdapter:
    """An adapter with what is left of a point."""
    adapter = InMemoryAdapter([POINT])
    failing(adapter, patch, uncertain=False)
    with pytest.raises(Unavailable):
        await adapter.delete("p1")
    return adapter


def test_who_failed_for_certain_lets_nobody_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        adapter = await broken_off(monkeypatch)
        pauses = counted(adapter, monkeypatch)
        await adapter.create(POINT)
        assert (pauses, await left(adapter)) == ([], None)

    asyncio.run(work())


def test_who_may_be_at_it_still_is_waited_for_until_his_time_is_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work() -> None:
        adapter = InMemoryAdapter([POINT])
        failing(adapter, monkeypatch, uncertain=True)
        with pytest.raises(Unavailable):
            await adapter.delete("p1")
        note = await left(adapter)
        assert note is not None
        now = (await adapter.stores[0].get(())).state.now
        assert 5_000_000 < int(note.value) - now <= 10_000_000

        async def sleep(_: float) -> None:
            over = Note("left/p1", b"%d" % now, note.version)
            await adapter.stores[0].commit([over])

        monkeypatch.setattr(adapter.stores[0].runtime, "sleep", sleep)
        await adapter.delete("p1")
        assert await left(adapter) is None
        with pytest.raises(NotFound):
            await adapter.delete("p1")

    asyncio.run(work())


def test_who_is_not_the_first_to_begin_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        adapter = await broken_off(monkeypatch)
        pauses = counted(adapter, monkeypatch)

        async def faster() -> None:
            await adapter.stores[0].commit([Note("left/p1", b"2")])
            await adapter.stores[0].commit([Note("left/p1", None)])

        before(adapter, monkeypatch, "commit", faster)
        await adapter.load([POINT])
        assert len(pauses) == 1

    asyncio.run(work())


def test_what_somebody_else_cleared_away_is_in_nobodys_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work() -> None:
        adapter = await broken_off(monkeypatch)
        entities = adapter.stores[0]
        commit = entities.commit

        async def commit_early(changes: Sequence[Change]) -> int:
            monkeypatch.setattr(entities, "commit", commit)
            try:
                return await commit(changes)
            finally:
                await commit([Note("left/p1", None)])

        monkeypatch.setattr(entities, "commit", commit_early)
        assert await adapter.create(POINT) == Ref("p1")

    asyncio.run(work())


def test_who_cannot_create_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        adapter = InMemoryAdapter([POINT])
        error = PreconditionFailed("others wrote", transient=True)

        async def refused(_: Sequence[Change]) -> int:
            raise error

        with pytest.raises(AlreadyExists):
            await adapter.create(POINT)
        monkeypatch.setattr(adapter.stores[0], "commit", refused)
        with pytest.raises(PreconditionFailed) as caught:
            await adapter.create(POINT)
        assert caught.value is error

    asyncio.run(work())


def test_who_is_no_longer_the_one_at_it_deletes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        adapter = await broken_off(monkeypatch)
        pauses = counted(adapter, monkeypatch)
        deleted: list[str] = []
        entities, delete = adapter.stores[0], adapter.stores[1].delete

        async def counting(point: str) -> int:
            deleted.append(point)
            return await delete(point)

        async def somebody() -> None:
            await entities.commit([Note("left/p1", b"1")])

        monkeypatch.setattr(adapter.stores[1], "delete", counting)
        before(adapter, monkeypatch, "get", somebody)
        await adapter.load([POINT])
        assert (len(pauses), deleted) == (1, ["p1"])

    asyncio.run(work())


def test_samples_of_a_point_that_goes_are_deleted_after_those_that_are_left_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work() -> None:
        adapter = InMemoryAdapter([POINT])
        write = adapter.stores[1].write

        async def write_late(samples: Any) -> None:
            failing(adapter, monkeypatch, uncertain=False)
            with pytest.raises(Unavailable):
                await adapter.delete("p1")
            await write(samples)

        monkeypatch.setattr(adapter.stores[1], "write", write_late)
        with pytest.raises(NotFound):
            await adapter.his_write("p1", SAMPLES)
        assert await left(adapter) is None
        assert len((await adapter.stores[1].read(["p1"]))[0]) == 0

    asyncio.run(work())
