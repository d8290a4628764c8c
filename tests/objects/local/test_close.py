"""Facts about closing a store while others use it, and about what stays open."""

import os
import shutil
import threading
from pathlib import Path

import pytest

import holdall
from objects.local.conftest import OpenStore, descriptors, local


def test_an_operation_keeps_its_descriptors_when_the_store_is_closed(
    open_store: OpenStore, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    store, other = open_store(ours), open_store(theirs)
    store.write("key", b"ours")
    other.write("key", b"theirs")
    tree = local(store)._files.tree
    local(store)._files.close()
    local(other)._files.close()
    store.exists("key")  # opens the root again
    open_file, temporary = tree.open_file, tree.workspace().temporary
    store.close()
    # Every number that was given back is used again, by a store of another folder.
    taken = [os.open(theirs, os.O_RDONLY) for _ in range(20)]
    try:
        descriptor = open_file("key")
        try:
            assert os.pread(descriptor, 100, 0) == b"ours"
        finally:
            os.close(descriptor)
        expected = (ours / ".holdall" / "tmp").stat()
        assert os.path.samestat(os.fstat(temporary), expected)
    finally:
        for number in taken:
            os.close(number)


def test_readers_and_writers_beside_a_close_stay_in_their_folder(
    open_store: OpenStore, tmp_path: Path
) -> None:
    names = ("one", "two")
    stores = {name: open_store(tmp_path / name) for name in names}
    for name, store in stores.items():
        store.write("key", name.encode())
    errors: list[BaseException] = []
    stop = threading.Event()

    def use(name: str) -> None:
        try:
            for number in range(200):
                assert stores[name].read("key") == name.encode()
                stores[name].write(f"{name}/{number % 3}", name.encode())
        except BaseException as error:  # noqa: BLE001 - it is looked at below
            errors.append(error)

    def close() -> None:
        while not stop.is_set():
            for store in stores.values():
                local(store)._files.close()

    users = [threading.Thread(target=use, args=(name,)) for name in names * 2]
    closer = threading.Thread(target=close)
    for thread in (closer, *users):
        thread.start()
    for thread in users:
        thread.join(100)
    stop.set()
    closer.join(100)
    assert errors == []
    for name in names:
        assert {key.partition("/")[0] for key in stores[name].list()} == {"key", name}
        assert os.listdir(tmp_path / name / ".holdall" / "tmp") == []


def test_a_closed_store_has_nothing_open(open_store: OpenStore) -> None:
    before = descriptors()
    store = open_store()
    for number in range(100):
        store.write(f"a/{number}", b"data")
    store.close()
    assert descriptors() == before


def test_a_folder_that_is_replaced_leaves_nothing_open(store: holdall.DataStore) -> None:
    counts = []
    for _ in range(5):
        store.write("key", b"data")
        counts.append(descriptors())
        shutil.rmtree(store.base_path)
    assert max(counts) == counts[0]


# What is durable


def test_a_folder_that_another_has_just_made_is_on_the_medium_before_the_answer(
    open_store: OpenStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(durable=True)
    store.write("first", b"")
    made, synced = os.mkdir, []

    def another_is_faster(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        made(path, mode, dir_fd=dir_fd)  # and has not synced it
        raise FileExistsError

    real = os.fsync

    def sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "mkdir", another_is_faster)
    monkeypatch.setattr(os, "fsync", sync)
    store.write("a/b/key", b"data")
    assert place.stat().st_ino in synced
    assert (place / "a").stat().st_ino in synced
