"""Where SQL finds what a path leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from holdall.records import values
from holdall.records.backends.delta.layout import micros, quoted
from holdall.records.encoding import EXACT
from holdall.records.paths import ID, METADATA, field_path, is_special

if TYPE_CHECKING:
    from holdall.records.backends.delta.layout import Column, Layout
    from holdall.records.paths import Path

MARKS: Final = {
    "$bytes": values.BYTES,
    "$date": values.DATE,
    "$datetime": values.DATETIME,
    "$instant": values.INSTANT,
    "$time": values.TIME,
    "$uuid": values.IDENTIFIER,
}
"""The markers that a row may hold which is not odd."""

# The names inside of a marker, which Python does not see.
_IN_MARKERS = {"offset", "zone", "fold"}
_KINDS = {
    "text": values.TEXT,
    "bool": values.BOOL,
    "int": values.NUMBER,
    "float": values.NUMBER,
    "instant": values.INSTANT,
}


class Typed(Struct, frozen=True):
    """A column that holds values of one kind; NULL where there is none.

    Args:
        sql: The column.
        kind: The kind of its values; None where only Python compares them.
        value: A value as it is compared: text, a double, a bool, or the text of a moment.
        doubt: Whether SQL would compare a value in another way than we do; None when never.
    """

    sql: str
    kind: int | None
    value: str
    doubt: str | None


class Json(Struct, frozen=True):
    """A place in a column of JSON.

    Args:
        column: The column.
        path: As the functions of JSON take it, without the quotes around it.
    """

    column: str
    path: str

    @property
    def value(self) -> str:
        """A text as it is, a number, `true`, `false`, or JSON; NULL for null and for nothing."""
        return f"json_extract_string({self.column},'{self.path}')"

    @property
    def kind(self) -> str:
        """What `json_type` calls it; NULL for nothing."""
        return f"json_type({self.column},'{self.path}')"

    @property
    def items(self) -> str:
        """The items of a list, each as JSON."""
        return f"json_extract({self.column},'{self.path}[*]')"

    def marked(self, mark: str) -> str:
        """The text in a marker; NULL where this marker is not."""
        return f"json_extract_string({self.column},'{self.path}.\"{mark}\"')"


class Place(Struct, frozen=True):
    """Where a value is: in a column of its own, else in JSON; nowhere when there is neither.

    Args:
        typed: The column.
        json: The place in JSON.
        moment: Microseconds since 1970, where the value is a moment that every row has.
    """

    typed: Typed | None = None
    json: Json | None = None
    moment: str | None = None


def place_of(path: Path, layout: Layout) -> Place | None:
    """Where a path leads to; None where SQL would find something else than Python does."""
    if path == (ID,):
        return _id_of(layout)
    if is_special(path):
        assert path[0] == METADATA
        if len(path) == 2 and path[1] == "id":
            return _id_of(layout)
        if len(path) == 2 and path[1] in {"created_at", "updated_at"}:
            made = f"CAST({micros(layout.made)} AS BIGINT)"
            return Place(moment=f"epoch_us({path[1]})" if layout.ours else made)
        return _in_json("metadata", path[1:]) if layout.ours else Place()
    names = field_path(path)
    column = next((one for one in layout.columns if one.name == names[0]), None)
    if column is not None and len(names) > 1 and column.kind == "other":
        return None
    typed = _typed(column) if column is not None and len(names) == 1 else None
    if not layout.ours or (typed is not None and column is not None and column.full):
        return Place(typed)
    place = _in_json("data", names)
    return None if place is None else Place(typed, place.json)


def _id_of(layout: Layout) -> Place:
    return Place(Typed(layout.id, values.TEXT, layout.id, None))


def _typed(column: Column) -> Typed:
    sql = quoted(column.name)
    value, doubt = sql, None
    if column.kind == "int":
        value, doubt = f"CAST({sql} AS DOUBLE)", f"{sql} NOT BETWEEN {-EXACT} AND {EXACT}"
    elif column.kind == "float":
        value, doubt = f"CAST({sql} AS DOUBLE)", f"isnan({sql})"
    elif column.kind == "instant":
        value = f"strftime(make_timestamp(epoch_us({sql})),'%Y-%m-%dT%H:%M:%S.%fZ')"
    return Typed(sql, _KINDS.get(column.kind), value, doubt)


def _in_json(column: str, names: Path) -> Place | None:
    if not all(map(_is_plain, names)) or len(names) > values.MAX_DEPTH:
        return None
    # A number may lead into a list as well as into a dict.
    if any(name in _IN_MARKERS or name.isdecimal() for name in names[1:]):
        return None
    steps = "".join(f'."{name}"' for name in names).replace("'", "''")
    return Place(json=Json(column, f"${steps}"))


def _is_plain(name: str) -> bool:
    """Whether a path of JSON holds a name as it stands, and no marker begins with it."""
    return (
        0 < len(name) < 1000
        and name.isprintable()
        and not name.startswith("$")
        and not any(letter in '"\\*' for letter in name)
    )
