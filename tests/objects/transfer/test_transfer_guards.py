"""What a sync that deletes must not take for wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import holdall
from holdall.core.errors import NotFound
from holdall.objects.transfer import SyncOptions, sync

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> holdall.DataStore:
    return holdall.open(tmp_path / "source")


@pytest.fixture
def target(tmp_path: Path) -> holdall.DataStore:
    return holdall.open(tmp_path / "target")


def test_the_copy_of_what_became_a_link_is_not_deleted(
    source: holdall.DataStore, target: holdall.DataStore, tmp_path: Path
) -> None:
    source.write("docs/a", b"1")
    source.write("b", b"2")
    sync(source, target)
    (tmp_path / "source" / "docs").rename(tmp_path / "elsewhere")
    (tmp_path / "source" / "docs").symlink_to(tmp_path / "elsewhere")
    report = sync(source, target, SyncOptions(delete=True))
    assert list(target.list()) == ["b", "docs/a"]
    assert "1 entries that are no objects" in (report.not_deleted or "")
    report = sync(source, target, SyncOptions(delete=True, allow_empty=True))
    assert report.not_deleted is None
    assert list(target.list()) == ["b"]


def test_a_source_of_excluded_objects_alone_is_empty(
    source: holdall.DataStore, target: holdall.DataStore
) -> None:
    source.write("a.tmp", b"")
    target.write("b", b"2")
    with pytest.raises(NotFound, match="is empty"):
        sync(source, target, SyncOptions(delete=True, exclude=("*.tmp",)))
    assert list(target.list()) == ["b"]
    assert sync(source, target, SyncOptions(exclude=("*.tmp",))).ok
