"""Entities and histories on a Redis or Valkey server."""

from holdall.haystack.stores.redis.entities import RedisEntities
from holdall.haystack.stores.redis.settings import RedisHaystackSettings

__all__ = ["RedisEntities", "RedisHaystackSettings"]
