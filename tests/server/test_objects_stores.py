"""Objects over HTTP from stores that are far away, large, slow or broken."""

import os
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import holdall
from holdall.core.errors import (
    CircuitOpen,
    Corrupt,
    HoldallError,
    LimitExceeded,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from server.objects_served import objects_served, requests_told
from servers import S3Server

MIB = 2**20


@pytest.fixture(scope="module")
def in_s3(versity_server: S3Server) -> Iterator[httpx.Client]:
    """A bucket behind a server."""
    place = {
        "type": "s3",
        "bucket": versity_server.make_container("served"),
        "prefix": "inner",
        "endpoint": versity_server.endpoint,
        "access_key": versity_server.access_key_id,
        "secret_key": versity_server.secret_access_key,
    }
    with objects_served(place) as client:
        yield client


@pytest.mark.parametrize("size", [0, 10, 11 * MIB])
def test_an_object_goes_to_s3_and_back(in_s3: httpx.Client, size: int) -> None:
    data = os.urandom(size)
    said = {"Content-Type": "text/csv", "X-Meta-Note": "caf%C3%A9 %0D%0A"}
    written = in_s3.put(f"up {size}%25", content=data, headers=said)
    assert written.status_code == 201, written.text
    read = in_s3.get(f"up {size}%25")
    assert read.content == data
    assert read.headers["etag"] == written.headers["etag"]
    assert [read.headers[name] for name in said] == list(said.values())


def test_ranges_and_conditions_reach_s3(in_s3: httpx.Client) -> None:
    etag = in_s3.put("ranges", content=bytes(range(100))).headers["etag"]
    asked = [("bytes=10-19", 206), ("bytes=-200", 206), ("bytes=-5", 206), ("bytes=100-", 416)]
    answers = [in_s3.get("ranges", headers={"Range": text}) for text, _ in asked]
    assert [answer.status_code for answer in answers] == [status for _, status in asked]
    assert answers[0].content == bytes(range(10, 20))
    assert in_s3.get("ranges", headers={"If-None-Match": etag}).status_code == 304
    assert in_s3.put("ranges", content=b"2", headers={"If-None-Match": "*"}).status_code == 412
    assert in_s3.put("ranges", content=b"2", headers={"If-Match": etag}).status_code == 204
    assert in_s3.put("ranges", content=b"3", headers={"If-Match": etag}).status_code == 412
    assert in_s3.delete("ranges", headers={"If-Match": etag}).status_code == 412


def test_an_empty_object_in_s3_has_no_range(in_s3: httpx.Client) -> None:
    in_s3.put("empty", content=b"")
    answers = [in_s3.get("empty", headers={"Range": text}) for text in ("bytes=0-", "bytes=-5")]
    assert [answer.status_code for answer in answers] == [416, 200]


def test_s3_is_listed_and_tidied(in_s3: httpx.Client) -> None:
    for key in ("list/a", "list/b/1", "list/c"):
        in_s3.put(key, content=b"x")
    page = in_s3.get("?prefix=list&delimiter=/&limit=2").json()
    assert ([one["key"] for one in page["objects"]], page["directories"]) == (
        ["list/a"],
        ["list/b"],
    )
    assert page["objects"][0]["etag"] == in_s3.head("list/a").headers["etag"]
    assert in_s3.delete("list/a").status_code == 204
    assert in_s3.get("list/a").status_code == 404


@pytest.mark.parametrize("token", ["nonsense", "%00", "x" * 3000])
def test_a_token_that_s3_does_not_know_is_no_fault_of_the_server(
    in_s3: httpx.Client, token: str
) -> None:
    assert in_s3.get(f"?token={token}").status_code in {200, 400}


def test_a_large_object_goes_both_ways_in_little_memory(tmp_path: Path) -> None:
    size, piece = 64 * MIB, bytes(256 * 1024)
    with objects_served(tmp_path.as_posix()) as ask:
        ask.get("warm")
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            sent = ask.put("large", content=(piece for _ in range(size // len(piece))))
            with ask.stream("GET", "large") as answer:
                came = sum(len(chunk) for chunk in answer.iter_raw())
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
    assert (sent.status_code, came) == (201, size)
    assert peak < 12 * MIB


def sparse(folder: Path, name: str, size: int) -> Path:
    """A file of a file store, which has no bytes on the disk."""
    path = folder / name
    path.touch()
    os.truncate(path, size)
    return path


def test_an_object_that_fails_half_way_is_no_whole_object(tmp_path: Path) -> None:
    path = sparse(tmp_path, "large", 64 * MIB)
    with objects_served(tmp_path.as_posix()) as ask, ask.stream("GET", "large") as answer:
        assert answer.headers["content-length"] == str(64 * MIB)
        os.truncate(path, MIB)
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()


def test_a_reader_keeps_the_object_that_it_was_told_of(tmp_path: Path) -> None:
    with objects_served(tmp_path.as_posix()) as ask:
        ask.put("large", content=b"1" * (32 * MIB))
        with ask.stream("GET", "large") as answer:
            ask.put("large", content=b"2")
            assert answer.read() == b"1" * (32 * MIB)
            assert answer.headers["etag"] != ask.head("large").headers["etag"]


def test_a_client_that_goes_away_ends_the_reading(tmp_path: Path) -> None:
    sparse(tmp_path, "large", 1024 * MIB)
    with objects_served(tmp_path.as_posix()) as ask, requests_told() as next_record:
        with ask.stream("GET", "large") as answer:
            next(answer.iter_raw())
        assert next_record().bytes < 1024 * MIB


def test_a_client_that_takes_nothing_is_cut(tmp_path: Path) -> None:
    sparse(tmp_path, "large", 1024 * MIB)
    served = objects_served(tmp_path.as_posix(), body_timeout=0.2)
    with served as ask, requests_told() as next_record:
        assert ask.base_url.port is not None
        with socket.create_connection((ask.base_url.host, ask.base_url.port)) as sock:
            sock.sendall(b"GET /objects/large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert "broken off" in next_record().getMessage()
        assert ask.get("never").status_code == 404


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Answers what serves a store whose every call raises an error; says what it is asked."""
    store = holdall.open_async("memory://")

    def fail(error: HoldallError) -> None:
        async def failed(*_: Any) -> Any:
            raise error

        for name in ("get", "head", "put", "list", "delete"):
            monkeypatch.setattr(store.store, name, failed, raising=True)

    with objects_served(store) as ask:
        yield fail, ask


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable("s3://inner/SECRET is away"), 503),
        (CircuitOpen("s3://inner/SECRET failed"), 503),
        (PermissionDenied("s3://inner/SECRET is not yours"), 502),
        (Unauthenticated("the key SECRET is none"), 502),
        (Unavailable("file:///inner/SECRET: no space left", transient=False), 502),
        (Unsupported("s3://inner/SECRET cannot"), 400),
        (LimitExceeded("s3://inner/SECRET is large"), 413),
    ],
)
def test_what_a_store_refuses_is_told_without_its_address(
    failing: Any, error: HoldallError, status: int
) -> None:
    fail, ask = failing
    fail(error)
    with requests_told() as next_record:
        answers = [ask.get("a"), ask.put("a", content=b"x"), ask.delete("a"), ask.get("")]
        told = next_record()
    assert [answer.status_code for answer in answers] == [status] * 4
    assert not [answer for answer in answers if "SECRET" in answer.text or "inner" in answer.text]
    if status in {502, 503}:
        assert answers[0].headers["x-request-id"] in answers[0].text
        assert told.request == answers[0].headers["x-request-id"]
        assert told.exc_info[1] is error
    if status == 503:
        assert int(answers[0].headers["retry-after"]) >= 1


def test_a_store_says_when_to_come_back(failing: Any) -> None:
    fail, ask = failing
    error = Unavailable("slow down")
    error.retry_after = 16.5
    fail(error)
    assert ask.get("a").headers["retry-after"] == "17"


def test_a_write_whose_answer_was_lost_is_told_as_that(failing: Any) -> None:
    fail, ask = failing
    error = Unavailable("lost")
    error.uncertain = True
    fail(error)
    assert "look first" in ask.put("a", content=b"x").text


def test_an_object_that_is_damaged_is_a_fault_of_the_store(failing: Any) -> None:
    fail, ask = failing
    fail(Corrupt("the bytes are others"))
    assert ask.get("a").status_code == 502


def test_a_key_beside_a_folder_is_409_where_keys_are_files(tmp_path: Path) -> None:
    with objects_served(tmp_path.as_posix()) as ask:
        ask.put("a/b", content=b"x")
        assert [ask.put(key, content=b"x").status_code for key in ("a", "a/b/c")] == [409, 409]


def test_a_link_out_of_the_store_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "store").mkdir()
    (tmp_path / "store/link").symlink_to(tmp_path / "outside")
    with objects_served((tmp_path / "store").as_posix()) as ask:
        answer = ask.get("link")
        assert answer.status_code in {404, 502}
        assert tmp_path.as_posix() not in answer.text
