"""Entities and values that every store has to keep, and filters that it has to answer."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from importlib.resources import files
from typing import Any, Final
from zoneinfo import ZoneInfo

from holdall.haystack.grid import Grid
from holdall.haystack.kinds import MARKER, NA, Coord, Number, Ref, Symbol, Uri, XStr

_NEW_YORK = ZoneInfo("America/New_York")

VALUES: Final[dict[str, Any]] = {
    "marker": MARKER,
    "na": NA,
    "yes": True,
    "no": False,
    "whole": Number(5),
    "fraction": Number(0.1),
    "unit": Number(21.5, "°C"),
    "currency": Number(3, "$"),
    "beyondDoubles": Number(2**53 + 1),
    "beyond64Bits": Number(-(10**40)),
    "tiny": Number(5e-324),
    "huge": Number(1.7976931348623157e308),
    "infinite": Number(float("inf")),
    "below": Number(float("-inf"), "kW"),
    "nan": Number(float("nan")),
    "negativeZero": Number(-0.0),
    "text": "Hello",
    "empty": "",
    "quotes": 'it\'s "so" \\ $x `y` {z}',
    "lines": "one\ntwo\ttab\r\n",
    "unicode": "Grüße 温度 🏢 \u2028",
    "control": "a\x00b\x1f",
    "wildcards": "100%_*?",
    "halfACharacter": "a\ud800b",
    "uri": Uri("http://a/b?c=d#e"),
    "ref": Ref("other"),
    "named": Ref("a:b.c-d~e_f", "A display name"),
    "symbol": Symbol("elec-meter"),
    "date": date(2024, 2, 29),
    "time": time(23, 59, 59, 999999),
    "moment": datetime(2024, 7, 1, 12, 30, 15, 123456, _NEW_YORK),
    "utc": datetime(2024, 7, 1, tzinfo=ZoneInfo("UTC")),
    "fold": datetime(2024, 11, 3, 1, 30, tzinfo=_NEW_YORK, fold=1),
    "behindGmt": datetime(2024, 1, 1, tzinfo=ZoneInfo("Etc/GMT+5")),
    "place": Coord(37.5458266, -77.4491888),
    "typed": XStr("Color", "red"),
    "list": [Number(1), "two", MARKER, None, [True]],
    "refs": [Ref("a"), Ref("b", "B")],
    "dict": {"a": Number(1, "m"), "b": {"c": MARKER}, "d": None},
    "emptyList": [],
    "emptyDict": {},
    "grid": Grid([{"a": Number(1)}, {"b": "x"}], meta={"dis": "G"}),
}
"""Values of tags, by names of tags."""


def nameless_zone(key: str) -> ZoneInfo:
    """A zone that does not know its name, as one read from `/etc/localtime`."""
    with files("tzdata").joinpath("zoneinfo", key).open("rb") as file:
        return ZoneInfo.from_file(file)


def _of(id_: str, **tags: Any) -> dict[str, Any]:
    return {"id": Ref(id_, tags.get("dis")), **tags}


BUILDING: Final[list[dict[str, Any]]] = [
    _of("s1", site=MARKER, dis="HQ", area=Number(2000, "ft²"), tz="New_York", geoCity="Richmond"),
    _of("s2", site=MARKER, dis="Lab", area=Number(50), tz="Berlin", built=date(1990, 5, 1)),
    _of("f1", space=MARKER, floor=MARKER, siteRef=Ref("s1"), dis="Floor 1"),
    _of("ahu1", equip=MARKER, ahu=MARKER, siteRef=Ref("s1"), dis="AHU-1", n=Number(1)),
    _of("ahu2", equip=MARKER, ahu=MARKER, siteRef=Ref("s1", "HQ"), dis="AHU-2", n=Number(2, "kW")),
    _of("vav", equip=MARKER, airRef=[Ref("ahu1"), Ref("ahu2", "two")], siteRef=Ref("s1")),
    _of("p1", point=MARKER, temp=MARKER, equipRef=Ref("ahu1"), siteRef=Ref("s1"), n=Number(50)),
    _of("p2", point=MARKER, temp=MARKER, equipRef=Ref("ahu2"), siteRef=Ref("s2"), n=50),
    _of("p3", point=MARKER, equipRef=Ref("ahu1", "AHU"), n=Number(100, "kilowatt"), on=True),
    _of("p4", point=MARKER, equipRef=Ref("gone"), n="50", on=Number(1), tags=["a", "b"]),
    _of("p5", point=MARKER, n=[Number(3), Number(70)], at=datetime(2024, 1, 1, 12, tzinfo=UTC)),
    _of("p6", point=MARKER, n=Number(float("nan")), at=datetime(2024, 1, 1, 7, tzinfo=_NEW_YORK)),
    _of("d1", config={"gain": Number(3), "ref": Ref("s1")}, name='it\'s 100%_\\ "q"'),
    _of("S1", dis="hq", area=Number(1999.5, "ft²"), loopRef=Ref("S1"), uri=Uri("http://x/")),
    _of("z-1", dis="Zoë 温度", symbol=Symbol("elec"), clock=time(12), lunch=[time(12), "noon"]),
]
"""Entities that filters tell apart."""

FILTERS: Final = [
    "site",
    "not site",
    "nothing",
    "not nothing",
    "point and temp",
    "point and temp and equipRef==@ahu1",
    "point or equip",
    "point and not temp",
    "(site or space) and siteRef",
    "not (point or equip)",
    "siteRef==@s1",
    "siteRef!=@s1",
    "siteRef==@S1",
    'siteRef==@s1 "Another name"',
    "airRef==@ahu2",
    "airRef!=@ahu2",
    "id==@p1",
    "area==2000",
    "area==2000ft²",
    "area==2000square_foot",
    "area==2000m²",
    "area!=2000ft²",
    "area > 100",
    "area >= 1999.5ft²",
    "area < 100",
    "area < 100ft²",
    "n==50",
    "n!=50",
    "n==100kW",
    "n > 2",
    "n > 2kW",
    "n <= 3",
    "n < 1000",
    "n >= 70",
    'n=="50"',
    "on==true",
    "on==1",
    "on!=true",
    "on==false",
    'dis=="HQ"',
    'dis=="hq"',
    'dis > "H"',
    'dis < "a"',
    'dis >= "Zoë 温度"',
    'tags=="a"',
    'tags!="a"',
    'tags > "a"',
    "built==1990-05-01",
    "built < 2000-01-01",
    "at==2024-01-01T12:00:00Z",
    "at > 2024-01-01T11:59:59Z",
    "at < 2024-01-01T12:00:01Z",
    "clock==12:00:00",
    "lunch >= 12:00:00",
    "symbol==^elec",
    "uri==`http://x/`",
    'name=="it\'s 100%_\\\\ \\"q\\""',
    "siteRef->area > 100",
    "siteRef->area == 50",
    "siteRef->area != 50",
    "siteRef->area",
    "not siteRef->area",
    'siteRef->geoCity=="Richmond"',
    "equipRef->siteRef->area > 100",
    'equipRef->siteRef->geoCity=="Richmond" and temp',
    'airRef->dis=="AHU-2"',
    'airRef->dis!="AHU-2"',
    "airRef->n > 1",
    "airRef->siteRef->site",
    "equipRef->n",
    "not equipRef->n",
    "config->gain==3",
    "config->gain > 2",
    "config->ref->site",
    "config->nothing",
    "loopRef->loopRef->loopRef->area > 1",
    "id->site",
    "siteRef->area > 100 and point or temp",
    "siteRef->nothing==1 or site",
]
"""Filters that tell the entities of `BUILDING` apart."""
