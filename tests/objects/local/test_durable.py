"""Facts about what goes to the medium, and when; and about modes."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

import holdall
from objects.local.conftest import OpenStore

WATCHED = ("fsync", "rename", "mkdir", "unlink", "rmdir")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str]]:
    """What was done, in order: the call, and the file or folder, as a path under `tmp_path`."""
    done: list[tuple[str, str]] = []

    def path_of(descriptor: int) -> str:
        return os.readlink(f"/proc/self/fd/{descriptor}")

    def described(name: str, args: Any, keywords: Any) -> str:
        if name == "fsync":
            path = path_of(args[0])
        elif name == "rename":
            path = f"{path_of(keywords['dst_dir_fd'])}/{args[1]}"
        else:
            folder = keywords.get("dir_fd")
            path = args[0] if folder is None else f"{path_of(folder)}/{args[0]}"
        return os.path.relpath(path, tmp_path)

    def watch(name: str) -> None:
        original: Any = getattr(os, name)

        def watched(*args: Any, **keywords: Any) -> Any:
            what = described(name, args, keywords)
            answer = original(*args, **keywords)
            done.append((name, what))
            return answer

        monkeypatch.setattr(os, name, watched)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc to see what a descriptor is")
    for name in WATCHED:
        watch(name)
    return done


def _kinds(calls: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same, with one name for all files that have none of their own."""
    return [
        (name, f"{path.partition('.holdall/')[0]}.holdall/…" if ".holdall/" in path else path)
        for name, path in calls
    ]


def test_bytes_are_on_the_medium_before_the_name_and_the_name_before_the_answer(
    open_store: OpenStore, calls: list[tuple[str, str]]
) -> None:
    store = open_store(durable=True)
    store.write("a/old", b"")
    calls.clear()
    store.write("a/key", b"data")
    assert _kinds(calls) == [
        ("fsync", "place/.holdall/…"),
        ("rename", "place/a/key"),
        ("fsync", "place/a"),
    ]


def test_a_streamed_write_keeps_the_same_order(
    open_store: OpenStore, calls: list[tuple[str, str]]
) -> None:
    store = open_store(durable=True)
    store.write("a/old", b"")
    calls.clear()
    store.write("a/key", [b"data"])
    named = calls.index(("rename", "place/a/key"))
    part = next(path for _, path in calls if path.endswith(".part"))
    assert ("fsync", part) in calls[:named]
    assert calls[named + 1] == ("fsync", "place/a")


def test_a_copy_keeps_the_same_order(open_store: OpenStore, calls: list[tuple[str, str]]) -> None:
    store = open_store(durable=True)
    store.write("a/old", b"")
    calls.clear()
    store.copy("a/old", "a/key")
    assert _kinds(calls)[:3] == [
        ("fsync", "place/.holdall/…"),
        ("rename", "place/a/key"),
        ("fsync", "place/a"),
    ]


def test_a_move_puts_both_folders_on_the_medium(
    open_store: OpenStore, calls: list[tuple[str, str]]
) -> None:
    store = open_store(durable=True)
    store.write("a/old", b"")
    store.write("a/stays", b"")
    store.write("b/stays", b"")
    calls.clear()
    store.move("a/old", "b/key")
    assert calls == [("rename", "place/b/key"), ("fsync", "place/b"), ("fsync", "place/a")]


def test_what_is_kept_beside_is_on_the_medium_before_the_name(
    open_store: OpenStore, calls: list[tuple[str, str]]
) -> None:
    store = open_store(durable=True)
    store.write("a/old", b"", metadata={"long": "x" * 5000})
    calls.clear()
    store.write("a/key", b"data", metadata={"long": "x" * 5000})
    before = calls[: calls.index(("rename", "place/a/key"))]
    synced = [path for name, path in before if name == "fsync"]
    assert sum(path.startswith("place/.holdall/attributes/") for path in synced) == 1
    assert "place/.holdall/attributes" in synced


def test_every_new_folder_is_on_the_medium_through_the_one_above(
    open_store: OpenStore, tmp_path: Path, calls: list[tuple[str, str]]
) -> None:
    store = open_store(tmp_path / "new" / "place", durable=True)
    store.write("a/b/key", b"data")
    named = calls.index(("rename", "new/place/a/b/key"))
    made = [path for name, path in calls if name == "mkdir"]
    assert {"new", "new/place", "new/place/.holdall", "new/place/a", "new/place/a/b"} <= set(made)
    for path in made:
        at = calls.index(("mkdir", path))
        above = os.path.dirname(path) or "."
        assert ("fsync", above) in calls[at : at + 2], path
        assert at < named


def test_a_delete_puts_the_folder_on_the_medium(
    open_store: OpenStore, calls: list[tuple[str, str]]
) -> None:
    store = open_store(durable=True)
    store.write("a/key", b"")
    store.write("a/stays", b"")
    calls.clear()
    store.delete("a/key")
    assert calls == [("unlink", "place/a/key"), ("fsync", "place/a")]


def test_deletes_in_one_folder_put_it_on_the_medium_once(
    open_store: OpenStore, calls: list[tuple[str, str]]
) -> None:
    store = open_store(durable=True)
    for name in "xyz":
        store.write(f"a/{name}", b"")
    calls.clear()
    store.delete_many(["a/x", "a/y"])
    assert calls == [
        ("unlink", "place/a/x"),
        ("unlink", "place/a/y"),
        ("fsync", "place/a"),
    ]


def test_a_folder_that_was_removed_is_gone_from_the_medium_too(
    open_store: OpenStore, calls: list[tuple[str, str]]
) -> None:
    store = open_store(durable=True)
    store.write("a/b/key", b"")
    calls.clear()
    store.delete("a/b/key")
    removed = [call for call in calls if call[0] != "fsync" or call[1] in {"place", "place/a"}]
    assert removed == [
        ("unlink", "place/a/b/key"),
        ("rmdir", "place/a/b"),
        ("fsync", "place/a"),
        ("rmdir", "place/a"),
        ("fsync", "place"),
    ]


def test_a_store_that_is_not_durable_waits_for_no_medium(
    open_store: OpenStore, calls: list[tuple[str, str]]
) -> None:
    store = open_store(durable=False)
    store.write("a/b/key", b"data", metadata={"long": "x" * 5000})
    store.write("a/b/key", [b"data"])
    store.copy("a/b/key", "c/copy")
    store.move("c/copy", "d/moved")
    store.delete("d/moved")
    assert {name for name, _ in calls} == {"mkdir", "rename", "unlink", "rmdir"}
    assert not store.capabilities.durable


def test_a_store_is_durable_unless_told_otherwise(tmp_path: Path) -> None:
    with holdall.open(tmp_path) as store:
        assert store.capabilities.durable


# Modes


def test_files_and_folders_are_their_owners_alone(tmp_path: Path, open_store: OpenStore) -> None:
    mask = os.umask(0)
    try:
        root = tmp_path / "above" / "root"
        store = open_store(root)
        store.write("a/put", b"data")
        store.write("a/streamed", [b"data"], metadata={"long": "x" * 5000})
        store.copy("a/put", "b/copy")
        store.move("b/copy", "c/moved")
        store.upload("a/begun").close()
    finally:
        os.umask(mask)
    files = folders = 0
    for path in [tmp_path / "above", *(tmp_path / "above").rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_dir():
            folders += 1
            assert mode == 0o700, path
        else:
            files += 1
            assert mode == 0o600, path
    assert files >= 5
    assert folders >= 9


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path, open_store: OpenStore) -> None:
    folder = tmp_path / "root"
    folder.mkdir()
    folder.chmod(0o755)
    open_store(folder).write("a", b"data")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
