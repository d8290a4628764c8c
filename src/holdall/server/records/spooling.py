"""An answer that waits in a file until it is whole."""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from holdall.server.sending import PIECE_BYTES, PatientResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.types import Receive, Scope, Send

_IN_MEMORY: Final = 2**20


class Spool:
    """Bytes, in a file that nobody else sees and that is gone when it is closed."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # closed by `close`
        self._size = 0

    def add(self, data: bytes) -> None:
        """Keep bytes after those that are there; may wait for a disk."""
        self._file.write(data)
        self._size += len(data)

    def response(self, seconds: float, status: int, headers: Mapping[str, str]) -> _Closing:
        """The response that sends them, and closes the file when it is sent or given up.

        Args:
            seconds: How long a client may take nothing of it.
            status: Of the answer.
            headers: Of the answer.
        """
        whole = {**headers, "Content-Length": str(self._size)}
        return _Closing(self, seconds, status, whole)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The bytes, piece by piece."""
        await to_thread.run_sync(self._file.seek, 0)
        while piece := await to_thread.run_sync(self._file.read, PIECE_BYTES):
            yield piece

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class _Closing(PatientResponse):
    def __init__(
        self, spool: Spool, seconds: float, status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(spool.pieces(), seconds, status, headers)
        self._spool = spool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._spool.close()
