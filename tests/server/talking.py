"""Talking to a server over a WebSocket, as a client of PyPI's `websockets` does."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

from holdall.haystack import Grid, Ref
from holdall.haystack.codecs.hayson import HAYSON
from holdall.server import Users
from holdall.server.accounts.roles import Role
from server.asking import Asking, users

PATIENCE = 30


class Talking:
    """Sends requests, and receives answers and pushes.

    Args:
        client: The connection.
    """

    def __init__(self, client: ClientConnection) -> None:
        self.client = client
        self.pushed: list[tuple[str, Grid]] = []

    def say(self, message: Any) -> None:
        """Send a message of JSON."""
        self.client.send(message if isinstance(message, str) else json.dumps(message))

    def hear(self) -> Any:
        """The next message that is no push."""
        while True:
            message = json.loads(self.client.recv(PATIENCE))
            if "watch" not in message:
                return message
            self.pushed.append((message["watch"], decoded(message["grid"])))

    def grid(self, op: str, grid: Grid | None = None) -> Grid:
        """What an operation answers."""
        self.say({"id": 1, "op": op} if grid is None else request(op, grid))
        return decoded(self.hear()["grid"])

    def push(self) -> tuple[str, Grid]:
        """The next push: of which watch, and what it tells."""
        if self.pushed:
            return self.pushed.pop(0)
        message = json.loads(self.client.recv(PATIENCE))
        return message["watch"], decoded(message["grid"])

    def watch(self, *ids: str) -> str:
        """Open a watch of entities; answers its id."""
        answer = self.grid("watchSub", sub(*ids))
        assert not answer.is_error, answer
        return str(answer.meta["watchId"])


@contextmanager
def talking(ask: Asking, path: str = "/ws", **settings: Any) -> Iterator[Talking]:
    """Connect to a server."""
    with connect(str(ask.client.base_url.join(path)).replace("http", "ws"), **settings) as client:
        yield Talking(client)


def bearer(token: str) -> dict[str, Any]:
    """How somebody connects who has a token or key."""
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


def request(op: str, grid: Grid, id_: Any = 1) -> dict[str, Any]:
    """A request as JSON."""
    return {"id": id_, "op": op, "grid": json.loads(HAYSON.encode(grid))}


def sub(*ids: str, **meta: Any) -> Grid:
    """What opens a watch, or adds to it."""
    return Grid([{"id": Ref(of)} for of in ids], meta={"watchDis": "test", **meta}, cols=["id"])


def of_watch(watch: str, **meta: Any) -> Grid:
    """What asks a watch."""
    return Grid(meta={"watchId": watch, **meta}, cols=["empty"])


def decoded(grid: Any) -> Grid:
    """A grid of JSON."""
    return HAYSON.decode(json.dumps(grid).encode())


def users_of_three() -> tuple[Users, dict[str, str]]:
    """Accounts of three machines, one of each role; and their keys."""
    accounts = users()

    async def made() -> dict[str, str]:
        return {str(role): await accounts.add_machine(f"m-{role}", role) for role in Role}

    return accounts, asyncio.run(made())
