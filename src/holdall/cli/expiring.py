"""The command that lets go of what is old: expire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from holdall.cli.app import command
from holdall.cli.output import complain, count_text, say, say_json, size_text
from holdall.cli.places import store_at
from holdall.cli.removing import folder_at
from holdall.cli.syncing import age_of
from holdall.cli.workspaces import no_new_workspace
from holdall.core.errors import HoldallError
from holdall.objects.transfer import expire as expire_objects

if TYPE_CHECKING:
    from holdall.objects.transfer import Expired, ExpireReport


@command
def expire(
    place: Annotated[str, typer.Argument(help="A folder or store.")],
    older_than: Annotated[str, typer.Option(help="Written longer ago than: 90m, 12h, 30d, 8w.")],
    move_to: Annotated[
        str | None, typer.Option(help="Move there, and compare before the source goes.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Count, change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> int:
    """Delete what is old, or move it elsewhere. It counts first, and asks.

    What is written again meanwhile stays.

    \b
    Examples:
      holdall expire /srv/data/logs --older-than 30d --dry-run
      holdall expire /srv/data/logs --older-than 30d --yes
      holdall expire /srv/data/2019 --older-than 52w --move-to s3://archive/2019

    \b
    Exit codes: 0 all went well; 1 something is still there; 2 a mistake in the command.
    """
    age = age_of(older_than)
    # What is moved has keys relative to the place; what is deleted takes the emptied folder along.
    store, prefix = folder_at(place) if move_to is None else (store_at(place), "")
    target = None if move_to is None else store_at(move_to)
    found = expire_objects(store, age, prefix, dry_run=True)
    if dry_run or not found.found:
        _say(found, json=json)
        return 0
    if not yes:
        verb = "Delete" if target is None else "Move"
        question = f"{verb} {count_text(found.found)} ({size_text(found.bytes)}) of {place}?"
        if not typer.confirm(question, err=True):
            raise HoldallError("nothing was changed")

    def tell(step: Expired) -> None:
        if json:
            row = {"key": step.key, "action": step.action, "size": step.size}
            say_json(row if step.error is None else row | {"error": str(step.error)})

    with no_new_workspace(store):
        report = expire_objects(store, age, prefix, move_to=target, on_step=tell)
    _say(report, json=json)
    for failure in report.failed:
        complain(f"{failure.key}: {failure.error}")
    return 0 if report.ok else 1


def _say(report: ExpireReport, *, json: bool) -> None:
    if json:
        counts = {name: getattr(report, name) for name in ("deleted", "moved", "kept")}
        failed = len(report.failed)
        say_json({"found": report.found, "bytes": report.bytes, **counts, "failed": failed})
        return
    parts = [f"{count_text(report.found)} ({size_text(report.bytes)}) old enough"]
    counts = {"deleted": report.deleted, "moved": report.moved, "kept": report.kept}
    parts += [f"{count:,} {name}" for name, count in counts.items() if count]
    say(", ".join(parts))
