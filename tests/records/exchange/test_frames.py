"""Data frames of pandas, polars and Arrow, and back."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import InvalidConfig
from holdall.records.exchange import from_dataframe, to_dataframe
from holdall.records.query import F, Query
from holdall.records.record import Record
from records.exchange.samples import database

pytest.importorskip("pyarrow")
pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

KINDS: Any = ["pandas", "polars", "arrow"]
PLAIN: dict[str, Any] = {
    "int": 2**60 + 1,
    "float": 0.1,
    "bool": True,
    "text": "Gr\u00fc\u00dfe",
    "bytes": b"\0\xff",
    "decimal": Decimal("1.50"),
    "date": date(2024, 2, 29),
    "datetime": datetime(2024, 1, 1, 12, 0, 0, 1),  # noqa: DTZ001
    "instant": datetime(2024, 1, 1, 12, 0, 0, 1, UTC),
    "time": time(23, 59, 59, 1),
    "list": ["a", "b"],
}
columns: Any = {
    "a": st.integers(-(2**63) + 1, 2**63 - 1),
    "b": st.text(st.characters(codec="utf-8")),
    "c": st.booleans(),
    "d": st.floats(allow_nan=False),
    "e": st.datetimes(timezones=st.just(UTC)),
    "f": st.lists(st.integers(0, 9)),
    "metadata.g": st.text(st.characters(codec="utf-8"), max_size=3),
}


def back(kind: Any, *records: Record) -> list[dict[str, Any]]:
    """The fields that come back, without the ids."""
    target = database()
    from_dataframe(target, to_dataframe(database(records), kind=kind)).check()
    return [{k: v for k, v in one.fields.items() if k != "id"} for one in target.all()]


@pytest.mark.parametrize("kind", KINDS)
@given(st.lists(st.fixed_dictionaries({}, optional=columns), max_size=5))
def test_every_record_comes_back(kind: Any, rows: list[dict[str, Any]]) -> None:
    own = [{"g": row.pop("metadata.g")} if "metadata.g" in row else {} for row in rows]
    source = database(Record(row, f"{at}", own[at]) for at, row in enumerate(rows))
    target = database()
    from_dataframe(target, to_dataframe(source, kind=kind), batch=2).check()
    for at, one in enumerate(target.all()):
        assert one.fields == {"id": f"{at}", **rows[at]}
        assert all(type(one.fields[name]) is type(rows[at][name]) for name in rows[at])
        assert one.metadata.get("g") == own[at].get("g")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gap", [True, False])
def test_every_plain_type_comes_back(kind: Any, gap: bool) -> None:
    others = [Record({}, "y")] if gap else []
    found = back(kind, Record(PLAIN, "x"), *others)
    assert repr(found[0]) == repr(PLAIN)
    assert found[1:] == [{} for _ in others]


def test_pandas_holds_dicts_and_uuids_as_objects() -> None:
    fields = {"dict": {"x": Decimal(1)}, "uuid": UUID(int=5), "mixed": "text"}
    records = [Record(fields, "a"), Record({"mixed": 1}, "b"), Record({}, "c")]
    frame = to_dataframe(database(records))
    assert frame["dict"][0] == {"x": Decimal(1)}
    assert frame["uuid"][0] == UUID(int=5)
    assert frame["mixed"].tolist()[:2] == ["text", 1]
    assert back("pandas", *records) == [fields, {"mixed": 1}, {}]


def test_large_whole_numbers_with_a_gap_stay_exact_in_pandas() -> None:
    frame = to_dataframe(database([Record({"n": 2**60 + 1}, "a"), Record({}, "b")]))
    assert frame["n"][0] == 2**60 + 1


@pytest.mark.parametrize("kind", ["pandas", "arrow"])
@pytest.mark.parametrize(
    "values",
    [
        [2**64 + 1, None],
        [2**53 + 1, 0.5],
        [2**63 + 5, 1, None],
        [2**63 + 5, 1],
        [-(2**70), "text", None],
        [UUID(int=5), None],
    ],
)
def test_what_no_column_of_numbers_holds_comes_back_exact(kind: Any, values: list[Any]) -> None:
    rows = [{} if value is None else {"n": value} for value in values]
    found = back(kind, *(Record(row, f"{at}") for at, row in enumerate(rows)))
    assert repr(found) == repr(rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gap", [True, False])
@pytest.mark.parametrize(
    "value",
    [
        [datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))],
        [datetime(2024, 1, 1, 0, 0, 0, 1, UTC), None],
        [datetime(2024, 1, 1), None],  # noqa: DTZ001
        [2**60 + 1, None],
        [1.5, None, 2.5],
        [1.5, 2.5],
        [True, None],
        ["a", None],
        [],
    ],
    ids=repr,
)
def test_lists_come_back_with_their_zones_and_gaps(kind: Any, gap: bool, value: list[Any]) -> None:
    others = [Record({}, "y")] if gap else []
    found = back(kind, Record({"list": value}, "x"), *others)
    assert repr(found) == repr([{"list": value}, *({} for _ in others)])


def test_lists_of_numbers_without_a_gap_are_arrays_in_pandas() -> None:
    numpy = pytest.importorskip("numpy")
    frame = to_dataframe(database([Record({"n": [0.5, 1.5]}, "a")]))
    assert isinstance(frame["n"][0], numpy.ndarray)


def test_a_query_chooses_sorts_and_selects() -> None:
    db = database(Record({"n": at, "m": 1}, str(at)) for at in range(5))
    query = Query().filter(F("n") > 1).sort("n", "desc").select("n")
    frame = to_dataframe(db, query)
    assert [*frame.columns] == ["id", "n"]
    assert frame["n"].tolist() == [4, 3, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_database_makes_an_empty_frame(kind: Any) -> None:
    frame = to_dataframe(database(), kind=kind)
    assert len(frame) == 0
    assert from_dataframe(database(), frame).read == 0


def test_what_is_missing_in_pandas_is_a_missing_field() -> None:
    frame = pandas.DataFrame(
        {
            "id": ["a", "b"],
            "x": [1.0, float("nan")],
            "y": [pandas.Timestamp("2024-01-01", tz="UTC"), pandas.NaT],
            "z": pandas.array([1, None], "Int64"),
            "o": [{"k": 1}, None],
        }
    )
    db = database()
    from_dataframe(db, frame).check()
    assert db.read("a").fields == {  # type: ignore[union-attr]
        "id": "a",
        "x": 1.0,
        "y": datetime(2024, 1, 1, tzinfo=UTC),
        "z": 1,
        "o": {"k": 1},
    }
    assert db.read("b").fields == {"id": "b"}  # type: ignore[union-attr]


def test_nan_in_polars_is_a_value() -> None:
    db = database()
    from_dataframe(db, polars.DataFrame({"id": ["a"], "x": [float("nan")]})).check()
    assert repr(db.read("a").fields["x"]) == "nan"  # type: ignore[union-attr]


def test_values_of_numpy_become_those_of_python() -> None:
    numpy = pytest.importorskip("numpy")
    frame = pandas.DataFrame({"id": ["a"], "x": [numpy.array([1, 2])], "y": [numpy.int8(3)]})
    frame["y"] = frame["y"].astype(object)
    db = database()
    from_dataframe(db, frame).check()
    assert db.read("a").fields == {"id": "a", "x": [1, 2], "y": 3}  # type: ignore[union-attr]


def test_an_index_with_a_name_is_a_column() -> None:
    db = database()
    from_dataframe(db, pandas.DataFrame({"id": ["a"], "n": [1]}).set_index("id")).check()
    assert db.read("a").fields == {"id": "a", "n": 1}  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_whole_number_as_id_becomes_text(kind: str) -> None:
    db, library = database(), {"pandas": pandas, "polars": polars}[kind]
    from_dataframe(db, library.DataFrame({"key": [7]}), id_field="key").check()
    assert db.read("7").fields == {"key": 7}  # type: ignore[union-attr]


def test_what_is_finer_than_a_microsecond_is_refused() -> None:
    moment = pandas.Timestamp("2024-01-01T00:00:00.000000001")
    report = from_dataframe(database(), pandas.DataFrame({"id": ["a"], "x": [moment]}))
    assert "microsecond" in str(report.failed[0].error)
    frame = polars.DataFrame({"x": polars.Series([1, None]).cast(polars.Datetime("ns"))})
    times = polars.DataFrame({"t": polars.Series([1]).cast(polars.Time)})
    for column in (frame, times):
        with pytest.raises(ValueError, match="microsecond"):
            from_dataframe(database(), column)
    rounded = frame.with_columns(polars.col("x").dt.truncate("1us"))
    assert from_dataframe(database(), rounded).ok


@pytest.mark.parametrize("given_", [[1], "text", polars.Series([1]), None])
def test_what_is_no_frame_is_refused(given_: Any) -> None:
    with pytest.raises(TypeError, match="no data frame"):
        from_dataframe(database(), given_)


def test_a_column_without_a_name_is_refused() -> None:
    with pytest.raises(TypeError, match="name"):
        from_dataframe(database(), pandas.DataFrame([[1]]))
    with pytest.raises(ValueError, match="one name"):
        from_dataframe(database(), pandas.DataFrame([[1, 2]], columns=["x", "x"]))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="spark"):
        to_dataframe(database(), kind="spark")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_missing_library_is_named(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, kind, None)
    with pytest.raises(InvalidConfig, match=f"pip install {kind}"):
        to_dataframe(database(), kind=kind)


def test_progress_counts_to_the_length() -> None:
    told: list[Any] = []
    frame = pandas.DataFrame({"id": [str(at) for at in range(25)]})
    from_dataframe(database(), frame, batch=10, progress=lambda *counts: told.append(counts))
    assert told == [(10, 25), (20, 25), (25, 25)]
