"""One WebSocket: reads requests, answers them, and sends what it is told."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from starlette.websockets import WebSocketDisconnect

from holdall.core.errors import HoldallError
from holdall.haystack.codecs.hayson import HAYSON
from holdall.haystack.grid import Grid
from holdall.server.access import unreadable
from holdall.server.accounts.roles import Caller
from holdall.server.answering import error_grid
from holdall.server.answers import INLINE, Answer, pieces
from holdall.server.bodies import INLINE as INLINE_BYTES
from holdall.server.bodies import limits
from holdall.server.errors import HttpFault
from holdall.server.live.asked import answered, grid_of, requests_of
from holdall.server.live.outbox import Outbox
from holdall.server.logs import LOG, request_id
from holdall.server.ops.contract import Call
from holdall.server.ops.registry import OPS
from holdall.server.threads import STREAMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.websockets import WebSocket

    from holdall.server.access import Door
    from holdall.server.actions import Action
    from holdall.server.answers import Streamed
    from holdall.server.config import ServerConfig
    from holdall.server.live.asked import Asked
    from holdall.server.live.hub import Hub
    from holdall.server.live.watching import Watching
    from holdall.server.ops.contract import Op
    from holdall.server.storage import Storage

AT_ONCE: Final = 4
"""Messages of one client that are worked on at the same time; further ones are not read yet."""
_FAREWELL: Final = 2.0  # seconds that a client has to take the reason
_LONGEST_REASON: Final = 123  # bytes, by RFC 6455
_SLOWEST: Final = 65_536  # bytes a second
Join: TypeAlias = tuple[str, Sequence[str], int]
"""A watch, the entities that were asked for, and the number of a moment before that."""
NOT_TEXT, TOO_LARGE, FAILED, NOT_ANY_MORE = 1003, 1009, 1011, 3000


class Serving:
    """What every connection of a server shares."""

    def __init__(
        self,
        hub: Hub,
        door: Door,
        storage: Storage,
        config: ServerConfig,
        actions: Mapping[str, Action],
    ) -> None:
        self.hub = hub
        self.door = door
        self.storage = storage
        self.config = config
        self.actions = actions


class Connection:
    """One WebSocket, whose upgrade the gate let pass.

    Attributes:
        name: Of the account.
        credential: What the client showed; the same for those who showed the same.
        watches: What it is told of, and how many entities it added to each.
        outbox: What waits to be sent.
        gone: Set when nothing of it is left.
    """

    def __init__(self, socket: WebSocket, serving: Serving) -> None:
        self._socket = socket
        self._serving = serving
        caller: Caller = socket.scope["state"]["caller"]
        self.name = caller.name
        headers = socket.headers
        self.credential = "\0".join(
            (headers.get("authorization", ""), headers.get("sec-websocket-protocol", ""))
        )
        self.watches: dict[Watching, int] = {}
        self.outbox = Outbox()
        self.gone = asyncio.Event()
        self._ended: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._work: set[asyncio.Task[None]] = set()
        known = request_id.get()
        self._number = known if known != "-" else secrets.token_hex(8)
        self._count = 0

    def end(self, code: int, reason: str) -> None:
        """End the connection, and send nothing more but why."""
        if not self._ended.done():
            short = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
            self._ended.set_result((code, short))
            self.outbox.close()

    async def may_stay(self) -> bool:
        """Whether who connected may still ask; ends the connection where not.

        Raises:
            HttpFault: The accounts cannot be read.
        """
        return await self._caller() is not None

    async def run(self) -> None:
        """Serve the client until it goes, or has to."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._send())]
        try:
            ends: list[asyncio.Future[Any]] = [*tasks, self._ended]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.outbox.close()
            for task in tasks:
                task.cancel()
            for done in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(done, Exception):
                    LOG.error("failed", extra={"request": self._number}, exc_info=done)
            if self._ended.done():
                await self._farewell(*self._ended.result())
            # What was begun is finished, though nobody waits for the answer.
            await asyncio.gather(*self._work, return_exceptions=True)

    async def _farewell(self, code: int, reason: str) -> None:
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
            async with asyncio.timeout(_FAREWELL):
                await self._socket.close(code, reason)

    async def _read(self) -> None:
        most = self._serving.config.max_message
        while True:
            message = await self._socket.receive()
            if message["type"] != "websocket.receive":
                return
            text = message.get("text")
            if text is None:
                self.end(NOT_TEXT, "messages are text of JSON")
                return
            if len(text) > most:
                self.end(TOO_LARGE, f"a message has at most {most:,} bytes (max_message)")
                return
            await self._room.acquire()
            task = asyncio.create_task(self._worked(text))
            self._work.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        self._room.release()

    async def _send(self) -> None:
        before = 0
        with suppress(WebSocketDisconnect, OSError):
            while True:
                text = await self.outbox.next()
                # The server takes one message, and waits with the next until that is on its way.
                patience = self._serving.config.send_timeout + before / _SLOWEST
                try:
                    async with asyncio.timeout(patience):
                        await self._socket.send({"type": "websocket.send", "text": text.decode()})
                except TimeoutError:
                    self.end(1008, "too slow: nothing was taken")
                    return
                before = len(text)

    async def _worked(self, text: str) -> None:
        self._count += 1
        request_id.set(f"{self._number}-{self._count}")
        joins: list[Join] = []
        try:
            found, is_batch = requests_of(text)
            most = self._serving.config.max_message
            made: list[bytes] = []
            for asked in found:
                made.append(await self._answered(asked, most, joins))
                most = max(0, most - len(made[-1]))
                if not self.outbox.is_open:
                    break
            await self.outbox.answer(b"[" + b",".join(made) + b"]" if is_batch else made[0])
            for watch, ids, since in joins:
                await self._serving.hub.join(self, watch, ids, since)
        except Exception as error:  # noqa: BLE001 (the client must not wait for pushes in vain)
            LOG.error("failed", extra={"request": request_id.get()}, exc_info=error)
            self.end(FAILED, f"the server's log has more under {request_id.get()}")

    async def _answered(self, asked: Asked, most: int, joins: list[Join]) -> bytes:
        """The answer to one request; an error grid where it fails."""
        config = self._serving.config

        def go_on() -> bool:
            return self.outbox.is_open

        try:
            answer = await self._performed(asked, joins)
            made, size = pieces(answer, HAYSON)
            write = partial(answered, asked.id, made, most, go_on)
            if size is not None and size <= INLINE:
                return write()
            return await STREAMS.run(write)
        except HttpFault as fault:
            grid = Grid.error(fault.message)
        except Exception as error:  # noqa: BLE001 (whatever it is, the standard wants a grid)
            grid = error_grid(error, config)
        return answered(asked.id, [HAYSON.encode(grid)], config.max_message, go_on)

    async def _performed(self, asked: Asked, joins: list[Join]) -> Answer | Streamed | Grid:
        if asked.wrong:
            raise HttpFault(400, asked.wrong)
        caller = await self._caller()
        if caller is None:
            raise HttpFault(401, "this connection is let in no longer: connect anew")
        op = OPS.get(asked.op)
        if op is None:
            told = "is asked over HTTP" if asked.op == "load" else "is no operation of this server"
            raise HttpFault(404, f"{asked.op!r} {told}")
        if caller.role < op.role:
            raise HttpFault(
                403, f"{caller.name} has the role {caller.role}, and this takes {op.role}"
            )
        config, read = self._serving.config, partial(grid_of, asked, limits(self._serving.config))
        large = asked.grid is not None and len(asked.grid) > INLINE_BYTES
        grid = await asyncio.to_thread(read) if large else read()
        call = Call(grid, caller, self._serving.storage, config, self._serving.actions)
        if op.name == "close":
            await self._serving.door.close(caller)
        return await self._watched(op, call, joins)

    async def _watched(self, op: Op, call: Call, joins: list[Join]) -> Answer | Streamed | Grid:
        """What an operation answers; what it makes of watches is told to the hub."""
        hub, watch = self._serving.hub, call.grid.meta.get("watchId")
        if op.name == "watchSub":
            ids, new = call.ids(), watch is None
            hub.check_room(self, len(ids), new=new)
            since = await hub.now()
            answer = await op.function(call)
            assert isinstance(answer, Answer)
            of = str(answer.meta["watchId"])
            hub.claim(self, of, ids, new=new)
            joins.append((of, ids, since))
            return answer
        answer = await op.function(call)
        if op.name == "watchUnsub":
            closed = "close" in call.grid.meta
            await hub.taken(self, str(watch), [] if closed else call.ids(), closed=closed)
        return answer

    async def _caller(self) -> Caller | None:
        """Who asks, as of now; None where they may not any more, which ends the connection."""
        try:
            caller = await self._serving.door.caller(self._socket.scope)
        except HttpFault as fault:
            self.end(NOT_ANY_MORE, fault.message)
            return None
        except HoldallError as error:
            raise unreadable(error, "who may ask cannot be read now") from error
        return caller if isinstance(caller, Caller) else None
