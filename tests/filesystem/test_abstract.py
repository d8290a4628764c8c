"""The suites that fsspec offers to those who write a file system. Nothing is skipped.

Stores have no empty directories, on a disk either, where a folder goes with its last object. The
suites know such file systems, and put a file into a directory before they expect one.
"""

from collections.abc import Callable

import pytest
from fsspec.tests.abstract import (
    AbstractCopyTests,
    AbstractFixtures,
    AbstractGetTests,
    AbstractOpenTests,
    AbstractPipeTests,
    AbstractPutTests,
)

from filesystem.places import Place
from holdall.fsspec import HoldallFileSystem


class Fixtures(AbstractFixtures):  # type: ignore[misc]
    @pytest.fixture
    def fs(self, place: Place) -> HoldallFileSystem:
        return place.fs

    @pytest.fixture
    def fs_path(self, place: Place) -> str:
        # fsspec does not put a directory into an existing one when its name has no "/" in it.
        return place.path or "in"

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: "/".join(part for part in parts if part)

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestCopy(AbstractCopyTests, Fixtures):  # type: ignore[misc]
    pass


class TestGet(AbstractGetTests, Fixtures):  # type: ignore[misc]
    pass


class TestPut(AbstractPutTests, Fixtures):  # type: ignore[misc]
    pass


class TestOpen(AbstractOpenTests, Fixtures):  # type: ignore[misc]
    pass


class TestPipe(AbstractPipeTests, Fixtures):  # type: ignore[misc]
    pass


def test_no_suite_of_fsspec_is_left_out() -> None:
    import fsspec.tests.abstract as offered

    run = {kind.__mro__[1].__name__ for kind in (TestCopy, TestGet, TestPut, TestOpen, TestPipe)}
    suites = {name for name in vars(offered) if name.endswith("Tests")}
    assert suites <= run
