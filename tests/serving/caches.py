"""Redis, plain and with the modules of Redis Stack."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving import commands
from serving.process import HOST, Running, running

_PASSWORD = "redis-secret"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A Redis that keeps all in memory and wants a password.

    Attributes:
        running: Its process.
        endpoint: Its URL without the password.
        password: What the default user must show.
    """

    running: Running
    endpoint: str
    password: str

    @property
    def url(self) -> str:
        """Its URL with the password, as redis-py takes it."""
        return f"redis://:{self.password}@{HOST}:{self.running.port}"

    def make_empty(self) -> str:
        """Remove all keys of all databases and scripts; return the URL with the password."""
        for reply in self.ask("FLUSHALL SYNC", "SCRIPT FLUSH SYNC"):
            assert reply == "+OK", reply
        return self.url

    def ask(self, *commands: str) -> list[str]:
        """Send commands as one would type them; return the first line of each reply.

        Each reply must be of one line, as `+OK` or `:1`.
        """
        return _ask(self.running.port, *commands)


@contextmanager
def redis(folder: Path, *, durable: bool = False, port: int | None = None) -> Iterator[RedisServer]:
    """Run a plain Redis.

    Args:
        folder: Where it runs.
        durable: Whether what it answered outlives its end: it comes back with it in this folder.
        port: Where it listens, as a former one did; a free port when None.
    """
    with _run("redis", commands.redis(), folder, durable, port) as server:
        yield server


@contextmanager
def redis_stack(
    folder: Path, *, durable: bool = False, port: int | None = None
) -> Iterator[RedisServer]:
    """Run a Redis that can search and keeps time series; see `redis`."""
    with _run("redis-stack", commands.redis_stack(), folder, durable, port) as server:
        yield server


@contextmanager
def _run(
    name: str, command: Sequence[str], folder: Path, durable: bool, port: int | None
) -> Iterator[RedisServer]:
    log = ("yes", "--appendfsync", "always") if durable else ("no",)
    with running(
        name,
        lambda port: [
            *command,
            *("--bind", HOST, "--port", str(port), "--requirepass", _PASSWORD),
            *("--save", "", "--appendonly", *log, "--dir", str(folder), "--daemonize", "no"),
        ],
        lambda port: _ask(port, "PING") == ["+PONG"],
        folder=folder,
        port=port,
    ) as process:
        yield RedisServer(process, f"redis://{HOST}:{process.port}", _PASSWORD)


def _ask(port: int, *commands: str) -> list[str]:
    lines: Sequence[str] = [f"AUTH {_PASSWORD}", *commands]
    with (
        socket.create_connection((HOST, port), timeout=10) as connection,
        connection.makefile("rw", newline="\r\n") as stream,
    ):
        stream.writelines(f"{line}\r\n" for line in lines)
        stream.flush()
        replies = [stream.readline().rstrip("\r\n") for _ in lines]
    return replies[1:]
