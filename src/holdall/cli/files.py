"""Writing an object to a plain file of this machine, outside of any store."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import IO, TYPE_CHECKING

from holdall.core.errors import Corrupt, KeyConflict

if TYPE_CHECKING:
    from holdall.cli.places import Spot


def write_file(spot: Spot, path: str) -> None:
    """Write an object to a file, whole or not at all.

    The store of `file://` is not asked to, though it can: it would leave its workspace,
    `.holdall`, beside the user's file, and give the file the mode 0600.

    Args:
        spot: The object.
        path: The file. When it is there it is replaced and keeps its mode; its folder is made.

    Raises:
        Corrupt: The bytes are not those that were recorded for the object.
        KeyConflict: The path is a folder.
    """
    path = os.path.realpath(path)
    if os.path.isdir(path):
        raise KeyConflict(f"{path} is a folder, and cannot become a file")
    folder, name = os.path.split(path)
    spot.store.stat(spot.key)  # what is not there makes no folder
    changed = _make(folder)
    begin = name.encode()[:60].decode(errors="ignore")  # a name has at most 255 bytes
    temporary = os.path.join(folder, f".{begin}.{os.urandom(8).hex()}.part")
    try:
        with open(temporary, "xb") as file:
            try:
                _pour(spot, file, "Nothing was written")
                file.flush()
                if os.path.exists(path):
                    os.fchmod(file.fileno(), stat.S_IMODE(os.stat(path).st_mode))
                os.fsync(file.fileno())
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
    except OSError as error:
        _name(error, path)
        raise
    # A move deletes the source next: the file must be there after a power cut.
    for one in changed:
        descriptor = os.open(one, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _make(folder: str) -> list[str]:
    """Make a folder; answer those in which a name is new once it holds a file, from within."""
    changed = [folder]
    while not os.path.isdir(changed[-1]):
        changed.append(os.path.dirname(changed[-1]))
    os.makedirs(folder, exist_ok=True)
    return changed


def write_special(spot: Spot, path: str) -> None:
    """Write an object into a device or a pipe, which stays what it is.

    Raises:
        Corrupt: The bytes are not those that were recorded; they were written already.
    """
    spot.store.stat(spot.key)  # a pipe waits for its reader, and then there must be something
    try:
        with open(path, "wb", buffering=0) as file:
            _pour(spot, file, "What was written is not to be used")
    except BrokenPipeError:
        raise
    except OSError as error:
        _name(error, path)
        raise


def _name(error: OSError, path: str) -> None:
    """Make an error of the system say where, such as that of a full disk."""
    if error.filename is None and error.strerror:
        error.filename = path


def _pour(spot: Spot, file: IO[bytes], consequence: str) -> None:
    store, key = spot
    recorded = store.stat(key)
    digest = hashlib.sha256()
    with store.open_reader(key) as reader:
        while chunk := reader.read(1024 * 1024):
            digest.update(chunk)
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]  # a pipe may take less at once
        # A writer may have replaced the object since it was asked about.
        meta = getattr(reader.raw, "meta", recorded)
    sha256 = meta.sha256 or (recorded.sha256 if meta.etag == recorded.etag else None)
    if sha256 not in {None, digest.hexdigest()}:
        raise Corrupt(
            f"{spot.address} is damaged: its bytes have SHA-256 {digest.hexdigest()}, and "
            f"{sha256} was recorded. {consequence}"
        )
