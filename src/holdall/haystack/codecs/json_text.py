"""Text of JSON: parsed exactly, and with a place for everything that is wrong.

`msgspec` parses, which is fast and exact, but says little about faults. When it refuses a text,
the text is read again here, token by token, to find line, column and what was expected; so only
what is wrong costs time. Of two equal keys in an object the last one counts, as everywhere.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from json import JSONDecoder
from math import isinf
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import msgspec
from msgspec import Struct

from holdall.core.errors import CodecError
from holdall.haystack.codecs.scalars import MAX_DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

BOM: Final = b"\xef\xbb\xbf"
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What `msgspec` raises for texts that it does not read."""

LEVELS: Final = 3
"""How many arrays and objects a grid is made of: itself, its rows, and a row."""

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,40}")
_ESCAPED_HALF = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)
_CLOSING: Final = {"[": "]", "{": "}"}
_WORDS: Final = frozenset({"true", "false", "null"})
# It steps over values in C; their numbers are of no interest.
_SKIP = JSONDecoder(parse_int=len, parse_float=len, strict=False).raw_decode


class Fault(Exception):
    """What is wrong with a value, and the way to it from the top of the text.

    Attributes:
        way: Keys and indexes, the innermost first; whoever passes the fault on adds its own.
    """

    def __init__(self, message: str, *way: str | int) -> None:
        super().__init__(message)
        self.message = message
        self.way: list[str | int] = list(way)

    def within(self, *way: str | int) -> Fault:
        """The same fault, farther from the top; the innermost first."""
        self.way += way
        return self


class Way:
    """Adds steps to the way of a fault that passes; the innermost first."""

    __slots__ = ("_steps",)

    def __init__(self, *steps: str | int) -> None:
        self._steps = steps

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Fault):
            error.within(*self._steps)


class JsonText(Struct, frozen=True):
    """A text of JSON, or a piece of one.

    Attributes:
        data: The text, in UTF-8.
        line: Where it begins, counted from 1.
        column: The same, in characters.
    """

    data: bytes
    line: int = 1
    column: int = 1

    @overload
    def parse(self, kind: type[T], depth: int) -> T: ...

    @overload
    def parse(self, kind: None, depth: int) -> Any: ...

    def parse(self, kind: type[T] | None, depth: int) -> Any:
        """Read the text.

        Args:
            kind: What it shall be: a type that `msgspec` knows; None for anything.
            depth: How many lists, dicts and grids may lie in one another; 0 is no limit.

        Raises:
            CodecError: It is no JSON, or not of this type.
        """
        try:
            if kind is None:
                return msgspec.json.decode(self.data)
            return msgspec.json.decode(self.data, type=kind)
        except UNREADABLE as error:
            raise self.refusal(depth, error) from error

    def chars(self) -> str:
        """The text as characters.

        Raises:
            CodecError: It is no UTF-8.
        """
        try:
            return self.data.decode()
        except UnicodeDecodeError as error:
            before = self.data[: error.start].decode()
            raise self._error("this is no UTF-8", before, len(before)) from error

    @contextmanager
    def places(self, depth: int) -> Iterator[None]:
        """Within it, what is wrong with values of this text becomes an error with a place."""
        try:
            yield
        except Fault as fault:
            raise self.error(fault) from fault
        except UNREADABLE as error:
            raise self.refusal(depth, error) from error

    def refusal(self, depth: int, error: Exception) -> CodecError:
        """Why the text is not read, when the parser raised this."""
        text = self.chars()
        try:
            _check(text, LEVELS * (depth + 1) if depth else 0)
        except _Broken as broken:
            return self._error(broken.message, text, broken.at)
        if isinstance(error, RecursionError):
            return self._error("lists and objects lie too deep in one another", text, 0)
        return self._error(f"this is no JSON that can be read: {error}", text, 0)

    def error(self, fault: Fault) -> CodecError:
        """The error for a fault in this text, which was parsed before."""
        text = self.chars()
        return self._error(fault.message, text, _place_of(text, fault.way[::-1]))

    def _error(self, message: str, text: str, at: int) -> CodecError:
        lines = text.count("\n", 0, at)
        column = at - text.rfind("\n", 0, at) if lines else at + self.column
        return CodecError(message, line=self.line + lines, column=column)


def _place_of(text: str, way: list[str | int]) -> int:
    """Where the value begins to which a way leads; the last place on it that there is."""
    at = _skip_space(text, 0)
    for step in way:
        try:
            found = _child(text, at, step)
        except (ValueError, IndexError, RecursionError):
            return at
        if found is None:
            return at
        at = found
    return at


def _child(text: str, at: int, step: str | int) -> int | None:
    in_object = text[at] == "{"
    place = None
    at = _skip_space(text, at + 1)
    number = 0
    while text[at] not in "]}":
        key: str | int = number
        if in_object:
            key, at = _SKIP(text, at)
            at = _skip_space(text, _skip_space(text, at) + 1)
        if key == step:
            place = at
            if not in_object:
                break
        at = _skip_space(text, _SKIP(text, at)[1])
        if text[at] == ",":
            at = _skip_space(text, at + 1)
        number += 1
    return place


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


class _Broken(Exception):
    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


def _check(text: str, levels: int) -> None:
    """Read a text of one value, token by token and without recursion.

    Args:
        text: The text.
        levels: How many arrays and objects may lie in one another; 0 is no limit.

    Raises:
        _Broken: Something is wrong.
    """
    opened: list[str] = []  # the brackets that are open
    empty = False  # whether nothing stands in the innermost of them yet
    at = _skip_space(text, 0)
    while True:
        if empty and text.startswith(_CLOSING[opened[-1]], at):
            opened.pop()
            at += 1
        else:
            if opened and opened[-1] == "{":
                at = _check_key(text, at)
            char = text[at : at + 1]
            if char in _CLOSING:
                opened.append(char)
                if levels and len(opened) > levels:
                    raise _Broken(
                        "lists, dicts and grids lie deeper in one another than allowed", at
                    )
                at, empty = _skip_space(text, at + 1), True
                continue
            at = _check_scalar(text, at)
        at, more = _after_value(text, _skip_space(text, at), opened)
        if not more:
            return
        empty = False


def _after_value(text: str, at: int, opened: list[str]) -> tuple[int, bool]:
    """Close what is closed here, up to a comma or the end of the text."""
    while opened:
        char = text[at : at + 1]
        if char == ",":
            return _skip_space(text, at + 1), True
        if char != _CLOSING[opened[-1]]:
            raise _Broken(f"expected ',' or '{_CLOSING[opened[-1]]}', not {_shown(text, at)}", at)
        opened.pop()
        at = _skip_space(text, at + 1)
    if at < len(text):
        raise _Broken(f"expected the end of the text, not {_shown(text, at)}", at)
    return at, False


def _check_key(text: str, at: int) -> int:
    if not text.startswith('"', at):
        raise _Broken(f"expected a key in double quotes, not {_shown(text, at)}", at)
    at = _skip_space(text, _check_string(text, at))
    if not text.startswith(":", at):
        raise _Broken(f"expected ':' after the key, not {_shown(text, at)}", at)
    return _skip_space(text, at + 1)


def _check_scalar(text: str, at: int) -> int:
    if text.startswith('"', at):
        return _check_string(text, at)
    number = _NUMBER.match(text, at)
    if number is not None:
        literal = number.group()
        if number.end() < len(text) and text[number.end()] in "0123456789.eE+-_":
            raise _Broken(f"{_shown(text, at)} is no number of JSON", at)
        if number.group(1) is None and number.group(2) is None:
            if len(literal.lstrip("-")) > MAX_DIGITS:
                raise _Broken(f"a whole number of more than {MAX_DIGITS} digits is not read", at)
        elif isinf(float(literal)):
            raise _Broken(f"{_shown(text, at)} is larger than a float can be", at)
        return number.end()
    word = _WORD.match(text, at)
    if word is not None and word.group() in _WORDS:
        return word.end()
    raise _Broken(f"expected a value, not {_shown(text, at)}", at)


def _check_string(text: str, at: int) -> int:
    found = _STRING.match(text, at)
    end = at if found is None else found.end()
    for half in _ESCAPED_HALF.finditer(text, at, end):
        if half.group(1) is not None:
            raise _Broken(
                f"{half.group(1)} is half of a character: the other half is missing", half.start()
            )
    if text.startswith('"', end):
        return end + 1
    if text.startswith("\\", end):
        raise _Broken(f"{text[end : end + 2]!r} is no escape of JSON", end)
    what = repr(text[end]) if end < len(text) else "the end"
    raise _Broken(f'expected the " at the end of a string, not {what}', end)


def _shown(text: str, at: int) -> str:
    if at >= len(text):
        return "the end"
    found = re.compile(r"[\w.+\-]{1,40}").match(text, at)
    return repr(text[at] if found is None else found.group())
