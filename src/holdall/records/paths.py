"""Paths: the names that lead to a value of a record.

    name              the field `name`
    address.city      the entry `city` of the field `address`
    items.0           the first item of the field `items`
    metadata.owner    the record's metadata
    id                the record's id
    .metadata.owner   the entry `owner` of a field that is called `metadata`
    a\\.b              the field `a.b`

A path is a tuple of names. One that begins with the empty name leads to a field in any case.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

from holdall.core.errors import InvalidQuery

Path: TypeAlias = tuple[str, ...]

METADATA: Final = "metadata"
ID: Final = "id"

_PIECES = re.compile(r"((?:[^.\\]|\\.)*)(\.|\Z)", re.DOTALL)


class Absent:
    """The type of `ABSENT`."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent()
"""What is found where there is nothing; `None` is a value."""


def parse_path(text: object) -> Path:
    """Read a path; a tuple of names is one already.

    Raises:
        InvalidQuery: It is empty, or one of its names is.
    """
    if isinstance(text, tuple):
        names = text
    elif isinstance(text, str):
        names = _split(text) if "." in text or "\\" in text else (text,)
    else:
        raise InvalidQuery(f"{text!r} names no field: a name is text")
    first = 1 if len(names) > 1 and names[0] == "" else 0
    if not names or not all(isinstance(name, str) and name for name in names[first:]):
        raise InvalidQuery(f"{text!r} names no field: a name is empty")
    if first and not is_special(names[1:]):
        return names[1:]
    return names


def _split(text: str) -> Path:
    names = []
    at = 0
    while True:
        match = _PIECES.match(text, at)
        if match is None:
            raise InvalidQuery(f"{text!r} names no field: it ends with a backslash")
        names.append(re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL))
        at = match.end()
        if not match[2]:
            return tuple(names)


def is_special(path: Path) -> bool:
    """Whether a path leads to the id or into the metadata, and not to a field."""
    return path == (ID,) or (len(path) > 1 and path[0] == METADATA)


def field_path(path: Path) -> Path:
    """The names from the fields on, for a path that leads to a field."""
    return path[1:] if path[0] == "" else path


def show_path(path: Path) -> str:
    """A path as text, which `parse_path` reads."""
    return ".".join(re.sub(r"([.\\])", r"\\\1", name) for name in path)


def descend(value: Any, names: Path) -> Any:
    """Answer what names lead to, from a value on; `ABSENT` where there is nothing.

    A name leads into a dict, and a number, counted from 0, into a list.
    """
    for name in names:
        if type(value) is dict:
            value = value.get(name, ABSENT)
        elif type(value) is list and name.isascii() and name.isdecimal() and len(name) < 10:
            at = int(name)
            value = value[at] if at < len(value) and str(at) == name else ABSENT
        else:
            return ABSENT
    return value
