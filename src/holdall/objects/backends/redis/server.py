"""Where the requests of a store go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from holdall.core.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime
    from holdall.objects.backends.redis.lua import Script
    from holdall.objects.backends.redis.settings import RedisSettings


@final
class Server:
    """The server, for either face.

    Args:
        settings: How it is reached.
        runtime: How a request waits.

    Attributes:
        cleaning: As that of the runtime.

    Raises:
        InvalidConfig: The driver is not installed.
    """

    def __init__(self, settings: RedisSettings, runtime: Runtime) -> None:
        try:
            from holdall.objects.backends.redis.connections import (
                BlockingConnections,
                LoopConnections,
            )
        except ModuleNotFoundError as error:
            raise InvalidConfig(
                f"{error.name} is not installed: pip install 'holdall[redis]'"
            ) from error
        self._blocking = BlockingConnections(settings)
        self._loop = LoopConnections(settings)
        self._call = runtime.call
        self.cleaning = runtime.cleaning

    def run(
        self, script: Script, args: Sequence[bytes], ref: Reference, once: bool = False
    ) -> Coroutine[Any, Any, Any]:
        """Run a script in one round trip; in two when the server does not know it yet.

        Args:
            script: Which.
            args: Its keys and the rest of its arguments.
            ref: What errors are about.
            once: It cannot be repeated when its reply was lost; the error says so then.
        """
        return self._call(self._blocking.run, self._loop.run, script, args, ref, once)

    def ask(
        self, commands: Sequence[Sequence[bytes]], ref: Reference, once: bool = False
    ) -> Coroutine[Any, Any, list[Any]]:
        """Send commands in one go, and answer their replies in the same order.

        A command that the server refuses has the error for its reply, one of `HoldallError`, and
        is raised by nobody: those behind it were done all the same.

        Args:
            commands: Each is its words.
            ref: What errors are about.
            once: As in `run`.
        """
        return self._call(self._blocking.ask, self._loop.ask, commands, ref, once)

    def close(self) -> Coroutine[Any, Any, None]:
        """Close all connections."""
        return self._call(self._blocking.close, self._loop.close)
