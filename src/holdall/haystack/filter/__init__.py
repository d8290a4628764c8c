"""Filters: the query language of Project Haystack, read, written and answered."""

from holdall.haystack.filter.comparing import AnyUnit
from holdall.haystack.filter.meaning import Resolve, compiled, matches, paths_of
from holdall.haystack.filter.parsing import MAX_NESTING, parse_filter
from holdall.haystack.filter.writing import write_filter

__all__ = [
    "MAX_NESTING",
    "AnyUnit",
    "Resolve",
    "compiled",
    "matches",
    "parse_filter",
    "paths_of",
    "write_filter",
]
