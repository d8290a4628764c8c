"""Methods that a path does not take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.server.errors import HttpFault, fault_response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class Refusing:
    """Answers every request with 405; stands behind the routes of a path.

    Args:
        methods: Those that the path takes, with commas between.
    """

    def __init__(self, methods: str) -> None:
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = HttpFault(
            405, f"{scope['method']} is not used here: {self._methods}", {"Allow": self._methods}
        )
        await fault_response(fault)(scope, receive, send)
