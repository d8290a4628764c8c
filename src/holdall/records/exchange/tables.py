"""Tables of Arrow, and files of Parquet and Arrow, from records and back."""

from __future__ import annotations

import shutil
from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from holdall.core.errors import CodecError
from holdall.records.encoding import from_plain
from holdall.records.exchange.columns import IDENTIFIER, JSON, NOTE, Columns, Seen
from holdall.records.exchange.drivers import arrow
from holdall.records.exchange.exporting import Writer
from holdall.records.exchange.importing import Line, line_of
from holdall.records.exchange.rows import record_of, row_of
from holdall.records.exchange.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from holdall.records.exchange.files import Format
    from holdall.records.record import Record

_GROUP_BYTES = 32 * 2**20
_GROUP_ROWS = 100_000
_READ_ROWS = 1000


class TableWriter(Writer):
    """Writes records as a file of Parquet or Arrow.

    They are kept in a temporary file until the types of all columns are known.

    Args:
        stream: Where to.
        kind: The format.

    Raises:
        InvalidConfig: pyarrow is not installed.
    """

    def __init__(self, stream: IO[bytes], kind: Format) -> None:
        self._arrow = arrow()
        self._stream = stream
        self._kind = kind
        self._seen: dict[str, Seen] = defaultdict(Seen)
        self._spool = Spool()

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            row = row_of(record)
            self._spool.add(row)
            for name, value in row.items():
                self._seen[name].see(value)

    def finish(self) -> None:
        columns = Columns(self._spool.columns or ["id"], self._seen)
        if self._kind == "parquet":
            writer = arrow("pyarrow.parquet").ParquetWriter(self._stream, columns.schema)
        else:
            writer = self._arrow.ipc.new_file(self._stream, columns.schema)
        with writer:
            for rows in _groups(self._spool):
                writer.write_batch(columns.batch(rows))

    def close(self) -> None:
        self._spool.close()


class TableMaker(Writer):
    """Makes a table of Arrow of all records, which it holds in memory.

    Raises:
        InvalidConfig: pyarrow is not installed.
    """

    def __init__(self) -> None:
        self._arrow = arrow()
        self._seen: dict[str, Seen] = defaultdict(Seen)
        self._rows: list[dict[str, Any]] = []
        self._names: dict[str, None] = {"id": None}

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            row = row_of(record)
            self._rows.append(row)
            self._names.update(dict.fromkeys(row))
            for name, value in row.items():
                self._seen[name].see(value)

    def table(self) -> Any:
        """The table of what it was given."""
        columns = Columns([*self._names], self._seen)
        return self._arrow.Table.from_batches([columns.batch(self._rows)], columns.schema)


def read_table(stream: IO[bytes], name: str, id_field: str, kind: Format) -> Iterator[Line]:
    """Read records of a file of Parquet or Arrow, a row each.

    Args:
        stream: The file.
        name: What it is called.
        id_field: The column that holds the id.
        kind: The format.

    Raises:
        CodecError: It is no such file, or damaged.
        InvalidConfig: pyarrow is not installed.
    """
    pa = arrow()
    number = 0
    try:
        with _seekable(stream) as file:
            batches = _parquet(file) if kind == "parquet" else _ipc(file)
            for batch in batches:
                for line in lines_of(batch, number, name, id_field):
                    number = line.number
                    yield line
    except CodecError:
        raise
    except (pa.ArrowException, OSError, OverflowError, ValueError) as error:
        raise CodecError(
            f"{name} cannot be read as {kind} after row {number}: {error}", reference=name
        ) from error


def lines_of(batch: Any, before: int, name: str, id_field: str) -> Iterator[Line]:
    """The records of a batch of Arrow.

    Args:
        batch: The batch.
        before: How many rows came before it.
        name: What the file is called.
        id_field: The column that holds the id.

    Raises:
        CodecError: Two columns have one name.
    """
    names = batch.schema.names
    if len({*names}) < len(names):
        raise CodecError(f"{name} has several columns of one name", reference=name)
    for start in range(0, batch.num_rows, _READ_ROWS):
        part = batch.slice(start, _READ_ROWS)
        reads = [_reader(field) for field in batch.schema]
        columns = [column.to_pylist() for column in part.columns]
        for at, values in enumerate(zip(*columns, strict=True)):
            row = zip(names, reads, values, strict=True)
            yield line_of(before + start + at + 1, _record, row, name, id_field)


def _record(
    row: Iterable[tuple[str, Callable[[Any], Any], Any]], name: str, id_field: str
) -> Record:
    values: dict[str, Any] = {}
    for column, read, value in row:
        if value is None:
            continue
        try:
            values[column] = read(value)
        except (TypeError, ValueError) as error:
            raise CodecError(
                f"{str(value)[:80]!r} cannot be in the column {column!r}, in {name}",
                reference=name,
            ) from error
    return record_of(values, id_field)


def _reader(field: Any) -> Callable[[Any], Any]:
    noted = (field.metadata or {}).get(NOTE, b"").decode()
    if noted == JSON:
        return lambda text: from_plain(msgspec.json.decode(text))
    return UUID if noted == IDENTIFIER else tidy


def tidy(value: Any) -> Any:
    """A value of another library as a record holds it: UTC is UTC, by whatever name."""
    if isinstance(value, datetime) and isinstance(value.tzinfo, ZoneInfo):
        return value.replace(tzinfo=UTC) if value.tzinfo.key in {"UTC", "Etc/UTC"} else value
    if type(value) is list:
        return [tidy(item) for item in value]
    if type(value) is dict:
        return {name: tidy(item) for name, item in value.items()}
    return value


def _groups(spool: Spool) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    held = 0
    for row, size in spool.rows():
        rows.append(row)
        held += size
        if held >= _GROUP_BYTES or len(rows) >= _GROUP_ROWS:
            yield rows
            rows, held = [], 0
    if rows:
        yield rows


def _parquet(file: IO[bytes]) -> Iterator[Any]:
    yield from arrow("pyarrow.parquet").ParquetFile(file).iter_batches(batch_size=_READ_ROWS)


def _ipc(file: IO[bytes]) -> Iterator[Any]:
    pa = arrow()
    magic = file.read(6)
    file.seek(0)
    if magic == b"ARROW1":
        reader = pa.ipc.open_file(file)
        for at in range(reader.num_record_batches):
            yield reader.get_batch(at)
    else:
        yield from pa.ipc.open_stream(file)


@contextmanager
def _seekable(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """A stream that can go back; what comes from a pipe is copied to a temporary file."""
    if stream.seekable():
        yield stream
        return
    with TemporaryFile() as file:
        shutil.copyfileobj(stream, file)
        file.seek(0)
        yield file
