"""Facts about searches, judged by the database in memory."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import UUID

import pytest

from holdall.core.errors import InvalidQuery
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.database import Database
from holdall.records.query import F, Query, condition
from holdall.records.record import Record
from holdall.testing.records.faces import RecordFacts
from holdall.testing.records.samples import INJECTIONS, VALUES

if TYPE_CHECKING:
    from holdall.records.async_database import AsyncDatabase
    from holdall.records.predicate import Node

_NOON: Final = datetime(2024, 1, 1, 12, tzinfo=UTC)
_TEXTS: Final = ("", "a", "A", "ab", "b", "\u00e9", "e\u0301", "\uffff", "\U0001f511", "10", "9")

ROWS: Final[dict[str, dict[str, Any]]] = {
    **{f"value {name}": {"x": value} for name, value in VALUES.items()},
    **{f"list {name}": {"x": [value]} for name, value in VALUES.items()},
    **{f"text {text}": {"x": text} for text in _TEXTS},
    **{f"number {number}": {"x": number} for number in (-1, 1, 1.5, 2, 9, 10, 18, 18.0, 30)},
    "nan": {"x": float("nan")},
    "decimal 18": {"x": Decimal("18.0")},
    "numbers": {"x": [1, 20]},
    "numbers and texts": {"x": ["a", 9, None]},
    "nothing": {"y": 1},
    "no fields": {},
    "deep": {"x": {"a": {"b": 18, "c": ["a"]}}},
    "deep text": {"x": {"a": {"b": "18"}}},
    "dotted": {"x.a": 1},
    "records": {"x": [{"a": 1}, {"a": 2}]},
    "before noon": {"x": _NOON - timedelta(microseconds=1)},
    "noon": {"x": _NOON},
    "a later day": {"x": date(2024, 3, 1)},
    "another UUID": {"x": UUID(int=1)},
    "other bytes": {"x": b"\x00\xff"},
    **{f"named {name}": {name: "here", "x": name} for name in INJECTIONS},
}

_X = F("x")


def _x(op: str, value: Any) -> Node:
    return condition(("x",), op, value)


CONDITIONS: Final[dict[str, Node]] = {
    **{f"equals {name}": _x("=", value) for name, value in VALUES.items()},
    **{f"differs {name}": _x("!=", value) for name, value in VALUES.items()},
    **{f"contains {name}": _X.contains(value) for name, value in VALUES.items()},
    **{f"equals text {text}": _x("=", text) for text in _TEXTS},
    **{f"at least {text}": text <= _X for text in _TEXTS},
    **{f"below {text}": text > _X for text in _TEXTS},
    **{f"above {number}": number < _X for number in (-1, 1, 1.0, 9, 18, 2**60, Decimal("9.5"))},
    **{f"at most {number}": number >= _X for number in (0, 1, 17.5, 18, 1e300, float("inf"))},
    **{f"equals {number!r}": _x("=", number) for number in (1, 1.0, 18, Decimal(18), True, 0)},
    "equals nan": _x("=", float("nan")),
    "differs nan": _x("!=", float("nan")),
    "below nan": _x("<", float("nan")),
    "above false": _X > False,
    "before noon": _X < _NOON,
    "from noon": _NOON.astimezone(VALUES["an offset"].tzinfo) <= _X,
    "before a date": date(2024, 3, 1) > _X,
    "from a naive datetime": VALUES["a naive datetime"] <= _X,
    "from a time": VALUES["a time"] <= _X,
    "from a UUID": UUID(int=1) <= _X,
    "above bytes": _X > b"\x00",
    "exists": _X.exists(),
    "missing": _X.missing(),
    "null": _X.is_null(),
    "not null": ~_X.is_null(),
    "deep": F("x.a.b") == 18,
    "deep text": F("x.a.b") >= "1",
    "deep list": F("x.a.c") == "a",
    "deep exists": F("x.a").exists(),
    "deep missing": F("x.a").missing(),
    "an item": F("x.0") == 1,
    "an item's entry": F("x.1.a") == 2,
    "no such item": F("x.01").exists(),
    "no item from the end": F("x.-1").exists(),
    "dotted": F(r"x\.a") == 1,
    "inside a marker": F("x.$instant").exists(),
    "beside a marker": F("x.fold").exists(),
    "one of texts": _X.is_in(["a", "10", "none"]),
    "one of several": _X.is_in([1, "a", None, True, b""]),
    "one of none": _X.is_in([]),
    "none of several": _X.not_in([1, "a", None]),
    "none of none": _X.not_in([]),
    "begins": _X.startswith("a"),
    "begins with a wildcard": _X.startswith("%"),
    "begins with nothing": _X.startswith(""),
    "ends": _X.endswith("b"),
    "ends with an accent": _X.endswith("\u0301"),
    "holds a quote": _X.contains("'"),
    "holds a backslash": _X.contains("\\"),
    "like": _X.like("a%"),
    "like one letter": _X.like("_"),
    "like a wildcard": _X.like(r"%\%%"),
    "like everything": _X.like("%"),
    "like several lines": _X.like("one%three"),
    "like small letters": _X.ilike("A%"),
    "like small accents": _X.ilike("GR\u00dc%"),
    "regex": _X.regex("^[ab]"),
    "regex of digits": _X.regex(r"\d{2}"),
    "regex of lines": _X.regex("(?m)^two"),
    "between numbers": _X.between(1, 18),
    "between texts": _X.between("a", "b"),
    "between nothing": _X.between(18, 1),
    "between in a list": _X.between(5, 15),
    "and": (_X >= 1) & (_X <= 9),
    "or": _x("=", 1) | _x("=", "a"),
    "not": ~(_X >= 1),
    "not or": ~(_x("=", 1) | _X.missing()),
    "id": F("id") == "text a",
    "ids": F("id").is_in(["text a", "nan", "none"]),
    "ids from": F("id") >= "value",
    "metadata": F("metadata.kind") == "text",
    "no metadata": F("metadata.kind").missing(),
    "metadata of ours": F("metadata.id").startswith("value"),
    "created": F("metadata.created_at") > datetime(2020, 1, 1, tzinfo=UTC),
    "updated later": F("metadata.updated_at") > datetime(2999, 1, 1, tzinfo=UTC),
    **{f"field {name}": F((name,)) == "here" for name in INJECTIONS},
    **{f"injected {name}": _x("=", name) for name in INJECTIONS},
}

ORDERS: Final[dict[str, Query]] = {
    "by id": Query(),
    "up": Query().sort("x"),
    "down": Query().sort("x", "DESC"),
    "up, missing first": Query().sort("x", missing="first"),
    "down, missing first": Query().sort("x", "desc", missing="first"),
    "deep": Query().sort("x.a.b"),
    "by metadata": Query().sort("metadata.kind", "desc").sort("x"),
    "by id, down": Query().sort("id", "desc"),
    "two": Query().sort("y", "desc").sort("x", "desc"),
    "some of the middle": Query().sort("x", "desc").offset(20).limit(15),
    "few": Query().limit(3),
    "none": Query().limit(0),
    "beyond": Query().offset(1000),
    "of some": Query().filter(_X.exists()).sort("x").offset(3).limit(30),
}


class SearchFacts(RecordFacts):
    """What holds for searches.

    Attributes:
        every: Of how many conditions one is asked. All are, unless a test server is so slow that
            a few hundred searches take minutes; each face asks others then.
    """

    every: ClassVar[int] = 1

    async def test_a_search_answers_what_is_meant(self, db: AsyncDatabase) -> None:
        truth = await _filled(db)
        wrong = []
        first = 0 if db.store.runtime.blocking else self.every // 2
        for name, node in islice(CONDITIONS.items(), first, None, self.every):
            query = Query().filter(node)
            expected = [one.id for one in truth.search(query)]
            found = [one.id for one in await db.search(query)]
            if found != expected or await db.count(query) != len(expected):
                wrong.append((name, found, expected))
        assert wrong == []

    async def test_a_search_answers_in_order(self, db: AsyncDatabase) -> None:
        truth = await _filled(db)
        for name, query in ORDERS.items():
            expected = [one.id for one in truth.search(query)]
            assert (name, [one.id for one in await db.search(query)]) == (name, expected)
            assert await db.count(query) == len(expected)

    async def test_pages_neither_repeat_nor_skip(self, db: AsyncDatabase) -> None:
        truth = await _filled(db)
        for name in ("by id", "up", "down", "down, missing first", "two"):
            query = ORDERS[name]
            ids: list[str | None] = []
            token = None
            while not ids or token is not None:
                page = await db.page(query, token, size=17)
                ids += [one.id for one in page.records]
                token = page.token
            assert ids == [one.id for one in truth.search(query)]

    async def test_a_token_is_for_one_query(self, db: AsyncDatabase) -> None:
        await db.batch_create([Record({"x": at}, id=str(at)) for at in range(5)])
        page = await db.page(size=2)
        for query in (Query().sort("x"), Query().filter("x", "=", 1)):
            with pytest.raises(InvalidQuery, match="another query"):
                await db.page(query, page.token)
        with pytest.raises(InvalidQuery, match="no token"):
            await db.page(None, "nonsense")

    async def test_a_field_called_id_is_found_by_its_own_path(self, db: AsyncDatabase) -> None:
        rows = [Record({"id": "a"}), Record({}, id="b"), Record({"id": None}, id="c")]
        await db.batch_create(rows)
        field = F(".id")
        nodes = (field == "a", field.exists(), field.missing(), field.is_null(), F("id") >= "b")
        found = [[one.id for one in await db.search(Query().filter(node))] for node in nodes]
        assert found == [["a"], ["a", "c"], ["b"], ["c"], ["b", "c"]]
        downward = Query().sort(".id", "desc").limit(1)
        assert [one.id for one in await db.search(downward)] == ["a"]

    async def test_equal_searches_answer_alike(self, db: AsyncDatabase) -> None:
        ids = [f"{at * 7 % 30:02}" for at in range(30)]
        await db.batch_create([Record({"x": id_}, id=id_) for id_ in ids])
        answers = [[one.id for one in await db.search(Query().limit(5))] for _ in range(5)]
        assert answers == [["00", "01", "02", "03", "04"]] * 5

    async def test_a_selection_has_these_fields(self, db: AsyncDatabase) -> None:
        await db.create(Record({"a": 1, "b": {"c": 2, "d": 3}, "e": 4}, id="x", metadata={"m": 1}))
        query = Query().select("b.c", "e", "none")
        for one in (await db.search(query))[0], [r async for r in db.stream_read(query)][0]:  # noqa: RUF015
            assert one.fields == {"b": {"c": 2}, "e": 4}
            assert (one.id, one.metadata["m"]) == ("x", 1)

    async def test_distinct_answers_the_first_of_each(self, db: AsyncDatabase) -> None:
        for at, value in enumerate([1, 1.0, True, "1", None, None, [1], [1], 2]):
            await db.create(Record({"x": value}, id=str(at)))
        await db.create(Record({}, id="9"))
        query = Query().distinct("x")
        assert [one.id for one in await db.search(query)] == list("0234689")
        assert [one.id for one in await db.search(query.limit(3).offset(1))] == list("234")
        assert await db.count(query) == 7

    async def test_groups_have_counts_and_sums(self, db: AsyncDatabase) -> None:
        rows = [("a", 1), ("b", 2.5), ("a", 3), ("b", None), ("c", "text"), (None, 7)]
        for at, (kind, number) in enumerate(rows):
            await db.create(Record({"kind": kind, "n": number}, id=str(at)))
        await db.create(Record({"n": 1}, id="9"))
        groups = await db.group(
            "kind",
            Query().filter("n", "!=", 7),
            number="count",
            total=("sum", "n"),
            mean=("mean", "n"),
            least=("min", "n"),
            most=("max", "n"),
        )
        assert groups == [
            {"kind": "a", "number": 2, "total": 4, "mean": 2.0, "least": 1, "most": 3},
            {"kind": "b", "number": 2, "total": 2.5, "mean": 2.5, "least": 2.5, "most": 2.5},
            {"kind": "c", "number": 1, "total": 0, "mean": None, "least": "text", "most": "text"},
            {"number": 1, "total": 1, "mean": 1.0, "least": 1, "most": 1},
        ]
        assert await db.group(total=("sum", "n")) == [{"total": 14.5}]

    async def test_the_first_is_the_first_in_order(self, db: AsyncDatabase) -> None:
        assert await db.first() is None
        truth = await _filled(db)
        query = Query().sort("x", "desc")
        first, expected = await db.first(query), truth.first(query)
        assert first is not None
        assert expected is not None
        assert first.id == expected.id

    async def test_a_search_finds_what_others_just_did(self, db: AsyncDatabase) -> None:
        other = self.another()
        await db.batch_create([Record({"x": at}, id=str(at)) for at in range(5)])
        query = Query().filter("x", ">=", 3)
        assert [one.id for one in await other.search(query)] == ["3", "4"]
        await db.update(Record({"x": 9}, id="0"))
        await db.delete("3")
        await db.create(Record({"x": 7}, id="7"))
        assert [one.id for one in await other.search(query)] == ["0", "4", "7"]
        assert await other.count(query) == 3

    async def test_every_path_may_be_indexed(self, db: AsyncDatabase) -> None:
        if not db.capabilities.indexes:
            pytest.skip("the database has no indexes")
        names = ("a", "0", "$a", 'a"b', "a'b", "a\\b", "a.b", "é", "a b", "zone", "a\n", "x" * 1010)
        await db.batch_create([Record({name: {name: name}}, id=name) for name in names])
        for name in names:
            for path in ((name,), (name, name), ("metadata", name)):
                await db.store.index(path)
            found = await db.search(Query().filter((name, name), "=", name))
            assert [one.id for one in found] == [name]
            assert await db.first(Query().sort((name, name))) == found[0]

    async def test_an_index_changes_no_answer(self, db: AsyncDatabase) -> None:
        if not db.capabilities.indexes:
            pytest.skip("the database has no indexes")
        await db.create_index("x", "x.a.b")
        await db.create_index("x")
        truth = await _filled(db)
        for node in CONDITIONS.values():
            query = Query().filter(node)
            expected = [one.id for one in truth.search(query)]
            assert [one.id for one in await db.search(query)] == expected
        changed = {id_: {"x": id_} for id_ in list(ROWS)[::2]}
        for where in (db.batch_update, truth.batch_update):
            done = where([Record(fields, id=id_) for id_, fields in changed.items()])
            if not isinstance(done, list):
                await done
        for node in CONDITIONS.values():
            query = Query().filter(node).sort("x").limit(20)
            expected = [one.id for one in truth.search(query)]
            assert [one.id for one in await db.search(query)] == expected


async def _filled(db: AsyncDatabase) -> Database:
    """Fill a database and one in memory with the same rows; answer the latter."""
    settings = MemoryRecordSettings()
    truth = Database(MemoryRecords.open(settings, BlockingRuntime()))
    for name in ROWS:
        kind = {"kind": name.partition(" ")[0]} if " " in name else {}
        record = Record(ROWS[name], id=name, metadata=kind)
        truth.create(record)
    await db.batch_create([Record(one.fields, one.id, _own(one)) for one in truth.all()])
    return truth


def _own(record: Record) -> dict[str, Any]:
    return record.own_metadata()
