"""Parquet by the hour, under any store: `database/measurement/YYYY/MM/DD/HH/*.parquet`, in UTC.

Three questions are answered: under which key a row's file belongs, which paths a query engine
has to read for a time, and which files there are. Files of a whole day that was compacted stand
one level up, in `database/measurement/YYYY/MM/DD/`.

Paths are written as DuckDB reads them, for a `?` parameter of SQL and not to be pasted into it.
"""

from __future__ import annotations

import calendar
import logging
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from holdall.core.errors import InvalidKey, InvalidQuery
from holdall.core.reference import check_key
from holdall.core.runtime.blocking import drive_iterator
from holdall.objects.async_data_store import AsyncDataStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from holdall.core.reference import Reference
    from holdall.objects.data_store import DataStore
    from holdall.objects.results import Capabilities, ObjectMeta

_log = logging.getLogger("holdall.objects")

_FILES = "*.parquet"
# What stands for any month, day and hour where whole years, months and days are asked for. A `*`
# would also match the folder that another program keeps its unfinished files in.
_ANY = ("[0-1][0-9]", "[0-3][0-9]", "[0-2][0-9]")
_SHAPE = re.compile(r"[0-9]{4}/[0-1][0-9]/[0-3][0-9]/(?P<hour>[0-2][0-9]/)?[^/]+\.parquet\Z")
_WILDCARD = re.compile(r"[*?\[]")
_NOT_IN_NAMES = re.compile(r"[*?\[\]{}/]")
_CLOUDS = frozenset({"s3", "gs", "az", "abfs", "abfss"})


class Rooted(Protocol):
    """What has an address: a `DataStore`, an `AsyncDataStore`, an `ObjectStore`, any layer."""

    @property
    def root(self) -> Reference:
        """The address it was opened at."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""


# Keys and paths


def partition_key(database: str, measurement: str, at: datetime, *, compacted: bool = False) -> str:
    """Answer the folder that a row of this time belongs to; files in it end in `.parquet`.

    Args:
        database: One segment of a key, without the wildcards `*?[]{}`.
        measurement: The same.
        at: The row's time, in any zone.
        compacted: Answer the folder of the day, for a file with all rows of that UTC day.

    Raises:
        InvalidKey: A name cannot be one.
        InvalidQuery: The time has no zone.
    """
    moment = _in_utc("at", at)
    folder = (moment.year, moment.month, moment.day, moment.hour)
    return _folder_key(_base(database, measurement), folder[:3] if compacted else folder)


def storage_path(store: Rooted, database: str, measurement: str) -> str:
    """Answer the pattern of all files of a measurement, also of those that are compacted.

    Raises:
        InvalidKey: A name cannot be one, or DuckDB cannot read under the store's address.
    """
    return f"{_base_path(store, database, measurement)}/**/{_FILES}"


def query_path(
    store: Rooted,
    database: str,
    measurement: str,
    year: int | None = None,
    month: int | None = None,
    day: int | None = None,
    hour: int | None = None,
) -> str:
    """Answer the pattern of the files of some hours, in UTC; None stands for any.

    Compacted files are not among them.

    Args:
        store: Where they are.
        database: One segment of a key, without the wildcards `*?[]{}`.
        measurement: The same.
        year: From 1 to 9999.
        month: From 1 to 12.
        day: From 1 to the last one of that month.
        hour: From 0 to 23.

    Raises:
        InvalidKey: A name cannot be one, or DuckDB cannot read under the store's address.
        InvalidQuery: There is no such day or hour.
    """
    try:
        # A leap year and a month of 31 days, so that nothing is refused that could be.
        datetime(
            2000 if year is None else year,
            1 if month is None else month,
            1 if day is None else day,
            0 if hour is None else hour,
            tzinfo=UTC,
        )
    except ValueError as error:
        raise InvalidQuery(
            f"year {year}, month {month}, day {day}, hour {hour} is no time: {error}; "
            "None stands for any"
        ) from error
    parts = [
        "*" if value is None else f"{value:0{width}d}"
        for value, width in ((year, 4), (month, 2), (day, 2), (hour, 2))
    ]
    return "/".join((_base_path(store, database, measurement), *parts, _FILES))


def query_paths(
    store: Rooted,
    database: str,
    measurement: str,
    start: datetime,
    end: datetime,
    *,
    compacted: bool = False,
) -> list[str]:
    """Answer the patterns of the files that can hold a time from `start` to before `end`.

    Nothing is asked of the store, so that some patterns may match no file, which DuckDB takes
    for an error; `partition_files` answers what is there.

    Args:
        store: Where they are.
        database: One segment of a key, without the wildcards `*?[]{}`.
        measurement: The same.
        start: The first moment, in any zone.
        end: The moment after the last one, in any zone.
        compacted: Whether files one level up count too, of each day that the range touches.

    Returns:
        One pattern for each whole year, month or day and for each other hour, in order of time;
        with `compacted` one more behind each of these and behind the hours of each other day.
        No file matches two of them. None when start and end are the same.

    Raises:
        InvalidKey: A name cannot be one, or DuckDB cannot read under the store's address.
        InvalidQuery: A time has no zone, or `end` is before `start`.
    """
    base = _base_path(store, database, measurement)
    paths = []
    for span in _spans(start, end, compacted):
        parts = (_folder_key(base, span.folder), *_ANY[len(span.folder) - 1 :])
        paths.append("/".join((*(parts[:-1] if span.compacted else parts), _FILES)))
    return paths


def duckdb_path(ref: Reference) -> str:
    """Answer the address of one object, or of a folder, as DuckDB reads it.

    It is a path for a file and else a URL. `abfs[s]://` becomes `az://` at the account's blob
    endpoint, because DuckDB refuses `**` before the end of a pattern at the other one. What
    DuckDB would take for a wildcard is written in brackets. `memory://` and `redis://` it reads
    only where a file system of that name was registered with it.

    Raises:
        InvalidKey: It holds a `?` on S3 or Google Cloud, where DuckDB reads parameters behind it.
    """
    if ref.scheme in {"s3", "gs"} and "?" in ref.key:
        raise InvalidKey(
            f"DuckDB cannot read {ref}: it takes what stands behind the '?' for parameters",
            reference=ref,
        )
    key = _WILDCARD.sub(r"[\g<0>]", ref.key)
    if ref.scheme == "file":
        return f"/{key}"
    if ref.scheme in {"abfs", "abfss"}:
        # Without a host, the account is the one that DuckDB's secret names.
        account = f"{ref.host.replace('.dfs.', '.blob.', 1)}/" if ref.host else ""
        return f"az://{account}{ref.container}/{key}"
    return f"{ref.scheme}://{ref.container}/{key}"


def local_base_path(store: Rooted, feature: str, fallback: str = "") -> str:
    """Answer the folder on this machine that a store keeps its objects in.

    Args:
        store: A store, a layer or a face.
        feature: What needs the folder, for the warning.
        fallback: The answer for a store that is neither in files nor in a cloud.

    Returns:
        The folder's path. `""` for a store in a cloud, and a warning is logged. The fallback for
        any other one, such as one in memory.
    """
    root = store.root
    if store.capabilities.local and root.path is not None:
        return root.path
    if root.scheme in _CLOUDS:
        _log.warning("%s: needs a folder on this machine, and %s has none", feature, root)
        return ""
    return fallback


# What is there


def partition_files(
    store: DataStore,
    database: str,
    measurement: str,
    start: datetime,
    end: datetime,
    *,
    compacted: bool = False,
) -> Iterator[ObjectMeta]:
    """Go through the files that can hold a time from `start` to before `end`, each once.

    The store is asked for one listing of each whole year, month or day and of each other hour;
    with `compacted`, for a second one of each of these and for one of each other day, behind
    that of the hours: of a day that is compacted meanwhile, the hours or the whole are seen, or
    both. Whole years are looked for first, with one more.

    Args:
        store: Where they are.
        database: One segment of a key, without the wildcards `*?[]{}`.
        measurement: The same.
        start: The first moment, in any zone.
        end: The moment after the last one, in any zone.
        compacted: Whether files one level up count too, of each day that the range touches.

    Returns:
        What is known of each. Hours come in order of time, and compacted files behind the hours
        of their day, or of the whole month or year; those of one hour come in byte order.
        Nothing where nothing is there.

    Raises:
        InvalidKey: A name cannot be one.
        InvalidQuery: A time has no zone, or `end` is before `start`.
    """
    face = AsyncDataStore(store.store)
    return drive_iterator(
        partition_files_async(face, database, measurement, start, end, compacted=compacted)
    )


def partition_files_async(
    store: AsyncDataStore,
    database: str,
    measurement: str,
    start: datetime,
    end: datetime,
    *,
    compacted: bool = False,
) -> AsyncIterator[ObjectMeta]:
    """Go through the files of a range, for asyncio; as `partition_files`."""
    # No coroutine yet, so that what is wrong with the arguments is raised here and now.
    return _files(store, _base(database, measurement), _spans(start, end, compacted))


async def _files(
    store: AsyncDataStore, base: str, spans: Iterator[_Span]
) -> AsyncIterator[ObjectMeta]:
    beneath = len(base) + 1
    years: tuple[str, ...] | None = None
    for span in spans:
        if len(span.folder) == 1:
            # Whoever means "from then on" asks for thousands of years, and few are there.
            years = await store.list_directories(base) if years is None else years
            if f"{span.folder[0]:04d}" not in years:
                continue
        one_level = span.compacted and len(span.folder) == 3
        async for page in store.pages(_folder_key(base, span.folder), delimiter=one_level):
            for meta in page.objects:
                file = _SHAPE.match(meta.key, beneath)
                if file and (file["hour"] is None) == span.compacted:
                    yield meta


# From a time to folders


class _Span(NamedTuple):
    """A folder, and which of the files below it count: those of hours, or those of days."""

    folder: tuple[int, ...]  # a year, month, day and hour, or only the first of them
    compacted: bool = False


def _spans(start: datetime, end: datetime, compacted: bool) -> Iterator[_Span]:
    """Check a range, and give the fewest folders that hold its hours and nothing else."""
    first, last = _in_utc("start", start), _in_utc("end", end)
    if last < first:
        raise InvalidQuery(f"the range ends at {last}, before it starts, at {first}")
    # Counted as numbers, because the hour behind the last one may be past what a datetime holds.
    stop = _hour_number(last) + (last > _hour_of(last))
    return _cover(_hour_number(first), stop if last > first else 0, compacted)


def _cover(hour: int, stop: int, compacted: bool) -> Iterator[_Span]:
    while hour < stop:
        day = date.fromordinal(hour // 24)
        year_hours = 24 * (366 if calendar.isleap(day.year) else 365)
        month_hours = 24 * calendar.monthrange(day.year, day.month)[1]
        whole: tuple[int, ...] = (day.year, day.month, day.day)
        if hour % 24 or hour + 24 > stop:
            yield _Span((*whole, hour % 24))
            hour += 1
            if hour % 24 and hour < stop:
                continue  # with the next hour of this day
        else:
            hours = 24
            if day.day == 1 and hour + month_hours <= stop:
                whole, hours = whole[:2], month_hours
                if day.month == 1 and hour + year_hours <= stop:
                    whole, hours = whole[:1], year_hours
            yield _Span(whole)
            hour += hours
        # A day is written before its hours are deleted: who looks for it last, misses nothing.
        if compacted:
            yield _Span(whole, compacted=True)


def _hour_of(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, moment.day, moment.hour, tzinfo=UTC)


def _hour_number(moment: datetime) -> int:
    return moment.toordinal() * 24 + moment.hour


def _in_utc(what: str, moment: datetime) -> datetime:
    if not isinstance(moment, datetime):
        raise TypeError(f"{what} is a {type(moment).__name__}, and must be a datetime with a zone")
    if moment.utcoffset() is None:
        raise InvalidQuery(
            f"{what} is {moment}, which has no zone: give it one, such as "
            "datetime(2025, 11, 25, 16, tzinfo=UTC)"
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidQuery(f"{what} is {moment}, which no datetime in UTC can hold") from error


def _folder_key(base: str, folder: tuple[int, ...]) -> str:
    return "/".join((base, f"{folder[0]:04d}", *(f"{part:02d}" for part in folder[1:])))


def _base(database: str, measurement: str) -> str:
    for what, name in (("database", database), ("measurement", measurement)):
        if not isinstance(name, str):
            raise TypeError(f"a {what} is named by text, and not by a {type(name).__name__}")
        character = _NOT_IN_NAMES.search(name)
        if character:
            raise InvalidKey(f"{name!r} cannot name a {what}: it holds {character.group()!r}")
        try:
            check_key(name)
        except InvalidKey as error:
            raise InvalidKey(f"as the name of a {what}: {error}", reference=name) from error
    return f"{database}/{measurement}"


def _base_path(store: Rooted, database: str, measurement: str) -> str:
    return duckdb_path(store.root.child(_base(database, measurement)))
