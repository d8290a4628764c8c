"""The command `holdall`.

This file imports nothing that costs time, so that `holdall --version` answers at once and a
missing extra is told in one line.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, FAILED, USAGE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answer the exit code.

    Args:
        arguments: The words behind `holdall`; those of this process when None.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words == ["--version"]:
            from holdall import __version__

            print(f"holdall {__version__}")
            return OK
        if not _has_extra():
            print("this command needs more: pip install 'holdall[cli]'", file=sys.stderr)
            return USAGE
        from holdall.cli.app import run

        code = run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        close_stdout()
        return BROKEN_PIPE
    return code


def _has_extra() -> bool:
    try:
        import typer  # noqa: F401 (whether it is there)
    except ModuleNotFoundError:
        return False
    return find_spec("rich") is not None


def close_stdout() -> None:
    """Let the interpreter's last flush go nowhere, after the reader of a pipe has left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
