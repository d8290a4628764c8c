"""Facts about the watches of adapters."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from holdall.core.errors import NotFound, Unavailable
from holdall.haystack.kinds import MARKER, Number, Ref
from holdall.testing.haystack.adapter_facts import AdapterFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.haystack.adapter.face import HaystackAdapter
    from holdall.haystack.stores.entities import Change

_SITE = {"id": Ref("s1"), "site": MARKER}
_POINT = {"id": Ref("p1"), "point": MARKER, "unit": "°C", "writable": MARKER}
_NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)


class AdapterWatches(AdapterFacts):
    """Facts that are part of `HaystackAdapterSuite`."""

    async def test_a_watch_tells_what_changed_and_nothing_else(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([_SITE, _POINT, {"id": Ref("p2")}])
        assert await adapter.watch_sub("w", ["p1", "@p2", "late"]) == [
            _POINT,
            {"id": Ref("p2")},
            None,
        ]
        assert await adapter.watch_poll("w") == []
        other = self.another()
        await other.update("p1", {"curVal": 5})
        await other.update("s1", {"dis": "unwatched"})
        await other.his_write("p1", [{"ts": _NOON, "val": 1.0}])
        assert [one["curVal"] for one in await adapter.watch_poll("w")] == [Number(5)]
        assert await adapter.watch_poll("w") == []
        await other.create({"id": Ref("late")})
        await other.load([{"id": Ref("p2"), "new": MARKER}])
        await other.point_write("p1", 8, 1.0)
        changed = await adapter.watch_poll("w")
        assert sorted(str(one["id"]) for one in changed) == ["@late", "@p1", "@p2"]
        await other.delete("p2")
        assert await adapter.watch_poll("w") == [{"id": Ref("p2"), "removed": MARKER}]
        refreshed = await adapter.watch_poll("w", True)
        assert sorted(str(one["id"]) for one in refreshed) == ["@late", "@p1"]

    @pytest.mark.parametrize("error", [Unavailable, asyncio.CancelledError])
    async def test_what_a_poll_that_broke_off_would_have_told_is_told_by_the_next(
        self, adapter: HaystackAdapter, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await adapter.load([{"id": Ref("a")}, {"id": Ref("b")}])
        await adapter.watch_sub("w", ["a", "b"])
        await adapter.update("a", {"n": 1})
        store = adapter.stores[0]
        commit = store.commit

        async def broken_off(changes: Sequence[Change]) -> int:
            monkeypatch.setattr(store, "commit", commit)
            await commit(changes)
            raise error("after it was done")

        monkeypatch.setattr(store, "commit", broken_off)
        with pytest.raises(error):
            await adapter.watch_poll("w")
        assert {"id": Ref("a"), "n": Number(1)} in await adapter.watch_poll("w")
        assert await adapter.watch_poll("w") == []

    async def test_a_watch_is_added_to_and_taken_from(self, adapter: HaystackAdapter) -> None:
        await adapter.load([{"id": Ref(one)} for one in "abc"])
        await adapter.watch_sub("w", ["a"])
        await adapter.update("a", {"n": 1})
        await adapter.update("b", {"n": 1})
        assert [str(one["id"]) for one in await adapter.watch_sub("w", ["b"]) if one] == ["@b"]
        assert [str(one["id"]) for one in await adapter.watch_poll("w")] == ["@a"]
        await adapter.watch_unsub("w", ["a"])
        await adapter.update("a", {"n": 2})
        await adapter.update("b", {"n": 2})
        assert [str(one["id"]) for one in await adapter.watch_poll("w")] == ["@b"]

    async def test_a_watch_that_is_not_there_is_an_error(self, adapter: HaystackAdapter) -> None:
        await adapter.create({"id": Ref("a")})
        await adapter.watch_sub("w", ["a"])
        await adapter.watch_unsub("w", [], close=True)
        for call in (
            adapter.watch_poll("w"), adapter.watch_unsub("w", ["a"]), adapter.watch_poll("never"),
        ):  # fmt: skip
            with pytest.raises(NotFound):
                await call

    async def test_a_watch_ends_with_its_lease(self, adapter: HaystackAdapter) -> None:
        await adapter.create({"id": Ref("a")})
        await adapter.watch_sub("w", ["a"], lease=1)
        await asyncio.sleep(1.05)
        with pytest.raises(NotFound):
            await adapter.watch_poll("w")
        assert await adapter.watch_sub("w", ["a"]) == [{"id": Ref("a")}]

    async def test_watches_do_not_see_each_other(self, adapter: HaystackAdapter) -> None:
        await adapter.load([{"id": Ref("a")}, {"id": Ref("b")}])
        await adapter.watch_sub("one", ["a"])
        await adapter.watch_sub("two", ["b"])
        await adapter.update("a", {"n": 1})
        assert await adapter.watch_poll("two") == []
        assert len(await adapter.watch_poll("one")) == 1

    async def test_a_watch_may_be_of_many(self, adapter: HaystackAdapter) -> None:
        ids = [f"e{at}" for at in range(10_000)]
        assert len(await adapter.watch_sub("w", ids)) == len(ids)
        await adapter.load([{"id": Ref("e7")}, {"id": Ref("e9999")}, {"id": Ref("other")}])
        assert await adapter.watch_poll("w") == [{"id": Ref("e7")}, {"id": Ref("e9999")}]
        assert await adapter.watch_poll("w") == []

    async def test_what_was_removed_and_came_only_for_a_commit_stays_told(
        self, adapter: HaystackAdapter
    ) -> None:
        await adapter.load([{"id": Ref("a")}])
        await adapter.watch_sub("w", ["a"])
        await adapter.delete("a")
        await adapter.create({"id": Ref("a")})
        await adapter.delete("a")
        assert await adapter.watch_poll("w") == [{"id": Ref("a"), "removed": MARKER}]

    async def test_a_lease_is_renewed_by_each_call(self, adapter: HaystackAdapter) -> None:
        await adapter.create({"id": Ref("a")})
        await adapter.watch_sub("w", ["a"], lease=1)
        for call in (
            lambda: adapter.watch_poll("w"),
            lambda: adapter.watch_unsub("w", ["b"]),
            lambda: adapter.watch_sub("w", ["b"]),
        ):
            await asyncio.sleep(0.6)
            await call()
        await asyncio.sleep(0.6)
        assert await adapter.watch_poll("w") == []

    async def test_a_watch_that_is_added_to_keeps_its_lease(self, adapter: HaystackAdapter) -> None:
        await adapter.watch_sub("w", ["a"], lease=1)
        await adapter.watch_sub("w", ["b"])
        await asyncio.sleep(1.05)
        with pytest.raises(NotFound):
            await adapter.watch_poll("w")

    async def test_watches_whose_lease_ended_leave_nothing(self, adapter: HaystackAdapter) -> None:
        await adapter.watch_sub("old", ["a"], lease=1)
        await adapter.watch_sub("kept", ["a"], lease=1)
        await asyncio.sleep(0.6)
        await adapter.watch_poll("kept")
        await asyncio.sleep(0.5)
        await adapter.watch_sub("new", ["a"])
        got = await adapter.stores[0].get((), ["watch/old", "watch/kept", "watch/new"])
        assert [note is not None for note in got.notes] == [False, True, True]
