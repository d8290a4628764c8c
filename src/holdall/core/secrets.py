"""Secrets: values that are used and never shown.

A `Secret` knows where to look, and looks each time it is asked, so that a password which is
changed in its file or variable is the new one at the next use. It prints as `***`, and it
goes neither into a pickle nor into JSON: a child process finds its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

from holdall.core.errors import InvalidConfig

MASK = "***"

SecretSource: TypeAlias = str | Mapping[str, Any] | Callable[[], str]
"""What a `Secret` is made from: its text, `{"env": NAME}`, `{"file": PATH}`, or a callable."""


class Secret:
    """A value that does not show itself.

    Two secrets are equal only when they are the same one, so that nothing can be learned by
    comparing.

    Args:
        source: The text itself; `{"env": NAME}` for an environment variable; `{"file": PATH}`
            for a file, whose last line break does not count; or a function without
            arguments. All but the text are asked at each `reveal`.
        env: Where `{"env": NAME}` looks; the process's environment when None.

    Raises:
        InvalidConfig: The text is empty, or the mapping is of another form.
    """

    __slots__ = ("_read", "place")

    place: Mapping[str, str] | None
    """Where it is found again: `{"env": NAME}` or `{"file": PATH}`; None for a text or function."""

    def __init__(self, source: SecretSource, *, env: Mapping[str, str] | None = None) -> None:
        self._read = _reader(source, env)
        self.place = dict(source) if isinstance(source, Mapping) else None

    def reveal(self) -> str:
        """Give the value, as it is now.

        Returns:
            The text, never empty.

        Raises:
            InvalidConfig: The variable is unset, the file cannot be read, or the value is
                empty. The message names the place and never the value.
        """
        return self._read()

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "a Secret cannot be pickled: hand over where to find it, such as the name of an "
            "environment variable, and make it again on the other side"
        )


def _reader(source: SecretSource, env: Mapping[str, str] | None) -> Callable[[], str]:
    if isinstance(source, str):
        text = _filled(source, "the text given")
        return lambda: text
    if isinstance(source, Mapping):
        return _mapping_reader(source, env)
    if callable(source):
        return lambda: _filled(source(), "the function given")
    raise InvalidConfig(
        f"a secret is text, {{env: NAME}}, {{file: PATH}} or a function, "
        f"not {type(source).__name__}"
    )


def _mapping_reader(source: Mapping[str, Any], env: Mapping[str, str] | None) -> Callable[[], str]:
    entries = list(source.items())
    if len(entries) == 1:
        kind, place = entries[0]
        if kind == "env" and isinstance(place, str) and place:
            return lambda: _from_env(place, os.environ if env is None else env)
        if kind == "file" and isinstance(place, (str, os.PathLike)) and os.fspath(place):
            return lambda: _from_file(os.fspath(place))
    # Neither names nor values of what was given are repeated: they may be the secret.
    raise InvalidConfig("a secret given as a mapping is either {env: NAME} or {file: PATH}")


def _from_env(name: str, env: Mapping[str, str]) -> str:
    value = env.get(name)
    if value is None:
        raise InvalidConfig(f"a secret comes from the environment variable {name}, which is unset")
    return _filled(value, f"the environment variable {name}")


def _from_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise InvalidConfig(
            f"a secret comes from the file {path}, which cannot be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError:
        # The cause would hold the bytes of the secret.
        raise InvalidConfig(f"the file {path}, which holds a secret, is not UTF-8") from None
    # Editors end a file with a line break; other white space may belong to the value.
    return _filled(text.removesuffix("\n").removesuffix("\r"), f"the file {path}")


def _filled(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise InvalidConfig(f"a secret must be text, and {place} gave {type(value).__name__}")
    if not value:
        raise InvalidConfig(f"a secret is empty: {place} holds nothing")
    return value
