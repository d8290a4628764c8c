"""The lifecycle rules that the documentation shows, on a server."""

from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from holdall import Query, Record
from holdall.records.s3 import S3Database

if TYPE_CHECKING:
    from serving.clouds import S3Server

PAGE = Path(__file__).parents[3] / "docs" / "s3.md"
_number = count()


@pytest.fixture
def config(s3_server: S3Server) -> dict[str, Any]:
    return {
        "bucket": s3_server.make_container(f"lifecycle{next(_number)}"),
        "prefix": "app/records/",
        "endpoint_url": s3_server.endpoint,
        "access_key_id": s3_server.access_key_id,
        "secret_access_key": s3_server.secret_access_key,
    }


def test_the_rules_of_the_page_are_taken_and_hold_for_the_records(
    s3_server: S3Server, config: dict[str, Any]
) -> None:
    found = re.search(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    rules = json.loads(found[1])
    client = s3_server.client()
    client.put_bucket_lifecycle_configuration(Bucket=config["bucket"], LifecycleConfiguration=rules)
    answer = client.get_bucket_lifecycle_configuration(Bucket=config["bucket"])
    assert [rule["ID"] for rule in answer["Rules"]] == [rule["ID"] for rule in rules["Rules"]]
    S3Database.from_config(config).create(Record({"id": "a"}))
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=config["bucket"])["Contents"]]
    prefix = rules["Rules"][0]["Filter"]["Prefix"]
    assert [key for key in keys if key.endswith("a.json") and key.startswith(prefix)]


def test_a_snapshot_that_was_moved_to_an_archive_costs_time_and_no_record(
    s3_server: S3Server, config: dict[str, Any]
) -> None:
    db = S3Database.from_config(config)
    db.batch_create([Record({"id": f"e{number}", "n": number}) for number in range(200)])
    query = Query().filter("n", ">=", 195)
    expected = [f"e{number}" for number in range(195, 200)]
    first = S3Database.from_config(config)
    assert [record.id for record in first.search(query)] == expected
    client = s3_server.client()
    bucket = config["bucket"]
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=bucket)["Contents"]]
    snapshot = [key for key in keys if "/.holdall/snapshots/" in key]
    assert snapshot
    for key in snapshot:
        client.copy_object(
            Bucket=bucket,
            Key=key,
            CopySource={"Bucket": bucket, "Key": key},
            StorageClass="GLACIER",
            MetadataDirective="COPY",
        )
    other = S3Database.from_config(config)
    assert [record.id for record in other.search(query)] == expected
    assert other.create(Record({"id": "f", "n": 196})) == "f"
    assert [record.id for record in other.search(query)] == [*expected, "f"]
