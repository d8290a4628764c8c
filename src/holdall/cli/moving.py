"""Commands that bring objects somewhere, or remove them: put, get, cp, mv, rm."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING, Annotated, cast

import typer

from holdall.cli.app import command
from holdall.cli.files import write_file
from holdall.cli.output import complain, count_text, say, say_foreign, size_text
from holdall.cli.places import (
    Spot,
    is_path,
    name_of,
    object_at,
    path_of,
    reference_of,
    store_above,
    store_at,
    with_name,
)
from holdall.core.errors import HoldallError, NotFound, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedReader

    from holdall.cli.places import Store

_PART_BYTES = 1024 * 1024
_DELETE_BATCH = 1000


@command
def put(
    sources: Annotated[list[str], typer.Argument(help="Files; - for standard input.")],
    target: Annotated[str, typer.Argument(help="The object; or a folder, which ends in /.")],
    content_type: Annotated[
        str | None, typer.Option(help="Media type to keep, such as text/csv.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", "-m", help="NAME=VALUE to keep; repeatable.")
    ] = None,
) -> None:
    """Write files, or standard input, as objects: whole or not at all.

    A local folder that is written to becomes a store: it gets a folder .holdall for work under
    way. An interrupted put of a large file goes on where it was.

    \b
    Examples:
      holdall put report.pdf /srv/data/2024/report.pdf
      holdall put *.csv /srv/data/tables/
      pg_dump app | holdall put - s3://archive/app.sql -m made-by=pg_dump
    """
    pairs = _pairs(metadata or ())
    if len(sources) > 1 and with_name(target, "x") == target:
        raise typer.BadParameter(f"{target!r} is no folder, and many sources need one: end it in /")
    for source in sources:
        if source == "-":
            if with_name(target, "x") != target:
                raise typer.BadParameter(f"{target!r} is a folder, and - has no name: add one")
            _put_input(object_at(target), content_type, pairs)
            continue
        spot = object_at(source)
        _refuse_folder(source)
        to = object_at(with_name(target, name_of(source)))
        _copy(spot, to, content_type, pairs or None)


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is no NAME=VALUE")
        pairs[name] = value
    return pairs


def _put_input(spot: Spot, content_type: str | None, metadata: dict[str, str]) -> None:
    digest = hashlib.sha256()
    with spot.store.upload(spot.key, content_type=content_type, metadata=metadata) as upload:
        try:
            for chunk in _input():
                digest.update(chunk)
                upload.write(chunk)
            upload.commit(upload.offset, digest.hexdigest())
        except BaseException:
            upload.abort()  # what came through a pipe does not come again
            raise


def _input() -> Iterator[bytearray]:
    """Go through standard input, gathered to pieces worth writing."""
    gathered = bytearray()
    typed = cast("BufferedReader", sys.stdin.buffer)
    # Not `read`, which waits for all of a piece without looking whether Ctrl-C was pressed.
    while chunk := typed.read1(_PART_BYTES):
        gathered += chunk
        if len(gathered) >= _PART_BYTES:
            yield gathered
            gathered = bytearray()
    yield gathered


def _copy(
    source: Spot,
    target: Spot,
    content_type: str | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    from holdall.objects import transfer

    transfer.copy(
        source.store,
        source.key,
        target.store,
        target.key,
        content_type=content_type,
        metadata=metadata,
        tags=source.store.capabilities.tags and target.store.capabilities.tags,
    )


def _refuse_folder(text: str) -> None:
    path = path_of(text)
    if path is not None and os.path.isdir(path):
        raise typer.BadParameter(f"{text!r} is a folder: use holdall cp -r, or holdall sync")


@command
def get(
    source: Annotated[str, typer.Argument(help="The object.")],
    target: Annotated[str, typer.Argument(help="A file or a folder; - for standard output.")] = ".",
) -> None:
    """Write an object to a file of this machine.

    It is written whole or not at all, and verified. The file stands alone: nothing appears
    beside it, unless it lies in a store.

    \b
    Examples:
      holdall get s3://archive/app.sql
      holdall get /srv/data/2024/report.pdf ~/Downloads/
      holdall get s3://archive/app.sql - | psql app
    """
    if target == "-":
        spot = object_at(source)
        spot.store.read_into(spot.key, sys.stdout.buffer)
        return
    if not is_path(target):
        raise typer.BadParameter(f"{target!r} is no path: use holdall cp")
    _bring(object_at(source), with_name(target, name_of(source)))


def _bring(source: Spot, target: str) -> None:
    """Copy an object to an address, or to a path, which is a plain file outside of stores."""
    path = path_of(target)
    if is_path(target) and path is not None and store_above(os.path.dirname(path)) is None:
        write_file(source, os.path.realpath(path))
        return
    to = object_at(target)
    if to.store.root == source.store.root:
        source.store.copy(source.key, to.key)
    else:
        _copy(source, to)


@command
def cp(
    source: Annotated[str, typer.Argument(help="An object; with -r a folder.")],
    target: Annotated[str, typer.Argument(help="An object, a file, or a folder, ending in /.")],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Copy all objects of a folder.")
    ] = False,
) -> int:
    """Copy an object, or with -r all objects of a folder.

    Content type and metadata go with it. cp -r copies what differs, as sync does, and puts it
    into the target folder itself: after cp -r a b, a/x is b/x.

    \b
    Examples:
      holdall cp /srv/data/report.pdf s3://archive/2024/
      holdall cp -r s3://archive/2024 ./2024
    """
    if recursive:
        from holdall.cli.syncing import run_sync
        from holdall.objects.transfer import SyncOptions

        return run_sync(store_at(source), store_at(target), SyncOptions(), json=False)
    _refuse_folder(source)
    _bring(object_at(source), with_name(target, name_of(source)))
    return 0


@command
def mv(
    source: Annotated[str, typer.Argument(help="An object.")],
    target: Annotated[str, typer.Argument(help="An object, a file, or a folder, ending in /.")],
) -> None:
    """Move an object; the source goes once the target is complete.

    \b
    Examples:
      holdall mv /srv/data/new.csv /srv/data/2024/new.csv
      holdall mv /srv/data/old.csv s3://archive/
    """
    _refuse_folder(source)
    spot = object_at(source, follow=False)
    target = with_name(target, name_of(source))
    to = object_at(target)
    if to.store.root == spot.store.root:
        spot.store.move(spot.key, to.key)
        return
    etag = spot.store.stat(spot.key).etag
    _bring(spot, target)
    try:
        spot.store.delete(spot.key, if_match=etag)
    except PreconditionFailed:
        raise PreconditionFailed(
            f"{spot.address} changed while it was moved: it stays, and {target} holds a copy"
        ) from None


@command
def rm(
    places: Annotated[list[str], typer.Argument(help="Objects; with -r folders too.")],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Remove all objects of a folder; asks.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Remove objects. With -r it counts what is in a folder, and asks.

    \b
    Examples:
      holdall rm /srv/data/report.pdf
      holdall rm -r /srv/data/2019
      holdall rm -r --yes s3://archive/tmp
    """
    code = 0
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
    spot.store.delete(spot.key)


def _remove_folder(text: str, yes: bool) -> bool:
    """Remove what is in a folder; answer whether there is such a folder."""
    store, prefix = _folder_at(text)
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
    batch: list[str] = []
    for key in store.list(prefix):
        batch.append(key)
        if len(batch) == _DELETE_BATCH:
            store.delete_many(batch)
            batch = []
    store.delete_many(batch)
    say_foreign(foreign)
    say(f"removed {count_text(number)} from {place}")
    return True


def _folder_at(text: str) -> tuple[Store, str]:
    """The store that a folder lies in, so that the emptied folder goes too, and its key there."""
    reference = reference_of(text)
    if reference.path is None or (not is_path(text) and not os.path.isdir(reference.path)):
        return store_at(text), ""
    path = os.path.realpath(reference.path)
    if os.path.dirname(path) == path:
        raise typer.BadParameter("the root of this machine is not removed")
    if os.path.isdir(os.path.join(path, ".holdall")):
        return store_at(path), ""
    spot = object_at(path)
    return spot.store, spot.key
