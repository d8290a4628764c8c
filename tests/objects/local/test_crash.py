"""Facts about writers that are killed, or run out of room."""

import hashlib
import os
import random
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

import holdall
from holdall.core.errors import Unavailable
from objects.local.conftest import StartPython, left_over

# A process that forks a writer for every line it reads, says its number, and waits for its end.
# Each version of the object is one byte, repeated; its metadata, where it has some, says which.
_WRITERS = """
import os, random, sys
import holdall

place, durable = sys.argv[1:]
SIZES = [0, 1, 4096, 300_000, 1_048_577, 3_000_000]

def write():
    store = holdall.open({"type": "file", "path": place, "durable": durable})
    random.seed()
    while True:
        number = random.randrange(1, 256)
        data = bytes([number]) * random.choice(SIZES)
        long = {"long": "x" * 3000} if random.random() < 0.3 else {}
        metadata = {"number": str(number), "size": str(len(data)), **long}
        kind = random.randrange(4)
        if kind == 0:
            store.write("folder/key", data, metadata={})
        elif kind == 1:
            store.write("folder/key", data, metadata=metadata)
        elif kind == 2:
            parts = [data[at:at + 700_000] for at in range(0, len(data), 700_000)]
            store.write("folder/key", parts, size=len(data), metadata=metadata)
        else:
            with store.open_writer("folder/key", metadata=metadata) as writer:
                writer.write(data[:1000])
                writer.write(data[1000:])

for _ in sys.stdin:
    writer = os.fork()
    if not writer:
        write()
    print(writer, flush=True)
    os.waitpid(writer, 0)
    print("dead", flush=True)
"""


def _kill_writers(
    start_python: StartPython, store: holdall.DataStore, times: int, durable: bool
) -> None:
    writers = start_python(_WRITERS, store.base_path, durable)
    assert writers.stdin is not None
    assert writers.stdout is not None
    store.write("folder/key", b"")
    sizes = set()
    for number in range(times):
        writers.stdin.write("go on\n")
        writers.stdin.flush()
        writer = int(writers.stdout.readline())
        time.sleep(random.random() * 0.025)  # a random moment is what this is about
        os.kill(writer, signal.SIGKILL)
        assert writers.stdout.readline() == "dead\n"

        data, meta = store.read("folder/key"), store.stat("folder/key")
        assert data == data[:1] * len(data)
        assert meta.size == len(data)
        if meta.metadata:
            assert meta.metadata["size"] == str(len(data))
            assert not data or meta.metadata["number"] == str(data[0])
        assert list(store.list()) == ["folder/key"]
        sizes.add(len(data))
        if number % 10 == 0:
            # The locks of the dead are free.
            other = holdall.open({"url": f"file://{store.base_path}", "lock_timeout": 0})
            other.write("folder/key", b"\1" * number, if_match=meta.etag)
            other.close()
    assert len(sizes) > 3


@pytest.mark.parametrize("durable", [False, True])
def test_a_killed_writer_leaves_the_old_object_or_the_new_one(
    start_python: StartPython, store: holdall.DataStore, durable: bool
) -> None:
    _kill_writers(start_python, store, 100, durable)


@pytest.mark.soak
@pytest.mark.parametrize("durable", [False, True])
def test_3000_killed_writers_leave_the_old_object_or_the_new_one(
    start_python: StartPython, store: holdall.DataStore, durable: bool
) -> None:
    _kill_writers(start_python, store, 1500, durable)


# Uploads of the dead

_UPLOADER = """
import sys
import holdall

store = holdall.open({"type": "file", "path": sys.argv[1], "durable": False})
upload = store.upload("folder/key", metadata={"of": "the dead"})
upload.write(b"0123456789" * 100_000)
print(upload.id, flush=True)
upload.write(b"more" * 100_000)
print("written", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_uploader_wrote_can_be_gone_on_with(
    start_python: StartPython, store: holdall.DataStore
) -> None:
    uploader = start_python(_UPLOADER, store.base_path)
    assert uploader.stdout is not None
    name = uploader.stdout.readline().strip()
    assert uploader.stdout.readline() == "written\n"

    # As long as it lives, nobody else may write.
    with pytest.raises(Unavailable, match="being written to"):
        store.upload("folder/key", resume=name)
    os.kill(uploader.pid, signal.SIGKILL)
    uploader.wait(60)

    (info,) = store.uploads("folder")
    assert (info.key, info.id, info.offset) == ("folder/key", name, 1_400_000)
    assert list(store.list()) == []
    whole = b"0123456789" * 100_000 + b"more" * 100_000 + b"end"
    with store.upload("folder/key", resume=name) as upload:
        upload.write(whole[upload.offset :])
        meta = upload.commit(len(whole), hashlib.sha256(whole).hexdigest())
    assert meta.metadata == {"of": "the dead"}
    assert store.read("folder/key") == whole
    assert list(store.uploads()) == []


# No room

_FULL = """
import resource, signal, sys
import holdall
from holdall.core.errors import HoldallError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
store = holdall.open({"type": "file", "path": sys.argv[1], "durable": False})

def try_to(write):
    try:
        write()
    except HoldallError as error:
        print(type(error).__name__, error.transient, error.__cause__ is not None, error)

data = b"x" * 2_000_000
try_to(lambda: store.write("folder/put", data))
try_to(lambda: store.write("folder/streamed", [data, data]))
def writer():
    with store.open_writer("folder/writer") as writer:
        writer.write(data)
try_to(writer)
try_to(lambda: store.copy("large", "folder/copy"))
store.write("small", b"fits")
"""


def test_a_write_that_finds_no_room_leaves_nothing(
    start_python: StartPython, store: holdall.DataStore, place: Path
) -> None:
    store.write("large", b"x" * 2_000_000)
    full = start_python(_FULL, place)
    lines = full.communicate(timeout=60)[0].splitlines()
    assert full.returncode == 0
    assert len(lines) == 4
    for line, name in zip(lines, ["put", "streamed", "writer", "large"], strict=True):
        assert line.startswith("Unavailable False True file://")
        assert f"/{name}: File too large" in line
    assert list(store.list()) == ["large", "small"]
    # What was streamed can be gone on with, once there is room.
    assert [info.key for info in store.uploads()] == ["folder/streamed"]
    assert store.purge_uploads(older_than=timedelta(0)) == 1
    assert left_over(place) == []


# Ctrl-C

_ENDLESS = """
import signal, sys
import holdall

signal.signal(signal.SIGINT, signal.default_int_handler)
store = holdall.open({"type": "file", "path": sys.argv[1], "durable": False})
written = 0

def chunks():
    global written
    chunk = bytes(1024 * 1024)
    for number in range(1024):
        if written == 8:
            print("begun", flush=True)
        written += 1
        yield chunk
    sys.stdin.read()  # were it fast enough to write all before the signal came

try:
    store.write("folder/key", chunks())
except KeyboardInterrupt as error:
    print("interrupted", len(error.__notes__), flush=True)
"""


def test_ctrl_c_ends_a_streamed_write_and_nothing_is_visible(
    start_python: StartPython, store: holdall.DataStore
) -> None:
    writer = start_python(_ENDLESS, store.base_path)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "begun\n"
    os.kill(writer.pid, signal.SIGINT)
    assert writer.communicate(timeout=60)[0] == "interrupted 1\n"
    assert list(store.list()) == []
    (info,) = store.uploads()
    assert info.offset >= 8 * 1024 * 1024


_PUTS = """
import os, signal, sys
import holdall

signal.signal(signal.SIGINT, signal.default_int_handler)
store = holdall.open({"type": "file", "path": sys.argv[1], "durable": False})
try:
    print("begun", flush=True)
    while True:
        store.write("key", b"x" * 50_000)
except KeyboardInterrupt:
    print("interrupted", flush=True)
store.write("key", b"last")
print(len(os.listdir(sys.argv[1] + "/.holdall/tmp")))
"""


@pytest.mark.parametrize("attempt", range(5))
def test_ctrl_c_ends_a_put_as_ctrl_c(
    start_python: StartPython, store: holdall.DataStore, attempt: int
) -> None:
    writer = start_python(_PUTS, store.base_path)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "begun\n"
    time.sleep(random.random() * 0.05)
    os.kill(writer.pid, signal.SIGINT)
    # At most the file that was made in the instant of the signal stays, out of sight, for a day.
    assert writer.communicate(timeout=60)[0] in {"interrupted\n0\n", "interrupted\n1\n"}
    assert list(store.list()) == ["key"]
    assert writer.returncode == 0
    assert store.read("key") == b"last"
