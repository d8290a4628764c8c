"""Entities and histories in PostgreSQL, with TimescaleDB or without it."""

from holdall.haystack.stores.postgres.entities import PostgresEntities
from holdall.haystack.stores.postgres.histories import PostgresHistories
from holdall.haystack.stores.postgres.settings import PostgresHaystackSettings

__all__ = ["PostgresEntities", "PostgresHaystackSettings", "PostgresHistories"]
