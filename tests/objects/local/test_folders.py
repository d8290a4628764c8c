"""Facts about folders: made and removed with their objects, and never in the way for nothing."""

import errno
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import holdall
from holdall.core.errors import (
    HoldallError,
    InvalidConfig,
    InvalidKey,
    KeyConflict,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from holdall.core.reference import Reference
from holdall.objects.backends.local import tree as tree_module
from holdall.objects.backends.local.faults import translate
from objects.local.conftest import OpenStore, descriptors, left_over, tree_of

# A key and a folder of its name


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a", "a/b/c"), ("x/a", "x/a/b/c")])
def test_a_key_below_an_object_is_refused_and_the_object_named(
    store: holdall.DataStore, place: Path, first: str, second: str
) -> None:
    store.write(first, b"data")
    for source in (b"data", [b"data"]):
        with pytest.raises(KeyConflict) as caught:
            store.write(second, source)
        assert f"cannot stand beside {store.reference(first)}:" in str(caught.value)
    assert list(store.list()) == [first]
    store.purge_uploads(older_than=timedelta(0))
    assert left_over(place) == []


@pytest.mark.parametrize(("first", "second"), [("a/b", "a"), ("a/b/c", "a"), ("x/a/b/c", "x/a/b")])
def test_a_key_above_an_object_is_refused_and_the_object_named(
    store: holdall.DataStore, first: str, second: str
) -> None:
    store.write(first, b"data")
    store.write("other", b"data")
    with pytest.raises(KeyConflict) as caught:
        store.write(second, b"data")
    assert f"cannot stand beside {store.reference(first)}:" in str(caught.value)
    with pytest.raises(KeyConflict):
        store.copy("other", second)
    with pytest.raises(KeyConflict):
        store.move("other", second)
    assert store.read("other") == b"data"
    assert store.read(first) == b"data"


def test_an_empty_folder_of_others_is_not_in_the_way(store: holdall.DataStore, place: Path) -> None:
    (place / "a").mkdir(parents=True)
    store.write("a", b"data")
    assert store.read("a") == b"data"


def test_a_folder_with_a_foreign_entry_is_in_the_way(store: holdall.DataStore, place: Path) -> None:
    (place / "a").mkdir(parents=True)
    (place / "a" / "link").symlink_to("nowhere")
    with pytest.raises(KeyConflict):
        store.write("a", b"data")


# Folders come and go with their objects


def test_folders_that_a_delete_empties_go_up_to_the_root(
    store: holdall.DataStore, place: Path
) -> None:
    store.write("a/b/c/d", b"")
    store.write("a/x", b"")
    store.delete("a/b/c/d")
    assert tree_of(place) == ["a", "a/x"]
    store.delete("a/x")
    assert tree_of(place) == []
    assert place.is_dir()


def test_folders_that_a_move_empties_go(store: holdall.DataStore, place: Path) -> None:
    store.write("a/b/c/d", b"data")
    store.move("a/b/c/d", "a/y")
    assert tree_of(place) == ["a", "a/y"]


def test_a_delete_of_many_empties_its_folders(store: holdall.DataStore, place: Path) -> None:
    keys = [f"{folder}/{name}" for folder in ("a/b", "a/c", "d") for name in "xyz"]
    for key in keys:
        store.write(key, b"")
    store.delete_many(keys)
    assert tree_of(place) == []


def test_a_folder_with_something_of_others_stays(store: holdall.DataStore, place: Path) -> None:
    store.write("a/b", b"")
    (place / "a" / "link").symlink_to("nowhere")
    store.delete("a/b")
    assert tree_of(place) == ["a", "a/link"]


def test_a_delete_of_nothing_makes_and_removes_nothing(
    store: holdall.DataStore, place: Path
) -> None:
    store.delete("a/b")
    assert not place.exists()
    (place / "empty").mkdir(parents=True)
    store.delete("other/b")
    assert tree_of(place) == ["empty"]


def test_an_empty_folder_is_removed_when_asked(store: holdall.DataStore, place: Path) -> None:
    (place / "a" / "b").mkdir(parents=True)
    store.remove_directory("a/b")
    assert tree_of(place) == ["a"]
    store.remove_directory("a/b")
    store.write("a/c", b"")
    with pytest.raises(KeyConflict, match="not an empty folder"):
        store.remove_directory("a")


# The root


def test_reading_makes_no_workspace(store: holdall.DataStore, place: Path) -> None:
    place.mkdir()
    (place / "a").write_bytes(b"data")
    assert store.read("a") == b"data"
    assert store.stat("a").size == 4
    assert list(store.list()) == ["a"]
    assert [meta.key for meta in store.walk(etags=True)] == ["a"]
    assert store.list_directories() == ()
    assert list(store.uploads()) == []
    assert not store.exists("b")
    with pytest.raises(NotFound):
        store.read("b")
    assert os.listdir(place) == ["a"]


def test_where_no_folder_is_nothing_is(store: holdall.DataStore, place: Path) -> None:
    assert list(store.list()) == []
    assert list(store.uploads()) == []
    with pytest.raises(NotFound):
        store.read("a")
    store.delete("a")
    store.remove_directory("a")
    with pytest.raises(NotFound):
        store.copy("a", "b")
    assert not (place / "a").exists()


def test_a_root_that_is_a_file_is_said_to_be(open_store: OpenStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    store = open_store(tmp_path / "file")
    with pytest.raises(InvalidConfig, match="is a file"):
        store.write("a", b"data")
    with pytest.raises(InvalidConfig, match="is a file"):
        store.read("a")


@pytest.mark.parametrize("remade", [False, True])
def test_an_open_store_goes_on_when_its_folder_was_removed(
    store: holdall.DataStore, place: Path, remade: bool
) -> None:
    store.write("a/b", b"old", metadata={"long": "x" * 5000})
    assert list(store.list()) == ["a/b"]
    shutil.rmtree(place)
    if remade:
        place.mkdir()
        (place / "other").write_bytes(b"of others")
    assert list(store.list()) == (["other"] if remade else [])
    with pytest.raises(NotFound):
        store.read("a/b")
    assert list(store.uploads()) == []
    store.delete("a/b")
    store.write("a/b", b"new", metadata={"n": "1"})
    assert store.read("a/b") == b"new"
    assert store.stat("a/b").metadata == {"n": "1"}
    store.write("a/c", [b"streamed"])
    assert list(store.list("a")) == ["a/b", "a/c"]


@pytest.mark.parametrize("first", ["write", "stream", "copy", "move", "delete", "list", "stat"])
def test_whatever_comes_first_after_the_folder_was_replaced_goes_well(
    store: holdall.DataStore, open_store: OpenStore, place: Path, tmp_path: Path, first: str
) -> None:
    store.write("a/b", b"old")
    other = open_store(tmp_path / "other")
    other.write("a/b", b"new")
    other.close()
    shutil.rmtree(place)
    os.rename(tmp_path / "other", place)
    if first == "write":
        store.write("a/c", b"data")
        assert store.read("a/c") == b"data"
    elif first == "stream":
        store.write("a/c", [b"data"])
        assert store.read("a/c") == b"data"
    elif first == "copy":
        store.copy("a/b", "a/c")
        assert store.read("a/c") == b"new"
    elif first == "move":
        store.move("a/b", "a/c")
        assert store.read("a/c") == b"new"
    elif first == "delete":
        store.delete("a/b")
        assert not store.exists("a/b")
    elif first == "list":
        assert list(store.list()) == ["a/b"]
    else:
        assert store.stat("a/b").size == 3


def test_a_closed_store_holds_no_descriptor(open_store: OpenStore) -> None:
    before = descriptors()
    store = open_store()
    store.write("a/b", b"data")
    store.write("c", [b"data"])
    store.move("c", "d/e")
    list(store.walk(etags=True))
    store.close()
    assert descriptors() == before


def test_a_dropped_store_holds_no_descriptor(place: Path) -> None:
    before = descriptors()
    store = holdall.open({"type": "file", "path": str(place), "durable": False})
    store.write("a/b", b"data")
    del store
    assert descriptors() == before


# Errors of the operating system


@pytest.mark.parametrize(
    ("code", "kind", "transient"),
    [
        (errno.ENOENT, NotFound, False),
        (errno.ENOTDIR, NotFound, False),
        (errno.EISDIR, NotFound, False),
        (errno.ELOOP, PermissionDenied, False),
        (errno.EACCES, PermissionDenied, False),
        (errno.EPERM, PermissionDenied, False),
        (errno.EROFS, PermissionDenied, False),
        (errno.EXDEV, PermissionDenied, False),
        (errno.ENAMETOOLONG, InvalidKey, False),
        (errno.ENOSPC, Unavailable, False),
        (errno.EDQUOT, Unavailable, False),
        (errno.EFBIG, Unavailable, False),
        (errno.EIO, Unavailable, False),
        (errno.EMFILE, Unavailable, True),
        (errno.ESTALE, Unavailable, True),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) and value > 1 else None,
)
def test_an_error_of_the_system_becomes_one_of_ours(
    code: int, kind: type[HoldallError], transient: bool
) -> None:
    ref = Reference.parse("/srv/data/key")
    error = translate(OSError(code, os.strerror(code)), ref)
    assert type(error) is kind
    assert error.transient is transient
    assert error.reference == ref
    assert "file:///srv/data/key" in str(error)


def test_a_full_disk_is_said_to_be_full() -> None:
    error = translate(OSError(errno.ENOSPC, "No space left on device"), Reference.parse("/a/b"))
    assert "No space left on device" in str(error)


# Folders that another process made a moment ago, and may not have put on the medium yet


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What was put on the medium, in order: device and number of the file or folder."""
    done: list[tuple[int, int]] = []
    original = tree_module.sync_to_medium

    def watched(descriptor: int) -> None:
        original(descriptor)
        done.append(_identity(os.fstat(descriptor)))

    monkeypatch.setattr(tree_module, "sync_to_medium", watched)
    return done


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def test_a_root_that_was_there_is_put_on_the_medium_through_the_one_above(
    open_store: OpenStore, place: Path, synced: list[tuple[int, int]]
) -> None:
    place.mkdir()
    open_store(durable=True).write("a", b"data")
    assert _identity(place.parent.stat()) in synced


def test_a_root_that_was_read_from_is_put_on_the_medium_through_the_one_above(
    open_store: OpenStore, place: Path, synced: list[tuple[int, int]]
) -> None:
    place.mkdir()
    store = open_store(durable=True)
    assert list(store.list()) == []
    store.write("a", b"data")
    assert _identity(place.parent.stat()) in synced


def test_a_root_that_was_read_from_and_removed_is_made_again(
    open_store: OpenStore, place: Path, synced: list[tuple[int, int]]
) -> None:
    place.mkdir()
    store = open_store(durable=True)
    assert list(store.list()) == []
    place.rmdir()
    store.write("a", b"data")
    assert (place / "a").read_bytes() == b"data"
    assert _identity(place.parent.stat()) in synced


def test_a_root_that_appears_meanwhile_is_put_on_the_medium_through_the_one_above(
    open_store: OpenStore,
    place: Path,
    synced: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = open_store(durable=True)
    original = os.mkdir

    def slower(path: Any, *args: Any, **keywords: Any) -> None:
        if path == str(place):
            original(path, *args, **keywords)  # the other process is first
        original(path, *args, **keywords)

    monkeypatch.setattr(os, "mkdir", slower)
    store.write("a", b"data")
    assert _identity(place.parent.stat()) in synced


def test_a_workspace_that_was_there_is_put_on_the_medium(
    open_store: OpenStore, place: Path, synced: list[tuple[int, int]]
) -> None:
    for name in ("tmp", "locks", "uploads", "attributes"):
        (place / ".holdall" / name).mkdir(parents=True, exist_ok=True)
    (place / "a").mkdir()
    open_store(durable=True).write("a/b", b"data")
    for folder in (place, place / ".holdall"):
        assert _identity(folder.stat()) in synced, folder


def test_a_root_in_a_folder_that_may_not_be_opened_is_opened(
    open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "passed" / "root").mkdir(parents=True)
    original = os.open

    def refused(path: Any, *args: Any, **keywords: Any) -> int:
        if path == str(tmp_path / "passed"):
            raise PermissionError(errno.EACCES, "not yours", path)
        return original(path, *args, **keywords)

    monkeypatch.setattr(os, "open", refused)
    store = open_store(tmp_path / "passed" / "root", durable=True)
    store.write("a", b"data")
    assert store.read("a") == b"data"
