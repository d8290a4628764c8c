"""What the server says of itself: about, ops, formats, filetypes, defs, libs; and close."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdall.haystack.codecs.media import codecs
from holdall.haystack.filter import compiled, parse_filter
from holdall.haystack.grid import Col
from holdall.haystack.kinds import MARKER, Symbol
from holdall.server.answers import NOTHING, Answer
from holdall.server.ops.reading import check_length

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdall.server.answers import Row
    from holdall.server.ops.contract import Call, Op

_TYPE_NAMES: Final = {"json": "JSON", "json3": "JSON of Haystack 3", "csv": "CSV"}


async def about(call: Call) -> Answer:
    """Tags about the server."""
    return Answer([{**await call.storage.about(), "serverName": call.config.name}])


async def close(_: Call) -> Answer:
    """Nothing: whoever holds the sessions has ended that of the caller."""
    return NOTHING


async def formats(_: Call) -> Answer:
    """The formats of Haystack 3: which are read and written."""
    return Answer([{"mime": one.media_type, "receive": MARKER, "send": MARKER} for one in codecs()])


async def filetypes(call: Call) -> Answer:
    """The definitions of the formats."""
    return _chosen(call, filetype_defs())


async def libs(call: Call) -> Answer:
    """The definitions of libraries, of which none is kept here."""
    return _chosen(call, ())


def filetype_defs() -> list[Row]:
    """A definition for each format."""
    return [
        {
            "def": Symbol(f"filetype:{one.name}"),
            "is": [Symbol("filetype")],
            "dis": _TYPE_NAMES.get(one.name, one.name.capitalize()),
            "mime": one.media_type,
            "fileExt": one.suffix.rpartition(".")[2],
            "filetype": MARKER,
        }
        for one in codecs()
    ]


def op_defs(known: Iterable[Op]) -> list[Row]:
    """A definition for each operation; `name` and `summary` are what Haystack 3 calls them."""
    rows: list[Row] = []
    for op in known:
        row: dict[str, Any] = {
            "def": Symbol(f"op:{op.name}"),
            "is": [Symbol("op")],
            "name": op.name,
            "summary": op.summary,
            "op": MARKER,
        }
        if op.reads:
            row["noSideEffects"] = MARKER
        rows.append(row)
    return rows


def chosen_defs(call: Call, known: Iterable[Op], *, ops_only: bool) -> Answer:
    """The definitions that a request asks for."""
    return _chosen(call, op_defs(known) if ops_only else [*op_defs(known), *filetype_defs()])


def _chosen(call: Call, rows: Iterable[Row]) -> Answer:
    text, limit = call.text("filter"), call.number("limit")
    if text is not None:
        check_length(text)
        meant = compiled(parse_filter(text))
        rows = [row for row in rows if meant(row)]
    found = list(rows)[:limit]
    return Answer(found) if found else Answer(cols=(Col("def"),))
