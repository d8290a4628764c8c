"""Clients that nobody here wrote log in, read, write and watch: phable, and rusty-haystack."""

import asyncio
import importlib
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from urllib.error import HTTPError
from zoneinfo import ZoneInfo

import pytest
import rusty_haystack
from phable.auth.scram import AuthError
from phable.haystack_client import (
    CallError,
    HaystackClient,
    UnknownRecError,
    open_haystack_client,
)
from phable.kinds import DateRange, Grid, GridCol, Marker, Number, Ref

from holdall.haystack.memory import InMemoryAdapter
from holdall.server import ServerConfig, create_fastapi_app
from server.asking import building, users
from server.listening import listening

# phable closes no answer that is an error, which Python 3.14 tells.
pytestmark = pytest.mark.filterwarnings("ignore:Implicitly cleaning up <HTTPError:ResourceWarning")

# Its stub does not know this module.
RustClient: Any = importlib.import_module("rusty_haystack.client").HaystackClient
PASSWORD = "correct horse"
NEW_YORK = ZoneInfo("America/New_York")
EIGHT = datetime(2024, 6, 15, 8, tzinfo=NEW_YORK)
DAY = date(2024, 6, 15)


@pytest.fixture
def address() -> Iterator[str]:
    """The address of a server of the sample building, which has the admin `alice`."""
    accounts = users()
    asyncio.run(accounts.add("alice", PASSWORD, "admin"))
    app = create_fastapi_app(
        storage=InMemoryAdapter(building()), users=accounts, config=ServerConfig(name="HQ")
    )
    with listening(app) as url:
        yield f"{url}/api"


@pytest.fixture(params=["json", "zinc"])
def client(request: pytest.FixtureRequest, address: str) -> Iterator[HaystackClient]:
    with open_haystack_client(address, "alice", PASSWORD, content_type=request.param) as opened:
        yield opened


def test_phable_logs_in_and_is_told_about_the_server(client: HaystackClient) -> None:
    assert client.about()["serverName"] == "HQ"


def test_phable_with_a_wrong_password_is_refused(address: str) -> None:
    with pytest.raises(AuthError):
        HaystackClient.open(address, "alice", "wrong horse")


def test_phable_is_out_after_close(address: str) -> None:
    client = HaystackClient.open(address, "alice", PASSWORD)
    client.close()
    with pytest.raises(HTTPError, match="401") as caught:
        client.about()
    caught.value.close()


def test_phable_reads_by_filter(client: HaystackClient) -> None:
    assert [row["id"].val for row in client.read_all("point and temp").rows] == ["p1"]
    assert client.read("site")["area"] == Number(2000, "m²")


def test_phable_reads_by_ids_in_their_order(client: HaystackClient) -> None:
    found = client.read_by_ids([Ref("p2"), Ref("s1")])
    assert [row["id"].val for row in found.rows] == ["p2", "s1"]


def test_phable_notices_an_id_that_is_missing(client: HaystackClient) -> None:
    with pytest.raises(UnknownRecError):
        client.read_by_ids([Ref("p2"), Ref("nobody")])


def test_phable_is_told_where_a_filter_is_wrong(client: HaystackClient) -> None:
    with pytest.raises(CallError) as caught:
        client.read_all("point and")
    assert "line 1, column 10" in caught.value.help_msg.meta["dis"]


def test_phable_goes_down_the_tree(client: HaystackClient) -> None:
    def under(place: Any) -> list[Any]:
        grid = client.call("nav", Grid.to_grid({"navId": place}))
        return [row.get("navId") for row in grid.rows]

    (site,) = [row["navId"] for row in client.call("nav").rows]
    (equip,) = under(site)
    assert len(under(equip)) == 3


def test_phable_writes_a_history_and_reads_it(client: HaystackClient) -> None:
    client.his_write_by_id(Ref("p1"), [{"ts": EIGHT, "val": Number(21.5, "°C")}])
    grid = client.his_read_by_id(Ref("p1"), DAY)
    assert [(row["ts"], row["val"]) for row in grid.rows] == [(EIGHT, Number(21.5, "°C"))]


def test_phable_writes_and_reads_several_histories(client: HaystackClient) -> None:
    ids = [Ref("p1"), Ref("p2")]
    later = EIGHT.replace(hour=9)
    rows = [
        {"ts": EIGHT, "v0": Number(1, "°C"), "v1": Number(2)},
        {"ts": later, "v1": Number(3)},
    ]
    client.his_write_by_ids(ids, rows)
    found = client.his_read_by_ids(ids, DateRange(DAY, DAY)).rows
    assert [(row["ts"], row.get("v0"), row["v1"]) for row in found] == [
        (EIGHT, Number(1, "°C"), Number(2)),
        (later, None, Number(3)),
    ]


def test_phable_commands_a_point_and_reads_its_levels(client: HaystackClient) -> None:
    client.point_write(Ref("p1"), 8, Number(20, "°C"), duration=Number(5, "min"))
    levels = client.point_write_array(Ref("p1")).rows
    assert (len(levels), levels[7]["val"], levels[7]["who"]) == (
        17,
        Number(20, "°C"),
        "alice",
    )


def test_phable_watches(client: HaystackClient) -> None:
    request = Grid.to_grid([{"id": Ref("p1")}], {"watchDis": "test"})
    watch = client.call("watchSub", request).meta["watchId"]
    poll = Grid({"ver": "3.0", "watchId": watch}, [GridCol("empty")], [])
    assert client.call("watchPoll", poll).rows == []
    client.point_write(Ref("p1"), 9, Number(20, "°C"))
    assert [row["id"].val for row in client.call("watchPoll", poll).rows] == ["p1"]
    close = {"ver": "3.0", "watchId": watch, "close": Marker()}  # type: ignore[no-untyped-call]
    client.call("watchUnsub", Grid(close, [GridCol("id")], []))
    with pytest.raises(CallError):
        client.call("watchPoll", poll)


@pytest.fixture
def rust(address: str) -> Iterator[Any]:
    opened = RustClient.connect(address, "alice", PASSWORD)
    yield opened
    opened.close()


def rows(grid: Any) -> list[dict[str, Any]]:
    return [row.to_dict() for row in grid.rows()]


def test_a_client_in_rust_logs_in_and_reads(rust: Any) -> None:
    assert rows(rust.about())[0]["serverName"] == "HQ"
    assert [row["id"].val for row in rows(rust.read("point and temp"))] == ["p1"]
    assert "read" in {row["name"] for row in rows(rust.ops())}


def test_a_client_in_rust_with_a_wrong_password_is_refused(address: str) -> None:
    with pytest.raises(rusty_haystack.ClientError):
        RustClient.connect(address, "alice", "wrong horse")


def test_a_client_in_rust_goes_down_the_tree(rust: Any) -> None:
    (site,) = rows(rust.nav())
    assert [row["dis"] for row in rows(rust.nav(site["navId"]))] == ["AHU-1"]


def test_a_client_in_rust_writes_a_history_and_reads_it(rust: Any) -> None:
    sample = rusty_haystack.HDict()
    sample.set("ts", rusty_haystack.HDateTime(2024, 6, 15, 9, 0, 0, -14400, "New_York"))
    sample.set("val", rusty_haystack.Number(9.0, "°C"))
    rust.his_write("p1", [sample])
    (found,) = rows(rust.his_read("p1", "2024-06-15"))
    assert (found["val"].val, found["val"].unit) == (9.0, "°C")


def test_a_client_in_rust_commands_and_watches(rust: Any) -> None:
    watch = rust.watch_sub(["p1"], "1min").meta().get("watchId")
    assert rows(rust.watch_poll(watch)) == []
    rust.point_write("p1", 9, rusty_haystack.Number(20.0, "°C"))
    assert [row["id"].val for row in rows(rust.watch_poll(watch))] == ["p1"]
    rust.watch_unsub(watch)
