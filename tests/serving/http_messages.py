"""HTTP/1.1 on its way through a proxy: heads as they came, bodies in pieces."""

import re
from collections.abc import Iterator
from io import BufferedReader
from typing import NamedTuple

from serving.proxy import PIECE_BYTES

_LINE_BYTES = 64 * 1024


class Head(NamedTuple):
    """The first lines of a request or a reply, as they came and taken apart."""

    raw: bytes
    first: tuple[str, str, str]
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """All values of a header, in small letters; empty when there is none."""
        return ", ".join(value for known, value in self.headers if known.lower() == name).lower()

    @property
    def chunked(self) -> bool:
        return "chunked" in self.get("transfer-encoding")

    @property
    def length(self) -> int | None:
        return int(self.get("content-length")) if self.get("content-length") else None

    def with_host(self, host: str) -> bytes:
        """As it came, but for another `Host`."""
        return re.sub(rb"(?im)^(host:)[^\r\n]*", rb"\1 " + host.encode(), self.raw, count=1)

    def keeps_open(self, version: str) -> bool:
        """Whether the connection may be used again, as far as this side says."""
        said = self.get("connection")
        return "keep-alive" in said if version == "HTTP/1.0" else "close" not in said


def until(body: Iterator[tuple[bytes, int]], size: int) -> Iterator[tuple[bytes, int]]:
    """The first so many bytes of a body that was told this border; the rest is still in it."""
    passed = 0
    while passed < size and (piece := next(body, None)) is not None:
        passed += piece[1]
        yield piece


def read_head(reader: BufferedReader) -> Head | None:
    """Read the first lines; None at the end of the connection.

    Raises:
        ConnectionResetError: It ends in the middle.
    """
    lines = [line := _read_line(reader)]
    if not line:
        return None
    while line.strip():
        lines.append(line := _next_line(reader))
    text = [line.decode("latin-1").rstrip("\r\n") for line in lines]
    first, second, *third = text[0].split(" ", 2)
    pairs = (line.partition(":") for line in text[1:-1])
    headers = tuple((name, value.strip()) for name, _, value in pairs)
    return Head(b"".join(lines), (first, second, third[0] if third else ""), headers)


def pieces(
    reader: BufferedReader, chunked: bool, length: int | None, border: int | None = None
) -> Iterator[tuple[bytes, int]]:
    """Go through a body: what is sent on, and how many bytes of content are in it.

    Args:
        reader: What it comes from.
        chunked: Whether it is framed in chunks.
        length: How many bytes it has otherwise; None when the connection's end is its end.
        border: Where in the content a piece must end.

    Raises:
        ConnectionResetError: It ends too early.
    """
    passed = 0
    line = b""
    while True:
        if chunked:
            line = _next_line(reader)
            length = int(line.partition(b";")[0], 16)
            if not length:
                break
            yield line, 0
        left = length
        while left is None or left > 0:
            most = PIECE_BYTES if left is None else min(PIECE_BYTES, left)
            if border is not None and passed < border:
                most = min(most, border - passed)
            piece = reader.read1(most)
            if not piece:
                if left is None:
                    return
                raise ConnectionResetError
            passed += len(piece)
            left = None if left is None else left - len(piece)
            yield piece, len(piece)
        if not chunked:
            return
        yield _next_line(reader), 0
    # The last chunk, and what may follow it.
    yield line, 0
    while True:
        yield (line := _next_line(reader)), 0
        if not line.strip():
            return


def _next_line(reader: BufferedReader) -> bytes:
    line = _read_line(reader)
    if not line.endswith(b"\n"):
        raise ConnectionResetError
    return line


def _read_line(reader: BufferedReader) -> bytes:
    line = reader.readline(_LINE_BYTES)
    if len(line) == _LINE_BYTES:
        raise ValueError("a line of a head is longer than 64 KiB")
    return line
