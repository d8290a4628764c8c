"""Facts about the servers that tests ask for: each answers, to this machine only, and ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from servers import AzureServer, GoogleServer, RedisServer, S3Server
from serving import caches, clouds, commands, fixtures, install, process
from serving.process import HOST, listening, running

s3_server = fixtures.s3_server
versity_server = fixtures.versity_server
azure_server = fixtures.azure_server
google_server = fixtures.google_server
redis_server = fixtures.redis_server
redis_stack_server = fixtures.redis_stack_server

Start: TypeAlias = Callable[[Path], AbstractContextManager[Any]]
Fruitless: TypeAlias = "subprocess.CompletedProcess[str]"

STARTS = [
    pytest.param(clouds.moto, id="moto"),
    pytest.param(clouds.versity, id="versitygw"),
    pytest.param(clouds.azurite, id="azurite"),
    pytest.param(clouds.google, id="fake-gcs-server"),
    pytest.param(caches.redis, id="redis"),
    pytest.param(caches.redis_stack, id="redis-stack"),
]
FIXTURES = [
    "s3_server",
    "versity_server",
    "azure_server",
    "google_server",
    "redis_server",
    "redis_stack_server",
]
on_linux = pytest.mark.skipif(
    sys.platform != "linux",
    reason="only Linux says who listens where, and tells a child of its parent's end",
)


def test_moto_keeps_an_object(s3_server: S3Server) -> None:
    bucket = s3_server.make_container("kept")
    s3_server.client().put_object(Bucket=bucket, Key="a", Body=b"x")
    assert s3_server.client().get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"


def test_versitygw_keeps_an_object(versity_server: S3Server) -> None:
    bucket = versity_server.make_container("kept")
    versity_server.client().put_object(Bucket=bucket, Key="a", Body=b"x")
    assert versity_server.client().get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"


def test_versitygw_wants_a_signature(versity_server: S3Server) -> None:
    bucket = versity_server.make_container("signed")
    status, _ = clouds.ask(versity_server.running.port, "GET", f"/{bucket}?list-type=2")
    assert status == 403


def test_azurite_keeps_a_blob(azure_server: AzureServer) -> None:
    path = f"/{azure_server.make_container('kept')}/a"
    azure_server.request("PUT", path, body=b"x", headers={"x-ms-blob-type": "BlockBlob"})
    assert azure_server.request("GET", path) == (200, b"x")


def test_azurite_wants_a_signature(azure_server: AzureServer) -> None:
    container = azure_server.make_container("signed")
    target = f"/{azure_server.account_name}/{container}?restype=container"
    assert clouds.ask(azure_server.running.port, "GET", target)[0] == 403


def test_the_google_server_keeps_an_object(google_server: GoogleServer) -> None:
    bucket, port = google_server.make_container("kept"), google_server.running.port
    upload = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name=a"
    assert clouds.ask(port, "POST", upload, b"x")[0] == 200
    assert clouds.ask(port, "GET", f"/storage/v1/b/{bucket}/o/a?alt=media") == (200, b"x")


def test_the_google_server_serves_the_same_object_by_xml(google_server: GoogleServer) -> None:
    bucket, port = google_server.make_container("both"), google_server.running.port
    clouds.ask(port, "POST", f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name=a", b"x")
    assert clouds.ask(port, "GET", f"/{bucket}/a") == (200, b"x")


def test_the_google_server_continues_an_upload_at_its_own_address(
    google_server: GoogleServer,
) -> None:
    bucket, port = google_server.make_container("resumed"), google_server.running.port
    target = f"/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name=a"
    with clouds.asking(port, "POST", target, b"{}") as response:
        assert response.headers["Location"].startswith(f"{google_server.endpoint}/upload/")


@pytest.mark.parametrize("name", ["redis_server", "redis_stack_server"])
def test_redis_keeps_a_key(name: str, request: pytest.FixtureRequest) -> None:
    server: RedisServer = request.getfixturevalue(name)
    server.make_empty()
    assert server.ask("SET a x", "EXISTS a") == ["+OK", ":1"]


@pytest.mark.parametrize("name", ["redis_server", "redis_stack_server"])
def test_redis_is_emptied(name: str, request: pytest.FixtureRequest) -> None:
    server: RedisServer = request.getfixturevalue(name)
    server.ask("SET a x")
    server.make_empty()
    assert server.ask("DBSIZE") == [":0"]


def test_redis_wants_a_password(redis_server: RedisServer) -> None:
    with socket.create_connection((HOST, redis_server.running.port), timeout=10) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")


def test_plain_redis_cannot_search(redis_server: RedisServer) -> None:
    assert redis_server.ask("FT._LIST")[0].startswith("-ERR unknown command")


def test_redis_stack_can_search(redis_stack_server: RedisServer) -> None:
    redis_stack_server.make_empty()
    assert redis_stack_server.ask("FT.CREATE found SCHEMA name TEXT") == ["+OK"]


def test_redis_stack_keeps_time_series(redis_stack_server: RedisServer) -> None:
    redis_stack_server.make_empty()
    assert redis_stack_server.ask("TS.CREATE a", "TS.ADD a 7 1.5") == ["+OK", ":7"]


@pytest.mark.parametrize("name", FIXTURES[:4])
def test_two_containers_of_one_name_are_two(name: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(name)
    assert server.make_container("same") != server.make_container("same")


@on_linux
@pytest.mark.parametrize("name", FIXTURES)
def test_it_listens_on_loopback_only(name: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(name)
    assert listening(server.running.pid) == {(HOST, server.running.port)}


@pytest.mark.parametrize("start", STARTS)
def test_it_is_gone_when_its_block_ends(start: Start, tmp_path: Path) -> None:
    with start(tmp_path / "server") as server:
        pid, port = server.running.pid, server.running.port
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port))


def test_it_is_gone_when_its_block_raises(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), caches.redis(tmp_path) as server:
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(server.running.pid, 0)


_PARENT = """
import sys
from pathlib import Path
from serving import caches
with caches.redis(Path(sys.argv[1])) as server:
    print(server.running.pid, server.running.port, flush=True)
    sys.stdin.read()
"""


@on_linux
def test_it_is_gone_when_its_parent_is_killed(tmp_path: Path) -> None:
    commands.redis()
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pid, port = map(int, parent.stdout.readline().split())
        with socket.create_connection((HOST, port), timeout=30) as connection:
            parent.kill()
            try:
                # The end of the server ends the connection, one way or the other.
                with suppress(ConnectionResetError):
                    assert connection.recv(1) == b""
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise


@on_linux
def test_a_server_that_ends_at_once_is_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOLDALL_REQUIRE_SERVERS", raising=False)
    command = [sys.executable, "-c", "raise SystemExit('no such luck')"]
    with (
        pytest.raises(pytest.skip.Exception, match=r"needs never: .*no such luck"),
        running("never", lambda port: command, lambda port: True, folder=tmp_path),
    ):
        pytest.fail("it was taken for a server that runs")


@on_linux
def test_another_server_on_the_port_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer
) -> None:
    ports = [redis_server.running.port, process.free_port()]
    tried = iter(ports)
    monkeypatch.setattr(process, "free_port", lambda: next(tried))
    with caches.redis(tmp_path) as server:
        assert server.running.port == ports[1]


@on_linux
def test_another_on_the_port_is_asked_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((HOST, 0)) as other:
        other.setblocking(False)
        ports = [other.getsockname()[1], process.free_port()]
        tried = iter(ports)
        monkeypatch.setattr(process, "free_port", lambda: next(tried))
        with caches.redis(tmp_path) as server:
            assert server.running.port == ports[1]
        with pytest.raises(BlockingIOError):
            other.accept()


@on_linux
def test_a_port_of_a_server_is_none_that_the_system_gives_away() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if first < 32_768:
        pytest.skip(f"here the system gives away ports from {first} on")
    ports = {process.free_port() for _ in range(20)}
    assert len(ports) > 1
    assert max(ports) < first


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDALL_REQUIRE_SERVERS", raising=False)
    monkeypatch.setattr(commands, "SERVERS", tmp_path)
    with pytest.raises(pytest.skip.Exception, match="needs versitygw: it is not installed"):
        commands.versity()


@pytest.fixture(scope="module")
def fruitless(tmp_path_factory: pytest.TempPathFactory) -> Fruitless:
    """What the installation says where there is no npm, no Go and no index of packages."""
    folder = tmp_path_factory.mktemp("fruitless")
    return subprocess.run(
        [sys.executable, "-m", "serving.install", str(folder / "servers")],
        env={
            "HOME": str(folder),
            "PATH": str(folder),
            "PYTHONPATH": str(Path(__file__).parent),
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": os.devnull,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_installing_without_the_tools_is_no_failure(fruitless: Fruitless) -> None:
    assert fruitless.returncode == 0, fruitless.stderr


@pytest.mark.parametrize(
    ("server", "fixture", "way"),
    [
        ("azurite", "azure_server", "Node.js"),
        ("versitygw", "versity_server", "Go"),
        ("fake-gcs-server", "google_server", "Go"),
        ("redis-stack", "redis_stack_server", "PATH"),
    ],
)
def test_a_server_that_cannot_be_installed_is_named_with_its_tests_and_the_way_to_get_it(
    server: str, fixture: str, way: str, fruitless: Fruitless
) -> None:
    (line,) = (line for line in fruitless.stdout.splitlines() if line.startswith(f"No {server} "))
    assert fixture in line
    assert way in line


def test_an_installation_that_lacks_something_is_tried_again(
    fruitless: Fruitless,
) -> None:
    folder = Path(fruitless.args[-1])
    assert not (folder / "complete").exists()


def test_what_is_installed_is_left_alone(tmp_path: Path) -> None:
    server = next(server for server in install.SERVERS_TO_INSTALL if server.name == "versitygw")
    (tmp_path / "bin").mkdir()
    (tmp_path / server.place).write_text("as it was")
    (tmp_path / "versitygw.version").write_text(server.version)
    assert install.provide(server, tmp_path, tmp_path / "scratch")
    assert (tmp_path / server.place).read_text() == "as it was"
