"""Cloud stores in forked and spawned children: they work, or say at once why they cannot."""

import json
import os
import subprocess
import sys

import pytest

from servers import S3Server

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# Each test runs a process of its own: whether a cloud store was used is a fact about a process.
_BEGIN = """
import asyncio, gc, json, multiprocessing, os, signal, sys, warnings
import holdall
from holdall.core.errors import HoldallError, PartialFailure, Unavailable

warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads, which is the point
settings = json.loads(sys.argv[1])
BIG = bytes(range(251)) * 40_000
AT_ONCE = 30  # seconds, for a machine that is busy; what hangs would hang for ever

def opened(**more):
    return holdall.open({**settings, **more})

def outcome(call):
    try:
        return repr(call())
    except PartialFailure as error:
        (error,) = error.errors
    except HoldallError as caught:
        error = caught
    told = isinstance(error, Unavailable) and "forked after a cloud store was used" in str(error)
    return "told" if told and not error.transient else f"{type(error).__name__}: {error}"

def forked(call, seconds=60):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)  # instead of hanging for ever
        os.write(write, outcome(call).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        said = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said if status == 0 else f"hung, and ended by {status}"

def first():
    store = opened()
    store.write("child", b"of the child")
    return store.read("child")

async def later():
    async with holdall.open_async(settings) as store:
        return await store.read("a")
"""


def _run(server: S3Server, code: str) -> str:
    settings = {
        "type": "s3",
        "bucket": server.make_container("forks"),
        "endpoint": server.endpoint,
        "access_key": {"env": "FORKS_ID"},
        "secret_key": {"env": "FORKS_SECRET"},
    }
    environment = {
        **os.environ,
        "FORKS_ID": server.access_key_id,
        "FORKS_SECRET": server.secret_access_key,
    }
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + code, json.dumps(settings)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_fork
@pytest.mark.parametrize(
    "call",
    [
        "store.read('a')",
        "store.write('a', b'other')",
        "store.write('a', b'other', if_none_match='*')",
        "store.write('big', BIG)",
        "store.stat('a')",
        "store.exists('a')",
        "list(store.list())",
        "list(store.list_directories())",
        "store.delete('a')",
        "store.copy('a', 'b')",
        "store.open_reader('a').read()",
        "list(store.stream('a'))",
        "opened().read('a')",
        "opened(check=False).read('a')",
        "asyncio.run(later())",
    ],
)
def test_a_child_is_told_that_it_cannot_use_what_its_parent_used(
    s3_server: S3Server, call: str
) -> None:
    code = f"""
store = opened()
store.write("a", b"data")
assert store.read("a") == b"data"
print(forked(lambda: {call}, AT_ONCE))
assert store.read("a") == b"data"
"""
    assert _run(s3_server, code) == "told"


@needs_fork
def test_a_child_is_told_when_its_parent_used_a_loop(s3_server: S3Server) -> None:
    code = """
opened(check=False)
async def write():
    async with holdall.open_async(settings) as store:
        await store.write("a", b"data")
asyncio.run(write())
print(forked(lambda: asyncio.run(later()), AT_ONCE))
"""
    assert _run(s3_server, code) == "told"


@needs_fork
@pytest.mark.parametrize("begin", ["", "file.read(10)"])
def test_a_child_is_told_that_it_cannot_use_a_file_that_its_parent_opened(
    s3_server: S3Server, begin: str
) -> None:
    code = f"""
store = opened()
store.write("big", BIG)
file = store.open_reader("big")
{begin}
print(forked(lambda: len(file.read()), AT_ONCE))
assert BIG.endswith(file.read())
"""
    assert _run(s3_server, code) == "told"


@needs_fork
def test_a_child_is_told_that_it_cannot_write_on_where_its_parent_wrote(
    s3_server: S3Server,
) -> None:
    code = """
store = opened()
writer = store.open_writer("a")
writer.write(BIG)
print(forked(lambda: (writer.write(BIG), writer.close()), AT_ONCE))
writer.close()
assert store.read("a") == BIG
"""
    assert _run(s3_server, code) == "told"


@needs_fork
def test_a_store_that_is_first_opened_after_the_fork_works(s3_server: S3Server) -> None:
    assert _run(s3_server, "print(forked(first))") == "b'of the child'"


@needs_fork
def test_a_store_that_is_first_used_after_the_fork_works(s3_server: S3Server) -> None:
    code = """
store = opened(check=False)
def use():
    store.write("child", b"of the child")
    return store.read("child")
print(forked(use))
store.write("parent", b"of the parent")
assert sorted(store.list()) == ["child", "parent"]
"""
    assert _run(s3_server, code) == "b'of the child'"


@needs_fork
def test_parent_and_child_that_begin_after_the_fork_work_side_by_side(s3_server: S3Server) -> None:
    code = """
store = opened(check=False)
def use():
    return all(store.write(f"child/{n}", b"c") and store.read(f"child/{n}") for n in range(20))
print(forked(use))
assert all(store.read(f"child/{n}") == b"c" for n in range(20))
"""
    assert _run(s3_server, code) == "True"


def test_a_spawned_child_works_with_what_its_parent_used(s3_server: S3Server) -> None:
    code = """
import pickle, subprocess
store = opened()
store.write("a", b"data")
child = subprocess.run(
    [sys.executable, "-c", "import pickle, sys; print(pickle.load(sys.stdin.buffer).read('a'))"],
    input=pickle.dumps(store), capture_output=True, check=True,
)
print(child.stdout.decode().strip())
"""
    assert _run(s3_server, code) == "b'data'"


def test_workers_of_a_spawning_pool_work_with_what_their_parent_used(s3_server: S3Server) -> None:
    code = """
store = opened()
store.write("a", b"data")
with multiprocessing.get_context("spawn").Pool(2) as pool:
    print(pool.map(store.read, ["a"] * 4) == [b"data"] * 4)
"""
    assert _run(s3_server, code) == "True"


@needs_fork
@pytest.mark.parametrize("begin", ["", "stream.read(10)"])
def test_a_child_can_drop_a_body_that_its_parent_opened(s3_server: S3Server, begin: str) -> None:
    code = f"""
store = opened()
store.write("big", BIG)
stream = store.open_reader("big")
{begin}
def drop():
    global stream
    del stream
    gc.collect()
print(forked(drop, AT_ONCE))
assert BIG.endswith(stream.read())
"""
    assert _run(s3_server, code) == "None"


@needs_fork
@pytest.mark.parametrize("begin", ["", "stream.read(10)"])
@pytest.mark.parametrize("layers", ["", ", layers=[]"])
def test_a_child_ends_normally_with_a_body_that_its_parent_opened(
    s3_server: S3Server, begin: str, layers: str
) -> None:
    code = f"""
store = opened({layers.lstrip(", ")})
store.write("big", BIG)
stream = store.open_reader("big")
{begin}
if os.fork() == 0:
    signal.alarm(AT_ONCE)  # instead of hanging for ever
    sys.exit(3)
print(os.waitstatus_to_exitcode(os.wait()[1]))
assert BIG.endswith(stream.read())
"""
    assert _run(s3_server, code) == "3"


@needs_fork
@pytest.mark.parametrize("begin", ["", "drive(body.read(10))"])
def test_a_child_keeps_what_an_open_body_holds_of_its_parent_for_ever(
    s3_server: S3Server, begin: str
) -> None:
    # Whether letting go of it hangs depends on what other threads did at the fork.
    code = f"""
from holdall.core.runtime.blocking import drive
from holdall.objects.options import GET
store = opened(layers=[])
store.write("big", BIG)
body = drive(store.store.get(store.reference("big"), GET))
{begin}
def counts():
    return [sys.getrefcount(thing) for thing in (body._answer, body._chunks) if thing is not None]
(before,) = counts()
print(forked(lambda: [count - before for count in counts()]))
drive(body.close())
"""
    assert _run(s3_server, code) == "[1]"
