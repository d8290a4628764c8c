"""Which parts of the files of a table can hold the rows that are asked for.

A part, a row group of Parquet, is what is read as a whole. The log says of each file, and the file
of each part, between which ids its rows are, where the writer noted that.
"""

from __future__ import annotations

from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_AT_ONCE: Final = 16


class Part(Struct, frozen=True):
    """One part of a file.

    Args:
        file: Its file, as Arrow has it.
        number: Which one of the file.
        rows: How many rows it has.
        low: No id in it is below this one; None where it is not known.
        high: No id in it is above this one; None where it is not known.
    """

    file: Any
    number: int
    rows: int
    low: str | None
    high: str | None


Known: TypeAlias = dict[str, list[Part]]
"""The parts of files, by the path of each."""


def holding(data: Any, known: Known, ids: Sequence[str]) -> Any:
    """The rows of a table without parts that hold none of these ids."""
    import pyarrow.dataset as pads

    if not ids:
        return _only(data, [])
    column = pads.field("id")
    meant = (column >= min(ids)) & (column <= max(ids))
    files = list(data.get_fragments(filter=meant))
    order = sorted(ids)
    return _only(data, [part for part in _parts(files, known) if _may_hold(part, order)])


def _may_hold(part: Part, order: Sequence[str]) -> bool:
    if part.low is None or part.high is None:
        return True
    at = bisect_left(order, part.low)
    return at < len(order) and order[at] <= part.high


def following(data: Any, known: Known, after: str | None, number: int) -> Any:
    """The rows of a table without parts that hold none of the first ones after an id.

    Args:
        data: The rows.
        known: The parts of files that were looked at before.
        after: Only the ids that come after it; None for all.
        number: How many rows are wanted.
    """
    import pyarrow.dataset as pads

    meant = None if after is None else pads.field("id") > after
    parts = [
        part
        for part in _parts(list(data.get_fragments(filter=meant)), known)
        if after is None or part.high is None or part.high > after
    ]
    # So many rows lie wholly between `after` and the bound that no answer lies behind it.
    bound, wanted = None, number
    stated = [one for one in parts if one.high is not None and one.low is not None]
    for part in sorted(stated, key=lambda one: one.high or ""):
        if after is None or (part.low or "") > after:
            bound, wanted = part.high, wanted - part.rows
            if wanted <= 0:
                break
    if bound is None or wanted > 0:
        return _only(data, parts)
    return _only(data, [one for one in parts if one.low is None or one.low <= bound])


def _only(data: Any, parts: Iterable[Part]) -> Any:
    """The rows of a table that are in these parts."""
    import pyarrow.dataset as pads

    chosen: dict[int, list[Part]] = {}
    for part in parts:
        chosen.setdefault(id(part.file), []).append(part)
    files = [
        one[0].file.subset(row_group_ids=[part.number for part in one]) for one in chosen.values()
    ]
    return pads.FileSystemDataset(files, data.schema, data.format, data.filesystem)


def _parts(files: Sequence[Any], known: Known) -> list[Part]:
    new = [file for file in files if file.path not in known]
    if len(new) > 1:
        with ThreadPoolExecutor(min(_AT_ONCE, len(new))) as pool:
            for _ in pool.map(lambda file: file.ensure_complete_metadata(), new):
                pass
    for file in new:
        known[file.path] = _parts_of(file)
    return [part for file in files for part in known[file.path]]


def _parts_of(file: Any) -> list[Part]:
    footer = file.metadata
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    return [
        Part(file, number, group.num_rows, *_bounds(group)) for number, group in enumerate(groups)
    ]


def _bounds(group: Any) -> tuple[str | None, str | None]:
    """Between which ids a part is; None where that is not known."""
    at = next((at for at in range(group.num_columns) if _name(group, at) == "id"), None)
    stated = None if at is None else group.column(at).statistics
    if stated is None or not stated.has_min_max or stated.null_count != 0:
        return None, None
    try:
        low, high = stated.min, stated.max
    except UnicodeDecodeError:  # they may be cut within a letter
        return None, None
    return (low, high) if isinstance(low, str) and isinstance(high, str) else (None, None)


def _name(group: Any, at: int) -> str:
    return str(group.column(at).path_in_schema)
