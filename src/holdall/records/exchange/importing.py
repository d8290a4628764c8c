"""Writing what was read into a database, batch by batch."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from msgspec import Struct, field

from holdall.core.errors import HoldallError, PartialFailure
from holdall.records.drafts import UnfitRecord, draft
from holdall.records.migration_writing import OUTAGES_IN_A_ROW, is_outage, write_each
from holdall.records.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from holdall.records.contract import RecordStore
    from holdall.records.exchange.exporting import OnProgress
    from holdall.records.stored import Write

ImportMode: TypeAlias = Literal["create", "upsert"]


class Line(Struct, frozen=True):
    """One record that was read.

    Args:
        number: The line of the file in which it begins, or the row of a table, counted from 1.
        record: The record; None where there is none.
        error: Why there is none.
    """

    number: int
    record: Record | None
    error: HoldallError | None = None


class ImportFailure(Struct, frozen=True):
    """One record that was not imported.

    Args:
        line: The line of the file in which it begins, or the row of a table, counted from 1.
        id: Its id; None where it has none, or could not be read.
        error: Why.
    """

    line: int
    id: str | None
    error: HoldallError


class ImportReport(Struct, kw_only=True):
    """What an import did.

    Args:
        read: How many records were met.
        written: How many were written.
        failed: The others, and why, in their order.
    """

    read: int = 0
    written: int = 0
    failed: list[ImportFailure] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every record was written."""
        return not self.failed

    def check(self) -> None:
        """Raise `PartialFailure`, with all errors, unless every record was written."""
        if self.failed:
            errors = [failure.error for failure in self.failed]
            raise PartialFailure(f"{len(errors)} of {self.read} records were not imported:", errors)


def line_of(number: int, read: Callable[..., Record], *given: Any) -> Line:
    """Answer what a function makes of a line, or its error where that is about the record."""
    try:
        return Line(number, read(*given))
    except HoldallError as error:
        return Line(number, None, error)
    except (TypeError, ValueError) as error:
        return Line(number, None, _unfit(number, error))


def _unfit(number: int, error: Exception) -> UnfitRecord:
    unfit = UnfitRecord(f"the record of line {number}: {error}")
    unfit.__cause__ = error
    return unfit


async def write_rows(
    store: RecordStore,
    lines: Iterable[Line],
    mode: ImportMode,
    batch: int,
    progress: OnProgress | None,
    total: int | None = None,
) -> ImportReport:
    """Write records as they are read, and hold a batch of them at a time.

    Raises:
        CodecError: The file cannot be read on. Whole batches before that are written.
        HoldallError: The database cannot be reached or used.
        ValueError: The mode or the batch cannot be.
    """
    if mode not in get_args(ImportMode):
        raise ValueError(f"mode={mode!r} is unknown; there are {', '.join(get_args(ImportMode))}")
    if batch < 1:
        raise ValueError(f"batch={batch} must be at least 1")
    report = ImportReport()
    left = iter(lines)
    outages = 0
    while some := await store.runtime.call(_taken, None, left, batch):
        failed = await _write(store, some, mode)
        report.read += len(some)
        report.written += len(some) - len(failed)
        report.failed += failed
        lost = [one.error for one in failed if is_outage(one.error)]
        outages = outages + len(lost) if len(failed) == len(some) else 0
        if lost and outages >= OUTAGES_IN_A_ROW:
            raise lost[-1]
        if progress is not None:
            progress(report.read, total)
    return report


def _taken(lines: Iterator[Line], number: int) -> list[Line]:
    return list(islice(lines, number))


async def _write(
    store: RecordStore, lines: Sequence[Line], mode: ImportMode
) -> list[ImportFailure]:
    failed: list[tuple[int, ImportFailure]] = []
    writes: list[Write] = []
    places: list[int] = []
    for at, line in enumerate(lines):
        made = line
        if line.record is not None:
            try:
                writes.append(draft(line.record, mode, store.capabilities))
                places.append(at)
                continue
            except HoldallError as error:
                made = Line(line.number, line.record, error)
            except (TypeError, ValueError) as error:
                made = Line(line.number, line.record, _unfit(line.number, error))
        assert made.error is not None
        id_ = None if made.record is None else made.record.id
        failed.append((at, ImportFailure(made.number, id_, made.error)))
    outcomes = await write_each(store, writes) if writes else []
    for at, write, outcome in zip(places, writes, outcomes, strict=True):
        if isinstance(outcome, HoldallError):
            failed.append((at, ImportFailure(lines[at].number, write.id, outcome)))
    return [failure for _, failure in sorted(failed, key=lambda pair: pair[0])]
