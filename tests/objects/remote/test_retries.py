"""Retries over a real S3 server, with a network between them that fails."""

from __future__ import annotations

import email.utils
import os
import time
from typing import TYPE_CHECKING

import pytest

from faulty import HttpProxy
from holdall import errors
from holdall.objects.layers.resilience import ResilientConfig, resilient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdall import DataStore
    from objects.remote.conftest import Open
    from servers import S3Server

DATA = os.urandom(5 * 1024 * 1024)
AT_ONCE = ResilientConfig(retry_delay=0, max_failures=100)


@pytest.fixture
def proxy(versity_server: S3Server) -> Iterator[HttpProxy]:
    with HttpProxy(versity_server.running.port) as proxy:
        yield proxy


@pytest.fixture
def plain(open_s3: Open, proxy: HttpProxy) -> Iterator[DataStore]:
    with open_s3(endpoint=proxy.endpoint, layers=[], probe=False) as store:
        yield store


@pytest.fixture
def store(plain: DataStore) -> DataStore:
    return resilient(plain, AT_ONCE)


@pytest.mark.parametrize("reading", ["read", "stream"])
def test_a_read_that_is_cut_goes_on_where_it_was(
    store: DataStore, proxy: HttpProxy, reading: str
) -> None:
    etag = store.write("a", DATA).etag
    proxy.forget()
    for after in (3_000_000, 500_000):
        proxy.cut_reply(after, method="GET", reset=True)
    data = store.read("a") if reading == "read" else b"".join(store.stream("a"))
    assert data == DATA
    opened = proxy.found("GET")
    assert len(opened) == 3
    assert {again.header("if-match") for again in opened[1:]} == {f'"{etag}"'}


def test_a_stream_that_is_cut_is_not_read_from_its_beginning(
    store: DataStore, proxy: HttpProxy
) -> None:
    store.write("a", DATA)
    proxy.forget()
    proxy.cut_reply(4_500_000, method="GET", reset=True)
    assert b"".join(store.stream("a")) == DATA
    again = proxy.found("GET")[1].header("range")
    assert again is not None
    start, _, end = again.removeprefix("bytes=").partition("-")
    assert 0 < int(start) <= 4_500_000
    assert int(end) == len(DATA) - 1


def test_an_object_that_is_replaced_while_it_is_read_is_an_error(
    store: DataStore, proxy: HttpProxy
) -> None:
    store.write("a", DATA)
    proxy.cut_reply(3_000_000, method="GET", reset=True)
    chunks = store.stream("a", chunk_size=65536)
    next(chunks)
    store.write("a", DATA[::-1])
    with pytest.raises(errors.PreconditionFailed, match="replaced or deleted while it was read"):
        list(chunks)


@pytest.mark.parametrize("operation", ["read", "write", "stat", "list", "delete"])
def test_what_a_busy_service_refuses_is_asked_again(
    store: DataStore, proxy: HttpProxy, operation: str
) -> None:
    store.write("a", b"data")
    proxy.forget()
    proxy.answer(503, times=2)
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: store.read("a"),
        "write": lambda: store.write("a", b"data"),
        "stat": lambda: store.stat("a"),
        "list": lambda: list(store.list()),
        "delete": lambda: store.delete("a"),
    }
    calls[operation]()
    assert len(proxy.requests) == 3


def test_a_write_whose_reply_is_lost_is_written_again(store: DataStore, proxy: HttpProxy) -> None:
    proxy.lose_reply(method="PUT", reset=True)
    store.write("a", b"data")
    assert len(proxy.found("PUT")) == 2
    assert store.read("a") == b"data"


def test_a_conditional_write_whose_reply_is_lost_says_that_it_may_be_there(
    store: DataStore, proxy: HttpProxy
) -> None:
    proxy.lose_reply(method="PUT", reset=True)
    with pytest.raises(errors.Unavailable, match="may have been applied") as lost:
        store.write("a", b"data", if_none_match="*")
    assert lost.value.uncertain
    assert len(proxy.found("PUT")) == 1


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("soon", None),
        ("Thu, 29 Feb 2024 12:34:56 GMT", 0.0),
    ],
)
def test_an_error_knows_when_the_service_wants_to_be_asked_again(
    plain: DataStore, proxy: HttpProxy, said: str, seconds: float | None
) -> None:
    proxy.answer(503, headers={"Retry-After": said})
    with pytest.raises(errors.Unavailable) as busy:
        list(plain.list())
    assert busy.value.retry_after == seconds


def test_an_error_knows_when_a_moment_was_named(plain: DataStore, proxy: HttpProxy) -> None:
    proxy.answer(
        503, headers={"Retry-After": email.utils.formatdate(time.time() + 3600, usegmt=True)}
    )
    with pytest.raises(errors.Unavailable) as busy:
        list(plain.list())
    assert busy.value.retry_after is not None
    assert 0 < busy.value.retry_after <= 3600
