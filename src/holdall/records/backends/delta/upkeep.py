"""What keeps a table fast and small: joining files, and deleting those that nobody needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from holdall.records.backends.delta.faults import translated
from holdall.records.backends.delta.writing import Change

if TYPE_CHECKING:
    from datetime import timedelta

    from deltalake import CommitProperties, DeltaTable

    from holdall.records.backends.delta.table import Snapshot, Table


@final
class Compact(Change):
    """Join small files into large ones; answers how many there were and are."""

    def _made(self) -> bool:
        self._answer = (0, 0)
        return False

    def _change(self, delta: DeltaTable, snapshot: Snapshot) -> tuple[int, int]:
        before = len(delta.file_uris())
        self._answer = (before, before)

        def commit(how: CommitProperties) -> dict[str, Any]:
            return dict(delta.optimize.compact(commit_properties=how))

        done = self._commit(snapshot.version, commit)
        return before, before - done["numFilesRemoved"] + done["numFilesAdded"]


def vacuum(table: Table, retention: timedelta) -> int:
    """Delete the files that no version of this time needs; answer how many."""
    with translated(table.settings):
        delta = table.writing.newest()
        if delta is None:
            return 0
        hours = int(retention.total_seconds() // 3600)
        gone = delta.vacuum(hours, dry_run=False, enforce_retention_duration=False)
        return len(gone)
