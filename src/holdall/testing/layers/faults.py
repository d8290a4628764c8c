"""What goes wrong between a store and its service, by script."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar, cast, final

import msgspec
from msgspec import Struct

from holdall.core.errors import HoldallError, Unavailable
from holdall.objects.contract import Upload
from holdall.objects.layers.layer import Call, Layer, Operation, Send
from holdall.objects.results import ObjectStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdall.objects.contract import ObjectStore

T = TypeVar("T")

_CUT: frozenset[Operation] = frozenset({"get", "put", "write"})
_CHANGES: frozenset[Operation] = frozenset({"put", "delete", "copy"})


class Fault(Struct, frozen=True, kw_only=True):
    """What goes wrong with one call.

    Without `cut` and `lost`, `error` is raised before the call is sent; without `error` too, the
    call only comes later.

    Args:
        error: What is raised: an exception, the same one each time, or a class of `HoldallError`,
            of which each call gets one of its own. `Unavailable` where `cut` or `lost` need one.
        delay: For how many seconds the call waits first, through the runtime's `sleep`.
        cut: How many bytes come through before the connection breaks. The body that a `get`
            opens raises once it gave so many; a shorter one comes whole. Of a `write` so many
            bytes arrive. A `put` leaves nothing, since it writes all or nothing.
        lost: The call is done, and its answer is lost: `error` is raised afterwards. A change that
            must not be repeated says by itself that it may have been applied, is not transient
            and is `uncertain`; all else is transient. The next bytes of an open body (`read`)
            have no answer to lose: cut the `get`.
    """

    error: BaseException | type[HoldallError] | None = None
    delay: float = 0.0
    cut: int | None = None
    lost: bool = False

    def __post_init__(self) -> None:
        if self.cut is not None and self.lost:
            raise ValueError("a call is cut or its answer is lost, not both")
        if self.cut is not None and self.cut < 0:
            raise ValueError(f"cut is {self.cut}: a number of bytes")
        if self.delay < 0:
            raise ValueError(f"delay is {self.delay}: a number of seconds")

    def fits(self, operation: Operation) -> bool:
        """Whether it can happen to a call of this operation."""
        if self.cut is not None:
            return operation in _CUT
        return not self.lost or operation != "read"


class FaultRule(Struct, frozen=True, kw_only=True):
    """When a fault happens: to the n-th call of an operation, and to how many from there.

    Args:
        fault: What happens. Calls that it cannot happen to are passed over, and not counted.
        operation: Only to calls of this operation, as `Call.operation` names it; None for all.
        key: Only to calls about this key, relative to the store; None for all.
        nth: To which of these calls, counted from 1.
        times: To how many, from that one on; None for all of them.
    """

    fault: Fault
    operation: Operation | None = None
    key: str | None = None
    nth: int = 1
    times: int | None = 1

    def __post_init__(self) -> None:
        if self.nth < 1:
            raise ValueError(f"nth is {self.nth}: calls are counted from 1")
        if self.operation is not None and not self.fault.fits(self.operation):
            raise ValueError(f"{self.fault} cannot happen to {self.operation!r}")


Script: TypeAlias = Sequence[FaultRule] | Callable[[Call[Any]], Fault | None]
"""Rules, of which the first one that holds decides; or a function that is asked for each call."""


class FaultsSettings(Struct, frozen=True, kw_only=True):
    """Settings of the layer `faults`; there are none, since a script is no text."""


@final
class Faults(Layer):
    """Lets calls fail as a script says, and counts them.

    It stands right around the store, in the place of the network, so that the layers outside of
    it are tested:

        Retry(Faults(store, [FaultRule(fault=Fault(lost=True), operation="put", nth=2)]))

    Nothing in it is random and nothing looks at a clock: the same calls in the same order meet
    the same faults. Threads share its counts; which of them makes the n-th call is theirs to know.

    A configuration cannot name it, so that a store with it can be neither pickled nor opened
    again.

    Args:
        inner: The store that it stands around.
        script: Rules; or a function that is given each call, steps of bodies and uploads among
            them, and answers what happens to it, None for nothing. It must not wait, and is
            asked by one thread at a time.
    """

    name: ClassVar[str] = "faults"
    settings_type = FaultsSettings
    steps: ClassVar[bool] = True

    def __init__(self, inner: ObjectStore, script: Script = ()) -> None:
        super().__init__(inner)
        self._asked = script if callable(script) else _Rules(script, inner)
        self._guard = threading.Lock()
        self._seen: Counter[Operation] = Counter()
        self._sent: Counter[Operation] = Counter()
        self._faults: Counter[Operation] = Counter()
        self._conditional: set[str] = set()

    @property
    def seen(self) -> Mapping[Operation, int]:
        """How many calls came here, by operation."""
        return self._copy(self._seen)

    @property
    def sent(self) -> Mapping[Operation, int]:
        """How many calls went on to the store inside, wholly or in part, by operation."""
        return self._copy(self._sent)

    @property
    def faults(self) -> Mapping[Operation, int]:
        """To how many calls the script let something happen, by operation."""
        return self._copy(self._faults)

    async def around(self, call: Call[T], send: Send[T]) -> T:
        with self._guard:
            self._seen[call.operation] += 1
            fault = self._asked(call)
            if fault is not None:
                if not fault.fits(call.operation):
                    raise ValueError(f"{fault} cannot happen to {call.operation!r}")
                self._faults[call.operation] += 1
        if fault is None:
            return self._known(call, await self._sent_on(call, send))
        if fault.delay:
            await self.runtime.sleep(fault.delay)
        if fault.cut is not None:
            return cast("T", await self._cut(call, send, fault, fault.cut))
        if fault.lost:
            try:
                await _let_go(self._known(call, await self._sent_on(call, send)))
            except HoldallError as error:
                raise _error(fault, call, self._lost(call)) from error
            raise _error(fault, call, self._lost(call))
        if fault.error is not None:
            raise _error(fault, call, _unavailable(call, "does not answer"))
        return self._known(call, await self._sent_on(call, send))

    async def _sent_on(self, call: Call[T], send: Send[T]) -> T:
        with self._guard:
            self._sent[call.operation] += 1
        return await send(call)

    async def _cut(self, call: Call[Any], send: Send[Any], fault: Fault, size: int) -> object:
        """Let so many bytes through, then raise; answer the body that will."""

        def broken() -> BaseException:
            return _error(fault, call, _unavailable(call, f"broke off after {size} bytes"))

        if call.operation == "get":
            body = await self._sent_on(call, send)
            return body if body.length <= size else _CutStream(body, size, broken)
        if call.operation == "write" and size:
            data = memoryview(call.args[0])[:size]
            await self._sent_on(msgspec.structs.replace(call, args=(data,)), send)
        raise broken()

    def _known(self, call: Call[Any], answer: T) -> T:
        """Remember which uploads have a condition: their commits must not be repeated."""
        if call.operation == "upload" and isinstance(answer, Upload):
            options = call.args[1]
            if options.if_match is not None or options.if_none_match is not None:
                with self._guard:
                    self._conditional.add(answer.id)
        return answer

    def _lost(self, call: Call[Any]) -> Unavailable:
        """The error of a call that was done and whose answer was lost."""
        unsure = call.operation in _CHANGES and not call.repeatable
        if call.operation == "commit":
            upload = getattr(call.function, "__self__", None)
            unsure = isinstance(upload, Upload) and upload.id in self._conditional
        error = _unavailable(call, "was sent, and its answer was lost")
        if unsure:
            error = Unavailable(
                f"{error.message}; it may have been applied: read the object and decide",
                reference=error.reference,
                transient=False,
            )
            error.uncertain = True
        return error

    def _copy(self, counts: Counter[Operation]) -> Mapping[Operation, int]:
        with self._guard:
            return dict(counts)


class _Rules:
    """A script of rules, each with the count of its calls."""

    def __init__(self, rules: Sequence[FaultRule], store: ObjectStore) -> None:
        self._rules = [
            (rule, None if rule.key is None else store.root.child(rule.key)) for rule in rules
        ]
        self._counts = [0] * len(self._rules)

    def __call__(self, call: Call[Any]) -> Fault | None:
        found = None
        for number, (rule, ref) in enumerate(self._rules):
            if rule.operation not in {None, call.operation} or not rule.fault.fits(call.operation):
                continue
            if ref is not None and ref not in call.refs:
                continue
            self._counts[number] += 1
            since = self._counts[number] - rule.nth
            due = since >= 0 and (rule.times is None or since < rule.times)
            if due and found is None:  # the others count all the same
                found = rule.fault
        return found


class _CutStream(ObjectStream):
    """A body that breaks off.

    Args:
        inner: The whole body.
        size: After how many bytes.
        broken: Makes what is raised then.
    """

    __slots__ = ("_broken", "_inner", "_left")

    def __init__(self, inner: ObjectStream, size: int, broken: Callable[[], BaseException]) -> None:
        super().__init__(inner.meta, inner.start, inner.length)
        self._inner = inner
        self._left = size
        self._broken = broken

    async def read(self, size: int) -> bytes:
        if not self._left:
            raise self._broken()
        chunk = await self._inner.read(min(size, self._left))
        self._left -= len(chunk)
        return chunk

    async def read_all(self) -> bytes:
        while self._left:
            await self.read(self._left)
        raise self._broken()

    async def close(self) -> None:
        await self._inner.close()


async def _let_go(answer: object) -> None:
    """Close what the caller will never have: a body, or an upload, whose bytes stay staged."""
    if isinstance(answer, (ObjectStream, Upload)):
        await answer.close()


def _error(fault: Fault, call: Call[Any], otherwise: HoldallError) -> BaseException:
    """What a fault raises."""
    if isinstance(fault.error, BaseException):
        return fault.error
    if fault.error is None:
        return otherwise
    ref = otherwise.reference
    return fault.error(f"{ref}: {call.operation} failed, as the script says", reference=ref)


def _unavailable(call: Call[Any], what: str) -> Unavailable:
    ref = call.refs[0] if call.refs else None
    return Unavailable(f"{ref}: {call.operation} {what}", reference=ref)
