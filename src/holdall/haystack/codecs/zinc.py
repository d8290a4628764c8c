"""Zinc, the text format of the standard for grids: reads versions 2.0 and 3.0, writes 3.0."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from holdall.haystack.codecs.contract import NO_LIMITS, Codec, Head, Limits
from holdall.haystack.codecs.zinc_blocks import write_rows
from holdall.haystack.codecs.zinc_reading import Reader
from holdall.haystack.codecs.zinc_texts import GridText
from holdall.haystack.codecs.zinc_writing import write_head, write_value
from holdall.haystack.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from holdall.haystack.kinds import Kind

__all__ = ["ZINC", "Zinc", "read_value", "write_value"]


def read_value(text: str, *, line: int = 1, column: int = 1, limits: Limits = NO_LIMITS) -> Any:
    """Read a text that is one value of any kind, lists, dicts and grids included.

    Args:
        text: The value, which may stand between spaces and empty lines.
        line: The line in which the text begins, for errors.
        column: The column in which it begins.
        limits: What it may hold; its size is not looked at.

    Raises:
        CodecError: It is no value.
    """
    return Reader(text, limits, line=line, column=column).single()


class Zinc(Codec):
    """Grids in Zinc.

    A grid without columns is written with the column `empty`, because the format has no grid
    without one; every other grid is read back as it was.
    """

    name = "zinc"
    media_type = "text/zinc"
    suffix = ".zinc"

    def decode(self, data: bytes, *, limits: Limits = NO_LIMITS) -> Grid:
        text = GridText([data], limits)
        return Grid.of_checked(text.meta, text.cols, chain.from_iterable(text.blocks()))

    def decode_rows(
        self, pieces: Iterable[bytes], *, limits: Limits = NO_LIMITS
    ) -> tuple[Head, Iterator[dict[str, Any]]]:
        text = GridText(pieces, limits)
        return Head(text.meta, tuple(text.cols)), chain.from_iterable(text.blocks())

    def encode(self, grid: Grid) -> bytes:
        return b"".join(self.encode_rows(Head(grid.meta, grid.cols), grid.rows))

    def encode_rows(self, head: Head, rows: Iterable[Mapping[str, Kind]]) -> Iterator[bytes]:
        yield write_head(head.meta, head.cols).encode()
        yield from write_rows(tuple(col.name for col in head.cols), rows)


ZINC: Final = Zinc()
"""The codec of `text/zinc`."""
