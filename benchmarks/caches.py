"""The part of `objects_remote.py` about Redis."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from harness import Contender, Goal, compare, each

import holdall

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = os.urandom(4096)
KEYS = 10_000
BATCH_KEYS = 1000


def caches() -> bool:
    """Objects in Redis beside redis-py."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    # The server of the tests, which skip what they cannot start.
    import pytest

    from serving.caches import redis as running

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        try:
            server = stack.enter_context(running(Path(folder)))
            url = server.make_empty()
            store = stack.enter_context(holdall.open(url))
        except (pytest.skip.Exception, holdall.errors.InvalidConfig) as error:
            print(f"\nRedis is left out: {error}")
            return True
        plain = stack.enter_context(redis.Redis.from_url(url))
        plain.set("raw", SMALL)
        store.write("ours", SMALL)
        good = compare(
            "Redis, get 4 KiB",
            [
                Contender("holdall", each(lambda: store.read("ours"))),
                Contender("redis-py", each(lambda: plain.get("raw"))),
            ],
            [Goal("redis-py", 1.3)],
            count=1000,
            rounds=15,
        )
        good &= compare(
            "Redis, set 4 KiB",
            [
                Contender("holdall", each(lambda: store.write("ours", SMALL))),
                Contender("redis-py", each(lambda: plain.set("raw", SMALL))),
            ],
            [Goal("redis-py", 1.3)],
            count=1000,
            rounds=15,
        )
        return good & _many(store, plain)


def _many(store: holdall.DataStore, plain: redis.Redis) -> bool:
    """List and delete by prefix, beside one request for each key."""
    keys = [f"many/{number:06}" for number in range(KEYS)]

    def fill() -> None:
        for key in keys:
            store.write(key, b"x")

    def each_key(function: Callable[[str], object]) -> Callable[[], None]:
        def run() -> None:
            for key in keys:
                function(key)

        return run

    def timed(function: Callable[[], object]) -> float:
        begin = time.perf_counter()
        function()
        return time.perf_counter() - begin

    def delete_together(_: int) -> float:
        fill()
        return timed(lambda: store.delete_many([meta.ref for meta in store.walk("many")]))

    def delete_known(_: int) -> float:
        fill()
        return timed(lambda: store.delete_many(keys))

    def delete_singly(_: int) -> float:
        fill()
        return timed(each_key(store.delete))

    def fill_plain() -> None:
        with plain.pipeline(transaction=False) as commands:
            for key in keys:
                commands.set(key, b"x")
            commands.execute()

    def delete_plain(_: int) -> float:
        fill_plain()
        return timed(each_key(plain.delete))

    def delete_scanned(_: int) -> float:
        fill_plain()
        return timed(
            lambda: [plain.delete(key) for key in plain.scan_iter("many/*", count=BATCH_KEYS)]
        )

    def delete_by_hand(_: int) -> float:
        fill()
        return timed(lambda: _delete_by_hand(plain, keys))

    def list_and_delete_by_hand(_: int) -> float:
        fill()
        return timed(lambda: _delete_by_hand(plain, _listed_by_hand(plain)))

    fill()
    assert sum(1 for _ in store.walk("many")) == KEYS
    assert len(_listed_by_hand(plain)) == KEYS
    good = compare(
        f"Redis, list {KEYS} keys by prefix",
        [
            Contender("holdall walk", each(lambda: sum(1 for _ in store.walk("many")))),
            Contender("holdall stat, one by one", each(each_key(store.stat))),
            Contender("redis-py STRLEN, one by one", each(each_key(plain.strlen))),
        ],
        [
            Goal("holdall stat, one by one", 20, at_least=True),
            Goal("redis-py STRLEN, one by one", 20, at_least=True),
        ],
        count=1,
        rounds=5,
    )
    good &= compare(
        f"Redis, delete {KEYS} keys by prefix",
        [
            Contender("holdall walk and delete_many", delete_together),
            Contender("redis-py SCAN, and DEL one by one", delete_scanned),
            Contender("the same keys by hand, pipelined", list_and_delete_by_hand),
        ],
        [Goal("redis-py SCAN, and DEL one by one", 20, at_least=True)],
        count=1,
        rounds=5,
    )
    good &= compare(
        f"Redis, delete {KEYS} keys that are known",
        [
            Contender("holdall delete_many", delete_known),
            Contender("holdall delete, one by one", delete_singly),
            Contender("redis-py DEL, one by one", delete_plain),
            Contender("the same keys by hand, pipelined", delete_by_hand),
        ],
        [
            Goal("holdall delete, one by one", 20, at_least=True),
            Goal("redis-py DEL, one by one", 20, at_least=True),
        ],
        count=1,
        rounds=5,
    )
    assert not any(store.walk("many"))
    return good


def _listed_by_hand(plain: redis.Redis) -> list[str]:
    """What a listing answers of these keys, of the same index, a thousand in one request."""
    found: list[str] = []
    place = "(many/"
    while keys := plain.zrangebylex(".holdall/index", place, "(many0", 0, BATCH_KEYS):
        with plain.pipeline(transaction=False) as commands:
            commands.hmget(".holdall/times", keys)
            for key in keys:
                commands.strlen(key)
            commands.execute()
        found += [key.decode() for key in keys]
        place = f"({found[-1]}"
    return found


def _delete_by_hand(plain: redis.Redis, keys: list[str]) -> None:
    """Delete what belongs to keys of the store; unlike it, at the cost of what others keep there.

    What has another type than a string is not spared, nor is a large value that is being read.
    """
    with plain.pipeline(transaction=False) as commands:
        for at in range(0, len(keys), BATCH_KEYS):
            batch = keys[at : at + BATCH_KEYS]
            commands.unlink(*[f".holdall/note/{key}" for key in batch])
            commands.hdel(".holdall/times", *batch)
            commands.zrem(".holdall/index", *batch)
            commands.unlink(*batch)
        commands.execute()
