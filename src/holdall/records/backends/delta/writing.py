"""What is written to a table: each change is one commit, or none.

A commit is made as the version that follows the one that was read, and as no other. So nobody wrote
in between, and what was found about ids still holds; the driver's own ways to settle a conflict,
which look at files and not at ids, are never asked.
"""

# ruff: noqa: S608 - values are parameters; names in the text are checked or quoted

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, final

from holdall.core.errors import HoldallError, Unsupported
from holdall.records.backends.delta.asking import Parameters
from holdall.records.backends.delta.faults import translated
from holdall.records.backends.delta.layout import EPOCH, Row, encoded, typed_fields
from holdall.records.backends.delta.reading import within
from holdall.records.backends.delta.table import SOURCE
from holdall.records.results import changed, new_versions, refusal, undone
from holdall.records.stored import Removal, Stored, Write, Written

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from deltalake import CommitProperties, DeltaTable

    from holdall.records.backends.delta.table import Snapshot, Table
    from holdall.records.stored import Outcome

CONFLICT: Final = object()
"""Somebody else wrote meanwhile: begin anew."""

_NOTE: Final = "holdall"
_SAME: Final = "target.id = source.id"


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
                if not self._made():
                    return self._answer
                found = self._table.writing.newest_snapshot()
                assert found is not None
            delta, snapshot = found
            if not snapshot.layout.ours or snapshot.layout.strange:
                named = ", ".join(snapshot.layout.strange) or "others than ours"
                raise Unsupported(
                    f"{settings.address} has columns that another program made ({named}): its "
                    "records can be read, and copied to a new table to be written there"
                )
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

    def _made(self) -> bool:
        """Answer whether a table was made; else `_answer` says what comes of none."""
        return False

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
            if newest is None or newest.version() == version:
                raise
            raise _Lost from error

    def _held(self, snapshot: Snapshot, ids: Sequence[str]) -> dict[str, Stored]:
        """The rows of these ids, without what is in them."""
        args = Parameters()
        statement = (
            f"SELECT id,epoch_us(created_at),version FROM {SOURCE} WHERE {within('id', ids, args)}"
        )
        held: dict[str, Stored] = {}
        for id_, microseconds, version in self._table.query(snapshot.among(ids), statement, args):
            created = EPOCH + timedelta(microseconds=microseconds)
            held[id_] = Stored(id_, {}, {}, created, created, version)
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

    def _made(self) -> bool:
        outcomes, _ = self._outcomes({}, datetime.now(UTC))
        if any(isinstance(one, HoldallError) for one in outcomes):
            self._answer = undone(outcomes)
            return False
        self._table.writing.make()
        return True

    def _outcomes(
        self, held: dict[str, Stored], now: datetime
    ) -> tuple[list[Outcome], dict[str, Row]]:
        """What comes of each write, and the rows that are left at the end."""
        known: dict[str, Stored | None] = dict(held)
        outcomes: list[Outcome] = []
        rows: dict[str, Row] = {}
        for write, version in zip(self._writes, self._versions, strict=True):
            before = known.get(write.id)
            error = refusal(write, before)
            if error is not None:
                outcomes.append(error)
                continue
            created = now if before is None else before.created
            known[write.id] = Stored(write.id, {}, {}, created, now, version)
            rows[write.id] = Row(write, created, version)
            outcomes.append(Written(created, now, version))
        return outcomes, rows

    def _change(self, delta: DeltaTable, snapshot: Snapshot) -> list[Outcome]:
        now = datetime.now(UTC)
        held = {}
        if delta.count():
            held = self._held(snapshot, list({write.id for write in self._writes}))
        outcomes, rows = self._outcomes(held, now)
        if any(isinstance(one, HoldallError) for one in outcomes):
            return undone(outcomes)
        known = snapshot.layout.columns
        new = typed_fields(self._writes, known, self._table.settings.typed_from)
        data = encoded(rows.values(), (*known, *new), now)
        self._answer = outcomes  # in case that this is done, and the answer is lost
        if held:
            self._commit(snapshot.version, lambda how: _merge(delta, data, how, bool(new)))
        else:
            self._commit(snapshot.version, lambda how: _append(delta, data, how, bool(new)))
        return outcomes


def _merge(delta: DeltaTable, data: pa.Table, how: CommitProperties, wider: bool) -> None:
    merging = delta.merge(
        data,
        _SAME,
        source_alias="source",
        target_alias="target",
        merge_schema=wider,
        streamed_exec=False,
        commit_properties=how,
    )
    merging.when_matched_update_all().when_not_matched_insert_all().execute()


def _append(delta: DeltaTable, data: pa.Table, how: CommitProperties, wider: bool) -> None:
    from deltalake import write_deltalake

    write_deltalake(
        delta,
        data,
        mode="append",
        schema_mode="merge" if wider else None,
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

    def _made(self) -> bool:
        self._answer, _ = self._outcomes({})
        return False

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
                    commit_properties=how,
                )
                merging.when_matched_delete().execute()

            self._commit(snapshot.version, commit)
        return outcomes


@final
class Clear(Change):
    """Delete all records; answers how many there were."""

    def _made(self) -> bool:
        self._answer = 0
        return False

    def _change(self, delta: DeltaTable, snapshot: Snapshot) -> int:
        number = int(delta.count())
        self._answer = number
        if number:
            self._commit(snapshot.version, lambda how: delta.delete(commit_properties=how))
        return number


def _properties(token: str) -> CommitProperties:
    from deltalake import CommitProperties

    return CommitProperties(custom_metadata={_NOTE: token}, max_commit_retries=0)
