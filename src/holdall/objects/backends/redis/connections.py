"""Connections to the server, blocking and asynchronous, and how a request goes over them.

redis-py makes the connections and reads the answers. Its clients and pools are left out: they
repeat requests on their own, and cost as much time as all the rest of a small request.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, final

from redis import Connection, SSLConnection
from redis.asyncio import Connection as AsyncConnection
from redis.asyncio import SSLConnection as AsyncSSLConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from holdall.core.errors import InvalidConfig
from holdall.objects.backends.redis.faults import translate
from holdall.objects.backends.redis.serving import judge
from holdall.objects.backends.redis.settings import credentials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.core.reference import Reference
    from holdall.objects.backends.redis.lua import Script
    from holdall.objects.backends.redis.settings import RedisSettings

# What the driver would tell the server of itself costs two requests and a look on the disk.
_UNNAMED: dict[str, Any] = (
    {"driver_info": None}
    if find_spec("redis.driver_info")
    else {"lib_name": None, "lib_version": None}
)
_LOOK_AFTER = 1.0
_IDLE = 64
_LARGE_BYTES = 65536


class _Credentials(CredentialProvider):
    """User and password of one connection, which so are no part of what it shows of itself."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self._known = known

    def get_credentials(self) -> Any:
        return self._known

    async def get_credentials_async(self) -> Any:
        return self._known


def _arguments(settings: RedisSettings) -> dict[str, Any]:
    """What redis-py makes a connection of."""
    arguments: dict[str, Any] = {
        "host": settings.host.strip("[]"),
        "port": settings.port or 6379,
        "db": settings.db,
        "socket_timeout": settings.timeout.total_seconds(),
        "socket_connect_timeout": settings.connect_timeout.total_seconds(),
        "protocol": 2,
        **_UNNAMED,
    }
    # Looked up for each connection: a password may change.
    known = credentials(settings)
    if known:
        arguments["credential_provider"] = _Credentials(known)
    if settings.ssl:
        arguments |= {"ssl_check_hostname": True, **_files(settings)}
    return arguments


def _files(settings: RedisSettings) -> dict[str, str | None]:
    """The files that TLS needs, by redis-py's names for them, which are ours too."""
    files = {
        "ssl_ca_certs": settings.ssl_ca_certs,
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile,
    }
    for name, path in files.items():
        # The driver would say that the server cannot be reached.
        if path is not None and not os.access(path, os.R_OK):
            raise InvalidConfig(f"the setting {name!r}: the file {path!r} cannot be read")
    return files


def packed(command: bytes, text: bytes, keys: int, args: Sequence[bytes]) -> list[bytes]:
    """A request as the server reads it; what is large is not copied."""
    small = [
        b"*%d\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$1\r\n%d\r\n"
        % (3 + len(args), len(command), command, len(text), text, keys)
    ]
    ready: list[bytes] = []
    for arg in args:
        size = len(arg)
        if size > _LARGE_BYTES:
            small.append(b"$%d\r\n" % size)
            ready += (b"".join(small), arg)
            small = [b"\r\n"]
        else:
            small += (b"$%d\r\n" % size, arg, b"\r\n")
    ready.append(b"".join(small))
    return ready


def lined_up(commands: Sequence[Sequence[bytes]]) -> list[bytes]:
    """Several requests as the server reads them, one behind the other."""
    pieces = []
    for command in commands:
        pieces.append(b"*%d\r\n" % len(command))
        pieces += [b"$%d\r\n%s\r\n" % (len(arg), arg) for arg in command]
    return [b"".join(pieces)]


@final
class BlockingConnections:
    """One connection for each thread that waits; those that are idle are used again."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._unchecked = settings.check
        self._owner = os.getpid()
        self._idle: list[tuple[float, Any]] = []

    def run(self, script: Script, args: Sequence[bytes], ref: Reference, once: bool) -> Any:
        """Run a script; see `Server.run`."""
        connection = self._take(ref)
        try:
            try:
                request = packed(b"EVALSHA", script.sha, script.keys, args)
                connection.send_packed_command(request, check_health=False)
                reply = connection.read_response()
            except NoScriptError:
                request = packed(b"EVAL", script.source, script.keys, args)
                connection.send_packed_command(request, check_health=False)
                reply = connection.read_response()
        except ResponseError as error:
            self._give(connection)
            raise translate(error, ref) from error
        except (RedisError, OSError) as error:
            connection.disconnect()
            self.close()  # what broke one has most likely broken the others
            raise translate(error, ref, once=once) from error
        except BaseException:
            connection.disconnect()
            raise
        self._give(connection)
        return reply

    def ask(self, commands: Sequence[Sequence[bytes]], ref: Reference, once: bool) -> list[Any]:
        """Send commands; see `Server.ask`."""
        connection = self._take(ref)
        try:
            connection.send_packed_command(lined_up(commands), check_health=False)
            replies: list[Any] = []
            for _ in commands:
                try:
                    replies.append(connection.read_response())
                except ResponseError as error:
                    replies.append(translate(error, ref))
        except (RedisError, OSError) as error:
            connection.disconnect()
            self.close()
            raise translate(error, ref, once=once) from error
        except BaseException:
            connection.disconnect()
            raise
        self._give(connection)
        return replies

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop()[1].disconnect()

    def _give(self, connection: Any) -> None:
        if len(self._idle) < _IDLE:
            self._idle.append((time.monotonic(), connection))
        else:
            connection.disconnect()

    def _take(self, ref: Reference) -> Any:
        if self._owner != os.getpid():
            # After a fork they are the parent's.
            self._owner, self._idle = os.getpid(), []
        while True:
            try:
                since, connection = self._idle.pop()
            except IndexError:
                return self._connect(ref)
            if time.monotonic() - since < _LOOK_AFTER:
                return connection
            try:
                if not connection.can_read(0):
                    return connection
            except (RedisError, OSError):
                pass  # the server has closed it
            connection.disconnect()

    def _connect(self, ref: Reference) -> Any:
        kind: Any = SSLConnection if self._settings.ssl else Connection
        connection = kind(retry=Retry(NoBackoff(), 0), **_arguments(self._settings))
        try:
            connection.connect()
            if self._unchecked:
                connection.send_packed_command([b"INFO\r\n"], check_health=False)
                with suppress(ResponseError):  # not permitted: then nobody looks
                    judge(connection.read_response(), ref)
                self._unchecked = False
        except (RedisError, OSError) as error:
            connection.disconnect()
            raise translate(error, ref, connecting=True) from error
        except BaseException:
            connection.disconnect()
            raise
        return connection


@final
class LoopConnections:
    """At most so many connections on an event loop; who finds none free waits for one."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._unchecked = settings.check
        self._seconds = settings.timeout.total_seconds()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: list[tuple[float, Any]] = []
        self._closed = False
        self._slots: asyncio.Semaphore

    async def run(self, script: Script, args: Sequence[bytes], ref: Reference, once: bool) -> Any:
        """Run a script; see `Server.run`."""
        async with self._slot():
            return await self._run(script, args, ref, once)

    async def ask(
        self, commands: Sequence[Sequence[bytes]], ref: Reference, once: bool
    ) -> list[Any]:
        """Send commands; see `Server.ask`."""
        async with self._slot():
            return await self._lined_up(commands, ref, once)

    def _slot(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._idle, self._closed = loop, [], False
            self._slots = asyncio.Semaphore(self._settings.connections)
        return self._slots

    async def _run(self, script: Script, args: Sequence[bytes], ref: Reference, once: bool) -> Any:
        connection = await self._take(ref)
        try:
            try:
                request = packed(b"EVALSHA", script.sha, script.keys, args)
                reply = await self._ask(connection, request)
            except NoScriptError:
                request = packed(b"EVAL", script.source, script.keys, args)
                reply = await self._ask(connection, request)
        except ResponseError as error:
            await self._give(connection)
            raise translate(error, ref) from error
        except (RedisError, OSError) as error:
            await _drop(connection)
            await self._empty()  # what broke one has most likely broken the others
            raise translate(error, ref, once=once) from error
        except BaseException:
            await _drop(connection)
            raise
        await self._give(connection)
        return reply

    async def _lined_up(
        self, commands: Sequence[Sequence[bytes]], ref: Reference, once: bool
    ) -> list[Any]:
        connection = await self._take(ref)
        replies: list[Any] = []
        try:
            async with asyncio.timeout(self._seconds):
                await connection.send_packed_command(lined_up(commands), check_health=False)
                for _ in commands:
                    try:
                        replies.append(await connection.read_response())
                    except ResponseError as error:
                        replies.append(translate(error, ref))
        except (RedisError, OSError) as error:
            await _drop(connection)
            await self._empty()
            raise translate(error, ref, once=once) from error
        except BaseException:
            await _drop(connection)
            raise
        await self._give(connection)
        return replies

    async def _give(self, connection: Any) -> None:
        if self._closed:
            # Of a request that was under way at `close`: nobody would look for it again.
            await _drop(connection)
        else:
            self._idle.append((time.monotonic(), connection))

    async def _ask(self, connection: Any, request: list[bytes]) -> Any:
        async with asyncio.timeout(self._seconds):
            await connection.send_packed_command(request, check_health=False)
            return await connection.read_response()

    async def close(self) -> None:
        """Close the connections that nobody uses, and the others as soon as nobody does."""
        self._closed = True
        await self._empty()

    async def _empty(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            self._idle = []  # they ended with their loop
        while self._idle:
            # All was sent, so nothing is lost; and who is cancelled here leaves none open.
            await _drop(self._idle.pop()[1])

    async def _take(self, ref: Reference) -> Any:
        while True:
            try:
                since, connection = self._idle.pop()
            except IndexError:
                return await self._connect(ref)
            if time.monotonic() - since < _LOOK_AFTER:
                return connection
            # Older versions of redis-py call it by a name that newer ones warn of.
            ask = getattr(connection, "can_read", None) or connection.can_read_destructive
            try:
                if not await ask():
                    return connection
            except (RedisError, OSError):
                pass  # the server has closed it
            await _drop(connection)

    async def _connect(self, ref: Reference) -> Any:
        kind: Any = AsyncSSLConnection if self._settings.ssl else AsyncConnection
        # A password may be in a file. And the driver's own time-out of what it sends loses a
        # cancellation that comes with its end.
        arguments = await asyncio.to_thread(_arguments, self._settings)
        arguments["socket_timeout"] = None
        connection = kind(retry=AsyncRetry(NoBackoff(), 0), **arguments)
        try:
            if self._settings.ssl:
                # It reads the files, which would hold up the loop.
                await asyncio.to_thread(connection.ssl_context.get)
            async with asyncio.timeout(arguments["socket_connect_timeout"] + self._seconds):
                await connection.connect()
            if self._unchecked:
                with suppress(ResponseError):  # not permitted: then nobody looks
                    judge(await self._ask(connection, [b"INFO\r\n"]), ref)
                self._unchecked = False
        except (RedisError, OSError) as error:
            await _drop(connection)
            raise translate(error, ref, connecting=True) from error
        except BaseException:
            await _drop(connection)
            raise
        return connection


async def _drop(connection: Any) -> None:
    """Let go of a connection at once; what it has not sent yet is lost.

    Closing alone would wait for that in the background, and the loop may end before.
    """
    writer = getattr(connection, "_writer", None)
    if writer is not None:
        writer.transport.abort()
    await connection.disconnect(nowait=True)
