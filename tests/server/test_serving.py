"""The commands `holdall serve` and `holdall user`."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from typer.testing import CliRunner

from holdall.cli.app import app, load
from holdall.cli.serving import Choice, _ready, chosen
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import Users
from server.asking import ITERATIONS, Login

PASSWORD = "correct horse"
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, which is also home, and nothing in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("TIMESCALE_DSN", "REDIS_URL", "HOLDALL_DATA", "XDG_DATA_HOME", "HOLDALL_ADMIN"):
        monkeypatch.delenv(name, raising=False)
    # Passwords are hashed only a little.
    for made in (Users.__init__, Users.in_file.__func__):  # type: ignore[attr-defined]
        assert made.__kwdefaults__ is not None
        monkeypatch.setitem(made.__kwdefaults__, "iterations", ITERATIONS)
    return tmp_path


@pytest.fixture
def run() -> Run:
    """Call a command in this process; answers `exit_code`, `stdout`, `stderr`."""
    load()

    def call(*words: str, code: int = 0, typed: str | None = None) -> Any:
        result = CliRunner().invoke(app, list(words), input=typed, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def started() -> Iterator[Run]:
    """Start `holdall serve`; answers its process, its first lines, and its address."""
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str, **environment: str) -> tuple[subprocess.Popen[str], str, str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "holdall", "serve", *words, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        processes.append(process)
        assert process.stdout is not None
        lines = ""
        while "Serving" not in lines:
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            lines += line
        found = re.search(r"https?://[^ \n]+", lines.partition(" at ")[2])
        assert found is not None
        return process, lines, found[0]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_store_is_served_with_the_accounts_that_were_made(run: Run, started: Run) -> None:
    run("user", "add", "sqlite:///plant.db", "alice", "--role", "admin", typed=PASSWORD)
    process, lines, address = started("sqlite:///plant.db")
    assert "sqlite:///plant.db (as asked)" in lines
    with httpx.Client(base_url=address.removesuffix("/api/"), verify=False) as client:
        assert client.get("/api/about").status_code == 401
        assert Login(client, "alice", PASSWORD).all().status_code == 200
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    told = [msgspec.json.decode(line) for line in log.splitlines()]
    assert [one["status"] for one in told if one["message"] == "request"] == [401, 401, 401, 200]
    assert PASSWORD not in log


def test_without_accounts_it_says_who_may_ask(started: Run) -> None:
    process, _, address = started("memory://")
    assert process.stdout is not None
    assert "only this machine" in process.stdout.readline()
    with httpx.Client(verify=False) as client:
        assert client.get(f"{address}about").status_code == 200


def test_without_accounts_nothing_listens_elsewhere(run: Run) -> None:
    done = run("serve", "sqlite:///plant.db", "--host", "0.0.0.0", code=2)
    assert "holdall user add" in done.stderr


def test_the_first_admin_is_made_with_a_password_that_is_printed_once(
    run: Run, started: Run
) -> None:
    process, lines, address = started("sqlite:///plant.db", HOLDALL_ADMIN="root")
    found = re.search(r"password (\S+)", lines)
    assert found is not None
    with httpx.Client(base_url=address.removesuffix("/api/"), verify=False) as client:
        assert Login(client, "root", found[1]).all().status_code == 200
    process.kill()
    _, again, _ = started("sqlite:///plant.db", HOLDALL_ADMIN="root")
    assert "password" not in again


def test_what_is_served_comes_from_the_environment_in_order(here: Path) -> None:
    both = {"TIMESCALE_DSN": "postgresql://u:secret@db/plant", "REDIS_URL": "redis://r"}
    assert chosen("sqlite:///a.db", both) == Choice("sqlite:///a.db", "as asked")
    assert chosen("a.db", both) == Choice(f"sqlite:///{here}/a.db", "as asked")
    assert chosen(None, both).why == "from TIMESCALE_DSN"
    assert chosen(None, {"REDIS_URL": "redis://r"}) == Choice("redis://r", "from REDIS_URL")
    assert chosen(None, {}).url == f"sqlite:///{here}/.local/share/holdall/haystack.db"


def test_a_dsn_that_is_no_address_is_read_where_it_stands() -> None:
    choice = chosen(None, {"TIMESCALE_DSN": "host=db dbname=plant password=secret"})
    assert (choice.url, choice.shown) == ("timescale://", "timescale://")


def test_the_default_is_a_file_in_a_folder_for_its_owner(here: Path) -> None:
    choice = chosen(None, {"HOLDALL_DATA": str(here / "data")})
    assert choice.url == f"sqlite:///{here}/data/haystack.db"
    assert (here / "data").stat().st_mode & 0o777 == 0o700


def test_what_is_shown_of_an_address_is_no_secret() -> None:
    shown = Choice("postgresql://user:secret@db:5432/plant?password=secret", "").shown
    assert shown == "postgresql://db:5432/plant"


def test_a_key_without_a_certificate_is_refused(run: Run) -> None:
    assert "--tls-cert" in run("serve", "memory://", "--tls-key", "key.pem", code=2).stderr


def test_a_certificate_that_is_not_there_is_named(run: Run) -> None:
    assert "cert.pem" in run("serve", "memory://", "--tls-cert", "cert.pem", code=2).stderr


def test_an_address_that_is_taken_is_named(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "memory://", "--port", str(port), code=2)
    assert f"127.0.0.1:{port}" in done.stderr


@pytest.mark.parametrize("host", ["", "0", "127.1", "::", "localhost.evil.example", "a..b"])
def test_without_accounts_only_a_loopback_address_is_one(run: Run, host: str) -> None:
    assert "no accounts" in run("serve", "sqlite:///plant.db", "--host", host, code=2).stderr


def test_a_host_that_is_no_name_is_told(run: Run) -> None:
    run("user", "add", "sqlite:///plant.db", "alice", typed=PASSWORD)
    assert "a..b" in run("serve", "sqlite:///plant.db", "--host", "a..b", code=2).stderr


@pytest.mark.parametrize("proxy", ["*", "localhost", "10.0.0.2,", "10.0.0.2/8"])
def test_a_proxy_that_is_no_address_is_refused(run: Run, proxy: str) -> None:
    assert "--proxy" in run("serve", "memory://", "--proxy", proxy, code=2).stderr


def test_a_certificate_that_is_none_is_named(run: Run, here: Path) -> None:
    (here / "cert.pem").write_text("none")
    done = run("serve", "memory://", "--tls-cert", "cert.pem", code=2)
    assert "cert.pem" in done.stderr


def test_two_servers_that_start_at_once_make_one_admin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    users = Users()
    monkeypatch.setenv("HOLDALL_ADMIN", "root")

    async def both() -> list[bool]:
        ready = (_ready(InMemoryAdapter(), users, close=True) for _ in range(2))
        return await asyncio.gather(*ready)

    assert asyncio.run(both()) == [True, True]
    assert capsys.readouterr().out.count("password") == 1


def test_accounts_are_listed_changed_and_removed(run: Run) -> None:
    store = "sqlite:///plant.db"
    run("user", "add", store, "alice", "--role", "admin", typed=PASSWORD)
    key = run("user", "add", store, "gateway", "--machine", "--role", "operator").stdout.strip()
    assert key.startswith("hak_")
    assert run("user", "list", store).stdout == "alice\tadmin\ngateway\toperator\tmachine\n"
    run("user", "passwd", store, "alice", typed="battery staple")
    run("user", "rm", store, "gateway")
    (line,) = run("user", "list", store, "--json").stdout.splitlines()
    assert msgspec.json.decode(line) == {"name": "alice", "role": "admin", "machine": False}


def test_a_password_may_come_from_a_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", PASSWORD)
    run("user", "add", "sqlite:///plant.db", "alice", "--password-env", "SECRET")


def test_accounts_may_stand_in_a_file(run: Run, here: Path) -> None:
    run("user", "add", "memory://", "alice", "--users", "accounts.json", typed=PASSWORD)
    assert (here / "accounts.json").exists()
    assert run("user", "list", "memory://", "--users", "accounts.json").stdout == "alice\tviewer\n"


def test_without_an_address_accounts_are_those_of_the_default(run: Run) -> None:
    run("user", "add", "alice", typed=PASSWORD)
    assert run("user", "list").stdout == "alice\tviewer\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("add", "memory://", "alice"), 2),
        (("add", "sqlite:///a.db", "alice", "bob"), 2),
        (("add", "sqlite:///a.db"), 2),
        (("add", "sqlite:///a.db", "alice", "--role", "root"), 1),
        (("rm", "sqlite:///a.db", "alice"), 1),
        (("passwd", "sqlite:///a.db", "alice"), 1),
    ],
)
def test_a_mistake_is_one_line(run: Run, words: tuple[str, ...], code: int) -> None:
    done = run("user", *words, code=code, typed=PASSWORD)
    assert "Traceback" not in done.output


def test_a_short_password_is_refused(run: Run) -> None:
    done = run("user", "add", "sqlite:///a.db", "alice", typed="short", code=1)
    assert "8" in done.stderr


def test_a_request_that_was_begun_is_finished_before_the_end(started: Run) -> None:
    process, _, address = started("memory://")
    url = httpx.URL(address)
    body = b'ver:"3.0"\nfilter\n"site"\n'
    head = b"POST /api/read HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/zinc\r\n"
    with socket.create_connection((url.host, url.port or 0), timeout=60) as sock:
        sock.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert b" 100 " in sock.recv(1000)  # somebody waits for the body
        process.send_signal(signal.SIGTERM)
        sock.sendall(body)
        assert b" 200 " in sock.recv(1000)
    process.communicate(timeout=60)


APPLICATION = """
import holdall
from holdall.server import create_fastapi_app
app = create_fastapi_app(holdall.open_adapter({url!r}))
"""


def said_by(folder: Path, url: str) -> str:
    """What uvicorn with two workers says until an application runs or is refused."""
    (folder / "plant.py").write_text(APPLICATION.format(url=url))
    command = [sys.executable, "-m", "uvicorn", "plant:app", "--port", "0"]
    with subprocess.Popen(
        [*command, "--workers", "2"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "startup complete" in line or "startup failed" in line:
                break
        process.terminate()
        process.stdout.read()
    return said


def test_several_workers_of_uvicorn_do_not_serve_what_is_in_memory(tmp_path: Path) -> None:
    said = said_by(tmp_path, "memory://plant")
    assert "the entities are in memory, and uvicorn runs 2 workers" in said
    assert "startup failed" in said


def test_several_workers_of_uvicorn_serve_a_file(tmp_path: Path) -> None:
    assert "startup complete" in said_by(tmp_path, f"sqlite:///{tmp_path}/plant.db")
