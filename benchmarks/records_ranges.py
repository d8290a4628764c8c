"""The part of `records.py` about a bucket of very many records: what a second search costs.

The server lists keys that do not exist. It answers at once, so that what is measured is the client
alone; and then as late as a service does. The snapshot is written beforehand, as searches of that
many records would have left it.

A second search knows the pages that have not changed, which here are all. What it costs to read all
of them shows the count of a database that was just opened.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from byte_server import PAGE_KEYS, MissingServerError, byte_server
from harness import Contender, Goal, compare, each
from records_s3 import AT_ONCE, QUERY
from records_sides import OURS, Rows, employees

import holdall
from holdall.records.backends.objects import ranges, segments
from holdall.records.backends.objects.blocks import Row
from holdall.records.backends.objects.packing import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from byte_server import ByteServer

MOST_TIMES = 1.2
DELAYS = (0, 0.1)  # AWS takes about a tenth of a second for a page of a thousand keys
_FOLDER = "keys/!/.holdall/snapshots"
_ETAG_FACTOR = 2654435761  # as `byte_server` makes the etags of its listing


def listed(number: int) -> bool:
    """Records that a snapshot knows.

    Args:
        number: How many; whole thousands of them count.
    """
    number = number // PAGE_KEYS * PAGE_KEYS
    bounds = ranges.bounds_of([_name(at) for at in range(PAGE_KEYS - 1, number, PAGE_KEYS)])
    snapshot = _snapshot(employees(number), bounds)
    good = True
    try:
        for delay in DELAYS:
            with byte_server(snapshot, number // PAGE_KEYS, ".json", delay) as server:
                good &= _timed(number, bounds, server, delay)
    except MissingServerError as error:
        print(f"\nThe server of many keys is left out: {error}")
    return good


def _name(at: int) -> str:
    return f"{at:06}.json"


def _snapshot(rows: Rows, bounds: tuple[str, ...]) -> dict[str, bytes]:
    """The objects of a snapshot of these rows."""
    named = []
    objects = {}
    for place, (data, number) in enumerate(segments.join(pack(_packable(rows)))):
        name = f"{place:032x}"
        objects[f"{_FOLDER}/{name}.rows"] = data
        named.append({"name": name, "rows": number, "bytes": len(data)})
    pointer = {"kind": "holdall snapshot", "format": 2, "segments": named, "bounds": bounds}
    objects[f"{_FOLDER}/current.json"] = msgspec.json.encode(pointer)
    return objects


def _packable(rows: Rows) -> Iterator[Row]:
    for at, row in enumerate(rows):
        yield Row(f"{at:06}", f"{at * _ETAG_FACTOR:032x}", 0, 0, row, {}, 300)


def _timed(number: int, bounds: tuple[str, ...], server: ByteServer, delay: float) -> bool:
    import obstore
    from obstore.store import S3Store

    place = {
        "type": "s3",
        "bucket": server.bucket,
        "prefix": "keys",
        "endpoint": server.endpoint,
        "access_key": "name",
        "secret_key": "secret",
        "probe": False,
        "check": False,
    }
    raw = S3Store(
        server.bucket,
        prefix="keys",
        endpoint=server.endpoint,
        access_key_id="name",
        secret_access_key="secret",
        region="us-east-1",
        client_options={"allow_http": True},
    )
    pairs = list(zip([None, *bounds], [*bounds, None], strict=True))

    def part(pair: tuple[str | None, str | None]) -> int:
        after, last = pair
        found = 0
        for chunk in obstore.list(raw, offset=after, chunk_size=PAGE_KEYS):
            found += sum(last is None or meta["path"] <= last for meta in chunk)
            if last is not None and chunk[-1]["path"] >= last:
                break
        return found

    def everything() -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            assert sum(pool.map(part, pairs)) == number

    settings: dict[str, Any] = {"type": "objects", "store": place, "max_workers": AT_ONCE}
    with closing(holdall.open_database(settings)) as database:
        begin = time.perf_counter()
        database.search(QUERY)
        spent = time.perf_counter() - begin
        late = f"takes {delay * 1000:g} ms a page" if delay else "answers at once"
        print(f"\nFirst search in {number:,} records of a snapshot: {spent:.2f} s")
        raw_name = f"obstore, the listing in {len(pairs)} ranges"
        work: dict[str, Callable[[], object]] = {
            OURS: lambda: database.search(QUERY),
            raw_name: everything,
            "count, by a listing of which nothing is known": lambda: _counted(settings),
        }
        title = f"Second search in {number:,} records on a server that {late}"
        compare(
            f"{title}, in time of the processor",
            [Contender(name, partial(_processor, one)) for name, one in work.items()],
            [],
            count=1,
            rounds=3,
        )
        return compare(
            title,
            [Contender(name, each(one)) for name, one in work.items()],
            [Goal(raw_name, MOST_TIMES)],
            count=1,
            rounds=5,
        )


def _processor(function: Callable[[], object], _: int) -> float:
    begin = time.process_time()
    function()
    return time.process_time() - begin


def _counted(settings: dict[str, Any]) -> None:
    with closing(holdall.open_database(settings)) as database:
        database.count()
