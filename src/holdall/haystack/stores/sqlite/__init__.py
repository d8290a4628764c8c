"""Entities and histories in one file of SQLite."""

from holdall.haystack.stores.sqlite.entities import SqliteEntities
from holdall.haystack.stores.sqlite.histories import SqliteHistories
from holdall.haystack.stores.sqlite.settings import SqliteHaystackSettings

__all__ = ["SqliteEntities", "SqliteHaystackSettings", "SqliteHistories"]
