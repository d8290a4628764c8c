"""The command that lets go of what is old."""

import json
import os
import time
from pathlib import Path

import pytest

import holdall
from cli.conftest import Run


@pytest.fixture
def logs(here: Path) -> Path:
    """A folder of a store, with two old objects and a young one."""
    store = holdall.open(str(here / "data"))
    for key in ("logs/a", "logs/b", "logs/young", "other"):
        store.write(key, b"1234")
    long_ago = time.time() - 3 * 86400
    for key in ("logs/a", "logs/b", "other"):
        os.utime(here / "data" / key, (long_ago, long_ago))
    return here / "data" / "logs"


def test_it_counts_and_asks(run: Run, logs: Path) -> None:
    said = run("expire", str(logs), "--older-than", "1d", typed="n\n", code=1)
    assert "Delete 2 objects (8 B)" in said.stderr
    assert sorted(os.listdir(logs)) == ["a", "b", "young"]
    run("expire", str(logs), "--older-than", "1d", typed="y\n")
    assert os.listdir(logs) == ["young"]


def test_a_dry_run_changes_nothing(run: Run, logs: Path) -> None:
    assert "2 objects (8 B) old enough" in run("expire", str(logs), "--older-than=1d", "-n").stdout
    assert len(os.listdir(logs)) == 3


def test_scripts_get_json(run: Run, logs: Path) -> None:
    lines = run("expire", str(logs), "--older-than", "1d", "--yes", "--json").stdout.splitlines()
    *steps, total = map(json.loads, lines)
    assert sorted(step["key"] for step in steps) == ["logs/a", "logs/b"]
    assert total == {"found": 2, "bytes": 8, "deleted": 2, "moved": 0, "kept": 0, "failed": 0}


def test_what_is_moved_has_keys_relative_to_the_place(run: Run, logs: Path, here: Path) -> None:
    said = run("expire", str(logs), "--older-than=1d", "-y", "--move-to", str(here / "archive"))
    assert "2 moved" in said.stdout
    assert (here / "archive" / "a").read_bytes() == b"1234"
    assert os.listdir(logs) == ["young"]


def test_nothing_that_is_old_is_no_question(run: Run, logs: Path) -> None:
    assert "0 objects" in run("expire", str(logs), "--older-than", "4w").stdout


def test_an_age_that_is_none_is_a_mistake(run: Run, logs: Path) -> None:
    assert "no age" in run("expire", str(logs), "--older-than", "soon", code=2).stderr


def test_an_age_before_all_time_is_a_mistake(run: Run, logs: Path) -> None:
    for age in ("999999w", "99999999999999w", "9" * 5000 + "s"):
        assert "too long" in run("expire", str(logs), "--older-than", age, code=2).stderr
