"""Zinc read character by character: exact about everything, and about where a mistake is.

Lists, dicts and grids lie in one another as deep as the limits say, and the stack of Python is not
used for that: what reads a collection is a generator that yields the reader of what lies in it.
"""

from __future__ import annotations

import re
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from holdall.core.errors import CodecError
from holdall.haystack.codecs.scalars import Misread, scalar_at, shown
from holdall.haystack.grid import NO_TAGS, Col, Grid
from holdall.haystack.kinds import MARKER, Kind

if TYPE_CHECKING:
    from collections.abc import Generator

    from holdall.haystack.codecs.contract import Limits

Steps: TypeAlias = "Generator[Any, Any, Any]"

VERSIONS: Final = ("3.0", "2.0")
_NAME = re.compile("[a-z][a-zA-Z0-9_]*")
_SPACES = re.compile(" *")
_BLANK = re.compile(r"(?:[ \t]|\r?\n)*")
_NEWLINE = re.compile(r"\r?\n")
_VERSION = re.compile("ver *: *")


class Unfinished(Exception):
    """The text ends within what is read, and it is not all of it yet."""


class Reader:
    """A text, and how far it is read.

    Args:
        text: The text, or its next part.
        limits: What it may hold.
        line: The line in which the text begins.
        column: The column in which it begins.
        whole: Whether nothing comes after it.
    """

    __slots__ = ("_closed", "_column", "_depth", "_limits", "_line", "at", "text", "whole")

    def __init__(
        self, text: str, limits: Limits, *, line: int = 1, column: int = 1, whole: bool = True
    ) -> None:
        self.text = text
        self.at = 0
        self.whole = whole
        self._limits = limits
        self._line = line
        self._column = column
        self._depth = 0
        self._closed = False  # by an empty line

    def feed(self, text: str, *, whole: bool) -> None:
        """Go on with what is not read yet, and more after it."""
        self._line, self._column = self.place(self.at)
        self.text = self.text[self.at :] + text
        self.at = 0
        self.whole = whole

    def place(self, at: int) -> tuple[int, int]:
        """Line and column of a place."""
        last = self.text.rfind("\n", 0, at)
        if last < 0:
            return self._line, self._column + at
        return self._line + self.text.count("\n", 0, at), at - last

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        """Refuse the text.

        Raises:
            CodecError: Always, unless the text ends here and more may come.
            Unfinished: It may.
        """
        raise self._error(message, self.at if at is None else at)

    def _error(self, message: str, at: int) -> Exception:
        if not self.whole and at >= len(self.text):
            return Unfinished()
        line, column = self.place(at)
        return CodecError(message, line=line, column=column)

    def _expected(self, what: str) -> NoReturn:
        self.fail(f"expected {what}, not {shown(self.text, self.at)}")

    def again(self, at: int) -> None:
        """Go back to a place between rows."""
        self.at = at
        self._depth = 0

    def run(self, steps: Steps) -> Any:
        """Take all steps, those of what lies within included, and answer what they come to.

        Raises:
            CodecError: The text is refused.
            Unfinished: It ends too early, and is not all of it.
        """
        stack = [steps]
        value = None
        while stack:
            try:
                inner = stack[-1].send(value)
            except StopIteration as done:
                stack.pop()
                value = done.value
            else:
                stack.append(inner)
                value = None
        return value

    def single(self) -> Any:
        """Read the whole text as one value, between spaces and empty lines.

        Raises:
            CodecError: It is none.
        """
        self._skip_blank()
        value = self._value()
        if isinstance(value, GeneratorType):
            value = self.run(value)
        self._skip_blank()
        if self.at < len(self.text):
            self._expected("the end of the value")
        return value

    def ended(self) -> bool:
        """Whether the whole text is read, but for spaces and empty lines.

        Raises:
            CodecError: Rows come after an empty line.
        """
        skipped = self._skip_blank()
        self._closed = self._closed or "\n" in skipped
        if self.at == len(self.text):
            return self.whole
        if self._closed:
            self._expected("the end, because an empty line ends a grid")
        return False

    def head(self) -> Steps:
        """Read what stands before the rows: a mapping of tags, and a list of columns."""
        found = _VERSION.match(self.text, self.at)
        if found is None:
            self._expected('ver:"3.0"')
        self.at = found.end()
        start = self.at
        if self._scalar() not in VERSIONS:
            self.fail(
                f'this reads Zinc ver:"3.0" and ver:"2.0", not {self.text[start : self.at][:40]}',
                start,
            )
        meta = yield self._tags(spaced=False)
        meta.pop("ver", None)  # some write it twice
        self._newline("a space and a tag, or the end of the line")
        cols = yield self._cols()
        return meta, cols

    def row(self, names: tuple[str, ...], *, nested: bool = False) -> Steps:
        """Read a row up to the end of its line: a dict without the cells that are empty."""
        row: dict[str, Kind] = {}
        last = len(names) - 1
        for place, name in enumerate(names):
            self._skip()
            if not self._cell_ends(nested=nested):
                value = self._value()
                if isinstance(value, GeneratorType):
                    value = yield value
                if value is not None:
                    row[name] = value
                self._skip()
            if place < last and not self._take(","):
                if self._line_ends():
                    self.fail(f"expected {last + 1} cells, and the row has {place + 1}")
                self._expected("a comma")
        if self._take(","):
            self.fail(f"expected the end of the row after {last + 1} cells", self.at - 1)
        return row

    def row_end(self) -> None:
        """Go to the next line."""
        self._newline("the end of the row")

    def _value(self) -> Any:
        # Either the value, or the steps that read it.
        text, at = self.text, self.at
        first = text[at : at + 1]
        if first == "[":
            return self._list()
        if first == "{":
            return self._dict()
        if first == "<" and text.startswith("<<", at):
            return self._grid()
        return self._scalar()

    def _scalar(self) -> Kind:
        try:
            value, self.at = scalar_at(self.text, self.at)
        except Misread as error:
            raise self._error(str(error), error.at) from None
        return value

    def _list(self) -> Steps:
        self._deeper()
        self.at += 1
        items: list[Kind] = []
        while True:
            self._skip_blank()
            if self._take("]"):
                break
            value = self._value()
            items.append((yield value) if isinstance(value, GeneratorType) else value)
            self._skip_blank()
            if self._take("]"):
                break
            if not self._take(","):
                self._expected("a comma or ]")
        self._depth -= 1
        return items

    def _dict(self) -> Steps:
        self._deeper()
        self.at += 1
        tags: dict[str, Kind] = {}
        spaced = True
        while True:
            spaced = bool(self._skip_blank()) or spaced
            if self._take("}"):
                break
            if not spaced:
                self._expected("a space, a comma or }")
            name = self._name(tags, "the name of a tag or }")
            value = self._tag_value()
            tags[name] = (yield value) if isinstance(value, GeneratorType) else value
            spaced = bool(self._skip_blank())
            spaced = self._take(",") or spaced
        self._depth -= 1
        return tags

    def _tags(self, *, spaced: bool) -> Steps:
        # Tags with spaces between them, up to something else.
        tags: dict[str, Kind] = {}
        while True:
            spaced = self._skip() or spaced
            if _NAME.match(self.text, self.at) is None:
                return tags
            if not spaced:
                self._expected("a space before the next tag")
            name = self._name(tags, "the name of a tag")
            value = self._tag_value()
            tags[name] = (yield value) if isinstance(value, GeneratorType) else value
            spaced = False

    def _name(self, tags: dict[str, Kind], what: str) -> str:
        found = _NAME.match(self.text, self.at)
        if found is None:
            self._expected(what)
        name = found.group()
        if name in tags and name != "ver":
            self.fail(f"the tag {name!r} comes twice")
        self.at = found.end()
        return name

    def _tag_value(self) -> Any:
        after = self.at
        self._skip()
        if not self._take(":"):
            self.at = after
            return MARKER
        self._skip()
        return self._value()

    def _cols(self) -> Steps:
        cols: list[Col] = []
        known: set[str] = set()
        most = self._limits.columns
        self._skip()
        while not self._line_ends() or cols:
            found = _NAME.match(self.text, self.at)
            if found is None:
                self._expected("the name of a column")
            name = found.group()
            if name in known:
                self.fail(f"the column {name!r} comes twice")
            if most and len(cols) == most:
                self.fail(f"expected at most {most} columns, which is the limit")
            known.add(name)
            self.at = found.end()
            meta = yield self._tags(spaced=False)
            cols.append(Col(name, meta or NO_TAGS))
            if not self._take(","):
                break
            self._skip()
        if self.at < len(self.text) or not self.whole:
            self._newline("a comma, a space and a tag, or the end of the line")
        elif not cols:
            self._expected("the columns")
        return cols

    def _grid(self) -> Steps:
        self._deeper()
        self.at += 2
        self._skip_blank()
        meta, cols = yield self.head()
        names = tuple(col.name for col in cols)
        most = self._limits.rows
        rows: list[dict[str, Kind]] = []
        while True:
            empty = "\n" in self._skip_blank()
            if self.text.startswith(">>", self.at):
                break
            if empty:
                self._expected(">>, because an empty line ends a grid")
            if self.at == len(self.text):
                self._expected("a row or >>")
            if most and len(rows) == most:
                self.fail(f"expected at most {most} rows, which is the limit")
            rows.append((yield self.row(names, nested=True)))
            if not self.text.startswith(">>", self.at):
                self._newline("the end of the row or >>")
        self.at += 2
        self._depth -= 1
        return Grid.of_checked(meta, cols, rows)

    def _deeper(self) -> None:
        most = self._limits.depth
        if most and self._depth >= most:
            self.fail(f"expected at most {most} lists, dicts and grids in one another")
        self._depth += 1

    def _skip(self) -> bool:
        found = _SPACES.match(self.text, self.at)
        if found is None or found.end() == self.at:
            return False
        self.at = found.end()
        return True

    def _skip_blank(self) -> str:
        found = _BLANK.match(self.text, self.at)
        assert found is not None  # it matches nothing at all, too
        self.at = found.end()
        return found.group()

    def _take(self, char: str) -> bool:
        if self.text.startswith(char, self.at):
            self.at += 1
            return True
        return False

    def _line_ends(self) -> bool:
        return self.at == len(self.text) or _NEWLINE.match(self.text, self.at) is not None

    def _cell_ends(self, *, nested: bool) -> bool:
        first = self.text[self.at : self.at + 1]
        return first in ",\n\r" or (nested and self.text.startswith(">>", self.at))

    def _newline(self, what: str) -> None:
        found = _NEWLINE.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        elif self.at < len(self.text) or not self.whole:
            self._expected(what)
