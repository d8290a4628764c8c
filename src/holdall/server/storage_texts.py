"""Spans as the text that adapters take for a range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from holdall.haystack.adapter.ranges import moment
from holdall.haystack.codecs.scalars import write_moment
from holdall.haystack.stores.histories import END

if TYPE_CHECKING:
    from holdall.haystack.stores.histories import Span

_UTC: Final = ZoneInfo("UTC")


def range_text(span: Span) -> str:
    """A span as two moments in UTC with a comma between, or as one where it has no end."""
    start = write_moment(moment(span.start, _UTC))
    return start if span.end >= END else f"{start},{write_moment(moment(span.end, _UTC))}"
