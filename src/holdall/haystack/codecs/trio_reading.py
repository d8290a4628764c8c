"""Trio read line by line; `trio` says what a value may be."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from holdall.core.errors import CodecError
from holdall.haystack.codecs.contract import Limits
from holdall.haystack.codecs.scalars import Misread, read_scalar
from holdall.haystack.grid import Col, Grid
from holdall.haystack.kinds import MARKER, MAX_DEPTH, NA, REMOVE, Number
from holdall.haystack.units import unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BLANKS: Final = " \t"
_LINE = re.compile(r"([a-z][a-zA-Z0-9_]*)[ \t]*(?::[ \t]*(.*))?", re.DOTALL)
_INDENT = re.compile(r"[ \t]*")
_NUMBERISH = re.compile(r"-?[0-9]")
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}:[0-9]{2}")
_SPACED_UNIT = re.compile(r"-?[0-9][0-9_]*(?:\.[0-9_]+)?(?:[eE][+-]?[0-9]+)?[ \t]+(\S+)")
_CALL = re.compile(r'C\([ \-0-9]|Bin\(|[A-Z][a-zA-Z0-9_]*\( *"')

WORDS: Final[dict[str, Any]] = {
    "true": True, "false": False, "T": True, "F": False, "M": MARKER, "N": None, "NA": NA,
    "R": REMOVE, "NaN": Number(float("nan")), "INF": Number(float("inf")),
    "-INF": Number(-float("inf")),
}  # fmt: skip
"""What stands for a value besides literals with signs and digits."""

_CACHED: Final = 4096
_CACHED_LENGTH: Final = 64


class TrioReader:
    """Entities from lines.

    Args:
        lines: Each with its number.
        limits: What they may hold; their size is not looked at.
        shift: How many columns were cut off before each line.
        depth: How deep the text lies in others.
    """

    def __init__(
        self,
        lines: Iterable[tuple[int, str]],
        limits: Limits,
        shift: int = 0,
        depth: int = 0,
    ) -> None:
        self._lines = iter(lines)
        self._limits = limits
        self._shift = shift
        self._depth = depth
        self._back: tuple[int, str] | None = None  # a line read too early
        self._read: dict[str, tuple[str, Any]] = {}  # tags by their lines: many come again
        self._keeps = False  # whether the value read last may be in several entities

    def entities(self) -> Iterator[dict[str, Any]]:
        """Answer the tags of each entity; one whose only tags are null has none.

        Raises:
            CodecError: A line cannot be read, or they go beyond a limit.
        """
        most = self._limits.rows
        for number, (line, row) in enumerate(self._entities(), 1):
            if most and number > most:
                self._fail(f"more entities than the limit, {most}", line, 1)
            yield row

    def _entities(self) -> Iterator[tuple[int, dict[str, Any]]]:
        # With each the line that it begins at.
        begin = 0
        row: dict[str, Any] = {}
        nulls = False
        most = self._limits.columns or sys.maxsize
        known = self._read
        lines = self._lines
        while (read := self._back or next(lines, None)) is not None:
            self._back = None
            number, line = read
            line = line.removesuffix("\r")
            tag = known.get(line)
            if tag is None:
                found = _LINE.fullmatch(line)
                if found is None:
                    if self._separates(number, line) and row:
                        yield begin, _without_nulls(row) if nulls else row
                        row, nulls = {}, False
                    continue
                tag = self._tag(found, number)
            name, value = tag
            if name in row:
                self._fail(f"the tag {name!r} comes twice in one entity", number, 1)
            if not row:
                begin = number
            row[name] = value
            nulls = nulls or value is None
            if len(row) > most:
                self._fail(f"an entity of more tags than the limit, {most}", number, 1)
        if row:
            yield begin, _without_nulls(row) if nulls else row

    def _tag(self, found: re.Match[str], number: int) -> tuple[str, Any]:
        name, text = found.groups()
        self._keeps = True
        if text is None:
            tag = name, MARKER
        else:
            text = text.rstrip(_BLANKS)
            tag = name, WORDS[text] if text in WORDS else self._value(text, number, found.start(2))
        line = found.string
        if self._keeps and len(line) <= _CACHED_LENGTH:
            if len(self._read) >= _CACHED:  # by now mostly ids, which come once
                self._read.clear()
            self._read[line] = tag
        return tag

    def _separates(self, number: int, line: str) -> bool:
        """Whether a line that is no tag ends an entity.

        Raises:
            CodecError: It is no line of dashes, no comment, and not empty.
        """
        bare = line.strip(_BLANKS)
        if not bare or bare.startswith("//"):
            return False
        if line.startswith("-"):
            if bare.strip("-"):
                self._fail("a line that begins with a dash holds nothing else", number, 1)
            return True
        if line[0] in _BLANKS:
            self._fail("an indented line follows a tag that ends in a colon", number, 1)
        return self._no_tag(bare, number)

    def _no_tag(self, bare: str, number: int) -> NoReturn:
        shown = bare if len(bare) <= 40 else bare[:40] + "…"
        self._fail(
            f"expected a tag, such as `site` or `area: 3702ft²`, not {shown!r}; the name of a tag "
            "begins with a-z, and then come ASCII letters, digits and '_'",
            number,
            1,
        )

    def _fail(self, message: str, line: int, column: int) -> NoReturn:
        raise CodecError(message, line=line, column=column + self._shift)

    def _value(self, text: str, line: int, at: int) -> Any:
        if not text:
            self._keeps = False  # the same line may be followed by others
            return _dedented(self._block())[0]
        first = text[0]
        if first in '"`@^':
            # Texts without escapes are the most frequent values.
            if first == '"' and text.isprintable() and "\\" not in text:
                end = text.find('"', 1)
                if end == len(text) - 1:
                    return text[1:-1]
            return self._scalar(text, line, at)
        if first in "-0123456789" and _NUMBERISH.match(text):
            return self._numberish(text, line, at)
        if first in "[{" or text.startswith("<<"):
            self._keeps = False  # it can be changed
            return self._collection(text, line, at)
        if text in {"Zinc:", "Trio:"}:
            self._keeps = False
            return self._zinc(line) if text == "Zinc:" else self._trio(line)
        if "(" in text and _CALL.match(text):
            return self._scalar(text, line, at)
        return text

    def _scalar(self, text: str, line: int, at: int) -> Any:
        try:
            return read_scalar(text)
        except Misread as error:
            self._fail(f"{error}; a text such as this stands in quotes", line, at + error.at + 1)

    def _numberish(self, text: str, line: int, at: int) -> Any:
        try:
            return read_scalar(text)
        except Misread as error:
            spaced = _SPACED_UNIT.fullmatch(text)
            if spaced is not None and unit(spaced[1]) is not None:
                self._fail(
                    "a unit follows its number without a space; a text stands in quotes",
                    line,
                    at + 1,
                )
            if (" " in text or "\t" in text) and not _DATED.match(text):
                return text
            self._fail(f"{error}; a text such as this stands in quotes", line, at + error.at + 1)

    def _collection(self, text: str, line: int, at: int) -> Any:
        from holdall.haystack.codecs.zinc import read_value

        lines = [" " * at + text]
        for _, more in self._block(closing=True):
            lines.append("" if more.lstrip(_BLANKS).startswith("//") else more)
        text = "\n".join(map(_without_tabs, lines))
        return read_value(text, line=line, column=1 + self._shift, limits=self._inner(line))

    def _zinc(self, line: int) -> Any:
        from holdall.haystack.codecs.zinc import read_value

        block = self._block()
        if not block:
            self._fail("`Zinc:` is followed by indented lines of Zinc", line, 1)
        text = "\n".join(_without_tabs(more) for _, more in block)
        begin = block[0][0]
        if text.lstrip().startswith("ver"):
            text = f"<<\n{text}\n>>"
            begin -= 1
        return read_value(text, line=begin, column=1 + self._shift, limits=self._inner(line))

    def _trio(self, line: int) -> Any:
        limits = self._inner(line)
        block = self._block()
        text, indent = _dedented(block)
        lines = zip((number for number, _ in block), text.split("\n"), strict=False)
        inner = TrioReader(lines, self._limits, self._shift + indent, self._depth + 1)
        rows = [*inner.entities()]
        if not rows:
            self._fail("`Trio:` is followed by indented lines of Trio", line, 1)
        if len(rows) == 1:
            return rows[0]
        cols = grid_cols(rows, limits, line)
        return Grid.of_checked({}, cols, rows)

    def _inner(self, line: int) -> Limits:
        most = self._limits.depth
        left = most - self._depth
        if self._depth >= MAX_DEPTH or (most and left <= 0):
            self._fail(
                f"expected at most {min(most or MAX_DEPTH, MAX_DEPTH)} lists, dicts and grids in "
                "one another",
                line,
                1,
            )
        return Limits(left if most else 0, 0, self._limits.columns, self._limits.rows)

    def _block(self, *, closing: bool = False) -> list[tuple[int, str]]:
        """The indented lines that come next, without the empty ones at their end."""
        block: list[tuple[int, str]] = []
        for number, raw in self._lines:
            line = raw.removesuffix("\r")
            if line and line[0] not in _BLANKS:
                if closing and line.startswith(("]", "}", ">>")):
                    block.append((number, line))
                else:
                    self._back = number, line
                break
            block.append((number, line))
        while block and not block[-1][1].strip(_BLANKS):
            block.pop()
        return block


def _without_nulls(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _dedented(block: list[tuple[int, str]]) -> tuple[str, int]:
    """The text of a block without the indent of all its lines, and how long that is."""
    lines = [line for _, line in block]
    indents = [_indent(line) for line in lines if line.strip(_BLANKS)]
    # The texts between two in order begin with all that the two begin with.
    indent = _shared(min(indents), max(indents)) if indents else ""
    cut = len(indent)
    return "\n".join(line[cut:] if line.startswith(indent) else "" for line in lines), cut


def _shared(one: str, other: str) -> str:
    pairs = enumerate(zip(one, other, strict=False))
    return one[: next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))]


def _indent(line: str) -> str:
    found = _INDENT.match(line)
    return found.group() if found else ""


def _without_tabs(line: str) -> str:
    indent = _indent(line)
    return " " * len(indent) + line[len(indent) :]


def grid_cols(rows: Iterable[dict[str, Any]], limits: Limits, line: int) -> list[Col]:
    """The columns of rows, in the order of their coming.

    Raises:
        CodecError: There are more than the limit.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    if limits.columns and len(names) > limits.columns:
        raise CodecError(
            f"entities of {len(names)} tags, and the limit is {limits.columns} columns",
            line=line,
            column=1,
        )
    return [Col(name) for name in names]
