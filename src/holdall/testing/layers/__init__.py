"""Suite and faults for those who write layers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from holdall.objects.backends import memory
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.testing.layers.faults import Fault, FaultRule, Faults
from holdall.testing.layers.living import LifeFacts
from holdall.testing.layers.passing import PassFacts
from holdall.testing.objects import ObjectStoreSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.testing.layers.passing import MakeLayer
    from holdall.testing.objects.faces import MakeStore

__all__ = ["Fault", "FaultRule", "Faults", "LayerSuite"]


class LayerSuite(PassFacts, LifeFacts, ObjectStoreSuite):
    """What holds for every layer, and for a stack of them.

    A layer's test file is a subclass whose name starts with `Test`, with one fixture,
    `make_layer`: a function that takes a store and answers the layer around it. Settings should
    be such that nothing waits, is refused or is left out while nothing fails.

        class TestMine(LayerSuite):
            @pytest.fixture
            def make_layer(self):
                return lambda store: Mine(store, MySettings(calls=10))

    The whole `ObjectStoreSuite` is run with the layer around the memory store, since a layer
    takes nothing away; then come the facts of layers. A layer whose purpose is at odds with one
    of them, as a cache sends fewer calls, names that fact in `excused`, with the reason.

    The layer must be known by its name, by its entry point: some facts open it by its
    configuration.
    """

    @pytest.fixture
    def make_store(self, make_layer: MakeLayer) -> Iterator[MakeStore]:
        """The layer around the memory store."""
        settings = MemorySettings(name=uuid4().hex)
        yield lambda runtime: make_layer(MemoryStore(settings, runtime))
        memory._named.pop(settings.name, None)
