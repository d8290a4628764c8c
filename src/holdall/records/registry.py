"""From an address or a configuration to an open database.

A backend is known by a name, which is the scheme of its addresses. Other packages bring theirs by
an entry point of the group `holdall.databases`, whose name is the scheme and whose value is the
class, a `RecordStore`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import parse_qsl

from holdall.core.config import literal, load_settings, read_settings, same_name, take_text
from holdall.core.errors import InvalidConfig

if TYPE_CHECKING:
    from holdall.core.runtime import Runtime
    from holdall.records.contract import RecordStore

ENTRY_POINTS = "holdall.databases"

DatabasePlace: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
"""A URL, the path of a configuration file, or a configuration."""

# Our own are named here, since asking for entry points reads the metadata of every package.
_BUILT_IN = {
    "delta": "holdall.records.backends.delta:DeltaRecords",
    "file": "holdall.records.backends.objects:FileRecords",
    "memory": "holdall.records.backends.memory:MemoryRecords",
    "objects": "holdall.records.backends.objects:ObjectRecords",
    "postgres": "holdall.records.backends.postgres:PostgresRecords",
    "s3": "holdall.records.backends.objects:S3Records",
    "sqlite": "holdall.records.backends.sqlite:SqliteRecords",
}
_SYNONYMS = {
    "delta+file": "delta",
    "delta+s3": "delta",
    "abfs": "objects",
    "abfss": "objects",
    "az": "objects",
    "gs": "objects",
    "mem": "memory",
    "postgresql": "postgres",
    "redis": "objects",
    "rediss": "objects",
    "sqlite3": "sqlite",
}
_registered: dict[str, type[RecordStore]] = {}


def open_records(place: DatabasePlace, runtime: Runtime) -> RecordStore:
    """Open a database.

    Args:
        place: A URL such as `sqlite:///app.db`, whose query holds settings; a mapping with
            `type`, `backend` or `url` and the settings of that backend; or a `pathlib.Path` of
            a configuration file (TOML, YAML, JSON).
        runtime: How it waits.

    Raises:
        InvalidConfig: No such backend, or a setting cannot be; names it.
    """
    if isinstance(place, Mapping):
        return _open_settings(place, None, runtime)
    if isinstance(place, os.PathLike):
        path = os.path.abspath(place)
        return _open_settings(read_settings(path), path, runtime)
    if not isinstance(place, str):
        raise TypeError(
            "a place is a URL, the path of a configuration or a mapping of settings, "
            f"not {type(place).__name__}"
        )
    return _open_url(place, {}, None, runtime)


def register(name: str, kind: type[RecordStore]) -> None:
    """Make a backend known under a name, in this process.

    Raises:
        InvalidConfig: The name is taken by another one.
    """
    known = _registered.get(name)
    if _name(name) in _BUILT_IN or (known is not None and known is not kind):
        raise InvalidConfig(f"there is a backend {name!r} already: choose another name")
    _registered[name] = kind


def records_class(name: str) -> type[RecordStore]:
    """The class of a backend, by name, synonym or scheme.

    Raises:
        InvalidConfig: There is none of this name; says which there are.
    """
    name = _name(name)
    if name in _registered:
        return _registered[name]
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return cast("type[RecordStore]", getattr(import_module(module), attribute))
    from importlib.metadata import entry_points  # takes as long as all the rest of opening

    brought = entry_points(group=ENTRY_POINTS)
    for entry in brought:
        if entry.name == name:
            return cast("type[RecordStore]", entry.load())
    known = sorted({*_BUILT_IN, *_registered, *brought.names})
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InvalidConfig(
        f"no database is known for {name!r}; known are {', '.join(known)}.{hint} "
        f"A package brings one by an entry point of the group {ENTRY_POINTS!r}"
    )


def _name(name: str) -> str:
    return _SYNONYMS.get(name, _SYNONYMS.get(name.lower(), name))


def _open_url(
    text: str, settings: Mapping[str, Any], file: str | None, runtime: Runtime
) -> RecordStore:
    scheme, mark, _ = text.partition("://")
    if not mark:
        raise InvalidConfig(
            f"{'the text' if '@' in text else repr(text)} is no address of a database: write a "
            "URL such as sqlite:///app.db or memory://, or pathlib.Path(…) for a configuration"
        )
    kind = records_class(scheme.lower())
    text, _, query = text.partition("?")
    address = {name: value for name, value in kind.settings_of(text).items() if value}
    named = {**literal(dict(parse_qsl(query, keep_blank_values=True))), **settings}
    for name in named:
        if any(same_name(name, known) for known in address):
            raise InvalidConfig(f"the setting {name!r} says what the address says already")
    whole = {**literal(address), **named}
    return kind.open(load_settings(kind.settings_type, whole, place=file), runtime)


def _open_settings(settings: Mapping[str, Any], file: str | None, runtime: Runtime) -> RecordStore:
    rest = dict(settings)
    url = take_text(rest, "url", place=file)
    names = [name for word in ("type", "backend") if (name := take_text(rest, word, place=file))]
    where = f", in {file}" if file else ""
    if len(names) + (url is not None) != 1:
        raise InvalidConfig(f"give one of 'type', 'backend' and 'url', to say what to open{where}")
    if url is not None:
        return _open_url(url, rest, file, runtime)
    kind = records_class(names[0])
    return kind.open(load_settings(kind.settings_type, rest, place=file), runtime)
