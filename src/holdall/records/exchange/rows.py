"""Records as rows of named columns, and back.

    id                the record's id, always the first column
    name              the field `name`
    metadata.owner    the entry `owner` of the metadata
    .metadata.owner   the field `metadata.owner`; a dot comes first where a field's name is empty,
                      or begins with a dot or with `metadata.`

When the database wrote a record is no column. What comes back has its id as the field `id` too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdall.records.record import STORE_NAMES, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

ID = "id"
_METADATA = "metadata."


def row_of(record: Record) -> dict[str, Any]:
    """The values of a record by column."""
    row: dict[str, Any] = {ID: record.id}
    for name, value in record.fields.items():
        if name != ID:
            plain = name and not name.startswith((".", _METADATA))
            row[name if plain else f".{name}"] = value
    for name, value in record.metadata.items():
        if name not in STORE_NAMES:
            row[_METADATA + name] = value
    return row


def record_of(row: Mapping[str, Any], id_field: str = ID) -> Record:
    """The record of a row.

    Args:
        row: Values by column; a column that is missing is a field that is missing.
        id_field: The column that holds the id. A whole number there becomes its text.

    Raises:
        TypeError: A value is of no kind that is kept.
        ValueError: A value cannot be kept, or the id is none.
    """
    fields: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    id_ = row.get(id_field)
    if type(id_) is int:
        id_ = str(id_)
    for name, value in row.items():
        if name.startswith(_METADATA):
            metadata[name.removeprefix(_METADATA)] = value
        elif name == ID == id_field:
            fields[ID] = id_
        else:
            fields[name.removeprefix(".")] = value
    return Record(fields, id_, metadata)
