"""What every proxy before a server does: listen, relay in threads, and stop cleanly."""

import os
import select
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

from serving.process import HOST

PIECE_BYTES = 128 * 1024
_LINGER_NOT = struct.pack("ii", 1, 0)


class Wire:
    """One connection, with what has come in and was not taken yet."""

    def __init__(self, connection: socket.socket) -> None:
        with suppress(OSError):  # it may have gone already
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self.reader = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def has_news(self) -> bool:
        """Whether an idle connection has something to read, which is mostly its end."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def end(self, how: int = socket.SHUT_RDWR) -> None:
        """End it, so that every thread that waits for it goes on."""
        with suppress(OSError):
            self.connection.shutdown(how)

    def close(self, *, reset: bool = False) -> None:
        """Let go of it.

        Args:
            reset: Whether the other side gets an RST, as from a machine that crashed, and not
                the end of a stream.
        """
        if reset:
            with suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        else:
            self.end()
        with suppress(OSError):
            self.reader.close()
        self.connection.close()


class Cut(Exception):
    """The connection is to be cut now."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


@dataclass(frozen=True, slots=True)
class Hold:
    """A reply that waits in the proxy.

    Attributes:
        reached: Set when the server has replied, so that it has done what it was asked.
        released: Set when the reply may go on.
    """

    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        self.released.set()

    def keep(self) -> None:
        """Wait, as the proxy does."""
        self.reached.set()
        self.released.wait()


class Proxy(ABC):
    """Stands before a server, on a free port of 127.0.0.1, and hands on what comes.

    Use it with `with`; at the end of the block all of its connections and threads have ended.

    Args:
        port: Where the server listens.
        host: On which machine.

    Attributes:
        port: Where clients reach it.
    """

    def __init__(self, port: int, host: str = HOST) -> None:
        self._server = (host, port)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._wires: set[Wire] = set()
        self._threads: list[threading.Thread] = []
        self._holds: list[Hold] = []
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]
        self._accept()

    @abstractmethod
    def serve(self, client: Wire) -> None:
        """Relay one connection until it ends.

        Raises:
            OSError: One side has gone; the other is then ended too.
            Cut: The same, on purpose.
        """

    def connect(self) -> Wire:
        """Open a connection to the server."""
        return self._keep(Wire(socket.create_connection(self._server)))

    def drop(self, wire: Wire, *, reset: bool = False) -> None:
        """Close one of its connections."""
        with self._lock:
            self._wires.discard(wire)
        wire.close(reset=reset)

    def start(self, work: Callable[[], None]) -> threading.Thread:
        """Begin a thread that `close` waits for."""
        thread = threading.Thread(target=work, name=f"proxy {self.port}", daemon=True)
        with self._lock:
            self._threads = [known for known in self._threads if known.is_alive()]
            self._threads.append(thread)
            thread.start()
        return thread

    def hold(self) -> Hold:
        """Make a hold that `close` releases."""
        self._holds.append(Hold())
        return self._holds[-1]

    def pause(self, seconds: float) -> None:
        """Be slow, but not when it closes."""
        if self._closed.wait(seconds):
            raise Cut

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse new connections and end those there are, until the block ends."""
        self._deafen()
        # Bound and not listening: the kernel refuses, and nobody else gets the port.
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, self.port))
        self._listening = bound
        self.cut()
        try:
            yield
        finally:
            bound.listen()
            self._accept()

    def cut(self) -> None:
        """End all connections that there are now."""
        with self._lock:
            wires = tuple(self._wires)
        for wire in wires:
            wire.end()

    def close(self) -> None:
        """Stop listening, end all connections, and wait for all threads; may be called again."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._deafen()
        for hold in self._holds:
            hold.release()
        self.cut()
        while True:
            with self._lock:
                threads = [thread for thread in self._threads if thread.is_alive()]
            if not threads:
                return
            for thread in threads:
                thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        woken, self._wake = os.pipe()
        listening = self._listening

        def accept() -> None:
            both: list[socket.socket | int] = [listening, woken]
            while woken not in select.select(both, [], [])[0]:
                with suppress(ConnectionError):
                    self._greet(Wire(listening.accept()[0]))
            os.close(woken)

        self._acceptor = self.start(accept)

    def _deafen(self) -> None:
        os.close(self._wake)  # its other end can be read then
        self._acceptor.join()
        self._listening.close()

    def _greet(self, client: Wire) -> None:
        self._keep(client)

        def serve() -> None:
            reset = False
            try:
                self.serve(client)
            except Cut as cut:
                reset = cut.reset
            except OSError:
                return  # one of both has gone
            finally:
                self.drop(client, reset=reset)

        self.start(serve)

    def _keep(self, wire: Wire) -> Wire:
        with self._lock:
            self._wires.add(wire)
        if self._closed.is_set():
            wire.end()  # it came after `close` had ended all others
        return wire
