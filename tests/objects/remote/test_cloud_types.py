"""Content types that a service also gives by itself."""

from collections.abc import Callable
from typing import Any

import pytest

import holdall
from serving.clouds import S3Server

Open = Callable[..., holdall.DataStore]

_PART = 5 * 1024 * 1024
_TYPES = ["application/octet-stream", "binary/octet-stream"]


@pytest.mark.parametrize("content_type", [*_TYPES, None])
def test_a_type_comes_back_as_it_was_written(open_cloud: Open, content_type: str | None) -> None:
    store = open_cloud()
    store.write("a", b"data", content_type=content_type, metadata={"b": "c"})
    with store.open_reader("a") as reader:
        read: Any = reader.raw
    for known in (store.stat("a"), read.meta):
        assert (known.content_type, known.metadata) == (content_type, {"b": "c"})


@pytest.mark.parametrize("content_type", [*_TYPES, None])
def test_a_copy_has_the_type_of_its_source(open_cloud: Open, content_type: str | None) -> None:
    store = open_cloud()
    store.write("a", b"data", content_type=content_type)
    assert store.copy("a", "b").content_type == content_type


@pytest.mark.parametrize("content_type", [*_TYPES, None])
def test_a_large_stream_keeps_its_type(open_cloud: Open, content_type: str | None) -> None:
    store = open_cloud(part_size=_PART)
    store.write("a", iter([bytes(_PART + 1)]), content_type=content_type)
    assert store.stat("a").content_type == content_type


def test_a_type_that_another_program_gave_counts(open_s3: Open, versity_server: S3Server) -> None:
    store = open_s3()
    store.write("a", b"data", content_type="binary/octet-stream")
    place: dict[str, Any] = {"Bucket": store.root.container, "Key": "a"}
    client = versity_server.client()
    kept = client.head_object(**place)["Metadata"]
    client.put_object(**place, Body=b"text", Metadata=kept, ContentType="text/plain")
    known = store.stat("a")
    assert (known.content_type, known.metadata) == ("text/plain", {})
