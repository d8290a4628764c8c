"""Files of grids on the command line: which codec they mean, their rows, and what is refused."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias, TypeVar

from holdall.cli.output import complain, count_text
from holdall.core.errors import CodecError, Unsupported
from holdall.haystack.codecs.media import codec_of_file, codecs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from holdall.haystack.codecs.contract import Codec, Head

    OnProgress: TypeAlias = Callable[[int, int | None], object]

T = TypeVar("T")

_PIECE: Final = 1 << 16
_SHOWN: Final = 20
# `"m:"` is a marker, and `"r:a-1 Name"` a Ref.
_VERSION_3 = re.compile(rb'[:,\[]\s*"(?:m:"|r:[a-zA-Z0-9_:\-.~]+[ "])')


def codec_of(format: str | None, file: str) -> Codec:  # noqa: A002
    """The codec of a format, or of a file by its name.

    Raises:
        ValueError: Neither says which.
    """
    if format is not None:
        return next(codec for codec in codecs() if codec.name == format)
    if file == "-":
        raise ValueError("a stream has no name that says its format: give --format")
    try:
        return codec_of_file(file)
    except Unsupported as error:
        raise ValueError(f"{error}; or give --format") from error


def name_of(file: str) -> str:
    """What a file is called in messages."""
    return "standard input" if file == "-" else file


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """A file that is read; `-` is standard input."""
    if file == "-":
        yield sys.stdin.buffer
    else:
        with open(file, "rb") as stream:
            yield stream


def pieces_of(stream: BinaryIO) -> Iterator[bytes]:
    """What a stream holds, a piece at a time."""
    return iter(lambda: stream.read(_PIECE), b"")


def grid_rows(
    stream: BinaryIO,
    format: str | None,  # noqa: A002
    file: str,
) -> tuple[Head, Iterator[dict[str, Any]], Codec]:
    """The rows of a file, as they are read, what stands before them, and their codec.

    What is named as JSON may be of version 3.

    Raises:
        CodecError: The file is not of this format, now or when that row is asked for; names it.
        ValueError: Nothing says which format.
    """
    codec = codec_of(format, file)
    file = name_of(file)
    pieces = pieces_of(stream)
    if codec.name == "json":
        first = next(pieces, b"")
        if b'"_kind"' not in first and _VERSION_3.search(first):
            codec = codec_of("json3", file)
        pieces = chain([first], pieces)
    with named(file):
        head, rows = codec.decode_rows(pieces)
    if "err" in head.meta:
        raise CodecError(
            f"{file} is a server's answer to a mistake: {head.meta.get('dis', 'it says no more')}"
        )
    return head, _rows(rows, file), codec


def _rows(rows: Iterator[dict[str, Any]], file: str) -> Iterator[dict[str, Any]]:
    with named(file):
        yield from rows


@contextmanager
def named(file: str) -> Iterator[None]:
    """Let errors in a text say of which file it is."""
    try:
        yield
    except CodecError as error:
        raise CodecError(f"{file}: {error}") from error


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Items in lists of a size; those that came before an error come before it."""
    batch: list[T] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    except CodecError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


class Refused:
    """What was not taken, and why: the first of them are told, all are counted.

    Attributes:
        number: How many rows.
        broken: How many files could not be read to their end.
    """

    def __init__(self) -> None:
        self.number = 0
        self.broken = 0
        self._told = 0

    def row(self, why: object, number: int = 1) -> None:
        """Tell of a row, or several for one reason; `why` names the place."""
        self.number += number
        self._tell(f"{why} ({count_text(number, 'row')})" if number > 1 else why)

    def file(self, why: object) -> None:
        """Tell of a file that cannot be read any further."""
        self.broken += 1
        complain(why)

    def _tell(self, why: object) -> None:
        self._told += 1
        if self._told <= _SHOWN:
            complain(why)

    def end(self) -> int:
        """Say how many were not told; answers the exit code."""
        if self._told > _SHOWN:
            complain(f"and {self._told - _SHOWN:,} more")
        return 1 if self.number or self.broken else 0

    @property
    def counts(self) -> Mapping[str, int]:
        """For scripts."""
        return {"refused": self.number, "broken_files": self.broken}
