"""From an address or a configuration to an open store.

A backend is known by a name, which is the scheme of its addresses. Other packages bring theirs
by an entry point of the group `holdall.stores`, whose name is the scheme and whose value is the
store's class.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import parse_qsl

from msgspec import Struct

from holdall.core.config import literal, load_settings, read_settings, same_name, take_text
from holdall.core.errors import InvalidConfig, InvalidKey
from holdall.core.reference import Reference
from holdall.objects.contract import ObjectStore, plain_settings
from holdall.objects.layers.registry import (
    Around,
    around,
    layers_configuration,
    read_layers,
    take_layers,
)

if TYPE_CHECKING:
    from holdall.core.runtime import Runtime

ENTRY_POINTS = "holdall.stores"

REMOTE_LAYERS = ("retry", "breaker", "timeout")
"""What `holdall.open` puts around a remote store by itself."""

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
    "router": "holdall.objects.router:Router",
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


class Plan(Struct, frozen=True):
    """A store whose configuration was read and checked, and that is not open yet.

    Args:
        name: The name of its backend.
        kind: The backend's class.
        settings: Of the backend's `settings_type`.
        layers: What stands around it, the outermost first; None where nothing was said.
    """

    name: str
    kind: type[ObjectStore]
    settings: Struct
    layers: Around | None = None

    def open(self, runtime: Runtime, remote: Sequence[Any] = ()) -> ObjectStore:
        """Open it.

        Args:
            runtime: How it waits.
            remote: What stands around a remote store of whose layers nothing was said: as
                `layers` in a configuration.
        """
        store = self.kind.open(self.settings, runtime)
        if self.layers is not None:
            return around(store, self.layers)
        can = store.capabilities
        # A router's stores have layers of their own; two retries would multiply.
        return around(store, read_layers(remote)) if can.remote and not can.routes else store

    def configuration(self) -> dict[str, Any]:
        """What opens it again, without secrets that were given as text."""
        plain = {"type": self.name, **plain_settings(self.settings)}
        return plain if self.layers is None else plain | layers_configuration(self.layers)


def open_store(place: Place, runtime: Runtime, remote: Sequence[Any] = ()) -> ObjectStore:
    """Open a store; arguments and errors of `plan_store`, and of `Plan.open`."""
    return plan_store(place).open(runtime, remote)


def plan_store(place: Place) -> Plan:
    """Read and check what a store is opened with.

    Args:
        place: A URL such as `file:///srv/data?durable=false`, whose query holds settings; the
            absolute path of a folder as text; a `Reference`; a mapping with `type` (or `url`),
            the settings of that backend, and perhaps `layers`; or a `pathlib.Path`, which is a
            configuration where it leads to a file (TOML, YAML, JSON), and else a folder.

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
        return _plan_settings(place, None)
    if isinstance(place, os.PathLike):
        path = os.path.abspath(place)
        if os.path.isfile(path):
            return _plan_settings(read_settings(path), path)
        place = Reference.parse(path)
    if isinstance(place, Reference):
        return _plan_reference(place, {}, None, None)
    return _plan_url(place, {}, None, None)


def backend_name(name: str) -> str:
    """The name of a backend, for a name or synonym in any case: `minio` is `s3`."""
    return _SYNONYMS.get(name.lower(), name.lower())


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


def _plan_url(
    text: str, settings: Mapping[str, Any], file: str | None, layers: Around | None
) -> Plan:
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
    return _plan_reference(Reference.parse(text, folder=True), {**query, **settings}, file, layers)


def _plan_reference(
    reference: Reference, settings: Mapping[str, Any], file: str | None, layers: Around | None
) -> Plan:
    kind = store_class(reference.scheme)
    address = {name: value for name, value in kind.settings_of(reference).items() if value}
    for name in settings:
        if any(same_name(name, known) for known in address):
            raise InvalidConfig(
                f"the setting {name!r} says what the address {reference} says already: leave one"
            )
    named = {**literal(address), **settings}
    name = _SYNONYMS.get(reference.scheme, reference.scheme)
    return Plan(name, kind, load_settings(kind.settings_type, named, place=file), layers)


def _plan_settings(settings: Mapping[str, Any], file: str | None) -> Plan:
    rest = dict(settings)
    rest = {
        key: os.fspath(value) if isinstance(value, os.PathLike) else value
        for key, value in rest.items()
    }
    given = take_layers(rest, file)
    layers = None if given is None else read_layers(given, file)
    url = take_text(rest, "url", place=file)
    if url is not None:
        if any(same_name(str(key), "type") for key in rest):
            raise InvalidConfig(f"give 'type' or 'url', not both{f', in {file}' if file else ''}")
        return _plan_url(url, rest, file, layers)
    name = take_text(rest, "type", place=file)
    if name is None:
        where = f" at the top of {file}" if file else ""
        names = ", ".join(map(repr, rest)) or "no setting"
        raise InvalidConfig(
            f"the setting 'type' or 'url' is missing{where}, which says what to open, such as "
            f"'file' or 'memory'; there is {names}"
        )
    kind = store_class(name)
    name = _SYNONYMS.get(name, name)
    return Plan(name, kind, load_settings(kind.settings_type, rest, place=file), layers)
