"""What users of dataknobs-data write for S3 works here, against a server, with other imports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

import holdall
from holdall import Database, DatabaseFactory, Query, Record
from holdall.core.errors import PermissionDenied
from holdall.records.results import BatchFailed
from holdall.records.s3 import S3Database

if TYPE_CHECKING:
    from pathlib import Path

    from serving.clouds import S3Server

_number = count()


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server) -> str:
    return s3_server.make_container("documented")


@pytest.fixture
def config(s3_server: S3Server, bucket: str) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "prefix": f"app/records{next(_number)}/",
        "region": "us-east-1",
        "endpoint_url": s3_server.endpoint,
        "access_key_id": s3_server.access_key_id,
        "secret_access_key": s3_server.secret_access_key,
    }


@pytest.fixture
def db(config: dict[str, Any]) -> Database:
    return S3Database.from_config(config)


def test_one_record(db: Database) -> None:
    record = Record(
        {
            "id": "user-123",
            "name": "Alice",
            "email": "alice@example.com",
            "created_at": "2024-01-01T00:00:00Z",
        }
    )
    record_id = db.create(record)
    retrieved = db.read(record_id)
    assert retrieved is not None
    assert retrieved.get_value("name") == "Alice"
    record.fields["email"] = "alice.smith@example.com"
    db.update(record_id, record)
    changed = db.read(record_id)
    assert changed is not None
    assert changed.fields["email"] == "alice.smith@example.com"
    db.delete(record_id)
    assert db.read(record_id) is None


def test_batches(db: Database) -> None:
    records = [Record({"id": f"user-{i}", "name": f"User {i}"}) for i in range(100)]
    record_ids = db.batch_create(records)
    assert record_ids == [f"user-{i}" for i in range(100)]
    retrieved = db.batch_read(record_ids[:50])
    assert [one and one.get_value("name") for one in retrieved] == [f"User {i}" for i in range(50)]
    assert db.batch_delete(record_ids[50:]) == [True] * 50
    assert db.count() == 50


def test_metadata_is_kept_and_shows_as_tags(
    db: Database, config: dict[str, Any], s3_server: S3Server
) -> None:
    record = Record({"name": "Important Document", "content": "..."})
    record.metadata["created_by"] = "admin"
    record.metadata["version"] = "1.0"
    record.metadata["department"] = "Engineering"
    record_id = db.create(record)
    read = db.read(record_id)
    assert read is not None
    own = {"created_by": "admin", "version": "1.0", "department": "Engineering"}
    assert read.own_metadata() == own
    store = holdall.open(
        {
            "type": "s3",
            "bucket": config["bucket"],
            "prefix": config["prefix"].strip("/"),
            "endpoint": config["endpoint_url"],
            "access_key": config["access_key_id"],
            "secret_key": config["secret_access_key"],
        }
    )
    (key,) = store.list()
    tags = store.stat(key, tags=True).tags
    assert tags is not None
    assert own.items() <= tags.items()
    assert tags["id"] == record_id
    assert "created_at" in tags


def test_a_search(db: Database) -> None:
    departments = ["Engineering", "Sales"]
    db.batch_create(
        [
            Record(
                {
                    "id": f"user-{i:02}",
                    "department": departments[i % 2],
                    "active": i % 3 > 0,
                    "created_at": f"2024-01-{i + 1:02}",
                }
            )
            for i in range(30)
        ]
    )
    query = (
        Query()
        .filter("department", "=", "Engineering")
        .filter("active", "=", True)
        .sort("created_at", "DESC")
        .limit(10)
    )
    found = [one.id for one in db.search(query)]
    meant = [i for i in range(29, -1, -1) if i % 2 == 0 and i % 3 > 0]
    assert found == [f"user-{i:02}" for i in meant[:10]]


def test_a_large_record(db: Database) -> None:
    large = Record({"id": "large-file", "data": "x" * (10 * 1024 * 1024)})
    db.create(large)
    read = db.read("large-file")
    assert read is not None
    assert len(read.fields["data"]) == 10 * 1024 * 1024


def test_a_storage_class_is_set(config: dict[str, Any]) -> None:
    db = S3Database.from_config({**config, "storage_class": "STANDARD_IA"})
    db.create(Record({"id": "a"}))
    objects = db.store.objects  # type: ignore[attr-defined]
    face = holdall.DataStore(objects)
    (key,) = face.list()
    assert face.stat(key).storage_class == "STANDARD_IA"


def test_an_archived_record_is_an_error_that_names_the_restore(config: dict[str, Any]) -> None:
    archive = S3Database.from_config({**config, "storage_class": "GLACIER"})
    archive.create(Record({"id": "a", "name": "Alice"}))
    S3Database.from_config(config).create(Record({"id": "b", "name": "Bob"}))
    reader = S3Database.from_config(config)
    with pytest.raises(PermissionDenied, match="restore"):
        reader.read("a")
    with pytest.raises(PermissionDenied, match="restore"):  # one alone is told as it is
        reader.search(Query().filter("name", "=", "Bob"))
    assert reader.read("b") is not None
    with pytest.raises(BatchFailed, match="restore") as caught:
        reader.batch_read(["a", "b", "c"])
    assert [type(one) for one in caught.value.results] == [PermissionDenied, Record, type(None)]


def test_a_file_with_variables(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_BUCKET", config["bucket"])
    monkeypatch.setenv("S3_ENDPOINT", config["endpoint_url"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", config["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", config["secret_access_key"])
    file = tmp_path / "config.yaml"
    file.write_text(
        "databases:\n"
        "  - name: archive\n"
        "    class: dataknobs_data.backends.s3.S3Database\n"
        "    bucket: ${S3_BUCKET}\n"
        f"    prefix: ${{S3_PREFIX:{config['prefix']}}}\n"
        "    region: ${AWS_REGION:us-east-1}\n"
        "    endpoint_url: ${S3_ENDPOINT:}\n"
        "    max_workers: ${S3_MAX_WORKERS:10}\n"
    )
    archive = holdall.open_databases(file)["archive"]
    record_id = archive.create(Record({"test": "data"}))
    assert S3Database.from_config(config).read(record_id) is not None
    archive.delete(record_id)


def test_a_migration(config: dict[str, Any], tmp_path: Path) -> None:
    factory = DatabaseFactory()
    source = factory.create(backend="sqlite", path=str(tmp_path / "production.db"))
    archive = factory.create(backend="s3", **config)
    now = datetime.now(UTC)
    source.batch_create(
        [
            Record({"number": days, "created_at": (now - timedelta(days=days)).isoformat()})
            for days in (1, 100, 400, 500)
        ]
    )
    cutoff = now - timedelta(days=365)
    old_records = source.search(Query().filter("created_at", "<", cutoff.isoformat()))
    archive.batch_create(old_records)
    for record in old_records:
        source.delete(record.metadata["id"])
    assert sorted(one.fields["number"] for one in archive.all()) == [400, 500]
    assert sorted(one.fields["number"] for one in source.all()) == [1, 100]
