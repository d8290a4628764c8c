"""Facts about writers beside each other: threads, stores, and processes."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import holdall
from holdall.core.errors import HoldallError, PreconditionFailed, Timeout
from objects.local.conftest import OpenStore, StartPython, left_over, local, tree_of

_COUNT = """
import sys
import holdall
from holdall.core.errors import PreconditionFailed

store = holdall.open({"type": "file", "path": sys.argv[1], "durable": False})
print("ready", flush=True)
sys.stdin.readline()
done = 0
while done < 50:
    meta = store.stat("count")
    number = int(store.read("count", if_match=None))
    try:
        store.write("count", b"%d" % (number + 1), if_match=meta.etag)
    except PreconditionFailed:
        continue
    done += 1
"""

_CREATE = """
import sys
import holdall
from holdall.core.errors import AlreadyExists

store = holdall.open({"type": "file", "path": sys.argv[1], "durable": False})
print("ready", flush=True)
for line in sys.stdin:
    key = line.strip()
    try:
        store.write(key, sys.argv[2].encode() * 1000, if_none_match="*")
        print("won", flush=True)
    except AlreadyExists:
        print("lost", flush=True)
"""


def _together(works: Sequence[Callable[[], None]]) -> None:
    """Run functions at the same time, each in a thread; raise the first error."""
    start = threading.Barrier(len(works))
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            start.wait(60)
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised again
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
        assert not thread.is_alive()
    for error in errors:
        raise error


def test_two_processes_lose_no_increment(
    start_python: StartPython, store: holdall.DataStore
) -> None:
    store.write("count", b"0")
    counters = [start_python(_COUNT, store.base_path) for _ in range(2)]
    for counter in counters:
        assert counter.stdout is not None
        assert counter.stdout.readline() == "ready\n"
    for counter in counters:
        assert counter.stdin is not None
        counter.stdin.write("go\n")
        counter.stdin.flush()
    for counter in counters:
        assert counter.wait(100) == 0
    assert store.read("count") == b"100"


def test_threads_of_two_stores_lose_no_increment(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    stores[0].write("count", b"0")

    def count(store: holdall.DataStore) -> None:
        done = 0
        while done < 10:
            etag = store.stat("count").etag
            number = int(store.read("count"))
            try:
                store.write("count", b"%d" % (number + 1), if_match=etag)
            except PreconditionFailed:
                continue
            done += 1

    _together([lambda store=stores[number % 2]: count(store) for number in range(5)])  # type: ignore[misc]
    assert stores[0].read("count") == b"50"


def test_one_of_eight_processes_creates_an_object(
    start_python: StartPython, store: holdall.DataStore
) -> None:
    creators = [start_python(_CREATE, store.base_path, number) for number in range(8)]
    for creator in creators:
        assert creator.stdout is not None
        assert creator.stdout.readline() == "ready\n"
    for key in (f"folder{number}/key" for number in range(20)):
        for creator in creators:
            assert creator.stdin is not None
            creator.stdin.write(f"{key}\n")
            creator.stdin.flush()
        answers = [creator.stdout.readline() for creator in creators if creator.stdout is not None]
        assert sorted(answers) == ["lost\n"] * 7 + ["won\n"]
        assert store.read(key) == b"%d" % answers.index("won\n") * 1000


def test_one_of_eight_threads_creates_an_object(open_store: OpenStore, place: Path) -> None:
    won: list[int] = []

    def create(number: int) -> None:
        try:
            stores[number % 2].write("folder/key", b"%d" % number, if_none_match="*")
        except HoldallError:
            return
        won.append(number)

    stores = [open_store(), open_store()]
    _together([lambda number=number: create(number) for number in range(8)])  # type: ignore[misc]
    (winner,) = won
    assert stores[0].read("folder/key") == b"%d" % winner
    assert left_over(place) == []


def test_one_of_many_deletes_of_an_etag_meets_it(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    etag = stores[0].write("a", b"data").etag
    stores[0].write("a", b"other")
    for store in stores:
        with pytest.raises(PreconditionFailed):
            store.delete("a", if_match=etag)
    assert stores[0].read("a") == b"other"


def test_puts_race_with_the_removal_of_their_folders(open_store: OpenStore, place: Path) -> None:
    rounds = 400

    def work(store: holdall.DataStore, key: str) -> None:
        for number in range(rounds):
            store.write(key, b"%d" % number)
            assert store.read(key) == b"%d" % number
            store.delete(key)
            assert not store.exists(key)
        store.write(key, b"last")

    keys = [f"a/b/c/{name}" for name in "xyz"]
    stores = [open_store(), open_store(), open_store()]
    _together(
        [
            lambda store=store, key=key: work(store, key)  # type: ignore[misc]
            for store, key in zip(stores, keys, strict=True)
        ]
    )
    assert list(stores[0].list()) == keys
    for key in keys:
        stores[1].delete(key)
    assert tree_of(place) == []


def test_moves_race_with_the_removal_of_their_folders(open_store: OpenStore, place: Path) -> None:
    def work(store: holdall.DataStore, name: str) -> None:
        for _ in range(100):
            store.move(f"a/b/{name}", f"c/d/{name}")
            store.move(f"c/d/{name}", f"a/b/{name}")

    stores = [open_store(), open_store()]
    for name in "xy":
        stores[0].write(f"a/b/{name}", name.encode())
    _together([lambda: work(stores[0], "x"), lambda: work(stores[1], "y")])
    assert [stores[0].read(f"a/b/{name}") for name in "xy"] == [b"x", b"y"]
    assert tree_of(place) == ["a", "a/b", "a/b/x", "a/b/y"]


def test_a_key_and_a_folder_of_its_name_race_and_nothing_is_lost(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]

    def work(store: holdall.DataStore, key: str) -> None:
        for number in range(100):
            try:
                store.write(key, b"%d" % number)
            except HoldallError as error:
                assert type(error).__name__ == "KeyConflict", repr(error)  # noqa: PT017
            else:
                assert store.read(key) == b"%d" % number
            store.delete(key)

    _together([lambda: work(stores[0], "a"), lambda: work(stores[1], "a/b/c")])
    assert list(stores[0].list()) == []


_HOLD = """
import sys
import holdall

store = holdall.open({"type": "file", "path": sys.argv[1], "durable": False})

def hold(*_):
    print("held", flush=True)
    sys.stdin.readline()

store.store._files.locks.run("key", hold, None, None, None, None)
"""


def test_a_writer_waits_for_another_process_only_so_long(
    start_python: StartPython, open_store: OpenStore, place: Path
) -> None:
    store = open_store(lock_timeout="50ms")
    store.write("key", b"old")
    holder = start_python(_HOLD, place)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(Timeout, match="lock_timeout"):
        store.write("key", b"new")
    with pytest.raises(Timeout, match="lock_timeout"):
        store.delete("key")
    assert store.read("key") == b"old"
    assert left_over(place) == []
    holder.communicate("\n", timeout=60)
    store.write("key", b"new")
    assert store.read("key") == b"new"


def test_a_writer_waits_for_another_thread_only_so_long(open_store: OpenStore) -> None:
    store = open_store(lock_timeout="50ms")

    def hold(*_: None) -> None:
        with pytest.raises(Timeout, match="lock_timeout"):
            _together([lambda: store.write("key", b"new")])  # type: ignore[list-item]

    local(store)._files.locks.run("key", hold, None, None, None, None)
    store.write("key", b"new")


def test_a_stalled_writer_delays_no_reader(
    start_python: StartPython, store: holdall.DataStore
) -> None:
    store.write("key", b"old")
    holder = start_python(_HOLD, store.base_path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert store.read("key") == b"old"
    assert list(store.list()) == ["key"]
