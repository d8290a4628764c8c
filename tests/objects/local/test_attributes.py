"""Facts about what is kept with a file: in an extended attribute, or in a file beside."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import holdall
from holdall.core.errors import HoldallError
from objects.local.conftest import OpenStore, left_over

DATA = b"0123456789"
SHA256 = hashlib.sha256(DATA).hexdigest()
LONG = {"long": "x" * 5000}


@pytest.fixture(params=["auto", "beside"])
def store(request: pytest.FixtureRequest, open_store: OpenStore, place: Path) -> holdall.DataStore:
    return open_store(attributes=request.param)


def _write_in_place(path: Path, data: bytes) -> None:
    # Times of a file have the grain of the kernel's clock, so this one gets a time of its own.
    status = path.stat()
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


# Files of others


def test_a_file_of_others_is_an_object(store: holdall.DataStore, place: Path) -> None:
    place.mkdir()
    (place / "a").write_bytes(DATA)
    meta = store.stat("a", tags=True)
    assert (meta.size, meta.metadata, meta.tags, meta.content_type) == (10, {}, {}, None)
    assert meta.etag
    assert store.read("a", if_match=meta.etag) == DATA
    assert store.write("a", b"ours", if_match=meta.etag).etag != meta.etag


def test_the_etag_of_a_file_of_others_changes_with_an_edit_in_place(
    store: holdall.DataStore, place: Path
) -> None:
    place.mkdir()
    (place / "a").write_bytes(DATA)
    before = store.stat("a").etag
    assert store.stat("a").etag == before
    _write_in_place(place / "a", b"9876543210")
    assert store.stat("a").etag != before


def test_the_etag_of_a_file_of_others_changes_with_its_replacement(
    store: holdall.DataStore, place: Path
) -> None:
    place.mkdir()
    (place / "a").write_bytes(DATA)
    before = store.stat("a").etag
    (place / "b").write_bytes(DATA)
    os.replace(place / "b", place / "a")
    assert store.stat("a").etag != before


def test_a_file_of_others_is_copied_and_moved(store: holdall.DataStore, place: Path) -> None:
    place.mkdir()
    (place / "a").write_bytes(DATA)
    meta = store.move("a", "b")
    assert meta.etag == store.stat("b").etag
    assert store.copy("b", "c").etag == store.stat("c").etag
    assert store.read("c") == DATA


# Our files in the hands of others


def test_an_edit_in_place_gives_our_file_another_etag_and_no_digest(
    store: holdall.DataStore, place: Path
) -> None:
    meta = store.write("a", DATA, sha256=SHA256, metadata={"n": "1"}, content_md5=None)
    assert store.stat("a").sha256 == SHA256
    _write_in_place(place / "a", b"9876543210")
    after = store.stat("a")
    assert after.etag != meta.etag
    assert after.sha256 is None
    listed = list(store.walk(etags=True))
    assert [one.etag for one in listed] == [after.etag]


def test_an_append_gives_our_file_another_etag_and_no_digest(
    store: holdall.DataStore, place: Path
) -> None:
    meta = store.write("a", DATA, sha256=SHA256)
    with (place / "a").open("ab") as file:
        file.write(b"more")
    after = store.stat("a")
    assert (after.size, after.sha256) == (14, None)
    assert after.etag != meta.etag


def test_a_file_copied_from_ours_by_others_is_an_object_of_its_own(
    store: holdall.DataStore, place: Path
) -> None:
    store.write("a", DATA, metadata={"n": "1"})
    shutil.copyfile(place / "a", place / "b")
    assert store.stat("b").etag != store.stat("a").etag
    assert store.stat("b").metadata == {}


# In the attribute or beside


def test_what_is_short_stands_in_the_attribute(open_store: OpenStore, place: Path) -> None:
    store = open_store()
    store.write("a", DATA, metadata={"n": "x" * 1800}, tags={"t": "1"}, content_type="text/x")
    if not hasattr(os, "getxattr") or os.listxattr(place / "a") == []:
        pytest.skip("this file system has no extended attributes")
    assert left_over(place) == []
    assert os.listxattr(place / "a") == ["user.holdall"]


def test_what_is_long_stands_beside(open_store: OpenStore, place: Path) -> None:
    store = open_store()
    store.write("a", DATA, metadata=LONG)
    assert len(left_over(place)) == 1
    assert open_store().stat("a").metadata == LONG


def test_where_told_so_all_stands_beside(open_store: OpenStore, place: Path) -> None:
    store = open_store(attributes="beside")
    meta = store.write("a", DATA, metadata={"n": "1"})
    assert len(left_over(place)) == 1
    assert (store.stat("a").etag, store.stat("a").metadata) == (meta.etag, {"n": "1"})


def test_what_stands_beside_goes_with_a_delete(store: holdall.DataStore, place: Path) -> None:
    store.write("a", DATA, metadata=LONG)
    store.delete("a")
    assert left_over(place) == []


def test_what_stands_beside_goes_with_an_overwrite(store: holdall.DataStore, place: Path) -> None:
    for _ in range(5):
        store.write("a", DATA, metadata=LONG)
    assert len(left_over(place)) == 1
    store.copy("a", "b")
    store.copy("b", "a")
    assert len(left_over(place)) == 2
    assert store.stat("a").metadata == store.stat("b").metadata == LONG


def test_what_stands_beside_goes_along_with_a_move(store: holdall.DataStore, place: Path) -> None:
    store.write("b/target", DATA, metadata=LONG)
    meta = store.write("a", DATA, metadata=LONG, sha256=SHA256)
    moved = store.move("a", "b/target")
    assert (moved.etag, moved.metadata, moved.sha256) == (meta.etag, LONG, SHA256)
    after = store.stat("b/target")
    assert (after.etag, after.metadata, after.sha256) == (meta.etag, LONG, SHA256)
    assert len(left_over(place)) == 1


def test_what_stands_beside_goes_when_a_write_fails(store: holdall.DataStore, place: Path) -> None:
    store.write("a/b", b"")
    before = left_over(place)
    with pytest.raises(HoldallError):
        store.write("a", DATA, metadata=LONG)
    with pytest.raises(HoldallError):
        store.write("a/b", DATA, metadata=LONG, if_match="other")
    assert left_over(place) == before


def test_a_store_knows_what_another_began_to_keep_beside(open_store: OpenStore) -> None:
    one, other = open_store(), open_store()
    one.write("first", DATA)
    one.delete("first")  # it has looked, and there was nothing beside
    other.write("a", DATA, metadata=LONG)
    one.move("a", "b")
    assert one.stat("b").metadata == LONG
    assert other.stat("b").metadata == LONG


# Damage


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(max_size=60))
@example(garbage=b"")
@example(garbage=b"+")
@example(garbage=b"\x90")
@example(garbage=b"\x93\xc4\x01x\x0a\xa3\xff\xff\xff")
@example(garbage=b"\x94\xc4\x01x\x0a\x01\xa2\xff\xff")
def test_garbage_in_the_attribute_is_ignored(place: Path, garbage: bytes) -> None:
    if not hasattr(os, "setxattr"):
        pytest.skip("this system has no extended attributes")
    store = holdall.open({"type": "file", "path": str(place), "durable": False})
    store.write("a", DATA, metadata={"n": "1"})
    os.setxattr(place / "a", "user.holdall", garbage)
    assert store.read("a") == DATA
    meta = store.stat("a")
    assert meta.etag
    assert next(iter(store.walk(etags=True))).etag == meta.etag
    store.write("a", b"new", if_match=meta.etag)
    store.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(max_size=60))
@example(garbage=b"")
@example(garbage=b"\x94\xc4\x01x\x0a\x01\xa2\xff\xff")
def test_garbage_beside_is_ignored(place: Path, garbage: bytes) -> None:
    settings = {"type": "file", "path": str(place), "durable": False, "attributes": "beside"}
    store = holdall.open(settings)
    store.write("a", DATA, metadata={"n": "1"})
    (beside,) = left_over(place)
    Path(beside).write_bytes(garbage)
    assert store.read("a") == DATA
    assert store.stat("a").metadata == {}
    assert store.stat("a").etag
    store.delete("a")
    assert left_over(place) == []
    store.close()


def test_what_stands_beside_may_be_lost(store: holdall.DataStore, place: Path) -> None:
    store.write("a", DATA, metadata=LONG)
    for beside in left_over(place):
        Path(beside).unlink()
    assert store.read("a") == DATA
    assert store.stat("a").metadata == {}
    store.write("a", DATA, if_match=store.stat("a").etag, metadata=LONG)
    assert store.stat("a").metadata == LONG


def test_what_stands_beside_does_not_pass_to_a_file_that_gets_the_same_inode(
    open_store: OpenStore, place: Path
) -> None:
    store = open_store(attributes="beside")
    store.write("a", DATA, metadata=LONG, sha256=SHA256)
    (beside,) = left_over(place)
    (place / "a").unlink()  # by others, who know of nothing beside
    (place / "a").write_bytes(DATA)
    # Whichever inode it got: what is beside bears its number now.
    inode = (place / "a").stat().st_ino
    os.rename(beside, f"{beside.rpartition('-')[0]}-{inode:x}")
    meta = store.stat("a")
    assert (meta.metadata, meta.sha256) == ({}, None)
    store.write("a", DATA)
    assert store.stat("a").metadata == {}
