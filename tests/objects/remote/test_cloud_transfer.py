"""Transfers to and from clouds: the journal of a run that died, and parts that fail on the way."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

import holdall
from holdall import DataStore, errors
from holdall.core.runtime.blocking import drive
from holdall.objects import transfer
from holdall.objects.integrity import Hashed
from holdall.objects.options import ListOptions
from holdall.objects.transfer import Progress, SyncOptions, journal, trying
from holdall.testing import Faults

Open = Callable[..., DataStore]
_KEYS = [f"{number:02}" for number in range(20)]
_PART = 5 * 1024 * 1024
_ONE = SyncOptions(workers=1)


def _stop(progress: Progress) -> None:
    if progress.objects == 15:
        raise KeyboardInterrupt


@pytest.fixture
def cloud(open_cloud: Open) -> DataStore:
    return open_cloud(part_size=_PART)


@pytest.mark.parametrize("pulls", [False, True])
def test_a_run_that_died_is_gone_on_with(
    cloud: DataStore, monkeypatch: pytest.MonkeyPatch, pulls: bool
) -> None:
    monkeypatch.setattr(journal, "BATCH_ITEMS", 5)
    here = holdall.open("memory://")
    source, target = (cloud, here) if pulls else (here, cloud)
    for key in _KEYS:
        source.write(key, key.encode())
    with pytest.raises(KeyboardInterrupt):
        transfer.sync(source, target, _ONE, on_progress=_stop)
    counted = Faults(source.store)
    report = transfer.sync(DataStore(counted), target, _ONE)
    assert (report.skipped, report.copied) == (15, 5)
    assert (counted.seen["get"], counted.seen.get("head", 0)) == (5, 0)
    folder = target.root.reserved("journals")
    assert drive(target.store.list(folder, ListOptions())).objects == ()


def test_a_part_that_failed_is_sent_again_in_the_same_upload(
    cloud: DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "PAUSE_SECONDS", 0.0)
    service: Any = cloud.backend.service  # type: ignore[attr-defined]
    real, failing, sent = service.put_part, [2, 2, 4], []

    def put_part(ref: Any, session: str, number: int, *more: Any) -> Any:
        if number in failing:
            failing.remove(number)
            raise errors.Unavailable("the connection broke off")
        sent.append((session, number))
        return real(ref, session, number, *more)

    monkeypatch.setattr(service, "put_part", put_part)
    source = holdall.open("memory://")
    source.write("a", bytes(range(256)) * 4096 * 18)
    assert transfer.sync(source, cloud).ok
    assert [number for _, number in sent] == [1, 2, 3, 4]
    assert len({session for session, _ in sent}) == 1
    assert cloud.read("a") == source.read("a")
    assert list(cloud.uploads()) == []


def test_a_digest_counts_for_the_very_bytes_it_was_taken_from(cloud: DataStore) -> None:
    data = b"bytes of an object"
    sha256 = hashlib.sha256(data).hexdigest()
    ref = cloud.reference("a")
    drive(cloud.store.put(ref, data, Hashed(sha256=sha256, data=data)))
    assert (cloud.read("a"), cloud.stat("a").sha256) == (data, sha256)
    with pytest.raises(errors.Corrupt):
        drive(cloud.store.put(ref, b"others", Hashed(sha256=sha256, data=data)))
    with pytest.raises(errors.AlreadyExists):
        drive(cloud.store.put(ref, data, Hashed(sha256=sha256, data=data, if_none_match="*")))
    kept: dict[str, Any] = {"content_type": "text/plain", "metadata": {"a": "b"}}
    drive(cloud.store.put(ref, data, Hashed(sha256=sha256, data=data, **kept)))
    found = cloud.stat("a")
    assert (found.content_type, found.metadata, found.sha256) == (*kept.values(), sha256)
