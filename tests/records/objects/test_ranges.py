"""Listing many records: in ranges of keys at once, each key in one of them."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdall.core.errors import Corrupt, Unavailable
from holdall.core.reference import Reference
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects.options import ListOptions
from holdall.objects.registry import open_store
from holdall.objects.results import ObjectMeta, Page
from holdall.records.async_database import AsyncDatabase
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.backends.objects import (
    ObjectRecords,
    ObjectRecordSettings,
    ranges,
    snapshot,
)
from holdall.records.backends.objects.keys import BEHIND_FRONT, FRONT, name_of
from holdall.records.backends.objects.ranges import (
    Part,
    bounds_of,
    digest_of,
    etags_of,
    parts_of,
)
from holdall.records.database import Database
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.testing.layers.faults import Fault, Faults
from records.objects.places import FAR_PAGE, Place

if TYPE_CHECKING:
    from holdall.objects.layers.layer import Call

pytestmark = pytest.mark.usefixtures("far")

_QUERY = Query().filter("half", "=", 1)
_BASE = Reference.parse("memory://x")
_ODD = ["!", "!0", " ", "-", "-0", ".", "%", "a/b", "\x01", "~", "é", "\uffff", "\U0010ffff"]


class Witness:
    """Notes where listings of the records began."""

    def __init__(self) -> None:
        self._guard = Lock()
        self.began: list[str] = []

    def __call__(self, call: Call[Any]) -> Fault | None:
        if call.operation == "list":
            options = call.args[1]
            assert isinstance(options, ListOptions)
            if options.delimiter and options.token is None:
                with self._guard:
                    self.began.append(options.after or "")
        return None


def _ids(found: list[Record]) -> list[str | None]:
    return [one.id for one in found]


def _expected(number: int) -> list[str]:
    return [f"{at:04}" for at in range(1, number, 2)]


# Which ranges


@given(
    st.lists(st.text(max_size=4)),
    st.text(max_size=4),
    st.lists(st.text(min_size=1, max_size=4), unique=True),
)
def test_each_key_is_in_one_range(keys: list[str], after: str, bounds: list[str]) -> None:
    parts = parts_of(after, sorted(bounds))
    for key in keys:
        holding = [
            part for part in parts if part.after < key and (part.last is None or key <= part.last)
        ]
        assert len(holding) == (key > after)


@given(st.integers(0, 200))
def test_ranges_end_where_pages_do(number: int) -> None:
    ends = [f"{at:04}" for at in range(number)]
    bounds = bounds_of(ends)
    assert list(bounds) == sorted(set(bounds))
    assert set(bounds) <= set(ends[:-1])
    assert len(bounds) == (ranges.RANGES - 1 if number >= ranges.RANGES else 0)


def _page(*keys: str, folders: tuple[str, ...] = (), etag: str | None = "e") -> Page:
    return Page(tuple(ObjectMeta(_BASE, key, 1, 0, etag) for key in keys), folders)


def test_a_range_ends_at_its_last_key() -> None:
    part = Part("", "b.json")
    assert not part.add(_page("a.json"))
    assert part.add(_page("b.json"))
    assert etags_of(part.pages) == {"a": "e", "b": "e"}
    assert [page.end for page in part.pages] == ["a.json", "b.json"]


def test_a_range_takes_nothing_behind_its_last_key() -> None:
    part = Part("", "b.json")
    assert part.add(_page("a.json", "c.json", "d.txt"))
    (page,) = part.pages
    assert etags_of([page]) == {"a": "e"}
    assert (page.passed, page.end, page.cut) == ([], "b.json", True)


def test_a_folder_ends_a_range_too() -> None:
    part = Part("", "b.json")
    assert part.add(_page("a.json", folders=("c",)))
    part = Part("", "b.json")
    assert not part.add(_page("a.json", folders=("a",)))
    assert [page.end for page in part.pages] == ["a/"]


@pytest.mark.parametrize("etag", [None, ""])
@pytest.mark.parametrize("keys", [["a.json", "b.json"], ["0.txt", "a.json", "é.json"]])
def test_a_record_without_an_etag_is_an_error(keys: list[str], etag: str | None) -> None:
    with pytest.raises(Corrupt, match=r"/a\.json: the store lists no etag"):
        Part("").add(_page(*keys, etag=etag))


def test_what_is_no_record_needs_no_etag() -> None:
    part = Part("")
    part.add(_page("a.txt", etag=None))
    assert (part.pages[0].passed, etags_of(part.pages)) == (["a.txt"], {})


_LISTED = st.dictionaries(st.sampled_from([*_ODD, "a", "b", "ab"]), st.text("xy", min_size=1))


def _part_of(records: dict[str, str], cut: int) -> Part:
    part = Part("")
    metas = [ObjectMeta(_BASE, name_of(id_), 1, 0, etag) for id_, etag in records.items()]
    part.add(Page(tuple(metas[:cut])))
    part.add(Page(tuple(metas[cut:])))
    return part


@given(_LISTED, _LISTED, st.integers(0, 5), st.integers(0, 5))
@example({"a": "x", "b": "y"}, {"ab": "xy"}, 0, 0)
@example({"a": "x", "b": "y"}, {"a": "y", "b": "x"}, 1, 1)
def test_a_digest_tells_listings_apart_and_not_pages(
    one: dict[str, str], other: dict[str, str], cut: int, other_cut: int
) -> None:
    left, right = _part_of(one, cut).pages, _part_of(other, other_cut).pages
    assert etags_of(left) == one
    same = list(one.items()) == list(other.items())
    assert (digest_of(left) == digest_of(right)) == same
    assert digest_of(left) == digest_of(_part_of(one, other_cut).pages)


# Listings


def test_the_first_listing_of_a_process_is_split_by_the_snapshot(place: Place) -> None:
    place.fill(200)
    first, second = Witness(), Witness()
    place.open(first).db.search(_QUERY)
    assert first.began == [BEHIND_FRONT]
    reader = place.open(second)
    # All ranges end where a page does: there are no more pages than of one range.
    assert reader.asked(lambda: reader.db.search(_QUERY)) == {"list": -(-200 // FAR_PAGE), "get": 2}
    # Behind the first page of all, which also said that there is more than one.
    assert len(set(second.began)) == ranges.RANGES + 1
    assert _ids(reader.db.search(_QUERY)) == _expected(200)


def test_a_second_listing_is_split_by_the_first(place: Place) -> None:
    place.fill(200)
    seen = Witness()
    process = place.open(seen, snapshot=False)
    process.db.search(_QUERY)
    seen.began.clear()
    assert process.asked(lambda: process.db.search(_QUERY)) == {"list": -(-200 // FAR_PAGE)}
    assert len(set(seen.began)) == ranges.RANGES
    assert _ids(process.db.search(_QUERY)) == _expected(200)


def test_few_records_are_listed_in_one_range(place: Place) -> None:
    place.fill(59)
    place.open().db.search(_QUERY)
    seen = Witness()
    process = place.open(seen)
    assert process.asked(lambda: process.db.search(_QUERY)) == {"list": 20, "get": 2}
    assert process.asked(lambda: process.db.search(_QUERY)) == {"list": 20}
    assert seen.began == [BEHIND_FRONT] * 2


def test_one_worker_lists_one_range_after_the_other(place: Place) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    assert _ids(place.open(max_workers=1).db.search(_QUERY)) == _expected(200)


def test_after_clearing_there_is_one_range(place: Place) -> None:
    place.fill(200)
    process = place.open()
    process.db.search(_QUERY)
    process.db.clear()
    assert process.asked(lambda: process.db.search(_QUERY)) == {"list": 1}


def test_what_is_written_before_between_and_behind_the_ranges_is_found(place: Place) -> None:
    place.fill(200)
    readers = [place.open().db, place.open().db]
    readers[0].search(_QUERY)
    ids = ["!", " ", "0000-", "0061.", "0099!", "~~", "\U0010ffff"]
    writer = place.open().db
    writer.batch_create([Record({"half": 1}, id=id_) for id_ in ids])
    writer.batch_delete([f"{at:04}" for at in range(30, 90)])
    left = [id_ for id_ in _expected(200) if not "0030" <= id_ < "0090"]
    for reader in (*readers, place.open().db):
        assert _ids(reader.search(_QUERY)) == sorted([*ids, *left])


def test_a_range_that_fails_fails_the_search(place: Place) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)

    def refuse(call: Call[Any]) -> Fault | None:
        middle = call.operation == "list" and (call.args[1].after or "").startswith("01")
        return Fault(error=Unavailable) if middle else None

    with pytest.raises(Unavailable):
        place.open(refuse).db.search(_QUERY)


def test_what_is_no_record_is_told_once(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.fill(200)
    objects = place.objects()
    for name in ("0050.txt", "0099.txt", "0150.txt"):
        objects.write(name, b"")
    place.open().db.search(_QUERY)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "holdall.records"):
        place.open().db.search(_QUERY)
    assert ["3 objects are passed over" in one for one in caplog.messages] == [True]


@pytest.mark.parametrize(
    "bounds",
    [
        ["0100.json", "0050.json", "0100.json"],
        ["~", "!", " ", "0000"],
        [f"{at:04}.json" for at in range(300, 316)],
        ["0000.json"] * 16,
        ["0050.json/", "0050.json\0", "\U0010ffff" * 60],
    ],
)
def test_bounds_that_somebody_else_wrote_change_no_answer(place: Place, bounds: list[str]) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    ref = _folder(place.objects().store.root).known_child("current.json")
    body = msgspec.json.decode(place.objects().read(ref))
    place.objects().write(ref, msgspec.json.encode({**body, "bounds": bounds}))
    reader = place.open()
    assert reader.asked(lambda: reader.db.search(_QUERY))["get"] == 2
    assert _ids(reader.db.search(_QUERY)) == _expected(200)


@pytest.mark.parametrize("bounds", [[""], [1], ["x" * 252], ["x"] * 17, "x", {"x": 1}])
def test_bounds_that_cannot_be_make_the_snapshot_a_damaged_one(place: Place, bounds: Any) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    ref = _folder(place.objects().store.root).known_child("current.json")
    body = msgspec.json.decode(place.objects().read(ref))
    place.objects().write(ref, msgspec.json.encode({**body, "bounds": bounds}))
    assert _ids(place.open().db.search(_QUERY)) == _expected(200)
    reader = place.open()
    assert reader.asked(lambda: reader.db.search(_QUERY))["get"] == 2


_SOME = st.lists(st.sampled_from(_ODD) | st.integers(0, 99).map("{:02}".format), max_size=30)
_STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(["write", "delete", "search", "open"]), _SOME),
    min_size=3,
    max_size=12,
)


@given(_STEPS)
@example([(0, "write", _ODD), (1, "search", []), (0, "delete", ["!", "~"]), (1, "search", [])])
def test_processes_that_list_in_ranges_answer_as_memory_does(
    steps: list[tuple[int, str, list[str]]],
) -> None:
    truth = Database(MemoryRecords.open(MemoryRecordSettings(), BlockingRuntime()))
    place = Place()
    processes = [place.open(cache_ttl=timedelta(0)).db for _ in range(2)]
    many = [Record({"x": 1}, id=f"{at:02}") for at in range(10, 85)]
    for one in (processes[0], truth):
        one.batch_upsert([one.copy() for one in many])
    for turn, (who, step, ids) in enumerate(steps):
        db = processes[who]
        if step == "open":
            processes[who] = place.open(cache_ttl=timedelta(0)).db
        elif step == "write":
            for one in (db, truth):
                one.batch_upsert([Record({"x": turn}, id=id_) for id_ in dict.fromkeys(ids)])
        elif step == "delete":
            assert db.batch_delete(ids) == truth.batch_delete(ids)
        else:
            found = [(one.id, one.fields) for one in db.search(Query())]
            assert found == [(one.id, one.fields) for one in truth.search(Query())]
    assert _ids(place.open().db.all()) == _ids(truth.all())


# Where the snapshot is


def _folder(root: Reference) -> Reference:
    return root.known_child(FRONT).reserved("snapshots")


def test_the_snapshot_lies_before_all_records(place: Place) -> None:
    place.fill(100)
    place.open().db.search(_QUERY)
    root = place.objects().store.root
    kept = [entry.key for entry in place.objects().walk(_folder(root))]
    assert len(kept) == 2
    assert all(key < BEHIND_FRONT < name_of(id_) for key in kept for id_ in [*_ODD, "0000"])
    assert list(place.objects().walk(root.reserved("snapshots"))) == []


def test_a_snapshot_where_it_was_before_is_swept(place: Place) -> None:
    place.fill(100)
    objects = place.objects()
    former = objects.store.root.reserved("snapshots")
    old = former.known_child("current.json")
    objects.write(old, b'{"kind": "holdall snapshot", "format": 2, "segments": []}')
    objects.write(former.known_child("0" * 32 + ".rows"), b"damaged")
    assert _ids(place.open().db.search(_QUERY)) == _expected(100)
    assert list(objects.walk(former)) == []
    reader = place.open()
    assert reader.asked(lambda: reader.db.search(_QUERY))["get"] == 2


def test_clearing_sweeps_both_places(place: Place) -> None:
    place.fill(100)
    place.open().db.search(_QUERY)
    objects = place.objects()
    former = objects.store.root.reserved("snapshots")
    objects.write(former.known_child("current.json"), b"{}")
    place.open().db.clear()
    assert [*objects.walk(former), *objects.walk(_folder(objects.store.root))] == []


def test_a_count_does_not_keep_a_search_from_a_newer_snapshot(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    monkeypatch.setattr(snapshot, "_FRESH_SECONDS", 0.0)
    process = place.open(cache_ttl=timedelta(0))
    assert process.db.count() == 200
    writer = place.open().db
    for _ in range(6):  # which writes the snapshot anew
        writer.batch_update([Record({"half": 1}, id=f"{at:04}") for at in range(200)])
        place.open().db.search(_QUERY)
    assert process.asked(lambda: process.db.search(_QUERY))["get"] <= 4


def test_ranges_are_listed_on_a_loop_too(place: Place) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    seen = Witness()

    async def search() -> list[Record]:
        wire = Faults(open_store(place.url, LoopRuntime()), seen)
        db = AsyncDatabase(ObjectRecords(ObjectRecordSettings(store=place.url), wire))
        found = await db.search(_QUERY)
        await db.close()
        return found

    assert _ids(asyncio.run(search())) == _expected(200)
    assert len(set(seen.began)) == ranges.RANGES + 1
