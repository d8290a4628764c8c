"""Copying and moving lose nothing, and take what was named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from holdall.fsspec import HoldallFileSystem

At = Callable[[str], str]


def contents(fs: HoldallFileSystem, at: At) -> dict[str, bytes]:
    found: dict[str, bytes] = fs.cat(fs.find(at("")) or [])
    before = len(at("x")) - 1
    return {path[before:]: data for path, data in found.items()}


def fill(fs: HoldallFileSystem, at: At, *keys: str) -> dict[str, bytes]:
    """Write under each key the key itself."""
    for key in keys:
        fs.pipe_file(at(key), key.encode())
    return {key: key.encode() for key in sorted(keys)}


@pytest.mark.parametrize("name", ["mv", "cp"])
def test_no_file_goes_where_another_still_waits(fs: HoldallFileSystem, at: At, name: str) -> None:
    before = fill(fs, at, "x/d/a", "x/d/d/a", "x/d/d/d/a")
    with pytest.raises(ValueError, match="still to be") as caught:
        getattr(fs, name)(at("x/d"), at("x/d/d"), recursive=True)
    assert f"{at('x/d/a')} would take the place of {at('x/d/d/d/a')}" in str(caught.value)
    assert contents(fs, at) == before


@pytest.mark.parametrize("name", ["mv", "cp"])
def test_two_files_do_not_become_one(fs: HoldallFileSystem, at: At, name: str) -> None:
    before = fill(fs, at, "2024/a", "2025/a")
    with pytest.raises(ValueError, match="both become") as caught:
        getattr(fs, name)([at("2024/a"), at("2025/a")], at("all/"))
    assert at("2024/a") in str(caught.value)
    assert at("2025/a") in str(caught.value)
    assert contents(fs, at) == before


def test_two_files_beside_a_directory_of_that_name_do_not_become_one(
    fs: HoldallFileSystem, at: At
) -> None:
    before = fill(fs, at, "x/1", "y/x", "z/x")
    with pytest.raises(ValueError, match="both become"):
        fs.mv([at("x"), at("y/x"), at("z/x")], at("all/"), recursive=True)
    assert contents(fs, at) == before


def test_two_directories_of_one_name_move_together(fs: HoldallFileSystem, at: At) -> None:
    fill(fs, at, "y/d/1", "z/d/2")
    fs.mv([at("y/d"), at("z/d")], at("all/"), recursive=True)
    assert contents(fs, at) == {"all/1": b"y/d/1", "all/2": b"z/d/2"}


def test_a_directory_moves_below_itself_where_nothing_is_lost(
    fs: HoldallFileSystem, at: At
) -> None:
    fill(fs, at, "x/d/a", "x/d/b")
    fs.mv(at("x/d"), at("x/d/old/"), recursive=True)
    assert set(contents(fs, at)) == {"x/d/old/d/a", "x/d/old/d/b"}


def test_files_move_up_in_the_order_given(fs: HoldallFileSystem, at: At) -> None:
    fill(fs, at, "log", "log.1")
    fs.mv([at("log.1"), at("log")], [at("log.2"), at("log.1")])
    assert contents(fs, at) == {"log.1": b"log", "log.2": b"log.1"}


def test_as_many_targets_as_sources_are_needed(fs: HoldallFileSystem, at: At) -> None:
    before = fill(fs, at, "a", "b")
    with pytest.raises(ValueError, match="shorter"):
        fs.mv([at("a"), at("b")], [at("c")])
    assert contents(fs, at) == before


@pytest.mark.parametrize("folder", ["", "x/y/"])
@pytest.mark.parametrize("target", ["done.csv", "new/done.csv"])
def test_a_file_that_looks_like_a_pattern_moves(
    fs: HoldallFileSystem, at: At, folder: str, target: str
) -> None:
    fill(fs, at, f"{folder}run[1].csv", f"{folder}run1.csv")
    fs.mv(at(f"{folder}run[1].csv"), at(target))
    assert contents(fs, at) == {
        target: f"{folder}run[1].csv".encode(),
        f"{folder}run1.csv": f"{folder}run1.csv".encode(),
    }


def test_a_file_that_looks_like_a_pattern_is_copied_into_a_directory(
    fs: HoldallFileSystem, at: At
) -> None:
    fill(fs, at, "d/run[1].csv", "d/run1.csv", "there/1")
    fs.cp(at("d/run[1].csv"), at("there"))
    fs.cp(at("d/run[1].csv"), at("new/"))
    assert fs.cat_file(at("there/run[1].csv")) == b"d/run[1].csv"
    assert fs.cat_file(at("new/run[1].csv")) == b"d/run[1].csv"


def test_a_file_that_looks_like_a_pattern_is_read(
    fs: HoldallFileSystem, at: At, tmp_path: Path
) -> None:
    fill(fs, at, "d/run[1].csv", "d/run1.csv")
    assert fs.cat(at("d/run[1].csv")) == b"d/run[1].csv"
    fs.get(at("d/run[1].csv"), str(tmp_path / "got" / "a"))
    assert (tmp_path / "got" / "a").read_bytes() == b"d/run[1].csv"
    fs.get(at("d/run[1].csv"), str(tmp_path / "got"))
    assert (tmp_path / "got" / "run[1].csv").read_bytes() == b"d/run[1].csv"


def test_a_directory_that_looks_like_a_pattern_is_one(
    fs: HoldallFileSystem, at: At, tmp_path: Path
) -> None:
    fill(fs, at, "x/d[1]/a", "x/d[1]/e[2]/b", "x/d1/a", "x/d1/e2/b")
    fs.get(at("x/d[1]"), str(tmp_path / "got"))
    assert not (tmp_path / "got").exists()
    fs.get(at("x/d[1]"), str(tmp_path / "got"), recursive=True)
    assert (tmp_path / "got" / "a").read_bytes() == b"x/d[1]/a"
    fs.mv(at("x/d[1]"), at("moved"), recursive=True)
    assert contents(fs, at) == {
        "moved/a": b"x/d[1]/a",
        "moved/e[2]/b": b"x/d[1]/e[2]/b",
        "x/d1/a": b"x/d1/a",
        "x/d1/e2/b": b"x/d1/e2/b",
    }


def test_deleting_a_directory_that_looks_like_a_pattern_spares_others(
    fs: HoldallFileSystem, at: At
) -> None:
    fill(fs, at, "x/d[1]/a", "x/d1/a")
    with pytest.raises(IsADirectoryError):
        fs.rm(at("x/d[1]"))
    fs.rm(at("x/d[1]"), recursive=True)
    assert contents(fs, at) == {"x/d1/a": b"x/d1/a"}


def test_what_a_pattern_finds_is_no_pattern(fs: HoldallFileSystem, at: At) -> None:
    fill(fs, at, "x/d[1]/a", "x/d1/a")
    found = [at("x/d1"), at("x/d1/a"), at("x/d[1]"), at("x/d[1]/a")]
    assert fs.expand_path(at("x/d*"), recursive=True) == found
    assert fs.expand_path([at("x/d*"), at("x/d[1]/a")]) == [found[0], found[2], found[3]]


@pytest.mark.parametrize("depth", [1, 2, None])
def test_a_pattern_goes_as_deep_as_asked(fs: HoldallFileSystem, at: At, depth: int | None) -> None:
    fill(fs, at, "x/1", "x/y/2", "x/y/z/3")
    found = [at("x"), at("x/1"), at("x/y"), at("x/y/2"), at("x/y/z"), at("x/y/z/3")]
    expected = {1: found[:1], 2: found[:3], None: found}[depth]
    assert fs.expand_path(at("[x]"), recursive=True, maxdepth=depth) == expected
    expected = {1: found[:3], 2: found[:5], None: found}[depth]
    assert fs.expand_path(at("x"), recursive=True, maxdepth=depth) == expected
    with pytest.raises(ValueError, match="maxdepth"):
        fs.expand_path(at("x"), maxdepth=0)


def test_nothing_that_is_found_is_an_error(fs: HoldallFileSystem, at: At) -> None:
    fill(fs, at, "a")
    with pytest.raises(FileNotFoundError):
        fs.expand_path(at("b*"))
    with pytest.raises(FileNotFoundError):
        fs.expand_path(at("b"), recursive=True)
    assert fs.expand_path(at("b")) == [at("b")]
