"""Requests that take long: whoever sent one must still be let in while it goes on."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from holdall.core.errors import HoldallError
from holdall.server.accounts.roles import Caller
from holdall.server.errors import HttpFault
from holdall.server.logs import LOG, request_id

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from holdall.server.access import Door

ROUND: Final = 2.0
"""Seconds after which it is asked again."""


def staying(door: Door, scope: Scope, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """What a request is received and answered by, so long as its caller may still ask.

    Once they may not, the next piece of the body or of the answer is an `HttpFault`: an upload
    leaves nothing, and an answer that has begun breaks off.

    Args:
        door: Who is let in.
        scope: Of the request, with its caller.
        receive: What it is received by.
        send: What it is answered by.
    """
    caller: Caller = scope["state"]["caller"]
    until = monotonic() + ROUND

    async def check() -> None:
        nonlocal until
        if monotonic() < until:
            return
        until = monotonic() + ROUND
        try:
            found = await door.caller(scope)
        except HoldallError as error:
            # Whoever was let in is not put out because the accounts cannot be read.
            LOG.error(
                "the accounts cannot be read", extra={"request": request_id.get()}, exc_info=error
            )
            return
        if not isinstance(found, Caller) or found.role < caller.role:
            raise HttpFault(403, f"{caller.name} is no {caller.role} any more")

    async def receiving() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            await check()
        return message

    async def sending(message: Message) -> None:
        # What is whole is sent, such as the answer to what ended the session.
        if message.get("more_body"):
            await check()
        await send(message)

    return receiving, sending
