"""What others see of the objects in a Redis server, and what they may do to them."""

import hashlib
import mmap
from collections.abc import Callable
from typing import Any

import pytest

from holdall.core.errors import (
    AlreadyExists,
    InvalidKey,
    LimitExceeded,
    PartialFailure,
    PreconditionFailed,
    Unsupported,
)
from holdall.core.reference import Reference
from holdall.core.runtime.blocking import drive
from holdall.objects.backends.redis import RedisStore
from holdall.objects.data_store import DataStore
from holdall.objects.options import DELETE, PART_BYTES

Open = Callable[..., DataStore]

LARGE = bytes(range(251)) * 12_000  # too much to come with the first answer


@pytest.fixture
def store(opened: Open) -> DataStore:
    return opened()


def redis_store(store: DataStore) -> RedisStore:
    inner = store.store
    assert isinstance(inner, RedisStore)
    return inner


# What others see


def test_the_value_stands_under_the_key_as_it_is(store: DataStore, others: Any) -> None:
    store.write("a b/c%2F?#", b"data", metadata={"name": "x"})
    assert others.get("a b/c%2F?#") == b"data"
    assert others.type("a b/c%2F?#") == b"string"


def test_a_prefix_is_a_part_of_the_key(opened: Open, others: Any) -> None:
    opened(prefix="app/ß").write("a", b"data")
    assert others.get("app/ß/a") == b"data"


def test_databases_are_apart(opened: Open, others: Any) -> None:
    opened(db=2).write("a", b"data")
    assert not opened().exists("a")
    assert others.dbsize() == 0


def test_all_that_is_ours_beside_the_values_is_under_one_name(
    store: DataStore, others: Any
) -> None:
    store.write("a", b"data")
    store.write("b", LARGE)
    store.upload("c").write(b"data")
    with store.open_reader("b"):
        names = {key for key in others.keys("*") if not key.startswith(b".holdall/")}
    assert names == {b"a", b"b"}


def test_deleting_all_objects_leaves_nothing_of_them(store: DataStore, others: Any) -> None:
    for key in ("a", "b/c", "d"):
        store.write(key, LARGE, metadata={"name": "x"})
    with store.open_reader("a") as reader:
        reader.read(10)
    store.move("d", "e")
    store.copy("e", "f")
    store.delete_many(["a", "b/c", "e", "f"])
    assert set(others.keys()) <= {b".holdall/serial"}


# What others write


def test_a_value_of_others_is_read(store: DataStore, others: Any) -> None:
    others.set("a", "data")
    assert store.read("a") == b"data"
    assert store.read("a", start=-3) == b"ata"
    meta = store.stat("a", tags=True)
    assert (meta.size, meta.metadata, meta.tags, meta.changed) == (4, {}, {}, False)
    assert meta.etag == f"sha1-{hashlib.sha1(b'data').hexdigest()}"


def test_a_large_value_of_others_is_read(store: DataStore, others: Any) -> None:
    others.set("a", LARGE)
    with store.open_reader("a") as reader:
        assert reader.raw.meta.etag == store.stat("a").etag  # type: ignore[attr-defined]
        assert reader.read() == LARGE


def test_a_number_that_others_count_up_is_an_object(store: DataStore, others: Any) -> None:
    store.write("count", b"41")
    old = store.stat("count").etag
    others.incr("count")
    assert store.read("count") == b"42"
    assert store.stat("count").etag != old


@pytest.mark.parametrize("size", [4, len(LARGE)])
def test_a_change_by_others_of_the_same_length_is_another_etag(
    store: DataStore, others: Any, size: int
) -> None:
    old = store.write("a", b"o" * size, sha256=hashlib.sha256(b"o" * size).hexdigest())
    others.setrange("a", size - 1, b"n")
    meta = store.stat("a")
    assert meta.etag != old.etag
    assert meta.changed
    assert meta.sha256 is None
    with store.open_reader("a") as reader:
        assert reader.raw.meta.etag == meta.etag  # type: ignore[attr-defined]
    (listed,) = store.walk(etags=True)
    assert listed.etag == meta.etag


def test_a_condition_on_what_others_changed_does_not_hold(store: DataStore, others: Any) -> None:
    old = store.write("a", b"old!")
    others.set("a", b"new!")
    for act in (
        lambda: store.write("a", b"mine", if_match=old.etag),
        lambda: store.delete("a", if_match=old.etag),
        lambda: store.copy("a", "b", if_match=old.etag),
        lambda: store.read("a", if_match=old.etag),
        lambda: store.read("a", start=1, if_match=old.etag),
    ):
        with pytest.raises(PreconditionFailed):
            act()
    assert others.get("a") == b"new!"


def test_the_etag_of_a_value_of_others_is_a_condition(store: DataStore, others: Any) -> None:
    others.set("a", "theirs")
    etag = store.stat("a").etag
    with pytest.raises(AlreadyExists):
        store.write("a", b"mine", if_none_match="*")
    store.write("a", b"mine", if_match=etag)
    assert others.get("a") == b"mine"


def test_an_empty_etag_is_a_condition_that_never_holds(store: DataStore) -> None:
    store.write("a", b"data")
    with pytest.raises(PreconditionFailed):
        store.write("a", b"new", if_match="")


def test_a_copy_of_what_others_changed_tells_no_digest(store: DataStore, others: Any) -> None:
    store.write("a", b"old!", sha256=hashlib.sha256(b"old!").hexdigest(), metadata={"x": "y"})
    others.set("a", b"new!")
    meta = store.copy("a", "b")
    assert meta.sha256 is None
    assert (meta.metadata, meta.etag) == ({"x": "y"}, store.stat("b").etag)
    assert not store.stat("b").changed


@pytest.mark.parametrize("kind", ["hash", "list", "set", "stream"])
def test_what_is_no_string_is_neither_an_object_nor_overwritten(
    store: DataStore, others: Any, kind: str
) -> None:
    {
        "hash": lambda: others.hset("a", "field", "value"),
        "list": lambda: others.rpush("a", "value"),
        "set": lambda: others.sadd("a", "value"),
        "stream": lambda: others.xadd("a", {"field": "value"}),
    }[kind]()
    before = others.dump("a")
    store.write("b", b"data")
    for act in (
        lambda: store.read("a"),
        lambda: store.read("a", start=1),
        lambda: store.stat("a"),
        lambda: store.write("a", b"data"),
        lambda: store.write("a", b"data", if_none_match="*"),
        lambda: store.write("a", iter([b"data"])),
        lambda: store.copy("b", "a"),
        lambda: store.move("a", "c"),
        lambda: store.delete("a"),
    ):
        with pytest.raises(Unsupported, match="something of another type"):
            act()
    assert others.dump("a") == before
    assert list(store.list()) == ["b"]


def test_of_a_batch_only_what_is_no_string_is_left(store: DataStore, others: Any) -> None:
    for key in "bdf":
        store.write(key, b"data")
    for key in "ace":
        others.rpush(key, "value")
    with pytest.raises(PartialFailure) as caught:
        store.delete_many(list("abcdef"))
    refs = [error.reference for error in caught.value.errors]
    assert refs == [store.reference(key) for key in "ace"]
    assert set(others.keys()) == {b"a", b"c", b"e"}


# Requests


@pytest.mark.parametrize(
    "elsewhere", ["redis://elsewhere:6379/a/y", "memory://{place}/a/y", "redis://{place}/b/y", ""]
)
def test_of_a_batch_with_an_address_that_is_not_the_stores_nothing_is_deleted(
    opened: Open, elsewhere: str
) -> None:
    store = opened(prefix="a")
    store.write("x", b"data")
    root = store.root
    odd = Reference.parse(elsewhere.format(place=root.container)) if elsewhere else root
    with pytest.raises(InvalidKey):
        drive(redis_store(store).delete([store.reference("x"), odd], DELETE))
    assert store.read("x") == b"data"


def test_a_read_is_one_request(store: DataStore, others: Any) -> None:
    store.write("a", b"data", metadata={"name": "x"})
    store.read("a")
    others.config_resetstat()
    assert store.read("a") == b"data"
    assert others.info("commandstats")["cmdstat_evalsha"]["calls"] == 1


def test_a_server_that_forgot_its_scripts_learns_them_again(store: DataStore, others: Any) -> None:
    store.write("a", b"data")
    others.script_flush("SYNC")
    assert store.read("a") == b"data"
    others.script_flush("SYNC")
    store.write("a", b"new")
    assert store.read("a") == b"new"


@pytest.mark.parametrize("start", [0, 5])
def test_a_body_over_max_size_does_not_leave_the_server(
    store: DataStore, others: Any, start: int
) -> None:
    store.write("a", LARGE)
    store.write("b", LARGE[:900_000])
    others.config_resetstat()
    for key in ("a", "b"):
        with pytest.raises(LimitExceeded):
            store.read(key, start=start, max_size=100)
    with pytest.raises(PreconditionFailed):
        store.read("b", if_match="x")
    assert others.info("stats")["total_net_output_bytes"] < 20_000


def test_a_read_with_a_limit_that_it_keeps_to_is_answered(store: DataStore, others: Any) -> None:
    store.write("a", b"data")
    store.write("b", LARGE)
    others.setrange("a", 0, "D")
    assert store.read("a", max_size=4) == b"Data"
    assert store.read("b", max_size=len(LARGE)) == LARGE
    assert store.read("b", start=5, max_size=len(LARGE)) == LARGE[5:]


def test_more_than_512_mib_are_refused_before_they_move(store: DataStore, others: Any) -> None:
    others.config_resetstat()
    with mmap.mmap(-1, 512 * 1024 * 1024 + 1) as untouched:
        view = memoryview(untouched)
        try:
            with pytest.raises(LimitExceeded, match="max_object_bytes"):
                store.write("a", view)
            with store.upload("a") as upload, pytest.raises(LimitExceeded):
                upload.write(view)
        finally:
            view.release()
    assert others.info("stats")["total_net_input_bytes"] < 20_000
    assert store.capabilities.max_object_bytes == 512 * 1024 * 1024


def test_bytes_longer_than_a_part_move_in_parts_and_leave_no_upload(
    store: DataStore, others: Any
) -> None:
    data = bytes(PART_BYTES + 5)
    meta = store.write("a", data, metadata={"name": "x"}, if_none_match="*")
    assert (meta.size, meta.metadata) == (len(data), {"name": "x"})
    assert store.stat("a") == meta
    assert store.read("a") == data
    assert list(store.uploads()) == []
    with pytest.raises(AlreadyExists):
        store.write("a", data, if_none_match="*")
    assert list(store.uploads()) == []
