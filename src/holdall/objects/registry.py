"""From an address or a configuration to an open store.

A backend is known by a name, which is the scheme of its addresses. Other packages bring theirs
by an entry point of the group `holdall.stores`, whose name is the scheme and whose value is the
store's class.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import parse_qsl

from holdall.core.config import literal, load_settings, read_settings, same_name, take_text
from holdall.core.errors import InvalidConfig, InvalidKey
from holdall.core.reference import Reference

if TYPE_CHECKING:
    from holdall.core.runtime import Runtime
    from holdall.objects.contract import ObjectStore

ENTRY_POINTS = "holdall.stores"

Place: TypeAlias = str | os.PathLike[str] | Reference | Mapping[str, Any]
"""A URL, a folder's path, a configuration file's path, a reference, or a configuration."""

# Our own are named here, since asking for entry points reads the metadata of every package.
_BUILT_IN = {
    "file": "holdall.objects.backends.local:LocalStore",
    "memory": "holdall.objects.backends.memory:MemoryStore",
    "s3": "holdall.objects.backends.cloud.s3_store:S3Store",
    "az": "holdall.objects.backends.cloud.azure_store:AzureStore",
    "gs": "holdall.objects.backends.cloud.google_store:GoogleStore",
    "redis": "holdall.objects.backends.redis:RedisStore",
}
_SYNONYMS = {
    "abfs": "az",
    "abfss": "az",
    "azure": "az",
    "gcs": "gs",
    "local": "file",
    "mem": "memory",
    "minio": "s3",
    "rediss": "redis",
}


def open_store(place: Place, runtime: Runtime) -> ObjectStore:
    """Open a store.

    Args:
        place: A URL such as `file:///srv/data?durable=false`, whose query holds settings; the
            absolute path of a folder as text; a `Reference`; a mapping with `type` (or `url`)
            and the settings of that backend; or a `pathlib.Path`, which is a configuration
            where it leads to a file (TOML, YAML, JSON), and else a folder.
        runtime: How it waits.

    Raises:
        InvalidConfig: No such backend, or a setting cannot be; names it.
        InvalidKey: The address is none.
    """
    if not isinstance(place, (str, os.PathLike, Reference, Mapping)):
        raise TypeError(
            "a place is a URL, a path, a Reference or a mapping of settings, "
            f"not {type(place).__name__}"
        )
    if isinstance(place, Mapping):
        return _open_settings(place, None, runtime)
    if isinstance(place, os.PathLike):
        path = os.path.abspath(place)
        if os.path.isfile(path):
            return _open_settings(read_settings(path), path, runtime)
        place = Reference.parse(path)
    if isinstance(place, Reference):
        return _open_reference(place, {}, None, runtime)
    return _open_url(place, {}, None, runtime)


def store_class(name: str) -> type[ObjectStore]:
    """The class of a backend, by scheme or `type`.

    Raises:
        InvalidConfig: There is none of this name; says which there are.
    """
    name = _SYNONYMS.get(name, name)
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return cast("type[ObjectStore]", getattr(import_module(module), attribute))
    from importlib.metadata import entry_points  # takes as long as all the rest of opening

    brought = entry_points(group=ENTRY_POINTS)
    for entry in brought:
        if entry.name == name:
            return cast("type[ObjectStore]", entry.load())
    known = sorted({*_BUILT_IN, *brought.names})
    import difflib

    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InvalidConfig(
        f"no store is known for {name!r}; known are {', '.join(known)}.{hint} "
        f"A package brings one by an entry point of the group {ENTRY_POINTS!r}"
    )


def _open_url(
    text: str, settings: Mapping[str, Any], file: str | None, runtime: Runtime
) -> ObjectStore:
    query: dict[str, Any] = {}
    scheme, mark, _ = text.partition("://")
    if not mark and not text.startswith("/"):
        scheme, colon, rest = text.partition(":")
        way = f"{scheme}://{rest}" if colon and scheme in {*_BUILT_IN, *_SYNONYMS} else None
        raise InvalidKey(
            f"{text!r} is no address: write {way}"
            if way
            else f"{'the text' if '@' in text else repr(text)} is no address. Write a URL such as "
            "file:///srv/data, an absolute path, or pathlib.Path(…) for a folder or a "
            "configuration file, relative ones too"
        )
    if mark:
        store_class(scheme.lower())  # an unknown scheme is said before anything about the rest
        text, _, rest = text.partition("?")
        query = literal(dict(parse_qsl(rest, keep_blank_values=True)))
    return _open_reference(Reference.parse(text, folder=True), {**query, **settings}, file, runtime)


def _open_reference(
    reference: Reference, settings: Mapping[str, Any], file: str | None, runtime: Runtime
) -> ObjectStore:
    kind = store_class(reference.scheme)
    address = {name: value for name, value in kind.settings_of(reference).items() if value}
    for name in settings:
        if any(same_name(name, known) for known in address):
            raise InvalidConfig(
                f"the setting {name!r} says what the address {reference} says already: leave one"
            )
    named = {**literal(address), **settings}
    return kind.open(load_settings(kind.settings_type, named, place=file), runtime)


def _open_settings(settings: Mapping[str, Any], file: str | None, runtime: Runtime) -> ObjectStore:
    rest = dict(settings)
    rest = {
        key: os.fspath(value) if isinstance(value, os.PathLike) else value
        for key, value in rest.items()
    }
    url = take_text(rest, "url", place=file)
    if url is not None:
        if any(same_name(str(key), "type") for key in rest):
            raise InvalidConfig(f"give 'type' or 'url', not both{f', in {file}' if file else ''}")
        return _open_url(url, rest, file, runtime)
    name = take_text(rest, "type", place=file)
    if name is None:
        where = f" at the top of {file}" if file else ""
        given = ", ".join(map(repr, rest)) or "no setting"
        raise InvalidConfig(
            f"the setting 'type' or 'url' is missing{where}, which says what to open, such as "
            f"'file' or 'memory'; there is {given}"
        )
    kind = store_class(name)
    return kind.open(load_settings(kind.settings_type, rest, place=file), runtime)
