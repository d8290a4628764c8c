"""A body on its way to the disk, for all who read it meanwhile."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, final

from holdall.core.errors import HoldallError, Timeout
from holdall.objects.options import PART_BYTES
from holdall.objects.results import ObjectMeta, ObjectStream

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from holdall.core.runtime import Runtime
    from holdall.objects.layers.cache_disk import DiskWriter
    from holdall.objects.options import GetOptions


@final
class Filling:
    """A whole body that is being written to the disk, which any number of readers share.

    Whoever needs a byte that is not there yet fetches it for all; what is there is read from the
    file. So nobody waits for one who reads slowly, and there is one request whoever goes away.
    What is not read to its end by anybody is not kept.

    When fetching or writing fails, the file is given up. The one in whose call it failed goes on
    with the body where it is, so that asked again it gives the bytes that it would have given.
    The others read from the file what is there, and the rest from the store, each for itself.

    Args:
        body: What the store answered.
        writer: Takes it.
        runtime: How it waits.
        ended: Called once, when it is over: with the writer if all of it is written, which is
            then to be finished; else with None.
        failed: Called when it could not be written.
        rest: Opens a part of the same version in the store, from a byte up to another.
    """

    def __init__(
        self,
        body: ObjectStream,
        writer: DiskWriter,
        runtime: Runtime,
        ended: Callable[[DiskWriter | None], object],
        failed: Callable[[OSError], object],
        rest: Callable[[int, int], Coroutine[Any, Any, ObjectStream]],
    ) -> None:
        self.rest = rest
        self._meta = body.meta
        self._body: ObjectStream | None = body  # None once it is written, or was given up
        self._writer = writer
        self._there = 0
        self._runtime = runtime
        self._lock = runtime.lock()
        self._ended = ended
        self._failed = failed
        self._readers: set[int] = set()

    def serves(self, meta: ObjectMeta, options: GetOptions) -> bool:
        """Whether it is the whole body that somebody asks for, of this version."""
        mine = self._meta
        return (
            self._body is not None
            and (mine.etag, mine.size) == (meta.etag, meta.size)
            and options.span(meta.size, meta.ref) == (0, meta.size)
        )

    def join(self, meta: ObjectMeta) -> FilledStream:
        """Read it from its beginning.

        Args:
            meta: What the reader is told of the object.
        """
        stream = FilledStream(meta, self)
        self._readers.add(id(stream))
        return stream

    async def next(self, reader: FilledStream, start: int, size: int | None) -> bytes | None:
        """The next bytes for a reader; None where it has to go on by itself.

        Args:
            reader: Who asks; it takes the body over when this fails.
            start: What it has read so far.
            size: How many bytes at most; None for all, which may come in several parts.
        """
        if start >= self._there:
            async with self._lock:
                if start >= self._there:
                    return await self._fetch(reader, size)
        stop = min(start + (size or PART_BYTES), self._there)
        try:
            return await self._runtime.call(self._writer.read, None, start, stop)
        except HoldallError:
            raise  # a time-out, which is an OSError too, and says nothing of the file
        except OSError:
            return None

    async def _fetch(self, reader: FilledStream, size: int | None) -> bytes | None:
        body = self._body
        if body is None:
            return None
        try:
            # The store inside may read a large body in parallel.
            came = await (body.read_all() if size is None else body.read(size))
        except BaseException:
            await self._give_up(reader, body)
            raise
        try:
            await self._keep(came, body)
        except BaseException as error:
            if self._body is not None:
                await self._give_up(reader, body)
            # A time-out is an OSError too, and says nothing of the disk.
            if not isinstance(error, OSError) or isinstance(error, HoldallError):
                reader.put_back(came)
                raise
            self._failed(error)
        return came

    async def _keep(self, data: bytes, body: ObjectStream) -> None:
        await self._runtime.call(self._writer.write, None, data)
        self._there += len(data)
        if self._there == self._meta.size:
            self._body = None
            await self._runtime.call(self._ended, None, self._writer)
            await body.close()

    async def _give_up(self, reader: FilledStream, body: ObjectStream) -> None:
        self._body = None
        self._ended(None)
        reader.take_over(body)
        with suppress(Timeout):
            await self._runtime.call(self._writer.forget, None)

    async def leave(self, reader: FilledStream) -> None:
        """Let a reader go; the last one takes with it what is not there yet."""
        self.forget(reader)
        if self._readers:
            return
        body, self._body = self._body, None
        try:
            if body is not None:
                self._ended(None)
                await body.close()
        finally:
            await self._runtime.call(self._writer.close, None)

    def forget(self, reader: FilledStream) -> None:
        """Count on a reader no more, which was dropped."""
        self._readers.discard(id(reader))

    def __del__(self) -> None:
        if self._body is not None:
            self._ended(None)


@final
class FilledStream(ObjectStream):
    """A body that is being written to the disk, for one of its readers.

    Args:
        meta: What is known of the object.
        filling: What it shares with the others.
    """

    __slots__ = ("_came", "_filling", "_own", "_position")

    def __init__(self, meta: ObjectMeta, filling: Filling) -> None:
        super().__init__(meta, 0, meta.size)
        self._filling = filling
        self._position = 0
        self._came = b""  # and was not handed out yet
        self._own: ObjectStream | None = None

    def take_over(self, body: ObjectStream) -> None:
        """Go on with the body itself, after what was put back."""
        self._own = body

    def put_back(self, data: bytes) -> None:
        """Hand out these bytes before all others."""
        self._came = data + self._came

    async def read(self, size: int) -> bytes:
        data = self._came[:size]
        if data:
            self._came = self._came[size:]
        elif self._position < self.length:
            data = await self._next(size)
        self._position += len(data)
        return data

    async def read_all(self) -> bytes:
        parts = []
        began = self._position
        try:
            while self._position < self.length:
                part = self._came or await self._next(None)
                self._came = b""
                if not part:
                    break
                parts.append(part)
                self._position += len(part)
        except BaseException:
            self._position = began
            self.put_back(b"".join(parts))
            raise
        await self.close()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def close(self) -> None:
        self._position = self.length
        self._came = b""
        own, self._own = self._own, None
        try:
            if own is not None:
                await own.close()
        finally:
            await self._filling.leave(self)

    async def _next(self, size: int | None) -> bytes:
        if self._own is None:
            data = await self._filling.next(self, self._position, size)
            if data is not None:
                return data
            self._own = await self._filling.rest(self._position, self.length)
        return await (self._own.read_all() if size is None else self._own.read(size))

    def __del__(self) -> None:
        self._filling.forget(self)
