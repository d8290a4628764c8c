"""The state of a circuit breaker: what it has counted, and whether a call may be sent."""

from __future__ import annotations

import logging
import threading
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias, final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

State: TypeAlias = Literal["closed", "open", "half-open"]

_log = logging.getLogger("holdall.objects")


class BreakerStats(Struct, frozen=True, kw_only=True):
    """What a circuit breaker has counted.

    Args:
        name: Of which service.
        state: `closed`: calls go through. `open`: they are refused. `half-open`: a few are let
            through, to try.
        failures: How many calls failed since the last one that went well while it was closed.
        successes: How many of those that try the service went well; 0 while it is not half-open.
        max_failures: After how many failures it opens.
        timeout_seconds: How long it stays open.
        last_failure_time: When a call last failed, in UTC; None when none has.
    """

    name: str
    state: State
    failures: int
    successes: int
    max_failures: int
    timeout_seconds: float
    last_failure_time: datetime | None


@final
class Phase:
    """The time between two changes of state. A call belongs to the one that it was sent in.

    Attributes:
        state: The state.
        failures: In a row, with those that opened it; never 0 where it is not closed.
        admitted: How many probes were let through and not taken back.
        successes: How many of them went well.
        until: When it is over, where it is open.
    """

    __slots__ = ("admitted", "failures", "state", "successes", "until")

    def __init__(self, state: State, failures: int = 0, until: float = 0.0) -> None:
        self.state: State = state
        self.failures = failures
        self.until = until
        self.admitted = 0
        self.successes = 0


class Refused(Struct, frozen=True):
    """Why a call may not be sent.

    Args:
        failures: How many calls failed in a row.
        last: The last error, as text.
        seconds: After how many seconds the service is tried again; None while it is being tried.
    """

    failures: int
    last: str
    seconds: float | None


@final
class Circuit:
    """Counts how calls end. Threads and tasks may share it: nothing here waits.

    Args:
        name: What statistics and errors call it.
        max_failures: After how many failures in a row it opens.
        timeout: For how many seconds.
        probes: How many calls then try the service; it closes when all of them went well.
        on_change: Called after each change with name, old and new state; None for nobody.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        name: str,
        max_failures: int,
        timeout: float,
        probes: int,
        on_change: Callable[[str, State, State], object] | None,
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self.phase = Phase("closed")
        self._max_failures = max_failures
        self._timeout = timeout
        self._probes = probes
        self._on_change = on_change
        self._clock = clock
        self._lock = threading.Lock()
        self._last_failure = ""
        self._last_failure_time: datetime | None = None
        self._changes: deque[tuple[State, State]] = deque()
        self._telling = False

    def admit(self) -> Phase | Refused:
        """The phase that a call is sent in, which `settle` must be told of; or why it is not."""
        with self._lock:
            phase = self._current()
            answer: Phase | Refused = phase
            if phase.state == "open":
                left = max(0.0, phase.until - self._clock())
                answer = Refused(phase.failures, self._last_failure, left)
            elif phase.state == "half-open":
                if phase.admitted >= self._probes:
                    answer = Refused(phase.failures, self._last_failure, None)
                else:
                    phase.admitted += 1
        self._tell()
        return answer

    def settle(
        self, phase: Phase, went_well: bool | None, error: BaseException | None = None
    ) -> None:
        """Count a call that is over.

        Args:
            phase: What it was sent in; where that is over, the call does not count any more.
            went_well: None gives the slot of a probe back, and counts nothing.
            error: What it failed with.
        """
        with self._lock:
            if phase is not self.phase:
                return
            probe = phase.state == "half-open"
            if went_well is None:
                phase.admitted -= probe
            elif not went_well:
                phase.failures += 1
                # Its text alone: an error keeps all that its frames hold.
                self._last_failure = f"{type(error).__name__}: {error}"
                self._last_failure_time = datetime.now(UTC)
                if probe or phase.failures >= self._max_failures:
                    self._enter(Phase("open", phase.failures, self._clock() + self._timeout))
            elif probe:
                phase.successes += 1
                if phase.successes == self._probes:
                    self._enter(Phase("closed"))
            else:
                phase.failures = 0
        self._tell()

    def stats(self) -> BreakerStats:
        """What it has counted."""
        with self._lock:
            phase = self._current()
            stats = BreakerStats(
                name=self.name,
                state=phase.state,
                failures=phase.failures,
                successes=phase.successes,
                max_failures=self._max_failures,
                timeout_seconds=self._timeout,
                last_failure_time=self._last_failure_time,
            )
        self._tell()
        return stats

    def reset(self) -> None:
        """Close it and forget the failures."""
        with self._lock:
            self._enter(Phase("closed"))
        self._tell()

    def _current(self) -> Phase:
        """The phase of now; an open one ends by time alone. Called with the lock."""
        phase = self.phase
        if phase.state == "open" and self._clock() >= phase.until:
            phase = Phase("half-open", phase.failures)
            self._enter(phase)
        return phase

    def _enter(self, phase: Phase) -> None:
        """Begin a phase. Called with the lock."""
        if phase.state != self.phase.state:
            self._changes.append((self.phase.state, phase.state))
        self.phase = phase

    def _tell(self) -> None:
        """Tell of the changes of state, one at a time and in their order, without the lock."""
        while self._changes:
            with self._lock:
                if self._telling or not self._changes:
                    return  # who is telling goes on with what was added meanwhile
                self._telling = True
                old, new = self._changes.popleft()
            try:
                level = logging.WARNING if new == "open" else logging.INFO
                _log.log(level, "the circuit breaker of %s is %s, and was %s", self.name, new, old)
                if self._on_change is not None:
                    self._on_change(self.name, old, new)
            except Exception:  # noqa: BLE001 - a callback's error is nothing of the caller's
                _log.exception("on_change of the circuit breaker of %s failed", self.name)
            finally:
                self._telling = False
