"""An empty place for records, and the servers."""

from __future__ import annotations

import pytest

from records.objects.places import Place
from servers import azure_server, google_server, redis_server, s3_server, versity_server

__all__ = ["azure_server", "google_server", "redis_server", "s3_server", "versity_server"]


@pytest.fixture
def place() -> Place:
    """An empty place."""
    return Place()
