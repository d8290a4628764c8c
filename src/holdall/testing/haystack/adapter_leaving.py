"""Facts about points that are deleted while others write to them, or make them anew."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import NotFound
from holdall.haystack.kinds import MARKER, Number, Ref
from holdall.testing.haystack.adapter_facts import AdapterFacts

if TYPE_CHECKING:
    from holdall.haystack.adapter.face import HaystackAdapter

_POINT = {"id": Ref("p1"), "point": MARKER, "his": MARKER}
_NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)


class AdapterLeaving(AdapterFacts):
    """Facts that are part of `HaystackAdapterSuite`."""

    @pytest.mark.parametrize("how", ["create", "load"])
    async def test_a_deletion_that_comes_late_takes_no_samples_of_a_new_point(
        self, adapter: HaystackAdapter, how: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = self.another()
        await other.load([_POINT])
        histories, runtime = adapter.stores[1], other.stores[0].runtime
        delete, sleep = histories.delete, runtime.sleep
        reached, waits, may_go = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def delete_late(point: str) -> int:
            reached.set()
            await may_go.wait()
            return await delete(point)

        async def wait(seconds: float) -> None:
            waits.set()
            await sleep(seconds)

        async def make_anew() -> None:
            await (other.create(_POINT) if how == "create" else other.load([_POINT]))
            await other.his_write("p1", [{"ts": _NOON, "val": 2.0}])

        monkeypatch.setattr(histories, "delete", delete_late)
        monkeypatch.setattr(runtime, "sleep", wait)
        deleting = asyncio.create_task(adapter.delete("p1"))
        await reached.wait()
        making = asyncio.create_task(make_anew())
        waiting = asyncio.create_task(waits.wait())
        await asyncio.wait({making, waiting}, return_when=asyncio.FIRST_COMPLETED)
        may_go.set()
        await asyncio.gather(deleting, making)
        waiting.cancel()
        assert [one["val"] for one in await adapter.his_read("p1")] == [Number(2.0)]

    @pytest.mark.parametrize("many", [False, True])
    async def test_samples_that_are_written_to_a_point_while_it_is_deleted_go_too(
        self, adapter: HaystackAdapter, many: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = self.another()
        await other.load([_POINT, {**_POINT, "id": Ref("p2")}])
        histories = adapter.stores[1]
        write = histories.write

        async def write_late(samples: Any) -> None:
            await other.delete("p1")
            await write(samples)

        monkeypatch.setattr(histories, "write", write_late)
        items = [{"ts": _NOON, "val": 1.0}]
        with pytest.raises(NotFound, match="p1"):
            await adapter.his_write_many({"p2": items, "p1": items} if many else {"p1": items})
        with pytest.raises(NotFound):
            await other.delete("p1")
        await other.create(_POINT)
        assert await other.his_read("p1") == []
        assert len(await other.his_read("p2")) == many
