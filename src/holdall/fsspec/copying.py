"""What fsspec asks of copying and moving: many files at once, of which none may be lost."""

from __future__ import annotations

import os
from glob import has_magic
from typing import TYPE_CHECKING, Any

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.implementations.local import make_path_posix
from fsspec.utils import other_paths

from holdall.core.runtime.blocking import drive
from holdall.fsspec.files import as_in_folders
from holdall.fsspec.reading import Reading
from holdall.objects.options import CopyOptions
from holdall.objects.transfer.crossing import copy_across

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.fsspec.listing import Place

Pairs = list[tuple[str, str]]


class Copying(Reading):
    """The part of a file system that copies and moves."""

    def cp_file(self, path1: str, path2: str, *, move: bool = False, **kwargs: Any) -> None:
        """Copy a file with all that is kept with it; of a directory there is nothing to copy.

        Args:
            path1: Which.
            path2: Where to.
            move: Whether `path1` goes, once the copy is whole.
            kwargs: Not used.
        """
        path1 = self._strip_protocol(path1)
        try:
            source = self.object_place(path1)
            target = self.object_place(self._strip_protocol(path2))
            with as_in_folders(self, path2):
                if source.store is not target.store:
                    _copy_across(source, target, move=move)
                elif move:
                    source.store.move(source.ref, target.ref)
                else:
                    source.store.copy(source.ref, target.ref)
        except FileNotFoundError:
            if not self.isdir(path1):
                raise

    def copy(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        on_error: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy files.

        Args:
            path1: A path or pattern, or several. One that is the name of a file or directory is
                no pattern.
            path2: Where to; as many as there are in `path1`, or one. It is a directory where it
                ends in `/` or there is one.
            recursive: Whether what lies in a directory is copied, too.
            maxdepth: How many levels of it.
            on_error: `raise`, or `ignore`, which leaves out what is missing; None ignores where
                it is `recursive`.
            kwargs: For `cp_file`.

        Raises:
            ValueError: Two files would become one, or one would take the place of another that
                is still to be read. Nothing is changed.
        """
        pairs = self._pairs(path1, path2, recursive, maxdepth, self.isdir)
        self._refuse_losses(pairs)
        for source, target in pairs:
            try:
                self.cp_file(source, target, **kwargs)
            except FileNotFoundError:
                if on_error == "raise" or (on_error is None and not recursive):
                    raise

    def mv(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Move files: each as soon as it is copied, so that nothing else is deleted.

        Arguments and errors are those of `copy`.
        """
        if self._strip_protocol(path1) != self._strip_protocol(path2):
            self.copy(path1, path2, recursive, maxdepth, on_error="raise", move=True)

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy files to local ones; arguments as in fsspec.

        A path that is the name of a file or directory is no pattern.
        """
        if isinstance(rpath, str) and isinstance(lpath, str) and has_magic(rpath):
            name = self._strip_protocol(rpath)
            if not self.is_pattern(name):
                local = make_path_posix(lpath)
                pairs = self._pairs(rpath, local, recursive, maxdepth, os.path.isdir)
                rpath = [source for source, _ in pairs]
                lpath = [target for _, target in pairs]
        super().get(rpath, lpath, recursive, callback, maxdepth, **kwargs)

    def _pairs(
        self,
        sources: Any,
        target: Any,
        recursive: bool,
        maxdepth: int | None,
        is_directory: Callable[[str], bool],
    ) -> Pairs:
        """What is copied where, by the rules of fsspec."""
        if isinstance(sources, list) and isinstance(target, list):
            return list(zip(sources, target, strict=True))
        one = isinstance(sources, str)
        pattern = one and self.is_pattern(self._strip_protocol(sources))
        found = self.expand_path(sources, recursive, maxdepth, assume_literal=one and not pattern)
        if one and (not recursive or maxdepth is not None):
            found = [path for path in found if not self.isdir(path)]
        if not found:
            return []
        if pattern:
            inside = len(found) == 1
        else:
            inside = (
                one
                and not sources.endswith("/")
                and isinstance(target, str)
                and (target.endswith("/") or is_directory(target))
            )
        return list(
            zip(found, other_paths(found, target, exists=inside, flatten=not one), strict=True)
        )

    def _refuse_losses(self, pairs: Pairs) -> None:
        named = [(self._strip_protocol(one), self._strip_protocol(other)) for one, other in pairs]
        turn = {source: number for number, (source, _) in enumerate(named)}
        rivals: dict[str, dict[str, None]] = {}
        for source, target in named:
            rivals.setdefault(target, {})[source] = None
        # Of a directory nothing is copied, so that only files are in each other's way.
        for target, sources in rivals.items():
            files = [path for path in sources if self.isfile(path)] if len(sources) > 1 else []
            if len(files) > 1:
                raise ValueError(
                    f"{files[0]} and {files[1]} would both become {target}; nothing was changed"
                )
        for number, (source, target) in enumerate(named):
            if turn.get(target, number) > number and self.isfile(source) and self.isfile(target):
                raise ValueError(
                    f"{source} would take the place of {target}, which is still to be read "
                    "itself; nothing was changed"
                )


def _copy_across(source: Place, target: Place, *, move: bool) -> None:
    """Copy an object into another store, through this process."""
    options = CopyOptions(move=move)
    drive(copy_across(source.store.store, target.store.store, source.ref, target.ref, options))
