"""Facts about one store in front of several."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

import holdall
from holdall.core.config import load_settings
from holdall.core.errors import (
    AlreadyExists,
    InvalidConfig,
    InvalidKey,
    NotFound,
    PreconditionFailed,
)
from holdall.objects.backends import memory
from holdall.objects.backends.memory import MemoryStore
from holdall.objects.router import Router, RouterSettings
from holdall.testing import ObjectStoreSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.objects.data_store import DataStore
    from holdall.testing.objects.faces import MakeStore


@pytest.fixture
def name() -> Iterator[str]:
    name = uuid4().hex
    yield name
    for one in [one for one in memory._named if one.startswith(name)]:
        memory._named.pop(one)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "objects")


@pytest.fixture
def store(name: str, folder: str) -> DataStore:
    """Keys in memory, and a folder beside them."""
    return _open(name, schemes={"file": {"path": folder}})


def _open(name: str, **settings: Any) -> DataStore:
    primary = {"type": "memory", "name": name}
    return holdall.open({"type": "router", "primary": primary, **settings})


def _router(store: DataStore) -> Router:
    assert isinstance(store.store, Router)
    return store.store


class TestRouter(ObjectStoreSuite):
    in_soak = "blocking"

    @pytest.fixture
    def make_store(self, name: str, folder: str) -> MakeStore:
        settings = load_settings(
            RouterSettings,
            {
                "primary": {"type": "memory", "name": name},
                "schemes": {"file": {"path": folder}},
                "remote_layers": [],
            },
        )
        return lambda runtime: Router(settings, runtime)


def test_a_key_belongs_to_the_primary_store(store: DataStore, name: str) -> None:
    store.write("a", b"data")
    assert holdall.open(f"memory://{name}").read("a") == b"data"


def test_a_reference_leads_to_the_store_of_its_scheme(store: DataStore, folder: str) -> None:
    meta = store.write(f"file://{folder}/a/b", b"data")
    assert (Path(folder) / "a/b").read_bytes() == b"data"
    assert (meta.key, str(meta.ref)) == ("a/b", f"file://{folder}/a/b")
    assert [found.key for found in store.walk(f"file://{folder}/a")] == ["a/b"]
    assert list(store.walk()) == []


def test_a_store_is_opened_when_something_leads_to_it(store: DataStore, folder: str) -> None:
    assert [one.type for one in _router(store).opened] == ["memory"]
    assert not store.exists(f"file://{folder}/a")
    assert [one.type for one in _router(store).opened] == ["memory", "file"]


def test_a_store_is_opened_once_by_many_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = _open(name, multicontainer=True)
    opened: list[str] = []
    at_once = threading.Barrier(8)
    plain = MemoryStore.open.__func__  # type: ignore[attr-defined]

    def counting(cls: Any, settings: Any, runtime: Any) -> Any:
        opened.append(settings.name)
        return plain(cls, settings, runtime)

    monkeypatch.setattr(MemoryStore, "open", classmethod(counting))

    def write(number: int) -> None:
        at_once.wait()
        store.write(f"memory://{name}-b/{number}", b"data")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [f"{name}-b"]
    assert len(list(store.walk(f"memory://{name}-b"))) == 8


def test_an_unknown_scheme_names_the_known_ones(store: DataStore) -> None:
    with pytest.raises(InvalidKey, match=r"ftp://a/b.*known are .*file, .*memory, .*s3.*schemes"):
        store.read("ftp://a/b")


def test_files_and_memory_are_not_opened_for_whoever_writes_a_reference(name: str) -> None:
    store = _open(name)
    with pytest.raises(InvalidKey, match="no store is known for file://"):
        store.read("file:///etc/hostname")


def test_the_fallback_takes_a_reference_for_one_of_the_primary_store(name: str) -> None:
    store = _open(name, fallback="primary")
    store.write(f"ftp://{name}/a", b"data")
    assert store.read("a") == b"data"


def test_the_fallback_opens_no_other_container(name: str) -> None:
    store = _open(name, fallback="primary")
    with pytest.raises(InvalidKey, match="multicontainer"):
        store.write("ftp://other/a", b"data")


def test_another_container_needs_the_setting(name: str) -> None:
    with pytest.raises(InvalidKey, match=rf"configured for memory:// is '{name}'.*multicontainer"):
        _open(name).write(f"memory://{name}-b/a", b"data")
    _open(name, multicontainer=True).write(f"memory://{name}-b/a", b"data")
    assert holdall.open(f"memory://{name}-b").read("a") == b"data"


def test_a_configured_scheme_keeps_to_its_container(store: DataStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    with pytest.raises(InvalidKey):
        store.read(f"file://{outside}")


def test_a_scheme_without_a_container_takes_the_one_of_the_reference(
    name: str, folder: str
) -> None:
    store = holdall.open(
        {
            "type": "router",
            "primary": {"type": "file", "path": folder},
            "schemes": {"memory": {}},
        }
    )
    store.write(f"memory://{name}-a/x", b"one")
    store.write(f"memory://{name}-b/x", b"two")
    assert holdall.open(f"memory://{name}-b").read("x") == b"two"


def test_the_settings_of_a_scheme_are_checked_at_once(name: str) -> None:
    with pytest.raises(InvalidConfig, match="durible"):
        _open(name, schemes={"file": {"path": "/x", "durible": True}})
    with pytest.raises(InvalidConfig, match="ftp"):
        _open(name, schemes={"ftp": {}})


def test_a_copy_crosses_stores_with_all_that_is_kept(store: DataStore, folder: str) -> None:
    body = bytes(range(256)) * 40_000
    store.write("a", body, content_type="text/x", metadata={"m": "1"}, tags={"t": "2"})
    meta = store.copy("a", f"file://{folder}/a")
    assert meta.size == len(body)
    found = store.stat(f"file://{folder}/a", tags=True)
    assert (found.content_type, found.metadata, found.tags) == ("text/x", {"m": "1"}, {"t": "2"})
    assert store.read(f"file://{folder}/a") == body
    assert store.exists("a")


def test_a_move_crosses_stores(store: DataStore, folder: str) -> None:
    store.write(f"file://{folder}/a", b"data")
    store.move(f"file://{folder}/a", "b")
    assert store.read("b") == b"data"
    assert not store.exists(f"file://{folder}/a")


def test_a_copy_across_keeps_its_conditions(store: DataStore, folder: str) -> None:
    target = f"file://{folder}/a"
    store.write("a", b"data")
    store.write(target, b"other")
    with pytest.raises(AlreadyExists):
        store.copy("a", target, if_none_match="*")
    with pytest.raises(PreconditionFailed):
        store.copy("a", target, if_match="another")
    with pytest.raises(NotFound):
        store.copy("nothing", target)
    assert store.read(target) == b"other"


def test_many_are_deleted_wherever_they_are(store: DataStore, folder: str) -> None:
    keys = ["a", f"file://{folder}/a", "b", f"file://{folder}/b"]
    for key in keys:
        store.write(key, b"data")
    store.delete_many(keys)
    assert not any(store.exists(key) for key in keys)


def test_what_opens_it_again_has_no_secret(name: str) -> None:
    store = _open(name, schemes={"s3": {"access_key": "AKIA", "secret_key": "hush-hush"}})
    text = store.config_json()
    assert "hush-hush" not in text
    assert "hush-hush" not in repr(_router(store).settings)
    assert json.loads(text)["schemes"]["s3"]["type"] == "s3"
    assert "bucket" not in json.loads(text)["schemes"]["s3"]


def test_closing_it_closes_all(store: DataStore, folder: str) -> None:
    store.write(f"file://{folder}/a", b"data")
    closed: list[str] = []
    for one in _router(store).opened:

        async def note(kind: str = one.type) -> None:
            closed.append(kind)

        one.close = note  # type: ignore[method-assign]
    store.close()
    assert sorted(closed) == ["file", "memory"]


def test_the_layers_of_remote_stores_stand_behind_it_alone() -> None:
    bucket = {"type": "s3", "bucket": "b", "anonymous": True, "check": False}
    store = holdall.open({"type": "router", "primary": bucket})
    lines = [line.strip().partition(":")[0] for line in store.describe().splitlines()]
    assert lines == ["router", "retry", "breaker", "timeout", "s3"]
