"""Run a command that dies with the process that started it, even if that one is killed.

Called as `python tethered.py PARENT COMMAND…`, where PARENT is the id of the process that starts
it. The command takes the place of this script, so it keeps the process id. A system without
Linux's parent-death signal runs the command all the same.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            # It was gone before the signal was asked for.
            raise SystemExit(1)


if __name__ == "__main__":
    _die_with_parent(int(sys.argv[1]))
    # Ctrl-C reaches a whole group; tests that it stops still clean up on their servers.
    os.setsid()
    os.execv(sys.argv[2], sys.argv[2:])
