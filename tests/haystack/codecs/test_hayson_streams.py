"""JSON of both versions in pieces: the same rows, the same refusals, and little held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import CodecError
from holdall.haystack import MARKER, Col, Grid, Number, Ref, same
from holdall.haystack.codecs.contract import Codec, Head, Limits
from holdall.haystack.codecs.hayson import HAYSON
from holdall.haystack.codecs.json3 import JSON3

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BOTH = pytest.mark.parametrize("codec", [HAYSON, JSON3], ids=["hayson", "json3"])
SIZES = pytest.mark.parametrize("size", [1, 2, 7, 64, 5000, 1 << 20])


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def entities(count: int) -> Grid:
    rows: list[dict[str, Any]] = [
        {
            "id": Ref(f"p-{at}", 'a "b" }, {é'),
            "dis": f'\\"}},{{"x{at}',
            "point": MARKER,
            "n": Number(at, "kW"),
            "l": [{"a": 1}, {"b": [{}, {}]}],
        }
        for at in range(count)
    ]
    cols: list[str | Col] = [Col("id", {"dis": "Id"}), "dis", "point", "n", "l"]
    return Grid(rows, meta={"dis": "A"}, cols=cols)


def read(codec: Codec, data: bytes | str, each: int, **limits: int) -> Grid:
    given = data if isinstance(data, bytes) else data.encode()
    head, rows = codec.decode_rows(pieces(given, each), limits=Limits(**limits))
    return Grid.of_checked(head.meta, head.cols, rows)


def refused(codec: Codec, data: bytes | str, each: int = 3, **limits: int) -> CodecError:
    with pytest.raises(CodecError) as caught:
        read(codec, data, each, **limits)
    return caught.value


@BOTH
@SIZES
def test_pieces_of_any_size_hold_the_same_grid(codec: Codec, size: int) -> None:
    grid = entities(40)
    assert same(read(codec, codec.encode(grid), size), grid)


@BOTH
@SIZES
def test_many_flat_rows_are_cut_where_they_end(codec: Codec, size: int) -> None:
    grid = Grid([{"a": f'"}} ,{{\\{at}', "b": Ref(f"r-{at}")} for at in range(300)])
    assert same(read(codec, codec.encode(grid).replace(b"},{", b"} \r\n,\t{"), size), grid)


@BOTH
def test_a_head_is_there_before_the_rows_are_read(codec: Codec) -> None:
    data = codec.encode(entities(10))
    asked = []

    def given() -> Iterator[bytes]:
        for piece in pieces(data, 10):
            asked.append(piece)
            yield piece

    head, rows = codec.decode_rows(given())
    assert [col.name for col in head.cols] == ["id", "dis", "point", "n", "l"]
    assert head.meta == {"dis": "A"}
    assert data.startswith(b"".join(asked))
    assert data.index(b'"rows"') > len(b"".join(asked)) - 30
    assert next(rows)["id"] == Ref("p-0")
    assert len(b"".join(asked)) < len(data) // 2


@BOTH
def test_rows_without_columns_before_them_have_a_head_of_nothing(codec: Codec) -> None:
    head, rows = codec.decode_rows([b'{"rows":[{"a":true}],"cols":[{"name":"a"}],"meta":{}}'])
    assert (dict(head.meta), list(head.cols), list(rows)) == ({}, [], [{"a": True}])


@BOTH
def test_a_list_and_a_dict_are_rows(codec: Codec) -> None:
    assert list(codec.decode_rows([b' [ {"a":true} , {} ] '])[1]) == [{"a": True}, {}]
    head, rows = codec.decode_rows([b'{"a":true, ', b'"rows":5,"b":', b"null}"])
    assert ([col.name for col in head.cols], list(rows)) == (
        ["a", "rows"],
        [{"a": True, "rows": Number(5)}],
    )
    assert list(codec.decode_rows([b"{}"])[1]) == [{}]
    assert list(codec.decode_rows([b"[]"])[1]) == []


@BOTH
@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", (1, 1)),
        (" \n x", (2, 2)),
        ("[", (1, 2)),
        ("{", (1, 2)),
        ('{"a"', (1, 5)),
        ('{"a":', (1, 6)),
        ('{"a":1,}', (1, 8)),
        ('{a:1}', (1, 2)),
        ('[{"a":true},\n\n {"b":tru}]', (3, 7)),
        ('[{"a":true},\n {"b":"é","a":{"_kind":7}}]', (2, 24)),
        ('[{"a":true} {}]', (1, 13)),
        ("[{},]", (1, 5)),
        ("[{},5]", (1, 5)),
        ("[{}}", (1, 4)),
        ('[{"a":"x]', (1, 10)),
        ('[{"a":"x\\', (1, 9)),
        ("[{}] x", (1, 6)),
        ('{"rows":[{}],', (1, 14)),
        ('{"rows":[{}],"cols":[x]}', (1, 22)),
        ('{"rows":[{}]} {', (1, 15)),
        ('{"meta":{},\n"cols":[{"name":"A"}],"rows":[]}', (2, 17)),
        ('{"meta":[],"cols":[],"rows":[]}', (1, 9)),
        ('{"cols":[{"name":"a"}],"rows":[{"a":true},{"b":true}]}', (1, 48)),
        ('{"x":y":true,"rows":[]}', (1, 6)),
        ('{"rows":[{}],"meta":7}', (1, 21)),
        ('{"rows":[{}],"cols":[7]}', (1, 22)),
        ('{"rows":[{}],"_kind":[]}', (1, 22)),
        ('{"rows":[{"a":true}],"cols":[]}', (1, 32)),
        (b'[{"a":"\xc3\xa9\xff"}]', (1, 9)),
        (b"\xef\xbb\xbf[x]", (1, 2)),
        ("[\n{}]\n\u20ac", (3, 1)),
    ],
)  # fmt: skip
def test_the_place_is_that_of_the_fault(
    codec: Codec, text: str | bytes, at: tuple[int, int], size: int
) -> None:
    error = refused(codec, text, size)
    assert (error.line, error.column) == at


@BOTH
def test_the_rows_before_a_fault_are_there(codec: Codec) -> None:
    _, rows = codec.decode_rows([b'[{"a":true},', b'{"a":false},', b'{"a":nope}]'])
    assert next(rows) == {"a": True}
    assert next(rows) == {"a": False}
    with pytest.raises(CodecError, match="line 1, column 30"):
        next(rows)


@BOTH
def test_a_million_levels_are_refused(codec: Codec) -> None:
    for opening in ("[", '{"a":', '[{"a":', '{"meta":{"a":'):
        assert refused(codec, opening * 100_000, 4096).line == 1


@BOTH
def test_the_limits_hold(codec: Codec) -> None:
    assert "2 deep" in str(refused(codec, '[{"a":[[[]]]}]', depth=2))
    assert "limit, 2" in str(refused(codec, "[{},{},{}]", rows=2))
    assert "limit, 1" in str(refused(codec, '[{"a":true,"b":true}]', columns=1))
    assert "limit, 1" in str(refused(codec, '{"a":true,"b":true}', columns=1))
    assert "8 bytes" in str(refused(codec, "[{},{},{}]", size=8))
    assert len(read(codec, "{}", 1, rows=1)) == 1


@BOTH
def test_a_grid_without_rows_is_refused(codec: Codec) -> None:
    text = '{"_kind":"grid","cols":[]}' if codec is HAYSON else '{"a":"q:"}'
    assert refused(codec, text).line == 1


def test_a_dict_that_says_so_after_its_rows_is_refused() -> None:
    assert refused(HAYSON, '{"rows":[{}],"_kind":"dict"}').column == 22


def test_rows_that_come_twice_are_refused() -> None:
    assert "second list" in str(refused(HAYSON, '{"rows":[{}],"rows":[{}]}'))


def test_a_text_of_the_other_version_is_refused_by_name() -> None:
    assert "JSON3" in str(refused(HAYSON, JSON3.encode(entities(2))))
    assert "HAYSON" in str(refused(JSON3, HAYSON.encode(entities(2))))


# Writing in pieces.


def written(codec: Codec, head: Head, rows: Iterable[Any]) -> bytes:
    return b"".join(codec.encode_rows(head, rows))


@BOTH
@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 1200])
def test_pieces_are_together_what_is_written_at_once(codec: Codec, count: int) -> None:
    grid = entities(count)
    assert written(codec, Head(grid.meta, grid.cols), iter(grid)) == codec.encode(grid)


@BOTH
def test_no_more_rows_are_asked_for_than_a_piece_holds(codec: Codec) -> None:
    asked = 0

    def rows() -> Iterator[Any]:
        nonlocal asked
        for at in range(10_000):
            asked += 1
            yield {"a": at}

    made = codec.encode_rows(Head(cols=[Col("a")]), rows())
    next(made)
    assert asked == 0
    for piece in made:
        if b"600" in piece:
            break
    assert asked < 2000


@BOTH
def test_columns_that_are_not_known_come_after_the_rows(codec: Codec) -> None:
    data = written(codec, Head({"dis": "x"}), [{"b": True}, {}, {"a": "y", "b": None}])
    assert data.index(b'"cols"') > data.index(b'"rows"')
    assert same(codec.decode(data), Grid([{"b": True}, {}, {"a": "y"}], meta={"dis": "x"}))


@BOTH
def test_none_in_a_row_is_not_written(codec: Codec) -> None:
    data = written(codec, Head(cols=[Col("a"), Col("b")]), [{"a": None, "b": True}])
    assert b"null" not in data
    assert same(codec.decode(data), Grid([{"b": True}], cols=["a", "b"]))


@BOTH
@pytest.mark.parametrize(
    ("cols", "row", "part"),
    [
        (["a"], {"b": 1}, "row 1 has the tag 'b'"),
        ([], {"B": 1}, "row 1: 'B' is no name"),
        ([], {"_kind": "grid"}, "row 1: '_kind' is no name"),
        (["a"], {"a": {"_kind": "x"}}, "row 1, 'a': '_kind' is no name"),
        (["a"], {"a": b"x"}, "row 1, 'a': .*b'x' is of no kind"),
        (["a"], {"a": "\ud800"}, "row 1, 'a': .*surrogate"),
    ],
)
def test_a_row_that_cannot_be_written_is_named(
    codec: Codec, cols: list[str], row: dict[str, Any], part: str
) -> None:
    with pytest.raises(CodecError, match=part):
        written(codec, Head(cols=[Col(name) for name in cols]), [{}, row])


@BOTH
def test_a_column_that_comes_twice_is_not_written(codec: Codec) -> None:
    with pytest.raises(CodecError, match="twice"):
        written(codec, Head(cols=[Col("a"), Col("a")]), [])
