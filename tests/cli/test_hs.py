"""The commands for entities: load, read, nav, export."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

import holdall
from holdall.cli import hs_loading
from holdall.cli.output import say_table
from holdall.core.errors import InvalidValue, Unavailable
from holdall.haystack import MARKER, NA, Coord, Number, Ref, Symbol, Uri, XStr, same
from holdall.haystack.codecs.json3 import JSON3
from holdall.haystack.codecs.zinc import ZINC
from holdall.haystack.grid import Grid
from holdall.haystack.stores.sqlite import SqliteEntities

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Run

X_IN_JSON = """[{"id": {"_kind": "ref", "val": "x", "dis": "X"}, "point": {"_kind": "marker"},
"n": {"_kind": "number", "val": 5, "unit": "kW"}}]"""
SITE = """dis:Headquarters
id:@s1 "HQ"
site
area:2000m²
tz:"Berlin"
---
id:@a1
dis:"AHU-1"
equip
siteRef:@s1
---
id:@p1
dis:"Temp"
point
temp
kind:"Number"
unit:"°C"
siteRef:@s1
equipRef:@a1
---
id:@p2
point
kind:"Str"
siteRef:@s1
tags:["a", {b:1}]
"""


@pytest.fixture
def filled(run: Run, here: Path) -> Run:
    (here / "site.trio").write_text(SITE)
    run("hs", "load", "plant.db", "site.trio")
    return run


def entities_in(path: str = "plant.db") -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        async with holdall.open_adapter(f"sqlite:///{path}") as adapter:
            return {str(one["id"])[1:]: dict(one) for one in await adapter.read("id")}

    return asyncio.run(read())


def rows_of(answer: Any) -> list[list[str]]:
    return [line.split("\t") for line in answer.stdout.splitlines()]


def test_a_file_is_loaded_and_its_entities_are_read(filled: Run) -> None:
    found = rows_of(filled("hs", "read", "plant.db", "point or site"))
    assert " ".join(found[0]) == "id dis kind unit siteRef equipRef tags area tz markers"
    assert [row[0] for row in found[1:]] == ["@p1", "@p2", "@s1 HQ"]
    assert found[1][-1] == "point temp"
    assert found[3][7] == "2000m²"


def test_it_is_the_store_that_python_opens(filled: Run) -> None:
    assert entities_in()["p1"] == {
        "id": Ref("p1"),
        "dis": "Temp",
        "point": MARKER,
        "temp": MARKER,
        "kind": "Number",
        "unit": "°C",
        "siteRef": Ref("s1"),
        "equipRef": Ref("a1"),
    }


def test_an_address_is_a_store(filled: Run, here: Path) -> None:
    found = filled("hs", "read", f"sqlite:///{here}/plant.db", "site", "--json").stdout
    assert json.loads(found)["dis"] == "Headquarters"


def test_loading_replaces(filled: Run, here: Path) -> None:
    (here / "new.zinc").write_text('ver:"3.0"\nid,dis\n@p1,"New"\n')
    answer = filled("hs", "load", "plant.db", "new.zinc")
    assert answer.stdout == "loaded 1 entity of 1\n"
    assert entities_in()["p1"] == {"id": Ref("p1"), "dis": "New"}
    assert len(entities_in()) == 4


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.zinc", 'ver:"3.0"\nid,point,n\n@x "X",M,5kW\n'),
        ("a.trio", 'id:@x "X"\npoint\nn:5kW\n'),
        (
            "a.json",
            X_IN_JSON,
        ),
        ("a.v3.json", '{"rows":[{"id":"r:x X","point":"m:","n":"n:5 kW"}]}'),
        # What is named as JSON and of version 3 would be taken for texts.
        ("a.json", '{"meta":{"ver":"3.0"},"rows":[{"id":"r:x X","point":"m:","n":"n:5 kW"}]}'),
        ("a.csv", "id,point,n\n@x X,✓,5kW\n"),
    ],
)
def test_every_format_is_loaded(run: Run, here: Path, name: str, text: str) -> None:
    (here / name).write_text(text)
    assert run("hs", "load", "plant.db", name).stdout == "loaded 1 entity of 1\n"
    wanted = {"id": Ref("x", "X"), "point": MARKER, "n": Number(5, "kW")}
    assert same(entities_in()["x"], wanted)


def test_csv_takes_ids_without_an_at(run: Run, here: Path) -> None:
    (here / "ids.csv").write_text("id,dis\np1,One\np2,Two\n17,Three\n")
    answer = run("hs", "load", "plant.db", "ids.csv", code=1)
    assert "ids.csv, row 3 has the id 17, a number: write it as @17" in answer.stderr
    assert answer.stdout == "loaded 2 entities of 3\n"
    assert set(entities_in()) == {"p1", "p2"}


def test_standard_input_needs_a_format(run: Run) -> None:
    assert "--format" in run("hs", "load", "plant.db", "-", typed=SITE, code=2).stderr
    answer = run("hs", "load", "plant.db", "-", "--format", "trio", "--json", typed=SITE)
    assert json.loads(answer.stdout) == {
        "read": 4,
        "loaded": 4,
        "repeated": 0,
        "refused": 0,
        "broken_files": 0,
    }


def test_a_refused_row_is_named_and_the_others_are_loaded(run: Run, here: Path) -> None:
    (here / "a.zinc").write_text('ver:"3.0"\nid,dis\n@a,"A"\n,"none"\n5,"a number"\n@b,"B"\n')
    answer = run("hs", "load", "plant.db", "a.zinc", code=1)
    assert answer.stderr.splitlines() == [
        "holdall: a.zinc, row 2 has the id None, and an id is a Ref",
        "holdall: a.zinc, row 3 has the id Number(5), and an id is a Ref",
    ]
    assert answer.stdout == "loaded 2 entities of 4\n"
    assert set(entities_in()) == {"a", "b"}


def test_of_many_refused_rows_the_first_are_named_and_all_are_counted(run: Run, here: Path) -> None:
    (here / "a.zinc").write_text('ver:"3.0"\nid,dis\n' + ',"none"\n' * 1500 + '@a,"A"\n')
    answer = run("hs", "load", "plant.db", "a.zinc", "--json", code=1)
    assert len(answer.stderr.splitlines()) == 21
    assert answer.stderr.endswith("holdall: and 1,480 more\n")
    assert json.loads(answer.stdout) | {"broken_files": 0} == {
        "read": 1501,
        "loaded": 1,
        "repeated": 0,
        "refused": 1500,
        "broken_files": 0,
    }


def test_a_broken_file_is_named_with_its_line_and_what_is_before_is_loaded(
    run: Run, here: Path
) -> None:
    (here / "a.zinc").write_text('ver:"3.0"\nid,dis\n@a,"A"\n@b,"B\n@c,"C"\n')
    (here / "b.trio").write_text("id:@d\n")
    answer = run("hs", "load", "plant.db", "a.zinc", "b.trio", code=1)
    assert "holdall: a.zinc: line 4, column 6: " in answer.stderr
    assert "what stands before that was loaded" in answer.stderr
    assert set(entities_in()) == {"a", "d"}


def test_an_id_that_comes_twice_is_said(run: Run, here: Path) -> None:
    (here / "a.trio").write_text("id:@a\nn:1\n---\nid:@a\nn:2\n")
    answer = run("hs", "load", "plant.db", "a.trio")
    assert "1 id came more than once: the last one counts" in answer.stderr
    assert entities_in()["a"]["n"] == Number(2)


def test_what_the_store_refuses_is_named_and_the_others_are_loaded(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = SqliteEntities.commit

    async def choosy(self: SqliteEntities, changes: Any, *, due: int | None = None) -> int:
        if "Ref('b')" in str(changes):
            raise InvalidValue("no b here")
        return await commit(self, changes, due=due)

    monkeypatch.setattr(SqliteEntities, "commit", choosy)
    (here / "a.trio").write_text("id:@a\n---\nid:@b\n---\nid:@c\n")
    answer = run("hs", "load", "plant.db", "a.trio", code=1)
    assert answer.stderr == "holdall: a.trio, row 2: no b here\n"
    assert answer.stdout == "loaded 2 entities of 3\n"
    assert set(entities_in()) == {"a", "c"}


def test_an_outage_ends_a_load_and_says_how_far_it_came(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = SqliteEntities.commit

    async def failing(self: SqliteEntities, changes: Any, *, due: int | None = None) -> int:
        if "Ref('x1000')" in str(changes):
            raise Unavailable("the store went away")
        return await commit(self, changes, due=due)

    monkeypatch.setattr(SqliteEntities, "commit", failing)
    (here / "a.csv").write_text("id\n" + "".join(f"x{at}\n" for at in range(1500)))
    answer = run("hs", "load", "plant.db", "a.csv", code=1)
    assert answer.stderr.splitlines() == [
        "holdall: 1,000 entities were loaded before this",
        "holdall: the store went away",
    ]


def test_the_error_of_a_server_is_no_entity(run: Run, here: Path) -> None:
    (here / "a.zinc").write_text('ver:"3.0" err dis:"Not allowed"\nempty\n')
    assert "Not allowed" in run("hs", "load", "plant.db", "a.zinc", code=1).stderr


@pytest.mark.parametrize("suffix", ["zinc", "json", "v3.json", "trio"])
def test_what_is_exported_is_loaded_again(filled: Run, suffix: str) -> None:
    answer = filled("hs", "export", "plant.db", f"out.{suffix}")
    assert answer.stdout == f"wrote 4 entities to out.{suffix}\n"
    filled("hs", "load", "again.db", f"out.{suffix}")
    assert same(entities_in("again.db"), entities_in())


@pytest.mark.parametrize("suffix", ["zinc", "json", "v3.json", "trio"])
def test_every_kind_is_exported_and_loaded_again(run: Run, here: Path, suffix: str) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    tags = {
        "marker": MARKER,
        "na": NA,
        "bool": False,
        "text": 'a "b" \\ $c\n  d\t✓ 17 r:x m:',
        "empty": "",
        "like": "2024-01-31",
        "whole": Number(9_007_199_254_740_993),
        "real": Number(-1.5e-9, "kW/ft²"),
        "own": Number(3.0, "widgets"),
        "uri": Uri("http://x.org/a b?c=`d`"),
        "ref": Ref("a:b-c.d~e", "Some thing"),
        "symbol": Symbol("elec-meter"),
        "day": date(2024, 2, 29),
        "clock": time(23, 59, 59, 999_999),
        "moment": datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=berlin),
        "place": Coord(52.5, -13.25),
        "odd": XStr("Color", "red"),
        "list": [Number(1.0), "a", [MARKER], {"x": Ref("y")}],
        "dict": {"a": NA, "b": {"c": [True]}},
        "grid": Grid([{"a": "b"}], meta={"dis": "G"}),
    }

    async def fill() -> None:
        async with holdall.open_adapter("sqlite:///plant.db") as adapter:
            await adapter.create({"id": Ref("x"), **tags})

    asyncio.run(fill())
    run("hs", "export", "plant.db", f"out.{suffix}")
    run("hs", "load", "again.db", f"out.{suffix}")
    (one,), (other,) = entities_in("again.db").values(), entities_in().values()
    assert not [name for name in other if not same(one.get(name), other[name])]
    assert one.keys() == other.keys()


def test_what_a_filter_means_is_exported(filled: Run) -> None:
    answer = filled("hs", "export", "plant.db", "-", "point", "--format", "trio")
    assert answer.stdout.count("---") == 1
    assert answer.stdout.startswith("id: @p1\n")
    filled("hs", "export", "plant.db", "p.csv", "temp")
    filled("hs", "load", "again.db", "p.csv")
    assert entities_in("again.db") == {"p1": entities_in()["p1"]}


def test_what_read_computes_is_not_exported(filled: Run, here: Path) -> None:
    (here / "his.trio").write_text("id:@h\npoint\nhis\n")
    filled("hs", "load", "plant.db", "his.trio")
    assert "hisSize" in filled("hs", "read", "plant.db", "his").stdout
    assert "hisSize" not in filled("hs", "export", "plant.db", "-", "--format", "json").stdout


def test_an_export_that_fails_leaves_no_file(filled: Run, here: Path) -> None:
    filled("hs", "export", "plant.db", "out.zinc", "point ==", code=2)
    assert "--format" in filled("hs", "export", "plant.db", "out.txt", code=2).stderr
    assert not list(here.glob("*out*"))


def test_an_export_notices_tags_that_came_in_between(
    filled: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([[{"id": Ref("a"), "x": MARKER}], [{"id": Ref("a"), "y": MARKER}]])
    monkeypatch.setattr(hs_loading, "_found", lambda *_: iter(next(answers)))
    answer = filled("hs", "export", "plant.db", "out.zinc", code=1)
    assert "new tags while they were exported: run it again" in answer.stderr
    assert not (here / "out.zinc").exists()


def test_an_export_names_what_a_format_cannot_hold(
    filled: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = [{"id": Ref("a"), "text": "\ud800"}]
    monkeypatch.setattr(hs_loading, "_found", lambda *_: iter(odd))
    assert "text" in filled("hs", "export", "plant.db", "out.csv", code=1).stderr
    assert not (here / "out.csv").exists()


def test_samples_need_a_file_of_their_own(filled: Run) -> None:
    answer = filled("hs", "export", "plant.db", "-", "--format", "zinc", "--history", "-", code=2)
    assert "a file of their own" in answer.stderr
    answer = filled("hs", "export", "plant.db", "x.zinc", "--history", "x.trio", code=2)
    assert "trio is no format of samples" in answer.stderr


class Terminal(io.StringIO):
    """Standard output that somebody looks at."""

    def isatty(self) -> bool:
        return True


def test_people_see_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    say_table(["id", "dis"], [["@a", "[b]bold[/b]"], ["@long-id", "✓"]])
    lines = [line.rstrip() for line in terminal.getvalue().splitlines()]
    assert lines[1:] == ["@a        [b]bold[/b]", "@long-id  ✓"]


def test_a_read_is_cut_and_goes_on_by_its_token(filled: Run) -> None:
    answer = filled("hs", "read", "plant.db", "id", "--limit", "3", "--json")
    assert len(answer.stdout.splitlines()) == 3
    assert "cut after 3 entities; those that follow: --token p2" in answer.stderr
    answer = filled("hs", "read", "plant.db", "id", "--token", "p2", "--json")
    assert [json.loads(line)["id"]["val"] for line in answer.stdout.splitlines()] == ["s1"]
    assert answer.stderr == ""


def test_a_read_prints_a_grid(filled: Run) -> None:
    text = filled("hs", "read", "plant.db", "site", "--format", "zinc").stdout
    assert ZINC.decode(text.encode())[0]["area"] == Number(2000, "m²")
    text = filled("hs", "read", "plant.db", "site", "--format", "json3").stdout
    assert JSON3.decode(text.encode())[0]["area"] == Number(2000, "m²")
    text = filled("hs", "read", "plant.db", "nothing", "--format", "json").stdout
    assert json.loads(text)["rows"] == []


def test_a_read_shows_the_tags_that_are_named(filled: Run) -> None:
    found = rows_of(filled("hs", "read", "plant.db", "point", "--select", "unit, point"))
    assert found == [["id", "unit", "point"], ["@p1", "°C", "✓"], ["@p2", "", "✓"]]


def test_the_tree_is_printed(filled: Run) -> None:
    assert filled("hs", "nav", "plant.db").stdout.splitlines() == [
        "Headquarters  @s1  site",
        "├─ AHU-1  @a1  equip",
        "│  └─ Temp  @p1  point",
        "└─ @p2  point",
    ]
    assert filled("hs", "nav", "plant.db", "@a1").stdout == "Temp  @p1  point\n"
    assert len(filled("hs", "nav", "plant.db", "--depth", "1").stdout.splitlines()) == 1
    lines = filled("hs", "nav", "plant.db", "--json").stdout.splitlines()
    found = [(row["level"], row.get("under")) for row in map(json.loads, lines)]
    assert found == [(1, None), (2, "@s1"), (3, "@a1"), (2, "@s1")]
    assert "@x" in filled("hs", "nav", "plant.db", "x", code=1).stderr


def test_a_tree_that_bites_its_tail_ends(run: Run, here: Path) -> None:
    (here / "a.trio").write_text("id:@a\nequip\nequipRef:@b\n---\nid:@b\nequip\nequipRef:@a\n")
    run("hs", "load", "plant.db", "a.trio")
    assert len(run("hs", "nav", "plant.db", "a").stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("read", "plant.db", "point =="), 2, "line 1, column"),
        (("read", "plant.db", "id", "--token", "a b"), 1, "a b"),
        (("read", "nowhere.db", "id"), 1, "there is no store"),
        (("read", "nowhere", "id"), 2, "sqlite:///nowhere"),
        (("read", "memory://", "id"), 2, "a command ends"),
        (("read", "nothing://x", "id"), 2, "sqlite://"),
        (("load", "plant.db", "gone.zinc"), 1, "gone.zinc"),
        (("load", "plant.db", "a.xml"), 2, ".zinc"),
        (("load", "plant.db", "a.xml", "gone.zinc"), 2, "a.xml"),
        (("watch", "plant.db", "point", "temp"), 2, "quotes"),
        (("watch", "plant.db", "@a b"), 2, "@a b"),
        (("his-read", "plant.db", "a b"), 2, "a b"),
        (("watch", "plant.db", "ahu"), 1, "nothing to watch"),
    ],
)
def test_a_mistake_is_one_line(filled: Run, words: tuple[str, ...], code: int, said: str) -> None:
    answer = filled("hs", *words, code=code)
    assert said in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_store_that_is_not_there_is_made_by_load_only(run: Run, here: Path) -> None:
    run("hs", "read", "plant.db", "id", code=1)
    run("hs", "nav", "plant.db", code=1)
    assert list(here.iterdir()) == []


def test_help_teaches_by_examples(run: Run) -> None:
    assert "holdall hs read plant.db 'point and temp" in run("hs", "--help").stdout
    for name in ("load", "read", "nav", "his-read", "his-write", "watch", "export", "copy"):
        assert f"holdall hs {name} " in run("hs", name, "--help").stdout


def test_it_runs_as_a_process_without_a_trace(process: Run, here: Path) -> None:
    (here / "a.zinc").write_bytes(ZINC.encode(Grid([{"id": Ref("a"), "point": MARKER}])))
    assert process("hs", "load", "plant.db", "a.zinc").returncode == 0
    done = process("hs", "read", "plant.db", "point")
    assert done.stdout == b"id\tmarkers\n@a\tpoint\n"
    assert process("hs", "read", "plant.db", "(").returncode == 2
