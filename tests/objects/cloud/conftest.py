"""Where the tests of AWS credentials look."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from objects.cloud.loopback import Loopback, listening
from objects.cloud.roles import ROLE, Environment


@pytest.fixture
def server() -> Iterator[Loopback]:
    with listening() as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Variables with which nothing is found and nothing is contacted."""
    return {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / ".aws"
    folder.mkdir()
    return folder


@pytest.fixture
def somebody_else(environment: Environment, server: Loopback) -> Environment:
    """Variables of a container, whose role is not the one that a test names."""
    server.answer = lambda _: (200, ROLE)
    return environment | {"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url}
