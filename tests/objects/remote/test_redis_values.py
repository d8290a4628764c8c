"""What others see of the objects in a Redis server, and what they may do to them."""

import hashlib
import mmap
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdall.core.errors import (
    AlreadyExists,
    Corrupt,
    LimitExceeded,
    PreconditionFailed,
    Unsupported,
)
from holdall.core.reference import is_key
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.objects.backends.redis import RedisSettings, RedisStore
from holdall.objects.data_store import DataStore
from holdall.objects.options import PART_BYTES
from servers import RedisServer

Open = Callable[..., DataStore]

LARGE = bytes(range(251)) * 12_000  # too much to come with the first answer


@pytest.fixture
def others(redis_server: RedisServer) -> Iterator[Any]:
    """Another program that uses the same database."""
    with redis.Redis.from_url(redis_server.make_empty()) as client:
        yield client


@pytest.fixture
def opened(
    redis_server: RedisServer, others: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    monkeypatch.setenv("HOLDALL_REDIS_PASSWORD", redis_server.password)
    stores: list[DataStore] = []

    def open_store(**more: Any) -> DataStore:
        settings = RedisSettings(host="127.0.0.1", port=redis_server.running.port, **more)
        stores.append(DataStore(RedisStore(settings, BlockingRuntime())))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Open) -> DataStore:
    return opened()


def redis_store(store: DataStore) -> RedisStore:
    inner = store.store
    assert isinstance(inner, RedisStore)
    return inner


def reindex(store: DataStore) -> tuple[int, int]:
    done = drive(redis_store(store).reindex())
    return done.added, done.dropped


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
        with pytest.raises(Unsupported, match="no object"):
            act()
    assert others.dump("a") == before
    assert list(store.list()) == ["b"]


# The order of listings


def test_a_listing_shows_the_keys_of_others_after_a_reindex(store: DataStore, others: Any) -> None:
    store.write("b", b"data")
    others.mset({"a/1": "x", "c": "yy"})
    assert list(store.list()) == ["b"]
    assert reindex(store) == (2, 0)
    assert [(meta.key, meta.size) for meta in store.walk()] == [("a/1", 1), ("b", 4), ("c", 2)]
    assert store.list_directories() == ("a",)
    assert reindex(store) == (0, 0)


def test_a_reindex_stays_within_its_folder(opened: Open, others: Any) -> None:
    others.mset({"a*/1": "x", "ab/1": "x", "b": "x"})
    assert reindex(opened(prefix="a*")) == (1, 0)
    assert list(opened().list()) == ["a*/1"]


def test_a_reindex_drops_what_is_gone(store: DataStore, others: Any) -> None:
    for key in ("a", "b", "c"):
        store.write(key, b"data")
    others.delete("a", "c")
    assert reindex(store) == (0, 2)
    assert others.zrange(".holdall/index", 0, -1) == [b"b"]


def test_a_lost_index_comes_back_by_a_reindex(store: DataStore, others: Any) -> None:
    for key in ("a", "b"):
        store.write(key, b"data", metadata={"name": key})
    others.delete(".holdall/index")
    assert reindex(store) == (2, 0)
    assert list(store.list()) == ["a", "b"]
    assert store.stat("a").metadata == {"name": "a"}


@pytest.mark.parametrize("delimiter", [False, True])
def test_a_lost_index_is_an_error_of_the_listing_that_says_how_to_mend_it(
    store: DataStore, others: Any, delimiter: bool
) -> None:
    store.write("a", b"data")
    others.delete(".holdall/index")
    with pytest.raises(Corrupt, match=r"--reindex redis://127\.0\.0\.1"):
        store.list_page(delimiter=delimiter)


def test_an_index_that_began_anew_after_it_was_lost_is_noticed(
    store: DataStore, others: Any
) -> None:
    for key in ("a", "b"):
        store.write(key, b"data")
    others.delete(".holdall/index")
    store.write("c", b"data")
    with pytest.raises(Corrupt, match="index"):
        list(store.list())
    store.write("a", b"data")
    store.delete("b")
    assert list(store.list()) == ["a", "c"]


def test_a_reindex_forgets_what_went_while_the_index_was_lost(
    store: DataStore, others: Any
) -> None:
    for key in ("a", "b", "c"):
        store.write(key, b"data")
    others.delete(".holdall/index", "a", "b")
    assert reindex(store) == (1, 0)
    assert list(store.list()) == ["c"]
    assert others.hkeys(".holdall/times") == [b"c"]


def test_a_reindex_of_one_folder_does_not_hide_that_others_lost_theirs(
    opened: Open, others: Any
) -> None:
    opened(prefix="a").write("1", b"data")
    opened(prefix="b").write("1", b"data")
    others.delete(".holdall/index", "b/1")
    assert reindex(opened(prefix="a")) == (1, 0)
    with pytest.raises(Corrupt):
        list(opened(prefix="b").list())
    assert reindex(opened()) == (0, 0)
    assert list(opened(prefix="b").list()) == []


def test_a_listing_tells_the_time_of_writing_that_the_note_tells(opened: Open, others: Any) -> None:
    store = opened(ttl=timedelta(hours=1))
    store.write("expires", b"data")
    for act in (
        lambda: opened().write("a", b"data"),
        lambda: opened().write("b", iter([b"data"])),
        lambda: opened().copy("a", "c"),
        lambda: opened().move("c", "d"),
        lambda: opened().write("expires", b"data"),
        lambda: store.write("a", b"data"),
        lambda: store.copy("b", "d"),
        lambda: others.delete(".holdall/times"),
        lambda: reindex(opened()),
    ):
        act()
        for meta in store.walk():
            assert meta.modified_ns == store.stat(meta.key).modified_ns > 0


def test_only_what_lives_for_ever_has_its_time_beside_the_index(opened: Open, others: Any) -> None:
    opened().write("a", b"data")
    opened().write("b", b"data")
    opened(ttl=timedelta(hours=1)).write("a", b"data")
    assert others.hkeys(".holdall/times") == [b"b"]
    assert reindex(opened()) == (0, 0)
    assert others.hkeys(".holdall/times") == [b"b"]


def test_an_empty_object_and_one_of_others_are_listed_among_the_rest(
    store: DataStore, others: Any
) -> None:
    for key in ("a", "c", "e"):
        store.write(key, b"" if key == "a" else b"data")
    others.set("b", "their")
    others.delete("c")
    others.rpush("c", "no object")
    reindex(store)
    page = store.list_page()
    assert [(meta.key, meta.size) for meta in page.objects] == [("a", 0), ("b", 5), ("e", 4)]
    assert page.foreign == 1
    pages = [store.list_page(max_items=1)]
    while pages[-1].token is not None:
        pages.append(store.list_page(max_items=1, cursor=pages[-1].token))
    assert [meta.key for page in pages for meta in page.objects] == ["a", "b", "e"]


def test_what_cannot_be_a_key_is_counted_and_not_listed(store: DataStore, others: Any) -> None:
    bad = [b"a//b", b"/a", b"a/", b"a\nb", b"\xff", b"\xed\xa0\x80", b"a/../b", b"x" * 1100]
    for key in [*bad, "good/é".encode()]:
        others.set(key, "x")
    others.hset("hash", "field", "value")
    assert reindex(store)[0] == len(bad) + 2
    assert list(store.list()) == ["good/é"]
    assert sum(page.foreign for page in store.pages()) == len(bad) + 1
    assert store.list_directories() == ("good",)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(min_size=1, max_size=12)
    | st.text(min_size=1, max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.lists(
        st.sampled_from(["a", "", ".", "..", ".holdall", "é", "😀", "\x85", "\\", "x" * 251]),
        min_size=1,
        max_size=6,
    ).map(lambda parts: "/".join(parts).encode() or b"?")
)
def test_the_server_knows_the_rule_for_keys(store: DataStore, others: Any, key: bytes) -> None:
    others.flushdb()
    others.set(key, "x")
    others.zadd(".holdall/index", {key: 0})
    text = key.decode("utf-8", "surrogateescape")
    page = store.list_page()
    found = [meta.key for meta in page.objects]
    hidden = ".holdall" in text.split("/")
    assert (found, page.foreign) == (([text], 0) if is_key(text) else ([], 0 if hidden else 1))


@pytest.mark.parametrize("delimiter", [False, True])
def test_what_is_gone_is_dropped_by_the_listing_that_meets_it(
    store: DataStore, others: Any, delimiter: bool
) -> None:
    for key in ("a/1", "a/2", "b", "c"):
        store.write(key, b"data")
    others.delete("a/1", "a/2", "c")
    page = store.list_page(delimiter=delimiter)
    assert ([meta.key for meta in page.objects], page.folders) == (["b"], ())
    assert others.zrange(".holdall/index", 0, -1) == [b"b"]
    assert not others.exists(".holdall/note/a/1", ".holdall/note/c")


def test_10000_keys_are_paged_exactly(store: DataStore, others: Any) -> None:
    keys = sorted(f"{number % 3}/{number}" for number in range(10_000))
    with others.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.set(key, "x")
        pipeline.execute()
    assert reindex(store) == (10_000, 0)
    store.write(keys[5], b"ours")
    pages = list(store.pages())
    assert [len(page.objects) for page in pages] == [1000] * 10
    assert [meta.key for page in pages for meta in page.objects] == keys
    assert store.list_directories() == ("0", "1", "2")
    store.delete_many(keys)
    assert others.dbsize() == 0


def test_a_level_of_3_folders_is_found_without_reading_their_keys(
    store: DataStore, others: Any
) -> None:
    with others.pipeline(transaction=False) as pipeline:
        for number in range(9_000):
            pipeline.set(f"{number % 3}/{number}", "x")
        pipeline.execute()
    reindex(store)
    others.config_resetstat()
    assert store.list_directories() == ("0", "1", "2")
    stats = others.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] + stats.get("cmdstat_eval", {}).get("calls", 0) <= 2
    assert stats["cmdstat_zrangebylex"]["calls"] <= 5


def test_more_that_is_gone_than_one_request_looks_at_hides_nothing(
    store: DataStore, others: Any
) -> None:
    others.zadd(".holdall/index", {f"gone/{number:05}": 0 for number in range(12_500)})
    store.write("z", b"data")
    assert list(store.list()) == ["z"]
    assert store.list_directories() == ()
    assert others.zcard(".holdall/index") == 1


# Requests


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
