"""The commands for tables of Delta Lake."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

import holdall
from cli.conftest import Run
from holdall import Record


@pytest.fixture
def place(here: Path) -> str:
    """A table of three files, each written by one commit."""
    address = f"delta+file://{here}/table"
    with holdall.open_database(address) as db:
        for at in range(3):
            db.create(Record({"x": at}, id=f"r{at}"))
    return address


def records_at(place: str) -> list[str | None]:
    with holdall.open_database(place) as db:
        return [record.id for record in db.all()]


def files_in(here: Path) -> set[str]:
    return {file.name for file in (here / "table").glob("*.parquet")}


def test_small_files_are_joined(run: Run, place: str) -> None:
    assert run("db", "compact", place).stdout == "3 files before, 1 now\n"
    assert records_at(place) == ["r0", "r1", "r2"]
    assert run("db", "compact", place).stdout == "1 file, nothing to join\n"


def test_joining_is_told_as_json(run: Run, place: str) -> None:
    assert json.loads(run("db", "compact", place, "--json").stdout) == {"before": 3, "after": 1}


def test_files_of_old_versions_are_deleted(run: Run, place: str, here: Path) -> None:
    run("db", "compact", place)
    answer = run("db", "vacuum", place, "--retention", "0h", "--yes")
    assert answer.stdout == "deleted 3 files\n"
    assert len(files_in(here)) == 1
    assert records_at(place) == ["r0", "r1", "r2"]


def test_a_dry_run_names_the_files_and_keeps_them(run: Run, place: str, here: Path) -> None:
    old = files_in(here)
    run("db", "compact", place)
    *files, last = run("db", "vacuum", place, "--retention", "0h", "-n").stdout.splitlines()
    assert set(files) == old
    assert last == "3 files to delete"
    answer = json.loads(run("db", "vacuum", place, "--retention", "0h", "-n", "--json").stdout)
    assert (set(answer["files"]), answer["deleted"]) == (old, False)
    assert old < files_in(here)


def test_nothing_is_deleted_without_a_yes(run: Run, place: str, here: Path) -> None:
    run("db", "compact", place)
    before = files_in(here)
    answer = run("db", "vacuum", place, "--retention", "0h", code=1, typed="n\n")
    assert "Delete 3 files" in answer.output
    assert "nothing was deleted" in answer.output
    assert files_in(here) == before


def test_files_of_the_last_days_stay(run: Run, place: str) -> None:
    run("db", "compact", place)
    assert run("db", "vacuum", place).stdout == "nothing to delete\n"


def test_an_age_that_is_none_is_refused(run: Run, place: str) -> None:
    assert "no age" in run("db", "vacuum", place, "--retention", "often", code=2).output


def test_a_sound_table_is_verified(run: Run, place: str) -> None:
    assert run("db", "verify", place).stdout == "3 records, every id once\n"
    assert json.loads(run("db", "verify", place, "--json").stdout) == {"repeated": []}


def test_ids_that_are_there_twice_are_named(run: Run, place: str, here: Path) -> None:
    rows = DeltaTable(here / "table").to_pyarrow_table()
    write_deltalake(here / "table", rows.slice(0, 2), mode="append")
    twice = sorted(rows["id"].to_pylist()[:2])
    answer = run("db", "verify", place, code=1)
    assert "2 ids" in answer.stderr
    assert all(id_ in answer.stderr for id_ in twice)
    answer = run("db", "verify", place, "--json", code=1)
    assert json.loads(answer.stdout) == {"repeated": twice}


def test_rows_without_an_id_are_said(run: Run, here: Path) -> None:
    write_deltalake(here / "table", pa.table({"id": ["a", None]}))
    answer = run("db", "verify", f"delta+file://{here}/table", code=1)
    assert "rows without an id" in answer.stderr


def test_versions_are_listed(run: Run, place: str) -> None:
    run("db", "compact", place)
    lines = [line.split() for line in run("db", "versions", place).stdout.splitlines()]
    assert [(line[0], line[-1]) for line in lines] == [
        ("3", "OPTIMIZE"),
        ("2", "WRITE"),
        ("1", "WRITE"),
        ("0", "WRITE"),
    ]
    row = json.loads(run("db", "versions", place, "--json", "-n", "1").stdout)
    assert (row["version"], row["operation"]) == (3, "OPTIMIZE")
    assert run("db", "count", f"{place}?at_version={lines[2][0]}").stdout == "2\n"


@pytest.mark.parametrize("command", ["compact", "vacuum", "verify", "versions"])
def test_another_database_is_no_table(run: Run, command: str) -> None:
    run("db", "create", "app.db", "{}", "--id", "a")
    answer = run("db", command, "app.db", code=1)
    assert "'sqlite'" in answer.stderr
    assert "no Delta Lake table" in answer.stderr


@pytest.mark.parametrize("command", ["compact", "vacuum", "verify", "versions"])
def test_where_no_table_is_nothing_is_made(run: Run, here: Path, command: str) -> None:
    run("db", command, f"delta+file://{here}/none")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("command", ["compact", "vacuum", "verify", "versions"])
def test_its_help_has_an_example(run: Run, command: str) -> None:
    assert f"holdall db {command} delta+s3://" in run("db", command, "--help").stdout


_INTERRUPTED = """
import sys, threading, _thread
from holdall.cli import main
from holdall.records.backends.delta import upkeep

plain = upkeep.Compact._commit
def told(self, version, commit):
    print("committing", flush=True)
    sys.stdin.read()
    return plain(self, version, commit)
upkeep.Compact._commit = told
sys.exit(main(["db", "compact", sys.argv[1]]))
"""


def test_ctrl_c_ends_it_at_once_and_the_table_is_as_it_was(place: str, here: Path) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", _INTERRUPTED, place]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == "committing\n"
        os.kill(child.pid, signal.SIGINT)
        assert child.wait(60) == 130
        assert "interrupted" in child.stderr.read()
    assert records_at(place) == ["r0", "r1", "r2"]
    assert DeltaTable(here / "table").version() == 2


def test_a_table_of_another_program_is_not_compacted(run: Run, here: Path) -> None:
    write_deltalake(here / "table", pa.table({"id": ["a"]}))
    answer = run("db", "compact", f"delta+file://{here}/table", code=1)
    assert "another program" in answer.stderr
