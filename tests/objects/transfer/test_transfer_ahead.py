"""Keys that are walked before a worker is free for them."""

import hashlib

import pytest

from holdall.core.errors import Unavailable
from holdall.objects.contract import ObjectStore
from holdall.objects.options import ListOptions
from holdall.objects.results import Page
from holdall.objects.transfer import SyncOptions, engine
from objects.transfer.places import Places, contents

KEYS = [f"{number:03}" for number in range(3 * engine._AHEAD + 1)]


@pytest.mark.parametrize("workers", [1, 3])
def test_keys_that_are_walked_ahead_are_copied_once_each(memories: Places, workers: int) -> None:
    for key in KEYS:
        memories.source.write(key, key.encode())
    report = memories.sync(SyncOptions(workers=workers))
    assert (report.copied, report.bytes) == (len(KEYS), 3 * len(KEYS))
    assert contents(memories.target) == {key: key.encode() for key in KEYS}


def test_a_small_object_is_kept_with_the_digest_of_its_bytes(places: Places) -> None:
    places.source.write("a", b"bytes")
    places.sync()
    assert places.target.stat("a").sha256 == hashlib.sha256(b"bytes").hexdigest()


def test_a_listing_that_fails_behind_what_is_walked_ahead_is_told(
    memories: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in KEYS:
        memories.source.write(key, b"x")
    whole = type(memories.source.backend).list

    async def failing(store: ObjectStore, prefix: object, options: ListOptions) -> Page:
        if options.token is not None:
            raise Unavailable("the listing broke off")
        few = ListOptions(max_items=engine._AHEAD + 1, etags=options.etags)
        return await whole(store, prefix, few)  # type: ignore[arg-type]

    monkeypatch.setattr(type(memories.source.backend), "list", failing)
    with pytest.raises(Unavailable, match="broke off"):
        memories.sync()
