"""Trying again when somebody else wrote in between.

Whoever reads a note and writes it back expects the version that was read. Of several at the same
time one succeeds each time, so that all of them do in the end.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from holdall.core.errors import PreconditionFailed

if TYPE_CHECKING:
    from holdall.haystack.stores.entities import EntityStore

_MOST: Final = 500
_AT_ONCE: Final = 3
_LONGEST: Final = 0.05


class Tries:
    """The tries of one call.

    Args:
        store: Whose runtime waits.
        what: What an error calls it that is written.
    """

    def __init__(self, store: EntityStore, what: str) -> None:
        self._store = store
        self._what = what
        self._made = 0

    async def begin(self) -> None:
        """Begin a try; after the first ones this waits a random moment.

        Raises:
            PreconditionFailed: They are used up.
        """
        if self._made == _MOST:
            raise PreconditionFailed(
                f"others wrote {self._what} {_MOST} times in between", transient=True
            )
        if self._made >= _AT_ONCE:
            longest = min(0.001 * 2 ** (self._made - _AT_ONCE), _LONGEST)
            await self._store.runtime.sleep(random.uniform(0, longest))
        self._made += 1
