"""A store of objects behind a server of its own thread."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import httpx

import holdall
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import ServerConfig, Users, create_fastapi_app
from holdall.server.logs import LOG
from server.listening import listening


@contextmanager
def objects_served(
    place: Any = "memory://", *, users: Users | None = None, **settings: Any
) -> Iterator[httpx.Client]:
    """Serve a store; gives what asks it from this machine.

    Args:
        place: What `holdall.open_async` takes, or what it answered.
        users: The accounts; none unless given.
        settings: Of the server.
    """
    store = place if isinstance(place, holdall.AsyncDataStore) else holdall.open_async(place)
    app = create_fastapi_app(
        InMemoryAdapter(), data_store=store, users=users, config=ServerConfig(**settings)
    )
    with listening(app) as url, httpx.Client(base_url=f"{url}/objects/", timeout=60) as client:
        yield client


def machine(role: str) -> tuple[Users, str]:
    """Accounts with one machine, and its key."""
    users = Users()
    return users, asyncio.run(users.add_machine("gateway", role))


class _Told(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: Queue[Any] = Queue()
        self.since = time.time()

    def emit(self, record: logging.LogRecord) -> None:
        if record.created - getattr(record, "ms", 0) / 1000 >= self.since:
            self.records.put(record)


@contextmanager
def requests_told() -> Iterator[Callable[[], Any]]:
    """Gives what answers the next record of the server's log, which comes after the response.

    What was asked before is left out: a server that another test used may still be writing of it.
    """
    handler, level = _Told(), LOG.level
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield lambda: handler.records.get(timeout=30)
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(level)


def kept_below(folder: Path) -> list[Path]:
    """The files of uploads and writes that a file store has under way."""
    return [path for path in folder.glob(".holdall/*/*") if path.parent.name in {"tmp", "uploads"}]
