"""From a user's record to a write, and from a row to a user's record."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from holdall.core.errors import HoldallError, InvalidKey
from holdall.records.paths import ABSENT, field_path, is_special, parse_path, show_path
from holdall.records.record import STORE_NAMES, Record, adopt_fields, check_id
from holdall.records.results import BatchFailed
from holdall.records.stored import Write, reader
from holdall.records.values import adopt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.records.paths import Path
    from holdall.records.stored import Mode, Outcome, RecordCapabilities, Stored


def draft(record: Record, mode: Mode, can: RecordCapabilities, id: str | None = None) -> Write:  # noqa: A002
    """Answer the write of a record, with copies of its values.

    Args:
        record: The record.
        mode: How it is written.
        can: What the database can do.
        id: The id it must have; a new one when there is none at all and it is created.

    Raises:
        InvalidKey: Its id cannot be, is another one, or is missing.
        TypeError: It is no record, or a value is of no kind that is kept.
        ValueError: A value cannot be kept as it is.
    """
    if not isinstance(record, Record):
        raise TypeError(f"{record!r} is no Record: write Record({{…}})")
    own = record.id
    if id is not None and own is not None and own != id:
        raise InvalidKey(f"the record has the id {own!r}, and {id!r} was named", reference=id)
    whole = own if id is None else id
    if whole is None:
        if mode == "update":
            raise InvalidKey("the record has no id: name one, update(id, record)")
        whole = str(uuid.uuid4())
    fit_id(whole, can)
    # An update of a record that was read is refused when another one was written since.
    version = None if mode == "create" else record.version
    return Write(whole, adopt_fields(record.fields, ""), record.own_metadata(), mode, version)


def fit_id(id: str, can: RecordCapabilities) -> str:  # noqa: A002
    """Answer an id.

    Raises:
        InvalidKey: The database cannot hold it.
    """
    check_id(id)
    if len(id) * 4 > can.max_id_bytes and len(id.encode()) > can.max_id_bytes:
        raise InvalidKey(
            f"the id {id[:60]!r}… has {len(id.encode())} bytes, and this database takes "
            f"{can.max_id_bytes}",
            reference=id,
        )
    return id


def drafts(
    records: Sequence[Record], mode: Mode, can: RecordCapabilities, what: str
) -> list[Write]:
    """Answer the writes of a batch.

    Raises:
        BatchFailed: Some cannot be written; none was.
    """
    writes: list[Any] = []
    failed = False
    for at, record in enumerate(records):
        try:
            writes.append(draft(record, mode, can))
        except (HoldallError, TypeError, ValueError) as error:
            failed = True
            if isinstance(error, HoldallError):
                writes.append(error)
            else:
                writes.append(UnfitRecord(f"item {at}: {error}"))
                writes[-1].__cause__ = error
    if failed:
        number = sum(isinstance(one, HoldallError) for one in writes)
        results = [one if isinstance(one, HoldallError) else _unwritten(number) for one in writes]
        raise BatchFailed(f"{number} of {len(writes)} records cannot be {what}; none was", results)
    return writes


class UnfitRecord(HoldallError, ValueError):
    """A record of a batch holds what no database keeps."""


def _unwritten(number: int) -> HoldallError:
    from holdall.records.results import Undone

    return Undone(f"not written, as {number} of the batch cannot be")


def note(record: Record, write: Write, outcome: Outcome) -> str:
    """Note in a record what was written; answer its id.

    Raises:
        HoldallError: It was not written.
    """
    if isinstance(outcome, HoldallError):
        raise outcome
    record.take(write.id, outcome.created, outcome.updated, outcome.version)
    return write.id


def shown(row: Stored, fields: Sequence[Path] | None = None) -> Record:
    """The record of a row, which it becomes; of some of its fields only, when they are named."""
    named = row.fields
    if fields is not None:
        named = {}
        for path in fields:
            value = reader(path)(row)
            if value is not ABSENT and not is_special(path):
                _plant(named, field_path(path), value)
    return Record.kept(row.id, named, row.metadata, row.created, row.updated, row.version)


def _plant(named: dict[str, Any], path: Path, value: Any) -> None:
    """Put a value where a path leads, making the dicts on its way."""
    *way, last = path
    for name in way:
        named = named.setdefault(name, {})
    named[last] = value


def patched(row: Stored, changes: Mapping[str, Any], metadata: Mapping[str, Any] | None) -> Record:
    """The record of a row, with some values changed.

    Raises:
        InvalidKey: The id would change.
        ValueError: A path leads through what is no dict.
    """
    record = shown(row)
    for text, value in changes.items():
        path = parse_path(text)
        if is_special(path):
            if path != ("id",) or value != row.id:
                raise InvalidKey(f"{text!r} cannot be patched: name fields, or pass metadata=")
            continue
        *way, last = field_path(path)
        place: Any = record.fields
        for name in way:
            place = place.setdefault(name, {}) if type(place) is dict else place
        if type(place) is not dict:
            raise ValueError(f"{show_path(path)} leads through what is no dict")
        place[last] = adopt(value, show_path(path))
    for name, value in adopt_fields(metadata or {}, "metadata.").items():
        if name in STORE_NAMES:
            raise ValueError(f"metadata.{name} is written by the database itself")
        record.metadata[name] = value
    return record


def check_batch(message: str, results: Sequence[Any]) -> None:
    """Raise `BatchFailed` when one of the results is an error.

    Args:
        message: What was asked, after how many of how many failed: "were not deleted".
        results: What came of each.
    """
    number = sum(isinstance(one, HoldallError) for one in results)
    if number:
        raise BatchFailed(f"{number} of {len(results)} records {message}", results)
