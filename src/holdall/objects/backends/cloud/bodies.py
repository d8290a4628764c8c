"""The body of an object in the cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from holdall.core.errors import Unavailable
from holdall.objects.backends.cloud import forks
from holdall.objects.options import PART_BYTES
from holdall.objects.results import ObjectMeta, ObjectStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdall.core.errors import HoldallError
    from holdall.core.runtime import Runtime

_END = b""
_CHUNK_BYTES = 512 * 1024  # larger ones leave the cache before they are read


@final
class CloudBytes(ObjectStream):
    """A body that came whole. What is known of the object is made out when it is asked for.

    A forked child can read it: obstore's answer has given all that it had, and waits for nothing.

    Args:
        data: The bytes.
        answer: What obstore gave.
        describe: Makes what is known of its answer.
    """

    __slots__ = ("_answer", "_describe", "_known", "_position")
    whole: bytes

    def __init__(self, data: bytes, answer: Any, describe: Callable[[Any], ObjectMeta]) -> None:
        self.start = 0
        self.length = len(data)
        self.whole = data
        self._answer = answer
        self._describe = describe
        self._known: ObjectMeta | None = None
        self._position = 0

    @property
    def meta(self) -> ObjectMeta:  # type: ignore[override]
        """What is known of the object."""
        if self._known is None:
            self._known = self._describe(self._answer)
        return self._known

    async def read(self, size: int) -> bytes:
        chunk = self.whole[self._position : self._position + size]
        self._position += len(chunk)
        return chunk

    async def read_all(self) -> bytes:
        rest = self.whole[self._position :]
        self._position = self.length
        return rest

    async def close(self) -> None:
        self._position = self.length


@final
class CloudStream(ObjectStream):
    """A body that comes as it is read, in one answer of the service.

    Args:
        meta: Of the object.
        start: Where in the object it begins.
        length: How many bytes there should be.
        answer: What obstore gave.
        runtime: How to wait.
        errors: What obstore raises.
        fault: Makes our error of obstore's.
        rest: Reads all of it at once, in parallel, where nothing was read yet; else None.
    """

    __slots__ = (
        "__weakref__",
        "_answer",
        "_chunk",
        "_chunks",
        "_errors",
        "_fault",
        "_left",
        "_rest",
        "_runtime",
    )

    def __init__(
        self,
        meta: ObjectMeta,
        start: int,
        length: int,
        answer: Any,
        runtime: Runtime,
        errors: tuple[type[Exception], ...],
        fault: Callable[[Exception], HoldallError],
        rest: Callable[[], Awaitable[bytes]] | None,
    ) -> None:
        super().__init__(meta, start, length)
        self._answer = answer
        self._chunks: Any = None
        self._chunk = memoryview(_END)
        self._left = length
        self._runtime = runtime
        self._errors = errors
        self._fault = fault
        self._rest = rest
        forks.watch(self)

    @property
    def held(self) -> tuple[Any, ...]:
        """What it holds of obstore."""
        return self._answer, self._chunks

    async def read(self, size: int) -> bytes:
        if not self._chunk and self._left:
            await self._next(min(size, _CHUNK_BYTES))
        taken = self._chunk[:size]
        self._chunk = self._chunk[len(taken) :]
        return bytes(taken)

    async def read_all(self) -> bytes:
        forks.check()
        if self._rest is not None and self._chunks is None and self._answer is not None:
            rest, self._rest = self._rest, None
            await self.close()
            return await rest()
        whole = bytearray()
        while chunk := await self.read(PART_BYTES):
            whole += chunk
        await self.close()
        return bytes(whole)

    async def close(self) -> None:
        self._answer = self._chunks = None
        self._chunk = memoryview(_END)
        self._left = 0

    async def _next(self, size: int) -> None:
        forks.check()
        if self._chunks is None:
            answer, self._answer = self._answer, None
            stream = answer.stream(min_chunk_size=size)
            self._chunks = iter(stream) if self._runtime.blocking else aiter(stream)
        try:
            chunk = await self._runtime.call(_step, _step_async, self._chunks)
        except self._errors as error:
            raise self._fault(error) from error
        if not chunk:
            raise Unavailable(
                f"{self.meta.ref}: the body ended {self._left} bytes early",
                reference=self.meta.ref,
            )
        view = memoryview(chunk)
        self._chunk = view[: self._left]
        self._left -= len(self._chunk)


def _step(chunks: Any) -> Any:
    return next(chunks, _END)


async def _step_async(chunks: Any) -> Any:
    return await anext(chunks, _END)
