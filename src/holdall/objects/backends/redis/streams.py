"""The body of a large object, read piece by piece.

A body is of one moment, also while a writer replaces or deletes the object. For that the first
request pins the value: whoever replaces or deletes a pinned value through Holdall renames it to a
place under `.holdall/old` instead, where its readers go on. It goes away when the last of them
has ended, or 60 s after the last one said anything. Copying every value for its reader would have
been simpler, and costs the server the memory for each reader of each large object; renaming costs
nothing, and only happens to those that are replaced while they are read.

Programs that write to the server by themselves know nothing of pins. What they change under a
reader is an error, from the length of the value or, at the end of the body, from the fingerprint
that its bytes had when it was opened: never bytes of two objects as if they were one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from holdall.core.errors import Corrupt, HoldallError
from holdall.objects.backends.redis.notes import Fingerprint
from holdall.objects.backends.redis.scripts import CHUNK, RELEASE
from holdall.objects.options import PART_BYTES
from holdall.objects.results import ObjectMeta, ObjectStream

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.backends.redis.server import Server


@final
class RedisStream(ObjectStream):
    """Reads a value that is too large to come with the first answer."""

    __slots__ = (
        "_end",
        "_fingerprint",
        "_found",
        "_note",
        "_pin",
        "_position",
        "_reader",
        "_ref",
        "_server",
    )

    def __init__(
        self,
        server: Server,
        ref: Reference,
        meta: ObjectMeta,
        span: tuple[int, int],
        pinned: tuple[bytes, bytes],
        note: bytes,
        fingerprint: str,
    ) -> None:
        start, end = span
        super().__init__(meta, start, end - start)
        self._server = server
        self._ref = ref
        self._position = start
        self._end = end
        self._pin, self._reader = pinned
        self._note = note
        self._fingerprint = fingerprint
        self._found = Fingerprint()

    async def read(self, size: int) -> bytes:
        count = min(size, self._end - self._position, PART_BYTES)
        if count <= 0:
            return b""
        if self._reader == b"":
            raise ValueError(f"the stream of {self._ref} is closed")
        last = self._position + count == self._end
        args = (
            self._ref.key.encode(),
            self._pin,
            self._reader,
            self._note,
            b"%d" % self.meta.size,
            b"%d" % self._position,
            b"%d" % count,
            b"1" if last else b"",
        )
        reply = await self._server.run(CHUNK, args, self._ref)
        if reply is None:
            raise self._lost("was replaced or deleted by another program, or lived out its time,")
        self._pin, _, chunk = reply.partition(b"\n")
        self._position += len(chunk)
        self._found.update(chunk)
        if last:
            self._pin = b"-"
            if self._found.hexdigest() != self._fingerprint:
                raise self._lost("was changed by another program")
        return chunk  # type: ignore[no-any-return]

    async def read_all(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def close(self) -> None:
        pin, reader = self._pin, self._reader
        self._pin, self._reader = b"-", b""
        if pin == b"-":
            return
        try:
            await self._server.run(RELEASE, (self._ref.key.encode(), pin, reader), self._ref)
        except HoldallError:
            return  # the pin ends by itself

    def _lost(self, how: str) -> Corrupt:
        return Corrupt(
            f"{self._ref} {how} while it was read, {self._position} of {self._end} bytes in; "
            "read it again",
            reference=self._ref,
        )
