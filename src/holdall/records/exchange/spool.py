"""Rows that are kept in a temporary file until all of them have been seen once.

A table needs its columns first, and the database may not answer the same twice.
"""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

import msgspec

from holdall.records.encoding import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_IN_MEMORY = 8 * 2**20

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Spool:
    """Rows, in a file that nobody else sees and that is gone when it is closed."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # closed by `close`
        self._columns: dict[str, None] = {}

    @property
    def columns(self) -> list[str]:
        """The columns that were seen, in the order of their first row."""
        return [*self._columns]

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a row."""
        self._columns.update(dict.fromkeys(row))
        self._file.write(_encode([[name, to_plain(value)] for name, value in row.items()]))
        self._file.write(b"\n")

    def rows(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Go through the rows, and how many bytes each takes."""
        self._file.seek(0)
        for line in self._file:
            yield {name: from_plain(value) for name, value in _decode(line)}, len(line)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
