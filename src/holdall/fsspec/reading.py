"""What fsspec asks of bytes, answered from the store."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.utils import isfilelike, merge_offset_ranges

from holdall.core.errors import InvalidRange, NotFound
from holdall.fsspec.downloading import download
from holdall.fsspec.naming import Naming

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.fsspec.listing import Place

Span = tuple[str, int, int]
T = TypeVar("T")
R = TypeVar("R")

_WORKERS = 8


class Reading(Naming):
    """The part of a file system that reads."""

    def read_range(
        self, place: Place, start: int, end: int | None, *, if_match: str | None = None
    ) -> bytes:
        """The bytes from `start` up to `end`, as far as there are any.

        Raises:
            PreconditionFailed: It has another etag than `if_match`.
        """
        try:
            if end is None or end > start:
                return place.store.read(place.ref, start=start, end=end, if_match=if_match)
            place.store.stat(place.ref)
        except InvalidRange:
            pass  # it begins past the end
        return b""

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """The bytes of a file, or those that `[start:end]` takes of them."""
        etag: str | None = None
        path = self._strip_protocol(path)
        start = start or 0
        if start < 0 or (end is not None and end < 0):
            info = self.object_info(path)
            size, etag = info["size"], info["etag"]
            start, end, _ = slice(start, end).indices(size)
        return self.read_range(self.object_place(path), start, end, if_match=etag)

    def cat_ranges(
        self,
        paths: list[str],
        starts: int | list[int],
        ends: int | list[int],
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """The bytes of many ranges, several at once where they come over a network.

        Args:
            paths: The file of each range.
            starts: The first byte of each, or of all.
            ends: The byte after the last of each, or of all.
            max_gap: Ask for ranges of a file together that have at most so many bytes between
                them; None asks for each by itself.
            on_error: `return` puts the exception in the place of the bytes; `raise` raises it.
            kwargs: Not used.
        """
        starts = starts if isinstance(starts, list) else [starts] * len(paths)
        ends = ends if isinstance(ends, list) else [ends] * len(paths)
        if not len(starts) == len(ends) == len(paths):
            raise ValueError("there must be as many starts and ends as paths")
        wanted = list(zip(paths, starts, ends, strict=True))
        plain = all(None not in each and each[1] >= 0 <= each[2] for each in wanted)
        if max_gap is None or not plain:
            return self._each(lambda span: self._answer(span, on_error), wanted)
        merged = list(zip(*merge_offset_ranges(paths, starts, ends, max_gap=max_gap), strict=True))
        # In fsspec before 2026.3 a range that holds another may lie in none of the merged ones.
        around = [next((one for one in merged if _holds(one, span)), span) for span in wanted]
        asked = list(dict.fromkeys(around))
        got = self._each(lambda span: self._answer(span, on_error), asked)
        found = dict(zip(asked, got, strict=True))
        return [_cut(span, one, found[one]) for span, one in zip(wanted, around, strict=True)]

    def _answer(self, span: tuple[str, Any, Any], on_error: str) -> Any:
        try:
            return self.cat_file(*span)
        except Exception as error:
            if on_error == "raise":
                raise
            return error

    def cat(
        self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any
    ) -> Any:
        """The bytes of a file; for a list, a pattern or a directory those of each by its path.

        Args:
            path: Which.
            recursive: Whether a directory stands for the files in it.
            on_error: `raise`, `omit` or `return`, which puts the exception in the place of bytes.
            kwargs: Not used.
        """
        paths = self.expand_path(path, recursive=recursive)
        if not isinstance(path, list) and paths == [self._strip_protocol(path)]:
            return self.cat_file(paths[0])
        got = self._each(lambda each: self._answer((each, None, None), "return"), paths)
        found: dict[str, Any] = {}
        for name, data in zip(paths, got, strict=True):
            if isinstance(data, FileNotFoundError) and self.isdir(name):
                continue  # a pattern, or a directory's own name, led there
            if not isinstance(data, Exception) or on_error == "return":
                found[name] = data
            elif on_error == "raise":
                raise data
        return found

    def _each(self, function: Callable[[T], R], items: list[T]) -> list[R]:
        if len(items) <= 1 or self._is_near():
            return [function(item) for item in items]
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="holdall") as pool:
            futures = [pool.submit(copy_context().run, function, item) for item in items]
            try:
                return [future.result() for future in futures]
            finally:
                for future in futures:
                    future.cancel()

    def _is_near(self) -> bool:
        """Whether asking one after another is as fast as it gets."""
        raise NotImplementedError

    def get_file(
        self,
        rpath: str,
        lpath: Any = None,
        callback: Any = DEFAULT_CALLBACK,
        outfile: Any = None,
        **kwargs: Any,
    ) -> None:
        """Copy a file to a local one, which is there once it is whole.

        Args:
            rpath: Which.
            lpath: Where to: a path, or a binary file.
            callback: Is told the size, and the bytes as they come.
            outfile: A binary file, instead of `lpath`.
            kwargs: Not used.
        """
        target = lpath if outfile is None else outfile
        path = self._strip_protocol(rpath)
        try:
            place = self.object_place(path)
            reader = place.store.open_reader(place.ref)
        except (NotFound, IsADirectoryError):
            if isfilelike(target) or not self.isdir(path):
                raise
            os.makedirs(target, exist_ok=True)
            return
        with reader:
            download(reader, target, callback, self.blocksize)


def _holds(around: Span, span: Span) -> bool:
    return around[0] == span[0] and around[1] <= span[1] and span[2] <= around[2]


def _cut(span: Span, around: Span, data: Any) -> Any:
    """The bytes of a range, out of those of the one that it was asked for with."""
    _, start, end = span
    first = around[1]
    return data[start - first : end - first] if isinstance(data, bytes) else data
