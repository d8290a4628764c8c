"""Writing an object piece by piece: from a stream, or through a writer of either face."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from holdall.core.errors import Corrupt, HoldallError, KeyConflict, PreconditionFailed
from holdall.core.runtime.blocking import drive
from holdall.objects.sources import CHUNK_BYTES, chunks_of, plain

if TYPE_CHECKING:
    from types import TracebackType

    from holdall.core.reference import Reference
    from holdall.objects.contract import Data, ObjectStore, Upload
    from holdall.objects.options import WriteOptions
    from holdall.objects.results import ObjectMeta
    from holdall.objects.sources import AsyncStream


async def write_stream(
    store: ObjectStore,
    ref: Reference,
    source: AsyncStream,
    size: int | None,
    options: WriteOptions,
) -> ObjectMeta:
    """Write an object from a reader or an iterator; the arguments of `AsyncDataStore.write`.

    What came before an error stays staged where the store can go on with it, and the error
    carries a note that names the upload. A condition that does not hold leaves nothing.
    """
    upload = await store.upload(ref, options, None)
    chunks = chunks_of(source, store.runtime)
    try:
        async for chunk in chunks:
            await upload.write(chunk)
            if size is not None and upload.offset > size:
                await upload.abort()
                raise Corrupt(f"{ref}: more than the {size} announced bytes came", reference=ref)
        return await upload.commit(size)
    except BaseException as error:
        useless = upload.offset == 0 or isinstance(error, (PreconditionFailed, KeyConflict))
        if useless or store.capabilities.resume == "none":
            await upload.abort()
        else:
            error.add_note(f"{upload.offset} bytes are staged as upload {upload.id!r} of {ref}")
        raise
    finally:
        await chunks.aclose()
        await upload.close()


@final
class AsyncObjectWriter:
    """An object being written; it is there once the `async with` block ends well.

    An exception in the block forgets what was written; nothing is published. A writer that is
    dropped without either publishes nothing, and leaves its bytes staged. Small writes are
    gathered.

    Attributes:
        meta: What is known of the object, once it is there.
    """

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._gathered = bytearray()
        self._open = True
        self.meta: ObjectMeta | None = None

    @property
    def ref(self) -> Reference:
        """What it will become."""
        return self._upload.ref

    @property
    def closed(self) -> bool:
        """Whether it was committed or aborted."""
        return not self._open

    def tell(self) -> int:
        """How many bytes were written."""
        return self._upload.offset + len(self._gathered)

    async def write(self, data: Data) -> int:
        """Append bytes; answer how many.

        Raises:
            ValueError: The writer is closed.
        """
        if not self._open:
            raise ValueError(f"the writer of {self.ref} is closed")
        data = plain(data)
        if len(data) + len(self._gathered) < CHUNK_BYTES:
            self._gathered += data
            return len(data)
        await self.flush()
        if len(data) < CHUNK_BYTES:
            self._gathered += data
        else:
            await self._upload.write(data)
        return len(data)

    async def flush(self) -> None:
        """Hand over what was gathered."""
        if self._gathered:
            gathered, self._gathered = self._gathered, bytearray()
            await self._upload.write(gathered)

    async def commit(self, size: int | None = None, sha256: str | None = None) -> ObjectMeta:
        """Make it the object.

        Args:
            size: How many bytes it must have; None leaves that unchecked.
            sha256: Hexadecimal digest that they must have.
        """
        if self.meta is None:
            await self.flush()
            self.meta = await self._upload.commit(size, sha256)
            self._open = False
            await self._upload.close()
        return self.meta

    async def abort(self) -> None:
        """Forget what was written; nothing becomes visible."""
        if self._open:
            self._open = False
            self._gathered.clear()
            await self._upload.abort()
            await self._upload.close()

    async def __aenter__(self) -> AsyncObjectWriter:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._open:
            return
        if error is not None:
            await self.abort()
            return
        try:
            await self.commit()
        except BaseException:
            await self.abort()
            raise


@final
class ObjectWriter:
    """A binary file that becomes an object once it is closed, or its `with` block ends well.

    An exception in the block forgets what was written; nothing is published. So does dropping
    the writer without `close`. Small writes are gathered.
    """

    def __init__(self, writer: AsyncObjectWriter) -> None:
        self._writer = writer

    @property
    def ref(self) -> Reference:
        """What it will become."""
        return self._writer.ref

    @property
    def meta(self) -> ObjectMeta | None:
        """What is known of the object, once it is there."""
        return self._writer.meta

    @property
    def closed(self) -> bool:
        """Whether it was committed or aborted."""
        return self._writer.closed

    def write(self, data: Data) -> int:
        """Append bytes; answer how many."""
        return drive(self._writer.write(data))

    def flush(self) -> None:
        """Hand over what was gathered; it is not visible yet."""
        if not self.closed:
            drive(self._writer.flush())

    def tell(self) -> int:
        """How many bytes were written."""
        return self._writer.tell()

    def commit(self, size: int | None = None, sha256: str | None = None) -> ObjectMeta:
        """Make it the object; see `AsyncObjectWriter.commit`."""
        return drive(self._writer.commit(size, sha256))

    def abort(self) -> None:
        """Forget what was written; nothing becomes visible."""
        drive(self._writer.abort())

    def close(self) -> None:
        """Make it the object, unless it was committed or aborted already."""
        if not self.closed:
            self.commit()

    def readable(self) -> bool:
        """False: it can only be written."""
        return False

    def writable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """False: bytes are appended."""
        return False

    def __enter__(self) -> ObjectWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        drive(self._writer.__aexit__(kind, error, traceback))

    def __del__(self) -> None:
        try:
            drive(self._writer.abort())
        except (HoldallError, OSError):
            # A finalizer has nobody to tell; what stays staged can be purged.
            return


@final
class BlockingUpload:
    """An upload, for the blocking face; see `holdall.objects.contract.Upload`."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload

    @property
    def ref(self) -> Reference:
        """What it will become."""
        return self._upload.ref

    @property
    def id(self) -> str:
        """Finds it again."""
        return self._upload.id

    @property
    def offset(self) -> int:
        """How many bytes the store has; where to go on."""
        return self._upload.offset

    def write(self, data: Data) -> None:
        """Append bytes."""
        drive(self._upload.write(plain(data)))

    def commit(self, size: int | None = None, sha256: str | None = None) -> ObjectMeta:
        """Make it the object, whole or not at all."""
        return drive(self._upload.commit(size, sha256))

    def abort(self) -> None:
        """Forget it and its bytes."""
        drive(self._upload.abort())

    def close(self) -> None:
        """Let go of it; what was not committed stays for a later resume."""
        drive(self._upload.close())

    def __enter__(self) -> BlockingUpload:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
