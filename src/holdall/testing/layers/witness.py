"""A store that sees what a layer sends it."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, cast, final

from msgspec import Struct

from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.objects.layers.layer import Call, Layer, Operation, Send
from holdall.objects.results import ObjectStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime
    from holdall.objects.contract import ObjectStore

T = TypeVar("T")


class Arrived(NamedTuple):
    """A call that came; unlike a `Call` it holds no body open.

    Args:
        operation: Which.
        refs: What it was about.
        args: With which arguments.
    """

    operation: Operation
    refs: tuple[Reference, ...]
    args: tuple[Any, ...]


class WitnessSettings(Struct, frozen=True):
    """Settings of a witness; there are none."""


@final
class Witness(Layer):
    """A memory store that remembers its calls, and gives bodies piece by piece.

    Args:
        runtime: How it waits.
        inner: The store inside; an empty memory store when None.

    Attributes:
        calls: What came, steps of bodies and uploads among it.
        closed: How often it was closed.
        acts: What is done before a call of an operation is sent; raises to let it fail.
    """

    name: ClassVar[str] = "witness"
    settings_type = WitnessSettings
    steps: ClassVar[bool] = True

    def __init__(self, runtime: Runtime, inner: ObjectStore | None = None) -> None:
        super().__init__(MemoryStore(MemorySettings(), runtime) if inner is None else inner)
        self.calls: list[Arrived] = []
        self.closed = 0
        self.acts: dict[Operation, Callable[[], Awaitable[None]]] = {}
        self._bodies: list[weakref.ref[_Body]] = []
        self._guard = threading.Lock()

    @property
    def operations(self) -> list[Operation]:
        """The operations of the calls that came."""
        return [call.operation for call in self.calls]

    @property
    def open_bodies(self) -> int:
        """How many bodies are neither closed nor dropped nor read to their end."""
        if self._open():
            gc.collect()  # it may only be waiting to be dropped
        return self._open()

    def _open(self) -> int:
        bodies = [body() for body in self._bodies]
        return sum(body is not None and body.open for body in bodies)

    def fail(self, operation: Operation, error: BaseException) -> None:
        """Let each call of an operation raise this from now on."""

        async def act() -> None:
            raise error

        self.acts[operation] = act

    async def around(self, call: Call[T], send: Send[T]) -> T:
        with self._guard:
            self.calls.append(Arrived(call.operation, tuple(call.refs), call.args))
        act = self.acts.get(call.operation)
        if act is not None:
            await act()
        answer = await send(call)
        if call.operation == "get":
            body = _Body(cast("ObjectStream", answer))
            with self._guard:
                self._bodies.append(weakref.ref(body))
            return cast("T", body)
        return answer

    async def close(self) -> None:
        self.closed += 1
        await super().close()


@final
class _Body(ObjectStream):
    """A body that does not come with the answer."""

    __slots__ = ("__weakref__", "_inner", "_left", "open")

    def __init__(self, inner: ObjectStream) -> None:
        super().__init__(inner.meta, inner.start, inner.length)
        self._inner = inner
        self._left = inner.length
        self.open = True

    async def read(self, size: int) -> bytes:
        chunk = await self._inner.read(size)
        self._left -= len(chunk)
        self.open = self.open and self._left > 0
        return chunk

    async def read_all(self) -> bytes:
        self.open = False
        return await self._inner.read_all()

    async def close(self) -> None:
        self.open = False
        await self._inner.close()
