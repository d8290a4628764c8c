"""Commands over whole stores: sync, verify, uploads."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from holdall.cli import INTERRUPTED
from holdall.cli.app import command
from holdall.cli.looking import JSON, found_at
from holdall.cli.output import (
    complain,
    count_text,
    progress_bar,
    say,
    say_json,
    size_text,
)
from holdall.cli.places import Spot, folder_path, store_at
from holdall.cli.reports import report_json, say_report, say_verified, step_json, verify_json
from holdall.core.errors import NotFound
from holdall.core.runtime.blocking import drive
from holdall.objects import transfer
from holdall.objects.transfer import SyncOptions
from holdall.objects.transfer.engine import Sync

if TYPE_CHECKING:
    from holdall.cli.places import Store
    from holdall.objects.transfer import Step

EXCLUDE = Annotated[
    list[str] | None,
    typer.Option("--exclude", "-x", help="Leave keys of this pattern alone; repeatable."),
]
WORKERS = Annotated[
    int, typer.Option("--workers", "-w", min=1, max=256, help="Objects on the way at a time.")
]
_AGE = re.compile(r"(\d+)([smhdw])\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Compare(StrEnum):
    """When an object of the same size counts as the same."""

    checksum = "checksum"
    content = "content"
    modified = "modified"
    size = "size"


@command
def sync(
    source: Annotated[str, typer.Argument(help="What the target should hold; only read.")],
    target: Annotated[str, typer.Argument(help="What is changed; made when it is not there.")],
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete from the target what the source has not.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be done, and do nothing.")
    ] = False,
    exclude: EXCLUDE = None,
    compare: Annotated[
        Compare | None,
        typer.Option("--compare", help="What makes same-sized ones the same; content reads both."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="As --compare modified: written since, unread.")
    ] = False,
    size_only: Annotated[bool, typer.Option("--size-only", help="As --compare size.")] = False,
    tags: Annotated[bool, typer.Option("--tags", help="Carry tags too.")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Go on, and delete, when the source is empty or missing, or holds links.",
        ),
    ] = False,
    workers: WORKERS = transfer.WORKERS,
    json: JSON = False,
) -> int:
    """Make a target hold what a source holds.

    Copies what is missing or differs, by size or SHA-256. Each object is copied whole or not at
    all, and verified. When it is interrupted, run it again: it goes on, also in the middle of a
    large object. What fails is listed, does not stop the others, and makes the exit code 1; then
    nothing is deleted.

    A checksum that was recorded is trusted. To repair what verify found damaged, sync with
    --compare content, which reads every byte of both.

    With --json each line is a step (but not for what was the same), and the last one the report.

    \b
    Examples:
      holdall sync ~/photos /mnt/backup/photos
      holdall sync ~/photos /mnt/backup/photos --delete --dry-run
      holdall sync --compare content ~/photos /mnt/backup/photos
      holdall sync . /mnt/backup/project -x .git -x '*.tmp' -w 16
    """
    if quick + size_only + (compare is not None) > 1:
        raise typer.BadParameter("--quick, --size-only and --compare exclude one another")
    path = folder_path(source)
    if path is not None and os.path.isfile(path):
        raise typer.BadParameter(f"{source!r} is one file: use holdall cp")
    if compare is None:
        compare = Compare.modified if quick else Compare.size if size_only else Compare.checksum
    options = SyncOptions(
        exclude=tuple(exclude or ()),
        compare=compare.value,
        delete=delete,
        allow_empty=force,
        tags=tags,
        workers=workers,
    )
    one, other = store_at(source), store_at(target)
    try:
        if dry_run:
            return _say_plan(one, other, options, json)
        return run_sync(one, other, options, json=json)
    except NotFound as error:
        # The library names its option, which has another name here.
        raise NotFound(str(error).replace("allow_empty permits", "--force permits")) from error


def run_sync(source: Store, target: Store, options: SyncOptions, *, json: bool) -> int:
    """Sync, and print what came of it; answer the exit code."""

    def tell(step: Step) -> None:
        if step.action != "same":
            say_json(step_json(step))
            sys.stdout.flush()  # whoever reads along acts on it

    with progress_bar("sync", wanted=not json) as bar:
        work = Sync(source.store, target.store, options, bar, tell if json else None)
        try:
            report = drive(work.run())
        except KeyboardInterrupt:
            if json:
                say_json({"report": {**report_json(work.report), "interrupted": True}})
            complain("interrupted; the same command goes on from here")
            return INTERRUPTED
    if json:
        say_json({"report": {**report_json(report), "interrupted": False}})
    else:
        say_report(report)
    return 0 if report.ok and report.not_deleted is None else 1


def _say_plan(source: Store, target: Store, options: SyncOptions, json: bool) -> int:
    counts = dict.fromkeys(("copy", "delete", "keep", "same", "fail"), 0)
    size = 0
    not_deleted = None
    for step in transfer.plan(source, target, options):
        counts[step.action] += 1
        if step.action == "keep" and step.error is not None:
            not_deleted = str(step.error)
        size += step.size if step.action == "copy" else 0
        if json and step.action != "same":
            say_json(step_json(step))
        elif step.action == "fail":
            complain(f"{step.key}: {step.error}")
        elif step.action in {"copy", "delete"}:
            say(f"{step.action:<6}  {size_text(step.size):>10}  {step.reason:<8}  {step.key}")
    if json:
        say_json({"plan": {**counts, "bytes": size, "not_deleted": not_deleted}})
    else:
        say(
            f"would copy {count_text(counts['copy'])} ({size_text(size)}), "
            f"delete {counts['delete']:,}; {counts['same']:,} are the same already"
        )
        if not_deleted is not None:
            complain(not_deleted.replace("allow_empty permits", "--force permits"))
    return 1 if counts["fail"] or not_deleted is not None else 0


@command
def verify(
    place: Annotated[str, typer.Argument(help="A folder or store.")],
    other: Annotated[str | None, typer.Argument(help="Another one, to compare it with.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="An object without a recorded checksum is a failure.")
    ] = False,
    exclude: EXCLUDE = None,
    workers: WORKERS = transfer.WORKERS,
    json: JSON = False,
) -> int:
    """Read every object, and check it.

    It is compared with the SHA-256 recorded when it was written. With two places, every object
    must be in both, with the same bytes. What other programs wrote has no checksum recorded: it
    is counted, and is no failure without --strict. The exit code is 1 when anything is damaged,
    unreadable or missing. From a sound copy, holdall sync --compare content COPY PLACE repairs.

    \b
    Examples:
      holdall verify /mnt/backup/photos
      holdall verify ~/photos /mnt/backup/photos
      holdall verify --strict /mnt/backup/photos
      holdall verify --json /mnt/backup/photos | jq '.damaged[].key'
    """
    places = [place] if other is None else [place, other]
    stores = []
    for text in places:
        found = found_at(text)
        if isinstance(found, Spot):
            raise typer.BadParameter(f"{text!r} is one object, and this takes a folder or store")
        stores.append(found)
    left_out = tuple(exclude or ())
    with progress_bar("verify", wanted=not json) as bar:
        if other is None:
            report = transfer.verify(stores[0], exclude=left_out, workers=workers, on_progress=bar)
        else:
            report = transfer.compare(
                stores[0], stores[1], exclude=left_out, workers=workers, on_progress=bar
            )
    if json:
        say_json(verify_json(report))
    else:
        say_verified(report, places)
    if strict and report.unrecorded:
        complain(f"{count_text(report.unrecorded)} without a recorded checksum, and --strict")
        return 1
    return 0 if report.sound else 1


@command
def uploads(
    place: Annotated[str, typer.Argument(help="A folder or store.")] = ".",
    purge: Annotated[
        str | None, typer.Option(help="Forget those begun longer ago: 90m, 12h, 7d, 2w.")
    ] = None,
    json: JSON = False,
) -> None:
    """List what interrupted uploads left staged, or forget what is old.

    Staged bytes are no objects: no listing shows them, and sync goes on from them.

    \b
    Examples:
      holdall uploads /mnt/backup/photos
      holdall uploads /mnt/backup/photos --purge 7d
    """
    path = folder_path(place)
    if path is not None and not os.path.isdir(path):
        raise NotFound(f"{path}: there is no folder")
    age = None if purge is None else age_of(purge)
    store = store_at(place)
    if age is not None:
        number = store.purge_uploads(age)
        say_json({"purged": number}) if json else say(f"forgot {count_text(number, 'upload')}")
        return
    for info in store.uploads():
        if json:
            row = {"key": info.key, "id": info.id, "offset": info.offset}
            say_json({**row, "begun": info.begun.isoformat()})
        else:
            say(f"{size_text(info.offset):>11}  {info.begun:%Y-%m-%d %H:%M:%S}  {info.key}")


def age_of(text: str) -> timedelta:
    """An age as people write it."""
    match = _AGE.match(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no age: write 90m, 12h, 7d or 2w")
    try:
        age = timedelta(**{_UNITS[match[2]]: int(match[1])})
        datetime.now(UTC) - age  # what it is asked for: to say what is older
    except (OverflowError, ValueError):  # an int of thousands of digits is a ValueError
        raise typer.BadParameter(f"{text!r} is too long for an age") from None
    return age
