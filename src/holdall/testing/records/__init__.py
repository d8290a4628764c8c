"""The conformance suite of the contract `RecordStore`."""

from __future__ import annotations

from holdall.testing.records.many import ManyFacts
from holdall.testing.records.one import OneFacts
from holdall.testing.records.searching import SearchFacts

__all__ = ["RecordStoreSuite"]


class RecordStoreSuite(OneFacts, ManyFacts, SearchFacts):
    """What holds for every database of records.

    A backend's test file is a subclass whose name starts with `Test`, with one fixture,
    `make_store`: a function that takes a runtime and answers the store. Each test gets a fresh
    place, and every call within a test opens that same place, so that a second one sees what the
    first one wrote:

        class TestMine(RecordStoreSuite):
            @pytest.fixture
            def make_store(self, tmp_path):
                settings = MySettings(path=str(tmp_path / "place"))
                return lambda runtime: MyRecords.open(settings, runtime)

    Every fact runs through both faces. `large` says how many records a large batch has, and `every`
    of how many conditions one is asked: a test server that is slow may have less of both.
    """
