"""An empty place for records, and the servers."""

from __future__ import annotations

import pytest
from msgspec import structs

from holdall.objects.backends import memory
from holdall.records.backends.objects import access, ranges
from records.objects.places import FAR_PAGE, Place


@pytest.fixture
def place() -> Place:
    """An empty place."""
    return Place()


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let memory count for a service, whose pages are short, and few records for many."""
    far_away = structs.replace(memory._CAPABILITIES, remote=True)
    monkeypatch.setattr(memory, "_CAPABILITIES", far_away)
    listing = structs.replace(access._LISTING, max_items=FAR_PAGE)
    monkeypatch.setattr(access, "_LISTING", listing)
    monkeypatch.setattr(ranges, "LEAST_SPLIT", 60)
