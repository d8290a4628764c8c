"""The files that records are written to and read from: whole or not at all, and by name."""

from __future__ import annotations

import io
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator

Format: TypeAlias = Literal["jsonl", "csv", "parquet", "arrow"]
Place: TypeAlias = "str | os.PathLike[str] | IO[bytes]"
"""The path of a file, or one that is open in binary mode."""

_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}


def format_of(place: Place, named: str | None) -> Format:
    """The format that is named, or that the name of the file says.

    Raises:
        ValueError: There is none of this name, or none is named and the file does not say.
    """
    known: tuple[Format, ...] = get_args(Format)
    if named is not None:
        for one in known:
            if one == named:
                return one
        raise ValueError(f"format={named!r} is unknown; there are {', '.join(known)}")
    name = name_of(place)
    found = _SUFFIXES.get(os.path.splitext(name)[1].lower())
    if found is None:
        raise ValueError(
            f"{name} does not say its format by {', '.join(_SUFFIXES)}: "
            f"give format= one of {', '.join(known)}"
        )
    return found


def name_of(place: Place) -> str:
    """What a place is called in messages."""
    if isinstance(place, (str, os.PathLike)):
        return os.fspath(place)
    name = getattr(place, "name", None)
    return name if isinstance(name, str) else "the stream"


@contextmanager
def reading(place: Place) -> Iterator[IO[bytes]]:
    """Open a file for reading; one that is open already stays so.

    Raises:
        OSError: It cannot be opened.
        TypeError: It is open in text mode.
    """
    if isinstance(place, (str, os.PathLike)):
        with open(place, "rb") as file:
            yield file
    else:
        yield _binary(place)


@contextmanager
def writing(place: Place) -> Iterator[IO[bytes]]:
    """Open a file for writing, which shows when all is written and on disk, and else not at all.

    What is open already is written to as it is, and stays open.

    Raises:
        OSError: It cannot be made.
        TypeError: It is open in text mode.
    """
    if not isinstance(place, (str, os.PathLike)):
        stream = _binary(place)
        yield stream
        stream.flush()
        return
    path = os.path.realpath(place)
    mode = _mode_of(path)
    if mode is not None and not stat.S_ISREG(mode):  # a pipe, say: written to, not replaced
        with open(path, "wb") as device:
            yield device
        return
    folder, name = os.path.split(path)
    hidden = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(8)}.part")
    try:
        with open(hidden, "xb") as file:
            if mode is not None:  # who may not read what was there may not read this either
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(hidden, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(hidden)
        raise
    _sync_folder(folder)


def _mode_of(path: str) -> int | None:
    """The type and permissions of what is there; None where nothing is."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _binary(place: IO[Any]) -> IO[bytes]:
    text: object = place
    if isinstance(text, io.TextIOBase):
        raise TypeError(f"{name_of(place)} is open in text mode: open it in binary mode")
    return place
