"""Facts about the locks of keys: forks, signal handlers, and Ctrl-C at a bad moment."""

import os
import shutil
import signal
import threading
from pathlib import Path

import pytest

from holdall.core.errors import Timeout
from holdall.objects.backends.local.locks import KeyLocks
from objects.local.conftest import OpenStore, StartPython, descriptors, local

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


# Python looks for signals where a function begins, and after a call: `sweep` does something there,
# in one place of the lock's own code after the other.
_SWEEP = (
    _BEGIN
    + """
import dis
other = open_place(lock_timeout=0)
files = store.store._files

def after_calls(code):
    steps = [step for step in dis.get_instructions(code) if step.opname != "CACHE"]
    return {b.offset for a, b in zip(steps, steps[1:]) if a.opname.startswith("CALL")}

def sweep(action, check, function=with_lock):
    event_at = 0
    while True:
        event_at += 1
        seen, place = 0, None
        def trace(frame, event, _):
            nonlocal seen, place
            if not frame.f_code.co_filename.endswith("local/locks.py"):
                return None
            frame.f_trace_opcodes = True
            if event == "call" or event == "opcode" and frame.f_lasti in after_calls(frame.f_code):
                seen += 1
                if seen == event_at:
                    place = (frame.f_code.co_name, frame.f_lineno)
                    sys.settrace(None)
                    action()
            return trace
        files.close()
        sys.settrace(trace)
        try:
            function(bool)
        except (KeyboardInterrupt, SystemExit):
            pass
        sys.settrace(None)
        if place is None:
            print("done", event_at > 10, flush=True)
            return
        check(place)

def check_free(place):
    other.write("key", b"process")
    thread = threading.Thread(target=store.write, args=("key", b"thread"))
    thread.start()
    thread.join()
    assert store.read("key") == b"thread", place
"""
)

_CTRL_C = (
    _SWEEP
    + """
def interrupt():
    raise KeyboardInterrupt

sweep(interrupt, check_free)
"""
)

_CTRL_C_WHILE_WAITING = (
    _SWEEP
    + """
waiting = open_place(lock_timeout="50ms")
files = waiting.store._files
held, go_on = threading.Event(), threading.Event()

def wait(function):
    # A thread of the same store, or another store, has the lock for a moment.
    for holder in (files.locks, locks):
        held.clear()
        go_on.clear()
        def hold(*_):
            held.set()
            go_on.wait(0.01)
        thread = threading.Thread(target=holder.run, args=("key", hold, *"abcd"))
        tracing = sys.gettrace()
        sys.settrace(None)
        thread.start()
        held.wait()
        sys.settrace(tracing)
        try:
            files.locks.run("key", lambda *_: None, *"abcd")
        finally:
            sys.settrace(None)
            go_on.set()
            thread.join()
            sys.settrace(tracing)

def interrupt():
    raise KeyboardInterrupt

sweep(interrupt, check_free, wait)
"""
)

_TWO_SIGNALS = (
    _SWEEP
    + """
both = {signal.SIGINT, signal.SIGTERM}
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

def interrupt():
    signal.pthread_sigmask(signal.SIG_BLOCK, both)
    for number in both:
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, both)

def run(function):
    try:
        with_lock(function)
    finally:
        try:
            os.getpid()  # the second one may come as late as here
        except (KeyboardInterrupt, SystemExit):
            pass

sweep(interrupt, check_free, run)
"""
)

_FORK_ANYWHERE = (
    _SWEEP
    + """
store = open_place(lock_timeout="50ms")
files = store.store._files
locks = files.locks

def fork():
    global child, pipes
    (from_child, to_parent), (from_parent, to_child) = os.pipe(), os.pipe()
    child = os.fork()
    pipes = (from_child, to_child) if child else (from_parent, to_parent)
    for number in {from_child, to_child, from_parent, to_parent} - {*pipes}:
        os.close(number)

def hear():
    assert os.read(pipes[0], 1)

def tell():
    os.write(pipes[1], b".")

def writes(store):
    try:
        store.write("key", b"written")
    except Timeout:
        return False
    return True

def run(_):
    # The parent has the lock until its child is through, or has waited long enough.
    global child, met
    child, met = None, False
    def inside():
        global met
        if child:
            hear()
            met = True
            assert not writes(other)
    try:
        with_lock(inside)
    except Timeout:
        assert child == 0

def check(place):
    if not child:
        tell()
        hear()
        kept_out = not writes(store)
        tell()
        hear()
        os._exit(0 if kept_out and writes(store) else 3)
    if not met:
        hear()
    def inside():
        tell()
        hear()
        assert not writes(other), place
    with_lock(inside)
    tell()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, place
    for number in pipes:
        os.close(number)

sweep(fork, check, run)
"""
)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(_CTRL_C, id="ctrl-c"),
        pytest.param(_CTRL_C_WHILE_WAITING, id="ctrl-c while it waits"),
        pytest.param(_TWO_SIGNALS, id="two signals"),
        pytest.param(_FORK_ANYWHERE, id="a fork"),
    ],
)
def test_what_comes_after_any_call_of_the_lock_leaves_it_right(
    start_python: StartPython, place: Path, script: str
) -> None:
    writer = start_python(script, place)
    assert writer.communicate(timeout=60)[0] == "done True\n"
    assert writer.returncode == 0


def test_a_lock_file_that_was_removed_just_then_is_not_kept(
    open_store: OpenStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = open_store(), open_store(lock_timeout=0)
    locks = local(store)._files.locks
    opened = KeyLocks._open

    def open_too_early(self: KeyLocks, number: int) -> int:
        descriptor = opened(self, number)
        monkeypatch.undo()
        shutil.rmtree(place / ".holdall")
        store.write("another", b"")  # makes the workspace again
        return descriptor

    monkeypatch.setattr(KeyLocks, "_open", open_too_early)
    locks.run("key", lambda *_: None, *"abcd")

    def inside(*_: str) -> None:
        with pytest.raises(Timeout):
            other.write("key", b"stranger")

    locks.run("key", inside, *"abcd")


def test_closing_waits_for_a_writer_only_so_long(open_store: OpenStore) -> None:
    store = open_store(lock_timeout="50ms")
    held, go_on = threading.Event(), threading.Event()

    def hold(*_: str) -> None:
        held.set()
        go_on.wait()

    locks = local(store)._files.locks
    thread = threading.Thread(target=locks.run, args=("key", hold, *"abcd"))
    thread.start()
    held.wait()
    local(store)._files.close()
    go_on.set()
    thread.join()
    before = descriptors()
    local(store)._files.close()
    assert descriptors() < before


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
