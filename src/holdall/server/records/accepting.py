"""Which of two ways to answer a request wants: JSON, or JSON Lines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holdall.server.errors import HttpFault
from holdall.server.records.reading import JSON, LINES

if TYPE_CHECKING:
    from starlette.requests import Request


def wants_lines(request: Request) -> bool:
    """Whether a request wants JSON Lines, by its header `Accept` (RFC 9110, 12.5.1).

    They are sent to who names them, and JSON to everybody else.

    Raises:
        HttpFault: 406 where it wants neither.
    """
    ranges: dict[str, float] = {}
    for element in ",".join(request.headers.getlist("accept")).split(","):
        kind, *rest = [part.strip().lower() for part in element.split(";")]
        if kind:
            ranges.setdefault(kind, _quality(rest))
    if not ranges:
        return False
    wild = ranges.get("application/*", ranges.get("*/*", 0.0))
    plain, lines = ranges.get(JSON, wild), ranges.get(LINES, 0.0)
    if not plain and not lines:
        raise HttpFault(406, f"nothing that Accept asks for is sent: there are {JSON}, {LINES}")
    return lines > plain or (lines == plain and JSON not in ranges)


def _quality(parameters: list[str]) -> float:
    for one in parameters:
        name, _, value = one.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                return 0.0
            return min(max(quality, 0.0), 1.0) if math.isfinite(quality) else 0.0
    return 1.0
