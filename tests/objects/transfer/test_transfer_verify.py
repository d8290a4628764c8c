"""What verification finds, in one store and between two."""

import hashlib
import os
from pathlib import Path

import pytest

from holdall.core.errors import Corrupt, HoldallError, PermissionDenied
from holdall.objects.transfer import SyncOptions, verifying
from objects.transfer.places import Places


def rot(path: Path, data: bytes) -> None:
    """Change bytes as a failing disk does: size and times stay."""
    times = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_what_was_synced_is_sound(places: Places) -> None:
    for key, data in {"a": b"one", "b/c": b""}.items():
        places.source.write(key, data)
    places.sync()
    report = places.verify()
    assert (report.ok, report.unrecorded, report.bytes) == (2, 0, 3)
    assert report.sound


def test_what_has_no_checksum_is_counted_and_sound(places: Places) -> None:
    places.target.write("a", b"x")
    report = places.verify()
    assert (report.ok, report.unrecorded, report.sound) == (0, 1, True)


def test_rotten_bytes_are_found(files: Places, tmp_path: Path) -> None:
    for key in ("a", "b"):
        files.source.write(key, b"whole")
    files.sync()
    rot(tmp_path / "target" / "b", b"rotte")
    report = files.verify()
    assert report.ok == 1
    assert [failure.key for failure in report.damaged] == ["b"]
    assert "was recorded" in str(report.damaged[0].error)
    assert not report.sound


@pytest.mark.parametrize("compare", [False, True])
def test_what_cannot_be_read_is_listed(
    memories: Places, monkeypatch: pytest.MonkeyPatch, compare: bool
) -> None:
    for store in (memories.source, memories.target):
        store.write("a", b"x")

    async def refuse(*args: object) -> HoldallError:
        raise PermissionDenied("not yours")

    monkeypatch.setattr(verifying, "read_digest", refuse)
    report = memories.compare() if compare else memories.verify()
    assert [failure.key for failure in report.unreadable] == ["a"]
    assert not report.sound


def test_two_places_are_compared_by_their_bytes(places: Places) -> None:
    for key, data in {"a": b"same", "b": b"one", "c": b"1", "d": b""}.items():
        places.source.write(key, data)
    for key, data in {"a": b"same", "b": b"two", "c": b"22", "e": b""}.items():
        places.target.write(key, data)
    report = places.compare()
    assert report.ok == 1
    assert [failure.key for failure in report.damaged] == ["b", "c"]
    assert [failure.key for failure in report.missing] == ["d", "e"]
    assert not report.sound


def test_a_comparison_does_not_trust_what_is_recorded(files: Places, tmp_path: Path) -> None:
    files.source.write("a", b"whole")
    files.sync()
    rot(tmp_path / "target" / "a", b"rotte")
    assert [failure.key for failure in files.compare().damaged] == ["a"]


def test_entries_that_are_no_objects_are_counted(files: Places, tmp_path: Path) -> None:
    files.target.write("a", b"x")
    (tmp_path / "target" / "link").symlink_to("a")
    assert files.verify().foreign == 1


CONTENT = SyncOptions(compare="content")


def test_rotten_bytes_are_repaired_by_their_content(files: Places, tmp_path: Path) -> None:
    for key in ("a", "b"):
        files.source.write(key, b"whole")
    files.sync()
    rot(tmp_path / "target" / "b", b"rotte")
    assert files.sync().skipped == 2
    assert [step.reason for step in files.plan(CONTENT)] == [None, "damaged"]
    assert (files.sync(CONTENT).copied, files.sync(CONTENT).skipped) == (1, 2)
    assert files.verify().sound


def test_other_bytes_of_one_size_are_found_by_their_content(places: Places) -> None:
    places.source.write("a", b"one")
    places.target.write("a", b"two")
    assert [step.reason for step in places.plan(CONTENT)] == ["checksum"]
    assert places.sync(CONTENT).copied == 1
    assert places.target.read("a") == b"one"


def test_a_rotten_source_repairs_nothing(files: Places, tmp_path: Path) -> None:
    files.source.write("a", b"whole", sha256=hashlib.sha256(b"whole").hexdigest())
    files.sync()
    rot(tmp_path / "source" / "a", b"rotte")
    report = files.sync(CONTENT)
    assert [type(failure.error) for failure in report.failed] == [Corrupt]
    assert files.target.read("a") == b"whole"
