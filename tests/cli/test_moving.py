"""put, get, cp, mv and rm."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import holdall
from cli.conftest import Run
from holdall.cli.workspaces import no_new_workspace
from holdall.core.errors import HoldallError
from holdall.objects.results import ObjectMeta


@pytest.fixture
def store(here: Path) -> holdall.DataStore:
    return holdall.open(str(here / "data"))


def files(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name != ".holdall")


def test_put_writes_an_object(run: Run, here: Path, store: holdall.DataStore) -> None:
    (here / "f").write_bytes(b"hello")
    run("put", "f", "data/g", "--content-type", "text/plain", "-m", "by=me", "-m", "x=a=b")
    meta = store.stat("g")
    assert store.read("g") == b"hello"
    assert meta.sha256 == hashlib.sha256(b"hello").hexdigest()
    assert (meta.content_type, meta.metadata) == ("text/plain", {"by": "me", "x": "a=b"})


def test_put_leaves_nothing_beside_its_source(run: Run, here: Path) -> None:
    (here / "from").mkdir()
    (here / "from" / "f").write_bytes(b"x")
    run("put", "from/f", "data/")
    assert os.listdir(here / "from") == ["f"]


def test_put_into_a_folder_keeps_names(run: Run, here: Path, store: holdall.DataStore) -> None:
    for name in ("a", "b"):
        (here / name).write_bytes(name.encode())
    run("put", "a", "b", "data/sub/")
    assert list(store.list()) == ["sub/a", "sub/b"]
    assert (here / "data" / "sub" / ".holdall").exists()  # no folder above it was a store


def test_a_path_belongs_to_the_store_above_it(
    run: Run, here: Path, store: holdall.DataStore
) -> None:
    store.write("k", b"")
    (here / "f").write_bytes(b"x")
    run("put", "f", "data/sub/f")
    assert list(store.list()) == ["k", "sub/f"]
    assert not (here / "data" / "sub" / ".holdall").exists()


def test_many_sources_need_a_folder(run: Run, here: Path) -> None:
    assert "end it in /" in run("put", "a", "b", "data/c", code=2).stderr


def test_put_reads_standard_input(process: Run, here: Path, store: holdall.DataStore) -> None:
    data = os.urandom(3_000_000)
    assert process("put", "-", "data/in", "-m", "a=b", input=data).returncode == 0
    assert store.read("in") == data
    assert store.stat("in").sha256 == hashlib.sha256(data).hexdigest()
    assert list(store.uploads()) == []


def test_standard_input_has_no_name(run: Run, here: Path) -> None:
    assert "no name" in run("put", "-", "data/", code=2, typed=b"").stderr


def test_metadata_is_a_pair(run: Run, here: Path) -> None:
    assert "NAME=VALUE" in run("put", "f", "data/g", "-m", "x", code=2).stderr


def test_a_folder_is_not_put(run: Run, here: Path) -> None:
    (here / "from").mkdir()
    assert "cp -r" in run("put", "from", "data/", code=2).stderr


def test_get_writes_a_plain_file(run: Run, here: Path, store: holdall.DataStore) -> None:
    store.write("a/b", b"hello")
    (here / "out").mkdir()
    run("get", "data/a/b", "out")
    run("get", "data/a/b", "out/c")
    assert sorted(os.listdir(here / "out")) == ["b", "c"]
    assert (here / "out" / "b").read_bytes() == b"hello"
    umask = os.umask(0)
    os.umask(umask)
    assert (here / "out" / "b").stat().st_mode & 0o777 == 0o666 & ~umask


def test_get_to_standard_output(process: Run, store: holdall.DataStore) -> None:
    store.write("k", b"\x00\xff\n")
    assert process("get", "data/k", "-").stdout == b"\x00\xff\n"


def test_get_of_a_damaged_object_writes_nothing(
    run: Run, here: Path, store: holdall.DataStore
) -> None:
    store.write("k", b"right", sha256=hashlib.sha256(b"right").hexdigest())
    path = here / "data" / "k"
    times = path.stat()
    path.write_bytes(b"wrong")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    (here / "out").write_bytes(b"old")
    assert "damaged" in run("get", "data/k", "out", code=1).stderr
    assert (here / "out").read_bytes() == b"old"
    assert files(here) == ["data", "out"]


@pytest.mark.parametrize("link", [False, True])
def test_get_writes_into_a_pipe_and_leaves_it_one(
    process: Run, here: Path, store: holdall.DataStore, link: bool
) -> None:
    data = os.urandom(3_000_000)
    store.write("k", data)
    os.mkfifo(here / "pipe")
    (here / "link").symlink_to("pipe")
    with subprocess.Popen("cat pipe > seen", shell=True):
        assert process("get", "data/k", "link" if link else "pipe").returncode == 0
    assert (here / "seen").read_bytes() == data
    assert (here / "pipe").is_fifo()
    assert sorted(os.listdir(here)) == ["data", "link", "pipe", "seen"]


@pytest.mark.parametrize("command", ["get", "cp"])
def test_a_full_device_is_an_error_and_stays(
    run: Run, here: Path, store: holdall.DataStore, command: str
) -> None:
    store.write("k", b"x")
    (here / "full").symlink_to("/dev/full")
    result = run(command, "data/k", "full", code=1)
    assert result.stderr == f"holdall: {here}/full: No space left on device\n"
    assert Path("/dev/full").is_char_device()


def test_a_pipe_is_no_place_for_an_object(run: Run, here: Path, store: holdall.DataStore) -> None:
    store.write("k", b"x")
    os.mkfifo(here / "data" / "pipe")
    assert "use holdall get" in run("put", "data/k", "data/pipe", code=2).stderr
    assert "nothing stays" in run("mv", "data/k", "data/pipe", code=2).stderr
    assert (here / "data" / "pipe").is_fifo()
    assert store.exists("k")


def test_get_keeps_the_mode_of_a_file(run: Run, here: Path, store: holdall.DataStore) -> None:
    store.write("k", b"x")
    (here / "out").write_bytes(b"old")
    (here / "out").chmod(0o640)
    run("get", "data/k", "out")
    assert (here / "out").read_bytes() == b"x"
    assert (here / "out").stat().st_mode & 0o777 == 0o640


def test_get_replaces_no_folder(run: Run, here: Path, store: holdall.DataStore) -> None:
    store.write("k", b"x")
    (here / "out" / "k").mkdir(parents=True)
    assert "is a folder" in run("get", "data/k", "out", code=1).stderr


@pytest.mark.parametrize("command", ["get", "cp"])
def test_the_folder_of_a_file_is_made(
    run: Run, here: Path, store: holdall.DataStore, command: str
) -> None:
    store.write("k", b"x")
    run(command, "data/k", "no/such/f")
    assert (here / "no" / "such" / "f").read_bytes() == b"x"
    run(command, "data/missing", "other/f", code=1)
    assert not (here / "other").exists()


def test_put_reads_a_pipe(process: Run, here: Path, store: holdall.DataStore) -> None:
    os.mkfifo(here / "pipe")
    with subprocess.Popen("printf hello > pipe", shell=True):
        assert process("put", "pipe", "data/k").returncode == 0
    assert store.read("k") == b"hello"


@pytest.mark.parametrize("source", ["-", "f"])
@pytest.mark.parametrize(
    ("option", "right", "wrong"),
    [("--size", "5", "6"), ("--sha256", hashlib.sha256(b"hello").hexdigest().upper(), "0" * 64)],
)
def test_put_refuses_what_is_not_as_announced(
    run: Run, here: Path, store: holdall.DataStore, source: str, option: str, right: str, wrong: str
) -> None:
    (here / "f").write_bytes(b"hello")
    run("put", source, "data/k", option, wrong, code=1, typed="hello")
    assert not store.exists("k")
    assert list(store.uploads()) == []
    run("put", source, "data/k", option, right, typed="hello")
    assert store.read("k") == b"hello"
    run("put", "f", "f", "data/", option, right, code=2)


def test_put_reads_no_more_than_was_announced(
    process: Run, here: Path, store: holdall.DataStore
) -> None:
    with open("/dev/zero", "rb") as endless:
        done = process("put", "-", "data/k", "--size", "10", stdin=endless)
    assert done.returncode == 1
    assert b"10 bytes were announced, and more came" in done.stderr
    assert (list(store.list()), list(store.uploads())) == ([], [])


def test_a_digest_has_64_digits(run: Run, here: Path) -> None:
    assert "64" in run("put", "-", "data/k", "--sha256", "abc", code=2, typed="").stderr


def test_get_into_a_store_writes_an_object(run: Run, here: Path, store: holdall.DataStore) -> None:
    store.write("k", b"x", metadata={"a": "b"})
    other = holdall.open(str(here / "other"))
    other.write("there", b"")
    run("get", "data/k", "other/sub/k")
    assert other.stat("sub/k").metadata == {"a": "b"}


def test_cp_copies_within_a_store(run: Run, store: holdall.DataStore) -> None:
    store.write("a", b"x", metadata={"a": "b"}, tags={"t": "1"})
    run("cp", "data/a", "data/sub/b")
    meta = store.stat("sub/b", tags=True)
    assert (store.read("sub/b"), meta.metadata, meta.tags) == (b"x", {"a": "b"}, {"t": "1"})


def test_cp_copies_between_stores(run: Run, here: Path, store: holdall.DataStore) -> None:
    store.write("a", b"x", metadata={"a": "b"}, tags={"t": "1"})
    run("cp", "data/a", f"file://{here}/other/b")
    meta = holdall.open(str(here / "other")).stat("b", tags=True)
    assert (meta.metadata, meta.tags) == ({"a": "b"}, {"t": "1"})


def test_cp_recursive_copies_all(run: Run, here: Path, store: holdall.DataStore) -> None:
    store.write("a", b"x")
    store.write("b/c", b"y")
    assert "copied 2 objects" in run("cp", "-r", "data", "other").stdout
    assert list(holdall.open(str(here / "other")).list()) == ["a", "b/c"]


def test_cp_of_a_folder_needs_recursive(run: Run, store: holdall.DataStore) -> None:
    store.write("a/b", b"x")
    assert "cp -r" in run("cp", "data/a", "other", code=2).stderr


def test_mv_moves_within_a_store(run: Run, store: holdall.DataStore) -> None:
    store.write("a/b", b"x", metadata={"a": "b"})
    run("mv", "data/a/b", "data/c")
    assert list(store.list()) == ["c"]
    assert store.stat("c").metadata == {"a": "b"}


def test_mv_makes_no_store(run: Run, here: Path) -> None:
    (here / "plain").mkdir()
    (here / "plain" / "a").write_bytes(b"x")
    run("mv", "plain/a", "plain/b")
    assert os.listdir(here / "plain") == ["b"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a descriptor is")
def test_the_folders_that_a_file_gets_are_durable_before_its_source_goes(
    run: Run, here: Path, store: holdall.DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("a", b"x")
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        if store.exists("a"):
            synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    run("mv", "data/a", "one/two/file")
    assert {str(here), f"{here}/one", f"{here}/one/two"} <= set(synced)
    assert not store.exists("a")


def test_get_checks_the_digest_of_what_it_read(
    run: Run, here: Path, store: holdall.DataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("a", b"first")
    stat = holdall.DataStore.stat

    def replaced(self: holdall.DataStore, key: str, **options: bool) -> ObjectMeta:
        found = stat(self, key, **options)
        store.write("a", b"right", sha256=hashlib.sha256(b"right").hexdigest())
        path = here / "data" / "a"
        times = path.stat()
        path.write_bytes(b"wrong")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        return found

    monkeypatch.setattr(holdall.DataStore, "stat", replaced)
    assert "is damaged" in run("get", "data/a", "out", code=1).stderr
    assert not (here / "out").exists()


def test_mv_moves_between_stores(run: Run, here: Path, store: holdall.DataStore) -> None:
    store.write("a", b"x")
    run("mv", "data/a", f"file://{here}/other/")
    assert list(store.list()) == []
    assert holdall.open(str(here / "other")).read("a") == b"x"


def test_mv_keeps_a_source_that_is_not_there_from_removing_anything(run: Run, here: Path) -> None:
    (here / "other").write_bytes(b"old")
    run("mv", "data/a", "other", code=1)
    assert (here / "other").read_bytes() == b"old"


def test_rm_removes_objects(run: Run, store: holdall.DataStore) -> None:
    for key in ("a", "b/c", "d"):
        store.write(key, b"")
    run("rm", "data/a", "data/b/c")
    assert list(store.list()) == ["d"]


def test_rm_of_what_is_missing_fails_and_goes_on(run: Run, store: holdall.DataStore) -> None:
    store.write("a", b"")
    assert "there is nothing" in run("rm", "data/no", "data/a", code=1).stderr
    assert list(store.list()) == []


def test_rm_of_a_folder_needs_recursive(run: Run, store: holdall.DataStore) -> None:
    store.write("a/b", b"")
    assert "use -r" in run("rm", "data/a", code=1).stderr
    assert list(store.list()) == ["a/b"]


@pytest.mark.parametrize(("answer", "left"), [("y\n", ["k"]), ("n\n", ["a/b", "a/c", "k"])])
def test_rm_recursive_asks(
    run: Run, store: holdall.DataStore, answer: str, left: list[str]
) -> None:
    for key in ("a/b", "a/c", "k"):
        store.write(key, b"12")
    result = run("rm", "-r", "data/a", typed=answer, code=0 if answer == "y\n" else 1)
    assert "Remove 2 objects (4 B) from" in result.stderr
    assert list(store.list()) == left


def test_rm_recursive_without_anybody_to_answer_removes_nothing(
    process: Run, store: holdall.DataStore
) -> None:
    store.write("a/b", b"")
    assert process("rm", "-r", "data/a", input=b"").returncode == 1
    assert list(store.list()) == ["a/b"]


def test_rm_recursive_takes_the_folder_along(
    run: Run, here: Path, store: holdall.DataStore
) -> None:
    store.write("a/b/c", b"")
    store.write("k", b"")
    run("rm", "-ry", "data/a")
    assert files(here / "data") == ["k"]


@pytest.mark.parametrize("words", [["-r", "-y", "plain/sub"], ["plain/f"]])
def test_rm_makes_no_store(run: Run, here: Path, words: list[str]) -> None:
    (here / "plain" / "sub").mkdir(parents=True)
    (here / "plain" / "sub" / "x").write_bytes(b"")
    (here / "plain" / "f").write_bytes(b"")
    run("rm", *words)
    assert len(os.listdir(here / "plain")) == 1
    assert not (here / "plain" / ".holdall").exists()


def test_rm_leaves_the_store_that_was_one(run: Run, here: Path, store: holdall.DataStore) -> None:
    store.write("a/b", b"")
    run("rm", "-r", "-y", "data/a")
    assert (here / "data" / ".holdall").is_dir()


def test_a_workspace_in_use_stays(here: Path) -> None:
    store = holdall.open(str(here / "data"))
    with no_new_workspace(store):
        store.write("k", b"")
        with store.upload("other") as upload:
            upload.write(b"x")
    assert len(list(store.uploads())) == 1
    other = holdall.open(str(here / "more"))
    with no_new_workspace(other):
        other.write("k", b"")
        lock = os.open(next((here / "more" / ".holdall" / "locks").iterdir()), os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(lock)
    assert list((here / "more" / ".holdall" / "locks").iterdir())


def test_rm_removes_a_link_and_not_what_it_leads_to(
    run: Run, here: Path, store: holdall.DataStore
) -> None:
    store.write("k", b"x")
    (here / "data" / "link").symlink_to("k")
    run("rm", "data/link", code=1)
    assert store.read("k") == b"x"


def test_rm_never_takes_the_root_of_the_machine(run: Run) -> None:
    assert "root" in run("rm", "-ry", "/", code=2).stderr


def test_a_mistake_is_one_line(process: Run, here: Path) -> None:
    done = process("put", "missing", "data/x")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    with pytest.raises(HoldallError):
        holdall.open(str(here / "data")).read("x")


def test_rm_r_of_a_link_removes_nothing_of_what_it_leads_to(
    run: Run, here: Path, store: holdall.DataStore
) -> None:
    (here / "photos").mkdir()
    (here / "photos" / "p.jpg").write_bytes(b"p")
    store.write("a", b"")
    (here / "data" / "link").symlink_to(here / "photos")
    result = run("rm", "-r", "--yes", "data/link", "data/link/", code=1)
    assert "is a link" in result.stderr
    assert files(here / "photos") == ["p.jpg"]
    assert (here / "data" / "link").is_symlink()


def test_verify_finds_an_object_that_was_cut_in_place(
    run: Run, here: Path, store: holdall.DataStore
) -> None:
    (here / "f").write_bytes(b"hello")
    run("put", "f", "data/g")
    with (here / "data" / "g").open("r+b") as file:
        file.truncate(2)
    result = run("verify", "data", code=1)
    assert "in place" in result.stdout + result.stderr
