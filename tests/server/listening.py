"""A server in a thread of this process, on a free port of 127.0.0.1."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from holdall.server.live.wire import BoundedWebSocket


class _Told(uvicorn.Server):
    """A server that says when it answers, and ends at once where it is told to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self.answers.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._end.wait()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)


@contextmanager
def listening(app: Any, **settings: Any) -> Iterator[str]:
    """Serve an application until the block ends; gives its address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as sock:
        sock.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, ws=BoundedWebSocket, lifespan="on", log_config=None, access_log=False, **settings
        )
        server = _Told(config)
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            assert server.answers.wait(30)
            scheme = "https" if config.is_ssl else "http"
            yield f"{scheme}://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.end()
            thread.join()
