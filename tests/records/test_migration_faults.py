"""Migrations between databases that fail, lie, change meanwhile, or are killed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import (
    Corrupt,
    HoldallError,
    InvalidConfig,
    InvalidKey,
    LimitExceeded,
    PreconditionFailed,
    Unavailable,
)
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.contract import RecordStore, RecordTransaction
from holdall.records.database import Database
from holdall.records.migration import migrate
from holdall.records.record import Record
from holdall.records.stored import RecordCapabilities, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from holdall.core.runtime import Runtime
    from holdall.records.paths import Path as RecordPath
    from holdall.records.predicate import Node
    from holdall.records.stored import Found, Outcome, Removal, Stored


class Between(RecordStore):
    """A database with something between it and whoever calls it.

    `before` is called with the operation and what it is given, and may raise; `after` likewise,
    with the answers, which it may change.
    """

    settings_type = MemoryRecordSettings

    def __init__(
        self,
        before: Callable[[str, Any], object] = lambda _name, _given: None,
        after: Callable[[str, Any, list[Any]], object] = lambda _name, _given, _answers: None,
        capabilities: RecordCapabilities | None = None,
    ) -> None:
        super().__init__(MemoryRecordSettings(), BlockingRuntime())
        self.inner = MemoryRecords(MemoryRecordSettings(), BlockingRuntime())
        self.before = before
        self.after = after
        self._can = capabilities or self.inner.capabilities

    @classmethod
    def open(cls, settings: object, runtime: Runtime) -> Between:
        raise NotImplementedError

    @classmethod
    def settings_of(cls, url: str) -> Mapping[str, Any]:
        raise NotImplementedError

    @property
    def type(self) -> str:
        return "between"

    @property
    def address(self) -> str:
        return "between://"

    @property
    def capabilities(self) -> RecordCapabilities:
        return self._can

    async def get(self, ids: Sequence[str]) -> Sequence[Stored | HoldallError | None]:
        self.before("get", ids)
        answers: list[Stored | HoldallError | None] = [*await self.inner.get(ids)]
        self.after("get", ids, answers)
        return answers

    async def put(self, writes: Sequence[Write]) -> Sequence[Outcome]:
        self.before("put", writes)
        answers = [*await self.inner.put(writes)]
        self.after("put", writes, answers)
        return answers

    async def delete(self, removals: Sequence[Removal]) -> Sequence[bool | HoldallError]:
        self.before("delete", removals)
        answers = [*await self.inner.delete(removals)]
        self.after("delete", removals, answers)
        return answers

    async def find(self, found: Found) -> Sequence[Stored]:
        self.before("find", found)
        return await self.inner.find(found)

    async def count(self, predicate: Node) -> int:
        return await self.inner.count(predicate)

    async def clear(self) -> int:
        return await self.inner.clear()

    async def index(self, path: RecordPath) -> None:
        return None

    async def begin(self) -> RecordTransaction:
        raise NotImplementedError

    async def close(self) -> None:
        return None


def numbered(count: int) -> Database:
    db = Database(MemoryRecords(MemoryRecordSettings(), BlockingRuntime()))
    db.batch_create(Record({"number": at}, f"{at:04}") for at in range(count))
    return db


def under(store: Between) -> Database:
    """The database behind, without what is between."""
    return Database(store.inner)


def ids(db: Database) -> list[str | None]:
    return [one.id for one in db.all()]


def failing_at(number: int, error: HoldallError) -> Callable[[str, Any], None]:
    """Raises for a write of the record of this number, whatever it is in."""

    def before(name: str, given: Any) -> None:
        if name == "put" and any(write.id == f"{number:04}" for write in given):
            raise error

    return before


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_a_record_that_cannot_be_written_does_not_stop_the_others(batch: int) -> None:
    target = Between(failing_at(4, LimitExceeded("too large")))
    source = numbered(10)
    report = migrate(source, Database(target), batch=batch, delete_source=True)
    assert [(one.id, type(one.error)) for one in report.failed] == [("0004", LimitExceeded)]
    assert report.written == report.deleted == 9
    assert ids(source) == ["0004"]
    assert "0004" not in ids(under(target))


def test_an_id_that_the_target_cannot_hold_does_not_stop_the_others() -> None:
    target = Between(capabilities=RecordCapabilities(atomic=True, max_id_bytes=8))
    source = numbered(2)
    source.create(Record({}, "0001-and-longer"))
    report = migrate(source, Database(target), delete_source=True)
    assert [(one.id, type(one.error)) for one in report.failed] == [("0001-and-longer", InvalidKey)]
    assert ids(source) == ["0001-and-longer"]


def test_what_somebody_creates_in_the_target_meanwhile_is_a_conflict() -> None:
    target = Between()
    target.before = lambda name, _given: (
        under(target).upsert(Record({"number": "theirs"}, "0001")) if name == "put" else None
    )
    source = numbered(3)
    report = migrate(source, Database(target), delete_source=True)
    assert (report.written, report.skipped, report.deleted) == (2, 1, 2)
    assert under(target).read("0001").fields == {"number": "theirs"}  # type: ignore[union-attr]
    assert ids(source) == ["0001"]


def test_what_somebody_deletes_in_the_target_meanwhile_is_written_anew() -> None:
    target = Between()
    under(target).create(Record({"number": "old"}, "0001"))
    target.before = lambda name, _given: under(target).delete("0001") if name == "put" else None
    source = numbered(3)
    report = migrate(source, Database(target), on_conflict="replace")
    assert report.ok
    assert ids(under(target)) == ["0000", "0001", "0002"]


def test_a_record_that_others_change_all_the_time_is_given_up() -> None:
    target = Between()
    under(target).create(Record({"number": "old"}, "0001"))
    target.before = lambda name, _given: (
        under(target).upsert(Record({"number": "theirs"}, "0001")) if name == "put" else None
    )
    report = migrate(numbered(3), Database(target), on_conflict="replace")
    assert [(one.id, type(one.error)) for one in report.failed] == [("0001", PreconditionFailed)]
    assert report.written == 2


def test_what_reads_back_otherwise_stays_in_the_source() -> None:
    def after(name: str, given: Any, answers: list[Any]) -> None:
        for row in answers if name == "get" else ():
            if row is not None and row.id == "0001":
                row.fields["number"] = float(row.fields["number"])

    source, target = numbered(3), Between(after=after)
    report = migrate(source, Database(target), delete_source=True)
    assert [(one.id, type(one.error)) for one in report.failed] == [("0001", Corrupt)]
    assert (report.written, report.deleted) == (2, 2)
    assert ids(source) == ["0001"]


def test_what_cannot_be_read_back_stays_in_the_source() -> None:
    def after(name: str, given: Any, answers: list[Any]) -> None:
        if name == "get" and answers[0] is not None:
            answers[0] = Corrupt("damaged")

    source, target = numbered(3), Between(after=after)
    report = migrate(source, Database(target), delete_source=True)
    assert (len(report.failed), report.written, ids(source)) == (1, 2, ["0000"])


@pytest.mark.parametrize("gone", [True, False])
def test_what_others_change_right_after_it_was_written_stays_in_the_source(gone: bool) -> None:
    def after(name: str, given: Any, answers: list[Any]) -> None:
        if name == "put" and gone:
            under(target).delete("0001")
        elif name == "put":
            under(target).update(Record({}, "0001"))

    source, target = numbered(3), Between(after=after)
    report = migrate(source, Database(target), delete_source=True)
    assert [(one.id, type(one.error)) for one in report.failed] == [("0001", PreconditionFailed)]
    assert ids(source) == ["0001"]


@pytest.mark.parametrize("gone", [True, False])
def test_what_others_change_in_the_source_meanwhile_is_kept_there(gone: bool) -> None:
    source = Between()
    under(source).batch_create(Record({"number": at}, f"{at:04}") for at in range(5))

    def before(name: str, given: Any) -> None:
        if name == "delete" and under(source).count() == 5:
            if gone:
                under(source).delete("0003")
            else:
                under(source).update(Record({"number": "new"}, "0003"))

    source.before = before
    target = numbered(0)
    report = migrate(Database(source), target, delete_source=True)
    assert [(one.id, type(one.error)) for one in report.kept] == [("0003", PreconditionFailed)]
    assert (report.written, report.deleted, report.ok) == (5, 4, False)
    assert ids(under(source)) == ([] if gone else ["0003"])
    assert under(source).count() + target.count() >= 5


def test_what_was_kept_goes_with_the_next_run() -> None:
    source = Between()
    under(source).create(Record({"number": 1}, "a"))
    source.before = lambda name, _given: (
        under(source).update(Record({"number": "new"}, "a")) if name == "delete" else None
    )
    target = numbered(0)
    assert migrate(Database(source), target, delete_source=True).kept
    source.before = lambda _name, _given: None
    report = migrate(Database(source), target, on_conflict="replace", delete_source=True)
    assert (report.replaced, report.deleted) == (1, 1)
    assert target.read("a").fields == {"number": "new"}  # type: ignore[union-attr]


def test_records_that_come_and_go_in_the_source_move_no_other_twice_or_never() -> None:
    source = Between()
    under(source).batch_create(Record({"n": at}, f"{at:04}") for at in range(20))
    turns = iter(range(100))

    def before(name: str, given: Any) -> None:
        if name == "find" and (turn := next(turns)):
            under(source).create(Record({}, f"0000-{turn}"))
            under(source).delete(f"{turn * 3 - 3:04}")

    source.before = before
    told: list[str | None] = []

    def tell(record: Record) -> Record:
        told.append(record.id)
        return record

    target = numbered(0)
    migrate(Database(source), target, batch=3, transform=tell)
    assert told == [f"{at:04}" for at in range(20)] == ids(target)


def test_one_database_under_two_names_loses_nothing_when_it_is_seen_late() -> None:
    source, target = Between(), Between()
    target.inner = source.inner
    under(source).batch_create(Record({"number": at}, f"{at:04}") for at in range(5))

    def before(name: str, given: Any) -> None:
        if name == "get" and given == ["0000"]:  # so that the first record does not tell
            under(source).update(Record({"number": "new"}, "0000"))

    target.before = before
    report = migrate(Database(source), Database(target), delete_source=True)
    assert [type(one.error) for one in report.failed] == [InvalidConfig] * 4
    assert (report.deleted, under(source).count()) == (0, 5)


@pytest.mark.parametrize("lost", ["put", "delete"])
def test_a_lost_reply_loses_no_record(lost: str) -> None:
    def after(name: str, given: Any, answers: list[Any]) -> None:
        if name == lost:
            raise Unavailable("the reply was lost")

    source, target = Between(after=after), Between(after=after)
    under(source).batch_create(Record({"number": at}, f"{at:04}") for at in range(10))
    with pytest.raises(Unavailable):
        migrate(Database(source), Database(target), batch=4, delete_source=True)
    assert {*ids(under(source)), *ids(under(target))} == {f"{at:04}" for at in range(10)}
    report = migrate(under(source), under(target), batch=4, delete_source=True)
    assert report.ok
    assert report.same == (4 if lost == "put" else 0)
    assert ids(under(target)) == [f"{at:04}" for at in range(10)]
    assert ids(under(source)) == []


def test_an_outage_of_a_few_records_is_reported() -> None:
    def after(name: str, given: Any, answers: list[Any]) -> None:
        if name == "put" and len(given) > 1:
            answers[0] = Unavailable("not now")
            under(target).delete(given[0].id)

    source, target = numbered(10), Between(after=after)
    report = migrate(source, Database(target), batch=5, delete_source=True)
    assert [one.id for one in report.failed] == ["0000", "0005"] == ids(source)


def test_an_outage_that_does_not_end_is_raised() -> None:
    def after(name: str, given: Any, answers: list[Any]) -> None:
        if name == "put":
            answers[:] = [Unavailable("not now")] * len(given)
            under(target).clear()

    source, target = numbered(100), Between(after=after)
    with pytest.raises(Unavailable):
        migrate(source, Database(target), batch=5, delete_source=True)
    assert source.count() == 100


_KILLED = """
import os, signal, sys
from holdall.records.backends.sqlite import SqliteRecords
from holdall.records.migration import migrate
from holdall.records.opening import open_database
from holdall.records.record import Record

class Killed:
    calls = 0

def deadly(name, last, when):
    method = getattr(SqliteRecords, name)
    async def call(self, *given):
        Killed.calls += 1
        if Killed.calls == last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await method(self, *given)
        if Killed.calls == last and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    setattr(SqliteRecords, name, call)

def child(folder, last, when):
    for name in ("find", "get", "put", "delete"):
        deadly(name, last, when)
    source = open_database(f"sqlite:///{folder}/source.db")
    target = open_database(f"sqlite:///{folder}/target.db")
    report = migrate(source, target, batch=4, delete_source=True)
    os._exit(0 if report.ok else 3)

def state(folder):
    rows = []
    for name in ("source", "target"):
        with open_database(f"sqlite:///{folder}/{name}.db") as db:
            rows.append({one.id: one.fields["n"] for one in db.all()})
    return rows

folder, when = sys.argv[1:]
WHOLE = {f"{at:02}": at for at in range(10)}
last = 0
while True:
    last += 1
    with open_database(f"sqlite:///{folder}/source.db") as source:
        source.clear()
        source.batch_create(Record({"n": n}, id) for id, n in WHOLE.items())
    with open_database(f"sqlite:///{folder}/target.db") as target:
        target.clear()
    while True:  # killed at this call, and once more at the same one of the next run
        pid = os.fork()
        if not pid:
            child(folder, last, when)
        status = os.waitpid(pid, 0)[1]
        source, target = state(folder)
        assert {**source, **target} == WHOLE, (last, source, target)
        assert source.items() <= WHOLE.items() and target.items() <= WHOLE.items()
        if os.waitstatus_to_exitcode(status) == 0:
            assert (source, target) == ({}, WHOLE), (last, source, target)
            break
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, status
        if last < 5:
            break  # so early that no run would come to its end
    if last > 25:
        print("survived", last)
        break
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_any_call_loses_and_doubles_nothing(tmp_path: Path, when: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path), when],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "survived 26\n"
