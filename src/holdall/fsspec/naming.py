"""What a path stands for: what has its name, or what it matches as a pattern."""

from __future__ import annotations

import os
from glob import has_magic
from typing import Any

from holdall.core.errors import InvalidKey, NotFound
from holdall.fsspec.listing import Listing


class Naming(Listing):
    """The part of a file system that tells names from patterns."""

    def is_pattern(self, path: str) -> bool:
        """Whether a path has to be matched; what is the name of a file or directory does not."""
        if not has_magic(path):
            return False
        try:
            self.info(path)
        except (NotFound, InvalidKey):
            return True
        return False

    def expand_path(
        self,
        path: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        assume_literal: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """The paths that a path, a pattern or several of them stand for, in order.

        Args:
            path: One, or several. One that is the name of a file or directory is no pattern.
            recursive: Whether a directory stands for what lies in it, too.
            maxdepth: How many levels of it.
            assume_literal: Whether there is no pattern among them.
            kwargs: Not used.

        Raises:
            NotFound: They stand for nothing. A name that stands by itself is not looked up.
        """
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        found: set[str] = set()
        for each in [path] if isinstance(path, (str, os.PathLike)) else path:
            name = self._strip_protocol(each)
            if assume_literal or not self.is_pattern(name):
                found |= self._below(name, maxdepth) if recursive else {name}
                continue
            matched = self.glob(name, maxdepth=maxdepth)
            found.update(matched)
            if recursive and maxdepth != 1:
                # The pattern was one level.
                left = None if maxdepth is None else maxdepth - 1
                found.update(*(self._below(one, left) for one in matched))
        if not found:
            raise NotFound(f"nothing is named {path}")
        return sorted(found)

    def _below(self, name: str, maxdepth: int | None) -> set[str]:
        found = set(self.find(name, maxdepth=maxdepth, withdirs=True))
        return found | {name} if name in found or self.exists(name) else found
