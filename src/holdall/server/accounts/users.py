"""Accounts: people with a password, and machines with a key.

All of them are one small document. Changing it is reading it, and writing it where nobody else did
meanwhile; otherwise all over again.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from msgspec import Struct, field

from holdall.core.errors import (
    AlreadyExists,
    Corrupt,
    InvalidValue,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from holdall.server.accounts.places import FilePlace, MemoryPlace
from holdall.server.accounts.roles import Role
from holdall.server.accounts.scram import ITERATIONS, LEAST_ITERATIONS, Credentials
from holdall.server.accounts.tokens import digest, document_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from holdall.server.accounts.places import Loaded, Place

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+\-]{0,63}")
_KEY: Final = "hak_"
_TRIES: Final = 20


class Account(Struct, frozen=True, omit_defaults=True):
    """One account.

    Attributes:
        name: Its name; upper and lower case differ.
        role: `viewer`, `operator` or `admin`.
        stamp: Another one after each change of password or key, which ends its sessions.
        credentials: Of its password; None for a machine.
        key: Digest of a machine's key; None for people.
    """

    name: str
    role: str
    stamp: str
    credentials: Credentials | None = None
    key: str | None = None

    @property
    def is_machine(self) -> bool:
        """Whether it has a key in place of a password."""
        return self.key is not None


class _Document(Struct, omit_defaults=True):
    secret: str = ""
    accounts: dict[str, Account] = field(default_factory=dict)


class Users:
    """The accounts at a place.

    Args:
        place: Where they are kept; in memory unless given.
        iterations: How often a password is hashed, the same for all of a server.
        fresh: For how many seconds what was read counts, so that not every request reads; an
            account that another process made is seen that much later. One that went is seen gone
            at once.
    """

    def __init__(
        self, place: Place | None = None, *, iterations: int = ITERATIONS, fresh: float = 2.0
    ) -> None:
        if type(iterations) is not int or iterations < LEAST_ITERATIONS:
            raise InvalidValue(f"iterations is {iterations!r}: it takes {LEAST_ITERATIONS} or more")
        self._place = MemoryPlace() if place is None else place
        self._iterations = iterations
        self._fresh = fresh
        self._known: tuple[float, _Document] | None = None
        self._version = ""
        self._keys: dict[str, Account] = {}

    @classmethod
    def in_file(cls, path: str | os.PathLike[str], *, iterations: int = ITERATIONS) -> Users:
        """The accounts in a file, which is made by the first of them."""
        return cls(FilePlace(path), iterations=iterations)

    @property
    def address(self) -> str:
        """Where they are, for messages."""
        return self._place.address

    async def secret(self) -> bytes:
        """What the server signs with; made when it is first asked for."""
        document = await self._read()
        if not document.secret:

            def make(one: _Document) -> None:
                one.secret = one.secret or secrets.token_hex(32)

            await self._change(make)
            document = await self._read()
        return bytes.fromhex(document.secret)

    async def all(self) -> list[Account]:
        """Every account, by name."""
        return sorted((await self._read()).accounts.values(), key=lambda one: one.name)

    async def exist(self) -> bool:
        """Whether there is any account."""
        return bool((await self._read()).accounts)

    async def find(self, name: str) -> Account | None:
        """The account of a name; None where there is none."""
        return (await self._read()).accounts.get(name)

    async def find_key(self, key: str) -> Account | None:
        """The machine that has a key; None where there is none, or where it was just removed."""
        if not key.startswith(_KEY):
            return None
        await self._read()
        if digest(key) not in self._keys:
            return None
        self._take(*await self._place.load())
        return self._keys.get(digest(key))

    def beside(self, name: str) -> Place:
        """A document that lies beside the accounts."""
        return self._place.beside(name)

    async def find_with(self, name: str, other: Place) -> tuple[Account | None, Loaded]:
        """The account of a name as it is at this moment, and a document that lies beside."""
        mine, theirs = await self._place.load_with(other)
        return self._take(*mine).accounts.get(name), theirs

    async def credentials(self, name: str) -> Credentials:
        """What a password is checked with; for a name that nobody has, what nothing fits."""
        secret, account = await self.secret(), await self.find(name)
        unknown = Credentials.unknown(name, secret, iterations=await self._commonest())
        known = None if account is None else account.credentials
        return unknown if known is None else known

    async def add(self, name: str, password: str, role: Role | str = Role.VIEWER) -> Account:
        """Make an account with a password.

        Raises:
            AlreadyExists: There is one of this name.
            InvalidValue: The name, password or role is none.
        """
        made = await self._made(name, role, password)
        await self._change(lambda document: _add(document, made))
        return made

    async def add_machine(self, name: str, role: Role | str = Role.VIEWER) -> str:
        """Make an account for a machine; answers its key, which nobody can be told again.

        Raises:
            AlreadyExists, InvalidValue: As `add`.
        """
        key = _KEY + secrets.token_hex(32)
        made = Account(_checked(name), str(_role(role)), secrets.token_hex(8), key=digest(key))
        await self._change(lambda document: _add(document, made))
        return key

    async def change_password(self, name: str, password: str) -> None:
        """Give an account another password, which ends its sessions.

        Raises:
            NotFound: There is no such account.
            InvalidValue: The password is none, or the account is a machine's.
        """
        account = await self.find(_checked(name))
        if account is not None and account.is_machine:
            raise InvalidValue(f"{name} is a machine: remove it and add it anew for another key")
        made = await self._made(name, "viewer", password)

        def change(document: _Document) -> None:
            known = _found(document, name)
            document.accounts[name] = msgspec.structs.replace(made, role=known.role)

        await self._change(change)

    async def remove(self, name: str) -> None:
        """Take an account away, which ends its sessions.

        Raises:
            NotFound: There is no such account.
        """

        def change(document: _Document) -> None:
            _found(document, name)
            del document.accounts[name]

        await self._change(change)
        # They count no more, with or without this.
        left = self.beside(document_of(name))
        raw, version = await left.load()
        if raw is not None:
            with suppress(PreconditionFailed):
                await left.save(None, version)

    async def _commonest(self) -> int:
        """How often most passwords were hashed: another number would tell who is not there."""
        accounts = (await self._read()).accounts.values()
        found = Counter(one.credentials.iterations for one in accounts if one.credentials)
        return found.most_common(1)[0][0] if found else self._iterations

    async def _made(self, name: str, role: Role | str, password: str) -> Account:
        checked, known = _checked(name), str(_role(role))
        # Hashing is meant to take long.
        credentials = await asyncio.to_thread(
            lambda: Credentials.of(password, iterations=self._iterations)
        )
        return Account(checked, known, secrets.token_hex(8), credentials=credentials)

    async def _read(self) -> _Document:
        now = time.monotonic()
        if self._known is not None and now < self._known[0]:
            return self._known[1]
        return self._take(*await self._place.load())

    def _take(self, raw: bytes | None, version: str) -> _Document:
        """Know what was loaded; it is decoded where it is another one than before."""
        if self._known is not None and version and version == self._version:
            document = self._known[1]
        else:
            document = _decoded(raw, self._place.address)
        self._known = time.monotonic() + self._fresh, document
        self._version = version
        self._keys = {one.key: one for one in document.accounts.values() if one.key is not None}
        return document

    async def _change(self, change: Callable[[_Document], T]) -> T:
        for _ in range(_TRIES):
            raw, version = await self._place.load()
            document = _decoded(raw, self._place.address)
            answer = change(document)
            changed = msgspec.json.encode(document)
            try:
                await self._place.save(changed, version)
            except PreconditionFailed:
                continue
            self._take(changed, "")  # which version it has now, only reading tells
            return answer
        raise Unavailable(f"{self._place.address}: others change the accounts all the time")


def _decoded(raw: bytes | None, address: str) -> _Document:
    if raw is None:
        return _Document()
    try:
        return msgspec.json.decode(raw, type=_Document)
    except msgspec.DecodeError as error:
        raise Corrupt(f"the accounts in {address} cannot be read: {error}") from error


def _add(document: _Document, account: Account) -> None:
    if account.name in document.accounts:
        raise AlreadyExists(f"there is a user {account.name} already", reference=account.name)
    document.accounts[account.name] = account


def _found(document: _Document, name: str) -> Account:
    account = document.accounts.get(name)
    if account is None:
        raise NotFound(f"there is no user {name}", reference=name)
    return account


def _checked(name: object) -> str:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidValue(
            f"{name!r} is no name of a user: it takes at most 64 ASCII letters, digits and "
            "'.', '_', '@', '+', '-', and begins with a letter or digit"
        )
    return name


def _role(role: Role | str) -> Role:
    return role if isinstance(role, Role) else Role.named(role)
