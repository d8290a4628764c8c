"""The order of the listings of a Redis store, and how it is mended."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdall.core.errors import (
    Corrupt,
)
from holdall.core.reference import is_key
from holdall.core.runtime.blocking import drive
from holdall.objects.backends.redis import RedisStore
from holdall.objects.data_store import DataStore

Open = Callable[..., DataStore]

LARGE = bytes(range(251)) * 12_000  # too much to come with the first answer


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


def test_a_time_before_2001_is_told_too(store: DataStore, others: Any) -> None:
    for key in "abc":
        store.write(key, b"data")
    others.hset(".holdall/times", "b", "0000000012000345")
    times = [meta.modified_ns for meta in store.walk()]
    assert times == [store.stat("a").modified_ns, 12_000_345_000, store.stat("c").modified_ns]


@pytest.mark.parametrize("keys", ["a", "ab"])
def test_a_note_that_others_cut_short_hides_nothing(
    store: DataStore, others: Any, keys: str
) -> None:
    for key in keys:
        store.write(key, b"data")
    others.delete(".holdall/times")
    others.set(".holdall/note/a", "short")
    assert [meta.key for meta in store.walk()] == list(keys)
    assert next(store.walk()).modified_ns == 0


def test_a_time_that_others_wrote_is_no_time_of_another_object(
    store: DataStore, others: Any
) -> None:
    for key in "ab":
        store.write(key, b"data")
    others.hset(".holdall/times", "a", "1,2")
    with pytest.raises(Corrupt):
        list(store.list())
    reindex(store)
    assert [meta.modified_ns for meta in store.walk()] == [
        store.stat(key).modified_ns for key in "ab"
    ]


@pytest.mark.parametrize("step", [1, 2])
def test_many_that_are_deleted_leave_the_index_to_the_others(
    store: DataStore, others: Any, step: int
) -> None:
    keys = [f"a/{number:03}" for number in range(400)]
    for key in ["a!", *keys, "b"]:
        store.write(key, b"data")
    gone = keys[100:350:step]
    store.delete_many(reversed(gone))
    left = sorted({"a!", *keys, "b"}.difference(gone))
    assert list(store.list()) == left
    assert others.zrange(".holdall/index", 0, -1) == [key.encode() for key in left]
    assert set(others.hkeys(".holdall/times")) == {key.encode() for key in left}


@pytest.mark.parametrize("twice", [True, False])
def test_a_batch_as_long_as_a_part_of_the_index_takes_no_others_out_of_it(
    store: DataStore, others: Any, twice: bool
) -> None:
    keys = [f"a/{number:03}" for number in range(100)]
    for key in keys:
        store.write(key, b"data")
    theirs = [f"a/{number:03}x" for number in range(50, 100)]
    others.mset(dict.fromkeys(theirs, "data"))
    gone = [*keys[::2], keys[99]]
    store.delete_many([*gone, *gone[:49]] if twice else [*gone[:50], *theirs])
    left = keys[1:99:2] if twice else keys[1::2]
    assert list(store.list()) == left
    assert others.exists(*theirs) == (50 if twice else 0)


def test_a_batch_that_the_index_has_lost_takes_no_others_out_of_it(
    store: DataStore, others: Any
) -> None:
    lost = [f"a/{number:03}" for number in range(100)]
    for key in lost:
        store.write(key, b"data")
    others.delete(".holdall/index")
    there = [f"a/{number:03}x" for number in range(1, 99)] + ["a/000", "a/099"]
    for key in there:
        store.write(key, b"data")
    store.delete_many(lost)
    assert others.zcard(".holdall/index") == 98
    assert list(store.list()) == there[:98]


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
