"""The command that removes objects: rm."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from holdall.cli.app import command
from holdall.cli.output import complain, count_text, say, say_foreign, size_text
from holdall.cli.places import is_path, object_at, path_of, reference_of, store_at
from holdall.cli.workspaces import no_new_workspace
from holdall.core.errors import HoldallError, NotFound, PermissionDenied

if TYPE_CHECKING:
    from holdall.cli.places import Store

_DELETE_BATCH = 1000


@command
def rm(
    places: Annotated[list[str], typer.Argument(help="Objects; with -r folders too.")],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Remove all objects of a folder; asks.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Remove objects. With -r it counts what is in a folder, and asks.

    A folder that was no store before is none afterwards either.

    \b
    Examples:
      holdall rm /srv/data/report.pdf
      holdall rm -r /srv/data/2019
      holdall rm -r --yes /srv/data/tmp
    """
    code = 0
    for text in places:
        is_path(text)  # an empty one is refused before anything is removed
    for text in places:
        try:
            if not recursive or not _remove_folder(text, yes):
                _remove_object(text, recursive)
        except HoldallError as error:
            complain(error)
            code = 1
    return code


def _remove_object(text: str, recursive: bool) -> None:
    spot = object_at(text, follow=False)
    if not spot.store.exists(spot.key):
        path = path_of(text)
        if not recursive and path is not None and os.path.isdir(path):
            raise NotFound(f"{spot.address} is a folder: use -r to remove all that is in it")
        raise NotFound(f"{spot.address}: there is nothing")
    with no_new_workspace(spot.store):
        spot.store.delete(spot.key)


def _remove_folder(text: str, yes: bool) -> bool:
    """Remove what is in a folder; answer whether there is such a folder."""
    store, prefix = folder_at(text)
    number = size = foreign = 0
    for page in store.pages(prefix):
        foreign += page.foreign
        number += len(page.objects)
        size += sum(meta.size for meta in page.objects)
    if not number:
        return False
    place = store.full_path(prefix) if prefix else (store.base_path or str(store.root))
    if not yes:
        question = f"Remove {count_text(number)} ({size_text(size)}) from {place}?"
        if not typer.confirm(question, err=True):
            raise HoldallError("nothing was removed")
    with no_new_workspace(store):
        _empty(store, prefix)
    say_foreign(foreign)
    say(f"removed {count_text(number)} from {place}")
    return True


def _empty(store: Store, prefix: str) -> None:
    batch: list[str] = []
    for key in store.list(prefix):
        batch.append(key)
        if len(batch) == _DELETE_BATCH:
            store.delete_many(batch)
            batch = []
    store.delete_many(batch)


def folder_at(text: str) -> tuple[Store, str]:
    """The store that a folder lies in, so that the emptied folder goes too, and its key there."""
    reference = reference_of(text)
    if reference.path is None or (not is_path(text) and not os.path.isdir(reference.path)):
        return store_at(text), ""
    named = reference.path.rstrip("/") or "/"
    if os.path.islink(named):
        raise PermissionDenied(
            f"{named} is a link: neither it nor what it leads to is removed. "
            f"To remove that, name {os.path.realpath(named)}"
        )
    path = os.path.join(os.path.realpath(os.path.dirname(named)), os.path.basename(named))
    if os.path.dirname(path) == path:
        raise typer.BadParameter("the root of this machine is not removed")
    if os.path.isdir(os.path.join(path, ".holdall")):
        return store_at(path), ""
    spot = object_at(path)
    return spot.store, spot.key
