"""Paths whose rest is a name: what may stand in it, and how it is decoded."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor

from holdall.server.errors import HttpFault

_NO_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
REST: Final = "everything"
"""The kind of path parameter that takes the rest of a path, with line breaks."""


class _Everything(Convertor[str]):
    # The `path` of starlette ends at a line break, and what stands before it would be the key.
    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor(REST, _Everything())


def decoded(raw: bytes, what: str) -> str:
    """A text that is percent-encoded UTF-8.

    Args:
        raw: It, as it came.
        what: What it is called.

    Raises:
        HttpFault: 400: a `%` begins nothing, or its bytes are no UTF-8.
    """
    if _NO_ESCAPE.search(raw):
        raise HttpFault(400, f"{what} has a '%' without two digits behind it: '%' is written %25")
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise HttpFault(400, f"{what} is not UTF-8, percent-encoded") from error
