"""Reading an object as a binary file, for the blocking face."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, final

from holdall.core.runtime.blocking import drive
from holdall.objects.options import GET, GetOptions

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from holdall.core.reference import Reference
    from holdall.objects.contract import ObjectStore
    from holdall.objects.results import ObjectMeta, ObjectStream


@final
class ObjectReader(io.RawIOBase):
    """A binary file over one object, as it was when it was opened.

    Reading on reads one stream; a seek elsewhere opens another one, under the same etag, so that
    an object that was replaced meanwhile raises `PreconditionFailed` and never mixes.

    Attributes:
        meta: What is known of the object.
    """

    def __init__(self, store: ObjectStore, ref: Reference) -> None:
        super().__init__()
        self._store = store
        self._ref = ref
        self._stream: ObjectStream | None = None  # for `close`, should the next line raise
        self._stream = drive(store.get(ref, GET))
        self.meta: ObjectMeta = self._stream.meta
        self._position = 0
        self._stream_at = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere; nothing is asked of the store before the next read."""
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.meta.size}
        if whence not in starts:
            raise ValueError(f"whence is 0, 1 or 2, and not {whence}")
        start = starts[whence]
        if start + offset < 0:
            raise ValueError(f"{self._ref}: cannot seek to {start + offset}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        """Fill a buffer as far as one read goes; answer how many bytes came, 0 at the end."""
        if self.closed:
            raise ValueError(f"the reader of {self._ref} is closed")
        view = memoryview(buffer).cast("B")
        if self._position >= self.meta.size or not view:
            return 0
        if self._stream is None or self._stream_at != self._position:
            self._drop()
            options = GetOptions(start=self._position, if_match=self.meta.etag)
            self._stream = drive(self._store.get(self._ref, options))
            self._stream_at = self._position
        data = drive(self._stream.read(len(view)))
        view[: len(data)] = data
        self._position += len(data)
        self._stream_at += len(data)
        return len(data)

    def close(self) -> None:
        """Let go of the object."""
        if not self.closed:
            self._drop()
        super().close()

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            drive(stream.close())
