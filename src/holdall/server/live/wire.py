"""What uvicorn speaks on a WebSocket, within bounds; what it takes as `ws`.

The protocol of uvicorn keeps what a client does not take for as long as the client likes: a buffer
that is not empty is not closed, and every ping is answered into it. Here a client that takes
nothing is cut, and nothing is compressed, so that no small message becomes a large one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.server import ServerProtocol

if TYPE_CHECKING:
    import asyncio

    from websockets.frames import Frame

STALLED: Final = 30.0
"""Seconds for which a client may take next to nothing of what is sent."""
_LEAST: Final = 16 * 1024  # bytes that it takes in that time
_GOODBYE: Final = 5.0  # seconds for what is left when a connection ends
_MOST_FRAGMENTS: Final = 16_384


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket of uvicorn that gives up on clients which take nothing."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.conn = ServerProtocol(max_size=self.config.ws_max_size, logger=self.logger)
        self._fragments = 0
        self._is_lost = False
        self._stalled: asyncio.TimerHandle | None = None
        self._last: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._forget()
        if self._last is not None:
            self._last.cancel()
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True  # or a refusal is an error in the log

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:  # of a client that takes nothing only the last would be worth an answer
            self.conn.data_to_send()

    def handle_text(self, event: Frame) -> None:
        self._fragments = 0
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        self._fragments = 0
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        self._fragments += 1
        if self._fragments > _MOST_FRAGMENTS:
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def keepalive_timeout(self) -> None:
        if self.writable.is_set() and not self.read_paused:
            super().keepalive_timeout()
            self._end_soon()
        else:  # it may be slow, which is looked at elsewhere, or its pong was not read yet
            self.pong_timer = None
            self.pending_ping_payload = None
            self.schedule_ping()

    def shutdown(self) -> None:
        super().shutdown()
        self._end_soon()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self._end_soon()

    def _watch(self, size: int) -> None:
        self._forget()
        self._stalled = self.loop.call_later(STALLED, self._look, size)

    def _look(self, before: int) -> None:
        size = self.transport.get_write_buffer_size()
        if size > before - _LEAST:
            self.transport.abort()
        else:
            self._watch(size)

    def _forget(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _end_soon(self) -> None:
        if self._last is None and not self._is_lost:
            self._last = self.loop.call_later(_GOODBYE, self.transport.abort)
