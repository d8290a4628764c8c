"""Several files that are published at one time."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from fsspec.transaction import Transaction

from holdall.core.errors import HoldallError

if TYPE_CHECKING:
    from typing import Any

    from holdall.fsspec.files import WriteFile

_log = logging.getLogger("holdall")


class FilesAtOnce(Transaction):  # type: ignore[misc]
    """A transaction that is over when it ends, however it ends.

    In fsspec before 2026.9 a file that cannot be published leaves the file system in the
    transaction: what is written later is gathered for an end that never comes.
    """

    fs: Any
    files: deque[WriteFile]

    def complete(self, commit: bool = True) -> None:
        """Publish the files one after the other, or none; what is left after an error is forgotten.

        Args:
            commit: Whether to publish.

        Raises:
            ValueError: A file is still open; none is published.
        """
        fs, files = self.fs, self.files
        self.fs, self.files = None, deque()
        try:
            if commit:
                _publish(files)
        finally:
            fs._intrans = False
            fs._transaction = None
            for file in files:
                _forget(file)


def _publish(files: deque[WriteFile]) -> None:
    still_open = [file.full_name for file in files if not file.closed]
    if still_open:
        raise ValueError(
            f"still open at the end of the transaction: {', '.join(still_open)}; nothing was "
            "published: close each file in it"
        )
    while files:
        try:
            files.popleft().commit()
        except BaseException as error:
            if files:
                error.add_note(f"{len(files)} more files of the transaction were not published")
            raise


def _forget(file: WriteFile) -> None:
    try:
        file.discard()
    except (HoldallError, OSError) as error:
        # It must not hide why the transaction failed; what stays staged can be purged.
        _log.warning("%s could not be forgotten: %s", file.full_name, type(error).__name__)
