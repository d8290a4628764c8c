"""Moving records from one database to another, a batch at a time.

The source is read by id, each page from where the last one ended, so that what is written to it
meanwhile neither repeats nor skips a record. What the target holds says what is left to do: no
journal is kept, and a run after a kill finds what was written before it.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from holdall.core.errors import AlreadyExists, HoldallError, PreconditionFailed
from holdall.records.drafts import UnfitRecord, draft, fit_id, shown
from holdall.records.migration_checks import (
    changed_id,
    check_places,
    difference,
    is_missing,
    one_database,
    same,
)
from holdall.records.migration_results import MigrationFailure, MigrationReport
from holdall.records.migration_writing import OUTAGES_IN_A_ROW, delete_each, is_outage, write_each
from holdall.records.results import check_outage
from holdall.records.stored import Found, Removal, Stored, Write, Written

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from holdall.records.contract import RecordStore
    from holdall.records.migration_results import MigrationOptions, OnProgress, Transform

_TRIES = 10

# What a function of the user's raises about one record that it did not expect.
_UNEXPECTED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class _Item(Struct):
    """One record on its way.

    Args:
        row: As the source has it.
        write: What the target shall hold; None when it is left out or cannot be.
        error: Why it cannot be.
        done: Whether the target has it for sure.
    """

    row: Stored
    write: Write | None = None
    error: HoldallError | None = None
    done: bool = False


class Migration:
    """One migration.

    Args:
        source: Where from.
        target: Where to; its runtime waits.
        options: How.
        transform: Answers what becomes of a record; one call at a time.
        progress: Told how many records are done, of how many.
    """

    def __init__(
        self,
        source: RecordStore,
        target: RecordStore,
        options: MigrationOptions,
        transform: Transform | None = None,
        progress: OnProgress | None = None,
    ) -> None:
        self._source = source
        self._target = target
        self._options = options
        self._transform = transform
        self._progress = progress

    async def run(self) -> MigrationReport:
        """Do it; answer what was done."""
        report = MigrationReport()
        check_places(self._source, self._target)
        total = None
        if self._progress is not None:
            total = await self._source.count(self._options.predicate)
        outages = 0
        runtime = self._target.runtime
        async with (
            aclosing(self._batches()) as batches,
            aclosing(runtime.map(self._move, batches, self._options.workers)) as parts,  # type: ignore[type-var]
        ):
            async for part in parts:
                report.add(part)
                lost = [one.error for one in part.failed if is_outage(one.error)]
                outages = 0 if part.written or part.replaced else outages + len(lost)
                if outages >= OUTAGES_IN_A_ROW and lost:
                    raise lost[-1]
                if self._progress is not None:
                    self._progress(report.read, total)
        return report

    async def _batches(self) -> AsyncGenerator[list[_Item], None]:
        last: tuple[Any, ...] | None = None
        size, whole = self._options.batch, object()
        while True:
            found = Found(self._options.predicate, (), last, 0, size, whole)
            rows = await self._source.find(found)
            if last is None and rows:
                await self._check_first(rows[0])
            if rows:
                last = (rows[-1].id,)
                yield [self._item(row) for row in rows]
            if len(rows) < size:
                return

    async def _check_first(self, row: Stored) -> None:
        """Refuse one database under two names, where a migration would do harm.

        Nobody gives two records the same version. So a target that has it is the source, or a
        copy of its files; deleting what it has from the source could delete the only one.
        """
        if not self._options.delete_source and self._transform is None:
            return
        found = await self._target.get([row.id])
        check_outage(found)
        held = found[0]
        if isinstance(held, Stored) and held.version == row.version:
            raise one_database(self._source, self._target)

    def _item(self, row: Stored) -> _Item:
        can = self._target.capabilities
        try:
            if self._transform is None:
                return _Item(row, Write(fit_id(row.id, can), row.fields, row.metadata, "create"))
            record = self._transform(shown(row))
            if record is None:
                return _Item(row)
            write = draft(record, "create", can, row.id if record.id is None else None)
        except HoldallError as error:
            return _Item(row, error=error)
        except _UNEXPECTED as error:
            unfit = UnfitRecord(f"the record {row.id!r}: {type(error).__name__}: {error}")
            unfit.__cause__ = error
            return _Item(row, error=unfit)
        if write.id != row.id and self._options.on_conflict == "replace":
            return _Item(row, error=changed_id(row.id, write.id))
        return _Item(row, write)

    async def _move(self, items: list[_Item]) -> MigrationReport:
        report = MigrationReport(read=len(items))
        left = []
        for item in items:
            if item.error is not None:
                report.failed.append(MigrationFailure(item.row.id, item.error))
            elif item.write is None:
                report.left_out += 1
            else:
                left.append(item)
        for _ in range(_TRIES):
            left = await self._round(left, report)
            if not left:
                break
        for item in left:
            others = PreconditionFailed(
                f"the record {item.row.id!r} was changed in the target by others {_TRIES} times "
                "in a row",
                reference=item.row.id,
            )
            report.failed.append(MigrationFailure(item.row.id, others))
        if self._options.delete_source:
            await self._let_go([item.row for item in items if item.done], report)
        return report

    async def _round(self, items: Sequence[_Item], report: MigrationReport) -> list[_Item]:
        """Compare, write, and read back; answer those that others got in between."""
        writes: list[tuple[_Item, Write]] = []
        if not items:
            return []
        held = await self._target.get([item.write.id for item in items if item.write is not None])
        check_outage(held)
        for item, found in zip(items, held, strict=True):
            write = self._step(item, found, report)
            if write is not None:
                writes.append((item, write))
        if not writes:
            return []
        outcomes = await write_each(self._target, [write for _, write in writes])
        left: list[_Item] = []
        written: list[tuple[_Item, Write, Written]] = []
        for (item, write), outcome in zip(writes, outcomes, strict=True):
            if isinstance(outcome, Written):
                written.append((item, write, outcome))
            elif isinstance(outcome, PreconditionFailed) or is_missing(write, outcome):
                left.append(item)
            else:
                report.failed.append(MigrationFailure(item.row.id, outcome))
        await self._read_back(written, report)
        return left

    def _step(
        self, item: _Item, found: Stored | HoldallError | None, report: MigrationReport
    ) -> Write | None:
        """What to write, now that the target holds this; None when that was settled."""
        write = item.write
        assert write is not None
        if found is None:
            return write
        error: HoldallError
        if isinstance(found, HoldallError):
            error = found
        elif same(found, write):
            if self._options.delete_source and found.version == item.row.version:
                error = one_database(self._source, self._target)
            else:
                item.done = True
                report.same += 1
                return None
        elif self._options.on_conflict == "replace":
            return Write(write.id, write.fields, write.metadata, "update", found.version)
        elif self._options.on_conflict == "skip":
            report.skipped += 1
            return None
        else:
            error = AlreadyExists(f"the target has another record {write.id!r}", reference=write.id)
        report.failed.append(MigrationFailure(item.row.id, error))
        return None

    async def _read_back(
        self, written: Sequence[tuple[_Item, Write, Written]], report: MigrationReport
    ) -> None:
        held: Sequence[Stored | HoldallError | None] = []
        if self._options.verify and written:
            held = await self._target.get([write.id for _, write, _ in written])
            check_outage(held)
        for at, (item, write, outcome) in enumerate(written):
            error = difference(write, outcome, held[at]) if self._options.verify else None
            if error is not None:
                report.failed.append(MigrationFailure(item.row.id, error))
                continue
            item.done = self._options.verify
            if write.mode == "update":
                report.replaced += 1
            else:
                report.written += 1

    async def _let_go(self, rows: Sequence[Stored], report: MigrationReport) -> None:
        """Delete from the source what the target has, in the version that was read."""
        if not rows:
            return
        outcomes = await delete_each(self._source, [Removal(row.id, row.version) for row in rows])
        for row, outcome in zip(rows, outcomes, strict=True):
            if isinstance(outcome, HoldallError):
                report.kept.append(MigrationFailure(row.id, outcome))
            else:
                report.deleted += 1
