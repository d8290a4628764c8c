"""A watch of several connections: what changes while one of them joins is told to that one, too."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from holdall.haystack import Grid, Number, Ref
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.sqlite import SqliteAdapter
from holdall.server.actions import ActionCall
from server.asking import building
from server.conftest import Serve
from server.talking import Talking, decoded, request, sub, talking
from server.test_live_pushes import OFTEN, change
from server.test_plain_adapters import Ten

NOW = Number(9)


class Polled(Ten):
    """Tells each change once, as the ten methods do."""

    def __init__(self) -> None:
        super().__init__()
        self.changed: set[str] = set()

    async def watch_poll(self, watch_id: str, refresh: bool) -> list[dict[str, Any]]:
        changed, self.changed = self.changed, set()
        known = self.watches[watch_id]
        return [self.entities[of] for of in known if refresh or of in changed]


def set_value(call: ActionCall) -> None:
    """Change the entity of a call."""
    if isinstance(call.storage, Polled):
        call.storage.entities["p1"] |= {"val": NOW}
        call.storage.changed.add("p1")
    else:
        change(call.storage, "p1", val=NOW)


def opened(kind: str, tmp_path: Path) -> Any:
    if kind == "ten":
        return Polled()
    kept: HaystackAdapter = InMemoryAdapter(building())
    if kind == "sqlite":
        kept = SqliteAdapter(tmp_path / "plant.db")
        asyncio.run(_fill(tmp_path / "plant.db"))
    return kept


async def _fill(path: Path) -> None:
    async with SqliteAdapter(path) as kept:
        await kept.load(building())


def act(name: str) -> dict[str, Any]:
    meta = {"id": Ref("p1"), "action": name}
    return request("invokeAction", Grid([{"x": "y"}], meta=meta))


def last_value(talk: Talking) -> Any:
    """What a client is told of the entity in the end."""
    while (value := talk.push()[1][0].get("val")) != NOW:
        pass
    return value


@pytest.mark.parametrize("kind", ["memory", "sqlite", "ten"])
def test_what_changes_before_a_second_connection_joins_is_told_to_it(
    kind: str, serve: Serve, tmp_path: Path
) -> None:
    told = threading.Event()

    def changed(call: ActionCall) -> None:
        set_value(call)
        assert told.wait(30)  # until the first connection knows it

    ask = serve(opened(kind, tmp_path), config=OFTEN, actions={"changed": changed})
    with talking(ask) as one, talking(ask) as two:
        watch = one.watch("p1")
        # A connection joins behind its answer, which waits for the rest of the batch.
        two.say([request("watchSub", sub("p1", watchId=watch)), act("changed")])
        assert last_value(one) == NOW
        told.set()
        assert [decoded(part["grid"]).is_error for part in two.hear()] == [False, False]
        assert last_value(two) == NOW


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_poll_before_the_first_connection_joins_takes_nothing_from_it(
    kind: str, serve: Serve, tmp_path: Path
) -> None:
    polled: list[Any] = []

    def changed(call: ActionCall) -> None:
        set_value(call)
        asyncio.run(_poll(call.storage, polled))

    async def _poll(storage: HaystackAdapter, rows: list[Any]) -> None:
        rows += await storage.watch_poll(watch)

    kept = opened(kind, tmp_path)
    ask = serve(kept, config=OFTEN, actions={"changed": changed})
    watch = str(ask.grid("watchSub", sub("p1")).meta["watchId"])
    with talking(ask) as talk:
        talk.say([request("watchSub", sub("p1", watchId=watch)), act("changed")])
        assert [decoded(part["grid"]).is_error for part in talk.hear()] == [False, False]
        assert [row["val"] for row in polled] == [NOW]
        assert last_value(talk) == NOW
