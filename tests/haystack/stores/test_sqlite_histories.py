"""Histories in a file of SQLite: chunks hold what was written, in whatever order."""

from __future__ import annotations

import subprocess
import sys
from array import array
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdall.core.errors import Corrupt
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack import NA, Number
from holdall.haystack.stores import chunks
from holdall.haystack.stores.histories import Bounds, Samples, Span
from holdall.haystack.stores.sqlite import SqliteHaystackSettings, SqliteHistories
from holdall.haystack.stores.sqlite import histories as module

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.untraced

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteHistories]:
    opened = open_store(tmp_path)
    yield opened
    drive(opened.close())


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "FULL", 4)
    monkeypatch.setattr(module, "FULL", 4)


def open_store(folder: Path) -> SqliteHistories:
    file = SqliteHaystackSettings(str(folder / "a.db"), durable=False)
    return SqliteHistories(file, BlockingRuntime())


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


def rows(store: SqliteHistories) -> list[tuple[int, int, int]]:
    """First, last and count of each chunk."""
    asked = "SELECT first,last,count FROM hs_chunks ORDER BY s,first"
    return drive(store._file.read(store, lambda one: one.execute(asked).fetchall()))


FLOATS = st.floats() | st.sampled_from([0.0, -0.0, 2.0**53, 1.5])
UNITS = st.sampled_from([None, "kW", "°C"])
MIXED = (
    FLOATS.map(Number)
    | st.builds(lambda val, unit: Number(val, None if val != val else unit), FLOATS, UNITS)  # noqa: PLR0124
    | st.booleans()
    | st.sampled_from([NA, "on", "", "a\ud800", Number(2**60 + 1), Number(10**30, "kW")])
)
MOMENTS = st.sets(st.integers(-5, 40), min_size=1).map(sorted)


@st.composite
def samples(draw: st.DrawFn) -> Samples:
    moments = draw(MOMENTS)
    size: dict[str, Any] = {"min_size": len(moments), "max_size": len(moments)}
    if draw(st.booleans()):
        return Samples(array("q", moments), array("d", draw(st.lists(FLOATS, **size))), draw(UNITS))
    mixed: list[Any] = draw(st.lists(MIXED, **size))
    return Samples(array("q", moments), mixed)


SPANS = st.builds(Span, st.integers(-6, 42), st.integers(-6, 42)) | st.just(Span())
STEPS = st.lists(
    st.tuples(st.just("write"), samples())
    | st.tuples(st.just("delete"), SPANS)
    | st.tuples(st.just("remove"), st.lists(st.integers(-6, 42), max_size=5)),
    min_size=1,
    max_size=6,
)


def agree(steps: list[tuple[str, Any]], span: Span, limit: int, folder: Path) -> None:
    store = open_store(folder)
    held: dict[int, Any] = {}
    for what, given_ in steps:
        if what == "write":
            drive(store.write({"p": given_}))
            held |= dict(kinds(given_))
        else:
            gone = (
                {at for at in held if given_.start <= at < given_.end}
                if what == "delete"
                else held.keys() & set(given_)
            )
            taken = store.delete if what == "delete" else store.remove
            assert drive(taken("p", given_)) == len(gone)
            held = {at: value for at, value in held.items() if at not in gone}
        expected = sorted(held.items())
        assert kinds(drive(store.read(["p"]))[0]) == expected
        bounds = Bounds(expected[0][0], expected[-1][0], len(held)) if held else None
        assert drive(store.bounds(["p"])) == [bounds]
    some = [pair for pair in sorted(held.items()) if span.start <= pair[0] < span.end]
    read = drive(store.read(["p"], span, limit=limit))[0]
    assert kinds(read) == (some[:limit] if limit else some)
    chunks_ = rows(store)
    assert all(count <= 4 for _, _, count in chunks_)
    assert all(one[1] < other[0] for one, other in pairwise(chunks_))
    drive(store.close())


@settings(max_examples=100, suppress_health_check=QUIET)
@given(STEPS, SPANS, st.integers(0, 9))
def test_a_history_holds_what_was_written_last(
    small_chunks: None, steps: list[tuple[str, Any]], span: Span, limit: int
) -> None:
    with TemporaryDirectory() as folder:
        agree(steps, span, limit, Path(folder))


@pytest.mark.soak
@pytest.mark.timeout(1800)
@settings(max_examples=5_000, suppress_health_check=QUIET)
@given(STEPS, SPANS, st.integers(0, 9))
def test_a_history_holds_what_was_written_last_for_long(
    small_chunks: None, steps: list[tuple[str, Any]], span: Span, limit: int
) -> None:
    with TemporaryDirectory() as folder:
        agree(steps, span, limit, Path(folder))


def test_doubles_of_one_unit_are_read_as_doubles(store: SqliteHistories) -> None:
    drive(store.write({"p": doubles(dict.fromkeys(range(2000), 0.1), "kW")}))
    read = drive(store.read(["p"], Span(100, 1900)))[0]
    assert read.vals == array("d", [0.1] * 1800)
    assert read.unit == "kW"


def test_doubles_among_others_are_read_as_doubles_again(store: SqliteHistories) -> None:
    drive(store.write({"p": Samples(array("q", [1, 2, 3]), [Number(1.5, "m"), "two", NA])}))
    drive(store.remove("p", [2, 3]))
    assert drive(store.read(["p"])) == [Samples(array("q", [1]), array("d", [1.5]), "m")]


def test_numbers_of_two_units_keep_theirs(store: SqliteHistories) -> None:
    drive(store.write({"p": doubles({1: 1.5}, "°C")}))
    drive(store.write({"p": doubles({2: 1.5}, "°F")}))
    assert drive(store.read(["p"]))[0].vals == [Number(1.5, "°C"), Number(1.5, "°F")]


def test_a_unit_of_half_a_letter_is_kept(store: SqliteHistories) -> None:
    drive(store.write({"p": doubles({1: 1.5}, "\ud800")}))
    assert drive(store.read(["p"]))[0].unit == "\ud800"


def test_samples_that_come_one_by_one_fill_chunks(store: SqliteHistories) -> None:
    for at in range(600):
        drive(store.write({"p": doubles({at: 0.5})}))
    assert [count for _, _, count in rows(store)] == [512, 88]


def test_samples_that_come_backwards_do_not_lie_alone(store: SqliteHistories) -> None:
    for at in range(600, 0, -1):
        drive(store.write({"p": doubles({at: 0.5})}))
    assert len(rows(store)) <= 4


def test_a_sample_far_from_the_others_touches_only_its_own_chunk(store: SqliteHistories) -> None:
    drive(store.write({"p": doubles(dict.fromkeys(range(0, 20_000, 2), 0.5))}))
    asked = "SELECT c FROM hs_chunks"
    before = set(drive(store._file.read(store, lambda one: one.execute(asked).fetchall())))
    drive(store.write({"p": doubles({1: 0.25, 10_001: 0.25})}))
    after = set(drive(store._file.read(store, lambda one: one.execute(asked).fetchall())))
    assert len(before - after) == 2


def test_damaged_samples_are_an_error(store: SqliteHistories) -> None:
    drive(store.write({"p": doubles({1: 1.0, 2: 2.0})}))
    damage = "UPDATE hs_chunks SET vals=x'00'"
    drive(store._file.write(store, lambda one: one.execute(damage)))
    with pytest.raises(Corrupt):
        drive(store.read(["p"]))


def test_a_write_that_fails_writes_nothing(store: SqliteHistories) -> None:
    wrong = Samples(array("q", [1, 2]), [True, object()])  # type: ignore[list-item]
    with suppress(TypeError):
        drive(store.write({"a": doubles({1: 1.0}), "b": wrong}))
    assert drive(store.bounds(["a", "b"])) == [None, None]


# Not ru_maxrss, which a process inherits from the one that started it.
_READ_MANY = """
import sys
from array import array
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack.stores.histories import Samples, Span
from holdall.haystack.stores.sqlite import SqliteHaystackSettings, SqliteHistories
path, count = sys.argv[1], int(sys.argv[2])
store = SqliteHistories(SqliteHaystackSettings(path, durable=False), BlockingRuntime())
for at in range(0, count, 500_000):
    moments = array("q", range(at, at + 500_000))
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
    "count", [1_000_000, pytest.param(10_000_000, marks=pytest.mark.soak)], ids=["one", "ten"]
)
def test_millions_of_samples_are_read_in_little_memory(tmp_path: Path, count: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _READ_MANY, str(tmp_path / "a.db"), str(count)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) < 200 * 1024  # KiB
