"""What the commands print: lines for people, JSON for scripts, a bar for a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdall.objects.results import ObjectMeta
    from holdall.objects.transfer import Progress
    from holdall.objects.transfer.results import OnProgress

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def say(text: str) -> None:
    """Print a line of the answer."""
    sys.stdout.write(f"{text}\n")


def complain(problem: object) -> None:
    """Print a line about a problem, to standard error."""
    print(f"holdall: {problem}", file=sys.stderr)


def say_json(value: object) -> None:
    """Print a value as one line of JSON."""
    say(msgspec.json.encode(value).decode())


def say_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: for people on a terminal, and otherwise lines with tabs between cells."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            say("\t".join(cell.replace("\t", " ") for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def size_text(size: float) -> str:
    """A number of bytes for people: `3.2 MiB`."""
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError


def count_text(number: int, what: str = "object") -> str:
    """A number of things: `1 object`, `2,500 objects`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def say_foreign(foreign: int) -> None:
    """Say that entries were passed over, if any were."""
    if foreign:
        are = "entry is no object" if foreign == 1 else "entries are no objects"
        complain(f"{foreign:,} {are} (links, devices, names outside the key rule): passed over")


def meta_json(meta: ObjectMeta) -> dict[str, Any]:
    """What is known of an object, for scripts; what is not known is left out."""
    known = {
        "key": meta.key,
        "address": str(meta.ref),
        "size": meta.size,
        "modified": meta.modified.isoformat(),
        "etag": meta.etag,
        "content_type": meta.content_type,
        "metadata": meta.metadata or None,
        "tags": meta.tags or None,
        "content_md5": meta.content_md5,
        "sha256": meta.sha256,
        "storage_class": meta.storage_class,
    }
    return {name: value for name, value in known.items() if value is not None}


@contextmanager
def progress_bar(title: str, *, wanted: bool = True) -> Iterator[OnProgress | None]:
    """A bar on standard error, with rate and time left; None where nobody would see it."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[done]}"),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, done="")

        def show(progress: Progress) -> None:
            total = progress.total_objects
            done = f"{progress.objects:,}" + ("" if total is None else f"/{total:,}")
            bar.update(task, completed=progress.bytes, total=progress.total_bytes, done=done)

        yield show
