"""What is kept beside the objects of a local store, among the store's own files."""

import os
from pathlib import Path

import pytest

from holdall import DataStore
from holdall.core.errors import InvalidKey
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.objects.backends.local import LocalSettings, LocalStore
from holdall.objects.backends.local.tree import WORKSPACE_FOLDERS
from holdall.objects.options import DELETE, LIST, WRITE


def opened(path: Path) -> DataStore:
    return DataStore(LocalStore(LocalSettings(path=str(path), durable=False), BlockingRuntime()))


@pytest.mark.parametrize("name", WORKSPACE_FOLDERS)
def test_the_folders_of_the_workspace_are_not_for_others(tmp_path: Path, name: str) -> None:
    with opened(tmp_path) as store:
        ref = store.root.reserved(name, "x")
        with pytest.raises(InvalidKey, match="the store itself"):
            drive(store.store.put(ref, b"data", WRITE))
        with pytest.raises(InvalidKey, match="the store itself"):
            drive(store.store.upload(ref, WRITE, None))
        failures = drive(store.store.delete([ref], DELETE))
        assert [type(failure.error) for failure in failures] == [InvalidKey]


def test_an_emptied_folder_goes_and_the_workspace_stays(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        ref = store.root.reserved("journals", "a", "b")
        drive(store.store.put(ref, b"data", WRITE))
        drive(store.store.delete([ref], DELETE))
        assert sorted(os.listdir(tmp_path / ".holdall")) == sorted(WORKSPACE_FOLDERS)


def test_what_a_store_in_a_folder_keeps_beside_is_not_listed_from_above(tmp_path: Path) -> None:
    with opened(tmp_path) as above, opened(tmp_path / "q") as below:
        below.write("a", b"data")
        drive(below.store.put(below.root.reserved("journals", "1"), b"data", WRITE))
        page = above.list_page()
        assert ([meta.key for meta in page.objects], page.foreign) == (["q/a"], 0)
        own = drive(above.store.list(below.root.reserved("journals"), LIST))
        assert [meta.key for meta in own.objects] == ["q/.holdall/journals/1"]
