"""The same for asyncio: nothing waits in the loop, and what is cancelled leaves nothing behind."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from functools import wraps
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

import holdall
from holdall.core.errors import Timeout, Unavailable
from holdall.core.runtime.blocking import drive
from holdall.records import exchange
from holdall.records.exchange import (
    export_records_async,
    from_dataframe_async,
    import_records_async,
    to_dataframe_async,
)
from holdall.records.exchange.exporting import write_records
from holdall.records.exchange.json_lines import LinesWriter
from holdall.records.query import Query
from holdall.records.record import Record
from records.exchange.samples import database

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from holdall.records.async_database import AsyncDatabase

FORMATS = ["jsonl", "csv", "parquet", "arrow"]


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that runs on an event loop of its own."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def numbered(count: int) -> AsyncDatabase:
    db = holdall.open_database_async("memory://")
    await db.batch_create(Record({"n": f"{at}"}, f"{at:05}") for at in range(count))
    return db


def _needs(name: str) -> None:
    if name not in {"jsonl", "csv"}:
        pytest.importorskip("pyarrow" if name in {"parquet", "arrow"} else name)


@pytest.mark.parametrize(
    "name", ["export_records", "import_records", "to_dataframe", "from_dataframe"]
)
def test_both_faces_take_the_same(name: str) -> None:
    blocking, waiting = (
        inspect.signature(getattr(exchange, one)) for one in (name, f"{name}_async")
    )
    for (_, one), (_, other) in zip(
        blocking.parameters.items(), waiting.parameters.items(), strict=True
    ):
        assert (one.name, one.kind, one.default) == (other.name, other.kind, other.default)


@pytest.mark.parametrize("format_", FORMATS)
@on_loop
async def test_what_was_exported_is_imported(tmp_path: Path, format_: str) -> None:
    _needs(format_)
    path = tmp_path / f"a.{format_}"
    source, target = await numbered(2500), await numbered(0)
    out: list[Any] = []
    into: list[Any] = []
    query = Query().filter("n", "!=", "7")
    done = await export_records_async(
        source, path, None, query, progress=lambda *told: out.append(told)
    )
    assert done == 2499
    report = await import_records_async(
        target, path, batch=2000, progress=lambda *told: into.append(told)
    )
    assert (report.read, report.written, report.ok) == (2499, 2499, True)
    expected = [(one.id, one.fields["n"]) for one in await source.search(query)]
    assert [(one.id, one.fields["n"]) for one in await target.all()] == expected
    assert out == [(1000, 2499), (2000, 2499), (2499, 2499)]
    assert into == [(2000, None), (2499, None)]
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow"])
@on_loop
async def test_a_data_frame_comes_back(kind: Any) -> None:
    _needs(kind)
    source, target = await numbered(1500), await numbered(0)
    frame = await to_dataframe_async(source, Query().sort("id", "desc"), kind)
    assert len(frame) == 1500
    report = await from_dataframe_async(target, frame, batch=400)
    assert report.written == 1500
    assert [one.fields["n"] for one in await target.all()] == [f"{at}" for at in range(1500)]


@on_loop
async def test_a_record_that_cannot_be_written_is_told() -> None:
    db = await numbered(2)
    lines = BytesIO(b'{"id": "00001"}\n{"id": "new"}\n')
    report = await import_records_async(db, lines, "jsonl")
    assert [(one.line, one.id) for one in report.failed] == [(1, "00001")]
    assert report.written == 1
    upserted = await import_records_async(db, BytesIO(b'{"id": "00001"}\n'), "jsonl", "upsert")
    assert upserted.ok


@on_loop
async def test_settings_that_cannot_be_are_refused() -> None:
    db = await numbered(0)
    with pytest.raises(ValueError, match="types are for CSV"):
        await import_records_async(db, BytesIO(), "jsonl", types="infer")
    with pytest.raises(ValueError, match="xlsx"):
        await export_records_async(db, BytesIO(), "xlsx")


@on_loop
async def test_the_loop_goes_on_while_a_file_waits(tmp_path: Path) -> None:
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    writing = asyncio.create_task(export_records_async(await numbered(1), path))
    await asyncio.sleep(0)  # it is about to open the pipe, which waits for who reads
    assert await asyncio.to_thread(path.read_bytes) == b"id,n\r\n00000,0\r\n"
    assert await writing == 1


@on_loop
async def test_no_file_is_read_or_written_in_the_loop(tmp_path: Path) -> None:
    threads: set[int] = set()

    class Watched(BytesIO):
        def write(self, data: Any) -> int:
            threads.add(threading.get_ident())
            return super().write(data)

        def __next__(self) -> bytes:
            threads.add(threading.get_ident())
            return super().__next__()

    stream = Watched()
    await export_records_async(await numbered(3), stream, "jsonl")
    stream.seek(0)
    await import_records_async(await numbered(0), stream, "jsonl")
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("format_", FORMATS)
@on_loop
async def test_an_export_that_is_cancelled_leaves_what_was_there(
    tmp_path: Path, format_: str
) -> None:
    _needs(format_)
    path = tmp_path / f"a.{format_}"
    path.write_bytes(b"before")

    def cancel(_done: int, _total: int | None) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    exporting = asyncio.create_task(
        export_records_async(await numbered(1500), path, progress=cancel)
    )
    with pytest.raises(asyncio.CancelledError):
        await exporting
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == [path.name]


@on_loop
async def test_an_export_that_is_cancelled_as_it_begins_leaves_nothing(tmp_path: Path) -> None:
    exporting = asyncio.create_task(export_records_async(await numbered(1), tmp_path / "a.csv"))
    await asyncio.sleep(0)  # a thread opens the file
    exporting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exporting
    assert os.listdir(tmp_path) == []


@on_loop
async def test_an_export_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_given: Any) -> Record:
        raise Unavailable("the database is gone")

    db = await numbered(1)
    monkeypatch.setattr("holdall.records.async_database.shown", failing)
    with pytest.raises(Unavailable):
        await export_records_async(db, tmp_path / "a.jsonl")
    assert os.listdir(tmp_path) == []


def test_a_deadline_that_has_passed_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = database([Record({}, "1")])
    now = [0.0]
    monkeypatch.setattr("holdall.core.runtime.blocking.monotonic", lambda: now[0])

    async def export() -> None:
        async with db.store.runtime.deadline(5):
            await exchange._export(
                db.store, tmp_path / "a.jsonl", None, None, lambda *_: now.append(now.pop() + 9)
            )

    with pytest.raises(Timeout):
        drive(export())
    assert os.listdir(tmp_path) == []


def test_a_writer_is_closed_when_it_fails() -> None:
    closed: list[bool] = []

    class Failing(LinesWriter):
        def close(self) -> None:
            closed.append(True)

    class Full(BytesIO):
        def write(self, _data: Any) -> int:
            raise OSError("no space left")

    db = database([Record({}, "1")])
    with pytest.raises(OSError, match="no space"):
        drive(write_records(db.store, None, Failing(Full()), None))
    assert closed == [True]
