"""Grids: rows of tags under named columns, with tags about the grid and about each column."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import force_setattr

from holdall.haystack.adopting import adopt, same
from holdall.haystack.kinds import MARKER, GridKind, Kind, checked_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

NO_TAGS: Final[Mapping[str, Any]] = MappingProxyType({})


class Col(Struct, frozen=True):
    """A column: its name, and tags about it.

    Raises:
        ValueError: The name is none that a column can have.
    """

    name: str
    meta: Mapping[str, Kind] = NO_TAGS

    def __post_init__(self) -> None:
        checked_name(self.name)
        if self.meta is not NO_TAGS:
            force_setattr(self, "meta", MappingProxyType(dict(self.meta)))

    def __reduce__(self) -> Any:
        return Col, (self.name, dict(self.meta))


class Grid(GridKind):
    """A table that never changes; make another to have other rows.

    `len(grid)` counts its rows, `grid[3]` and iterating answer them. A row is a mapping that
    cannot be changed, without the tags that it has no value for: `dict(row)` copies one. Two grids
    are equal when their tags, columns and rows are.

    Args:
        rows: Mappings of column names to kinds; plain values that are unambiguous are taken, None
            is the same as no value.
        meta: Tags about the grid, without `ver`.
        cols: The columns in order, by name or as `Col`; by default every tag of the rows, in the
            order in which the rows first have them.

    Raises:
        TypeError: A value is of no kind.
        ValueError: A name is none, a column comes twice, or a row has a tag without a column.
    """

    __slots__ = ("_by_name", "cols", "meta", "rows")

    meta: Mapping[str, Kind]
    cols: tuple[Col, ...]
    rows: tuple[Mapping[str, Kind], ...]
    _by_name: dict[str, Col]

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]] = (),
        *,
        meta: Mapping[str, Any] | None = None,
        cols: Iterable[str | Col] | None = None,
    ) -> None:
        adopted = [_adopt_row(row, at) for at, row in enumerate(rows)]
        if cols is None:
            made = tuple(Col(name) for name in dict.fromkeys(n for row in adopted for n in row))
        else:
            made = tuple(_adopt_col(col) for col in cols)
        self._take(_adopt_tags(meta or {}, "the grid"), made, tuple(map(MappingProxyType, adopted)))
        for at, row in enumerate(adopted):
            if not row.keys() <= self._by_name.keys():
                extra = next(name for name in row if name not in self._by_name)
                raise ValueError(f"row {at} has the tag {extra!r}, and the grid no such column")

    @classmethod
    def of_checked(
        cls,
        meta: Mapping[str, Kind],
        cols: Sequence[Col],
        rows: Iterable[dict[str, Kind]],
    ) -> Grid:
        """A grid of what is known to be right and belongs to nobody else: no checks, no copies.

        Raises:
            ValueError: A column comes twice.
        """
        grid = cls.__new__(cls)
        grid._take(meta, tuple(cols), tuple(map(MappingProxyType, rows)))
        return grid

    @classmethod
    def error(cls, dis: str, trace: str | None = None) -> Grid:
        """The grid by which a server says that something went wrong (chapter HttpApi).

        Args:
            dis: What people are shown.
            trace: Where in the code it happened; servers keep it to themselves.
        """
        meta: dict[str, Any] = {"err": MARKER, "dis": dis}
        if trace is not None:
            meta["errTrace"] = trace
        return cls(meta=meta, cols=["empty"])

    def _take(
        self,
        meta: Mapping[str, Kind],
        cols: tuple[Col, ...],
        rows: tuple[Mapping[str, Kind], ...],
    ) -> None:
        by_name = {col.name: col for col in cols}
        if len(by_name) != len(cols):
            names = [col.name for col in cols]
            twice = next(name for at, name in enumerate(names) if name in names[:at])
            raise ValueError(f"the column {twice!r} comes twice")
        put = object.__setattr__
        put(self, "meta", MappingProxyType(dict(meta)) if meta else NO_TAGS)
        put(self, "cols", cols)
        put(self, "rows", rows)
        put(self, "_by_name", by_name)

    @property
    def is_error(self) -> bool:
        """Whether a server says by this grid that something went wrong; `meta["dis"]` says what."""
        return "err" in self.meta

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self._by_name)

    def col(self, name: str) -> Col:
        """The column of this name.

        Raises:
            KeyError: There is none.
        """
        return self._by_name[name]

    def has_col(self, name: str) -> bool:
        """Whether there is a column of this name."""
        return name in self._by_name

    def column(self, name: str) -> list[Kind]:
        """The values of a column, row by row; None where a row has none.

        Raises:
            KeyError: There is no such column.
        """
        self.col(name)
        return [row.get(name) for row in self.rows]

    def with_meta(self, **tags: Any) -> Grid:
        """The same rows with these tags about the grid besides; None takes a tag away."""
        meta = {**self.meta, **_adopt_tags(tags, "the grid")}
        grid = type(self).__new__(type(self))
        grid._take(
            {n: v for n, v in meta.items() if tags.get(n, v) is not None}, self.cols, self.rows
        )
        return grid

    def same_as(self, other: Any) -> bool:
        """Whether another grid is the same in all that can be written; see `same`."""
        return (
            isinstance(other, Grid)
            and same(self.meta, other.meta)
            and self.names == other.names
            and all(same(a.meta, b.meta) for a, b in zip(self.cols, other.cols, strict=True))
            and len(self.rows) == len(other.rows)
            and all(map(same, self.rows, other.rows))
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Mapping[str, Kind]]:
        return iter(self.rows)

    def __getitem__(self, at: int) -> Mapping[str, Kind]:
        return self.rows[at]

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return self.meta == other.meta and self.cols == other.cols and self.rows == other.rows

    __hash__ = None  # type: ignore[assignment]  # it holds lists and dicts

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a grid never changes: make another one ({name!r} was set)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a grid never changes: make another one ({name!r} was deleted)")

    def __copy__(self) -> Grid:
        return self

    def __deepcopy__(self, _: object) -> Grid:
        return self

    def __reduce__(self) -> Any:
        return _restored, (dict(self.meta), self.cols, [dict(row) for row in self.rows])

    def __repr__(self) -> str:
        what = f"error {self.meta.get('dis')!r}, " if self.is_error else ""
        return f"<Grid: {what}{len(self.rows)} rows of {', '.join(self.names) or 'no columns'}>"


def _restored(meta: dict[str, Any], cols: tuple[Col, ...], rows: list[dict[str, Any]]) -> Grid:
    return Grid.of_checked(meta, cols, rows)


def _adopt_tags(tags: Mapping[str, Any], place: str) -> dict[str, Kind]:
    return {checked_name(name): adopt(value, f"{place}, {name}") for name, value in tags.items()}


def _adopt_row(row: Mapping[str, Any], at: int) -> dict[str, Kind]:
    return {
        checked_name(name): adopt(value, f"row {at}, {name}")
        for name, value in row.items()
        if value is not None
    }


def _adopt_col(col: str | Col) -> Col:
    if isinstance(col, str):
        return Col(col)
    return Col(col.name, _adopt_tags(col.meta, f"column {col.name}"))


class GridDraft:
    """A grid in the making, for whoever has its parts one after another.

    Every method answers the draft, so that calls can be chained; `grid()` ends it.
    """

    def __init__(self) -> None:
        self._meta: dict[str, Any] = {}
        self._cols: list[Col] | None = None
        self._rows: list[Mapping[str, Any]] = []

    def meta(self, **tags: Any) -> GridDraft:
        """Take tags about the grid."""
        self._meta |= tags
        return self

    def col(self, name: str, **meta: Any) -> GridDraft:
        """Take a column, which comes after those before it; rows then have no others."""
        self._cols = [*(self._cols or []), Col(name, meta)]
        return self

    def row(self, tags: Mapping[str, Any]) -> GridDraft:
        """Take a row."""
        self._rows.append(tags)
        return self

    def grid(self) -> Grid:
        """Make the grid.

        Raises:
            TypeError: A value is of no kind.
            ValueError: As `Grid` says.
        """
        return Grid(self._rows, meta=self._meta, cols=self._cols)
