"""What is told of an entity that changed, written once for all who watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from holdall.haystack.codecs.hayson import HAYSON
from holdall.haystack.codecs.hayson_writing import HaysonWriting
from holdall.haystack.grid import Grid
from holdall.server.logs import LOG

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Told(Struct, frozen=True, gc=False):
    """An entity as it is told.

    Attributes:
        id: Its id.
        row: Its row, as text of JSON.
        cols: The columns of a grid that has no other row.
        names: The names of its tags.
    """

    id: str
    row: bytes
    cols: bytes
    names: tuple[str, ...]


def told(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Told]:
    """Write entities; one that Hayson cannot carry is left out, and the log says so."""
    writing = HaysonWriting()
    cols: dict[tuple[str, ...], bytes] = {}
    made = []
    for of, row in rows:
        names = tuple(name for name, value in row.items() if value is not None)
        try:
            text = msgspec.json.encode(writing.row(row))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            LOG.error("an entity cannot be told to those who watch it", exc_info=error)
            continue
        if names not in cols:
            cols[names] = _cols(names)
        made.append(Told(of, text, cols[names], names))
    return made


def opening(watch: str) -> bytes:
    """What every push of a watch begins with."""
    name = msgspec.json.encode(watch)
    meta = b'{"ver":"3.0","watchId":' + name + b"}"
    return b'{"watch":' + name + b',"grid":{"_kind":"grid","meta":' + meta + b',"cols":'


def push(begin: bytes, changed: list[Told]) -> bytes:
    """A push of entities that changed."""
    if len(changed) == 1:
        only = changed[0]
        return b"".join((begin, only.cols, b',"rows":[', only.row, b"]}}"))
    names = dict.fromkeys(name for one in changed for name in one.names)
    rows = b",".join([one.row for one in changed])
    return b"".join((begin, _cols(names), b',"rows":[', rows, b"]}}"))


def push_of_end(watch: str, why: str) -> bytes:
    """The last push of a watch that ended otherwise than by this client."""
    grid = HAYSON.encode(Grid.error(why).with_meta(watchId=watch))
    return b'{"watch":' + msgspec.json.encode(watch) + b',"grid":' + grid + b"}"


def _cols(names: Iterable[str]) -> bytes:
    return msgspec.json.encode([{"name": name} for name in names])
