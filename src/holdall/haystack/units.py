"""Units of measurement: which texts name the same one.

Nothing is converted: units are compared by name, and by the names that the standard's database
gives to one unit (chapter Units). A unit that the database does not know is equal to itself.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from msgspec import Struct

_SECTION: Final = "- "


class Unit(Struct, frozen=True):
    """A unit of the standard's database.

    Attributes:
        name: The full name: `square_meter`.
        symbols: What stands for it: `("m²",)`; may be empty.
        quantity: What it measures: `area`.
    """

    name: str
    symbols: tuple[str, ...]
    quantity: str

    @property
    def symbol(self) -> str:
        """How it is written: the last symbol, or the name where there is none."""
        return self.symbols[-1] if self.symbols else self.name


@cache
def _units() -> dict[str, Unit]:
    # A line is a quantity after a dash, or a unit: its full name, and then its symbols.
    table = files("holdall.haystack").joinpath("units.txt").read_text("utf-8")
    known: dict[str, Unit] = {}
    quantity = ""
    for line in table.splitlines():
        if line.startswith(_SECTION):
            quantity = line.removeprefix(_SECTION)
            continue
        name, *symbols = line.split(" ")
        unit = Unit(name, tuple(symbols), quantity)
        for text in (name, *symbols):
            known.setdefault(text, unit)
    return known


def unit(text: str) -> Unit | None:
    """The unit that a name or symbol stands for; None when the database does not know it."""
    return _units().get(text)


def units() -> list[Unit]:
    """All units of the database, in its order."""
    return list(dict.fromkeys(_units().values()))


def canonical(text: str | None) -> str | None:
    """One text for all names of a unit: its symbol; the text itself where it is not known."""
    if text is None:
        return None
    known = _units().get(text)
    return text if known is None else known.symbol
