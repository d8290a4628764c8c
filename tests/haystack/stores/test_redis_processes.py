"""Entities on one Redis server that several processes write to, and a thousand tasks of one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.filter import parse_filter
from holdall.haystack.redis import RedisAdapter
from holdall.haystack.stores.entities import Put
from holdall.haystack.stores.redis import RedisEntities, RedisHaystackSettings
from serving.process import HOST

if TYPE_CHECKING:
    from serving.caches import RedisServer


_places = count()

_WRITER = """
import sys
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack.kinds import MARKER, Number, Ref
from holdall.haystack.stores.entities import Put
from holdall.haystack.stores.redis import RedisEntities, RedisHaystackSettings
port, prefix, name, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
settings = RedisHaystackSettings(host="127.0.0.1", port=port, prefix=prefix, check=False)
entities = RedisEntities(settings, BlockingRuntime())
drive(entities.connect())
for at in range(count):
    both = [Put({"id": Ref(f"{name}-{at}-{half}"), "n": Number(at), "x": MARKER}) for half in "ab"]
    print(drive(entities.commit(both)), flush=True)
"""


@pytest.fixture(params=["sets", "search"])
def server(request: pytest.FixtureRequest) -> RedisServer:
    name = "redis_server" if request.param == "sets" else "redis_stack_server"
    found: RedisServer = request.getfixturevalue(name)
    return found


@pytest.fixture
def prefix() -> str:
    return f"processes:{next(_places)}"


def opened(server: RedisServer, prefix: str) -> RedisEntities:
    settings = RedisHaystackSettings(
        host=HOST, port=server.running.port, password=Secret(server.password), prefix=prefix
    )
    store = RedisEntities(settings, BlockingRuntime())
    drive(store.connect())
    return store


def start(server: RedisServer, prefix: str, name: str, times: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, str(server.running.port), prefix, name, str(times)]
    environment = {**os.environ, "HOLDALL_REDIS_PASSWORD": server.password}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_two_processes_that_open_a_new_place_at_once_lose_nothing(
    server: RedisServer, prefix: str
) -> None:
    processes = [start(server, prefix, name, 40) for name in ("p", "q")]
    numbers = sorted(int(one) for each in processes for one in each.communicate()[0].split())
    assert numbers == list(range(numbers[0], numbers[0] + 80))
    assert [each.returncode for each in processes] == [0, 0]
    store = opened(server, prefix)
    assert len(drive(store.find(parse_filter("x"), limit=1000)).entities) == 160
    drive(store.close())


def test_changes_of_another_process_are_seen_in_their_order(
    redis_server: RedisServer, prefix: str
) -> None:
    server = redis_server
    process = start(server, prefix, "p", 60)
    store = opened(server, prefix)
    since: int = 0
    told: list[int] = []
    while len(told) < 120:
        changes = drive(store.changes(since, limit=7))
        told += [one.version for one in changes.changed]
        since = changes.upto
    process.communicate()
    assert told == [number for number in range(told[0], told[0] + 60) for _ in "ab"]
    drive(store.close())


def test_a_process_that_is_killed_has_written_whole_commits(
    redis_server: RedisServer, prefix: str
) -> None:
    server = redis_server
    process = start(server, prefix, "p", 1_000_000)
    assert process.stdout is not None
    for _ in range(20):
        assert process.stdout.readline()
    process.kill()
    told = 20 + len(process.stdout.read().split())
    process.stdout.close()
    process.wait()
    store = opened(server, prefix)
    found = drive(store.find(parse_filter("x"), limit=1_000_000)).entities
    ids = {str(one.entity["id"])[1:] for one in found}
    assert ids >= {f"p-{at}-{half}" for at in range(told) for half in "ab"}
    assert all(one[:-1] + {"a": "b", "b": "a"}[one[-1]] in ids for one in ids)
    drive(store.commit([Put({"id": Ref("after")})]))
    drive(store.close())


def test_a_watch_is_told_of_what_another_process_wrote(
    redis_server: RedisServer, prefix: str
) -> None:
    server = redis_server

    async def work() -> None:
        async with RedisAdapter(server.url, prefix=prefix) as adapter:
            await adapter.create({"id": Ref("p-3-a"), "n": Number(100)})
            await adapter.watch_sub("w", ["p-3-a"])
            assert await adapter.watch_poll("w") == []
            process = await asyncio.to_thread(start, server, prefix, "p", 5)
            await asyncio.to_thread(process.communicate)
            (changed,) = await adapter.watch_poll("w")
            assert changed["n"] == Number(3)

    asyncio.run(work())


def test_a_thousand_read_and_write_at_once(server: RedisServer, prefix: str) -> None:
    async def work() -> None:
        async with RedisAdapter(server.url, prefix=prefix) as adapter:

            async def write(at: int) -> None:
                await adapter.create({"id": Ref(f"e{at}"), "x": MARKER, "n": Number(at)})

            async def read(at: int) -> None:
                found: list[Any] = await adapter.read(f"x and n == {at}")
                assert [one["n"] for one in found] in ([], [Number(at)])

            await asyncio.gather(*(one(at) for at in range(500) for one in (write, read)))
            assert len(await adapter.read("x", limit=1_000)) == 500

    asyncio.run(work())
