"""The gate: who asks is known before anything else happens, on every way in.

    no accounts     this machine may do everything; requests from elsewhere get 403
    accounts        the handshake of the standard, a bearer token, or a machine's key

Without accounts, a request counts as one of this machine only when it came over loopback, has no
header of a proxy, and names this machine as its host: so no page in a browser can ask in somebody
else's name, and no proxy that says that it is one. A proxy on this machine that says nothing of
itself is not recognised: there has to be an account before one stands in front.
"""

from __future__ import annotations

import ipaddress
import math
import re
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from holdall.core.errors import AlreadyExists, HoldallError, LimitExceeded, Unauthenticated
from holdall.server.accounts.handshake import Handshakes
from holdall.server.accounts.roles import Caller, Role
from holdall.server.accounts.scram import HASH, decoded_text, encoded
from holdall.server.accounts.throttle import Throttle
from holdall.server.accounts.tokens import Sessions
from holdall.server.errors import HttpFault, fault_response
from holdall.server.logs import LOG, request_id
from holdall.server.staying import staying

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from ctypes import c_bool

    from starlette.types import ASGIApp, Receive, Scope, Send

    from holdall.server.accounts.users import Users

LOCAL: Final = "local"
"""What callers from this machine are called where there are no accounts."""
_CHALLENGE: Final = {"WWW-Authenticate": "HELLO"}
_FORWARDED = re.compile(
    rb"forwarded|via|x-forwarded-.*|x-original-.*|x-real-ip|.*-client-ip|.*-connecting-ip"
)
_LONGEST_HEADER: Final = 8192
_LENGTHS: Final = frozenset({b"content-length", b"transfer-encoding"})
_CLOSE: Final = {"Connection": "close"}
_IN_PROTOCOL: Final = "holdall.bearer."
_PARAMETER = re.compile(r"\s*([A-Za-z]+)\s*=\s*([^\s,]*)\s*")
_WRONG: Final = "the name or the password is wrong"


class Flag:
    """Whether something was; workers put one that they share in its place."""

    value = False


class Door:
    """Whom a server lets in.

    Args:
        users: Its accounts.
        session: Seconds until a bearer token expires.

    Attributes:
        had_accounts: Whether it knew of any, which keeps it closed where they go away.
    """

    def __init__(self, users: Users, session: float) -> None:
        self.users = users
        self.sessions = Sessions(users, session)
        self._throttle = Throttle()
        self._handshakes: Handshakes | None = None
        self.had_accounts: Flag | c_bool = Flag()

    async def are_accounts(self) -> bool:
        """Whether there are accounts now; that there were some is kept in mind."""
        exist = await self.users.exist()
        if exist:
            self.had_accounts.value = True
        return exist

    async def caller(self, scope: Scope) -> Caller | Response:
        """Answer who sent a request, or a step of the handshake.

        Raises:
            HttpFault: Nobody that may.
        """
        if not await self.are_accounts():
            # A file that was moved away must not open what it closed.
            if self.had_accounts.value:
                raise HttpFault(
                    403,
                    "the accounts of this server are gone, and it stays closed: 'holdall user add' "
                    "makes one, and a server that starts anew answers its own machine",
                )
            if is_local(scope):
                return Caller(LOCAL, Role.ADMIN)
            raise HttpFault(
                403,
                "this server has no accounts, so that only its own machine may ask, by a "
                "loopback address, without a proxy and from no page of another server; "
                "'holdall user add' makes an account",
            )
        header = _header(scope, b"authorization") or _offered(scope)
        scheme, _, rest = header.partition(" ")
        try:
            if scheme.lower() == "bearer":
                return await self._bearer(rest)
            if scheme.lower() in {"hello", "scram"}:
                if scope.get("method", "GET") != "GET":
                    raise HttpFault(400, "the handshake takes GET")
                return await self._handshake(scheme.lower(), _parameters(rest), address_of(scope))
        except Unauthenticated as error:
            raise HttpFault(403, str(error)) from error
        except LimitExceeded as error:
            raise HttpFault(429, str(error), {"Retry-After": "60"}) from error
        raise HttpFault(401, "log in: begin with 'Authorization: HELLO username=…'", _CHALLENGE)

    async def close(self, caller: Caller) -> None:
        """End the session of a caller, where it has one.

        Raises:
            HttpFault: It cannot be ended now.
        """
        if not caller.session:
            return
        try:
            await self.sessions.close(caller.session)
        except HoldallError as error:
            raise unreadable(error, "the session was not ended") from error

    async def _bearer(self, rest: str) -> Caller:
        token = _parameters(rest).get("authtoken", rest.strip())
        machine = await self.users.find_key(token)
        if machine is not None:
            return Caller(machine.name, Role.named(machine.role))
        account = await self.sessions.find(token)
        if account is None:
            raise HttpFault(401, "the token expired, was closed, or never was: log in", _CHALLENGE)
        return Caller(account.name, Role.named(account.role), token)

    async def _handshake(
        self, scheme: str, parameters: Mapping[str, str], address: str
    ) -> Response:
        handshakes = await self._shaking()
        if scheme == "hello":
            name = decoded_text(_taken(parameters, "username"))
            if "data" not in parameters:
                return _challenge(handshakeToken=handshakes.hello(name), hash=HASH)
            # Some clients say their first message at once; they are also those that want padding.
            message, token = decoded_text(parameters["data"]), handshakes.hello(name, padded=True)
            first = handshakes.first(token, message, await self.users.credentials(name))
            return _challenge(data=encoded(first, padded=True), handshakeToken=token, hash=HASH)
        token = _taken(parameters, "handshaketoken")
        message = decoded_text(_taken(parameters, "data"))
        name, padded = handshakes.told(token)
        credentials = await self.users.credentials(name)
        if message.startswith("c="):
            account = await self.users.find(name)
            # From here to the note of a failure nothing waits, or many tries at once were one.
            pause = self._throttle.pause(name, address)
            if pause:
                raise HttpFault(
                    429,
                    "too many wrong passwords: wait",
                    {"Retry-After": str(math.ceil(pause))},
                )
            proven = handshakes.final(token, message, credentials)
            if proven is None or account is None or account.credentials != credentials:
                self._throttle.failed(name, address)
                raise HttpFault(403, _WRONG)
            self._throttle.succeeded(name, address)
            bearer = await self.sessions.open(name, account.stamp, proven)
            if bearer is None:  # somebody overheard it
                raise HttpFault(403, _WRONG)
            info = f"authToken={bearer}, hash={HASH}, data={encoded(proven.answer, padded=padded)}"
            return Response(headers={"Authentication-Info": info})
        answer = handshakes.first(token, message, credentials)
        return _challenge(data=encoded(answer, padded=padded), handshakeToken=token, hash=HASH)

    async def _shaking(self) -> Handshakes:
        if self._handshakes is None:
            self._handshakes = Handshakes(await self.users.secret())
        return self._handshakes


class Gate:
    """Lets those in whom the door knows; behind it, `scope["state"]["caller"]` says who asks.

    Args:
        app: What answers.
        door: Who may.
        public: Paths for which nobody is asked who they are.
    """

    def __init__(self, app: ASGIApp, door: Door, public: Collection[str] = ()) -> None:
        self._app = app
        self._door = door
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if {name for name, _ in scope["headers"]} >= _LENGTHS:
            # Where the body ends would be for each server on the way to guess (RFC 9112, 6.3).
            fault = HttpFault(400, "Content-Length and Transfer-Encoding: send one of them", _CLOSE)
            await fault_response(fault)(scope, receive, send)
            return
        if scope["path"] in self._public:
            await self._app(scope, receive, send)
            return
        caller: Caller | Response
        try:
            caller = await self._door.caller(scope)
        except HttpFault as fault:
            caller = fault_response(fault)
        except HoldallError as error:
            caller = fault_response(unreadable(error, "who may ask cannot be read now"))
        if isinstance(caller, Caller):
            scope.setdefault("state", {})["caller"] = caller
            if scope["type"] == "http":
                receive, send = staying(self._door, scope, receive, send)
            await self._app(scope, receive, send)
        else:
            await caller(scope, receive, send)


def is_local(scope: Scope) -> bool:
    """Whether a request is one of this machine, as far as it can be seen.

    A proxy that neither names itself nor speaks HTTP/1.0 cannot be told from a client.
    """
    client = scope.get("client")
    if not client or not _is_loopback(client[0]):
        return False
    if any(_FORWARDED.fullmatch(name) for name, _ in scope["headers"]):
        return False
    # Many proxies that tell nothing of themselves speak this.
    if scope.get("http_version") == "1.0":
        return False
    if _header(scope, b"sec-fetch-site") == "cross-site":
        return False
    origin = _header(scope, b"origin")
    if origin and not _is_here(origin.partition("://")[2]):
        return False
    return _is_here(_header(scope, b"host").strip())


def address_of(scope: Scope) -> str:
    """The address that a request came from."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _is_here(host: str) -> bool:
    """Whether a host, with or without a port, names this machine."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower() == "localhost" or _is_loopback(name)


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


def _header(scope: Scope, name: bytes) -> str:
    found = [value for known, value in scope["headers"] if known == name]
    if len(found) > 1:  # what stands between may have gone by the other one
        raise HttpFault(400, f"the header {name.decode()} comes {len(found)} times")
    if not found:
        return ""
    if len(found[0]) > _LONGEST_HEADER:
        raise HttpFault(431, f"the header {name.decode()} is too long")
    text: str = found[0].decode("latin-1")
    return text


def _offered(scope: Scope) -> str:
    """What stands for the header where a browser opens a WebSocket, and can set none."""
    for name in scope.get("subprotocols", ()):
        if name.startswith(_IN_PROTOCOL):
            return f"Bearer {name.removeprefix(_IN_PROTOCOL)}"
    return ""


def _parameters(text: str) -> dict[str, str]:
    """The parameters of a header, which have no quotes here; names in lower case."""
    found = (_PARAMETER.fullmatch(part) for part in text.split(","))
    return {one[1].lower(): one[2] for one in found if one is not None}


def _taken(parameters: Mapping[str, str], name: str) -> str:
    value = parameters.get(name)
    if value is None:
        raise Unauthenticated(f"the header Authorization has no parameter {name}")
    return value


def _challenge(**parameters: str) -> Response:
    # Clients look for a parameter by its place: `data` first, then the token, then the hash.
    text = ", ".join(f"{name}={value}" for name, value in parameters.items())
    return Response(status_code=401, headers={"WWW-Authenticate": f"SCRAM {text}"})


def unreadable(error: HoldallError, what: str) -> HttpFault:
    """What is answered where the store of the accounts fails; the log alone has its address."""
    number = request_id.get()
    LOG.error("the accounts cannot be read", extra={"request": number}, exc_info=error)
    message = f"{what}; the log has more under {number}"
    return HttpFault(503, message, {"Retry-After": "5"})


async def first_admin(users: Users, name: str | None, password: str | None) -> bool:
    """Make the account of the first admin, where a name and a password are given and nobody is yet.

    Returns:
        Whether it was made.
    """
    if not name or not password or await users.exist():
        return False
    try:
        await users.add(name, password, Role.ADMIN)
    except AlreadyExists:  # another process was first
        return False
    return True
