"""Retry: what failed for a moment is tried again."""

from __future__ import annotations

import random
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, final

from msgspec import Struct
from msgspec.structs import replace

from holdall.core.errors import CircuitOpen, HoldallError
from holdall.core.runtime.blocking import drive
from holdall.objects.layers.call import Call, Send, Way, awaited
from holdall.objects.layers.layer import Layer
from holdall.objects.layers.retry_stream import RetryStream
from holdall.objects.results import DeleteFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdall.objects.contract import ObjectStore
    from holdall.objects.results import ObjectStream

T = TypeVar("T")

_NOTHING = timedelta(0)


class RetrySettings(Struct, frozen=True, kw_only=True):
    """Settings of the layer `retry`.

    Args:
        max_retries: How often a call is sent again, at most.
        delay: The longest wait before the first retry; doubled for each one after it. How long a
            wait is, is drawn between nothing and this, so that callers do not come back at once.
        max_delay: What doubling does not exceed. Only a service that asks for more time gets it.
        budget: How long a call may take with all its tries and waits: no wait begins that would
            end later. None or 0 for no limit.
    """

    max_retries: int = 3
    delay: timedelta = timedelta(milliseconds=100)
    max_delay: timedelta = timedelta(seconds=5)
    budget: timedelta | None = timedelta(seconds=60)

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and value < (0 if name == "max_retries" else _NOTHING):
                raise ValueError(f"{name} is {value}: below 0")


@final
class Retry(Layer):
    """Sends again what failed for a moment, and reads on where a body broke off.

    Only errors that are `transient` lead to another try, and only calls that may be repeated:
    no conditional write, no move, no step of an upload. What the breaker refused is not tried
    again. A service that says how long to wait (`retry_after` of the error) is not asked sooner.

    The error of the last try is raised as it came. A note on it says how many tries there were.

    A body that breaks off is opened again at the next byte, under the etag that it had. Each
    break has all the tries and all the time of a call. Of a delete of many, only those are sent
    again that failed for a moment.

    Args:
        inner: The store that it stands around.
        settings: See `RetrySettings`; the defaults when None.
        clock: Seconds that only grow; for tests.
        chance: Draws from 0 to 1; for tests.
    """

    name: ClassVar[str] = "retry"
    settings_type = RetrySettings

    def __init__(
        self,
        inner: ObjectStore,
        settings: Struct | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(inner, settings)
        mine = self._settings
        assert isinstance(mine, RetrySettings)
        self.clock = clock
        self._chance = chance
        self._max_retries = mine.max_retries
        self._delay = mine.delay.total_seconds()
        self._max_delay = mine.max_delay.total_seconds()
        budget = mine.budget.total_seconds() if mine.budget else threading.TIMEOUT_MAX
        self._budget = min(budget, threading.TIMEOUT_MAX)

    def at_once(self, way: Way, call: Call[Any]) -> Any:
        if call.operation == "delete":
            return super().at_once(way, call)
        started = self.clock()
        try:
            answer = way(call)
        except HoldallError as error:
            if not call.repeatable:
                raise
            again = self._again(call, awaited(way), started, error)
        else:
            if call.operation == "get" and answer.whole is None:
                return self._resumable(call, answer)
            return answer
        return drive(again)

    async def around(self, call: Call[T], send: Send[T]) -> T:
        if call.operation == "delete":
            return cast("T", await self._delete(call, send))
        started = self.clock()
        try:
            answer = await send(call)
        except HoldallError as error:
            if not call.repeatable:
                raise
            again = self._again(call, send, started, error)
        else:
            return self._resumable(call, answer)
        return await again

    async def _again(self, call: Call[T], send: Send[T], started: float, lost: HoldallError) -> T:
        """Send a call once more, and again, of which the first try was lost."""
        tries = self.tries(started)
        try:
            while True:
                pause = tries.pause(lost)
                if pause is None:
                    raise lost
                lost.with_traceback(None)  # which would hold this frame, and all in it
                await self.runtime.sleep(pause)
                try:
                    answer = await send(call)
                except CircuitOpen as error:
                    # This try was not sent. The one before it was, and may have been applied.
                    _note([lost], f"not tried again: {error.message}")
                    raise lost from lost.__cause__
                except HoldallError as error:
                    lost = error
                else:
                    return self._resumable(call, answer)
        finally:
            del lost  # its traceback holds this frame

    def _resumable(self, call: Call[T], answer: T) -> T:
        """The answer; of a body that comes piece by piece, one that goes on where it breaks off."""
        if call.operation == "get" and getattr(answer, "whole", None) is None:
            return cast("T", RetryStream(self, call.refs[0], cast("ObjectStream", answer)))
        return answer

    async def _delete(self, call: Call[Any], send: Send[Any]) -> Sequence[DeleteFailure]:
        """Delete; send only those again that failed for a moment."""
        refs, options = call.args
        left = call
        started = self.clock()
        tries = None
        for_good: list[DeleteFailure] = []
        again: Sequence[DeleteFailure] = ()
        lost: HoldallError | None = None
        while True:
            try:
                failures: Sequence[DeleteFailure] = await send(left)
            except HoldallError as error:
                if not call.repeatable:
                    raise
                if again and isinstance(error, CircuitOpen):
                    # As above: what is told is what the try before it ended with.
                    _note([one.error for one in again], f"not tried again: {error.message}")
                    if lost is not None and len(refs) == len(call.refs):
                        raise lost from lost.__cause__
                    return [*for_good, *again]
                tries = tries or self.tries(started)
                pause = tries.pause(error)
                lost = error.with_traceback(None) if pause is not None else error
                again = [DeleteFailure(ref, error) for ref in refs]
                if pause is None:
                    if len(refs) == len(call.refs):
                        raise
                    # Others are deleted, or failed for good, which only an answer can tell.
                    return [*for_good, *again]
            else:
                lost = None
                again = [failure for failure in failures if passes(failure.error)]
                if not again or not call.repeatable:
                    return [*for_good, *failures] if for_good else failures
                for_good += [failure for failure in failures if not passes(failure.error)]
                tries = tries or self.tries(started)
                pause = tries.pause(*(failure.error for failure in again))
                if pause is None:
                    return [*for_good, *again]
                refs = [failure.ref for failure in again]
                left = replace(call, refs=refs, args=(refs, options))
            await self.runtime.sleep(pause)

    def tries(self, started: float) -> Tries:
        """The tries of a call that began at this time and has just failed."""
        return Tries(self, started)

    def wait(self, retry: int) -> float:
        """How many seconds to wait before a retry, counted from 1."""
        # An exponent that is limited, since nothing limits how many retries there are.
        return self._chance() * min(self._max_delay, self._delay * 2.0 ** min(retry - 1, 64))

    @property
    def max_retries(self) -> int:
        """How often a call is sent again, at most."""
        return self._max_retries

    @property
    def budget(self) -> float:
        """How many seconds a call may take; without a limit, what a thread can wait at most."""
        return self._budget


@final
class Tries:
    """The tries of one call, from its first failure on.

    Args:
        retry: The layer.
        started: When the first one began, by the layer's clock.
    """

    __slots__ = ("_made", "_retry", "_started")

    def __init__(self, retry: Retry, started: float) -> None:
        self._retry = retry
        self._started = started
        self._made = 0

    def pause(self, *errors: HoldallError) -> float | None:
        """How many seconds to wait before the next try, after errors of this one.

        Returns:
            None when there is no next one; a note on each error then says how many there were.
        """
        self._made += 1
        took = self._retry.clock() - self._started
        reason = ""
        if all(map(passes, errors)) and self._made <= self._retry.max_retries:
            asked = max(0.0, *(error.retry_after or 0.0 for error in errors))
            # Not sooner than the service asked, and all callers not at once.
            pause = asked + self._retry.wait(self._made)
            if took + pause <= self._retry.budget:
                return pause
            wanted = f"the service asks for {asked:g} s" if asked else f"a wait of {pause:.3g} s"
            reason = f"; {wanted}, beyond the budget of {self._retry.budget:g} s"
        if self._made > 1 or reason:
            times = "1 try" if self._made == 1 else f"{self._made} tries"
            _note(errors, f"after {times} in {took:.3g} s{reason}")
        return None


def passes(error: HoldallError) -> bool:
    """Whether the same call may go well in a moment, as far as retrying is concerned."""
    return error.transient and not isinstance(error, CircuitOpen)


def _note(errors: Sequence[HoldallError], text: str) -> None:
    """Add a note to errors, of which some may be the same one."""
    for error in {id(error): error for error in errors}.values():
        error.add_note(text)
