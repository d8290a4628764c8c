"""One server process, or several that share a socket and one that looks after them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from ctypes import c_bool
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec import Struct

import holdall

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from multiprocessing.context import SpawnProcess

    from holdall.haystack.adapter.face import HaystackAdapter
    from holdall.server.accounts.users import Users

SHUTDOWN: Final = 30
"""Seconds that requests have to end, from when nothing new is taken on."""
_MARGIN: Final = 15.0
_LONGEST_PAUSE: Final = 30.0
_STEADY: Final = 60.0  # seconds after which a worker's end is none of its beginning


class Shared:
    """What the workers of a server tell one another, and the process that looks after them.

    It is in memory, because files in a folder for temporary ones are swept away with time.

    Args:
        had_accounts: Whether there were accounts when the server began.

    Attributes:
        began: Whether a worker has begun to serve.
        had_accounts: Whether any of them ever knew of accounts.
    """

    def __init__(self, *, had_accounts: bool) -> None:
        from multiprocessing import get_context

        made = get_context("spawn").RawValue
        self.began, self.had_accounts = made(c_bool, False), made(c_bool, had_accounts)


class Serving(Struct, frozen=True, kw_only=True):
    """What is served, and how; handed to workers through a pipe, where nobody else sees it.

    Attributes:
        url: The address of the entities.
        objects: That of the objects; None where none are served.
        records: That of the records; None where none are served.
        users: The file of the accounts; None where they are in the store.
        name: What the server calls itself.
        debug: Whether clients are told where it failed.
        tls: Settings of uvicorn for TLS.
        proxy: Who may say for whom it asks.
        drain: Seconds to go on after the server was told to end, while it says that it is not
            ready.
        had_accounts: Whether there were accounts when it began.
    """

    url: str
    objects: str | Path | None = None
    records: str | Path | None = None
    users: Path | None = None
    name: str = "Holdall"
    debug: bool = False
    tls: dict[str, Any] = {}
    proxy: str | None = None
    drain: float = 0.0
    had_accounts: bool = False


def users_of(adapter: HaystackAdapter, file: Path | None) -> Users:
    """The accounts of a store, or those in a file."""
    from holdall.server.accounts.places import NotePlace
    from holdall.server.accounts.users import Users

    if file is not None:
        return Users.in_file(file.expanduser())
    return Users(NotePlace(adapter.stores[0]))


def run_one(
    serving: Serving,
    sock: socket.socket,
    *,
    adapter: HaystackAdapter | None = None,
    worker: int = 0,
    folder: str = "",
    shared: Shared | None = None,
) -> None:
    """Serve until the process is told to end by SIGINT or SIGTERM.

    Args:
        serving: What and how.
        sock: Where to listen.
        adapter: The entities, where they are open already.
        worker: Which of several workers this is; 0 where there is one.
        folder: Where the workers tell one another what they counted.
        shared: What else they tell; None where there is one.
    """
    import asyncio
    import gc

    import uvicorn

    from holdall.server import ServerConfig, create_fastapi_app
    from holdall.server.connections import bound_handshakes, protocol
    from holdall.server.live.wire import BoundedWebSocket
    from holdall.server.observing.exposition import Siblings

    log(worker)
    _take_files()
    if adapter is None:
        adapter = holdall.open_adapter(serving.url)
    app = create_fastapi_app(
        adapter,
        data_store=None if serving.objects is None else holdall.open_async(serving.objects),
        database=None if serving.records is None else holdall.open_database_async(serving.records),
        users=users_of(adapter, serving.users),
        config=ServerConfig(name=serving.name, debug=serving.debug),
    )
    if worker:
        app.state.siblings = Siblings(folder, worker)
    told = shared or Shared(had_accounts=serving.had_accounts)
    app.state.door.had_accounts = told.had_accounts
    config = uvicorn.Config(
        app,
        lifespan="on",
        http=protocol(),
        ws=BoundedWebSocket,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=serving.proxy is not None,
        forwarded_allow_ips=serving.proxy,
        timeout_graceful_shutdown=SHUTDOWN,
        **serving.tls,
    )

    class Ending(uvicorn.Server):
        """A server that says that it ends, for a while before it does."""

        signals: ClassVar[set[int]] = set()
        until = 0.0

        def handle_exit(self, sig: int, frame: Any) -> None:
            if not self.signals:
                app.state.ending, self.until = True, time.monotonic() + serving.drain
            elif sig in self.signals or not worker:  # by whoever does not want to wait
                self.until, self.force_exit = 0.0, True
            self.signals.add(sig)
            super().handle_exit(sig, frame)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            if config.is_ssl:
                bound_handshakes(asyncio.get_running_loop())
            await super().startup(sockets)
            told.began.value = True

        async def on_tick(self, counter: int) -> bool:
            ends = await super().on_tick(counter)
            return ends and (self.force_exit or time.monotonic() >= self.until)

    # A large grid is hundreds of thousands of objects, none of them in a cycle: going through them
    # again and again would take a third of the time.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    # It finishes what it began before it hands the signal on, which is how serving ends.
    with contextlib.suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        Ending(config).run([sock])


def _take_files() -> None:
    """Let this process have as many files as it may, of which each connection is one."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems name a limit that they refuse
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def log(worker: int = 0) -> None:
    """Write what the server and uvicorn log to standard error, as lines of JSON."""
    import logging

    from holdall.server.logs import JsonLines

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(worker))
    for logger, level in (("holdall.server", logging.INFO), ("uvicorn", logging.WARNING)):
        logging.getLogger(logger).addHandler(handler)
        logging.getLogger(logger).setLevel(level)


def run_many(serving: Serving, sock: socket.socket, number: int) -> int:
    """Serve with several workers until told to end by SIGINT or SIGTERM; one that dies is replaced.

    Args:
        serving: What and how.
        sock: Where they listen, all of them; closed at the end.
        number: How many workers.

    Returns:
        The exit code: 0 where all of them finished what they had begun, 1 where none could begin.
    """
    import tempfile

    log()
    with tempfile.TemporaryDirectory(prefix="holdall-") as folder, _told() as told:
        workers = _Workers(serving, sock, folder, number)
        can_begin = workers.watch(told)
        # Who connects from now on is refused, and waits for nobody.
        sock.close()
        return max(workers.end(told), 0 if can_begin else 1)


class _Workers:
    """Processes, each with a number from 1."""

    def __init__(self, serving: Serving, sock: socket.socket, folder: str, number: int) -> None:
        self._serving = serving
        self._sock = sock
        self._folder = folder
        self._shared = Shared(had_accounts=serving.had_accounts)
        self._running: dict[int, SpawnProcess] = {}
        self._due = dict.fromkeys(range(1, number + 1), 0.0)
        self._began = dict.fromkeys(self._due, 0.0)
        self._pauses = dict.fromkeys(self._due, 0.0)

    def watch(self, told: socket.socket) -> bool:
        """Begin those that are due, until there is something to read from a socket.

        Returns:
            False where a worker ended before any had begun: another one would do the same.
        """
        from multiprocessing.connection import wait

        while True:
            now = time.monotonic()
            for number in [one for one, at in self._due.items() if at <= now]:
                self._begin(number)
            pause = min(self._due.values()) - now if self._due else None
            sentinels = [one.sentinel for one in self._running.values()]
            if told in wait([told, *sentinels], pause):
                told.recv(1)
                return True
            for number, process in list(self._running.items()):
                if process.exitcode is not None:
                    if not self._shared.began.value:
                        return False
                    self._ended(number, process.exitcode)

    def end(self, told: socket.socket) -> int:
        """Tell all of them to end, and wait until they have; answers the exit code."""
        from multiprocessing.connection import wait

        for process in self._running.values():
            process.terminate()
        last = time.monotonic() + self._serving.drain + SHUTDOWN + _MARGIN
        left = list(self._running.values())
        while left and (pause := last - time.monotonic()) > 0:
            ready = wait([told, *(one.sentinel for one in left)], pause)
            if told in ready:
                told.recv(1)
                for process in left:  # told twice: a worker that is interrupted waits no more
                    with contextlib.suppress(ProcessLookupError):  # it ended at this moment
                        os.kill(process.ident or 0, signal.SIGINT)
            left = [one for one in left if one.exitcode is None]
        for process in left:
            process.kill()
            process.join()
        fine = {0, -signal.SIGTERM}  # the latter had not begun to serve
        return int(any(one.exitcode not in fine for one in self._running.values()))

    def _begin(self, number: int) -> None:
        from multiprocessing import get_context

        del self._due[number]
        self._began[number] = time.monotonic()
        process = get_context("spawn").Process(
            target=_work,
            args=(self._serving, self._sock, number, self._folder, self._shared),
            name=f"worker {number}",
        )
        # Ctrl-C goes to all processes of a terminal; a worker that is only beginning leaves it to
        # this one, which tells it.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, handler)
        self._running[number] = process

    def _ended(self, number: int, code: int) -> None:
        from holdall.server.logs import LOG

        del self._running[number]
        now = time.monotonic()
        if now - self._began[number] > _STEADY:
            self._pauses[number] = 0.0
        pause = self._pauses[number]
        self._pauses[number] = min(_LONGEST_PAUSE, pause * 2 or 1.0)
        self._due[number] = now + pause
        LOG.error(
            "worker %d ended with the exit code %d; another one begins in %g s",
            number, code, pause,
        )  # fmt: skip


def _work(serving: Serving, sock: socket.socket, worker: int, folder: str, shared: Shared) -> None:
    import threading
    from multiprocessing import parent_process

    parent = parent_process()
    assert parent is not None

    def orphaned() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=orphaned, daemon=True).start()
    run_one(serving, sock, worker=worker, folder=folder, shared=shared)


@contextlib.contextmanager
def _told() -> Iterator[socket.socket]:
    """A socket from which a byte can be read for each SIGINT or SIGTERM that came."""
    import socket

    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def tell(_: int, __: Any) -> None:
        with contextlib.suppress(BlockingIOError):
            writer.send(b"x")

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {one: signal.signal(one, tell) for one in signals}
    try:
        yield reader
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        reader.close()
        writer.close()
