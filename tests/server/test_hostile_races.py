"""Many who change the same thing at once: of those who have seen one version, one is told yes."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest

import holdall
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import create_fastapi_app
from server.listening import listening

MANY = 12
JSON = {"Content-Type": "application/json"}
Ask = Callable[[httpx.AsyncClient, int], Awaitable[httpx.Response]]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over files and SQLite, which other processes could have open too."""
    folder = tmp_path_factory.mktemp("raced")
    app = create_fastapi_app(
        InMemoryAdapter(),
        data_store=holdall.open_async((folder / "objects").as_uri()),
        database=holdall.open_database_async(f"sqlite:///{folder / 'records.db'}"),
    )
    with listening(app) as at:
        yield at


def asked(url: str, ask: Ask) -> Counter[int]:
    """How often many who ask at once are answered each status."""

    async def all_of_them() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=MANY)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
            await asyncio.gather(*(client.get("/health/live") for _ in range(MANY)))
            return await asyncio.gather(*(ask(client, number) for number in range(MANY)))

    return Counter(answer.status_code for answer in asyncio.run(all_of_them()))


def seen(url: str, path: str) -> dict[str, str]:
    """A condition that what is there now be still there."""
    return {"If-Match": httpx.head(url + path).headers["etag"]}


@pytest.mark.parametrize(
    ("path", "size"), [("/objects/new", 1), ("/objects/large", 3 * 2**20), ("/records/new", 1)]
)
def test_one_creates(url: str, path: str, size: int) -> None:
    new = {"If-None-Match": "*"} | JSON

    def ask(client: httpx.AsyncClient, number: int) -> Awaitable[httpx.Response]:
        text = f"{number % 10}" * size
        return client.put(path, content=f'{{"fields":{{"n":{text}}}}}', headers=new)

    assert asked(url, ask) == {201: 1, 412: MANY - 1}


def test_one_posts_a_record_of_an_id(url: str) -> None:
    body = {"id": "posted", "fields": {}}
    assert asked(url, lambda client, _: client.post("/records", json=body)) == {
        201: 1,
        409: MANY - 1,
    }


@pytest.mark.parametrize("path", ["/objects/replaced", "/records/replaced"])
def test_one_replaces_what_it_has_seen(url: str, path: str) -> None:
    httpx.put(url + path, content=b'{"fields":{}}', headers=JSON)
    headers = seen(url, path) | JSON

    def ask(client: httpx.AsyncClient, number: int) -> Awaitable[httpx.Response]:
        digest = hashlib.sha256(bytes([number])).hexdigest()
        return client.put(path, content=f'{{"fields":{{"n":"{digest}"}}}}', headers=headers)

    found = asked(url, ask)
    assert (found[200] + found[204], found[412]) == (1, MANY - 1)


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("path", ["/objects/deleted", "/records/deleted"])
def test_one_deletes(url: str, path: str, conditional: bool) -> None:
    httpx.put(url + path, content=b'{"fields":{}}', headers=JSON)
    headers = seen(url, path) if conditional else {}
    found = asked(url, lambda client, _: client.delete(path, headers=headers))
    assert (found[204], found[404] + found[412]) == (1, MANY - 1)


@pytest.mark.parametrize("path", ["/objects/mixed", "/records/mixed"])
def test_one_replaces_or_deletes_what_it_has_seen(url: str, path: str) -> None:
    httpx.put(url + path, content=b'{"fields":{}}', headers=JSON)
    headers = seen(url, path) | JSON

    def ask(client: httpx.AsyncClient, number: int) -> Awaitable[httpx.Response]:
        if number % 2:
            return client.delete(path, headers=headers)
        return client.put(path, content=f'{{"fields":{{"n":{number}}}}}', headers=headers)

    found = asked(url, ask)
    assert found[200] + found[204] == 1
    assert found[404] + found[412] == MANY - 1


def test_one_patches_what_it_has_seen(url: str) -> None:
    httpx.put(f"{url}/records/patched", content=b'{"fields":{}}', headers=JSON)
    headers = seen(url, "/records/patched") | JSON

    def ask(client: httpx.AsyncClient, number: int) -> Awaitable[httpx.Response]:
        body = f'{{"fields":{{"n{number}":1}}}}'
        return client.patch("/records/patched", content=body, headers=headers)

    assert asked(url, ask) == {200: 1, 412: MANY - 1}
