"""Signed URLs for an address of the service that is not the store's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from holdall import DataStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from objects.remote.conftest import Open
    from serving.clouds import AzureServer, S3Server


@pytest.fixture
def client() -> Iterator[urllib3.PoolManager]:
    pool = urllib3.PoolManager(retries=False)
    yield pool
    pool.clear()


def _elsewhere(endpoint: str) -> str:
    """Another address of a server that listens on 127.0.0.1."""
    assert "//127.0.0.1:" in endpoint
    return endpoint.replace("127.0.0.1", "localhost")


def _configured(server: S3Server, signed_url: dict[str, Any]) -> DataStore:
    return DataStore.from_config(
        {
            "type": "s3",
            "container": server.make_container("signed"),
            "connection": {
                "endpoint": server.endpoint,
                "access_key": server.access_key_id,
                "secret_key": server.secret_access_key,
            },
            "signedUrl": signed_url,
        }
    )


@pytest.fixture(params=["ours", "flytes"])
def store(request: pytest.FixtureRequest, versity_server: S3Server) -> Iterator[DataStore]:
    given: dict[str, Any] = {"endpoint": _elsewhere(versity_server.endpoint)}
    if request.param == "flytes":
        given = {"stowConfigOverride": given}
    with _configured(versity_server, given) as store:
        yield store


def test_a_url_leads_to_the_other_address_and_is_good_there(
    store: DataStore, versity_server: S3Server, client: urllib3.PoolManager
) -> None:
    store.write("a b", b"data")
    url = store.sign("a b")
    assert url.startswith(f"{_elsewhere(versity_server.endpoint)}/")
    assert client.request("GET", url).data == b"data"


def test_a_url_writes_at_the_other_address(store: DataStore, client: urllib3.PoolManager) -> None:
    assert client.request("PUT", store.sign("a", "PUT"), body=b"data").status == 200
    assert store.read("a") == b"data"


def test_the_headers_of_a_url_come_through_layers_and_router(store: DataStore) -> None:
    url = store.sign("a", "PUT", content_type="text/x")
    assert url.headers == {"Content-Type": "text/x"}


def test_a_url_is_not_good_at_the_stores_own_address(
    store: DataStore, client: urllib3.PoolManager
) -> None:
    store.write("a", b"data")
    url = store.sign("a").replace("//localhost:", "//127.0.0.1:")
    assert client.request("GET", url).status == 403


def test_the_store_itself_does_not_need_the_other_address(versity_server: S3Server) -> None:
    with _configured(versity_server, {"endpoint": "https://files.example"}) as store:
        store.write("a", b"data")
        assert store.read("a") == b"data"
        assert [meta.key for meta in store.walk()] == ["a"]
        assert store.sign("a").startswith(f"https://files.example/{store.root.container}/a?")


def test_a_url_of_azure_leads_to_the_other_address_and_is_good_there(
    open_azure: Open, azure_server: AzureServer, client: urllib3.PoolManager
) -> None:
    elsewhere = _elsewhere(azure_server.endpoint)
    store = open_azure(sign_endpoint=elsewhere)
    store.write("a b", b"data")
    url = store.sign("a b")
    assert url.startswith(f"{elsewhere}/{store.root.container}/a%20b?")
    assert client.request("GET", url).data == b"data"
