"""Records on a real S3 server, with a network between that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faulty import HttpProxy
from holdall.core.errors import AlreadyExists, CircuitOpen, Unavailable
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.records.s3 import S3Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.records.database import Database
    from serving.clouds import S3Server

_ALL = Query().filter("n", ">=", 0).sort("n")


@pytest.fixture
def proxy(versity_server: S3Server) -> Iterator[HttpProxy]:
    with HttpProxy(versity_server.running.port) as proxy:
        yield proxy


@pytest.fixture
def bucket(versity_server: S3Server) -> str:
    return versity_server.make_container("network")


def _open(server: S3Server, bucket: str, endpoint: str) -> Database:
    return S3Database.from_config(
        {
            "bucket": bucket,
            "prefix": "r/",
            "endpoint_url": endpoint,
            "access_key_id": server.access_key_id,
            "secret_access_key": server.secret_access_key,
        }
    )


@pytest.fixture
def db(versity_server: S3Server, bucket: str, proxy: HttpProxy) -> Iterator[Database]:
    """A database behind the proxy, which was written to, so that it probes no more."""
    with _open(versity_server, bucket, proxy.endpoint) as db:
        db.create(Record({"n": 0}, id="first"))
        proxy.forget()
        yield db


@pytest.fixture
def other(versity_server: S3Server, bucket: str) -> Iterator[Database]:
    """The same without the proxy."""
    with _open(versity_server, bucket, versity_server.endpoint) as db:
        yield db


def test_a_create_whose_reply_is_lost_is_known_again(
    db: Database, other: Database, proxy: HttpProxy
) -> None:
    proxy.lose_reply(method="PUT", reset=True)
    record = Record({"n": 1}, id="a")
    db.create(record)
    read = other.read("a")
    assert read is not None
    assert (read, read.version) == (record, record.version)
    assert len(proxy.found("PUT")) == 1


def test_an_update_whose_reply_is_lost_is_known_again(
    db: Database, other: Database, proxy: HttpProxy
) -> None:
    record = other.read("first")
    assert record is not None
    record.fields["n"] = 5
    proxy.lose_reply(method="PUT", reset=True)
    db.update(record)
    read = other.read("first")
    assert read is not None
    assert (read, read.version) == (record, record.version)


def test_a_busy_service_loses_no_write(db: Database, other: Database, proxy: HttpProxy) -> None:
    proxy.answer(503, method="PUT", times=3)
    db.batch_create([Record({"n": at}, id=str(at)) for at in range(10)])
    assert len(proxy.found("PUT")) == 13
    assert other.count() == 11


def test_a_create_over_another_one_is_refused_also_when_the_service_is_busy(
    db: Database, other: Database, proxy: HttpProxy
) -> None:
    other.create(Record({"n": 1}, id="a"))
    proxy.answer(429, method="PUT")
    with pytest.raises(AlreadyExists):
        db.create(Record({"n": 2}, id="a"))


def test_a_second_search_makes_one_request(db: Database, proxy: HttpProxy) -> None:
    db.batch_create([Record({"n": at}, id=str(at)) for at in range(20)])
    first = db.search(_ALL)
    proxy.forget()
    assert db.search(_ALL) == first
    assert len(proxy.requests) == 1


def test_a_search_goes_on_after_a_reply_that_was_cut(
    db: Database, other: Database, proxy: HttpProxy
) -> None:
    other.batch_create([Record({"n": at}, id=str(at)) for at in range(20)])
    proxy.cut_reply(20, method="GET", path=r"r/7\.json")
    assert [one.fields["n"] for one in db.search(_ALL)] == [0, *range(20)]


def test_a_service_that_is_away_is_no_empty_answer(db: Database, proxy: HttpProxy) -> None:
    proxy.answer(503, times=None)
    for call in (db.all, db.count, lambda: db.count(_ALL)):
        with pytest.raises((Unavailable, CircuitOpen)):
            call()
