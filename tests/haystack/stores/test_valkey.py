"""The suites of stores and of the adapter over a Valkey, or any other server that speaks Redis.

They run where `HOLDALL_TEST_VALKEY_URL` names one (`redis://127.0.0.1:6379`), under prefixes of
their own, whose keys go when a test ends.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import redis

from holdall.haystack.redis import RedisAdapter, settings_of
from holdall.haystack.stores.redis import RedisEntities, RedisHaystackSettings
from holdall.haystack.stores.redis.histories import RedisHistories
from holdall.testing import EntityStoreSuite, HaystackAdapterSuite, HistoryStoreSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

URL = os.environ.get("HOLDALL_TEST_VALKEY_URL", "")

pytestmark = [
    pytest.mark.untraced,
    pytest.mark.skipif(not URL, reason="needs valkey: HOLDALL_TEST_VALKEY_URL names no server"),
]


@pytest.fixture
def prefix() -> Iterator[str]:
    """A prefix of keys that nobody has."""
    own = f"suite:{uuid4().hex}"
    yield own
    with redis.Redis.from_url(URL) as client:
        keys = list(client.scan_iter(f"{{{own}}}:*", 1_000))
        if keys:
            client.unlink(*keys)


@pytest.fixture
def place(prefix: str) -> RedisHaystackSettings:
    """A fresh place."""
    return RedisHaystackSettings(**{**settings_of(URL), "prefix": prefix, "check": False})


class TestValkeyEntities(EntityStoreSuite):
    @pytest.fixture
    def make_store(self, place: RedisHaystackSettings) -> Callable[[Any], RedisEntities]:
        return lambda runtime: RedisEntities(place, runtime)


class TestValkeyHistories(HistoryStoreSuite):
    @pytest.fixture
    def make_store(self, place: RedisHaystackSettings) -> Callable[[Any], RedisHistories]:
        return lambda runtime: RedisHistories(place, runtime)


class TestValkeyAdapter(HaystackAdapterSuite):
    @pytest.fixture
    def make_adapter(self, prefix: str) -> Callable[[], RedisAdapter]:
        return lambda: RedisAdapter(URL, prefix=prefix)
