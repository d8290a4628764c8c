"""Samples as they are answered: moments in a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from holdall.haystack.adapter.samples import in_zone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = [
    ZoneInfo(key) for key in ("UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
]
AUTUMN = 1_730_611_800_000_000  # the hour that New York has twice in 2024


@given(
    st.lists(
        st.one_of(
            st.integers(-(2**52), 2**52),
            st.integers(2**51 - 1000, 2**51),
            st.integers(AUTUMN - 10**10, AUTUMN + 10**10),
        ),
        max_size=5,
    ),
    st.sampled_from(ZONES),
)
@example([AUTUMN, AUTUMN + 3_600_000_000], ZONES[1])
@example([0, 2**51 - 1], ZONES[0])
@example([-1, 1], ZONES[0])
def test_moments_are_answered_to_the_microsecond_and_the_fold(
    moments: list[int], where: ZoneInfo
) -> None:
    found = in_zone(moments, where)
    expected = [(EPOCH + timedelta(microseconds=at)).astimezone(where) for at in moments]
    assert [(one.isoformat(), one.fold, one.tzinfo) for one in found] == [
        (one.isoformat(), one.fold, one.tzinfo) for one in expected
    ]
