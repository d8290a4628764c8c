"""What is left in blocking mode when time is up in a write, or another item of a `map` failed."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import holdall
from holdall import errors
from holdall.core.runtime import blocking
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.objects.backends.cloud.faults import Asked
from holdall.objects.backends.redis.scripts_uploads import APPEND
from holdall.objects.contract import Upload
from holdall.objects.data_store import DataStore
from holdall.objects.layers.layer import Call
from holdall.objects.layers.timeout import Timeout
from holdall.objects.options import WRITE, CopyOptions
from holdall.objects.transfer.crossing import copy_across
from holdall.testing.layers.faults import Fault, Faults

Open = Callable[..., DataStore]

_MIB = 1024 * 1024
_LARGE = bytes(17 * _MIB)
_FOREVER = 3600.0
runtime = BlockingRuntime()


class Clock:
    """The clock that deadlines are read from."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self.ahead

    def pass_deadlines(self) -> None:
        self.ahead += _FOREVER


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(blocking, "monotonic", clock.now)
    return clock


@pytest.fixture(params=["open_s3", "open_azure", "open_google", "opened"])
def store(request: pytest.FixtureRequest) -> DataStore:
    """Each of the clouds, and Redis."""
    opened: Open = request.getfixturevalue(request.param)
    if request.param == "opened":
        return opened()
    return opened(part_size=5 * _MIB, single_size=5 * _MIB)


@pytest.fixture(params=["local", "redis"])
def leased(request: pytest.FixtureRequest, tmp_path: Path) -> DataStore:
    """Each of the stores where nobody else can go on with an open upload."""
    if request.param == "local":
        return holdall.open(tmp_path)
    opened: Open = request.getfixturevalue("opened")
    return opened()


def after_each_part(store: DataStore, act: Callable[[], None]) -> None:
    """Let something happen when a part has been sent."""
    backend: Any = store.backend
    if store.root.scheme == "redis":
        connections = backend._server._blocking
        run = connections.run

        def ran(script: Any, *more: Any) -> Any:
            answer = run(script, *more)
            if script is APPEND:
                act()
            return answer

        connections.run = ran
    else:
        put = backend.service.put_part

        def sent(*arguments: Any) -> Any:
            part = put(*arguments)
            act()
            return part

        backend.service.put_part = sent


def left(store: DataStore) -> list[Any]:
    """What uploads have left, in the service's own listing too."""
    service: Any = getattr(store.backend, "service", None)
    found: list[Any] = list(store.uploads())
    if service is not None:
        found += service.page(store.root, ".holdall/uploads/", False, 1000, None).found
    if store.root.scheme == "s3":
        body = service._requests.send("GET", "", Asked(store.root), {"uploads": ""}).body
        found += [body] * body.count(b"<UploadId>")
    return found


def test_a_large_write_that_is_ended_by_the_layer_leaves_nothing(
    store: DataStore, clock: Clock
) -> None:
    after_each_part(store, clock.pass_deadlines)
    with pytest.raises(errors.Timeout, match="'call' of the layer 'timeout'"):
        DataStore(Timeout(store.store)).write("a", _LARGE)
    assert not store.exists("a")
    assert left(store) == []


def test_a_large_write_that_is_done_in_time_is_done(open_cloud: Open, clock: Clock) -> None:
    store = open_cloud(part_size=5 * _MIB, single_size=5 * _MIB)
    service: Any = store.backend.service  # type: ignore[attr-defined]
    finish = service.finish

    def finished(*arguments: Any) -> Any:
        etag = finish(*arguments)
        clock.pass_deadlines()
        return etag

    service.finish = finished
    DataStore(Timeout(store.store)).write("a", _LARGE)
    assert store.stat("a").size == len(_LARGE)
    assert left(store) == []


def test_a_large_write_beside_which_another_failed_leaves_nothing(store: DataStore) -> None:
    sent = threading.Event()

    def wait() -> None:
        sent.set()
        drive(runtime.sleep(_FOREVER))

    async def work(number: int) -> None:
        if number == 0:
            sent.wait(60)
            raise errors.NotFound("gone")
        await store.store.put(store.reference("a"), _LARGE, WRITE)

    async def main() -> None:
        async for _ in store.store.runtime.map(work, range(2), 2):
            raise AssertionError

    after_each_part(store, wait)
    with pytest.raises(errors.NotFound, match="gone"):
        drive(main())
    assert not store.exists("a")
    assert left(store) == []


async def _late(act: Callable[[], Any]) -> None:
    async with runtime.deadline(0):
        await act()


def _begun(store: DataStore, data: bytes) -> Upload:
    upload = drive(store.store.upload(store.reference("a"), WRITE, None))
    drive(upload.write(data))
    return upload


def test_an_upload_that_is_aborted_late_leaves_nothing(store: DataStore) -> None:
    upload = _begun(store, _LARGE)
    drive(_late(upload.abort))
    assert left(store) == []


def test_an_upload_on_disk_that_is_aborted_late_leaves_nothing(tmp_path: Path) -> None:
    store = holdall.open(tmp_path)
    upload = _begun(store, b"data")
    drive(_late(upload.abort))
    assert list(store.uploads()) == []


def test_an_upload_that_is_closed_late_is_free_for_others(leased: DataStore) -> None:
    upload = _begun(leased, b"data")
    drive(_late(upload.close))
    with leased.upload("a", resume=upload.id) as again:
        assert again.offset == 4


# Copies from one store to another


def test_a_copy_across_that_is_ended_aborts_its_upload(clock: Clock) -> None:
    source = holdall.open("memory://late-source")
    source.write("a", _LARGE)

    def script(call: Call[Any]) -> Fault | None:
        if call.operation == "write":
            clock.pass_deadlines()
        return Fault(delay=0.001) if call.operation in {"write", "abort"} else None

    target = Faults(holdall.open("memory://late-target").store, script)

    async def main() -> None:
        async with runtime.deadline(60):
            places = source.reference("a"), target.root.known_child("a")
            await copy_across(source.store, target, *places, CopyOptions())

    with pytest.raises(errors.Timeout, match="deadline of 60 s"):
        drive(main())
    assert target.sent["abort"] == 1


def test_the_lost_commit_of_a_copy_across_is_told_when_nothing_can_be_cleaned_up() -> None:
    source = holdall.open("memory://lost-source")
    source.write("a", _LARGE)

    def script(call: Call[Any]) -> Fault | None:
        if call.operation == "abort":
            return Fault(error=errors.Unavailable("the network is away"))
        return Fault(lost=True) if call.operation == "commit" else None

    inside = holdall.open("memory://lost-target")
    target = Faults(inside.store, script)
    places = source.reference("a"), target.root.known_child("a")
    with pytest.raises(errors.Unavailable, match="may have been applied") as caught:
        drive(copy_across(source.store, target, *places, CopyOptions(if_none_match="*")))
    assert caught.value.uncertain
    assert inside.exists("a")
