"""The suite of databases over stores of objects, each on a server of its own."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.objects import (
    ObjectRecords,
    ObjectRecordSettings,
    S3Records,
    S3RecordSettings,
)
from holdall.records.database import Database
from holdall.records.record import Record
from holdall.testing import RecordStoreSuite
from holdall.testing.layers.faults import Faults

if TYPE_CHECKING:
    from holdall.testing.records.faces import MakeRecords
    from serving.caches import RedisServer
    from serving.clouds import AzureServer, GoogleServer, S3Server

_number = count()


def _maker(**place: Any) -> MakeRecords:
    """Each test has a prefix of its own in one container."""
    settings = ObjectRecordSettings(store={"prefix": f"t{next(_number)}", **place})
    return lambda runtime: ObjectRecords.open(settings, runtime)


def _s3(server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> MakeRecords:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)
    settings = S3RecordSettings(
        bucket=bucket,
        prefix=f"t{next(_number)}/",
        endpoint_url=server.endpoint,
    )
    return lambda runtime: S3Records.open(settings, runtime)


@pytest.fixture(scope="module")
def s3_bucket(s3_server: S3Server) -> str:
    return s3_server.make_container("records")


@pytest.fixture(scope="module")
def versity_bucket(versity_server: S3Server) -> str:
    return versity_server.make_container("records")


@pytest.fixture(scope="module")
def azure_container(azure_server: AzureServer) -> str:
    return azure_server.make_container("records")


@pytest.fixture(scope="module")
def google_bucket(google_server: GoogleServer) -> str:
    return google_server.make_container("records")


class ServiceSuite(RecordStoreSuite):
    """The suite, and that a listing has the etags that reads and writes answer.

    Conditions are met by the same code on every store, and each is asked of those in memory and on
    a disk. Here some are, since each question is a listing.
    """

    every = 20
    large = 120

    def test_a_second_search_reads_no_record(self, make_store: MakeRecords) -> None:
        store = make_store(BlockingRuntime())
        assert isinstance(store, ObjectRecords | S3Records)
        wire = Faults(store.objects)
        with Database(ObjectRecords(ObjectRecordSettings(store="memory://"), wire)) as db:
            db.create(Record({"n": 1}, id="read"))
            first = db.all()
            db.create(Record({"n": 2}, id="written"))
            reads = wire.seen["get"]
            assert db.all()[0] == first[0]
            assert wire.seen["get"] == reads


class TestOnS3(ServiceSuite):
    # The other face goes over the server that checks signatures.
    in_soak = "async"

    @pytest.fixture
    def make_store(
        self, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> MakeRecords:
        return _s3(s3_server, s3_bucket, monkeypatch)


class TestOnS3WithSignatures(ServiceSuite):
    in_soak = "blocking"
    large = 1100  # more than a page of a listing, and than a batch of deletes

    excused: ClassVar = {
        "test_one_of_many_deleters_of_a_version_is_told": (
            "this server does not hold the condition of a delete against other deletes"
        ),
    }

    @pytest.fixture
    def make_store(
        self, versity_server: S3Server, versity_bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> MakeRecords:
        return _s3(versity_server, versity_bucket, monkeypatch)


class TestOnAzure(ServiceSuite):
    in_soak = "async"

    @pytest.fixture
    def make_store(
        self, azure_server: AzureServer, azure_container: str, monkeypatch: pytest.MonkeyPatch
    ) -> MakeRecords:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
        return _maker(type="az", container=azure_container)


class TestOnGoogle(ServiceSuite):
    in_soak = "blocking"

    @pytest.fixture
    def make_store(
        self, google_server: GoogleServer, google_bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> MakeRecords:
        monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", google_server.bearer_token)
        return _maker(type="gs", bucket=google_bucket, endpoint=google_server.endpoint)


class TestOnRedis(ServiceSuite):
    large = 1100

    @pytest.fixture
    def make_store(self, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> MakeRecords:
        monkeypatch.setenv("HOLDALL_REDIS_PASSWORD", redis_server.password)
        return _maker(type="redis", host="127.0.0.1", port=redis_server.running.port)
