"""`redis://`: objects as plain strings of a Redis or Valkey server."""

from holdall.objects.backends.redis.settings import RedisSettings
from holdall.objects.backends.redis.store import RedisStore

__all__ = ["RedisSettings", "RedisStore"]
