"""A move in the clouds is a copy and a deletion: what comes between them loses nothing."""

import time
from collections.abc import Callable
from typing import Any

import pytest

import holdall
from holdall.core.errors import NotFound, PreconditionFailed, Unavailable
from holdall.core.runtime.blocking import drive
from holdall.objects.options import CopyOptions
from holdall.objects.transfer.crossing import copy_across
from servers import S3Server

Open = Callable[..., holdall.DataStore]


@pytest.fixture
def store(open_cloud: Open) -> holdall.DataStore:
    store = open_cloud(layers=[])
    store.write("a", b"data", metadata={"unit": "kW"})
    return store


def _before(
    store: holdall.DataStore, name: str, wanted: str, work: Callable[[], object]
) -> Callable[[], bool]:
    """Do something once, before the store asks a thing of a key; tells whether it was done."""
    service: Any = store.backend.service  # type: ignore[attr-defined]
    ask = getattr(service, name)
    done: list[bool] = []

    def asked(ref: Any, *rest: Any) -> Any:
        if ref.key.endswith(wanted) and not done:
            done.append(True)
            work()
        return ask(ref, *rest)

    setattr(service, name, asked)
    return lambda: bool(done)


def test_who_moves_to_the_same_place_a_moment_later_loses_nothing(
    store: holdall.DataStore, open_cloud: Open
) -> None:
    other = open_cloud(layers=[])
    between = _before(store, "delete_same", "a", lambda: other.move("a", "b"))
    with pytest.raises((NotFound, PreconditionFailed)) as caught:
        store.move("a", "b")
    assert between()
    assert any("a copy of what" in note for note in caught.value.__notes__)
    assert {key: store.read(key) for key in store.list()} == {"b": b"data"}


def test_a_move_whose_source_changed_leaves_the_copy(store: holdall.DataStore) -> None:
    store.write("b", b"was there")
    between = _before(store, "delete_same", "a", lambda: store.write("a", b"newer"))
    with pytest.raises(PreconditionFailed):
        store.move("a", "b")
    assert between()
    assert {key: store.read(key) for key in store.list()} == {"a": b"newer", "b": b"data"}


@pytest.mark.parametrize("change", ["copy", "move"])
def test_what_somebody_writes_over_the_copy_is_theirs(
    store: holdall.DataStore, change: str
) -> None:
    between = _before(store, "head", "b", lambda: store.write("b", b"theirs, and longer"))
    meta = getattr(store, change)("a", "b")
    assert between()
    assert (meta.key, meta.size, meta.metadata) == ("b", 4, {"unit": "kW"})
    assert store.read("b") == b"theirs, and longer"
    with pytest.raises(PreconditionFailed):
        store.write("b", b"mine", if_match=meta.etag)


@pytest.mark.parametrize("change", ["copy", "move"])
def test_a_copy_that_is_taken_on_at_once_was_made(store: holdall.DataStore, change: str) -> None:
    between = _before(store, "head", "b", lambda: store.delete("b"))
    meta = getattr(store, change)("a", "b")
    assert between()
    assert (meta.key, meta.size, meta.metadata) == ("b", 4, {"unit": "kW"})


def test_a_move_is_answered_though_the_service_is_away_afterwards(
    store: holdall.DataStore,
) -> None:
    def fail() -> None:
        raise Unavailable("no connection")

    between = _before(store, "head", "b", fail)
    meta = store.move("a", "b")
    assert between()
    assert meta.etag == store.stat("b").etag
    assert list(store.list()) == ["b"]


def test_a_move_to_a_second_name_of_its_bucket_keeps_the_object(
    open_s3: Open, versity_server: S3Server
) -> None:
    store = open_s3()
    other = open_s3(endpoint=versity_server.endpoint.replace("127.0.0.1", "localhost"))
    written = store.write("a", b"data")
    while time.time_ns() // 10**9 == written.modified_ns // 10**9:
        time.sleep(0.05)  # the service tells whole seconds
    with pytest.raises(PreconditionFailed, match="written meanwhile"):
        drive(
            copy_across(
                store.store,
                other.store,
                store.reference("a"),
                other.reference("a"),
                CopyOptions(move=True),
            )
        )
    assert store.read("a") == b"data"
