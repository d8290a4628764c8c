"""What a store did: how often, for how long, how many bytes, and what went wrong."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    NamedTuple,
    Protocol,
    TypeVar,
    cast,
    final,
    runtime_checkable,
)

import msgspec
from msgspec import Struct

from holdall.objects.layers.breaker import Breaker
from holdall.objects.layers.cache import Cache
from holdall.objects.layers.layer import OPENING, Call, Layer, Send, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from holdall.objects.contract import ObjectStore
    from holdall.objects.results import DeleteFailure

T = TypeVar("T")

_NOTED = 64  # so many calls are added up at a time
_OF_A_CACHE = {"hits", "misses", "write_errors", "fetch_seconds", "entries", "bytes"}


class Recorder(Protocol):
    """Takes what a metrics layer measures; called from many threads, and must not raise."""

    def record(
        self, operation: str, seconds: float, read: int, written: int, error: str | None
    ) -> None:
        """One call is over.

        Args:
            operation: The method of the contract, or a step: see `Call.operation`.
            seconds: How long it took, waiting included.
            read: How many bytes of bodies it gave.
            written: How many bytes of bodies it took.
            error: The kind of its error, such as `NotFound`; None when it went well. A delete
                that answers failures has the kind of the first.
        """


@runtime_checkable
class Watcher(Protocol):
    """A recorder that also wants to know the state of caches and breakers, when it is asked."""

    def watch(self, store: ObjectStore) -> None:
        """Ask `states(store)` from now on; the store that was watched before is forgotten."""


class State(NamedTuple):
    """One number that says how a cache or a breaker is.

    Args:
        name: `circuit_open` (1 or 0), `circuit_failures`, `cache_hits`, `cache_misses`,
            `cache_write_errors`, `cache_fetch_seconds`, `cache_entries` or `cache_bytes`.
        place: The breaker's name, or the address of the store behind the cache.
        value: The number.
    """

    name: str
    place: str
    value: float


def states(store: ObjectStore) -> Iterator[State]:
    """The state of the caches and breakers of a store, as it is now."""
    for one in store.stores():
        if isinstance(one, Breaker):
            stats = one.circuit_breaker_stats()
            yield State("circuit_open", stats.name, float(stats.state == "open"))
            yield State("circuit_failures", stats.name, stats.failures)
        elif isinstance(one, Cache):
            for name, value in msgspec.structs.asdict(one.stats()).items():
                if name in _OF_A_CACHE:
                    yield State(f"cache_{name}", str(one.root), value)


def unwatched() -> None:
    """No store is watched yet."""


class OperationCount(NamedTuple):
    """The calls of one operation.

    Args:
        calls: How many, the failed ones among them.
        seconds: How long they took together.
        read: How many bytes of bodies they gave.
        written: How many bytes of bodies they took.
        errors: How many failed, by kind.
    """

    calls: int
    seconds: float
    read: int
    written: int
    errors: Mapping[str, int]


@final
class Counters:
    """The recorder that a metrics layer has unless it is given another: numbers in memory.

    A call is only noted, which costs a third of what a lock and sums cost, above all after a
    request, when neither is in the processor's cache. What was noted is added up many at a time.

    Attributes:
        noted: The arguments of `record`, which `record` and `snapshot` add up.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._sums: dict[str, list[Any]] = {}
        self._errors: dict[tuple[str, str], int] = {}
        self.noted: deque[tuple[str, float, int, int, str | None]] = deque()
        self._watched: Callable[[], ObjectStore | None] = unwatched

    def watch(self, store: ObjectStore) -> None:
        self._watched = weakref.ref(store)

    def states(self) -> list[State]:
        """How the caches and breakers of the store are now; nothing once the store is gone."""
        store = self._watched()
        return [] if store is None else list(states(store))

    def record(
        self, operation: str, seconds: float, read: int, written: int, error: str | None
    ) -> None:
        self.noted.append((operation, seconds, read, written, error))
        if len(self.noted) >= _NOTED:
            with self._guard:
                self._add_up()

    def _add_up(self) -> None:
        """Add up what was noted. Called with the guard."""
        for _ in range(len(self.noted)):
            operation, seconds, read, written, error = self.noted.popleft()
            sums = self._sums.get(operation)
            if sums is None:
                sums = self._sums[operation] = [0, 0.0, 0, 0]
            sums[0] += 1
            sums[1] += seconds
            sums[2] += read
            sums[3] += written
            if error is not None:
                kind = (operation, error)
                self._errors[kind] = self._errors.get(kind, 0) + 1

    def snapshot(self) -> dict[str, OperationCount]:
        """The counts so far, by operation."""
        with self._guard:
            self._add_up()
            kinds: dict[str, dict[str, int]] = {operation: {} for operation in self._sums}
            for (operation, kind), count in self._errors.items():
                kinds[operation][kind] = count
            return {
                operation: OperationCount(sums[0], sums[1], sums[2], sums[3], kinds[operation])
                for operation, sums in self._sums.items()
            }


class MetricsSettings(Struct, frozen=True, kw_only=True):
    """Settings of the layer `metrics`; there are none."""


@final
class Metrics(Layer):
    """Tells a recorder of every call, and of every step of a body or an upload.

    Nothing is shared between stores: each has a recorder of its own unless it is given one.

    Args:
        inner: The store that it stands around.
        settings: There are none.
        recorder: Takes the measurements; `Counters` when None.
        clock: Seconds that only grow.
    """

    name: ClassVar[str] = "metrics"
    settings_type = MetricsSettings

    def __init__(
        self,
        inner: ObjectStore,
        settings: MetricsSettings | None = None,
        *,
        recorder: Recorder | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(inner, settings)
        self._recorder = Counters() if recorder is None else recorder
        self._record = self._recorder.record
        self._noted = self._recorder.noted if isinstance(self._recorder, Counters) else None
        if isinstance(self._recorder, Watcher):
            self._recorder.watch(self)
        self._clock = clock

    @property
    def recorder(self) -> Recorder:
        """What takes the measurements."""
        return self._recorder

    def at_once(self, way: Way, call: Call[Any]) -> Any:
        begun = self._clock()
        try:
            answer = way(call)
        except BaseException as error:
            seconds = self._clock() - begun
            self._record(call.operation, seconds, 0, 0, type(error).__name__)
            raise
        seconds = self._clock() - begun
        if call.operation == "get" and answer.whole is not None:
            # The most frequent case, without a call where that is enough.
            noted = self._noted
            if noted is None or len(noted) >= _NOTED:
                self._record("get", seconds, len(answer.whole), 0, None)
            else:
                noted.append(("get", seconds, len(answer.whole), 0, None))
            return answer
        return self._told(call, seconds, answer)

    async def around(self, call: Call[T], send: Send[T]) -> T:
        begun = self._clock()
        try:
            answer = await send(call)
        except BaseException as error:
            seconds = self._clock() - begun
            self._record(call.operation, seconds, 0, 0, type(error).__name__)
            raise
        return self._told(call, self._clock() - begun, answer)

    def _told(self, call: Call[T], seconds: float, answer: T) -> T:
        """The answer of a call that went well, of which the recorder knows then."""
        read = written = 0
        operation = call.operation
        failed = None
        if operation == "get":
            whole: bytes | None = getattr(answer, "whole", None)
            if whole is not None:
                self._record("get", seconds, len(whole), 0, None)
                return answer
        elif operation == "put":
            written = memoryview(call.args[1]).nbytes
        elif operation == "read":
            read = len(cast("bytes", answer))
        elif operation == "write":
            written = memoryview(call.args[0]).nbytes
        elif operation == "delete" and answer:
            failed = type(cast("Sequence[DeleteFailure]", answer)[0].error).__name__
        self._record(operation, seconds, read, written, failed)
        return self.with_steps(call, answer) if operation in OPENING else answer
