"""Whoever opens the server's address sees what there is."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from holdall.server import ServerConfig
from server.asking import Asking, users

Serve = Callable[..., Asking]


@pytest.mark.parametrize("path", ["/", "/api", "/api/"])
def test_the_address_shows_what_there_is(ask: Asking, path: str) -> None:
    page = ask.client.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "/api/read?filter=site" in page.text


def test_every_link_answers(serve: Serve) -> None:
    import holdall

    asking = serve(
        data_store=holdall.open_async("memory://"),
        database=holdall.open_database_async("memory://"),
    )
    links = re.findall(r'href="([^"]+)"', asking.client.get("/").text)
    assert {"/objects", "/records", "/openapi.json"} <= set(links)
    for link in links:
        assert asking.client.get(link).status_code == 200, link


def test_what_is_not_served_is_no_link(ask: Asking) -> None:
    page = ask.client.get("/").text
    assert "/objects" not in page
    assert "/records" not in page


def test_a_name_is_text(serve: Serve) -> None:
    asking = serve(config=ServerConfig(name="<script>alert(1)</script>"))
    assert "<script>" not in asking.client.get("/").text


def test_strangers_see_nothing(serve: Serve) -> None:
    accounts: Any = users()
    asyncio.run(accounts.add("alice", "correct horse", "viewer"))
    assert serve(users=accounts).client.get("/").status_code == 401
