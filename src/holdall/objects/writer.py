"""Writing an object piece by piece: from a stream, or through a writer of either face."""

from __future__ import annotations

from contextlib import contextmanager
from io import UnsupportedOperation
from typing import TYPE_CHECKING, final

from msgspec import structs

from holdall.core.errors import Corrupt, HoldallError, KeyConflict, PreconditionFailed
from holdall.core.runtime.blocking import drive
from holdall.objects.options import check_size
from holdall.objects.sources import CHUNK_BYTES, chunks_of, plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
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
    # Another store that a router stands before may take more than its primary one, or less.
    if size is not None and store.root.holds(ref):
        check_size(size, store.capabilities, ref)
    # Nobody else has this upload, and a digest that is known before stands in the options.
    upload = await store.upload(ref, structs.replace(options, digest=False), None)
    chunks = chunks_of(source, store.runtime)
    useless = False
    async with _Ending(upload.close), _Ending(chunks.aclose):
        try:
            async for chunk in chunks:
                await upload.write(chunk)
                if size is not None and upload.offset > size:
                    useless = True
                    raise Corrupt(
                        f"{ref}: more than the {size} announced bytes came", reference=ref
                    )
            return await upload.commit(size)
        except BaseException as error:
            useless |= upload.offset == 0 or isinstance(error, (PreconditionFailed, KeyConflict))
            if useless or store.capabilities.resume == "none":
                await _end(upload.abort, error)
            else:
                error.add_note(f"{upload.offset} bytes are staged as upload {upload.id!r} of {ref}")
            raise


async def _end(end: Callable[[], Awaitable[None]], error: BaseException | None) -> None:
    """Call what ends something; after an error a failure in that becomes a note on the error."""
    try:
        await end()
    except Exception as later:
        if error is None:
            raise
        # What others say may hold a secret.
        said = f": {later}" if isinstance(later, HoldallError) else ""
        error.add_note(f"what ends it failed too: {type(later).__name__}{said}")


class _Ending:
    """Calls what ends something at the end of the block, and keeps an error that comes out."""

    def __init__(self, end: Callable[[], Awaitable[None]]) -> None:
        self._end = end

    async def __aenter__(self) -> None:
        return

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await _end(self._end, error)


@final
class AsyncObjectWriter:
    """An object being written; it is there once the `async with` block ends well.

    An exception in the block forgets what was written; nothing is published. After an error of
    its own nothing can be published either, since bytes may be missing. A writer that is dropped
    publishes nothing, and leaves its bytes staged. Small writes are gathered.

    Attributes:
        meta: What is known of the object, once it is there.
    """

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._gathered = bytearray()
        self._open = True
        self._failed: BaseException | None = None
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
            Corrupt: A write before this one failed.
        """
        data = plain(data)
        with self._failing():
            if len(data) + len(self._gathered) < CHUNK_BYTES:
                self._gathered += data
                return len(data)
            await self._hand_over()
            if len(data) < CHUNK_BYTES:
                self._gathered += data
            else:
                await self._upload.write(data)
            return len(data)

    async def flush(self) -> None:
        """Hand over what was gathered."""
        with self._failing():
            await self._hand_over()

    async def _hand_over(self) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, bytearray()
            await self._upload.write(gathered)

    async def commit(self, size: int | None = None, sha256: str | None = None) -> ObjectMeta:
        """Make it the object.

        Args:
            size: How many bytes it must have; None leaves that unchecked.
            sha256: Hexadecimal digest that they must have.

        Raises:
            Corrupt: A write failed, or size or digest are not these.
        """
        if self.meta is None:
            with self._failing():
                await self._hand_over()
                self.meta = await self._upload.commit(size, sha256)
            self._open = False
            await self._upload.close()
        return self.meta

    async def abort(self) -> None:
        """Forget what was written; nothing becomes visible."""
        if self._open:
            self._open = False
            self._gathered.clear()
            async with _Ending(self._upload.close):
                await self._upload.abort()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Remember an error: what was being written then may be missing, wholly or in part."""
        if not self._open:
            raise ValueError(f"the writer of {self.ref} is closed")
        if self._failed is not None:
            raise Corrupt(
                f"{self.ref}: a write failed before, so that bytes may be missing; nothing is "
                f"published. It was: {self._failed}",
                reference=self.ref,
            )
        try:
            yield
        except BaseException as error:
            self._failed = error
            raise

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
            await _end(self.abort, error)
            return
        try:
            await self.commit()
        except BaseException as failed:
            await _end(self.abort, failed)
            raise


@final
class ObjectWriter:
    """A binary file that becomes an object once it is closed, or its `with` block ends well.

    An exception in the block forgets what was written; nothing is published. In a block `close`
    only ends the writing, since a wrapper closes what it wraps whether all went well or not; the
    end of the block decides. So text goes through two of them, in this order:

        with store.open_writer(key) as file, io.TextIOWrapper(file, "utf-8") as text: ...

    After an error of its own nothing can be published. A writer that is dropped without `close`
    publishes nothing. Small writes are gathered.
    """

    def __init__(self, writer: AsyncObjectWriter) -> None:
        self._writer = writer
        self._in_block = False
        self._ended = False

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
        """Whether nothing more can be written."""
        return self._ended or self._writer.closed

    def write(self, data: Data) -> int:
        """Append bytes; answer how many.

        Raises:
            ValueError: The writer is closed.
            Corrupt: A write before this one failed.
        """
        if self._ended:
            raise ValueError(f"the writer of {self.ref} is closed")
        return drive(self._writer.write(data))

    def writelines(self, lines: Iterable[Data]) -> None:
        """Append pieces of bytes."""
        for line in lines:
            self.write(line)

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
        """End the writing; outside of a block, make it the object.

        When that fails, what was written is forgotten and nothing is published.
        """
        if self.closed:
            return
        if self._in_block:
            self.flush()
            self._ended = True
        else:
            drive(self._writer.__aexit__(None, None, None))

    @property
    def name(self) -> str:
        """The address of what it will become, which is what a file calls its name."""
        return str(self.ref)

    def readable(self) -> bool:
        """False: it can only be written."""
        return False

    def read(self, size: int = -1, /) -> bytes:
        """Raise `io.UnsupportedOperation`: it can only be written."""
        raise UnsupportedOperation(f"the writer of {self.ref} cannot read")

    def truncate(self, size: int, /) -> int:
        """Raise `io.UnsupportedOperation`: bytes are appended."""
        raise UnsupportedOperation(f"the writer of {self.ref} cannot cut what was written")

    def fileno(self) -> int:
        """Raise `io.UnsupportedOperation`: there is no descriptor."""
        raise UnsupportedOperation(f"the writer of {self.ref} has no descriptor")

    def isatty(self) -> bool:
        """False: it is no terminal."""
        return False

    def writable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """False: bytes are appended."""
        return False

    def __enter__(self) -> ObjectWriter:
        self._in_block = True
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

    def digest(self) -> str:
        """The SHA-256, hexadecimal, of the first `offset` bytes."""
        return drive(self._upload.digest())

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
        drive(_end(self._upload.close, error))
