"""`postgresql://`: records as rows of a table of PostgreSQL."""

from holdall.records.backends.postgres.settings import PostgresSettings
from holdall.records.backends.postgres.store import PostgresRecords

__all__ = ["PostgresRecords", "PostgresSettings"]
