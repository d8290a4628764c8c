"""What somebody may do: each role may do all that those before it may."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from holdall.core.errors import InvalidValue

if TYPE_CHECKING:
    from typing import Self


class Role(IntEnum):
    """What somebody may do.

    Attributes:
        VIEWER: Read, and watch.
        OPERATOR: Write histories, command points, invoke actions.
        ADMIN: Load entities.
    """

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @classmethod
    def named(cls, name: object) -> Self:
        """Answer the role of a name: `viewer`, `operator`, `admin`.

        Raises:
            InvalidValue: There is none; names those that there are.
        """
        found = cls.__members__.get(name.upper()) if isinstance(name, str) else None
        if found is None:
            known = ", ".join(str(role) for role in cls)
            raise InvalidValue(f"there is no role {name!r}: there are {known}")
        return found

    def __str__(self) -> str:
        return self.name.lower()


class Caller(Struct, frozen=True):
    """Whoever sent a request.

    Attributes:
        name: Of the account.
        role: What they may do.
        session: The session of the bearer token, which `close` ends; empty for a machine's key and
            for callers from this machine where there are no accounts.
    """

    name: str
    role: Role
    session: str = ""
