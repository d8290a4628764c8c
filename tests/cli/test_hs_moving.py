"""The commands that go on for a while: watch and copy."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from holdall.cli.hs_copying import _counter
from holdall.cli.hs_watching import _differences, _shower
from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.copying import CopyReport, copy
from holdall.haystack.sqlite import SqliteAdapter

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from cli.conftest import Run
    from serving.caches import RedisServer
    from serving.databases import PostgresServer


POINTS = "id:@p1\npoint\nkind:Number\nwritable\n---\nid:@p2\npoint\n---\nid:@s1\nsite\n"
CSV = "id,ts,val\n" + "".join(f"p1,2024-06-15T06:00:{at:02}Z,{at}\n" for at in range(20))


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def filled(run: Run, here: Path) -> Run:
    (here / "points.trio").write_text(POINTS)
    run("hs", "load", "plant.db", "points.trio")
    run("hs", "his-write", "plant.db", "-", "--format", "csv", typed=CSV)
    return run


def on(path: str, work: Any) -> Any:
    """What a call answers of the store in a file."""

    async def call() -> Any:
        async with SqliteAdapter(path) as adapter:
            return await work(adapter)

    return asyncio.run(call())


def watched(*words: str) -> tuple[int, str]:
    """Run a watch while points change, one after another, until it ends."""
    command = [sys.executable, "-m", "holdall", "hs", "watch", "plant.db", *words, "-i", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        number = 0
        while child.poll() is None:
            number += 1

            async def change(adapter: SqliteAdapter, number: int = number) -> None:
                await adapter.update("p1", {"curVal": Number(number)})
                await adapter.update("s1", {"dis": f"HQ {number}"})

            on("plant.db", change)
        assert child.stdout is not None
        return child.returncode, child.stdout.read()


def test_what_changes_is_told_as_json(filled: Run) -> None:
    code, out = watched("point", "--json", "--count", "2", "--for", "60s")
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["id"]["val"] for row in rows] == ["p1", "p1"]
    assert rows[0]["curVal"] < rows[1]["curVal"]


def test_what_changes_is_told_tag_by_tag(filled: Run) -> None:
    code, out = watched("@s1", "--count", "1", "--for", "60s")
    assert code == 0
    (line,) = out.splitlines()
    assert line.split("\t")[1:3] == ["@s1", "dis"]


def test_a_watch_ends_after_its_time_and_leaves_nothing(filled: Run) -> None:
    answer = filled("hs", "watch", "plant.db", "@p1", "@p9", "--for", "1s", "--json")
    assert answer.stdout == ""
    assert answer.stderr == "holdall: there is no entity @p9 yet\n"

    async def listed(adapter: SqliteAdapter) -> list[str]:
        note = (await adapter.stores[0].get((), ["watches"])).notes[0]
        assert note is not None
        return list(json.loads(note.value))

    async def kept(adapter: SqliteAdapter) -> list[Any]:
        names = [f"watch/{one}" for one in await listed(adapter)]
        return list((await adapter.stores[0].get((), names)).notes)

    assert on("plant.db", kept) == [None]


def test_the_lines_of_a_change_name_what_is_different() -> None:
    before: dict[str, Any] = {"id": Ref("a"), "dis": "A", "n": Number(1), "x": MARKER}
    lines = _differences(before, {"id": Ref("a"), "dis": "A", "n": Number(2), "y": MARKER})
    assert [line.split("\t")[1:] for line in lines] == [
        ["@a", "n", "2"],
        ["@a", "y", "✓"],
        ["@a", "x", "removed"],
    ]
    (line,) = _differences(before, {"id": Ref("a"), "removed": MARKER})
    assert line.split("\t")[1:] == ["@a", "removed"]


def test_people_see_a_table_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", terminal)
        before: dict[str, Any] = {"id": Ref("a"), "dis": "[b]A", "curVal": Number(1)}
        with _shower([before, None], json=False) as show:
            show([])
            show([{"id": Ref("a"), "dis": "[b]A", "curVal": Number(2)}])
            show([{"id": Ref("b"), "removed": MARKER}])
    text = terminal.getvalue()
    assert "[b]A" in text
    assert text.index("@a") < text.index("@b")
    assert "removed" in text.rpartition("@b")[2]


def test_people_see_how_far_a_copy_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", terminal)
        with _counter() as show:
            assert show is not None
            show(CopyReport(entities=1200, samples=1))
    assert "copy: 1,200 entities, 1 sample" in terminal.getvalue()


def everything(path: str) -> Any:
    async def read(adapter: SqliteAdapter) -> Any:
        entities = [dict(one) for one in await adapter.read("id")]
        return entities, await adapter.his_read_many(["p1", "p2"]), await adapter.point_array("p1")

    return on(path, read)


def test_a_store_is_copied(filled: Run, here: Path) -> None:
    on("plant.db", lambda adapter: adapter.point_write("p1", 9, Number(5), "me"))
    answer = filled("hs", "copy", "plant.db", f"sqlite:///{here}/other.db")
    assert answer.stdout.splitlines() == [
        "copied 3 of 3 entities, 0 were the same",
        "copied 20 of 20 samples of 1 point",
        "copied 1 command",
    ]
    assert everything("other.db") == everything("plant.db")
    answer = filled("hs", "copy", "plant.db", "other.db", "--json")
    assert json.loads(answer.stdout) == {
        "entities": 3,
        "written": 0,
        "same": 3,
        "histories": 1,
        "samples": 20,
        "samples_written": 0,
        "commands": 0,
        "gone": 0,
        "resumed": False,
        "failed": [],
    }


def test_a_store_on_a_server_is_filled_asked_and_copied(
    filled: Run, redis_stack_server: RedisServer, postgres_server: PostgresServer
) -> None:
    redis = f"{redis_stack_server.url}?prefix=command"
    postgres = postgres_server.dsn(postgres_server.make_database())
    filled("hs", "copy", "plant.db", redis)
    filled("hs", "copy", redis, postgres)
    for place in (redis, postgres):
        found = filled("hs", "read", place, "point", "--limit", "1")
        assert found.stdout.splitlines()[1].startswith("@p1\t")
        assert "--token p1" in found.stderr
        answer = filled("hs", "his-read", place, "p1", "--json").stdout.splitlines()
        assert len(answer) == 20
        filled("hs", "load", place, "points.trio")
        filled("hs", "his-write", place, "-", "--format", "csv", typed=CSV)
    filled("hs", "copy", postgres, "other.db")
    assert everything("other.db") == everything("plant.db")


def test_a_copy_may_be_of_some_and_without_samples(filled: Run) -> None:
    answer = filled("hs", "copy", "plant.db", "other.db", "point", "--no-history")
    assert answer.stdout.splitlines() == [
        "copied 2 of 2 entities, 0 were the same",
        "copied 0 of 0 samples of 0 points",
    ]


def test_a_copy_that_was_cut_goes_on(filled: Run) -> None:
    class Cut(Exception):
        """The end of a run."""

    def cut(report: CopyReport) -> None:
        if report.samples:
            raise Cut

    def half(source: SqliteAdapter) -> Coroutine[Any, Any, CopyReport]:
        return copy(source, SqliteAdapter("other.db"), progress=cut)

    with pytest.raises(Cut):
        on("plant.db", half)
    answer = filled("hs", "copy", "plant.db", "other.db")
    assert answer.stdout.startswith(
        "went on where it was; copied 0 of 3 entities, 3 were the same\n"
    )
    assert "copied 20 of 20 samples of 1 point" in answer.stdout
    assert everything("other.db") == everything("plant.db")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("plant.db", "plant.db"), 2, "cannot be copied to itself"),
        (("gone.db", "other.db"), 1, "there is no store"),
        (("plant.db", "memory://"), 2, "a command ends"),
        (("plant.db", "other.db", "=="), 2, "line 1"),
    ],
)
def test_a_mistake_is_named(filled: Run, words: tuple[str, ...], code: int, said: str) -> None:
    assert said in filled("hs", "copy", *words, code=code).stderr


def test_what_cannot_be_copied_is_named(filled: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from holdall.core.errors import InvalidValue
    from holdall.haystack.stores.sqlite import SqliteHistories

    async def write(*_: object) -> None:
        raise InvalidValue("no samples here")

    monkeypatch.setattr(SqliteHistories, "write", write)
    answer = filled("hs", "copy", "plant.db", "other.db", code=1)
    assert "holdall: @p1: no samples here" in answer.stderr
    assert "copied 0 of 20 samples" in answer.stdout
