"""The local store keeps the contract, whatever the medium and the kernel offer."""

from pathlib import Path
from typing import Any

import pytest

from holdall.objects.backends.local import LocalSettings, LocalStore
from holdall.objects.backends.local import store as module
from holdall.objects.backends.local.confinement import Walk
from holdall.testing import ObjectStoreSuite
from holdall.testing.objects.faces import MakeStore


def opening(path: Path, **settings: Any) -> MakeStore:
    # Not made yet: a store makes its folder.
    place = str(path / "some folder" / "place")
    return lambda runtime: LocalStore(LocalSettings(path=place, **settings), runtime)


class TestLocal(ObjectStoreSuite):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeStore:
        return opening(tmp_path, durable=False)


class TestDurable(ObjectStoreSuite):
    in_soak = "blocking"

    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeStore:
        return opening(tmp_path, durable=True)


class TestAttributesBeside(ObjectStoreSuite):
    in_soak = "async"

    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeStore:
        return opening(tmp_path, durable=False, attributes="beside")


class TestWithoutOpenat2(ObjectStoreSuite):
    in_soak = "async"

    @pytest.fixture
    def make_store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeStore:
        monkeypatch.setattr(module, "best_opener", Walk)
        return opening(tmp_path, durable=False)
