"""The lines of texts that come as pieces of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.core.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BOM = b"\xef\xbb\xbf"


def read_lines(pieces: Iterable[bytes], size: int) -> Iterator[tuple[int, str]]:
    r"""Answer each line with its number, counted from 1; without the `\n` that ends it.

    A byte order mark at the beginning is left out. What comes after the last `\n` is a line unless
    it is empty.

    Args:
        pieces: The text in UTF-8, cut anywhere.
        size: How many bytes there may be; 0 is no limit.

    Raises:
        CodecError: It is no UTF-8, or too large.
    """
    number = 0
    total = 0
    rest: list[bytes] = []
    for piece in pieces:
        total += len(piece)
        if size and total > size:
            raise CodecError(
                f"the text is larger than the limit, {size} bytes", line=number + 1, column=1
            )
        whole, newline, last = piece.rpartition(b"\n")
        if newline:
            for line in _decoded(b"".join([*rest, whole]), number + 1):
                number += 1
                yield number, line
            rest = []
        rest.append(last)
    body = b"".join(rest)
    if body:
        for line in _decoded(body, number + 1):
            yield number + 1, line


def _decoded(body: bytes, number: int) -> Iterator[str]:
    """The lines of a text, of which the first has this number."""
    if number == 1:
        body = body.removeprefix(_BOM)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = None
    if text is not None:
        yield from text.split("\n")
        return
    for at, line in enumerate(body.split(b"\n"), number):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode()) + 1
            raise CodecError("this is no UTF-8", line=at, column=column) from error
