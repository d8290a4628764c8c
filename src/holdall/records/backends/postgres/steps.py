"""What a database is asked, one step after another, for connections of either kind.

Whoever asks is a generator: it yields a step, is sent what came of it, and returns its answer. So
it is written once, and no step of it knows how a connection waits.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from enum import Enum
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct


class Ask(Struct, frozen=True):
    """A statement.

    Args:
        sql: The statement, with `$1` and so on for its parameters.
        values: The parameters.
        binary: Whether the answer comes in its binary form, which is quicker for long bytes.
    """

    sql: str
    values: Sequence[Any] = ()
    binary: bool = False


class Copy(Struct, frozen=True):
    """Rows that go into a table in one stream.

    Args:
        sql: The statement `COPY … FROM STDIN`.
        blocks: The rows, as the statement names their form; made while they are sent.
    """

    sql: str
    blocks: Iterable[bytes]


class Reply(Struct, frozen=True):
    """What came of a step.

    Args:
        rows: The rows of its answer.
        number: How many rows it changed.
    """

    rows: Sequence[tuple[Any, ...]]
    number: int


class Mark(Enum):
    """A step that holds others together."""

    BEGIN = "begin"
    """What follows counts as a whole, or not at all: when a step fails, or whoever asks raises."""

    SNAPSHOT = "snapshot"
    """What follows changes nothing, and sees the database as it is at this moment."""

    END = "end"
    """It counts; within a transaction, as far as that does."""


T = TypeVar("T")
Step: TypeAlias = Ask | Copy | Mark
Steps: TypeAlias = Generator[Step, Reply, T]


class Again(Exception):
    """Somebody else was faster: do it again from the start."""
