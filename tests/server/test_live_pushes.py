"""Pushes over the WebSocket: what polls would tell, to those who watch and to nobody else."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from holdall.core.errors import NotFound
from holdall.haystack import MARKER, REMOVE, Grid, Number, Ref
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.haystack.adapter.watching import Watches
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.sqlite import SqliteAdapter
from holdall.server import ServerConfig, create_fastapi_app
from server.asking import Asking, building
from server.conftest import Serve
from server.listening import listening
from server.talking import Talking, of_watch, sub, talking
from server.test_plain_adapters import Ten

OFTEN = ServerConfig(push_interval=0.02)


@pytest.fixture
def ask(serve: Serve) -> Asking:
    """A server of the sample building that looks often."""
    return serve(config=OFTEN)


@pytest.fixture
def talk(ask: Asking) -> Iterator[Talking]:
    """A client of it."""
    with talking(ask) as talk:
        yield talk


def change(adapter: HaystackAdapter, of: str, **tags: Any) -> None:
    """Change an entity behind the server's back."""
    asyncio.run(adapter.update(of, tags))


def id_of(row: Any) -> str:
    ref = row["id"]
    assert isinstance(ref, Ref)
    return ref.val


def ids(grid: Grid) -> list[str]:
    return [id_of(row) for row in grid]


def test_a_change_is_pushed(talk: Talking, adapter: InMemoryAdapter) -> None:
    watch = talk.watch("p1")
    change(adapter, "p1", curVal=Number(21, "°C"))
    of, grid = talk.push()
    assert of == grid.meta["watchId"] == watch
    assert grid[0]["curVal"] == Number(21, "°C")


def test_an_entity_that_is_gone_is_told_as_removed(talk: Talking, adapter: InMemoryAdapter) -> None:
    talk.watch("p1")
    asyncio.run(adapter.delete("p1"))
    assert talk.push()[1][0] == {"id": Ref("p1"), "removed": MARKER}


def test_an_entity_that_comes_is_told(talk: Talking, adapter: InMemoryAdapter) -> None:
    talk.watch("new")
    asyncio.run(adapter.create({"id": Ref("new"), "dis": "New"}))
    assert talk.push()[1][0]["dis"] == "New"


def test_a_command_is_told(talk: Talking, ask: Asking) -> None:
    talk.watch("p1")
    ask.grid("pointWrite", Grid([{"id": Ref("p1"), "level": Number(9), "val": Number(1, "°C")}]))
    assert talk.push()[1][0]["writeLevel"] == Number(9)


def test_a_command_that_ends_by_itself_is_told(talk: Talking, ask: Asking) -> None:
    talk.watch("p1")
    row = {"id": Ref("p1"), "level": Number(8), "val": Number(1, "°C")}
    ask.grid("pointWrite", Grid([row | {"duration": Number(100, "ms")}]))
    rows = [talk.push()[1][0]]
    if "writeVal" in rows[0]:
        rows.append(talk.push()[1][0])
    assert "writeVal" not in rows[-1]


def test_a_client_that_watches_something_else_is_told_nothing(
    ask: Asking, adapter: InMemoryAdapter
) -> None:
    with talking(ask) as one, talking(ask) as other, talking(ask) as none:
        one.watch("p1")
        of_other = other.watch("p2")
        change(adapter, "p1", foo=1)
        change(adapter, "p2", foo=2)
        assert ids(one.push()[1]) == ["p1"]
        of, grid = other.push()
        assert (of, ids(grid)) == (of_other, ["p2"])
        none.grid("about")
        assert not none.pushed


def test_what_was_before_the_watch_is_not_pushed(talk: Talking, adapter: InMemoryAdapter) -> None:
    change(adapter, "p1", foo=1)
    talk.watch("p1")
    change(adapter, "p1", foo=2)
    assert talk.push()[1][0]["foo"] == Number(2)


def test_entities_are_added_to_a_watch(talk: Talking, adapter: InMemoryAdapter) -> None:
    watch = talk.watch("p1")
    talk.grid("watchSub", sub("p2", watchId=watch))
    change(adapter, "p2", foo=1)
    assert talk.push()[0] == watch


def test_entities_that_were_taken_out_are_not_pushed(
    talk: Talking, adapter: InMemoryAdapter
) -> None:
    watch = talk.watch("p1", "p2")
    talk.grid("watchUnsub", sub("p1", watchId=watch))
    change(adapter, "p1", foo=1)
    change(adapter, "p2", foo=1)
    assert ids(talk.push()[1]) == ["p2"]


def test_what_was_taken_out_is_not_kept_in_mind(adapter: InMemoryAdapter) -> None:
    app = create_fastapi_app(adapter, config=OFTEN)
    with listening(app) as url, _talking_at(url) as talk:
        watch = talk.watch("p1", "p2")
        talk.grid("watchUnsub", sub("p1", watchId=watch))
        (known,) = app.state.live._watches.values()
        assert known.added == {"p2"}


def test_a_closed_watch_is_not_pushed(talk: Talking, adapter: InMemoryAdapter) -> None:
    talk.grid("watchUnsub", of_watch(talk.watch("p1"), close=MARKER))
    later = talk.watch("p2")
    change(adapter, "p1", foo=1)
    change(adapter, "p2", foo=1)
    assert talk.push()[0] == later


def test_a_watch_is_shared_by_those_who_know_its_id(ask: Asking, adapter: InMemoryAdapter) -> None:
    with talking(ask) as one, talking(ask) as other:
        watch = one.watch("p1")
        other.grid("watchSub", sub("p2", watchId=watch))
        change(adapter, "p2", foo=1)
        assert one.push()[0] == other.push()[0] == watch


def test_a_watch_that_another_connection_left_is_pushed_on(
    ask: Asking, adapter: InMemoryAdapter
) -> None:
    with talking(ask) as other:
        with talking(ask) as one:
            watch = one.watch("p1")
            other.grid("watchSub", sub("p2", watchId=watch))
        change(adapter, "p1", foo=1)
        assert other.push()[0] == watch


def test_what_is_added_over_http_is_pushed(
    ask: Asking, talk: Talking, adapter: InMemoryAdapter
) -> None:
    watch = talk.watch("p1")
    ask.grid("watchSub", sub("p2", watchId=watch))
    change(adapter, "p2", foo=1)
    assert ids(talk.push()[1]) == ["p2"]


def test_a_watch_that_was_closed_over_http_is_told_to_have_ended(
    ask: Asking, talk: Talking
) -> None:
    watch = talk.watch("p1")
    ask.grid("watchUnsub", of_watch(watch, close=MARKER))
    of, grid = talk.push()
    assert of == watch
    assert grid.is_error


def test_pushes_do_not_move_what_is_polled(talk: Talking, adapter: InMemoryAdapter) -> None:
    watch = talk.watch("p1")
    change(adapter, "p1", foo=1)
    _, pushed = talk.push()
    assert talk.grid("watchPoll", of_watch(watch)) == pushed


def test_polls_do_not_take_from_what_is_pushed(
    ask: Asking, talk: Talking, adapter: InMemoryAdapter
) -> None:
    watch = talk.watch("p1")
    change(adapter, "p1", foo=1)
    polled = ask.grid("watchPoll", of_watch(watch))
    assert talk.push()[1] == polled


@pytest.mark.parametrize("seed", range(5))
def test_pushes_tell_what_polls_tell(
    ask: Asking, talk: Talking, adapter: InMemoryAdapter, seed: int
) -> None:
    chance = random.Random(seed)
    known = [f"e{n}" for n in range(6)]
    watch = talk.watch(*known, "last")
    beside = str(ask.grid("watchSub", sub(*known, "last")).meta["watchId"])
    pushed: dict[str, Any] = {}
    for _ in range(40):
        of = chance.choice(known)
        there = asyncio.run(adapter.read_by_ids([of]))[0] is not None
        if not there:
            asyncio.run(adapter.create({"id": Ref(of), "n": Number(chance.random())}))
        elif chance.random() < 0.3:
            asyncio.run(adapter.delete(of))
        else:
            change(adapter, of, n=Number(chance.random()), m=chance.choice([REMOVE, MARKER]))
    asyncio.run(adapter.create({"id": Ref("last")}))
    while "last" not in pushed:
        of, grid = talk.push()
        assert of == watch
        pushed |= {id_of(row): dict(row) for row in grid}
    polled = {id_of(row): dict(row) for row in ask.grid("watchPoll", of_watch(beside))}
    assert {of: row for of, row in pushed.items() if "removed" not in row} == {
        of: row for of, row in polled.items() if "removed" not in row
    }
    assert pushed.keys() == polled.keys()


def test_many_entities_come_in_several_pushes(talk: Talking, adapter: InMemoryAdapter) -> None:
    known = [f"e{n:04}" for n in range(3000)]
    talk.watch(*known)
    asyncio.run(adapter.load({"id": Ref(of), "dis": "x" * 200} for of in known))
    told: list[str] = []
    pushes = 0
    while len(told) < len(known):
        told += ids(talk.push()[1])
        pushes += 1
    assert sorted(told) == known
    assert pushes > 1


def test_what_another_server_changes_is_pushed(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "plant.db"
    asyncio.run(_filled(path))
    one, other = (serve(SqliteAdapter(path), config=OFTEN) for _ in range(2))
    with talking(one) as talk:
        talk.watch("p1")
        write = {"id": Ref("p1"), "level": Number(9), "val": Number(1, "°C")}
        assert not other.grid("pointWrite", Grid([write])).is_error
        assert talk.push()[1][0]["writeLevel"] == Number(9)


def test_a_watch_of_one_server_is_added_to_in_another(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "plant.db"
    asyncio.run(_filled(path))
    one, other = (serve(SqliteAdapter(path), config=OFTEN) for _ in range(2))
    with talking(one) as here, talking(other) as there:
        watch = here.watch("p1")
        there.grid("watchSub", sub("p2", watchId=watch))
        write = {"id": Ref("p1"), "level": Number(9), "val": Number(1, "°C")}
        here.grid("pointWrite", Grid([write]))
        assert here.push()[0] == there.push()[0] == watch


async def _filled(path: Path) -> None:
    async with SqliteAdapter(path) as adapter:
        await adapter.load(building())


def test_a_short_lease_is_kept_by_the_connection(talk: Talking, adapter: InMemoryAdapter) -> None:
    answer = talk.grid("watchSub", sub("p1", lease=Number(10, "sec")))
    watch = str(answer.meta["watchId"])
    talk.grid("watchSub", sub("p2", watchId=watch))  # its answer comes after the first joined
    state, found = asyncio.run(Watches(adapter.stores[0]).followed({watch: 0}))
    followed = found[watch]
    assert followed is not None
    assert followed.ends > state.now + 60 * 1_000_000


def test_a_watch_ends_with_the_connection_that_opened_it(adapter: InMemoryAdapter) -> None:
    app = create_fastapi_app(adapter, config=OFTEN)
    with listening(app) as url:
        watch = _left(url, "p1")
    with pytest.raises(NotFound):
        asyncio.run(adapter.watch_poll(watch))


def test_a_watch_that_others_added_to_is_left_to_its_lease(adapter: InMemoryAdapter) -> None:
    app = create_fastapi_app(adapter, config=OFTEN)
    with listening(app) as url, _talking_at(url) as talk:
        watch = talk.watch("p1")
        asyncio.run(adapter.watch_sub(watch, ["p2"]))
        change(adapter, "p2", foo=1)
        talk.push()
    assert asyncio.run(adapter.watch_poll(watch))


def test_a_watch_of_somebody_else_is_left_open(adapter: InMemoryAdapter) -> None:
    asyncio.run(adapter.watch_sub("theirs", ["p1"]))
    app = create_fastapi_app(adapter, config=OFTEN)
    with listening(app) as url, _talking_at(url) as talk:
        talk.grid("watchSub", sub("p2", watchId="theirs"))
    assert asyncio.run(adapter.watch_poll("theirs")) == []


def test_an_adapter_of_ten_methods_is_polled(serve: Serve) -> None:
    class Polled(Ten):
        async def watch_poll(self, watch_id: str, refresh: bool) -> list[dict[str, Any]]:
            return [self.entities[of] for of in self.watches[watch_id]]

    with talking(serve(Polled(), config=OFTEN)) as talk:
        watch = talk.watch("p1")
        of, grid = talk.push()
        assert (of, ids(grid)) == (watch, ["p1"])


@contextmanager
def _talking_at(url: str) -> Iterator[Talking]:
    with httpx.Client(base_url=url) as client, talking(Asking(client)) as talk:
        yield talk


def _left(url: str, *ids: str) -> str:
    """A watch whose client went."""
    with _talking_at(url) as talk:
        return talk.watch(*ids)
