"""Files are written whole or not at all."""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import Unavailable
from holdall.records.drafts import shown
from holdall.records.exchange import export_records, import_records
from holdall.records.record import Record
from records.exchange.samples import database

if TYPE_CHECKING:
    from pathlib import Path


def numbered(count: int) -> Any:
    return database(Record({"n": at}, f"{at:05}") for at in range(count))


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.ndjson", "a.csv", "a.CSV", "a.parquet", "a.feather"]
)
def test_the_name_of_a_file_says_its_format(tmp_path: Path, name: str) -> None:
    if name.endswith(("parquet", "feather")):
        pytest.importorskip("pyarrow")
    path, target = tmp_path / name, database()
    assert export_records(numbered(3), path) == 3
    assert import_records(target, str(path)).written == 3
    assert os.listdir(tmp_path) == [name]


def test_a_name_that_says_nothing_needs_a_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not say its format"):
        export_records(numbered(1), tmp_path / "a.txt")
    with pytest.raises(ValueError, match="xlsx"):
        export_records(numbered(1), tmp_path / "a.txt", "xlsx")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("format_", ["jsonl", "csv", "parquet"])
def test_an_export_that_fails_leaves_what_was_there(
    tmp_path: Path, format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if format_ == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / "a"
    path.write_bytes(b"before")
    left = iter(range(1500))

    def failing(*given: Any) -> Record:
        if next(left, None) is None:
            raise Unavailable("the database is gone")
        return shown(*given)

    monkeypatch.setattr("holdall.records.async_database.shown", failing)
    with pytest.raises(Unavailable):
        export_records(numbered(2000), path, format_)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a"]


def test_an_export_through_a_link_writes_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    export_records(numbered(1), tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert b"00000" in (tmp_path / "real.jsonl").read_bytes()


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.touch(0o600)
    export_records(numbered(1), path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_export_to_a_pipe_is_written_to_it(tmp_path: Path) -> None:
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    export_records(numbered(1), path)
    reader.join()
    assert read == [b"id,n\r\n00000,0\r\n"]
    assert path.is_fifo()


def test_a_stream_stays_open() -> None:
    file = io.BytesIO()
    export_records(numbered(1), file, "csv")
    file.seek(0)
    import_records(database(), file, "csv")
    assert not file.closed


def test_a_stream_of_text_is_refused() -> None:
    with pytest.raises(TypeError, match="binary"):
        export_records(numbered(1), io.StringIO(), "csv")  # type: ignore[arg-type]


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        import_records(database(), tmp_path / "none.csv")


def test_progress_is_told() -> None:
    out: list[Any] = []
    into: list[Any] = []
    file = io.BytesIO()
    export_records(numbered(2500), file, "jsonl", progress=lambda *told: out.append(told))
    file.seek(0)
    import_records(database(), file, "jsonl", batch=2000, progress=lambda *told: into.append(told))
    assert out == [(1000, 2500), (2000, 2500), (2500, 2500)]
    assert into == [(2000, None), (2500, None)]


@pytest.mark.parametrize("setting", [{"mode": "update"}, {"batch": 0}])
def test_settings_that_cannot_be_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        import_records(database(), io.BytesIO(), "jsonl", **setting)
