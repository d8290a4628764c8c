"""Entities from files and to files: `holdall hs load` and `export`."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import typer

from holdall.cli.exchanging import bar
from holdall.cli.haystack import FILTER_HELP, JSON, PLACE, GridFormat, hs_command, plant_at
from holdall.cli.hs_files import Refused, batches, codec_of, grid_rows, name_of, opened
from holdall.cli.hs_samples import SampleFormat, sample_format, write_samples
from holdall.cli.hs_values import entities_text
from holdall.cli.output import complain, count_text, say, say_json
from holdall.core.errors import CodecError, HoldallError, InvalidValue, PreconditionFailed
from holdall.haystack.adapter.taking import adopted, id_of
from holdall.haystack.codecs.contract import Head
from holdall.haystack.copying_results import OF_ONE
from holdall.haystack.filter import parse_filter
from holdall.haystack.grid import Col
from holdall.haystack.kinds import Number
from holdall.records.exchange.files import writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.cli.haystack import Plant
    from holdall.cli.hs_files import OnProgress
    from holdall.haystack.kinds import Kind
    from holdall.haystack.stores.entities import Entity

_BATCH: Final = 1000
_EVERY: Final = "id"


@hs_command
def load(
    place: PLACE,
    files: Annotated[
        list[str], typer.Argument(help="Files of entities; - is standard input.", metavar="FILE…")
    ],
    format: Annotated[  # noqa: A002
        GridFormat | None, typer.Option(help="What is in the files; else their names say.")
    ] = None,
    json: JSON = False,
) -> int:
    """Write the entities of files: Zinc, Trio, JSON (version 4 and 3) or CSV with a column id.

    An entity takes the place of the one of its id. What is refused is told with its file and row,
    and the others go on. The store is made where there is none.

    \b
    Examples:
      holdall hs load plant.db site.zinc points.trio
      holdall hs load sqlite:///plant.db legacy.v3.json
      zcat plant.zinc.gz | holdall hs load plant.db - --format zinc
    """
    for file in files:
        # A name that says nothing, or of no file, is told before anything is written.
        codec_of(format, file)
        if file != "-":
            os.stat(file)
    refused = Refused()
    loading = _Loading(refused)
    with plant_at(place, new=True) as plant, bar("load") as progress:
        try:
            for file in files:
                loading.file(plant, file, format, progress)
        except HoldallError:
            complain(f"{entities_text(loading.loaded)} were loaded before this")
            raise
    if json:
        counts = {"read": loading.read, "loaded": loading.loaded, "repeated": loading.repeated}
        say_json({**counts, **refused.counts})
    else:
        say(f"loaded {entities_text(loading.loaded)} of {loading.read:,}")
    if loading.repeated:
        complain(f"{count_text(loading.repeated, 'id')} came more than once: the last one counts")
    return refused.end()


class _Loading:
    """Files on their way into a store, with what was read, loaded and refused."""

    def __init__(self, refused: Refused) -> None:
        self.read = 0
        self.loaded = 0
        self.repeated = 0
        self._refused = refused
        # Of an id its hash is enough, and small where a file holds millions.
        self._seen: set[int] = set()

    def file(
        self,
        plant: Plant,
        file: str,
        format: str | None,  # noqa: A002
        progress: OnProgress | None,
    ) -> None:
        with opened(file) as stream:
            try:
                _, rows, codec = grid_rows(stream, format, file)
                file, number = name_of(file), 0
                for batch in batches(rows, _BATCH):
                    taken = []
                    for row in batch:
                        number += 1
                        try:
                            taken.append((number, _entity(row, codec.name, file, number)))
                        except InvalidValue as error:
                            self._refused.row(error)
                    self.read += len(batch)
                    self._load(plant, file, taken)
                    if progress is not None:
                        progress(self.read, None)
            except CodecError as error:
                self._refused.file(f"{error}; what stands before that was loaded")

    def _load(self, plant: Plant, file: str, taken: list[tuple[int, Entity]]) -> None:
        try:
            plant.run(plant.adapter.load([entity for _, entity in taken]))
            loaded = taken
        except OF_ONE:
            loaded = [one for one in taken if self._alone(plant, file, *one)]
        self.loaded += len(loaded)
        for _, entity in loaded:
            before = len(self._seen)
            self._seen.add(hash(id_of(entity)))
            self.repeated += before == len(self._seen)

    def _alone(self, plant: Plant, file: str, number: int, entity: Entity) -> bool:
        try:
            plant.run(plant.adapter.load([entity]))
        except OF_ONE as error:
            self._refused.row(f"{file}, row {number}: {error}")
            return False
        return True


def _entity(row: dict[str, Any], codec: str, file: str, number: int) -> Entity:
    place = f"{file}, row {number}"
    ref = row.get("id")
    if codec == "csv" and isinstance(ref, Number):
        raise InvalidValue(f"{place} has the id {ref.val}, a number: write it as @{ref.val}")
    return adopted(row, place=place)


@hs_command
def export(
    place: PLACE,
    file: Annotated[str, typer.Argument(help="The file; - is standard output.")],
    filter_str: Annotated[str, typer.Argument(help=FILTER_HELP, metavar="FILTER")] = _EVERY,
    format: Annotated[  # noqa: A002
        GridFormat | None, typer.Option(help="What to write; else the file's name says.")
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(help="Write their samples to this file: .csv, .zinc, .json, .parquet."),
    ] = None,
    range_str: Annotated[
        str | None, typer.Option("--range", "-r", help="Which samples; as his-read takes it.")
    ] = None,
) -> None:
    """Write entities to a file that 'load' reads back, and samples to one for 'his-write'.

    Zinc, Trio and JSON keep every value; of CSV a text that looks like a number becomes one. A
    file is there when all is written.

    \b
    Examples:
      holdall hs export plant.db plant.zinc
      holdall hs export plant.db points.json 'point' --history june.parquet -r 2024-06-01,2024-06-30
      holdall hs export plant.db - --format trio | less
    """
    codec = codec_of(format, file)
    samples: SampleFormat | None = None
    if history is not None:
        if history == "-":
            raise ValueError("the samples go to a file of their own, and - is none")
        samples = sample_format(None, history)
    parse_filter(filter_str)
    target: str | IO[bytes] = sys.stdout.buffer if file == "-" else file
    with plant_at(place) as plant, bar("export") as progress:
        head = Head()
        if codec.name in ("zinc", "csv"):
            # Their columns come first, so that everything is read twice and never held.
            names = dict.fromkeys(name for one in _found(plant, filter_str) for name in one)
            names.pop("id", None)
            head = Head(cols=tuple(Col(name) for name in ("id", *names)))
        entities = _Counted(plant, filter_str, progress)
        with writing(target) as stream:
            try:
                for piece in codec.encode_rows(head, iter(entities)):
                    stream.write(piece)
            except CodecError as error:
                if entities.has_other(head):
                    raise PreconditionFailed(
                        "entities got new tags while they were exported: run it again"
                    ) from error
                raise
        if file != "-":
            say(f"wrote {entities_text(entities.number)} to {file}")
        if history is not None and samples is not None:
            number = _export_samples(plant, history, samples, filter_str, range_str)
            complain_or_say = complain if file == "-" else say
            complain_or_say(f"wrote {count_text(number, 'sample')} to {history}")


class _Counted:
    """The entities of an export, counted as they go by."""

    def __init__(self, plant: Plant, filter_str: str, progress: OnProgress | None) -> None:
        self.number = 0
        self._plant = plant
        self._filter = filter_str
        self._progress = progress
        self._last: Entity = {}

    def __iter__(self) -> Iterator[Entity]:
        for entity in _found(self._plant, self._filter):
            self._last = entity
            yield entity
            self.number += 1
            if self._progress is not None and not self.number % _BATCH:
                self._progress(self.number, None)

    def has_other(self, head: Head) -> bool:
        """Whether the last one has tags that are not among the columns."""
        return bool(head.cols) and not self._last.keys() <= {col.name for col in head.cols}


def _found(plant: Plant, filter_str: str) -> Iterator[dict[str, Kind]]:
    """Entities as they are kept, without what `read` computes of their histories."""
    node = parse_filter(filter_str)
    plant.run(plant.adapter.versions([]))  # takes back commands that have ended
    store, after = plant.adapter.stores[0], None
    while True:
        page = plant.run(store.find(node, limit=_BATCH, after=after))
        for stored in page.entities:
            yield dict(stored.entity)
            after = id_of(stored.entity)
        if not page.more:
            return


def _export_samples(
    plant: Plant,
    file: str,
    format: SampleFormat,  # noqa: A002
    filter_str: str,
    range_str: str | None,
) -> int:
    from holdall.cli.hs_points import pages_of, points_at

    def chunks() -> Iterator[Any]:
        for batch in batches(_found(plant, filter_str), _BATCH):
            ids = [id_of(entity) for entity in batch]
            bounds = plant.run(plant.adapter.stores[1].bounds(ids))
            full = [of for of, reach in zip(ids, bounds, strict=True) if reach is not None]
            for point in points_at(plant, full).values():
                yield from pages_of(plant, point, range_str)

    with writing(file) as stream, bar("samples") as progress:
        return write_samples(stream, format, chunks(), progress)
