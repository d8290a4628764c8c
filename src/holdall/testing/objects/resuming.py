"""Facts about uploads that go on where they were interrupted."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from holdall.core.errors import (
    AlreadyExists,
    NotFound,
    ResumeNotSupported,
    Unavailable,
)
from holdall.testing.objects.asking import needs, uploads_of
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


class ResumeFacts(Facts):
    """Facts about `uploads`, `upload(…, resume=…)` and `purge_uploads`."""

    async def test_uploads_that_were_let_go_are_listed(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.resume != "none", "resuming of uploads")
        name = await _interrupted(store, "a/b")
        for other in (store, self.another()):
            (info,) = await uploads_of(other)
            assert (info.key, info.ref, info.id) == ("a/b", store.reference("a/b"), name)
            assert info.offset <= 10
            assert abs(datetime.now(UTC) - info.begun) < timedelta(hours=1)

    async def test_uploads_are_listed_by_key_under_a_prefix(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.resume != "none", "resuming of uploads")
        for key in ("foo/2", "foo/1", "foo-bar", "foo/1"):
            await _interrupted(store, key)
        assert [info.key for info in await uploads_of(store, "foo")] == ["foo/1", "foo/1", "foo/2"]
        infos = await uploads_of(store)
        assert infos == sorted(infos, key=lambda info: (info.key.encode(), info.id))
        assert len(infos) == 4

    @pytest.mark.parametrize("cut", [0, 1, 9, 10])
    async def test_an_upload_goes_on_in_another_store(
        self, store: AsyncDataStore, cut: int
    ) -> None:
        needs(store.capabilities.resume != "none", "resuming of uploads")
        name = await _interrupted(store, data=_DATA[:cut])
        upload = await self.another().upload("a", resume=name)
        assert upload.id == name
        if store.capabilities.resume == "staged":
            assert upload.offset == cut
        await upload.write(_DATA[upload.offset :])
        await upload.commit(10, _SHA256)
        assert await store.read("a") == _DATA
        assert await uploads_of(store) == []

    async def test_an_upload_that_goes_on_keeps_its_first_options(
        self, store: AsyncDataStore
    ) -> None:
        needs(store.capabilities.resume != "none", "resuming of uploads")
        needs(store.capabilities.metadata, "metadata")
        first = await store.upload("a", metadata={"first": "日本語"})
        await first.write(_DATA)
        await first.close()
        again = await self.another().upload("a", resume=first.id)
        await again.write(_DATA[again.offset :])
        await again.commit(10)
        assert (await store.stat("a")).metadata == {"first": "日本語"}

    async def test_an_upload_that_goes_on_keeps_its_condition(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.resume != "none", "resuming of uploads")
        needs(store.capabilities.conditional, "conditions")
        first = await store.upload("a", if_none_match="*")
        await first.close()
        await store.write("a", b"faster")
        again = await self.another().upload("a", resume=first.id)
        with pytest.raises(AlreadyExists):
            await again.commit()
        await again.abort()

    @pytest.mark.parametrize("name", ["0" * 32, "x", "", "../../x", "a\0b"], ids=repr)
    async def test_an_unknown_upload_is_not_found(self, store: AsyncDataStore, name: str) -> None:
        needs(store.capabilities.resume != "none", "resuming of uploads")
        await _interrupted(store)
        with pytest.raises(NotFound):
            await store.upload("a", resume=name)

    async def test_an_upload_of_another_key_is_not_found(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.resume != "none", "resuming of uploads")
        name = await _interrupted(store, "a")
        with pytest.raises(NotFound):
            await store.upload("b", resume=name)

    async def test_an_upload_that_has_ended_is_not_found(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.resume != "none", "resuming of uploads")
        done, gone = await store.upload("a"), await store.upload("a")
        await done.commit()
        await gone.abort()
        for upload in (done, gone):
            with pytest.raises(NotFound):
                await store.upload("a", resume=upload.id)

    async def test_one_upload_has_one_writer_at_a_time(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.local, "files on this machine")
        upload = await store.upload("a")
        for other in (store, self.another()):
            with pytest.raises(Unavailable) as caught:
                await other.upload("a", resume=upload.id)
            assert caught.value.transient
        await upload.write(_DATA)
        await upload.commit(10, _SHA256)

    async def test_going_on_is_refused_where_it_is_not_offered(self, store: AsyncDataStore) -> None:
        if store.capabilities.resume != "none":
            pytest.skip("the store can go on with uploads")
        name = await _interrupted(store)
        with pytest.raises(ResumeNotSupported):
            await store.upload("a", resume=name)
        assert await uploads_of(store) == []

    # Clearing up

    async def test_only_old_uploads_are_purged(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.resume != "none", "resuming of uploads")
        await _interrupted(store)
        assert await store.purge_uploads(timedelta(days=1)) == 0
        assert len(await uploads_of(store)) == 1

    async def test_purged_uploads_are_gone(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.resume != "none", "resuming of uploads")
        names = [await _interrupted(store, key) for key in ("a/1", "a/2", "b")]
        # A service's clock may be ahead of ours, hence an age below 0.
        assert await store.purge_uploads(timedelta(days=-1), "a") == 2
        assert [info.id for info in await uploads_of(store)] == names[2:]
        assert await store.purge_uploads(timedelta(days=-1)) == 1
        assert await uploads_of(store) == []

    async def test_a_purge_leaves_objects_alone(self, store: AsyncDataStore) -> None:
        await store.write("a", b"old")
        await _interrupted(store)
        await store.purge_uploads(timedelta(days=-1))
        assert await store.read("a") == b"old"
