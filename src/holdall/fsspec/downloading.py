"""The local side of a download: a file that is there once it is whole."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fsspec.utils import isfilelike

from holdall.core.errors import Corrupt

if TYPE_CHECKING:
    import io

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def download(reader: io.BufferedReader, target: Any, callback: Any, block_size: int) -> None:
    """Copy an open object.

    Args:
        reader: What `open_reader` answered.
        target: A path, or a binary file. A path gets the bytes at once, when all have come; what
            is no regular file, such as a pipe, gets them as they come.
        callback: Is told the size, and the bytes as they come.
        block_size: How many bytes are in memory at once.

    Raises:
        Corrupt: Fewer bytes came than the object has.
    """
    if isfilelike(target):
        _pump(reader, target, callback, block_size)
        return
    path = os.path.realpath(target)
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb", buffering=0) as special:
            _pump(reader, special, callback, block_size)
        return
    temporary = os.path.join(folder, f".{name[:200]}.{os.urandom(8).hex()}.part")
    descriptor = os.open(temporary, _NEW, 0o666)
    try:
        with open(descriptor, "wb", buffering=0) as file:
            _pump(reader, file, callback, block_size)
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, stat.S_IMODE(os.stat(path).st_mode))
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _pump(reader: io.BufferedReader, file: Any, callback: Any, block_size: int) -> None:
    meta = reader.raw.meta  # type: ignore[attr-defined]
    callback.set_size(meta.size)
    count = 0
    while data := reader.read(block_size):
        view = memoryview(data)
        while view:
            written = file.write(view)
            view = view[len(view) if written is None else written :]
        count += len(data)
        callback.relative_update(len(data))
    if count != meta.size:
        raise Corrupt(f"{meta.ref}: {count} of {meta.size} bytes came", reference=meta.ref)
