"""Trio: entities as people write them, one tag a line (the standard's chapter Trio).

    dis: "Site 1"
    site
    area: 3702ft²
    // lines of comment begin like this
    summary:
      A text of several lines, which
      are indented
    ---
    dis: "Site 2"

A grid is written as its rows, and read from them: tags about it and its columns are left out, and
so are columns without a value. Values are literals of Zinc on one line, and these:

    nothing                   after a name without a colon a Marker; after one with a colon the
                              indented lines that follow, without the indent of all of them and
                              without the empty lines at their end
    `true`, `false`           a Bool
    `Zinc:`, `Trio:`          what the indented lines that follow say; of Trio one entity is a
                              dict, and several are a grid
    `[`, `{`, `<<`            a list, dict or grid, which may go on over indented lines; comments
                              stand on lines of their own

Anything else is a text as it stands, up to the end of its line: `dis: AHU-1 (north) // main`. What
begins like a literal and is none is refused: a quote, back-tick, `@`, `^`, bracket or brace that
nothing closes, `C(…)` and `Type("…")`; digits that are no number, date or time, such as `804.555`,
unless there are words after them: `123 Main St`. Such texts stand in quotes. A unit after a space
is refused, too.

A text is written without quotes when it is one word of ASCII letters and `_`, over indented lines
when that keeps it as it is, and in quotes otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from holdall.core.errors import CodecError
from holdall.haystack.codecs.contract import NO_LIMITS, Codec, Head, Limits
from holdall.haystack.codecs.scalars import write_scalar, write_str
from holdall.haystack.codecs.text_lines import read_lines
from holdall.haystack.codecs.trio_reading import WORDS, TrioReader, grid_cols
from holdall.haystack.grid import Grid
from holdall.haystack.kinds import MARKER, Kind, Number, checked_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PIECE_ROWS: Final = 256
_WORD = re.compile(r"[A-Za-z][A-Za-z_]*")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class TrioCodec(Codec):
    """Trio, for entities written and read by people."""

    name = "trio"
    media_type = "text/trio"
    suffix = ".trio"
    lossless = False

    def encode(self, grid: Grid) -> bytes:
        return b"".join(self.encode_rows(Head(grid.meta, grid.cols), grid.rows))

    def encode_rows(self, head: Head, rows: Iterable[Mapping[str, Kind]]) -> Iterator[bytes]:
        texts: list[str] = []
        empty = f"{head.cols[0].name if head.cols else 'id'}: N\n"
        names: set[str] = set()  # those that are checked
        number = 0
        for number, row in enumerate(rows, 1):
            # An entity without tags has no other form than a tag that is null.
            text = _entity(row, names, number) or empty
            texts.append(text if number == 1 else "---\n" + text)
            if len(texts) == _PIECE_ROWS:
                yield _bytes(texts, number)
                texts = []
        if texts:
            yield _bytes(texts, number)

    def decode(self, data: bytes, *, limits: Limits = NO_LIMITS) -> Grid:
        rows = [*self.decode_rows([data], limits=limits)[1]]
        return Grid.of_checked({}, grid_cols(rows, limits, 1), rows)

    def decode_rows(
        self, pieces: Iterable[bytes], *, limits: Limits = NO_LIMITS
    ) -> tuple[Head, Iterator[dict[str, Any]]]:
        return Head(), TrioReader(read_lines(pieces, limits.size), limits).entities()


def _entity(row: Mapping[str, Any], names: set[str], number: int) -> str:
    lines = []
    for name, value in row.items():
        if value is None:
            continue
        try:
            if name not in names:
                names.add(checked_name(name))
            lines.append(f"{name}\n" if value is MARKER else f"{name}:{_value(value)}\n")
        except (TypeError, ValueError) as error:
            raise CodecError(f"row {number}, column {name}: {error}") from error
    return "".join(lines)


def _value(value: Any) -> str:
    """A value with what stands between the colon and it."""
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is bool:
        return " true" if value else " false"
    if kind is list or isinstance(value, (Mapping, Grid)):
        from holdall.haystack.codecs.zinc import write_value

        text = write_value(value)
        return _block(text) if "\n" in text else f" {text}"
    if kind is Number and value.unit and abs(value.val) == float("inf"):
        return _block(write_scalar(value))  # `INFkW` is a word, and words are texts
    return f" {write_scalar(value)}"


def _text(text: str) -> str:
    if _WORD.fullmatch(text) and text not in WORDS:
        return f" {text}"
    if "\n" in text and _keeps_lines(text):
        # Empty lines, too, because some readers end the text at a line without an indent.
        return "\n  " + text.replace("\n", "\n  ")
    return f" {write_str(text)}"


def _keeps_lines(text: str) -> bool:
    """Whether any reader finds a text again in indented lines.

    Many take blanks off the ends of lines, and some take out what looks like a comment. The first
    line has no indent, so that the indent of all lines is known.
    """
    if _CONTROL.search(text):
        return False
    lines = text.split("\n")
    return (
        bool(lines[0] and lines[-1])
        and not lines[0][0].isspace()
        and all(line == line.rstrip() and not line.lstrip().startswith("//") for line in lines)
    )


def _block(text: str) -> str:
    if text.startswith("<<\n") and text.endswith("\n>>"):
        text = text[3:-3]  # a grid that is the whole block stands there without brackets
    return " Zinc:\n  " + text.replace("\n", "\n  ")


def _bytes(texts: list[str], last: int) -> bytes:
    try:
        return "".join(texts).encode()
    except UnicodeEncodeError:
        pass
    for row, text in enumerate(texts, last - len(texts) + 1):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            name = re.findall(r"^([a-z]\w*)", text[: error.start], re.MULTILINE | re.ASCII)[-1]
            raise CodecError(
                f"row {row}, column {name}: a lone surrogate, which UTF-8 has no form for"
            ) from error
    raise AssertionError("nothing else is refused by UTF-8")


TRIO: Final = TrioCodec()
"""Trio as the standard has it."""
