"""A disk of this machine that is full while something is brought from a cloud."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import holdall
from serving.clouds import S3Server

SIZE = 12 * 1024**2  # more than the disk has, and more than one read

# The disk is seen by the child alone, and goes with it: so the child looks at what is left there.
_IN_A_SMALL_DISK = """
import json, os, sys
from datetime import timedelta
from holdall.cli import main
import holdall
disk, bucket, *words = sys.argv[1:]
code = main(words)
visible = sorted(name for name in os.listdir(disk) if name != ".holdall")
with holdall.open(disk) as store:
    staged = [upload.key for upload in store.uploads()]
    store.purge_uploads(timedelta(0))
parts = [name for _, _, names in os.walk(disk) for name in names if name.endswith(".part")]
with holdall.open(bucket) as store:
    small = store.read("small").decode()
print(json.dumps([code, visible, staged, parts, small]))
"""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Where a small disk can be mounted, seen by one process alone."""
    if not shutil.which("unshare"):
        pytest.skip("a small disk needs unshare, which this system lacks")
    place = tmp_path / "disk"
    place.mkdir()
    tried = subprocess.run([*_mounting(place), "true"], check=False, capture_output=True)
    if tried.returncode:
        pytest.skip("a small disk needs the right to mount one, which this user lacks")
    return place


def _mounting(place: Path) -> list[str]:
    mount = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", mount, str(place)]


@pytest.fixture
def bucket(versity_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a bucket with a large object and a small one."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", versity_server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", versity_server.secret_access_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", versity_server.endpoint)
    address = f"s3://{versity_server.make_container('full')}"
    with holdall.open(address) as store:
        store.write("data/large", bytes(SIZE))
        store.write("small", b"read afterwards")
    return address


def brought(bucket: str, disk: Path, command: str) -> tuple[list[object], str]:
    """Bring what is too large; answer what the child found afterwards, and all that it said."""
    source, target = ("data", disk) if command == "sync" else ("data/large", disk / "large")
    child = [sys.executable, "-c", _IN_A_SMALL_DISK, str(disk), bucket]
    done = subprocess.run(
        [*_mounting(disk), *child, command, f"{bucket}/{source}", str(target)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    *said, found = done.stdout.splitlines()
    return json.loads(found), "\n".join([*said, done.stderr])


@pytest.mark.parametrize(("command", "staged"), [("get", []), ("cp", []), ("sync", ["large"])])
def test_a_full_disk_shows_nothing_half_written_and_the_store_reads_on(
    bucket: str, disk: Path, command: str, staged: list[str]
) -> None:
    found, said = brought(bucket, disk, command)
    assert "No space left on device" in said
    assert "Traceback" not in said
    # What a sync goes on from is listed as an upload, and is gone when it is purged.
    assert found == [1, [], staged, [], "read afterwards"]


@pytest.mark.parametrize("command", ["get", "cp", "sync"])
def test_a_full_disk_is_named(bucket: str, disk: Path, command: str) -> None:
    assert str(disk) in brought(bucket, disk, command)[1]
