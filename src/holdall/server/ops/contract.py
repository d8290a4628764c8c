"""What an operation is, and what it is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from holdall.core.errors import InvalidValue
from holdall.haystack.adapter.taking import plain_id
from holdall.haystack.grid import NO_TAGS, Grid
from holdall.haystack.kinds import Number, Ref
from holdall.server.accounts.roles import Caller, Role
from holdall.server.actions import Action
from holdall.server.answers import Answer, Streamed
from holdall.server.config import ServerConfig
from holdall.server.storage import Storage

if TYPE_CHECKING:
    from holdall.haystack.kinds import Kind


class Call(Struct, frozen=True):
    """One request to an operation.

    Attributes:
        grid: What was sent; for a GET one row of its parameters.
        caller: Who asks.
        storage: The store.
        config: The server's settings.
        actions: Functions that `invokeAction` knows.
        texts: The parameters of a GET as they stand; empty for a POST.
    """

    grid: Grid
    caller: Caller
    storage: Storage
    config: ServerConfig
    actions: Mapping[str, Action]
    texts: Mapping[str, str] = NO_TAGS

    @property
    def row(self) -> Mapping[str, Kind]:
        """The first row; no tags where there is none."""
        return self.grid[0] if len(self.grid) else NO_TAGS

    def text(self, name: str) -> str | None:
        """A text of the row; of a GET all of it, whatever kind it might also be.

        Raises:
            InvalidValue: It is no text.
        """
        value = self.row.get(name)
        if isinstance(value, str):
            return value
        if name in self.texts:
            return self.texts[name]
        if value is None:
            return None
        raise InvalidValue(f"{name} is {value!r}, and it takes a Str")

    def number(self, name: str) -> int | None:
        """A whole number from 0 of the row.

        Raises:
            InvalidValue: It is none.
        """
        value = self.row.get(name)
        if value is None:
            return None
        plain = value.val if isinstance(value, Number) else value
        if isinstance(plain, (int, float)) and not isinstance(plain, bool):
            whole = int(plain) if abs(plain) < 2**53 else -1
            if whole == plain and whole >= 0:
                return whole
        raise InvalidValue(f"{name} is {value!r}, and it takes a whole Number from 0")

    def ids(self) -> list[str]:
        """The ids of the rows, in their order.

        Raises:
            InvalidValue: A row has none.
        """
        found = []
        for at, row in enumerate(self.grid):
            value = row.get("id")
            if not isinstance(value, (Ref, str)):
                raise InvalidValue(f"row {at} has the id {value!r}, and it takes a Ref")
            found.append(plain_id(value))
        return found

    def id(self) -> str:
        """The id of the row.

        Raises:
            InvalidValue: It has none.
        """
        if len(self.grid) != 1:
            raise InvalidValue(f"the request has {len(self.grid)} rows, and it takes one")
        return self.ids()[0]


Function: TypeAlias = Callable[[Call], Awaitable[Answer | Streamed | Grid]]


class Op(Struct, frozen=True):
    """An operation.

    Attributes:
        name: As in its path.
        role: Who may ask.
        function: What it does.
        summary: What it does, for people.
        reads: Whether it has no side effects, so that it may be asked with GET.
    """

    name: str
    role: Role
    function: Function
    summary: str
    reads: bool = False


def ref_of(tags: Mapping[str, Any], name: str, place: str) -> str:
    """The id that a tag holds.

    Raises:
        InvalidValue: It holds none; names the place.
    """
    value = tags.get(name)
    if not isinstance(value, (Ref, str)):
        raise InvalidValue(f"{place} has the {name} {value!r}, and it takes a Ref")
    return plain_id(value)
