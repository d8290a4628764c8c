"""A PostgreSQL that is killed and comes again, while entities and histories are written."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from holdall.core.errors import Unavailable
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.filter import parse_filter
from holdall.haystack.postgres import TimescaleAdapter
from holdall.haystack.stores.entities import Put, Update
from holdall.haystack.stores.postgres import PostgresEntities, PostgresHaystackSettings
from serving import databases

if TYPE_CHECKING:
    from pathlib import Path

    from serving.databases import PostgresServer

# The servers of the tests answer before a commit is on its way to the disk, unless told otherwise.
DURABLE = "?options=-c%20synchronous_commit%3Don"
WRITERS = 3


def killed(server: PostgresServer) -> None:
    """Let a server fall as if it was killed, and all of its processes with it."""
    os.kill(server.running.pid, signal.SIGQUIT)
    while True:
        try:
            psycopg.connect(server.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            break


def written(store: PostgresEntities, name: str, enough: threading.Event) -> int:
    """Write pairs until it is enough; answer how many commits were acknowledged."""
    at = 0
    while not enough.is_set():
        both = [Put({"id": Ref(f"{name}-{at}-{half}"), "x": MARKER}) for half in "ab"]
        try:
            drive(store.commit(both))
        except Unavailable:  # any other error fails the test
            enough.wait(0.01)
        else:
            at += 1
    return at


def acknowledged(store: PostgresEntities) -> int:
    return drive(store.get([])).state.number


def lost(folder: Path, kills: int, pause: int) -> set[str]:
    """Kill the server again and again while three write; answer what is lost or half."""
    with databases.cluster(folder) as data:
        with databases.started(data, folder) as server:
            port = server.port
            settings = PostgresHaystackSettings(
                dsn=Secret(server.dsn() + DURABLE), connections=WRITERS + 1
            )
            store = PostgresEntities(settings, BlockingRuntime())
            enough = threading.Event()
            pool = ThreadPoolExecutor(WRITERS)
            counts = [pool.submit(written, store, f"w{at}", enough) for at in range(WRITERS)]
            goal = pause
            while acknowledged(store) < goal:
                pass
            killed(server)
        for _ in range(kills - 1):
            with databases.started(data, folder, port) as server:
                goal = acknowledged(store) + pause
                while acknowledged(store) < goal:
                    pass
                killed(server)
        with databases.started(data, folder, port):
            goal = acknowledged(store) + pause
            while acknowledged(store) < goal:
                pass
            enough.set()
            told = {
                f"w{at}-{number}-{half}"
                for at, count in enumerate(counts)
                for number in range(count.result())
                for half in "ab"
            }
            page = drive(store.find(parse_filter("x"), limit=1_000_000))
            there = {str(one.entity["id"])[1:] for one in page.entities}
            drive(store.close())
            pool.shutdown()
    halves = {one for one in there if one[:-1] + {"a": "b", "b": "a"}[one[-1]] not in there}
    return (told - there) | halves


def test_a_server_that_is_killed_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    assert lost(tmp_path, 1, 20) == set()


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_server_that_is_killed_often_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    assert lost(tmp_path, 20, 50) == set()


def test_an_adapter_goes_on_when_its_server_is_back(tmp_path: Path) -> None:
    async def work() -> None:
        with databases.cluster(tmp_path) as data:
            with databases.started(data, tmp_path) as server:
                port = server.port
                adapter = TimescaleAdapter(server.dsn() + DURABLE)
                point = {"id": Ref("p"), "point": MARKER, "his": MARKER, "tz": "UTC"}
                await adapter.create({**point, "kind": "Number"})
                await adapter.watch_sub("w", ["p"])
                await asyncio.to_thread(killed, server)
                with pytest.raises(Unavailable) as caught:
                    await adapter.read("point")
                assert caught.value.transient
                assert databases.PASSWORD not in str(caught.value)
            with databases.started(data, tmp_path, port):
                await adapter.update("p", {"n": Number(1)})
                (changed,) = await adapter.watch_poll("w")
                assert changed["n"] == Number(1)
                await adapter.close()

    asyncio.run(work())


def test_what_was_lost_with_a_server_is_answered_no_more(tmp_path: Path) -> None:
    with databases.cluster(tmp_path) as data:
        with databases.started(data, tmp_path) as server:
            port = server.port
            # Nothing comes to the disk for a while, unless it is asked for.
            server.ask("ALTER SYSTEM SET wal_writer_delay = '10s'")
            server.ask("SELECT pg_reload_conf()")
            settings = PostgresHaystackSettings(dsn=Secret(server.dsn()))
            store = PostgresEntities(settings, BlockingRuntime())
            drive(store.commit([Put({"id": Ref("a"), "n": Number(1)})]))
            server.ask("CHECKPOINT")
            drive(store.commit([Update("a", {"n": Number(2)})]))
            known = drive(store.find(parse_filter("n"), limit=1))
            killed(server)
        with databases.started(data, tmp_path, port):
            other = PostgresEntities(settings, BlockingRuntime())
            drive(other.commit([Update("a", {"m": Number(3)})]))
            found = drive(store.find(parse_filter("n"), limit=1))
            assert [one.version for one in found.entities] == [known.state.number]
            assert [one.entity for one in found.entities] == [
                {"id": Ref("a"), "n": Number(1), "m": Number(3)}
            ]
            assert found.state.epoch != known.state.epoch
            drive(store.close())
            drive(other.close())
