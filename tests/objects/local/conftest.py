"""What the tests of the local store share."""

import gc
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import holdall
from holdall.objects.backends.local import LocalSettings, LocalStore
from holdall.objects.backends.local import store as module
from holdall.objects.backends.local.confinement import OneCall, Opener, Walk, best_opener

OpenStore: TypeAlias = Callable[..., holdall.DataStore]
StartPython: TypeAlias = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the store under test is; not made yet."""
    return tmp_path / "place"


@pytest.fixture
def open_store(place: Path) -> Iterator[OpenStore]:
    """Open the place, each time as another store, closed when the test ends."""
    opened: list[holdall.DataStore] = []

    def open_place(path: Path = place, **settings: Any) -> holdall.DataStore:
        store = holdall.open({"type": "file", "path": str(path), "durable": False, **settings})
        opened.append(store)
        return store

    yield open_place
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> holdall.DataStore:
    return open_store()


@pytest.fixture(params=[OneCall, Walk])
def opener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Each way of opening what lies beneath a folder; the store under test uses it."""
    if request.param is OneCall and best_opener is not OneCall:
        pytest.skip("this kernel has no openat2")
    monkeypatch.setattr(module, "best_opener", request.param)
    chosen: Opener = request.param
    return chosen


@pytest.fixture
def start_python(tmp_path: Path) -> Iterator[StartPython]:
    """Start another process that runs some code, given the arguments; killed with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: object) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def local(store: holdall.DataStore) -> LocalStore:
    """The store behind the face."""
    assert isinstance(store.store, LocalStore)
    assert isinstance(store.store.settings, LocalSettings)
    return store.store


def left_over(place: Path) -> list[str]:
    """What is in the workspace beside locks: temporary files, uploads, attributes."""
    folders = [place / ".holdall" / name for name in ("tmp", "uploads", "attributes")]
    return sorted(str(file) for folder in folders if folder.exists() for file in folder.iterdir())


def descriptors() -> int:
    """How many descriptors of files and folders this process has open."""
    gc.collect()  # what other tests dropped must not be closed between two counts
    count = 0
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # the one that listed them is closed
            # Drivers of other stores close their sockets when they like.
            mode = os.fstat(int(name)).st_mode
            count += stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    return count


def tree_of(place: Path) -> list[str]:
    """All files and folders of a place but the workspace's."""
    paths = (str(path.relative_to(place)) for path in place.rglob("*"))
    return sorted(path for path in paths if path.partition("/")[0] != ".holdall")
