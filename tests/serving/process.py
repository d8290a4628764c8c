"""Starting a server on a free port, waiting until it answers, and stopping it."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from serving import tethered
from serving.requiring import require_server

HOST = "127.0.0.1"
_SECONDS_TO_START = 75  # of the 120 that a test has: a busy machine may need half of them
_SECONDS_TO_STOP = 5
# Another process may take the free port before the server does.
_ATTEMPTS = 3
_LISTEN = "0A"
# Below those that Linux and macOS give to connections and to whoever binds port 0: between two
# servers on one port, or where a test wants nobody to listen, the system gives it to no one else.
_PORTS = range(20_000, 32_768)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that has answered.

    Attributes:
        pid: The process id, of this one process.
        port: Where it listens, on 127.0.0.1.
        log: What it wrote.
    """

    pid: int
    port: int
    log: Path


@contextmanager
def running(
    name: str,
    command: Callable[[int], Sequence[str | Path]],
    answers: Callable[[int], bool],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[Running]:
    """Run a server until the block ends.

    Args:
        name: What the log file and a complaint call it.
        command: The command for a port; its first word is the path of the program.
        answers: Whether the server on the port answers as it should. It may raise `OSError`.
        folder: Where the server runs and its log is.
        environment: Variables beside those that every program needs.
        port: Where it listens, as a former one did; a free port when None.

    A server that does not answer within 75 s is a missing one, so the test is skipped or fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    end = time.monotonic() + _SECONDS_TO_START
    for _ in range(_ATTEMPTS):
        chosen = free_port() if port is None else port
        with log.open("ab") as output:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    tethered.__file__,
                    str(os.getpid()),
                    *map(str, command(chosen)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=_environment(folder) | dict(environment or {}),
            )
        try:
            if _wait_until(answers, chosen, process, end):
                yield Running(process.pid, chosen, log)
                return
        finally:
            _stop(process)
    last = log.read_text(errors="replace")[-600:].strip()
    require_server(name, f"it does not start; its log ends: {last}")


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens, and that the system gives to nobody."""
    # A generator that tests may seed would give two of them the same ports.
    chance = random.SystemRandom()
    for _ in _PORTS:
        port = chance.choice(_PORTS)
        with suppress(OSError), socket.create_server((HOST, port)):
            return port
    raise OSError(f"no free port of {HOST} was found from {_PORTS.start} to {_PORTS.stop - 1}")


def _environment(folder: Path) -> dict[str, str]:
    # The credentials and proxies of whoever runs the tests are no business of a server.
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ
    }
    return kept | {"HOME": str(folder), "TMPDIR": str(folder)}


def _wait_until(
    answers: Callable[[int], bool], port: int, process: "subprocess.Popen[bytes]", end: float
) -> bool:
    while time.monotonic() < end and process.poll() is None:
        try:
            # Who took the port before it may be a test that counts what it is asked.
            if _is_its_own(process, port) and answers(port):
                return True
        except OSError:
            pass
        time.sleep(0.02)
    return False


def _is_its_own(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Whether this process listens there, and not another that took the port before it."""
    if sys.platform != "linux":
        return process.poll() is None
    return (HOST, port) in listening(process.pid)


def listening(pid: int) -> set[tuple[str, int]]:
    """The addresses on which a process listens, as Linux tells; none when it has ended."""
    found = set()
    try:
        sockets = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == _LISTEN and f"socket:[{inode}]" in sockets:
                    found.add(_address(local))
    except FileNotFoundError:
        return set()
    return found


def _address(text: str) -> tuple[str, int]:
    # As in `0100007F:1F90`: words of 32 bits in the order of this machine, and the port.
    host, port = text.split(":")
    words = (int(host[at : at + 8], 16) for at in range(0, len(host), 8))
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, packed), int(port, 16)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
