"""A process knows whether it was forked after a cloud store was used; each test has its own."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

_BEGIN = """
import os, signal
from holdall.core.errors import Unavailable
from holdall.objects.backends.cloud import forks

def outcome():
    try:
        forks.check()
    except Unavailable as error:
        assert not error.transient
        assert "'spawn' or 'forkserver'" in str(error)
        return "refused"
    return "works"

def forked(call):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os.write(write, call().encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        said = file.read()
    os.waitpid(child, 0)
    return said
"""


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_child_that_was_forked_after_the_first_call_is_refused() -> None:
    assert _run("print(outcome(), forked(outcome))") == "works refused"


def test_a_child_that_was_forked_before_the_first_call_works() -> None:
    assert _run("print(forked(outcome), outcome())") == "works works"


def test_the_parent_works_on_after_a_fork() -> None:
    assert _run("outcome(); forked(outcome); print(outcome())") == "works"


def test_a_child_of_a_refused_child_is_refused() -> None:
    assert _run("outcome(); print(forked(lambda: forked(outcome)))") == "refused"


def test_a_child_of_a_child_that_made_no_call_is_refused() -> None:
    code = "outcome(); print(forked(lambda: forked(lambda: forked(outcome))))"
    assert _run(code) == "refused"


def test_a_child_that_made_the_first_call_refuses_its_own_children() -> None:
    assert _run("print(forked(lambda: outcome() + ' ' + forked(outcome)))") == "works refused"
