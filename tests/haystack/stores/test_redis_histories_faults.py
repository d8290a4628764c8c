"""Histories on a Redis server: servers that are killed, many writers, and little memory."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import redis

from haystack.stores.redis_histories import (
    chunks_of,
    doubles,
    fresh_prefix,
    kinds,
    mixed,
    opened,
    read,
    series_of,
    server,
    settings_of,
    shown,
    small_chunks,
    store,
)
from holdall.core.errors import Unavailable
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.runtime.loop import LoopRuntime
from holdall.haystack import NA, Number
from holdall.haystack.stores.redis.histories import RedisHistories
from servers import RedisServer
from serving import commands
from serving.process import HOST, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdall.haystack.stores.histories import Samples

__all__ = ["opened", "server", "small_chunks", "store"]

_PASSWORD = "redis-secret"


@contextmanager
def lasting(kind: str, folder: Path, port: int | None = None) -> Iterator[RedisServer]:
    """A server that keeps on disk what it has answered, and finds it again."""
    command = commands.redis() if kind == "plain" else commands.redis_stack()
    with running(
        kind,
        lambda chosen: [
            *command,
            *("--bind", HOST, "--port", str(chosen), "--requirepass", _PASSWORD),
            # The default lets writes wait for a slow disk, and answers them before.
            *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
            *("--dir", str(folder)),
        ],
        _answers,
        folder=folder,
        port=port,
    ) as process:
        yield RedisServer(process, f"redis://{HOST}:{process.port}", _PASSWORD)


def _answers(port: int) -> bool:
    with redis.Redis(host=HOST, port=port, password=_PASSWORD) as asked:
        try:
            return bool(asked.ping())
        except redis.RedisError as error:
            raise OSError from error


@pytest.mark.parametrize("kind", ["plain", "stack"])
def test_nothing_that_was_answered_is_lost_when_the_server_is_killed(
    tmp_path: Path, kind: str
) -> None:
    answered: dict[int, Any] = {}
    enough, stop = threading.Event(), threading.Event()
    random = Random(7)

    def write(to: RedisHistories) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            at = random.randrange(10_000) * 10
            value: Any = Number(float(number)) if number % 3 else f"write {number}"
            # Half of them are at whole milliseconds.
            some = mixed({(at + more) * 500: value for more in range(10)})
            while not _written(to, some):
                pass
            answered.update(dict.fromkeys(some.ts, value))
            if number % 50 == 0:
                enough.set()

    with ThreadPoolExecutor(1) as pool:
        with lasting(kind, tmp_path) as first:
            port = first.running.port
            to = RedisHistories(settings_of(first, fresh_prefix()), BlockingRuntime())
            drive(to.connect())
            writing = pool.submit(write, to)
            assert enough.wait(60)
            os.kill(first.running.pid, signal.SIGKILL)
        for ends in (False, False, True):
            with lasting(kind, tmp_path, port) as again:
                enough.clear()
                assert enough.wait(60)
                if not ends:
                    os.kill(again.running.pid, signal.SIGKILL)
                    continue
                stop.set()
                writing.result(60)
                assert dict(read(to)) == {at: shown(value) for at, value in answered.items()}
                drive(to.close())


def _written(to: RedisHistories, samples: Samples) -> bool:
    try:
        drive(to.write({"p": samples}))
    except Unavailable:
        return False
    return True


def test_writers_of_one_history_lose_nothing(
    small_chunks: None, opened: Callable[..., RedisHistories]
) -> None:
    stores = [opened() for _ in range(4)]
    values: list[Any] = [NA, "text", Number(1.5), Number(2.5, "kW"), Number(float("inf"))]

    def write(number: int) -> dict[int, Any]:
        random = Random(number)
        mine: dict[int, Any] = {}
        for _ in range(40):
            # Each has moments of its own, which lie among those of the others.
            some = {
                (random.randrange(100) * 4 + number) * 250: random.choice(values)
                for _ in range(random.randrange(1, 6))
            }
            drive(stores[number].write({"p": mixed(dict(sorted(some.items())))}))
            mine |= some
            gone = random.choice(list(mine))
            assert drive(stores[number].remove("p", [gone])) == 1
            del mine[gone]
        return mine

    with ThreadPoolExecutor(4) as pool:
        written = {at: value for mine in pool.map(write, range(4)) for at, value in mine.items()}
    assert dict(read(stores[0])) == {at: shown(value) for at, value in written.items()}


def test_a_moment_is_in_one_place_whoever_wrote_it_last(
    small_chunks: None, opened: Callable[..., RedisHistories]
) -> None:
    stores = [opened() for _ in range(4)]

    def write(number: int) -> None:
        random = Random(number)
        for _ in range(40):
            moments = sorted({random.randrange(20) * 500 for _ in range(5)})
            some = doubles(dict.fromkeys(moments, 1.5))
            drive(
                stores[number].write(
                    {"p": some if number % 2 else mixed(dict.fromkeys(moments, NA))}
                )
            )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    beside = [at for one in chunks_of(stores[0]) for at in one.ts]
    assert len(set(beside)) == len(beside)
    assert not {at * 1_000 for at in series_of(stores[0])} & set(beside)
    (bounds,) = drive(stores[0].bounds(["p"]))
    assert bounds is not None
    assert bounds.count == len(read(stores[0])) == 20


def test_many_write_and_read_one_history_on_a_loop(server: RedisServer) -> None:
    async def all_at_once() -> list[tuple[int, Any]]:
        many = RedisHistories(settings_of(server, fresh_prefix()), LoopRuntime())
        await many.connect()

        async def write(at: int) -> None:
            # Every second moment is a whole millisecond.
            value: Any = "text" if at % 3 else Number(1.5)
            await many.write({"p": mixed({at * 500: value})})

        async def look() -> None:
            (seen,) = await many.read(["p"])
            assert list(seen.ts) == sorted(set(seen.ts))

        await asyncio.gather(*(work for at in range(300) for work in (write(at), look())))
        (found,) = await many.read(["p"])
        await many.close()
        return kinds(found)

    expected = {at * 500: "text" if at % 3 else Number(1.5) for at in range(300)}
    assert dict(asyncio.run(all_at_once())) == {at: shown(one) for at, one in expected.items()}


# Not ru_maxrss, which a process inherits from the one that started it.
_READ_MANY = """
import sys
from array import array
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack.stores.histories import Samples, Span
from holdall.haystack.stores.redis.histories import RedisHistories
from holdall.haystack.stores.redis.settings import RedisHaystackSettings
port, password, prefix, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
place = RedisHaystackSettings(host="127.0.0.1", port=port, password=Secret(password), prefix=prefix)
store = RedisHistories(place, BlockingRuntime())
drive(store.connect())
for at in range(0, count, 250_000):
    moments = array("q", range(at * 1_000, (at + 250_000) * 1_000, 1_000))
    drive(store.write({"p": Samples(moments, array("d", moments), "kW")}))
start = read = 0
while True:
    page = drive(store.read(["p"], Span(start), limit=100_000))[0]
    read += len(page)
    if len(page) < 100_000:
        break
    start = page.ts[-1] + 1
assert read == count, read
assert drive(store.delete("p")) == count
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells its peak there")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "count", [500_000, pytest.param(10_000_000, marks=pytest.mark.soak)], ids=["half", "ten"]
)
def test_millions_of_samples_are_read_in_little_memory(server: RedisServer, count: int) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-c", _READ_MANY),
            *(str(server.running.port), server.password, fresh_prefix(), str(count)),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) < 200 * 1024  # KiB
