"""What can be written: bytes, a reader, or an iterator of bytes; asynchronous ones on a loop."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from holdall.objects.options import PART_BYTES, WriteOptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Mapping

    from holdall.core.runtime import Runtime
    from holdall.objects.contract import Data

CHUNK_BYTES = 1024 * 1024
"""How much is asked of a reader at once, and gathered from small writes."""

_END = object()


class Readable(Protocol):
    """A binary file, or anything with its `read`."""

    def read(self, size: int, /) -> bytes:
        """Answer at most `size` bytes; empty at the end."""


class AsyncReadable(Protocol):
    """An asynchronous binary file, such as `asyncio.StreamReader`."""

    def read(self, size: int, /) -> Awaitable[bytes]:
        """Answer at most `size` bytes; empty at the end."""


class Writable(Protocol):
    """A binary file, or anything with its `write`."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""


Stream = Readable | Iterable["Data"]
AsyncStream = Readable | AsyncReadable | Iterable["Data"] | AsyncIterable["Data"]


class WriteKeywords(TypedDict, total=False):
    """The fields of `WriteOptions`, as keyword arguments; None counts as not given."""

    content_type: str | None
    metadata: Mapping[str, str] | None
    tags: Mapping[str, str] | None
    storage_class: str | None
    if_match: str | None
    if_none_match: str | None
    content_md5: str | None
    sha256: str | None


def plain(data: Data) -> Data:
    """The same bytes, counted in bytes and in one piece, whatever a memoryview makes of them."""
    if not isinstance(data, memoryview) or (data.itemsize == 1 and data.c_contiguous):
        return data
    return data.cast("B") if data.c_contiguous else data.tobytes()


def write_options(keywords: WriteKeywords) -> WriteOptions:
    """Make options of keyword arguments."""
    given: dict[str, Any] = {name: value for name, value in keywords.items() if value is not None}
    for name in ("metadata", "tags"):
        if name in given:
            given[name] = dict(given[name])
    for name in ("content_md5", "sha256"):
        if name in given:
            given[name] = given[name].lower()
    return WriteOptions(**given)


async def chunks_of(source: AsyncStream, runtime: Runtime) -> AsyncGenerator[Data, None]:
    """Go through the bytes of a source, in pieces of at most a part.

    Raises:
        TypeError: It is nothing that can be written.
    """
    pieces = _pieces_of(source, runtime)
    try:
        async for given in pieces:
            if not isinstance(given, (bytes, bytearray, memoryview)):
                raise TypeError(f"bytes can be written, and the source gave {type(given).__name__}")
            piece = plain(given)
            if len(piece) <= PART_BYTES:
                yield piece
            else:
                view = memoryview(piece)
                for at in range(0, len(view), PART_BYTES):
                    yield view[at : at + PART_BYTES]
    finally:
        await pieces.aclose()


async def _pieces_of(source: AsyncStream, runtime: Runtime) -> AsyncGenerator[Data, None]:
    read = getattr(source, "read", None)
    if read is not None:
        while True:
            piece = await runtime.call(read, None, CHUNK_BYTES)
            if isawaitable(piece):
                piece = await piece
            if not piece:
                return
            yield piece
    elif isinstance(source, AsyncIterable):
        async for piece in source:
            yield piece
    elif isinstance(source, Iterable):
        items = iter(source)
        while (piece := await runtime.call(next, None, items, _END)) is not _END:
            yield piece
    else:
        raise TypeError(
            f"{type(source).__name__} cannot be written: give bytes, a binary reader, "
            "or an iterable of bytes"
        )
