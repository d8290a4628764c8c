"""A configured store: S3 with Redis beside it, cached, limited and resilient."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from holdall import DataStore
from holdall.core.errors import CircuitOpen, HoldallError, LimitExceeded, NotFound
from holdall.objects.layers import Breaker, Cache, Counters
from serving import clouds
from serving.caches import RedisServer
from serving.clouds import S3Server


class Restarted:
    """An S3 server that a test stops and starts again, on the same port with the same objects."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self.server: S3Server = self._stack.enter_context(clouds.versity(folder))
        self._port = int(self.server.endpoint.rpartition(":")[2])

    def stop(self) -> None:
        self._stack.close()

    def start(self) -> None:
        self._stack.enter_context(clouds.versity(self._folder, self._port))


@pytest.fixture
def restarted(tmp_path: Path) -> Iterator[Restarted]:
    server = Restarted(tmp_path / "server")
    yield server
    server.stop()


def _configuration(server: S3Server, redis: RedisServer, folder: Path) -> Path:
    file = folder / "storage.toml"
    file.write_text(f"""
type = "s3"
init_container = "{server.make_container("configured")}"

[connection]
region = "us-east-1"
endpoint = "{server.endpoint}"
access-key = {{ env = "CONFIGURED_KEY" }}
secret-key = {{ env = "CONFIGURED_SECRET" }}
auth-type = "accesskey"

[redis]
addr = "127.0.0.1:{redis.running.port}"
password = {{ env = "CONFIGURED_PASSWORD" }}

[cache]
max_size_mbs = 16

[limits]
maxDownloadMBs = 1

[resilience]
retry = {{ max_retries = 1, delay = "1ms" }}
breaker = {{ max_failures = 3, timeout = "20ms", half_open_max_requests = 1 }}
timeout = {{ call = "10s" }}
concurrency = true
""")
    return file


@pytest.fixture
def configured(
    restarted: Restarted,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> DataStore:
    monkeypatch.setenv("CONFIGURED_KEY", restarted.server.access_key_id)
    monkeypatch.setenv("CONFIGURED_SECRET", restarted.server.secret_access_key)
    monkeypatch.setenv("CONFIGURED_PASSWORD", redis_server.password)
    file = _configuration(restarted.server, redis_server, tmp_path)
    return DataStore.from_config(file, metrics=Counters())


def test_a_file_like_the_seeds_opens_all_of_it(
    configured: DataStore, redis_server: RedisServer
) -> None:
    with configured as store:
        beside = f"redis://127.0.0.1:{redis_server.running.port}/{uuid4().hex}"
        store.write("metadata/id", b"blob")
        store.write(beside, b"small")
        assert (store.read("metadata/id"), store.read(beside)) == (b"blob", b"small")
        store.copy("metadata/id", f"{beside}/copy")
        assert store.read(f"{beside}/copy") == b"blob"
        said = [line.strip().partition(":")[0] for line in store.describe().splitlines()]
        assert said == [
            "metrics",
            "cache",
            "router",
            *("retry", "breaker", "concurrency", "timeout", "s3"),
            *("retry", "breaker", "concurrency", "timeout", "redis"),
        ]
        hits = Cache.of(store).stats().hits
        assert store.read("metadata/id") == b"blob"
        assert Cache.of(store).stats().hits == hits + 1
        store.write("large", bytes(1024 * 1024 + 1))
        with pytest.raises(LimitExceeded, match="max_download_mbs"):
            store.read("large")
        store.delete_many([beside, f"{beside}/copy"])


def test_a_server_that_is_killed_opens_the_breaker_and_comes_back(
    configured: DataStore, restarted: Restarted
) -> None:
    with configured as store:
        breaker = Breaker.of(store)
        acknowledged: dict[str, bytes] = {}
        refused, enough, more = threading.Event(), threading.Event(), threading.Event()
        failed: list[HoldallError] = []

        def keep_writing(worker: int) -> None:
            number = 0
            while not enough.is_set():
                key, data = f"{worker}/{number}", uuid4().bytes
                try:
                    store.write(key, data)
                except HoldallError as error:
                    failed.append(error)
                    if isinstance(error, CircuitOpen):
                        refused.set()
                else:
                    acknowledged[key] = data
                    number += 1
                    more.set()
                    if number == 20:
                        begun.release()

        begun = threading.Semaphore(0)
        writers = [threading.Thread(target=keep_writing, args=(number,)) for number in range(3)]
        for writer in writers:
            writer.start()
        for _ in writers:
            assert begun.acquire(timeout=60)
        restarted.stop()
        assert refused.wait(60)
        more.clear()
        restarted.start()
        assert more.wait(60)
        enough.set()
        for writer in writers:
            writer.join()
        assert breaker.circuit_breaker_stats().state == "closed"
        assert all(error.transient for error in failed)
        Cache.of(store).clear()
        for key, data in acknowledged.items():
            assert store.read(key) == data


def test_what_does_not_exist_leaves_the_breaker_closed(configured: DataStore) -> None:
    with configured as store:
        for _ in range(10):
            with pytest.raises(NotFound):
                store.read("nothing")
        assert not Breaker.of(store).is_circuit_open()
