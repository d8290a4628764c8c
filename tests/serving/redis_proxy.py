"""A proxy before a Redis, which counts commands and cuts connections at replies."""

import re
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader

from serving.process import HOST
from serving.proxy import PIECE_BYTES, Cut, Hold, Proxy, Wire

_OF_BYTES = b"$=!"
_OF_VALUES = b"*~>"
_OF_PAIRS = b"%|"
# It stands before a reply, or between replies, and answers no command.
_NO_ANSWER = b">|"


@dataclass(slots=True)
class _Fault:
    """What happens at the reply to a command of this name."""

    command: str
    nth: int
    size: int | None = None
    reset: bool = False
    hold: Hold = field(default_factory=Hold)
    holds: bool = False

    def meets(self, command: str) -> bool:
        if self.nth and re.fullmatch(self.command, command):
            self.nth -= 1
            return not self.nth
        return False


class RedisProxy(Proxy):
    """Relays the protocol of Redis, versions 2 and 3; it knows where a reply begins and ends.

    A fault happens once, at the n-th reply from now to a command whose name fits a pattern.

    Args:
        port: Where the server listens.
        host: On which machine.
    """

    def __init__(self, port: int, host: str = HOST) -> None:
        self._commands: list[str] = []
        self._faults: list[_Fault] = []
        super().__init__(port, host)

    @property
    def commands(self) -> list[str]:
        """The names, in capitals, of the commands that came, of all connections, in order."""
        with self._lock:
            return list(self._commands)

    def forget(self) -> None:
        """Forget commands and faults."""
        with self._lock:
            self._commands.clear()
            self._faults.clear()

    def cut_before(self, nth: int = 1, *, command: str = ".*", reset: bool = False) -> None:
        """Cut in place of a reply, which is lost; the server has done what it was asked."""
        self.cut_inside(0, nth, command=command, reset=reset)

    def cut_inside(
        self, after: int, nth: int = 1, *, command: str = ".*", reset: bool = False
    ) -> None:
        """Cut after this many bytes of a reply, its framing counted; at its end at last."""
        with self._lock:
            self._faults.append(_Fault(command, nth, after, reset))

    def cut_after(self, nth: int = 1, *, command: str = ".*", reset: bool = False) -> None:
        """Hand a reply back whole, and cut then."""
        with self._lock:
            self._faults.append(_Fault(command, nth, None, reset))

    def hold_reply(self, nth: int = 1, *, command: str = ".*") -> Hold:
        """Keep a reply, and those behind it on its connection, until it is released."""
        hold = self.hold()
        with self._lock:
            self._faults.append(_Fault(command, nth, hold=hold, holds=True))
        return hold

    def serve(self, client: Wire) -> None:
        server = self.connect()
        asked: deque[str] = deque()

        def ask() -> None:
            with suppress(OSError):
                self._ask(client, server, asked)
            server.end()

        asking = self.start(ask)
        try:
            while self._reply(client, server, asked):
                pass
        finally:
            client.end(socket.SHUT_RD)
            server.end()
            asking.join()
            self.drop(server)

    def _ask(self, client: Wire, server: Wire, asked: deque[str]) -> None:
        while True:
            command = _Value(client.reader)
            if not command.first:
                return
            parts = command.parts()
            opening = [command.first, *(next(parts, b"") for _ in range(2))]
            name = opening[2].rstrip(b"\r\n").decode("latin-1").upper()
            # Noted before it is sent, so that its reply cannot come first.
            asked.append(name)
            with self._lock:
                self._commands.append(name)
            server.send(b"".join(opening))
            for part in parts:
                server.send(part)

    def _reply(self, client: Wire, server: Wire, asked: deque[str]) -> bool:
        reply = _Value(server.reader)
        if not reply.first:
            return False
        fault = None
        if reply.first[:1] not in _NO_ANSWER:
            command = asked.popleft()
            with self._lock:
                fault = next((known for known in self._faults if known.meets(command)), None)
        if fault is not None and fault.holds:
            fault.hold.keep()
        left = None if fault is None else fault.size
        left = _send(client, reply.first, left)
        for part in reply.parts():
            left = _send(client, part, left)
        if fault is not None and not fault.holds:
            raise Cut(reset=fault.reset)
        return True


def _send(wire: Wire, data: bytes, left: int | None) -> int | None:
    """Send data as far as the limit goes; answer what is left of the limit."""
    if left is None:
        wire.send(data)
        return None
    if left:
        wire.send(data[:left])
    return max(0, left - len(data))


class _Value:
    """One value of the protocol on its way: its first line, and the parts behind it.

    Args:
        reader: What it comes from; at its end `first` is empty.
    """

    def __init__(self, reader: BufferedReader) -> None:
        self._reader = reader
        self.first = reader.readline()

    def parts(self) -> Iterator[bytes]:
        """Go through what follows the first line, whatever is nested in it.

        Raises:
            ConnectionResetError: It ends in the middle.
        """
        yield from self._bytes_behind(self.first)
        missing = _values_behind(self.first)
        while missing:
            line = self._reader.readline()
            if not line:
                raise ConnectionResetError
            yield line
            yield from self._bytes_behind(line)
            missing += _values_behind(line) - (line[:1] != b"|")

    def _bytes_behind(self, line: bytes) -> Iterator[bytes]:
        if line[:1] not in _OF_BYTES or line[1:2] == b"-":
            return
        left = int(line[1:]) + 2  # the line's end is behind them
        while left:
            piece = self._reader.read1(min(left, PIECE_BYTES))
            if not piece:
                raise ConnectionResetError
            left -= len(piece)
            yield piece


def _values_behind(line: bytes) -> int:
    """How many values the first line of one announces, itself not counted."""
    if line[:1] in _OF_VALUES:
        return max(0, int(line[1:]))
    return 2 * int(line[1:]) if line[:1] in _OF_PAIRS else 0
