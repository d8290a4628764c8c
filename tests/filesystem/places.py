"""The kinds of file system that the tests run over; another one is a function more."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import holdall
from holdall.fsspec import (
    FileFileSystem,
    HoldallFileSystem,
    MemoryFileSystem,
    filesystem,
)


class Place(NamedTuple):
    fs: HoldallFileSystem
    path: str  # a folder in it, which is the tests' own


def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue("tmp_path")
    return found


def memory_name(tmp_path: Path) -> str:
    """A name that no other test has."""
    return str(tmp_path).strip("/").replace("/", "-")


def over_memory(request: pytest.FixtureRequest) -> Place:
    return Place(filesystem(holdall.open("memory://")), "")


def over_files(request: pytest.FixtureRequest) -> Place:
    return Place(filesystem(holdall.open({"type": "file", "path": folder(request) / "data"})), "in")


def memory_url(request: pytest.FixtureRequest) -> Place:
    return Place(MemoryFileSystem(), f"{memory_name(folder(request))}/in")


def file_url(request: pytest.FixtureRequest) -> Place:
    return Place(FileFileSystem(durable=False), str(folder(request) / "data"))


def file_url_with_root(request: pytest.FixtureRequest) -> Place:
    return Place(FileFileSystem(root=folder(request), durable=False), str(folder(request) / "data"))


PLACES: list[Callable[[pytest.FixtureRequest], Place]] = [
    over_memory,
    over_files,
    memory_url,
    file_url,
    file_url_with_root,
]
