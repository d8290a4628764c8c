"""Uploads to a cloud: one part is on its way while the next one gathers."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from datetime import timedelta
from typing import Any

import pytest

import holdall
from holdall import errors
from holdall.core.runtime.blocking import drive
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects import transfer
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.contract import Upload
from holdall.objects.options import WriteOptions

Open = Callable[..., holdall.DataStore]
_PART = 5 * 1024 * 1024
_LARGE = b"".join(bytes([number]) * _PART for number in range(3)) + b"end"
_SHA256 = hashlib.sha256(_LARGE).hexdigest()


class Parts:
    """Stands before a service: what happens to each part, and in which order."""

    def __init__(self, store: holdall.DataStore | holdall.AsyncDataStore) -> None:
        self.service: Any = store.backend.service  # type: ignore[attr-defined]
        self._put, self._drop = self.service.put_part, self.service.drop
        self.service.put_part, self.service.drop = self.put, self.drop
        self.seen: list[str] = []
        self.failing: set[int] = set()
        self.begun = threading.Event()
        self.released = threading.Event()
        self.released.set()

    def put(self, ref: Any, session: str, number: int, *more: Any) -> Any:
        self.begun.set()
        self.released.wait()
        if number in self.failing:
            self.failing.remove(number)
            self.seen.append(f"failed {number}")
            raise errors.Unavailable("the connection broke off")
        part = self._put(ref, session, number, *more)
        self.seen.append(f"part {number}")
        return part

    def drop(self, *arguments: Any) -> None:
        self.seen.append("drop")
        self._drop(*arguments)


@pytest.fixture
def store(open_cloud: Open) -> holdall.DataStore:
    return open_cloud(part_size=_PART)


def _upload(store: holdall.DataStore, **options: Any) -> Upload:
    return drive(store.store.upload(store.reference("a"), WriteOptions(**options), None))


def _pieces(data: bytes = _LARGE, size: int = 1024 * 1024) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


# Notes


def _end(service: Any, ref: Any, session: str, how: str) -> None:
    if how == "aborted":
        service.drop(ref, session)
    else:
        service.finish(ref, session, service.parts(ref, session), WriteOptions())


@pytest.mark.parametrize("how", ["aborted", "completed"])
@pytest.mark.parametrize("opener", ["open_s3", "open_moto"])
def test_a_note_of_an_upload_that_is_gone_is_purged(
    request: pytest.FixtureRequest, opener: str, how: str
) -> None:
    open_store: Open = request.getfixturevalue(opener)
    store = open_store(part_size=_PART)
    upload: Any = _upload(store)
    drive(upload.write(_LARGE))
    drive(upload.close())
    _end(store.backend.service, upload.ref, upload._session, how)  # type: ignore[attr-defined]
    (left,) = store.uploads()
    assert (left.key, left.offset) == ("a", 0)
    assert store.purge_uploads(timedelta(days=1)) == 0
    assert [info.id for info in store.uploads()] == [left.id]
    # Nothing was there to be aborted.
    assert store.purge_uploads(timedelta(days=-1)) == 0
    assert list(store.uploads()) == []
    assert store.exists("a") == (how == "completed")


def test_who_would_go_on_with_what_is_gone_is_told_so_also_where_nothing_may_be_removed(
    open_s3: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_s3(part_size=_PART)
    upload: Any = _upload(store)
    drive(upload.write(_LARGE))
    drive(upload.close())
    service: Any = store.backend.service  # type: ignore[attr-defined]
    service.drop(upload.ref, upload._session)

    def refuse(refs: Any) -> None:
        raise errors.PermissionDenied("no")

    monkeypatch.setattr(service, "delete", refuse)
    with pytest.raises(errors.NotFound, match="go on with"):
        drive(store.store.upload(store.reference("a"), WriteOptions(), upload.id))
    assert len(list(store.uploads())) == 1


# Bytes


@pytest.mark.parametrize("size", [999_983, _PART, 2 * _PART + 1, len(_LARGE)])
def test_pieces_of_any_size_become_the_object(store: holdall.DataStore, size: int) -> None:
    store.write("a", _pieces(size=size))
    assert store.read("a") == _LARGE
    assert list(store.uploads()) == []


def test_many_small_pieces_become_the_object(store: holdall.DataStore) -> None:
    with store.open_writer("a") as writer:
        for piece in _pieces(size=12_345):
            writer.write(piece)
    assert store.read("a") == _LARGE


def test_what_was_written_may_be_changed_afterwards(store: holdall.DataStore) -> None:
    buffer = bytearray(_PART // 2)
    upload = _upload(store)
    for number in range(5):
        buffer[:] = bytes([number]) * len(buffer)
        drive(upload.write(buffer))
    drive(upload.commit())
    data = store.read("a")
    assert [data[at] for at in range(0, len(data), len(buffer))] == [0, 1, 2, 3, 4]
    assert len(data) == 5 * len(buffer)


def test_a_loop_sends_the_same_bytes(open_cloud: Open) -> None:
    place = open_cloud(part_size=_PART).store

    async def write() -> bytes:
        store = AsyncDataStore(type(place).open(place.settings, LoopRuntime()))
        await store.write("a", _pieces())
        return await store.read("a")

    assert asyncio.run(write()) == _LARGE


# Digests


def test_a_digest_that_nobody_would_ask_for_is_not_known(store: holdall.DataStore) -> None:
    upload = _upload(store, digest=False)
    drive(upload.write(_LARGE))
    with pytest.raises(errors.Unsupported, match="digest=False"):
        drive(upload.digest())
    with pytest.raises(errors.Unsupported, match="digest=False"):
        drive(upload.commit(len(_LARGE), _SHA256))
    assert not store.exists("a")
    drive(upload.commit(len(_LARGE)))
    assert store.read("a") == _LARGE


def test_a_digest_named_before_is_checked_all_the_same(store: holdall.DataStore) -> None:
    with pytest.raises(errors.Corrupt, match="SHA-256"):
        store.write("a", _pieces(), sha256="0" * 64)
    with pytest.raises(errors.Corrupt, match="MD5"):
        store.write("a", _pieces(), content_md5="0" * 32)
    assert not store.exists("a")
    store.write("a", _pieces(), sha256=_SHA256)
    assert store.stat("a").sha256 == _SHA256


def test_a_digest_is_known_between_two_parts(store: holdall.DataStore) -> None:
    with store.upload("a") as upload:
        for end in (10, _PART, _PART + 1, 2 * _PART, len(_LARGE)):
            upload.write(_LARGE[upload.offset : end])
            assert upload.digest() == hashlib.sha256(_LARGE[:end]).hexdigest()
        upload.commit(len(_LARGE), _SHA256)


def test_who_goes_on_with_a_stream_can_check_it(store: holdall.DataStore) -> None:
    def broken() -> Iterator[bytes]:
        yield _LARGE[: 2 * _PART]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write("a", broken())
    (info,) = store.uploads()
    with store.upload("a", resume=info.id) as again:
        again.write(_LARGE)
        with pytest.raises(errors.Corrupt):
            again.commit(len(_LARGE), "0" * 64)
        again.commit(len(_LARGE), _SHA256)
    assert store.read("a") == _LARGE


# What goes wrong on the way


def test_the_error_of_a_part_comes_out_of_the_next_write(store: holdall.DataStore) -> None:
    parts = Parts(store)
    parts.failing = {1}
    with store.upload("a") as upload:
        upload.write(_LARGE[:_PART])
        with pytest.raises(errors.Unavailable):
            upload.write(_LARGE[_PART : 2 * _PART])
        upload.write(_LARGE[upload.offset :])
        upload.commit(len(_LARGE), _SHA256)
    assert parts.seen[:2] == ["failed 1", "part 1"]
    assert store.read("a") == _LARGE


def test_the_error_of_a_part_comes_out_of_the_commit(store: holdall.DataStore) -> None:
    parts = Parts(store)
    parts.failing = {3, 4}
    with store.upload("a") as upload:
        upload.write(_LARGE)
        for _ in range(2):
            with pytest.raises(errors.Unavailable):
                upload.commit(len(_LARGE), _SHA256)
            assert not store.exists("a")
        upload.commit(len(_LARGE), _SHA256)
    assert store.read("a") == _LARGE


def test_an_abort_waits_for_the_part_on_its_way(
    store: holdall.DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts(store)
    parts.released.clear()

    def noted(*arguments: Any) -> Any:
        parts.released.set()
        return wait(*arguments)

    monkeypatch.setattr("holdall.objects.backends.cloud.sending.wait", noted)
    upload = store.upload("a")
    upload.write(_LARGE[:_PART])
    parts.begun.wait()
    upload.abort()
    assert parts.seen == ["part 1", "drop"]
    assert list(store.uploads()) == []


def test_ctrl_c_sends_no_other_part(store: holdall.DataStore) -> None:
    parts = Parts(store)

    def interrupted() -> Iterator[bytes]:
        yield from _pieces(_LARGE[: 2 * _PART])
        yield bytes(_PART - 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write("a", interrupted())
    assert parts.seen == ["part 1", "part 2"]
    assert [info.offset for info in store.uploads()] == [2 * _PART]


def test_a_cancelled_task_ends_with_the_part_on_its_way(open_cloud: Open) -> None:
    place = open_cloud(part_size=_PART).store

    async def cancel() -> list[str]:
        store = AsyncDataStore(type(place).open(place.settings, LoopRuntime()))
        parts = Parts(store)
        parts.released.clear()
        task = asyncio.create_task(store.write("a", _pieces()))
        await asyncio.to_thread(parts.begun.wait)
        task.cancel()
        await asyncio.sleep(0)
        parts.released.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        return list(parts.seen)

    assert asyncio.run(cancel()) == ["part 1"]


# Copies from elsewhere


def test_a_large_object_keeps_the_digest_that_its_source_had(store: holdall.DataStore) -> None:
    source = holdall.open("memory://digests")
    source.write("a", _LARGE, sha256=_SHA256)
    assert transfer.sync(source, store).copied == 1
    assert store.stat("a").sha256 == _SHA256
    assert store.read("a") == _LARGE
