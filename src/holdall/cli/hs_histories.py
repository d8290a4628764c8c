"""Histories: `holdall hs his-read` and `his-write`."""

from __future__ import annotations

import re
import sys
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import typer

from holdall.cli.exchanging import bar
from holdall.cli.haystack import JSON, PLACE, Plant, hs_command, plant_at
from holdall.cli.hs_files import Refused, batches, name_of, opened
from holdall.cli.hs_points import PAGE, ids_of, pages_of, points_at
from holdall.cli.hs_sample_rows import moment_of, sample_rows_of, value_of_text
from holdall.cli.hs_samples import SampleFormat, sample_format, sample_rows, write_samples
from holdall.cli.hs_values import clock, json_of, shown
from holdall.cli.output import complain, count_text, say, say_json
from holdall.core.errors import CodecError, HoldallError, InvalidValue, NotFound
from holdall.haystack.adapter.taking import plain_id
from holdall.haystack.copying_results import OF_ONE
from holdall.haystack.kinds import REMOVE
from holdall.haystack.stores.histories import columns
from holdall.records.exchange.files import writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.cli.hs_sample_rows import SampleRow
    from holdall.haystack.adapter.samples import Point
    from holdall.haystack.adapter.taking import Id
    from holdall.haystack.stores.histories import Samples

_RANGE = re.compile(
    r"today|yesterday|(?:this|last)(?:Week|Month|Year)|\d{4}-\d\d-\d\d(?:[T,].*)?", re.DOTALL
)
_EXAMPLE: Final = "2024-06-15"


@hs_command
def his_read(
    place: PLACE,
    words: Annotated[
        list[str],
        typer.Argument(
            help="Ids of points, and then perhaps a range: today, yesterday, thisWeek, lastMonth, "
            "2024-06-15, 2024-06-01,2024-06-30, …; everything without one. An id that looks like a "
            "range is written with @.",
            metavar="ID… [RANGE]",
        ),
    ],
    format: Annotated[  # noqa: A002
        SampleFormat | None, typer.Option(help="Print this, not a table.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Write to this file; its name says how.")
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw them in the terminal.")] = False,
    json: JSON = False,
) -> None:
    """Print samples of points, in the order of time.

    Days are those of the point's zone. With --json a sample a line, as Hayson has it.

    \b
    Examples:
      holdall hs his-read plant.db @p1 today
      holdall hs his-read plant.db @p1 @p2 2024-06-01,2024-06-30 -o june.parquet
      holdall hs his-read plant.db @p1 lastWeek --plot
      holdall hs his-read plant.db @p1 --format csv > p1.csv
    """
    ids, range_str = _asked(words)
    if output is not None and output != "-":
        format = sample_format(format, output)  # noqa: A001
    with plant_at(place) as plant:
        points = points_at(plant, ids)
        for of in ids:
            if of not in points:
                raise NotFound(f"there is no point @{of}", reference=of)
        chunks = (chunk for of in ids for chunk in pages_of(plant, points[of], range_str))
        if plot:
            from holdall.cli.hs_plot import say_plots

            say_plots([points[of] for of in ids], chunks)
        elif format is not None:
            _write(chunks, format, output or "-")
        elif json:
            for row in sample_rows(chunks):
                say_json(json_of(row))
        else:
            _say_samples(chunks, ids)


def _asked(words: list[str]) -> tuple[list[str], str | None]:
    """The ids, each once, and the range."""
    *ids, last = words
    if ids and _RANGE.fullmatch(last):
        return list(dict.fromkeys(ids_of(ids))), last
    if ids and not last.startswith("@") and re.search(r"[,\s]", last):
        return list(dict.fromkeys(ids_of(ids))), last  # a range with a mistake in it
    return list(dict.fromkeys(ids_of(words))), None


def _write(chunks: Iterator[tuple[Point, Samples]], format: SampleFormat, output: str) -> None:  # noqa: A002
    sys.stdout.flush()
    target: str | IO[bytes] = sys.stdout.buffer if output == "-" else output
    with writing(target) as stream, bar("samples") as progress:
        number = write_samples(stream, format, chunks, progress)
    if output != "-":
        say(f"wrote {count_text(number, 'sample')} to {output}")


def _say_samples(chunks: Iterator[tuple[Point, Samples]], ids: list[str]) -> None:
    """Lines as they come: a table that knows its widths would have to wait for all of them."""
    people = sys.stdout.isatty()
    width = max(map(len, ids)) + 1
    several = len(ids) > 1
    number = 0
    if not people:
        say("\t".join(("id", "ts", "val") if several else ("ts", "val")))
    for row in sample_rows(chunks):
        number += 1
        of = str(row["id"])
        if people:
            lead = f"{of:{width}}  " if several else ""
            say(f"{lead}{clock(row['ts']):32}  {shown(row['val'])}")
        else:
            cells = [row["ts"].isoformat(), shown(row["val"]).replace("\t", " ")]
            say("\t".join([of, *cells] if several else cells))
    if people:
        say(count_text(number, "sample"))


@hs_command
def his_write(
    place: PLACE,
    file: Annotated[str, typer.Argument(help="A file of samples; - is standard input.")],
    id: Annotated[  # noqa: A002
        str | None, typer.Option(help="The point of samples that name none.")
    ] = None,
    format: Annotated[  # noqa: A002
        SampleFormat | None, typer.Option(help="What is in the file; else its name says.")
    ] = None,
    json: JSON = False,
) -> int:
    """Write the samples of a file: CSV, Zinc, JSON or Parquet with columns ts and val, perhaps id.

    One at a moment that is there takes its place. A number without a unit gets the point's; what
    does not fit its point is told with its line or row, and the others go on. A ts has an offset
    (2024-06-15T08:00:00+02:00, …Z) or a zone (… Berlin).

    \b
    Examples:
      holdall hs his-write plant.db june.csv
      holdall hs his-write plant.db p1.csv --id @p1
      holdall hs his-read old.db @p1 --format csv | holdall hs his-write new.db - --format csv
    """
    kind = sample_format(format, file)
    of = None if id is None else ids_of([id])[0]
    refused = Refused()
    intake = _Intake(name_of(file), "line" if kind is SampleFormat.csv else "row", refused)
    with plant_at(place) as plant, opened(file) as stream, bar("his-write") as progress:
        try:
            for batch in batches(sample_rows_of(stream, kind, file, of), PAGE):
                intake.take(plant, batch)
                if progress is not None:
                    progress(intake.read, None)
        except CodecError as error:
            refused.file(f"{error}; what stands before that was written")
        except HoldallError:
            complain(f"{count_text(intake.written, 'sample')} were written before this")
            raise
    if json:
        counts = {"read": intake.read, "written": intake.written, "points": len(intake.points)}
        say_json({**counts, **refused.counts})
    else:
        written = count_text(intake.written, "sample")
        say(f"wrote {written} of {intake.read:,}, for {count_text(len(intake.points), 'point')}")
    return refused.end()


class _Intake:
    """Samples on their way from a file into a store.

    Args:
        file: Its name, for errors.
        unit: What a place in it is called.
        refused: What is not taken.
    """

    def __init__(self, file: str, unit: str, refused: Refused) -> None:
        self.read = 0
        self.written = 0
        self.points: set[str] = set()
        self._file = file
        self._unit = unit
        self._refused = refused
        self._known: dict[str, Point | None] = {}

    def take(self, plant: Plant, rows: list[SampleRow]) -> None:
        self.read += len(rows)
        ids = [self._id(row) for row in rows]
        unknown = list(dict.fromkeys(of for of in ids if of is not None and of not in self._known))
        found = points_at(plant, unknown)
        self._known.update({of: found.get(of) for of in unknown})
        by_point: dict[str, dict[int, Any]] = {}
        counts: dict[str, int] = {}
        missing: dict[str, list[int]] = {}
        for of, row in zip(ids, rows, strict=True):
            if of is None:
                continue
            point = self._known[of]
            if point is None:
                missing.setdefault(of, []).append(row.place)
                continue
            place = f"{self._file}, {self._unit} {row.place}"
            try:
                ts, value = self._sample(point, row, place)
            except InvalidValue as error:
                self._refused.row(error)
                continue
            except ValueError as error:
                self._refused.row(f"{place}: {error}")
                continue
            by_point.setdefault(of, {})[ts] = value
            counts[of] = counts.get(of, 0) + 1
        for of, places in missing.items():
            where = f"{self._file}, from {self._unit} {places[0]} on"
            self._refused.row(f"{where}: there is no point @{of}", len(places))
        self._write(plant, by_point, counts)

    def _id(self, row: SampleRow) -> str | None:
        try:
            if row.id is None:
                raise InvalidValue("it names no point: give --id, or a column id")
            return plain_id(row.id)
        except InvalidValue as error:
            self._refused.row(f"{self._file}, {self._unit} {row.place}: {error}")
            return None

    def _sample(self, point: Point, row: SampleRow, place: str) -> tuple[int, Any]:
        """A row as its point keeps it.

        Raises:
            ValueError: It does not fit.
        """
        ts = point.micros(moment_of(row.ts), place)
        value = value_of_text(row.val, point) if self._unit == "line" else row.val
        if value is None:
            raise ValueError("there is no value; one that is not known is NA")
        return ts, value if value is REMOVE else point.value(value, place)

    def _write(
        self, plant: Plant, by_point: dict[str, dict[int, Any]], counts: dict[str, int]
    ) -> None:
        taken: dict[Id, Samples] = {}
        for of, samples in by_point.items():
            removed = [ts for ts, value in samples.items() if value is REMOVE]
            for ts in removed:
                del samples[ts]
            moments = sorted(samples)
            if removed:
                plant.run(plant.adapter.stores[1].remove(of, sorted(removed)))
            taken[of] = columns(moments, [samples[ts] for ts in moments])
        try:
            plant.run(plant.adapter.his_write_many(taken))
            written = set(by_point)
        except OF_ONE:
            written = {of for of in by_point if self._alone(plant, of, taken[of], counts[of])}
        self.points |= written
        self.written += sum(counts[of] for of in written)

    def _alone(self, plant: Plant, of: str, samples: Samples, count: int) -> bool:
        try:
            plant.run(plant.adapter.his_write(of, samples))
        except OF_ONE as error:
            self._refused.row(f"{self._file}: {error}", count)
            return False
        return True
