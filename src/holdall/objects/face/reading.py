"""Reading an object, and asking what is known of it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, final

from holdall.core.errors import InvalidRange, LimitExceeded, NotFound
from holdall.core.runtime.blocking import Done, drive, drive_iterator
from holdall.objects.face.addresses import Addresses, AsyncAddresses
from holdall.objects.options import GET, HEAD, HEAD_TAGS, PART_BYTES, GetOptions
from holdall.objects.reader import ObjectReader
from holdall.objects.sources import CHUNK_BYTES, check_text, write_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from typing import Any

    from holdall.core.reference import Reference
    from holdall.objects.options import HeadOptions
    from holdall.objects.results import ObjectMeta, ObjectStream
    from holdall.objects.sources import Writable


class AsyncReading(AsyncAddresses):
    """The part of `AsyncDataStore` that reads."""

    @final
    async def read(
        self,
        key: str | Reference,
        *,
        start: int = 0,
        end: int | None = None,
        if_match: str | None = None,
        max_size: int | None = None,
    ) -> bytes:
        """Answer the bytes of an object, or a range of them.

        Args:
            key: Which.
            start: The first byte; below 0 counts from the end.
            end: The byte after the last one; None for the end of the object.
            if_match: Read only if it has this etag.
            max_size: Refuse more bytes than this; 0 for no limit. When None it is the store's
                `max_download` for a whole object, and no limit for a range.

        Raises:
            InvalidRange: The range begins outside of the object.
            LimitExceeded: There is more to read than `max_size`.
            PreconditionFailed: It has another etag.
        """
        limited = max_size is None and not start and end is None
        options = self._whole if limited else GET
        if start or end is not None or if_match is not None or max_size:
            if if_match is not None:
                check_text("if_match", if_match)
            most = self._max_download if limited else max_size
            options = GetOptions(start=start, end=end, if_match=if_match, max_size=most)
        ref = self.reference(key)
        try:
            stream = await self._store.get(ref, options)
            return await stream.read_all() if stream.whole is None else stream.whole
        except LimitExceeded as error:
            if limited and self._max_download:
                raise above_setting(error, self._max_download) from error
            raise

    @final
    async def read_into(self, key: str | Reference, writer: Writable, *, offset: int = 0) -> int:
        """Write the bytes of an object to a binary writer; answer how many.

        Args:
            key: Which.
            writer: Anything with `write`, which may be a coroutine function.
            offset: Where in the object to begin: 0, or inside of it.

        Raises:
            InvalidRange: The offset is below 0, or at or past the end.
        """
        ref = self.reference(key)
        count = 0
        if offset < 0:
            raise InvalidRange(f"{ref}: the offset {offset} is below 0", reference=ref)
        async with await self._store.get(ref, GetOptions(start=offset)) as stream:
            while chunk := await stream.read(PART_BYTES):
                await write_out(writer, chunk, self._store.runtime)
                count += len(chunk)
        return count

    @final
    async def open_reader(
        self,
        key: str | Reference,
        *,
        start: int = 0,
        end: int | None = None,
        if_match: str | None = None,
    ) -> ObjectStream:
        """Open the body of an object, or a range of it, for `async with`; see `ObjectStream`."""
        options = GetOptions(start=start, end=end, if_match=if_match)
        return await self._store.get(self.reference(key), options)

    @final
    async def stream(
        self,
        key: str | Reference,
        *,
        start: int = 0,
        end: int | None = None,
        chunk_size: int = PART_BYTES,
    ) -> AsyncIterator[bytes]:
        """Go through the bytes of an object, one chunk in memory at a time.

        All chunks are of the same object, also when a writer replaces it meanwhile.
        """
        if chunk_size < 1:
            raise ValueError(f"chunk_size is {chunk_size}: a chunk has at least one byte")
        stream = await self.open_reader(key, start=start, end=end)
        async with stream:
            while chunk := await stream.read(chunk_size):
                yield chunk
                del chunk  # or two would be in memory while the next one is read

    @final
    async def stat(self, key: str | Reference, *, tags: bool = False) -> ObjectMeta:
        """Answer what is known of an object.

        Args:
            key: Which.
            tags: Whether to ask for its tags too, more than one request on most services.
        """
        return await self._store.head(self.reference(key), HEAD_TAGS if tags else HEAD)

    @final
    async def exists(self, key: str | Reference) -> bool:
        """Whether there is an object."""
        return await self.size(key) is not None

    @final
    async def size(self, key: str | Reference) -> int | None:
        """The size of an object in bytes; None when there is none."""
        try:
            meta = await self._store.head(self.reference(key), HEAD)
        except NotFound:
            return None
        return meta.size


class Reading(Addresses):
    """The part of `DataStore` that reads."""

    _get: Callable[[Reference, GetOptions], Coroutine[Any, Any, ObjectStream] | Done[ObjectStream]]
    _head: Callable[[Reference, HeadOptions], Coroutine[Any, Any, ObjectMeta]]

    @final
    def read(
        self,
        key: str | Reference,
        *,
        start: int = 0,
        end: int | None = None,
        if_match: str | None = None,
        max_size: int | None = None,
    ) -> bytes:
        """Answer the bytes of an object, or a range of them.

        Args:
            key: Which.
            start: The first byte; below 0 counts from the end.
            end: The byte after the last one; None for the end of the object.
            if_match: Read only if it has this etag.
            max_size: Refuse more bytes than this; 0 for no limit. When None it is the store's
                `max_download` for a whole object, and no limit for a range.

        Raises:
            InvalidRange: The range begins outside of the object.
            LimitExceeded: There is more to read than `max_size`.
            PreconditionFailed: It has another etag.
        """
        if start or end is not None or if_match is not None or max_size is not None:
            return drive(
                self._face.read(key, start=start, end=end, if_match=if_match, max_size=max_size)
            )
        # The plain case, which is the most frequent one, without a coroutine around it.
        face = self._face
        ref = face._child(key) if type(key) is str else self._reference(key)
        try:
            opened = self._get(ref, face._whole)
            stream = opened.value if type(opened) is Done else drive(opened)
            return drive(stream.read_all()) if stream.whole is None else stream.whole
        except LimitExceeded as error:
            if face._max_download:
                raise above_setting(error, face._max_download) from error
            raise

    @final
    def read_into(self, key: str | Reference, writer: Writable, *, offset: int = 0) -> int:
        """Write the bytes of an object to a binary writer; answer how many.

        Args:
            key: Which.
            writer: Anything with `write`.
            offset: Where in the object to begin: 0, or inside of it.

        Raises:
            InvalidRange: The offset is below 0, or at or past the end.
        """
        return drive(self._face.read_into(key, writer, offset=offset))

    @final
    def open_reader(self, key: str | Reference) -> io.BufferedReader:
        """Open an object as a binary file that can seek; it stays the same object throughout."""
        raw = ObjectReader(self._store, self._face.reference(key))
        return io.BufferedReader(raw, CHUNK_BYTES)

    @final
    def stream(
        self,
        key: str | Reference,
        *,
        start: int = 0,
        end: int | None = None,
        chunk_size: int = PART_BYTES,
    ) -> Iterator[bytes]:
        """Go through the bytes of an object, one chunk in memory at a time.

        All chunks are of the same object, also when a writer replaces it meanwhile.
        """
        return drive_iterator(self._face.stream(key, start=start, end=end, chunk_size=chunk_size))

    @final
    def stat(self, key: str | Reference, *, tags: bool = False) -> ObjectMeta:
        """Answer what is known of an object.

        Args:
            key: Which.
            tags: Whether to ask for its tags too, more than one request on most services.
        """
        ref = self._face._child(key) if type(key) is str else self._reference(key)
        return drive(self._head(ref, HEAD_TAGS if tags else HEAD))

    @final
    def exists(self, key: str | Reference) -> bool:
        """Whether there is an object."""
        return drive(self._face.exists(key))

    @final
    def size(self, key: str | Reference) -> int | None:
        """The size of an object in bytes; None when there is none."""
        return drive(self._face.size(key))


def above_setting(error: LimitExceeded, limit: int) -> LimitExceeded:
    """The error for a body that is larger than the setting allows, with the way out."""
    return LimitExceeded(
        f"{error.reference}: it has more than {limit} bytes, which is what the setting "
        f"limits.max_download_mbs ({limit / 1024**2:g}) allows. Raise it (0 for no limit), read "
        "with max_size=0, or stream it",
        reference=error.reference,
    )
