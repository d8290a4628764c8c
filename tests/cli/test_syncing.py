"""sync, verify and uploads."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import holdall
from cli.conftest import Run


@pytest.fixture
def source(here: Path) -> Path:
    """Plain files in ./from."""
    for name in ("a", "b/c", "d"):
        path = here / "from" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return here / "from"


def last(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text.splitlines()[-1])
    return document


def test_sync_copies_and_says_so(run: Run, here: Path, source: Path) -> None:
    assert run("sync", "from", "to").stdout == "copied 3 objects (5 B), 0 already the same\n"
    assert run("sync", "from", "to").stdout == "copied 0 objects (0 B), 3 already the same\n"
    assert list(holdall.open(str(here / "to")).list()) == ["a", "b/c", "d"]


def test_sync_leaves_nothing_in_its_source(run: Run, source: Path) -> None:
    run("sync", "from", "to")
    assert sorted(os.listdir(source)) == ["a", "b", "d"]


def test_sync_json_has_steps_and_a_report(run: Run, source: Path) -> None:
    lines = run("sync", "from", "to", "--json", "-w", "1").stdout.splitlines()
    assert json.loads(lines[0]) == {"key": "a", "action": "copy", "reason": "missing", "size": 1}
    assert last(lines[-1])["report"]["copied"] == 3
    assert len(lines) == 4


def test_a_dry_run_changes_nothing(run: Run, here: Path, source: Path) -> None:
    output = run("sync", "from", "to", "--dry-run").stdout
    assert output.splitlines()[0].split() == ["copy", "1", "B", "missing", "a"]
    assert output.splitlines()[-1].startswith("would copy 3 objects (5 B), delete 0")
    assert not (here / "to").exists()
    assert last(run("sync", "from", "to", "-n", "--json").stdout)["plan"]["copy"] == 3


def test_a_dry_run_shows_no_deletion_that_sync_would_refuse(
    run: Run, here: Path, source: Path
) -> None:
    holdall.open(str(here / "to")).write("old", b"")
    (source / "link").symlink_to("a")
    words = ("sync", "from", "to", "--delete", "--dry-run")
    steps = run(*words, "--json", code=1).stdout.splitlines()
    assert json.loads(steps[-2])["action"] == "keep"
    assert "1 entry that is no object" in json.loads(steps[-2])["error"]
    assert last(steps[-1])["plan"]["delete"] == 0
    assert "would be deleted" in last(steps[-1])["plan"]["not_deleted"]
    assert "--force permits it" in run(*words, code=1).stderr
    assert "delete 1;" in run(*words, "--force").stdout


def test_delete_is_only_done_when_asked(run: Run, here: Path, source: Path) -> None:
    target = holdall.open(str(here / "to"))
    target.write("old", b"")
    assert "1 only in the target" in run("sync", "from", "to").stdout
    assert "deleted 1" in run("sync", "from", "to", "--delete").stdout
    assert not target.exists("old")


@pytest.mark.parametrize("source_text", ["typo", "file:///no/such/folder"])
def test_a_missing_source_deletes_nothing(run: Run, here: Path, source_text: str) -> None:
    target = holdall.open(str(here / "to"))
    target.write("old", b"")
    assert "there is nothing to sync" in run("sync", source_text, "to", "--delete", code=1).stderr
    assert target.exists("old")


def test_force_permits_an_empty_source(run: Run, here: Path) -> None:
    target = holdall.open(str(here / "to"))
    target.write("old", b"")
    (here / "from").mkdir()
    refused = run("sync", "from", "to", "--delete", code=1).stderr
    assert "--force permits it" in refused
    assert "allow_empty" not in refused
    run("sync", "from", "to", "--delete", "--force")
    assert not target.exists("old")


def test_patterns_are_left_alone(run: Run, here: Path, source: Path) -> None:
    assert "2 excluded" in run("sync", "from", "to", "-x", "b", "-x", "a*").stdout
    assert list(holdall.open(str(here / "to")).list()) == ["d"]


def test_what_failed_is_listed(run: Run, here: Path, source: Path) -> None:
    holdall.open(str(here / "to")).write("b", b"in the way")
    result = run("sync", "from", "to", code=1)
    assert "copied 2 objects" in result.stdout
    assert "holdall: 1 object failed:" in result.stderr
    assert "holdall:   b/c: " in result.stderr
    report = last(run("sync", "from", "to", "--json", code=1).stdout)["report"]
    assert [failure["key"] for failure in report["failed"]] == ["b/c"]


def test_what_is_no_object_is_counted(run: Run, source: Path) -> None:
    (source / "link").symlink_to("a")
    assert "1 entry is no object" in run("sync", "from", "to").stderr


def test_size_only_and_quick_do_not_read(run: Run, here: Path, source: Path) -> None:
    target = holdall.open(str(here / "to"))
    for key in ("a", "b/c", "d"):
        target.write(key, b"?" * len(key))
    for option in ("--size-only", "--quick"):
        assert "3 already the same" in run("sync", "from", "to", option).stdout
    run("sync", "from", "to", "--quick", "--size-only", code=2)
    assert "copied 3" in run("sync", "from", "to").stdout


def test_a_file_is_not_synced(run: Run, source: Path) -> None:
    assert "holdall cp" in run("sync", "from/a", "to", code=2).stderr


def test_a_folder_is_not_synced_into_itself(run: Run, here: Path, source: Path) -> None:
    (here / "alias").symlink_to(source)
    for target in ("from", "from/b", "alias"):
        run("sync", "from", target, code=2)


def test_an_interrupted_sync_goes_on(run: Run, here: Path) -> None:
    source = here / "from"
    source.mkdir()
    for number in range(600):
        (source / f"{number:04}").write_bytes(b"%d" % number)
    (source / "0000-large").write_bytes(os.urandom(30_000_000))
    command = [sys.executable, "-m", "holdall", "sync", "from", "to", "--json"]
    pipe = subprocess.PIPE
    # Too small for all that it says: it cannot be at its end before it is interrupted.
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, pipesize=4096) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        os.kill(child.pid, signal.SIGINT)
        report = last(child.stdout.read())["report"]
        errors = child.stderr.read()
    assert child.returncode == 130
    assert report["interrupted"]
    assert errors == "holdall: interrupted; the same command goes on from here\n"
    there = len(list(holdall.open(str(here / "to")).list()))
    assert 0 < report["copied"] <= there < 601
    assert last(run("verify", "to", "--json").stdout)["ok"] == there
    report = last(run("sync", "from", "to", "--json").stdout)["report"]
    assert (report["skipped"], report["copied"]) == (there, 601 - there)
    assert last(run("verify", "from", "to", "--json").stdout)["ok"] == 601


def test_a_resumed_object_is_counted(run: Run, here: Path) -> None:
    data = os.urandom(9_000_000)
    (here / "from").mkdir()
    (here / "from" / "big").write_bytes(data)
    target = holdall.open(str(here / "to"))
    with target.upload("big") as upload:
        upload.write(data[:4_000_000])
    assert "resumed 1 of them (3.8 MiB were there already)" in run("sync", "from", "to").stdout
    assert target.read("big") == data


def test_verify_says_what_is_sound(run: Run, source: Path) -> None:
    run("sync", "from", "to")
    assert run("verify", "to").stdout == "3 objects verified (5 B read)\n"
    none = "0 objects verified, 3 without a recorded checksum (5 B read)\n"
    assert run("verify", "from").stdout == none
    assert run("verify", "from", "to").stdout.startswith("3 objects verified")


def test_verify_finds_what_is_damaged(run: Run, here: Path, source: Path) -> None:
    run("sync", "from", "to")
    path = here / "to" / "a"
    times = path.stat()
    path.write_bytes(b"x")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    result = run("verify", "to", code=1)
    assert "1 object damaged" in result.stderr
    assert "repairs the other: holdall sync --compare content COPY to\n" in result.stderr
    report = last(run("verify", "to", "--json", code=1).stdout)
    assert [failure["key"] for failure in report["damaged"]] == ["a"]


def test_what_is_damaged_is_repaired_as_verify_says(run: Run, here: Path, source: Path) -> None:
    run("sync", "from", "to")
    path = here / "to" / "a"
    times = path.stat()
    path.write_bytes(b"x")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "3 already the same" in run("sync", "from", "to").stdout
    said = run("verify", "from", "to", code=1).stderr.splitlines()[-1]
    way_out = said.partition("holdall sync ")[2].split()
    assert "copied 1 object (1 B), 2 already the same" in run("sync", *way_out).stdout
    run("verify", "from", "to")


@pytest.mark.parametrize("option", ["--quick", "--size-only"])
def test_there_is_one_way_to_compare(run: Run, source: Path, option: str) -> None:
    run("sync", "--compare", "content", option, "from", "to", code=2)
    run("sync", "--compare", "colour", "from", "to", code=2)


def test_strict_wants_a_checksum_of_everything(run: Run, here: Path, source: Path) -> None:
    run("sync", "from", "to")
    run("verify", "to", "--strict")
    (here / "to" / "more").write_bytes(b"x")
    run("verify", "to")
    result = run("verify", "to", "--strict", code=1)
    assert result.stdout == "3 objects verified, 1 without a recorded checksum (6 B read)\n"
    assert "1 object without a recorded checksum" in result.stderr


def test_a_folder_that_may_not_be_read_stops_no_other(run: Run, here: Path, source: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    holdall.open(str(here / "to")).write("old", b"")
    (source / "b").chmod(0)
    try:
        result = run("sync", "from", "to", "--delete", code=1)
    finally:
        (source / "b").chmod(0o700)
    assert "copied 2 objects" in result.stdout
    assert f"b: file://{source}/b: Permission denied" in result.stderr
    assert "nothing was deleted" in result.stderr


def test_verify_finds_what_is_missing(run: Run, here: Path, source: Path) -> None:
    run("sync", "from", "to")
    (here / "to" / "d").unlink()
    assert "d: only file://" in run("verify", "from", "to", code=1).stderr


def test_verify_takes_no_single_object(run: Run, source: Path) -> None:
    assert "one object" in run("verify", "from/a", code=2).stderr


def test_uploads_are_listed_and_purged(run: Run, here: Path) -> None:
    with holdall.open(str(here / "to")).upload("k") as upload:
        upload.write(b"12345")
    assert run("uploads", "to").stdout.split()[-1] == "k"
    assert last(run("uploads", "to", "--json").stdout)["offset"] == 5
    assert run("uploads", "to", "--purge", "1h").stdout == "forgot 0 uploads\n"
    assert run("uploads", "to", "--purge", "0s").stdout == "forgot 1 upload\n"
    assert run("uploads", "to").stdout == ""


def test_an_age_has_a_unit(run: Run, here: Path) -> None:
    assert "is no age" in run("uploads", ".", "--purge", "7", code=2).stderr
