"""How one value of a configuration becomes what its setting is."""

from __future__ import annotations

import datetime
import os
import re
import types
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from holdall.core.errors import InvalidConfig
from holdall.core.secrets import Secret

_SECRET_NAME = re.compile("secret|passw|token|key|credential", re.IGNORECASE)
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h|d|)\Z")
_SECONDS = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}
_PLAIN_TYPES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    datetime.timedelta: "a time span such as 30s, 100ms, 5m or 1h",
}


class Place(NamedTuple):
    """Where a setting stands; prints as errors name it."""

    file: str
    path: tuple[str, ...]

    @property
    def secret(self) -> bool:
        """Whether a name on the way says that the value must not be shown."""
        return any(_SECRET_NAME.search(name) for name in self.path)

    def __str__(self) -> str:
        return f"{'.'.join(self.path)} in {self.file}" if self.path else self.file


def plain_name(name: str) -> str:
    """Give what two spellings of one setting have in common."""
    return name.replace("-", "").replace("_", "").casefold()


def is_union(origin: Any) -> bool:
    """Say whether `get_origin` answered one of the two kinds of union."""
    return origin is Union or origin is types.UnionType


def dec_hook(kind: type[Any], value: Any) -> Any:
    """Convert to the types that msgspec does not know; for `msgspec.convert(dec_hook=...)`.

    Args:
        kind: `Secret`, or a path class.
        value: What stands in the configuration.

    Returns:
        An instance of `kind`.

    Raises:
        InvalidConfig: The value cannot be a `Secret`.
        NotImplementedError: `kind` is another type.
    """
    return _hook(kind, value, None)


def _hook(kind: type[Any], value: Any, env: Mapping[str, str] | None) -> Any:
    if isinstance(value, kind):
        return value
    if kind is Secret:
        if isinstance(value, Mapping):
            value = {plain_name(str(name)): item for name, item in value.items()}
        return Secret(value, env=env)
    if issubclass(kind, os.PathLike):
        if not isinstance(value, str):
            raise msgspec.ValidationError(f"Expected `str`, got `{type(value).__name__}`")
        path_class: Any = kind
        return path_class(value)
    raise NotImplementedError(f"settings cannot be of type {kind.__name__}")


def convert_value(value: Any, annotation: Any, place: Place, env: Mapping[str, str]) -> Any:
    """Convert one value, or say in plain words what it should have been.

    Args:
        value: The value; what is inside it is converted already.
        annotation: The type of the setting.
        place: What errors call it.
        env: Where secrets look variables up.

    Returns:
        The converted value.

    Raises:
        InvalidConfig: The value is not of that type.
    """
    try:
        return msgspec.convert(
            _prepare(value, annotation),
            annotation,
            strict=False,
            dec_hook=lambda kind, inner: _hook(kind, inner, env),
        )
    except InvalidConfig as error:
        raise InvalidConfig(f"{place}: {error}") from None
    except msgspec.ValidationError as error:
        # What the hook raises arrives as the cause.
        if isinstance(error.__cause__, InvalidConfig):
            raise InvalidConfig(f"{place}: {error.__cause__}") from None
        message = f"{place} {_complaint(value, annotation, place, str(error))}"
        # The cause may repeat a value, which is not to be shown where it looks like a secret.
        raise InvalidConfig(message) from (None if _hidden(value, place) else error)


def _prepare(value: Any, annotation: Any) -> Any:
    """Read the notations that people use and msgspec does not know."""
    if annotation is bool and isinstance(value, str):
        word = value.strip().casefold()
        return True if word in _TRUE else False if word in _FALSE else value
    if annotation is datetime.timedelta and not isinstance(value, (bool, datetime.timedelta)):
        span = _SPAN.match(value.strip()) if isinstance(value, str) else None
        try:
            if span:
                seconds = float(span[1]) * _SECONDS[span[2]]
            elif isinstance(value, (int, float)):
                seconds = value
            else:
                return value
            return datetime.timedelta(seconds=seconds)
        except (OverflowError, ValueError) as error:
            raise InvalidConfig("no time span is that long") from error
    return value


def _hidden(value: Any, place: Place) -> bool:
    # An address may carry a user and a password, whatever its setting is called.
    return place.secret or not isinstance(value, (str, int, float)) or "://" in str(value)


def _complaint(value: Any, annotation: Any, place: Place, reason: str) -> str:
    expected = _in_words(annotation)
    shown = _shown(value, place)
    if expected is None:
        # A limit, or a type without a plain name: msgspec's own words, unless they quote the
        # value.
        reason = reason.partition(", got ")[0].partition(" - at ")[0].replace("`", "")
        verb, _, rest = reason.partition(" ")
        rest = rest.replace("array", "a list").replace("object", "a group of settings")
        expected = {"Expected": rest, "Invalid": f"a valid {rest}"}.get(verb, "of another type")
        if "'" in reason:
            expected = "one of the values that are allowed"
    advice = ""
    if annotation is str and isinstance(value, (bool, int, float)):
        advice = "; put it in quotes"
    return f"must be {expected}, and is {shown}{advice}"


def _in_words(annotation: Any) -> str | None:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, get_args(annotation)))
    if not isinstance(annotation, type):
        return None
    if annotation in _PLAIN_TYPES:
        return _PLAIN_TYPES[annotation]
    members = getattr(annotation, "__members__", None)
    if isinstance(members, Mapping):
        return "one of " + ", ".join(str(member.value) for member in members.values())
    if issubclass(annotation, msgspec.Struct):
        return "a group of settings"
    if issubclass(annotation, os.PathLike):
        return "the path of a file or folder"
    return None


def _shown(value: Any, place: Place) -> str:
    if value is None:
        return "null"
    if _hidden(value, place):
        return f"of type {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
