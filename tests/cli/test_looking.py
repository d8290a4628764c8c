"""ls, cat, stat and du: what they print, and that they create nothing."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import holdall
from cli.conftest import Run


@pytest.fixture
def data(here: Path) -> Path:
    """A store in ./data."""
    store = holdall.open(str(here / "data"))
    store.write("a.txt", b"hello", content_type="text/plain", metadata={"by": "me"})
    store.write("foo-bar", b"")
    store.write("foo/x", b"12345678")
    store.write("foo/y/z", b"1")
    store.write("foo0", b"")
    return here / "data"


def documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_ls_shows_one_level_in_byte_order(run: Run, data: Path) -> None:
    assert run("ls", "data").stdout.splitlines() == ["a.txt", "foo-bar", "foo/", "foo0"]


@pytest.mark.parametrize("place", ["data", "./data/", "~/data", "file://{}/data"])
def test_a_place_is_a_path_or_an_address(run: Run, data: Path, here: Path, place: str) -> None:
    assert run("ls", place.format(here)).stdout.startswith("a.txt\n")


def test_settings_may_follow_an_address(run: Run, data: Path) -> None:
    assert run("ls", f"file://{data}?durable=false").stdout.startswith("a.txt\n")


def test_ls_recursive_shows_all_keys(run: Run, data: Path) -> None:
    keys = ["a.txt", "foo-bar", "foo/x", "foo/y/z", "foo0"]
    assert run("ls", "-r", "data").stdout.splitlines() == keys


def test_ls_long_shows_size_and_time(run: Run, data: Path) -> None:
    first, _, folder, _ = run("ls", "-l", "data").stdout.splitlines()
    assert first.split() == ["5", *first.split()[1:3], "a.txt"]
    assert folder.split() == ["-", "foo/"]


def test_ls_json_has_a_document_a_line(run: Run, data: Path) -> None:
    found = documents(run("ls", "--json", "data").stdout)
    assert found[0]["key"] == "a.txt"
    assert found[0]["size"] == 5
    assert found[0]["address"] == f"file://{data}/a.txt"
    assert found[2] == {"folder": "foo"}


def test_ls_shows_one_object(run: Run, data: Path) -> None:
    assert run("ls", "data/foo/x").stdout == "foo/x\n"


def test_ls_without_a_place_lists_the_working_folder(run: Run, data: Path) -> None:
    assert run("ls").stdout == "data/\n"


def test_ls_of_an_empty_folder_says_nothing(run: Run, here: Path) -> None:
    (here / "empty").mkdir()
    assert run("ls", "empty").output == ""


def test_ls_counts_what_is_no_object(run: Run, data: Path) -> None:
    (data / "link").symlink_to("a.txt")
    (data / "two\nlines").write_bytes(b"")
    result = run("ls", "data")
    assert "two" not in result.stdout
    assert "2 entries are no objects" in result.stderr


@pytest.mark.parametrize("command", ["ls", "du", "verify", "uploads", "stat", "cat"])
def test_what_is_missing_is_said_in_one_line(run: Run, here: Path, command: str) -> None:
    result = run(command, "nothing", code=1)
    assert result.stderr.startswith("holdall: ")
    assert "nothing" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_cat_writes_the_bytes(process: Run, data: Path) -> None:
    assert process("cat", "data/a.txt", "data/foo/x").stdout == b"hello12345678"


def test_cat_writes_a_range(run: Run, data: Path) -> None:
    assert run("cat", "data/a.txt", "--start", "1", "--end", "3").stdout == "el"
    assert run("cat", "data/a.txt", "--start=-2").stdout == "lo"


def test_a_range_outside_of_the_object_is_a_mistake(run: Run, data: Path) -> None:
    assert "5 bytes" in run("cat", "data/a.txt", "--start", "9", code=2).stderr


def test_stat_shows_what_is_known(run: Run, data: Path) -> None:
    lines = dict(line.split(None, 1) for line in run("stat", "data/a.txt").stdout.splitlines())
    assert lines["size"] == "5"
    assert lines["content_type"] == "text/plain"
    assert lines["metadata.by"] == "me"


def test_stat_goes_on_after_a_missing_object(run: Run, data: Path) -> None:
    result = run("stat", "--json", "data/no", "data/a.txt", code=1)
    assert documents(result.stdout)[0]["metadata"] == {"by": "me"}


def test_du_adds_up(run: Run, data: Path) -> None:
    lines = [line.split() for line in run("du", "data").stdout.splitlines()]
    assert lines == [["9", "B", "2", "foo/"], ["14", "B", "5", "objects", "in", "all"]]
    assert len(run("du", "-s", "data").stdout.splitlines()) == 1


def test_du_json_is_one_document(run: Run, data: Path) -> None:
    (total,) = documents(run("du", "--json", "data").stdout)
    assert total["objects"] == 5
    assert total["size"] == 14
    assert total["folders"] == [{"folder": "foo", "objects": 2, "size": 9}]


def test_looking_creates_nothing(run: Run, here: Path) -> None:
    (here / "plain").mkdir()
    (here / "plain" / "f").write_bytes(b"x")
    for command in ("ls", "du", "verify", "uploads"):
        run(command, "plain")
    for command in ("stat", "cat", "get"):
        run(command, "plain/f")
    run("sync", "plain", "target", "--dry-run")
    assert os.listdir(here / "plain") == ["f"]
    assert sorted(os.listdir(here)) == ["f", "plain"]


@pytest.mark.parametrize("command", ["ls", "cat"])
def test_memory_is_refused_with_the_reason(run: Run, command: str) -> None:
    result = run(command, "memory://name/key", code=2)
    assert "lives in the process" in result.stderr.replace("\n", " ")


def test_an_unknown_scheme_is_a_mistake(run: Run) -> None:
    assert "known are" in run("ls", "nfs://x", code=2).stderr


def test_a_store_is_no_object(run: Run, here: Path) -> None:
    assert "whole store" in run("cat", "file:///", code=2).stderr


def test_a_name_that_the_terminal_cannot_show_ends_nothing(process: Run, here: Path) -> None:
    holdall.open(str(here / "data")).write("grün", b"")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = process("ls", "data", env=environment)
    assert (done.returncode, done.stdout) == (0, b"gr\\xfcn\n")


def test_a_device_is_no_folder(run: Run) -> None:
    assert "is no folder and no file" in run("ls", "/dev/null", code=1).stderr


def test_what_may_not_be_looked_at_is_not_called_missing(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def refusing(path: Any, *args: Any, **keywords: Any) -> os.stat_result:
        if str(path).endswith("locked/x"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *args, **keywords)

    monkeypatch.setattr(os, "stat", refusing)
    result = run("ls", "locked/x", code=1)
    assert result.stderr == f"holdall: {here}/locked/x: Permission denied\n"
