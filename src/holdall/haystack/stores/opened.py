"""What every store of Haystack is: opened with settings, and told how to wait."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, final

if TYPE_CHECKING:
    import msgspec

    from holdall.core.runtime import Runtime


class OpenedStore(ABC):
    """What stores of entities and of histories have in common.

    Args:
        settings: What it was opened with.
        runtime: How it waits.
    """

    settings_type: ClassVar[type[msgspec.Struct]]
    """The settings, one field each: what a configuration or a URL's query may name."""

    def __init__(self, settings: msgspec.Struct, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime

    @final
    @property
    def settings(self) -> msgspec.Struct:
        """What it was opened with."""
        return self._settings

    @final
    @property
    def runtime(self) -> Runtime:
        """How it waits."""
        return self._runtime

    @abstractmethod
    async def connect(self) -> None:
        """Make what is missing there: tables, indexes, scripts. May be called again."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of files and connections; may be called again."""
