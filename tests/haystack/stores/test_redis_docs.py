"""The example of the page about entities in Redis, which needs a server."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.redis import RedisAdapter

if TYPE_CHECKING:
    from serving.caches import RedisServer


_users = count()
MOMENT = datetime(2024, 6, 15, 12, tzinfo=UTC)
PAGE = Path(__file__).parents[3] / "docs" / "haystack-redis.md"


def test_the_example_of_the_page_runs(
    redis_server: RedisServer, redis_stack_server: RedisServer
) -> None:
    blocks = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    for server in (redis_server, redis_stack_server):
        url = server.make_empty()
        exec(blocks[0].replace("redis://localhost", url), {})
        assert server.ask("HLEN {holdall:hs}:e") == [":2"]


def test_the_rights_that_the_page_names_are_enough(
    redis_server: RedisServer, redis_stack_server: RedisServer
) -> None:
    lines = re.findall(r"^ +ACL SETUSER app (.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(lines) == 3

    async def work(url: str) -> None:
        async with RedisAdapter(url) as adapter:
            tags = {"point": MARKER, "his": MARKER, "kind": "Number", "tz": "UTC", "n": Number(1)}
            await adapter.create({"id": Ref("p1"), **tags})
            assert len(await adapter.read("point and n > 0")) == 1
            await adapter.his_write("p1", [{"ts": MOMENT, "val": Number(1.5)}])
            assert len(await adapter.his_read("p1", "2024-06-15")) == 1
            await adapter.delete("p1")

    for server, some in ((redis_server, lines[:1]), (redis_stack_server, lines)):
        server.make_empty()
        user = f"app{next(_users)}"
        rights = " ".join(some).replace(">…", ">app")
        assert server.ask(f"ACL SETUSER {user} {rights}") == ["+OK"]
        try:
            asyncio.run(work(f"redis://{user}:app@127.0.0.1:{server.running.port}"))
        finally:
            assert server.ask(f"ACL DELUSER {user}") == [":1"]
