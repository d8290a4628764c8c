"""Ctrl-C in the middle of a large transfer: it ends within a part, and leaves nothing half-done."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import holdall
from faulty import HttpProxy
from holdall.objects.options import PART_BYTES
from serving.clouds import S3Server
from serving.proxy import Wire

SIZE = 1024**3
SEEN = 3 * PART_BYTES + PART_BYTES // 2  # what has passed when the signal is sent
# The part under way, and what sockets and the client hold of what was asked for before.
MORE = 2 * PART_BYTES
MEMORY_KIB = 300 * 1024
INTERRUPTED = 130

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


class Interrupting(HttpProxy):
    """Counts what passes either way, and calls once when it is enough.

    Attributes:
        passed: How many bytes were sent on, to the server and to clients.
        act: What is called when `SEEN` bytes have passed; None counts only.
    """

    def __init__(self, port: int) -> None:
        self.passed = 0
        self.act: Callable[[], None] | None = None
        super().__init__(port)

    def serve(self, client: Wire) -> None:
        super().serve(_Counted(client, self._count))

    def connect(self) -> Wire:
        return _Counted(super().connect(), self._count)

    def _count(self, size: int) -> None:
        with self._lock:
            self.passed += size
            act = self.act if self.passed >= SEEN else None
            if act is not None:
                self.act = None
        if act is not None:
            act()


@pytest.fixture
def proxy(versity_server: S3Server) -> Iterator[Interrupting]:
    with Interrupting(versity_server.running.port) as opened:
        yield opened


@pytest.fixture
def bucket(versity_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A fresh bucket, whose settings stand in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", versity_server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", versity_server.secret_access_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", versity_server.endpoint)
    bucket = versity_server.make_container("large")
    yield bucket
    with holdall.open(f"s3://{bucket}") as store:
        store.delete_many(list(store.list()))


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """A gibibyte that takes no space."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def interrupted(proxy: Interrupting, *words: str) -> int:
    """Run a command, interrupt it in the middle; answer how much passed after that."""
    with subprocess.Popen(
        [sys.executable, "-c", _COMMAND, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "AWS_ENDPOINT_URL_S3": proxy.endpoint},
    ) as child:
        try:
            proxy.act = lambda: child.send_signal(signal.SIGINT)
            said, complained = child.communicate(timeout=60)
        finally:
            child.kill()
    assert child.returncode == INTERRUPTED, complained
    assert "Traceback" not in complained
    assert int(said.split()[-1]) < MEMORY_KIB
    assert proxy.passed >= SEEN
    return proxy.passed - SEEN


@pytest.mark.parametrize("command", ["cp", "put"])
def test_an_upload_that_is_interrupted_ends_within_a_part_and_is_found_again(
    proxy: Interrupting, bucket: str, sparse: Path, command: str
) -> None:
    assert interrupted(proxy, command, str(sparse), f"s3://{bucket}/large") < MORE
    with holdall.open(f"s3://{bucket}") as store:
        assert list(store.list()) == []
        (left,) = store.uploads()
        assert left.key == "large"
        assert left.offset >= PART_BYTES
        store.upload("large", resume=left.id).abort()
        assert list(store.uploads()) == []


@pytest.mark.parametrize("command", ["cp", "get"])
def test_a_download_that_is_interrupted_ends_within_a_part_and_shows_nothing(
    versity_server: S3Server,
    proxy: Interrupting,
    bucket: str,
    command: str,
    tmp_path: Path,
) -> None:
    versity_server.client().put_object(Bucket=bucket, Key="large", Body=b"\0")
    # Grown where the server keeps it, so that it takes no space there.
    os.truncate(versity_server.running.log.parent / "data" / bucket / "large", SIZE)
    out = tmp_path / "out"
    out.mkdir()
    assert interrupted(proxy, command, f"s3://{bucket}/large", str(out / "large")) < MORE
    assert list(out.rglob("*")) == []
