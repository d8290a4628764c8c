"""Histories in PostgreSQL: the suite, and what holds there alone."""

from __future__ import annotations

import subprocess
import sys
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdall.core.errors import InvalidValue
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack import NA, Number
from holdall.haystack.stores.histories import Bounds, Samples, Span
from holdall.haystack.stores.postgres import (
    PostgresHistories,
    histories_reading,
    histories_writing,
)
from holdall.haystack.stores.postgres.histories_rows import FIRST, LAST
from holdall.testing import HistoryStoreSuite
from holdall.testing.records.samples import INJECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdall.haystack.stores.postgres import PostgresHaystackSettings

    Ask: TypeAlias = "Callable[[str], list[Any]]"

pytestmark = pytest.mark.untraced

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


class TestPostgresHistories(HistoryStoreSuite):
    @pytest.fixture
    def make_store(
        self, postgres_place: PostgresHaystackSettings
    ) -> Callable[[Any], PostgresHistories]:
        return lambda runtime: PostgresHistories(postgres_place, runtime)


@pytest.fixture
def store(postgres_place: PostgresHaystackSettings) -> Iterator[PostgresHistories]:
    opened = PostgresHistories(postgres_place, BlockingRuntime())
    yield opened
    drive(opened.close())


@pytest.fixture
def ask(postgres_place: PostgresHaystackSettings) -> Iterator[Ask]:
    """Runs a statement as somebody else does, who finds the tables without their schema."""
    import psycopg

    assert postgres_place.dsn is not None
    with psycopg.connect(
        postgres_place.dsn.reveal(),
        autocommit=True,
        options=f"-c search_path={postgres_place.schema}",
    ) as connection:

        def run(statement: str) -> list[Any]:
            cursor = connection.execute(statement.encode())
            return [] if cursor.description is None else cursor.fetchall()

        yield run


def doubles(values: dict[int, float], unit: str | None = None) -> Samples:
    return Samples(array("q", values), array("d", values.values()), unit)


def kinds(samples: Samples) -> list[Any]:
    """The samples, so that what is no number equals itself and ints differ from no double."""
    values = samples.kinds()
    return [(at, shown(value)) for at, value in zip(samples.ts, values, strict=True)]


def shown(value: Any) -> Any:
    if type(value) is not Number:
        return repr(value)
    exact = value.val if isinstance(value.val, int) and abs(value.val) > 2**53 else None
    return (exact or float(value.val).hex(), value.unit)


FLOATS = st.floats() | st.sampled_from([0.0, -0.0, 2.0**53, 1.5])
UNITS = st.sampled_from([None, "kW", "°C"])
MIXED = (
    FLOATS.map(Number)
    | st.builds(lambda val, unit: Number(val, None if val != val else unit), FLOATS, UNITS)  # noqa: PLR0124
    | st.booleans()
    | st.sampled_from(
        [NA, "on", "", "n", "a\ud800", "a\0", Number(2**60 + 1), Number(10**30, "kW")]
    )
)
MOMENTS = st.sets(st.integers(-5, 40) | st.sampled_from([FIRST, LAST]), min_size=1).map(sorted)


@st.composite
def samples(draw: st.DrawFn) -> Samples:
    moments = draw(MOMENTS)
    size: dict[str, Any] = {"min_size": len(moments), "max_size": len(moments)}
    if draw(st.booleans()):
        return Samples(array("q", moments), array("d", draw(st.lists(FLOATS, **size))), draw(UNITS))
    mixed: list[Any] = draw(st.lists(MIXED, **size))
    return Samples(array("q", moments), mixed)


NAMES = st.sampled_from(["a", "b", "c"])
SPANS = st.builds(Span, st.integers(-6, 42), st.integers(-6, 42)) | st.just(Span())
STEPS = st.lists(
    st.tuples(st.just("write"), st.dictionaries(NAMES, samples(), min_size=1))
    | st.tuples(st.just("delete"), SPANS)
    | st.tuples(st.just("remove"), st.lists(st.integers(-6, 42), max_size=5)),
    min_size=1,
    max_size=5,
)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories_reading, "PIECE", 4)
    monkeypatch.setattr(histories_writing, "_PIECE", 5)
    monkeypatch.setattr(histories_writing, "_FEW", 3)
    monkeypatch.setattr(histories_writing, "_TAKEN", 2)
    monkeypatch.setattr(histories_writing, "_DENSE", 2)


def agree(store: PostgresHistories, steps: list[Any], span: Span, limit: int) -> None:
    names = {name: f"{name}:{uuid4().hex}" for name in "abc"}
    held: dict[str, dict[int, Any]] = {name: {} for name in names}
    for what, given_ in steps:
        if what == "write":
            drive(store.write({names[name]: one for name, one in given_.items()}))
            for name, one in given_.items():
                held[name] |= dict(kinds(one))
        else:
            here = held["a"]
            gone = (
                {at for at in here if given_.start <= at < given_.end}
                if what == "delete"
                else here.keys() & set(given_)
            )
            taken = store.delete if what == "delete" else store.remove
            assert drive(taken(names["a"], given_)) == len(gone)
            held["a"] = {at: value for at, value in here.items() if at not in gone}
    expected = [sorted(one.items()) for one in held.values()]
    ids = list(names.values())
    assert list(map(kinds, drive(store.read(ids)))) == expected
    reach = [Bounds(one[0][0], one[-1][0], len(one)) if one else None for one in expected]
    assert drive(store.bounds(ids)) == reach
    some = [[pair for pair in one if span.start <= pair[0] < span.end] for one in expected]
    read = list(map(kinds, drive(store.read(ids, span, limit=limit))))
    assert read == ([one[:limit] for one in some] if limit else some)


@settings(max_examples=50, suppress_health_check=QUIET, deadline=None)
@given(STEPS, SPANS, st.integers(0, 9))
def test_a_history_holds_what_was_written_last(
    store: PostgresHistories, small_pieces: None, steps: list[Any], span: Span, limit: int
) -> None:
    agree(store, steps, span, limit)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@settings(max_examples=5_000, suppress_health_check=QUIET, deadline=None)
@given(STEPS, SPANS, st.integers(0, 9))
def test_a_history_holds_what_was_written_last_for_long(
    store: PostgresHistories, small_pieces: None, steps: list[Any], span: Span, limit: int
) -> None:
    agree(store, steps, span, limit)


def test_the_first_and_the_last_microsecond_of_all_years_are_kept(
    store: PostgresHistories, ask: Ask
) -> None:
    moments = [FIRST, FIRST + 1, -1, 0, 1, LAST - 1, LAST]
    drive(store.write({"p": doubles(dict.fromkeys(moments, 0.5))}))
    assert list(drive(store.read(["p"]))[0].ts) == moments
    assert list(drive(store.read(["p"], Span(FIRST + 1, LAST)))[0].ts) == moments[1:-1]
    ask("SET timezone = 'UTC'")
    first, last = "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"
    assert ask("SELECT min(ts)::text, max(ts)::text FROM history") == [(first, last)]


@pytest.mark.parametrize("moment", [FIRST - 1, LAST + 1])
def test_a_moment_beyond_all_years_is_refused(store: PostgresHistories, moment: int) -> None:
    some = Samples(array("q", sorted([0, moment])), array("d", [1.0, 2.0]))
    with pytest.raises(InvalidValue, match="beyond the years"):
        drive(store.write({"a": doubles({1: 1.0}), "p": some}))
    assert drive(store.bounds(["a", "p"])) == [None, None]


def test_ids_and_texts_mean_nothing_to_the_server(store: PostgresHistories) -> None:
    ids = [f"{name}{at}" for at, name in enumerate(INJECTIONS)]
    texts: list[Any] = list(INJECTIONS)
    moments = array("q", range(len(texts)))
    for _ in range(2):  # once for samples that are there, too
        drive(store.write({one: Samples(moments, texts) for one in ids}))
    assert [list(one.vals) for one in drive(store.read(ids))] == [texts] * len(ids)
    for one in ids:
        assert drive(store.remove(one, [0])) == 1
        assert drive(store.delete(one, Span(1, 3))) == 2
    count = len(texts) - 3
    assert drive(store.bounds(ids)) == [Bounds(3, len(texts) - 1, count)] * len(ids)


@pytest.mark.parametrize("point", ["a\0b", "a\ud800"])
def test_an_id_that_is_no_text_of_the_server_has_no_history(
    store: PostgresHistories, point: str
) -> None:
    with pytest.raises(InvalidValue):
        drive(store.write({point: doubles({1: 1.0})}))
    assert len(drive(store.read([point, "p"]))[0]) == 0
    assert drive(store.bounds([point])) == [None]
    assert drive(store.delete(point)) == drive(store.remove(point, [1])) == 0


@pytest.mark.parametrize(
    ("value", "row"),
    [
        (Number(1.5, "kW"), (1.5, "kW", None, None, None)),
        (Number(7), (7.0, None, None, None, None)),
        (Number(2**53 + 1), (None, None, None, None, 2**53 + 1)),
        (
            Number(2**53 + 1, "kW"),
            (None, None, None, None, {"_kind": "number", "val": 2**53 + 1, "unit": "kW"}),
        ),
        (True, (None, None, True, None, None)),
        ("on", (None, None, None, "on", None)),
        (NA, (None, None, None, None, None)),
        ("a\ud800", (None, None, None, None, "a\ud800")),
    ],
    ids=repr,
)
def test_each_kind_has_a_column_of_its_type(
    store: PostgresHistories, ask: Ask, value: Any, row: Any
) -> None:
    drive(store.write({"p": Samples(array("q", [1]), [value])}))
    assert ask("SELECT val, unit, flag, str, other FROM history") == [row]


def test_samples_that_others_write_and_delete_are_read_and_counted(
    store: PostgresHistories, ask: Ask
) -> None:
    insert = "INSERT INTO history (point_id, ts, val) SELECT 'p', to_timestamp(n), n FROM "
    second = 1_000_000
    drive(store.write({"p": doubles({5 * second: 5.0})}))
    ask(f"{insert} generate_series(6, 8) AS n")
    assert drive(store.bounds(["p"])) == [Bounds(5 * second, 8 * second, 4)]
    ask(f"{insert} generate_series(9, 10) AS n")
    drive(store.write({"p": doubles({20 * second: 20.0})}))
    assert drive(store.bounds(["p"])) == [Bounds(5 * second, 20 * second, 7)]
    ask("DELETE FROM history WHERE ts < to_timestamp(7)")
    assert drive(store.delete("p", Span(7 * second, 9 * second))) == 2
    assert drive(store.bounds(["p"])) == [Bounds(9 * second, 20 * second, 3)]
    ask(f"{insert} generate_series(1, 2) AS n")
    assert drive(store.remove("p", [9 * second])) == 1
    assert drive(store.bounds(["p"])) == [Bounds(second, 20 * second, 4)]
    ask("DELETE FROM history")
    assert drive(store.bounds(["p"])) == [None]
    ask(f"{insert} generate_series(1, 2) AS n")
    assert drive(store.read(["p"]))[0].vals == array("d", [1.0, 2.0])


@pytest.mark.parametrize(
    ("gone", "again", "count"),
    [
        ("TRUE", range(10), 10),  # all of it is deleted, and written anew
        ("ts < 'epoch'::timestamptz + interval '5us'", range(5), 10),
        ("ts < 'epoch'::timestamptz + interval '5us'", range(-1, 3), 9),
        ("ts > 'epoch'::timestamptz + interval '5us'", range(20, 22), 8),
    ],
)
def test_samples_that_others_deleted_are_counted_when_they_are_written_again(
    store: PostgresHistories, ask: Ask, gone: str, again: range, count: int
) -> None:
    drive(store.write({"p": doubles(dict.fromkeys(range(10), 0.5))}))
    ask(f"DELETE FROM history WHERE {gone}")
    drive(store.write({"p": doubles(dict.fromkeys(again, 0.5))}))
    (read,) = drive(store.read(["p"]))
    assert len(read) == count
    assert drive(store.bounds(["p"])) == [Bounds(read.ts[0], read.ts[-1], count)]


def test_what_was_counted_once_is_known(store: PostgresHistories, ask: Ask) -> None:
    drive(store.connect())
    ask("INSERT INTO history (point_id, ts) SELECT 'p', to_timestamp(n) FROM"
        " generate_series(1, 3) AS n")  # fmt: skip
    assert drive(store.bounds(["p", "q"])) == [Bounds(1_000_000, 3_000_000, 3), None]
    assert ask("SELECT point_id, count FROM hs_histories") == [("p", 3)]


@pytest.mark.parametrize(
    "values",
    [Samples(array("q", range(100)), array("d", [0.5] * 100), "kW"),
     Samples(array("q", range(100)), [True, NA] * 50)],
    ids=["doubles", "others"],
)  # fmt: skip
def test_a_write_that_is_repeated_changes_no_row(
    store: PostgresHistories, ask: Ask, values: Samples
) -> None:
    rows = "SELECT ts, ctid::text FROM history ORDER BY ts"
    drive(store.write({"p": values}))
    before = ask(rows)
    drive(store.write({"p": values}))
    assert ask(rows) == before
    assert drive(store.bounds(["p"])) == [Bounds(0, 99, 100)]


def test_a_zero_takes_the_place_of_the_other_zero(store: PostgresHistories) -> None:
    drive(store.write({"p": doubles(dict.fromkeys(range(100), 0.0))}))
    drive(store.write({"p": Samples(array("q", range(100)), [Number(-0.0)] * 100)}))
    assert {str(value) for value in drive(store.read(["p"]))[0].vals} == {"-0.0"}


def test_a_few_samples_take_the_place_of_some_of_very_many(store: PostgresHistories) -> None:
    drive(store.write({"p": doubles(dict.fromkeys(range(0, 2_000, 2), 0.5))}))
    drive(store.write({"p": doubles(dict.fromkeys(range(0, 2_001, 25), 1.5))}))
    (read,) = drive(store.read(["p"]))
    assert sum(read.vals) == 81 * 1.5 + 960 * 0.5  # type: ignore[arg-type]
    assert drive(store.bounds(["p"])) == [Bounds(0, 2_000, 1_041)]


def test_a_history_that_is_deleted_leaves_nothing(store: PostgresHistories, ask: Ask) -> None:
    drive(store.write({"p": doubles({1: 1.0})}))
    assert drive(store.delete("p")) == 1
    assert drive(store.delete("never")) == 0
    assert ask("SELECT count(*) FROM history") == ask("SELECT count(*) FROM hs_histories") == [(0,)]


def test_writers_of_the_same_samples_take_turns(postgres_place: PostgresHaystackSettings) -> None:
    points = [f"p{n}" for n in range(12)]
    moments = array("q", range(100))

    def write(writer: int) -> None:
        mine = PostgresHistories(postgres_place, BlockingRuntime())
        for time in range(5):
            order = points if (writer + time) % 2 else points[::-1]
            values = array("d", [float(writer)] * 100)
            drive(mine.write({point: Samples(moments, values) for point in order}))
        drive(mine.close())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    store = PostgresHistories(postgres_place, BlockingRuntime())
    read = drive(store.read(points))
    last = read[0].vals[0]  # who was last was so everywhere
    assert all(list(one.vals) == [last] * 100 for one in read)
    assert drive(store.bounds(points)) == [Bounds(0, 99, 100)] * 12
    drive(store.close())


def test_a_writer_and_one_who_deletes_take_turns(postgres_place: PostgresHaystackSettings) -> None:
    def work(writer: int) -> None:
        mine = PostgresHistories(postgres_place, BlockingRuntime())
        for time in range(20):
            if (writer + time) % 2:
                drive(mine.write({"p": doubles(dict.fromkeys(range(10), 0.5))}))
            else:
                assert drive(mine.delete("p")) in {0, 10}
        drive(mine.close())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    store = PostgresHistories(postgres_place, BlockingRuntime())
    held = len(drive(store.read(["p"]))[0])
    assert drive(store.bounds(["p"])) == [Bounds(0, 9, held) if held else None]
    drive(store.close())


def test_a_write_that_fails_writes_nothing(store: PostgresHistories) -> None:
    wrong = Samples(array("q", [1, 2]), [True, object()])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        drive(store.write({"a": doubles({1: 1.0}), "b": wrong}))
    assert drive(store.bounds(["a", "b"])) == [None, None]
    drive(store.write({"a": doubles({1: 1.0})}))
    assert drive(store.bounds(["a"])) == [Bounds(1, 1, 1)]


def test_a_page_goes_along_the_index_whatever_is_known_of_the_table(
    store: PostgresHistories, ask: Ask
) -> None:
    few = doubles(dict.fromkeys(range(200), 0.5))
    for n in range(20):
        drive(store.write({f"p{n}": few}))
    ask("ANALYZE history")
    drive(store.write({"p": doubles(dict.fromkeys(range(20_000), 0.5))}))
    asked = histories_reading._READ.format(history="history")
    for place, value in enumerate(["'{p}'", "'epoch'", "'9999-01-01'", "10000"], 1):
        asked = asked.replace(f"${place}", value)
    ask("BEGIN")
    ask(f"SELECT {histories_reading.ORDERLY}")
    plan = str(ask(f"EXPLAIN (COSTS OFF) {asked}"))
    ask("ROLLBACK")
    assert "Index Scan using history_point_id_ts" in plan
    assert "Sort" not in plan


# Not ru_maxrss, which a process inherits from the one that started it.
_READ_MANY = """
import sys
from array import array
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack.stores.histories import Samples, Span
from holdall.haystack.stores.postgres import PostgresHaystackSettings, PostgresHistories
dsn, schema, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
place = PostgresHaystackSettings(dsn=Secret(dsn), schema=schema)
store = PostgresHistories(place, BlockingRuntime())
for at in range(0, count, 200_000):
    moments = array("q", range(at, at + 200_000))
    drive(store.write({"p": Samples(moments, array("d", moments), "kW")}))
start = read = 0
while True:
    page = drive(store.read(["p"], Span(start), limit=100_000))[0]
    read += len(page)
    if len(page) < 100_000:
        break
    start = page.ts[-1] + 1
assert read == count, read
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells its peak there")
@pytest.mark.parametrize(
    "count",
    [400_000, pytest.param(10_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
    ids=["short", "ten"],
)
def test_millions_of_samples_are_read_in_little_memory(
    postgres_place: PostgresHaystackSettings, count: int
) -> None:
    assert postgres_place.dsn is not None
    place = postgres_place.dsn.reveal(), postgres_place.schema
    done = subprocess.run(
        [sys.executable, "-c", _READ_MANY, *place, str(count)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) < 200 * 1024  # KiB
