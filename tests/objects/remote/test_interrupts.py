"""Ctrl-C in the middle of a large transfer: it ends within a part, and leaves nothing half-done."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import pytest

import holdall
from faulty import HttpProxy, RedisProxy
from holdall.objects.backends.redis.conditions import MAX_OBJECT_BYTES
from holdall.objects.options import PART_BYTES
from servers import AzureServer, GoogleServer, RedisServer, S3Server
from serving.process import HOST
from serving.proxy import Wire

SIZE = 1024**3
# For a service that really must be sent what a test reads from it: enough to be in the middle.
SENT = 8 * PART_BYTES
SEEN = 3 * PART_BYTES + PART_BYTES // 2  # what has passed when the signal is sent
# The part under way, and what sockets and the client hold of what was asked for before.
MORE = 2 * PART_BYTES
MEMORY_KIB = 300 * 1024
INTERRUPTED = 130

Open = Callable[..., holdall.DataStore]

# A child of a background job begins with the signal ignored.
_COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from holdall.cli import main
code = main(sys.argv[1:])
# Not ru_maxrss, which a process inherits from the one that started it.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(code)
"""


class _Counted(Wire):
    """Another wire, whose bytes are told of before they are sent."""

    def __init__(self, wire: Wire, tell: Callable[[int], None]) -> None:
        self.connection = wire.connection
        self.reader = wire.reader
        self._tell = tell

    def send(self, data: bytes) -> None:
        self._tell(len(data))
        super().send(data)


class Meter:
    """Counts what passes either way, and calls once when it is enough.

    Attributes:
        passed: How many bytes were sent on, to the server and to clients.
        act: What is called when `SEEN` bytes have passed; None counts only.
    """

    def __init__(self) -> None:
        self.passed = 0
        self.act: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def counted(self, wire: Wire) -> Wire:
        """The same wire, whose bytes are counted."""
        return _Counted(wire, self._count)

    def _count(self, size: int) -> None:
        with self._lock:
            self.passed += size
            act = self.act if self.passed >= SEEN else None
            if act is not None:
                self.act = None
        if act is not None:
            act()


class MeteredHttp(HttpProxy):
    """Before a cloud."""

    def __init__(self, meter: Meter, port: int, says_host: str | None = None) -> None:
        self._meter = meter
        super().__init__(port, says_host=says_host)

    def serve(self, client: Wire) -> None:
        super().serve(self._meter.counted(client))

    def connect(self) -> Wire:
        return self._meter.counted(super().connect())


class MeteredRedis(RedisProxy):
    """Before a Redis."""

    def __init__(self, meter: Meter, port: int) -> None:
        self._meter = meter
        super().__init__(port)

    def serve(self, client: Wire) -> None:
        super().serve(self._meter.counted(client))

    def connect(self) -> Wire:
        return self._meter.counted(super().connect())


@dataclass(frozen=True, slots=True)
class Place:
    """A service, reached by a command through a proxy and by a test without.

    Attributes:
        store: The way without the proxy.
        url: The store as the command names it.
        variables: The environment of the command, which knows the way through the proxy.
        size: How large an object there can be, of those that are tried.
        make: Makes an object of that many bytes.
    """

    store: holdall.DataStore
    url: str
    variables: dict[str, str]
    size: int
    make: Callable[[int], None]


def sender(store: holdall.DataStore) -> Callable[[int], None]:
    """What makes a large object of a store by sending all of it."""

    def make(size: int) -> None:
        store.write("large", repeat(bytes(PART_BYTES), size // PART_BYTES))

    return make


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def s3(open_s3: Open, versity_server: S3Server, meter: Meter) -> Iterator[Place]:
    store = open_s3()
    folder = versity_server.running.log.parent / "data" / store.root.container

    def make(_: int) -> None:
        store.write("large", b"\0")
        # Grown where the server keeps it, so that it takes no space there, whatever its size.
        os.truncate(folder / "large", SIZE)

    with MeteredHttp(meter, versity_server.running.port) as proxy:
        variables = {
            "AWS_ACCESS_KEY_ID": versity_server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": versity_server.secret_access_key,
            "AWS_ENDPOINT_URL_S3": proxy.endpoint,
        }
        yield Place(store, f"s3://{store.root.container}", variables, SIZE, make)


@pytest.fixture
def azure(open_azure: Open, azure_server: AzureServer, meter: Meter) -> Iterator[Place]:
    store = open_azure()
    port = azure_server.running.port
    with MeteredHttp(meter, port) as proxy:
        through = azure_server.connection_string.replace(f":{port}/", f":{proxy.port}/")
        variables = {"AZURE_STORAGE_CONNECTION_STRING": through}
        yield Place(store, f"az://{store.root.container}", variables, SIZE, sender(store))


@pytest.fixture
def google(open_google: Open, google_server: GoogleServer, meter: Meter) -> Iterator[Place]:
    store = open_google()
    port = google_server.running.port
    with MeteredHttp(meter, port, says_host=f"{HOST}:{port}") as proxy:
        variables = {
            "STORAGE_EMULATOR_HOST": proxy.endpoint,
            "GOOGLE_OAUTH_ACCESS_TOKEN": google_server.bearer_token,
        }
        yield Place(store, f"gs://{store.root.container}", variables, SIZE, sender(store))


@pytest.fixture
def redis(redis_server: RedisServer, meter: Meter) -> Iterator[Place]:
    url = redis_server.make_empty()
    with (
        holdall.open(url) as store,
        MeteredRedis(meter, redis_server.running.port) as proxy,
    ):
        variables = {"HOLDALL_REDIS_PASSWORD": redis_server.password}
        through = f"redis://{HOST}:{proxy.port}"
        yield Place(store, through, variables, MAX_OBJECT_BYTES, sender(store))


@pytest.fixture(params=["s3", "azure", "google", "redis"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Each service in turn, which keeps nothing large when the test is over."""
    place: Place = request.getfixturevalue(request.param)
    yield place
    place.store.delete_many(list(place.store.list()))


@pytest.fixture
def sparse(place: Place, tmp_path: Path) -> Path:
    """A large file that takes no space."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(place.size)
    return path


def interrupted(place: Place, meter: Meter, *words: str) -> int:
    """Run a command, interrupt it in the middle; answer how much passed after that."""
    with subprocess.Popen(
        [sys.executable, "-c", _COMMAND, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **place.variables},
    ) as child:
        try:
            meter.act = lambda: child.send_signal(signal.SIGINT)
            said, complained = child.communicate(timeout=60)
        finally:
            child.kill()
    assert child.returncode == INTERRUPTED, complained
    assert "Traceback" not in complained
    assert int(said.split()[-1]) < MEMORY_KIB
    assert meter.passed >= SEEN
    return meter.passed - SEEN


@pytest.mark.parametrize("command", ["cp", "put"])
def test_an_upload_that_is_interrupted_ends_within_a_part_and_is_found_again(
    place: Place, meter: Meter, sparse: Path, command: str
) -> None:
    assert interrupted(place, meter, command, str(sparse), f"{place.url}/large") < MORE
    assert list(place.store.list()) == []
    (left,) = place.store.uploads()
    assert left.key == "large"
    assert left.offset >= PART_BYTES
    place.store.upload("large", resume=left.id).abort()
    assert list(place.store.uploads()) == []


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.soak)])
@pytest.mark.parametrize("command", ["cp", "get"])
def test_a_download_that_is_interrupted_ends_within_a_part_and_shows_nothing(
    place: Place, meter: Meter, command: str, whole: bool, tmp_path: Path
) -> None:
    place.make(place.size if whole else SENT)
    out = tmp_path / "out"
    out.mkdir()
    assert interrupted(place, meter, command, f"{place.url}/large", str(out / "large")) < MORE
    assert list(out.rglob("*")) == []
