"""Several workers, and several servers, over one store."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

import holdall
from holdall.cli.app import app, load
from holdall.haystack import Grid, Ref
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.server import Users
from holdall.server.accounts.places import FilePlace, NotePlace, Place
from server.asking import ITERATIONS, Asking, Login, grid_of
from server.conftest import Serve
from server.processes import Served, served, until

PASSWORD = "correct horse"
WORKERS = 2
Pair = tuple[Asking, Asking, Users]


# Two servers, which know nothing of each other but the store.


def paired(serve: Serve, url: str, file: Path | None = None) -> Pair:
    """Two servers over one store, and its accounts as a command sees them."""

    def opened() -> tuple[HaystackAdapter, Users]:
        adapter = holdall.open_adapter(url)
        place: Place = NotePlace(adapter.stores[0])
        if file is not None:
            place = FilePlace(file)
        return adapter, Users(place, iterations=ITERATIONS)

    _, users = opened()
    changed(users, lambda known: known.add("alice", PASSWORD, "admin"))
    one, other = (serve(adapter, users=known) for adapter, known in (opened(), opened()))
    return one, other, users


@pytest.fixture(params=["store", "file"])
def pair(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path) -> Pair:
    """Two servers over a file of SQLite, with the accounts in it or in a file."""
    file = tmp_path / "accounts.json" if request.param == "file" else None
    return paired(serve, f"sqlite:///{tmp_path}/plant.db", file)


def status(ask: Asking, authorization: str) -> int:
    return ask.get("about", authorization=authorization).status_code


def changed(users: Users, change: Callable[[Users], Any]) -> None:
    """Change accounts as another process does."""
    store = getattr(users._place, "_store", None)

    async def changing() -> None:
        if store is not None:
            await store.connect()
        await change(users)
        if store is not None:
            await store.close()

    asyncio.run(changing())


def test_a_token_of_one_server_is_good_in_the_other(pair: Pair) -> None:
    one, other, _ = pair
    assert status(other, Login(one.client, "alice", PASSWORD).bearer()) == 200


def test_a_handshake_may_go_through_both(pair: Pair) -> None:
    one, other, _ = pair
    steps = Login(one.client, "alice", PASSWORD)
    steps.hello()
    steps.client = other.client
    steps.first()
    steps.client = one.client
    assert steps.final().status_code == 200


def test_close_in_one_ends_the_session_in_the_other_at_once(pair: Pair) -> None:
    one, other, _ = pair
    token = Login(one.client, "alice", PASSWORD).bearer()
    assert status(other, token) == 200
    assert one.post("close", "", authorization=token).status_code == 200
    assert status(other, token) == 401


@pytest.mark.parametrize("backend", ["redis", "postgres"])
def test_a_session_over_a_database_server_is_shared_and_ends_at_once(
    backend: str, serve: Serve, request: pytest.FixtureRequest
) -> None:
    if backend == "redis":
        url = request.getfixturevalue("redis_server").make_empty()
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.dsn(server.make_database())
    one, other, users = paired(serve, url)
    closed, kept = (Login(one.client, "alice", PASSWORD).bearer() for _ in range(2))
    assert [status(other, closed), status(other, kept)] == [200, 200]
    one.post("close", "", authorization=closed)
    assert [status(other, closed), status(other, kept)] == [401, 200]
    changed(users, lambda known: known.remove("alice"))
    assert {status(one, kept), status(other, kept)} <= {401, 403}


@pytest.mark.parametrize("how", ["password", "removal"])
def test_another_password_or_none_ends_the_session_in_both_at_once(pair: Pair, how: str) -> None:
    one, other, users = pair
    token = Login(one.client, "alice", PASSWORD).bearer()
    assert [status(one, token), status(other, token)] == [200, 200]
    changed(
        users,
        lambda known: (
            known.remove("alice")
            if how == "removal"
            else known.change_password("alice", "battery staple")
        ),
    )
    assert {status(one, token), status(other, token)} <= {401, 403}


def test_a_watch_of_one_is_told_what_the_other_changes(pair: Pair) -> None:
    one, other, _ = pair
    token = Login(one.client, "alice", PASSWORD).bearer()

    def load(ask: Asking, dis: str) -> None:
        grid = Grid([{"id": Ref("s1"), "dis": dis}])
        assert ask.post("load", grid, authorization=token).status_code == 200

    load(one, "before")
    opened = one.post("watchSub", Grid([{"id": Ref("s1")}]), authorization=token)
    poll = Grid(meta={"watchId": grid_of(opened).meta["watchId"]}, cols=["empty"])
    load(other, "after")
    for ask in (one, other):
        found = grid_of(ask.post("watchPoll", poll, authorization=token))
        assert [row["dis"] for row in found] == (["after"] if ask is one else [])


def test_a_handshake_that_was_overheard_opens_no_session_in_the_other(pair: Pair) -> None:
    one, other, _ = pair
    steps = Login(one.client, "alice", PASSWORD)
    steps.hello()
    steps.first()
    header = steps.final_header()
    assert status(one, header) == 200
    assert status(other, header) == 403


def test_the_key_of_a_machine_that_was_removed_is_out_at_once(pair: Pair) -> None:
    one, other, users = pair
    keys: list[str] = []

    async def adding(known: Users) -> None:
        keys.append(await known.add_machine("gateway"))

    changed(users, adding)
    until(lambda: status(one, f"Bearer {keys[0]}") == status(other, f"Bearer {keys[0]}") == 200)
    changed(users, lambda known: known.remove("gateway"))
    assert [status(one, f"Bearer {keys[0]}"), status(other, f"Bearer {keys[0]}")] == [401, 401]


# `holdall serve --workers`.


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of two workers, with an admin."""
    admin = {"HOLDALL_ADMIN": "root", "HOLDALL_ADMIN_PASSWORD": PASSWORD}
    words = ("sqlite:///plant.db", "--workers", str(WORKERS))
    with served(tmp_path_factory.mktemp("workers"), *words, **admin) as server:
        yield server


@pytest.fixture(scope="module")
def token(running: Served) -> str:
    """A session's header."""
    with running.client() as client:
        return Login(client, "root", PASSWORD).bearer()


@pytest.fixture
def asking(running: Served, token: str) -> Iterator[httpx.Client]:
    """What asks any of the workers."""
    with running.client(Authorization=token) as client:
        yield client


def children(server: Served) -> list[int]:
    """The workers' processes."""
    pid = server.process.pid
    found = []
    for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):  # one that died was there a moment ago
            if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes():
                found.append(int(one))
    return found


def seen(client: httpx.Client) -> set[str]:
    """The workers that the figures tell of."""
    assert client.get("/api/about").status_code == 200
    lines = client.get("/metrics").text.splitlines()
    return {line.partition('worker="')[2][:1] for line in lines if "requests_running{" in line}


def test_every_worker_takes_the_token_of_one(running: Served, asking: httpx.Client) -> None:
    def answered() -> bool:
        assert asking.get("/api/about").status_code == 200
        return {line["worker"] for line in running.log() if line.get("status") == 200} == {1, 2}

    until(answered)


def test_the_figures_are_those_of_all_workers(asking: httpx.Client) -> None:
    until(lambda: seen(asking) == {"1", "2"})


def test_a_worker_that_dies_is_replaced(running: Served, asking: httpx.Client) -> None:
    until(lambda: seen(asking) == {"1", "2"})
    before = children(running)
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(set(children(running)) - set(before)) == 1)
    until(lambda: seen(asking) == {"1", "2"})
    assert "ended with the exit code -9" in running.log_text()


def test_a_worker_is_replaced_after_old_files_were_swept_away(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    words = ("sqlite:///plant.db", "--workers", str(WORKERS))
    with served(tmp_path, *words, TMPDIR=str(temporary)) as server, server.client() as client:
        until(lambda: seen(client) == {"1", "2"})
        for file in temporary.glob("holdall-*/*"):
            if not file.is_socket():  # which are in use, and are left
                file.unlink()
        before = children(server)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(set(children(server)) - set(before)) == 1)
        until(lambda: seen(client) == {"1", "2"})


@pytest.mark.parametrize("late", [False, True])
def test_accounts_that_are_gone_open_no_worker_that_replaces_another(
    late: bool, tmp_path: Path
) -> None:
    file = tmp_path / "accounts.json"
    with_one = Users(FilePlace(file), iterations=ITERATIONS)
    words = ("sqlite:///plant.db", "--workers", str(WORKERS), "--users", str(file))
    if not late:
        changed(with_one, lambda known: known.add("alice", PASSWORD, "admin"))
    with served(tmp_path, *words) as server, server.client() as client:
        if late:
            until(lambda: client.get("/api/about").status_code == 200)
            changed(with_one, lambda known: known.add("alice", PASSWORD, "admin"))
            until(lambda: client.get("/api/about").status_code == 401)
        assert client.get("/health/live").status_code == 200  # so that one has begun
        until(lambda: len(children(server)) == WORKERS)
        before = set(children(server))
        file.unlink()
        os.kill(min(before), signal.SIGKILL)
        os.kill(max(before), signal.SIGKILL)
        until(lambda: len(set(children(server)) - before) == WORKERS)
        assert client.get("/api/about").status_code == 403


def test_no_secret_is_in_the_words_of_a_process(tmp_path: Path) -> None:
    (tmp_path / "accounts.json").touch()
    words = ("sqlite:///plant.db", "--workers", "2", "--records", "sqlite:///records.db")
    with served(tmp_path, *words, HOLDALL_ADMIN="root", HOLDALL_ADMIN_PASSWORD=PASSWORD) as server:
        until(lambda: len(children(server)) == WORKERS)
        for child in children(server):
            assert b"records.db" not in Path(f"/proc/{child}/cmdline").read_bytes()
            assert PASSWORD not in server.log_text()
        with server.client() as client:
            assert client.get("/health/ready").json() == {"status": "ok"}
        workers = children(server)
        server.process.kill()
        # Nobody looks after them any more, and they end.
        until(lambda: not any(Path(f"/proc/{one}/cmdline").exists() for one in workers))


def test_an_interrupt_ends_all_of_them(tmp_path: Path) -> None:
    with served(tmp_path, "sqlite:///plant.db", "--workers", "2") as server:
        with server.client() as client:
            assert client.get("/api/about").status_code == 200
        workers = children(server)
        assert server.end(signal.SIGINT) == 0
        assert not any(Path(f"/proc/{one}").exists() for one in workers)


def test_workers_of_which_none_can_begin_are_not_begun_for_ever() -> None:
    program = """
import socket, sys
from holdall.cli.serving_workers import Serving, run_many
with socket.create_server(("127.0.0.1", 0)) as sock:
    sys.exit(run_many(Serving(url="nosuch://x"), sock, 2))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, timeout=100
    )
    assert done.returncode == 1
    assert b"nosuch" in done.stderr


@pytest.mark.parametrize("address", ["nosuch://x", ""])
@pytest.mark.parametrize("option", ["--objects", "--records"])
def test_an_address_that_is_none_is_told_before_anything_is_served(
    option: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    load()
    words = ["serve", "sqlite:///plant.db", option, address, "--workers", "2"]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code > 0, done.stdout) == (True, "")
    assert (address.partition(":")[0] or "empty") in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("memory://",),
        ("sqlite:///plant.db", "--objects", "memory://files"),
        ("sqlite:///plant.db", "--records", "mem://"),
        ("sqlite:///plant.db", "--objects", "memory.toml"),
        ("sqlite:///plant.db", "--objects", "routed.toml"),
        ("sqlite:///plant.db", "--records", "memory.toml"),
        ("sqlite:///plant.db", "--records", "in-objects.toml"),
    ],
)
def test_what_is_in_memory_is_refused_for_several_workers(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("memory.toml").write_text('type = "memory"\n')
    Path("routed.toml").write_text(
        'type = "router"\nlayers = ["retry"]\n[primary]\ntype = "memory"\n'
    )
    Path("in-objects.toml").write_text('type = "objects"\n[store]\ntype = "memory"\n')
    load()
    done = CliRunner().invoke(app, ["serve", *words, "--workers", "2"])
    assert done.exit_code == 2
    assert words[-1] in done.stderr
    assert "--workers 1" in done.stderr
