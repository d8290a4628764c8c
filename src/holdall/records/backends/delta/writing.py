"""What is written to a table: each change is one commit, or none.

A commit is made as the version that follows the one that was read, and as no other. So nobody wrote
in between, and what was found about ids still holds; the driver's own ways to settle a conflict,
which look at files and not at ids, are never asked.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, final

from holdall.core.errors import HoldallError, Unsupported
from holdall.records.backends.delta.faults import translated
from holdall.records.backends.delta.layout import EPOCH
from holdall.records.backends.delta.reading import row_count
from holdall.records.backends.delta.rows import Row, encoded
from holdall.records.backends.delta.settings import storage_options
from holdall.records.results import changed, new_versions, refusal, undone
from holdall.records.stored import Removal, Stored, Write, Written

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from deltalake import CommitProperties, DeltaTable, WriterProperties

    from holdall.records.backends.delta.settings import DeltaRecordSettings
    from holdall.records.backends.delta.table import Snapshot, Table
    from holdall.records.stored import Outcome

CONFLICT: Final = object()
"""Somebody else wrote meanwhile: begin anew."""

NO_TABLE: Final = -1
"""The version of a table that is not there."""

_NOTE: Final = "holdall"
_NOTHING: Final[dict[str, Any]] = {}
# A part of a file that is read as a whole: small enough to read for one record, and large enough
# that a million of them are few parts.
_PART_ROWS: Final = 16_384
_SAME: Final = "target.id = source.id"


def check_ours(snapshot: Snapshot, settings: DeltaRecordSettings) -> None:
    """Refuse to change a table that others made.

    Raises:
        Unsupported: It has columns that we would not have made.
    """
    if not snapshot.layout.ours or snapshot.layout.strange:
        named = ", ".join(snapshot.layout.strange) or "others than ours"
        raise Unsupported(
            f"{settings.address} has columns that another program made ({named}): its records "
            "can be read, and copied to a new table to be written there"
        )


class Change(ABC):
    """One change, which may be tried several times.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        # By this the change is found in the log, should the answer to the commit be lost.
        self._token = os.urandom(16).hex()
        self._began: int | None = None
        self._committing = False
        self._answer: Any = None

    def attempt(self) -> Any:
        """Change the newest version; answer what came of it, or `CONFLICT`."""
        try:
            return self._attempt()
        except HoldallError as error:
            self._table.writing.forget()
            error.uncertain = self._committing and error.transient
            raise

    def _attempt(self) -> Any:
        settings = self._table.settings
        with translated(settings):
            found = self._table.writing.newest_snapshot()
            if found is None:
                self._began = NO_TABLE
                try:
                    return self._begin()
                except _Lost:
                    return CONFLICT
            delta, snapshot = found
            check_ours(snapshot, settings)
            if self._began is not None and self._landed(delta, snapshot.version - self._began):
                return self._answer
            self._began = snapshot.version
            try:
                self._answer = self._change(delta, snapshot)
            except _Lost:
                return CONFLICT
            return self._answer

    def _landed(self, delta: DeltaTable, newer: int) -> bool:
        """Whether this change is among the newest commits."""
        self._committing = False
        if newer < 1:
            return False
        return any(commit.get(_NOTE) == self._token for commit in delta.history(newer))

    @abstractmethod
    def _begin(self) -> Any:
        """Make the table by one commit, or none; answer what came of it."""

    @abstractmethod
    def _change(self, delta: DeltaTable, snapshot: Snapshot) -> Any:
        """Change a version, by one commit or none; answer what came of it."""

    def _commit(self, version: int, commit: Any) -> Any:
        """Do what commits the version after this one.

        Raises:
            _Lost: Another one is there.
        """
        from deltalake.exceptions import DeltaError

        self._committing = True
        try:
            return commit(_properties(self._token))
        except (DeltaError, OSError) as error:
            # Only a newer version tells a conflict from a failure.
            newest = self._table.writing.newest()
            if (NO_TABLE if newest is None else newest.version()) == version:
                raise
            raise _Lost from error

    def _held(self, snapshot: Snapshot, ids: Sequence[str]) -> dict[str, Stored]:
        """The rows of these ids, without what is in them."""
        near = snapshot.among(ids)
        if not near.data.files:
            return {}
        import pyarrow as pa
        import pyarrow.compute as pc

        data = near.data
        wanted = pa.array(ids, data.schema.field("id").type)
        held: dict[str, Stored] = {}
        moments: dict[int, datetime] = {}
        for part in data.scanner(columns=["id", "created_at", "version"]).to_batches():
            rows = part.filter(pc.is_in(part.column("id"), value_set=wanted))
            # As numbers, which come from Arrow a hundred times as fast as moments do.
            created = rows.column("created_at").cast(pa.timestamp("us")).cast(pa.int64())
            columns = (rows.column("id"), created, rows.column("version"))
            for id_, number, version in zip(*(one.to_pylist() for one in columns), strict=True):
                made = moments.get(number)
                if made is None:
                    made = moments[number] = EPOCH + timedelta(microseconds=number)
                held[id_] = Stored(id_, _NOTHING, _NOTHING, made, made, version)
        return held


class _Lost(Exception):
    """Another one committed first."""


@final
class Put(Change):
    """Write records.

    Args:
        table: The table.
        writes: What to write.
    """

    def __init__(self, table: Table, writes: Sequence[Write]) -> None:
        super().__init__(table)
        self._writes = writes
        self._versions = new_versions(len(writes))

    def _begin(self) -> list[Outcome]:
        now = datetime.now(UTC)
        outcomes, rows = self._outcomes({}, now)
        if any(isinstance(one, HoldallError) for one in outcomes):
            return undone(outcomes)
        self._table.check_place()
        settings = self._table.settings
        data, _ = encoded(rows.values(), (), now, settings.typed_from)
        self._answer = outcomes  # in case that this is done, and the answer is lost
        self._commit(NO_TABLE, lambda how: _create(settings, data, how))
        return outcomes

    def _outcomes(
        self, held: dict[str, Stored], now: datetime
    ) -> tuple[list[Outcome], dict[str, Row]]:
        """What comes of each write, and the rows that are left at the end."""
        known: dict[str, Stored | None] = dict(held)
        outcomes: list[Outcome] = []
        rows: dict[str, Row] = {}
        for write, version in zip(self._writes, self._versions, strict=True):
            before = known.get(write.id)
            if before is not None or write.mode == "update" or write.version is not None:
                error = refusal(write, before)
                if error is not None:
                    outcomes.append(error)
                    continue
            created = now if before is None else before.created
            known[write.id] = Stored(write.id, _NOTHING, _NOTHING, created, now, version)
            rows[write.id] = Row(write, created, version)
            outcomes.append(Written(created, now, version))
        return outcomes, rows

    def _change(self, delta: DeltaTable, snapshot: Snapshot) -> list[Outcome]:
        now = datetime.now(UTC)
        held = self._held(snapshot, list({write.id for write in self._writes}))
        outcomes, rows = self._outcomes(held, now)
        if any(isinstance(one, HoldallError) for one in outcomes):
            return undone(outcomes)
        least = self._table.settings.typed_from
        data, wider = encoded(rows.values(), snapshot.layout.columns, now, least)
        self._answer = outcomes  # in case that this is done, and the answer is lost
        if held:
            self._commit(snapshot.version, lambda how: _merge(delta, data, how, wider))
        else:
            self._commit(snapshot.version, lambda how: _append(delta, data, how, wider))
        return outcomes


def _merge(delta: DeltaTable, data: pa.Table, how: CommitProperties, wider: bool) -> None:
    merging = delta.merge(
        data,
        _SAME,
        source_alias="source",
        target_alias="target",
        merge_schema=wider,
        streamed_exec=False,
        writer_properties=writer(),
        commit_properties=how,
    )
    merging.when_matched_update_all().when_not_matched_insert_all().execute()


def _create(settings: DeltaRecordSettings, data: pa.Table, how: CommitProperties) -> None:
    from deltalake import write_deltalake

    write_deltalake(
        settings.place,
        data,
        mode="error",
        storage_options=storage_options(settings),
        writer_properties=writer(),
        commit_properties=how,
    )


def _append(delta: DeltaTable, data: pa.Table, how: CommitProperties, wider: bool) -> None:
    from deltalake import write_deltalake

    write_deltalake(
        delta,
        data,
        mode="append",
        schema_mode="merge" if wider else None,
        writer_properties=writer(),
        commit_properties=how,
    )


@final
class Delete(Change):
    """Delete records.

    Args:
        table: The table.
        removals: What to delete.
    """

    def __init__(self, table: Table, removals: Sequence[Removal]) -> None:
        super().__init__(table)
        self._removals = removals

    def _begin(self) -> list[Any]:
        return self._outcomes({})[0]

    def _outcomes(self, held: dict[str, Stored]) -> tuple[list[Any], list[str]]:
        known = dict(held)
        outcomes: list[bool | HoldallError] = []
        gone: list[str] = []
        for removal in self._removals:
            row = known.get(removal.id)
            if removal.version is not None and (row is None or row.version != removal.version):
                outcomes.append(changed(removal.id, removal.version, row))
                continue
            outcomes.append(row is not None)
            if row is not None:
                del known[removal.id]
                gone.append(removal.id)
        if any(isinstance(one, HoldallError) for one in outcomes):
            return undone(outcomes), []
        return outcomes, gone

    def _change(self, delta: DeltaTable, snapshot: Snapshot) -> list[Any]:
        import pyarrow as pa

        held = self._held(snapshot, list({removal.id for removal in self._removals}))
        outcomes, gone = self._outcomes(held)
        self._answer = outcomes
        if gone:
            data = pa.table({"id": pa.array(gone, pa.string())})

            def commit(how: CommitProperties) -> None:
                merging = delta.merge(
                    data,
                    _SAME,
                    source_alias="source",
                    target_alias="target",
                    streamed_exec=False,
                    writer_properties=writer(),
                    commit_properties=how,
                )
                merging.when_matched_delete().execute()

            self._commit(snapshot.version, commit)
        return outcomes


@final
class Clear(Change):
    """Delete all records; answers how many there were."""

    def _begin(self) -> int:
        return 0

    def _change(self, delta: DeltaTable, snapshot: Snapshot) -> int:
        number = row_count(self._table, snapshot)
        self._answer = number
        if number:
            self._commit(snapshot.version, lambda how: delta.delete(commit_properties=how))
        return number


def writer() -> WriterProperties:
    """How files are written."""
    from deltalake import ColumnProperties, WriterProperties

    unlike = ColumnProperties(dictionary_enabled=False)  # no two of them are the same
    return WriterProperties(
        compression="SNAPPY",
        max_row_group_size=_PART_ROWS,
        column_properties={"id": unlike, "version": unlike},
    )


def _properties(token: str) -> CommitProperties:
    from deltalake import CommitProperties

    return CommitProperties(custom_metadata={_NOTE: token}, max_commit_retries=0)
