"""A path leads to the folder that has its name now, and an open file stays where it was opened."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdall.fsspec import FileFileSystem, UrlFileSystem


@pytest.fixture(params=["no root", "root"])
def fs(request: Any, tmp_path: Path) -> Iterator[UrlFileSystem]:
    options = {"root": tmp_path / "x"} if request.param == "root" else {}
    yield FileFileSystem(durable=False, **options)
    FileFileSystem.clear_instance_cache()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x"


def test_a_folder_that_was_renamed_and_made_anew(fs: UrlFileSystem, path: Path) -> None:
    fs.pipe_file(f"{path}/a", b"1")
    path.rename(path.with_name("old"))
    path.mkdir()
    fs.pipe_file(f"{path}/b", b"2")
    assert (path / "b").read_bytes() == b"2"
    assert fs.find(str(path)) == [f"{path}/b"]
    assert not fs.exists(f"{path}/a")
    assert not (path.with_name("old") / "b").exists()


def test_a_folder_that_was_renamed_is_made_anew(fs: UrlFileSystem, path: Path) -> None:
    fs.pipe_file(f"{path}/a", b"1")
    path.rename(path.with_name("old"))
    fs.pipe_file(f"{path}/b", b"2")
    assert (path / "b").read_bytes() == b"2"
    assert not (path.with_name("old") / "b").exists()


def test_a_folder_that_was_removed_is_made_anew(fs: UrlFileSystem, path: Path) -> None:
    fs.pipe_file(f"{path}/a", b"1")
    shutil.rmtree(path)
    assert not fs.exists(f"{path}/a")
    fs.pipe_file(f"{path}/b", b"2")
    assert fs.find(str(path)) == [f"{path}/b"]


def test_a_link_that_is_turned(fs: UrlFileSystem, path: Path) -> None:
    for release in ("r1", "r2"):
        (path.with_name(release)).mkdir()
    path.symlink_to("r1")
    fs.pipe_file(f"{path}/a", b"1")
    path.with_name("next").symlink_to("r2")
    path.with_name("next").rename(path)
    fs.pipe_file(f"{path}/b", b"2")
    assert path.with_name("r2").joinpath("b").read_bytes() == b"2"
    assert not path.with_name("r1").joinpath("b").exists()
    assert fs.find(str(path)) == [f"{path}/b"]


def test_a_file_that_is_written_stays_where_it_was_opened(fs: UrlFileSystem, path: Path) -> None:
    fs.pipe_file(f"{path}/a", b"1")
    with fs.open(f"{path}/b", "wb") as file:
        path.rename(path.with_name("old"))
        path.mkdir()
        fs.pipe_file(f"{path}/c", b"3")
        file.write(b"2")
    assert path.with_name("old").joinpath("b").read_bytes() == b"2"
    assert os.listdir(path.with_name("old")).count("c") == 0
    assert fs.find(str(path)) == [f"{path}/c"]


def test_a_file_that_is_read_stays_the_one_that_was_opened(fs: UrlFileSystem, path: Path) -> None:
    fs.pipe_file(f"{path}/a", b"one")
    with fs.open(f"{path}/a", "rb", block_size=1, cache_type="none") as file:
        assert file.read(1) == b"o"
        path.rename(path.with_name("old"))
        fs.pipe_file(f"{path}/a", b"two")
        assert file.read(2) == b"ne"
    assert fs.cat_file(f"{path}/a") == b"two"


def test_a_folder_that_stays_is_opened_once(fs: UrlFileSystem, path: Path) -> None:
    path.mkdir()
    store = fs.place(f"{path}/a").store
    fs.pipe_file(f"{path}/a", b"1")
    assert fs.place(f"{path}/a").store is store


def test_a_child_reads_on_in_a_file_of_its_parent(fs: UrlFileSystem, path: Path) -> None:
    fs.pipe_file(f"{path}/a", b"one")
    with fs.open(f"{path}/a", "rb", block_size=1, cache_type="none") as file:
        parents = file._place.store
        child = os.fork()
        if child == 0:
            right = file.read() == b"one" and file._place.store is not parents
            os._exit(0 if right else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
