"""Every layer keeps what layers keep, alone and in a stack of all.

A new layer is a line in `LAYERS` and one for its own suite.
"""

from __future__ import annotations

import contextlib
import io
import re
from importlib.metadata import EntryPoint, EntryPoints
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from holdall.objects.layers import registry
from holdall.objects.layers.registry import around, read_layers
from holdall.testing import Faults, LayerSuite, ObjectStoreSuite
from holdall.testing.layers.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdall.core.runtime import Runtime
    from holdall.objects.contract import ObjectStore
    from holdall.testing.layers.passing import MakeLayer
    from holdall.testing.objects.faces import MakeStore

# In the documented order, from the outside; with settings that stand in nobody's way.
LAYERS: dict[str, dict[str, Any]] = {
    "metrics": {},
    "cache": {"max_bytes": 1 << 24, "ttl": 3600},
    "retry": {},
    "breaker": {},
    "rate": {"calls": 1_000_000_000},
    "concurrency": {"slots": 4},
    "timeout": {},
}

# What a cache is for, or does on the way.
CACHED = {
    f"test_an_error_passes_as_it_is[{operation}-{error}-async": "readers share a task of its own"
    for operation in ("get", "head", "read")
    for error in ("CancelledError", "KeyboardInterrupt")
}


def layers(*names: str) -> MakeLayer:
    read = read_layers([{"layer": name, **LAYERS[name]} for name in names])
    return lambda store: around(store, read)


class Around(LayerSuite):
    """`LayerSuite` over the layers that a subclass names."""

    names: ClassVar[tuple[str, ...]]

    @pytest.fixture
    def make_layer(self) -> MakeLayer:
        return layers(*self.names)


def suite(*names: str, excused: Mapping[str, str] | None = None) -> type[Around]:
    # A layer is written once for both faces: the stack of all of them goes through both.
    left = None if len(names) > 1 else "blocking"
    own = {"names": names, "excused": dict(excused or {}), "in_soak": left}
    return type("Around", (Around,), own)


TestMetrics = suite("metrics")
TestCache = suite("cache", excused=CACHED)
TestRetry = suite("retry")
TestBreaker = suite("breaker")
TestRate = suite("rate")
TestConcurrency = suite("concurrency")
TestTimeout = suite("timeout")
TestStack = suite(*LAYERS, excused=CACHED)


class TestFaults(LayerSuite):
    """The fault layer of `holdall.testing`, with nothing in its script."""

    in_soak = "blocking"
    excused: ClassVar = {
        "test_a_configuration_opens_the_same": "a script is no text",
        "test_a_pickle": "a script is no text",
    }

    @pytest.fixture
    def make_layer(self) -> MakeLayer:
        return Faults


class TestStackInPieces(ObjectStoreSuite):
    """A store whose bodies never come with the answer, in a stack of all layers."""

    in_soak = "blocking"
    excused: ClassVar = {
        "test_a_configuration_opens_the_same_place": "a witness is named by no configuration",
        "test_a_pickled_store_opens_the_same_place": "a witness is named by no configuration",
    }

    @pytest.fixture
    def make_store(self) -> MakeStore:
        opened: list[Witness] = []

        def make(runtime: Runtime) -> ObjectStore:
            opened.append(Witness(runtime, opened[0].inner if opened else None))
            return layers(*LAYERS)(opened[-1])

        return make


PAGE = Path(__file__).parents[3] / "docs" / "your-own-layer.md"


def documented() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": __name__}
    for block in re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    ):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(block, names)
    return names


NAMES = documented()
Documented: type[LayerSuite] = NAMES["TestAllowance"]


class _Brought(EntryPoint):
    def load(self) -> Any:
        return NAMES["Allowance"]


class TestDocumented(Documented):  # type: ignore[misc, valid-type]
    """The layer that `docs/your-own-layer.md` builds."""

    in_soak = "blocking"

    @pytest.fixture(autouse=True)
    def entry_point(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What installing a package of this layer would do."""
        entry = _Brought("allowance", "my_package.allowance:Allowance", registry.ENTRY_POINTS)
        monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: EntryPoints([entry]))


def test_every_layer_is_here() -> None:
    modules = {name: place.partition(":")[0] for name, place in registry._BUILT_IN.items()}
    written = {name for name, module in modules.items() if find_spec(module) is not None}
    assert written == set(LAYERS)
