"""Bodies that are sent piece by piece, to clients that take them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from anyio import CancelScope
from starlette.responses import StreamingResponse

from holdall.server.logs import LOG, request_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.types import Send

PIECE_BYTES: Final = 256 * 1024
"""How much is sent at once, for which a client has a time."""


class PatientResponse(StreamingResponse):
    """Sends pieces as they come, and breaks off where the client takes none for a time.

    Args:
        pieces: The body; closed at the end, whatever happens.
        seconds: How long a client may take nothing.
        status: Of the answer.
        headers: Of the answer.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        seconds: float,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._pieces = pieces
        self._seconds = seconds
        super().__init__(pieces, status, headers)

    async def stream_response(self, send: Send) -> None:
        """Send all of it, and close it."""
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        try:
            await send(start)
            async for piece in self._pieces:
                for at in range(0, len(piece), PIECE_BYTES):
                    await self._sent(send, piece[at : at + PIECE_BYTES], more=True)
            await self._sent(send, b"", more=False)
        finally:
            with CancelScope(shield=True):  # what it holds is let go of though the client went
                await self._pieces.aclose()

    async def _sent(self, send: Send, piece: bytes, *, more: bool) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            LOG.warning(
                "an answer was broken off, as its client takes nothing",
                extra={"request": request_id.get()},
            )
            raise
