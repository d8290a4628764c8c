"""Facts about staged uploads and temporary files on disk."""

import hashlib
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

import holdall
from holdall.core.errors import NotFound
from objects.local.conftest import OpenStore, StartPython, descriptors, left_over

ALL = timedelta(0)
DAY = 24 * 3600


def _interrupted(store: holdall.DataStore, key: str, data: bytes = b"data") -> str:
    with store.upload(key) as upload:
        upload.write(data)
    return upload.id


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"null", b"[]", b'{"key": 1}', b'{"key":"\xff"}', b"\x00" * 100]
)
def test_a_damaged_note_hides_its_upload_and_no_other(
    store: holdall.DataStore, place: Path, damage: bytes
) -> None:
    damaged = _interrupted(store, "a")
    whole = _interrupted(store, "b")
    (place / ".holdall" / "uploads" / f"{damaged}.json").write_bytes(damage)
    assert [info.id for info in store.uploads()] == [whole]
    with pytest.raises(NotFound):
        store.upload("a", resume=damaged)
    with store.upload("b", resume=whole) as upload:
        upload.commit(4)
    assert store.read("b") == b"data"
    assert store.purge_uploads(ALL) == 0


def test_strange_files_among_the_uploads_are_ignored(store: holdall.DataStore, place: Path) -> None:
    whole = _interrupted(store, "b")
    uploads = place / ".holdall" / "uploads"
    for name in ("x", ".part", "zz.part", "00.part", "00.json.part", "é.part"):
        (uploads / name).write_bytes(b"")
    assert [info.id for info in store.uploads()] == [whole]


def test_bytes_that_were_written_twice_are_noticed(store: holdall.DataStore, place: Path) -> None:
    name = _interrupted(store, "a", b"0123")
    # Another program appends to what is staged.
    with (place / ".holdall" / "uploads" / f"{name}.part").open("ab") as file:
        file.write(b"x")
    with store.upload("a", resume=name) as upload:
        assert upload.offset == 5
        with pytest.raises(holdall.errors.Corrupt):
            upload.commit(4)
        with pytest.raises(holdall.errors.Corrupt):
            upload.commit(5, hashlib.sha256(b"01234").hexdigest())
    assert list(store.list()) == []
    assert [info.id for info in store.uploads()] == [name]


def test_a_commit_leaves_nothing_staged(store: holdall.DataStore, place: Path) -> None:
    store.write("a", [b"data"])
    with store.open_writer("b") as writer:
        writer.write(b"data")
    assert left_over(place) == []


def test_an_upload_that_is_dropped_gives_back_its_descriptor_and_lock(
    store: holdall.DataStore,
) -> None:
    store.write("z", b"")
    before = descriptors()
    upload = store.upload("a")
    upload.write(b"data")
    name = upload.id
    del upload
    assert descriptors() == before
    with store.upload("a", resume=name) as again:
        assert again.offset == 4


def test_only_old_temporary_files_are_removed(open_store: OpenStore, place: Path) -> None:
    open_store().write("a", b"")
    temporary = place / ".holdall" / "tmp"
    for name, age in {"old": DAY + 60, "young": DAY - 60, "new": 0}.items():
        (temporary / name).write_bytes(b"")
        os.utime(temporary / name, (time.time() - age,) * 2)
    reader = open_store()
    assert list(reader.list()) == ["a"]
    assert sorted(os.listdir(temporary)) == ["new", "old", "young"]  # a reader removes nothing
    open_store().write("b", b"")
    assert sorted(os.listdir(temporary)) == ["new", "young"]


def test_old_uploads_are_removed_only_when_asked(open_store: OpenStore, place: Path) -> None:
    name = _interrupted(open_store(), "a")
    for file in (place / ".holdall" / "uploads").iterdir():
        os.utime(file, (time.time() - 10 * DAY,) * 2)
    store = open_store()
    store.write("b", b"")
    assert [info.id for info in store.uploads()] == [name]


_LISTS_AND_GOES_ON = """
import hashlib, sys
import holdall

store = holdall.open({"type": "file", "path": sys.argv[1], "durable": False})
(info,) = store.uploads()
with store.upload(info.key, resume=info.id) as upload:
    upload.write(b"56789"[upload.offset - 5:])
    upload.commit(10, hashlib.sha256(b"0123456789").hexdigest())
print(info.key, info.offset, flush=True)
"""


def test_another_process_goes_on_with_an_upload(
    start_python: StartPython, store: holdall.DataStore
) -> None:
    _interrupted(store, "a/b", b"01234")
    other = start_python(_LISTS_AND_GOES_ON, store.base_path)
    assert other.communicate(timeout=60)[0] == "a/b 5\n"
    assert store.read("a/b") == b"0123456789"
    assert store.stat("a/b").sha256 == hashlib.sha256(b"0123456789").hexdigest()
    assert list(store.uploads()) == []


# Forks

_BEGINS = """
import os, signal, sys
import holdall
from holdall.core.errors import NotFound

store = holdall.open({"type": "file", "path": sys.argv[1], "durable": False})
upload = store.upload("a")
upload.write(b"01234")
"""

_KILLED_WITH_A_CHILD = (
    _BEGINS
    + """
at, ready = os.pipe()
if not os.fork():
    os.write(ready, b"x")
    os.close(1)
    sys.stdin.readline()
    os._exit(0)
os.read(at, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""
)


def test_the_upload_of_a_killed_writer_goes_on_while_its_child_lives(
    start_python: StartPython, store: holdall.DataStore
) -> None:
    writer = start_python(_KILLED_WITH_A_CHILD, store.base_path)
    assert writer.wait(60) == -signal.SIGKILL
    (info,) = store.uploads()
    with store.upload("a", resume=info.id) as upload:
        assert upload.offset == 5
        upload.commit(5)
    assert store.read("a") == b"01234"


_CHILD_HAS_NO_PART = (
    _BEGINS
    + """
child = os.fork()
if not child:
    for use in (lambda: upload.write(b"x"), upload.commit):
        try:
            use()
        except NotFound as error:
            print("forked from" in str(error), flush=True)
    upload.abort()
    upload.close()
    del upload
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
try:
    store.upload("a", resume=upload.id)
except holdall.errors.Unavailable:
    print("still has it", flush=True)
upload.write(b"56789")
upload.commit(10)
print(store.read("a").decode())
"""
)


def test_a_forked_child_has_no_part_in_an_upload(
    start_python: StartPython, store: holdall.DataStore
) -> None:
    parent = start_python(_CHILD_HAS_NO_PART, store.base_path)
    said = parent.communicate(timeout=60)[0].split("\n")
    assert said == ["True", "True", "0", "still has it", "0123456789", ""]
