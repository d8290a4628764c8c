"""Sessions: bearer tokens that were given out, until they expire or are closed.

They live in this process, and none outlives it: clients log in again. Only a token's digest is
kept, by which it is found.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from typing import Final

from msgspec import Struct

MOST_OF_A_USER: Final = 100
"""Sessions of one user at a time; one more ends the oldest of that user, and nobody else's."""


class Session(Struct, frozen=True):
    """A session.

    Attributes:
        name: Whose.
        stamp: Of the account when it began; another one ends it: the password changed.
        until: When it expires, by `time.monotonic`.
    """

    name: str
    stamp: str
    until: float


class Sessions:
    """The sessions of a server.

    Args:
        lifetime: Of a session, in seconds.
    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._sessions: dict[str, Session] = {}
        self._of: dict[str, OrderedDict[str, None]] = {}

    def open(self, name: str, stamp: str) -> str:
        """Begin a session; answers its token."""
        token = secrets.token_hex(32)
        mine = self._of.setdefault(name, OrderedDict())
        for old in list(mine):
            if len(mine) >= MOST_OF_A_USER or self._sessions[old].until <= time.monotonic():
                self._end(old)
        self._of[name] = mine
        key = digest(token)
        self._sessions[key] = Session(name, stamp, time.monotonic() + self._lifetime)
        mine[key] = None
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token; None where there is none any more."""
        key = digest(token)
        session = self._sessions.get(key)
        if session is not None and session.until <= time.monotonic():
            self._end(key)
            return None
        return session

    def close(self, token: str) -> None:
        """End the session of a token, where there is one."""
        self._end(digest(token))

    def _end(self, key: str) -> None:
        session = self._sessions.pop(key, None)
        if session is not None:
            mine = self._of[session.name]
            mine.pop(key, None)
            if not mine:
                del self._of[session.name]

    def __len__(self) -> int:
        return len(self._sessions)


def digest(token: str) -> str:
    """What is kept of a token or key, which are random and long: nobody guesses one from it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
