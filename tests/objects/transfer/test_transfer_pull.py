"""From a store to a folder at hand, and back."""

import asyncio
from pathlib import Path

import pytest

import holdall
from holdall import DataStore
from holdall.core.errors import InvalidConfig, NotFound
from holdall.objects.transfer import (
    Progress,
    SyncOptions,
    pull,
    pull_async,
    push,
    push_async,
)
from objects.transfer.places import contents, fill

OBJECTS = {"2024/a": b"1", "2024/b/c": b"22", "2024-x": b"333", "top": b"4444"}


@pytest.fixture
def remote() -> DataStore:
    store = holdall.open("memory://")
    fill(store, OBJECTS)
    return store


@pytest.fixture
def here(tmp_path: Path) -> str:
    return str(tmp_path / "here")


def test_all_of_a_folder_is_pulled(remote: DataStore, here: str) -> None:
    assert pull(remote, here, "2024").copied == 2
    assert contents(holdall.open(here)) == {"2024/a": b"1", "2024/b/c": b"22"}


def test_one_object_is_pulled(remote: DataStore, here: str) -> None:
    report = pull(remote, here, "2024/a")
    assert (report.copied, report.bytes) == (1, 1)
    assert contents(holdall.open(here)) == {"2024/a": b"1"}


def test_everything_is_pulled(remote: DataStore, here: str) -> None:
    assert pull(remote, here).copied == 4
    assert contents(holdall.open(here)) == OBJECTS


def test_a_slash_at_the_end_means_the_folder(remote: DataStore) -> None:
    remote.write("2024", b"an object of the same name")
    for key, copied in [("2024", ["2024"]), ("2024/", ["2024/a", "2024/b/c"])]:
        other = holdall.open("memory://")
        pull(remote, other, key)
        assert list(other.list()) == copied


@pytest.mark.parametrize("key", ["2024", "2024/a", "top", ""])
def test_what_was_pulled_is_not_pulled_again(remote: DataStore, here: str, key: str) -> None:
    copied = pull(remote, here, key).copied
    again = pull(remote, here, key)
    assert (again.copied, again.skipped) == (0, copied)


def test_what_was_pulled_is_pushed_back(remote: DataStore, here: str) -> None:
    pull(remote, here)
    other = holdall.open("memory://")
    assert push(here, other, "2024").copied == 2
    assert push(here, other, "top").copied == 1
    assert push(Path(here), other).skipped == 3
    assert contents(other) == OBJECTS


def test_an_object_that_changed_is_pushed(remote: DataStore, here: str) -> None:
    pull(remote, here)
    Path(here, "2024", "a").write_bytes(b"new")
    assert push(here, remote, "2024/a").copied == 1
    assert remote.read("2024/a") == b"new"


@pytest.mark.parametrize("key", ["2023", "2024/a/b", "2023/"])
def test_what_is_not_there_is_an_error(remote: DataStore, here: str, key: str) -> None:
    pull(remote, here)
    with pytest.raises(NotFound):
        pull(remote, here, key)
    with pytest.raises(NotFound):
        push(here, remote, key)


def test_one_object_deletes_no_other(remote: DataStore, here: str) -> None:
    target = holdall.open(here)
    target.write("old", b"")
    report = pull(remote, target, "2024/a", SyncOptions(delete=True))
    assert report.deleted == 0
    assert sorted(target.list()) == ["2024/a", "old"]


def test_one_object_that_finds_no_room_is_reported(remote: DataStore, here: str) -> None:
    holdall.open(here).write("2024", b"in the way")
    report = pull(remote, here, "2024/a", SyncOptions(delete=True))
    assert [failure.key for failure in report.failed] == ["2024/a"]


def test_the_progress_of_one_object_has_a_total(remote: DataStore, here: str) -> None:
    seen: list[Progress] = []
    pull(remote, here, "top", on_progress=seen.append)
    last = seen[-1]
    assert (last.objects, last.bytes, last.total_objects, last.total_bytes) == (1, 4, 1, 4)


def test_a_place_in_itself_is_refused(here: str) -> None:
    store = holdall.open(here)
    store.write("a", b"")
    for key in ("a", ""):
        with pytest.raises(InvalidConfig, match="one place"):
            pull(store, here, key)


def test_both_go_on_a_loop(here: str) -> None:
    remote, other = holdall.open_async("memory://"), holdall.open_async("memory://")

    async def main() -> list[str]:
        await remote.write("2024/a", b"1")
        await remote.write("b", b"2")
        assert (await pull_async(remote, here)).copied == 2
        async with holdall.open_async(here) as folder:
            assert (await pull_async(remote, folder, "b")).skipped == 1
            assert (await push_async(folder, other, "2024")).copied == 1
        assert (await push_async(here, other, "b")).copied == 1
        return [key async for key in other.list()]

    assert asyncio.run(main()) == ["2024/a", "b"]
