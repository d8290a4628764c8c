"""What users of haystack-py write for its three backends works here, with other imports."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.adapter.protocol import StorageAdapter
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.postgres import TimescaleAdapter
from holdall.haystack.redis import RedisAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdall.haystack.adapter.face import HaystackAdapter
    from servers import PostgresServer, RedisServer


# As `json.load` gives it: the text form of version 4, also called Hayson.
_SAVED = json.dumps(
    [
        {"id": {"_kind": "ref", "val": "site-1"}, "dis": "HQ", "site": {"_kind": "marker"}},
        {
            "id": {"_kind": "ref", "val": "point-1"},
            "siteRef": {"_kind": "ref", "val": "site-1", "dis": "HQ"},
            "point": {"_kind": "marker"},
            "his": {"_kind": "marker"},
            "writable": {"_kind": "marker"},
            "kind": "Number",
            "unit": "°C",
            "tz": "New_York",
            "area": 100,
        },
    ]
)


def _memory(_: pytest.FixtureRequest) -> HaystackAdapter:
    return InMemoryAdapter()


def _redis(request: pytest.FixtureRequest) -> HaystackAdapter:
    server: RedisServer = request.getfixturevalue("redis_stack_server")
    server.make_empty()
    return RedisAdapter(redis_url=server.url)


def _timescale(request: pytest.FixtureRequest) -> HaystackAdapter:
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return TimescaleAdapter(dsn=server.dsn(server.make_database()))


@pytest.fixture(params=[_memory, _redis, _timescale], ids=["memory", "redis", "timescale"])
def make(request: pytest.FixtureRequest) -> Callable[[], HaystackAdapter]:
    return lambda: request.param(request)


def test_entities_at_construction_and_afterwards() -> None:
    entities = [{"id": Ref("site-1"), "dis": "HQ", "site": MARKER}]
    loaded = InMemoryAdapter()
    loaded.load_entities(entities)
    for storage in (InMemoryAdapter(entities=entities), loaded):
        assert isinstance(storage, StorageAdapter)
        assert _run(storage.read("site", 10)) == entities


def test_the_page_from_end_to_end(make: Callable[[], HaystackAdapter], tmp_path: Path) -> None:
    (tmp_path / "alpha.json").write_text(_SAVED)

    async def page() -> None:
        adapter = make()
        await adapter.connect()
        with open(tmp_path / "alpha.json") as f:
            entities = json.load(f)
        for entity in entities:
            await adapter.create(entity)

        found = await adapter.read("siteRef==@site-1 and area==100", 10)
        assert [one["id"] for one in found] == [Ref("point-1")]
        assert found[0]["area"] == Number(100)
        assert [one["id"] for one in await adapter.read("siteRef->site", 10)] == [Ref("point-1")]
        assert await adapter.read_by_ids(["gone", "site-1"]) == [
            None,
            {"id": Ref("site-1"), "dis": "HQ", "site": MARKER},
        ]
        assert [one["id"] for one in await adapter.nav(None)] == [Ref("site-1")]

        noon = [datetime(2024, 6, day, 16, tzinfo=UTC) for day in (1, 15, 30)]
        items = [{"ts": ts, "val": Number(20 + at, "°C")} for at, ts in enumerate(noon)]
        await adapter.his_write("point-1", items)
        his = await adapter.his_read("point-1", "2024-06-15")
        assert [one["val"] for one in his] == [Number(21, "°C")]
        his = await adapter.his_read("point-1", "2024-06-01,2024-06-30")
        assert [one["ts"] for one in his] == noon

        levels = await adapter.point_write("point-1", 8, Number(5, "°C"), "me")
        assert levels[7]["val"] == Number(5, "°C")

        await adapter.watch_sub("watch-1", ["site-1"])
        await adapter.update("site-1", {"dis": "Headquarters"})
        assert [one["dis"] for one in await adapter.watch_poll("watch-1", False)] == [
            "Headquarters"
        ]
        await adapter.watch_unsub("watch-1", ["site-1"])
        assert (await adapter.about())["haystackVersion"]
        await adapter.close()

    _run(page())


def test_the_variables_name_the_servers(
    redis_stack_server: RedisServer,
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    redis_stack_server.make_empty()
    monkeypatch.setenv("REDIS_URL", redis_stack_server.url)
    monkeypatch.setenv("TIMESCALE_DSN", postgres_server.dsn(postgres_server.make_database()))

    async def both() -> None:
        for adapter in (RedisAdapter(), TimescaleAdapter()):
            async with adapter:
                await adapter.create({"id": Ref("a"), "site": MARKER})
                assert len(await adapter.read("site", 10)) == 1

    _run(both())


def test_the_tables_are_those_of_the_page(postgres_server: PostgresServer) -> None:
    database = postgres_server.make_database()

    async def write() -> None:
        async with TimescaleAdapter(dsn=postgres_server.dsn(database)) as adapter:
            for entity in json.loads(_SAVED):
                await adapter.create(entity)
            at = datetime(2024, 6, 15, 16, tzinfo=UTC)
            await adapter.his_write("point-1", [{"ts": at, "val": Number(21.5, "°C")}])

    _run(write())
    statement = "SELECT id FROM entities WHERE tags->'siteRef'->>'val' = 'site-1'"
    assert postgres_server.ask(statement, database) == [("point-1",)]
    statement = "SELECT id FROM entities WHERE (tags->>'area')::float > 99"
    assert postgres_server.ask(statement, database) == [("point-1",)]
    assert postgres_server.ask("SELECT point_id, ts, val FROM history", database) == [
        ("point-1", datetime(2024, 6, 15, 16, tzinfo=UTC), 21.5)
    ]


class MyAdapter(StorageAdapter):
    """A backend of one's own, as the page shows it."""

    async def about(self) -> dict[str, Any]:
        return {"productName": "mine"}

    async def read(self, filter_str: str, limit: int) -> list[dict[str, Any]]:
        return [{"id": Ref("a"), "filter": filter_str}][:limit]

    async def read_by_ids(self, ids: list[str]) -> list[dict[str, Any] | None]:
        return [{"id": Ref(one)} for one in ids]

    async def nav(self, nav_id: str | None) -> list[dict[str, Any]]:
        return []

    async def his_read(self, id: str, range_str: str) -> list[dict[str, Any]]:  # noqa: A002
        return []

    async def his_write(self, id: str, items: list[dict[str, Any]]) -> None: ...  # noqa: A002

    async def point_write(
        self,
        id: str,  # noqa: A002
        level: int,
        val: Any,
        who: str,
    ) -> list[dict[str, Any]]:
        return []

    async def watch_sub(self, watch_id: str, ids: list[str]) -> list[dict[str, Any] | None]:
        return []

    async def watch_unsub(self, watch_id: str, ids: list[str]) -> None: ...

    async def watch_poll(self, watch_id: str, refresh: bool) -> list[dict[str, Any]]:
        return []


def test_a_class_with_the_ten_methods_is_an_adapter() -> None:
    mine = MyAdapter()
    assert isinstance(mine, StorageAdapter)
    assert _run(mine.read("site", 1)) == [{"id": Ref("a"), "filter": "site"}]


def _run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)
