"""Settings and addresses of tables."""

import json
from pathlib import Path
from typing import Any

import pytest

import holdall
from holdall.core.errors import InvalidConfig
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.secrets import Secret
from holdall.records.backends.delta import DeltaRecords, DeltaRecordSettings
from holdall.records.record import Record
from holdall.records.registry import open_records


def test_a_url_opens_a_table(tmp_path: Path) -> None:
    with holdall.open_database(f"delta+file://{tmp_path}/a table") as db:
        db.create(Record({"x": 1}, id="a"))
    with holdall.open_database(f"delta+file://{tmp_path}/a%20table?at_version=0") as db:
        assert db.read("a") == Record({"x": 1}, id="a")


def test_an_address_says_what_was_opened() -> None:
    store = open_records("delta+s3://bucket/a/b?at_version=7", BlockingRuntime())
    assert store.address == "delta+s3://bucket/a/b?at_version=7"
    assert store.type == "delta"
    assert json.loads(store.config_json())["table"] == "s3://bucket/a/b"


@pytest.mark.parametrize(
    "url",
    [
        "delta+file://relative/table",
        "delta+file:///",
        "delta+s3://bucket",
        "delta+s3:///table",
        "delta:///srv/table",
    ],
)
def test_an_address_that_names_no_table_is_refused(url: str) -> None:
    with pytest.raises(InvalidConfig):
        open_records(url, BlockingRuntime())


@pytest.mark.parametrize(
    "settings",
    [
        {"table": ""},
        {"table": "/srv/table"},
        {"table": "az://container/table"},
        {"table": "file:///srv/a%00b"},
        {"table": "file:///srv/t", "retries": -1},
        {"table": "file:///srv/t", "typed_from": -1},
        {"table": "file:///srv/t", "at_version": -1},
        {"table": "s3://b/t", "access_key": Secret("a")},
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        DeltaRecords.open(DeltaRecordSettings(**settings), BlockingRuntime())


def test_a_driver_that_would_lose_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deltalake.__version__", "1.2.1")
    with pytest.raises(InvalidConfig, match=r"deltalake 1\.2\.1 is too old"):
        holdall.open_database(f"delta+file://{tmp_path}/table")
