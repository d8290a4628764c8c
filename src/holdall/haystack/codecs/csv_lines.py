"""The lines and cells of CSV texts, read piece by piece (RFC 4180).

The standard library's reader keeps a limit for the whole process, and does not say where in a line
it fails.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdall.core.errors import CodecError
from holdall.haystack.codecs.text_lines import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CELL = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r?\Z)')
_SHOWN: Final = 20


class Record:
    """The cells of one row, and where it stands.

    Attributes:
        line: The line that it begins at, counted from 1.
        cells: The text of each cell, without quotes.
        text: As it stands in the file.
    """

    __slots__ = ("cells", "line", "text")

    def __init__(self, line: int, cells: list[str], text: str) -> None:
        self.line = line
        self.cells = cells
        self.text = text

    def place(self, at: int) -> tuple[int, int]:
        """Line and column of a cell, which is counted from 0."""
        begin = 0
        for _ in range(at):
            match = _CELL.match(self.text, begin)
            assert match is not None
            begin = match.end()
        return place(self.line, self.text, begin)


def place(line: int, text: str, at: int) -> tuple[int, int]:
    """Line and column of a character of a text that begins at a line."""
    before = text[:at]
    return line + before.count("\n"), at - before.rfind("\n")


def read_records(pieces: Iterable[bytes], size: int) -> Iterator[Record]:
    """Read rows, leaving out empty lines.

    Args:
        pieces: The text in UTF-8, cut anywhere, with a byte order mark or without.
        size: How many bytes there may be; 0 is no limit.

    Raises:
        CodecError: It is not CSV, not UTF-8, or too large.
    """
    pending: list[str] = []
    begin = 1
    is_open = False
    for number, line in read_lines(pieces, size):
        if not pending:
            if '"' not in line and "\r" not in line[:-1]:
                plain = line.removesuffix("\r")
                if plain:
                    yield Record(number, plain.split(","), plain)
                continue
            begin = number
        pending.append(line)
        # Quotes come in pairs, so that a row ends where their number is even.
        is_open ^= line.count('"') % 2 == 1
        if not is_open:
            text = "\n".join(pending)
            pending = []
            yield Record(begin, cells_of(begin, text), text)
    if pending:
        raise CodecError(
            f"a quote is opened and not closed: {pending[0][:_SHOWN]!r}", line=begin, column=1
        )


def cells_of(line: int, text: str) -> list[str]:
    """The cells of the text of one row.

    Args:
        line: The line that it begins at.
        text: The text, without the end of its line.

    Raises:
        CodecError: It is none.
    """
    cells = []
    at = 0
    while True:
        match = _CELL.match(text, at)
        if match is None:
            number, column = place(line, text, at)
            raise CodecError(
                f"the cell {text[at : at + _SHOWN]!r} is none: quotes stand around a whole cell "
                "and are doubled within, and so must a carriage return",
                line=number,
                column=column,
            )
        quoted, plain, end = match.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"'))
        if end != ",":
            return cells
        at = match.end()
