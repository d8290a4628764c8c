"""Project Haystack: kinds, grids, filters and the text formats."""

from holdall.haystack.adopting import adopt, same
from holdall.haystack.grid import Col, Grid, GridDraft
from holdall.haystack.kinds import (
    MARKER,
    NA,
    REMOVE,
    Coord,
    Kind,
    Number,
    Ref,
    Symbol,
    Uri,
    XStr,
)

__all__ = [
    "MARKER",
    "NA",
    "REMOVE",
    "Col",
    "Coord",
    "Grid",
    "GridDraft",
    "Kind",
    "Number",
    "Ref",
    "Symbol",
    "Uri",
    "XStr",
    "adopt",
    "same",
]
