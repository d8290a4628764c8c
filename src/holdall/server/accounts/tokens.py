"""Sessions: bearer tokens that were given out, until they expire or are closed.

The sessions of a user are a document beside the accounts. Every process that sees the accounts
sees them, also after it started anew, and each request with a token looks there: what one of them
ended is over in all of them with the next request. A document has digests of tokens, and no token.

A token is random, signed, and says whose it is. So what nobody gave out is told from what was
without asking the store.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct, field

from holdall.core.errors import Corrupt, LimitExceeded, PreconditionFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.server.accounts.handshake import Proven
    from holdall.server.accounts.places import Loaded, Place
    from holdall.server.accounts.users import Account, Users

MOST_OF_A_USER: Final = 100
"""Sessions of one user at a time; one more ends the oldest of that user, and nobody else's."""
MOST_LOGINS: Final = 1_000
"""Logins of one user in a minute, all of which are remembered, so that none counts twice."""
_RANDOM_HEX: Final = 64
_MAC_HEX: Final = 64
_TRIES: Final = 50


class Session(Struct, frozen=True, array_like=True):
    """A session.

    Attributes:
        stamp: Of the account when it began; another one ends it: the password changed.
        until: When it expires, in seconds since 1970.
    """

    stamp: str
    until: float


class _Document(Struct, omit_defaults=True):
    """The sessions of a user by the digest of their token, the oldest first.

    Attributes:
        sessions: As said.
        used: Handshakes that opened one, and until when somebody might try to end them again.
    """

    sessions: dict[str, Session] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)


class _Kept:
    """Where the sessions of a user are, and what was last read there."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.changing = asyncio.Lock()  # many logins at once need not go wrong one by one
        self._known: tuple[str, _Document] | None = None

    def document(self, loaded: Loaded) -> _Document:
        raw, version = loaded
        if raw is None:
            return _Document()
        if self._known is None or self._known[0] != version:
            try:
                self._known = version, msgspec.json.decode(raw, type=_Document)
            except msgspec.DecodeError as error:
                raise Corrupt(
                    f"the sessions in {self.place.address} cannot be read: {error}"
                ) from error
        return self._known[1]


class Sessions:
    """The sessions of a server, and of all that have its accounts.

    Args:
        users: The accounts.
        lifetime: Of a session, in seconds.
    """

    def __init__(self, users: Users, lifetime: float) -> None:
        self._users = users
        self._lifetime = lifetime
        self._kept: dict[str, _Kept] = {}

    async def open(self, name: str, stamp: str, proven: Proven) -> str | None:
        """Begin a session; answers its token, and None where the handshake opened one already.

        Raises:
            LimitExceeded: The user logs in all the time.
        """
        token = secrets.token_hex(_RANDOM_HEX // 2)
        token += await self._mac(token, name) + name.encode().hex()
        now = time.time()

        def begin(document: _Document) -> bool:
            known, used = document.sessions, document.used
            for old in [one for one, session in known.items() if session.until <= now]:
                del known[old]
            for old in [one for one, until in used.items() if until < now]:
                del used[old]
            if proven.id in used:
                return False
            if len(used) >= MOST_LOGINS:
                raise LimitExceeded(f"{name} logged in {MOST_LOGINS:,} times in a minute: wait")
            while len(known) >= MOST_OF_A_USER:
                del known[next(iter(known))]
            known[digest(token)] = Session(stamp, now + self._lifetime)
            used[proven.id] = proven.until
            return True

        return token if await self._change(name, begin) else None

    async def find(self, token: str) -> Account | None:
        """Whose session a token is of, as of now; None where there is none any more."""
        name = await self._name(token)
        if name is None:
            return None
        kept = self._of(name)
        account, loaded = await self._users.find_with(name, kept.place)
        session = kept.document(loaded).sessions.get(digest(token))
        if session is None or account is None or session.until <= time.time():
            return None
        return account if hmac.compare_digest(account.stamp, session.stamp) else None

    async def close(self, token: str) -> None:
        """End the session of a token, where there is one."""
        name = await self._name(token)
        if name is not None:
            await self._change(
                name, lambda document: document.sessions.pop(digest(token), None) is not None
            )

    async def _change(self, name: str, change: Callable[[_Document], bool]) -> bool:
        """Change the sessions of a user, where there is something to change."""
        kept = self._of(name)
        async with kept.changing:
            for _ in range(_TRIES):
                loaded = await kept.place.load()
                known = kept.document(loaded)
                document = _Document(dict(known.sessions), dict(known.used))
                if not change(document):
                    return False
                try:
                    await kept.place.save(msgspec.json.encode(document), loaded[1])
                except PreconditionFailed:
                    continue
                return True
        raise Unavailable(f"{kept.place.address}: others change the sessions all the time")

    def _of(self, name: str) -> _Kept:
        kept = self._kept.get(name)
        if kept is None:
            kept = self._kept[name] = _Kept(self._users.beside(document_of(name)))
        return kept

    async def _name(self, token: str) -> str | None:
        """Whose a token is that was given out once; None where none was."""
        random, mac = token[:_RANDOM_HEX], token[_RANDOM_HEX : _RANDOM_HEX + _MAC_HEX]
        try:
            name = bytes.fromhex(token[_RANDOM_HEX + _MAC_HEX :]).decode()
        except ValueError:
            return None
        expected = await self._mac(random, name)
        return name if hmac.compare_digest(mac.encode(), expected.encode()) else None

    async def _mac(self, random: str, name: str) -> str:
        body = b"session\0" + f"{random},{name}".encode("utf-8", "surrogatepass")
        return hmac.new(await self._users.secret(), body, "sha256").hexdigest()


def document_of(name: str) -> str:
    """The name of the document with the sessions of a user, which are files somewhere."""
    return f"sessions-{name.encode().hex()}"


def digest(token: str) -> str:
    """What is kept of a token or key, which are random and long: nobody guesses one from it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
