"""What operations answer, on its way to bytes.

A short answer is encoded at once, a longer one in a thread, and a long one is sent while it is
encoded. What fails before the first bytes are sent becomes an error grid; what fails later cuts the
connection, so that nobody takes a part for the whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from anyio import from_thread, to_thread
from msgspec import Struct
from starlette.responses import Response, StreamingResponse

from holdall.haystack.codecs.contract import Head
from holdall.haystack.codecs.zinc import ZINC
from holdall.haystack.grid import NO_TAGS, Col, Grid
from holdall.server.threads import STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.haystack.codecs.contract import Codec

INLINE: Final = 500
"""Rows that are encoded at once; more of them in a thread."""
_WHOLE: Final = 5_000
_PIECE: Final = 256 * 1024  # bytes that are sent at once, about
_NAMELESS: Final = frozenset({"trio", "csv"})  # no tags about the grid

Row = Mapping[str, Any]


class Answer(Struct, frozen=True):
    """A grid whose rows are there.

    Attributes:
        rows: Its rows.
        meta: Tags about it.
        cols: Its columns; those of the rows where it is empty.
    """

    rows: Sequence[Row] = ()
    meta: Mapping[str, Any] = NO_TAGS
    cols: Sequence[Col] = ()


class Streamed(Struct, frozen=True):
    """A grid whose rows come page by page.

    Attributes:
        pages: Functions that make rows, which are called in a thread.
        cols: Its columns.
        meta: Tags about it.
    """

    pages: AsyncIterator[Callable[[], Iterable[Row]]]
    cols: Sequence[Col]
    meta: Mapping[str, Any] = NO_TAGS


NOTHING: Final = Answer()


async def response(answer: Answer | Streamed | Grid, codec: Codec) -> Response:
    """The response that carries an answer.

    Raises:
        CodecError: The format cannot carry it.
    """
    made, size = pieces(answer, codec)
    if size is None or size > _WHOLE:
        return await _streaming(made, codec)
    if size <= INLINE:
        return _whole(b"".join(made), codec)
    return _whole(await to_thread.run_sync(b"".join, made), codec)


def pieces(answer: Answer | Streamed | Grid, codec: Codec) -> tuple[Iterator[bytes], int | None]:
    """The bytes of an answer, and of how many rows they are; None where nobody knows.

    Those of which nobody knows are gone through in a thread of anyio, which asks the loop for more.
    """
    if isinstance(answer, Streamed):
        rows = _pulled(answer.pages)
        return codec.encode_rows(Head(answer.meta, answer.cols), rows), None
    if isinstance(answer, Grid):
        answer = Answer(answer.rows, answer.meta, answer.cols)
    return _made(answer, codec), len(answer.rows)


def error_response(grid: Grid, codec: Codec) -> Response:
    """The response that carries an error grid; in Zinc where the format has no tags about grids."""
    if codec.name in _NAMELESS:
        codec = ZINC
    return _whole(codec.encode(grid), codec)


def columns(rows: Iterable[Row]) -> tuple[Col, ...]:
    """The columns of rows, in the order in which they first have them."""
    names = dict.fromkeys(chain.from_iterable(rows))
    return tuple(map(Col, names)) or (Col("empty"),)


def _made(answer: Answer, codec: Codec) -> Iterator[bytes]:
    head = Head(answer.meta, tuple(answer.cols) or columns(answer.rows))
    yield from codec.encode_rows(head, answer.rows)


def _whole(data: bytes, codec: Codec) -> Response:
    return Response(data, headers={"Content-Type": _type_of(codec)})


async def _streaming(made: Iterator[bytes], codec: Codec) -> Response:
    pieces = _joined(made)
    # What fails early fails before the answer has a status.
    first = await STREAMS.run(next, pieces, b"")

    async def sent() -> AsyncIterator[bytes]:
        yield first
        while piece := await STREAMS.run(next, pieces, b""):
            yield piece

    return StreamingResponse(sent(), headers={"Content-Type": _type_of(codec)})


def _joined(made: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces of a good size, because each goes through a thread and a system call of its own."""
    held: list[bytes] = []
    size = 0
    for piece in made:
        held.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _pulled(pages: AsyncIterator[Callable[[], Iterable[Row]]]) -> Iterator[Row]:
    """The rows of pages, for a thread: the loop reads each page when it is needed."""
    read = partial(anext, pages, None)
    while (page := from_thread.run(read)) is not None:
        yield from page()


def _type_of(codec: Codec) -> str:
    kind = codec.media_type
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
