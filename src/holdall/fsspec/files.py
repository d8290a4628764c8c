"""The files that a file system opens: one to read, one to write, and what goes around it."""

from __future__ import annotations

import dis
import errno
import io
import logging
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from fsspec.spec import AbstractBufferedFile

from holdall.core.errors import HoldallError, KeyConflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from holdall.fsspec.system import HoldallFileSystem
    from holdall.objects.writer import ObjectWriter

_log = logging.getLogger("holdall")
_FAILING = dis.opmap["WITH_EXCEPT_START"]


@contextmanager
def as_in_folders(fs: HoldallFileSystem, path: str) -> Iterator[None]:
    """Make of a conflict of keys what programs expect where a name is a file and a folder."""
    try:
        yield
    except KeyConflict as error:
        if fs.isdir(path):
            raise IsADirectoryError(errno.EISDIR, str(error), path) from error
        raise NotADirectoryError(errno.ENOTDIR, str(error), path) from error


class ReadFile(AbstractBufferedFile):  # type: ignore[misc]
    """An object as it was when it was opened, read in ranges.

    When it is replaced meanwhile, the next range raises `PreconditionFailed`: bytes of two
    objects are never mixed. It is read where it was opened, also when its path leads elsewhere now.
    """

    def __init__(
        self,
        fs: HoldallFileSystem,
        path: str,
        mode: str,
        block_size: Any,
        autocommit: bool,
        *,
        cache_type: str = "readahead",
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        etag: str | None = None,
    ) -> None:
        # Both come with a pickled file, which must stay the same object.
        if size is None or etag is None:
            details = fs.object_info(path)
            size, etag = details["size"], details["etag"]
            self._details = details
        self._place = fs.object_place(path)
        self._owner = os.getpid()
        super().__init__(
            fs,
            path,
            mode,
            block_size,
            autocommit,
            cache_type=cache_type,
            cache_options=cache_options,
            size=size,
            etag=etag,
        )

    def _fetch_range(self, start: int, end: int) -> bytes:
        if self._owner != os.getpid():
            # A forked process opens its own stores.
            self._place, self._owner = self.fs.object_place(self.path), os.getpid()
        etag = self.kwargs["etag"]
        data: bytes = self.fs.read_range(self._place, start, end, if_match=etag)
        return data


class WriteFile(io.BufferedIOBase):
    """An object being written; it is there once the file is closed, or its block ends well.

    A `with` block that fails publishes nothing: neither its own, nor one around, nor that of a
    wrapper which closes it. A file that is dropped without `close` publishes nothing. In a
    transaction the end of the transaction publishes what was closed before.

    Attributes:
        fs: The file system.
        path: What it will become.
        mode: `wb` or `xb`.
        autocommit: Whether closing publishes.
    """

    def __init__(
        self,
        fs: HoldallFileSystem,
        path: str,
        mode: str,
        writer: ObjectWriter,
        *,
        autocommit: bool,
    ) -> None:
        super().__init__()
        self.fs = fs
        self.path = path
        self.mode = mode
        self.autocommit = autocommit
        self._writer = writer
        self._ended = False
        # What was already failing when it was opened is no reason to publish nothing.
        self._known = sys.exception()

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._ended

    @property
    def full_name(self) -> str:
        """The URL of what it will become."""
        return str(self.fs.unstrip_protocol(self.path))

    def readable(self) -> bool:
        """False: it can only be written."""
        return False

    def writable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """False: bytes are appended."""
        return False

    def tell(self) -> int:
        """How many bytes were written."""
        return self._writer.tell()

    def write(self, data: Any, /) -> int:
        """Append bytes, or anything that gives a view of its bytes; answer how many.

        Raises:
            ValueError: It is closed.
        """
        if self._ended:
            raise ValueError(f"the file {self.path} is closed")
        if not isinstance(data, (bytes, bytearray, memoryview, str)):
            data = memoryview(data)
        with as_in_folders(self.fs, self.path):
            return self._writer.write(data)

    def flush(self, force: bool = False) -> None:
        """Hand over what was gathered; it is not visible yet."""
        if not self._ended:
            self._writer.flush()

    def close(self) -> None:
        """Publish it, or in a transaction end the writing; publish nothing while a block fails."""
        if self._ended:
            return
        error = sys.exception()
        if error is not None and error is not self._known and _a_block_fails():
            self._forget(error)
        else:
            self._end()

    def commit(self) -> None:
        """Publish it now; nothing happens when it was discarded.

        Raises:
            ValueError: It waits for this call, and was not closed: what a wrapper around it has
                not handed over would be missing. Nothing is published.
        """
        if not self.autocommit and not self._ended:
            self.discard()
            raise ValueError(f"{self.full_name} was not closed before its commit: not published")
        self._ended = True
        if self._writer.meta is None and not self._writer.closed:
            with as_in_folders(self.fs, self.path):
                self._writer.close()

    def discard(self) -> None:
        """Forget what was written; nothing becomes visible."""
        self._ended = True
        self._writer.abort()

    def _end(self) -> None:
        if self.autocommit:
            self.commit()
        else:
            self._writer.flush()
            self._ended = True

    def _forget(self, error: BaseException) -> None:
        self.discard()
        error.add_note(f"{self.full_name} was not published")
        _log.info("%s was not published: %s", self.full_name, type(error).__name__)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._ended:
            # A wrapper has closed it; if the block failed after that, a transaction forgets it.
            if error is not None and not self._writer.closed:
                self._forget(error)
        elif error is not None:
            self._forget(error)
        else:
            self._end()

    def __del__(self) -> None:
        # Without this, Python would call `close`, which publishes.
        with suppress(HoldallError, OSError, AttributeError):
            self.discard()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r} mode={self.mode!r}>"


def _a_block_fails() -> bool:
    """Whether this runs because a `with` block has failed.

    Wrappers close what they wrap without a word about why: `fsspec.open`, pandas, pyarrow, text.
    Looking for the `with` statement itself finds each of them, also those written in C, and does
    not mistake an `except` or a `finally` for it, where closing means publishing.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == _FAILING:
            return True
        frame = frame.f_back
    return False


class CompressedFile(io.BufferedIOBase):
    """What is written to it is compressed into a file, and closing it closes both.

    Args:
        file: Where the compressed bytes go.
        compress: Makes a compressing file around another one.
    """

    def __init__(self, file: WriteFile, compress: Callable[..., Any]) -> None:
        super().__init__()
        self._file = file
        self._compressor = compress(file, mode="wb")

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._file.closed

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any, /) -> int:
        """Compress bytes; answer how many."""
        self._compressor.write(data)
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Hand over what was gathered."""
        if not self.closed:
            self._compressor.flush()

    def close(self) -> None:
        """Write what the format ends with, and close the file."""
        if not self.closed:
            self._compressor.close()
            self._file.close()

    def discard(self) -> None:
        """Forget what was written; nothing becomes visible."""
        try:
            # Left open, it would write when it is dropped, into a file that is closed.
            self._compressor.close()
        finally:
            self._file.discard()

    def __del__(self) -> None:
        with suppress(HoldallError, OSError, ValueError, AttributeError):
            if not self.closed:
                self.discard()


class TextFile(io.TextIOWrapper):
    """Text that is written; one that is dropped without `close` publishes nothing."""

    def __del__(self) -> None:
        # After `detach` there is no file, and none is forgotten.
        with suppress(HoldallError, OSError, ValueError, AttributeError):
            if not self.closed:
                self.buffer.discard()  # type: ignore[attr-defined]
                self.detach()
