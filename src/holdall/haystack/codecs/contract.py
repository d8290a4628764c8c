"""What every codec is: one signature for all formats.

    grid = ZINC.decode(data)
    data = ZINC.encode(grid)

    with open("history.zinc", "rb") as file:
        head, rows = ZINC.decode_rows(iter(lambda: file.read(65536), b""))
        for row in rows: ...

Every piece of bytes is either decoded or refused with a `CodecError` that names line, column and
what was expected; nothing else is ever raised. `Limits` keep hostile input from taking memory or
stack.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from holdall.haystack.grid import NO_TAGS, Col
from holdall.haystack.kinds import MAX_DEPTH, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdall.haystack.grid import Grid


class Limits(Struct, frozen=True):
    """How much a text may hold before it is refused; 0 is no limit.

    Attributes:
        depth: Lists, dicts and grids in one another.
        size: Bytes of the whole text.
        columns: Columns of one grid.
        rows: Rows of one grid, nested ones too.
    """

    depth: int = MAX_DEPTH
    size: int = 0
    columns: int = 10_000
    rows: int = 0


NO_LIMITS: Final = Limits()


class Head(Struct, frozen=True):
    """What stands before the rows of a grid: tags about it, and its columns."""

    meta: Mapping[str, Kind] = NO_TAGS
    cols: Sequence[Col] = ()


class Codec(ABC):
    """One text format.

    Attributes:
        name: `zinc`, `json`, `json3`, `trio`, `csv`.
        media_type: Its media type, for `Content-Type`.
        suffix: How its files end, with the dot.
        lossless: Whether every grid is read back as it was written.
    """

    name: str
    media_type: str
    suffix: str
    lossless: bool = True

    @abstractmethod
    def encode(self, grid: Grid) -> bytes:
        """Write a grid, in UTF-8.

        Raises:
            CodecError: The format cannot carry a value of it; says which.
        """

    @abstractmethod
    def decode(self, data: bytes, *, limits: Limits = NO_LIMITS) -> Grid:
        """Read a grid.

        Raises:
            CodecError: These bytes are not of this format, or go beyond a limit; says where.
        """

    @abstractmethod
    def encode_rows(self, head: Head, rows: Iterable[Mapping[str, Kind]]) -> Iterator[bytes]:
        """Write a grid piece by piece, holding a piece at a time.

        Raises:
            CodecError: As `encode`, when that piece is asked for.
        """

    @abstractmethod
    def decode_rows(
        self, pieces: Iterable[bytes], *, limits: Limits = NO_LIMITS
    ) -> tuple[Head, Iterator[dict[str, Any]]]:
        """Read a grid piece by piece: what stands before its rows, and then each row.

        A format that does not begin with its columns (Trio, and JSON where `rows` come first)
        answers a head without those.

        Raises:
            CodecError: As `decode`, when the reader comes to the place.
        """

    def __repr__(self) -> str:
        return f"<Codec {self.name}>"
