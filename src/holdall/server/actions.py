"""Functions that `invokeAction` calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from msgspec import Struct

from holdall.haystack.grid import Grid
from holdall.haystack.kinds import Kind, Ref
from holdall.server.threads import ACTIONS


class ActionCall(Struct, frozen=True):
    """What an action is told.

    Attributes:
        id: On which entity.
        entity: Its tags.
        arguments: The row of the request.
        who: The name of the account that asks.
        storage: The adapter that the server was made with.
    """

    id: Ref
    entity: Mapping[str, Kind]
    arguments: Mapping[str, Kind]
    who: str
    storage: Any


Action: TypeAlias = Callable[[ActionCall], Any]
"""A function or coroutine function; it answers a `Grid`, a row, rows, or None."""


async def act(action: Action, call: ActionCall) -> Grid:
    """Call an action, in a thread where it is no coroutine function."""
    if inspect.iscoroutinefunction(action):
        done = await action(call)
    else:
        done = await ACTIONS.run(action, call)  # those that hang stop nobody else
        if inspect.isawaitable(done):
            done = await done
    if isinstance(done, Grid):
        return done
    if done is None:
        return Grid(cols=["empty"])
    return Grid([done] if isinstance(done, Mapping) else done)
