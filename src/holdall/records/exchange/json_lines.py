"""JSON Lines: a record a line, with all that it holds.

Written is what `Record.to_json` writes: an object with exactly `id`, `fields`, `metadata` and
`version`, in which values that JSON does not know stand in markers (`holdall.records.encoding`).
Any other object is somebody else's: all that is in it are fields, taken as they stand.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Any

import msgspec

from holdall.core.errors import CodecError
from holdall.records.encoding import from_plain
from holdall.records.exchange.exporting import Writer
from holdall.records.exchange.importing import Line, line_of
from holdall.records.record import STORE_NAMES, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OURS = {"id", "fields", "metadata", "version"}
_BOM = b"\xef\xbb\xbf"
_AT_BYTE = re.compile(r"byte (\d+)")
_decode = msgspec.json.Decoder().decode


class LinesWriter(Writer):
    """Writes records, a line each.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            self._stream.write(record.to_json().encode())
            self._stream.write(b"\n")


def read_lines(stream: IO[bytes], name: str, id_field: str) -> Iterator[Line]:
    """Read records; empty lines are passed over.

    Args:
        stream: The lines, in UTF-8.
        name: What the file is called.
        id_field: The field that is the id, in what we did not write.

    Raises:
        CodecError: A line is no JSON object; knows the line and column.
    """
    for number, line in enumerate(stream, 1):
        text = line.removeprefix(_BOM) if number == 1 else line
        if text.isspace() or not text:
            continue
        yield line_of(number, _record, _object(text, number, name), id_field)


def _object(text: bytes, number: int, name: str) -> dict[str, Any]:
    try:
        value = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(
            f"this is no JSON, in {name}: {error}",
            line=number,
            column=_column(text, error),
            reference=name,
        ) from error
    if type(value) is not dict:
        raise CodecError(
            f"a record is a JSON object, in {name}", line=number, column=1, reference=name
        )
    return value


def _column(text: bytes, error: Exception) -> int:
    """Where a line is no JSON, counted from 1 in bytes; its end where no byte is named."""
    try:
        text.decode()
    except UnicodeDecodeError as wrong:
        return wrong.start + 1
    at = _AT_BYTE.search(str(error))
    return int(at[1]) + 1 if at else len(text.rstrip()) + 1


def _record(data: dict[str, Any], id_field: str) -> Record:
    if data.keys() != _OURS or type(data["fields"]) is not dict:
        return _foreign(data, id_field)
    fields, metadata = from_plain(data["fields"]), from_plain(data["metadata"] or {})
    if type(fields) is not dict or type(metadata) is not dict:
        raise ValueError("the fields and the metadata of a record are objects")
    if data["version"] is not None:
        # A database wrote these, and the next one writes its own.
        metadata = {key: value for key, value in metadata.items() if key not in STORE_NAMES}
    return Record(fields, data["id"], metadata)


def _foreign(data: dict[str, Any], id_field: str) -> Record:
    id_ = data.get(id_field)
    if type(id_) is not int:
        return Record(data, None if id_field == "id" else id_)
    fields = {**data, "id": str(id_)} if id_field == "id" else data
    return Record(fields, str(id_))
