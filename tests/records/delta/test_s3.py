"""Tables in a bucket."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from holdall.core.errors import AlreadyExists, NotFound, Unauthenticated
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.secrets import Secret
from holdall.records.backends.delta import DeltaRecords, DeltaRecordSettings
from holdall.records.database import Database
from holdall.records.query import Query
from holdall.records.record import Record
from records.delta.opening import people
from servers import S3Server

Open = Callable[..., Database]


@pytest.fixture
def open_table(versity_server: S3Server) -> Open:
    """Opens one table in a fresh bucket, with other settings where a test wants them."""
    bucket = versity_server.make_container("delta")

    def opened(**settings: Any) -> Database:
        known = {
            "table": f"s3://{bucket}/deep/table",
            "endpoint": versity_server.endpoint,
            "region": versity_server.region,
            "access_key": Secret(versity_server.access_key_id),
            "secret_key": Secret(versity_server.secret_access_key),
        }
        both = {**known, **settings}
        return Database(DeltaRecords.open(DeltaRecordSettings(**both), BlockingRuntime()))

    return opened


def test_what_was_written_to_a_bucket_is_found(open_table: Open) -> None:
    open_table().batch_create(people(120))
    db = open_table()
    assert db.all() == people(120)
    db.upsert(Record({"age": 99}, id="0005"))
    assert [one.id for one in open_table().search(Query().filter("age", ">", 50))] == ["0005"]


def test_the_environment_says_where_the_service_is(
    open_table: Open, versity_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_table().batch_create(people(3))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", versity_server.endpoint)
    monkeypatch.setenv("AWS_REGION", versity_server.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", versity_server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", versity_server.secret_access_key)
    db = open_table(endpoint=None, region=None, access_key=None, secret_key=None)
    assert db.all() == people(3)


def test_one_of_many_creators_in_a_bucket_wins(open_table: Open) -> None:
    def create(number: int) -> int | None:
        db = open_table()
        db.create(Record({}, id=f"own {number}"))
        try:
            db.create(Record({"by": number}, id="same"))
        except AlreadyExists:
            return None
        return number

    with ThreadPoolExecutor(3) as pool:
        won = [one for one in pool.map(create, range(3)) if one is not None]
    held = open_table().read("same")
    assert held is not None
    assert won == [held.fields["by"]]
    assert open_table().count() == 4


def test_a_bucket_that_is_not_there_is_not_made(open_table: Open) -> None:
    db = open_table(table="s3://holdall-has-no-such-bucket/table")
    with pytest.raises(NotFound):
        db.count()
    with pytest.raises(NotFound):
        db.create(Record({}, id="a"))


def test_a_wrong_key_is_an_error_that_does_not_show_it(open_table: Open) -> None:
    db = open_table(secret_key=Secret("hushed and wrong"))
    with pytest.raises(Unauthenticated) as caught:
        db.count()
    assert "hushed" not in str(caught.value)
    assert "hushed" not in repr(db.store.settings)
