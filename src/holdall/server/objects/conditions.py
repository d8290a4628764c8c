"""Conditions of a request (RFC 9110, chapter 13), and what comes of them.

They are judged by what is known of an object, and a change is bound to the etag that was judged,
so that whoever writes meanwhile is not written over.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from msgspec import Struct

from holdall.server.bodies import single
from holdall.server.errors import HttpFault

if TYPE_CHECKING:
    from starlette.requests import Request

    from holdall.objects.results import ObjectMeta

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*")
_EACH = re.compile(_TAG)
_OPAQUE: Final = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_LONGEST_DATE: Final = 64


class Tags(Struct, frozen=True):
    """Etags that a condition names.

    Attributes:
        every: Whether it is `*`.
        listed: The others, as they were written.
    """

    every: bool
    listed: frozenset[str]

    def same(self, meta: ObjectMeta) -> bool:
        """Whether an object has one of them, which no weak one is."""
        return self.every or etag_of(meta) in self.listed

    def alike(self, meta: ObjectMeta) -> bool:
        """Whether an object has one of them, weak or not."""
        return self.same(meta) or f"W/{etag_of(meta)}" in self.listed


class Conditions(Struct, frozen=True):
    """What a request makes its answer depend on.

    Attributes:
        match: `If-Match`.
        none_match: `If-None-Match`.
        unmodified: `If-Unmodified-Since`, in seconds since 1970.
        modified: `If-Modified-Since`, in seconds since 1970.
    """

    match: Tags | None = None
    none_match: Tags | None = None
    unmodified: float | None = None
    modified: float | None = None

    @classmethod
    def of_reading(cls, request: Request) -> Conditions:
        """Those of a request that reads; a date that is none does not count.

        Raises:
            HttpFault: 400: what it names are no etags.
        """
        match, none_match = _tags(request, "if-match"), _tags(request, "if-none-match")
        return cls(
            match,
            none_match,
            None if match else _date(request.headers.get("if-unmodified-since")),
            None if none_match else _date(request.headers.get("if-modified-since")),
        )

    @classmethod
    def of_writing(cls, request: Request) -> Conditions:
        """Those of a request that changes something.

        Raises:
            HttpFault: 400: what it names are no etags, or no date: without it, the request would
                do what it must not.
        """
        match, none_match = _tags(request, "if-match"), _tags(request, "if-none-match")
        text = None if match else single(request, "if-unmodified-since")
        unmodified = _date(text)
        if text is not None and unmodified is None:
            raise HttpFault(400, "If-Unmodified-Since is no date of HTTP")
        return cls(match, none_match, unmodified)

    @property
    def given(self) -> bool:
        """Whether there is any."""
        return self != _NONE

    def judged(self, meta: ObjectMeta) -> int:
        """The status that a request which reads is answered with: 200, 304 or 412."""
        if not self._is_meant(meta):
            return 412
        if self.none_match is not None:
            return 304 if self.none_match.alike(meta) else 200
        return 200 if self.modified is None or _seconds(meta) > self.modified else 304

    def bound(self, known: ObjectMeta | None) -> tuple[str | None, str | None]:
        """What a change is bound to: the store's `if_match`, and its `if_none_match`.

        Args:
            known: What is known of the object; None where there is none.

        Raises:
            HttpFault: 412: a condition does not hold.
        """
        if known is None:
            if self.match is not None:
                raise failed("there is no object")
            return None, None if self.none_match is None else "*"
        if not self._is_meant(known) or (
            self.none_match is not None and self.none_match.alike(known)
        ):
            raise failed("the object is another one, or there already", known)
        return (known.etag if self.given else None), None

    def _is_meant(self, meta: ObjectMeta) -> bool:
        if self.match is not None:
            return self.match.same(meta)
        return self.unmodified is None or _seconds(meta) <= self.unmodified


_NONE: Final = Conditions()


def etag_of(meta: ObjectMeta) -> str | None:
    """An object's etag as HTTP writes it; None where it is not known."""
    if meta.etag is None:
        return None
    return f'"{quote(meta.etag, safe=_OPAQUE)}"'


def fits(request: Request, meta: ObjectMeta) -> bool:
    """Whether `If-Range` lets a request have a part of this object.

    A date never does: two versions of one second have the same one.
    """
    wanted = request.headers.getlist("if-range")
    return not wanted or [one.strip() for one in wanted] == [etag_of(meta)]


def failed(why: str, meta: ObjectMeta | None = None) -> HttpFault:
    """The fault of a condition that does not hold; tells the etag of now."""
    etag = None if meta is None else etag_of(meta)
    return HttpFault(
        412, f"a condition of the request does not hold: {why}", {"ETag": etag} if etag else None
    )


def _seconds(meta: ObjectMeta) -> int:
    return meta.modified_ns // 10**9


def _tags(request: Request, name: str) -> Tags | None:
    lines = request.headers.getlist(name)
    if not lines:
        return None
    text = ", ".join(lines).strip()
    if text == "*":
        return Tags(True, frozenset())
    if not _TAGS.fullmatch(text):
        raise HttpFault(
            400, f"{name} takes '*' or etags with their quotes, with commas between: \"abc\""
        )
    return Tags(False, frozenset(_EACH.findall(text)))


def _date(text: str | None) -> float | None:
    if text is None or len(text) > _LONGEST_DATE:
        return None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
