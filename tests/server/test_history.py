"""hisRead and hisWrite over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdall.haystack import NA, Col, Grid, Number, Ref
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.zones import zone
from holdall.server import ServerConfig
from server.asking import Asking, grid_of
from server.conftest import Serve

NEW_YORK = zone("New_York")
EIGHT = datetime(2024, 6, 15, 8, tzinfo=NEW_YORK)
DAY = "2024-06-15"


def samples(of: str, *values: Any) -> Grid:
    """Samples of a point, a minute apart from eight o'clock on."""
    rows = [{"ts": EIGHT + timedelta(minutes=at), "val": v} for at, v in enumerate(values)]
    return Grid(rows, meta={"id": Ref(of)}, cols=["ts", "val"])


def values(grid: Grid, column: str = "val") -> list[Any]:
    assert not grid.is_error, grid.meta["dis"]
    return grid.column(column)


def test_samples_are_read_back_with_their_unit_in_the_zone_of_the_point(ask: Asking) -> None:
    ask.grid("hisWrite", samples("p1", 21.5, Number(22, "°C")))
    grid = ask.grid(f"hisRead?id=@p1&range={DAY}")
    assert values(grid) == [Number(21.5, "°C"), Number(22, "°C")]
    assert grid.column("ts")[0] == EIGHT
    assert str(grid[0]["ts"].tzinfo) == "America/New_York"  # type: ignore[union-attr]


def test_the_tags_of_an_answer_say_what_was_asked_for(ask: Asking) -> None:
    meta = ask.grid(f"hisRead?id=@p1&range={DAY}").meta
    assert meta["id"] == Ref("p1")
    assert meta["hisStart"] == datetime(2024, 6, 15, tzinfo=NEW_YORK)
    assert meta["hisEnd"] == datetime(2024, 6, 16, tzinfo=NEW_YORK)


def test_a_range_without_an_end_ends_now(ask: Asking) -> None:
    meta = ask.grid("hisRead?id=@p1&range=2024-06-15T00:00:00-04:00 New_York").meta
    assert meta["hisEnd"] > datetime(2026, 1, 1, tzinfo=UTC)  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    [DAY, f'"{DAY}"', f"{DAY},{DAY}", "2024-06-15T08:00:00-04:00 New_York,2024-06-16T00:00:00Z"],
)
def test_a_range_may_look_like_a_date_or_be_a_text(ask: Asking, text: str) -> None:
    ask.grid("hisWrite", samples("p1", 1, 2))
    assert len(values(ask.grid(f"hisRead?id=@p1&range={text}"))) == 2


def test_a_range_is_never_left_out_of_account(ask: Asking) -> None:
    ask.grid("hisWrite", samples("p1", 1, 2))
    assert values(ask.grid("hisRead?id=@p1&range=2024-06-14")) == []


@pytest.mark.parametrize(
    "query", ["id=@p1", "id=@p1&range=soon", "id=@p1&range=5kW", "range=today"]
)
def test_a_request_that_means_nothing_is_an_error_that_says_so(ask: Asking, query: str) -> None:
    grid = ask.grid(f"hisRead?{query}")
    assert grid.is_error
    assert "range" in str(grid.meta["dis"]) or "id" in str(grid.meta["dis"])


def test_an_unknown_point_is_named(ask: Asking) -> None:
    for grid in (ask.grid(f"hisRead?id=@x9&range={DAY}"), ask.grid("hisWrite", samples("x9", 1))):
        assert "@x9" in str(grid.meta["dis"])


def test_samples_of_another_unit_are_refused_and_none_is_kept(ask: Asking) -> None:
    grid = ask.grid("hisWrite", samples("p1", 1, Number(2, "°F")))
    assert "°F" in str(grid.meta["dis"])
    assert values(ask.grid(f"hisRead?id=@p1&range={DAY}")) == []


def test_every_kind_of_a_history_comes_back(ask: Asking) -> None:
    berlin = zone("Berlin")
    rows = [
        {"ts": datetime(2024, 6, 15, at, tzinfo=berlin), "val": value}
        for at, value in enumerate([True, False, NA])
    ]
    ask.grid("hisWrite", Grid(rows, meta={"id": Ref("p3")}))
    assert values(ask.grid(f"hisRead?id=@p3&range={DAY}")) == [True, False, NA]


def test_columns_write_several_points_at_once(ask: Asking) -> None:
    cols = [Col("ts"), Col("v0", {"id": Ref("p1")}), Col("v1", {"id": Ref("p2")})]
    rows = [{"ts": EIGHT, "v0": 1, "v1": 2}, {"ts": EIGHT + timedelta(hours=1), "v1": 3}]
    assert not ask.grid("hisWrite", Grid(rows, cols=cols)).is_error
    assert len(values(ask.grid(f"hisRead?id=@p1&range={DAY}"))) == 1
    assert values(ask.grid(f"hisRead?id=@p2&range={DAY}")) == [Number(2), Number(3)]


def test_one_bad_column_keeps_all_of_a_batch_out(ask: Asking) -> None:
    cols = [Col("ts"), Col("v0", {"id": Ref("p1")}), Col("v1", {"id": Ref("nobody")})]
    assert ask.grid("hisWrite", Grid([{"ts": EIGHT, "v0": 1, "v1": 2}], cols=cols)).is_error
    assert values(ask.grid(f"hisRead?id=@p1&range={DAY}")) == []


@pytest.mark.parametrize(
    "grid",
    [
        Grid([{"ts": EIGHT, "val": 1}]),
        Grid([{"ts": EIGHT, "v0": 1}]),
        Grid([{"ts": EIGHT}]),
        Grid([{"val": 1}], meta={"id": Ref("p1")}),
        Grid([{"ts": EIGHT, "v0": 1}], meta={"id": Ref("p1")}),
        Grid([{"ts": EIGHT}], meta={"id": Ref("p1")}, cols=["ts", "val"]),
        Grid(
            [{"ts": EIGHT, "v0": 1}],
            cols=[Col("ts"), Col("v0", {"id": Ref("p1")}), Col("v1", {"id": Ref("p1")})],
        ),
    ],
)
def test_a_write_of_which_nobody_knows_what_it_means_is_an_error(ask: Asking, grid: Grid) -> None:
    assert ask.grid("hisWrite", grid).is_error


def test_several_histories_are_read_side_by_side(ask: Asking) -> None:
    ask.grid("hisWrite", samples("p1", 1, 2))
    ask.grid("hisWrite", Grid([{"ts": EIGHT, "val": 7}], meta={"id": Ref("p2")}))
    request = Grid([{"id": Ref("p2")}, {"id": Ref("p1")}], meta={"range": DAY})
    grid = ask.grid("hisRead", request)
    assert [col.meta.get("id") for col in grid.cols] == [None, Ref("p2"), Ref("p1")]
    assert values(grid, "v0") == [Number(7), None]
    assert values(grid, "v1") == [Number(1, "°C"), Number(2, "°C")]
    assert grid.meta["hisStart"] == datetime(2024, 6, 15, tzinfo=NEW_YORK)


def test_points_of_two_zones_need_a_zone_for_the_answer(ask: Asking) -> None:
    rows = [{"id": Ref("p1")}, {"id": Ref("p3")}]
    refused = ask.grid("hisRead", Grid(rows, meta={"range": DAY}))
    assert "tz" in str(refused.meta["dis"])
    answered = ask.grid("hisRead", Grid(rows, meta={"range": DAY, "tz": "Tokyo"}))
    assert str(answered.meta["hisStart"].tzinfo) == "Asia/Tokyo"  # type: ignore[union-attr]


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
def test_pages_of_any_size_are_joined_to_the_same_answer(
    serve: Serve, adapter: InMemoryAdapter, page: int
) -> None:
    ask = serve(config=ServerConfig(page=page))
    ask.grid("hisWrite", samples("p1", *range(7)))
    ask.grid("hisWrite", samples("p2", *range(0, 40, 10)))
    assert values(ask.grid(f"hisRead?id=@p1&range={DAY}")) == [Number(n, "°C") for n in range(7)]
    rows = [{"id": Ref("p1")}, {"id": Ref("p2")}]
    grid = ask.grid("hisRead", Grid(rows, meta={"range": DAY}))
    assert values(grid, "v1") == [*(Number(n) for n in (0, 10, 20, 30)), None, None, None]


def test_many_samples_are_answered_whole(serve: Serve) -> None:
    ask, many = serve(config=ServerConfig(page=1_000)), 6_000
    day = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [{"ts": day + timedelta(seconds=at), "val": at} for at in range(many)]
    assert not ask.grid("hisWrite", Grid(rows, meta={"id": Ref("p2")})).is_error
    for kind in ("text/zinc", "application/json", "text/csv", "text/trio"):
        response = ask.get("hisRead?id=@p2&range=2024-01-01T00:00:00Z", accept=kind)
        assert len(grid_of(response)) == many
