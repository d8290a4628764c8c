"""Opening what lies beneath a folder, and nothing else: no link is followed on the way.

On Linux `openat2(2)` resolves a whole path in one system call under RESOLVE_BENEATH and
RESOLVE_NO_SYMLINKS. Elsewhere, or where a sandbox forbids that call, each segment is opened
by itself with O_NOFOLLOW. Both answer ELOOP at a link.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A reader must not wait for the other end of a FIFO, nor become the owner of a terminal.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
_NO_LINK = _FOLDER | os.O_NOFOLLOW

# Arguments that are no C int are made here, once: declaring `argtypes` instead makes each call
# 0.5 microseconds slower.
_OPENAT2 = ctypes.c_long(
    437
)  # the same on every architecture that Linux got after 2019, and on all but alpha
_BENEATH_WITHOUT_LINKS = 0x08 | 0x04  # RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, linux/openat2.h


class _How(ctypes.Structure):
    """`struct open_how` of openat2(2)."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_HOW_READ = _How(_READ, 0, _BENEATH_WITHOUT_LINKS)
_HOW_FOLDER = _How(_FOLDER, 0, _BENEATH_WITHOUT_LINKS)
_HOW_BYTES = ctypes.c_size_t(ctypes.sizeof(_How))
_READ_POINTER = ctypes.byref(_HOW_READ)
_FOLDER_POINTER = ctypes.byref(_HOW_FOLDER)


def _system_call() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux") or os.uname().machine == "alpha":
        return None
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    return call


_syscall = _system_call()
# What `os` does with a name, without the call where it is this simple.
_encode: Callable[[str], bytes] = (
    str.encode if sys.getfilesystemencoding() == "utf-8" else os.fsencode
)


def _kernel_has_openat2() -> bool:
    if _syscall is None:
        return False
    here = os.open(".", _FOLDER)
    try:
        opened = _syscall(_OPENAT2, here, b".", _FOLDER_POINTER, _HOW_BYTES)
        if opened >= 0:
            os.close(opened)
        return opened >= 0
    finally:
        os.close(here)


class OneCall:
    """Opens by `openat2`."""

    @staticmethod
    def reader(root: int) -> Callable[[str], int]:
        """A function that opens a path under a folder for reading."""
        call, encode, number, how, size = _syscall, _encode, _OPENAT2, _READ_POINTER, _HOW_BYTES

        def open_file(path: str) -> int:
            opened = call(number, root, encode(path), how, size)  # type: ignore[misc]
            if opened < 0:
                _raise(path)
            return opened

        return open_file

    @staticmethod
    def open_folder(root: int, path: str) -> int:
        """Open a folder; answer the descriptor."""
        if path and "/" not in path and path != "..":
            # One name has no way that could lead astray, and `os` calls faster than ctypes.
            try:
                return os.open(path, _NO_LINK, dir_fd=root)
            except NotADirectoryError:
                pass  # openat2 tells a link from a file
        where = _encode(path) or b"."
        opened = _syscall(_OPENAT2, root, where, _FOLDER_POINTER, _HOW_BYTES)  # type: ignore[misc]
        if opened < 0:
            _raise(path)
        return opened


def _raise(path: str) -> None:
    code = ctypes.get_errno()
    # The kernel says EAGAIN when a rename elsewhere raced with the resolution of `..`, which no
    # key has, and EXDEV for a path that would leave the folder.
    raise OSError(errno.ELOOP if code == errno.EXDEV else code, os.strerror(code), path)


class Walk:
    """Opens segment by segment."""

    @classmethod
    def reader(cls, root: int) -> Callable[[str], int]:
        """A function that opens a path under a folder for reading."""

        def open_file(path: str) -> int:
            folder, _, name = path.rpartition("/")
            parent = cls.open_folder(root, folder)
            try:
                return os.open(name, _READ | os.O_NOFOLLOW, dir_fd=parent)
            finally:
                os.close(parent)

        return open_file

    @staticmethod
    def open_folder(root: int, path: str) -> int:
        """Open a folder; answer the descriptor."""
        here = os.open(".", _FOLDER, dir_fd=root)
        for name in path.split("/") if path else ():
            if name == "..":
                os.close(here)
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            try:
                below = os.open(name, _NO_LINK, dir_fd=here)
            except NotADirectoryError as error:
                if stat.S_ISLNK(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from error
                raise
            finally:
                os.close(here)
            here = below
        return here


Opener = type[OneCall] | type[Walk]

best_opener: Opener = OneCall if _kernel_has_openat2() else Walk
