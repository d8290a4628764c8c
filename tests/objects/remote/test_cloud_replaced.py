"""Reads of an object that another program replaces between two requests of one call."""

from collections.abc import Callable
from typing import Any

import pytest

import holdall
from holdall import errors
from holdall.core.runtime.blocking import drive
from holdall.objects.options import GetOptions
from holdall.objects.results import ObjectMeta
from serving.clouds import GoogleServer

Open = Callable[..., holdall.DataStore]

_MEGABYTE = 1024 * 1024
_LARGE = 33 * _MEGABYTE  # read by several requests


def _service(store: holdall.DataStore) -> Any:
    return store.backend.service  # type: ignore[attr-defined]


def _after(place: Any, name: str, *actions: Callable[[], object]) -> None:
    """Let something happen after the first call of a method, the second one, and so on."""
    method, left = getattr(place, name), list(actions)

    def hooked(*given: Any) -> Any:
        found = method(*given)
        if left:
            left.pop(0)()
        return found

    setattr(place, name, hooked)


def _before(place: Any, name: str, action: Callable[[], object]) -> None:
    """Let something happen before the first call of a method."""
    method, left = getattr(place, name), [action]

    def hooked(*given: Any) -> Any:
        if left:
            left.pop()()
        return method(*given)

    setattr(place, name, hooked)


# Ranges that begin at the end


@pytest.mark.parametrize("size", [500, 996, 5000])
def test_the_last_bytes_are_those_of_one_object(open_azure: Open, size: int) -> None:
    with open_azure() as store, open_azure() as other:
        other.write("a", b"x" * 992 + b"TAILTAIL")
        replaced = b"y" * (size - 8) + b"tailtail"
        _after(_service(store), "head", lambda: other.write("a", replaced))
        assert store.read("a", start=-8) == b"tailtail"


@pytest.mark.parametrize("size", [3 * _MEGABYTE, 5 * _MEGABYTE])
def test_a_stream_of_the_last_bytes_is_of_one_object(open_azure: Open, size: int) -> None:
    with open_azure() as store, open_azure() as other:
        other.write("a", b"x" * 4 * _MEGABYTE)
        replaced = b"y" * (size - 2 * _MEGABYTE) + b"z" * 2 * _MEGABYTE
        _after(_service(store), "head", lambda: other.write("a", replaced))
        assert b"".join(store.stream("a", start=-2 * _MEGABYTE)) == b"z" * 2 * _MEGABYTE


@pytest.mark.parametrize("size", [500, 996])
def test_a_range_that_begins_at_the_end_is_of_one_object(open_cloud: Open, size: int) -> None:
    with open_cloud() as store, open_cloud() as other:
        other.write("a", b"x" * 992 + b"TAILTAIL")
        replaced = b"y" * (size - 8) + b"tailtail"
        _after(_service(store), "head", lambda: other.write("a", replaced))
        assert store.read("a", start=-8, end=996) == b"tailtail"


def test_the_last_bytes_have_the_etag_that_was_asked_for(open_azure: Open) -> None:
    with open_azure() as store, open_azure() as other:
        etag = other.write("a", b"x" * 1000).etag
        _after(_service(store), "head", lambda: other.write("a", b"y" * 5000))
        with pytest.raises(errors.PreconditionFailed, match="has changed"):
            store.read("a", start=-8, if_match=etag)


def test_an_object_that_never_rests_is_an_error_that_passes(open_azure: Open) -> None:
    with open_azure() as store, open_azure() as other:
        other.write("a", b"x" * 1000)
        changes = [lambda size=size: other.write("a", b"y" * size) for size in range(1001, 1100)]
        _after(_service(store), "head", *changes)
        with pytest.raises(errors.Unavailable, match="replaced faster") as caught:
            store.read("a", start=-8)
        assert caught.value.transient
        assert other.size("a") == 1020


# Ranges that the object did not have


@pytest.mark.parametrize("start", [0, 2000])
def test_a_range_of_an_object_that_has_grown_has_its_bytes(open_cloud: Open, start: int) -> None:
    with open_cloud() as store, open_cloud() as other:
        other.write("a", b"x" * 1000 if start else b"")
        _before(_service(store), "head", lambda: other.write("a", b"y" * 5000))
        assert store.read("a", start=start, end=start + 8) == b"y" * 8


def test_a_range_of_nothing_has_the_etag_that_was_asked_for(open_cloud: Open) -> None:
    with open_cloud() as store, open_cloud() as other:
        etag = other.write("a", b"").etag
        assert store.read("a", end=8, if_match=etag) == b""
        _before(_service(store), "head", lambda: other.write("a", b"y" * 5000))
        with pytest.raises(errors.PreconditionFailed, match="has changed"):
            store.read("a", end=8, if_match=etag)


# Tags


def _named(store: holdall.DataStore, name: str) -> None:
    store.write("a", name.encode() * 9, metadata={"of": name}, tags={"of": name})


def _got(store: holdall.DataStore, options: GetOptions) -> tuple[bytes, ObjectMeta]:
    stream = drive(store.store.get(store.reference("a"), options))
    return drive(stream.read_all()), stream.meta


@pytest.mark.parametrize("start", [0, -8])
@pytest.mark.parametrize("call", ["tags", "head"])
def test_a_body_has_the_tags_of_its_own_write(open_cloud: Open, call: str, start: int) -> None:
    with open_cloud() as store, open_cloud() as other:
        _named(other, "old")
        _before(_service(store), call, lambda: _named(other, "new"))
        body, meta = _got(store, GetOptions(start=start, tags=True))
        assert meta.tags == meta.metadata
        assert meta.tags == {"of": body[-3:].decode()}


@pytest.mark.parametrize("call", ["tags", "head"])
def test_what_is_known_of_an_object_has_the_tags_of_its_own_write(
    open_cloud: Open, call: str
) -> None:
    with open_cloud() as store, open_cloud() as other:
        _named(other, "old")
        _after(_service(store), call, lambda: _named(other, "new"))
        meta = store.stat("a", tags=True)
        assert meta.tags == meta.metadata


def test_a_body_with_the_tags_of_another_write_is_refused_by_its_etag(open_cloud: Open) -> None:
    with open_cloud() as store, open_cloud() as other:
        _named(other, "old")
        etag = other.stat("a").etag
        _before(_service(store), "tags", lambda: _named(other, "new"))
        if store.type == "gs":  # has them with the body
            assert _got(store, GetOptions(if_match=etag, tags=True))[1].tags == {"of": "old"}
        else:
            with pytest.raises(errors.PreconditionFailed, match="has changed"):
                _got(store, GetOptions(if_match=etag, tags=True))


@pytest.mark.parametrize("options", [GetOptions(end=8, tags=True), GetOptions(tags=True)])
def test_an_object_without_bytes_has_its_tags(open_cloud: Open, options: GetOptions) -> None:
    with open_cloud() as store:
        store.write("a", b"", tags={"t": "v"})
        body, meta = _got(store, options)
        assert (body, meta.tags) == (b"", {"t": "v"})


def test_tags_of_an_object_that_never_rests_are_an_error(open_azure: Open) -> None:
    with open_azure() as store, open_azure() as other:
        _named(other, "0")
        changes = [lambda name=str(number): _named(other, name) for number in range(50)]
        _after(_service(store), "tags", *changes)
        for ask in (
            lambda: _got(store, GetOptions(tags=True)),
            lambda: store.stat("a", tags=True),
        ):
            with pytest.raises(errors.Unavailable, match="replaced faster"):
                ask()


# Large bodies


def _read_large(store: holdall.DataStore, change: Callable[[], object]) -> bytes:
    """Read an object in parts, and let something happen before the first of them is asked for."""
    container: Any = store.backend._container  # type: ignore[attr-defined]
    _before(container, "get", change)
    return store.read("a")


@pytest.mark.parametrize("size", [_LARGE, 3])
def test_a_large_object_that_is_replaced_while_it_is_read_is_a_failed_condition(
    open_cloud: Open, size: int
) -> None:
    with open_cloud(workers=2) as store, open_cloud() as other:
        other.write("a", b"x" * _LARGE)
        with pytest.raises(errors.PreconditionFailed, match="has changed"):
            _read_large(store, lambda: other.write("a", b"y" * size))


def test_a_large_object_that_is_deleted_while_it_is_read_is_missing(open_cloud: Open) -> None:
    with open_cloud(workers=2) as store, open_cloud() as other:
        other.write("a", b"x" * _LARGE)
        with pytest.raises(errors.NotFound):
            _read_large(store, lambda: other.delete("a"))


# Buckets that keep what was replaced


@pytest.fixture
def open_keeping(open_google: Open, google_server: GoogleServer) -> Open:
    """Opens a bucket that keeps the generations that were replaced or deleted."""
    bucket = google_server.make_container("keeping", versioned=True)
    return lambda: open_google(bucket=bucket)


@pytest.mark.parametrize("span", [{}, {"start": 1}, {"start": -2}, {"start": -3, "end": 2}])
def test_an_etag_is_not_that_of_what_the_bucket_keeps(
    open_keeping: Open, span: dict[str, int]
) -> None:
    with open_keeping() as store:
        old = store.write("a", b"old").etag
        assert store.read("a", if_match=old, **span) == b"old"[slice(*_ends(span))]
        new = store.write("a", b"new").etag
        with pytest.raises(errors.PreconditionFailed, match="has changed"):
            store.read("a", if_match=old, **span)
        assert store.read("a", if_match=new, **span) == b"new"[slice(*_ends(span))]
        store.delete("a")
        with pytest.raises(errors.NotFound):
            store.read("a", if_match=new, **span)


def _ends(span: dict[str, int]) -> tuple[int | None, int | None]:
    return span.get("start"), span.get("end")


def test_a_reader_that_seeks_finds_no_object_that_the_bucket_keeps(open_keeping: Open) -> None:
    with open_keeping() as store:
        store.write("a", b"x" * 3 * _MEGABYTE)
        with store.open_reader("a") as reader:
            store.write("a", b"y" * 3 * _MEGABYTE)
            reader.seek(2 * _MEGABYTE)
            with pytest.raises(errors.PreconditionFailed, match="has changed"):
                reader.read()
