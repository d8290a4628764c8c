"""Connections that ask for nothing: how long they may stay, and how many there may be.

uvicorn waits for the head of a request as long as a client likes, and for as many clients as the
system has files. Here a head has to be whole within a time, and where too many connections wait,
the one that has waited longest goes: whoever asks at once is answered at once.

What a client does not take, uvicorn keeps for as long as the client likes, also of an answer that
is whole and of a connection that is closed. Here such a client is cut.

It is the parser in Python, on purpose: it takes no head beyond 64 KiB.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_SECONDS: Final = 30.0
"""Seconds that the head of a request may take, from the connection or the last answer on."""
MOST_WAITING: Final = 256
"""Connections of a server that have no request running."""
HANDSHAKE_SECONDS: Final = 10.0
"""Seconds that the handshake of TLS may take."""
STALLED: Final = 60.0
"""Seconds for which a client may take next to nothing of what is sent."""
_LEAST: Final = 16 * 1024  # bytes that it takes in that time, or all there is
_LATE: Final = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n\r\n408 Request Timeout: the head of the request did not come\n"
)


def is_stalled(before: int, now: int) -> bool:
    """Whether a client took next to nothing.

    Args:
        before: Bytes that waited for it.
        now: Bytes that still do, of which none came anew.
    """
    return now > max(0, before - _LEAST)


def bound_handshakes(loop: asyncio.AbstractEventLoop) -> None:
    """Let what listens in a loop over TLS from now on wait for a handshake no longer than it may.

    uvicorn has no setting for it, and asyncio waits for a minute.
    """
    create = partial(loop.create_server, ssl_handshake_timeout=HANDSHAKE_SECONDS)
    loop.create_server = create  # type: ignore[method-assign]


def protocol(
    seconds: float = HEAD_SECONDS, most: int = MOST_WAITING, stalled: float = STALLED
) -> type[H11Protocol]:
    """What `uvicorn.Config` takes as `http`, for one server.

    Args:
        seconds: How long the head of a request may take.
        most: How many connections may wait.
        stalled: How long a client may take next to nothing of what is sent.
    """
    waiting: dict[Bounded, asyncio.TimerHandle] = {}  # the longest first

    class Bounded(H11Protocol):
        _is_upgraded = False
        _untaken: asyncio.TimerHandle | None = None  # while something waits for the client

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._look()
            if len(waiting) > most:
                next(iter(waiting))._drop()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._look()

        def handle_websocket_upgrade(self, event: Any) -> None:
            if self.flow.write_paused:
                # The other protocol would not know, and write on and on.
                self.transport.abort()
                return
            # From here on the connection is another protocol's.
            self._forget()
            self._stop_watching()
            self._is_upgraded = True
            super().handle_websocket_upgrade(event)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._look()
            self._watch()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._watch()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            self._stop_watching()
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
            self._watch()

        def _watch(self) -> None:
            """See to it that what waits for the client is taken."""
            self._stop_watching()
            size = self.transport.get_write_buffer_size()
            if size:
                self._untaken = self.loop.call_later(stalled, self._taken, size)

        def _stop_watching(self) -> None:
            if self._untaken is not None:
                self._untaken.cancel()
                self._untaken = None

        def _taken(self, before: int) -> None:
            if is_stalled(before, self.transport.get_write_buffer_size()):
                self.transport.abort()
            else:
                self._watch()

    return Bounded
