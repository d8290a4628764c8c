"""Zones: city names and the zones of the IANA database."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, available_timezones

import pytest

from holdall.haystack.zones import named, zone, zone_name

HOUR = timedelta(hours=1)
_LOCAL_NAMES = {"localtime", "posixrules"}


def at(of: tzinfo | None) -> datetime:
    return datetime(2024, 1, 31, 12, tzinfo=of)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("New_York", "America/New_York"),
        ("Berlin", "Europe/Berlin"),
        ("UTC", "UTC"),
        ("GMT", "GMT"),
        ("GMT+5", "Etc/GMT+5"),
        ("GMT-10", "Etc/GMT-10"),
        ("Port-au-Prince", "America/Port-au-Prince"),
        ("Blanc-Sablon", "America/Blanc-Sablon"),
        ("Ho_Chi_Minh", "Asia/Ho_Chi_Minh"),
        ("Indianapolis", "America/Indiana/Indianapolis"),
        ("Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("West", "Australia/West"),
        ("Central", "US/Central"),
        ("Eastern", "US/Eastern"),
        ("Pacific", "US/Pacific"),
        ("Jamaica", "America/Jamaica"),
        ("America/New_York", "America/New_York"),
        ("Brazil/West", "Brazil/West"),
        ("Etc/UTC", "Etc/UTC"),
    ],
)
def test_a_name_means_a_zone(name: str, key: str) -> None:
    assert zone(name).key == key


@pytest.mark.parametrize(
    "name", ["", "new_york", "Nowhere", "../Berlin", "/etc/passwd", "a\x00b", "\ud800", "localtime"]
)
def test_a_text_that_names_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        zone(name)


def test_a_zone_of_gmt_lies_on_the_other_side() -> None:
    assert at(zone("GMT+5")).utcoffset() == -5 * HOUR
    assert at(zone("GMT-10")).utcoffset() == 10 * HOUR


def test_every_zone_is_written_and_read_back_by_the_same_rules() -> None:
    for key in available_timezones() - _LOCAL_NAMES:
        moment = at(ZoneInfo(key))
        back = moment.astimezone(zone(zone_name(moment)))
        assert back.utcoffset() == moment.utcoffset(), key


def test_a_zone_is_written_by_its_city() -> None:
    assert zone_name(at(ZoneInfo("America/New_York"))) == "New_York"
    assert zone_name(at(ZoneInfo("America/Argentina/Buenos_Aires"))) == "Buenos_Aires"


def test_a_second_zone_of_the_name_with_the_same_rules_is_written_by_its_city() -> None:
    assert zone_name(at(ZoneInfo("America/Indianapolis"))) == "Indianapolis"


def test_a_second_zone_of_the_name_with_other_rules_is_written_whole() -> None:
    assert zone_name(at(ZoneInfo("Brazil/West"))) == "Brazil/West"


@pytest.mark.parametrize("of", [UTC, timezone(timedelta()), ZoneInfo("UTC"), ZoneInfo("Etc/UTC")])
def test_utc_by_any_name_is_utc(of: tzinfo) -> None:
    assert zone_name(at(of)) == "UTC"


@pytest.mark.parametrize(("hours", "name"), [(5, "GMT-5"), (-5, "GMT+5"), (14, "GMT-14")])
def test_a_fixed_offset_of_hours_has_a_name(hours: int, name: str) -> None:
    moment = at(timezone(hours * HOUR))
    assert zone_name(moment) == name
    assert at(zone(name)).utcoffset() == moment.utcoffset()
    assert named(moment) is moment


@pytest.mark.parametrize("offset", [5.5 * HOUR, -13 * HOUR, 15 * HOUR])
def test_any_other_fixed_offset_gives_way_to_utc(offset: timedelta) -> None:
    moment = at(timezone(offset))
    with pytest.raises(ValueError, match="has no name"):
        zone_name(moment)
    assert named(moment) == moment
    assert named(moment).tzinfo == ZoneInfo("UTC")


def test_a_moment_without_a_zone_has_no_name_of_one() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        zone_name(at(None))


class OtherZone(tzinfo):
    """A zone of another library: not hashable, and known by an attribute `zone` or not at all."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str | None, hours: int) -> None:
        self.zone = name
        self._hours = hours

    def __eq__(self, other: object) -> bool:
        return self is other

    def utcoffset(self, _: datetime | None) -> timedelta:
        return self._hours * HOUR

    def dst(self, _: datetime | None) -> timedelta:
        return timedelta()

    def tzname(self, _: datetime | None) -> str:
        return str(self.zone)


def test_a_zone_of_another_library_is_known_by_its_name() -> None:
    assert zone_name(at(OtherZone("Europe/Berlin", 1))) == "Berlin"


def test_a_zone_of_another_library_without_a_name_is_known_by_its_offset() -> None:
    assert zone_name(at(OtherZone(None, 1))) == "GMT-1"
    assert zone_name(at(OtherZone(None, 0))) == "UTC"


def test_a_zone_that_is_not_in_the_database_gives_way_to_utc() -> None:
    moment = at(OtherZone("Mars/Olympus", 1))
    assert named(moment) == moment
    assert named(moment).tzinfo == ZoneInfo("UTC")


def test_the_zone_of_this_machine_has_no_name_elsewhere() -> None:
    moment = at(OtherZone("localtime", 1))
    assert named(moment).tzinfo == ZoneInfo("UTC")


def test_a_machine_without_zones_has_those_of_the_package() -> None:
    script = "from holdall.haystack.zones import zone; print(zone('Central'), zone('Brazil/West'))"
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONTZPATH": ""},
        capture_output=True,
        check=True,
        text=True,
    )
    assert answer.stdout == "US/Central Brazil/West\n"


def test_what_a_name_means_does_not_hang_on_the_order_of_hashes() -> None:
    script = (
        "from holdall.haystack import zones; print(sorted(zones._by_city().items()))"  # every one
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1
    assert "('West', 'Australia/West')" in answers.pop()
