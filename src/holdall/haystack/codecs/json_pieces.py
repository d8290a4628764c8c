"""JSON that comes in pieces: cut into values without holding more than a piece and a value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw

from holdall.core.errors import CodecError
from holdall.haystack.codecs.json_text import BOM, LEVELS, UNREADABLE, JsonText

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdall.haystack.codecs.contract import Limits

_SPACES = re.compile(rb"[ \t\r\n]*+")
_OUTSIDE = re.compile(rb'[^"{}\[\]]*+')
_INSIDE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_PLAIN = re.compile(rb"[^,\]}\s]*+")
_SPACE_BYTES: Final = b" \t\r\n"
_TRIES: Final = 4
_WORTH_TRYING: Final = 1024  # bytes


class JsonPieces:
    """A text of JSON, read from the front.

    Args:
        pieces: The text in UTF-8, cut anywhere.
        limits: How large and how deep it may be.
    """

    def __init__(self, pieces: Iterable[bytes], limits: Limits) -> None:
        self._pieces = iter(pieces)
        self._limits = limits
        self._levels = LEVELS * (limits.depth + 1) if limits.depth else 0
        self._size = 0
        self._buffer = bytearray()
        self._at = 0  # what lies before it is done with
        self._line = 1  # the place of `_at`
        self._column = 1
        self._fresh = False  # whether many rows may be cut at once from what is there
        while len(self._buffer) < len(BOM) and self._more():
            pass
        if self._buffer.startswith(BOM):
            self._at = len(BOM)

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            self._advance(_end(_SPACES, self._buffer, self._at))
            if self._at < len(self._buffer):
                return chr(self._buffer[self._at])
            if not self._more():
                return ""

    def take(self, *expected: str) -> str:
        """Step over one of these characters and answer it.

        Raises:
            CodecError: Something else comes next.
        """
        char = self.peek()
        if not char or char not in expected:
            names = " or ".join(f"'{one}'" for one in expected)
            raise self.unexpected(names)
        self._advance(self._at + 1)
        return char

    def unexpected(self, expected: str) -> CodecError:
        """The error for what comes next."""
        char = self.peek()
        if char and not char.isascii():
            char = bytes(self._buffer[self._at : self._at + 4]).decode("utf-8", "replace")[0]
        what = repr(char) if char else "the end"
        return CodecError(f"expected {expected}, not {what}", line=self._line, column=self._column)

    def value(self) -> JsonText:
        """Cut the value that comes next, with the place where it begins; it is not checked."""
        self.peek()
        end = self._end_of_value()
        text = JsonText(bytes(self._buffer[self._at : end]), self._line, self._column)
        self._advance(end)
        return text

    def items(self) -> Iterator[tuple[JsonText, list[Raw]]]:
        """Cut the array that comes next: some items, and the array of these as a text.

        Raises:
            CodecError: It is no array, or not of JSON.
        """
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        while True:
            yield self._many() or self._one()
            if self.take(",", "]") == "]":
                return

    def _one(self) -> tuple[JsonText, list[Raw]]:
        value = self.value()
        if not value.data:
            raise self.unexpected("a value")
        raw = value.parse(Raw, self._limits.depth)
        return JsonText(b"[" + value.data + b"]", value.line, value.column - 1), [raw]

    def _many(self) -> tuple[JsonText, list[Raw]] | None:
        """All items that lie in the buffer whole; None when these are not easily found.

        The buffer is cut between two objects. If what comes before the cut is an array of JSON,
        then it was no cut within an item or a string.
        """
        if not self._fresh or len(self._buffer) - self._at < _WORTH_TRYING:
            return None
        self._fresh = False
        end = len(self._buffer)
        tries = _TRIES
        while tries and (end := self._buffer.rfind(b"{", self._at + 1, end)) > 0:
            comma = self._last_before(end)
            last = self._last_before(comma)
            if self._buffer[comma : comma + 1] != b"," or self._buffer[last : last + 1] != b"}":
                continue
            tries -= 1
            data = b"[" + self._buffer[self._at : last + 1] + b"]"
            try:
                found = msgspec.json.decode(data, type=list[Raw])
            except UNREADABLE:
                continue
            text = JsonText(data, self._line, self._column - 1)
            self._advance(last + 1)
            return text, found
        return None

    def _last_before(self, at: int) -> int:
        at -= 1
        while at > self._at and self._buffer[at] in _SPACE_BYTES:
            at -= 1
        return at

    def _end_of_value(self) -> int:
        """Where the value ends that begins here, or the text, where that comes first."""
        if self.peek() not in ("{", "[", '"'):
            return self._run_out(_PLAIN, 0)
        levels = passed = 0  # how far from `_at`, which moves when more comes
        while True:
            passed = self._run_out(_OUTSIDE, passed) - self._at
            end = self._at + passed
            if end == len(self._buffer):
                return end
            char = self._buffer[end]
            passed += 1
            if char == 0x22:  # a quote
                passed = self._run_out(_INSIDE, passed) - self._at + 1
                if self._at + passed > len(self._buffer):
                    return len(self._buffer)
            elif char in b"[{":
                levels += 1
                if self._levels and levels > self._levels:
                    return self._at + passed  # the parser refuses it there
            else:
                levels -= 1
            if levels <= 0:
                return self._at + passed

    def _run_out(self, pattern: re.Pattern[bytes], passed: int) -> int:
        """Where the pattern ends that begins so many bytes from here, with what comes yet."""
        while True:
            end = _end(pattern, self._buffer, self._at + passed)
            stopped = end < len(self._buffer) and self._buffer[end : end + 1] != b"\\"
            passed = end - self._at
            if stopped or not self._more():
                return self._at + passed

    def _more(self) -> bool:
        for piece in self._pieces:
            if not piece:
                continue
            self._size += len(piece)
            if self._limits.size and self._size > self._limits.size:
                raise CodecError(
                    f"the text is larger than the limit, {self._limits.size} bytes",
                    line=self._line,
                    column=self._column,
                )
            del self._buffer[: self._at]
            self._at = 0
            self._buffer += piece
            self._fresh = True
            return True
        return False

    def _advance(self, end: int) -> None:
        if end == self._at:
            return
        passed = bytes(self._buffer[self._at : end])
        chars = JsonText(passed, self._line, self._column).chars()
        lines = chars.count("\n")
        self._line += lines
        self._column = len(chars) - chars.rindex("\n") if lines else self._column + len(chars)
        self._at = end


def _end(pattern: re.Pattern[bytes], buffer: bytearray, at: int) -> int:
    # The match must not live longer: as long as it does the buffer cannot grow.
    found = pattern.match(buffer, at)
    return at if found is None else found.end()
