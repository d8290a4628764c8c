"""What keeps a table fast and small: joining files, and deleting those that nobody needs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, final

from holdall.records.backends.delta.faults import translated
from holdall.records.backends.delta.layout import EPOCH
from holdall.records.backends.delta.results import Compacted, Vacuumed, Version
from holdall.records.backends.delta.writing import Change, check_ours, writer

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

    from holdall.records.backends.delta.table import Snapshot, Table

_HOUR = timedelta(hours=1)


@final
class Compact(Change):
    """Join small files into large ones; answers how many there were and are."""

    def _begin(self) -> Compacted:
        return Compacted(0, 0)

    def _change(self, delta: DeltaTable, snapshot: Snapshot) -> Compacted:
        before = len(delta.file_uris())
        self._answer = Compacted(before, before)  # in case that the answer is lost

        def commit(how: CommitProperties) -> dict[str, Any]:
            return dict(delta.optimize.compact(commit_properties=how, writer_properties=writer()))

        done = self._commit(snapshot.version, commit)
        return Compacted(before, before - done["numFilesRemoved"] + done["numFilesAdded"])


def vacuum(table: Table, retention: timedelta, dry_run: bool) -> Vacuumed:
    """Delete the files that no version of this time needs, and those of writers that died."""
    with translated(table.settings):
        found = table.writing.newest_snapshot()
        if found is None:
            return Vacuumed((), deleted=False)
        delta, snapshot = found
        check_ours(snapshot, table.settings)
        hours = -(-retention // _HOUR)

        def run(*, dry: bool) -> tuple[str, ...]:
            # Not `full`, it would keep to the files that the log knows.
            gone = delta.vacuum(hours, dry_run=dry, enforce_retention_duration=False, full=True)
            return tuple(sorted(gone))

        files = run(dry=True)
        if dry_run or not files:
            return Vacuumed(files, deleted=False)
        try:
            return Vacuumed(run(dry=False), deleted=True)
        finally:
            table.writing.forget()  # it wrote to the log


def versions(table: Table, limit: int | None) -> list[Version]:
    """The versions that the log knows, the newest first."""
    with translated(table.settings):
        delta = table.newest()
        if delta is None:
            return []
        return [
            Version(
                int(commit["version"]),
                EPOCH + timedelta(milliseconds=commit.get("timestamp", 0)),
                str(commit.get("operation", "")),
            )
            for commit in delta.history(limit)
        ]
