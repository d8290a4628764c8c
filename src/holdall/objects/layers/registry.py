"""From names in a configuration to layers around a store.

`layers` in a store's configuration is a list, the outermost first. Each entry is a layer's name,
or a mapping with `layer`, its name, and its settings:

    {"url": "s3://archive", "layers": ["metrics", {"layer": "retry", "max_retries": 5}]}

Other packages bring layers by an entry point of the group `holdall.layers`, whose name is the
layer's and whose value is its class.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from holdall.core.config import load_settings, same_name, take_text
from holdall.core.errors import InvalidConfig
from holdall.objects.contract import plain_settings

if TYPE_CHECKING:
    from msgspec import Struct

    from holdall.objects.contract import ObjectStore
    from holdall.objects.layers.layer import Layer

Around: TypeAlias = "tuple[tuple[type[Layer], Struct], ...]"
"""Layers with their settings, the outermost first."""

ENTRY_POINTS = "holdall.layers"

# Our own are named here, since asking for entry points reads the metadata of every package.
_BUILT_IN = {
    "breaker": "holdall.objects.layers.breaker:Breaker",
    "cache": "holdall.objects.layers.cache:Cache",
    "concurrency": "holdall.objects.layers.concurrency:Concurrency",
    "metrics": "holdall.objects.layers.metrics:Metrics",
    "rate": "holdall.objects.layers.rate:Rate",
    "retry": "holdall.objects.layers.retry:Retry",
    "timeout": "holdall.objects.layers.timeout:Timeout",
}


def take_layers(settings: dict[str, Any], file: str | None) -> Sequence[Any] | None:
    """Remove `layers` from a store's settings and answer it; None where there is none.

    Raises:
        InvalidConfig: It is no list, or given twice.
    """
    spellings = [name for name in settings if same_name(str(name), "layers")]
    if not spellings:
        return None
    if len(spellings) > 1:
        raise InvalidConfig(f"'layers' is given twice{_in(file)}: keep one")
    layers = settings.pop(spellings[0])
    if layers is None:
        return None
    if isinstance(layers, (str, Mapping)) or not isinstance(layers, Sequence):
        raise InvalidConfig(
            f"'layers'{_in(file)} is a list, the outermost layer first, such as "
            '["retry", {"layer": "timeout", "seconds": 10}]'
        )
    return layers


def read_layers(layers: Sequence[Any], file: str | None = None) -> Around:
    """Read what stands around a store.

    Args:
        layers: Names, or mappings with `layer` and settings; the outermost first.
        file: Where they were read, for errors.

    Raises:
        InvalidConfig: There is no such layer, or a setting cannot be; says which.
    """
    read = []
    for number, entry in enumerate(layers):
        place = f"layers[{number}]{_in(file)}"
        if not isinstance(entry, (str, Mapping)):
            raise InvalidConfig(f"{place} is a name, or a mapping with 'layer' and its settings")
        settings = {"layer": entry} if isinstance(entry, str) else dict(entry)
        name = take_text(settings, "layer", place=place)
        if name is None:
            raise InvalidConfig(f"{place} has no 'layer', which says which one it is; {_known()}")
        kind = layer_class(name)
        read.append((kind, load_settings(kind.settings_type, settings, place=place)))
    return tuple(read)


def around(store: ObjectStore, layers: Around) -> ObjectStore:
    """Put layers around a store, the last one innermost."""
    for kind, settings in reversed(layers):
        store = kind(store, settings)
    return store


def layers_configuration(layers: Around) -> dict[str, Any]:
    """What `read_layers` reads again."""
    plain = [{"layer": kind.name, **plain_settings(settings)} for kind, settings in layers]
    return {"layers": plain}


def layer_class(name: str) -> type[Layer]:
    """The class of a layer, by its name.

    Raises:
        InvalidConfig: There is none of this name; says which there are.
    """
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return cast("type[Layer]", getattr(import_module(module), attribute))
    from importlib.metadata import entry_points  # takes as long as all the rest of opening

    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            return cast("type[Layer]", entry.load())
    near = difflib.get_close_matches(name.lower(), _BUILT_IN, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InvalidConfig(f"no layer is known for {name!r}; {_known()}.{hint}")


def _known() -> str:
    from importlib.metadata import entry_points

    names = sorted({*_BUILT_IN, *entry_points(group=ENTRY_POINTS).names})
    return f"known are {', '.join(names)}"


def _in(file: str | None) -> str:
    return f" in {file}" if file else ""
