"""about, ops, read, nav, over HTTP."""

import pytest

from holdall.haystack import MARKER, Grid, Number, Ref, Symbol
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import ServerConfig
from server.asking import Asking, grid_of
from server.conftest import Serve


def ids(grid: Grid) -> list[str]:
    return [str(row.get("id")) for row in grid]


def test_about_names_the_server_and_its_version(ask: Asking) -> None:
    about = ask.grid("about")[0]
    assert (about["haystackVersion"], about["serverName"]) == ("4.0", "Holdall")


def test_ops_are_definitions_and_say_which_have_no_side_effects(ask: Asking) -> None:
    ops = {row["name"]: row for row in ask.grid("ops")}
    assert ops["read"]["def"] == Symbol("op:read")
    assert [name for name in ("read", "hisRead", "hisWrite") if "noSideEffects" in ops[name]] == [
        "read",
        "hisRead",
    ]


def test_defs_take_a_filter_and_a_limit(ask: Asking) -> None:
    assert len(ask.grid("defs?filter=def==^op:nav")) == 1
    assert len(ask.grid("defs?filter=filetype&limit=2")) == 2


def test_formats_and_filetypes_name_the_same_types(ask: Asking) -> None:
    assert ask.grid("formats").column("mime") == ask.grid("filetypes").column("mime")


def test_a_server_that_holds_no_library_answers_none(ask: Asking) -> None:
    assert len(ask.grid("libs")) == 0


def test_a_filter_of_a_query_is_one_filter_to_its_end(ask: Asking) -> None:
    assert ids(ask.grid("read?filter=point and temp")) == ["@p1"]


def test_a_filter_of_a_query_may_be_written_as_a_text_of_zinc(ask: Asking) -> None:
    assert ids(ask.grid('read?filter="point and temp"')) == ["@p1"]


def test_a_filter_may_look_like_a_value_of_zinc(ask: Asking) -> None:
    grid = ask.grid("read?filter=M")
    assert "the filter 'M'" in str(grid.meta["dis"])


def test_two_ids_get_two_answers(ask: Asking) -> None:
    assert [ids(ask.grid(f"read?id=@{of}")) for of in ("p1", "s1", "p1")] == [
        ["@p1"],
        ["@s1"],
        ["@p1"],
    ]


def test_what_changed_is_read_at_once(ask: Asking) -> None:
    assert len(ask.grid("read?filter=vav")) == 0
    ask.post("load", Grid([{"id": Ref("v1"), "vav": MARKER}]))
    assert ids(ask.grid("read?filter=vav")) == ["@v1"]


def test_ids_are_answered_in_their_order_with_nulls_for_missing_ones(ask: Asking) -> None:
    grid = ask.grid("read", Grid([{"id": Ref(of)} for of in ("p2", "nobody", "s1")]))
    assert ids(grid) == ["@p2", "None", "@s1"]
    assert not grid[1]


def test_ids_that_are_all_missing_are_rows_of_nulls(ask: Asking) -> None:
    assert [dict(row) for row in ask.grid("read", Grid([{"id": Ref("x")}]))] == [{}]


def test_columns_are_those_of_the_rows_that_are_answered(ask: Asking) -> None:
    assert ask.grid("read?filter=site").names == ("id", "dis", "site", "tz", "area")


def test_a_limit_bounds_what_is_answered(ask: Asking) -> None:
    assert len(ask.grid("read?filter=point&limit=2")) == 2
    assert len(ask.grid("read?filter=point&limit=0")) == 0


@pytest.mark.parametrize("limit", ["-1", "1.5", "many", "2kW", "1e300"])
def test_a_limit_that_is_none_is_named(ask: Asking, limit: str) -> None:
    grid = ask.grid(f"read?filter=point&limit={limit}")
    assert grid.is_error == (limit != "2kW")


def test_an_answer_that_was_cut_says_so(serve: Serve) -> None:
    ask = serve(config=ServerConfig(max_read=2))
    grid = ask.grid("read?filter=point")
    assert (len(grid), grid.meta["incomplete"]["limit"]) == (2, Number(2))  # type: ignore[index, call-overload]
    assert "incomplete" not in ask.grid("read?filter=point&limit=2").meta


def test_a_filter_that_is_none_is_told_with_its_place(ask: Asking) -> None:
    grid = ask.grid("read?filter=point and == 5")
    assert grid.is_error
    assert "line 1, column 11" in str(grid.meta["dis"])


def test_a_filter_of_six_kilobytes_is_read(ask: Asking) -> None:
    text = " and ".join(["point"] * 600)
    assert len(ask.grid("read", Grid([{"filter": text}]))) == 3


@pytest.mark.parametrize("op", ["read", "defs"])
def test_a_filter_that_others_would_wait_for_is_an_error(ask: Asking, op: str) -> None:
    grid = ask.grid(op, Grid([{"filter": " and ".join(["point"] * 7_000)}]))
    assert "65,536" in str(grid.meta["dis"])


def test_a_filter_that_is_nested_too_deeply_is_an_error_with_a_place(ask: Asking) -> None:
    grid = ask.grid("read", Grid([{"filter": "(" * 3000 + "point" + ")" * 3000}]))
    assert "column" in str(grid.meta["dis"])


def test_a_read_of_nothing_says_what_it_takes(ask: Asking) -> None:
    assert "'filter'" in str(ask.grid("read", Grid(cols=["empty"])).meta["dis"])


def test_the_tree_begins_with_sites_and_leads_to_points(ask: Asking) -> None:
    site = ask.grid("nav")[0]
    (equip,) = ask.grid(f"nav?navId={site['navId']}")
    points = ask.grid("nav", Grid([{"navId": equip["navId"]}]))
    assert ids(points) == ["@p1", "@p2", "@p3"]


def test_a_leaf_of_the_tree_has_a_null_for_its_place(ask: Asking) -> None:
    points = ask.grid("nav?navId=@a1")
    assert points.has_col("navId")
    assert points.column("navId") == [None, None, None]


def test_a_place_that_is_not_there_is_an_error(ask: Asking) -> None:
    assert ask.grid("nav?navId=@nobody").is_error


def test_many_entities_are_answered_whole(serve: Serve) -> None:
    many = InMemoryAdapter([{"id": Ref(f"x{at:05}"), "thing": MARKER} for at in range(12_000)])
    grid = grid_of(serve(many).get("read?filter=thing"))
    assert (len(grid), str(grid[-1]["id"])) == (12_000, "@x11999")
