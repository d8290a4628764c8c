"""Whatever bytes come: each codec reads a grid that it can write again, or refuses with a place.

`make test` tries for two seconds a format, and `make soak` for two minutes; `HOLDALL_FUZZ_MINUTES`
says another time. What is found becomes a line of `ONCE_FAILED` here, or of that of the format.
"""

from __future__ import annotations

import os
import random
import re
import sys
import time as clock
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from holdall.core.errors import CodecError
from holdall.haystack import (
    MARKER,
    NA,
    REMOVE,
    Col,
    Coord,
    Grid,
    Number,
    Ref,
    Symbol,
    Uri,
    XStr,
    same,
)
from holdall.haystack.codecs import zinc_columns, zinc_texts
from holdall.haystack.codecs.contract import NO_LIMITS, Codec, Limits
from holdall.haystack.codecs.csv_text import CSV
from holdall.haystack.codecs.hayson import HAYSON
from holdall.haystack.codecs.hayson_reading import HaysonReading
from holdall.haystack.codecs.json3 import JSON3
from holdall.haystack.codecs.trio import TRIO
from holdall.haystack.codecs.zinc import ZINC
from holdall.haystack.codecs.zinc_texts import GridText
from holdall.haystack.zones import zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MINUTES: Final = float(os.environ.get("HOLDALL_FUZZ_MINUTES", "2"))
SHORT: Final = 2.0  # seconds
CODECS: Final[dict[str, Codec]] = {
    "zinc": ZINC, "hayson": HAYSON, "json3": JSON3, "trio": TRIO, "csv": CSV,
}  # fmt: skip

# What once raised something else, or came to something else in another way of reading.
ONCE_FAILED: Final[list[tuple[str, bytes]]] = [
    ("zinc", b'ver:"3.0"\nts,val\n' + b"2024-01-01T00:00:00-05:00 New_York,1kW\n" * 3
     + b"2024-01-01T00:05:00-05:00 New_York,1\n"),
    ("zinc", b'ver:"3.0"\nts,val\n' + b"2024-01-01T00:00:00Z,1\n" * 3
     + b"2024-01-01T00:00:00-05:00Z,1\n"),
    ("zinc", b'ver:"3.0"\nts,val\n' + b'2024-01-01T00:00:00Z UTC,"\\\\$5"\n' * 3),
]  # fmt: skip

EVERYWHERE: Final = [
    b",", b"\n", b'"', b"\r\n", b"\r", b" ", b"\t", b"\\", b"\0", b"\xff", b"\xed\xa0\x80", b"5",
    b"-", b"\xc3\xa9", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\\ud83d", b"\\u0041", b".", b"e9",
    b"1e999", b"0", b"9" * 60, b"9" * 5000, b"_", b"$", b"%", b"kW", b"\xc2\xb0F", b"INF", b"NaN",
    b"2024-01-31", b"T12:00:00Z", b"2024-11-03T01:30:00-05:00 New_York", b" UTC", b"24:00:00",
    b".1234567", b"Z", b"[", b"]", b"{", b"}", b":", b"a", b"N", b"M", b"T", b"true", b"null",
]  # fmt: skip
OF_ZINC: Final = [
    b"@", b"^", b"`", b"<<", b">>", b"(", b")", b"C(1,2)", b'Bin("', b"NA", b'ver:"3.0"\n',
    b'<<ver:"3.0"\na\n', b'ver:"2.0"\na,b\n',
]  # fmt: skip
OF_JSON: Final = [
    b'{"_kind":"', b'"val":', b'"tz":null,', b'"unit":5,', b'"rows":[', b'"cols":[{"name":"',
    b'"meta":{"ver":"3.0"}', b'{"_kind":"grid",', b'"_kind":"dict",', b'"n:5 kW"', b'"r:a b"',
    b'"x:A:b"', b'"m:"', b'"dis":null', b"-0", b"1e5", b"18446744073709551616", b"},{", b'"a":',
    b'"t:', b"[[[[",
]  # fmt: skip
PIECES: Final = {
    "zinc": EVERYWHERE + OF_ZINC,
    "hayson": EVERYWHERE + OF_JSON,
    "json3": EVERYWHERE + OF_JSON,
    "trio": [*EVERYWHERE, *OF_ZINC, b"---\n", b"//", b"\n  ", b"Zinc:\n  ", b"Trio:\n  ", b": "],
    "csv": [*EVERYWHERE, b'""', b'","', b"@a b", b"^a", b"=", b"'", b"_2", b"B c", b"\xc2\x85"],
}
LIMITS: Final = [NO_LIMITS, NO_LIMITS, Limits(depth=3), Limits(rows=3, columns=4, size=2000)]


def samples() -> list[Grid]:
    """Grids of every kind, and of rows that are alike."""
    start = datetime(2024, 11, 3, 0, 5, tzinfo=zone("New_York"))
    moments = [start + timedelta(minutes=25 * at) for at in range(9)]
    kinds = [
        MARKER, NA, REMOVE, True, Number(-5), Number(72.5, "°F"), Number(float("-inf")),
        'a "b", $5', Uri("http://x/?a=b"), Ref("a", "A b"), Symbol("x"), date(2024, 1, 31),
        time(8, 12, 5, 125), start, Coord(37.5, -77.25), XStr("Color", "red"),
        [Number(1), None, ["x"]], {"a": MARKER},
        Grid([{"x": Number(1)}, {"y": "z"}], meta={"dis": "in"}),
    ]  # fmt: skip
    dis = Col("id", {"dis": "Id", "n": Number(1, "kW")})
    return [
        *(Grid([{"id": Ref(f"p:{at}"), "v": kind}]) for at, kind in enumerate(kinds)),
        *(Grid([{"v": kind}] * 3, meta={"m": [kind]}) for kind in kinds),
        Grid([{"id": Ref(f"p:{at}"), "v": kind} for at, kind in enumerate(kinds)], cols=[dis, "v"]),
        *(
            Grid({"ts": ts, "val": Number(at + 0.5, "kW")} for at, ts in enumerate(moments[:count]))
            for count in (3, 6, 9)
        ),
        *(
            Grid(
                {"id": Ref(f"a{at}"), "dis": f"P {at}", "m": MARKER, "n": Number(at)}
                for at in range(count)
            )
            for count in (3, 9)
        ),
    ]


def texts(codec: Codec) -> list[bytes]:
    """The samples, as far as a format can carry them."""
    made = []
    for grid in samples():
        try:
            made.append(codec.encode(grid))
        except CodecError:
            rows = [{name: str(kind) for name, kind in row.items()} for row in grid]
            made.append(codec.encode(Grid(rows)))
    return made


def inputs(name: str, chance: random.Random) -> Iterator[bytes]:
    """Damaged texts and soups of pieces, without end."""
    seeds, pieces = texts(CODECS[name]), PIECES[name]
    while True:
        if chance.random() < 0.2:
            yield b"".join(chance.choice(pieces) for _ in range(chance.randint(1, 25)))
            continue
        data = bytearray(chance.choice(seeds))
        if chance.random() < 0.1:
            first = chance.randrange(len(data))
            del data[first : first + chance.randint(1, len(data))]
        for _ in range(chance.choice([1, 1, 1, 2, 2, 3, 5])):
            at = chance.randint(0, len(data))
            match chance.randrange(9):
                case 0:
                    data[at:at] = chance.choice(pieces)
                case 1:
                    data[at : at + chance.randint(1, 8)] = chance.choice(pieces)
                case 2:
                    del data[at : at + chance.randint(1, 8)]
                case 3:
                    data[at : at + 1] = bytes([chance.randrange(256)])
                case 4:
                    data[at:at] = data[max(0, at - chance.randint(1, 60)) : at]
                case 5:
                    first, last = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at) + 1
                    data[first:first] = data[first:last]
                case _:  # another digit or letter for one that is there
                    of = chance.choice([b"0123456789", b"abcdefgTZ", b"-+:."])
                    places = [place for place, byte in enumerate(data) if byte in of]
                    if places:
                        data[chance.choice(places)] = chance.choice(of)
        yield bytes(data)


def outcome(read: Callable[[], Grid], data: bytes) -> Grid | tuple[int, int, str]:
    """What is read, or the mistake and its place."""
    try:
        return read()
    except CodecError as error:
        found = error.line or 0, error.column or 0, str(error)
    assert 1 <= found[0] <= data.count(b"\n") + 2
    assert 1 <= found[1] <= len(data) + 2
    return found


def exactly(codec: Codec, data: bytes, limits: Limits) -> Grid:
    """What is read value by value, where a format has more than one way."""
    if codec is ZINC:
        text = GridText([data], limits, by_column=False)
        rows = [row for block in text.blocks() for row in block]
        return Grid.of_checked(text.meta, text.cols, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HaysonReading, "alike", lambda *_: None)
        return codec.decode(data, limits=limits)


def in_pieces(codec: Codec, data: bytes, size: int, limits: Limits) -> Grid:
    """What is read piece by piece."""
    head, rows = codec.decode_rows(
        (data[at : at + size] for at in range(0, len(data), size)), limits=limits
    )
    made = list(rows)
    # JSON and Trio may tell their columns too late.
    cols = head.cols or [Col(name) for name in dict.fromkeys(n for row in made for n in row)]
    return Grid.of_checked(head.meta, cols, made)


def judge(codec: Codec, data: bytes, limits: Limits, size: int) -> bool:
    """Read these bytes in every way; answer whether they are a grid."""
    found = outcome(lambda: codec.decode(data, limits=limits), data)
    plain = outcome(lambda: exactly(codec, data, limits), data)
    assert found == plain if isinstance(found, tuple) else same(found, plain)
    pieces = outcome(lambda: in_pieces(codec, data, size, limits), data)
    if isinstance(found, tuple):
        return False
    if not isinstance(pieces, tuple):
        assert len(pieces) == len(found)
        assert all(map(same, pieces, found))
    try:
        written = codec.encode(found)
        again = codec.decode(written)
    except CodecError as error:
        if codec is JSON3 and re.search("reads as a grid|beside its name", str(error)):
            return True  # a few shapes it cannot tell apart
        raise
    # Zinc writes a grid without columns with the column `empty`.
    assert same(again, found) or (codec is ZINC and b"\nempty\n" in written)
    return True


@pytest.fixture(autouse=True)
def few_rows_are_read_by_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zinc_texts, "_FEW", 0)
    monkeypatch.setattr(zinc_columns, "_FEW", 2)


@pytest.mark.parametrize(("name", "data"), ONCE_FAILED)
def test_what_once_failed_is_read_or_refused(name: str, data: bytes) -> None:
    judge(CODECS[name], data, NO_LIMITS, 7)


@pytest.mark.untraced
@pytest.mark.parametrize(
    "seconds",
    [SHORT, pytest.param(60 * MINUTES, marks=[pytest.mark.soak, pytest.mark.timeout(0)])],
    ids=["short", "long"],
)
@pytest.mark.parametrize("name", CODECS)
def test_any_damaged_text_is_read_or_refused(name: str, seconds: float) -> None:
    chance = random.Random(random.getrandbits(32))
    codec = CODECS[name]
    read = 0
    until = clock.monotonic() + seconds
    for tried, data in enumerate(inputs(name, chance), 1):
        limits, size = chance.choice(LIMITS), chance.choice([1, 7, 50, 1000])
        try:
            read += judge(codec, data, limits, size)
        except Exception as error:
            raise AssertionError(f"{name}, {limits}, pieces of {size}: {data!r}") from error
        if clock.monotonic() > until:
            sys.stdout.write(f"{name}: {tried:,} inputs, of which {read:,} were read\n")
            break
    assert read
