"""Facts about writes that happen only under a condition."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import AlreadyExists, NotFound, PreconditionFailed, Unsupported
from holdall.objects.options import GET, DeleteOptions
from holdall.testing.objects.asking import fill, keys_of, needs
from holdall.testing.objects.faces import Facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.core.reference import Reference
    from holdall.objects.async_data_store import AsyncDataStore

_KINDS: dict[str, Callable[[bytes], Any]] = {"bytes": bytes, "stream": lambda data: [data]}
_BOTH = pytest.mark.parametrize("kind", _KINDS)


class ConditionFacts(Facts):
    """Facts about `if_match` and `if_none_match`."""

    @_BOTH
    async def test_only_creating_writes_what_is_missing(
        self, store: AsyncDataStore, kind: str
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        await store.write("a/b", _KINDS[kind](b"new"), if_none_match="*")
        assert await store.read("a/b") == b"new"

    @_BOTH
    async def test_only_creating_replaces_nothing(self, store: AsyncDataStore, kind: str) -> None:
        needs(store.capabilities.conditional, "conditions")
        old = await store.write("a", b"old")
        with pytest.raises(AlreadyExists) as caught:
            await store.write("a", _KINDS[kind](b"new"), if_none_match="*")
        assert isinstance(caught.value, PreconditionFailed)
        assert isinstance(caught.value, FileExistsError)
        assert await store.read("a", if_match=old.etag) == b"old"

    @_BOTH
    async def test_a_deleted_object_can_be_created_again(
        self, store: AsyncDataStore, kind: str
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        await fill(store, "a")
        await store.delete("a")
        await store.write("a", _KINDS[kind](b"new"), if_none_match="*")
        assert await store.read("a") == b"new"

    @_BOTH
    async def test_the_etag_of_the_object_lets_it_be_replaced(
        self, store: AsyncDataStore, kind: str
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        old = await store.write("a", b"old")
        new = await store.write("a", _KINDS[kind](b"new"), if_match=old.etag)
        assert await store.read("a", if_match=new.etag) == b"new"

    @_BOTH
    async def test_a_stale_etag_is_refused(self, store: AsyncDataStore, kind: str) -> None:
        needs(store.capabilities.conditional, "conditions")
        old = await store.write("a", b"old")
        await store.write("a", b"newer")
        with pytest.raises(PreconditionFailed):
            await store.write("a", _KINDS[kind](b"new"), if_match=old.etag)
        assert await store.read("a") == b"newer"

    @_BOTH
    async def test_an_etag_does_not_match_what_is_missing(
        self, store: AsyncDataStore, kind: str
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        with pytest.raises(PreconditionFailed) as caught:
            await store.write("a/b", _KINDS[kind](b"new"), if_match="x")
        assert not isinstance(caught.value, AlreadyExists)
        assert await keys_of(store) == []

    async def test_the_etag_of_a_deleted_object_is_refused(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")
        old = await store.write("a", b"old")
        await store.delete("a")
        with pytest.raises(PreconditionFailed):
            await store.write("a", b"new", if_match=old.etag)
        assert not await store.exists("a")

    async def test_the_etag_of_another_object_is_refused(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")
        other = await store.write("b", b"other")
        await store.write("a", b"data")
        with pytest.raises(PreconditionFailed):
            await store.write("a", b"new", if_match=other.etag)

    async def test_a_condition_on_the_name_of_a_folder_finds_no_object(
        self, store: AsyncDataStore
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        await fill(store, "a/b")
        with pytest.raises(PreconditionFailed):
            await store.write("a", b"new", if_match="x")

    async def test_a_condition_holds_against_another_store(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")
        old = await store.write("a", b"old")
        await self.another().write("a", b"newer")
        with pytest.raises(PreconditionFailed):
            await store.write("a", b"new", if_match=old.etag)

    async def test_a_delete_of_the_same_object_happens(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")
        meta = await store.write("a", b"old")
        await store.delete("a", if_match=meta.etag)
        assert not await store.exists("a")

    async def test_a_delete_of_a_changed_object_is_refused(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")
        old = await store.write("a", b"old")
        await store.write("a", b"new")
        with pytest.raises(PreconditionFailed):
            await store.delete("a", if_match=old.etag)
        assert await store.read("a") == b"new"

    async def test_a_conditional_delete_of_what_is_missing_succeeds(
        self, store: AsyncDataStore
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        await store.delete("a", if_match="x")

    async def test_a_delete_of_what_must_exist_says_that_it_is_missing(
        self, store: AsyncDataStore
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        meta = await store.write("a", b"data")
        await fill(store, "b/c")
        options = DeleteOptions(if_match=meta.etag, must_exist=True)
        assert list(await store.store.delete([meta.ref], options)) == []
        refs = [meta.ref, store.reference("x/y"), store.reference("b"), store.reference("b/c")]
        failures = await store.store.delete(refs, options)
        assert [failure.ref for failure in failures] == refs
        kinds = [type(failure.error) for failure in failures]
        assert kinds == [NotFound, NotFound, NotFound, PreconditionFailed]
        assert await keys_of(store) == ["b/c"]

    async def test_no_other_condition_than_a_star_is_known(self, store: AsyncDataStore) -> None:
        with pytest.raises(Unsupported):
            await store.write("a", b"new", if_none_match="x")
        assert not await store.exists("a")

    async def test_conditions_that_are_not_offered_are_refused(self, store: AsyncDataStore) -> None:
        if store.capabilities.conditional:
            pytest.skip("the store offers conditions")
        await fill(store, "a")
        with pytest.raises(Unsupported):
            await store.write("b", b"new", if_none_match="*")
        with pytest.raises(Unsupported):
            await store.write("a", b"new", if_match="x")
        with pytest.raises(Unsupported):
            await store.delete("a", if_match="x")
        assert await store.read("a") == b"a"

    # Against each other

    async def test_five_writers_count_to_50(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")

        async def count() -> None:
            mine = self.another()
            ref = mine.reference("count")
            done = 0
            while done < 10:
                try:
                    async with await mine.store.get(ref, GET) as stream:
                        etag, number = stream.meta.etag, int(await stream.read_all())
                    await mine.write("count", b"%d" % (number + 1), if_match=etag)
                except NotFound:
                    try:
                        await mine.write("count", b"0", if_none_match="*")
                    except AlreadyExists:
                        continue
                except PreconditionFailed:
                    continue
                else:
                    done += 1

        await self.together([count] * 5)
        assert await store.read("count") == b"50"

    async def test_one_of_many_creators_succeeds(self, store: AsyncDataStore) -> None:
        needs(store.capabilities.conditional, "conditions")

        async def create() -> str | None:
            try:
                return (await store.write("a/b/c", b"data", if_none_match="*")).etag
            except AlreadyExists:
                return None

        etags = await self.together([create] * 10)
        winners = [etag for etag in etags if etag is not None]
        assert winners == [(await store.stat("a/b/c")).etag]

    async def test_one_of_many_deleters_of_what_must_exist_succeeds(
        self, store: AsyncDataStore
    ) -> None:
        needs(store.capabilities.conditional, "conditions")
        for _ in range(5):
            meta = await store.write("a/b/c", b"data")
            options = DeleteOptions(if_match=meta.etag, must_exist=True)

            async def delete(
                place: AsyncDataStore, options: DeleteOptions = options, ref: Reference = meta.ref
            ) -> bool:
                failures = await place.store.delete([ref], options)
                missed = [isinstance(one.error, (NotFound, PreconditionFailed)) for one in failures]
                assert missed in ([], [True])
                return not failures

            places = [store, *(self.another() for _ in range(3))]
            told = await self.together([partial(delete, place) for place in places])
            assert told.count(True) == 1
