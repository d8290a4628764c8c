"""The database that both stores are kept in: its connections, and the making of its tables.

Whoever asks writes *steps* (`records.backends.postgres.steps`): a generator that yields `Ask`,
`Copy` or `Mark`, is sent a `Reply` for each, and returns its answer. `ask` is for steps
that change nothing, `change` for those that do; steps between `Mark.BEGIN` and `Mark.END` are one
transaction, and those between `Mark.SNAPSHOT` and `Mark.END` see the database as of one moment.

Each store adds its tables as a `Part` (`schema_entities.PART`, `schema_histories.PART`):

    name      under which `hs_parts` keeps the format that was made
    format    counts up from 1 when its tables change
    make      steps `make(place, former)`, which bring the tables from the format `former` (0: they
              may not be there, or as the seed has them) to `format`. They run within a transaction
              that holds the advisory lock of the schema, so that nobody else makes them meanwhile;
              they yield no `Mark`
    follow    steps `follow(place)`, done each time a store connects, after all parts are made and
              outside of a transaction: for settings that may be others than last time

A `Place` says where: `place.table("history")` is the quoted name with the schema for statements,
`place.schema` the bare one, and `place.settings` are there, too.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, final

from msgspec import Struct

from holdall.core.errors import InvalidConfig, Unavailable, Unsupported
from holdall.haystack.stores.postgres.settings import (
    PostgresHaystackSettings,
    connection_settings,
)
from holdall.records.backends.postgres.server import Server
from holdall.records.backends.postgres.steps import Ask, Mark
from holdall.records.backends.postgres.table import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.core.runtime import Runtime
    from holdall.records.backends.postgres.steps import Steps

T = TypeVar("T")

_OLDEST: Final = 120_000
# In this order: histories may lean on the entities, never the other way round.
_PARTS: Final = (
    "holdall.haystack.stores.postgres.schema_entities",
    "holdall.haystack.stores.postgres.schema_histories",
)
_LOOK: Final = """
SELECT current_setting('server_encoding'), current_setting('server_version_num')::int,
    to_regnamespace($1::text) IS NOT NULL,
    -- To look into a catalog is what makes the server see what others made during this transaction.
    EXISTS (SELECT FROM pg_class WHERE oid = to_regclass($2::text))
"""


class Place(Struct, frozen=True):
    """Where the tables are.

    Args:
        settings: What the stores were opened with.
    """

    settings: PostgresHaystackSettings

    @property
    def schema(self) -> str:
        """The schema, as it is called."""
        return self.settings.schema

    def table(self, name: str) -> str:
        """A table, an index or a function of the schema as statements name it."""
        return f"{quoted(self.settings.schema)}.{quoted(name)}"


def nothing_to_follow(_: Place) -> Steps[None]:
    """What `Part.follow` is where no setting changes the tables."""
    yield from ()


Make: TypeAlias = "Callable[[Place, int], Steps[None]]"
Follow: TypeAlias = "Callable[[Place], Steps[None]]"


class Part(Struct, frozen=True):
    """The tables of one store; see the module.

    Args:
        name: Under which its format is kept.
        format: Of its tables as they are made now.
        make: Makes them, or brings them up to this format.
        follow: What is done each time a store connects.
    """

    name: str
    format: int
    make: Make
    follow: Follow = nothing_to_follow


@final
class PostgresDatabase:
    """A database, for one store or for two that share it.

    Args:
        settings: Which, and how it is reached.
        runtime: How to wait.

    Raises:
        InvalidConfig: A setting cannot be, or the driver is not installed.
    """

    def __init__(self, settings: PostgresHaystackSettings, runtime: Runtime) -> None:
        self.place = Place(settings)
        self._tables = _Tables(self.place)
        self._server = Server(connection_settings(settings), runtime, self._tables)
        self._users: set[object] = set()
        self._left: set[object] = set()

    @property
    def address(self) -> str:
        """Where it is, as text without secrets, for messages."""
        return self._server.address

    async def enter(self, user: object) -> None:
        """Connect, for a store that may use it from now on, again or for the first time.

        Raises:
            HoldallError: It cannot be reached, or its tables are something else.
        """
        self._users.add(user)
        self._left.discard(user)
        await self._server.ask(self._tables.followed())

    async def leave(self, user: object) -> None:
        """Let go of the connections, when no other store uses them."""
        self._users.discard(user)
        self._left.add(user)
        if not self._users:
            await self._server.close()

    async def ask(self, user: object, steps: Steps[T]) -> T:
        """Do steps that change nothing."""
        self._check(user)
        return await self._server.ask(steps)

    async def change(self, user: object, make: Callable[[int], Steps[T]]) -> T:
        """Do steps as a whole or not at all, again when somebody else was faster.

        Args:
            user: The store.
            make: Makes them, given how often that was tried before.
        """
        self._check(user)
        return await self._server.change(make)

    async def change_much(self, user: object, make: Callable[[int], Steps[T]]) -> T:
        """As `change`, in a thread where there is a loop, for steps that compute for long.

        The connections of these threads are not those of the loop, and at most as many.
        """
        self._check(user)
        return await self._server.apart(make)

    def _check(self, user: object) -> None:
        if user in self._left:
            raise Unavailable(f"{self.address} was closed", transient=False)
        self._users.add(user)


@final
class _Tables:
    """The tables of all parts."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._formats = place.table("hs_parts")

    def made(self) -> Steps[None]:
        """Look at the tables, and make or bring up to date what is not.

        Raises:
            InvalidConfig: There is no such schema, or a table is another one's.
            Unsupported: The server is too old or keeps no UTF-8, or a later version made them.
        """
        parts = _parts()
        if not (yield from self._behind(parts)):
            return
        lock = hashlib.blake2b(self._formats.encode(), digest_size=8).digest()
        yield Mark.BEGIN
        # Who does the same at this moment waits here, and then finds it done.
        yield Ask("SELECT pg_advisory_xact_lock($1::bigint)", (int.from_bytes(lock, signed=True),))
        for part, former in (yield from self._behind(parts)):
            yield Ask(
                f"CREATE TABLE IF NOT EXISTS {self._formats} "
                "(name text PRIMARY KEY, format int NOT NULL)"
            )
            yield from part.make(self._place, former)
            yield Ask(
                f"INSERT INTO {self._formats} VALUES ($1::text, $2::int) "  # noqa: S608 - ours
                "ON CONFLICT (name) DO UPDATE SET format = excluded.format",
                (part.name, part.format),
            )
        yield Mark.END

    def followed(self) -> Steps[None]:
        """What is done each time a store connects."""
        for part in _parts():
            yield from part.follow(self._place)

    def _behind(self, parts: list[Part]) -> Steps[list[tuple[Part, int]]]:
        """The parts that are not made or of a former format, and of which one."""
        reply = yield Ask(_LOOK, (quoted(self._place.schema), self._formats))
        encoding, version, schema, there = reply.rows[0]
        if version < _OLDEST:
            raise Unsupported("the server is older than PostgreSQL 12, which is needed")
        if encoding != "UTF8":
            raise Unsupported(f"the database keeps text as {encoding}, and UTF8 is needed")
        if not schema:
            raise InvalidConfig(
                f"there is no schema {self._place.schema!r}, or this user may not use it: make it "
                "with CREATE SCHEMA, or name another one in the setting 'schema'"
            )
        known: dict[str, int] = {}
        if there:
            reply = yield Ask(f"SELECT name, format FROM {self._formats}")  # noqa: S608 - ours
            known = dict(reply.rows)
        for part in parts:
            if known.get(part.name, 0) > part.format:
                raise Unsupported(
                    f"the tables of {part.name} are of format {known[part.name]}, and this version "
                    f"of Holdall knows format {part.format}: use a later version"
                )
        return [
            (part, known.get(part.name, 0))
            for part in parts
            if known.get(part.name, 0) < part.format
        ]


def _parts() -> list[Part]:
    return [import_module(name).PART for name in _PARTS]
