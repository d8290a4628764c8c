"""The memory store keeps the contract."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from holdall.core.runtime import Runtime
from holdall.objects.backends import memory
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.testing import ObjectStoreSuite
from holdall.testing.objects.faces import MakeStore


@pytest.fixture
def name() -> Iterator[str]:
    name = uuid4().hex
    yield name
    memory._named.pop(name, None)


class TestMemory(ObjectStoreSuite):
    @pytest.fixture
    def make_store(self, name: str) -> MakeStore:
        return lambda runtime: MemoryStore(MemorySettings(name=name), runtime)


class TestFolderInMemory(ObjectStoreSuite):
    in_soak = "blocking"

    @pytest.fixture
    def make_store(self, name: str) -> MakeStore:
        settings = MemorySettings(name=name, prefix="a/ß")

        def make(runtime: Runtime) -> MemoryStore:
            return MemoryStore(settings, runtime)

        return make
