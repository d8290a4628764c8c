"""Finding out whether a server keeps the condition that it accepts.

Some servers of the S3 protocol take `If-None-Match: *` and write all the same; whoever relies on
it loses objects. So the first conditional write creates a small object twice.
"""

from __future__ import annotations

import threading
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from holdall.core.errors import HoldallError, PreconditionFailed, Unsupported
from holdall.core.reference import RESERVED_SEGMENT, Reference
from holdall.objects.options import WriteOptions

if TYPE_CHECKING:
    from holdall.objects.backends.cloud.service import Service

_CREATE = WriteOptions(if_none_match="*")
_REPLACE = WriteOptions(if_match="0" * 32)


class Probe:
    """One server's conditions, looked at once.

    Args:
        service: The server.
        needed: Whether it must be looked at: the cloud's own servers need not.
    """

    def __init__(self, service: Service, needed: bool) -> None:
        self._service = service
        self._needed = needed
        self._guard = threading.Lock()
        self._error: str | None = None

    def check(self, root: Reference) -> None:
        """Raise `Unsupported` when the server ignores conditions; asks it only once.

        Raises:
            HoldallError: It could not be found out; the next call asks again.

        Args:
            root: Where the probe's object may be.
        """
        if self._needed:
            with self._guard:
                if self._needed:
                    self._error = self._ask(root)
                    self._needed = False
        if self._error is not None:
            raise Unsupported(self._error, reference=root)

    def _ask(self, root: Reference) -> str | None:
        probe = root.known_child(f"{RESERVED_SEGMENT}/probes/{uuid.uuid4().hex}")
        service = self._service
        service.put(probe, b"", _CREATE)
        try:
            for options, name in ((_CREATE, "If-None-Match"), (_REPLACE, "If-Match")):
                try:
                    service.put(probe, b"", options)
                except (PreconditionFailed, Unsupported):
                    continue  # any other error tells nothing, and is raised
                return (
                    f"{service.endpoint} accepts the condition {name} and writes all the same: "
                    "if_none_match and if_match do not hold there"
                )
        finally:
            with suppress(HoldallError):  # it is empty, and no listing shows it
                service.delete([probe])
        return None
