"""The table behind a database: its newest version, for those who read and for those who write."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, final

from msgspec import Struct

from holdall.core.errors import NotFound, Unsupported
from holdall.records.backends.delta.faults import translated
from holdall.records.backends.delta.layout import EPOCH, ID_COLUMN, Layout, layout_of
from holdall.records.backends.delta.parts import Known, following, holding
from holdall.records.backends.delta.settings import arrow_files, storage_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb
    from deltalake import DeltaTable

    from holdall.records.backends.delta.settings import DeltaRecordSettings

SOURCE: Final = "held"
"""What the table is called in every statement."""


class Snapshot(Struct, frozen=True):
    """One version of the table.

    Args:
        version: Its number.
        layout: Its columns.
        rows: How many rows it has about, 0 where the log does not say.
        data: Its rows, as Arrow reads them from the files.
        parts: The parts of files that were looked at before; filled as they are.
    """

    version: int
    layout: Layout
    rows: int
    data: Any
    parts: Known

    def among(self, ids: Sequence[str]) -> Snapshot:
        """The same without parts that hold none of these ids."""
        if self.layout.id != ID_COLUMN:  # whole numbers, which have another order
            return self
        return self._of(holding(self.data, self.parts, ids))

    def following(self, after: str | None, number: int) -> Snapshot:
        """The same without parts that hold none of so many first rows after an id."""
        if self.layout.id != ID_COLUMN:
            return self
        return self._of(following(self.data, self.parts, after, number))

    def _of(self, data: Any) -> Snapshot:
        return Snapshot(self.version, self.layout, self.rows, data, self.parts)


@final
class Opened:
    """A table that is open. For one thread at a time.

    Args:
        settings: Where it is.
    """

    def __init__(self, settings: DeltaRecordSettings) -> None:
        self._settings = settings
        self._delta: DeltaTable | None = None
        self._snapshot: Snapshot | None = None
        self._files: Any = None

    def newest(self) -> DeltaTable | None:
        """The newest version, or the one that the settings name; None where there is no table."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        settings = self._settings
        held, self._delta = self._delta, None  # after an error it is opened anew
        if held is None:
            try:
                held = DeltaTable(
                    settings.place,
                    version=settings.at_version,
                    storage_options=storage_options(settings),
                )
            except TableNotFoundError:
                if settings.at_version is not None:
                    raise
                return None
            except DeltaError as error:
                if settings.at_version is None or "specified end version" not in str(error):
                    raise
                raise NotFound(
                    f"{settings.address}: the log of the table has no such version",
                    reference=settings.address,
                ) from error
        elif settings.at_version is None:
            held.update_incremental()
        self._delta = held
        return held

    def forget(self) -> None:
        """Open the table anew next time."""
        self._delta = None
        self._snapshot = None
        self._files = None

    def newest_snapshot(self) -> tuple[DeltaTable, Snapshot] | None:
        """The same, and its rows.

        Raises:
            Unsupported: The table needs what this reader does not do.
        """
        delta = self.newest()
        if delta is None:
            return None
        version = delta.version()
        if self._snapshot is None or self._snapshot.version != version:
            self._snapshot = self._read(delta, version)
        return delta, self._snapshot

    def _read(self, delta: DeltaTable, version: int) -> Snapshot:
        address = self._settings.address
        features = set(delta.protocol().reader_features or ())
        if features - {"timestampNtz"}:
            named = ", ".join(sorted(features - {"timestampNtz"}))
            raise Unsupported(
                f"{address} needs a reader of {named}, which this one is not: rewrite the table "
                "without, by the engine that made it"
            )
        if self._files is None:  # one for all versions, since it holds connections
            self._files = arrow_files(self._settings)
        data = delta.to_pyarrow_dataset(filesystem=self._files)
        made = EPOCH + timedelta(milliseconds=delta.metadata().created_time or 0)
        rows, full, sizes = _stated(delta, data.schema.names)
        data = _sized(data, sizes)
        # Files never change, so what is known of them holds in every version.
        before: Known = {} if self._snapshot is None else self._snapshot.parts
        parts = {path: before[path] for path in data.files if path in before}
        return Snapshot(version, layout_of(data.schema, made, address, full), rows, data, parts)


def _stated(delta: DeltaTable, names: Sequence[str]) -> tuple[int, set[str], dict[str, int]]:
    """What the log says of the files: how many rows, in which columns no NULL is, and sizes."""
    import pyarrow as pa

    stated = pa.table(delta.get_add_actions(flatten=True))
    nulls = {f"null_count.{name}": name for name in names} | {"num_records": ""}
    told = stated.select([name for name in stated.column_names if name in nulls]).to_pydict()
    rows = sum(number or 0 for number in told.pop("num_records", ()))
    # A file of which nothing is said stands here as None.
    full = {nulls[name] for name, counts in told.items() if all(one == 0 for one in counts)}
    files = stated.select(["path", "size_bytes"]).to_pydict()
    return rows, full, dict(zip(files["path"], files["size_bytes"], strict=True))


def _sized(data: Any, sizes: Mapping[str, int]) -> Any:
    """The same rows, of files whose sizes are known, so that a service is not asked for them."""
    import pyarrow.dataset as pads

    files = [
        data.format.make_fragment(
            file.path,
            filesystem=data.filesystem,
            partition_expression=file.partition_expression,
            file_size=sizes.get(file.path),  # a name that is written in another way has none
        )
        for file in data.get_fragments()
    ]
    return pads.FileSystemDataset(files, data.schema, data.format, data.filesystem)


@final
class Table:
    """The table of one store.

    Args:
        settings: Where it is.
    """

    def __init__(self, settings: DeltaRecordSettings) -> None:
        self.settings = settings
        self.writing = Opened(settings)
        """For the one who has its turn to write."""
        self._reading = Opened(settings)
        self._guard = threading.Lock()
        self._engine: duckdb.DuckDBPyConnection | None = None

    def check_place(self) -> None:
        """Make sure that a table can be made.

        Raises:
            NotFound: There is no folder to make it in.
        """
        folder = self.settings.folder
        above = None if folder is None else os.path.dirname(folder.rstrip("/"))
        if above is not None and not os.path.isdir(above):
            address = self.settings.address
            raise NotFound(f"{address}: there is no folder {above!r}", reference=address)

    def snapshot(self) -> Snapshot | None:
        """The version to read; None where there is no table."""
        with translated(self.settings), self._guard:
            found = self._reading.newest_snapshot()
        return None if found is None else found[1]

    def newest(self) -> DeltaTable | None:
        """The newest version, for a look at its log; None where there is no table."""
        return Opened(self.settings).newest()

    def query(self, snapshot: Snapshot, statement: str, args: list[Any]) -> list[tuple[Any, ...]]:
        """Ask for rows of a version.

        Args:
            snapshot: The version.
            statement: What to ask; the version is the table `SOURCE` in it.
            args: Its parameters.
        """
        with self.reading():
            cursor = self._cursor()
            try:
                cursor.register(SOURCE, snapshot.data)
                answer = cursor.execute(statement, args).to_arrow_table()
            finally:
                cursor.close()
        return list(zip(*(column.to_pylist() for column in answer.columns), strict=True))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read files inside of it; an error is ours, and the table is opened anew after it."""
        with translated(self.settings):
            try:
                yield
            except Exception:
                # The files may be gone because the table was removed, or made anew.
                with self._guard:
                    self._reading.forget()
                raise

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        with self._guard:
            if self._engine is None:
                # It reads what it is handed, and neither files nor the network by itself.
                self._engine = duckdb.connect(
                    ":memory:",
                    config={
                        "enable_external_access": "false",
                        "autoinstall_known_extensions": "false",
                        "autoload_known_extensions": "false",
                        "python_enable_replacements": "false",
                        "temp_directory": "",
                        # Files that a merge wrote have texts of another type of Arrow, which
                        # Arrow does not compare; DuckDB is handed plain ones.
                        "disabled_optimizers": "filter_pushdown",
                    },
                )
            return self._engine.cursor()

    def close(self) -> None:
        """Let go of memory; what is asked later opens it again."""
        with self._guard:
            engine, self._engine = self._engine, None
            self._reading.forget()
        if engine is not None:
            engine.close()
