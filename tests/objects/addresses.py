"""What the tests of partitions name: times, and addresses with no service behind them."""

from datetime import UTC, datetime

from msgspec import Struct

from holdall.core.reference import Reference
from holdall.objects.results import Capabilities


class Stand(Struct):
    """What a store, a face or a layer shows of itself, without a service behind it."""

    root: Reference
    capabilities: Capabilities = Capabilities()


def at(url: str) -> Stand:
    """A store opened at an address."""
    return Stand(Reference.parse(url, folder=True))


BUCKET = at("s3://bucket")


def utc(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, micro: int = 0
) -> datetime:
    return datetime(year, month, day, hour, minute, second, micro, tzinfo=UTC)
