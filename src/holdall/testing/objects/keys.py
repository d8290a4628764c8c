"""Facts about keys: which are kept as they are, which are refused, and which exclude another."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from holdall.core.errors import AlreadyExists, InvalidKey, KeyConflict, NotFound
from holdall.core.reference import MAX_KEY_BYTES, Reference
from holdall.objects.options import GET, HEAD, LIST, WRITE
from holdall.testing.objects.asking import fill, in_byte_order, keys_of, uploads_of
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdall.objects.async_data_store import AsyncDataStore

_AWKWARD = [
    "100%",
    "a%2Fb",
    "%2e%2e/x",
    "what?",
    "a?durable=false",
    "a#b",
    " leading",
    "trailing ",
    "a b/c d",
    "a /b",
    "a+b&c=d;e,f",
    "~user",
    "$HOME/`x`",
    "*?[a]",
    "'\"<>|:",
    "-rf",
    "...",
    ".hidden",
    "a.",
    ".holdall2/x",
    "con",
    "日本語/ключ/😀",
    "e\u0301 and \u00e9",
    "\u202eabc",
    "\ufeffabc",
    "a\u00a0b",
    "x" * 250,
    "é" * 125,
    "/".join(["deep"] * 60),
]

_ANSWERS = [
    "status: 412 x",
    "x status code: 500",
    "path status: 503/path status: 503",
    "<Code>NoSuchBucket</Code>",
]
"""Keys that read like what a service says of a request."""

_HOSTILE = {
    "climbs": "../x",
    "climbs out": "a/../../b",
    "climbs within": "a/../b",
    "climbs at the end": "a/..",
    "a point": ".",
    "two points": "..",
    "a point within": "a/./b",
    "NUL": "a\0b",
    "line feed": "a\nb",
    "delete character": "a\x7fb",
    "C1 control character": "a\x85b",
    "empty segment": "a//b",
    "reserved": ".holdall/x",
    "reserved within": "a/.holdall/uploads",
    "reserved alone": ".holdall",
    "backslash": "a\\b",
    "backslashes that climb": "..\\..\\x",
    "lone surrogate": "a\ud800",
    "long segment": "x" * 251,
    "long segment in UTF-8": "é" * 126,
    "5,000 bytes": "/".join(["x" * 99] * 50),
    "absolute": "/a",
    "absolute that climbs": "/../a",
    "password file": "/etc/passwd",
}
# A prefix may be empty, and may end with a slash.
_HOSTILE_KEYS = {**_HOSTILE, "empty": "", "trailing slash": "a/"}

_ASK: dict[str, Callable[[AsyncDataStore, str], Awaitable[object]]] = {
    "read": lambda store, key: store.read(key),
    "write": lambda store, key: store.write(key, b"data"),
    "write a stream": lambda store, key: store.write(key, [b"data"]),
    "open_writer": lambda store, key: store.open_writer(key),
    "open_reader": lambda store, key: store.open_reader(key),
    "upload": lambda store, key: store.upload(key),
    "stat": lambda store, key: store.stat(key),
    "exists": lambda store, key: store.exists(key),
    "delete": lambda store, key: store.delete(key),
    "delete_many": lambda store, key: store.delete_many([key]),
    "copy from": lambda store, key: store.copy(key, "target"),
    "copy to": lambda store, key: store.copy("source", key),
    "move from": lambda store, key: store.move(key, "target"),
    "move to": lambda store, key: store.move("source", key),
    "sign": lambda store, key: store.sign(key),
}

_ASK_PREFIX: dict[str, Callable[[AsyncDataStore, str], Awaitable[object]]] = {
    "list": keys_of,
    "list_page": lambda store, prefix: store.list_page(prefix, delimiter=True),
    "list_directories": lambda store, prefix: store.list_directories(prefix),
    "uploads": uploads_of,
    "purge_uploads": lambda store, prefix: store.purge_uploads(timedelta(days=-1), prefix),
    "remove_directory": lambda store, prefix: store.remove_directory(prefix),
}

_MAKE: dict[str, Callable[[AsyncDataStore, str], Awaitable[object]]] = {
    "write": lambda store, key: store.write(key, b"new"),
    "write a stream": lambda store, key: store.write(key, [b"new"]),
    "copy": lambda store, key: store.copy("source", key),
    "move": lambda store, key: store.move("source", key),
}


def _longest_key(store: AsyncDataStore) -> int:
    """How many bytes a key may have here: what comes before it counts, but not for a file."""
    if store.root.scheme == "file" or not store.root.key:
        return MAX_KEY_BYTES
    return MAX_KEY_BYTES - len(store.root.key.encode()) - 1


def _key_of_length(length: int) -> str:
    key = "/".join(["k" * 99] * 11)[:length]
    return key.removesuffix("/") + "k" * (length - len(key.removesuffix("/")))


class KeyFacts(Facts):
    """Facts about keys."""

    @pytest.mark.parametrize("key", _AWKWARD, ids=ascii)
    async def test_an_awkward_key_is_kept_as_it_is(self, store: AsyncDataStore, key: str) -> None:
        meta = await store.write(key, b"data")
        assert (meta.key, meta.ref) == (key, store.reference(key))
        assert await store.read(key) == b"data"
        assert await keys_of(store) == [key]
        assert (await store.stat(key)).key == key
        await store.copy(key, "copy of it")
        await store.move("copy of it", key)
        await store.delete(key)
        assert await keys_of(store) == []

    async def test_awkward_keys_live_side_by_side(self, store: AsyncDataStore) -> None:
        await fill(store, *_AWKWARD)
        assert await keys_of(store) == in_byte_order(_AWKWARD)
        for key in _AWKWARD:
            assert await store.read(key) == key.encode()

    @pytest.mark.parametrize("key", _ANSWERS)
    async def test_a_key_that_reads_like_an_answer_is_not_taken_for_one(
        self, store: AsyncDataStore, key: str
    ) -> None:
        with pytest.raises(NotFound):
            await store.read(key)
        await store.write(key, b"data")
        if store.capabilities.conditional:
            with pytest.raises(AlreadyExists):
                await store.write(key, b"other", if_none_match="*")
        assert await store.read(key) == b"data"

    @pytest.mark.parametrize("key", _AWKWARD, ids=ascii)
    async def test_an_awkward_name_can_be_a_folder(self, store: AsyncDataStore, key: str) -> None:
        await store.write(f"{key}/x", b"data")
        assert await keys_of(store, key) == [f"{key}/x"]

    @pytest.mark.parametrize(
        "pair",
        [
            (unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")),
            ("a", "\u0430"),
            ("K", "\u212a"),
            ("ß", "ss"),
            ("a", "A"),
            ("a", "a "),
            ("a%20b", "a b"),
            ("ﬁ", "fi"),
            ("x", "x\u200b"),
        ],
        ids=ascii,
    )
    async def test_look_alikes_stay_two_objects(
        self, store: AsyncDataStore, pair: tuple[str, str]
    ) -> None:
        await fill(store, *pair)
        assert [await store.read(key) for key in pair] == [key.encode() for key in pair]
        assert await keys_of(store) == in_byte_order(pair)

    async def test_the_longest_key_is_kept(self, store: AsyncDataStore) -> None:
        key = _key_of_length(_longest_key(store))
        assert (await store.write(key, b"data")).key == key
        assert await store.read(key) == b"data"
        assert await keys_of(store) == [key]
        await store.delete(key)
        assert await keys_of(store) == []

    async def test_a_key_one_byte_longer_is_refused(self, store: AsyncDataStore) -> None:
        key = _key_of_length(_longest_key(store) + 1)
        with pytest.raises(InvalidKey):
            await store.write(key, b"data")
        assert await keys_of(store) == []

    @pytest.mark.parametrize("ask", _ASK)
    async def test_hostile_keys_are_refused(self, store: AsyncDataStore, ask: str) -> None:
        await store.write("source", b"data")
        taken = []
        for name, key in _HOSTILE_KEYS.items():
            try:
                await _ASK[ask](store, key)
            except InvalidKey:
                continue
            taken.append(name)
        assert taken == []
        assert await keys_of(store) == ["source"]

    @pytest.mark.parametrize("ask", _ASK_PREFIX)
    async def test_hostile_prefixes_are_refused(self, store: AsyncDataStore, ask: str) -> None:
        await fill(store, "a/b", "etc/passwd")
        taken = []
        for name, prefix in _HOSTILE.items():
            try:
                await _ASK_PREFIX[ask](store, prefix)
            except InvalidKey:
                continue
            taken.append(name)
        assert taken == []

    # Addresses

    async def test_an_address_of_the_store_is_as_good_as_a_key(self, store: AsyncDataStore) -> None:
        for key in ("a/b", "what?", "100%", "a#b", "日本語"):
            ref = store.reference(key)
            await store.write(ref, b"data")
            assert await store.read(str(ref)) == b"data"
            meta = await store.stat(str(ref))
            assert (meta.key, meta.ref) == (key, ref)

    async def test_an_address_elsewhere_is_refused(self, store: AsyncDataStore) -> None:
        await store.write("source", b"data")
        for ask in _ASK.values():
            with pytest.raises(InvalidKey):
                await ask(store, "elsewhere://container/x")
        with pytest.raises(InvalidKey):
            await keys_of(store, "elsewhere://container/x")

    @pytest.mark.parametrize("there", ["container", "scheme", "above", "beside"])
    async def test_the_store_itself_refuses_a_reference_elsewhere(
        self, store: AsyncDataStore, there: str
    ) -> None:
        root = store.root
        if there == "container" and root.scheme == "file":
            pytest.skip("files have no container")
        if there in {"above", "beside"} and not root.key:
            pytest.skip("nothing is above the root of a container")
        ref = {
            "container": Reference(root.scheme, f"{root.container}-x", f"{root.key}/x".strip("/")),
            "scheme": Reference("elsewhere", root.container, f"{root.key}/x".strip("/")),
            "above": root.parent.known_child("x"),
            "beside": Reference(root.scheme, root.container, f"{root.key}-x/x", root.host),
        }[there]
        inner = store.store
        with pytest.raises(InvalidKey):
            await inner.put(ref, b"data", WRITE)
        with pytest.raises(InvalidKey):
            await inner.upload(ref, WRITE, None)
        with pytest.raises(InvalidKey):
            await inner.get(ref, GET)
        with pytest.raises(InvalidKey):
            await inner.head(ref, HEAD)
        with pytest.raises(InvalidKey):
            await inner.list(ref, LIST)
        with pytest.raises(InvalidKey):
            await inner.uploads(ref, None)
        assert await keys_of(store) == []

    async def test_the_place_of_the_store_is_no_object(self, store: AsyncDataStore) -> None:
        for place in (store.root, str(store.root)):
            with pytest.raises(InvalidKey):
                await store.write(place, b"data")
            with pytest.raises(InvalidKey):
                await store.read(place)

    # Object and folder of one name

    async def test_names_that_begin_alike_do_not_exclude_each_other(
        self, store: AsyncDataStore
    ) -> None:
        await fill(store, "foo", "foo-bar/1", "foo.bar", "foo0")
        assert await keys_of(store) == in_byte_order(["foo", "foo-bar/1", "foo.bar", "foo0"])

    @pytest.mark.parametrize("make", _MAKE)
    @pytest.mark.parametrize(
        ("first", "second"), [("a", "a/b"), ("a/b", "a"), ("a", "a/b/c/d"), ("a/b/c/d", "a/b")]
    )
    async def test_an_object_and_a_folder_of_one_name(
        self, store: AsyncDataStore, first: str, second: str, make: str
    ) -> None:
        await fill(store, "source", first)
        if store.capabilities.key_and_folder:
            await _MAKE[make](store, second)
            assert await store.exists(second)
        else:
            with pytest.raises(KeyConflict) as caught:
                await _MAKE[make](store, second)
            assert str(store.reference(first)) in str(caught.value)
            assert await keys_of(store) == in_byte_order([first, "source"])
        assert await store.read(first) == first.encode()

    @pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b/c", "a")])
    async def test_what_was_deleted_excludes_nothing(
        self, store: AsyncDataStore, first: str, second: str
    ) -> None:
        await fill(store, first)
        await store.delete(first)
        await store.write(second, b"new")
        assert await keys_of(store) == [second]

    @pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b/c", "a")])
    async def test_a_move_to_above_or_below_itself_keeps_the_object(
        self, store: AsyncDataStore, first: str, second: str
    ) -> None:
        await fill(store, first)
        if store.capabilities.key_and_folder:
            await store.move(first, second)
            assert await keys_of(store) == [second]
        else:
            with pytest.raises(KeyConflict):
                await store.move(first, second)
            assert await keys_of(store) == [first]
