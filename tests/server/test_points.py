"""pointWrite, invokeAction and watches over HTTP."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from holdall.haystack import MARKER, Grid, Number, Ref
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.sqlite import SqliteAdapter
from holdall.server import ActionCall, ServerConfig
from server.asking import Asking
from server.conftest import Serve


def command(of: str, **tags: Any) -> Grid:
    return Grid([{"id": Ref(of), **tags}])


def levels(ask: Asking, of: str = "p1") -> dict[Any, Any]:
    grid = ask.grid("pointWrite", command(of))
    return {row["level"].val: row for row in grid if row.get("val") is not None}  # type: ignore[union-attr]


def test_a_command_stands_at_its_level_with_who_gave_it(ask: Asking) -> None:
    ask.grid("pointWrite", command("p1", level=10, val=21, who="schedule"))
    row = levels(ask)[10]
    assert (row["val"], row["who"]) == (Number(21, "°C"), "schedule")


def test_who_commands_without_a_name_is_the_account(ask: Asking) -> None:
    ask.grid("pointWrite", command("p1", level=10, val=21))
    assert levels(ask)[10]["who"] == "local"


def test_a_command_without_a_value_lets_go_of_the_level(ask: Asking) -> None:
    ask.grid("pointWrite", command("p1", level=10, val=21))
    ask.grid("pointWrite", command("p1", level=10))
    assert levels(ask) == {}


def test_all_seventeen_levels_are_answered(ask: Asking) -> None:
    grid = ask.grid("pointWrite", command("p1"))
    assert grid.column("level") == [Number(level) for level in range(1, 18)]
    assert grid.names[:4] == ("level", "levelDis", "val", "who")


def test_level_eight_may_be_for_a_while(ask: Asking) -> None:
    ask.grid("pointWrite", command("p1", level=8, val=21, duration=Number(5, "min")))
    assert "expires" in levels(ask)[8]


@pytest.mark.parametrize(
    "grid",
    [
        command("p2", level=8, val=21),  # not writable
        command("a1", level=8, val=21),
        command("nobody", level=8, val=21),
        command("p1", level=18, val=21),
        command("p1", level="high", val=21),
        command("p1", level=8, val="warm"),
        command("p1", level=8, val=Number(21, "kW")),
        command("p1", level=9, val=21, duration=Number(5, "min")),
        command("p1", level=8, val=21, duration="5min"),
        command("p1", level=8, val=21, who=5),
        command("p1", val=21),
        Grid(cols=["id"]),
    ],
)
def test_a_command_that_cannot_be_is_an_error(ask: Asking, grid: Grid) -> None:
    assert ask.grid("pointWrite", grid).is_error
    assert levels(ask) == {}


def test_an_action_gets_its_entity_arguments_and_caller(serve: Serve) -> None:
    told: list[ActionCall] = []

    def act(call: ActionCall) -> dict[str, Any]:
        told.append(call)
        return {"done": MARKER}

    ask = serve(actions={"reset": act})
    request = Grid([{"speed": 5}], meta={"id": Ref("a1"), "action": "reset"})
    assert ask.grid("invokeAction", request)[0]["done"] is MARKER
    assert (told[0].entity["dis"], told[0].arguments["speed"], told[0].who) == (
        "AHU-1",
        Number(5),
        "local",
    )


def test_an_action_may_be_a_coroutine_function_and_answer_nothing(serve: Serve) -> None:
    async def act(call: ActionCall) -> None:
        await call.storage.update(call.id, {"reset": MARKER})

    ask = serve(actions={"reset": act})
    ask.grid("invokeAction", Grid(meta={"id": Ref("a1"), "action": "reset"}, cols=["empty"]))
    assert len(ask.grid("read?filter=reset")) == 1


def test_actions_that_hang_stop_nobody_else(serve: Serve, tmp_path: Path) -> None:
    go, begun = threading.Event(), threading.Semaphore(0)

    def hang(call: Any) -> None:
        begun.release()
        assert go.wait(30)

    request = Grid(meta={"id": Ref("s1"), "action": "hang"}, cols=["empty"])
    many = (os.cpu_count() or 1) + 4  # threads that asyncio has for everything
    ask = serve(SqliteAdapter(tmp_path / "plant.db"), actions={"hang": hang})
    assert not ask.grid("load", Grid([{"id": Ref("s1"), "site": MARKER}])).is_error
    with ThreadPoolExecutor(many) as pool:
        asking = [pool.submit(ask.grid, "invokeAction", request) for _ in range(many)]
        for _ in range(many):
            assert begun.acquire(timeout=30)
        try:
            assert len(ask.grid("read?filter=site")) == 1
        finally:
            go.set()
        assert not any(one.result().is_error for one in asking)


@pytest.mark.parametrize(
    "meta",
    [
        {"id": Ref("a1"), "action": "fly"},
        {"id": Ref("nobody"), "action": "reset"},
        {"id": Ref("a1")},
        {"action": "reset"},
    ],
)
def test_an_action_that_is_not_there_is_an_error(serve: Serve, meta: dict[str, Any]) -> None:
    ask = serve(actions={"reset": lambda call: None})
    assert ask.grid("invokeAction", Grid(meta=meta, cols=["empty"])).is_error


def test_what_an_action_fails_of_is_told_to_the_log_alone(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def act(call: ActionCall) -> None:
        raise RuntimeError("password=hunter2")

    ask = serve(actions={"reset": act})
    grid = ask.grid("invokeAction", Grid(meta={"id": Ref("a1"), "action": "reset"}, cols=["e"]))
    assert grid.is_error
    assert "hunter2" not in str(grid.meta)
    assert "hunter2" in caplog.text


# Watches.


def subscribed(ask: Asking, *ids: str, **meta: Any) -> Grid:
    return ask.grid("watchSub", Grid([{"id": Ref(of)} for of in ids], meta=meta, cols=["id"]))


def polled(ask: Asking, watch: Any, **meta: Any) -> Grid:
    return ask.grid("watchPoll", Grid(meta={"watchId": watch, **meta}, cols=["empty"]))


def test_a_watch_tells_of_what_changed_since_it_was_asked(ask: Asking) -> None:
    watch = subscribed(ask, "p1", "a1").meta["watchId"]
    assert len(polled(ask, watch)) == 0
    ask.grid("pointWrite", command("p1", level=10, val=21))
    assert [str(row["id"]) for row in polled(ask, watch)] == ["@p1"]
    assert len(polled(ask, watch)) == 0


def test_a_watch_tells_nobody_elses_watch(ask: Asking) -> None:
    one, other = (subscribed(ask, of).meta["watchId"] for of in ("p1", "a1"))
    ask.grid("pointWrite", command("p1", level=10, val=21))
    assert (len(polled(ask, other)), len(polled(ask, one))) == (0, 1)


def test_a_refresh_answers_all_of_a_watch(ask: Asking) -> None:
    watch = subscribed(ask, "p1", "a1").meta["watchId"]
    assert len(polled(ask, watch, refresh=MARKER)) == 2


def test_subscribing_answers_in_order_with_nulls_for_missing_ones(ask: Asking) -> None:
    rows = list(subscribed(ask, "p1", "nobody", "s1"))
    assert [str(row.get("id")) for row in rows] == ["@p1", "None", "@s1"]


def test_a_lease_is_what_was_asked_for_and_stays_so(ask: Asking) -> None:
    opened = subscribed(ask, "p1", lease=Number(10, "min"))
    assert opened.meta["lease"] == Number(600, "sec")
    added = subscribed(ask, "a1", watchId=opened.meta["watchId"])
    assert added.meta["lease"] == Number(600, "sec")


def test_a_lease_may_be_a_number_that_is_written_as_a_text(ask: Asking) -> None:
    assert subscribed(ask, "p1", lease="1min").meta["lease"] == Number(60, "sec")


def test_a_watch_is_never_opened_under_the_id_of_a_client(ask: Asking) -> None:
    assert subscribed(ask, "p1", watchId="mine").is_error
    assert polled(ask, "mine").is_error


def test_more_ids_than_a_read_answers_are_no_watch(serve: Serve) -> None:
    ask = serve(config=ServerConfig(max_read=2))
    grid = ask.grid("watchSub", Grid([{"id": Ref(f"x{at}")} for at in range(3)]))
    assert "max_read" in str(grid.meta["dis"])


def test_a_closed_watch_is_gone(ask: Asking) -> None:
    watch = subscribed(ask, "p1").meta["watchId"]
    ask.grid("watchUnsub", Grid(meta={"watchId": watch, "close": MARKER}, cols=["id"]))
    assert polled(ask, watch).is_error


def test_an_entity_that_was_taken_out_is_no_longer_told_of(ask: Asking) -> None:
    watch = subscribed(ask, "p1", "a1").meta["watchId"]
    ask.grid("watchUnsub", Grid([{"id": Ref("p1")}], meta={"watchId": watch}))
    ask.grid("pointWrite", command("p1", level=10, val=21))
    assert len(polled(ask, watch)) == 0


@pytest.mark.parametrize("op", ["watchPoll", "watchUnsub"])
def test_a_watch_that_is_not_named_is_an_error(ask: Asking, op: str) -> None:
    assert "watchId" in str(ask.grid(op, Grid(cols=["empty"])).meta["dis"])


def test_a_change_by_the_program_itself_is_told_too(ask: Asking, adapter: InMemoryAdapter) -> None:
    watch = subscribed(ask, "p1").meta["watchId"]
    adapter.load_entities([{"id": Ref("p1"), "point": MARKER}])
    assert len(polled(ask, watch)) == 1
