"""Making a target hold what a source holds.

The two listings are walked side by side by whichever worker finds no key left, under a lock and
some keys ahead, so that a large object keeps one worker busy and not the others. A worker compares,
copies, and counts; one object's error is noted and the next one taken.

Small objects that the target does not have are taken several at once: all are read, then one after
the other is written. Between two requests a processor forgets what it ran before, so that reading
many files in a row takes a third of the time that it takes to read each of them before its
request.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING

from holdall.core.errors import HoldallError, KeyConflict, NotFound
from holdall.objects.options import DELETE, HEAD
from holdall.objects.transfer.copying import Copier
from holdall.objects.transfer.joining import Listing, Pair, folder_of, join, join_groups
from holdall.objects.transfer.journal import Journal
from holdall.objects.transfer.planning import (
    check_places,
    check_source,
    objection,
    step_for,
    with_source,
)
from holdall.objects.transfer.results import Step, SyncReport
from holdall.objects.transfer.tally import Tally

if TYPE_CHECKING:
    from holdall.objects.contract import ObjectStore
    from holdall.objects.results import ObjectMeta
    from holdall.objects.transfer.copying import Fetched
    from holdall.objects.transfer.results import OnProgress, OnStep, SyncOptions
    from holdall.objects.transfer.tally import New

_DELETE_BATCH = 1000
# How many keys are known at least before a worker is free for them; where there are fewer, some
# worker walks on while the others go on with these.
_AHEAD = 256
# How many small objects one worker takes at once. More gains little, and an interruption finds more
# that were read for nothing.
_TOGETHER = 32


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
        self._tally = Tally(on_progress, on_step)
        self._counts = on_progress is not None
        self._runtime = target.runtime
        self._turn = self._runtime.lock()
        self._left = Listing(source, options.prefix, options.exclude, lenient=True)
        self._right = Listing(target, options.prefix, options.exclude, lenient=True)
        self._pairs = join_groups(self._left, self._right)
        self._ahead: deque[Pair] = deque()
        # With fewer than these, workers would take less than they can.
        self._least_ahead = max(_AHEAD, 2 * options.workers * _TOGETHER)
        folder = folder_of(target, options.prefix)
        self._copier = Copier(source, target, folder, tags=options.tags)
        self._small_bytes = self._copier.small_bytes
        self._child = target.root.children(target.root.child)
        self._journal = Journal(source, target, options.prefix, options.workers)
        self.report = self._report = self._tally.report
        """What was done so far."""
        self._conflicts: list[tuple[Pair, HoldallError]] = []
        self._second_try = not options.delete
        self._walking = self._listed = False
        self._walk_error: HoldallError | None = None
        self._over = self._broken = False

    async def run(self) -> SyncReport:
        """Do it; answer what was done, which an interruption leaves in `report`."""
        report = self._report
        await check_places(self._source, self._target, self._options.prefix)
        # Other comparisons ask for no more than the listings say, or distrust all records.
        if self._options.compare == "checksum" and await self._journal.open():
            self._left.etags = self._right.etags = True
        workers = self._options.workers
        crew = range(-1 if self._counts else 0, workers)
        try:
            async with aclosing(self._pairs):
                async for _ in self._runtime.map(self._work, crew, len(crew)):
                    pass
            if self._walk_error is not None:
                raise self._walk_error
        except BaseException:
            # A second Ctrl-C, while the threads are waited for, leaves them at work on their
            # objects. Whoever reads the report must not hear of it afterwards.
            self._tally.close()
            raise
        finally:
            report.excluded = self._left.excluded
            report.foreign = self._left.foreign
        for failure in self._left.failed + self._right.failed:
            self._tally.fail(failure.key, 0, failure.error)
        if report.stopped is None and not self._left.objects:
            await check_source(self._source, self._left, self._options)
        if self._options.delete and report.extra:
            await self._delete_extra()
        for pair, error in self._conflicts:
            self._tally.fail(pair.key, 0 if pair.source is None else pair.source.size, error)
        report.failed.sort(key=lambda failure: failure.key)
        if report.stopped is None:
            await self._journal.forget()
        return report

    async def run_one(self, found: ObjectMeta) -> SyncReport:
        """Do it for one object of the source; nothing is listed, deleted or noted in a journal."""
        await check_places(self._source, self._target, "")
        self._tally.total = (1, found.size)
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
            ahead = self._ahead
            while True:
                # Without a store that waits, nothing else here would notice an interruption.
                await self._runtime.sleep(0)
                if self._stops():
                    break
                few = len(ahead) < self._least_ahead and not self._listed
                if few and not (ahead and self._walking):
                    await self._look_ahead()
                new, other = self._take()
                if new:
                    await self._copy_new(new)
                if other is not None and not self._stops():
                    await self._handle(other)
                if self._listed and not ahead:
                    break
            self._over = True
        except BaseException:
            self._over = self._broken = True  # so that the others do not go on to the end
            raise

    def _stops(self) -> bool:
        """Whether no other object may be begun."""
        return self._broken or self._report.stopped is not None

    async def _look_ahead(self) -> None:
        """Walk on, unless another worker did so meanwhile; what is found is theirs at once too."""
        async with self._turn:
            if len(self._ahead) >= self._least_ahead or self._listed or self._stops():
                return
            self._walking = True
            try:
                pairs = await anext(self._pairs, None)
                if pairs is None:
                    self._listed = True
                else:
                    self._ahead += pairs
            except HoldallError as error:
                # What came before is worked off first.
                self._walk_error, self._listed = error, True
            finally:
                self._walking = False

    def _take(self) -> tuple[list[Pair], Pair | None]:
        """What to do next: small objects that are new, and then another one; or nothing.

        The fewer are left the fewer are taken, so that all workers end at about the same time.
        """
        ahead = self._ahead
        new: list[Pair] = []
        for _ in range(min(_TOGETHER, 1 + len(ahead) // (2 * self._options.workers))):
            try:
                pair = ahead.popleft()
            except IndexError:
                break
            mine = pair.source
            if mine is None or pair.target is not None or mine.size > self._small_bytes:
                return new, pair
            new.append(pair)
        return new, None

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
        self._tally.total = (listing.objects, size)

    async def _copy_new(self, pairs: list[Pair]) -> None:
        """Copy small objects that the target does not have: read them all, then write each."""
        begun_ns = time.time_ns()
        copier, tally, report = self._copier, self._tally, self._report
        fetched: list[tuple[Pair, ObjectMeta, Fetched]] = []
        last: Pair | None = None
        failed: HoldallError | None = None
        for pair in pairs:
            mine = pair.source
            assert mine is not None
            try:
                one = await copier.fetch(mine.ref, self._child(pair.key))
            except HoldallError as error:
                one, failed = None, error
            if one is None:
                # Failed, or larger than it was. What comes behind it waits, so that failures are
                # counted in the order of the keys.
                last = pair
                self._ahead.extendleft(reversed(pairs[len(fetched) + 1 :]))
                break
            fetched.append((pair, mine, one))
        copied: list[New] = []
        try:
            for pair, mine, one in fetched:
                if self._broken or report.stopped is not None:
                    break
                try:
                    written = await copier.send(one)
                except HoldallError as error:
                    self._failed(pair, mine, error)
                    continue
                if tally.failures_in_a_row:
                    tally.answered()
                if tally.tells:
                    await self._copied(mine, one.source, written, begun_ns)
                else:
                    copied.append((mine, one.source, written))
        finally:
            tally.new(copied)
        await self._journal.note_new(copied, begun_ns)
        if last is not None and not self._stops():
            if failed is None:
                await self._handle(last)
            elif last.source is not None:
                self._failed(last, last.source, failed)

    async def _copied(
        self, mine: ObjectMeta, source: ObjectMeta, written: ObjectMeta, begun_ns: int
    ) -> None:
        """Count, note and tell one small object that is new, at once."""
        copied, tally = [(mine, source, written)], self._tally
        tally.tell(mine.key, 0, written.size)
        tally.new(copied)
        await self._journal.note_new(copied, begun_ns)
        tally.tell(mine.key, 1, mine.size - written.size)

    async def _handle(self, pair: Pair) -> None:
        mine, tally = pair.source, self._tally
        if mine is None:
            tally.extra()
            return
        begun_ns = time.time_ns()
        if pair.target is not None and await self._journal.has(pair):
            tally.note(Step(pair.key, "same", None, mine.size))
            tally.tell(pair.key, 1, mine.size)
            return
        step, seen = await step_for(self._source, self._target, pair, self._options)
        moved = 0

        def count(size: int) -> None:
            nonlocal moved
            moved += size
            tally.tell(pair.key, 0, size)

        error = step.error
        if step.action == "copy":
            try:
                copied = await self._copier.copy(mine.ref, self._child(pair.key), count)
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
        if error is not None:
            self._failed(pair, mine, error, moved)
            return
        tally.note(step)
        made = step.action == "copy"
        await self._journal.note(mine, seen, begun_ns=begun_ns, copied=made)
        tally.tell(pair.key, 1, mine.size - moved)

    def _failed(self, pair: Pair, mine: ObjectMeta, error: HoldallError, moved: int = 0) -> None:
        if isinstance(error, KeyConflict) and not self._second_try:
            # What stands in the way may be something that delete removes.
            self._conflicts.append((pair, error))
            self._tally.tell(pair.key, 0, -moved)
            return
        self._tally.fail(pair.key, mine.size, error)
        self._tally.tell(pair.key, 1, mine.size - moved)

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
                        if self._report.stopped is not None:
                            return
        if self._keeps(left):
            return
        await self._delete(batch)
        if self._report.stopped is not None:
            return
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
                self._tally.note(Step(meta.key, "delete", "extra", meta.size))
            else:
                self._tally.fail(meta.key, meta.size, found)
