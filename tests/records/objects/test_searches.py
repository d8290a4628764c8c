"""What a search asks of the store."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import (
    AlreadyExists,
    Corrupt,
    PartialFailure,
    PermissionDenied,
    Unavailable,
)
from holdall.records.query import F, Query
from holdall.records.record import Record
from holdall.testing.layers.faults import Fault, FaultRule

if TYPE_CHECKING:
    from holdall.objects.layers.layer import Call
    from records.objects.places import Place

_EVEN = Query().filter("half", "=", 0).sort("number", "desc")


def test_the_first_search_reads_each_record_once(place: Place) -> None:
    place.fill(50)
    reader = place.open(snapshot=False)
    assert reader.asked(lambda: reader.db.search(_EVEN)) == {"list": 1, "get": 50}


def test_what_was_read_before_an_outage_is_not_read_again(place: Place) -> None:
    place.fill(64)
    away = [True]

    def script(call: Call[object]) -> Fault | None:
        if away[0] and call.operation == "get" and call.refs[0].name == "0041.json":
            return Fault(error=Unavailable)
        return None

    process = place.open(script, max_workers=1, snapshot=False)
    with pytest.raises(Unavailable):
        process.db.all()
    away[0] = False
    assert process.asked(process.db.all) == {"list": 1, "get": 64 - 41}


def test_the_second_search_only_lists(place: Place) -> None:
    place.fill(50)
    reader = place.open(snapshot=False)
    first = reader.db.search(_EVEN)
    assert reader.asked(lambda: reader.db.search(_EVEN)) == {"list": 1}
    assert reader.db.search(_EVEN) == first
    assert reader.asked(lambda: reader.db.count(_EVEN)) == {"list": 1}


def test_a_record_that_another_one_wrote_is_read_once(place: Place) -> None:
    place.fill(50)
    reader, writer = place.open(snapshot=False), place.open()
    reader.db.search(_EVEN)
    writer.db.upsert(Record({"number": 99, "half": 0}, id="0001"))
    found = reader.asked(lambda: reader.db.search(_EVEN))
    assert found == {"list": 1, "get": 1}
    assert next(one.id for one in reader.db.search(_EVEN)) == "0001"
    assert reader.asked(lambda: reader.db.search(_EVEN)) == {"list": 1}


def test_a_record_that_another_one_deleted_is_gone(place: Place) -> None:
    place.fill(3)
    reader, writer = place.open(), place.open()
    reader.db.all()
    writer.db.delete("0001")
    assert [one.id for one in reader.db.all()] == ["0000", "0002"]


def test_what_it_wrote_itself_is_not_read_again(place: Place) -> None:
    place.fill(3)
    reader = place.open()
    reader.db.all()
    reader.db.create(Record({"number": 3}, id="0003"))
    assert reader.asked(reader.db.all) == {"list": 1}
    assert reader.db.all()[3].fields == {"number": 3}


def test_an_id_that_is_named_is_one_request(place: Place) -> None:
    place.fill(50)
    reader = place.open()
    query = Query().filter((F("id") == "0007") & (F("half") == 1))
    assert reader.asked(lambda: reader.db.search(query)) == {"get": 1}
    assert [one.id for one in reader.db.search(query)] == ["0007"]
    assert reader.asked(lambda: reader.db.count(query)) == {"get": 1}
    assert reader.db.search(Query().filter("id", "=", "none")) == []


def test_ids_that_are_named_are_a_request_each(place: Place) -> None:
    place.fill(50)
    reader = place.open()
    query = Query().filter("id", "in", ["0007", "0003", "none", "x" * 900]).sort("id", "desc")
    assert [one.id for one in reader.db.search(query)] == ["0007", "0003"]
    assert reader.asked(lambda: reader.db.search(query)) == {"get": 3}


def test_what_the_id_tells_is_not_read(place: Place) -> None:
    place.fill(200)
    reader = place.open()
    some = (F("id") >= "0100") & ~(F("id").endswith("7") | F("id").is_in(["0101", 3]))
    assert reader.asked(lambda: reader.db.count(Query().filter(some))) == {"list": 1}
    assert reader.db.count(Query().filter(some)) == 89
    query = Query().filter(some & (F("half") == 1) & (F("id") < "0110")).sort("number", "desc")
    assert reader.asked(lambda: reader.db.search(query)) == {"list": 1, "get": 8}
    assert [one.id for one in reader.db.search(query)] == ["0109", "0105", "0103"]
    assert [one.id for one in reader.db.stream_read(query, size=1)] == ["0109", "0105", "0103"]
    nothing = Query().filter(F("id").missing())
    assert reader.asked(lambda: reader.db.search(nothing)) == {"list": 1}


def test_a_limit_reads_few(place: Place) -> None:
    place.fill(200)
    reader = place.open()
    assert reader.asked(lambda: reader.db.search(Query().limit(5))) == {"list": 1, "get": 5}
    query = Query().sort("id", "desc").offset(10).limit(5)
    assert reader.asked(lambda: reader.db.search(query)) == {"list": 1, "get": 15}
    assert [one.id for one in reader.db.search(query)] == [f"{at:04}" for at in range(189, 184, -1)]
    some = Query().filter("half", "=", 1).limit(5)
    assert reader.asked(lambda: reader.db.search(some))["get"] < 50


def test_a_count_is_answered_from_the_last_listing(place: Place) -> None:
    place.fill(50)
    reader = place.open()
    assert reader.asked(reader.db.count) == {"list": 1}
    assert reader.asked(reader.db.count) == {}
    reader.db.create(Record({}, id="new"))
    assert reader.asked(reader.db.count) == {"list": 1}
    reader.db.delete("new")
    assert reader.db.count() == 50


def test_a_search_counts_too(place: Place) -> None:
    place.fill(5)
    reader = place.open()
    reader.db.all()
    assert reader.asked(reader.db.count) == {}


def test_without_time_to_live_each_count_asks(place: Place) -> None:
    place.fill(5)
    reader = place.open(cache_ttl=timedelta(0))
    for _ in range(2):
        assert reader.asked(reader.db.count) == {"list": 1}


@pytest.mark.parametrize("query", [Query(), _EVEN, Query().sort("id", "desc")])
def test_a_stream_lists_once(place: Place, query: Query) -> None:
    place.fill(100)
    reader = place.open(snapshot=False)
    numbers: list[int] = []

    def stream() -> None:
        numbers.extend(one.fields["number"] for one in reader.db.stream_read(query, size=7))

    assert reader.asked(stream) == {"list": 1, "get": 100}
    assert numbers == [one.fields["number"] for one in place.open().db.search(query)]


def test_a_page_asked_for_again_is_the_same(place: Place) -> None:
    place.fill(30)
    db = place.open().db
    first = db.page(_EVEN, size=4)
    assert db.page(_EVEN, first.token, 4).records == db.page(_EVEN, first.token, 4).records
    other = place.open().db
    assert other.page(_EVEN, first.token, 4).records == db.page(_EVEN, first.token, 4).records


def test_what_is_moved_behind_a_stream_takes_nothing_along(place: Place) -> None:
    place.fill(30)
    db = place.open().db
    stream = db.stream_read(Query().sort("number"), size=5)
    ids = [next(stream).id for _ in range(7)]
    db.patch("0014", {"number": 1000})  # the last record of the next part
    ids += [next(stream).id for _ in range(6)]
    for at in range(9):  # as many searches as make the stream's own place forgotten
        next(db.stream_read(Query().filter("number", ">=", at), size=1))
    ids += [record.id for record in stream]
    assert [id_ for id_ in ids if id_ != "0014"] == [f"{at:04}" for at in range(30) if at != 14]


@pytest.mark.parametrize("value", [1000, -1])
def test_what_is_moved_while_a_page_is_made_takes_nothing_along(place: Place, value: int) -> None:
    place.fill(30)
    writer, reads = place.open().db, [0]

    def script(call: Call[object]) -> Fault | None:
        reads[0] += call.operation == "get"
        if reads[0] == 30 + 30 + 1:  # behind those that put the second page in order
            reads[0] += 1
            writer.patch("0009", {"number": value})
        return None

    db = place.open(script, memory=0, snapshot=False, max_workers=1).db
    pages: list[list[str | None]] = []
    token: str | None = None
    while not pages or token is not None:
        page = db.page(Query().sort("number"), token, size=5)
        pages.append([record.id for record in page.records])
        token = page.token
    assert reads[0] > 60
    ids = [id_ for page in pages for id_ in page if id_ != "0009"]
    assert ids == [f"{at:04}" for at in range(30) if at != 9]


@pytest.mark.parametrize("sorts", [[], ["number"]])
def test_pages_begun_after_a_write_show_it(place: Place, sorts: list[str]) -> None:
    place.fill(30)
    reader, writer = place.open().db, place.open().db
    query = Query()
    for sort in sorts:
        query = query.sort(sort)
    reader.page(query, size=9)
    next(reader.stream_read(query, size=10))
    reader.search(query.limit(10))
    writer.delete("0015")
    writer.patch("0016", {"half": "new"})
    writer.create(Record({"number": 16.5}, id="0016a"))
    records: list[Record] = []
    token: str | None = None
    while not records or token is not None:
        page = reader.page(query, token, size=10)
        records += page.records
        token = page.token
    ids = [*(f"{at:04}" for at in range(30) if at != 15), "0016a"]
    assert [record.id for record in records] == sorted(ids)
    assert records[15].fields["half"] == "new"


def test_many_searches_may_be_on_their_way(place: Place) -> None:
    place.fill(20)
    db = place.open().db
    queries = [Query().filter("number", ">=", at).sort("number") for at in range(12)]
    streams = [db.stream_read(query, size=3) for query in queries]
    numbers: list[list[int]] = [[] for _ in queries]
    for _ in range(20):
        for stream, found in zip(streams, numbers, strict=True):
            record = next(stream, None)
            if record is not None:
                found.append(record.fields["number"])
    assert numbers == [list(range(at, 20)) for at in range(12)]


def test_nothing_is_kept_in_memory_where_that_is_said(place: Place) -> None:
    place.fill(40)
    reader = place.open(memory=0)
    for _ in range(2):
        assert reader.asked(lambda: reader.db.search(_EVEN)) == {"list": 1, "get": 40}


def test_what_does_not_fit_in_memory_is_read_again(place: Place) -> None:
    place.fill(40)
    reader = place.open(memory=12_000, snapshot=False)
    first = reader.db.search(_EVEN)
    asked = reader.asked(lambda: reader.db.search(_EVEN))
    assert 0 < asked["get"] < 40
    assert reader.db.search(_EVEN) == first


def test_records_in_a_folder_below_are_others(place: Place) -> None:
    place.fill(2)
    inner = place.objects()
    inner.write("inner/0000.json", b"{}")
    db = place.open().db
    assert db.count() == 2
    assert len(db.all()) == 2
    assert db.clear() == 2
    assert inner.exists("inner/0000.json")


def test_what_is_no_record_is_passed_over_with_a_warning(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.fill(2)
    objects = place.objects()
    objects.write("notes.txt", b"not JSON")
    objects.write("%41.json", b"not JSON")
    db = place.open().db
    with caplog.at_level(logging.WARNING):
        assert len(db.all()) == 2
        db.all()
    (warning,) = caplog.records
    assert warning.message == (
        f"{place.url}: 2 objects are passed over, as their names are none of records; "
        "the first is '%41.json'"
    )
    assert db.clear() == 2
    assert objects.exists("notes.txt")


_REMAINS = [
    b"",
    b"\0" * 512,
    b"{",
    b'{"id":"00',
    b'{"id":"0001","fie',
    b'{"id": "0001"}',
    b'{"id": "other", "fields": {}}',
    b'{"fields": {"number": 3}}',
    b'\xff\xff","fields":{"number":3}}',
]
_STRANGE = [b"hello", b"[]", b"{}", b"3", b"\xff", b"[" * 5000, b'{"id": 5, "name": "x"}', b"<a/>"]


def _strew(place: Place, bodies: list[bytes], **options: Any) -> None:
    for at, body in enumerate(bodies):
        place.objects().write(f"strange{at}.json", body, **options)


def test_objects_that_never_were_records_are_passed_over_with_a_warning(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.fill(40)
    _strew(place, _STRANGE)
    db = place.open().db
    with caplog.at_level(logging.WARNING):
        assert [one.id for one in db.search(_EVEN)] == [f"{at:04}" for at in range(38, -1, -2)]
    (warning,) = caplog.records
    assert warning.message == (
        f"{place.url}: 8 objects are passed over, as they hold no records; "
        "the first is 'strange0.json'"
    )
    assert len(db.all()) == len(list(db.stream_read(size=7))) == 40
    assert db.count(_EVEN) == 20
    assert db.group("half", number="count") == [
        {"half": 0, "number": 20},
        {"half": 1, "number": 20},
    ]
    assert db.search(Query().filter("id", "in", ["0001", "strange0"])) == [db.read("0001")]
    assert db.first(Query().sort("id", "desc")) == db.read("0039")
    page = db.page(Query().sort("id", "desc"), size=39)
    assert len(db.page(Query().sort("id", "desc"), page.token, 39).records) == 1
    assert len(caplog.records) == 1


def test_an_object_that_is_no_record_is_read_once(place: Place) -> None:
    place.fill(4)
    _strew(place, [b"hello"])
    reader = place.open()
    assert reader.asked(lambda: reader.db.search(_EVEN)) == {"list": 1, "get": 5}
    assert reader.asked(lambda: reader.db.search(_EVEN)) == {"list": 1}


def test_an_object_that_is_no_record_becomes_one(place: Place) -> None:
    _strew(place, [b"hello"])
    db = place.open().db
    assert db.all() == []
    place.objects().write("strange0.json", b'{"id": "strange0", "fields": {"x": 1}}')
    assert [one.fields for one in db.all()] == [{"x": 1}]


def test_who_names_an_object_that_is_no_record_is_told(place: Place) -> None:
    _strew(place, [b"hello"])
    db = place.open().db
    for call in (
        lambda: db.read("strange0"),
        lambda: db.update(Record({}, id="strange0")),
        lambda: db.upsert(Record({}, id="strange0")),
        lambda: db.patch("strange0", {"x": 1}),
    ):
        with pytest.raises(Corrupt, match=r"strange0\.json holds no record"):
            call()
    with pytest.raises(AlreadyExists):
        db.create(Record({}, id="strange0"))
    assert place.objects().read("strange0.json") == b"hello"


@pytest.mark.parametrize("body", _STRANGE)
@pytest.mark.parametrize("tagged", [True, False])
def test_what_is_marked_as_a_record_and_holds_none_is_damaged(
    place: Place, body: bytes, tagged: bool
) -> None:
    place.fill(3)
    db = place.open(tags=tagged).db
    # Where records have no tags, the content type alone leaves it in doubt.
    tags = {"created_at": "2024-01-01T00:00:00.000000Z"} if tagged else {}
    place.objects().write("0001.json", body, content_type="application/json", tags=tags)
    with pytest.raises(Corrupt, match=r"0001\.json"):
        db.all()


@pytest.mark.parametrize("body", _STRANGE)
def test_a_content_type_alone_makes_no_record(place: Place, body: bytes) -> None:
    place.fill(3)
    _strew(place, [body], content_type="application/json", tags={"id": "of another kind"})
    assert len(place.open().db.all()) == 3


def test_what_cannot_be_asked_for_its_tags_counts_as_damaged(place: Place) -> None:
    place.fill(3)
    _strew(place, [b"hello"], content_type="application/json")
    refused = FaultRule(fault=Fault(error=PermissionDenied), operation="head", times=None)
    with pytest.raises(Corrupt, match="strange0"):
        place.open([refused]).db.all()


@pytest.mark.parametrize("body", _REMAINS)
def test_a_damaged_record_is_an_error_that_names_it(place: Place, body: bytes) -> None:
    place.fill(3)
    db = place.open().db
    db.all()
    place.objects().write("0001.json", body)
    for search in (db.all, lambda: db.count(_EVEN), lambda: db.read("0001")):
        with pytest.raises(Corrupt, match=r"0001\.json"):
            search()
    assert db.read("0000") is not None
    assert db.delete("0001")
    assert len(db.all()) == 2


def test_a_search_names_all_records_that_it_cannot_read(place: Place) -> None:
    place.fill(60)
    db = place.open().db
    for at in (3, 40):
        place.objects().write(f"{at:04}.json", b'{"id":"damaged"')
    with pytest.raises(Corrupt) as caught:
        db.search(_EVEN)
    assert isinstance(caught.value, PartialFailure)
    assert [str(one.reference) for one in caught.value.errors] == [
        f"{place.url}/0003.json",
        f"{place.url}/0040.json",
    ]
    assert len(db.search(Query().limit(3))) == 3


def test_who_may_read_nothing_is_told_soon(place: Place) -> None:
    place.fill(700)
    refused = FaultRule(fault=Fault(error=PermissionDenied), operation="get", times=None)
    process = place.open([refused], snapshot=False)
    with pytest.raises(PermissionDenied):
        process.db.all()
    assert process.wire.seen["get"] < 600


def test_a_record_that_another_program_wrote_is_read(place: Place) -> None:
    place.objects().write("a.json", b'{"id": "a", "fields": {"x": [1, {"y": null}]}, "more": 1}')
    read = place.open().db.all()
    assert [one.fields for one in read] == [{"x": [1, {"y": None}]}]
    assert read[0].metadata["created_at"] == read[0].metadata["updated_at"]


@pytest.mark.parametrize("number", [20, 100])
def test_of_searches_at_the_same_time_one_reads(place: Place, number: int) -> None:
    place.fill(number)
    slow = [FaultRule(fault=Fault(delay=0.002), operation="get", times=None)]
    reader = place.open(slow, snapshot=False)

    def search_four_times() -> None:
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda _: reader.db.search(_EVEN), range(4)):
                assert len(found) == number // 2

    assert reader.asked(search_four_times) == {"list": 4, "get": number}


def test_moments_that_another_program_wrote_are_in_utc(place: Place) -> None:
    place.objects().write(
        "a.json",
        b'{"id": "a", "fields": {}, "created_at": "2024-01-01T00:00:00", '
        b'"updated_at": "2024-01-01T05:30:00+05:00"}',
    )
    (read,) = place.open().db.all()
    assert read.metadata["created_at"] == datetime(2024, 1, 1, tzinfo=UTC)
    assert read.metadata["updated_at"] == datetime(2024, 1, 1, 0, 30, tzinfo=UTC)
    assert read.metadata["updated_at"].tzinfo is UTC
