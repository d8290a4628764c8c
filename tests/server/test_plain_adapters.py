"""A server over an adapter that has the ten methods and nothing else."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from holdall.core.errors import InvalidConfig, NotFound
from holdall.haystack import MARKER, Grid, Number, Ref
from holdall.haystack.adapter.protocol import StorageAdapter
from holdall.server import create_fastapi_app
from holdall.server.storage import METHODS, Watch
from holdall.server.storage_plain import PlainStorage
from server.asking import Asking
from server.conftest import Serve


class Ten(StorageAdapter):
    """The ten methods over a dict, as somebody else may write them."""

    def __init__(self) -> None:
        self.entities: dict[str, dict[str, Any]] = {
            "s1": {"id": Ref("s1"), "site": MARKER, "tz": "New_York"},
            "p1": {"id": Ref("p1"), "point": MARKER, "siteRef": Ref("s1"), "curVal": 5},
        }
        self.samples: dict[str, list[dict[str, Any]]] = {}
        self.commands: list[tuple[Any, ...]] = []
        self.watches: dict[str, list[str]] = {}

    async def about(self) -> dict[str, Any]:
        return {"productName": "Ten"}

    async def read(self, filter_str: str, limit: int) -> list[dict[str, Any]]:
        if not filter_str.isalpha():
            raise RuntimeError("no idea")
        return [one for one in self.entities.values() if filter_str in one][:limit]

    async def read_by_ids(self, ids: list[str]) -> list[dict[str, Any]]:
        return [self.entities[of] for of in ids if of in self.entities]

    async def nav(self, nav_id: str | None) -> list[dict[str, Any]]:
        return [self.entities["s1"]] if nav_id is None else []

    async def his_read(self, id: str, range_str: str) -> list[dict[str, Any]]:  # noqa: A002
        return self.samples.get(id, [])

    async def his_write(self, id: str, items: list[dict[str, Any]]) -> None:  # noqa: A002
        if not all(isinstance(one["val"], Number) for one in items):
            raise ValueError("only numbers")
        self.samples.setdefault(id, []).extend(items)

    async def point_write(self, id: str, level: int, val: Any, who: str) -> list[dict[str, Any]]:  # noqa: A002
        self.commands.append((id, level, val, who))
        return []

    async def watch_sub(self, watch_id: str, ids: list[str]) -> list[dict[str, Any]]:
        self.watches.setdefault(watch_id, []).extend(ids)
        return []

    async def watch_unsub(self, watch_id: str, ids: list[str]) -> None:
        self.watches[watch_id] = [one for one in self.watches[watch_id] if one not in ids]

    async def watch_poll(self, watch_id: str, refresh: bool) -> list[dict[str, Any]]:
        return [self.entities[of] for of in self.watches[watch_id] if refresh]


@pytest.fixture
def ten() -> Ten:
    return Ten()


@pytest.fixture
def ask(serve: Serve, ten: Ten) -> Asking:
    return serve(ten)


def test_ten_methods_are_enough(ask: Asking) -> None:
    assert ask.grid("about")[0]["productName"] == "Ten"
    assert len(ask.grid("read?filter=point")) == 1
    assert ask.grid("nav")[0]["navId"] == "@s1"


def test_an_id_that_the_adapter_left_out_is_a_row_of_nulls(ask: Asking) -> None:
    grid = ask.grid("read", Grid([{"id": Ref("x")}, {"id": Ref("p1")}]))
    assert [str(row.get("id")) for row in grid] == ["None", "@p1"]


def test_a_filter_that_is_none_is_told_with_its_place(ask: Asking) -> None:
    assert "line 1, column 10" in str(ask.grid("read?filter=point and").meta["dis"])


def test_a_history_is_written_and_read_within_its_range(ask: Asking) -> None:
    rows = [
        {"ts": datetime(2024, 6, day, 12, tzinfo=UTC), "val": Number(day)} for day in (14, 15, 16)
    ]
    assert not ask.grid("hisWrite", Grid(rows, meta={"id": Ref("p1")})).is_error
    grid = ask.grid("hisRead?id=@p1&range=2024-06-15")
    assert grid.column("val") == [Number(15)]
    assert str(grid[0]["ts"].tzinfo) == "America/New_York"  # type: ignore[union-attr]
    many = ask.grid("hisRead", Grid([{"id": Ref("p1")}], meta={"range": "2024-06-15"}))
    assert many.column("v0") == [Number(15)]


def test_why_the_adapter_refused_is_told(ask: Asking) -> None:
    rows = [{"ts": datetime(2024, 6, 15, tzinfo=UTC), "val": True}]
    grid = ask.grid("hisWrite", Grid(rows, meta={"id": Ref("p1")}))
    assert "only numbers" in str(grid.meta["dis"])


def test_a_command_gets_to_the_adapter(ask: Asking, ten: Ten) -> None:
    ask.grid("pointWrite", Grid([{"id": Ref("p1"), "level": 9, "val": 5}]))
    assert ten.commands == [("p1", 9, Number(5), "local")]


@pytest.mark.parametrize(
    ("op", "grid"),
    [
        ("pointWrite", Grid([{"id": Ref("p1")}])),
        ("pointWrite", Grid([{"id": Ref("p1"), "level": 8, "duration": Number(1, "min")}])),
        ("load", Grid([{"id": Ref("x")}])),
    ],
)
def test_what_the_adapter_lacks_is_told(ask: Asking, ten: Ten, op: str, grid: Grid) -> None:
    assert "this store" in str(ask.grid(op, grid).meta["dis"])
    assert ten.commands == []


def test_a_watch_is_opened_polled_and_closed(ask: Asking, ten: Ten) -> None:
    opened = ask.grid("watchSub", Grid([{"id": Ref("p1")}]))
    watch = opened.meta["watchId"]
    assert opened.meta["lease"] == Number(300, "sec")
    poll = Grid(meta={"watchId": watch, "refresh": MARKER}, cols=["empty"])
    assert len(ask.grid("watchPoll", poll)) == 1
    ask.grid("watchUnsub", Grid(meta={"watchId": watch, "close": MARKER}, cols=["id"]))
    assert ten.watches == {str(watch): []}
    assert ask.grid("watchPoll", poll).is_error


def test_a_watch_that_was_never_opened_is_an_error(ask: Asking, ten: Ten) -> None:
    for op in ("watchPoll", "watchSub", "watchUnsub"):
        assert ask.grid(op, Grid([{"id": Ref("p1")}], meta={"watchId": "mine"})).is_error
    assert ten.watches == {}


def test_an_expired_watch_is_let_go_of_once_however_many_are_opened(ten: Ten) -> None:
    storage = PlainStorage(ten)

    async def unsubscribing(watch_id: str, ids: list[str]) -> None:
        await asyncio.sleep(0)  # others open theirs meanwhile

    async def opening() -> list[Watch]:
        for old in [await storage.watch_open(["p1"], None) for _ in range(2)]:
            storage._watches[old.id].ends = 0
        return await asyncio.gather(*(storage.watch_open(["p1"], None) for _ in range(3)))

    ten.watch_unsub = unsubscribing  # type: ignore[method-assign]
    assert len(asyncio.run(opening())) == len(storage._watches) == 3


def test_a_watch_that_is_closed_while_it_is_added_to_stays_closed(ten: Ten) -> None:
    storage = PlainStorage(ten)

    async def adding() -> None:
        watch = (await storage.watch_open(["p1"], None)).id
        subscribe = ten.watch_sub

        async def closing(watch_id: str, ids: list[str]) -> list[dict[str, Any]]:
            await storage.watch_unsub(watch, [], close=True)
            return await subscribe(watch_id, ids)

        ten.watch_sub = closing  # type: ignore[method-assign]
        with pytest.raises(NotFound, match="closed"):
            await storage.watch_add(watch, ["s1"])
        assert ten.watches == {watch: []}

    asyncio.run(adding())


@pytest.mark.parametrize("missing", METHODS)
def test_what_is_no_adapter_is_refused_by_name(missing: str) -> None:
    methods = {name: getattr(Ten, name) for name in METHODS if name != missing}
    with pytest.raises(InvalidConfig, match=missing):
        create_fastapi_app(storage=type("Nine", (), methods)())


def test_an_adapter_need_not_know_the_protocol(serve: Serve) -> None:
    methods = {name: getattr(Ten, name) for name in (*METHODS, "__init__")}
    assert serve(type("Other", (), methods)()).grid("about")[0]["productName"] == "Ten"


def test_an_adapter_is_connected_and_closed_where_it_has_a_way_to(serve: Serve, ten: Ten) -> None:
    told = []

    async def connect() -> None:
        told.append("connect")

    ten.connect = connect  # type: ignore[attr-defined]
    serve(ten)
    assert told == ["connect"]
