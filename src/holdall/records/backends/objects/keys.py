"""From an id to the name of its object, and back.

An id stands in the name as it is, before `.json`. Percent-encoded are `/`, which would make a
folder, `%` itself, and what a key must not hold or a listing in XML cannot: a backslash, control
characters, U+FFFE and U+FFFF; and a space or `!` in the first place, since what begins with these
comes before all records. Each id has one name, and no two ids have the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from holdall.core.errors import InvalidKey
from holdall.core.reference import MAX_SEGMENT_BYTES
from holdall.records.record import check_id

if TYPE_CHECKING:
    from collections.abc import Sequence

SUFFIX = ".json"

FRONT = "!"
"""A folder that comes before all records: what is in it, their listing need not go past."""

BEHIND_FRONT = f"{FRONT}0"
"""What all records come behind: 0 is the character after /."""

_FIRST = f" {FRONT}"
_RARE = "%\\"
_ESCAPED = re.compile("[\x00-\x1f\x7f-\x9f%/\\\\\ufffe\uffff]")


def name_of(id: str) -> str:  # noqa: A002
    """The name of the object of an id.

    Raises:
        InvalidKey: It would be longer than a segment of a key may be.
    """
    name = _ESCAPED.sub(_escape, id) + SUFFIX
    if name[0] in _FIRST:
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) * 4 > MAX_SEGMENT_BYTES:
        size = len(name.encode())
        if size > MAX_SEGMENT_BYTES:
            raise InvalidKey(
                f"the id {id[:60]!r}… makes a name of {size} bytes on a store of objects, and "
                f"{MAX_SEGMENT_BYTES} are allowed, {len(SUFFIX)} of them for {SUFFIX}; "
                "'/', '%', '\\' and control characters take three each",
                reference=id,
            )
    return name


def ids_of(names: Sequence[str]) -> list[str] | None:
    """The ids of objects with these names, where they are plain; None where `id_of` must look."""
    number = len(names)
    # All at once, which takes half of the time of one by one; a `/` is in none of them.
    every = "/".join([*names, ""])
    if not (every.isascii() and every.isprintable()) or every.count("/") != number:
        return None
    if any(one in every for one in _RARE) or min(names)[0] in _FIRST:
        return None
    text = every.replace(f"{SUFFIX}/", "/")
    if len(every) - len(text) != number * len(SUFFIX):
        return None  # one ends in something else
    ids = text.split("/")[:-1]
    return ids if all(ids) else None


def id_of(name: str) -> str | None:
    """The id whose object has this name; None when it is the name of no record."""
    if not name.endswith(SUFFIX) or "/" in name:
        return None
    text = name[: -len(SUFFIX)]
    if text and text[0] not in _FIRST and not _ESCAPED.search(text):
        return text
    try:
        found = check_id(unquote(text, errors="strict"))
        return found if name_of(found) == name else None
    except (UnicodeDecodeError, InvalidKey):
        return None


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())
