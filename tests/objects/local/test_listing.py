"""Facts about listings of a folder that others write to as well."""

import os
import time
from pathlib import Path

import pytest

import holdall
from holdall.objects.backends.local import listing
from objects.local.conftest import OpenStore, local

FOREIGN_NAMES = [
    b"back\\slash",
    b"line\nbreak",
    b"\x7f",
    "\x85".encode(),
    b"\xff\xfe not UTF-8",
    b"n" * 251,
    b"n" * 255,
    "ß".encode() * 126,
]


@pytest.mark.parametrize("name", FOREIGN_NAMES, ids=lambda name: ascii(name)[:20])
@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_a_name_that_is_no_key_is_counted_and_not_listed(
    store: holdall.DataStore, place: Path, name: bytes, folder: bool
) -> None:
    store.write("a", b"")
    store.write("z", b"")
    path = os.path.join(os.fsencode(place), name)
    try:
        if folder:
            os.mkdir(path)
        else:
            with open(path, "wb"):
                pass
    except OSError:
        pytest.skip("this file system does not take the name")
    (page,) = store.pages()
    assert [meta.key for meta in page.objects] == ["a", "z"]
    assert page.foreign == 1


def test_links_and_fifos_are_counted_and_not_listed(store: holdall.DataStore, place: Path) -> None:
    store.write("f/a", b"")
    (place / "f" / "broken").symlink_to("nowhere")
    (place / "f" / "file").symlink_to("a")
    (place / "f" / "folder").symlink_to(".")
    os.mkfifo(place / "f" / "fifo")
    (page,) = store.pages("f")
    assert [meta.key for meta in page.objects] == ["f/a"]
    assert page.foreign == 4
    (page,) = store.pages("f", delimiter=True)
    assert page.folders == ()
    assert page.foreign == 4


def test_a_path_too_long_to_be_a_key_is_counted_and_not_listed(
    store: holdall.DataStore, place: Path
) -> None:
    folder = place.joinpath(*["d" * 200] * 5)
    folder.mkdir(parents=True)
    (folder / "fits").write_bytes(b"")
    (folder / ("n" * 30)).write_bytes(b"")
    (page,) = store.pages()
    assert [meta.key for meta in page.objects] == ["/".join(["d" * 200] * 5) + "/fits"]
    assert page.foreign == 1


@pytest.mark.parametrize("max_items", [1, 2, 3, 7])
def test_what_is_foreign_is_counted_once_over_all_pages(
    store: holdall.DataStore, place: Path, max_items: int
) -> None:
    for key in ("a", "d/a", "d/z", "m", "z"):
        store.write(key, b"")
    for name in ("b", "d/b", "d/zz", "n", "zz"):
        (place / name).symlink_to("nowhere")
    keys: list[str] = []
    foreign = 0
    cursor = None
    while True:
        page = store.list_page(max_items=max_items, cursor=cursor)
        keys += [meta.key for meta in page.objects]
        foreign += page.foreign
        cursor = page.token
        if cursor is None:
            break
    assert keys == ["a", "d/a", "d/z", "m", "z"]
    assert foreign == 5


def test_the_workspace_is_neither_listed_nor_counted(store: holdall.DataStore, place: Path) -> None:
    store.write("a/b", b"", metadata={"long": "x" * 5000})
    store.upload("c").close()
    (place / "a" / ".holdall").mkdir()
    (place / "a" / ".holdall" / "x").write_bytes(b"")
    pages = [*store.pages(), *store.pages(delimiter=True), *store.pages("a")]
    assert {meta.key for page in pages for meta in page.objects} == {"a/b"}
    assert {folder for page in pages for folder in page.folders} == {"a"}
    assert sum(page.foreign for page in pages) == 0
    assert store.list_directories() == ("a",)


def test_an_empty_folder_is_not_listed(store: holdall.DataStore, place: Path) -> None:
    store.write("a/b", b"")
    (place / "empty" / "emptier").mkdir(parents=True)
    (place / "links").mkdir()
    (place / "links" / "link").symlink_to("nowhere")
    assert store.list_directories() == ("a",)
    assert list(store.list("empty")) == []


def test_a_listing_below_an_object_is_empty(store: holdall.DataStore) -> None:
    store.write("a", b"")
    assert list(store.list("a")) == []
    assert list(store.list("a/b")) == []


def _many(place: Path, number: int = 600) -> list[str]:
    folder = place / "many"
    folder.mkdir(parents=True)
    names = [f"{name:04}" for name in range(number)]
    for name in names:
        (folder / name).touch()
    # The change is long enough ago for the names to be kept from page to page.
    past = time.time() - 10
    os.utime(folder, (past, past))
    return [f"many/{name}" for name in names]


def test_names_of_a_large_folder_are_read_once_for_all_pages(
    store: holdall.DataStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = _many(place)
    read: list[int] = []
    original = listing._read_names

    def read_names(descriptor: int) -> list[str]:
        read.append(1)
        return original(descriptor)

    monkeypatch.setattr(listing, "_read_names", read_names)
    found: list[str] = []
    cursor = None
    while True:
        page = store.list_page("many", max_items=100, cursor=cursor)
        found += [meta.key for meta in page.objects]
        cursor = page.token
        if cursor is None:
            break
    assert found == keys
    assert len(read) == 1


def test_a_key_that_comes_between_two_pages_is_listed(
    store: holdall.DataStore, open_store: OpenStore, place: Path
) -> None:
    keys = _many(place)
    page = store.list_page(max_items=100)
    open_store().write("many/0300-new", b"")
    open_store().delete("many/0400")
    found = [meta.key for meta in page.objects]
    while page.token is not None:
        page = store.list_page(max_items=100, cursor=page.token)
        found += [meta.key for meta in page.objects]
    keys.remove("many/0400")
    assert found == sorted([*keys, "many/0300-new"])


def test_keys_that_come_one_by_one_are_listed_at_once(
    store: holdall.DataStore, open_store: OpenStore, place: Path
) -> None:
    keys = _many(place)
    other = open_store()
    for number in range(20):
        other.write(f"many/new-{number:02}", b"")
        keys.append(f"many/new-{number:02}")
        assert list(store.list()) == keys
    assert local(store).root == store.root


def test_a_file_that_goes_while_it_is_listed_is_left_out(
    store: holdall.DataStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("a", "b", "c"):
        store.write(key, b"")
    original = listing._read_names

    def read_and_remove(descriptor: int) -> list[str]:
        names = original(descriptor)
        (place / "b").unlink()
        return names

    monkeypatch.setattr(listing, "_read_names", read_and_remove)
    assert list(store.list()) == ["a", "c"]


def test_a_folder_whose_only_object_is_moved_up_in_it_stays_listed(
    store: holdall.DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("year/day/hour/a", b"")
    read_names = listing._read_names

    def read_and_move(descriptor: int) -> list[str]:
        names = read_names(descriptor)
        if names == ["hour/"]:
            monkeypatch.undo()
            store.move("year/day/hour/a", "year/day/a")
        return names

    monkeypatch.setattr(listing, "_read_names", read_and_move)
    assert store.list_directories("") == ("year",)
