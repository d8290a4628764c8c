"""Adapters by their address, and the one in memory as haystack-py has it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import holdall
from holdall.core.errors import InvalidConfig, InvalidValue
from holdall.haystack import MARKER, Ref
from holdall.haystack.adapter.protocol import StorageAdapter
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.postgres import TimescaleAdapter
from holdall.haystack.redis import RedisAdapter
from holdall.haystack.stores.postgres import PostgresHaystackSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.haystack.adapter.face import HaystackAdapter
    from servers import RedisServer

SITE = {"id": Ref("s1"), "site": MARKER}


def test_memory_is_new_at_each_opening_and_shared_under_a_name() -> None:
    async def work() -> None:
        async with holdall.open_adapter("memory://") as one:
            await one.create(SITE)
            async with holdall.open_adapter("memory://") as other:
                assert await other.read("site") == []
        async with holdall.open_adapter("memory://opening-test") as one:
            await one.create(SITE)
            async with holdall.open_adapter("memory://opening-test") as other:
                assert await other.read("site") == [SITE]

    asyncio.run(work())


@pytest.mark.parametrize("url", ["", "plant.db", "nothing://x", "memory:", "memory://a/b"])
def test_what_is_no_address_says_what_is(url: str) -> None:
    with pytest.raises(InvalidConfig, match="memory://"):
        holdall.open_adapter(url)


def test_an_address_that_is_none_shows_no_password() -> None:
    with pytest.raises(InvalidConfig) as caught:
        holdall.open_adapter("mysql://me:secret@host/plant")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:2024/secret@host",
        "redis://:20?24secret@host",
        "redis://me:1?secret=x@host",
        "redis://me:1?secret&x=y@host",
        "redis://me:secret/x@host",
        "postgresql://me:12?3secret@host/plant",
        "postgresql://me:1?secret=x@host/plant",
        "postgresql://me:1?secret&x=y@host/plant",
    ],
)
def test_a_password_that_is_not_encoded_is_not_shown(url: str) -> None:
    with pytest.raises(InvalidConfig, match="percent-encoded") as caught:
        holdall.open_adapter(url)
    assert "secret" not in str(caught.value)


def test_what_is_no_text_is_no_address() -> None:
    with pytest.raises(InvalidConfig):
        holdall.open_adapter(None)  # type: ignore[arg-type]


def test_a_command_stays_in_effect_when_its_point_is_loaded_at_once() -> None:
    point = {"id": Ref("p1"), "writable": MARKER}
    adapter = InMemoryAdapter([point])
    asyncio.run(adapter.point_write("p1", 9, True))
    adapter.load_entities([point])
    (found,) = asyncio.run(adapter.read("writeLevel==9"))
    assert found["writeVal"] is True


@pytest.mark.parametrize("entities", [None, SITE, "s1", 5])
def test_what_is_no_list_of_entities_is_refused(entities: Any) -> None:
    with pytest.raises(InvalidValue):
        InMemoryAdapter(entities)


def test_entities_are_loaded_at_once_without_a_loop() -> None:
    adapter = InMemoryAdapter(entities=[SITE])
    assert adapter.load_entities([{"id": Ref("s2")}, {"id": {"_kind": "ref", "val": "s1"}}]) == 2
    assert asyncio.run(adapter.read("id")) == [{"id": Ref("s1")}, {"id": Ref("s2")}]


def test_of_entities_one_of_which_is_none_no_one_is_loaded() -> None:
    adapter = InMemoryAdapter()
    with pytest.raises(InvalidValue, match="entity 1"):
        adapter.load_entities([SITE, {"dis": "no id"}])
    assert asyncio.run(adapter.read("id")) == []


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "timescale", "TimeScale"])
def test_an_address_of_postgresql_may_hold_settings(scheme: str) -> None:
    url = f"{scheme}://me:secret@nowhere.invalid:1/plant?schema=north&connections=3&timeout=2s"
    entities, histories = holdall.open_adapter(url).stores
    assert entities.settings is histories.settings
    assert isinstance(entities.settings, PostgresHaystackSettings)
    assert entities.settings.dsn is not None
    assert entities.settings.dsn.reveal() == "postgresql://me:secret@nowhere.invalid:1/plant"
    assert (entities.settings.schema, entities.settings.connections) == ("north", 3)
    assert "secret" not in repr(entities.settings)


def test_an_address_of_postgresql_may_hold_parameters_of_libpq() -> None:
    query = (
        "application_name=plant%20one&schema=north&sslmode=require&connect_timeout=7&options=-c%20x"
    )
    (settings, _) = (
        one.settings for one in holdall.open_adapter(f"timescale://h/p?{query}").stores
    )
    assert isinstance(settings, PostgresHaystackSettings)
    assert settings.dsn is not None
    assert settings.dsn.reveal() == (
        "postgresql://h/p?application_name=plant%20one&sslmode=require&options=-c%20x"
    )
    assert (settings.schema, settings.connect_timeout) == ("north", timedelta(seconds=7))


def test_a_parameter_of_postgresql_that_is_none_is_refused_with_its_neighbour() -> None:
    with pytest.raises(InvalidConfig, match=r"shema.*schema"):
        holdall.open_adapter("postgresql://h/p?application_name=plant&shema=north")


@pytest.mark.parametrize("made", [TimescaleAdapter, partial(holdall.open_adapter, "timescale://")])
def test_the_address_of_postgresql_may_stand_in_a_variable(
    made: Callable[[], HaystackAdapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMESCALE_DSN", "postgresql://me@first/plant")
    settings = made().stores[0].settings
    assert isinstance(settings, PostgresHaystackSettings)
    assert settings.dsn is not None
    monkeypatch.setenv("TIMESCALE_DSN", "postgresql://me@second/plant")
    assert settings.dsn.reveal() == "postgresql://me@second/plant"
    monkeypatch.delenv("TIMESCALE_DSN")
    with pytest.raises(InvalidConfig, match="TIMESCALE_DSN"):
        made()


@pytest.mark.parametrize("query", ["nothing=1", "connections=many", "timeout=x", "dsn=x"])
def test_a_setting_of_postgresql_that_cannot_be_is_refused(query: str) -> None:
    with pytest.raises(InvalidConfig, match=query.partition("=")[0]) as caught:
        holdall.open_adapter(f"postgresql://me:secret@host/plant?{query}")
    assert "secret" not in str(caught.value)


class Mine(StorageAdapter):
    async def about(self) -> dict[str, Any]:
        return {"productName": "mine"}

    async def read(self, filter_str: str, limit: int) -> list[dict[str, Any]]:
        return [{"filter": filter_str, "limit": limit}]

    async def read_by_ids(self, ids: list[str]) -> list[dict[str, Any]]:
        return [{"id": Ref(one)} for one in ids]

    async def nav(self, nav_id: str | None) -> list[dict[str, Any]]:
        return []

    async def his_read(self, id: str, range_str: str) -> list[dict[str, Any]]:  # noqa: A002
        return []

    async def his_write(self, id: str, items: list[dict[str, Any]]) -> None:  # noqa: A002
        return None

    async def point_write(
        self,
        id: str,  # noqa: A002
        level: int,
        val: Any,
        who: str,
    ) -> list[dict[str, Any]]:
        return []

    async def watch_sub(self, watch_id: str, ids: list[str]) -> list[dict[str, Any]]:
        return []

    async def watch_unsub(self, watch_id: str, ids: list[str]) -> None:
        return None

    async def watch_poll(self, watch_id: str, refresh: bool) -> list[dict[str, Any]]:
        return []


def test_an_adapter_of_ten_methods_may_be_written_by_others() -> None:
    adapter = Mine()
    assert isinstance(adapter, StorageAdapter)
    assert asyncio.run(adapter.read("site", 5)) == [{"filter": "site", "limit": 5}]
    assert not isinstance(object(), StorageAdapter)


# Redis.


def address_of(adapter: Any) -> str:
    entities, histories = adapter.stores
    assert entities.settings is histories.settings
    address: str = entities.address
    return address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost", "redis://localhost:6379/0"),
        ("redis://plant.example:6380/2", "redis://plant.example:6380/2"),
        ("REDIS://h/0", "redis://h:6379/0"),
        ("rediss://h", "rediss://h:6379/0"),
        ("redis://[::1]:7/1", "redis://[::1]:7/1"),
        ("redis://h?db=4", "redis://h:6379/4"),
    ],
)
def test_an_address_of_redis_names_the_server_and_the_database(url: str, address: str) -> None:
    assert address_of(holdall.open_adapter(url)) == address
    assert address_of(RedisAdapter(redis_url=url)) == address


def test_redis_is_found_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://h:1/3")
    assert address_of(RedisAdapter()) == "redis://h:1/3"
    monkeypatch.delenv("REDIS_URL")
    with pytest.raises(InvalidConfig, match="REDIS_URL"):
        RedisAdapter()


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:secret@h/plant",
        "redis://me:secret@h:99999",
        "redis://me:secret@h:x",
        "redis://me:secret@h?colour=red",
        "redis://me:secret@h?search=perhaps",
        "redis://me:secret@h?prefix={x}",
        "redis://me:secret@h?prefix=",
    ],
)
def test_an_address_of_redis_that_is_none_shows_no_password(url: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        holdall.open_adapter(url)
    assert "secret" not in str(caught.value)


def test_an_address_of_redis_may_hold_settings() -> None:
    adapter = holdall.open_adapter("redis://me:p%40ss@h?prefix=plant:7&search=no&timeseries=false")
    settings: Any = adapter.stores[0].settings
    assert (settings.prefix, settings.search, settings.timeseries) == ("plant:7", False, False)
    assert (settings.username, settings.password.reveal()) == ("me", "p@ss")
    assert "p@ss" not in repr(settings)


def test_a_database_of_redis_is_of_its_own(redis_server: RedisServer) -> None:
    url = redis_server.make_empty()

    async def work() -> None:
        async with holdall.open_adapter(f"{url}/3") as adapter:
            await adapter.create(SITE)
        async with holdall.open_adapter(f"{url}/3") as adapter:
            assert await adapter.read("site") == [SITE]
        async with holdall.open_adapter(f"{url}/2") as adapter:
            assert await adapter.read("site") == []

    asyncio.run(work())
    assert redis_server.ask("SELECT 3", "EXISTS {holdall:hs}:m") == ["+OK", ":1"]
