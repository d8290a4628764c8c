"""The server that both stores are kept on: its connections, and what it can do.

A store of entities and one of histories share a `RedisPlace`:

    place = RedisPlace(settings, runtime)
    await place.enter(self)                 # in `connect`, each time
    await place.run(self, SCRIPT, [arg, …]) # one of `lua.script`; KEYS[1] is `place.key`
    await place.ask(self, [[b"TS.MADD", …], …])
    await place.leave(self)                 # in `close`

What joins in keeps to this:

- Every key begins with `place.key`, which is `{prefix}:`, and then its own letters. Those of the
  entities are listed in `lua`; those of histories begin with `h`: `place.key + b"h…"`.
- What changes something and cannot be repeated is sent with `once=True`: when its reply was lost,
  the error says so (`uncertain`) and nothing is sent again. All else is sent once more, by itself,
  when a connection turns out to be broken: after a restart of the server nobody notices.
- `place.search` and `place.timeseries` say which modules there are, once somebody has entered.
  They were left out where the settings say so.
- Whatever the server answers is raised as one of `HoldallError`: `Unavailable` or `Timeout` where
  it is away or loads its data, transient, and the next call finds it again. A script that the
  server lost with a restart is sent to it again.
- A server that comes back empty has no keys at all: nobody may rely on what it made in `connect`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, final

from holdall.core.errors import HoldallError, Unavailable
from holdall.haystack.stores.redis.settings import server_settings
from holdall.objects.backends.redis.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.core.runtime import Runtime
    from holdall.haystack.stores.redis.settings import RedisHaystackSettings
    from holdall.objects.backends.redis.lua import Script

_log = logging.getLogger(__name__)
_LOOK = (
    (b"COMMAND", b"INFO", b"FT.SEARCH", b"TS.MADD"),
    (b"INFO", b"persistence"),
    (b"CONFIG", b"GET", b"save"),
)


@final
class RedisPlace:
    """A server and a prefix of keys, for one store or for two that share them.

    Args:
        settings: Which, and how it is reached.
        runtime: How to wait.

    Attributes:
        key: What every key begins with: `{prefix}:`.
        ref: The server, as errors name it.
        timeout: For how many seconds it may be silent.
        search: Whether the module Search is there and wanted.
        timeseries: Whether the module TimeSeries is there and wanted.

    Raises:
        InvalidConfig: A setting is none that can be, or the driver is not installed.
    """

    def __init__(self, settings: RedisHaystackSettings, runtime: Runtime) -> None:
        self._server_settings, self.ref = server_settings(settings)
        self._settings = settings
        self._runtime = runtime
        self._users: set[object] = set()
        self._left: set[object] = set()
        self._server = Server(self._server_settings, runtime)
        self._known = False
        self._looked = False
        self.timeout = settings.timeout.total_seconds()
        self.key = b"{%s}:" % settings.prefix.encode()
        self.search = False
        self.timeseries = False

    async def enter(self, user: object) -> None:
        """Connect, for a store that may use it from now on, again or for the first time.

        Raises:
            HoldallError: The server is away, or is none that can be used.
        """
        if not self._users and self._left:
            self._server = Server(self._server_settings, self._runtime)
            self._known = False
        self._users.add(user)
        self._left.discard(user)
        if not self._known:
            await self._look(user)

    async def leave(self, user: object) -> None:
        """Close the connections, when no other store uses them."""
        self._users.discard(user)
        self._left.add(user)
        if not self._users:
            await self._server.close()

    async def run(
        self, user: object, script: Script, args: Sequence[bytes] = (), *, once: bool = False
    ) -> Any:
        """Run a script, with `key` for its first argument, in one round trip.

        Args:
            user: Who asks.
            script: Which.
            args: Its arguments behind the key.
            once: It cannot be repeated when its reply was lost; the error says so then.
        """
        self._check(user)
        given = [self.key, *args]
        try:
            return await self._server.run(script, given, self.ref, once)
        except Unavailable as error:
            if once or not error.transient:
                raise
        return await self._server.run(script, given, self.ref, once)

    async def ask(
        self, user: object, commands: Sequence[Sequence[bytes]], *, once: bool = False
    ) -> list[Any]:
        """Send commands in one go; answer their replies in the same order.

        What the server refuses has the error for its reply, one of `HoldallError`, which is
        raised by nobody.

        Args:
            user: Who asks.
            commands: Each is its words; a key begins with `key`.
            once: As in `run`.
        """
        self._check(user)
        try:
            return await self._server.ask(commands, self.ref, once)
        except Unavailable as error:
            if once or not error.transient:
                raise
        return await self._server.ask(commands, self.ref, once)

    def _check(self, user: object) -> None:
        if user in self._left:
            raise Unavailable(f"{self._settings.address} was closed", transient=False)
        self._users.add(user)

    async def _look(self, user: object) -> None:
        """Find out what the server can do, and whether it keeps what it is given."""
        commands, persistence, saves = await self.ask(user, _LOOK)
        for reply in (commands, persistence, saves):
            if (
                isinstance(reply, Unavailable) and reply.transient
            ):  # it loads its data, or follows another
                raise reply
        known = [None, None] if isinstance(commands, HoldallError) else commands
        self.search = self._settings.search and bool(known[0]) and self._settings.db == 0
        self.timeseries = self._settings.timeseries and bool(known[1])
        if self._settings.check and not self._looked:
            self._warn(persistence, saves)
        self._known = self._looked = True

    def _warn(self, persistence: Any, saves: Any) -> None:
        # A host that lets nobody ask is not warned of.
        if isinstance(persistence, HoldallError) or b"aof_enabled:0" not in persistence:
            return
        if not isinstance(saves, HoldallError) and list(saves) == [b"save", b""]:
            kept = "keeps nothing on disk (appendonly no, and no save): all is gone"
        else:
            kept = "keeps no log on disk (appendonly no): all since its last save is gone"
        _log.warning(
            "%s %s when the server ends. Entities and histories that must stay need "
            "'appendonly yes'",
            self._settings.address,
            kept,
        )
