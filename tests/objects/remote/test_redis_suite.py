"""The Redis store keeps the contract."""

from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from holdall.core.runtime import Runtime
from holdall.objects.backends.redis import RedisSettings, RedisStore
from holdall.testing import ObjectStoreSuite, object_store_machine
from holdall.testing.objects.faces import MakeStore
from servers import RedisServer

STEPS = settings(
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture
def options(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What opens an empty database; the password comes from the environment, as in a child."""
    redis_server.make_empty()
    monkeypatch.setenv("HOLDALL_REDIS_PASSWORD", redis_server.password)
    return {"host": "127.0.0.1", "port": redis_server.running.port}


class TestRedis(ObjectStoreSuite):
    @pytest.fixture
    def make_store(self, options: dict[str, Any]) -> MakeStore:
        return lambda runtime: RedisStore(RedisSettings(**options), runtime)


class TestFolderInRedis(ObjectStoreSuite):
    in_soak = "blocking"

    @pytest.fixture
    def make_store(self, options: dict[str, Any]) -> MakeStore:
        opened = RedisSettings(**options, prefix="a/ß", db=3)
        return lambda runtime: RedisStore(opened, runtime)


@pytest.mark.untraced
def test_the_redis_store_answers_what_the_memory_store_answers(options: dict[str, Any]) -> None:
    number = count()
    place = uuid4().hex

    def make(runtime: Runtime) -> RedisStore:
        return RedisStore(RedisSettings(**options, prefix=f"{place}/{next(number)}"), runtime)

    run_state_machine_as_test(object_store_machine(make), settings=STEPS)
