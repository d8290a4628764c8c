"""What goes wrong on the way to an operation, by its HTTP status.

What goes wrong within an operation is no such error: the standard answers that with status 200 and
an error grid (chapter HttpApi).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response


class HttpFault(Exception):
    """A request that is answered with a status other than 200.

    Args:
        status: The HTTP status.
        message: A line for people: what is wrong, and the way out.
        headers: What is answered besides.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def fault_response(fault: HttpFault) -> Response:
    """The answer to a request that never came to an operation."""
    phrase = HTTPStatus(fault.status).phrase
    return PlainTextResponse(
        # Halves of characters, which a message may quote, cannot be sent.
        f"{fault.status} {phrase}: {fault.message}\n".encode("utf-8", "backslashreplace"),
        status_code=fault.status,
        headers=fault.headers,
    )
