"""Servers in processes of their own, and a client that costs little."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import haystack_plant as generated

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_START = 60.0


class Side:
    """A server that listens at this machine.

    Args:
        name: What the tables call it.
        port: Where it listens.
        pid: Its process.
    """

    def __init__(self, name: str, port: int, pid: int) -> None:
        self.name, self.port, self._pid = name, port, pid
        self._http = self.connection()

    def connection(self) -> http.client.HTTPConnection:
        """A connection of its own."""
        made = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        made.connect()
        made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        """What a POST of Zinc answers, or a GET without a body."""
        return asked(self._http, path, body)

    def processor(self) -> float:
        """Seconds of the processor that it has taken so far."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> int:
        """Bytes that it has in memory now."""
        return int(Path(f"/proc/{self._pid}/statm").read_text().split()[1]) * _PAGE


def asked(connection: http.client.HTTPConnection, path: str, body: bytes | None = None) -> bytes:
    """What a server answers.

    Raises:
        RuntimeError: Another status than 200, or an error grid.
    """
    headers = {"Accept": "text/zinc"} | ({} if body is None else {"Content-Type": "text/zinc"})
    method = "GET" if body is None else "POST"
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200 or b" err " in data[:200]:
        raise RuntimeError(f"{method} {path} answered {answer.status}: {data[:300]!r}")
    return data


@contextmanager
def ours() -> Iterator[Side]:
    """`holdall serve` over memory, with one worker."""
    known = {n: v for n, v in os.environ.items() if not n.startswith("HOLDALL_")}
    command = [sys.executable, "-m", "holdall", "serve", "memory://", "--port", "0"]
    with _process(command, env=known) as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        if found is None:
            raise RuntimeError(f"holdall serve said {line!r}")
        yield Side("holdall", int(found[1]), process.pid)


@contextmanager
def rust(entities: int, points: int) -> Iterator[Side | None]:
    """rusty-haystack's server over the same entities; None where it is missing."""
    if generated.peer("rusty_haystack") is None:
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, __file__, str(port), str(entities), str(points)]
    with _process(command) as process:
        until = time.monotonic() + _START
        while True:
            try:
                side = Side("rusty-haystack", port, process.pid)
                break
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    raise
                time.sleep(0.1)
        yield side


@contextmanager
def _process(command: list[str], **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **settings
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _serve_rust(port: int, entities: int, points: int) -> None:
    rust: Any = generated.peer("rusty_haystack")
    known = [*generated.plant(entities), *generated.history_points(points)]
    graph = rust.SharedGraph()
    for one in generated.rust_entities(rust, known):
        graph.add(one)
    server = rust.server.HaystackServer(graph)
    server.host("127.0.0.1")
    server.port(port)
    server.run()


if __name__ == "__main__":
    _serve_rust(*map(int, sys.argv[1:4]))
