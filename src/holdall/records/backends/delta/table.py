"""The table behind a database: its newest version, for those who read and for those who write."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, final

from msgspec import Struct

from holdall.core.errors import NotFound, Unsupported
from holdall.records.backends.delta.faults import translated
from holdall.records.backends.delta.layout import EPOCH, ID_COLUMN, Layout, layout_of, own_schema
from holdall.records.backends.delta.settings import arrow_files, storage_options

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        data: Its rows, as Arrow reads them from the files.
    """

    version: int
    layout: Layout
    data: Any

    def among(self, ids: Sequence[str]) -> Snapshot:
        """The same without files that hold none of these ids, by what the log says of files."""
        import pyarrow.dataset as pads

        if self.layout.id != ID_COLUMN:  # whole numbers, which have another order
            return self
        column = pads.field("id")
        meant = (column >= min(ids)) & (column <= max(ids))
        data = self.data
        files = list(data.get_fragments(filter=meant))
        kept = pads.FileSystemDataset(files, data.schema, data.format, data.filesystem)
        return Snapshot(self.version, self.layout, kept)


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
        data = delta.to_pyarrow_dataset(filesystem=arrow_files(self._settings))
        made = EPOCH + timedelta(milliseconds=delta.metadata().created_time or 0)
        return Snapshot(version, layout_of(data.schema, made, address), data)

    def make(self) -> None:
        """Make the table, unless another just made it.

        Raises:
            NotFound: There is no folder to make it in.
        """
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        settings = self._settings
        if settings.folder is not None:
            above = os.path.dirname(settings.folder.rstrip("/"))
            if not os.path.isdir(above):
                raise NotFound(
                    f"{settings.address}: there is no folder {above!r}", reference=settings.address
                )
        try:
            self._delta = DeltaTable.create(
                settings.place,
                own_schema(),
                mode="error",
                storage_options=storage_options(settings),
            )
        except (DeltaError, OSError):
            if self.newest() is None:
                raise


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

    def snapshot(self) -> Snapshot | None:
        """The version to read; None where there is no table."""
        with translated(self.settings), self._guard:
            found = self._reading.newest_snapshot()
        return None if found is None else found[1]

    def query(self, snapshot: Snapshot, statement: str, args: list[Any]) -> list[tuple[Any, ...]]:
        """Ask for rows of a version.

        Args:
            snapshot: The version.
            statement: What to ask; the version is the table `SOURCE` in it.
            args: Its parameters.
        """
        with translated(self.settings):
            cursor = self._cursor()
            try:
                cursor.register(SOURCE, snapshot.data)
                answer = cursor.execute(statement, args).to_arrow_table()
            except Exception:
                # The files may be gone because the table was removed, or made anew.
                with self._guard:
                    self._reading.forget()
                raise
            finally:
                cursor.close()
        return list(zip(*(column.to_pylist() for column in answer.columns), strict=True))

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
