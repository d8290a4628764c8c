"""What a large write leaves, and what it tells, when its clean-up cannot be done."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

import holdall
from holdall import errors
from holdall.objects.backends.cloud import http

Open = Callable[..., holdall.DataStore]
_PART = 5 * 1024 * 1024
_LARGE = b"".join(bytes([number]) * _PART for number in range(2)) + b"end"


class Network:
    """Stands before the requests of our own, and goes away in the middle of an upload."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = False
        self.ends_with: str | None = None
        self._send = http.Http.send

        def send(pool: http.Http, *arguments: Any) -> Any:
            return self.send(pool, *arguments)

        monkeypatch.setattr(http.Http, "send", send)

    def send(self, pool: http.Http, method: str, url: str, headers: Any, *more: Any) -> Any:
        if self.away:
            raise errors.Unavailable("no connection could be made")
        if self.ends_with == "part" and more and len(more[0]) >= _PART:
            self.away = True
            raise errors.Unavailable("the part broke off")
        answer = self._send(pool, method, url, headers, *more)
        if self.ends_with in {"reply", "object"} and _is_last(method, url, headers):
            self.away = True
            if self.ends_with == "reply":
                lost = errors.Unavailable("the connection broke off")
                lost.uncertain = True
                raise lost
        return answer


def _is_last(method: str, url: str, headers: Any) -> bool:
    """Whether a request makes the parts the object."""
    return (
        (method == "POST" and "uploadId=" in url)
        or "x-ms-copy-source" in headers
        or url.partition("?")[0].endswith("/compose")
    )


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    return Network(monkeypatch)


@pytest.fixture
def store(open_cloud: Open, network: Network) -> holdall.DataStore:
    return open_cloud(part_size=_PART, single_size=_PART)


def _pieces() -> Iterator[bytes]:
    for at in range(0, len(_LARGE), 1024 * 1024):
        yield _LARGE[at : at + 1024 * 1024]


def _staged(store: holdall.DataStore) -> list[str]:
    """What is left of uploads in the container."""
    service: Any = store.backend.service  # type: ignore[attr-defined]
    page = service.page(store.root, ".holdall/uploads/", False, 1000, None)
    return [known.key for known in page.found]


def _write(store: holdall.DataStore, streamed: bool, **options: Any) -> Any:
    return store.write("a", _pieces() if streamed else _LARGE, **options)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_lost_reply_is_told_also_when_nothing_can_be_cleaned_up(
    store: holdall.DataStore, network: Network, streamed: bool
) -> None:
    network.ends_with = "reply"
    with pytest.raises(errors.Unavailable, match="may have been applied") as caught:
        _write(store, streamed, if_none_match="*")
    assert caught.value.uncertain
    assert not caught.value.transient
    assert any("still there" in note or "staged" in note for note in caught.value.__notes__)
    network.away = False
    assert store.read("a") == _LARGE


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("options", [{}, {"if_none_match": "*"}])
def test_a_write_that_is_done_is_done_although_nothing_can_be_cleaned_up(
    store: holdall.DataStore,
    network: Network,
    streamed: bool,
    options: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    network.ends_with = "object"
    meta = _write(store, streamed, **options)
    assert meta.size == len(_LARGE)
    assert "is written; its upload" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    network.away, network.ends_with = False, None
    assert store.read("a") == _LARGE
    assert store.stat("a").etag == meta.etag


@pytest.mark.parametrize("open_kept", ["open_azure", "open_google"])
@pytest.mark.parametrize("ends_with", ["object", "reply", "part"])
def test_what_could_not_be_cleaned_up_is_found_and_purged(
    request: pytest.FixtureRequest, network: Network, open_kept: str, ends_with: str
) -> None:
    store = request.getfixturevalue(open_kept)(part_size=_PART, single_size=_PART)
    network.ends_with = ends_with
    with suppress(errors.Unavailable):
        store.write("a", _LARGE, if_none_match="*")
    network.away, network.ends_with = False, None
    assert [info.key for info in store.uploads()] == ["a"]
    assert store.purge_uploads(timedelta(0)) == 1
    assert _staged(store) == []


def test_a_part_that_failed_is_told_when_nothing_can_be_cleaned_up(
    store: holdall.DataStore, network: Network
) -> None:
    network.ends_with = "part"
    with pytest.raises(errors.Unavailable, match="the part broke off") as caught:
        store.write("a", _LARGE)
    assert any("still there" in note for note in caught.value.__notes__)
    network.away, network.ends_with = False, None
    assert not store.exists("a")
    (left,) = store.uploads()
    assert left.key == "a"
    assert store.purge_uploads(timedelta(0)) == 1
    assert _staged(store) == []


def test_a_note_that_failed_is_told_when_nothing_can_be_cleaned_up(
    store: holdall.DataStore, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def put(*_: Any) -> Any:
        network.away = True
        raise errors.Unavailable("the note broke off")

    monkeypatch.setattr("holdall.objects.backends.cloud.writing.Writer.put", put)
    with pytest.raises(errors.Unavailable, match="the note broke off"):
        store.write("a", _LARGE)


def test_the_lost_reply_of_a_copy_that_creates_is_told_when_nothing_can_be_cleaned_up(
    open_s3: Open, network: Network
) -> None:
    store = open_s3()
    store.write("a", b"data")
    network.ends_with = "reply"
    with pytest.raises(errors.Unavailable, match="may have been applied") as caught:
        store.copy("a", "b", if_none_match="*")
    assert caught.value.uncertain
    network.away = False
    assert store.read("b") == b"data"
