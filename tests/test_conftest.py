"""Facts about the tests' own rules: blocking is noticed, and missing servers are."""

import asyncio
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockingError

import holdall.core
from servers import require_server

# Blocking counts where a frame of the package makes the call, so the functions below are
# compiled as if they stood in one of its files.
_CODE = """
import fcntl, os, time
def opens(path): open(path).close()
def opens_low(path): os.close(os.open(path, os.O_RDONLY))
def syncs(path): os.fsync(0)
def locks(path): fcntl.flock(0, fcntl.LOCK_UN)
def sleeps(path): time.sleep(0)
def stats(path): os.stat(path)
"""


def _in_package(name: str) -> Callable[[str], None]:
    scope: dict[str, Any] = {}
    file = os.path.join(os.path.dirname(str(holdall.core.__file__)), "pretended.py")
    exec(compile(_CODE, file, "exec"), scope)
    found: Callable[[str], None] = scope[name]
    return found


@pytest.mark.parametrize("name", ["opens", "opens_low", "syncs", "locks", "sleeps", "stats"])
def test_blocking_a_loop_from_within_the_package_is_an_error(name: str) -> None:
    async def main() -> None:
        _in_package(name)(__file__)

    with pytest.raises(BlockingError):
        asyncio.run(main())


@pytest.mark.parametrize("name", ["opens", "sleeps", "stats"])
def test_the_same_is_allowed_in_a_thread_and_without_a_loop(name: str) -> None:
    _in_package(name)(__file__)
    asyncio.run(asyncio.to_thread(_in_package(name), __file__))


def test_a_test_may_block_its_own_loop(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "x").write_text("x")
        shutil.rmtree(tmp_path / "y", ignore_errors=True)
        threading.Thread(target=print).start()

    asyncio.run(main())


def test_what_os_supports_is_still_known() -> None:
    assert os.open in os.supports_dir_fd
    assert os.stat in os.supports_follow_symlinks


def test_a_missing_server_skips_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDALL_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs redis: not there"):
        require_server("redis", "not there")


def test_a_missing_server_fails_where_servers_are_promised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOLDALL_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="needs redis"):
        require_server("redis", "not there")
