"""The circuit breaker: a service that keeps failing is left alone for a while."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, final

from msgspec import Struct

from holdall.core.errors import CircuitOpen, HoldallError, InvalidKey, Timeout, Unsupported
from holdall.core.runtime.blocking import drive
from holdall.objects.layers.circuit import BreakerStats, Circuit, Phase, Refused, State
from holdall.objects.layers.layer import OPENING, Call, Layer, Send, Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.objects.contract import ObjectStore


__all__ = ["Breaker", "BreakerSettings", "BreakerStats"]

T = TypeVar("T")


class BreakerSettings(Struct, frozen=True, kw_only=True):
    """Settings of the layer `breaker`.

    Args:
        max_failures: After how many failures in a row it opens.
        timeout: How long it stays open.
        half_open_max_requests: How many calls then try the service; it closes when all of them
            went well, and opens again when one fails.
        name: What errors and statistics call it; empty for the store's address.
    """

    max_failures: int = 5
    timeout: timedelta = timedelta(seconds=30)
    half_open_max_requests: int = 3
    name: str = ""

    def __post_init__(self) -> None:
        for setting in ("max_failures", "half_open_max_requests"):
            value = getattr(self, setting)
            if value < 1:
                raise ValueError(f"{setting} is {value}: it must be at least 1")
        if self.timeout < timedelta(0):
            raise ValueError(f"timeout is {self.timeout}: below 0")


@final
class Breaker(Layer):
    """Refuses calls with `CircuitOpen` while a service fails, so that it can recover.

    What counts as a failure is what says that the service is down or overloaded: transient
    errors, time-outs, and changes whose answer was lost. An answer is a success, also one that
    says `NotFound` or that a condition does not hold. A cancelled call, one that was refused
    before it was sent, and one whose caller's own deadline has passed, count as neither.

    A delete of many is one call: it failed when none of its objects was deleted, each for such an
    error. Steps of bodies and uploads are calls too. A call that began before the last change of
    state changes nothing any more.

    Args:
        inner: The store that it stands around.
        settings: See `BreakerSettings`; the defaults when None.
        on_change: Called with name, old state and new state (`closed`, `open`, `half-open`) after
            each change, in their order, by whoever caused it: it must not wait. What it raises
            is logged.
        clock: Seconds that only grow; for tests.
    """

    name: ClassVar[str] = "breaker"
    another_way: ClassVar[str] = ", or put one around it with resilient(store)"
    settings_type = BreakerSettings

    def __init__(
        self,
        inner: ObjectStore,
        settings: Struct | None = None,
        *,
        on_change: Callable[[str, State, State], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner, settings)
        mine = self._settings
        assert isinstance(mine, BreakerSettings)
        self._circuit = Circuit(
            mine.name or str(inner.root),
            mine.max_failures,
            mine.timeout.total_seconds(),
            mine.half_open_max_requests,
            on_change,
            clock,
        )

    def at_once(self, way: Way, call: Call[Any]) -> Any:
        phase = self._circuit.phase
        if phase.state != "closed" or call.operation == "delete":
            return super().at_once(way, call)
        try:
            answer = way(call)
        except BaseException as error:
            drive(self._failed(phase, error))
            raise
        if phase.failures:
            self._circuit.settle(phase, True)
        if call.operation == "get" and answer.whole is not None:
            return answer
        return self.with_steps(call, answer) if call.operation in OPENING else answer

    async def around(self, call: Call[T], send: Send[T]) -> T:
        phase = self._circuit.phase
        if phase.state != "closed":
            admitted = self._circuit.admit()
            if isinstance(admitted, Refused):
                raise self._refusal(admitted, call)
            phase = admitted
        try:
            answer = await send(call)
        except BaseException as error:
            await self._failed(phase, error)
            raise
        if call.operation == "delete" and answer:
            self._settle_delete(phase, call, answer)
        elif phase.failures:
            self._circuit.settle(phase, True)
        if call.operation in OPENING and getattr(answer, "whole", None) is None:
            return self.with_steps(call, answer)
        return answer

    def circuit_breaker_stats(self) -> BreakerStats:
        """What it has counted."""
        return self._circuit.stats()

    def is_circuit_open(self) -> bool:
        """Whether calls are refused because the service failed; False once it may be tried."""
        return self._circuit.stats().state == "open"

    def reset_circuit_breaker(self) -> None:
        """Close it and forget the failures, such as after the service was repaired."""
        self._circuit.reset()

    async def _failed(self, phase: Phase, error: BaseException) -> None:
        """Count a call that failed."""
        went_well = None
        try:
            went_well = await self._judged(error)
        finally:  # whatever happens meanwhile, a probe gives its slot back
            self._circuit.settle(phase, went_well, error)

    async def _judged(self, error: BaseException) -> bool | None:
        """Whether an error shows that the service works; None when it says nothing of it."""
        if not isinstance(error, HoldallError):
            return None
        said = _said(error)
        if said is not False:
            return said
        # On a loop, the deadline of a caller cancels; without one, it is checked before a request.
        if isinstance(error, Timeout) and error.__cause__ is None and self.runtime.blocking:
            try:
                await self.runtime.sleep(0)
            except Timeout:
                return None
        return False

    def _settle_delete(self, phase: Phase, call: Call[Any], failures: Any) -> None:
        """Count a delete that did not do all of it."""
        said = {_said(one.error) for one in failures}
        if len(failures) < len(call.refs) or True in said:
            self._circuit.settle(phase, True)
        else:
            error = next((one.error for one in failures if _said(one.error) is False), None)
            self._circuit.settle(phase, None if error is None else False, error)

    def _refusal(self, refused: Refused, call: Call[Any]) -> CircuitOpen:
        ref = call.refs[0] if call.refs else self.root
        if refused.seconds is None:
            then = "other calls are trying it now"
        else:
            then = f"it is tried again in {refused.seconds:.3g} s"
        refusal = CircuitOpen(
            f"{ref}: not sent, since {self._circuit.name} has failed {refused.failures} times in a "
            f"row; {then} (circuit breaker). The last error was {refused.last}",
            reference=ref,
        )
        refusal.retry_after = refused.seconds
        return refusal


def _said(error: HoldallError) -> bool | None:
    """Whether an error shows that the service works; None when it says nothing of it."""
    # These are found out before anything is sent.
    if isinstance(error, (CircuitOpen, InvalidKey, Unsupported)):
        return None
    # All are answers but those that say that it is down or overloaded.
    return not (error.transient or error.uncertain or isinstance(error, Timeout))
