"""Grids as tables of Arrow, pandas and polars, and back."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdall.core.errors import CodecError
from holdall.haystack import (
    MARKER,
    NA,
    REMOVE,
    Col,
    Coord,
    Grid,
    Number,
    Ref,
    Symbol,
    Uri,
    XStr,
    same,
)
from holdall.haystack.tables import (
    from_arrow,
    from_pandas,
    from_polars,
    to_arrow,
    to_pandas,
    to_polars,
)
from holdall.testing.haystack.samples import nameless_zone
from holdall.testing.haystack.strategies import grids, histories

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2024, 1, 31, 12, tzinfo=BERLIN)


def history(*values: Any) -> Grid:
    rows = [{"ts": START + timedelta(hours=at), "val": value} for at, value in enumerate(values)]
    cols = [Col("ts"), Col("val", {"unit": "kW"})]
    return Grid(rows, meta={"id": Ref("p", "P"), "hisStart": START}, cols=cols)


def column(*values: Any) -> Any:
    """Values as a column of Arrow: its field, and what it holds."""
    table = to_arrow(Grid([{"a": value} for value in values], cols=["a"]), exact=True)
    return table.schema.field("a"), table.column("a").to_pylist()


def noted(field: Any) -> dict[str, str]:
    return {
        key.decode().removeprefix("haystack."): text.decode()
        for key, text in (field.metadata or {}).items()
    }


@pytest.mark.parametrize(
    ("values", "kind", "notes", "plain"),
    [
        ([True, None, False], pa.bool_(), {"kind": "bool"}, [True, None, False]),
        ([MARKER, None], pa.bool_(), {"kind": "marker"}, [True, None]),
        (["x", None], pa.string(), {"kind": "str"}, ["x", None]),
        ([Uri("u")], pa.string(), {"kind": "uri"}, ["u"]),
        ([Symbol("s")], pa.string(), {"kind": "symbol"}, ["s"]),
        ([Ref("r"), None], pa.string(), {"kind": "ref"}, ["r", None]),
        ([Ref("r", "R"), Ref("q")], pa.string(), {"kind": "ref", "dis": '{"r":"R"}'}, ["r", "q"]),
        ([1, 2], pa.int64(), {"kind": "number"}, [1, 2]),
        ([Number(1, "kW"), None], pa.int64(), {"kind": "number", "unit": "kW"}, [1, None]),
        ([1.5, 2.0], pa.float64(), {"kind": "number"}, [1.5, 2.0]),
        ([1, 2.5], pa.float64(), {"kind": "number", "whole": "int"}, [1.0, 2.5]),
        (
            [Number(1.5, "kW"), Number(float("inf"), "kW")],
            pa.float64(),
            {"kind": "number", "unit": "kW"},
            [1.5, float("inf")],
        ),
        ([1, NA], pa.int64(), {"kind": "number", "null": "na"}, [1, None]),
        ([NA, NA], pa.null(), {"null": "na"}, [None, None]),
        ([None], pa.null(), {}, [None]),
        ([date(2024, 1, 31)], pa.date32(), {"kind": "date"}, [date(2024, 1, 31)]),
        ([time(1, 2, 3, 4)], pa.time64("us"), {"kind": "time"}, [time(1, 2, 3, 4)]),
        ([START], pa.timestamp("us", "Europe/Berlin"), {"kind": "dateTime"}, [START]),
        ([Number(1, "kW"), Number(2, "W")], pa.string(), {"kind": "zinc"}, ["1kW", "2W"]),
        ([Number(1, "kW"), 2], pa.string(), {"kind": "zinc"}, ["1kW", "2"]),
        ([1, 2.0], pa.string(), {"kind": "zinc"}, ["1", "2.0"]),
        ([2**63], pa.string(), {"kind": "zinc"}, [str(2**63)]),
        ([2**53 + 1, 0.5], pa.string(), {"kind": "zinc"}, [str(2**53 + 1), "0.5"]),
        ([1, NA, None], pa.string(), {"kind": "zinc"}, ["1", "NA", None]),
        (["x", 1], pa.string(), {"kind": "zinc"}, ['"x"', "1"]),
        ([Ref("r", "R"), Ref("r")], pa.string(), {"kind": "zinc"}, ['@r "R"', "@r"]),
        ([REMOVE], pa.string(), {"kind": "zinc"}, ["R"]),
        ([XStr("T", "v")], pa.string(), {"kind": "zinc"}, ['T("v")']),
        ([Coord(1.0, 2.0)], pa.string(), {"kind": "zinc"}, ["C(1.0,2.0)"]),
        (
            [START, START.astimezone(UTC)],
            pa.string(),
            {"kind": "zinc"},
            ["2024-01-31T12:00:00+01:00 Berlin", "2024-01-31T11:00:00Z UTC"],
        ),
    ],
)
def test_a_column_has_a_type_and_notes(
    values: list[Any], kind: Any, notes: dict[str, str], plain: list[Any]
) -> None:
    field, held = column(*values)
    assert field.type == kind
    assert noted(field) == notes
    assert held == plain


def test_not_a_number_has_the_unit_of_no_other() -> None:
    grid = history(Number(1.5, "kW"), float("nan"))
    assert to_arrow(grid).schema.field("val").type == pa.float64()
    assert same(from_arrow(to_arrow(grid)), grid)


def test_an_infinity_without_a_unit_among_others_is_text() -> None:
    grid = history(Number(1.5, "kW"), float("inf"))
    assert same(from_arrow(to_arrow(grid)), grid)


def test_whole_numbers_of_both_types_become_floats_unless_they_must_not() -> None:
    grid = Grid([{"a": 1}, {"a": 2.0}])
    assert to_arrow(grid).schema.field("a").type == pa.float64()
    back = from_arrow(to_arrow(grid))
    assert back == grid
    assert not same(back, grid)
    assert same(from_arrow(to_arrow(grid, exact=True)), grid)


def test_tags_about_a_grid_and_its_columns_are_kept() -> None:
    grid = history(Number(1, "kW"))
    back = from_arrow(to_arrow(grid))
    assert same(back, grid)
    assert back.meta["hisStart"] == START
    assert back.col("val").meta == {"unit": "kW"}


@pytest.mark.parametrize("fold", [0, 1])
def test_the_hour_that_clocks_show_twice_is_kept(fold: int) -> None:
    grid = Grid([{"ts": datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=fold)}])
    table = to_arrow(grid)
    assert table.schema.field("ts").type == pa.timestamp("us", "Europe/Berlin")
    assert same(from_arrow(table), grid)


def test_an_hour_that_clocks_left_out_is_shown_as_they_do_unless_it_must_be_kept() -> None:
    grid = Grid([{"ts": datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN)}])
    shown = Grid([{"ts": datetime(2024, 3, 31, 3, 30, tzinfo=BERLIN)}])
    assert to_arrow(grid).schema.field("ts").type == pa.timestamp("us", "Europe/Berlin")
    assert same(from_arrow(to_arrow(grid)), shown)
    assert same(from_arrow(to_arrow(grid, exact=True)), grid)


@pytest.mark.parametrize("year", [1, 9999])
def test_the_ends_of_time_are_kept(year: int) -> None:
    moments = [
        datetime(year, 1, 1, tzinfo=ZoneInfo("UTC")),
        datetime(year, 12, 31, 23, 59, 59, 999999, tzinfo=ZoneInfo("UTC")),
    ]
    grid = Grid([{"ts": moment} for moment in moments])
    assert same(from_arrow(to_arrow(grid)), grid)


@pytest.mark.parametrize("make", [Grid, lambda: Grid(meta={"a": 1})])
def test_a_grid_without_columns_is_kept(make: Any) -> None:
    assert same(from_arrow(to_arrow(make())), make())


def test_rows_without_columns_are_refused() -> None:
    with pytest.raises(CodecError, match="no rows without columns"):
        to_arrow(Grid([{}, {}]))


@pytest.mark.parametrize("key", ["Singapore", "Asia/Singapore", "Brazil/West", "GMT", "Etc/UTC"])
def test_a_zone_keeps_its_name(key: str) -> None:
    grid = Grid([{"ts": datetime(2024, 1, 31, tzinfo=ZoneInfo(key))}])
    assert same(from_arrow(to_arrow(grid)), grid)


def test_a_fixed_offset_becomes_a_zone_of_that_offset() -> None:
    moment = datetime(2024, 1, 31, tzinfo=timezone(timedelta(hours=5)))
    (back,) = from_arrow(to_arrow(Grid([{"ts": moment}]))).column("ts")
    assert same(back, datetime(2024, 1, 31, tzinfo=ZoneInfo("Etc/GMT-5")))


@pytest.mark.parametrize("months", [(1, 7), (7,)])
def test_moments_of_a_zone_without_a_name_stay_those_moments(months: tuple[int, ...]) -> None:
    at = nameless_zone("Europe/Berlin")
    grid = Grid([{"ts": datetime(2024, month, 15, 12, tzinfo=at)} for month in months])
    assert from_arrow(to_arrow(grid)) == grid


def test_a_grid_without_rows_is_kept() -> None:
    grid = Grid(meta={"a": 1}, cols=[Col("a", {"b": MARKER}), Col("c")])
    assert same(from_arrow(to_arrow(grid)), grid)


@given(grids())
@example(Grid([{"a": [Grid([{"a": "\n"}])]}]))
def test_a_grid_comes_back_from_arrow_the_same(grid: Grid) -> None:
    assert same(from_arrow(to_arrow(grid, exact=True)), grid)


@given(histories())
def test_a_history_comes_back_from_arrow_the_same(grid: Grid) -> None:
    assert same(from_arrow(to_arrow(grid, exact=True)), grid)


@given(
    st.lists(
        st.integers(-9, 9) | st.floats() | st.none() | st.just(NA), min_size=1
    )
)  # fmt: skip
def test_a_column_of_numbers_comes_back_equal(values: list[Any]) -> None:
    grid = Grid([{"a": value} for value in values], cols=["a"])
    back = from_arrow(to_arrow(grid))
    for one, other in zip(grid.column("a"), back.column("a"), strict=True):
        assert one == other or same(one, other)


def test_a_file_of_parquet_keeps_all() -> None:
    grid = history(Number(1, "kW"), NA, Number(2.5, "kW"))
    file = io.BytesIO()
    pq.write_table(to_arrow(grid), file)
    assert same(from_arrow(pq.read_table(file)), grid)


def test_slices_and_chunks_keep_all() -> None:
    grid = history(*(Number(at, "kW") for at in range(10)))
    table = to_arrow(grid)
    halves = pa.concat_tables([table.slice(0, 3), table.slice(3)])
    assert same(from_arrow(halves), grid)
    assert from_arrow(table.slice(2, 1)).column("val") == [Number(2, "kW")]


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (pa.array([1, None], pa.int8()), [Number(1), None]),
        (pa.array([2**64 - 1], pa.uint64()), [Number(2**64 - 1)]),
        (pa.array([1.5], pa.float32()), [Number(1.5)]),
        (pa.array([1.5, None], pa.float32()).cast(pa.float16()), [Number(1.5), None]),
        (pa.array(["x"], pa.large_string()), ["x"]),
        (pa.array(["x"], pa.string_view()), ["x"]),
        (pa.array(["x", None]).dictionary_encode(), ["x", None]),
        (pa.array([date(2024, 1, 31)], pa.date64()), [date(2024, 1, 31)]),
        (pa.array([3661], pa.time32("s")), [time(1, 1, 1)]),
        (pa.array([3_661_000_001_000], pa.time64("ns")), [time(1, 1, 1, 1)]),
        (
            pa.array([0], pa.timestamp("s", "UTC")),
            [datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))],
        ),
        (
            pa.array([1_000], pa.timestamp("ns", "Europe/Berlin")),
            [datetime(1970, 1, 1, 1, 0, 0, 1, tzinfo=BERLIN)],
        ),
        (
            pa.array([0], pa.timestamp("ms", "+05:00")),
            [datetime(1970, 1, 1, 5, tzinfo=ZoneInfo("Etc/GMT-5"))],
        ),
        (
            pa.array([0], pa.timestamp("ms", "-05:30")),
            [datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))],
        ),
        (pa.array([[1, None]]), [[Number(1), None]]),
        (pa.array([{"x": 1}]), [{"x": Number(1)}]),
        (pa.nulls(1), [None]),
    ],
)
def test_a_column_without_notes_is_taken_by_its_type(array: Any, values: list[Any]) -> None:
    grid = from_arrow(pa.table({"a": array}))
    assert same(grid.column("a"), values)


@pytest.mark.parametrize(
    ("table", "kind", "says"),
    [
        (pa.table({"a": pa.array([b"x"])}), TypeError, "column a: the type binary"),
        (pa.table({"a": pa.array([timedelta(1)])}), TypeError, "column a: the type duration"),
        (pa.table({"a": pa.array([datetime(2024, 1, 1)])}), ValueError, "a: .*without a zone"),  # noqa: DTZ001
        (
            pa.table({"a": pa.array([1], pa.timestamp("ns", "UTC"))}),
            ValueError,
            "column a: .*finer than a microsecond",
        ),
        (pa.table({"a": pa.array([1], pa.timestamp("s", "Mars"))}), ValueError, "column a: 'Mars'"),
        (pa.table({"a": pa.array([10**15], pa.timestamp("s", "UTC"))}), ValueError, "column a: "),
        (pa.table({"a": pa.array([10**9], pa.date32())}), ValueError, "column a: "),
        (pa.table({"a": pa.array([[datetime(2024, 1, 1)]])}), TypeError, "column a: .*no zone"),  # noqa: DTZ001
        (pa.table({"a": pa.array([{"B": 1}])}), ValueError, "column a: .*no name of a tag"),
        (pa.table({"A": [1]}), ValueError, "no name of a tag"),
        (pa.table([[1], [2]], names=["a", "a"]), ValueError, "comes twice"),
    ],
)
def test_a_table_that_is_no_grid_is_refused(table: Any, kind: Any, says: str) -> None:
    with pytest.raises(kind, match=says):
        from_arrow(table)


@pytest.mark.parametrize(
    "notes", [{"kind": "zinc"}, {"meta": "1"}, {"meta": "{"}, {"kind": "ref", "dis": "["}]
)
def test_a_note_or_literal_that_is_none_is_refused(notes: dict[str, str]) -> None:
    metadata = {f"haystack.{name}": text for name, text in notes.items()}
    table = pa.table([["[1"]], schema=pa.schema([pa.field("a", pa.string(), metadata=metadata)]))
    with pytest.raises(CodecError, match="column a: "):
        from_arrow(table)


def test_notes_that_do_not_fit_the_type_are_passed_over() -> None:
    grid = Grid([{"a": Ref("x"), "b": Uri("u"), "c": MARKER}])
    table = pa.table({"a": [1.5], "b": [True], "c": ["x"]})
    assert same(from_arrow(table, like=grid), Grid([{"a": 1.5, "b": True, "c": "x"}]))


def test_half_a_character_is_refused_with_its_column() -> None:
    with pytest.raises(CodecError, match="column a: "):
        to_arrow(Grid([{"a": "\ud800"}]))


def test_the_notes_of_another_grid_are_taken() -> None:
    table = pa.table({"ts": pa.array([0], pa.timestamp("us", "UTC")), "val": [1.5], "x": ["y"]})
    grid = from_arrow(table, like=history(Number(1.5, "kW")))
    assert grid.column("val") == [Number(1.5, "kW")]
    assert grid.col("val").meta == {"unit": "kW"}
    assert grid.meta["id"] == Ref("p")
    assert grid.names == ("ts", "val", "x")


SITES = Grid(
    [
        {"id": Ref("a", "A"), "site": MARKER, "area": Number(10, "m²"), "open": True, "n": 2**60},
        {"id": Ref("b"), "tz": "Berlin", "on": date(2024, 1, 31), "at": time(12), "open": False},
        {"tags": [1, "x"], "mixed": 1},
        {"mixed": Symbol("x")},
    ],
    meta={"dis": "Sites"},
)


@pytest.mark.parametrize(
    "grid",
    [
        SITES,
        history(Number(1, "kW"), Number(2.5, "kW")),
        history(Number(1, "kW"), NA, Number(2, "kW")),
        history("on", "off"),
        history(True, False),
        history(),
        Grid(meta={"a": 1}, cols=["a"]),
    ],
)
def test_a_frame_of_pandas_gives_the_grid_back(grid: Grid) -> None:
    assert same(from_pandas(to_pandas(grid)), grid)


def test_pandas_has_types_to_compute_with() -> None:
    frame = to_pandas(history(Number(1.5, "kW"), Number(2.5, "kW")))
    assert str(frame["ts"].dtype) == "datetime64[us, Europe/Berlin]"
    assert frame["val"].dtype == "float64"
    assert frame.set_index("ts")["val"].resample("2h").sum().tolist() == [4.0]
    assert to_pandas(SITES)["n"].dtype == "Int64"
    assert to_pandas(SITES)["open"].tolist()[:2] == [True, False]


def test_an_index_with_a_name_is_a_column() -> None:
    grid = history(Number(1.5, "kW"), Number(2.5, "kW"))
    assert same(from_pandas(to_pandas(grid).set_index("ts")), grid)


def test_a_frame_that_was_made_elsewhere_is_taken_by_its_types() -> None:
    frame = pd.DataFrame(
        {
            "ts": pd.date_range("2024-01-31", periods=2, freq="h", tz="Europe/Berlin"),
            "val": [1.5, float("nan")],
            "s": pd.Categorical(["x", "y"]),
        }
    )
    assert same(
        [*from_pandas(frame)],
        [
            {"ts": datetime(2024, 1, 31, tzinfo=BERLIN), "val": Number(1.5), "s": "x"},
            {"ts": datetime(2024, 1, 31, 1, tzinfo=BERLIN), "s": "y"},
        ],
    )


def test_a_frame_of_pandas_takes_notes_of_another_grid() -> None:
    grid = history(Number(1.5, "kW"))
    frame = to_pandas(grid)
    frame.attrs.clear()
    assert same(from_pandas(frame, like=grid), grid)


@pytest.mark.parametrize(
    ("frame", "kind", "says"),
    [
        (pd.DataFrame({1: [2]}), TypeError, "rename"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "rename"),
        (pd.DataFrame({"A": [2]}), ValueError, "no name of a tag"),
        (pd.DataFrame({"a": ["x", 1]}), TypeError, "several types"),
        (pd.DataFrame({"a": [1 + 2j]}), TypeError, "a"),
    ],
)
def test_a_frame_that_is_no_grid_is_refused(frame: Any, kind: Any, says: str) -> None:
    with pytest.raises(kind, match=says):
        from_pandas(frame)


@pytest.mark.parametrize(
    "grid",
    [SITES, history(Number(1, "kW"), NA, Number(2.5, "kW")), history(), Grid(cols=["a"])],
)
def test_a_frame_of_polars_gives_the_grid_back_with_its_notes(grid: Grid) -> None:
    assert same(from_polars(to_polars(grid), like=grid), grid)


def test_polars_keeps_types_and_no_notes() -> None:
    frame = to_polars(history(Number(1.5, "kW"), float("nan")))
    assert frame.schema["ts"] == pl.Datetime("us", "Europe/Berlin")
    back = from_polars(frame)
    assert same(back.column("val"), [Number(1.5), Number(float("nan"))])
    assert same(back.column("ts"), [START, START + timedelta(hours=1)])
    assert from_polars(to_polars(SITES)).column("id")[0] == "a"


@pytest.mark.parametrize(
    ("missing", "call", "package"),
    [
        ("pyarrow", "to_arrow(Grid())", "pip install 'holdall[arrow]'"),
        ("pandas", "to_pandas(Grid())", "pip install pandas"),
        ("polars", "to_polars(Grid())", "pip install polars"),
    ],
)
def test_a_library_that_is_not_there_is_named(missing: str, call: str, package: str) -> None:
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from holdall.core.errors import InvalidConfig\n"
        "from holdall.haystack import Grid\n"
        "from holdall.haystack import tables\n"
        f"try: tables.{call}\n"
        "except InvalidConfig as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert package in run.stdout
