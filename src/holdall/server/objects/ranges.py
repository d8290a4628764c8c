"""The header `Range`: one range of bytes (RFC 9110, chapter 14)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from starlette.requests import Request

_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]*)[ \t]*-[ \t]*([0-9]*)", re.IGNORECASE)
_MOST: Final = 2**62  # more than any object has


class Range(Struct, frozen=True):
    """A part of an object.

    Attributes:
        start: The first byte; below 0 counts from the end.
        end: The byte after the last one; None for the end of the object.
    """

    start: int
    end: int | None = None


def range_of(request: Request) -> Range | None:
    """The part that a request wants; None for the whole.

    Several ranges, other units, and what is no range are answered with the whole object, which is
    what HTTP wants of a server that does not know them.
    """
    lines = request.headers.getlist("range")
    found = _RANGE.fullmatch(lines[0].strip()) if len(lines) == 1 else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        # None of the last bytes begins behind the end, which no object satisfies.
        last = _number(found[2])
        return Range(-last) if last else Range(_MOST)
    start = _number(found[1])
    if not found[2]:
        return Range(start)
    last = _number(found[2])
    return Range(start, last + 1) if last >= start else None


def _number(digits: str) -> int:
    """A number of however many digits; what is larger than any object counts as `_MOST`."""
    digits = digits.lstrip("0") or "0"
    return min(int(digits), _MOST) if len(digits) < 20 else _MOST
