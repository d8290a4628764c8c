"""Facts about opening a store: from which texts, paths, files and mappings."""

import json
import multiprocessing
import pickle
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import holdall
from holdall.core.errors import InvalidConfig, InvalidKey
from holdall.core.reference import Reference
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.objects.backends.local import LocalSettings, LocalStore
from holdall.objects.backends.memory import MemoryStore
from holdall.objects.contract import ObjectStore
from holdall.objects.registry import store_class


def _settings(store: holdall.DataStore) -> LocalSettings:
    settings = store.store.settings
    assert isinstance(settings, LocalSettings)
    return settings


# URLs


def test_a_url_opens_a_folder(tmp_path: Path) -> None:
    store = holdall.open(f"file://{tmp_path}")
    assert store.base_path == str(tmp_path)
    assert store.type == "file"
    assert _settings(store) == LocalSettings(path=str(tmp_path))


def test_the_query_of_a_url_holds_settings(tmp_path: Path) -> None:
    store = holdall.open(f"file://{tmp_path}?durable=false&lockTimeout=5s&attributes=beside")
    assert store.base_path == str(tmp_path)
    assert not store.capabilities.durable
    assert _settings(store).attributes == "beside"
    assert _settings(store).lock_timeout.total_seconds() == 5


def test_the_query_of_a_url_is_decoded(tmp_path: Path) -> None:
    assert not holdall.open(f"file://{tmp_path}?durable=%66alse").capabilities.durable


def test_a_url_may_end_with_a_slash(tmp_path: Path) -> None:
    assert holdall.open(f"file://{tmp_path}/").base_path == str(tmp_path)


def test_a_path_as_text_is_a_folder_and_literal(tmp_path: Path) -> None:
    store = holdall.open(f"{tmp_path}/what?durable=false")
    assert store.base_path == f"{tmp_path}/what?durable=false"
    assert store.capabilities.durable


def test_a_reference_is_opened(tmp_path: Path) -> None:
    store = holdall.open(Reference.parse(str(tmp_path)))
    assert store.root == Reference.parse(str(tmp_path))


def test_a_memory_store_without_a_name_is_new() -> None:
    one, other = holdall.open("memory://"), holdall.open("memory://")
    one.write("a", b"data")
    assert not other.exists("a")


def test_a_memory_store_with_a_name_is_shared() -> None:
    holdall.open("memory://shared-by-a-test").write("a", b"data")
    other = holdall.open("memory://shared-by-a-test")
    assert other.read("a") == b"data"
    other.delete("a")


@pytest.mark.parametrize("text", ["data", "./data", "../data", "a/b", ""])
def test_a_relative_path_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(InvalidKey, match=r"absolute path, or pathlib\.Path"):
        holdall.open(text)


def test_an_unknown_scheme_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(InvalidConfig, match=r"'nfs'; known are .*file.*memory"):
        holdall.open("nfs://host/path")


def test_an_unknown_setting_is_refused_and_the_nearest_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"durible.*durable"):
        holdall.open(f"file://{tmp_path}?durible=false")


def test_a_setting_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="durable"):
        holdall.open(f"file://{tmp_path}?durable=perhaps")


def test_an_error_about_opening_shows_no_secret() -> None:
    with pytest.raises(InvalidConfig) as caught:
        holdall.open("nfs://user:hunter2@host/path")
    assert "hunter2" not in f"{caught.value} {caught.value!r} {vars(caught.value)}"


def test_nothing_is_made_by_opening(tmp_path: Path) -> None:
    with holdall.open(tmp_path / "place") as store:
        assert list(store.list()) == []
        assert not store.exists("a")
    assert list(tmp_path.iterdir()) == []


# Paths


def test_a_path_object_is_a_folder(tmp_path: Path) -> None:
    assert holdall.open(tmp_path / "a b?#%").base_path == str(tmp_path / "a b?#%")


def test_a_relative_path_object_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert holdall.open(Path("place")).base_path == str(tmp_path / "place")
    assert holdall.open(Path("x") / ".." / "place").base_path == str(tmp_path / "place")


CONFIGURATIONS = {
    "toml": 'type = "file"\npath = "{path}"\ndurable = false\n',
    "yaml": "type: file\npath: {path}\ndurable: false\n",
    "yml": "type: file\npath: {path}\ndurable: no\n",
    "json": '{{"type": "file", "path": "{path}", "durable": false}}',
}


@pytest.mark.parametrize("ending", CONFIGURATIONS)
def test_a_path_object_to_a_file_is_a_configuration(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"store.{ending}"
    file.write_text(CONFIGURATIONS[ending].format(path=tmp_path / "place"))
    store = holdall.open(file)
    assert _settings(store) == LocalSettings(path=str(tmp_path / "place"), durable=False)


def test_an_error_in_a_configuration_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "store.toml"
    file.write_text('type = "file"\npath = "/srv"\ndurible = true\n')
    with pytest.raises(InvalidConfig, match=r"durible") as caught:
        holdall.open(file)
    assert str(file) in str(caught.value)


def test_a_configuration_without_a_type_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "store.toml"
    file.write_text('path = "/srv"\n')
    with pytest.raises(InvalidConfig, match="'type'") as caught:
        holdall.open(file)
    assert str(file) in str(caught.value)


# Mappings


@pytest.mark.parametrize("name", ["file", "local"])
def test_a_mapping_with_a_type_is_opened(tmp_path: Path, name: str) -> None:
    store = holdall.open({"type": name, "path": str(tmp_path), "durable": "no"})
    assert _settings(store) == LocalSettings(path=str(tmp_path), durable=False)


def test_a_mapping_with_a_url_is_opened(tmp_path: Path) -> None:
    store = holdall.open({"url": f"file://{tmp_path}?durable=false", "lock-timeout": 3})
    assert not _settings(store).durable
    assert _settings(store).lock_timeout.total_seconds() == 3


def test_a_setting_beside_the_url_counts_more_than_one_in_it(tmp_path: Path) -> None:
    store = holdall.open({"url": f"file://{tmp_path}?durable=false", "durable": True})
    assert _settings(store).durable


def test_a_mapping_is_left_as_it_was(tmp_path: Path) -> None:
    mapping = {"url": f"file://{tmp_path}", "durable": True}
    holdall.open(mapping)
    assert mapping == {"url": f"file://{tmp_path}", "durable": True}


def test_variables_are_put_into_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDALL_TEST_PLACE", str(tmp_path))
    store = holdall.open({"url": "file://${HOLDALL_TEST_PLACE}/${HOLDALL_TEST_UNSET:place}"})
    assert store.base_path == f"{tmp_path}/place"


def test_an_unset_variable_in_a_url_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDALL_TEST_PLACE", raising=False)
    with pytest.raises(InvalidConfig, match="HOLDALL_TEST_PLACE"):
        holdall.open({"url": "file://${HOLDALL_TEST_PLACE}/place"})


def test_a_mapping_without_type_and_url_is_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"'type' or 'url'"):
        holdall.open({"path": "/srv"})


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"'ftp'; known are"):
        holdall.open({"type": "ftp"})


@pytest.mark.parametrize("path", ["srv", "./srv", ""])
def test_a_relative_path_in_a_mapping_is_refused(path: str) -> None:
    with pytest.raises(InvalidConfig, match="path"):
        holdall.open({"type": "file", "path": path})


# What others bring


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that brings a store for `acme://`."""
    (tmp_path / "acme_holdall.py").write_text(
        dedent(
            """
            from holdall.objects.backends.memory import MemoryStore

            Store = MemoryStore
            """
        )
    )
    info = tmp_path / "acme_holdall-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-holdall\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[holdall.stores]\nacme = acme_holdall:Store\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("acme")
def test_an_installed_package_brings_a_store() -> None:
    assert store_class("acme") is MemoryStore
    store = holdall.open("acme://place")
    store.write("a", b"data")
    assert store.read("a") == b"data"
    store.delete("a")


@pytest.mark.usefixtures("acme")
def test_a_store_of_a_package_is_among_the_known() -> None:
    with pytest.raises(InvalidConfig, match=r"known are acme, .*file"):
        holdall.open("nfs://host/path")


def test_our_own_stores_need_no_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(**keywords: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr("importlib.metadata.entry_points", never)
    assert store_class("file") is LocalStore
    assert store_class("mem") is MemoryStore


# Taking a store elsewhere


def test_a_configuration_says_what_a_store_was_opened_with(tmp_path: Path) -> None:
    text = holdall.open(f"file://{tmp_path}?durable=false").config_json()
    assert json.loads(text)["type"] == "file"
    store = ObjectStore.from_config_json(text, BlockingRuntime())
    assert store.settings == LocalSettings(path=str(tmp_path), durable=False)


def test_a_configuration_is_one_that_open_takes(tmp_path: Path) -> None:
    store = holdall.open(f"file://{tmp_path}?lock_timeout=1500ms")
    again = holdall.open(json.loads(store.config_json()))
    assert again.store.settings == store.store.settings


def _read(store: holdall.DataStore, key: str) -> bytes:
    return store.read(key)


def test_a_store_goes_to_a_child_process(tmp_path: Path) -> None:
    store = holdall.open(tmp_path)
    store.write("a", b"data")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_read, (store, "a")) == b"data"
        pool.close()
        pool.join()


def test_an_asynchronous_store_is_pickled(tmp_path: Path) -> None:
    store = holdall.open_async(tmp_path)
    back = pickle.loads(pickle.dumps(store))
    assert isinstance(back, holdall.AsyncDataStore)
    assert back.root == store.root
    assert not back.store.runtime.blocking
