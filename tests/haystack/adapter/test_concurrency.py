"""A thousand reads and writes at once over one adapter: each is answered rightly, none is lost."""

from __future__ import annotations

import asyncio
from array import array
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import AlreadyExists, PreconditionFailed
from holdall.haystack.kinds import MARKER, Number, Ref
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.sqlite import SqliteAdapter
from holdall.haystack.stores.histories import Samples

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from holdall.haystack.adapter.face import HaystackAdapter

MANY = 1_000
FEW = 100
"""How many of those who try again whenever another one came in between."""
POINTS = 20


@pytest.fixture(params=["memory", "sqlite"])
def run(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[Callable[[HaystackAdapter], Coroutine[Any, Any, Any]]], Any]:
    """Runs what asks an adapter with some points."""

    def run(use: Callable[[HaystackAdapter], Coroutine[Any, Any, Any]]) -> Any:
        async def main() -> Any:
            adapter: HaystackAdapter = (
                InMemoryAdapter()
                if request.param == "memory"
                else SqliteAdapter(tmp_path / "many.db", durable=False)
            )
            async with adapter:
                await adapter.load(point(at) for at in range(POINTS))
                return await use(adapter)

        return asyncio.run(main())

    return run


def point(at: int) -> dict[str, Any]:
    return {
        "id": Ref(f"p{at:02}"),
        "point": MARKER,
        "his": MARKER,
        "writable": MARKER,
        "kind": "Number",
        "unit": "kW",
        "tz": "UTC",
        "n": Number(0),
    }


def test_each_of_many_updates_and_reads_sees_a_whole_entity(run: Any) -> None:
    async def use(adapter: HaystackAdapter) -> None:
        async def write(at: int) -> None:
            await adapter.update(f"p{at % POINTS:02}", {"n": Number(at), "same": Number(at)})

        async def read(_: int) -> None:
            for one in await adapter.read("same"):
                assert one["n"] == one["same"]

        await asyncio.gather(*((read if at % 2 else write)(at) for at in range(MANY)))
        assert len(await adapter.read("same")) == POINTS // 2

    run(use)


def test_of_many_updates_that_expect_a_version_none_is_lost(run: Any) -> None:
    async def use(adapter: HaystackAdapter) -> None:
        async def count(of: str) -> None:
            while True:
                (version,) = await adapter.versions([of])
                (now,) = await adapter.read_by_ids([of])
                assert now is not None
                number = now["n"]
                assert isinstance(number, Number)
                try:
                    await adapter.update(of, {"n": Number(number.val + 1)}, expected=version)
                except PreconditionFailed:
                    continue
                return

        await asyncio.gather(*(count(f"p{at % POINTS:02}") for at in range(FEW)))
        every = await adapter.read("point")
        assert [one["n"] for one in every] == [Number(FEW // POINTS)] * POINTS

    run(use)


def test_of_many_who_create_one_entity_all_but_one_are_told(run: Any) -> None:
    async def use(adapter: HaystackAdapter) -> None:
        async def create(at: int) -> bool:
            try:
                await adapter.create({"id": Ref("new"), "by": Number(at)})
            except AlreadyExists:
                return False
            return True

        made = await asyncio.gather(*map(create, range(MANY)))
        (new,) = await adapter.read("by")
        assert [Number(at) for at, one in enumerate(made) if one] == [new["by"]]

    run(use)


def test_samples_that_many_write_are_all_there_and_in_order(run: Any) -> None:
    async def use(adapter: HaystackAdapter) -> None:
        each = MANY // POINTS

        async def write(at: int) -> None:
            number, of = divmod(at, POINTS)
            # Those of one point come in no order, and two write each moment.
            place = number * 7 % each
            ts = array("q", [place * 1000, (place + 1) % each * 1000])
            ordered = array("q", sorted(ts))
            vals = array("d", [moment / 1000 for moment in ordered])
            await adapter.his_write(f"p{of:02}", Samples(ordered, vals, "kW"))
            found = await adapter.his_columns(f"p{of:02}")
            assert set(ts) <= set(found.ts)

        await asyncio.gather(*map(write, range(MANY)))
        for of in range(POINTS):
            found = await adapter.his_columns(f"p{of:02}")
            assert list(found.ts) == [at * 1000 for at in range(each)]
            assert list(found.vals) == list(map(float, range(each)))

    run(use)


def test_many_who_command_and_watch_points_are_all_answered(run: Any) -> None:
    async def use(adapter: HaystackAdapter) -> None:
        ids = [f"p{at:02}" for at in range(POINTS)]
        await adapter.watch_sub("w", ids)
        told: set[object] = set()

        async def command(at: int) -> None:
            of = f"p{at % POINTS:02}"
            levels = await adapter.point_write(of, at % 4 + 13, Number(at), f"user {at}")
            assert levels[at % 4 + 12]["who"] == f"user {at}"

        async def poll(_: int) -> None:
            told.update(one["id"] for one in await adapter.watch_poll("w"))

        await asyncio.gather(*((poll if at % 5 == 0 else command)(at) for at in range(FEW)))
        await poll(0)
        assert told == {Ref(of) for of in ids if int(of[1:]) % 5}

    run(use)
