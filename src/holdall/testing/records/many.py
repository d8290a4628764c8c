"""Facts about batches and streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from holdall.core.errors import AlreadyExists, NotFound, PreconditionFailed
from holdall.records.query import F, Query
from holdall.records.record import Record
from holdall.records.results import BatchFailed, Undone
from holdall.testing.records.faces import RecordFacts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holdall.records.async_database import AsyncDatabase


def numbered(number: int) -> list[Record]:
    """Records `0000`, `0001`, …, each with its number."""
    return [Record({"number": at}, id=f"{at:04}") for at in range(number)]


class ManyFacts(RecordFacts):
    """What holds for many records at once.

    Attributes:
        large: How many records are a large batch.
    """

    large: ClassVar[int] = 2500

    async def test_a_batch_is_created_in_order(self, db: AsyncDatabase) -> None:
        records = [Record({"n": 1}, id="b"), Record({"n": 2}), Record({"n": 3}, id="a")]
        ids = await db.batch_create(records)
        assert ids == [record.id for record in records]
        assert ids[0] == "b"
        assert ids[2] == "a"
        assert await db.batch_read(ids) == records

    async def test_an_empty_batch_does_nothing(self, db: AsyncDatabase) -> None:
        assert await db.batch_create([]) == []
        assert await db.batch_read([]) == []
        assert await db.batch_update([]) == []
        assert await db.batch_delete([]) == []

    async def test_the_other_spelling_is_the_same(self, db: AsyncDatabase) -> None:
        await db.create_batch(numbered(2))
        await db.upsert_batch(numbered(3))
        await db.update_batch(numbered(3))
        assert len(await db.read_batch(["0000", "0002"])) == 2
        assert await db.delete_batch(["0000", "0001", "0002"]) == [True] * 3

    async def test_a_batch_reads_none_for_what_is_missing(self, db: AsyncDatabase) -> None:
        await db.batch_create(numbered(2))
        read = await db.batch_read(["0001", "x", "0000", "0001"])
        assert [None if one is None else one.id for one in read] == ["0001", None, "0000", "0001"]

    async def test_a_batch_deletes_what_is_there(self, db: AsyncDatabase) -> None:
        await db.batch_create(numbered(3))
        assert await db.batch_delete(["0002", "x", "0000", "0002"]) == [True, False, True, False]
        assert [one.id for one in await db.all()] == ["0001"]

    async def test_a_batch_says_of_each_what_failed(self, db: AsyncDatabase) -> None:
        await db.create(Record({"number": -1}, id="0001"))
        with pytest.raises(BatchFailed) as caught:
            await db.batch_create(numbered(3))
        results = caught.value.results
        assert isinstance(results[1], AlreadyExists)
        assert len(results) == 3
        there = [one.id for one in await db.all()]
        if db.capabilities.atomic:
            assert [type(one) for one in results] == [Undone, AlreadyExists, Undone]
            assert there == ["0001"]
        else:
            assert results[0] == "0000"
            assert results[2] == "0002"
            assert there == ["0000", "0001", "0002"]

    async def test_a_batch_creates_an_id_once(self, db: AsyncDatabase) -> None:
        records = [*numbered(30), Record({"number": -1}, id="0007")]
        with pytest.raises(BatchFailed) as caught:
            await db.batch_create(records)
        both = [caught.value.results[7], caught.value.results[30]]
        assert sum(isinstance(one, AlreadyExists) for one in both) == 1
        assert await db.count() == (0 if db.capabilities.atomic else 30)

    async def test_a_batch_updates_what_is_there(self, db: AsyncDatabase) -> None:
        await db.batch_create(numbered(2))
        with pytest.raises(BatchFailed) as caught:
            await db.batch_update([Record({"number": 9}, id="0001"), Record({}, id="x")])
        assert isinstance(caught.value.results[1], NotFound)
        assert await db.read("x") is None
        read = await db.read("0001")
        assert read is not None
        assert read.fields["number"] == (1 if db.capabilities.atomic else 9)

    async def test_a_batch_refuses_old_versions(self, db: AsyncDatabase) -> None:
        records = numbered(2)
        await db.batch_create(records)
        old = records[0].copy()
        await db.update(records[0])
        with pytest.raises(BatchFailed) as caught:
            await db.batch_update([old])
        assert isinstance(caught.value.results[0], PreconditionFailed)

    async def test_a_batch_writes_over_or_new(self, db: AsyncDatabase) -> None:
        await db.create(Record({"number": -1}, id="0001"))
        assert await db.batch_upsert(numbered(3)) == ["0000", "0001", "0002"]
        assert [one.fields["number"] for one in await db.all()] == [0, 1, 2]

    async def test_a_batch_gives_each_record_its_version(self, db: AsyncDatabase) -> None:
        records = numbered(3)
        await db.batch_create(records)
        assert len({record.version for record in records}) == 3
        await db.batch_update(records)
        for record, read in zip(records, await db.all(), strict=True):
            assert (read, read.version) == (record, record.version)

    async def test_a_record_that_cannot_be_kept_stops_its_batch(self, db: AsyncDatabase) -> None:
        records = numbered(3)
        records[1].fields["set"] = {1}
        with pytest.raises(BatchFailed, match=r"item 1.*set"):
            await db.batch_create(records)
        assert await db.count() == 0

    async def test_a_batch_may_be_large(self, db: AsyncDatabase) -> None:
        ids = await db.batch_create(numbered(self.large))
        assert await db.count() == self.large
        assert len(await db.batch_read(ids)) == self.large
        assert await db.batch_delete(ids) == [True] * self.large

    async def test_a_stream_reads_all_in_order(self, db: AsyncDatabase) -> None:
        await db.batch_create(numbered(25))
        query = Query().filter(F("number") >= 3).sort("number", "desc").offset(2).limit(12)
        for size in (1, 7, 100):
            read = [one.fields["number"] async for one in db.stream_read(query, size=size)]
            assert read == list(range(22, 10, -1))

    async def test_a_stream_writes_what_comes(self, db: AsyncDatabase) -> None:
        taken = 0

        async def coming() -> AsyncIterator[Record]:
            nonlocal taken
            for record in numbered(25):
                taken += 1
                yield record

        source = numbered(25) if db.store.runtime.blocking else coming()
        assert await db.stream_write(source, size=10) == 25
        assert await db.count() == 25

    async def test_a_stream_that_fails_says_how_far_it_came(self, db: AsyncDatabase) -> None:
        await db.create(Record({}, id="0015"))
        with pytest.raises(BatchFailed, match="after 10 that were"):
            await db.stream_write(numbered(25), size=10)
        assert await db.exists("0009")

    async def test_clearing_says_how_many_there_were(self, db: AsyncDatabase) -> None:
        await db.batch_create(numbered(5))
        assert await db.clear() == 5
        assert await db.clear() == 0
        assert await db.all() == []
        assert await db.count() == 0

    async def test_a_transaction_counts_as_a_whole(self, db: AsyncDatabase) -> None:
        if not db.capabilities.transactions:
            pytest.skip("the database has no transactions")
        async with db.transaction() as inside:
            await inside.create(Record({"number": 1}, id="a"))
            await inside.create(Record({"number": 2}, id="b"))
            assert await inside.count() == 2
        assert [one.id for one in await db.all()] == ["a", "b"]
        with pytest.raises(NotFound):
            await _delete_and_fail(db)
        assert [one.id for one in await db.all()] == ["a", "b"]

    async def test_nobody_sees_an_open_transaction(self, db: AsyncDatabase) -> None:
        if not db.capabilities.transactions:
            pytest.skip("the database has no transactions")
        other = self.another()
        async with db.transaction() as inside:
            await inside.create(Record({}, id="a"))
            assert await other.read("a") is None
        assert await other.read("a") is not None


async def _delete_and_fail(db: AsyncDatabase) -> None:
    async with db.transaction() as inside:
        await inside.delete("a")
        await inside.patch("none", {"number": 1})
