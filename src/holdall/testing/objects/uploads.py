"""Facts about uploads."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from holdall.core.errors import (
    AlreadyExists,
    Corrupt,
    HoldallError,
    PreconditionFailed,
)
from holdall.testing.objects.asking import keys_of, needs, uploads_of
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from holdall.objects.async_data_store import AsyncDataStore

_DATA = b"0123456789"
_SHA256 = hashlib.sha256(_DATA).hexdigest()


async def _interrupted(store: AsyncDataStore, key: str = "a", data: bytes = _DATA) -> str:
    """Begin an upload, let go of it, and answer its id."""
    upload = await store.upload(key)
    await upload.write(data)
    await upload.close()
    return upload.id


class UploadFacts(Facts):
    """Facts about `upload`, `uploads` and `purge_uploads`."""

    async def test_an_upload_becomes_an_object(self, store: AsyncDataStore) -> None:
        upload = await store.upload("a/b")
        assert (upload.ref, upload.offset) == (store.reference("a/b"), 0)
        await upload.write(b"one ")
        await upload.write(b"two")
        assert upload.offset == 7
        meta = await upload.commit()
        assert (meta.key, meta.size) == ("a/b", 7)
        assert meta.etag == (await store.stat("a/b")).etag
        assert await store.read("a/b") == b"one two"

    async def test_an_upload_of_nothing_becomes_an_empty_object(
        self, store: AsyncDataStore
    ) -> None:
        upload = await store.upload("a")
        await upload.commit(0)
        assert await store.read("a") == b""

    async def test_an_upload_of_much_becomes_an_object(self, store: AsyncDataStore) -> None:
        data = bytes(range(251)) * 70_000
        upload = await store.upload("a")
        await upload.write(data[:9_000_000])
        await upload.write(data[9_000_000:])
        await upload.commit(len(data), hashlib.sha256(data).hexdigest())
        assert await store.read("a") == data

    async def test_an_upload_knows_the_digest_of_what_it_has(self, store: AsyncDataStore) -> None:
        upload = await store.upload("a")
        assert await upload.digest() == hashlib.sha256().hexdigest()
        await upload.write(_DATA[:3])
        await upload.write(_DATA[3:])
        assert await upload.digest() == _SHA256
        await upload.close()
        if store.capabilities.resume != "none":
            again = await self.another().upload("a", resume=upload.id)
            assert await again.digest() == hashlib.sha256(_DATA[: again.offset]).hexdigest()
            await again.abort()

    async def test_nothing_is_visible_before_the_commit(self, store: AsyncDataStore) -> None:
        await store.write("a", b"old")
        upload = await store.upload("a")
        await upload.write(b"new")
        assert await store.read("a") == b"old"
        await upload.commit()
        assert await store.read("a") == b"new"

    async def test_an_upload_that_was_let_go_is_not_visible(self, store: AsyncDataStore) -> None:
        await _interrupted(store)
        assert not await store.exists("a")
        assert await keys_of(store) == []

    async def test_a_commit_that_names_size_and_digest_is_checked(
        self, store: AsyncDataStore
    ) -> None:
        upload = await store.upload("a")
        await upload.write(_DATA)
        meta = await upload.commit(len(_DATA), _SHA256)
        assert meta.sha256 == _SHA256
        assert (await store.stat("a")).sha256 == _SHA256

    @pytest.mark.parametrize(
        ("size", "digest"), [(9, None), (11, None), (None, "0" * 64), (10, "0" * 64), (9, _SHA256)]
    )
    async def test_a_commit_of_other_bytes_is_refused(
        self, store: AsyncDataStore, size: int | None, digest: str | None
    ) -> None:
        await store.write("a", b"old")
        upload = await store.upload("a")
        await upload.write(_DATA)
        with pytest.raises(Corrupt):
            await upload.commit(size, digest)
        assert await store.read("a") == b"old"
        await upload.abort()

    async def test_a_commit_that_was_refused_keeps_the_bytes(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.resume == "staged", "staged uploads")
        upload = await store.upload("a")
        await upload.write(_DATA[:6])
        with pytest.raises(Corrupt):
            await upload.commit(10)
        await upload.close()
        (info,) = await uploads_of(store)
        assert (info.id, info.offset) == (upload.id, 6)
        again = await store.upload("a", resume=info.id)
        await again.write(_DATA[6:])
        await again.commit(10, _SHA256)
        assert await store.read("a") == _DATA

    async def test_a_refused_commit_can_be_followed_by_more_bytes(
        self, store: AsyncDataStore
    ) -> None:
        needs(store.capabilities.resume == "staged", "staged uploads")
        upload = await store.upload("a")
        await upload.write(_DATA[:6])
        with pytest.raises(Corrupt):
            await upload.commit(10)
        await upload.write(_DATA[6:])
        await upload.commit(10, _SHA256)
        assert await store.read("a") == _DATA

    async def test_the_digest_of_the_options_is_checked_by_the_commit(
        self, store: AsyncDataStore
    ) -> None:
        upload = await store.upload("a", sha256=_SHA256)
        await upload.write(b"other")
        with pytest.raises(Corrupt):
            await upload.commit()
        assert not await store.exists("a")
        await upload.abort()

    async def test_a_commit_keeps_what_the_upload_began_with(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.metadata, "metadata")
        metadata = {"unicode": "日本語", "large": "x" * 1500}
        upload = await store.upload("a", metadata=metadata)
        await upload.write(_DATA)
        await upload.commit()
        assert (await store.stat("a")).metadata == metadata

    async def test_the_condition_is_checked_by_the_commit(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")
        upload = await store.upload("a", if_none_match="*")
        await upload.write(_DATA)
        await store.write("a", b"faster")
        with pytest.raises(AlreadyExists):
            await upload.commit()
        assert await store.read("a") == b"faster"
        await upload.abort()

    async def test_a_stale_etag_refuses_the_commit(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")
        old = await store.write("a", b"old")
        upload = await store.upload("a", if_match=old.etag)
        await upload.write(_DATA)
        await store.write("a", b"newer")
        with pytest.raises(PreconditionFailed):
            await upload.commit()
        assert await store.read("a") == b"newer"
        await upload.abort()

    async def test_a_condition_that_holds_lets_the_commit_happen(
        self, store: AsyncDataStore
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        old = await store.write("a", b"old")
        upload = await store.upload("a", if_match=old.etag)
        await upload.write(_DATA)
        await upload.commit()
        assert await store.read("a") == _DATA

    async def test_a_refused_condition_keeps_the_bytes(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")
        needs(store.capabilities.resume == "staged", "staged uploads")
        upload = await store.upload("a", if_none_match="*")
        await upload.write(_DATA)
        await store.write("a", b"faster")
        with pytest.raises(AlreadyExists):
            await upload.commit()
        await upload.close()
        assert [info.offset for info in await uploads_of(store)] == [10]
        await store.delete("a")
        again = await store.upload("a", resume=upload.id)
        await again.commit(10, _SHA256)
        assert await store.read("a") == _DATA

    async def test_two_uploads_of_one_key_do_not_mix(self, store: AsyncDataStore) -> None:
        first, second = await store.upload("a"), await store.upload("a")
        assert first.id != second.id
        for number in range(3):
            await first.write(b"1%d" % number)
            await second.write(b"2%d" % number)
        await second.commit()
        assert await store.read("a") == b"202122"
        await first.commit()
        assert await store.read("a") == b"101112"

    async def test_an_upload_that_was_aborted_is_gone(self, store: AsyncDataStore) -> None:
        upload = await store.upload("a")
        await upload.write(_DATA)
        await upload.abort()
        await upload.abort()
        await upload.close()
        await upload.close()
        assert await uploads_of(store) == []
        assert not await store.exists("a")

    async def test_an_upload_that_has_ended_takes_no_more_bytes(
        self, store: AsyncDataStore
    ) -> None:
        done, gone = await store.upload("a"), await store.upload("b")
        await done.commit()
        await gone.abort()
        for upload in (done, gone):
            with pytest.raises(HoldallError):
                await upload.write(b"more")
            with pytest.raises(HoldallError):
                await upload.commit()
        assert await store.read("a") == b""

    async def test_an_upload_that_was_committed_is_not_listed(self, store: AsyncDataStore) -> None:
        upload = await store.upload("a")
        await upload.commit()
        await upload.close()
        assert await uploads_of(store) == []
