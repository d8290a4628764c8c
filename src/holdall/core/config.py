"""Configuration: frozen, typed structs, from a mapping or a file.

What a setting may look like:

* `${VAR}` in a text is the environment variable, `${VAR:default}` gives it a default, which may
  be empty or hold a `:`; `$${` stands for `${` itself.
* A value that is empty after that counts as not given: the struct's default applies.
* A text becomes what the setting is: a number, true or false (also yes, no, on, off), a time
  span (a number of seconds, or 100ms, 30s, 5m, 1h), a path, a `Secret`.
* Names match ignoring case, `-` and `_`: `maxDownloadMBs` is `max_download_mbs`.
* A setting that does not exist, or is given twice, is an error.

Every error is an `InvalidConfig` that names the setting and the file. Values are not repeated
where they may be secrets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from holdall.core.config_sources import Emptied, read_file, substitute
from holdall.core.config_values import Place, convert_value, dec_hook, is_union, plain_name
from holdall.core.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["dec_hook", "literal", "load_settings", "read_settings", "same_name", "take_text"]

T = TypeVar("T", bound=msgspec.Struct)


def load_settings(
    kind: type[T],
    source: Mapping[str, Any] | str | os.PathLike[str],
    *,
    env: Mapping[str, str] | None = None,
    place: str | None = None,
) -> T:
    """Read settings into a struct.

    Args:
        kind: The struct, a subclass of `msgspec.Struct`.
        source: The settings themselves, or the path of a .toml, .yaml, .yml or .json file.
        env: Where `${VAR}` and secrets look variables up; the process's environment when None.
        place: What errors call the source: the file that a mapping came from.

    Returns:
        A `kind` with every setting checked and converted.

    Raises:
        InvalidConfig: The file cannot be read, or a setting is missing, unknown, given twice,
            or of the wrong type.
    """
    variables = os.environ if env is None else env
    file = _place(source, place)
    emptied: Emptied = {}
    try:
        tree = read_settings(source)
        settings = substitute(tree, (), file=file, env=variables, emptied=emptied)
        loaded: T = _Loader(file, variables, emptied).struct(settings, kind, ())
    except RecursionError:
        raise InvalidConfig(f"{file} is nested too deeply, or holds itself") from None
    return loaded


def read_settings(source: Mapping[str, Any] | str | os.PathLike[str]) -> Mapping[str, Any]:
    """Read settings as they stand, to look at before it is known which struct they are for.

    Args:
        source: The settings themselves, or the path of a .toml, .yaml, .yml or .json file.

    Returns:
        The settings by name, with variables not yet substituted: `load_settings` does that.

    Raises:
        InvalidConfig: The file cannot be read, is of another format, or is broken.
    """
    if isinstance(source, Mapping):
        return source
    try:
        return read_file(os.fspath(source))
    except RecursionError:
        raise InvalidConfig(f"{os.fspath(source)} is nested too deeply") from None


def take_text(
    settings: dict[str, Any],
    name: str,
    *,
    env: Mapping[str, str] | None = None,
    place: str | None = None,
) -> str | None:
    """Remove one setting and give its text, such as the `type` that tells which struct to load.

    Args:
        settings: Settings as `read_settings` gives them; the setting is removed from here.
        name: The setting, matched ignoring case, `-` and `_`.
        env: Where `${VAR}` looks variables up; the process's environment when None.
        place: What errors call the source: the file that the settings came from.

    Returns:
        The text with variables substituted; None when the setting is not there, or empty.

    Raises:
        InvalidConfig: It is given twice, is no text, or needs a variable that is unset.
    """
    spellings = [key for key in settings if plain_name(str(key)) == plain_name(name)]
    if not spellings:
        return None
    alone = {spelling: settings.pop(spelling) for spelling in spellings}
    kind = msgspec.defstruct("Taken", [(name, str | None, None)])
    taken: str | None = getattr(load_settings(kind, alone, env=env, place=place), name)
    return taken or None


def literal(value: Any) -> Any:
    """Write a value so that `load_settings` reads it as it stands, with every `${` in it.

    Args:
        value: A text, or mappings and lists of texts: of an address, or of another program.
    """
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, Mapping):
        return {name: literal(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [literal(inner) for inner in value]
    return value


def same_name(one: str, other: str) -> bool:
    """Whether two spellings name the same setting."""
    return plain_name(one) == plain_name(other)


def _place(source: Mapping[str, Any] | str | os.PathLike[str], place: str | None) -> str:
    if place is not None:
        return place
    return "the settings given" if isinstance(source, Mapping) else os.fspath(source)


class _Loader:
    """One run of `load_settings`: walks the settings beside the annotations.

    Args:
        file: What errors call the source.
        env: Where secrets look variables up.
        emptied: The settings that substitution left empty, with the variables to blame.
    """

    def __init__(self, file: str, env: Mapping[str, str], emptied: Emptied) -> None:
        self._file = file
        self._env = env
        self._emptied = {
            tuple(map(plain_name, path)): variables for path, variables in emptied.items()
        }

    def struct(self, given: Mapping[Any, Any], kind: type[Any], path: tuple[str, ...]) -> Any:
        known = {plain_name(field.name): field for field in msgspec.structs.fields(kind)}
        tag = kind.__struct_config__.tag_field
        found: dict[str, Any] = {}
        spellings: dict[str, str] = {}
        for spelling, value in given.items():
            name = plain_name(str(spelling))
            if name in spellings:
                raise InvalidConfig(
                    f"{Place(self._file, (*path, str(spelling)))} is given twice: "
                    f"as {spellings[name]} and as {spelling}; keep one"
                )
            spellings[name] = str(spelling)
            if name in known:
                field = known[name]
                found[field.name] = self.value(value, field.type, (*path, str(spelling)))
            elif tag is None or name != plain_name(tag):
                self._refuse_unknown(str(spelling), [f.name for f in known.values()], path)
            elif value != kind.__struct_config__.tag:
                place = Place(self._file, (*path, str(spelling)))
                raise InvalidConfig(f"{place} must be {kind.__struct_config__.tag}")
        for field in known.values():
            if field.required and field.name not in found:
                raise InvalidConfig(self._missing((*path, field.name)))
        try:
            return kind(**found)
        except (TypeError, ValueError) as error:
            # Only the struct's own __post_init__ is left to object.
            raise InvalidConfig(f"{Place(self._file, path)}: {error}") from error

    def value(self, given: Any, annotation: Any, path: tuple[str, ...]) -> Any:
        """Convert one value, going into what may hold structs, times or secrets."""
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            inner = self.value(given, arguments[0], path)
            # Only now, on the converted value, can the limits in the annotation be checked.
            return convert_value(inner, annotation, Place(self._file, path), self._env)
        if is_union(origin):
            return self._union(given, annotation, arguments, path)
        if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
            if isinstance(given, Mapping):
                return self.struct(given, annotation, path)
        elif isinstance(given, Mapping) and isinstance(origin, type) and len(arguments) == 2:
            if issubclass(origin, Mapping):
                given = {
                    key: self.value(item, arguments[1], (*path, str(key)))
                    for key, item in given.items()
                }
        elif isinstance(given, list) and arguments and origin is not None:
            given = self._items(given, arguments, path)
        return convert_value(given, annotation, Place(self._file, path), self._env)

    def _items(self, given: list[Any], arguments: Sequence[Any], path: tuple[str, ...]) -> Any:
        if len(arguments) == 1 or arguments[1:] == (...,):
            arguments = [arguments[0]] * len(given)
        if len(arguments) != len(given):
            return given
        return [
            self.value(item, argument, (*path, str(number)))
            for number, (item, argument) in enumerate(zip(given, arguments, strict=True))
        ]

    def _union(
        self, given: Any, annotation: Any, arguments: Sequence[Any], path: tuple[str, ...]
    ) -> Any:
        if given is None and type(None) in arguments:
            return None
        choices = [argument for argument in arguments if argument is not type(None)]
        if len(choices) == 1:
            return self.value(given, choices[0], path)
        if isinstance(given, Mapping):
            structs = [
                choice
                for choice in choices
                if isinstance(choice, type) and issubclass(choice, msgspec.Struct)
            ]
            if structs:
                return self.struct(given, self._tagged(given, structs, path), path)
        return convert_value(given, annotation, Place(self._file, path), self._env)

    def _tagged(
        self, given: Mapping[Any, Any], structs: list[type[Any]], path: tuple[str, ...]
    ) -> type[Any]:
        """Choose the struct that the setting of the tag's name asks for."""
        if len(structs) == 1:
            return structs[0]
        tag_field = str(structs[0].__struct_config__.tag_field)
        asked = [
            tag for name, tag in given.items() if plain_name(str(name)) == plain_name(tag_field)
        ]
        for struct in structs:
            if struct.__struct_config__.tag in asked:
                return struct
        tags = ", ".join(str(struct.__struct_config__.tag) for struct in structs)
        raise InvalidConfig(f"{Place(self._file, (*path, tag_field))} must be one of {tags}")

    def _refuse_unknown(self, spelling: str, known: list[str], path: tuple[str, ...]) -> None:
        import difflib

        by_name = {plain_name(name): name for name in known}
        near = difflib.get_close_matches(plain_name(spelling), by_name, n=1)
        if near:
            hint = f"did you mean {by_name[near[0]]}?"
        elif known:
            hint = f"the settings here are {', '.join(known)}"
        else:
            hint = "nothing can be set here"
        raise InvalidConfig(f"{Place(self._file, (*path, spelling))} is no setting; {hint}")

    def _missing(self, path: tuple[str, ...]) -> str:
        variables = self._emptied.get(tuple(map(plain_name, path)))
        message = f"{Place(self._file, path)} is missing"
        if not variables:
            return f"{message}; give it a value"
        if len(variables) == 1:
            return f"{message}: the environment variable {variables[0]} is empty"
        return f"{message}: the environment variables {', '.join(variables)} are empty"
