"""Where SQL finds what a path leads to: the value, its type, and its place in an order."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from holdall.records import values
from holdall.records.paths import ID, METADATA, field_path, is_special

if TYPE_CHECKING:
    from holdall.records.paths import Path

ROW: Final = "r"
"""What the table is called in every statement."""

# The names inside of a marker, which Python does not see.
_IN_MARKERS = {"offset", "zone", "fold"}

MARKS: Final = {
    "$bytes": values.BYTES,
    "$date": values.DATE,
    "$datetime": values.DATETIME,
    "$instant": values.INSTANT,
    "$time": values.TIME,
    "$uuid": values.IDENTIFIER,
}
"""The markers that a row may hold which is not odd."""


class JsonPlace(Struct, frozen=True):
    """A place in a JSON column.

    Args:
        column: The column, without the table.
        json_path: As SQLite's functions take it, quoted as a literal of SQL; an index is found
            by the text of its expression, so that it cannot be a parameter.
    """

    column: str
    json_path: str

    @property
    def value(self) -> str:
        """The value: a number, a text, 1 or 0 for bools, JSON for the rest, NULL for nothing."""
        return f"json_extract({ROW}.{self.column},{self.json_path})"

    @property
    def kind(self) -> str:
        """What `json_type` calls it; NULL for nothing."""
        return f"json_type({ROW}.{self.column},{self.json_path})"

    @property
    def items(self) -> str:
        """A table of the items of a list."""
        return f"json_each({ROW}.{self.column},{self.json_path})"

    @property
    def bare_value(self) -> str:
        """The value, for the definition of an index."""
        return f"json_extract({self.column},{self.json_path})"

    @property
    def bare_kind(self) -> str:
        """The type, for the definition of an index."""
        return f"json_type({self.column},{self.json_path})"

    @property
    def rare(self) -> str:
        """Whether the value is of a type that does not stand in order among numbers and texts."""
        return f"{self.kind} IN {RARE_KINDS}"

    @property
    def name(self) -> str:
        """A short name that no other place has, for its indexes."""
        text = f"{self.column} {self.json_path}"
        return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()

    def marked(self, mark: str) -> str:
        """The text in a marker; NULL where this marker is not."""
        return f'json_extract({ROW}.{self.column},{self.json_path[:-1]}."{mark}"\')'


class ColumnPlace(Struct, frozen=True):
    """A column of its own: the id, or a moment as microseconds since 1970.

    Args:
        column: The column, without the table.
        moment: Whether it is a moment, else text.
    """

    column: str
    moment: bool

    @property
    def value(self) -> str:
        """The value."""
        return f"{ROW}.{self.column}"


RARE_KINDS: Final = "('array','object','true','false')"

_COLUMNS = {
    "id": ColumnPlace("id", moment=False),
    "created_at": ColumnPlace("created", moment=True),
    "updated_at": ColumnPlace("updated", moment=True),
}


@lru_cache(1024)
def place_of(path: Path) -> JsonPlace | ColumnPlace | None:
    """Where a path leads to; None where SQLite would find something else than Python does."""
    if path == (ID,):
        return _COLUMNS["id"]
    if is_special(path):
        assert path[0] == METADATA
        if len(path) == 2 and path[1] in _COLUMNS:
            return _COLUMNS[path[1]]
        return _json_place("metadata", path[1:])
    return _json_place("data", field_path(path))


def _json_place(column: str, names: Path) -> JsonPlace | None:
    if not all(map(_is_plain, names)) or len(names) > values.MAX_DEPTH:
        return None
    # A number may lead into a list as well as into a dict.
    if any(name in _IN_MARKERS or name.isdecimal() for name in names[1:]):
        return None
    steps = "".join(f'."{name}"' for name in names)
    quoted = steps.replace("'", "''")
    return JsonPlace(column, f"'${quoted}'")


def _is_plain(name: str) -> bool:
    """Whether JSON holds a name as it stands, and no marker begins with it."""
    return (
        name.isprintable()
        and not name.startswith("$")
        and '"' not in name
        and "\\" not in name
        and len(name) < 1000
    )
