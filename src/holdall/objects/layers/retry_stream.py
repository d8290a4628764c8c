"""A body that goes on where it broke off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from holdall.core.errors import HoldallError, InvalidRange, NotFound, PreconditionFailed
from holdall.objects.options import PART_BYTES, GetOptions
from holdall.objects.results import ObjectStream

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from holdall.core.reference import Reference
    from holdall.objects.layers.retry import Retry, Tries


@final
class RetryStream(ObjectStream):
    """A body that is opened again, at the next byte and under the same etag, when it breaks off.

    Where the store told no etag, the error is raised: the rest could be of another object.

    A read that failed or was cancelled may be asked for again, and gives the bytes that it would
    have given: what the body inside had handed out by then, nobody has.

    Args:
        retry: The layer.
        ref: Of the object.
        body: What the store inside answered.
    """

    __slots__ = ("_body", "_read", "_ref", "_retry")

    def __init__(self, retry: Retry, ref: Reference, body: ObjectStream) -> None:
        super().__init__(body.meta, body.start, body.length)
        self._retry = retry
        self._ref = ref
        self._body: ObjectStream | None = body  # None between a break and the next try
        self._read = 0

    def read(self, size: int) -> Coroutine[Any, Any, bytes]:
        return self._next(size, self._retry.clock(), None)

    async def read_all(self) -> bytes:
        began = self._read
        try:
            return await self._rest()
        except BaseException:
            self._read = began
            await self._let_go()
            raise

    async def _rest(self) -> bytes:
        started = self._retry.clock()
        tries = None
        if self._body is not None:
            try:
                # The store inside may read a large body in parallel.
                rest = await self._body.read_all()
            except HoldallError as error:
                tries = self._retry.tries(started)
                pause = await self._pause(tries, error)
                if pause is None:
                    raise
            else:
                self._read = self.length
                return rest
            await self._retry.runtime.sleep(pause)
        # What it had read so far is lost. From here on nothing is read twice.
        whole = bytearray(await self._next(PART_BYTES, started, tries))
        while chunk := await self.read(PART_BYTES):
            whole += chunk
        await self.close()
        return bytes(whole)

    async def _next(self, size: int, started: float, tries: Tries | None) -> bytes:
        """The next bytes; `tries` are those that failed already."""
        while True:
            try:
                if self._body is None:
                    if self._read >= self.length:
                        return b""
                    self._body = await self._opened_again()
                chunk = await self._body.read(size)
            except HoldallError as error:
                tries = tries or self._retry.tries(started)
                pause = await self._pause(tries, error)
                if pause is None:
                    raise
            except BaseException:
                await self._let_go()
                raise
            else:
                self._read += len(chunk)
                return chunk
            await self._retry.runtime.sleep(pause)

    async def close(self) -> None:
        self._read = self.length
        if self._body is not None:
            await self._body.close()

    async def _pause(self, tries: Tries, error: HoldallError) -> float | None:
        """Let go of the body, and answer how long to wait; None to raise the error."""
        pause = None if self.meta.etag is None else tries.pause(error)
        if error.transient:
            await self._let_go()
        return pause

    async def _let_go(self) -> None:
        """Close the body. A later read begins with a new one, at the right byte."""
        if self._body is not None and self.meta.etag is not None:
            body, self._body = self._body, None
            await body.close()

    async def _opened_again(self) -> ObjectStream:
        options = GetOptions(
            start=self.start + self._read, end=self.start + self.length, if_match=self.meta.etag
        )
        try:
            body = await self._retry.inner.get(self._ref, options)
        except (InvalidRange, NotFound, PreconditionFailed) as error:
            raise self._changed() from error
        # A range beyond the end may be answered before the condition is looked at.
        if body.meta.etag != self.meta.etag or body.length != self.length - self._read:
            await body.close()
            raise self._changed()
        return body

    def _changed(self) -> PreconditionFailed:
        return PreconditionFailed(
            f"{self._ref} was replaced or deleted while it was read, after {self._read} of "
            f"{self.length} bytes; read it from its beginning",
            reference=self._ref,
        )
