"""Records in a file of SQLite."""

from holdall.records.backends.sqlite.settings import SqliteRecordSettings
from holdall.records.backends.sqlite.store import SqliteRecords

__all__ = ["SqliteRecordSettings", "SqliteRecords"]
