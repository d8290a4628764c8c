"""The handshake of the standard (chapter Auth): HELLO, SCRAM twice, then a bearer token.

Nothing is kept between its steps: the handshake token is signed, says whom it was given to and
until when it counts, and the server's nonce follows from it and the client's. So however many
begin one, nobody is locked out. That one that went well opens no second session to whoever
overheard it is the business of `Sessions`, which is told its id.
"""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Final

import msgspec
from msgspec import Struct

from holdall.core.errors import Unauthenticated
from holdall.server.accounts.scram import (
    ClientFinal,
    ClientFirst,
    Credentials,
    server_final,
    server_first,
)

_LIFETIME: Final = 60.0
_LONGEST_NAME: Final = 256
_MAC_HEX: Final = 64
_NONCE_HEX: Final = 32


class _Ticket(Struct, array_like=True, frozen=True):
    name: str
    until: float
    id: str
    padded: bool = False


class Proven(Struct, frozen=True):
    """A handshake that went well.

    Attributes:
        answer: The server's last message.
        id: Of the handshake, which counts once.
        until: When nobody can end this handshake any more, in seconds since 1970.
    """

    answer: str
    id: str
    until: float


class Handshakes:
    """Handshakes of one server.

    Args:
        secret: With which tokens are signed; any server that has it reads them.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def hello(self, name: str, *, padded: bool = False) -> str:
        """Begin a handshake; answers its token, hexadecimal.

        Args:
            name: Who the client says it is.
            padded: Whether the client wants its base64 padded, against the standard.

        Raises:
            Unauthenticated: The name is longer than any.
        """
        if len(name) > _LONGEST_NAME:
            raise Unauthenticated(f"a name has at most {_LONGEST_NAME} characters")
        ticket = _Ticket(name, time.time() + _LIFETIME, secrets.token_hex(8), padded)
        body = msgspec.json.encode(ticket)
        return body.hex() + self._mac(b"ticket", body)

    def told(self, token: str) -> tuple[str, bool]:
        """Whom a token was given to, and whether that client wants its base64 padded.

        Raises:
            Unauthenticated: It is none of ours, or its time is over.
        """
        ticket = self._ticket(token)
        return ticket.name, ticket.padded

    def first(self, token: str, message: str, credentials: Credentials) -> str:
        """Answer a client's first message.

        Raises:
            Unauthenticated: The token does not count, or the message is none for it.
        """
        ticket, first = self._ticket(token), ClientFirst.read(message)
        if not first.is_of(ticket.name):
            raise Unauthenticated("SCRAM names another user than HELLO did: begin with HELLO")
        return server_first(first.nonce + self._nonce(token, first.nonce), credentials)

    def final(self, token: str, message: str, credentials: Credentials) -> Proven | None:
        """Answer a client's last message; None where it proves nothing.

        Raises:
            Unauthenticated: The token does not count, or the message is none.
        """
        ticket, final = self._ticket(token), ClientFinal.read(message)
        client = final.nonce[:-_NONCE_HEX]
        known = hmac.compare_digest(
            final.nonce[-_NONCE_HEX:].encode(), self._nonce(token, client).encode()
        )
        answer = server_final(ticket.name, client, final, credentials)
        return Proven(answer, ticket.id, ticket.until) if known and answer is not None else None

    def _ticket(self, token: str) -> _Ticket:
        try:
            body, mac = bytes.fromhex(token[:-_MAC_HEX]), token[-_MAC_HEX:].lower()
        except ValueError:
            body, mac = b"", ""
        if not hmac.compare_digest(mac.encode(), self._mac(b"ticket", body).encode()):
            raise Unauthenticated("the handshakeToken is none of this server: begin with HELLO")
        ticket = msgspec.json.decode(body, type=_Ticket)
        if ticket.until < time.time():
            raise Unauthenticated("the handshake took longer than a minute: begin with HELLO")
        return ticket

    def _nonce(self, token: str, client: str) -> str:
        return self._mac(b"nonce", f"{token.lower()},{client}".encode())[:_NONCE_HEX]

    def _mac(self, use: bytes, body: bytes) -> str:
        return hmac.new(self._secret, use + b"\0" + body, "sha256").hexdigest()
