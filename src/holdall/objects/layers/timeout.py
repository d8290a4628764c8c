"""A limit for how long one call may take."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, final

from msgspec import Struct

from holdall.core import errors
from holdall.core.runtime.blocking import begin_deadline, end_deadline
from holdall.objects.layers.layer import OPENING, Call, Layer, Send, Way

if TYPE_CHECKING:
    from holdall.objects.contract import ObjectStore

T = TypeVar("T")

_WHAT = "the limit of the layer 'timeout'"
_READS = frozenset({"get", "head", "list", "uploads", "sign", "read", "digest"})


class TimeoutSettings(Struct, frozen=True, kw_only=True):
    """Settings of the layer `timeout`.

    Args:
        call: How long one call may take: all the requests of one method of the contract. Each
            step of a body that is read piece by piece, and of an upload, has as long.
    """

    call: timedelta = timedelta(seconds=60)

    def __post_init__(self) -> None:
        if self.call < timedelta(milliseconds=1):
            raise ValueError(f"call is {self.call}: it must be at least 1 ms")


@final
class Timeout(Layer):
    """Ends a call that takes longer than the setting `call`, with `errors.Timeout`.

    On an event loop the call is cancelled when the time is used up. In blocking mode a request
    under way cannot be: it ends by the driver's own time-out (the store's setting `timeout`, 30 s
    unless set), and the limit is looked at before the next request of the same call. Those that
    clean up what it began are sent all the same.

    A write that was ended may have been applied. The error of a conditional one, or of a step of
    an upload, is therefore not transient: repeating it could be refused by its own success.
    """

    name: ClassVar[str] = "timeout"
    settings_type = TimeoutSettings

    def __init__(self, inner: ObjectStore, settings: TimeoutSettings | None = None) -> None:
        super().__init__(inner, settings)
        assert isinstance(self._settings, TimeoutSettings)
        self._seconds = self._settings.call.total_seconds()
        self._message = f"{_WHAT} of {self._seconds:g} s has passed"

    def at_once(self, way: Way, call: Call[Any]) -> Any:
        token = begin_deadline(self._seconds, _WHAT)
        try:
            answer = way(call)
        except errors.Timeout as error:
            if error.message != self._message:
                raise
            raise self._told(call) from error
        finally:
            end_deadline(token)
        if call.operation == "get" and answer.whole is not None:
            return answer
        return self.with_steps(call, answer) if call.operation in OPENING else answer

    async def around(self, call: Call[T], send: Send[T]) -> T:
        try:
            async with self._runtime.deadline(self._seconds, _WHAT):
                answer = await send(call)
        except errors.Timeout as error:
            # The driver's own, or that of a deadline further out, has said what there is to say.
            if error.message != self._message:
                raise
            raise self._told(call) from error
        if call.operation in OPENING and getattr(answer, "whole", None) is None:
            return self.with_steps(call, answer)
        return answer

    def _told(self, call: Call[T]) -> errors.Timeout:
        ref = call.refs[0] if call.refs else self._root
        again = call.repeatable or call.operation in _READS
        unknown = "" if again else "; it may have been applied all the same: look before repeating"
        error = errors.Timeout(
            f"{ref}: {call.operation} took longer than {self._seconds:g} s, which the setting "
            f"'call' of the layer 'timeout' allows{unknown}",
            reference=ref,
            transient=again,
        )
        error.uncertain = call.operation not in _READS
        return error
