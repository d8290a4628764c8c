"""Imports into databases that fail."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import LimitExceeded, PartialFailure, Unavailable
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.database import Database
from holdall.records.exchange import import_records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdall.records.stored import Outcome, Write

LINES = b"".join(b'{"id": "%03d"}\n' % at for at in range(100))


def failing(
    monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Sequence[Write]], Sequence[Any] | None]
) -> Database:
    """A database that answers a batch with what a function says, if it says anything."""
    real = MemoryRecords.put

    async def put(self: MemoryRecords, writes: Sequence[Write]) -> Sequence[Outcome]:
        return spoil(writes) or await real(self, writes)

    monkeypatch.setattr(MemoryRecords, "put", put)
    return Database(MemoryRecords(MemoryRecordSettings(), BlockingRuntime()))


def test_a_record_that_is_too_large_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def spoil(writes: Sequence[Write]) -> None:
        if any(write.id == "042" for write in writes):
            raise LimitExceeded("too large")

    db = failing(monkeypatch, spoil)
    report = import_records(db, BytesIO(LINES), "jsonl", batch=64)
    assert [(one.line, one.id) for one in report.failed] == [(43, "042")]
    assert report.written == db.count() == 99
    with pytest.raises(PartialFailure, match="1 of 100 records were not imported"):
        report.check()


def test_an_outage_of_a_few_records_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(writes: Sequence[Write]) -> Sequence[Any] | None:
        return [Unavailable("not now")] * len(writes) if writes[0].id == "050" else None

    report = import_records(failing(monkeypatch, spoil), BytesIO(LINES), "jsonl", batch=5)
    assert [one.id for one in report.failed] == ["050", "051", "052", "053", "054"]
    assert report.written == 95


def test_an_outage_that_does_not_end_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(writes: Sequence[Write]) -> Sequence[Any]:
        return [Unavailable("not now")] * len(writes)

    with pytest.raises(Unavailable):
        import_records(failing(monkeypatch, spoil), BytesIO(LINES), "jsonl", batch=5)
