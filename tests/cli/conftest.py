"""The command line, called in this process or in one of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from holdall.cli.app import app, load

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, which is also home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture
def run() -> Run:
    """Call a command in this process; answers `exit_code`, `stdout`, `stderr`."""
    load()

    def call(*words: str, code: int = 0, typed: str | bytes | None = None) -> Any:
        result = CliRunner().invoke(app, list(words), input=typed, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def process() -> Run:
    """Run a command in a process of its own; answers `returncode`, `stdout`, `stderr`."""

    def call(*words: str, **keywords: Any) -> Any:
        command = [sys.executable, "-m", "holdall", *words]
        keywords.setdefault("capture_output", True)
        keywords.setdefault("env", os.environ | {"PYTHONUNBUFFERED": ""})
        done = subprocess.run(command, check=False, timeout=60, **keywords)
        assert b"Traceback" not in (done.stderr or b"")
        return done

    return call
