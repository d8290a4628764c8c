"""Commands that bring objects somewhere: put, get, cp, mv."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple, cast

import typer

from holdall.cli.app import command
from holdall.cli.files import write_file, write_special
from holdall.cli.places import (
    Spot,
    is_path,
    is_special,
    name_of,
    object_at,
    path_of,
    store_above,
    store_at,
    with_name,
)
from holdall.cli.workspaces import no_new_workspace
from holdall.core.errors import Corrupt, PreconditionFailed
from holdall.objects.integrity import check_unwritten
from holdall.objects.options import WriteOptions, check_size, check_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedReader


_PART_BYTES = 1024 * 1024


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
    size: Annotated[
        int | None, typer.Option("--size", min=0, help="Bytes there must be, else nothing is kept.")
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option("--sha256", help="SHA-256 they must have, in hexadecimal; likewise."),
    ] = None,
) -> None:
    """Write files, or standard input, as objects: whole or not at all.

    put - cannot see whether the program before the | failed: it keeps what came, even if that is
    nothing. The shell's pipefail shows the failure only afterwards. Give --size or --sha256, or
    write a file first: pg_dump app > app.sql && holdall put app.sql /srv/data/

    A local folder that is written to becomes a store: it gets a folder .holdall for work under
    way. An interrupted put of a large file goes on where it was.

    \b
    Examples:
      holdall put report.pdf /srv/data/2024/report.pdf
      holdall put *.csv /srv/data/tables/
      pg_dump app | holdall put - /srv/data/app.sql -m made-by=pg_dump
      curl -s "$URL" | holdall put - /srv/data/disk.img --size 104857600
    """
    pairs = _pairs(metadata or ())
    expected = _Expected(size, _digest(sha256))
    if len(sources) > 1 and expected != _Expected():
        raise typer.BadParameter("--size and --sha256 are for one source")
    if len(sources) > 1 and with_name(target, "x") == target:
        raise typer.BadParameter(f"{target!r} is no folder, and many sources need one: end it in /")
    for source in sources:
        if source == "-":
            if with_name(target, "x") != target:
                raise typer.BadParameter(f"{target!r} is a folder, and - has no name: add one")
            _put_stream(sys.stdin.buffer, _place_for(target, pairs), content_type, pairs, expected)
            continue
        spot = object_at(source)
        _refuse_folder(source)
        to = _place_for(with_name(target, name_of(source)), pairs)
        path = path_of(source)
        if path is not None and (expected != _Expected() or is_special(source)):
            with open(path, "rb") as file:
                _put_stream(file, to, content_type, pairs, expected)
        else:
            _copy(spot, to, content_type, pairs or None)


class _Expected(NamedTuple):
    """What the bytes of a stream must be; None for what nobody said."""

    size: int | None = None
    sha256: str | None = None


def _digest(text: str | None) -> str | None:
    if text is not None and not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise typer.BadParameter(f"{text!r} is no SHA-256: it has 64 hexadecimal digits")
    return None if text is None else text.lower()


def _place_for(target: str, metadata: dict[str, str]) -> Spot:
    """Where an object is written, after a look whether it may be."""
    if is_special(target):
        raise typer.BadParameter(
            f"{target!r} is a device, a pipe or a socket, and no object: use holdall get"
        )
    spot = object_at(target)
    options = WriteOptions(metadata=metadata)
    check_write(options, spot.store.capabilities, spot.store.reference(spot.key))
    return spot


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is no NAME=VALUE")
        pairs[name] = value
    return pairs


def _put_stream(
    stream: BinaryIO,
    spot: Spot,
    content_type: str | None,
    metadata: dict[str, str],
    expected: _Expected,
) -> None:
    if expected.size is not None:
        ref = spot.store.reference(spot.key)
        check_size(expected.size, spot.store.capabilities, ref)
    digest = hashlib.sha256()
    with spot.store.upload(spot.key, content_type=content_type, metadata=metadata) as upload:
        try:
            for chunk in _pieces(stream):
                digest.update(chunk)
                upload.write(chunk)
                if expected.size is not None and upload.offset > expected.size:
                    raise Corrupt(
                        f"{spot.address}: {expected.size} bytes were announced, and more came; "
                        "nothing is visible"
                    )
            size = upload.offset if expected.size is None else expected.size
            upload.commit(size, expected.sha256 or digest.hexdigest())
        except BaseException:
            upload.abort()  # what came through a pipe does not come again
            raise


def _pieces(stream: BinaryIO) -> Iterator[bytearray]:
    """Go through a stream, gathered to pieces worth writing."""
    gathered = bytearray()
    typed = cast("BufferedReader", stream)
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
    beside it, unless it lies in a store. Its folder is made. A file that was there keeps its
    mode; a device or a pipe is written into.

    \b
    Examples:
      holdall get /srv/data/app.sql
      holdall get /srv/data/2024/report.pdf ~/Downloads/
      holdall get /srv/data/app.sql - | psql app
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
    if path is not None and is_special(target):
        write_special(source, path)
        return
    if is_path(target) and path is not None and store_above(os.path.dirname(path)) is None:
        write_file(source, path)
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
      holdall cp /srv/data/report.pdf /mnt/backup/2024/
      holdall cp -r /mnt/backup/2024 ./2024
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
      holdall mv /srv/data/old.csv /mnt/backup/
    """
    _refuse_folder(source)
    spot = object_at(source, follow=False)
    target = with_name(target, name_of(source))
    if is_special(target):
        raise typer.BadParameter(f"{target!r} is a device, a pipe or a socket: nothing stays there")
    to = object_at(target)
    if to.store.root == spot.store.root:
        with no_new_workspace(spot.store):
            spot.store.move(spot.key, to.key)
        return
    seen = spot.store.stat(spot.key)
    _bring(spot, target)
    try:
        if not spot.store.capabilities.unique_etags:
            check_unwritten(seen, spot.store.stat(spot.key))
        with no_new_workspace(spot.store):
            spot.store.delete(spot.key, if_match=seen.etag)
    except PreconditionFailed:
        raise PreconditionFailed(
            f"{spot.address} changed while it was moved: it stays, and {target} holds a copy"
        ) from None
