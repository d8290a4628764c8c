"""From what was typed to a store and a key."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

import typer

import holdall
from holdall.core.reference import RESERVED_SEGMENT, Reference

Store = holdall.DataStore


class Spot(NamedTuple):
    """One object, or a place for one: a store and the key in it."""

    store: Store
    key: str

    @property
    def address(self) -> str:
        """Where it is, as people write it."""
        return self.store.full_path(self.key)


def is_path(text: str) -> bool:
    """Whether it is a plain path, and not an address with a scheme; an empty text is refused.

    Every place goes through here. What a script left empty must not mean the working folder.
    """
    if not text:
        raise typer.BadParameter("the place is empty; write . for this folder")
    return "://" not in text


def path_of(text: str) -> str | None:
    """The absolute path on this machine; None for what is elsewhere."""
    if is_path(text):
        return os.path.abspath(os.path.expanduser(text))
    return reference_of(text).path


def folder_path(text: str) -> str | None:
    """As `path_of`, for a store, whose address may end in `?name=value` settings."""
    return path_of(text if is_path(text) else text.partition("?")[0])


def reference_of(text: str) -> Reference:
    """The address that was typed; one of memory is refused."""
    if is_path(text):
        return Reference.parse(path_of(text) or "/")
    reference = Reference.parse(text, folder=True)
    _refuse_memory(reference.scheme)
    return reference


def _refuse_memory(scheme: str) -> None:
    if scheme in {"memory", "mem"}:
        raise typer.BadParameter(
            "memory:// lives in the process that opens it, so that there is nothing to see from "
            "here. Use a folder, or open memory:// from Python"
        )


def store_at(text: str) -> Store:
    """Open the store whose root is this place; `?name=value` behind an address sets settings."""
    if is_path(text):
        # Two names of one folder must not pass for two stores.
        return holdall.open(Reference.parse(os.path.realpath(os.path.expanduser(text))))
    address, mark, settings = text.partition("?")
    _refuse_memory(address.partition("://")[0].lower())
    path = path_of(address)
    if path is not None and "?" not in os.path.realpath(path):
        return holdall.open(f"file://{os.path.realpath(path)}{mark}{settings}")
    return holdall.open(text)


def object_at(text: str, *, follow: bool = True) -> Spot:
    """The object at an address or a path, there or not.

    A path belongs to the nearest folder above it that is a store already, whose locks its other
    writers take; where there is none, to the folder that it is in.

    Args:
        text: What was typed.
        follow: Whether a path that is a symbolic link means what it leads to. It does not for
            who deletes.
    """
    if text == "-":
        raise typer.BadParameter("'-' is only for put (input) and get (output); a file is ./-")
    reference = reference_of(text)
    if not reference.key:
        raise typer.BadParameter(f"{text!r} is a whole store, and this takes one object")
    path = reference.path
    if path is None:
        return Spot(holdall.open(reference.root), reference.key)
    if follow:
        path = os.path.realpath(path)
    else:
        path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    above = os.path.dirname(path)
    root = store_above(above) or above
    return Spot(holdall.open(Reference.parse(root)), os.path.relpath(path, root))


def store_above(folder: str) -> str | None:
    """The nearest folder from here upward that is a store we may write to."""
    while True:
        inside = os.path.join(folder, RESERVED_SEGMENT)
        if os.path.isdir(inside) and os.access(inside, os.W_OK):
            return folder
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def is_special(text: str) -> bool:
    """Whether there is a device, a pipe or a socket at a place: no file and no folder.

    Raises:
        OSError: Nobody can know, because a folder on the way may not be read.
    """
    path = path_of(text)
    if path is None:
        return False
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def with_name(text: str, name: str) -> str:
    """The target that was typed; inside of it, under this name, where it is a folder."""
    path = path_of(text)
    folder = text.endswith("/") or (
        os.path.isdir(path) if path is not None else not reference_of(text).key
    )
    return f"{text.rstrip('/')}/{name}" if folder else text


def name_of(text: str) -> str:
    """The last segment of an address or a path."""
    return reference_of(text).name
