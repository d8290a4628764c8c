"""Each kind of file system: over an open store, and with the store in the path."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from filesystem.places import PLACES, Place
from holdall.fsspec import HoldallFileSystem, UrlFileSystem


@pytest.fixture(params=PLACES, ids=lambda make: make.__name__)
def place(request: Any) -> Iterator[Place]:
    made: Place = request.param(request)
    yield made
    if isinstance(made.fs, UrlFileSystem):
        type(made.fs).clear_instance_cache()


@pytest.fixture
def fs(place: Place) -> HoldallFileSystem:
    return place.fs


@pytest.fixture
def at(place: Place) -> Callable[[str], str]:
    """The path of a key in the tests' folder."""
    return lambda key: f"{place.path}/{key}" if place.path else key
