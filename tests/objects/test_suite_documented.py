"""The store that `docs/your-own-store.md` builds keeps the contract."""

import re
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from holdall.objects import registry
from holdall.testing import ObjectStoreSuite

PAGE = Path(__file__).parents[2] / "docs" / "your-own-store.md"


def documented() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": __name__}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for block in blocks:
        exec(block, names)
    return names


NAMES = documented()
Documented: type[ObjectStoreSuite] = NAMES["TestDrawer"]


class _Brought(EntryPoint):
    def load(self) -> Any:
        return NAMES["DrawerStore"]


@pytest.fixture(autouse=True)
def entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """What installing a package of this store would do."""
    entry = _Brought("drawer", "my_package.drawer:DrawerStore", registry.ENTRY_POINTS)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: EntryPoints([entry]))


class TestDocumented(Documented):  # type: ignore[misc, valid-type]
    in_soak = "blocking"
