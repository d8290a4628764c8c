"""The commands that run the servers, for those that this machine has."""

import importlib.util
import shutil
import sys
from pathlib import Path

from serving.places import AZURITE, GOOGLE, REDIS_STACK, SERVERS, VERSITY
from serving.requiring import require_server


def moto() -> list[str]:
    """Moto, which is a Python package."""
    if importlib.util.find_spec("moto") is None:
        require_server("moto", "the package moto[s3,server] is not installed")
    return [sys.executable, str(Path(__file__).with_name("moto_in_turns.py"))]


def azurite() -> list[str]:
    """The blob service of azurite, which runs on Node.js."""
    node = shutil.which("node")
    if node is None:
        require_server("azurite", "there is no node on PATH")
    return [node, str(_installed("azurite", AZURITE))]


def versity() -> list[str]:
    """The program versitygw."""
    return [str(_installed("versitygw", VERSITY))]


def google() -> list[str]:
    """The program fake-gcs-server."""
    return [str(_installed("fake-gcs-server", GOOGLE))]


def redis() -> list[str]:
    """A Redis: the machine's own, or the one within Redis Stack."""
    own = shutil.which("redis-server")
    return [own] if own else [str(_installed("redis", REDIS_STACK) / "bin/redis-server")]


def redis_stack() -> list[str]:
    """The Redis of Redis Stack with the modules that search and keep time series."""
    stack = _installed("redis-stack", REDIS_STACK)
    search, series = (str(stack / "lib" / name) for name in ("redisearch.so", "redistimeseries.so"))
    return [str(stack / "bin/redis-server"), "--loadmodule", search, "--loadmodule", series]


def _installed(name: str, path: Path) -> Path:
    if not (SERVERS / path).exists():
        require_server(name, "it is not installed; `make test` says first why")
    return SERVERS / path
