"""Transfers with servers: what is not moved twice, what is one place, and what is too long."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import holdall
from cli.conftest import Run, run
from faulty import HttpProxy
from holdall import DataStore
from holdall.core.errors import InvalidConfig, LimitExceeded
from holdall.core.runtime.blocking import drive
from holdall.objects import transfer
from holdall.objects.contract import ObjectStore
from holdall.objects.layers import Retry
from holdall.objects.options import CopyOptions, ListOptions
from holdall.objects.switch import Switch
from holdall.objects.transfer import Progress, Step, SyncOptions, SyncReport, crossing, trying
from serving.caches import RedisServer
from serving.clouds import S3Server

Open = Callable[..., DataStore]
_MIB = 1024 * 1024
_PART = 5 * _MIB
LARGE = hashlib.sha256(b"a seed").digest() * (19 * _MIB // 32)
__all__ = ["run"]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def proxy(versity_server: S3Server) -> Iterator[HttpProxy]:
    with HttpProxy(versity_server.running.port) as opened:
        yield opened


@pytest.fixture
def cloud(open_s3: Open, proxy: HttpProxy) -> DataStore:
    return open_s3(endpoint=proxy.endpoint, part_size=_PART)


@pytest.fixture
def here(tmp_path: Path) -> DataStore:
    return holdall.open(tmp_path / "here")


def ranges(proxy: HttpProxy, key: str) -> list[str | None]:
    return [request.header("Range") for request in proxy.found("GET", f"/{key}$")]


def notes(store: DataStore) -> int:
    """How many notes of what is staged are there."""
    folder = store.root.reserved("journals", "staged")
    return len(drive(store.store.list(folder, ListOptions())).objects)


def cut_pull(cloud: DataStore, here: DataStore, proxy: HttpProxy) -> int:
    """Break a pull off for good; answer how many bytes are staged."""
    proxy.cut_reply(12 * _MIB, method="GET", path="big")
    proxy.answer(500, method="GET", path="big", times=None)
    assert not transfer.pull(cloud, here.root).ok
    proxy.forget()
    (staged,) = here.uploads()
    assert staged.offset >= 8 * _MIB
    return staged.offset


def test_a_pull_that_was_cut_reads_only_the_rest(
    cloud: DataStore, here: DataStore, proxy: HttpProxy
) -> None:
    etag = cloud.write("big", LARGE).etag
    assert etag is not None
    staged = cut_pull(cloud, here, proxy)
    steps: list[Step] = []
    report = transfer.pull(cloud, here.root, on_step=steps.append)
    # The first asks what there is, and is let go of before its body.
    opening, rest = proxy.found("GET", "/big$")
    assert (opening.header("Range"), rest.header("Range")) == (None, f"bytes={staged}-")
    assert (rest.header("If-Match") or "").strip('"') == etag.strip('"')
    assert notes(here) == 0
    assert (report.resumed, report.resumed_bytes, report.reread_bytes) == (1, staged, 0)
    assert report.bytes == len(LARGE) - staged
    assert [(step.resumed, step.reread) for step in steps] == [(staged, 0)]
    assert here.read("big") == LARGE
    assert list(here.uploads()) == []


def test_a_pull_begins_anew_when_the_source_has_changed(
    cloud: DataStore, here: DataStore, proxy: HttpProxy
) -> None:
    cloud.write("big", LARGE)
    cut_pull(cloud, here, proxy)
    cloud.write("big", LARGE[::-1])
    report = transfer.pull(cloud, here.root)
    assert (report.resumed, report.bytes) == (0, len(LARGE))
    assert set(ranges(proxy, "big")) == {None}
    assert here.read("big") == LARGE[::-1]


def test_a_pull_that_was_cut_twice_reads_no_byte_again(
    cloud: DataStore, here: DataStore, proxy: HttpProxy
) -> None:
    cloud.write("big", LARGE)
    first = cut_pull(cloud, here, proxy)
    proxy.cut_reply(4 * _MIB, method="GET", path="big", skip=1)
    proxy.answer(500, method="GET", path="big", times=None, skip=2)
    assert not transfer.pull(cloud, here.root).ok
    (again,) = here.uploads()
    assert again.offset > first
    proxy.forget()
    report = transfer.pull(cloud, here.root)
    assert ranges(proxy, "big") == [None, f"bytes={again.offset}-"]
    assert (report.resumed_bytes, report.reread_bytes) == (again.offset, 0)
    assert here.read("big") == LARGE


def test_a_pull_that_was_interrupted_reads_only_the_rest(
    cloud: DataStore, here: DataStore, proxy: HttpProxy
) -> None:
    cloud.write("big", LARGE)

    def stop(progress: Progress) -> None:
        if progress.bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer.pull(cloud, here.root, on_progress=stop)
    (staged,) = here.uploads()
    proxy.forget()
    report = transfer.pull(cloud, here.root)
    assert ranges(proxy, "big") == [None, f"bytes={staged.offset}-"]
    assert (report.resumed_bytes, report.reread_bytes) == (staged.offset, 0)
    assert here.read("big") == LARGE


def test_a_pull_that_was_cut_on_a_loop_reads_only_the_rest(
    cloud: DataStore,
    here: DataStore,
    proxy: HttpProxy,
    versity_server: S3Server,
) -> None:
    cloud.write("big", LARGE)
    there = {
        "type": "s3",
        "bucket": cloud.root.container,
        "endpoint": proxy.endpoint,
        "access_key": versity_server.access_key_id,
        "secret_key": versity_server.secret_access_key,
        "layers": [],
    }

    async def pull() -> SyncReport:
        async with holdall.open_async(there) as source, holdall.open_async(here.root) as target:
            return await transfer.pull_async(source, target)

    proxy.cut_reply(12 * _MIB, method="GET", path="big")
    proxy.answer(500, method="GET", path="big", times=None)
    assert not asyncio.run(pull()).ok
    proxy.forget()
    (staged,) = here.uploads()
    report = asyncio.run(pull())
    assert ranges(proxy, "big") == [None, f"bytes={staged.offset}-"]
    assert (report.resumed_bytes, report.reread_bytes) == (staged.offset, 0)
    assert here.read("big") == LARGE


def test_staged_bytes_that_changed_on_the_disk_are_not_trusted(
    cloud: DataStore, here: DataStore, proxy: HttpProxy, tmp_path: Path
) -> None:
    cloud.write("big", LARGE)
    cut_pull(cloud, here, proxy)
    (part,) = (tmp_path / "here" / ".holdall" / "uploads").glob("*.part")
    with part.open("r+b") as file:
        file.write(b"other")
    report = transfer.pull(cloud, here.root)
    assert (report.resumed, report.bytes) == (0, len(LARGE))
    assert here.read("big") == LARGE


def test_what_was_noted_of_a_purged_upload_goes_with_the_next_note(
    cloud: DataStore, here: DataStore, proxy: HttpProxy
) -> None:
    cloud.write("big", LARGE)
    cut_pull(cloud, here, proxy)
    here.purge_uploads(timedelta(0))
    assert notes(here) == 1
    cut_pull(cloud, here, proxy)
    assert notes(here) == 1


def test_a_pull_of_what_nothing_vouches_for_reads_all_and_says_so(
    cloud: DataStore, here: DataStore, proxy: HttpProxy
) -> None:
    cloud.write("big", LARGE)
    with here.upload("big") as upload:
        upload.write(LARGE[:_MIB])
    proxy.forget()
    report = transfer.pull(cloud, here.root)
    assert ranges(proxy, "big") == [None]
    assert (report.resumed_bytes, report.reread_bytes) == (_MIB, _MIB)
    assert here.read("big") == LARGE


def bare(store: ObjectStore) -> ObjectStore:
    return store


@pytest.mark.parametrize("around", [bare, Retry, Switch])
def test_parts_that_were_there_are_counted(
    cloud: DataStore,
    here: DataStore,
    proxy: HttpProxy,
    around: Callable[[ObjectStore], ObjectStore],
) -> None:
    cloud = DataStore(around(cloud.store))
    here.write("big", LARGE)
    proxy.answer(500, method="PUT", path="partNumber=3", times=None)
    assert not transfer.sync(here, cloud).ok
    proxy.forget()
    steps: list[Step] = []
    report = transfer.sync(here, cloud, on_step=steps.append)
    assert len(proxy.found("PUT", "partNumber=")) == 2
    assert (report.resumed, report.resumed_bytes) == (1, 2 * _PART)
    assert (report.bytes, report.reread_bytes) == (len(LARGE) - 2 * _PART, 2 * _PART)
    assert [(step.resumed, step.reread) for step in steps] == [(2 * _PART, 2 * _PART)]
    assert cloud.read("big") == LARGE


def test_parts_that_are_sent_in_place_of_others_are_not_counted(
    cloud: DataStore, here: DataStore
) -> None:
    here.write("big", LARGE)
    with cloud.upload("big") as upload:
        upload.write(LARGE[:_PART] + bytes(_PART))
    assert transfer.sync(here, cloud).resumed_bytes == _PART
    assert cloud.read("big") == LARGE


def test_what_redis_has_staged_is_vouched_for(opened: Open, here: DataStore) -> None:
    data = LARGE[: 10 * _MIB]
    sha256 = hashlib.sha256(data).hexdigest()
    here.write("big", data, sha256=sha256)
    target = opened()
    with target.upload("big", sha256=sha256) as upload:
        upload.write(data[:_MIB])
    assert [info.sha256 for info in target.uploads()] == [sha256]
    report = transfer.sync(here, target)
    assert (report.resumed_bytes, report.reread_bytes) == (_MIB, 0)
    assert target.read("big") == data


def test_two_databases_of_one_server_are_two_places(opened: Open) -> None:
    source, target = opened(db=0), opened(db=4)
    assert source.root == target.root
    source.write("a", b"1")
    assert transfer.sync(source, target).copied == 1
    assert target.read("a") == b"1"


def test_one_database_is_one_place(opened: Open) -> None:
    for target in (opened(), opened(prefix="inside")):
        with pytest.raises(InvalidConfig, match="one place"):
            transfer.sync(opened(), target)


def test_buckets_of_one_name_on_two_servers_are_two_places(
    open_s3: Open, open_moto: Open, s3_server: S3Server
) -> None:
    source = open_s3()
    s3_server.client().create_bucket(Bucket=source.root.container)
    target = open_moto(bucket=source.root.container)
    assert source.root == target.root
    source.write("a", b"1")
    assert transfer.sync(source, target).copied == 1
    assert target.read("a") == b"1"
    with pytest.raises(InvalidConfig, match="one place"):
        transfer.sync(target, open_moto(bucket=source.root.container, prefix="inside"))


def test_a_server_by_another_name_loses_nothing(open_s3: Open, versity_server: S3Server) -> None:
    store = open_s3()
    store.write("a", b"1")
    store.write("sub/b", b"2")
    endpoint = versity_server.endpoint.replace("127.0.0.1", "localhost")
    assert endpoint != versity_server.endpoint
    there = {"bucket": store.root.container, "endpoint": endpoint}
    report = transfer.sync(store, open_s3(**there), SyncOptions(delete=True))
    assert (report.skipped, report.copied, report.deleted) == (2, 0, 0)
    with pytest.raises(InvalidConfig, match="one place"):
        transfer.sync(store, open_s3(**there, prefix="sub"))
    with pytest.raises(InvalidConfig, match="one place"):
        transfer.expire(store, timedelta(0), move_to=open_s3(**there))
    assert sorted(store.list()) == ["a", "sub/b"]


@pytest.fixture
def too_long(tmp_path: Path) -> DataStore:
    """A store with an object that no Redis takes, and that takes no space."""
    folder = tmp_path / "long"
    folder.mkdir()
    with (folder / "big").open("wb") as file:
        file.truncate(512 * _MIB + 1)
    return holdall.open(folder)


def copied(source: DataStore, target: DataStore) -> object:
    return transfer.copy(source, "big", target, "big")


def crossed(source: DataStore, target: DataStore) -> object:
    places = (source.reference("big"), target.reference("big"))
    return drive(crossing.copy_across(source.store, target.store, *places, CopyOptions()))


@pytest.mark.parametrize("way", [copied, crossed])
def test_what_is_too_long_for_the_target_is_not_sent(
    opened: Open, others: Any, too_long: DataStore, way: Callable[..., object]
) -> None:
    target = opened()
    others.config_resetstat()
    with pytest.raises(LimitExceeded, match="max_object_bytes"):
        way(too_long, target)
    assert others.info("stats")["total_net_input_bytes"] < 20_000
    assert list(target.uploads()) == []


def test_a_size_that_is_too_long_is_refused_before_standard_input_is_read(
    others: Any, run: Run, redis_server: RedisServer
) -> None:
    place = f"{redis_server.url}/big"
    refused = run("put", "-", place, "--size", str(512 * _MIB + 1), typed=b"some", code=1)
    assert "max_object_bytes" in refused.stderr
