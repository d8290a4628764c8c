"""Entities and histories beside rusty-haystack, shaystack, and the backends' drivers by hand.

    make bench
    .venv/bin/python benchmarks/haystack.py memory sqlite

All get the same entities, in no order of their ids, and must find the same. What computes in this
process is timed by the processor, and what writes to a disk or asks a server by the clock. The
drivers by hand show the least that
a backend takes: they read rows whose ids they know, and write samples without looking at them. A
peer that is not installed and a server that is not there are left out, with a line.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import sys
import tempfile
import time
import tracemalloc
from array import array
from contextlib import ExitStack
from itertools import count as counting
from pathlib import Path
from typing import TYPE_CHECKING, Any

import haystack_plant as generated
from harness import Contender, Goal, compare
from haystack_raw import ByHand, RawPostgres, RawRedis, RawSqlite

import holdall
from holdall.core.errors import HoldallError
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.stores.histories import Samples

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from holdall.haystack.adapter.face import HaystackAdapter

OURS = "holdall"
RUST = "rusty-haystack"
SHAY = "shaystack"
EVERY = 10**6
POINTS = 10
SHAY_SHARE = 10
"""shaystack goes through all entities, so that it gets a tenth of them, and its time is for all."""


class Asking:
    """Runs what waits on one loop, and times it.

    Args:
        clock: Answers seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._runner = asyncio.Runner()

    def run(self, once: Awaitable[Any]) -> Any:
        """Run to the end."""

        async def wait() -> Any:
            return await once

        return self._runner.run(wait())

    def each(self, call: Callable[[], Awaitable[Any]]) -> Callable[[int], float]:
        """Time a call made again and again."""

        async def timed(count: int) -> float:
            gc.collect()
            begin = self._clock()
            for _ in range(count):
                await call()
            return self._clock() - begin

        return lambda count: self._runner.run(timed(count))

    def fresh(
        self, make: Callable[[], HaystackAdapter], call: Callable[[HaystackAdapter], Awaitable[Any]]
    ) -> Callable[[int], float]:
        """Time a call of an adapter that is made for it."""

        async def timed() -> float:
            async with make() as adapter:
                gc.collect()
                begin = self._clock()
                await call(adapter)
                return self._clock() - begin

        return lambda count: sum(self._runner.run(timed()) for _ in range(count))

    def close(self) -> None:
        """End the loop."""
        self._runner.close()


def plainly(clock: Callable[[], float], call: Callable[[], Any]) -> Callable[[int], float]:
    """Time a call that does not wait on a loop."""

    def timed(count: int) -> float:
        gc.collect()
        begin = clock()
        for _ in range(count):
            call()
        return clock() - begin

    return timed


def rate(per_second: float, count: int) -> Goal:
    """At least so many rows a second, of so many."""
    return Goal("", count / per_second * 1e6)


def memory(entities: list[dict[str, Any]], samples: int, folder: Path) -> bool:
    """Entities in this process, beside peers in this process."""
    asking = Asking(time.process_time)
    rust, shay = generated.peer("rusty_haystack"), generated.peer("shaystack")
    loads = [Contender(OURS, asking.fresh(InMemoryAdapter, lambda one: one.load(entities)))]
    graph = None
    if rust is not None:
        theirs = generated.rust_entities(rust, entities)

        def add() -> Any:
            graph = rust.EntityGraph()
            for one in theirs:
                graph.add(one)
            return graph

        loads.append(Contender(f"{RUST}, of its own kinds", plainly(time.process_time, add)))
        graph = add()
    number = f"{len(entities):,} entities"
    good = compare(f"Load {number}", loads, [rate(80_000, len(entities))], count=1, rounds=5)
    adapter = InMemoryAdapter(entities)
    few = entities[: len(entities) // SHAY_SHARE]
    grid = None if shay is None else generated.shay_grid(shay, few)
    for text, goal in zip(generated.filters(entities), (0.1, 0.5, 20, 15), strict=True):
        found, took = asking.run(_first(adapter, text))
        print(f"\n`{text}`: {len(found):,} hits, the first time in {took * 1e3:.2f} ms")
        sides = [
            Contender(OURS, asking.each(lambda text=text: adapter.read(text, EVERY)))  # type: ignore[misc]
        ]
        if graph is not None:
            assert len(graph.read(text)) == len(found)
            read = plainly(time.process_time, lambda text=text: graph.read(text))  # type: ignore[misc]
            sides.append(Contender(f"{RUST}, a grid in Rust", read))
            rows = plainly(time.process_time, lambda text=text: graph.read(text).rows())  # type: ignore[misc]
            sides.append(Contender(f"{RUST}, as Python's rows", rows))
        if grid is not None:
            read = plainly(time.process_time, lambda text=text: grid.filter(text))  # type: ignore[misc]
            sides.append(
                Contender(
                    f"{SHAY} (of {len(few):,})",
                    lambda count, read=read: read(count) * SHAY_SHARE,  # type: ignore[misc]
                )
            )
        count = 20 if len(found) < 10_000 else 1
        good &= compare(f"`{text}` in memory", sides, [Goal("", goal * 1e3)], count=count)
    asking.close()
    return good


async def _first(adapter: HaystackAdapter, text: str) -> tuple[Any, float]:
    begin = time.process_time()
    found = await adapter.read(text, EVERY)
    return found, time.process_time() - begin


def histories(entities: list[dict[str, Any]], samples: int, folder: Path) -> bool:
    """Histories in this process, with lists filled by hand beside them."""
    asking = Asking(time.process_time)
    points = generated.history_points(1)

    def make() -> HaystackAdapter:
        return InMemoryAdapter(points)

    columns, items = generated.columns(samples), generated.items(samples)
    number = f"{samples:,} samples in memory"
    good = compare(
        f"his_write of {number}, from columns",
        [
            Contender(OURS, asking.fresh(make, lambda one: one.his_write("h0", columns))),
            Contender(
                "array.extend, nothing checked",
                plainly(time.process_time, lambda: (columns.ts[:], columns.vals[:])),
            ),
        ],
        [rate(5_000_000, samples)],
        count=1,
        rounds=5,
    )
    by_hand = "a dict by ts, sorted, nothing checked"
    good &= compare(
        f"his_write of {number}, from items",
        [
            Contender(OURS, asking.fresh(make, lambda one: one.his_write("h0", items))),
            Contender(
                by_hand,
                plainly(
                    time.process_time, lambda: sorted({i["ts"]: i["val"] for i in items}.items())
                ),
            ),
        ],
        [rate(1_000_000, samples)],
        count=1,
        rounds=5,
    )
    adapter = make()
    tracemalloc.start()
    asking.run(adapter.his_write("h0", columns))
    kept = tracemalloc.get_traced_memory()[0] / samples
    tracemalloc.stop()
    met = kept <= 24
    print(f"\n  {'met   ' if met else 'MISSED'} at most 24 bytes a sample: {kept:.1f}")
    read = asking.each(lambda: adapter.his_columns("h0"))
    good &= met & compare(
        f"his_columns of {number}",
        [Contender(OURS, read)],
        [rate(5_000_000, samples)],
        count=1,
    )
    read = asking.each(lambda: adapter.his_read("h0"))
    compare(f"his_read of {number}, as items", [Contender(OURS, read)], [], count=1, rounds=3)
    asking.close()
    return good


def sqlite(entities: list[dict[str, Any]], samples: int, folder: Path) -> bool:
    """One file, and sqlite3 by hand beside it."""

    def adapter(name: str) -> HaystackAdapter:
        return holdall.open_adapter(f"sqlite:///{folder / name}.db")

    return _backend(
        "SQLite",
        adapter,
        RawSqlite(folder / "raw.db"),
        entities,
        samples,
        goals=[Goal("", 3e3), Goal("", 3e3), None, None],
        write=300_000,
        clock=time.process_time,
    )


def postgres(entities: list[dict[str, Any]], samples: int, folder: Path) -> bool:
    """The PostgreSQL that the tests bring, and psycopg by hand beside it."""
    with ExitStack() as stack:
        server = _served(stack, "databases", "postgres", folder)
        if server is None:
            return True
        names = iter([server.make_database() for _ in range(50)])
        databases: dict[str, str] = {}

        def adapter(name: str) -> HaystackAdapter:
            database = databases.setdefault(name, next(names))
            return holdall.open_adapter(server.dsn(database))

        raw = RawPostgres(server.dsn(server.make_database()))
        same = Goal(BY_HAND, 1.3)
        return _backend(
            "PostgreSQL",
            adapter,
            raw,
            entities,
            samples,
            goals=[Goal("", 5e3), Goal("", 5e3), same, same],
            write=400_000,
            overwrite=200_000,
            read=1 / 0.8,
        )


def redis(entities: list[dict[str, Any]], samples: int, folder: Path) -> bool:
    """The Redis Stack that the tests bring, and redis-py by hand beside it."""
    with ExitStack() as stack:
        server = _served(stack, "caches", "redis_stack", folder)
        if server is None:
            return True

        # That this server keeps nothing on disk would be said at each opening.
        logging.getLogger("holdall").setLevel(logging.ERROR)

        def adapter(name: str) -> HaystackAdapter:
            return holdall.open_adapter(f"{server.url}?prefix={name}")

        return _backend(
            "Redis Stack",
            adapter,
            RawRedis(server.url),
            entities,
            samples,
            goals=[Goal("", 3e3), Goal("", 3e3), None, None],
            write=150_000,
        )


BY_HAND = "by hand"


def _served(stack: ExitStack, module: str, name: str, folder: Path) -> Any:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from importlib import import_module

    import pytest

    place = folder / "server"
    place.mkdir(exist_ok=True)
    try:
        return stack.enter_context(getattr(import_module(f"serving.{module}"), name)(place))
    except pytest.skip.Exception as error:
        print(f"\n{name} is left out: {error}")
        return None


def _backend(
    what: str,
    make: Callable[[str], HaystackAdapter],
    raw: ByHand,
    entities: list[dict[str, Any]],
    samples: int,
    *,
    goals: list[Goal | None],
    write: float,
    overwrite: float = 0,
    read: float = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> bool:
    """The four filters and the histories of a backend.

    Args:
        what: Its name.
        make: Opens an adapter of a name.
        raw: Its driver.
        entities: What is loaded.
        samples: How many.
        goals: For the four filters.
        write: The goal for samples after the last, in rows a second.
        overwrite: The goal for samples that are there already; 0 is none.
        read: The goal for reading columns, beside the driver; 0 is none.
        clock: Times the filters.
    """
    asking = Asking(clock)
    try:
        adapter = make("entities")
        asking.run(adapter.connect())
    except HoldallError as error:
        print(f"\n{what} is left out: {error}")
        return True
    begin = time.perf_counter()
    asking.run(adapter.load(entities))
    took = time.perf_counter() - begin
    print(f"\n{len(entities):,} entities loaded into {what}: {len(entities) / took:,.0f} a second")
    raw.load(entities)
    good = True
    for text, goal in zip(generated.filters(entities), goals, strict=True):
        found = asking.run(adapter.read(text, EVERY))
        ids = generated.ids(found)
        assert len(raw.fetch(ids)) == len(ids)
        count = 20 if len(ids) < 10_000 else 1
        good &= compare(
            f"`{text}`, {len(ids):,} hits in {what}",
            [
                Contender(OURS, asking.each(lambda text=text: adapter.read(text, EVERY))),  # type: ignore[misc]
                Contender(BY_HAND, plainly(clock, lambda ids=ids: raw.fetch(ids))),  # type: ignore[misc]
            ],
            [] if goal is None else [goal],
            count=count,
            rounds=5,
        )
    asking.run(adapter.close())
    asking.close()
    asking = Asking(time.perf_counter)
    good &= _histories(what, make, raw, asking, samples, write, overwrite, read)
    raw.close()
    asking.close()
    return good


def _histories(
    what: str,
    make: Callable[[str], HaystackAdapter],
    raw: ByHand,
    asking: Asking,
    samples: int,
    write: float,
    overwrite: float,
    read: float,
) -> bool:
    each = samples // POINTS
    every = dict(generated.batches(POINTS, each))
    names: Iterator[str] = (f"histories{at}" for at in range(EVERY))
    ready: list[HaystackAdapter] = []
    others: dict[float, dict[str, Samples]] = {}
    turns = counting(1)

    def new() -> HaystackAdapter:
        adapter = make(next(names))
        asking.run(adapter.load(generated.history_points(POINTS)))
        return adapter

    async def written(adapter: HaystackAdapter, more: float = 0) -> None:
        for point, some in (every if not more else others[more]).items():
            await adapter.his_write(point, some)

    def others_than_before(count: int) -> float:
        more = next(turns)
        others[more] = {
            point: Samples(some.ts, array("d", [value + more for value in some.vals]), some.unit)
            for point, some in every.items()
        }
        return asking.each(lambda: written(ready[0], more))(1)

    def first(count: int) -> float:
        adapter = new()
        took = asking.each(lambda: written(adapter))(1)
        for former in ready:
            asking.run(former.close())
        ready[:] = [adapter]
        return took

    number = f"{each * POINTS:,} samples of {POINTS} points"
    good = compare(
        f"his_write of {number} into {what}, after the last",
        [
            Contender(OURS, first),
            Contender(BY_HAND, plainly(time.perf_counter, lambda: raw.write(POINTS, each))),
        ],
        [rate(write, each * POINTS)],
        count=1,
        rounds=3,
    )
    adapter = ready[0]
    good &= compare(
        f"his_write of {number} into {what}, once more",
        [Contender(OURS, asking.each(lambda: written(adapter)))],
        [rate(overwrite, each * POINTS)] if overwrite else [],
        count=1,
        rounds=3,
    )
    good &= compare(
        f"his_write of {number} into {what}, with other values at the same moments",
        [Contender(OURS, others_than_before)],
        [rate(overwrite, each * POINTS)] if overwrite else [],
        count=1,
        rounds=3,
    )
    assert len(asking.run(adapter.his_columns("h1"))) == raw.read("h1") == each
    good &= compare(
        f"his_columns of {each:,} samples from {what}",
        [
            Contender(OURS, asking.each(lambda: adapter.his_columns("h1"))),
            Contender(BY_HAND, plainly(time.perf_counter, lambda: raw.read("h1"))),
        ],
        [Goal(BY_HAND, read)] if read else [],
        count=1,
    )
    asking.run(adapter.close())
    return good


def main() -> int:
    """Run all parts, or those named; answer 1 when a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("only", nargs="*", help="memory histories sqlite postgres redis")
    parser.add_argument("--entities", type=int, default=100_000, help="how many")
    parser.add_argument("--samples", type=int, default=1_000_000, help="how many")
    parser.add_argument("--folder", help="where to work; a new temporary folder unless given")
    options = parser.parse_args()
    entities = generated.plant(options.entities)
    runs = {
        "memory": memory,
        "histories": histories,
        "sqlite": sqlite,
        "postgres": postgres,
        "redis": redis,
    }
    missed = []
    for name in options.only or list(runs):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            if not runs[name](entities, options.samples, Path(folder)):
                missed.append(name)
    print(f"\nMissed: {', '.join(missed)}" if missed else "\nAll figures are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
