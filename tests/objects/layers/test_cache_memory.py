"""The layer `cache`: what is kept, and how much memory that takes."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.objects.data_store import DataStore
from holdall.objects.layers.cache import Cache, CacheSettings
from holdall.objects.layers.cache_entries import Entries
from holdall.objects.options import (
    GetOptions,
)
from holdall.objects.results import ObjectMeta
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


def test_an_object_is_dropped_under_every_address_that_ends_in_its_key() -> None:
    entries = Entries(1 << 20)
    refs = [DataStore(_memory(name)).reference("k") for name in ("one", "two")]
    for ref in refs:
        meta = ObjectMeta(ref.parent, "k", 1, 0, "e")
        place = (ref.key, ref.scheme, ref.container, ref.host)
        entries.keep(entries.begin(ref, 1.0), place, meta, b"x", False, True)
    entries.drop(refs[:1])
    assert (len(entries), entries.size) == (0, 0)


def test_a_body_that_comes_in_pieces_is_read_whole_where_it_is_small(shelf: Shelf) -> None:
    shelf.put(b"0123456789")
    shelf.inner.bodies.append([3, 3, 3])
    assert [shelf.read(), shelf.read(), shelf.sent] == [b"0123456789"] * 2 + [["get"]]


def test_a_large_body_streams_through_piece_by_piece(mode: Mode) -> None:
    shelf = Shelf(mode, max_bytes=1600)
    shelf.put(b"x" * 101)
    shelf.inner.bodies.append([50, 50])
    stream = shelf.get()
    chunks = [mode.run(stream.read(1000)) for _ in range(3)]
    assert ([len(chunk) for chunk in chunks], stream.whole) == ([50, 50, 1], None)


@pytest.mark.parametrize(("size", "gets"), [(100, 1), (101, 2)])
def test_an_object_above_its_share_is_not_kept(mode: Mode, size: int, gets: int) -> None:
    shelf = Shelf(mode, max_bytes=100 * 1024, share=1024)
    shelf.put(b"x" * size)
    assert [len(shelf.read()) for _ in range(2)] == [size, size]
    assert shelf.inner.operations.count("get") == gets


def test_a_budget_of_zero_keeps_nothing(mode: Mode) -> None:
    shelf = Shelf(mode, max_bytes=0)
    shelf.put(b"one")
    assert [shelf.read(), shelf.read(), shelf.sent] == [b"one", b"one", ["get", "get"]]


def test_what_was_not_used_for_the_longest_time_goes_first(mode: Mode) -> None:
    shelf = Shelf(mode, max_bytes=10_000, share=2)
    for key in "abcd":
        shelf.put(b"x" * 2000, key)
        shelf.read(key=key)
        shelf.read(key="a")
    assert (shelf.sent, shelf.stats.entries) == (["get"] * 4, 3)
    shelf.read(key="b")
    assert shelf.sent == ["get"] * 5


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3000), st.booleans())))
def test_the_entries_never_take_more_than_their_budget(
    steps: list[tuple[str, int, bool]],
) -> None:
    store = _memory()
    cache = Cache(store, CacheSettings(max_bytes=8000, share=2))
    for key, size, reads in steps:
        ref = store.root.child(key)
        drive(cache.put(ref, bytes(size), TAGGED))
        if reads:
            drive(cache.get(ref, GetOptions(tags=True)))
        assert 0 <= cache.stats().bytes <= 8000
        assert (cache.stats().bytes == 0) == (cache.stats().entries == 0)


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_an_entry_counts_at_least_the_memory_that_it_takes(size: int) -> None:
    store = _memory()
    cache = Cache(store, CacheSettings(max_bytes=1 << 30))
    refs = [store.root.child(f"folder/{number:06}") for number in range(300)]
    for ref in refs:
        drive(store.put(ref, bytes(size), TAGGED))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for ref in refs:
            drive(cache.get(ref, GetOptions(tags=True)))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # The bodies themselves are those that the memory store has.
    assert taken + 300 * (size + 33) <= cache.stats().bytes


def test_forgetting_all_reads_anew(shelf: Shelf) -> None:
    shelf.put(b"one")
    shelf.read()
    shelf.cache.clear()
    assert (shelf.stats.bytes, shelf.read(), shelf.sent) == (0, b"one", ["get", "get"])


def test_a_closed_cache_has_forgotten_all(shelf: Shelf) -> None:
    shelf.put(b"one")
    shelf.read()
    shelf.mode.run(shelf.cache.close())
    assert (shelf.stats.entries, shelf.inner.closed) == (0, 1)


def test_an_object_that_is_asked_about_again_takes_no_more_memory(mode: Mode) -> None:
    shelf = Shelf(mode)
    shelf.put(b"data")
    shelf.read()
    size = shelf.stats.bytes
    for _ in range(3):
        shelf.wait(10)
        shelf.read()
    assert shelf.stats.bytes == size > 0
    shelf.put(b"data")
    assert shelf.stats.bytes == 0
