"""Ranges, seeks, many at once, downloads."""

import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.callbacks import Callback
from fsspec.utils import merge_offset_ranges

from holdall.core.errors import Corrupt, PreconditionFailed
from holdall.fsspec import FileFileSystem, HoldallFileSystem
from holdall.objects.reader import ObjectReader

At = Callable[[str], str]
DATA = bytes(range(100))


@pytest.fixture
def path(fs: HoldallFileSystem, at: At) -> str:
    fs.pipe_file(at("a"), DATA)
    return at("a")


@pytest.mark.parametrize("start", [None, 0, 1, 99, 100, 200, -1, -100, -200])
@pytest.mark.parametrize("end", [None, 0, 1, 50, 100, 200, -1, -100, -200])
def test_a_range_is_what_a_slice_takes(
    fs: HoldallFileSystem, path: str, start: int | None, end: int | None
) -> None:
    assert fs.cat_file(path, start, end) == DATA[start:end]


@pytest.mark.parametrize(("start", "end"), [(None, None), (5, 5), (-1, None), (0, 1)])
def test_a_range_of_nothing_is_not_found(
    fs: HoldallFileSystem, at: At, start: int | None, end: int | None
) -> None:
    with pytest.raises(FileNotFoundError):
        fs.cat_file(at("none"), start, end)


@pytest.mark.parametrize(("start", "end"), [(None, None), (0, 5), (5, 9), (-3, None), (None, -1)])
def test_a_range_of_an_empty_file_is_empty(
    fs: HoldallFileSystem, at: At, start: int | None, end: int | None
) -> None:
    fs.pipe_file(at("empty"), b"")
    assert fs.cat_file(at("empty"), start, end) == b""
    with fs.open(at("empty"), "rb") as file:
        assert file.read() == b""


def test_a_file_seeks(fs: HoldallFileSystem, path: str) -> None:
    with fs.open(path, "rb", block_size=7) as file:
        assert file.size == 100
        assert file.seek(-3, os.SEEK_END) == 97
        assert file.read() == DATA[97:]
        file.seek(10)
        assert file.read(5) == DATA[10:15]
        assert file.tell() == 15


@pytest.mark.parametrize("cache_type", ["none", "readahead", "bytes", "all"])
def test_each_cache_of_fsspec_reads_the_same(
    fs: HoldallFileSystem, path: str, cache_type: str
) -> None:
    with fs.open(path, "rb", cache_type=cache_type, block_size=8) as file:
        file.seek(50)
        assert file.read(20) == DATA[50:70]
        file.seek(0)
        assert file.read() == DATA


def test_a_file_that_is_replaced_while_it_is_read_never_mixes(
    fs: HoldallFileSystem, path: str
) -> None:
    with fs.open(path, "rb", block_size=10, cache_type="none") as file:
        assert file.read(10) == DATA[:10]
        fs.pipe_file(path, DATA[::-1])
        with pytest.raises(PreconditionFailed):
            file.read(10)


def test_a_file_that_is_open_can_be_pickled(tmp_path: Path) -> None:
    fs = FileFileSystem()
    fs.pipe_file(f"{tmp_path}/a", DATA)
    with fs.open(f"{tmp_path}/a", "rb") as file:
        file.seek(7)
        pickled = pickle.dumps(file)
    with pickle.loads(pickled) as again:
        assert again.read(2) == DATA[7:9]
    fs.pipe_file(f"{tmp_path}/a", DATA[::-1])
    with pickle.loads(pickled) as again, pytest.raises(PreconditionFailed):
        again.read(2)


def test_a_directory_cannot_be_read(fs: HoldallFileSystem, path: str, at: At) -> None:
    fs.pipe_file(at("d/x"), b"")
    with pytest.raises(FileNotFoundError):
        fs.open(at("d"), "rb")


def test_text_is_read(fs: HoldallFileSystem, at: At) -> None:
    fs.pipe_file(at("t"), "ü\nb\n".encode())
    with fs.open(at("t"), encoding="utf-8", mode="r") as file:
        assert list(file) == ["ü\n", "b\n"]


def test_many_ranges_come_in_order(fs: HoldallFileSystem, path: str, at: At) -> None:
    fs.pipe_file(at("b"), DATA[::-1])
    paths = [at("b"), path, at("b")]
    expected = [DATA[::-1][0:5], DATA[90:100], DATA[::-1][7:9]]
    assert fs.cat_ranges(paths, [0, 90, 7], [5, 100, 9]) == expected
    assert fs.cat_ranges(paths, [0, 90, 7], [5, 100, 9], max_gap=10) == expected


def test_ranges_that_lie_near_are_asked_for_together(
    fs: HoldallFileSystem, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    whole = fs.cat_file

    def count(path: str, *span: int) -> bytes:
        asked.append(span)
        return whole(path, *span)

    monkeypatch.setattr(fs, "cat_file", count)
    got = fs.cat_ranges([path] * 3, [0, 12, 80], [10, 20, 90], max_gap=5)
    assert got == [DATA[:10], DATA[12:20], DATA[80:90]]
    assert asked == [(0, 20), (80, 90)]


def shrinking(
    paths: list[str], starts: list[int], ends: list[int], max_gap: int
) -> tuple[list[str], list[int], list[int]]:
    """Merge ranges of one file as fsspec before 2026.3: one that lies in another ends it."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(zip(starts, ends, strict=True)):
        if merged and start - merged[-1][1] <= max_gap:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return paths[:1] * len(merged), [start for start, _ in merged], [end for _, end in merged]


@pytest.mark.parametrize("merge", [shrinking, merge_offset_ranges])
def test_a_range_that_holds_another_comes_whole(
    fs: HoldallFileSystem, path: str, monkeypatch: pytest.MonkeyPatch, merge: Any
) -> None:
    monkeypatch.setattr("holdall.fsspec.reading.merge_offset_ranges", merge)
    assert fs.cat_ranges([path] * 2, [0, 10], [100, 20], max_gap=0) == [DATA, DATA[10:20]]
    starts, ends = [0, 10, 15, 90, 15], [100, 5, 16, 200, 16]
    got = fs.cat_ranges([path] * 5, starts, ends, max_gap=50)
    assert got == [DATA[start:end] for start, end in zip(starts, ends, strict=True)]


def test_a_range_that_fails_is_answered_or_raised(fs: HoldallFileSystem, path: str, at: At) -> None:
    got = fs.cat_ranges([path, at("none")], 0, 2)
    assert got[0] == DATA[:2]
    assert isinstance(got[1], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges([path, at("none")], 0, 2, on_error="raise")


def test_many_ranges_come_several_at_once(
    fs: HoldallFileSystem, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=30)
    monkeypatch.setattr(fs, "_is_near", lambda: False)
    monkeypatch.setattr(fs, "cat_file", lambda *span: both.wait() and None)
    fs.cat_ranges([path, path], 0, 1, on_error="raise")


def test_a_pattern_and_a_directory_stand_for_their_files(fs: HoldallFileSystem, at: At) -> None:
    fs.pipe({at("d/1"): b"1", at("d/2"): b"2", at("d/e/3"): b"3"})
    assert fs.cat(at("d/?")) == {at("d/1"): b"1", at("d/2"): b"2"}
    assert list(fs.cat(at("d"), recursive=True).values()) == [b"1", b"2", b"3"]
    assert fs.cat([at("d/1"), at("d/none")], on_error="omit") == {at("d/1"): b"1"}


def test_a_mapper_gets_sets_and_deletes(fs: HoldallFileSystem, at: At) -> None:
    mapper = fs.get_mapper(at("m"))
    mapper["x/y"] = b"1"
    assert dict(mapper) == {"x/y": b"1"}
    del mapper["x/y"]
    assert "x/y" not in mapper


class Counting(Callback):  # type: ignore[misc]
    pass


def test_a_download_counts(fs: HoldallFileSystem, path: str, tmp_path: Path) -> None:
    callback = Counting()
    fs.get_file(path, str(tmp_path / "got" / "a"), callback=callback)
    assert (tmp_path / "got" / "a").read_bytes() == DATA
    assert (callback.size, callback.value) == (100, 100)


def test_an_upload_counts(fs: HoldallFileSystem, at: At, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(DATA)
    callback = Counting()
    fs.put_file(str(tmp_path / "local"), at("b"), callback=callback)
    assert fs.cat_file(at("b")) == DATA
    assert (callback.size, callback.value) == (100, 100)


def test_an_upload_creates_only_what_is_new(
    fs: HoldallFileSystem, path: str, tmp_path: Path
) -> None:
    (tmp_path / "local").write_bytes(b"new")
    with pytest.raises(FileExistsError):
        fs.put_file(str(tmp_path / "local"), path, mode="create")
    assert fs.cat_file(path) == DATA


def test_a_download_into_an_open_file(fs: HoldallFileSystem, path: str, tmp_path: Path) -> None:
    with open(tmp_path / "got", "wb") as file:
        fs.get_file(path, file)
    assert (tmp_path / "got").read_bytes() == DATA


def test_a_download_that_fails_leaves_the_file_that_was_there(
    fs: HoldallFileSystem, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "got"
    folder.mkdir()
    (folder / "a").write_bytes(b"old")
    monkeypatch.setattr(ObjectReader, "readinto", lambda self, buffer: 0)
    with pytest.raises(Corrupt, match="0 of 100 bytes"):
        fs.get_file(path, str(folder / "a"))
    assert os.listdir(folder) == ["a"]
    assert (folder / "a").read_bytes() == b"old"


def test_a_download_keeps_the_mode_and_the_link_of_what_it_replaces(
    fs: HoldallFileSystem, path: str, tmp_path: Path
) -> None:
    folder = tmp_path / "got"
    folder.mkdir()
    (folder / "real").write_bytes(b"old")
    (folder / "real").chmod(0o640)
    (folder / "link").symlink_to("real")
    fs.get_file(path, str(folder / "link"))
    assert (folder / "link").is_symlink()
    assert (folder / "real").read_bytes() == DATA
    assert (folder / "real").stat().st_mode & 0o777 == 0o640


def test_a_download_goes_into_a_pipe(fs: HoldallFileSystem, path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    fs.get_file(path, str(tmp_path / "pipe"))
    assert os.read(reading, 1000) == DATA
    os.close(reading)


def test_a_download_of_nothing_makes_no_file(fs: HoldallFileSystem, at: At, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fs.get_file(at("none"), str(tmp_path / "got"))
    assert not (tmp_path / "got").exists()
