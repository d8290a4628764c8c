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

def with_lock(function):
    locks.run("key", lambda *_: function(), None, None, None, None)
"""

_FORK_UNDER_A_THREAD = (
    _BEGIN
    + """
held, go_on = threading.Event(), threading.Event()

def hold():
    with store.store._files.tree._guard:
        held.set()
        go_on.wait()

thread = threading.Thread(target=with_lock, args=(hold,))
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


_FORK_UNDER_THE_LOCK = (
    _BEGIN
    + """
read, write = os.pipe()
end, say_end = os.pipe()

def fork():
    global child
    child = os.fork()
    if child:
        os.read(read, 1)
        try:
            open_place(lock_timeout=0).write("key", b"stranger")
        except Timeout:
            print("parent still has it", flush=True)

with_lock(fork)
if not child:
    os.close(say_end)
    os.write(write, b".")
    store.write("key", b"child")
    os.write(write, b".")
    os.read(end, 1)
    os._exit(0 if store.read("key") == b"parent" else 3)
os.read(read, 1)
store.write("key", b"parent")
print("child gave it back", flush=True)
os.write(say_end, b".")
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
)


def test_a_child_forked_under_the_lock_leaves_it_to_its_parent(
    start_python: StartPython, place: Path
) -> None:
    forking = start_python(_FORK_UNDER_THE_LOCK, place)
    answer = "parent still has it\nchild gave it back\n0\n"
    assert forking.communicate(timeout=60)[0] == answer


_KILLED_WITH_A_CHILD = (
    _BEGIN
    + """
def die():
    child = os.fork()
    if not child:
        os.close(1)
        sys.stdin.readline()
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)

with_lock(die)
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
stranger = open_place(lock_timeout=0)

def handled():
    os.kill(os.getpid(), signal.SIGUSR1)
    assert store.read("key") == b"handler"
    try:
        stranger.write("key", b"stranger")
    except Timeout:
        print("held", flush=True)

with_lock(handled)
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
        seen += 1
        if seen == event_at:
            sys.settrace(None)
            with_lock(bool)
        return trace
    def inside():
        sys.settrace(None)
        try:
            other.write("key", b"stranger")
        except Timeout:
            pass
        else:
            raise AssertionError(event_at)
        if seen < event_at:
            sys.settrace(trace)
    files.close()
    sys.settrace(trace)
    with_lock(inside)
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


# Python looks for signals where a function begins, and after a call. A trace raises there.
_CTRL_C = (
    _BEGIN
    + """
import dis
other = open_place(lock_timeout=0)
files = store.store._files

def after_calls(code):
    steps = [step for step in dis.get_instructions(code) if step.opname != "CACHE"]
    return {b.offset for a, b in zip(steps, steps[1:]) if a.opname.startswith("CALL")}

def run(event_at):
    seen = 0
    def trace(frame, event, _):
        nonlocal seen
        if not frame.f_code.co_filename.endswith("local/locks.py"):
            return None
        frame.f_trace_opcodes = True
        if event == "call" or event == "opcode" and frame.f_lasti in after_calls(frame.f_code):
            seen += 1
            if seen == event_at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace
    files.close()
    sys.settrace(trace)
    try:
        with_lock(bool)
    except KeyboardInterrupt:
        pass
    else:
        assert seen < event_at, event_at
    sys.settrace(None)
    other.write("key", b"process")
    thread = threading.Thread(target=store.write, args=("key", b"thread"))
    thread.start()
    thread.join()
    assert store.read("key") == b"thread", event_at
    return seen >= event_at

event_at = 1
while run(event_at):
    event_at += 1
print("done", event_at > 10, flush=True)
"""
)


def test_ctrl_c_after_any_call_of_the_lock_leaves_it_free(
    start_python: StartPython, place: Path
) -> None:
    writer = start_python(_CTRL_C, place)
    assert writer.communicate(timeout=60)[0] == "done True\n"
    assert writer.returncode == 0


def test_a_handler_may_close_the_store_it_has_interrupted(
    open_store: OpenStore, place: Path
) -> None:
    store, other = open_store(), open_store(lock_timeout=0)
    store.write("key", b"old")

    def handler(*_: None) -> None:
        local(store)._files.close()
        with pytest.raises(Timeout):
            other.write("key", b"stranger")
        store.write("key", b"handler")
        with pytest.raises(Timeout):
            other.write("key", b"stranger")

    local(store)._files.locks.run("key", handler, None, None, None, None)
    other.write("key", b"free")
    store.write("key", b"again")
    assert other.read("key") == b"again"
    assert os.path.isdir(place)
