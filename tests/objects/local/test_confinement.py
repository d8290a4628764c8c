"""Facts about what leads out of a store's folder: nothing that is followed."""

import ctypes
import errno
import os
import threading
from pathlib import Path

import pytest

import holdall
from holdall.core.errors import HoldallError, KeyConflict, NotFound, PermissionDenied
from holdall.objects.backends.local.confinement import OneCall, Opener, best_opener
from objects.local.conftest import OpenStore, descriptors, left_over, tree_of

pytestmark = pytest.mark.usefixtures("opener")

SECRET = b"nobody may read this"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    (folder / "below").mkdir(parents=True)
    (folder / "file").write_bytes(SECRET)
    (folder / "below" / "file").write_bytes(SECRET)
    return folder


@pytest.fixture
def store(opener: Opener, open_store: OpenStore) -> holdall.DataStore:
    store = open_store()
    store.write("inside/file", b"data")
    return store


def _untouched(outside: Path) -> bool:
    return tree_of(outside) == ["below", "below/file", "file"] and all(
        (outside / name).read_bytes() == SECRET for name in ("file", "below/file")
    )


def _targets(outside: Path, name: str) -> list[str]:
    return [str(outside / name), f"../outside/{name}"]


@pytest.mark.parametrize("form", [0, 1], ids=["absolute", "relative"])
def test_a_link_to_a_file_outside_is_not_read(
    store: holdall.DataStore, place: Path, outside: Path, form: int
) -> None:
    (place / "link").symlink_to(_targets(outside, "file")[form])
    assert (place / "link").read_bytes() == SECRET
    for read in (store.read, store.stat, store.open_reader, store.size, store.exists):
        with pytest.raises(PermissionDenied, match="symbolic link"):
            read("link")
    with pytest.raises(PermissionDenied):
        store.copy("link", "copy")
    with pytest.raises(PermissionDenied):
        store.move("link", "moved")
    assert list(store.list()) == ["inside/file"]


@pytest.mark.parametrize("form", [0, 1], ids=["absolute", "relative"])
def test_a_link_to_a_folder_outside_is_not_followed(
    store: holdall.DataStore, place: Path, outside: Path, form: int
) -> None:
    (place / "link").symlink_to(_targets(outside, "below")[form])
    for read in (store.read, store.stat, store.open_reader):
        with pytest.raises(PermissionDenied, match="symbolic link"):
            read("link/file")
    with pytest.raises(PermissionDenied):
        store.write("link/new", b"data")
    with pytest.raises(PermissionDenied):
        store.write("link/deeper/new", b"data")
    with pytest.raises(PermissionDenied):
        store.write("link/new", [b"streamed"])
    with pytest.raises(PermissionDenied):
        store.delete("link/file")
    with pytest.raises(PermissionDenied):
        store.copy("inside/file", "link/new")
    with pytest.raises(PermissionDenied):
        store.move("inside/file", "link/new")
    with pytest.raises(PermissionDenied):
        store.move("link/file", "moved")
    with pytest.raises(PermissionDenied):
        list(store.list("link"))
    assert _untouched(outside)
    assert list(store.list()) == ["inside/file"]
    assert store.read("inside/file") == b"data"


def test_a_link_on_the_last_of_many_folders_is_not_followed(
    store: holdall.DataStore, place: Path, outside: Path
) -> None:
    store.write("a/b/c/file", b"data")
    (place / "a/b/link").symlink_to(outside / "below")
    with pytest.raises(PermissionDenied):
        store.read("a/b/link/file")
    assert list(store.list("a")) == ["a/b/c/file"]


def test_a_write_replaces_a_link_and_not_what_it_leads_to(
    store: holdall.DataStore, place: Path, outside: Path
) -> None:
    (place / "link").symlink_to(outside / "file")
    store.write("link", b"data")
    assert _untouched(outside)
    assert not (place / "link").is_symlink()
    assert store.read("link") == b"data"


def test_a_link_is_not_deleted(store: holdall.DataStore, place: Path, outside: Path) -> None:
    (place / "link").symlink_to(outside / "file")
    with pytest.raises(PermissionDenied):
        store.delete("link")
    assert (place / "link").is_symlink()
    assert _untouched(outside)


def test_a_link_to_a_folder_is_not_removed(
    store: holdall.DataStore, place: Path, outside: Path
) -> None:
    (outside / "empty").mkdir()
    (place / "link").symlink_to(outside / "empty")
    with pytest.raises(HoldallError):
        store.remove_directory("link")
    assert (outside / "empty").is_dir()
    assert (place / "link").is_symlink()


def test_links_inside_are_not_followed_either(store: holdall.DataStore, place: Path) -> None:
    (place / "file").symlink_to("inside/file")
    (place / "folder").symlink_to("inside")
    for key in ("file", "folder/file"):
        with pytest.raises(PermissionDenied, match="symbolic link"):
            store.read(key)
    (page,) = store.pages()
    assert [meta.key for meta in page.objects] == ["inside/file"]
    assert page.foreign == 2


def test_a_broken_link_is_a_link(store: holdall.DataStore, place: Path) -> None:
    (place / "link").symlink_to("nowhere")
    with pytest.raises(PermissionDenied):
        store.read("link")
    (place / "loop").symlink_to("loop")
    with pytest.raises(PermissionDenied):
        store.read("loop/a")


def test_links_on_the_way_to_the_root_are_followed(
    open_store: OpenStore, store: holdall.DataStore, place: Path, tmp_path: Path
) -> None:
    (tmp_path / "way").symlink_to(place)
    assert open_store(tmp_path / "way").read("inside/file") == b"data"


def test_a_link_in_the_place_of_the_workspace_is_not_followed(
    open_store: OpenStore, tmp_path: Path, outside: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / ".holdall").symlink_to(outside)
    with pytest.raises(PermissionDenied):
        open_store(folder).write("a", b"data")
    assert _untouched(outside)


def test_an_error_about_a_link_closes_what_it_opened(
    store: holdall.DataStore, place: Path, outside: Path
) -> None:
    (place / "link").symlink_to(outside)
    before = descriptors()
    for key in ("link/file", "link", "missing", "inside/file/below", "link/below/file"):
        for _ in range(5):
            with pytest.raises(HoldallError):
                store.read(key)
    assert descriptors() == before


# What is neither file nor folder


@pytest.mark.timeout(30)
def test_a_fifo_hangs_no_reader(store: holdall.DataStore, place: Path) -> None:
    os.mkfifo(place / "fifo")
    for read in (store.read, store.stat, store.open_reader):
        with pytest.raises(NotFound):
            read("fifo")
    assert not store.exists("fifo")
    with pytest.raises(HoldallError):
        store.copy("fifo", "copy")
    (page,) = store.pages()
    assert [meta.key for meta in page.objects] == ["inside/file"]
    assert page.foreign == 1


def test_a_folder_is_no_object(store: holdall.DataStore) -> None:
    with pytest.raises(NotFound):
        store.read("inside")
    assert not store.exists("inside")
    store.delete("inside")
    with pytest.raises(KeyConflict):
        store.write("inside", b"data")
    assert store.read("inside/file") == b"data"


@pytest.mark.parametrize("path", ["..", "inside/../..", "link", "inside/link", "inside/link/below"])
def test_no_folder_is_opened_by_way_of_a_link_or_a_climb(
    store: holdall.DataStore, opener: Opener, place: Path, outside: Path, path: str
) -> None:
    for link in (place / "link", place / "inside" / "link"):
        link.symlink_to(outside)
    root = os.open(place, os.O_RDONLY)
    try:
        with pytest.raises(OSError, check=lambda error: error.errno == errno.ELOOP):
            opener.open_folder(root, path)
    finally:
        os.close(root)


# A race


@pytest.mark.untraced
@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
def test_a_folder_swapped_for_a_link_leads_nowhere(
    open_store: OpenStore, store: holdall.DataStore, place: Path, outside: Path, absolute: bool
) -> None:
    store.write("swapped/file", b"data")
    (place / "link").symlink_to(outside / "below" if absolute else "../outside/below")
    done = threading.Event()
    # Both at once, so that a put finds a folder or the link, and never room for a new folder.
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    if exchange is None:
        pytest.skip("this system cannot exchange two names")
    here, names = -100, [bytes(place / "swapped"), bytes(place / "link")]  # AT_FDCWD

    def swap() -> None:
        while not done.is_set():
            exchange(here, names[0], here, names[1], 2)  # RENAME_EXCHANGE

    swapper = threading.Thread(target=swap, daemon=True)
    swapper.start()
    seen: set[str] = set()
    try:
        for number in range(1500):
            try:
                assert store.read("swapped/file") == b"data"
                seen.add("read")
            except HoldallError as error:
                seen.add(type(error).__name__)
            try:
                store.write(f"swapped/{number % 10}", b"new")
                seen.add("written")
            except HoldallError as error:
                seen.add(type(error).__name__)
            try:
                store.delete(f"swapped/{number % 10}")
            except HoldallError as error:
                seen.add(type(error).__name__)
            try:
                for key in store.list():
                    assert store.root.child(key).name in {"file", *"0123456789"}
            except HoldallError as error:
                seen.add(type(error).__name__)
    finally:
        done.set()
        swapper.join(60)
    assert _untouched(outside)
    assert {"read", "written"} <= seen
    assert left_over(place) == []


def test_the_fast_opener_is_used_where_the_kernel_has_it() -> None:
    if best_opener is not OneCall:
        pytest.skip("this kernel has no openat2")
    assert os.uname().sysname == "Linux"
