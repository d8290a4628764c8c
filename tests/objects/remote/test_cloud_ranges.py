"""Ranges of objects that have no bytes, and ranges that a service answers with other bytes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import holdall
from faulty import HttpProxy
from holdall.core.errors import InvalidRange, LimitExceeded, PreconditionFailed, Unavailable
from holdall.objects.backends.cloud.container import Container
from serving.clouds import S3Server

Open = Callable[..., holdall.DataStore]

_MEGABYTE = 1024 * 1024
_STAMPS = {"ETag": '"etag"', "Last-Modified": "Sun, 22 Nov 2026 01:00:00 GMT"}


@pytest.fixture
def proxy(versity_server: S3Server) -> Iterator[HttpProxy]:
    with HttpProxy(versity_server.running.port) as relaying:
        yield relaying


@pytest.mark.parametrize("opener", ["open_s3", "open_moto", "open_azure", "open_google"])
@pytest.mark.parametrize("start", [-1, -5])
def test_the_last_bytes_of_an_empty_object_are_not_in_it(
    opener: str, start: int, request: pytest.FixtureRequest
) -> None:
    with request.getfixturevalue(opener)() as store:
        store.write("empty", b"")
        with pytest.raises(InvalidRange):
            store.read("empty", start=start)


def test_what_a_service_sends_beyond_a_range_is_cut(open_s3: Open, proxy: HttpProxy) -> None:
    with open_s3(endpoint=proxy.endpoint) as store:
        said = {**_STAMPS, "Content-Range": "bytes 2-5/10"}
        proxy.answer(206, bytes(5 * _MEGABYTE), headers=said, path="lied")
        assert store.read("lied", start=2, end=6, max_size=4) == bytes(4)


def test_a_range_that_comes_short_is_an_error(open_s3: Open, proxy: HttpProxy) -> None:
    with open_s3(endpoint=proxy.endpoint) as store:
        said = {**_STAMPS, "Content-Range": "bytes 2-5/10"}
        proxy.answer(206, b"two", headers=said, path="lied")
        with pytest.raises(Unavailable, match="ended 1 bytes early"):
            store.read("lied", start=2, end=6)


def test_what_a_service_sends_of_an_object_with_another_etag_is_refused(
    open_s3: Open, proxy: HttpProxy
) -> None:
    with open_s3(endpoint=proxy.endpoint) as store:
        said = {**_STAMPS, "Content-Range": "bytes 2-5/10"}
        proxy.answer(206, b"four", headers=said, path="lied", times=2)
        assert store.read("lied", start=2, end=6, if_match="etag") == b"four"
        with pytest.raises(PreconditionFailed, match="has changed"):
            store.read("lied", start=2, end=6, if_match="other")


@pytest.mark.parametrize("size", [2, _MEGABYTE, _MEGABYTE + 1])
def test_a_limit_lets_a_whole_object_through_that_fits_it_to_the_byte(
    open_s3: Open, size: int
) -> None:
    with open_s3() as store:
        store.write("a", bytes(size))
        assert store.read("a", max_size=size) == bytes(size)
        with pytest.raises(LimitExceeded, match=f"{size} bytes to read"):
            store.read("a", max_size=size - 1)


class _Altered:
    """The driver's answer to one part, with other bytes than it had."""

    def __init__(self, answer: Any, alter: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._alter = alter
        self.bytes_async = answer.bytes_async

    def bytes(self) -> bytes:
        return self._alter(bytes(self._answer.bytes()))


@pytest.mark.parametrize("alter", [lambda data: data[:-1], lambda data: data + b"x"])
def test_a_part_of_a_large_body_must_have_its_size(
    open_s3: Open, monkeypatch: pytest.MonkeyPatch, alter: Callable[[bytes], bytes]
) -> None:
    get = Container.get

    def altered(container: Container, key: str, wanted: Any) -> Any:
        answer = get(container, key, wanted)
        return _Altered(answer, alter) if wanted and "range" in wanted else answer

    with open_s3() as store:
        store.write("large", bytes(33 * _MEGABYTE))
        monkeypatch.setattr(Container, "get", altered)
        with pytest.raises(Unavailable, match="were announced"):
            store.read("large")
