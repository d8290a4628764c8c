"""Records on a store of objects: one JSON object a record."""

from holdall.records.backends.objects.settings import (
    FileRecordSettings,
    ObjectRecordSettings,
    S3RecordSettings,
)
from holdall.records.backends.objects.store import FileRecords, ObjectRecords, S3Records

__all__ = [
    "FileRecordSettings",
    "FileRecords",
    "ObjectRecordSettings",
    "ObjectRecords",
    "S3RecordSettings",
    "S3Records",
]
