"""What is written: one commit a batch, by many writers, and the versions that stay."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from holdall.core.errors import (
    AlreadyExists,
    NotFound,
    PreconditionFailed,
    Unavailable,
    Unsupported,
)
from holdall.core.runtime.blocking import drive
from holdall.records.backends.delta import writing
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.records.results import BatchFailed
from records.delta.opening import opened_in, people, store_in


def _version(folder: Path) -> int:
    return int(DeltaTable(folder / "table").version())


@pytest.mark.parametrize("way", ["batch_create", "batch_upsert", "batch_update", "batch_delete"])
def test_a_batch_is_one_commit(tmp_path: Path, way: str) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(120))
    before = _version(tmp_path)
    batch: list[Any] = people(120)[:50]
    if way == "batch_create":
        batch = people(200)[120:]
    if way == "batch_delete":
        batch = [record.id for record in batch]
    getattr(db, way)(batch)
    assert _version(tmp_path) == before + 1


def test_a_batch_that_fails_is_no_commit(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(10))
    before = _version(tmp_path)
    with pytest.raises(BatchFailed):
        db.batch_create(people(20))
    assert _version(tmp_path) == before


def test_what_changes_nothing_is_no_commit(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(1))
    db.clear()
    before = _version(tmp_path)
    assert db.delete("0000") is False
    assert db.clear() == 0
    assert _version(tmp_path) == before


def test_only_a_write_makes_the_table(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    assert db.all() == []
    assert db.count() == 0
    assert db.delete("a") is False
    with pytest.raises(NotFound):
        db.update(Record({}, id="a"))
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_the_table_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no folder"):
        opened_in(tmp_path / "none").create(Record({}, id="a"))


_WRITER = """
import sys
from pathlib import Path
from holdall.core.errors import AlreadyExists
from holdall.records.record import Record
from records.delta.opening import opened_in

folder, own = Path(sys.argv[1]), sys.argv[2]
db = opened_in(folder, retries=100)
for at in range(8):
    db.create(Record({"by": own}, id=f"{own}-{at}"))
    while True:
        record = db.read("both")
        record.fields[own] = record.fields.get(own, 0) + 1
        try:
            db.update(record)
            break
        except AlreadyExists:
            raise
        except Exception as error:
            if type(error).__name__ != "PreconditionFailed":
                raise
    try:
        db.create(Record({"by": own}, id=f"same-{at}"))
    except AlreadyExists:
        pass
"""


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    db.create(Record({}, id="both"))
    tests = Path(__file__).parents[2]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), name],
            cwd=tests,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for writer in writers:
        _, said = writer.communicate(timeout=120)
        assert writer.returncode == 0, said
    both = db.read("both")
    assert both is not None
    assert both.fields == {"one": 8, "two": 8}
    for name in ("one-", "two-", "same-"):
        assert db.count(Query().filter("id", "startswith", name)) == 8
    assert drive(store_in(tmp_path).verify()) == []


def test_of_many_that_make_the_table_at_once_none_is_lost(tmp_path: Path) -> None:
    start = threading.Barrier(4)

    def create(number: int) -> bool:
        db = opened_in(tmp_path)
        start.wait()
        try:
            db.batch_create([Record({}, id=f"own {number}"), Record({}, id="same")])
        except BatchFailed:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(create, range(4)))
    assert done.count(True) == 1
    assert [one.id for one in opened_in(tmp_path).all()] == [f"own {done.index(True)}", "same"]


def test_the_first_batch_is_the_first_version(tmp_path: Path) -> None:
    opened_in(tmp_path).batch_create(people(3))
    assert _version(tmp_path) == 0
    assert opened_in(tmp_path, at_version=0).all() == people(3)


def test_a_writer_that_comes_second_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, other = opened_in(tmp_path), opened_in(tmp_path)
    db.create(Record({}, id="a"))
    plain = writing._append
    got_in: list[str] = []

    def late(*given: Any) -> None:
        if not got_in:
            got_in.append("b")
            other.create(Record({"by": "other"}, id="b"))
        plain(*given)

    monkeypatch.setattr(writing, "_append", late)
    with pytest.raises(AlreadyExists):
        db.create(Record({"by": "me"}, id="b"))
    assert db.read("b") == Record({"by": "other"}, id="b")


def test_a_writer_gives_up_when_others_always_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, other = opened_in(tmp_path, retries=2), opened_in(tmp_path)
    db.create(Record({"n": 0}, id="a"))
    plain = writing._append
    tries: list[int] = []

    def late(*given: Any) -> None:
        tries.append(1)
        other.update(Record({"n": len(tries)}, id="a"))
        plain(*given)

    monkeypatch.setattr(writing, "_append", late)
    with pytest.raises(PreconditionFailed, match="3 times in a row") as caught:
        db.create(Record({}, id="b"))
    assert caught.value.transient
    assert len(tries) == 3
    assert db.read("b") is None


def test_a_commit_whose_answer_was_lost_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, other = opened_in(tmp_path), opened_in(tmp_path)
    db.create(Record({}, id="a"))
    plain = writing._append
    lost: list[int] = []

    def deaf(*given: Any) -> None:
        plain(*given)
        if not lost:
            lost.append(1)
            other.update(Record({"by": "other"}, id="b"))
            raise OSError("the connection was reset")

    monkeypatch.setattr(writing, "_append", deaf)
    assert db.create(Record({"by": "me"}, id="b")) == "b"
    assert db.read("b") == Record({"by": "other"}, id="b")


def test_a_commit_that_fails_is_an_error_that_says_it_may_have_been_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = opened_in(tmp_path)
    db.create(Record({}, id="a"))

    def broken(*_given: Any) -> None:
        raise OSError("the connection was reset")

    monkeypatch.setattr(writing, "_append", broken)
    with pytest.raises(Unavailable, match="was reset") as caught:
        db.create(Record({}, id="b"))
    assert caught.value.uncertain
    monkeypatch.undo()
    assert db.create(Record({}, id="b")) == "b"


_ids = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=28, max_size=60
)


@settings(max_examples=15)
@given(ids=st.sets(_ids | _ids.map(lambda text: "\U0010ffff" * 33 + text), min_size=1, max_size=4))
def test_long_ids_are_found_again(tmp_path_factory: pytest.TempPathFactory, ids: set[str]) -> None:
    db = opened_in(tmp_path_factory.mktemp("ids"))
    for id_ in ids:
        db.create(Record({"own": id_}, id=id_))
    for id_ in ids:
        with pytest.raises(AlreadyExists):
            db.create(Record({}, id=id_))
        assert db.read(id_) == Record({"own": id_}, id=id_)


def test_a_version_of_the_past_is_read(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(5))
    past = opened_in(tmp_path, at_version=_version(tmp_path))
    db.batch_delete(["0000", "0001"])
    db.create(Record({}, id="new"))
    assert past.all() == people(5)
    assert past.count() == 5


def test_a_version_of_the_past_is_not_written(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(5))
    past = opened_in(tmp_path, at_version=0)
    for change in (
        lambda: past.create(Record({}, id="a")),
        lambda: past.delete("0001"),
        past.clear,
    ):
        with pytest.raises(Unsupported, match="of the past"):
            change()
    assert db.count() == 5


def test_a_version_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    opened_in(tmp_path).batch_create(people(5))
    with pytest.raises(NotFound, match="at_version=99"):
        opened_in(tmp_path, at_version=99).all()
