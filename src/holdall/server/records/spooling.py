"""An answer that waits in a file until it is whole."""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Final

from anyio import to_thread
from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import Receive, Scope, Send

_IN_MEMORY: Final = 2**20
_PIECE: Final = 256 * 1024


class Spool:
    """Bytes, in a file that nobody else sees and that is gone when it is closed."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # closed by `close`
        self._size = 0

    def add(self, data: bytes) -> None:
        """Keep bytes after those that are there; may wait for a disk."""
        self._file.write(data)
        self._size += len(data)

    def response(self, status: int, headers: Mapping[str, str]) -> _Closing:
        """The response that sends them, and closes the file when it is sent or given up."""
        whole = {**headers, "Content-Length": str(self._size)}
        return _Closing(self, status, whole)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes, piece by piece."""
        await to_thread.run_sync(self._file.seek, 0)
        while piece := await to_thread.run_sync(self._file.read, _PIECE):
            yield piece

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class _Closing(StreamingResponse):
    def __init__(self, spool: Spool, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(spool.pieces(), status, headers)
        self._spool = spool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._spool.close()
