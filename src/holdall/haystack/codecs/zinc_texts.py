"""Zinc from pieces of bytes: a piece at a time in memory, and rows in blocks.

Blocks of simple lines are read column by column; where that finds something else, the same place
is read character by character, and only that decides what is a mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdall.core.errors import CodecError
from holdall.haystack.codecs.zinc_columns import MOST_COLUMNS, Columns
from holdall.haystack.codecs.zinc_reading import Reader, Steps, Unfinished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from holdall.haystack.codecs.contract import Limits
    from holdall.haystack.grid import Col

_PIECE: Final = 65_536
_SMALL_BLOCK: Final = 1024
_LARGE_BLOCK: Final = 131_072
_FEW: Final = 64


class GridText:
    """A grid in Zinc, read from its beginning to its end.

    Args:
        pieces: Its bytes, in pieces of any size.
        limits: What it may hold.
        by_column: Whether simple lines are read column by column, which is faster and comes to
            the same.

    Raises:
        CodecError: What stands before the rows is not Zinc, or goes beyond a limit.
    """

    meta: Mapping[str, Any]
    cols: list[Col]

    def __init__(self, pieces: Iterable[bytes], limits: Limits, *, by_column: bool = True) -> None:
        self._pieces = iter(pieces)
        self._limits = limits
        self._size = 0
        self._rest = b""
        self._mistake: tuple[str, int] | None = None
        self._exact = 0  # up to here nothing is read by column
        self._reader = Reader("", limits, whole=False)
        self._more(0)
        self._reader.text = self._reader.text.removeprefix("\ufeff")
        self.meta, self.cols = self._whole(self._reader.head)
        self._names = tuple(col.name for col in self.cols)
        simple = by_column and 0 < len(self._names) <= MOST_COLUMNS
        self._columns = Columns(self._names) if simple else None

    def blocks(self) -> Iterator[list[dict[str, Any]]]:
        """Read the rows, some at a time.

        Raises:
            CodecError: What comes is not Zinc, or goes beyond a limit.
        """
        reader = self._reader
        most = self._limits.rows
        count = 0
        size = _SMALL_BLOCK
        while not self._ended():
            rows: list[dict[str, Any]] = []
            if self._columns is not None and reader.at >= self._exact:
                rows, used = self._columns.rows(self._block(size), few=count < _FEW)
                if most and count + len(rows) > most:
                    rows = []
                if rows:
                    reader.at += used
                    size = min(2 * size, _LARGE_BLOCK)
                else:
                    self._exact = reader.at + used
                    size = _SMALL_BLOCK
            if not rows:
                if most and count == most:
                    reader.fail(f"expected at most {most} rows, which is the limit")
                rows = [self._whole(self._row)]
            count += len(rows)
            yield rows

    def _block(self, size: int) -> str:
        # Whole lines from here, of about this size.
        text, at = self._reader.text, self._reader.at
        end = text.rfind("\n", at, at + size) + 1 or text.find("\n", at) + 1
        return text[at : end or len(text)]

    def _row(self) -> Steps:
        row = yield self._reader.row(self._names)
        self._reader.row_end()
        return row

    def _ended(self) -> bool:
        reader = self._reader
        while not reader.ended():
            if reader.at < len(reader.text):
                return False
            self._more(0)
        return True

    def _whole(self, steps: Callable[[], Steps]) -> Any:
        # What may go on in the next piece is read again from its beginning, with twice as much.
        reader = self._reader
        start = reader.at
        while True:
            try:
                return reader.run(steps())
            except Unfinished:
                reader.again(start)
                self._more(max(_PIECE, len(reader.text) - start))
                start = 0

    def _more(self, least: int) -> None:
        # Whole lines only, so that no word and no character is cut.
        self._raise_mistake()
        data, whole = self._lines(least)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            good = data[: error.start].decode()
            end = good.rfind("\n") + 1
            self._mistake = f"{data[error.start]:#04x} is no UTF-8", len(good) - end
            text, whole = good[:end], False
        reader = self._reader
        self._exact -= reader.at
        reader.feed(text, whole=whole)

    def _lines(self, least: int) -> tuple[bytes, bool]:
        parts = [self._rest]
        self._rest = b""
        size, lines = 0, False
        for piece in self._pieces:
            parts.append(bytes(piece))
            size += len(piece)
            lines = lines or b"\n" in parts[-1]
            self._size += len(piece)
            if self._limits.size and self._size > self._limits.size:
                self._mistake = f"expected at most {self._limits.size} bytes, which is the limit", 0
                self._raise_mistake()
            if lines and size >= least:
                data = b"".join(parts)
                end = data.rindex(b"\n") + 1
                self._rest = data[end:]
                return data[:end], False
        return b"".join(parts), True

    def _raise_mistake(self) -> None:
        if self._mistake is not None:
            message, beyond = self._mistake
            line, column = self._reader.place(len(self._reader.text))
            raise CodecError(message, line=line, column=column + beyond)
