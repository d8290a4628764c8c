"""Threads that are held by one kind of request, and needed by another."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from anyio import to_thread

import holdall
from holdall.haystack import Grid, Ref
from holdall.haystack.codecs.zinc import ZINC
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import create_fastapi_app
from server.asking import ZINC_TYPE, building
from server.test_plain_adapters import Ten

MANY = 40  # threads that anyio lends for everything


@asynccontextmanager
async def asking(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=None) as client,
    ):
        yield client


async def answered(asked: Awaitable[httpx.Response]) -> int:
    """The status of an answer, which comes soon."""
    return (await asyncio.wait_for(asked, 30)).status_code


def test_streams_do_not_take_the_threads_that_their_store_needs() -> None:
    class Blocking(Ten):
        """Reads in threads, as drivers that block are called, once all streams wait for it."""

        def __init__(self) -> None:
            super().__init__()
            self.waiting, self.all_wait = 0, asyncio.Event()

        async def his_read(self, id: str, range_str: str) -> list[dict[str, Any]]:  # noqa: A002
            self.waiting += 1
            if self.waiting == MANY:
                self.all_wait.set()
            await self.all_wait.wait()
            return await to_thread.run_sync(list)

    store = Blocking()
    store.entities["p2"] = store.entities["p1"] | {"id": Ref("p2")}
    app = create_fastapi_app(store)
    body = ZINC.encode(Grid([{"id": Ref("p1")}, {"id": Ref("p2")}], meta={"range": "today"}))

    async def run() -> None:
        async with asking(app) as client:
            done = await asyncio.gather(
                *(
                    answered(client.post("/api/hisRead", content=body, headers=ZINC_TYPE))
                    for _ in range(MANY)
                )
            )
        assert done == [200] * MANY

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/records/a", "/api/hisRead?id=@p1&range=today"])
def test_actions_that_hang_take_no_thread_of_others(path: str) -> None:
    go, begun = threading.Event(), threading.Semaphore(0)

    def hang(call: Any) -> None:
        begun.release()
        go.wait(60)

    app = create_fastapi_app(
        InMemoryAdapter(building()),
        database=holdall.open_database_async("memory://"),
        actions={"hang": hang},
    )
    body = ZINC.encode(Grid([{"x": "y"}], meta={"id": Ref("a1"), "action": "hang"}))

    async def run() -> None:
        async with asking(app) as client:
            await client.put("/records/a", json={"fields": {"text": "x" * 100_000}})
            hanging = [
                asyncio.create_task(
                    client.post("/api/invokeAction", content=body, headers=ZINC_TYPE)
                )
                for _ in range(MANY)
            ]
            for _ in hanging:
                assert await asyncio.to_thread(begun.acquire, timeout=30)
            try:
                assert await answered(client.get(path)) == 200
            finally:
                go.set()
            assert {one.status_code for one in await asyncio.gather(*hanging)} == {200}

    asyncio.run(run())
