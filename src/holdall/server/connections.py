"""Connections that ask for nothing: how long they may stay, and how many there may be.

uvicorn waits for the head of a request as long as a client likes, and for as many clients as the
system has files. Here a head has to be whole within a time, and where too many connections wait,
the one that has waited longest goes: whoever asks at once is answered at once.

It is the parser in Python, on purpose: it takes no head beyond 64 KiB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_SECONDS: Final = 30.0
"""Seconds that the head of a request may take, from the connection or the last answer on."""
MOST_WAITING: Final = 256
"""Connections of a server that have no request running."""
_LATE: Final = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n\r\n408 Request Timeout: the head of the request did not come\n"
)


def protocol(seconds: float = HEAD_SECONDS, most: int = MOST_WAITING) -> type[H11Protocol]:
    """What `uvicorn.Config` takes as `http`, for one server.

    Args:
        seconds: How long the head of a request may take.
        most: How many connections may wait.
    """
    waiting: dict[Bounded, asyncio.TimerHandle] = {}  # the longest first

    class Bounded(H11Protocol):
        _is_upgraded = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._look()
            if len(waiting) > most:
                next(iter(waiting))._drop()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._look()

        def handle_websocket_upgrade(self, event: Any) -> None:
            # From here on the connection is another protocol's.
            self._forget()
            self._is_upgraded = True
            super().handle_websocket_upgrade(event)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def _look(self) -> None:
            """Begin to wait where no request runs, and end it where one does."""
            cycle: Any = self.cycle  # None before the first request
            runs = cycle is not None and not cycle.response_complete
            if runs or self._is_upgraded or self.transport.is_closing():
                self._forget()
            elif self not in waiting:
                waiting[self] = self.loop.call_later(seconds, self._late)

        def _forget(self) -> None:
            timer = waiting.pop(self, None)
            if timer is not None:
                timer.cancel()

        def _late(self) -> None:
            cycle: Any = self.cycle
            if cycle is None:
                self.transport.write(_LATE)
            self._drop()

        def _drop(self) -> None:
            self._forget()
            self.transport.close()

    return Bounded
