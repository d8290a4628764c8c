"""Commands that only look: ls, cat, stat, du. They never create anything."""

from __future__ import annotations

import os
import stat as stat_module
import sys
from heapq import merge
from typing import TYPE_CHECKING, Annotated

import typer

from holdall.cli.app import command
from holdall.cli.output import count_text, meta_json, say, say_foreign, say_json, size_text
from holdall.cli.places import Spot, Store, folder_path, object_at, reference_of, store_at
from holdall.core.errors import HoldallError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.objects.results import ObjectMeta, Page

JSON = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def found_at(place: str) -> Store | Spot:
    """The store at a place, or the one object that is there.

    Raises:
        NotFound: There is neither.
        OSError: A folder on the way may not be read.
    """
    path = folder_path(place)
    if path is not None:
        try:
            mode = os.stat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"{path}: there is nothing") from None
        if stat_module.S_ISDIR(mode):
            return store_at(place)
        if not stat_module.S_ISREG(mode):
            raise NotFound(f"{path} is no folder and no file, but a device, a pipe or a socket")
        return object_at(place)
    store = store_at(place)
    page = store.list_page(max_items=1)
    if page.objects or page.folders:
        return store
    if reference_of(place).key:
        spot = object_at(place)
        if spot.store.exists(spot.key):
            return spot
    raise NotFound(f"{place}: there is nothing")


@command
def ls(
    place: Annotated[str, typer.Argument(help="A folder or store, or one object.")] = ".",
    long: Annotated[bool, typer.Option("--long", "-l", help="Size and time too.")] = False,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="All below it.")] = False,
    json: JSON = False,
) -> None:
    """List objects, in byte order of their keys.

    A name that ends in / is a folder. With --json each line is one JSON document.

    \b
    Examples:
      holdall ls /srv/data
      holdall ls -l file:///srv/data/2024
      holdall ls -r --json ./data | jq -r .key
    """
    found = found_at(place)
    if isinstance(found, Spot):
        _say_object(found.store.stat(found.key), long, json)
        return
    foreign = 0
    for page in found.pages(delimiter=not recursive):
        foreign += page.foreign
        for item in _in_order(page):
            if not isinstance(item, str):
                _say_object(item, long, json)
            elif json:
                say_json({"folder": item})
            else:
                say(f"{'-':>14}  {'':19}  {item}/" if long else f"{item}/")
    say_foreign(foreign)


def _in_order(page: Page) -> Iterator[ObjectMeta | str]:
    objects = ((meta.key, meta) for meta in page.objects)
    folders = ((f"{folder}/", folder) for folder in page.folders)
    rows: Iterator[tuple[str, ObjectMeta | str]] = merge(objects, folders, key=lambda row: row[0])
    return (item for _, item in rows)


def _say_object(meta: ObjectMeta, long: bool, json: bool) -> None:
    if json:
        say_json(meta_json(meta))
    elif long:
        say(f"{meta.size:>14,}  {meta.modified:%Y-%m-%d %H:%M:%S}  {meta.key}")
    else:
        say(meta.key)


@command
def cat(
    objects: Annotated[list[str], typer.Argument(help="Objects, one after another.")],
    start: Annotated[
        int, typer.Option(help="First byte; below 0 counts from the end (--start=-100).")
    ] = 0,
    end: Annotated[int | None, typer.Option(help="The byte after the last one.")] = None,
) -> None:
    """Write objects to standard output, or a range of their bytes. It takes no '-'.

    \b
    Examples:
      holdall cat /srv/data/app.sql | psql app
      holdall cat --start 0 --end 512 /srv/data/disk.img | xxd
    """
    for text in objects:
        spot = object_at(text)
        for chunk in spot.store.stream(spot.key, start=start, end=end):
            sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


@command
def stat(objects: Annotated[list[str], typer.Argument(help="Objects.")], json: JSON = False) -> int:
    """Say what is known of objects.

    Size, time, etag, content type, metadata, tags and checksums, where they are kept. With
    --json each line is one JSON document.

    \b
    Examples:
      holdall stat /srv/data/report.pdf
      holdall stat --json /srv/data/a /srv/data/b
    """
    from holdall.cli.output import complain

    code = 0
    for text in objects:
        spot = object_at(text)
        try:
            known = meta_json(spot.store.stat(spot.key, tags=spot.store.capabilities.tags))
        except HoldallError as error:
            complain(error)
            code = 1
            continue
        if json:
            say_json(known)
            continue
        for name, value in known.items():
            pairs = value.items() if isinstance(value, dict) else [("", value)]
            for inner, text_value in pairs:
                say(f"{name + ('.' + inner if inner else ''):<14} {text_value}")
    return code


@command
def du(
    place: Annotated[str, typer.Argument(help="A folder or store.")] = ".",
    summary: Annotated[bool, typer.Option("--summary", "-s", help="Only the total.")] = False,
    json: JSON = False,
) -> None:
    """Add up sizes: of each folder one level down, and of everything.

    \b
    Examples:
      holdall du /srv/data
      holdall du -s /srv/data/2024
      holdall du --json . | jq .size
    """
    found = found_at(place)
    rows: dict[str, list[int]] = {}
    objects = size = foreign = 0
    if isinstance(found, Spot):
        objects, size = 1, found.store.stat(found.key).size
    else:
        for page in found.pages():
            foreign += page.foreign
            for meta in page.objects:
                objects += 1
                size += meta.size
                folder, slash, _ = meta.key.partition("/")
                if slash and not summary:
                    row = rows.setdefault(folder, [0, 0])
                    row[0] += 1
                    row[1] += meta.size
    if json:
        folders = [{"folder": name, "objects": n, "size": s} for name, (n, s) in rows.items()]
        total = {"objects": objects, "size": size, "foreign": foreign}
        say_json(total if summary else {**total, "folders": folders})
        return
    for name, (number, inside) in rows.items():
        say(f"{size_text(inside):>11}  {number:>11,}  {name}/")
    say(f"{size_text(size):>11}  {count_text(objects)} in all")
    say_foreign(foreign)
