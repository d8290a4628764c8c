"""Facts about the locks of keys: forks, signal handlers, and Ctrl-C at a bad moment."""

import os
import signal
from pathlib import Path

import pytest

from holdall.core.errors import Timeout
from objects.local.conftest import OpenStore, StartPython, local

_BEGIN = """
import os, signal, sys, threading
import holdall
from holdall.core.errors import Timeout

def open_place(**settings):
    settings = {"lock_timeout": "10s", "durable": False, **settings}
    return holdall.open({"type": "file", "path": sys.argv[1], **settings})

store = open_place()
store.write("key", b"old")
locks = store.store._files.locks
"""

_FORK_UNDER_A_THREAD = (
    _BEGIN
    + """
held, go_on = threading.Event(), threading.Event()

def hold():
    with locks.hold("key"), store.store._files.tree._guard:
        held.set()
        go_on.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if not child:
    # Another process has the lock: the parent, which is waited for, and no thread of ours.
    print("child", flush=True)
    store.write("key", b"child")
    os._exit(0 if store.read("key") == b"child" else 3)
sys.stdin.readline()
try:
    open_place(lock_timeout=0).write("key", b"stranger")
except Timeout:
    print("parent still has it", flush=True)
go_on.set()
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
)


def test_a_child_forked_while_a_thread_writes_can_write(
    start_python: StartPython, place: Path
) -> None:
    forking = start_python(_FORK_UNDER_A_THREAD, place)
    assert forking.stdout is not None
    assert forking.stdout.readline() == "child\n"
    assert forking.communicate("\n", timeout=60)[0] == "parent still has it\n0\n"


_KILLED_WITH_A_CHILD = (
    _BEGIN
    + """
with locks.hold("key"):
    child = os.fork()
    if not child:
        os.close(1)
        sys.stdin.readline()
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
"""
)


def test_the_lock_of_a_killed_writer_is_free_while_its_child_lives(
    start_python: StartPython, open_store: OpenStore, place: Path
) -> None:
    writer = start_python(_KILLED_WITH_A_CHILD, place)
    assert writer.wait(60) == -signal.SIGKILL
    # The child may be so new that it has not closed what it got from its parent.
    store = open_store(lock_timeout="10s")
    store.write("key", b"new")
    assert store.read("key") == b"new"


_HANDLED = (
    _BEGIN
    + """
def write(*_):
    store.write("key", b"handler")

signal.signal(signal.SIGUSR1, write)
with locks.hold("key"):
    os.kill(os.getpid(), signal.SIGUSR1)
    assert store.read("key") == b"handler"
    stranger = open_place(lock_timeout=0)
    try:
        stranger.write("key", b"stranger")
    except Timeout:
        print("held", flush=True)
stranger.write("key", b"stranger")
print("free", flush=True)
"""
)


def test_a_signal_handler_that_writes_the_key_keeps_the_lock_held(
    start_python: StartPython, place: Path
) -> None:
    writer = start_python(_HANDLED, place)
    assert writer.communicate(timeout=60)[0] == "held\nfree\n"
    assert writer.returncode == 0


# A trace stands for signals: it comes back to the lock at each line of the lock's own code.
_AT_EACH_LINE = (
    _BEGIN
    + """
other = open_place(lock_timeout=0)
files = store.store._files

def run(event_at):
    seen = 0
    def trace(frame, event, _):
        nonlocal seen
        if not frame.f_code.co_filename.endswith("local/locks.py"):
            return None
        if event == "call" and frame.f_code.co_name in {"__init__", "hold", "__del__"}:
            return None
        seen += 1
        if seen == event_at:
            sys.settrace(None)
            with files.locks.hold("key"):
                pass
        return trace
    files.close()
    sys.settrace(trace)
    with files.locks.hold("key"):
        sys.settrace(None)
        inside = True
        try:
            other.write("key", b"stranger")
        except Timeout:
            inside = False
        assert not inside, event_at
        if seen < event_at:
            sys.settrace(trace)
    sys.settrace(None)
    other.write("key", b"free")
    thread = threading.Thread(target=store.write, args=("key", b"thread"))
    thread.start()
    thread.join()
    assert store.read("key") == b"thread", event_at
    return seen >= event_at

event_at = 1
while run(event_at):
    event_at += 1
print("done", event_at > 20, flush=True)
"""
)


def test_a_handler_at_any_line_of_the_lock_takes_nothing_from_it(
    start_python: StartPython, place: Path
) -> None:
    writer = start_python(_AT_EACH_LINE, place)
    assert writer.communicate(timeout=60)[0] == "done True\n"


_CTRL_C = (
    _BEGIN
    + """
import fcntl
other = open_place(lock_timeout=0)
where = sys.argv[2]

def interrupt(frame, event, _):
    if event == "call" and frame.f_code.co_name == where:
        sys.settrace(None)
        raise KeyboardInterrupt

real = fcntl.flock
def flock(descriptor, operation):
    real(descriptor, operation)
    fcntl.flock = real
    raise KeyboardInterrupt

try:
    if where == "flock":
        fcntl.flock = flock
    elif where == "__enter__":
        sys.settrace(interrupt)
    with locks.hold("key"):
        if where == "unlock":
            fcntl.flock = flock
        elif where == "__exit__":
            sys.settrace(interrupt)
except KeyboardInterrupt:
    print("interrupted", flush=True)
other.write("key", b"process")
thread = threading.Thread(target=store.write, args=("key", b"thread"))
thread.start()
thread.join()
print(store.read("key").decode(), flush=True)
"""
)


@pytest.mark.parametrize("where", ["__enter__", "flock", "__exit__", "unlock"])
def test_ctrl_c_leaves_no_lock_held(start_python: StartPython, place: Path, where: str) -> None:
    writer = start_python(_CTRL_C, place, where)
    assert writer.communicate(timeout=60)[0] == "interrupted\nthread\n"
    assert writer.returncode == 0


def test_a_handler_may_close_the_store_it_has_interrupted(
    open_store: OpenStore, place: Path
) -> None:
    store, other = open_store(), open_store(lock_timeout=0)
    store.write("key", b"old")
    with local(store)._files.locks.hold("key"):
        local(store)._files.close()
        with pytest.raises(Timeout):
            other.write("key", b"stranger")
        store.write("key", b"handler")
        with pytest.raises(Timeout):
            other.write("key", b"stranger")
    other.write("key", b"free")
    store.write("key", b"again")
    assert other.read("key") == b"again"
    assert os.path.isdir(place)
