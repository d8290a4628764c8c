"""What a sync has done so far, counted and told by all of its workers."""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING, final

from holdall.core.errors import CircuitOpen, Timeout, Unauthenticated, Unavailable
from holdall.objects.transfer.results import Failure, Progress, Step, SyncReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from holdall.core.errors import HoldallError
    from holdall.objects.results import ObjectMeta
    from holdall.objects.transfer.results import OnProgress, OnStep

    # As it was listed, as it was read, and as it was written.
    New: TypeAlias = tuple[ObjectMeta, ObjectMeta, ObjectMeta]

_FAILURES_IN_A_ROW = 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@final
class Tally:
    """The report of a sync, and who is told of it.

    Args:
        on_progress: Told after each part and each object, from whichever thread; one at a time.
        on_step: Told what was done about each key, likewise.

    Attributes:
        report: What was done so far.
        total: How many objects there are, and how many bytes they have; None until it is known.
        tells: Whether anybody is told.
        failures_in_a_row: How many objects failed, for that the target did not answer, since the
            last one that went well.
    """

    def __init__(self, on_progress: OnProgress | None, on_step: OnStep | None) -> None:
        self.report = SyncReport()
        self.total: tuple[int, int] | None = None
        self.tells = on_progress is not None or on_step is not None
        self._on_progress = on_progress
        self._on_step = on_step
        # Held for a few lines and never across a wait.
        self._guard = threading.Lock()
        self._done = [0, 0]
        self.failures_in_a_row = 0
        self._closed = False

    def close(self) -> None:
        """Count and tell nothing from now on."""
        with self._guard:
            self._closed = True

    def extra(self) -> None:
        """Count an object that only the target has."""
        with self._guard:
            self.report.extra += 1

    def note(self, step: Step) -> None:
        """Count what was done about one key, and tell it."""
        report = self.report
        with self._guard:
            if self._closed:
                return
            self.failures_in_a_row = 0
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

    def new(self, copied: Sequence[New]) -> None:
        """Count objects that were copied because the target did not have them; tell each."""
        report = self.report
        with self._guard:
            if self._closed:
                return
            report.copied += len(copied)
            for listed, _, written in copied:
                report.bytes += written.size
                if self._on_step is not None:
                    self._on_step(Step(listed.key, "copy", "missing", written.size))

    def answered(self) -> None:
        """Begin to count anew what fails in a row; for what is counted by `new` later."""
        with self._guard:
            self.failures_in_a_row = 0

    def fail(self, key: str, size: int, error: HoldallError) -> None:
        """Count what could not be done; where it concerns all that is left, the sync ends."""
        with self._guard:
            if self._closed:
                return
            self.report.failed.append(Failure(key, error))
            self.failures_in_a_row += isinstance(error, (Unavailable, Timeout))
            if self._concerns_all(error):
                self.report.stopped = error
            if self._on_step is not None:
                self._on_step(Step(key, "fail", None, size, error=error))

    def _concerns_all(self, error: HoldallError) -> bool:
        """Whether every other object would fail as well."""
        if isinstance(error, (Unauthenticated, CircuitOpen)):
            return True
        cause = error.__cause__
        full = isinstance(cause, OSError) and cause.errno in _FULL
        return full or self.failures_in_a_row >= _FAILURES_IN_A_ROW

    def tell(self, key: str, objects: int, size: int) -> None:
        """Tell how far it is: that so many more objects and bytes are done."""
        if self._on_progress is not None:
            with self._guard:
                if self._closed:
                    return
                self._done[0] += objects
                self._done[1] += size
                total = self.total or (None, None)
                self._on_progress(Progress(key, *self._done, *total))
