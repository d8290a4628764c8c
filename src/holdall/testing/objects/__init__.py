"""The conformance suite of the contract `ObjectStore`."""

from __future__ import annotations

from holdall.testing.objects.beside import BesideFacts
from holdall.testing.objects.conditions import ConditionFacts
from holdall.testing.objects.copying import CopyFacts
from holdall.testing.objects.deleting import DeleteFacts
from holdall.testing.objects.keys import KeyFacts
from holdall.testing.objects.known import KnownFacts
from holdall.testing.objects.listing import ListFacts
from holdall.testing.objects.opening import OpenFacts
from holdall.testing.objects.prepared import PreparedFacts
from holdall.testing.objects.reading import ReadFacts
from holdall.testing.objects.resuming import ResumeFacts
from holdall.testing.objects.streaming import StreamFacts
from holdall.testing.objects.together import TogetherFacts
from holdall.testing.objects.uploads import UploadFacts
from holdall.testing.objects.writing import WriteFacts

__all__ = ["ObjectStoreSuite"]


class ObjectStoreSuite(
    WriteFacts,
    StreamFacts,
    ReadFacts,
    ListFacts,
    KnownFacts,
    DeleteFacts,
    CopyFacts,
    ConditionFacts,
    PreparedFacts,
    UploadFacts,
    ResumeFacts,
    KeyFacts,
    BesideFacts,
    TogetherFacts,
    OpenFacts,
):
    """What holds for every object store.

    A store's test file is a subclass whose name starts with `Test`, with one fixture,
    `make_store`: a function that takes a runtime and answers the store. Each test gets a fresh
    place, and every call within a test opens that same place, so that a second store sees what
    the first one wrote:

        class TestMine(ObjectStoreSuite):
            @pytest.fixture
            def make_store(self, tmp_path):
                settings = MySettings(path=str(tmp_path / "place"))
                return lambda runtime: MyStore(settings, runtime)

    Every fact runs through both faces. Add facts of your own as `async def test_…(self, store)`:
    they are run in the same way, and `self.another()` opens the place once more.

    The store must be known to `holdall.open`, by its entry point: some facts open it by its
    configuration.
    """
