"""Objects in S3 and Redis beside raw obstore, boto3, s3fs, opendal and redis-py.

    make bench

One run, one server and the same bytes for all: nginx on this machine, from memory, without a check
of signatures. Prints, for each figure that the project holds itself to, the medians and whether it
is met.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config
import obstore
import opendal
import s3fs
from byte_server import BUCKET, PAGE_KEYS, MissingServerError, byte_server
from caches import caches
from harness import Contender, Goal, compare, each
from obstore.store import S3Store

import holdall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator

MIB = 1024 * 1024
PART = 8 * MIB
SMALL = os.urandom(4096)
SMALL_KEY, LARGE_KEY, NEW_KEY = "small.bin", "large.bin", "new.bin"
LARGE_BYTES = 64 * MIB
KEYS = 10_000
MOST_ABOVE_OBSTORE = 15.0
ACCESS, SECRET, REGION = "benchmark", "benchmark-secret", "us-east-1"


@dataclass
class Meter:
    """Does a thing again and again; keeps what each took, in microseconds.

    Args:
        function: What is done.
        cpu: Times of this process, all its threads together.
        wall: Times of the clock.
    """

    function: Callable[[], object]
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def run(self, count: int) -> float:
        """Answer the seconds of processor time."""
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            self.function()
        spent = time.process_time() - cpu
        self.cpu.append(spent / count * 1e6)
        self.wall.append((time.perf_counter() - wall) / count * 1e6)
        return spent

    def elapsed(self, count: int) -> float:
        """Likewise, but answer the seconds of the clock."""
        self.run(count)
        return self.wall[-1] * count / 1e6


def verdict(good: bool, text: str) -> bool:
    """Print whether a goal is met."""
    print(f"  {'met   ' if good else 'MISSED'} {text}")
    return good


def compare_cpu(
    title: str, functions: dict[str, Callable[[], object]], *, count: int, rounds: int
) -> bool:
    """Compare processor time of small requests; the first is ours, the second raw obstore."""
    meters = {name: Meter(function) for name, function in functions.items()}
    ours, raw = list(meters)[:2]
    good = compare(
        f"{title}, processor time of the client",
        [Contender(name, meter.run) for name, meter in meters.items()],
        [Goal(peer, 5, at_least=True) for peer in ("boto3", "s3fs")],
        count=count,
        rounds=rounds,
    )
    above = median_above(functions[ours], functions[raw], count=count, rounds=4 * rounds)
    good &= verdict(
        above <= MOST_ABOVE_OBSTORE,
        f"at most {MOST_ABOVE_OBSTORE:g} us above {raw}: {above:+.1f} us",
    )
    shown = ", ".join(
        f"{name} {statistics.median(meter.wall[1:]):.0f} us" for name, meter in meters.items()
    )
    print(f"  by the clock: {shown}")
    return good


def median_above(
    ours: Callable[[], object], raw: Callable[[], object], *, count: int, rounds: int
) -> float:
    """How many microseconds of processor time more one takes than the other.

    They take turns with nobody between them, and are compared round by round, so that what slows
    both down counts for neither.
    """
    pair = Meter(ours), Meter(raw)
    for number in range(rounds):
        for meter in pair if number % 2 else pair[::-1]:
            meter.run(count)
    return statistics.median(
        mine - theirs for mine, theirs in zip(pair[0].cpu[1:], pair[1].cpu[1:], strict=True)
    )


class Peers:
    """All contenders, opened at the same bucket."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.store = open_ours(endpoint)
        self.raw = open_raw(endpoint)
        self.boto3: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            region_name=REGION,
            config=botocore.config.Config(s3={"addressing_style": "path"}),
        )
        self.s3fs: Any = s3fs.S3FileSystem(
            key=ACCESS, secret=SECRET, endpoint_url=endpoint, use_listings_cache=False
        )
        self.opendal: Any = opendal.Operator(
            "s3",
            bucket=BUCKET,
            endpoint=endpoint,
            region=REGION,
            access_key_id=ACCESS,
            secret_access_key=SECRET,
        )


def open_ours(endpoint: str) -> holdall.DataStore:
    """The bucket through Holdall."""
    return holdall.open(settings(endpoint))


def settings(endpoint: str) -> dict[str, Any]:
    """How Holdall opens the bucket."""
    return {
        "type": "s3",
        "bucket": BUCKET,
        "endpoint": endpoint,
        "region": REGION,
        "access_key": ACCESS,
        "secret_key": SECRET,
        "check": False,
        "probe": False,
        "layers": [],  # what they cost is measured in layers.py
    }


def open_raw(endpoint: str) -> S3Store:
    """The bucket through obstore alone."""
    return S3Store(
        BUCKET,
        endpoint=endpoint,
        access_key_id=ACCESS,
        secret_access_key=SECRET,
        region=REGION,
        client_options={"allow_http": True},
    )


def small(peers: Peers) -> bool:
    """Reads and writes of 4 KiB."""
    store, raw = peers.store, peers.raw

    def get_boto3() -> bytes:
        body: bytes = peers.boto3.get_object(Bucket=BUCKET, Key=SMALL_KEY)["Body"].read()
        return body

    good = compare_cpu(
        "GET 4 KiB",
        {
            "holdall": lambda: store.read(SMALL_KEY),
            "obstore": lambda: bytes(obstore.get(raw, SMALL_KEY).bytes()),
            "opendal": lambda: peers.opendal.read(SMALL_KEY),
            "boto3": get_boto3,
            "s3fs": lambda: peers.s3fs.cat_file(f"{BUCKET}/{SMALL_KEY}"),
        },
        count=200,
        rounds=21,
    )
    good &= compare_cpu(
        "PUT 4 KiB",
        {
            "holdall": lambda: store.write(NEW_KEY, SMALL),
            "obstore": lambda: obstore.put(raw, NEW_KEY, SMALL),
            "opendal": lambda: peers.opendal.write(NEW_KEY, SMALL),
            "boto3": lambda: peers.boto3.put_object(Bucket=BUCKET, Key=NEW_KEY, Body=SMALL),
            "s3fs": lambda: peers.s3fs.pipe_file(f"{BUCKET}/{NEW_KEY}", SMALL),
        },
        count=200,
        rounds=21,
    )
    return good & asyncio.run(_small_async(peers))


class Counted:
    """Awaits something and counts how often that goes back to the event loop."""

    def __init__(self, awaitable: Awaitable[object]) -> None:
        self._awaitable = awaitable
        self.count = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._awaitable.__await__()
        sent: Any = None
        while True:
            try:
                waited = steps.send(sent)
            except StopIteration as done:
                return done.value
            self.count += 1
            sent = yield waited


async def _small_async(peers: Peers) -> bool:
    store, raw = holdall.open_async(settings(peers.endpoint)), peers.raw

    async def get() -> bytes:
        return bytes(await (await obstore.get_async(raw, SMALL_KEY)).bytes_async())

    functions: dict[str, tuple[Callable[[], Awaitable[object]], ...]] = {
        "GET": (lambda: store.read(SMALL_KEY), get),
        "PUT": (
            lambda: store.write(NEW_KEY, SMALL),
            lambda: obstore.put_async(raw, NEW_KEY, SMALL),
        ),
    }
    good = True
    for name, pair in functions.items():
        counts, times = [], []
        for function in pair:
            await function()
            counted = Counted(function())
            await counted
            counts.append(counted.count)
        for at_once in (1, 32):
            medians = await _timed(pair, at_once)
            times.append(
                f"{at_once} at once: {medians[0]:.0f} and {medians[1]:.0f} us by the clock"
            )
        print(f"\n{name} 4 KiB with asyncio, holdall and obstore\n  {'; '.join(times)}")
        good &= verdict(
            counts[0] <= counts[1], f"no more awaits than obstore: {counts[0]} and {counts[1]}"
        )
    return good


async def _timed(
    functions: tuple[Callable[[], Awaitable[object]], ...], at_once: int
) -> list[float]:
    """Microseconds of each, of so many tasks that do it again and again."""
    count = 320 // at_once

    async def again(function: Callable[[], Awaitable[object]]) -> None:
        for _ in range(count):
            await function()

    times: list[list[float]] = [[] for _ in functions]
    for _ in range(9):
        for function, found in zip(functions, times, strict=True):
            begin = time.perf_counter()
            await asyncio.gather(*(again(function) for _ in range(at_once)))
            found.append((time.perf_counter() - begin) / 320 * 1e6)
    return [statistics.median(found) for found in times]


def listing(peers: Peers) -> bool:
    """All keys of a bucket."""
    bucket = f"{BUCKET}/keys"

    def by_boto3() -> int:
        paginator = peers.boto3.get_paginator("list_objects_v2")
        return sum(len(page["Contents"]) for page in paginator.paginate(Bucket=BUCKET))

    functions: dict[str, Callable[[], int]] = {
        "holdall": lambda: sum(1 for _ in peers.store.walk()),
        "obstore": lambda: sum(
            1 for chunk in obstore.list(peers.raw, chunk_size=PAGE_KEYS) for _ in chunk
        ),
        "opendal": lambda: sum(1 for _ in peers.opendal.list("keys/", recursive=True)),
        "boto3": by_boto3,
        "s3fs": lambda: len(peers.s3fs.find(bucket, detail=True)),
    }
    for name, function in functions.items():
        assert function() == KEYS, name
    return compare(
        f"List {KEYS} keys",
        [Contender(name, each(function)) for name, function in functions.items()],
        [Goal("obstore", 1.25), Goal("boto3", 15, at_least=True)],
        count=1,
        rounds=7,
    )


def source(size: int) -> Iterator[bytes]:
    """The bytes of a large object, every block in memory of its own as a file's would be."""
    block = memoryview(bytes(range(256)) * (MIB // 256))
    for _ in range(size // MIB):
        yield bytes(block)


class Reading(io.RawIOBase):
    """The same bytes as a file."""

    def __init__(self, size: int) -> None:
        self._blocks = source(size)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = next(self._blocks, b"")
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)


def read_ours(store: holdall.DataStore) -> int:
    """Stream a large object."""
    return sum(len(chunk) for chunk in store.stream(LARGE_KEY, chunk_size=PART))


def read_raw(raw: S3Store) -> int:
    """The same with obstore alone."""
    return sum(len(chunk) for chunk in obstore.get(raw, LARGE_KEY).stream(min_chunk_size=PART))


def write_ours(store: holdall.DataStore) -> int:
    """Write a large object from an iterator."""
    return store.write(NEW_KEY, source(LARGE_BYTES)).size


def write_raw(raw: S3Store) -> int:
    """The same with obstore alone."""
    obstore.put(raw, NEW_KEY, source(LARGE_BYTES), chunk_size=PART)
    return LARGE_BYTES


def streaming(peers: Peers) -> bool:
    """Large objects, one part in memory at a time."""

    def read_boto3() -> int:
        body = peers.boto3.get_object(Bucket=BUCKET, Key=LARGE_KEY)["Body"]
        return sum(len(chunk) for chunk in body.iter_chunks(PART))

    def read_s3fs() -> int:
        with peers.s3fs.open(f"{BUCKET}/{LARGE_KEY}", block_size=PART) as file:
            return sum(len(chunk) for chunk in iter(lambda: file.read(PART), b""))

    def read_opendal() -> int:
        with peers.opendal.open(LARGE_KEY, "rb") as file:
            return sum(len(chunk) for chunk in iter(lambda: file.read(PART), b""))

    def write_boto3() -> int:
        file = io.BufferedReader(Reading(LARGE_BYTES), MIB)
        peers.boto3.upload_fileobj(file, BUCKET, NEW_KEY)
        return LARGE_BYTES

    def write_s3fs() -> int:
        with peers.s3fs.open(f"{BUCKET}/{NEW_KEY}", "wb", block_size=PART) as file:
            return sum(file.write(chunk) for chunk in source(LARGE_BYTES))

    def write_opendal() -> int:
        with peers.opendal.open(NEW_KEY, "wb", chunk=PART) as file:
            return sum(file.write(chunk) for chunk in source(LARGE_BYTES))

    good = True
    for title, functions in (
        (
            "GET",
            {
                "holdall": lambda: read_ours(peers.store),
                "obstore": lambda: read_raw(peers.raw),
                "opendal": read_opendal,
                "boto3": read_boto3,
                "s3fs": read_s3fs,
            },
        ),
        (
            "PUT",
            {
                "holdall": lambda: write_ours(peers.store),
                "obstore": lambda: write_raw(peers.raw),
                "opendal (signs no body)": write_opendal,
                "boto3": write_boto3,
                "s3fs": write_s3fs,
            },
        ),
    ):
        for name, function in functions.items():
            found = function()
            assert found == LARGE_BYTES, (title, name, found)
        good &= compare(
            f"Stream {LARGE_BYTES // MIB} MiB, {title}",
            [Contender(name, each(function)) for name, function in functions.items()],
            [Goal("obstore", 0.9, at_least=True)],
            count=1,
            rounds=9,
        )
        good &= _memory(title, peers.endpoint)
    return good


def _memory(title: str, endpoint: str) -> bool:
    """How far a process grows that streams; each is a new one, which has not grown yet."""
    grown = {}
    for name in ("holdall", "obstore"):
        done = subprocess.run(
            [sys.executable, __file__, "--grow", name, title, endpoint],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        grown[name] = float(done.stdout)
    return verdict(
        grown["holdall"] < 3 * PART / MIB,
        f"memory grew by under 3 parts of {PART // MIB} MiB: {grown['holdall']:.1f} MiB"
        f" (obstore {grown['obstore']:.1f} MiB)",
    )


def grow(name: str, title: str, endpoint: str) -> None:
    """Stream once, and print by how many MiB this process grew at most."""
    if name == "holdall":
        store = open_ours(endpoint)
        store.write(NEW_KEY, store.read(SMALL_KEY))
        function = read_ours if title == "GET" else write_ours
        begin = _reset_peak()
        function(store)
    else:
        raw = open_raw(endpoint)
        obstore.put(raw, NEW_KEY, obstore.get(raw, SMALL_KEY).bytes())
        plain = read_raw if title == "GET" else write_raw
        begin = _reset_peak()
        plain(raw)
    print((_status("VmHWM") - begin) / 1024)


def _reset_peak() -> int:
    """Forget the largest size so far; answer the size now, in KiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def main() -> int:
    """Run them all, or those named; answer 1 when a goal is missed, 2 when a server is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("only", nargs="*", help="small listing streaming caches")
    parser.add_argument("--grow", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.grow:
        grow(*options.grow)
        return 0
    objects = {SMALL_KEY: SMALL, LARGE_KEY: b"".join(source(LARGE_BYTES))}
    try:
        with byte_server(objects, KEYS // PAGE_KEYS) as server:
            peers = Peers(server.endpoint)
            runs: dict[str, Callable[[], bool]] = {
                "small": lambda: small(peers),
                "listing": lambda: listing(peers),
                "streaming": lambda: streaming(peers),
                "caches": caches,
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
