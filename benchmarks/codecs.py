"""The text formats of Project Haystack beside phable, shaystack and rusty-haystack; filters.

    make bench
    .venv/bin/python benchmarks/codecs.py zinc history

Every contender reads the same text, and writes a grid that it read itself. Each has a grid of its
own: ours has all its rows and values, as objects of Python, when it is answered, and those of
rusty-haystack stay in Rust until a row is asked for. Slow peers get fewer rows, as their names
say, and the time is that for all rows in proportion. Times are those of the processor, since
nothing here waits. A peer that is not installed is left out, with a line.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from collections import deque
from datetime import datetime, timedelta
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from harness import Contender, Goal, compare

from holdall.haystack import MARKER, Grid, Number, Ref
from holdall.haystack.codecs.csv_text import CSV
from holdall.haystack.codecs.hayson import HAYSON
from holdall.haystack.codecs.json3 import JSON3
from holdall.haystack.codecs.trio import TRIO
from holdall.haystack.codecs.zinc import ZINC
from holdall.haystack.filter import compiled, parse_filter

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.haystack.codecs.contract import Codec

OURS = "holdall"
RUST = "rusty-haystack"
SLOW = {"phable": 5000, "shaystack": 100}
START = datetime(2024, 1, 1, tzinfo=ZoneInfo("America/New_York"))


def points(count: int) -> Grid:
    """Points of six columns: Ref, Str, Marker, Ref, DateTime, Number with a unit."""
    chance = random.Random(1)
    return Grid(
        {
            "id": Ref(f"p:demo:r:{at:06x}"),
            "dis": f"Point {at}",
            "point": MARKER,
            "equipRef": Ref(f"e:{at // 10}"),
            "ts": START + timedelta(minutes=5 * at),
            "curVal": Number(round(chance.uniform(0, 100), 3), "°F"),
        }
        for at in range(count)
    )


def history(count: int) -> Grid:
    """Samples every five minutes, with a unit."""
    chance = random.Random(2)
    return Grid(
        {
            "ts": START + timedelta(minutes=5 * at),
            "val": Number(round(chance.uniform(0, 100), 3), "kW"),
        }
        for at in range(count)
    )


@cache
def peer(name: str) -> Any:
    """A module of others; None where it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        print(f"\n{name} is left out: {error}")
        return None


def readers(format_: str) -> dict[str, Callable[[str], Any]]:
    """What the peers read a format with."""
    found: dict[str, Callable[[str], Any]] = {}
    rust = peer("rusty_haystack")
    if rust is not None:
        media = {"zinc": "text/zinc", "json": "application/json", "json3": "application/json;v=3"}
        media["trio"] = "text/trio"
        if format_ in media:
            found[RUST] = lambda text: rust.decode_grid(media[format_], text)
    if format_ in ("zinc", "json") and peer("phable") is not None:
        module = import_module(f"phable.io.ph_{format_}")
        found["phable"] = getattr(module, f"ph_from_{format_}")
    shaystack = peer("shaystack")
    modes = {"zinc": "MODE_ZINC", "json3": "MODE_JSON", "trio": "MODE_TRIO", "csv": "MODE_CSV"}
    if shaystack is not None and format_ in modes:
        found["shaystack"] = lambda text: shaystack.parse(text, getattr(shaystack, modes[format_]))
    return found


def writers(format_: str) -> dict[str, Callable[[Any], Any]]:
    """What the peers write a format with, given a grid of their own."""
    found: dict[str, Callable[[Any], Any]] = {}
    rust = peer("rusty_haystack")
    if rust is not None:
        media = {"json": "application/json", "json3": "application/json;v=3"}
        name = media.get(format_, f"text/{format_}")
        found[RUST] = lambda grid: rust.encode_grid(name, grid)
    if format_ in ("zinc", "json") and peer("phable") is not None:
        module = import_module(f"phable.io.ph_{format_}")
        found["phable"] = getattr(module, f"ph_to_{format_}")
    shaystack = peer("shaystack")
    modes = {"zinc": "MODE_ZINC", "json3": "MODE_JSON", "trio": "MODE_TRIO", "csv": "MODE_CSV"}
    if shaystack is not None and format_ in modes:
        found["shaystack"] = lambda grid: shaystack.dump(grid, getattr(shaystack, modes[format_]))
    return found


def looked_at(grid: Any) -> None:
    """Ask a grid for every value."""
    for row in grid:
        deque(row.values(), maxlen=0)


def scaled(function: Callable[[], Any], share: float) -> Callable[[int], float]:
    """Time a function on a share of the rows, and answer the time for all of them."""

    def run(count: int) -> float:
        gc.collect()
        begin = time.process_time()
        for _ in range(count):
            function()
        return (time.process_time() - begin) / share

    return run


def both_ways(
    codec: Codec,
    make: Callable[[int], Grid],
    rows: int,
    *,
    decode: tuple[float, bool],
    encode: tuple[float, bool],
    what: str = "",
) -> bool:
    """Compare reading and writing; the goals are rows a second (0 is none), and beside Rust."""
    grid = make(rows)
    data = codec.encode(grid)
    if codec.lossless and len(codec.decode(data)) != rows:
        raise SystemExit(f"{codec.name} reads another number of rows")
    reading = {OURS: scaled(lambda: codec.decode(data), 1)}
    for name, read in readers(codec.name).items():
        count = min(rows, SLOW.get(name, rows))
        text = codec.encode(Grid(grid.rows[:count], meta=grid.meta, cols=grid.cols)).decode()
        if not _reads(name, read, text):
            continue
        label = name if count == rows else f"{name} ({count:,} rows)"
        reading[label] = scaled(lambda read=read, text=text: read(text), count / rows)
        if name == RUST:
            reading[f"{OURS}, every value looked at"] = scaled(
                lambda: looked_at(codec.decode(data)), 1
            )
            reading[f"{RUST}, every value looked at"] = scaled(
                lambda read=read, text=text: looked_at(read(text)), 1
            )
    title = what or codec.name
    del grid  # whoever reads should not look after the objects of who writes
    good = _compared(f"{rows:,} rows read, {title}", reading, decode, rows)
    grid = make(rows)
    writing = {OURS: scaled(lambda: codec.encode(grid), 1)}
    for name, write in writers(codec.name).items():
        count = min(rows, SLOW.get(name, rows))
        text = ZINC.encode(Grid(grid.rows[:count], meta=grid.meta, cols=grid.cols)).decode()
        theirs = readers("zinc")[name](text)
        label = name if count == rows else f"{name} ({count:,} rows)"
        writing[label] = scaled(lambda write=write, theirs=theirs: write(theirs), count / rows)
    return good & _compared(f"{rows:,} rows written, {title}", writing, encode, rows)


def _reads(name: str, read: Callable[[str], Any], text: str) -> bool:
    try:
        read(text)
    except Exception as error:  # noqa: BLE001  # whatever others raise
        print(f"\n{name} does not read this: {str(error)[:100]}")
        return False
    return True


def _compared(
    title: str, sides: dict[str, Callable[[int], float]], goal: tuple[float, bool], rows: int
) -> bool:
    least, beside_rust = goal
    goals = [Goal("", rows / least * 1e6)] if least else []
    if beside_rust and RUST in sides:
        goals.append(Goal(RUST, 1))
    times: dict[str, list[float]] = {name: [] for name in sides}

    def kept(name: str, run: Callable[[int], float]) -> Callable[[int], float]:
        def timed(count: int) -> float:
            times[name].append(run(count) / count)
            return times[name][-1] * count

        return timed

    contenders = [Contender(name, kept(name, run)) for name, run in sides.items()]
    met = compare(title, contenders, goals, count=1, rounds=5)
    for name, found in times.items():
        middle = sorted(found[1:])[len(found) // 2 - 1]  # the first one only warms up
        print(f"  {name:44} {rows / middle:12,.0f} rows/s")
    return met


def filters() -> bool:
    """Reading a filter for the first time, and asking an entity what was read."""
    fresh = iter(range(10**9))

    def parse(count: int) -> float:
        texts = [f"point and temp and equipRef==@x{next(fresh)}" for _ in range(count)]
        begin = time.process_time()
        for text in texts:
            parse_filter(text)
        return time.process_time() - begin

    good = compare(
        "Reading `point and temp and equipRef==@x`, never read before",
        [Contender(OURS, parse)],
        [Goal("", 15)],
        count=5000,
    )
    entity = {"id": Ref("p"), "point": MARKER, "temp": MARKER, "equipRef": Ref("x")}
    test = compiled(parse_filter("point and temp and equipRef==@x"))
    assert test(entity)

    def ask(count: int) -> float:
        begin = time.process_time()
        for _ in range(count):
            test(entity)
        return time.process_time() - begin

    asked = [Contender(OURS, ask)]
    return good & compare("Asking it of an entity", asked, [Goal("", 1)], count=100_000)


def main() -> int:
    """Run all parts, or those named; answer 1 when a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("only", nargs="*", help="zinc history json json3 trio csv filter")
    parser.add_argument("--rows", type=int, default=100_000, help="how many")
    options = parser.parse_args()
    rows = options.rows
    none = (0, False)
    runs: dict[str, Callable[[], bool]] = {
        "zinc": lambda: both_ways(
            ZINC, points, rows, decode=(150_000, True), encode=(400_000, False)
        ),
        "history": lambda: both_ways(
            ZINC,
            history,
            rows,
            decode=(500_000, False),
            encode=(1_000_000, False),
            what="zinc, a history",
        ),
        "json": lambda: both_ways(
            HAYSON, points, rows, decode=(100_000, False), encode=(300_000, False)
        ),
        "json3": lambda: both_ways(JSON3, points, rows, decode=none, encode=none),
        "trio": lambda: both_ways(TRIO, points, rows // 10, decode=none, encode=none),
        "csv": lambda: both_ways(CSV, points, rows, decode=none, encode=none),
        "filter": filters,
    }
    missed = [name for name in options.only or list(runs) if not runs[name]()]
    print(f"\nMissed: {', '.join(missed)}" if missed else "\nAll figures are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
