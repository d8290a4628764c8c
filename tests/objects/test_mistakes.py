"""The likeliest mistakes: each error names the thing and the way out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import holdall
from holdall.core.errors import InvalidConfig, InvalidKey
from holdall.objects.options import DeleteOptions

if TYPE_CHECKING:
    from collections.abc import Callable

ANY: Any = object()


@pytest.fixture
def store() -> Any:
    """A store with the object `a`, taken as Any, since every call is one that types refuse."""
    opened = holdall.open("memory://")
    opened.write("a", b"data")
    return opened


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda store: store.read(Path("a")), "not PosixPath; as_posix"),
        (lambda store: store.read(None), "a key is text or a Reference, not NoneType"),
        (lambda store: store.write("k", "text"), "encode it first"),
        (lambda store: store.write("k", 5), "int cannot be written: give bytes"),
        (lambda store: store.write("k", ["text"]), "encode it first"),
        (lambda store: store.open_writer("k").write("text"), "encode it first"),
        (lambda store: store.upload("k").write("text"), "encode it first"),
        (lambda store: store.write("k", b"", metadata="x"), "metadata are a mapping"),
        (lambda store: store.write("k", b"", tags=["a"]), "tags are a mapping"),
        (lambda store: store.write("k", b"", content_type=3), "content_type is text, not int"),
        (lambda store: store.write("k", b"", if_match=store.stat("a")), "such as meta.etag"),
        (lambda store: store.read("a", if_match=store.stat("a")), "such as meta.etag"),
        (lambda store: store.delete("a", if_match=store.stat("a")), "such as meta.etag"),
        (lambda store: store.delete_many("ab"), "delete takes one"),
        (lambda store: store.purge_uploads(7), "older_than is a timedelta, not int"),
        (lambda _: holdall.open(ANY), "a place is a URL, a path"),
        (lambda _: holdall.DataStore(ANY), "holdall.open opens one"),
    ],
)
def test_a_wrong_type_is_named(store: Any, mistake: Callable[[Any], object], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        mistake(store)
    assert list(store.list()) == ["a"]


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda store: store.write("k", b"", sha256="abc"), "sha256 is 64 hexadecimal digits"),
        (lambda store: list(store.stream("a", chunk_size=0)), "chunk_size is 0"),
        (lambda store: store.list_page(max_items=0), "max_items is 0"),
        (lambda _: DeleteOptions(must_exist=True), "goes with if_match"),
    ],
)
def test_a_wrong_value_is_named(store: Any, mistake: Callable[[Any], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        mistake(store)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("file:/srv/data", "write file:///srv/data"),
        ("memory:", "write memory://"),
        ("files:///srv", "Did you mean 'file'"),
        ({"type": "memoryy"}, "Did you mean 'memory'"),
        ({"type": "file", "url": "file:///x"}, "give 'type' or 'url', not both"),
        ({"typ": "file"}, "there is 'typ'"),
        ({"type": "file", "path": "x"}, "begin it with '/'"),
        ("file:///srv?lock_timeout=-3", "'lock_timeout' is .* below 0"),
        ("file:///srv?path=/elsewhere", "says already"),
    ],
)
def test_a_place_that_cannot_be_opened_is_named(place: Any, words: str) -> None:
    with pytest.raises((InvalidConfig, InvalidKey), match=words):
        holdall.open(place)


def test_a_secret_in_what_is_no_address_is_not_shown() -> None:
    with pytest.raises(InvalidKey) as caught:
        holdall.open("user:hush@bucket/key")
    assert "hush" not in str(caught.value)


def test_a_key_that_begins_with_a_slash_is_told_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(InvalidKey, match="A key begins without '/': 'a'"):
        holdall.open(tmp_path).read("/a")


def test_a_path_in_a_mapping_of_settings_is_a_path(tmp_path: Path) -> None:
    assert holdall.open({"type": "file", "path": tmp_path}).base_path == str(tmp_path)


def test_what_is_in_an_address_is_no_variable(tmp_path: Path) -> None:
    odd = tmp_path / "${HOME}"
    assert holdall.open(odd).base_path == str(odd)
    assert holdall.open(str(odd)).base_path == str(odd)
    assert holdall.open(f"file://{odd}").base_path == str(odd)


def test_a_reader_of_nothing_leaves_no_second_error(
    store: Any, recwarn: pytest.WarningsRecorder
) -> None:
    with pytest.raises(FileNotFoundError):
        store.open_reader("missing")
    assert not list(recwarn)


def test_an_upload_that_has_ended_takes_not_even_nothing(tmp_path: Path) -> None:
    upload = holdall.open(tmp_path).upload("a")
    upload.write(b"data")
    upload.commit()
    with pytest.raises(holdall.errors.NotFound):
        upload.write(b"")


def test_a_living_upload_is_not_purged_and_does_not_stop_the_others(tmp_path: Path) -> None:
    store = holdall.open(tmp_path)
    living = store.upload("a")
    living.write(b"data")
    store.upload("b").close()
    assert store.purge_uploads(timedelta(0)) == 1
    assert [info.key for info in store.uploads()] == ["a"]
    living.abort()
