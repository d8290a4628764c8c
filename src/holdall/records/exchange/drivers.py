"""The libraries that tables need, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from holdall.core.errors import InvalidConfig


def arrow(module: str = "pyarrow") -> Any:
    """The library pyarrow, or a module of it.

    Raises:
        InvalidConfig: It is not installed; says how to.
    """
    return _loaded(module, "'holdall[arrow]'")


def frames(kind: str) -> Any:
    """The library of this name: pandas or polars.

    Raises:
        InvalidConfig: It is not installed; says how to.
    """
    return _loaded(kind, kind)


def _loaded(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise InvalidConfig(f"{error.name} is not installed: pip install {package}") from error
