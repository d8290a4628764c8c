"""What is written and signed with an account's key, on a server that checks the signatures."""

from typing import Any

import pytest

import holdall
from holdall.core.errors import AlreadyExists, PreconditionFailed, Unsupported
from serving.clouds import AzureServer


@pytest.fixture(scope="module")
def store(azure_server: AzureServer) -> holdall.DataStore:
    return holdall.open(
        {
            "type": "az",
            "container": azure_server.make_container("keyed"),
            "connection_string": azure_server.connection_string,
        }
    )


@pytest.mark.parametrize(
    "metadata",
    [
        {"a-b": "1", "a1": "2"},
        {"a_b": "1", "a1": "2"},
        {"a.b": "x", "a0": "1", "a_": "2", "a": "3", "aa": "4"},
        {"alone": "ü"},
    ],
)
def test_small_writes_keep_names_that_begin_alike(
    store: holdall.DataStore, metadata: dict[str, str]
) -> None:
    store.write("a", b"small", content_type="text/x", metadata=metadata, tags={"t": "v"})
    found = store.stat("a", tags=True)
    assert (found.metadata, found.tags, found.content_type) == (metadata, {"t": "v"}, "text/x")
    assert store.read("a") == b"small"


def test_a_condition_holds_for_a_small_write_with_metadata(store: holdall.DataStore) -> None:
    etag = store.write("b", b"one").etag
    assert etag is not None
    new = store.write("b", b"two", metadata={"a_b": "1", "a1": "2"}, if_match=etag)
    assert store.stat("b").etag == new.etag
    with pytest.raises(PreconditionFailed):
        store.write("b", b"three", metadata={"a_b": "1", "a1": "2"}, if_match=etag)
    with pytest.raises(AlreadyExists):
        store.write("b", b"three", metadata={"a_b": "1", "a1": "2"}, if_none_match="*")


@pytest.mark.parametrize("bound", [{"content_type": "text/x"}, {"content_md5": "0" * 32}])
def test_a_url_that_would_not_bind_what_is_written_is_not_signed(
    store: holdall.DataStore, bound: dict[str, Any]
) -> None:
    with pytest.raises(Unsupported, match="Azure signs no header"):
        store.sign("a", "PUT", **bound)
