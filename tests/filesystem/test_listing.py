"""Directories, patterns, copies, moves, deletions."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import holdall
from holdall.core.errors import InvalidKey, KeyConflict, Unavailable, Unsupported
from holdall.fsspec import FileFileSystem, HoldallFileSystem, MemoryFileSystem, filesystem

At = Callable[[str], str]
TREE = ("1", "d/2", "d/e/3", "d-x/4")


@pytest.fixture
def tree(fs: HoldallFileSystem, at: At) -> HoldallFileSystem:
    fs.pipe({at(key): key.encode() for key in TREE})
    return fs


def test_a_directory_lists_what_is_one_level_down(tree: HoldallFileSystem, at: At) -> None:
    assert tree.ls(at("d"), detail=False) == [at("d/2"), at("d/e")]
    kinds = {info["name"]: (info["type"], info["size"]) for info in tree.ls(at("d"))}
    assert kinds == {at("d/2"): ("file", 3), at("d/e"): ("directory", 0)}


def test_a_file_lists_itself(tree: HoldallFileSystem, at: At) -> None:
    assert tree.ls(at("d/2"), detail=False) == [at("d/2")]


def test_nothing_lists_as_not_found(tree: HoldallFileSystem, at: At) -> None:
    with pytest.raises(FileNotFoundError):
        tree.ls(at("none"))
    with pytest.raises(FileNotFoundError):
        tree.info(at("none"))


def test_a_listing_is_never_kept(tree: HoldallFileSystem, at: At) -> None:
    tree.ls(at("d"))
    tree.place(at("d/new")).store.write(tree.place(at("d/new")).ref, b"by another")
    assert at("d/new") in tree.ls(at("d"), detail=False)
    assert tree.info(at("d/new"))["size"] == 10


def test_what_is_known_of_a_file(tree: HoldallFileSystem, at: At) -> None:
    info = tree.info(at("1"))
    place = tree.place(at("1"))
    meta = place.store.stat(place.ref)
    assert info == {
        "name": at("1"),
        "size": 1,
        "type": "file",
        "mtime": meta.modified_ns / 1e9,
        "content_type": meta.content_type,
        "metadata": {},
        "etag": meta.etag,
    }
    assert tree.modified(at("1")) == tree.created(at("1")) == meta.modified


def test_a_name_is_a_file_a_directory_or_nothing(tree: HoldallFileSystem, at: At) -> None:
    def kind(key: str) -> tuple[bool, bool, bool]:
        return tree.exists(at(key)), tree.isfile(at(key)), tree.isdir(at(key))

    assert kind("1") == (True, True, False)
    assert kind("d") == kind("d/") == (True, False, True)
    assert kind("d-") == kind("none") == kind("1/x") == kind("d//2") == (False, False, False)


def test_a_failure_is_no_answer(
    tree: HoldallFileSystem, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise Unavailable("the network is down")

    monkeypatch.setattr(holdall.DataStore, "stat", fail)
    monkeypatch.setattr(holdall.DataStore, "pages", fail)
    for ask in (tree.exists, tree.isdir, tree.isfile):
        with pytest.raises(Unavailable):
            ask(at("1"))
    with pytest.raises(Unavailable):
        tree.glob(at("d/*"))
    with pytest.raises(Unavailable):
        list(tree.walk(at("d")))


def test_walking_goes_down_and_up(tree: HoldallFileSystem, at: At) -> None:
    down = [(at("d"), ["e"], ["2"]), (at("d/e"), [], ["3"])]
    assert list(tree.walk(at("d"))) == down
    assert list(tree.walk(at("d"), topdown=False)) == down[::-1]
    assert list(tree.walk(at("d"), maxdepth=1)) == down[:1]


def test_a_walk_leaves_out_what_the_caller_takes_out(tree: HoldallFileSystem, at: At) -> None:
    seen = []
    for path, folders, _ in tree.walk(at("d")):
        seen.append(path)
        folders.clear()
    assert seen == [at("d")]


def test_a_walk_of_nothing_is_omitted_raised_or_told(tree: HoldallFileSystem, at: At) -> None:
    told: list[OSError] = []
    assert list(tree.walk(at("none"))) == []
    assert list(tree.walk(at("none"), on_error=told.append)) == []
    assert isinstance(told[0], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        list(tree.walk(at("none"), on_error="raise"))


def test_finding_goes_all_the_way(tree: HoldallFileSystem, at: At) -> None:
    assert tree.find(at("d")) == [at("d/2"), at("d/e/3")]
    assert tree.find(at("d"), maxdepth=1) == [at("d/2")]
    everything = [at("d"), at("d/2"), at("d/e"), at("d/e/3")]
    assert tree.find(at("d"), withdirs=True) == everything
    assert tree.find(at("d"), withdirs=True, maxdepth=2) == everything
    assert tree.find(at("d/2")) == [at("d/2")]
    assert tree.find(at("none")) == []
    assert tree.find(at("d"), detail=True)[at("d/2")]["size"] == 3


def test_finding_is_one_listing(
    tree: HoldallFileSystem, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    pages = holdall.DataStore.pages

    def count(self: Any, prefix: Any, *, delimiter: bool = False, **options: Any) -> Any:
        asked.append(delimiter)
        return pages(self, prefix, delimiter=delimiter, **options)

    monkeypatch.setattr(holdall.DataStore, "pages", count)
    assert len(tree.find(at("d"))) == 2
    assert asked == [False]


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("*", ["1", "d", "d-x"]),
        ("d/*", ["d/2", "d/e"]),
        ("d*/*", ["d-x/4", "d/2", "d/e"]),
        ("**/[34]", ["d-x/4", "d/e/3"]),
        ("d/**", ["d", "d/2", "d/e", "d/e/3"]),
        ("none*", []),
        ("1", ["1"]),
    ],
)
def test_a_pattern_finds(tree: HoldallFileSystem, at: At, pattern: str, keys: list[str]) -> None:
    assert [name.rstrip("/") for name in tree.glob(at(pattern))] == [at(key) for key in keys]


def test_usage_is_the_sum_of_sizes(tree: HoldallFileSystem, at: At) -> None:
    assert tree.du(at("d")) == 8
    assert tree.du(at("d"), total=False) == {at("d/2"): 3, at("d/e/3"): 5}


def test_making_a_directory_makes_nothing(fs: HoldallFileSystem, at: At) -> None:
    fs.mkdir(at("new"))
    fs.makedirs(at("new/er"), exist_ok=True)
    assert not fs.exists(at("new"))


def test_an_empty_directory_of_another_program_is_removed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    fs = filesystem(holdall.open(tmp_path))
    fs.rmdir("empty")
    with pytest.raises(KeyConflict):
        fs.rmdir("full")
    assert sorted(os.listdir(tmp_path)) == ["full"]


# Changing


def test_a_copy_keeps_what_is_kept_with_it(fs: HoldallFileSystem, at: At) -> None:
    fs.pipe_file(at("a"), b"1", content_type="text/csv", metadata={"by": "me"})
    fs.cp_file(at("a"), at("b"))
    info = fs.info(at("b"))
    assert (info["content_type"], info["metadata"]) == ("text/csv", {"by": "me"})
    assert fs.cat([at("a"), at("b")]) == {at("a"): b"1", at("b"): b"1"}


def test_a_copy_of_nothing_is_not_found(fs: HoldallFileSystem, at: At) -> None:
    with pytest.raises(FileNotFoundError):
        fs.cp_file(at("none"), at("b"))


def test_a_copy_into_another_store_keeps_all() -> None:
    fs = MemoryFileSystem()
    kept: dict[str, Any] = {
        "content_type": "text/csv",
        "metadata": {"by": "me"},
        "tags": {"t": "1"},
    }
    fs.pipe_file("copy-from/a", b"1", **kept)
    fs.cp_file("copy-from/a", "copy-to/b")
    meta = holdall.open("memory://copy-to").stat("b", tags=True)
    assert (meta.content_type, meta.metadata, meta.tags) == tuple(kept.values())
    fs.mv("copy-from/a", "copy-to/c")
    assert fs.find("copy-to") == ["copy-to/b", "copy-to/c"]
    assert fs.find("copy-from") == []


def test_a_move_leaves_the_target_alone(tree: HoldallFileSystem, at: At) -> None:
    tree.mv(at("d/2"), at("d/5"))
    assert tree.find(at("d")) == [at("d/5"), at("d/e/3")]
    assert tree.cat_file(at("d/5")) == b"d/2"


def test_a_directory_moves(tree: HoldallFileSystem, at: At) -> None:
    tree.mv(at("d"), at("f"), recursive=True)
    assert tree.find(at("f")) == [at("f/2"), at("f/e/3")]
    assert not tree.exists(at("d"))


def test_a_move_deletes_nothing_that_came_meanwhile(
    tree: HoldallFileSystem, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tree.cp_file

    def meanwhile(one: str, other: str, **kwargs: Any) -> None:
        tree.pipe_file(at("d/new"), b"")
        copy(one, other, **kwargs)

    monkeypatch.setattr(tree, "cp_file", meanwhile)
    tree.mv(at("d"), at("f"), recursive=True)
    assert tree.find(at("d")) == [at("d/new")]


def test_a_move_onto_itself_changes_nothing(tree: HoldallFileSystem, at: At) -> None:
    tree.mv(at("1"), tree.unstrip_protocol(at("1")))
    assert tree.cat_file(at("1")) == b"1"


def test_a_move_of_nothing_is_not_found(tree: HoldallFileSystem, at: At) -> None:
    with pytest.raises(FileNotFoundError):
        tree.mv(at("none"), at("b"))


def test_a_file_is_deleted(tree: HoldallFileSystem, at: At) -> None:
    tree.rm(at("1"))
    tree.rm_file(at("d/2"))
    assert not tree.exists(at("1"))
    assert tree.find(at("d")) == [at("d/e/3")]


def test_a_directory_is_deleted_only_when_asked(tree: HoldallFileSystem, at: At) -> None:
    with pytest.raises(IsADirectoryError):
        tree.rm([at("1"), at("d")])
    assert tree.exists(at("1"))
    tree.rm(at("d"), recursive=True)
    assert not tree.exists(at("d"))
    assert tree.find(at("d-x")) == [at("d-x/4")]


def test_deleting_nothing_is_an_error(tree: HoldallFileSystem, at: At) -> None:
    for name in ("none", "none*"):
        with pytest.raises(FileNotFoundError):
            tree.rm([at("1"), at(name)])
    with pytest.raises(FileNotFoundError):
        tree.rm_file(at("none"))
    assert tree.exists(at("1"))


def test_a_name_is_no_pattern(fs: HoldallFileSystem, at: At) -> None:
    fs.pipe({at("a[1]"): b"", at("a1"): b""})
    fs.rm(at("a[1]"))
    assert fs.exists(at("a1"))
    assert not fs.isfile(at("a[1]"))


def test_touching_empties_or_makes(fs: HoldallFileSystem, at: At) -> None:
    fs.touch(at("a"), truncate=False)
    assert fs.cat_file(at("a")) == b""
    fs.pipe_file(at("a"), b"1")
    with pytest.raises(Unsupported):
        fs.touch(at("a"), truncate=False)
    assert fs.cat_file(at("a")) == b"1"
    fs.touch(at("a"))
    assert fs.cat_file(at("a")) == b""


def test_a_key_of_a_file_changes_with_its_content(fs: HoldallFileSystem, at: At) -> None:
    fs.pipe_file(at("a"), b"1")
    first = fs.ukey(at("a")), fs.checksum(at("a"))
    assert first == (fs.ukey(at("a")), fs.checksum(at("a")))
    fs.pipe_file(at("a"), b"2")
    assert fs.ukey(at("a")) != first[0]
    assert fs.checksum(at("a")) != first[1]


def test_a_path_is_not_rewritten(fs: HoldallFileSystem, at: At) -> None:
    for key in ("a//b", "../a", "a/./b"):
        with pytest.raises(InvalidKey):
            fs.pipe_file(at(key), b"")
    fs.pipe_file(at("a%20b #?"), b"1")
    assert fs.exists(at("a%20b #?"))


def test_a_file_is_signed_where_the_store_can(fs: HoldallFileSystem, at: At) -> None:
    fs.pipe_file(at("a"), b"")
    if fs.place(at("a")).store.capabilities.sign:
        assert fs.sign(at("a"), expiration=60).startswith("http")
    else:
        with pytest.raises(NotImplementedError):
            fs.sign(at("a"))


def test_an_empty_store_is_a_directory(tmp_path: Path) -> None:
    fs = filesystem(holdall.open("memory://"))
    assert fs.isdir("")
    assert fs.ls("") == []
    assert not FileFileSystem().exists(str(tmp_path / "none"))
