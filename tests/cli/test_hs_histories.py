"""The commands for histories: his-read, his-write, and histories of an export."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from array import array
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import holdall
from holdall.cli import hs_histories
from holdall.cli.hs_plot import plot
from holdall.core.errors import LimitExceeded, Unavailable
from holdall.haystack import NA, Number, same
from holdall.haystack.adapter.samples import Point
from holdall.haystack.stores.histories import Samples
from holdall.haystack.stores.sqlite import SqliteHistories

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Run

POINTS = """id:@s1
site
tz:"Berlin"
---
id:@temp
point
kind:"Number"
unit:"°C"
siteRef:@s1
---
id:@mode
point
kind:"Str"
siteRef:@s1
---
id:@on
point
kind:"Bool"
tz:"New_York"
---
id:@any
point
"""
BERLIN = ZoneInfo("Europe/Berlin")
CSV = '''id,ts,val
temp,2024-06-15T08:00:00+02:00,21.5
@temp,2024-06-15T09:00:00+02:00 Berlin,22°C
@temp,2024-06-15 08:00:00Z,NA
@mode,2024-06-15T06:00:00Z,on
@mode,2024-06-15T07:00:00Z,
@mode,2024-06-15T08:00:00Z,"12, or ""so"""
@mode,2024-06-15T09:00:00Z,true
@on,2024-06-15T06:00:00Z,true
@on,2024-06-15T07:00:00Z,FALSE
@any,2024-06-15T06:00:00Z,5kW
@any,2024-06-15T07:00:00Z,false
@any,2024-06-15T08:00:00Z,off
'''
WANTED: dict[str, list[Any]] = {
    "temp": [Number(21.5, "°C"), Number(22, "°C"), NA],
    "mode": ["on", "", '12, or "so"', "true"],
    "on": [True, False],
    "any": [Number(5, "kW"), False, "off"],
}


@pytest.fixture
def points(run: Run, here: Path) -> Run:
    (here / "points.trio").write_text(POINTS)
    run("hs", "load", "plant.db", "points.trio")
    run("hs", "load", "again.db", "points.trio")
    return run


@pytest.fixture
def filled(points: Run, here: Path) -> Run:
    (here / "all.csv").write_text(CSV)
    points("hs", "his-write", "plant.db", "all.csv")
    return points


def samples_in(path: str = "plant.db") -> dict[str, list[dict[str, Any]]]:
    async def read() -> dict[str, list[dict[str, Any]]]:
        async with holdall.open_adapter(f"sqlite:///{path}") as adapter:
            return await adapter.his_read_many(list(WANTED))

    return asyncio.run(read())


def values_in(path: str = "plant.db") -> dict[str, list[Any]]:
    return {of: [row["val"] for row in rows] for of, rows in samples_in(path).items()}


def test_csv_is_read_as_the_points_say(filled: Run) -> None:
    assert values_in() == WANTED
    first = samples_in()["temp"][0]["ts"]
    assert first == datetime(2024, 6, 15, 8, tzinfo=BERLIN)
    assert samples_in()["on"][0]["val"] is True


def test_what_was_written_is_counted(points: Run) -> None:
    answer = points("hs", "his-write", "plant.db", "-", "--format", "csv", typed=CSV)
    assert answer.stdout == "wrote 12 samples of 12, for 4 points\n"
    answer = points("hs", "his-write", "plant.db", "-", "--format", "csv", "--json", typed=CSV)
    assert json.loads(answer.stdout) == {
        "read": 12,
        "written": 12,
        "points": 4,
        "refused": 0,
        "broken_files": 0,
    }


def test_a_later_line_takes_the_place_of_an_earlier_one(points: Run) -> None:
    text = "ts,val\n2024-06-15T06:00:00Z,1\n2024-06-15T05:00:00Z,0\n2024-06-15T06:00:00Z,2\n"
    points("hs", "his-write", "plant.db", "-", "--format", "csv", "--id", "@temp", typed=text)
    assert values_in()["temp"] == [Number(0, "°C"), Number(2, "°C")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("temp,2024-06-15T08:00:00,1", "line 3: '2024-06-15T08:00:00' has no zone"),
        ("temp,2024-06-15T08:00:00.1234567Z,1", "line 3: '2024-06-15T08:00:00.1234567Z' is finer"),
        ("temp,noon,1", "line 3: "),
        ("temp,2024-06-15T08:00:00-04:00 New_York,1", "line 3 of @temp has a ts in America"),
        ("temp,2024-06-15T08:00:00+05:00 Berlin,1", "line 3: "),
        ("temp,2024-06-15T08:00:00Z,warm", "line 3: 'warm' is no number"),
        ("temp,2024-06-15T08:00:00Z,", "line 3: there is no value"),
        ("temp,2024-06-15T08:00:00Z,5kW", "line 3 of @temp is in kW"),
        ("on,2024-06-15T08:00:00Z,yes", "line 3: 'yes' is no Bool"),
        ("nobody,2024-06-15T08:00:00Z,1", "from line 3 on: there is no point @nobody"),
        (",2024-06-15T08:00:00Z,1", "line 3: it names no point"),
        ("a b,2024-06-15T08:00:00Z,1", "line 3: 'a b' is no id"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(
    points: Run, here: Path, line: str, said: str
) -> None:
    (here / "a.csv").write_text(
        f"id,ts,val\ntemp,2024-06-15T06:00:00Z,1\n{line}\ntemp,2024-06-15T09:00:00Z,2\n"
    )
    answer = points("hs", "his-write", "plant.db", "a.csv", code=1)
    assert f"holdall: a.csv, {said}" in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert answer.stdout == "wrote 2 samples of 3, for 1 point\n"
    assert values_in()["temp"] == [Number(1, "°C"), Number(2, "°C")]


def test_a_point_that_is_not_there_is_told_once(points: Run) -> None:
    text = "id,ts,val\n" + "".join(f"x,2024-06-15T06:00:{at:02}Z,1\n" for at in range(50))
    answer = points("hs", "his-write", "plant.db", "-", "--format", "csv", typed=text, code=1)
    assert (
        answer.stderr == "holdall: standard input, from line 2 on: there is no point @x (50 rows)\n"
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "id,time,value\n", "a.csv has no column ts and none val"),
        ("a.csv", "", "a.csv has no column ts"),
        ("a.csv", "id,ts,val\na,b\n", "a.csv: line 2, column 1: a row of 2 cells"),
        ("a.csv", 'id,ts,val\n"a,b,c\n', "a.csv: line 2, column 1: a quote"),
        ("a.zinc", 'ver:"3.0"\nid,ts,val\n@temp,x,1\n', "a.zinc: line 3"),
        ("a.zinc", 'ver:"3.0"\nid,value\n', "a.zinc has no column ts"),
        ("a.json", '{"rows":[{"id"', "a.json: line 1"),
        ("a.parquet", "no parquet at all", "a.parquet: "),
    ],
)
def test_a_broken_file_is_named_with_the_place(
    points: Run, here: Path, name: str, text: str, said: str
) -> None:
    (here / name).write_text(text)
    answer = points("hs", "his-write", "plant.db", name, code=1)
    assert said in answer.stderr
    assert answer.stdout.startswith("wrote 0 samples")


def test_what_stands_before_a_mistake_is_written(points: Run, here: Path) -> None:
    (here / "a.csv").write_text('id,ts,val\ntemp,2024-06-15T06:00:00Z,1\n"a\n')
    answer = points("hs", "his-write", "plant.db", "a.csv", code=1)
    assert "what stands before that was written" in answer.stderr
    assert values_in()["temp"] == [Number(1, "°C")]


def test_what_the_store_refuses_is_named_and_the_others_are_written(
    points: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = SqliteHistories.write

    async def choosy(self: SqliteHistories, samples: Any) -> None:
        if "mode" in samples:
            raise LimitExceeded("no more of @mode")
        await write(self, samples)

    monkeypatch.setattr(SqliteHistories, "write", choosy)
    answer = points("hs", "his-write", "plant.db", "-", "--format", "csv", typed=CSV, code=1)
    assert answer.stderr == "holdall: standard input: no more of @mode (4 rows)\n"
    assert answer.stdout == "wrote 8 samples of 12, for 3 points\n"
    assert values_in() == WANTED | {"mode": []}


def test_an_outage_says_how_far_it_came(points: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(*_: object) -> None:
        raise Unavailable("the store went away")

    monkeypatch.setattr(SqliteHistories, "write", failing)
    answer = points("hs", "his-write", "plant.db", "-", "--format", "csv", typed=CSV, code=1)
    assert answer.stderr.splitlines() == [
        "holdall: 0 samples were written before this",
        "holdall: the store went away",
    ]


def test_grids_say_in_three_ways_whose_samples_they_are(points: Run, here: Path) -> None:
    (here / "a.zinc").write_text(
        'ver:"3.0" id:@temp\nts,val\n2024-06-15T06:00:00Z UTC,1°C\n2024-06-15T07:00:00Z UTC,2\n'
    )
    (here / "b.zinc").write_text(
        'ver:"3.0"\nts,v0 id:@temp,v1 id:@on\n2024-06-15T08:00:00Z UTC,3,\n'
        "2024-06-15T09:00:00Z UTC,4,T\n"
    )
    (here / "c.zinc").write_text('ver:"3.0"\nid,ts,val\n@mode,2024-06-15T08:00:00Z UTC,"x"\n')
    for name in ("a.zinc", "b.zinc", "c.zinc"):
        points("hs", "his-write", "plant.db", name)
    found = values_in()
    assert found["temp"] == [Number(at, "°C") for at in (1, 2, 3, 4)]
    assert (found["on"], found["mode"]) == ([True], ["x"])


def test_remove_deletes_a_sample(filled: Run) -> None:
    text = 'ver:"3.0"\nid,ts,val\n@temp,2024-06-15T06:00:00Z UTC,R\n'
    filled("hs", "his-write", "plant.db", "-", "--format", "zinc", typed=text)
    assert values_in()["temp"] == WANTED["temp"][1:]


@pytest.mark.parametrize("name", ["his.csv", "his.zinc", "his.json", "his.v3.json", "his.parquet"])
def test_what_is_exported_is_written_again(filled: Run, name: str) -> None:
    answer = filled("hs", "export", "plant.db", "plant.zinc", "--history", name)
    assert answer.stdout == f"wrote 5 entities to plant.zinc\nwrote 12 samples to {name}\n"
    filled("hs", "his-write", "again.db", name)
    assert same(samples_in("again.db"), samples_in())


def test_an_export_takes_a_filter_and_a_range(filled: Run) -> None:
    filled("hs", "export", "plant.db", "x.trio", "unit", "--history", "x.csv", "-r", "2024-06-15")
    with open("x.csv") as file:
        assert len(file.readlines()) == 4
    filled("hs", "export", "plant.db", "x.trio", "unit", "--history", "x.csv", "-r", "2024-06-16")
    with open("x.csv") as file:
        assert file.read().strip() == "id,ts,val"


def test_numbers_that_no_double_holds_and_their_kin_go_through_parquet(points: Run) -> None:
    text = (
        'ver:"3.0"\nid,ts,val\n@any,2024-06-15T06:00:00Z UTC,9007199254740993kW\n'
        "@any,2024-06-15T06:00:00.000001Z UTC,NaN\n@any,2024-06-15T06:00:01Z UTC,-INF\n"
        '@any,2024-06-15T06:00:02Z UTC,"a\\nb"\n@any,2024-06-15T06:00:03Z UTC,NA\n'
    )
    points("hs", "his-write", "plant.db", "-", "--format", "zinc", typed=text)
    points("hs", "his-read", "plant.db", "any", "-o", "any.parquet")
    points("hs", "his-write", "again.db", "any.parquet")
    assert len(samples_in("again.db")["any"]) == 5
    assert same(samples_in("again.db"), samples_in())


def test_parquet_of_others_is_written(points: Run) -> None:
    start = datetime(2024, 6, 15, tzinfo=UTC)
    moments = [start + timedelta(seconds=at) for at in range(25_000)]
    kind = pa.timestamp("ms", "Europe/Berlin")
    table = pa.table(
        {"ts": pa.array(moments, kind), "val": pa.array([float(at) for at in range(25_000)])}
    )
    pq.write_table(table, "df.parquet")
    answer = points("hs", "his-write", "plant.db", "df.parquet", "--id", "temp")
    assert answer.stdout == "wrote 25,000 samples of 25,000, for 1 point\n"
    found = values_in()["temp"]
    assert (len(found), found[-1]) == (25_000, Number(24_999.0, "°C"))


def test_parquet_without_zones_is_refused(points: Run) -> None:
    table = pa.table({"ts": pa.array([0], pa.timestamp("us")), "val": [1.0]})
    pq.write_table(table, "df.parquet")
    answer = points("hs", "his-write", "plant.db", "df.parquet", "--id", "temp", code=1)
    assert "df.parquet: column ts" in answer.stderr


def test_a_missing_pyarrow_is_told_with_what_to_install(
    points: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = points("hs", "his-read", "plant.db", "temp", "--format", "parquet", code=2)
    assert "pip install 'holdall[arrow]'" in answer.stderr


def test_samples_are_printed(filled: Run) -> None:
    assert filled("hs", "his-read", "plant.db", "@temp", "2024-06-15").stdout.splitlines() == [
        "ts\tval",
        "2024-06-15T08:00:00+02:00\t21.5°C",
        "2024-06-15T09:00:00+02:00\t22°C",
        "2024-06-15T10:00:00+02:00\tNA",
    ]
    assert filled("hs", "his-read", "plant.db", "on", "mode").stdout.splitlines() == [
        "id\tts\tval",
        "@on\t2024-06-15T02:00:00-04:00\ttrue",
        "@on\t2024-06-15T03:00:00-04:00\tfalse",
        "@mode\t2024-06-15T08:00:00+02:00\ton",
        "@mode\t2024-06-15T09:00:00+02:00\t",
        '@mode\t2024-06-15T10:00:00+02:00\t12, or "so"',
        "@mode\t2024-06-15T11:00:00+02:00\ttrue",
    ]


def test_people_see_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    start = array("q", [1_718_431_200_000_000])
    point = Point("temp", "Number", "°C", BERLIN)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", terminal)
        samples = Samples(start, array("d", [21.5]), "°C")
        hs_histories._say_samples(iter([(point, samples)]), ["temp", "longer"])
    assert terminal.getvalue().splitlines() == [
        "@temp    2024-06-15 08:00:00+02:00         21.5°C",
        "1 sample",
    ]


def test_samples_are_printed_as_json(filled: Run) -> None:
    lines = filled("hs", "his-read", "plant.db", "temp", "--json").stdout.splitlines()
    assert json.loads(lines[0]) == {
        "id": {"_kind": "ref", "val": "temp"},
        "ts": {"_kind": "dateTime", "val": "2024-06-15T08:00:00+02:00", "tz": "Berlin"},
        "val": {"_kind": "number", "val": 21.5, "unit": "°C"},
    }


def test_samples_go_through_a_pipe(filled: Run) -> None:
    text = filled("hs", "his-read", "plant.db", "mode", "temp", "--format", "json").stdout
    filled("hs", "his-write", "again.db", "-", "--format", "json", typed=text)
    assert values_in("again.db") == WANTED | {"on": [], "any": []}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("temp", "2024-13-01"), 2, "no range of time"),
        (("temp", "2024-06-15, soon"), 2, "no range of time"),
        (("temp", "June, July"), 2, "no range of time"),
        (("nobody", "today"), 1, "there is no point @nobody"),
        (("temp", "@today"), 1, "there is no point @today"),
        (("2024-06-15",), 1, "there is no point @2024-06-15"),
    ],
)
def test_a_mistake_is_named(filled: Run, words: tuple[str, ...], code: int, said: str) -> None:
    assert said in filled("hs", "his-read", "plant.db", *words, code=code).stderr


@pytest.mark.parametrize("text", ["lastWeek", "2024-06-16,2024-06-17", "2024-06-16T00:00:00Z"])
def test_ranges_are_those_of_the_adapter(filled: Run, text: str) -> None:
    assert filled("hs", "his-read", "plant.db", "temp", text).stdout == "ts\tval\n"


def test_a_history_is_drawn(filled: Run) -> None:
    answer = filled("hs", "his-read", "plant.db", "temp", "on", "mode", "--plot")
    lines = answer.stdout.splitlines()
    assert lines[0] == "@temp: 3 samples in °C"
    assert lines[1].startswith("          22 ┤")
    assert lines[6].startswith("       21.75 ┤")
    assert lines[11].startswith("        21.5 ┤⣀⠔")
    assert "2024-06-15 08:00:00+02:00" in lines[12]
    assert "@on: 2 samples" in lines
    assert "@mode: 0 samples" in lines
    assert "4 texts cannot be drawn" in answer.stderr
    assert all(len(line) <= 100 for line in lines)


def test_a_picture_is_drawn_dot_by_dot() -> None:
    assert plot([0, 1, 2, 3], [0.0, 1.0, 2.0, 3.0], 2, 1) == ["           3 ┤⡠⠊"]
    assert plot([0, 30], [0.0, 7.0], 2, 2) == ["           7 ┤⠀⡜", "           0 ┤⡜"]
    assert plot([5], [1.5], 1, 1) == ["         1.5 ┤⠄"]


def test_bools_are_drawn_as_steps() -> None:
    assert plot([0, 2, 4], [0.0, 1.0, 0.0], 3, 1, steps=True) == ["           1 ┤⣀⡏⢹"]
    assert plot([0, 2, 4], [0.0, 1.0, 0.0], 3, 1) == ["           1 ┤⡰⠑⢄"]


def test_a_gap_is_left_out() -> None:
    nan = float("nan")
    assert plot([0, 1, 2, 3, 4, 5], [0.0, 0.0, nan, nan, 3.0, 3.0], 3, 1) == [
        "           3 ┤⣀⠀⠉",
    ]
    assert plot([0, 1], [nan, nan], 3, 1) == []
    assert plot([], [], 3, 1) == []


def test_the_largest_numbers_are_drawn() -> None:
    assert len(plot([0, 1], [-1.7e308, 1.7e308], 3, 2)) == 2


@pytest.mark.untraced
def test_a_long_history_is_written_and_read_in_pages(points: Run, here: Path) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    with (here / "long.csv").open("w") as file:
        file.write("ts,val\n")
        for at in range(120_000):
            file.write(f"{(start + timedelta(seconds=at)).isoformat()},{at}\n")
    answer = points("hs", "his-write", "plant.db", "long.csv", "--id", "temp")
    assert answer.stdout == "wrote 120,000 samples of 120,000, for 1 point\n"
    points("hs", "his-read", "plant.db", "temp", "-o", "long.parquet")
    assert pq.read_table("long.parquet").column("val").to_pylist() == list(range(120_000))
