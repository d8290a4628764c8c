"""The suites of stores and of the adapter, over a plain Redis and over Redis Stack."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.secrets import Secret
from holdall.haystack.redis import RedisAdapter
from holdall.haystack.stores.redis import RedisEntities, RedisHaystackSettings
from holdall.testing import EntityStoreSuite, HaystackAdapterSuite
from serving.process import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.caches import RedisServer


_places = count()


def settings(server: RedisServer, **more: Any) -> RedisHaystackSettings:
    """A fresh place on a server."""
    return RedisHaystackSettings(
        host=HOST,
        port=server.running.port,
        password=Secret(server.password),
        prefix=f"suite:{next(_places)}",
        **more,
    )


class TestRedisEntities(EntityStoreSuite):
    @pytest.fixture
    def make_store(self, redis_server: RedisServer) -> Callable[[Any], RedisEntities]:
        place = settings(redis_server)
        return lambda runtime: RedisEntities(place, runtime)


class TestRedisStackEntities(EntityStoreSuite):
    @pytest.fixture
    def make_store(self, redis_stack_server: RedisServer) -> Callable[[Any], RedisEntities]:
        place = settings(redis_stack_server)
        return lambda runtime: RedisEntities(place, runtime)


def adapter(server: RedisServer) -> Callable[[], RedisAdapter]:
    """Opens one fresh place on a server, again and again."""
    prefix = f"suite:{next(_places)}"
    return lambda: RedisAdapter(server.url, prefix=prefix)


class TestRedisAdapter(HaystackAdapterSuite):
    @pytest.fixture
    def make_adapter(self, redis_server: RedisServer) -> Callable[[], RedisAdapter]:
        return adapter(redis_server)


class TestRedisStackAdapter(HaystackAdapterSuite):
    @pytest.fixture
    def make_adapter(self, redis_stack_server: RedisServer) -> Callable[[], RedisAdapter]:
        return adapter(redis_stack_server)
