"""The settings of a server."""

from __future__ import annotations

from msgspec import Struct

from holdall.core.errors import InvalidConfig


class ServerConfig(Struct, frozen=True, kw_only=True):
    """Settings of a server; all have a default.

    Attributes:
        name: What `about` calls the server.
        prefix: Where the operations are: `/api/about`, `/api/read`, …
        debug: Whether error grids tell where in the code it happened.
        max_body: Bytes of a request; 0 is no limit.
        max_load: Bytes of a request to `load`, which is read piece by piece; 0 is no limit.
        max_object: Bytes of an object that is written, which is kept as it comes; 0 is no limit.
        max_rows: Rows of a request; 0 is no limit.
        max_depth: Lists, dicts and grids in one another in a request.
        max_read: Entities that one `read` answers; the grid says `incomplete` when others follow.
        page: Samples that `hisRead` has in memory at a time.
        body_timeout: Seconds that a client may take for the next piece of its request.
        session: Seconds until a bearer token expires.
        regex: Whether searches of records may use `regex`. Some expressions keep a process busy for
            ever, and with it everybody else.
        max_connections: WebSockets of a process; 0 is no limit.
        max_user_connections: WebSockets of one account in a process; 0 is no limit.
        max_watches: Watches of one account over the WebSockets of a process; 0 is no limit.
        max_message: Bytes of a message over a WebSocket, both ways.
        push_interval: Seconds between two looks at what changed, for the watches of WebSockets.
        send_timeout: Seconds for which the client of a WebSocket may take nothing; then it is cut.
    """

    name: str = "Holdall"
    prefix: str = "/api"
    debug: bool = False
    max_body: int = 16 * 2**20
    max_load: int = 2**30
    max_object: int = 5 * 2**30
    max_rows: int = 2_000_000
    max_depth: int = 50
    max_read: int = 100_000
    page: int = 20_000
    body_timeout: float = 60.0
    session: float = 12 * 3600.0
    regex: bool = False
    max_connections: int = 4_000
    max_user_connections: int = 2_000
    max_watches: int = 10_000
    max_message: int = 16 * 2**20
    push_interval: float = 0.5
    send_timeout: float = 30.0

    def __post_init__(self) -> None:
        prefix = self.prefix
        if not prefix.startswith("/") or prefix.endswith("/") or set("{}?#%") & set(prefix):
            raise InvalidConfig(f"prefix is {prefix!r}: it begins with '/' and ends with a name")
        for field in ("max_read", "page", "max_depth", "max_message"):
            if getattr(self, field) < 1:
                raise InvalidConfig(f"{field} is {getattr(self, field)}: it takes 1 or more")
        for field in (
            "max_body", "max_load", "max_object", "max_rows",
            "max_connections", "max_user_connections", "max_watches",
        ):  # fmt: skip
            if getattr(self, field) < 0:
                raise InvalidConfig(f"{field} is {getattr(self, field)}: it takes 0 or more")
        for field in ("body_timeout", "session", "push_interval", "send_timeout"):
            if not getattr(self, field) > 0:
                raise InvalidConfig(f"{field} is {getattr(self, field)}: it takes more than 0")
