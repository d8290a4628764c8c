"""What layers cost, and a sync of many small objects beside boto3, s3fs and obstore.

    make bench

One run, one server and the same bytes for all, as in objects_remote.py. Prints, for each figure
that the project holds itself to, the medians and whether it is met.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
import s3fs
from byte_server import BUCKET, PAGE_KEYS, MissingServerError, byte_server
from harness import Contender, Goal, compare, each
from objects_remote import (
    ACCESS,
    REGION,
    SECRET,
    SMALL,
    SMALL_KEY,
    Meter,
    Peers,
    settings,
    verdict,
)

import holdall
from holdall.objects import transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

EACH = ["retry", "breaker", "timeout"]  # what a remote store has around it by itself
KEYS = 10_000
AT_ONCE = 1000
SLOTS = 32
MOST_ON_MEMORY = 10.0
MOST_ON_REMOTE = 15.0
MOST_FOR_A_HIT = 5.0
MOST_LOST = 0.12


def configured(endpoint: str) -> dict[str, Any]:
    """A configuration that says where the bucket is, and nothing else that a read meets."""
    return {
        "type": "s3",
        "container": BUCKET,
        "connection": {
            "endpoint": endpoint,
            "region": REGION,
            "access_key": ACCESS,
            "secret_key": SECRET,
        },
        "check": False,
        "probe": False,
    }


def opened(endpoint: str) -> dict[str, Any]:
    """The bucket as `holdall.open` takes it, with the layers that it puts on by itself."""
    return {name: value for name, value in settings(endpoint).items() if name != "layers"}


def memory() -> bool:
    """Reads of 4 KiB from memory, bare, through the stack, and out of its cache."""
    bare = holdall.open({"type": "memory", "layers": []})
    # Named, since only a remote store has them by itself.
    configuration = {"type": "memory", "layers": EACH}
    full = holdall.DataStore.from_config(configuration)
    cached = holdall.DataStore.from_config(
        {**configuration, "cache": {"max_size_mbs": 64, "ttl": 3600}}
    )
    for store in (bare, full, cached):
        store.write("a", SMALL)
        store.read("a")
    meters = {
        "through the stack": Meter(lambda: full.read("a")),
        "bare": Meter(lambda: bare.read("a")),
        "out of the cache": Meter(lambda: cached.read("a")),
    }
    compare(
        "Read of 4 KiB from memory, blocking, processor time",
        [Contender(name, meter.run) for name, meter in meters.items()],
        [],
        count=1000,
        rounds=201,
    )
    above = _above(meters["through the stack"].cpu, meters["bare"].cpu)
    hit = statistics.median(meters["out of the cache"].cpu[1:])
    good = verdict(
        above <= MOST_ON_MEMORY, f"the stack adds at most {MOST_ON_MEMORY:g} us: {above:+.2f} us"
    )
    return good & verdict(
        hit <= MOST_FOR_A_HIT, f"a hit takes at most {MOST_FOR_A_HIT:g} us: {hit:.2f} us"
    )


def _above(ours: list[float], theirs: list[float]) -> float:
    """The median of the differences round by round; the first one warmed up."""
    return statistics.median(a - b for a, b in zip(ours[1:], theirs[1:], strict=True))


def remote(peers: Peers) -> bool:
    """Reads of 4 KiB over HTTP, bare and through the stack, with its limit for downloads."""
    bare, endpoint = peers.store, peers.endpoint
    full = holdall.DataStore.from_config(configured(endpoint))
    slots = {"resilience": {"concurrency": {"slots": 64}}}
    limited = holdall.DataStore.from_config({**configured(endpoint), **slots})
    plain = holdall.open(opened(endpoint))
    meters = {
        "through the stack": Meter(lambda: full.read(SMALL_KEY)),
        "through the stack and concurrency": Meter(lambda: limited.read(SMALL_KEY)),
        "through what holdall.open puts on": Meter(lambda: plain.read(SMALL_KEY)),
        "bare": Meter(lambda: bare.read(SMALL_KEY)),
    }
    compare(
        "GET 4 KiB, processor time of the client",
        [Contender(name, meter.run) for name, meter in meters.items()],
        [],
        # In turns so short that what else the machine does meets both.
        count=10,
        rounds=600,
    )
    name, *others, _ = meters
    for other in others:
        print(f"  {other} adds {_above(meters[other].cpu, meters['bare'].cpu):+.1f} us")
    above = _above(meters[name].cpu, meters["bare"].cpu)
    return verdict(
        above <= MOST_ON_REMOTE, f"the stack adds at most {MOST_ON_REMOTE:g} us: {above:+.1f} us"
    )


def together(peers: Peers) -> bool:
    """1,000 reads at once, 32 of them under way."""
    return asyncio.run(_together(peers))


async def _together(peers: Peers) -> bool:
    slots = {"layer": "concurrency", "slots": SLOTS}
    around: dict[str, list[Any]] = {
        "concurrency": [slots],
        "retry, breaker, concurrency and timeout": ["retry", "breaker", slots, "timeout"],
    }
    stores = {
        name: holdall.open_async({**settings(peers.endpoint), "layers": layers})
        for name, layers in around.items()
    }

    async def raw() -> None:
        gate = asyncio.Semaphore(SLOTS)

        async def one() -> None:
            async with gate:
                await (await obstore.get_async(peers.raw, SMALL_KEY)).bytes_async()

        await asyncio.gather(*(one() for _ in range(AT_ONCE)))

    async def ours(name: str) -> None:
        await asyncio.gather(*(stores[name].read(SMALL_KEY) for _ in range(AT_ONCE)))

    rounds: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "obstore": raw,
        **{name: partial(ours, name) for name in stores},
    }
    times: dict[str, list[float]] = {name: [] for name in rounds}
    for _ in range(16):
        for name, function in rounds.items():
            begun = time.perf_counter()
            await function()
            times[name].append(time.perf_counter() - begun)
    for store in stores.values():
        await store.close()
    medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    print(f"\n{AT_ONCE} reads of 4 KiB at once, {SLOTS} under way  (median of 15 rounds)")
    for name, median in medians.items():
        print(f"  {name:44} {median * 1e3:9.0f} ms")
    lost = medians["concurrency"] / medians["obstore"] - 1
    return verdict(
        lost < MOST_LOST, f"through concurrency loses under {MOST_LOST:.0%}: {lost:+.1%}"
    )


def sync(peers: Peers) -> bool:
    """10,000 files of 4 KiB from a folder to S3."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{number // 100:03d}/{number:05d}.bin" for number in range(KEYS)]
        for name in names:
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(SMALL)
        source = holdall.open(folder)
        target = holdall.open({**opened(peers.endpoint), "prefix": "new"})

        def ours() -> None:
            report = transfer.sync(source, target)
            assert report.copied == KEYS, report

        def by_boto3() -> None:
            for name in names:
                peers.boto3.upload_file(os.path.join(folder, name), BUCKET, f"new/{name}")

        def put(name: str) -> None:
            obstore.put(peers.raw, f"new/{name}", Path(folder, name).read_bytes())

        def put_with_digest(name: str) -> None:
            data = Path(folder, name).read_bytes()
            kept = {"sha256": hashlib.sha256(data).hexdigest()}
            obstore.put(peers.raw, f"new/{name}", data, attributes=kept)

        def in_a_pool(function: Callable[[str], None]) -> None:
            with ThreadPoolExecutor(transfer.WORKERS) as pool:
                for _ in pool.map(function, names):
                    pass

        def by_s3fs() -> None:
            files: Any = s3fs.S3FileSystem(
                key=ACCESS, secret=SECRET, endpoint_url=peers.endpoint, use_listings_cache=False
            )
            files.put(folder, f"{BUCKET}/new", recursive=True)

        title = f"Sync of {KEYS:,} files of 4 KiB to S3"
        good = compare(
            title,
            [
                Contender("holdall", each(ours)),
                Contender("s3fs", each(by_s3fs)),
                Contender("boto3, one after the other", each(by_boto3)),
            ],
            [Goal("boto3, one after the other", 5, at_least=True), Goal("s3fs", 1.0)],
            count=1,
            rounds=2,
        )
        meters = {
            "holdall": Meter(ours),
            "obstore in a pool, nothing checked": Meter(lambda: in_a_pool(put)),
            "the same, and a SHA-256 kept with each": Meter(lambda: in_a_pool(put_with_digest)),
        }
        good &= compare(
            f"{title}, by the clock",
            [Contender(name, meter.elapsed) for name, meter in meters.items()],
            [Goal("obstore in a pool, nothing checked", 1.0)],
            count=1,
        )
        shown = ", ".join(
            f"{name} {statistics.median(meter.cpu) / KEYS:.0f} us" for name, meter in meters.items()
        )
        print(f"  processor time of the client an object: {shown}")
        return good


def main() -> int:
    """Run them all, or those named; answer 1 when a goal is missed, 2 when a server is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("only", nargs="*", help="memory remote together sync")
    options = parser.parse_args()
    try:
        with byte_server({SMALL_KEY: SMALL}, KEYS // PAGE_KEYS) as server:
            peers = Peers(server.endpoint)
            runs: dict[str, Callable[[], bool]] = {
                "memory": memory,
                "remote": lambda: remote(peers),
                "together": lambda: together(peers),
                "sync": lambda: sync(peers),
            }
            chosen = options.only or list(runs)
            missed = [name for name in chosen if not runs[name]()]
    except MissingServerError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"\nMissed: {', '.join(missed)}" if missed else "\nAll figures are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
