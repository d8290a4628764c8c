"""An empty place for records, and the servers."""

from __future__ import annotations

import pytest

from records.objects.places import Place


@pytest.fixture
def place() -> Place:
    """An empty place."""
    return Place()
