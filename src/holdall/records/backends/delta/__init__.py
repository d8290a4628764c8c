"""Records in a table of Delta Lake."""

from holdall.records.backends.delta.settings import DeltaRecordSettings
from holdall.records.backends.delta.store import DeltaRecords

__all__ = ["DeltaRecordSettings", "DeltaRecords"]
