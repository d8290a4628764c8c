"""A real `holdall serve`, in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec


class Served:
    """A server's process, its address, and what it said.

    Args:
        process: The process.
        lines: What it printed until it listened.
        log: The file with its log.
    """

    def __init__(self, process: subprocess.Popen[str], lines: str, log: Path) -> None:
        found = re.search(r"(https?://[^ \n]+)/api/", lines)
        assert found is not None
        self.process, self.lines, self.url, self._log = process, lines, found[1], log

    def client(self, **headers: str) -> httpx.Client:
        """What asks it, with a connection of its own for each request."""
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(
            base_url=self.url, headers=headers, limits=limits, timeout=60, verify=False
        )

    def log(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [msgspec.json.decode(line) for line in self.log_text().splitlines()]

    def log_text(self) -> str:
        """Its log."""
        return self._log.read_text()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end; answers its exit code."""
        self.process.send_signal(how)
        return self.process.wait(60)


@contextmanager
def served(folder: Path, *words: str, **environment: str) -> Iterator[Served]:
    """Run `holdall serve` in a folder until the block ends."""
    log = folder / f"log-{time.monotonic_ns()}"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "holdall", "serve", *words, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
            env=os.environ | {"HOME": str(folder)} | environment,
        )
    with process:
        try:
            assert process.stdout is not None
            lines = ""
            while "/api/" not in lines:
                line = process.stdout.readline()
                assert line, log.read_text()
                lines += line
            yield Served(process, lines, log)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Ask until something holds."""
    last = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < last
        time.sleep(0.02)
