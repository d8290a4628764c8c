"""Where a configuration comes from: files in three formats, and environment variables."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from holdall.core.config_values import Place
from holdall.core.errors import InvalidConfig

Path: TypeAlias = tuple[str, ...]
Emptied: TypeAlias = dict[Path, tuple[str, ...]]

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def read_file(file: str) -> Mapping[str, Any]:
    """Read a .toml, .yaml, .yml or .json file.

    Args:
        file: Its path.

    Returns:
        The settings as they stand; an empty YAML or TOML file has none.

    Raises:
        InvalidConfig: The file cannot be read, is of another format, or is broken; the message
            has line and column.
    """
    suffix = os.path.splitext(file)[1].lower()
    parse = {".toml": _toml, ".yaml": _yaml, ".yml": _yaml, ".json": _json}.get(suffix)
    if parse is None:
        raise InvalidConfig(f"{file} is no configuration file: write .toml, .yaml, .yml or .json")
    try:
        with open(file, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise InvalidConfig(
            f"the configuration file {file} cannot be read: {error.strerror}"
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _end(data[: error.start].decode())
        raise InvalidConfig(f"{file} is not UTF-8: line {line}, column {column}") from None
    try:
        tree = parse(text, file)
    except InvalidConfig:
        raise
    except ValueError as error:
        # A date that no calendar has, or a number of thousands of digits.
        raise InvalidConfig(f"{file} holds a value that cannot be: {error}") from None
    if not isinstance(tree, Mapping):
        raise InvalidConfig(f"{file} must hold settings by name, not {type(tree).__name__}")
    return tree


def _end(text: str) -> tuple[int, int]:
    """Line and column just after a text, from 1."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _broken(file: str, language: str, line: int, column: int, problem: str) -> InvalidConfig:
    # A parser quotes what it stumbled over, and that may be half a password.
    problem = re.sub(r"""(['"]).{2,}\1""", "what stands there", problem)
    return InvalidConfig(f"{file} is not valid {language}: line {line}, column {column}: {problem}")


def _toml(text: str, file: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem, _, place = str(error).partition(" (at ")
        numbers = re.match(r"line (\d+), column (\d+)", place)
        line, column = (int(numbers[1]), int(numbers[2])) if numbers else _end(text)
        raise _broken(file, "TOML", line, column, problem) from None


def _json(text: str, file: str) -> Any:
    import json

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        settings = dict(pairs)
        if len(settings) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidConfig(f"{twice} in {file} is given twice; keep one")
        return settings

    try:
        return json.loads(text, object_pairs_hook=distinct)
    except json.JSONDecodeError as error:
        raise _broken(file, "JSON", error.lineno, error.colno, error.msg) from None


def _yaml(text: str, file: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise InvalidConfig(
            f"reading {file} needs PyYAML: pip install 'holdall[yaml]', or write TOML or JSON"
        ) from error

    # PyYAML lets the last of two equal names win, silently; here it is an error.
    class Loader(yaml.SafeLoader):
        def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
            node = super().compose_mapping_node(anchor)
            names: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in names:
                        raise InvalidConfig(f"{key.value} in {file} is given twice; keep one")
                    names.add(key.value)
            return node

    try:
        tree = yaml.load(io.StringIO(text), Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else _end(text)
        raise _broken(file, "YAML", line, column, error.problem or "broken") from None
    except yaml.reader.ReaderError as error:
        line, column = _end(text[: error.position])
        raise _broken(file, "YAML", line, column, error.reason) from None
    return {} if tree is None else tree


def substitute(
    value: Any, path: Path, *, file: str, env: Mapping[str, str], emptied: Emptied
) -> Any:
    """Put the variables into every text at any depth, and leave out what becomes empty.

    Args:
        value: A value of the settings; it is not changed.
        path: The names that lead to it.
        file: What errors call the source.
        env: The variables.
        emptied: Receives the path of everything left out, with the variables that were empty.

    Returns:
        The value with texts substituted.

    Raises:
        InvalidConfig: A variable is unset and has no default, or a `${` is malformed.
    """
    if isinstance(value, str):
        return _fill(value, Place(file, path), env, emptied)
    entries: list[tuple[Any, Any]]
    if isinstance(value, Mapping):
        entries = list(value.items())
    elif isinstance(value, (list, tuple)):
        entries = list(enumerate(value))
    else:
        return value
    kept = []
    for name, item in entries:
        inner = (*path, str(name))
        filled = substitute(item, inner, file=file, env=env, emptied=emptied)
        if inner not in emptied:
            kept.append((name, filled))
    return dict(kept) if isinstance(value, Mapping) else [item for _, item in kept]


def _fill(text: str, place: Place, env: Mapping[str, str], emptied: Emptied) -> str:
    if "${" not in text:
        return text
    empty: list[str] = []

    def variable(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name, colon, default = match[1].partition(":")
        if not match[2]:
            raise InvalidConfig(f"{place} has a ${{ without }}; write $${{ for the characters")
        if not _VARIABLE.match(name) or "${" in default:
            raise InvalidConfig(
                f"{place} has a ${{...}} that is neither ${{VAR}} nor ${{VAR:default}}; "
                "write $${ for the characters"
            )
        value = env.get(name, default if colon else None)
        if value is None:
            raise InvalidConfig(
                f"{place} needs the environment variable {name}, which is unset; "
                f"set it, or write ${{{name}:default}}"
            )
        if not value:
            empty.append(name)
        return value

    filled = _REFERENCE.sub(variable, text)
    if not filled:
        emptied[place.path] = tuple(empty)
    return filled
