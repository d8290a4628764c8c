"""Writing an object, whole or in steps."""

from __future__ import annotations

from datetime import timedelta
from time import time_ns
from typing import TYPE_CHECKING, Unpack, final

from holdall.core.errors import Corrupt, NotFound, Unavailable
from holdall.core.runtime.blocking import Done, drive, drive_iterator
from holdall.objects.face.addresses import Addresses, AsyncAddresses
from holdall.objects.options import WRITE
from holdall.objects.sources import AsyncStream, WriteKeywords, plain, write_options
from holdall.objects.writer import AsyncObjectWriter, BlockingUpload, ObjectWriter, write_stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from typing import Any

    from holdall.core.reference import Reference
    from holdall.objects.contract import Data, Upload
    from holdall.objects.options import WriteOptions
    from holdall.objects.results import ObjectMeta, UploadInfo
    from holdall.objects.sources import Stream


class AsyncWriting(AsyncAddresses):
    """The part of `AsyncDataStore` that writes."""

    @final
    async def write(
        self,
        key: str | Reference,
        data: Data | AsyncStream,
        *,
        size: int | None = None,
        **keywords: Unpack[WriteKeywords],
    ) -> ObjectMeta:
        """Write one object, whole or not at all.

        Args:
            key: Where.
            data: Bytes; or a binary reader or an iterable of bytes, asynchronous ones too, of
                which only a part is in memory at a time.
            size: How many bytes there must be, in all.
            keywords: The fields of `WriteOptions`: `content_type`, `metadata`, `tags`,
                `storage_class`, `if_match`, `if_none_match`, `content_md5`, `sha256`.

        Raises:
            Corrupt: There are more or fewer bytes than `size`, or other ones than the digest
                says. A stream that ends early leaves its bytes staged (see `uploads`) where the
                store can go on with them; nothing is visible.
            AlreadyExists: `if_none_match="*"` and there is an object.
            PreconditionFailed: `if_match` and it is another object by now.
            KeyConflict: Another key makes this one a folder, or a part of this one a file.
        """
        ref = self.reference(key)
        options = write_options(keywords) if keywords else WRITE
        if not isinstance(data, (bytes, bytearray, memoryview, str)):
            return await write_stream(self._store, ref, data, size, options)
        data = plain(data)
        if size is not None and size != len(data):
            raise Corrupt(f"{ref}: {size} bytes were announced and {len(data)} came", reference=ref)
        return await self._store.put(ref, data, options)

    @final
    async def open_writer(
        self, key: str | Reference, **keywords: Unpack[WriteKeywords]
    ) -> AsyncObjectWriter:
        """Write an object piece by piece, in an `async with` block that publishes at its end.

        An exception in the block publishes nothing.
        """
        ref = self.reference(key)
        return AsyncObjectWriter(await self._store.upload(ref, write_options(keywords), None))

    @final
    async def upload(
        self,
        key: str | Reference,
        *,
        resume: str | None = None,
        **keywords: Unpack[WriteKeywords],
    ) -> Upload:
        """Begin an upload that can outlive this process, or go on with one.

        Args:
            key: What it will become.
            resume: The id of one to go on with, under its first options; its `offset` says
                from where.
            keywords: The fields of `WriteOptions`.

        Raises:
            NotFound: There is no upload of this id.
            ResumeNotSupported: The store keeps no bytes of interrupted uploads.
        """
        return await self._store.upload(self.reference(key), write_options(keywords), resume)

    @final
    async def uploads(self, prefix: str | Reference = "") -> AsyncIterator[UploadInfo]:
        """Go through the uploads that were neither committed nor aborted."""
        token = None
        while True:
            page = await self._store.uploads(self._folder(prefix), token)
            for info in page.uploads:
                yield info
            token = page.token
            if token is None:
                return

    @final
    async def purge_uploads(self, older_than: timedelta, prefix: str | Reference = "") -> int:
        """Abort the uploads begun longer ago than this; answer how many.

        One that another process is writing to now is left alone.
        """
        if not isinstance(older_than, timedelta):
            raise TypeError(f"older_than is a timedelta, not {type(older_than).__name__}")
        limit = time_ns() - older_than // timedelta(microseconds=1) * 1000
        purged = 0
        old = [info async for info in self.uploads(prefix) if info.begun_ns <= limit]
        for info in old:
            try:
                upload = await self._store.upload(info.ref, WRITE, info.id)
            except (NotFound, Unavailable):
                continue  # it ended meanwhile, or somebody goes on with it
            await upload.abort()
            purged += 1
        return purged


class Writing(Addresses):
    """The part of `DataStore` that writes."""

    _put: Callable[
        [Reference, Data, WriteOptions], Coroutine[Any, Any, ObjectMeta] | Done[ObjectMeta]
    ]

    @final
    def write(
        self,
        key: str | Reference,
        data: Data | Stream,
        *,
        size: int | None = None,
        **keywords: Unpack[WriteKeywords],
    ) -> ObjectMeta:
        """Write one object, whole or not at all.

        Args:
            key: Where.
            data: Bytes; or a binary reader or an iterable of bytes, of which only a part is in
                memory at a time.
            size: How many bytes there must be, in all.
            keywords: The fields of `WriteOptions`: `content_type`, `metadata`, `tags`,
                `storage_class`, `if_match`, `if_none_match`, `content_md5`, `sha256`.

        Raises:
            Corrupt: There are more or fewer bytes than `size`, or other ones than the digest
                says. A stream that ends early leaves its bytes staged (see `uploads`) where the
                store can go on with them; nothing is visible.
            AlreadyExists: `if_none_match="*"` and there is an object.
            PreconditionFailed: `if_match` and it is another object by now.
            KeyConflict: Another key makes this one a folder, or a part of this one a file.
        """
        if keywords or size is not None or type(data) is not bytes:
            return drive(self._face.write(key, data, size=size, **keywords))
        # The plain case, which is the most frequent one, without a coroutine around it.
        ref = self._face._child(key) if type(key) is str else self._reference(key)
        written = self._put(ref, data, WRITE)
        return written.value if type(written) is Done else drive(written)

    @final
    def open_writer(self, key: str | Reference, **keywords: Unpack[WriteKeywords]) -> ObjectWriter:
        """Write an object piece by piece, as a binary file that is published when it closes.

        An exception in its `with` block publishes nothing.
        """
        return ObjectWriter(drive(self._face.open_writer(key, **keywords)))

    @final
    def upload(
        self,
        key: str | Reference,
        *,
        resume: str | None = None,
        **keywords: Unpack[WriteKeywords],
    ) -> BlockingUpload:
        """Begin an upload that can outlive this process, or go on with one.

        Args:
            key: What it will become.
            resume: The id of one to go on with, under its first options; its `offset` says
                from where.
            keywords: The fields of `WriteOptions`.

        Raises:
            NotFound: There is no upload of this id.
            ResumeNotSupported: The store keeps no bytes of interrupted uploads.
        """
        return BlockingUpload(drive(self._face.upload(key, resume=resume, **keywords)))

    @final
    def uploads(self, prefix: str | Reference = "") -> Iterator[UploadInfo]:
        """Go through the uploads that were neither committed nor aborted."""
        return drive_iterator(self._face.uploads(prefix))

    @final
    def purge_uploads(self, older_than: timedelta, prefix: str | Reference = "") -> int:
        """Abort the uploads begun longer ago than this; answer how many.

        One that another process is writing to now is left alone.
        """
        return drive(self._face.purge_uploads(older_than, prefix))
