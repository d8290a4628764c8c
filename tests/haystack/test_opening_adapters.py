"""Adapters by their address, and the one in memory as haystack-py has it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import holdall
from holdall.core.errors import InvalidConfig, InvalidValue
from holdall.haystack import MARKER, Ref
from holdall.haystack.adapter.protocol import StorageAdapter
from holdall.haystack.memory import InMemoryAdapter

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
