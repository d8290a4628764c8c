"""A thousand reads and writes at once over one adapter: each is answered rightly, none is lost."""

from __future__ import annotations

import asyncio
from array import array
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from holdall.core.errors import AlreadyExists, PreconditionFailed
from holdall.core.secrets import Secret
from holdall.haystack.kinds import MARKER, Number, Ref
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.postgres import TimescaleAdapter
from holdall.haystack.redis import RedisAdapter
from holdall.haystack.sqlite import SqliteAdapter
from holdall.haystack.stores.histories import Samples

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
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


@pytest.fixture(params=["redis", "redis stack", "postgres"])
def served(request: pytest.FixtureRequest) -> Iterator[HaystackAdapter]:
    """An adapter of an empty place on a server."""
    if request.param != "postgres":
        name = "redis_server" if request.param == "redis" else "redis_stack_server"
        yield RedisAdapter(request.getfixturevalue(name).url, prefix=uuid4().hex, timeout=300)
        return
    server = request.getfixturevalue("postgres_server")
    database = request.getfixturevalue("postgres_database")
    schema = f"crowd_{uuid4().hex}"
    server.ask(f"CREATE SCHEMA {schema}", database)
    # Whoever asks last waits for a connection until all the others were answered.
    yield TimescaleAdapter(Secret(server.dsn(database)), schema=schema, timeout="5m")
    server.ask(f"DROP SCHEMA {schema} CASCADE", database)


@pytest.mark.untraced
@pytest.mark.parametrize("each", [25, pytest.param(MANY // 4, marks=pytest.mark.soak)])
def test_many_reads_and_writes_of_a_server_at_once_lose_nothing(
    served: HaystackAdapter, each: int
) -> None:
    async def create(at: int) -> None:
        await served.create({"id": Ref(f"e{at}"), "made": Number(at)})

    async def update(at: int) -> None:
        await served.update(f"p{at % POINTS:02}", {f"t{at}": Number(at)})

    async def write(at: int) -> None:
        of, moments = f"p{at % POINTS:02}", array("q", [at * 1000, at * 1000 + 1])
        await served.his_write(of, Samples(moments, array("d", [at, -at]), "kW"))
        assert set(moments) <= set((await served.his_columns(of)).ts)

    async def read(at: int) -> None:
        (found,) = await served.read_by_ids([f"p{at % POINTS:02}"])
        assert found is not None

    async def main() -> None:
        async with served:
            await served.load(point(at) for at in range(POINTS))
            steps = (create, update, write, read)
            await asyncio.gather(*(step(at) for at in range(each) for step in steps))
            assert len(await served.read("made")) == each
            points = await served.read("point")
            assert {tag for one in points for tag in one if tag[1:].isdigit()} == {
                f"t{at}" for at in range(each)
            }
            histories = await served.his_read_many([f"p{at:02}" for at in range(POINTS)])
            assert sum(map(len, histories.values())) == 2 * each

    asyncio.run(main())


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
