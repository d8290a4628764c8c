"""Objects over HTTP: listings, page by page, and what OpenAPI says."""

from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

import holdall
from server.objects_served import objects_served

KEYS = ["a", "b-1", "b/1", "b/2", "b/c/3", "ü/日本"]


@pytest.fixture(scope="module", params=["memory", "file"])
def ask(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("objects").as_posix()
    place = "memory://listed" if request.param == "memory" else f"file://{folder}"
    with holdall.open(place) as store:
        for key in KEYS:
            store.write(key, key.encode())
        with objects_served(place) as client:
            yield client


def keys(page: dict[str, Any]) -> list[str]:
    return [one["key"] for one in page["objects"]]


def listed(ask: httpx.Client, query: str = "") -> dict[str, Any]:
    answer = ask.get(f"?{query}")
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


@pytest.mark.parametrize("path", ["/objects", "/objects/"])
def test_all_objects_are_listed_in_order(ask: httpx.Client, path: str) -> None:
    page = ask.get(ask.base_url.join(path)).json()
    assert (keys(page), page["directories"], page["next"]) == (KEYS, [], None)


def test_an_object_is_listed_as_its_head_says(ask: httpx.Client) -> None:
    one, said = listed(ask)["objects"][0], ask.head("a").headers
    modified = parsedate_to_datetime(said["last-modified"])
    assert one["etag"] == said["etag"]
    assert one["size"] == int(said["content-length"])
    assert datetime.fromisoformat(one["modified"]).replace(microsecond=0) == modified


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("b", KEYS[2:5]),
        ("b/", KEYS[2:5]),
        ("b/c", KEYS[4:5]),
        ("ü", KEYS[5:]),
        ("a", []),
        ("x", []),
    ],
)
def test_a_prefix_is_a_folder(ask: httpx.Client, prefix: str, found: list[str]) -> None:
    assert keys(listed(ask, f"prefix={quote(prefix)}")) == found


def test_a_delimiter_shows_one_level(ask: httpx.Client) -> None:
    page = listed(ask, "delimiter=/")
    assert (keys(page), page["directories"]) == (["a", "b-1"], ["b", "ü"])


def test_pages_follow_one_another(ask: httpx.Client) -> None:
    found: list[str] = []
    query = "limit=2"
    while query:
        page = listed(ask, query)
        assert len(page["objects"]) <= 2
        found += keys(page)
        query = f"limit=2&token={quote(page['next'])}" if page["next"] else ""
    assert found == KEYS


def test_the_header_link_leads_to_the_next_page(ask: httpx.Client) -> None:
    found: list[str] = []
    url: httpx.URL | None = ask.base_url.join("/objects?prefix=b&limit=1")
    while url is not None:
        answer = ask.get(url)
        found += keys(answer.json())
        url = url.join(answer.links["next"]["url"]) if "next" in answer.links else None
    assert found == KEYS[2:5]


def test_a_listing_begins_behind_a_key(ask: httpx.Client) -> None:
    assert keys(listed(ask, "after=b/1")) == KEYS[3:]
    assert keys(listed(ask, "after=b/11&limit=1")) == KEYS[3:4]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=%D9%A1", f"limit={'9' * 5000}",
     "delimiter=-", "prefix=/", "prefix=../x", "prefix=a//b", "prefix=file:///etc", "prefix=a%00",
     "prefix=.holdall", "max-keys=5", "prefix=a&prefix=b"],
)  # fmt: skip
def test_a_parameter_that_cannot_be_is_400(ask: httpx.Client, query: str) -> None:
    assert ask.get(f"?{query}").status_code == 400


@pytest.mark.parametrize("name", ["token", "after"])
@pytest.mark.parametrize(
    "text", [".holdall/", ".holdall/locks/0", "../../etc/", "/etc/passwd", "%00", "%FF", "x" * 5000]
)
def test_a_token_of_ones_own_leads_nowhere_else(ask: httpx.Client, name: str, text: str) -> None:
    answer = ask.get(f"?{name}={text}")
    assert answer.status_code in {200, 400}
    assert answer.status_code == 400 or set(keys(answer.json())) <= set(KEYS)


def test_what_the_store_keeps_beside_is_not_listed(tmp_path: Path) -> None:
    with objects_served(tmp_path.as_posix()) as ask:
        ask.put("a", content=bytes(2 * 2**20))
        assert (tmp_path / ".holdall").is_dir()
        page = listed(ask, "delimiter=/")
        assert (keys(page), page["directories"]) == (["a"], [])


def test_openapi_has_the_routes_with_what_they_answer(ask: httpx.Client) -> None:
    paths = ask.get(ask.base_url.join("/openapi.json")).json()["paths"]
    one = paths["/objects/{key}"]
    assert set(one) == {"get", "head", "put", "delete"}
    assert set(paths["/objects"]) == {"get"}
    assert "/objects/" not in paths
    assert {"200", "206", "304", "404", "412", "416"} <= one["get"]["responses"].keys()
    assert {"201", "204", "409", "413"} <= one["put"]["responses"].keys()
    for told in (*one.values(), paths["/objects"]["get"]):
        assert "422" not in told["responses"]
    assert {p["name"] for p in one["get"]["parameters"]} >= {"key", "Range", "If-None-Match"}
    assert "requestBody" in one["put"]
