"""The values that paths lead to, as expressions of SQL, and where they stand in an order.

A value in a row is JSON: `rank` says its kind as `holdall.records.values` counts them, `number`
and `text` answer what values of one kind are compared by. Text is compared by code points.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from msgspec import Struct

from holdall.records import values
from holdall.records.paths import ID, METADATA, field_path, is_special

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.records.paths import Path

NOTHING: Final = 100
"""The rank of what is absent, and of null."""

SHORT: Final = 256
"""How many characters of a text an index holds."""

MARKS: Final = {
    values.BYTES: "$bytes",
    values.DATE: "$date",
    values.DATETIME: "$datetime",
    values.INSTANT: "$instant",
    values.TIME: "$time",
    values.IDENTIFIER: "$uuid",
}
"""How kinds that JSON lacks are marked; see `holdall.records.encoding`."""

# Beside the mark, a moment or time has these; in Python no path leads into one.
_WITHIN_MARKERS = frozenset({"offset", "zone", "fold"})
# What PostgreSQL reads as a number of an item.
_LIKE_NUMBER = re.compile(r"\s*[+-]?[0-9]+", re.ASCII)


class Declined(Exception):
    """SQL cannot say this exactly."""


class Params:
    """The parameters of a statement."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._known: dict[tuple[str, ...], str] = {}

    def add(self, value: object, kind: str) -> str:
        """Take a value; answer what stands for it.

        Args:
            value: The value.
            kind: Its type in SQL.
        """
        self.values.append(value)
        return f"${len(self.values)}::{kind}"

    def forget(self, number: int) -> None:
        """Forget all but the first `number` values, which stand in no statement."""
        del self.values[number:]
        self._known = {key: sent for key, sent in self._known.items() if _index(sent) <= number}

    def path(self, names: Sequence[str]) -> str:
        """Take a path; answer what stands for it, the same for the same path."""
        return self._once(list(names), "text[]")

    def name(self, name: str) -> str:
        """Take a name of a path; answer what stands for it, the same for the same name."""
        return self._once(name, "text")

    def _once(self, value: list[str] | str, kind: str) -> str:
        key = (kind, *value)
        if key not in self._known:
            self._known[key] = self.add(value, kind)
        return self._known[key]

    def text(self, text: str) -> str:
        """Take a text; answer what stands for it.

        Raises:
            Declined: PostgreSQL holds no such text.
        """
        return self.add(sendable(text), "text")


def _index(sent: str) -> int:
    return int(sent[1:].partition(":")[0])


class JsonTerm(Struct, frozen=True):
    """A value within JSON.

    Args:
        sql: The value; NULL where there is nothing.
        names: The names that lead to it from the fields on, where containment in `data` says
            the same; else None.
    """

    sql: str
    names: tuple[str, ...] | None


class ColumnTerm(Struct, frozen=True):
    """A column that every row has.

    Args:
        sql: The column, as it is compared.
        kind: Its kind, of `holdall.records.values`.
    """

    sql: str
    kind: Literal[3, 7]


Term: TypeAlias = JsonTerm | ColumnTerm

_COLUMNS: dict[str, ColumnTerm] = {
    "id": ColumnTerm("id", values.TEXT),
    "created_at": ColumnTerm("created", values.INSTANT),
    "updated_at": ColumnTerm("updated", values.INSTANT),
}


def term(path: Path, params: Params) -> Term:
    """The term of what a path leads to, as `holdall.records.stored.reader` reads it.

    Raises:
        Declined: SQL would find something else there.
    """
    if not is_special(path):
        names = field_path(path)
        # The field `id`, as `.id` names it, is in `fields` alone.
        return _json("(fields::jsonb)" if names[0] == ID else "data", names, params)
    if path == (ID,):
        return _COLUMNS["id"]
    assert path[0] == METADATA
    if len(path) == 2 and path[1] in _COLUMNS:
        return _COLUMNS[path[1]]
    return _json("(metadata::jsonb)", path[1:], params)


def _json(root: str, names: Sequence[str], params: Params) -> JsonTerm:
    items = False
    guards = []
    for at, name in enumerate(names):
        sendable(name)
        if name.startswith("$"):
            raise Declined(name)
        if at and _LIKE_NUMBER.fullmatch(name):
            # One with a minus counts from the end.
            if len(name) > 9 or not name.isdecimal() or str(int(name)) != name:
                raise Declined(name)
            items = True
        if at and name in _WITHIN_MARKERS:
            before = f"{root} #> {params.path(names[:at])}"
            guards.append(f"{before} ?| ARRAY['$instant', '$datetime', '$time']")
    if items:
        found = f"({root} #> {params.path(names)})"
    else:  # costs half as much, and leads into no list
        found = f"({root}{''.join(f' -> {params.name(name)}' for name in names)})"
    if guards:
        found = f"(CASE WHEN {' OR '.join(guards)} THEN NULL ELSE {found} END)"
    return JsonTerm(found, None if items or guards or root != "data" else tuple(names))


def sendable(text: str) -> str:
    """Answer a text.

    Raises:
        Declined: It holds a NUL or a lone surrogate, which PostgreSQL refuses.
    """
    if "\0" in text:
        raise Declined("NUL")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Declined("a lone surrogate") from error
    return text


def rank(value: str) -> str:
    """The kind of a value, and `NOTHING` for NULL and null."""
    marked = " ".join(f"WHEN {value} ? '{mark}' THEN {kind}" for kind, mark in MARKS.items())
    return (
        f"(CASE jsonb_typeof({value}) WHEN 'number' THEN {values.NUMBER} "
        f"WHEN 'string' THEN {values.TEXT} WHEN 'boolean' THEN {values.BOOL} "
        f"WHEN 'array' THEN {values.LIST} "
        f"WHEN 'object' THEN CASE {marked} ELSE {values.DICT} END ELSE {NOTHING} END)"
    )


def number(value: str) -> str:
    """A number, which numbers are compared by; NULL for other kinds."""
    return f"(CASE WHEN jsonb_typeof({value}) = 'number' THEN {value}::numeric END)"


def text(value: str) -> str:
    """The text that values of any other kind with an order are compared by; else NULL."""
    marked = ", ".join(
        f"{value} ->> '{mark}'" for kind, mark in MARKS.items() if kind != values.BYTES
    )
    body = f"encode(decode({value} ->> '{MARKS[values.BYTES]}', 'base64'), 'hex')"
    return (
        f"(CASE jsonb_typeof({value}) WHEN 'string' THEN {value} #>> '{{}}' "
        f"WHEN 'boolean' THEN {value} #>> '{{}}' "
        f"WHEN 'object' THEN COALESCE({marked}, {body}) END COLLATE \"C\")"
    )


def short(text: str) -> str:
    """The beginning of a text; such beginnings stand in the order of their texts, or are equal."""
    return f'(left({text}, {SHORT}) COLLATE "C")'
