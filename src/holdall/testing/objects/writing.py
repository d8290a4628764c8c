"""Facts about writing bytes, and about what is kept with them."""

from __future__ import annotations

import hashlib
from array import array
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import Corrupt, LimitExceeded, Unsupported
from holdall.testing.objects.asking import keys_of, needs
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.objects.async_data_store import AsyncDataStore

_MD5 = hashlib.md5(b"data", usedforsecurity=False).hexdigest()
_SHA256 = hashlib.sha256(b"data").hexdigest()
_WRONG = {"content_md5": "0" * 32, "sha256": "0" * 64}
_RIGHT = {"content_md5": _MD5, "sha256": _SHA256}


def _keyword(name: str, value: Any) -> Any:
    return {name: value}


_VIEWS = {
    "wide items": memoryview(array("i", range(10))),
    "every other byte": memoryview(b"0123456789")[::2],
}


class WriteFacts(Facts):
    """Facts about `write` with bytes."""

    async def test_what_is_written_is_read(self, store: AsyncDataStore) -> None:
        await store.write("a/b", b"data")
        assert await store.read("a/b") == b"data"

    async def test_an_empty_value_is_an_object(self, store: AsyncDataStore) -> None:
        await store.write("empty", b"")
        assert await store.read("empty") == b""
        assert await store.exists("empty")
        assert await store.size("empty") == 0

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    async def test_everything_that_holds_bytes_is_written(
        self, store: AsyncDataStore, kind: Callable[[bytes], bytes]
    ) -> None:
        await store.write("a", kind(b"data"))
        assert await store.read("a") == b"data"

    @pytest.mark.parametrize("way", ["whole", "in pieces", "through a writer"])
    @pytest.mark.parametrize("view", _VIEWS.values(), ids=_VIEWS)
    async def test_a_view_is_written_by_its_bytes(
        self, store: AsyncDataStore, view: memoryview, way: str
    ) -> None:
        data = view.tobytes()
        if way == "whole":
            await store.write("a", view, size=len(data))
        elif way == "in pieces":
            await store.write("a", iter([view]), size=len(data))
        else:
            async with await store.open_writer("a") as writer:
                assert await writer.write(view) == len(data)
        assert await store.read("a") == data

    async def test_a_later_change_of_the_buffer_changes_no_object(
        self, store: AsyncDataStore
    ) -> None:
        buffer = bytearray(b"data")
        await store.write("a", buffer)
        buffer[:] = b"????"
        assert await store.read("a") == b"data"

    async def test_all_byte_values_are_kept(self, store: AsyncDataStore) -> None:
        data = bytes(range(256)) * 3
        await store.write("a", data)
        assert await store.read("a") == data

    async def test_a_value_longer_than_a_part_is_kept(self, store: AsyncDataStore) -> None:
        data = bytes(range(251)) * 36_000
        await store.write("a", data)
        assert await store.size("a") == len(data)
        assert await store.read("a") == data

    async def test_a_write_replaces_what_was_there(self, store: AsyncDataStore) -> None:
        await store.write("a", b"a longer one")
        await store.write("a", b"short")
        assert await store.read("a") == b"short"
        assert await keys_of(store) == ["a"]

    async def test_the_answer_knows_the_object(self, store: AsyncDataStore) -> None:
        meta = await store.write("a/b", b"data")
        assert (meta.key, meta.ref, meta.size) == ("a/b", store.reference("a/b"), 4)
        assert meta.etag

    async def test_the_answer_is_what_stat_says(self, store: AsyncDataStore) -> None:
        meta = await store.write("a", b"data")
        asked = await store.stat("a")
        assert (meta.key, meta.ref, meta.size) == (asked.key, asked.ref, asked.size)
        assert meta.etag == asked.etag

    async def test_an_object_knows_when_it_was_written(self, store: AsyncDataStore) -> None:
        await store.write("a", b"data")
        age = datetime.now(UTC) - (await store.stat("a")).modified
        # The clock may be a service's own.
        assert abs(age) < timedelta(hours=1)

    async def test_the_etag_changes_with_every_write_of_the_same_bytes(
        self, store: AsyncDataStore
    ) -> None:
        needs(store.capabilities.unique_etags, "etags of their own for equal bytes")
        etags = {(await store.write("a", b"data")).etag for _ in range(5)}
        assert len(etags) == 5

    async def test_the_etag_stays_while_nobody_writes(self, store: AsyncDataStore) -> None:
        await store.write("a", b"data")
        first = (await store.stat("a")).etag
        await store.read("a")
        await store.write("b", b"other")
        assert (await store.stat("a")).etag == first

    @pytest.mark.parametrize("data", ["text", 7, None, ["text"], [7]], ids=repr)
    async def test_what_is_no_bytes_is_refused(self, store: AsyncDataStore, data: Any) -> None:
        await store.write("a", b"old")
        with pytest.raises(TypeError):
            await store.write("a", data)
        assert await store.read("a") == b"old"

    @pytest.mark.parametrize("size", [0, 3, 5])
    async def test_bytes_of_another_size_than_announced_are_refused(
        self, store: AsyncDataStore, size: int
    ) -> None:
        with pytest.raises(Corrupt):
            await store.write("a", b"data", size=size)
        assert not await store.exists("a")

    async def test_bytes_of_the_announced_size_are_written(self, store: AsyncDataStore) -> None:
        await store.write("a", b"data", size=4)
        assert await store.read("a") == b"data"

    # Digests

    @pytest.mark.parametrize("name", ["content_md5", "sha256"])
    async def test_a_right_digest_is_kept_and_reported(
        self, store: AsyncDataStore, name: str
    ) -> None:
        meta = await store.write("a", b"data", **_keyword(name, _RIGHT[name]))
        assert getattr(meta, name) == _RIGHT[name]
        assert getattr(await store.stat("a"), name) == _RIGHT[name]

    @pytest.mark.parametrize("name", ["content_md5", "sha256"])
    async def test_a_digest_in_capitals_is_reported_in_small_letters(
        self, store: AsyncDataStore, name: str
    ) -> None:
        meta = await store.write("a", b"data", **_keyword(name, _RIGHT[name].upper()))
        assert getattr(meta, name) == _RIGHT[name]
        assert getattr(await store.stat("a"), name) == _RIGHT[name]

    @pytest.mark.parametrize("name", ["content_md5", "sha256"])
    async def test_a_wrong_digest_makes_no_object(self, store: AsyncDataStore, name: str) -> None:
        with pytest.raises(Corrupt):
            await store.write("a", b"data", **_keyword(name, _WRONG[name]))
        assert not await store.exists("a")
        assert await keys_of(store) == []

    @pytest.mark.parametrize("name", ["content_md5", "sha256"])
    async def test_a_wrong_digest_leaves_the_old_object(
        self, store: AsyncDataStore, name: str
    ) -> None:
        old = await store.write("a", b"old")
        with pytest.raises(Corrupt):
            await store.write("a", b"data", **_keyword(name, _WRONG[name]))
        assert await store.read("a", if_match=old.etag) == b"old"

    async def test_a_digest_of_older_bytes_is_not_reported(self, store: AsyncDataStore) -> None:
        await store.write("a", b"data", sha256=_SHA256)
        await store.write("a", b"other")
        assert (await store.stat("a")).sha256 in {None, hashlib.sha256(b"other").hexdigest()}

    # What is kept with an object

    @pytest.mark.parametrize(
        "metadata",
        [
            {"name": "value"},
            {"a-b_c.d0": "x", "empty": ""},
            {"language": "čeština, 日本語, 😀"},
            {"spaces": " a  b ", "signs": "a=b&c;d,%25+\"'"},
        ],
        ids=["one", "names", "unicode", "signs"],
    )
    async def test_metadata_come_back_as_they_were_given(
        self, store: AsyncDataStore, metadata: dict[str, str]
    ) -> None:
        needs(store.capabilities.metadata, "metadata")
        await store.write("a", b"data", metadata=metadata)
        assert (await store.stat("a")).metadata == metadata

    async def test_metadata_of_3_kib_are_kept_or_refused(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.metadata, "metadata")
        metadata = {f"name-{number}": "x" * 300 for number in range(10)}
        limit = store.capabilities.max_metadata_bytes
        if limit is not None and limit < 3072:
            with pytest.raises(LimitExceeded):
                await store.write("a", b"data", metadata=metadata)
            assert not await store.exists("a")
        else:
            await store.write("a", b"data", metadata=metadata)
            assert (await store.stat("a")).metadata == metadata

    async def test_more_metadata_than_the_limit_are_refused(self, store: AsyncDataStore) -> None:
        limit = store.capabilities.max_metadata_bytes
        needs(limit is not None, "limit of metadata")
        with pytest.raises(LimitExceeded):
            await store.write("a", b"data", metadata={"a": "x" * (limit or 0)})

    async def test_more_tags_than_the_limit_are_refused(self, store: AsyncDataStore) -> None:
        limit = store.capabilities.max_tags
        needs(limit is not None, "limit of tags")
        tags = {f"tag-{number}": "x" for number in range(limit or 0)}
        await store.write("a", b"data", tags=tags)
        assert (await store.stat("a", tags=True)).tags == tags
        with pytest.raises(LimitExceeded, match="max_tags"):
            await store.write("b", b"data", tags={**tags, "more": "x"})
        assert not await store.exists("b")

    @pytest.mark.parametrize("name", ["Upper", "", "a b", "ä", "a/b", "a\n"], ids=repr)
    async def test_a_name_that_some_service_would_change_is_refused(
        self, store: AsyncDataStore, name: str
    ) -> None:
        needs(store.capabilities.metadata, "metadata")
        with pytest.raises(ValueError, match="metadata"):
            await store.write("a", b"data", metadata={name: "x"})
        assert not await store.exists("a")

    async def test_metadata_that_are_no_text_are_refused(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.metadata, "metadata")
        wrong: Any = {"a": 1}
        with pytest.raises(TypeError):
            await store.write("a", b"data", metadata=wrong)
        with pytest.raises(ValueError, match="surrogate"):
            await store.write("a", b"data", metadata={"a": "\ud800"})

    async def test_tags_come_back_as_they_were_given(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.tags, "tags")
        tags = {"site": "plant-7", "empty": "", "Kind of thing": "x y"}
        await store.write("a", b"data", tags=tags)
        assert (await store.stat("a", tags=True)).tags == tags

    async def test_tags_are_not_shown_unless_asked_for(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.tags, "tags")
        await store.write("a", b"data", tags={"site": "plant-7"})
        assert (await store.stat("a")).tags is None

    async def test_an_object_without_tags_shows_none_of_them(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.tags, "tags")
        await store.write("a", b"data")
        assert (await store.stat("a", tags=True)).tags == {}

    async def test_the_content_type_comes_back(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.content_type, "content types")
        await store.write("a", b"data", content_type="text/plain; charset=utf-8")
        assert (await store.stat("a")).content_type == "text/plain; charset=utf-8"

    async def test_a_write_replaces_all_that_was_kept(self, store: AsyncDataStore) -> None:
        capabilities = store.capabilities
        needs(capabilities.metadata and capabilities.tags, "metadata and tags")
        await store.write(
            "a", b"data", metadata={"a": "b"}, tags={"c": "d"}, content_type="text/plain"
        )
        await store.write("a", b"data")
        meta = await store.stat("a", tags=True)
        assert (meta.metadata, meta.tags) == ({}, {})
        assert meta.content_type != "text/plain"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("metadata", {"a": "b"}),
            ("tags", {"a": "b"}),
            ("content_type", "text/plain"),
            ("storage_class", "COLD"),
        ],
    )
    async def test_what_the_store_does_not_keep_is_refused(
        self, store: AsyncDataStore, name: str, value: Any
    ) -> None:
        if getattr(store.capabilities, name):
            pytest.skip(f"the store keeps {name}")
        with pytest.raises(Unsupported):
            await store.write("a", b"data", **_keyword(name, value))
        with pytest.raises(Unsupported):
            await store.write("a", [b"data"], **_keyword(name, value))
        assert not await store.exists("a")
