"""From one store of entities and histories to another: `holdall hs copy`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from holdall.cli.haystack import FILTER_HELP, JSON, PLACE, hs_command, plant_at
from holdall.cli.hs_values import entities_text
from holdall.cli.output import complain, count_text, say, say_json
from holdall.core.errors import HoldallError
from holdall.haystack.copying import copy as copy_entities
from holdall.haystack.copying_results import COUNTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdall.haystack.copying import CopyReport

_SHOWN: Final = 20


@hs_command
def copy(
    source: PLACE,
    target: Annotated[str, typer.Argument(help="The store they go to.", metavar="TARGET")],
    filter_str: Annotated[
        str | None, typer.Argument(help=f"{FILTER_HELP} All without one.", metavar="FILTER")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history/--no-history", help="Copy their samples, too.")
    ] = True,
    json: JSON = False,
) -> int:
    """Copy entities, their samples and what is commanded of them; read all back to compare.

    An entity takes the place of the one of its id, a sample that of its moment; anything else that
    the target has stays. Run it again after an interruption: it goes on where it was.

    \b
    Examples:
      holdall hs copy plant.db postgresql://host/plant
      holdall hs copy redis://host plant.db 'siteRef==@hq' --no-history
    """
    with (
        plant_at(source) as old,
        plant_at(target, new=True, beside=old) as new,
        _counter() as progress,
    ):
        try:
            report = old.run(
                copy_entities(
                    old.adapter, new.adapter, filter_str, histories=history, progress=progress
                )
            )
        except (HoldallError, KeyboardInterrupt):
            complain("what was copied stays: run it again to go on")
            raise
    if json:
        counts = {name: getattr(report, name) for name in COUNTS}
        failed = [{"id": one.id, "error": str(one.error)} for one in report.failed]
        say_json({**counts, "resumed": report.resumed, "failed": failed})
    else:
        _say_report(report)
    return 0 if report.ok else 1


def _say_report(report: CopyReport) -> None:
    lead = "went on where it was; " if report.resumed else ""
    say(
        f"{lead}copied {report.written:,} of {entities_text(report.entities)}, "
        f"{report.same:,} were the same"
    )
    say(
        f"copied {report.samples_written:,} of {count_text(report.samples, 'sample')} "
        f"of {count_text(report.histories, 'point')}"
    )
    if report.commands:
        say(f"copied {count_text(report.commands, 'command')}")
    if report.gone:
        complain(
            f"{entities_text(report.gone)} of the target went from the source meanwhile, and stay"
        )
    for one in report.failed[:_SHOWN]:
        complain(f"@{one.id}: {one.error}")
    if len(report.failed) > _SHOWN:
        complain(f"and {len(report.failed) - _SHOWN:,} more")


@contextmanager
def _counter() -> Iterator[Callable[[CopyReport], object] | None]:
    """Counts on standard error, since nobody knows how much there is; None where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("copy", total=None)

        def show(report: CopyReport) -> None:
            entities, samples = entities_text(report.entities), count_text(report.samples, "sample")
            shown.update(task, description=f"copy: {entities}, {samples}")

        yield show
