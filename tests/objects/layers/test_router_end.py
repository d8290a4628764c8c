"""How a router ends, and what it tells of references that it took for others."""

from typing import Any
from uuid import uuid4

import pytest

from holdall.core.errors import Unavailable
from holdall.core.reference import Reference
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.objects.contract import ObjectStore
from holdall.objects.options import DELETE, HEAD, WRITE, DeleteOptions
from holdall.objects.router import Router, RouterSettings


def _router(name: str, **settings: Any) -> Router:
    given = {"primary": {"type": "memory", "name": name}, "multicontainer": True, **settings}
    return Router(RouterSettings(**given), BlockingRuntime())


def test_a_store_that_cannot_be_closed_leaves_no_other_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    router = _router(uuid4().hex)
    for container in ("b", "c"):
        with pytest.raises(FileNotFoundError):
            drive(router.head(Reference("memory", container, "k"), HEAD))
    closed: list[ObjectStore] = []

    async def close(store: ObjectStore) -> None:
        closed.append(store)
        if len(closed) < 3:
            raise Unavailable(f"cannot say good-bye to {store.root}")

    for store in router.opened:
        monkeypatch.setattr(type(store), "close", close)
    with pytest.raises(Unavailable, match="good-bye") as found:
        drive(router.close())
    assert closed == list(router.opened)
    assert str(router.primary.root) in str(found.value)


def test_failures_name_the_references_that_were_asked_for() -> None:
    router = _router(uuid4().hex, fallback="primary")
    refs = [Reference("other", router.root.container, key) for key in "ab"]
    for ref in refs:
        drive(router.put(ref, b"data", WRITE))
    failures = drive(router.delete(refs, DeleteOptions(if_match="none")))
    assert [failure.ref for failure in failures] == refs
    assert drive(router.delete(refs, DELETE)) == []
