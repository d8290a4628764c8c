"""The layer `cache`: it answers what the store inside would."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from holdall.core.errors import (
    InvalidRange,
    LimitExceeded,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from holdall.core.reference import Reference
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.objects.layers.cache import Cache
from holdall.objects.options import (
    GET,
    HEAD,
    HEAD_TAGS,
    LIST,
    WRITE,
    GetOptions,
)
from holdall.objects.results import BytesStream, ObjectMeta
from objects.layers.scripted import Mode
from objects.layers.shelf import TAGGED, Shelf


@pytest.fixture(params=[True, False], ids=["blocking", "loop"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@pytest.fixture
def shelf(mode: Mode) -> Shelf:
    return Shelf(mode)


def _memory(name: str = "") -> MemoryStore:
    return MemoryStore(MemorySettings(name=name), BlockingRuntime())


def test_all_that_is_known_of_an_object_comes_from_the_cache(shelf: Shelf) -> None:
    shelf.put(b"one", options=TAGGED)
    first = shelf.get().meta
    assert (shelf.get().meta, shelf.sent) == (first, ["get"])
    assert (first.content_type, first.metadata, first.tags) == ("text/plain", {"a": "1"}, None)


def test_an_entry_without_tags_serves_no_get_that_asks_for_them(shelf: Shelf) -> None:
    shelf.put(b"one", options=TAGGED)
    shelf.read()
    assert shelf.get(GetOptions(tags=True)).meta.tags == {"t": "2"}


def test_tags_are_asked_for_without_the_body(shelf: Shelf) -> None:
    shelf.put(b"one", options=TAGGED)
    shelf.read()
    shelf.read(GetOptions(tags=True))
    assert shelf.sent == ["get", "head"]


def test_an_entry_with_tags_serves_both_and_shows_them_only_when_asked(shelf: Shelf) -> None:
    shelf.put(b"one", options=TAGGED)
    shelf.read(GetOptions(tags=True))
    tags = [shelf.get(GetOptions(tags=asked)).meta.tags for asked in (True, False)]
    assert (tags, shelf.sent) == ([{"t": "2"}, None], ["get"])


def test_a_reader_that_changes_its_metadata_changes_nobody_elses(shelf: Shelf) -> None:
    shelf.put(b"one", options=TAGGED)
    for _ in range(2):
        shelf.get().meta.metadata["mine"] = "!"
        shelf.mode.run(shelf.cache.head(shelf.ref(), HEAD)).metadata["mine"] = "!"
    assert shelf.get().meta.metadata == {"a": "1"}


def test_a_head_is_served_from_what_a_get_left(shelf: Shelf) -> None:
    shelf.put(b"one", options=TAGGED)
    meta = shelf.get().meta
    assert shelf.mode.run(shelf.cache.head(shelf.ref(), HEAD)) == meta
    assert shelf.sent == ["get"]


@pytest.mark.parametrize("ttl", [5, 0])
def test_a_head_after_a_get_that_tells_less_is_asked_and_kept(mode: Mode, ttl: float) -> None:
    shelf = Shelf(mode, terse=True, ttl=ttl)
    shelf.put(b"one", options=replace(TAGGED, storage_class="COLD"))
    assert shelf.get().meta.storage_class is None
    known = [shelf.mode.run(shelf.cache.head(shelf.ref(), HEAD)) for _ in range(2)]
    own = shelf.mode.run(shelf.inner.inner.head(shelf.ref(), HEAD))
    assert (known, own.storage_class) == ([own, own], "COLD")
    assert shelf.sent == (["get", "head"] if ttl else ["get", "head", "head"])
    assert (shelf.read(), shelf.sent.count("get")) == (b"one", 1)


def test_a_second_head_asks_nothing(shelf: Shelf) -> None:
    shelf.put(b"one", options=TAGGED)
    metas = [shelf.mode.run(shelf.cache.head(shelf.ref(), HEAD_TAGS)) for _ in range(2)]
    assert (metas[0].tags, metas[0] == metas[1], shelf.sent) == ({"t": "2"}, True, ["head"])


@pytest.mark.parametrize(
    "other",
    [
        Reference("abfs", "c", "k", "two"),
        Reference("abfs", "d", "k", "one"),
        Reference("abfss", "c", "k", "one"),
        Reference("abfs", "c", "l", "one"),
    ],
    ids=str,
)
def test_objects_at_two_addresses_are_two(shelf: Shelf, other: Reference) -> None:
    one = Reference("abfs", "c", "k", "one")
    answers = {}
    for ref in (one, other):
        data = str(ref).encode()
        answers[ref] = ObjectMeta(ref.root, ref.key, len(data), 0, "etag")
        shelf.inner.script.append(partial(BytesStream, answers[ref], 0, data))
    for ref in (one, other, one, other):
        assert shelf.mode.run(shelf.cache.get(ref, GET)).whole == str(ref).encode()
        assert shelf.mode.run(shelf.cache.head(ref, HEAD)) == answers[ref]
    assert shelf.sent == ["get", "get"]


def test_a_body_that_ended_early_is_not_kept(shelf: Shelf) -> None:
    shelf.put(b"0123456789")
    shelf.inner.bodies.append([4, 0])
    assert shelf.read() == b"0123"
    assert shelf.read() == b"0123456789"


def test_a_range_is_cut_out_of_a_body_that_is_here(shelf: Shelf) -> None:
    shelf.put(b"0123456789")
    shelf.read()
    stream = shelf.get(GetOptions(start=-4, end=8))
    assert (stream.whole, stream.start, stream.meta.size) == (b"67", 6, 10)
    assert shelf.sent == ["get"]


def test_a_range_that_is_not_here_is_read_as_a_range_and_not_kept(shelf: Shelf) -> None:
    shelf.put(b"0123456789")
    assert [shelf.read(GetOptions(start=2, end=4)) for _ in range(2)] == [b"23", b"23"]
    assert (shelf.sent, shelf.stats.entries) == (["get", "get"], 0)


@given(
    st.binary(max_size=6),
    st.integers(-8, 8),
    st.none() | st.integers(0, 8),
    st.none() | st.integers(0, 8),
)
def test_a_cached_object_answers_each_range_as_the_backend_does(
    data: bytes, start: int, end: int | None, max_size: int | None
) -> None:
    store = _memory()
    cache = Cache(store)
    ref = store.root.child("k")
    drive(store.put(ref, data, WRITE))
    drive(cache.get(ref, GET))
    options = GetOptions(start=start, end=end, max_size=max_size)
    assert _outcome(cache, ref, options) == _outcome(store, ref, options)
    assert cache.stats().misses == 1


def _outcome(store: Any, ref: Any, options: GetOptions) -> Any:
    try:
        stream = drive(store.get(ref, options))
    except (InvalidRange, LimitExceeded) as error:
        return type(error), str(error)
    return stream.start, stream.length, drive(stream.read_all()), stream.meta


def test_the_store_inside_is_told_of_max_size(shelf: Shelf) -> None:
    shelf.put(b"0123")
    with pytest.raises(LimitExceeded):
        shelf.read(GetOptions(max_size=3))
    assert shelf.inner.calls[-1].args[1].max_size == 3


def test_a_body_of_the_etag_asked_for_is_served(shelf: Shelf) -> None:
    etag = shelf.put(b"one").etag
    shelf.read()
    assert (shelf.read(GetOptions(if_match=etag)), shelf.sent) == (b"one", ["get"])


def test_an_etag_that_the_cache_does_not_have_is_asked_of_the_store(shelf: Shelf) -> None:
    shelf.put(b"old")
    shelf.read()
    etag = shelf.foreign_put(b"new").etag
    assert shelf.read(GetOptions(if_match=etag)) == b"new"


def test_an_etag_that_no_longer_holds_is_refused_after_the_time_to_live(shelf: Shelf) -> None:
    etag = shelf.put(b"old").etag
    shelf.read()
    shelf.foreign_put(b"new")
    shelf.wait(5)
    with pytest.raises(PreconditionFailed):
        shelf.read(GetOptions(if_match=etag))


def test_that_there_is_no_object_is_not_kept(shelf: Shelf) -> None:
    with pytest.raises(NotFound):
        shelf.read()
    shelf.foreign_put(b"one")
    assert shelf.read() == b"one"


def test_an_error_is_not_kept(shelf: Shelf) -> None:
    shelf.put(b"one")
    shelf.inner.script.append(Unavailable("not now"))
    with pytest.raises(Unavailable):
        shelf.read()
    assert shelf.read() == b"one"


def test_a_listing_is_asked_for_each_time_and_fills_nothing(shelf: Shelf) -> None:
    shelf.put(b"one")
    for _ in range(2):
        shelf.mode.run(shelf.cache.list(shelf.cache.root, LIST))
    assert shelf.inner.operations.count("list") == 2
    assert shelf.stats.entries == 0
