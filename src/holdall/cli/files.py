"""Writing an object to a plain file of this machine, outside of any store."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from holdall.core.errors import Corrupt

if TYPE_CHECKING:
    from holdall.cli.places import Spot


def write_file(spot: Spot, path: str) -> int:
    """Write an object to a file, whole or not at all; answer its size.

    The store of `file://` is not asked to, though it can: it would leave its workspace,
    `.holdall`, beside the user's file, and give the file the mode 0600.

    Args:
        spot: The object.
        path: The file, which is replaced when it is there; its folder must be.

    Raises:
        Corrupt: The bytes are not those that were recorded for the object.
    """
    store, key = spot
    recorded = store.stat(key)
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name[:60]}.{os.urandom(8).hex()}.part")
    digest = hashlib.sha256()
    with store.open_reader(key) as reader, open(temporary, "xb") as file:
        try:
            while chunk := reader.read(1024 * 1024):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
            # A writer may have replaced the object since it was asked about.
            same = getattr(reader.raw, "meta", recorded).etag == recorded.etag
            if same and recorded.sha256 not in {None, digest.hexdigest()}:
                raise Corrupt(
                    f"{spot.address} is damaged: its bytes have SHA-256 {digest.hexdigest()}, and "
                    f"{recorded.sha256} was recorded. Nothing was written"
                )
            os.replace(temporary, path)
            return file.tell()
        except BaseException:
            os.unlink(temporary)
            raise
