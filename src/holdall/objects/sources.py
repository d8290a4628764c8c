"""What can be written: bytes, a reader, or an iterator of bytes; asynchronous ones on a loop."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from inspect import isawaitable
from io import RawIOBase
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from holdall.objects.options import PART_BYTES, WriteOptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

    from holdall.core.runtime import Runtime
    from holdall.objects.contract import Data

CHUNK_BYTES = 1024 * 1024
"""How much is asked of a reader at once, and gathered from small writes."""

_END = object()
_HEXADECIMAL = frozenset("0123456789abcdef")


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

    def write(self, data: Any, /) -> object:
        """Take bytes; answer how many, or nothing for all of them."""


Stream = Readable | Iterable["Data"]
AsyncStream = Readable | AsyncReadable | Iterable["Data"] | AsyncIterable["Data"]


class WriteKeywords(TypedDict, total=False):
    """The fields of `WriteOptions` that a user gives, as keywords; None counts as not given.

    But `if_match=None` is refused: it is an etag that was not there, and no wish to overwrite.
    """

    content_type: str | None
    metadata: Mapping[str, str] | None
    tags: Mapping[str, str] | None
    storage_class: str | None
    if_match: str | None
    if_none_match: str | None
    content_md5: str | None
    sha256: str | None


def plain(data: Data) -> Data:
    """The same bytes, counted in bytes and in one piece, whatever a memoryview makes of them.

    Raises:
        TypeError: They are no bytes; says what to do with a text.
    """
    if isinstance(data, (bytes, bytearray)):
        return data
    if not isinstance(data, memoryview):
        raise TypeError(_no_bytes(data))
    if data.itemsize == 1 and data.c_contiguous:
        return data
    return data.cast("B") if data.c_contiguous else data.tobytes()


def _no_bytes(data: object) -> str:
    if isinstance(data, str):
        return "bytes can be written, and this is text: encode it first, with .encode()"
    return f"bytes can be written, and this is {type(data).__name__}"


def write_options(keywords: WriteKeywords) -> WriteOptions:
    """Make options of keyword arguments.

    Raises:
        TypeError: One is of another type than its field.
        ValueError: A digest is not written in hexadecimal digits of its length.
    """
    if "if_match" in keywords and keywords["if_match"] is None:
        raise ValueError(
            "if_match is None: to write without a condition leave it out. "
            "A listing has etags only with etags=True"
        )
    given: dict[str, Any] = {name: value for name, value in keywords.items() if value is not None}
    for name, value in given.items():
        if name not in {"metadata", "tags"}:
            given[name] = check_text(name, value)
        elif isinstance(value, Mapping):
            given[name] = dict(value)
        else:
            raise TypeError(f"{name} are a mapping of text to text, not {type(value).__name__}")
    for name, digits in (("content_md5", 32), ("sha256", 64)):
        if name in given:
            given[name] = digest = given[name].lower()
            if len(digest) != digits or not _HEXADECIMAL.issuperset(digest):
                raise ValueError(f"{name} is {digits} hexadecimal digits, and {digest!r} is not")
    return WriteOptions(**given)


async def write_out(writer: Writable, data: bytes, runtime: Runtime) -> None:
    """Hand all the bytes to a writer, which may take fewer in one call, as raw files do."""
    view = memoryview(data)
    while view:
        answer = await runtime.call(writer.write, None, view)
        if isawaitable(answer):
            answer = await answer
        if answer is None and isinstance(writer, RawIOBase):
            raise BlockingIOError("the writer takes nothing now: it is in non-blocking mode")
        # Whatever answers no number is no raw file, and has taken everything.
        view = view[answer:] if isinstance(answer, int) else view[:0]


def check_text(name: str, value: object) -> str:
    """Raise `TypeError` unless an argument is text; answer it."""
    if isinstance(value, str):
        return value
    hint = " such as meta.etag" if name in {"if_match", "if_none_match"} else ""
    raise TypeError(f"{name} is text{hint}, not {type(value).__name__}")


async def chunks_of(source: AsyncStream, runtime: Runtime) -> AsyncGenerator[Data, None]:
    """Go through the bytes of a source, in pieces of at most a part.

    Raises:
        TypeError: It is nothing that can be written.
    """
    pieces = _pieces_of(source, runtime)
    try:
        async for given in pieces:
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
            if piece is None:
                raise BlockingIOError(
                    "the reader has nothing yet, and does not wait: it is in non-blocking mode"
                )
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
