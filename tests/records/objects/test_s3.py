"""`S3Database` as dataknobs-data has it, against a server of S3."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from holdall.core.errors import Corrupt, InvalidConfig
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.secrets import Secret
from holdall.objects.backends.cloud import s3_pages
from holdall.records.backends.objects import (
    FileRecords,
    FileRecordSettings,
    ObjectRecords,
    ObjectRecordSettings,
    S3Records,
    access,
    ranges,
)
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.records.s3 import S3Database
from serving.http_proxy import HttpProxy

if TYPE_CHECKING:
    from pathlib import Path

    from holdall.objects.backends.cloud.service import Known
    from serving.clouds import S3Server


@pytest.fixture
def config(s3_server: S3Server) -> dict[str, Any]:
    """What opens a fresh bucket, in the words of dataknobs-data."""
    return {
        "bucket": s3_server.make_container("database"),
        "prefix": "app/records/",
        "region": "us-east-1",
        "endpoint_url": s3_server.endpoint,
        "access_key_id": s3_server.access_key_id,
        "secret_access_key": s3_server.secret_access_key,
        "max_workers": 4,
        "cache_ttl": 60,
        "multipart_threshold": 5 * 1024 * 1024,
    }


def test_the_code_of_its_page_runs(config: dict[str, Any]) -> None:
    db = S3Database.from_config(config)
    record = Record({"id": "user-123", "name": "Alice", "email": "alice@example.com"})
    record_id = db.create(record)
    retrieved = db.read(record_id)
    assert retrieved is not None
    assert retrieved.get_value("name") == "Alice"
    record.fields["email"] = "alice.smith@example.com"
    db.update(record_id, record)
    assert db.delete(record_id)

    records = [
        Record({"id": f"user-{i}", "name": f"User {i}", "active": i % 2 == 0}) for i in range(40)
    ]
    ids = db.batch_create(records)
    assert db.batch_read(ids[:20]) == records[:20]
    assert db.batch_delete(ids[20:]) == [True] * 20
    query = Query().filter("active", "=", True).sort("name", "DESC").limit(3)
    assert [one.id for one in db.search(query)] == ["user-8", "user-6", "user-4"]
    assert db.count() == 20


def test_the_objects_are_where_its_page_says(config: dict[str, Any], s3_server: S3Server) -> None:
    db = S3Database.from_config({**config, "storage_class": "STANDARD_IA"})
    record = Record({"name": "Important Document"}, id="a")
    record.metadata["created_by"] = "admin"
    record.metadata["version"] = "1.0"
    record.metadata["department"] = "Engineering"
    db.create(record)
    client, where = s3_server.client(), {"Bucket": config["bucket"], "Key": "app/records/a.json"}
    found = client.get_object(**where)
    assert found["ContentType"] == "application/json"
    assert found["StorageClass"] == "STANDARD_IA"
    assert json.loads(found["Body"].read())["fields"] == {"name": "Important Document"}
    tags = {one["Key"]: one["Value"] for one in client.get_object_tagging(**where)["TagSet"]}
    assert set(tags) == {"id", "created_at", "updated_at", "created_by", "version", "department"}
    assert tags["department"] == "Engineering"


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json"])
def test_an_object_of_another_program_is_passed_over(
    config: dict[str, Any], s3_server: S3Server, content_type: str | None
) -> None:
    db = S3Database.from_config(config)
    db.create(Record({"id": "a", "x": 1}))
    said = {} if content_type is None else {"ContentType": content_type}
    key = "app/records/junk.json"
    s3_server.client().put_object(Bucket=config["bucket"], Key=key, Body=b"hello", **said)
    query = Query().filter("x", "=", 1)
    assert [one.id for one in db.search(query)] == ["a"]
    assert [one.id for one in db.stream_read()] == ["a"]
    assert db.count(query) == 1


def test_a_record_that_somebody_damaged_is_an_error(
    config: dict[str, Any], s3_server: S3Server
) -> None:
    db = S3Database.from_config(config)
    db.create(Record({"id": "a", "x": 1}))
    client, where = s3_server.client(), {"Bucket": config["bucket"], "Key": "app/records/a.json"}
    tags = client.get_object_tagging(**where)["TagSet"]
    client.put_object(
        **where,
        Body=b"hello",
        ContentType="application/json",
        Tagging="&".join(f"{one['Key']}={one['Value']}" for one in tags),
    )
    with pytest.raises(Corrupt, match=r"a\.json"):
        db.all()


def test_a_large_record_goes_up_in_parts(config: dict[str, Any], s3_server: S3Server) -> None:
    db = S3Database.from_config(config)
    record = Record({"id": "large-file", "data": "x" * (10 * 1024 * 1024)})
    db.create(record)
    key = "app/records/large-file.json"
    etag = s3_server.client().head_object(Bucket=config["bucket"], Key=key)["ETag"]
    assert "-" in etag
    assert db.all() == [record]
    record.fields["data"] = "y"
    db.update(record)
    assert db.read("large-file") == record


def test_opening_asks_nothing_and_makes_no_bucket(
    config: dict[str, Any], s3_server: S3Server
) -> None:
    db = S3Database.from_config({**config, "bucket": "mistyped"})
    for call in (db.count, db.all, lambda: db.create(Record({}))):
        with pytest.raises(InvalidConfig, match="no such bucket"):
            call()
    names = [one["Name"] for one in s3_server.client().list_buckets()["Buckets"]]
    assert "mistyped" not in names


def test_a_setting_that_cannot_be_is_named() -> None:
    with pytest.raises(InvalidConfig, match="bucket"):
        S3Database.from_config({"prefix": "x/"})
    with pytest.raises(InvalidConfig, match="max_worker"):
        S3Database.from_config({"bucket": "b", "max_worker": 3})
    with pytest.raises(InvalidConfig, match="max_workers"):
        S3Database.from_config({"bucket": "b", "max_workers": 0})
    with pytest.raises(InvalidConfig, match="secret_access_key"):
        S3Database.from_config({"bucket": "b", "access_key_id": "id"})


def test_a_file_of_settings_opens_it(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_BUCKET", config["bucket"])
    path = tmp_path / "s3.json"
    path.write_text(json.dumps({**config, "bucket": "${MY_BUCKET}", "prefix": "${NONE:data/}"}))
    db = S3Database.from_config(path)
    db.create(Record({}, id="a"))
    assert db.store.address == f"s3://{config['bucket']}/data"


def test_no_secret_is_shown() -> None:
    db = S3Database.from_config(
        {"bucket": "b", "access_key_id": "AKIDTOLD", "secret_access_key": "hush-hush"}
    )
    shown = f"{db!r} {db.store.settings!r} {db.store.config_json()} {vars(db.store)!r}"
    assert "hush-hush" not in shown
    url = "s3://AKIDTOLD:hush-hush@bucket/prefix"
    store = ObjectRecords.open(ObjectRecordSettings(store=url), BlockingRuntime())
    assert "hush-hush" not in f"{store.settings!r} {store.config_json()} {store.address}"
    place = {"type": "s3", "bucket": "b", "access_key": "id", "secret_key": "hush-hush"}
    store = ObjectRecords.open(ObjectRecordSettings(store=place), BlockingRuntime())
    assert "hush-hush" not in f"{store.settings!r} {store.config_json()} {store.address}"


def test_an_address_says_where_the_records_are() -> None:
    assert S3Records.settings_of("s3://bucket/a/b/") == {"bucket": "bucket", "prefix": "a/b"}
    found = S3Records.settings_of("s3://id:a%2Fb@bucket")
    assert found["access_key_id"] == "id"
    assert found["secret_access_key"] == "a/b"
    with pytest.raises(InvalidConfig, match="key:secret"):
        S3Records.settings_of("s3://id@bucket")
    assert ObjectRecords.settings_of("az://c/p") == {"store": "az://c/p"}
    assert FileRecords.settings_of("file:///srv/records/") == {"path": "/srv/records"}


def test_a_folder_is_opened_by_its_path(tmp_path: Path) -> None:
    settings = FileRecordSettings(path=str(tmp_path / "${x}"))
    store = FileRecords.open(settings, BlockingRuntime())
    assert store.address == f"file://{tmp_path}/${{x}}"
    again = pickle.loads(pickle.dumps(store))
    assert (type(again), again.settings) == (FileRecords, store.settings)


def test_a_database_on_any_store_is_pickled() -> None:
    place = {"type": "az", "container": "c", "account_name": "a", "prefix": "${x}"}
    store = ObjectRecords.open(ObjectRecordSettings(store=place, max_workers=3), BlockingRuntime())
    again = pickle.loads(pickle.dumps(store))
    assert (again.settings, again.address) == (store.settings, store.address)


def test_a_secret_may_be_named_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "hush-hush")
    db = S3Database.from_config(
        {"bucket": "b", "access_key_id": "id", "secret_access_key": {"env": "MY_KEY"}}
    )
    assert json.loads(db.store.config_json())["secret_access_key"] == {"env": "MY_KEY"}
    settings = db.store.settings
    assert isinstance(settings.secret_access_key, Secret)  # type: ignore[attr-defined]


def test_a_listing_has_no_page_for_the_snapshot(
    config: dict[str, Any], s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = structs.replace(access._LISTING, max_items=40)
    monkeypatch.setattr(access, "_LISTING", listing)
    ids = [f"{at:02}" for at in range(40)]
    with S3Database.from_config(config) as db:
        db.batch_create([Record({}, id=id_) for id_ in ids])
        assert [one.id for one in db.all()] == ids
    found = s3_server.client().list_objects_v2(Bucket=config["bucket"])
    keys = [one["Key"] for one in found["Contents"]]
    assert sum("/.holdall/snapshots/" in key for key in keys) == 2
    assert keys.index("app/records/00.json") == 2
    with HttpProxy(s3_server.running.port) as proxy:
        db = S3Database.from_config({**config, "endpoint_url": proxy.endpoint})
        assert [one.id for one in db.all()] == ids
        asked = [one for one in proxy.requests if "list-type" in one.target]
        assert len(asked) == 1


def test_ranges_of_a_listing_make_up_the_whole(
    config: dict[str, Any], s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = structs.replace(access._LISTING, max_items=3)
    monkeypatch.setattr(access, "_LISTING", listing)
    monkeypatch.setattr(ranges, "LEAST_SPLIT", 50)
    ids = sorted([*(f"{at:02}" for at in range(60)), "!", " a", "-", "a/b", "é", "😀"])
    with S3Database.from_config(config) as db:
        db.batch_create([Record({}, id=id_) for id_ in ids])
        assert [one.id for one in db.all()] == ids
    with HttpProxy(s3_server.running.port) as proxy:
        db = S3Database.from_config({**config, "endpoint_url": proxy.endpoint})
        assert [one.id for one in db.all()] == ids
        lists = [one.target for one in proxy.requests if "list-type" in one.target]
        assert len(lists) == len(ids) // 3
        assert len({one for one in lists if "start-after" in one}) == ranges.RANGES
        with S3Database.from_config(config) as other:
            other.batch_create([Record({}, id=id_) for id_ in ("0", "305", "~")])
            other.delete("31")
        expected = sorted([*ids, "0", "305", "~"])
        expected.remove("31")
        assert [one.id for one in db.all()] == expected


def test_pages_that_have_not_changed_are_not_read_again(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_LISTING", structs.replace(access._LISTING, max_items=3))
    monkeypatch.setattr(ranges, "LEAST_SPLIT", 50)
    read: list[int] = []
    entries = s3_pages.plain_entries

    def noted(body: bytes) -> tuple[list[Known], bytes] | None:
        found = entries(body)
        if found is not None:
            read.append(len(found[0]))
        return found

    monkeypatch.setattr(s3_pages, "plain_entries", noted)
    with S3Database.from_config(config) as writer, S3Database.from_config(config) as db:
        writer.batch_create([Record({"x": 0}, id=f"{at:02}") for at in range(60)])
        assert len(db.all()) == 60  # in one range
        read.clear()
        assert len(db.all()) == 60  # in sixteen of them
        assert read == []
        writer.update("31", Record({"x": 1}))
        read.clear()
        assert [one.id for one in db.search(Query().filter("x", "=", 1))] == ["31"]
        assert read == [3]
        writer.delete("31")
        read.clear()
        assert [one.id for one in db.all()] == [f"{at:02}" for at in range(60) if at != 31]
        assert 1 <= len(read) <= 3
