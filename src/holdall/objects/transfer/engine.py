"""Making a target hold what a source holds.

The two listings are walked side by side by whichever worker finds no key left, under a lock and
some keys ahead, so that a large object keeps one worker busy and not the others. A worker compares,
copies, and counts; one object's error is noted and the next one taken.
"""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING

from holdall.core.errors import (
    CircuitOpen,
    HoldallError,
    KeyConflict,
    NotFound,
    Timeout,
    Unauthenticated,
    Unavailable,
)
from holdall.objects.options import DELETE, HEAD
from holdall.objects.transfer.copying import Copier
from holdall.objects.transfer.joining import Listing, Pair, folder_of, join
from holdall.objects.transfer.journal import Journal
from holdall.objects.transfer.planning import (
    check_places,
    check_source,
    objection,
    step_for,
    with_source,
)
from holdall.objects.transfer.results import Failure, Progress, Step, SyncReport

if TYPE_CHECKING:
    from holdall.objects.contract import ObjectStore
    from holdall.objects.results import ObjectMeta
    from holdall.objects.transfer.results import OnProgress, OnStep, SyncOptions

_DELETE_BATCH = 1000
# Walking this many keys at a time, a worker enters and leaves the walk's code and its lock once.
_AHEAD = 32
_FAILURES_IN_A_ROW = 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class Sync:
    """One sync, with its counts.

    Args:
        source: What the target should hold.
        target: What is changed.
        options: How.
        on_progress: Told after each part and each object, from whichever thread; one at a time.
        on_step: Told what was done about each key, likewise.
    """

    def __init__(
        self,
        source: ObjectStore,
        target: ObjectStore,
        options: SyncOptions,
        on_progress: OnProgress | None,
        on_step: OnStep | None,
    ) -> None:
        self._source = source
        self._target = target
        self._options = options
        self._on_progress = on_progress
        self._on_step = on_step
        self._runtime = target.runtime
        self._turn = self._runtime.lock()
        self._left = Listing(source, options.prefix, options.exclude, lenient=True)
        self._right = Listing(target, options.prefix, options.exclude, lenient=True)
        self._pairs = join(self._left, self._right)
        self._ahead: deque[Pair] = deque()
        folder = folder_of(target, options.prefix)
        self._copier = Copier(source, target, folder, tags=options.tags)
        self._child = target.root.child
        self._journal = Journal(source, target, options.prefix, options.workers)
        self.report = self._report = SyncReport()
        """What was done so far."""
        # Held for a few lines and never across a wait.
        self._guard = threading.Lock()
        self._done = [0, 0]
        self._total: tuple[int, int] | None = None
        self._conflicts: list[tuple[Pair, HoldallError]] = []
        self._second_try = not options.delete
        self._in_a_row = 0
        self._over = False
        self._closed = False

    async def run(self) -> SyncReport:
        """Do it; answer what was done, which an interruption leaves in `report`."""
        report = self._report
        await check_places(self._source, self._target, self._options.prefix)
        # Other comparisons ask for no more than the listings say, or distrust all records.
        if self._options.compare == "checksum" and await self._journal.open():
            self._left.etags = self._right.etags = True
        workers = self._options.workers
        crew = range(workers) if self._on_progress is None else range(-1, workers)
        try:
            async with aclosing(self._pairs):
                async for _ in self._runtime.map(self._work, crew, len(crew)):
                    pass
        except BaseException:
            # A second Ctrl-C, while the threads are waited for, leaves them at work on their
            # objects. Whoever reads the report must not hear of it afterwards.
            with self._guard:
                self._closed = True
            raise
        finally:
            report.excluded = self._left.excluded
            report.foreign = self._left.foreign
        for failure in self._left.failed + self._right.failed:
            self._fail(failure.key, 0, failure.error)
        if report.stopped is None and not self._left.objects:
            await check_source(self._source, self._left, self._options)
        if self._options.delete and report.extra:
            await self._delete_extra()
        for pair, error in self._conflicts:
            self._fail(pair.key, 0 if pair.source is None else pair.source.size, error)
        report.failed.sort(key=lambda failure: failure.key)
        if report.stopped is None:
            await self._journal.forget()
        return report

    async def run_one(self, found: ObjectMeta) -> SyncReport:
        """Do it for one object of the source; nothing is listed, deleted or noted in a journal."""
        await check_places(self._source, self._target, "")
        self._total = (1, found.size)
        self._second_try = True
        try:
            theirs = await self._target.head(self._child(found.key), HEAD)
        except NotFound:
            theirs = None
        await self._handle(Pair(found.key, found, theirs))
        return self._report

    async def _work(self, number: int) -> None:
        try:
            if number < 0:
                await self._count()
                return
            while True:
                # Without a store that waits, nothing else here would notice an interruption.
                await self._runtime.sleep(0)
                if self._over or self._report.stopped is not None:
                    self._over = True
                    return
                try:
                    pair = self._ahead.popleft()
                except IndexError:
                    await self._look_ahead()
                else:
                    await self._handle(pair)
        except BaseException:
            self._over = True  # so that the others do not go on to the end of the listing
            raise

    async def _look_ahead(self) -> None:
        """Walk on, unless another worker did so meanwhile; what is found is theirs at once too."""
        async with self._turn:
            if self._ahead or self._over or self._report.stopped is not None:
                return
            for _ in range(_AHEAD):
                pair = await anext(self._pairs, None)
                if pair is None:
                    # What came before is worked off first; then somebody asks here once more.
                    if not self._ahead:
                        self._over = True
                    return
                self._ahead.append(pair)

    async def _count(self) -> None:
        """Count the source while the first objects are on their way, to know how far it is."""
        prefix, exclude = self._options.prefix, self._options.exclude
        listing = Listing(self._source, prefix, exclude, lenient=True)
        size = 0
        try:
            async with aclosing(listing.walk()) as objects:
                async for meta in objects:
                    size += meta.size
                    if self._over:
                        return
        except HoldallError:
            return  # the workers meet the same error, and theirs is reported
        self._total = (listing.objects, size)

    async def _handle(self, pair: Pair) -> None:
        if pair.source is None:
            with self._guard:
                self._report.extra += 1
            return
        begun_ns = time.time_ns()
        if pair.target is not None and await self._journal.has(pair):
            self._note(Step(pair.key, "same", None, pair.source.size))
            self._tell(pair.key, 1, pair.source.size)
            return
        step, seen = await step_for(self._source, self._target, pair, self._options)
        moved = 0

        def count(size: int) -> None:
            nonlocal moved
            moved += size
            self._tell(pair.key, 0, size)

        error = step.error
        if step.action == "copy":
            try:
                copied = await self._copier.copy(pair.source.ref, self._child(pair.key), count)
                step = Step(
                    pair.key,
                    "copy",
                    step.reason,
                    copied.meta.size,
                    copied.resumed,
                    reread=copied.reread,
                )
                seen = Pair(pair.key, copied.source, copied.meta)
            except HoldallError as raised:
                error = raised
        if error is None:
            self._note(step)
            made = step.action == "copy"
            await self._journal.note(pair.source, seen, begun_ns=begun_ns, copied=made)
        elif isinstance(error, KeyConflict) and not self._second_try:
            # What stands in the way may be something that delete removes.
            with self._guard:
                self._conflicts.append((pair, error))
            self._tell(pair.key, 0, -moved)
            return
        else:
            self._fail(pair.key, pair.source.size, error)
        self._tell(pair.key, 1, pair.source.size - moved)

    def _note(self, step: Step) -> None:
        report = self._report
        with self._guard:
            if self._closed:
                return
            self._in_a_row = 0
            if step.action == "copy":
                report.copied += 1
                report.bytes += step.size - step.resumed
                if step.resumed:
                    report.resumed += 1
                    report.resumed_bytes += step.resumed
                    report.reread_bytes += step.reread
            elif step.action == "delete":
                report.deleted += 1
            else:
                report.skipped += 1
            if self._on_step is not None:
                self._on_step(step)

    def _fail(self, key: str, size: int, error: HoldallError) -> None:
        with self._guard:
            if self._closed:
                return
            self._report.failed.append(Failure(key, error))
            self._in_a_row += isinstance(error, (Unavailable, Timeout))
            if self._concerns_all(error):
                self._report.stopped = error
            if self._on_step is not None:
                self._on_step(Step(key, "fail", None, size, error=error))

    def _concerns_all(self, error: HoldallError) -> bool:
        """Whether every other object would fail as well."""
        if isinstance(error, (Unauthenticated, CircuitOpen)):
            return True
        cause = error.__cause__
        full = isinstance(cause, OSError) and cause.errno in _FULL
        return full or self._in_a_row >= _FAILURES_IN_A_ROW

    def _tell(self, key: str, objects: int, size: int) -> None:
        if self._on_progress is not None:
            with self._guard:
                if self._closed:
                    return
                self._done[0] += objects
                self._done[1] += size
                total = self._total or (None, None)
                self._on_progress(Progress(key, *self._done, *total))

    # Deleting

    async def _delete_extra(self) -> None:
        if self._keeps(self._left, ok=self._report.ok):
            return
        # Listed again and not remembered: there may be as many as the target has objects. What
        # may not be read ends it now, for it would pass for what the source does not have.
        left = Listing(self._source, self._options.prefix, self._options.exclude)
        right = Listing(self._target, self._options.prefix, self._options.exclude)
        batch: list[ObjectMeta] = []
        async with (
            aclosing(join(left, right)) as pairs,
            aclosing(with_source(pairs, left, self._source, self._options)) as checked,
        ):
            async for pair in checked:
                if pair.source is None and pair.target is not None:
                    batch.append(pair.target)
                    if len(batch) == _DELETE_BATCH:
                        # A folder may have become a link since it was listed first.
                        if self._keeps(left):
                            return
                        await self._delete(batch)
                        batch = []
        if self._keeps(left):
            return
        await self._delete(batch)
        conflicts, self._conflicts = self._conflicts, []
        self._second_try = True
        for pair, _ in conflicts:
            await self._handle(pair)

    def _keeps(self, listing: Listing, *, ok: bool = True) -> bool:
        """Whether deleting must end here; the report says why."""
        report = self._report
        report.foreign = max(report.foreign, listing.foreign)
        why = objection(listing.foreign, self._options, ok=ok)
        if why is None:
            return False
        report.not_deleted = f"nothing {'more ' if report.deleted else ''}was deleted: {why}"
        return True

    async def _delete(self, batch: list[ObjectMeta]) -> None:
        if not batch:
            return
        try:
            failures = await self._target.delete([meta.ref for meta in batch], DELETE)
            errors = {failure.ref: failure.error for failure in failures}
        except HoldallError as error:
            errors = {meta.ref: error for meta in batch}
        for meta in batch:
            found = errors.get(meta.ref)
            if found is None:
                self._note(Step(meta.key, "delete", "extra", meta.size))
            else:
                self._fail(meta.key, meta.size, found)
