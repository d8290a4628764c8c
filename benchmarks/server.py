"""The server beside rusty-haystack's: small requests, histories, watches, and a mixed load.

    make bench
    .venv/bin/python benchmarks/server.py small histories
    .venv/bin/python benchmarks/server.py load --minutes 10

Each server is a process of its own with one worker over memory, asked over loopback in Zinc by
this process. Times are those of the clock, so that they also count the client, which is Python's
`http.client`, and want an idle machine.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import haystack_plant as generated
from harness import Contender, Goal, compare, each
from server_live import watched
from server_sides import Side, asked, ours, rust

from holdall.haystack import Grid, Number, Ref
from holdall.haystack.codecs.zinc import ZINC

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPConnection

ENTITIES = 10_000
POINTS = 40
DAY = 8_640
"""Samples of a day, one each ten seconds."""
DAYS = 10
STEP = timedelta(seconds=10)
MINUTES = 1_440
"""Samples of a day, one each minute."""
ABOUT: tuple[str, bytes | None] = ("/api/about", None)
CLIENTS = 64
PAUSE = 0.5
"""Seconds that a client waits between two requests, in the mean."""


def day_of(point: int, day: int, count: int = DAY, step: timedelta = STEP) -> bytes:
    """What hisWrite takes for so many samples of a point, from the beginning of a day on."""
    start = generated.START.astimezone(generated.ZONE) + timedelta(days=day)
    rows = [
        {"ts": start + at * step, "val": Number((at * 7 % 1000) / 10, generated.UNIT)}
        for at in range(count)
    ]
    return ZINC.encode(Grid(rows, meta={"id": Ref(f"h{point}")}))


def read(filter_: str, limit: int = 0) -> tuple[str, bytes]:
    """A request to read what a filter means."""
    row = {"filter": filter_} | ({"limit": Number(limit)} if limit else {})
    return "/api/read", ZINC.encode(Grid([row]))


def his_read(point: int, first: int, last: int) -> tuple[str, bytes]:
    """A request to read whole days of a point, of which the last counts, too."""
    start = generated.START.astimezone(generated.ZONE).date()
    days = (start + timedelta(days=first), start + timedelta(days=last))
    row = {"id": Ref(f"h{point}"), "range": "{},{}".format(*days)}
    return "/api/hisRead", ZINC.encode(Grid([row]))


def fill(side: Side) -> list[dict[str, object]]:
    """Load the entities into our server; the other one begins with them."""
    entities = generated.plant(ENTITIES)
    side.ask("/api/load", ZINC.encode(Grid([*entities, *generated.history_points(POINTS)])))
    return entities


def small(sides: list[Side]) -> bool:
    """Requests that ask for little."""
    filter_ = generated.filters(generated.plant(ENTITIES))[0]
    met = True
    for title, request, limit in (
        ("about", ABOUT, 1_500.0),
        ("read of a filter with 10 hits of 10,000", read(filter_), 2_000.0),
        ("read of the first of all sites", read("site", 1), 2_000.0),
    ):
        contenders = [Contender(side.name, each(_asking(side, *request))) for side in sides]
        met &= compare(title, contenders, [Goal("", limit)], count=200)
    return met


def _asking(side: Side, path: str, body: bytes | None) -> Callable[[], object]:
    return lambda: side.ask(path, body)


def histories(sides: list[Side]) -> bool:
    """Samples in and out."""
    bodies = [day_of(0, day) for day in range(DAYS)]

    def writing(side: Side) -> Callable[[int], float]:
        def run(count: int) -> float:
            begin = time.perf_counter()
            for at in range(count):
                side.ask("/api/hisWrite", bodies[at % DAYS])
            return time.perf_counter() - begin

        return run

    goal = Goal("", DAY / 300_000 * 1e6)
    met = compare(
        f"hisWrite of {DAY:,} samples, goal 300 k rows/s",
        [Contender(side.name, writing(side)) for side in sides],
        [goal],
        count=DAYS,
        rounds=7,
    )
    request = his_read(0, 0, DAYS)
    for side in sides:
        rows = side.ask(*request).count(b"\n") - 2
        print(f"  {side.name} answers {rows:,} samples to the next")
    goal = Goal("", DAYS * DAY / 400_000 * 1e6)
    return met & compare(
        f"hisRead of {DAYS * DAY:,} samples, goal 400 k rows/s",
        [Contender(side.name, each(_asking(side, *request))) for side in sides],
        [goal],
        count=2,
        rounds=7,
    )


def live(side: Side) -> bool:
    """Watches of a thousand connections."""
    pushed, share = watched(side, 1_000, seconds=20)
    good = share < 0.25 and pushed >= 0.99
    print("\n1,000 WebSockets, each with a watch of what changes each second, for 20 seconds")
    print(f"  {pushed:.1%} of the changes were pushed, with {share:.1%} of a core")
    print(f"  {'met   ' if good else 'MISSED'} under 25 % of a core")
    return good


def load(side: Side, minutes: float) -> bool:
    """Clients that ask everything at once, each with pauses."""
    for point in range(POINTS):
        side.ask("/api/hisWrite", day_of(point, 0, MINUTES, timedelta(minutes=1)))
    filter_ = generated.filters(generated.plant(ENTITIES))[0]

    def asking(connection: HTTPConnection, chance: random.Random) -> float:
        point = chance.randrange(POINTS)
        kind = chance.randrange(10)
        begin = time.perf_counter()
        if kind < 4:
            asked(connection, *read(filter_))
        elif kind < 6:
            asked(connection, *his_read(point, 0, 0))
        elif kind < 9:
            asked(connection, "/api/hisWrite", day_of(point, 1, 60))
        else:
            asked(connection, *ABOUT)
        return time.perf_counter() - begin

    alone = side.connection()
    chance = random.Random(1)
    single = statistics.median(asking(alone, chance) for _ in range(300))
    until = time.monotonic() + minutes * 60
    took: list[float] = []
    wrong: list[str] = []

    def client(seed: int) -> None:
        own, connection = random.Random(seed), side.connection()
        try:
            while time.monotonic() < until:
                time.sleep(own.uniform(0, 2 * PAUSE))
                took.append(asking(connection, own))
        except Exception as error:  # noqa: BLE001 (it is told)
            wrong.append(repr(error))

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(min(60.0, minutes * 60 / 2))
    level = most = side.memory()
    began, worked = time.monotonic(), side.processor()
    while time.monotonic() < until:
        time.sleep(1)
        most = max(most, side.memory())
    share = (side.processor() - worked) / (time.monotonic() - began)
    for thread in threads:
        thread.join()
    late = statistics.quantiles(took, n=100)[98]
    grown = (most - level) / 2**20
    print(f"\n{CLIENTS} clients for {minutes:g} minutes")
    print(f"  {len(took):,} requests, {share:.0%} of a core")
    beside = f"{late * 1e3:.2f} ms, {late / single:.1f}x the {single * 1e3:.2f} ms of one client"
    told = [
        (not wrong, f"no error: {len(wrong)} {wrong[:2]}"),
        (grown <= 50, f"memory within 50 MiB of {level / 2**20:.0f}: {grown:.1f} MiB"),
        (late < 20 * single, f"p99 under 20x the median of one client: {beside}"),
    ]
    for good, text in told:
        print(f"  {'met   ' if good else 'MISSED'} {text}")
    return all(good for good, _ in told)


def main() -> None:
    """Run the parts that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=["small", "histories", "live", "load", []])
    parser.add_argument("--minutes", type=float, default=1.0, help="how long the load lasts")
    arguments = parser.parse_args()
    parts = arguments.parts or ["small", "histories", "live", "load"]
    met = True
    with ExitStack() as running:
        us = running.enter_context(ours())
        fill(us)
        peer = running.enter_context(rust(ENTITIES, POINTS))
        sides = [us] if peer is None else [us, peer]
        for part in parts:
            if part == "small":
                met &= small(sides)
            elif part == "histories":
                met &= histories(sides)
            elif part == "live":
                met &= live(us)
            else:
                met &= load(us, arguments.minutes)
    sys.exit(not met)


if __name__ == "__main__":
    main()
