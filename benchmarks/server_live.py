"""Many WebSockets, each with a watch of its own entity, all of which change each second."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection, connect

from holdall.haystack import MARKER, Grid, Number, Ref
from holdall.haystack.codecs.hayson import HAYSON
from holdall.haystack.codecs.zinc import ZINC

if TYPE_CHECKING:
    from server_sides import Side

_AT_ONCE = 50


def watched(side: Side, count: int, seconds: int) -> tuple[float, float]:
    """Watch, and change what is watched.

    Args:
        side: Our server.
        count: How many WebSockets, watches and entities.
        seconds: For how long.

    Returns:
        Which share of the changes was pushed to whom they belong, and which share of a core the
        server took, the changes themselves included.
    """
    return asyncio.run(_watched(side, count, seconds))


async def _watched(side: Side, count: int, seconds: int) -> tuple[float, float]:
    bodies = [_entities(count, turn) for turn in range(seconds + 1)]
    side.ask("/api/load", bodies[0])
    clients: list[ClientConnection] = []
    for first in range(0, count, _AT_ONCE):
        some = range(first, min(first + _AT_ONCE, count))
        clients += await asyncio.gather(*(_subscribed(side, at) for at in some))
    seen = [0] * count
    readers = [asyncio.create_task(_reading(client, at, seen)) for at, client in enumerate(clients)]
    began, worked = time.perf_counter(), side.processor()
    for turn in range(1, seconds + 1):
        await asyncio.to_thread(side.ask, "/api/load", bodies[turn])
        await asyncio.sleep(max(0.0, began + turn - time.perf_counter()))
    share = (side.processor() - worked) / (time.perf_counter() - began)
    await asyncio.sleep(2)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*(client.close() for client in clients))
    return sum(seen) / (count * seconds), share


def _entities(count: int, turn: int) -> bytes:
    rows = [
        {"id": Ref(f"w{at}"), "point": MARKER, "curVal": Number(turn * 10 + at / 10, "kW")}
        for at in range(count)
    ]
    return ZINC.encode(Grid(rows))


async def _subscribed(side: Side, at: int) -> ClientConnection:
    client = await connect(f"ws://127.0.0.1:{side.port}/ws", compression=None)
    grid = Grid([{"id": Ref(f"w{at}")}], meta={"watchDis": "benchmark"})
    body = json.loads(HAYSON.encode(grid))
    await client.send(json.dumps({"id": 1, "op": "watchSub", "grid": body}))
    answer = json.loads(await client.recv())
    if "watchId" not in answer["grid"]["meta"]:
        raise RuntimeError(f"watchSub answered {answer}")
    return client


async def _reading(client: ClientConnection, at: int, seen: list[int]) -> None:
    mine = f'"w{at}"'
    async for message in client:
        if not isinstance(message, str) or mine not in message:
            raise RuntimeError(f"a client that watches {mine} was told {message!r:.200}")
        seen[at] += 1
