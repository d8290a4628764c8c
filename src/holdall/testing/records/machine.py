"""A database beside the one in memory: whatever is asked of both, both answer the same."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdall.core.errors import HoldallError
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.database import Database
from holdall.records.paths import is_special
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.records.results import BatchFailed
from holdall.testing.records.generated import fields, ids, paths, queries, scalars

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.testing.records.faces import MakeRecords

_metadata = st.dictionaries(st.sampled_from(["x", "y"]), scalars, max_size=1)


class RecordStoreMachine(RuleBasedStateMachine):
    """Rules that change and ask both databases; see `record_store_machine`."""

    make_store: ClassVar[MakeRecords]

    def __init__(self) -> None:
        super().__init__()
        settings = MemoryRecordSettings()
        self.model = Database(MemoryRecords.open(settings, BlockingRuntime()))
        self.real = Database(type(self).make_store(BlockingRuntime()))
        # The versions of the same states, by id: those of the two databases differ.
        self.versions: dict[str, tuple[str | None, str | None]] = {}

    def teardown(self) -> None:
        self.real.close()

    @initialize(rows=st.dictionaries(ids, fields, min_size=3))
    def fill(self, rows: dict[str, dict[str, Any]]) -> None:
        self._batch("batch_create", rows, {})

    @rule(id_=ids, values=fields, metadata=_metadata)
    def create(self, id_: str, values: dict[str, Any], metadata: dict[str, Any]) -> None:
        self._write("create", id_, values, metadata, None)

    @rule(id_=ids, values=fields, metadata=_metadata, old=st.booleans())
    def upsert(self, id_: str, values: dict[str, Any], metadata: dict[str, Any], old: bool) -> None:
        self._write("upsert", id_, values, metadata, self.versions.get(id_) if old else None)

    @rule(id_=ids, values=fields, old=st.booleans())
    def update(self, id_: str, values: dict[str, Any], old: bool) -> None:
        self._write("update", id_, values, {}, self.versions.get(id_) if old else None)

    @rule(id_=ids)
    def remember(self, id_: str) -> None:
        real, model = self.real.read(id_), self.model.read(id_)
        if real is not None and model is not None:
            self.versions[id_] = (real.version, model.version)

    @rule(
        way=st.sampled_from(["batch_create", "batch_update", "batch_upsert"]),
        rows=st.dictionaries(ids, fields, max_size=4),
        metadata=_metadata,
    )
    def batch(self, way: str, rows: dict[str, dict[str, Any]], metadata: dict[str, Any]) -> None:
        self._batch(way, rows, metadata)

    @rule(id_=ids)
    def delete(self, id_: str) -> None:
        assert self.real.delete(id_) == self.model.delete(id_)

    @rule(some=st.lists(ids, max_size=4))
    def delete_many(self, some: list[str]) -> None:
        assert self.real.batch_delete(some) == self.model.batch_delete(some)

    @precondition(lambda self: self.real.capabilities.indexes)
    @rule(path=paths.filter(lambda path: not is_special(path)))
    def index(self, path: Any) -> None:
        self.real.create_index(path)

    @rule(query=queries)
    def search(self, query: Query) -> None:
        assert _ids(self.real.search(query)) == _ids(self.model.search(query))
        assert self.real.count(query) == self.model.count(query)

    @rule(query=queries, size=st.integers(1, 4))
    def page(self, query: Query, size: int) -> None:
        whole = Query(query.predicate, query.sorts)
        page = self.real.page(whole, size=size)
        found = _ids(page.records)
        while page.token is not None:
            page = self.real.page(whole, page.token, size=size)
            found += _ids(page.records)
        assert found == _ids(self.model.search(whole))

    @rule(query=queries, size=st.integers(1, 4))
    def stream(self, query: Query, size: int) -> None:
        assert _ids(self.real.stream_read(query, size)) == _ids(self.model.search(query))

    @invariant()
    def both_hold_the_same(self) -> None:
        for real, model in zip(self.real.all(), self.model.all(), strict=True):
            assert repr(_shown(real)) == repr(_shown(model))

    def _write(
        self,
        way: str,
        id_: str,
        values: dict[str, Any],
        metadata: dict[str, Any],
        versions: tuple[str | None, str | None] | None,
    ) -> None:
        answers = []
        for at, db in enumerate((self.real, self.model)):
            record = Record(values, id_, metadata)
            record.version = None if versions is None else versions[at]
            answers.append(_answer(partial(getattr(db, way), record)))
        assert answers[0] == answers[1]

    def _batch(self, way: str, rows: dict[str, dict[str, Any]], metadata: dict[str, Any]) -> None:
        atomic = self.real.capabilities.atomic
        held = {id_ for id_ in rows if self.model.exists(id_)}
        wrong = held if way == "batch_create" else rows.keys() - held
        if way != "batch_upsert" and wrong and not atomic:
            return
        answers = []
        for db in (self.real, self.model):
            records = [Record(row, id_, metadata) for id_, row in rows.items()]
            answers.append(_answer(partial(getattr(db, way), records)))
        assert answers[0] == answers[1]


def _answer(ask: Callable[[], Any]) -> Any:
    """What is answered, or the kind of error."""
    try:
        return ask()
    except BatchFailed as error:
        return [type(one) for one in error.results]
    except HoldallError as error:
        return type(error)


def _ids(records: Any) -> list[str]:
    return [record.id for record in records]


def _shown(record: Record) -> Any:
    return record.id, record.fields, record.own_metadata()


def record_store_machine(make_store: MakeRecords) -> type[RecordStoreMachine]:
    """Answer a state machine that compares a database with the one in memory.

    Run it with `hypothesis.stateful.run_state_machine_as_test`, or take its `TestCase`.

    Args:
        make_store: Answers a fresh, empty database for a runtime; called once a run.
    """
    return type("Machine", (RecordStoreMachine,), {"make_store": staticmethod(make_store)})
