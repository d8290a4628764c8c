"""Facts about one record: creating, reading, updating, deleting."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import AlreadyExists, InvalidKey, NotFound, PreconditionFailed
from holdall.records.record import Record
from holdall.testing.records.faces import RecordFacts
from holdall.testing.records.samples import IDS, VALUES

if TYPE_CHECKING:
    from holdall.records.async_database import AsyncDatabase


class OneFacts(RecordFacts):
    """What holds for one record."""

    async def test_what_was_created_is_read(self, db: AsyncDatabase) -> None:
        given = Record({"id": "a", "name": "Alice", "age": 30}, metadata={"owner": "b"})
        assert await db.create(given) == "a"
        read = await self.another().read("a")
        assert read == given
        assert read is not given

    async def test_values_come_back_as_they_were(self, db: AsyncDatabase) -> None:
        other = self.another()
        for name, value in VALUES.items():
            await db.create(Record({"value": value}, id=name, metadata={"value": value}))
            read = await other.read(name)
            assert read is not None
            for found in (read.fields["value"], read.metadata["value"]):
                assert (name, found) == (name, value)
                assert (name, _shape(found)) == (name, _shape(value))

    async def test_nan_comes_back(self, db: AsyncDatabase) -> None:
        await db.create(Record({"value": float("nan")}, id="a"))
        read = await db.read("a")
        assert read is not None
        assert str(read.fields["value"]) == "nan"

    async def test_ids_are_kept_as_they_are(self, db: AsyncDatabase) -> None:
        for id_ in IDS.values():
            await db.create(Record({"number": 1}, id=id_))
            read = await db.read(id_)
            assert read is not None
            assert read.id == id_
            assert [one.id for one in await db.search()] == [id_]
            assert await db.delete(id_)
            assert await db.read(id_) is None

    async def test_ids_that_look_alike_are_different(self, db: AsyncDatabase) -> None:
        for id_ in IDS.values():
            await db.create(Record({"own": id_}, id=id_))
        for id_ in IDS.values():
            read = await db.read(id_)
            assert read is not None
            assert read.fields["own"] == id_
        assert await db.count() == len(IDS)

    @pytest.mark.parametrize("id_", ["", "a\0b", "a\ud800", "x" * 2000])
    async def test_an_id_that_cannot_be_is_refused(self, db: AsyncDatabase, id_: str) -> None:
        with pytest.raises(InvalidKey):
            await db.read(id_)

    async def test_fields_keep_their_order(self, db: AsyncDatabase) -> None:
        names = ["zeta", "a", "much longer than the others", "B", "b", "\u00e9", "1"]
        await db.create(Record(dict.fromkeys(names, 1), id="a"))
        read = await db.read("a")
        assert read is not None
        assert list(read.fields) == names

    async def test_a_record_without_id_gets_a_new_one(self, db: AsyncDatabase) -> None:
        record = Record({"name": "Alice"})
        id_ = await db.create(record)
        assert record.id == id_
        assert id_ != await db.create(Record({"name": "Alice"}))
        read = await db.read(id_)
        assert read is not None
        assert read.fields == {"name": "Alice"}

    async def test_what_is_not_there_reads_as_none(self, db: AsyncDatabase) -> None:
        assert await db.read("a") is None
        assert not await db.exists("a")

    async def test_creating_over_a_record_is_refused(self, db: AsyncDatabase) -> None:
        await db.create(Record({"number": 1}, id="a"))
        with pytest.raises(AlreadyExists):
            await db.create(Record({"number": 2}, id="a"))
        assert await _number(db) == 1

    async def test_the_database_writes_its_own_metadata(self, db: AsyncDatabase) -> None:
        before = datetime.now(UTC) - timedelta(seconds=1)
        record = Record({"number": 1}, id="a", metadata={"version": "1.0"})
        await db.create(record)
        read = await db.read("a")
        assert read is not None
        for one in (record, read):
            assert one.metadata["id"] == "a"
            assert one.metadata["version"] == "1.0"
            assert before < one.metadata["created_at"] < before + timedelta(minutes=5)
            assert one.metadata["created_at"] == one.metadata["updated_at"]
        assert record.metadata == read.metadata

    async def test_an_update_keeps_when_it_was_created(self, db: AsyncDatabase) -> None:
        record = Record({"number": 1}, id="a")
        await db.create(record)
        created = record.metadata["created_at"]
        record.fields["number"] = 2
        await db.update(record)
        read = await db.read("a")
        assert read is not None
        assert read.fields == {"number": 2}
        assert read.metadata["created_at"] == created
        assert read.metadata["updated_at"] >= created
        assert read.metadata == record.metadata

    async def test_an_update_takes_the_id_first(self, db: AsyncDatabase) -> None:
        await db.create(Record({"number": 1}, id="a"))
        await db.update("a", Record({"number": 2}))
        assert await _number(db) == 2

    async def test_an_update_of_another_id_is_refused(self, db: AsyncDatabase) -> None:
        await db.create(Record({"number": 1}, id="a"))
        with pytest.raises(InvalidKey):
            await db.update("a", Record({"number": 2}, id="b"))
        assert await _number(db) == 1

    async def test_an_update_of_nothing_is_not_found(self, db: AsyncDatabase) -> None:
        with pytest.raises(NotFound):
            await db.update(Record({"number": 1}, id="a"))
        assert await db.read("a") is None

    async def test_an_update_of_what_others_deleted_is_not_found(self, db: AsyncDatabase) -> None:
        await db.create(Record({"number": 1}, id="a"))
        for search in (False, True):
            found = (await db.search())[0] if search else await db.read("a")
            assert found is not None
            await self.another().delete("a")
            with pytest.raises(NotFound):
                await db.update(found)
            await db.create(Record({"number": 1}, id="a"))

    async def test_an_update_removes_fields(self, db: AsyncDatabase) -> None:
        await db.create(Record({"a": 1, "b": 2}, id="a", metadata={"x": "y"}))
        await db.update("a", Record({"b": 3}))
        read = await db.read("a")
        assert read == Record({"b": 3}, id="a")

    async def test_every_write_changes_the_version(self, db: AsyncDatabase) -> None:
        record = Record({"number": 1}, id="a")
        assert record.version is None
        versions: set[str | None] = set()
        await db.create(record)
        for _ in range(3):
            versions.add(record.version)
            await db.update(record)
        versions.add(record.version)
        assert len(versions) == 4
        read = await db.read("a")
        assert read is not None
        assert read.version == record.version

    async def test_an_update_of_an_old_version_is_refused(self, db: AsyncDatabase) -> None:
        await db.create(Record({"number": 1}, id="a"))
        mine, yours = await db.read("a"), await self.another().read("a")
        assert mine is not None
        assert yours is not None
        mine.fields["number"] = 2
        await db.update(mine)
        yours.fields["number"] = 3
        with pytest.raises(PreconditionFailed):
            await db.update(yours)
        assert await _number(db) == 2
        yours.version = None
        await db.update(yours)
        assert await _number(db) == 3

    async def test_a_version_does_not_come_back(self, db: AsyncDatabase) -> None:
        record = Record({"number": 1}, id="a")
        await db.create(record)
        old = record.copy()
        await db.delete("a")
        await db.create(Record({"number": 1}, id="a"))
        with pytest.raises(PreconditionFailed):
            await db.update(old)

    async def test_an_upsert_writes_in_any_case(self, db: AsyncDatabase) -> None:
        assert await db.upsert(Record({"number": 1}, id="a")) == "a"
        first = await db.read("a")
        assert await db.upsert("a", Record({"number": 2})) == "a"
        second = await db.read("a")
        assert first is not None
        assert second is not None
        assert second.fields == {"number": 2}
        assert second.metadata["created_at"] == first.metadata["created_at"]

    async def test_an_upsert_of_an_old_version_is_refused(self, db: AsyncDatabase) -> None:
        record = Record({"number": 1}, id="a")
        await db.create(record)
        old = record.copy()
        await db.update(record)
        with pytest.raises(PreconditionFailed):
            await db.upsert(old)

    async def test_a_patch_changes_some_fields(self, db: AsyncDatabase) -> None:
        await db.create(Record({"a": 1, "b": {"c": 2, "d": 3}}, id="x", metadata={"m": "n"}))
        patched = await db.patch("x", {"a": 4, "b.c": 5, "e.f": 6}, metadata={"m": "o"})
        fields = {"a": 4, "b": {"c": 5, "d": 3}, "e": {"f": 6}}
        assert patched.fields == fields
        read = await db.read("x")
        assert read is not None
        assert (read.fields, read.metadata["m"]) == (fields, "o")

    async def test_a_patch_of_nothing_is_not_found(self, db: AsyncDatabase) -> None:
        with pytest.raises(NotFound):
            await db.patch("a", {"b": 1})

    async def test_a_patch_of_an_old_version_is_refused(self, db: AsyncDatabase) -> None:
        record = Record({"number": 1}, id="a")
        await db.create(record)
        old = record.version
        await db.update(record)
        with pytest.raises(PreconditionFailed):
            await db.patch("a", {"number": 2}, version=old)

    async def test_patches_at_the_same_time_are_all_done(self, db: AsyncDatabase) -> None:
        await db.create(Record({}, id="a"))

        async def patch(name: str) -> None:
            await db.patch("a", {name: 1})

        names = [f"name{number}" for number in range(4)]
        await self.together([lambda name=name: patch(name) for name in names])  # type: ignore[misc]
        read = await db.read("a")
        assert read is not None
        assert sorted(read.fields) == names

    async def test_one_of_many_creators_wins(self, db: AsyncDatabase) -> None:
        async def create(number: int) -> int | None:
            try:
                await db.create(Record({"number": number}, id="a"))
            except AlreadyExists:
                return None
            return number

        won = await self.together([lambda n=n: create(n) for n in range(8)])  # type: ignore[misc]
        winners = [one for one in won if one is not None]
        assert winners == [await _number(db)]

    async def test_a_delete_says_whether_there_was_one(self, db: AsyncDatabase) -> None:
        await db.create(Record({}, id="a"))
        assert await db.delete("a") is True
        assert await db.delete("a") is False
        assert await db.count() == 0

    async def test_a_delete_of_an_old_version_is_refused(self, db: AsyncDatabase) -> None:
        record = Record({}, id="a")
        await db.create(record)
        old = record.version
        await db.update(record)
        with pytest.raises(PreconditionFailed):
            await db.delete("a", version=old)
        assert await db.exists("a")
        assert await db.delete("a", version=record.version)

    async def test_an_empty_version_is_that_of_no_record(self, db: AsyncDatabase) -> None:
        await db.create(Record({"number": 1}, id="a"))
        other = Record({"number": 2}, id="a")
        other.version = ""
        for refused in (
            db.update(other), db.upsert(other), db.patch("a", {"number": 2}, version=""),
            db.delete("a", version=""),
        ):  # fmt: skip
            with pytest.raises(PreconditionFailed):
                await refused
        assert await db.read("a") == Record({"number": 1}, id="a")

    async def test_a_delete_of_the_version_of_what_is_gone_is_refused(
        self, db: AsyncDatabase
    ) -> None:
        record = Record({}, id="a")
        await db.create(record)
        assert await db.delete("a", version=record.version)
        with pytest.raises(PreconditionFailed):
            await db.delete("a", version=record.version)

    async def test_one_of_many_deleters_of_a_version_is_told(self, db: AsyncDatabase) -> None:
        places = [db, *(self.another() for _ in range(3))]
        for id_ in "abc":
            record = Record({}, id=id_)
            await db.create(record)
            delete = partial(_is_deleted, id_=id_, version=record.version)
            told = await self.together([partial(delete, place) for place in places])
            assert told.count(True) == 1

    async def test_what_is_read_is_the_callers(self, db: AsyncDatabase) -> None:
        await db.create(Record({"list": [1], "dict": {"a": 1}}, id="a", metadata={"list": [1]}))
        for read in (await db.read("a"), await db.first()):
            assert read is not None
            read.fields["list"].append(2)
            read.fields["dict"]["b"] = 2
            read.metadata["list"].append(2)
            read.fields["new"] = 1
        again = await db.read("a")
        assert again == Record({"list": [1], "dict": {"a": 1}}, id="a", metadata={"list": [1]})

    async def test_what_was_written_is_the_callers(self, db: AsyncDatabase) -> None:
        record = Record({"list": [1]}, id="a")
        await db.create(record)
        record.fields["list"].append(2)
        again = await db.read("a")
        assert again is not None
        assert again.fields == {"list": [1]}

    async def test_a_pickle_opens_the_same_place(self, db: AsyncDatabase) -> None:
        await db.create(Record({"number": 1}, id="a"))
        again = self.face(pickle.loads(pickle.dumps(db.store)))  # noqa: S301  # our own
        assert await again.exists("a")
        await again.close()

    async def test_a_large_record_is_kept(self, db: AsyncDatabase) -> None:
        text = "0123456789abcdef" * 65536
        await db.create(Record({"text": text}, id="a"))
        read = await db.read("a")
        assert read is not None
        assert read.fields["text"] == text


async def _is_deleted(db: AsyncDatabase, id_: str, version: str | None) -> bool:
    try:
        return await db.delete(id_, version=version)
    except PreconditionFailed:
        return False


async def _number(db: AsyncDatabase) -> Any:
    read = await db.read("a")
    assert read is not None
    return read.fields["number"]


def _shape(value: Any) -> Any:
    """What equality does not see: types, signs, digits, zones."""
    if isinstance(value, list):
        return [_shape(item) for item in value]
    if isinstance(value, dict):
        return {name: _shape(item) for name, item in value.items()}
    if isinstance(value, datetime):
        return (datetime, value.isoformat(), value.fold, str(value.tzinfo))
    if isinstance(value, time):
        return (time, value.isoformat(), value.fold)
    return (type(value), str(value))
