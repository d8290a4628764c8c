"""What holds for every test: how much Hypothesis tries, and that nothing blocks an event loop."""

import gc
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from blockbuster import BlockBuster, BlockBusterFunction, blockbuster_ctx
from hypothesis import HealthCheck, settings

from scheduling import ByScope

# Once for all tests: a fixture that is imported into a module is another one there, with a server
# of its own.
from serving.fixtures import (
    azure_server,
    google_server,
    postgres_database,
    postgres_server,
    redis_server,
    redis_stack_server,
    s3_server,
    versity_server,
)

__all__ = [
    "azure_server",
    "google_server",
    "postgres_database",
    "postgres_server",
    "redis_server",
    "redis_stack_server",
    "s3_server",
    "versity_server",
]

# No deadlines: a test machine that is busy is no fault of the code.
settings.register_profile("default", max_examples=25, deadline=None)
settings.register_profile(
    "ci",
    max_examples=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("soak", parent=settings.get_profile("ci"), max_examples=200)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# With how many of its parameters coverage looks on at a test.
_TRACED = 1
# Facts of our suites that are generated: others who run the suites have no mark for them.
_GENERATED = {"test_a_search_answers_what_is_meant", "test_an_index_changes_no_answer"}

# Blocking calls that a store makes and blockbuster does not watch by itself.
_ALSO_BLOCKING = (
    "builtins.open",
    "fcntl.flock",
    "os.fdatasync",
    "os.fsync",
    "os.ftruncate",
    "os.getxattr",
    "os.lstat",
    "os.open",
    "os.pread",
    "os.preadv",
    "os.pwrite",
    "os.pwritev",
    "os.setxattr",
)


def pytest_configure() -> None:
    """Let a test interrupt what it starts, also where all of them run as a job in the background.

    A process of such a job ignores the signal, and so does each that it starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection() -> None:
    """Collect no garbage while tests are collected: all that is made then is kept."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Keep the garbage collector from going through the collected tests again and again.

    They are tens of thousands and live to the end: a `gc.collect()` of a test takes a second.
    """
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByScope | None:
    """Give each worker a class or module at a time, without counting through all that is done."""
    return ByScope(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make no test of the face that is left to `make soak`: there are ten thousand of them."""
    left = getattr(metafunc.cls, "in_soak", None)
    if left is None or metafunc.config.getoption("markexpr") != "not soak":
        return
    marks = metafunc.definition.own_markers
    for place, mark in enumerate(marks):
        if mark.name == "parametrize" and mark.args[0] == "face":
            faces = [face for face in mark.args[1] if face != left]
            marks[place] = pytest.mark.parametrize("face", faces).mark


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Choose what runs in the long run only, and what coverage looks on at.

    A class of facts may name a face as its `in_soak`: a store that differs from another by a
    setting or a layer has no code of its own for it, so the facts go through the other face in
    every run, and through both in `make soak`.

    Coverage doubles the time of a test. What a fact runs through, it runs through both faces and
    with most of its parameters: one face and the first of them are enough. Generated and exhaustive
    tests, marked `untraced` or `hypothesis`, go a hundred times where others went once.
    """
    seen: Counter[tuple[str, str]] = Counter()
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        face = parameters.get("face")
        if face is not None and face == getattr(item.cls, "in_soak", None):
            item.add_marker(pytest.mark.soak)
        fact = (item.nodeid.partition("[")[0], str(face))
        seen[fact] += 1
        generated = item.get_closest_marker("hypothesis") or item.originalname in _GENERATED
        if face == "async" or seen[fact] > _TRACED or generated:
            item.add_marker(pytest.mark.untraced)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Keep coverage from looking on at a test that is marked `untraced`."""
    if not item.get_closest_marker("untraced"):
        return (yield)
    here, beside = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(here)
        threading.settrace(beside)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write what was logged so that it can be sent: a worker ends at half of a surrogate pair."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


# For the whole session, because Hypothesis refuses fixtures that are made anew for each test.
@pytest.fixture(scope="session", autouse=True)
def nothing_blocks_a_loop() -> Iterator[None]:
    """Make a blocking call an error where `holdall` makes it while an event loop runs.

    Tests themselves may block: only calls with a frame of the package below them count.
    """
    with blockbuster_ctx("holdall") as blockbuster:
        for name in _ALSO_BLOCKING:
            watched = BlockBusterFunction(None, name, scanned_modules="holdall")
            blockbuster.functions[name] = watched.activate()
        for watched in blockbuster.functions.values():
            # Whoever logs or warns from within the package has its source lines read.
            watched.can_block_in("linecache.py", {"updatecache"})
            # Coverage looks at the path of each file that it meets.
            watched.can_block_in("coverage/control.py", {"_should_trace"})
            # It holds a lock for an instant, which another thread may hold at that moment.
            watched.can_block_in("coverage/collector.py", {"lock_data", "unlock_data"})
            # The first import asks the kernel what it can do; an import reads files anyway.
            watched.can_block_in("local/confinement.py", {"_kernel_has_openat2"})
            # A zone is read when it is first named: a few kilobytes, once.
            watched.can_block_in("zoneinfo/_tzpath.py", {"find_tzfile"})
            watched.can_block_in("zoneinfo/_common.py", {"load_tzdata", "load_data"})
            # What has taken too long is told with the stacks of all threads.
            watched.can_block_in("pytest_timeout.py", {"timeout_sigalrm"})
        _keep_what_os_supports(blockbuster)
        yield


def _keep_what_os_supports(blockbuster: BlockBuster) -> None:
    """Keep `os.open in os.supports_dir_fd` and its like true of the watched functions."""
    for supporting in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
        for watched in blockbuster.functions.values():
            if watched.original_func in supporting:
                supporting.add(getattr(watched.module, watched.func_name))
