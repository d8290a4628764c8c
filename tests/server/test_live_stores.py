"""What the hub asks of stores: the watches in them, and what changed while it could not look."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from holdall.core.errors import NotFound, Unavailable
from holdall.haystack import Ref
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.haystack.adapter.watching import LEASE, Watches
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.sqlite import SqliteAdapter
from holdall.haystack.stores.entities import Changes
from server.asking import building
from server.conftest import Serve
from server.talking import Talking, talking
from server.test_live_pushes import OFTEN, change

SECOND = 1_000_000


def in_each_store(check: Callable[[HaystackAdapter], Awaitable[None]]) -> Callable[..., None]:
    """A test over the sample building in a store of each kind."""

    @pytest.mark.parametrize("kind", ["memory", "sqlite"])
    def checked(kind: str, tmp_path: Path) -> None:
        async def run() -> None:
            opened = InMemoryAdapter() if kind == "memory" else SqliteAdapter(tmp_path / "a.db")
            async with opened as kept:
                await kept.load(building())
                await check(kept)

        asyncio.run(run())

    return checked


@in_each_store
async def test_a_watch_is_followed_from_where_it_was_polled(kept: HaystackAdapter) -> None:
    watches = Watches(kept.stores[0])
    await kept.watch_sub("w", ["p1"])
    state, found = await watches.followed({"w": 0})
    followed = found["w"]
    assert followed is not None
    assert followed.ids == {"p1": 0}
    assert followed.number < state.number  # which is the commit of the watch itself
    assert not (await kept.stores[0].changes(followed.number, limit=10)).changed


@in_each_store
async def test_what_is_as_it_was_is_not_answered_again(kept: HaystackAdapter) -> None:
    watches = Watches(kept.stores[0])
    await kept.watch_sub("w", ["p1"])
    followed = (await watches.followed({"w": 0}))[1]["w"]
    assert followed is not None
    assert (await watches.followed({"w": followed.version}))[1] == {}


@in_each_store
async def test_following_renews_nothing(kept: HaystackAdapter) -> None:
    watches = Watches(kept.stores[0])
    await kept.watch_sub("w", ["p1"])
    first, second = [(await watches.followed({"w": 0}))[1]["w"] for _ in range(2)]
    assert first == second


@in_each_store
async def test_a_watch_that_is_not_there_is_none(kept: HaystackAdapter) -> None:
    assert (await Watches(kept.stores[0]).followed({"w": 0}))[1] == {"w": None}


@in_each_store
async def test_many_leases_are_renewed_at_once(kept: HaystackAdapter) -> None:
    watches, known = Watches(kept.stores[0]), [f"w{n}" for n in range(20)]
    for of in known:
        await kept.watch_sub(of, ["p1"], lease=10)
    before = (await kept.stores[0].get(())).state.number
    await watches.renew(known, 100)
    state, found = await watches.followed(dict.fromkeys(known, 0))
    assert state.number == before + 1
    ends = [0 if one is None else one.ends for one in found.values()]
    assert min(ends) > state.now + 90 * SECOND


@in_each_store
async def test_a_long_lease_is_renewed_as_it_was_opened(kept: HaystackAdapter) -> None:
    watches = Watches(kept.stores[0])
    await kept.watch_sub("w", ["p1"])
    await watches.renew(["w"], 10)
    state, found = await watches.followed({"w": 0})
    assert found["w"] is not None
    assert found["w"].ends > state.now + (LEASE - 10) * SECOND


@in_each_store
async def test_a_watch_that_is_gone_is_not_renewed(kept: HaystackAdapter) -> None:
    watches = Watches(kept.stores[0])
    await watches.renew(["w"], 10)
    assert (await watches.followed({"w": 0}))[1] == {"w": None}


@in_each_store
async def test_many_watches_are_closed_at_once(kept: HaystackAdapter) -> None:
    for of in ("w1", "w2"):
        await kept.watch_sub(of, ["p1"])
    await Watches(kept.stores[0]).close(["w1", "w2", "never there"])
    for of in ("w1", "w2"):
        with pytest.raises(NotFound):
            await kept.watch_poll(of)


class Disturbed:
    """What the store says of its changes, until it is undisturbed again."""

    def __init__(self, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.disturb: Any = None
        self._asked = store.changes
        monkeypatch.setattr(store, "changes", self.changes)

    async def changes(self, since: int, *, limit: int) -> Changes:
        page: Changes = await self._asked(since, limit=limit)
        if self.disturb is not None:
            disturb, self.disturb = self.disturb, None
            page = disturb(page)
        return page


@pytest.fixture
def building_in_memory() -> InMemoryAdapter:
    return InMemoryAdapter(building())


@pytest.fixture
def disturbed(building_in_memory: InMemoryAdapter, monkeypatch: pytest.MonkeyPatch) -> Disturbed:
    return Disturbed(building_in_memory.stores[0], monkeypatch)


@pytest.fixture
def talk(serve: Serve, building_in_memory: InMemoryAdapter) -> Iterator[Talking]:
    with talking(serve(building_in_memory, config=OFTEN)) as talk:
        yield talk


def forgotten(page: Changes) -> Changes:
    return Changes(page.state, (), page.state.number, known=False)


def of_another_epoch(page: Changes) -> Changes:
    return replace(page, state=replace(page.state, epoch="another"))


def failed(page: Changes) -> Changes:
    raise Unavailable("nobody answers")


@pytest.mark.parametrize("disturb", [forgotten, of_another_epoch])
def test_what_the_store_does_not_know_is_told_whole(
    talk: Talking, disturbed: Disturbed, building_in_memory: InMemoryAdapter, disturb: Any
) -> None:
    talk.watch("p1", "p2", "missing")
    change(building_in_memory, "p1", foo=1)
    assert len(talk.push()[1]) == 1
    disturbed.disturb = disturb
    told = {row["id"]: "removed" in row for row in talk.push()[1]}
    assert told == {Ref("p1"): False, Ref("p2"): False, Ref("missing"): True}
    change(building_in_memory, "p2", foo=1)
    assert [row["id"] for row in talk.push()[1]] == [Ref("p2")]


def test_what_changes_while_the_store_cannot_be_asked_is_told_later(
    talk: Talking, disturbed: Disturbed, building_in_memory: InMemoryAdapter
) -> None:
    talk.watch("p1")
    disturbed.disturb = failed
    change(building_in_memory, "p1", foo=1)
    assert [row["foo"] for row in talk.push()[1]]
    assert disturbed.disturb is None
