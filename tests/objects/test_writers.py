"""Streams that go wrong on the way in or out: nothing torn is ever published."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import socket
from typing import TYPE_CHECKING

import pytest

import holdall
from holdall.core.errors import Corrupt, LimitExceeded, NotFound, Unavailable
from holdall.objects import writer as writer_module
from holdall.objects.backends.local.uploads import LocalUpload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from holdall.objects.contract import Data

LARGE = bytes(2 * 1024 * 1024)


@pytest.fixture
def store(tmp_path: Path) -> holdall.DataStore:
    """A store with an object that must survive."""
    opened = holdall.open(tmp_path / "store")
    opened.write("a", b"old")
    return opened


@pytest.fixture
def failing_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The first bytes that reach an upload are lost with an error; later ones arrive."""
    write = LocalUpload.write
    failures = [Unavailable("the disk is full")]

    async def fail(self: LocalUpload, data: Data) -> None:
        if failures:
            raise failures.pop()
        await write(self, data)

    monkeypatch.setattr(LocalUpload, "write", fail)
    return iter(())


@pytest.fixture(params=["abort", "close"])
def failing_end(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What ends an upload does so, and fails with an error of ours."""
    name: str = request.param
    end = getattr(LocalUpload, name)

    async def fail(self: LocalUpload) -> None:
        await end(self)
        raise Unavailable("the service is gone")

    monkeypatch.setattr(LocalUpload, name, fail)
    return name


ENDED = ["what ends it failed too: Unavailable: the service is gone"]


@pytest.mark.usefixtures("failing_end")
def test_a_stream_that_fails_raises_its_own_error_whatever_the_end_does(
    store: holdall.DataStore,
) -> None:
    with pytest.raises(Corrupt, match="more than the 6 announced bytes") as caught:
        store.write("a", iter([b"12345", b"678"]), size=6)
    assert caught.value.__notes__ == ENDED


@pytest.mark.usefixtures("failing_end")
def test_an_error_in_a_block_is_raised_whatever_the_end_does(store: holdall.DataStore) -> None:
    with pytest.raises(ZeroDivisionError) as caught, store.open_writer("a") as writer:
        writer.write(b"half")
        raise ZeroDivisionError
    assert caught.value.__notes__ == ENDED
    assert store.read("a") == b"old"


@pytest.mark.usefixtures("failing_end")
def test_a_commit_that_fails_raises_its_own_error_whatever_the_end_does(
    store: holdall.DataStore,
) -> None:
    with pytest.raises(holdall.errors.AlreadyExists) as caught:
        with store.open_writer("a", if_none_match="*") as writer:
            writer.write(b"new")
    assert caught.value.__notes__ == ENDED


def test_an_abort_that_fails_closes_the_upload_too(
    store: holdall.DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def failing(name: str) -> None:
        async def fail(self: LocalUpload) -> None:
            done.append(name)
            raise Unavailable(name)

        monkeypatch.setattr(LocalUpload, name, fail)

    writer = store.open_writer("a")
    failing("abort")
    failing("close")
    with pytest.raises(Unavailable, match="abort"):
        writer.abort()
    assert done == ["abort", "close"]


def test_an_error_in_the_block_of_an_upload_is_raised_whatever_its_close_does(
    store: holdall.DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: LocalUpload) -> None:
        raise Unavailable("the service is gone")

    monkeypatch.setattr(LocalUpload, "close", fail)
    with pytest.raises(ZeroDivisionError) as caught, store.upload("a"):
        raise ZeroDivisionError
    assert caught.value.__notes__ == ENDED


def test_a_close_of_an_upload_that_fails_after_nothing_else_is_raised(
    store: holdall.DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: LocalUpload) -> None:
        raise Unavailable("the service is gone")

    monkeypatch.setattr(LocalUpload, "close", fail)
    with pytest.raises(Unavailable, match="gone"), store.upload("a"):
        pass


def test_an_error_of_others_at_the_end_is_noted_by_its_type_alone(
    store: holdall.DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def chunks(source: object, runtime: object) -> AsyncIterator[bytes]:
        try:
            yield b"12345678"
        finally:
            raise RuntimeError("the password is sesame")

    monkeypatch.setattr(writer_module, "chunks_of", chunks)
    with pytest.raises(Corrupt, match="6 announced bytes") as caught:
        store.write("a", iter([]), size=6)
    assert caught.value.__notes__ == ["what ends it failed too: RuntimeError"]


@pytest.mark.usefixtures("failing_once")
def test_a_writer_that_failed_publishes_nothing_at_its_end(store: holdall.DataStore) -> None:
    with pytest.raises(Corrupt, match="a write failed before"):
        with store.open_writer("a") as writer:
            with pytest.raises(Unavailable):
                writer.write(LARGE)
            writer.write(b"the rest")
    assert store.read("a") == b"old"
    assert list(store.uploads()) == []


@pytest.mark.usefixtures("failing_once")
def test_a_close_after_a_failure_publishes_nothing(store: holdall.DataStore) -> None:
    writer = store.open_writer("a")
    writer.write(b"small")
    with pytest.raises(Unavailable):
        writer.flush()
    with pytest.raises(Corrupt):
        writer.close()
    assert writer.closed
    assert store.read("a") == b"old"


def test_a_refused_digest_publishes_nothing_at_the_end(store: holdall.DataStore) -> None:
    with pytest.raises(Corrupt), store.open_writer("a") as writer:
        writer.write(b"other")
        with pytest.raises(Corrupt):
            writer.commit(sha256="0" * 64)
    assert store.read("a") == b"old"


def test_an_exception_inside_a_text_wrapper_publishes_nothing(store: holdall.DataStore) -> None:
    with pytest.raises(RuntimeError):
        with store.open_writer("a") as file, io.TextIOWrapper(file, "utf-8") as text:
            text.write("half")
            raise RuntimeError
    assert store.read("a") == b"old"


def test_text_goes_through_a_wrapper(store: holdall.DataStore) -> None:
    with store.open_writer("a") as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        csv.writer(text).writerows([["ü", 1], ["b", 2]])
    assert store.read("a").decode() == "ü,1\r\nb,2\r\n"


def test_a_close_inside_a_block_ends_the_writing_and_the_block_publishes(
    store: holdall.DataStore,
) -> None:
    with store.open_writer("a") as writer:
        writer.writelines([b"n", b"ew"])
        writer.close()
        assert store.read("a") == b"old"
        with pytest.raises(ValueError, match="closed"):
            writer.write(b"more")
    assert store.read("a") == b"new"


def test_a_cancelled_write_publishes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with holdall.open_async(str(tmp_path)) as store:
            await store.write("a", b"old")
            with pytest.raises(Corrupt):
                async with await store.open_writer("a") as writer:
                    task = asyncio.create_task(writer.write(LARGE * 16))
                    await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    await writer.write(b"tail")
            assert await store.read("a") == b"old"

    asyncio.run(main())


def test_a_reader_that_does_not_wait_is_no_end(store: holdall.DataStore) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, b"first half")
    with open(reading, "rb", buffering=0) as pipe, pytest.raises(BlockingIOError):
        store.write("a", pipe)
    os.close(writing)
    assert store.read("a") == b"old"


def test_a_writer_that_takes_little_gets_everything(store: holdall.DataStore) -> None:
    class Slow(io.RawIOBase):
        taken = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Data, /) -> int:  # type: ignore[override]
            self.taken += bytes(data[:1000])
            return min(len(data), 1000)

    slow = Slow()
    store.write("long", bytes(range(250)) * 20)
    assert store.read_into("long", slow) == 5000
    assert slow.taken == bytes(range(250)) * 20


def test_too_long_a_stream_leaves_nothing_and_says_nothing_else(store: holdall.DataStore) -> None:
    with pytest.raises(Corrupt) as caught:
        store.write("a", iter([b"12345", b"678"]), size=6)
    assert not getattr(caught.value, "__notes__", [])
    assert list(store.uploads()) == []


@pytest.mark.parametrize(
    "place",
    [
        # Nobody is asked: nothing listens there.
        {"type": "s3", "bucket": "b", "endpoint": "http://127.0.0.1:1", "anonymous": True},
        {"type": "redis", "host": "127.0.0.1", "port": 1},
    ],
)
def test_more_than_the_store_takes_is_refused_before_the_first_byte(place: dict[str, str]) -> None:
    source = iter([b"never asked for"])
    store = holdall.open({**place, "check": False})
    with pytest.raises(LimitExceeded, match="max_object_bytes"):
        store.write("a", source, size=2**50)
    assert list(source)


def test_an_etag_that_was_not_there_is_no_wish_to_overwrite(store: holdall.DataStore) -> None:
    meta = next(store.walk())
    with pytest.raises(ValueError, match="etags=True"):
        store.write("a", b"new", if_match=meta.etag)
    assert store.read("a") == b"old"


def test_a_forked_child_does_not_end_its_parents_upload(store: holdall.DataStore) -> None:
    writer = store.open_writer("a")
    writer.write(LARGE)
    child = os.fork()
    if child == 0:
        writer.abort()
        os._exit(0)
    os.waitpid(child, 0)
    writer.close()
    assert store.size("a") == len(LARGE)


def test_keys_nested_as_deep_as_can_be_are_listed(tmp_path: Path) -> None:
    store = holdall.open({"type": "file", "path": tmp_path, "durable": False})
    deep = "a/" * 500 + "b"
    store.write(deep, b"")
    store.write("a/z", b"")
    assert list(store.list()) == [deep, "a/z"]
    assert store.list_directories() == ("a",)
    first = store.list_page(max_items=1)
    assert [meta.key for meta in store.list_page(cursor=first.token).objects] == ["a/z"]


def test_a_move_between_two_names_of_one_file_leaves_one(store: holdall.DataStore) -> None:
    os.link(store.full_path("a"), store.full_path("b"))
    store.move("a", "b")
    assert list(store.list()) == ["b"]
    assert store.read("b") == b"old"


def test_a_socket_is_no_object(store: holdall.DataStore) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        folder = os.getcwd()
        os.chdir(store.base_path)  # the path of a socket may have a hundred characters
        try:
            listening.bind("s")
        finally:
            os.chdir(folder)
    assert not store.exists("s")
    with pytest.raises(NotFound):
        store.read("s")


def test_a_delete_of_nothing_leaves_an_empty_folder_of_others(store: holdall.DataStore) -> None:
    os.mkdir(f"{store.base_path}/mine")
    store.delete("mine/none")
    assert os.path.isdir(f"{store.base_path}/mine")


def test_a_configuration_as_json_opens_the_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELSEWHERE", "/elsewhere")
    store = holdall.open(tmp_path / "a${ELSEWHERE}")
    again = holdall.open(json.loads(store.config_json()))
    assert again.root == store.root


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    store = holdall.open(tmp_path)
    store.write("a/b/c", b"")
    os.rename(tmp_path / "a" / "b", tmp_path / "a" / "x")
    os.symlink("x", tmp_path / "a" / "b")
    assert list(store.list()) == ["a/x/c"]
    with pytest.raises(holdall.errors.PermissionDenied, match="a/b: there is a symbolic link"):
        list(store.list("a/b"))


def test_an_object_that_was_changed_in_place_says_so(store: holdall.DataStore) -> None:
    assert not store.stat("a").changed
    with open(store.full_path("a"), "r+b") as file:
        file.write(b"x")
    meta = store.stat("a")
    assert meta.changed
    assert meta.sha256 is None
