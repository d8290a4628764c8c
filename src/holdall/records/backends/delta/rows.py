"""Records on their way into a table: which fields get columns of their own, and what is left."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from math import copysign, isnan
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from holdall.records.backends.delta.layout import OURS, Column, arrow_type, own_schema
from holdall.records.encoding import EXACT, dump, to_plain
from holdall.records.stored import Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from holdall.records.backends.delta.layout import Kind

_MOST_TYPED: Final = 200
_LONGEST_TEXT: Final = 4096
_NO_METADATA: Final = (b"{}", False)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")

_json = msgspec.json.Encoder().encode


class Row(Struct, frozen=True, gc=False):
    """A record on its way into the table.

    Args:
        write: What is written.
        created: When the record was created.
        version: Its version.
    """

    write: Write
    created: datetime
    version: str


def encoded(
    rows: Iterable[Row], known: Sequence[Column], now: datetime, least: int
) -> tuple[pa.Table, bool]:
    """Rows as the table takes them, in the order of their ids.

    In this order a part of a file holds a range of ids, so that a few are found without reading
    the others.

    Args:
        rows: The rows, each of another id.
        known: The columns that the table has already.
        now: When this is.
        least: How many rows may give the table new columns; see the setting `typed_from`.

    Returns:
        The rows, and whether there are columns that the table does not have.
    """
    import pyarrow as pa

    whole = sorted(rows, key=lambda row: row.write.id)
    columns = _Columns([row.write.fields for row in whole])
    for column in known:
        columns.fill(column)
    new = columns.add(known) if len(whole) >= max(1, least) else []
    texts, odds = columns.rest()
    schema = own_schema()
    arrays = [
        pa.array([row.write.id for row in whole], pa.string()),
        _moments([row.created for row in whole]),
        _moments([now] * len(whole)),
        pa.array([row.version for row in whole], pa.string()),
        pa.array(texts, pa.string()),
    ]
    metadata = [row.write.metadata for row in whole]
    if any(metadata):
        dumped = [dump(one) if one else _NO_METADATA for one in metadata]
        arrays.append(pa.array([text for text, _ in dumped], pa.string()))
        odds = [one or also for one, (_, also) in zip(odds, dumped, strict=True)]
    else:
        arrays.append(pa.repeat(pa.scalar("{}"), len(whole)))
    arrays.append(pa.array(odds, pa.bool_()))
    for one in (*known, *new):
        schema = schema.append(pa.field(one.name, arrow_type(one.kind)))
        arrays.append(pa.array(columns.values[one.name], arrow_type(one.kind)))
    return pa.table(arrays, schema=schema), bool(new)


def _moments(moments: Sequence[datetime]) -> pa.Array:
    """Moments as a column; most are the same one."""
    import pyarrow as pa

    kind = pa.timestamp("us", "UTC")
    if moments and moments.count(moments[0]) == len(moments):
        return pa.repeat(pa.scalar(moments[0], kind), len(moments))
    return pa.array(moments, kind)


class _Form:
    """How the JSON of rows with the same names begins, and goes on after each value in it.

    Args:
        names: The names.
        left: Those of which the values stand in it; `null` stands for the others.
    """

    def __init__(self, names: tuple[str, ...], left: Sequence[str]) -> None:
        standing = set(left)
        self.odd = any(name.startswith("$") for name in names)
        pieces = [b"{"]
        for at, name in enumerate(names):
            pieces[-1] += (b"," if at else b"") + _json(name) + b":"
            if name in standing:
                pieces.append(b"")
            else:
                pieces[-1] += b"null"
        pieces[-1] += b"}"
        self.start = pieces[0]
        self.left = list(zip(left, pieces[1:], strict=True))


class _Columns:
    """The fields of many rows, taken column by column.

    Args:
        fields: Those of each row.
    """

    def __init__(self, fields: Sequence[dict[str, Any]]) -> None:
        self._fields = fields
        self.values: dict[str, list[Any]] = {}
        """What the columns hold."""
        # The columns that could not take all values; which rows are left, is in the values.
        self._partly: set[str] = set()

    def fill(self, column: Column) -> None:
        """Take the values that fit a column."""
        values = self._of(column.name)
        if _common([one for one in values if one is not None]) not in {column.kind, None}:
            self._partly.add(column.name)
            values = [
                one if one is not None and _common([one]) == column.kind else None for one in values
            ]
        self.values[column.name] = values

    def add(self, known: Sequence[Column]) -> list[Column]:
        """Take the fields that half of the rows have, with values of one kind, as new columns."""
        taken = {column.name.casefold() for column in known} | set(OURS)
        new: list[Column] = []
        numbers: Counter[str] = Counter()
        for names, number in Counter(map(tuple, self._fields)).items():
            for name in names:
                numbers[name] += number
        for name, number in numbers.items():
            if number * 2 < len(self._fields) or len(known) + len(new) >= _MOST_TYPED:
                continue
            if name.casefold() in taken or not _NAME.fullmatch(name):
                continue
            values = self._of(name)
            present = [one for one in values if one is not None]
            kind = _common(present)
            if kind not in {None, "other"} and len(present) * 2 >= len(values):
                assert kind is not None
                taken.add(name.casefold())
                new.append(Column(name, kind))
                self.values[name] = values
        return new

    def rest(self) -> tuple[list[bytes], list[bool]]:
        """What no column holds, as JSON for each row, and whether it is odd.

        Where a column holds a value, or None is, `null` stands.
        """
        texts: list[bytes] = []
        odds: list[bool] = []
        forms: dict[tuple[str, ...], _Form] = {}
        held, partly = self.values, self._partly
        for at, fields in enumerate(self._fields):
            names = tuple(fields)
            form = forms.get(names)
            if form is None:
                left = [one for one in names if one not in held or one in partly]
                form = forms[names] = _Form(names, left)
            odd: list[bool] = []
            text = form.start
            for name, rest in form.left:
                value = fields[name]
                if name in partly and held[name][at] is not None:
                    value = None
                text += _json(to_plain(value, odd)) + rest
            texts.append(text)
            odds.append(form.odd or bool(odd))
        return texts, odds

    def _of(self, name: str) -> list[Any]:
        return [fields.get(name) for fields in self._fields]


def _common(values: Sequence[Any]) -> Kind | None:
    """The kind of column that holds all of these as they are; None when there are none."""
    kinds = set(map(type, values))
    if len(kinds) != 1:
        return "other" if kinds else None
    fits, kind = _COLUMNS.get(kinds.pop(), (None, "other"))
    return kind if fits is not None and fits(values) else "other"


# A database compares and keeps these as we do.


def _are_texts(values: Sequence[str]) -> bool:
    if max(map(len, values)) > _LONGEST_TEXT:
        return False
    joined = "\n".join(values)
    if "\0" in joined:
        return False
    try:
        return joined.isascii() or bool(joined.encode())
    except UnicodeEncodeError:
        return False


def _are_ints(values: Sequence[int]) -> bool:
    return min(values) >= -EXACT and max(values) <= EXACT


def _are_floats(values: Sequence[float]) -> bool:
    if any(map(isnan, values)) or not (min(values) > -EXACT and max(values) < EXACT):
        return False
    return 0.0 not in values or all(one or copysign(1, one) > 0 for one in values)


def _are_moments(values: Sequence[datetime]) -> bool:
    return all(one.tzinfo is UTC for one in values)


_COLUMNS: Final[dict[type, tuple[Any, Kind]]] = {
    str: (_are_texts, "text"),
    bool: (lambda _: True, "bool"),
    int: (_are_ints, "int"),
    float: (_are_floats, "float"),
    datetime: (_are_moments, "instant"),
}
