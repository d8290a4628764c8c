"""The examples of the page about Redis, which need a server."""

import re
from pathlib import Path

import pytest

from servers import RedisServer

PAGE = Path(__file__).parents[3] / "docs" / "redis.md"


def test_the_examples_of_the_page_about_redis_run(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_server.make_empty()
    monkeypatch.setenv("HOLDALL_REDIS_PASSWORD", redis_server.password)
    port = redis_server.running.port
    blocks = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        code = block.replace("redis://localhost", f"redis://127.0.0.1:{port}")
        code = code.replace('host="localhost"', f'host="127.0.0.1", port={port}')
        exec(code, names)
    client = names["client"]
    client.close()  # type: ignore[attr-defined]
    assert redis_server.ask("GET cache/report") == ["$11"]


def test_the_rights_that_the_page_names_are_the_tested_ones() -> None:
    tested = (Path(__file__).parent / "test_redis_refusals.py").read_text("utf-8")
    rights = re.search(r"ACL SETUSER app on >… (.*)", PAGE.read_text("utf-8"))
    assert rights is not None
    assert f'"{rights[1]}"' in tested
