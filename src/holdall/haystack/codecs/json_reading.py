"""What the two JSON formats of the standard share in reading: `meta`, `cols` and `rows`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from holdall.haystack.codecs.json_text import Fault, Way
from holdall.haystack.grid import Col, Grid
from holdall.haystack.kinds import Kind, is_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from msgspec import Raw

    from holdall.haystack.codecs.contract import Limits

_UNLIMITED: Final = 1 << 62
_BLOCK: Final = 256  # rows; more of them at once do not fit into the caches of processors


class JsonReading(ABC):
    """The reading of one text: how its values look, and what it may still hold.

    Whatever is wrong is a `Fault`, which knows the way from the value that was handed in.

    Attributes:
        known: The tags that rows have had, where no columns were said before them.
        untold: Whether the text does not say of which version it is, nor anything in it did.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.untold = False
        self.depth = limits.depth or _UNLIMITED
        self._rows_left = limits.rows or _UNLIMITED
        self.known: set[str] = set()

    @abstractmethod
    def is_grid(self, kind: Any, has_rows: bool) -> bool:
        """Whether the object of the whole text is a grid, and not one row.

        Args:
            kind: Its `_kind`, None where it has none.
            has_rows: Whether its `rows` are a list.
        """

    @abstractmethod
    def tags(self, raw: Any, depth: int) -> dict[str, Kind]:
        """Read an object that is a dict, whose values lie in so many lists, dicts and grids."""

    @abstractmethod
    def col(self, raw: dict[str, Any], name: str, depth: int) -> Col:
        """Read an object of `cols`."""

    @abstractmethod
    def row(self, raw: Raw) -> dict[str, Any]:
        """Read a row, without what is None in it; its names are not checked.

        Raises:
            UNREADABLE: It is no JSON, as far as the parser left that to be seen.
        """

    def alike(self, raws: Sequence[Raw], names: AbstractSet[str]) -> list[dict[str, Any]] | None:
        """Read rows that have no other tags than these; None where `row` is to do it."""
        return None

    @abstractmethod
    def misnamed(self, row: dict[str, Any], name: str) -> None:
        """Take a tag from a row whose name is none, or refuse the row."""

    def meta(self, raw: Any, depth: int = 0) -> Mapping[str, Kind]:
        """Read the tags about a grid."""
        tags = self.tags(raw, depth)
        tags.pop("ver", None)  # it tells of the format, not of the grid
        return tags

    def cols(self, raw: Any, depth: int = 0) -> list[Col]:
        """Read the columns of a grid."""
        if not isinstance(raw, list):
            raise Fault("expected the columns, a list")
        self._count_columns(len(raw))
        cols: dict[str, Col] = {}
        for at, item in enumerate(raw):
            name = item.get("name") if isinstance(item, dict) else None
            if not isinstance(name, str):
                raise Fault("expected a column, an object with a name", at)
            if not is_name(name):
                raise Fault(f"{name[:60]!r} is no name of a column", "name", at)
            if name in cols:
                raise Fault(f"the column {name[:60]!r} comes twice", "name", at)
            with Way(at):
                cols[name] = self.col(item, name, depth)
        return list(cols.values())

    def rows(self, raws: Sequence[Raw], names: AbstractSet[str] | None) -> list[dict[str, Any]]:
        """Read rows; where no columns are said they may have any tag."""
        self._count_rows(len(raws))
        allowed = self.known if names is None else names
        made: list[dict[str, Any]] = []
        read, add = self.row, made.append
        try:
            for start in range(0, len(raws), _BLOCK):
                block = raws[start : start + _BLOCK]
                rows = self.alike(block, allowed) if len(block) > 1 else None
                if rows is not None:
                    made += rows
                    continue
                for raw in block:
                    row = read(raw)
                    if not row.keys() <= allowed:
                        self._admit(row, names)
                    add(row)
        except Fault as fault:
            raise fault.within(len(made)) from fault
        return made

    def only_row(self, raw: Raw) -> dict[str, Any]:
        """Read the row of a text that is nothing else, or a part of it."""
        row = self.row(raw)
        if not row.keys() <= self.known:
            self._admit(row, None)
        return row

    def grid(self, raw: Mapping[str, Any], depth: int) -> Grid:
        """Read a grid that is a value, whose own values lie in so many lists, dicts and grids."""
        meta: Mapping[str, Kind] = {}
        cols = None
        if "meta" in raw:
            with Way("meta"):
                meta = self.meta(raw["meta"], depth)
        if "cols" in raw:
            with Way("cols"):
                cols = self.cols(raw["cols"], depth)
        items = raw.get("rows")
        if not isinstance(items, list):
            raise Fault("expected the rows of the grid, a list", "rows")
        names = None if cols is None else {col.name for col in cols}
        rows: list[dict[str, Kind]] = []
        with Way("rows"):
            self._count_rows(len(items))
        for at, item in enumerate(items):
            with Way(at, "rows"):
                tags = self.tags(item, depth).items()
                row: dict[str, Kind] = {n: v for n, v in tags if v is not None}
                if names is not None and not row.keys() <= names:
                    self._admit(row, names)
            rows.append(row)
        return Grid.of_checked(meta, self.cols_of(rows) if cols is None else cols, rows)

    def cols_of(self, rows: Iterable[dict[str, Any]]) -> list[Col]:
        """The columns of rows that come without: every tag, in the order of the rows."""
        names = dict.fromkeys(chain.from_iterable(rows))
        self._count_columns(len(names))
        return [Col(name) for name in names]

    def _admit(self, row: dict[str, Any], names: AbstractSet[str] | None) -> None:
        for name in list(row):
            if name in (self.known if names is None else names):
                continue
            if not is_name(name):
                self.misnamed(row, name)
            elif names is not None:
                raise Fault(f"the row has the tag {name[:60]!r}, and the grid no such column", name)
            else:
                self.known.add(name)
                self._count_columns(len(self.known))

    def _count_columns(self, count: int) -> None:
        if self.limits.columns and count > self.limits.columns:
            raise Fault(f"there are more columns than the limit, {self.limits.columns}")

    def _count_rows(self, count: int) -> None:
        self._rows_left -= count
        if self._rows_left < 0:
            at = count + self._rows_left
            raise Fault(f"there are more rows than the limit, {self.limits.rows}", at)
