"""A server that ignores conditions is found out, once, and nothing else is taken for that."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from holdall.core.errors import (
    AlreadyExists,
    HoldallError,
    PermissionDenied,
    PreconditionFailed,
    Timeout,
    Unavailable,
    Unsupported,
)
from holdall.core.reference import Reference
from holdall.objects.backends.cloud.probing import Probe
from holdall.objects.options import WriteOptions

_ROOT = Reference.parse("s3://bucket/prefix")


class Server:
    """Objects, and the conditions that a test wants kept."""

    endpoint = "http://server.example"

    def __init__(self, keeps: Sequence[str] = ("none", "match")) -> None:
        self.keeps = keeps
        self.objects: set[Reference] = set()
        self.writes = 0
        self.deleted: list[Reference] = []
        self.fault: Callable[[int], Exception | None] = lambda number: None

    def put(self, ref: Reference, data: bytes, options: WriteOptions) -> str:
        self.writes += 1
        fault = self.fault(self.writes)
        if fault is not None:
            raise fault
        if options.if_none_match and "none" in self.keeps and ref in self.objects:
            raise AlreadyExists("exists")
        if options.if_match and "match" in self.keeps:
            raise PreconditionFailed("changed")
        self.objects.add(ref)
        return "etag"

    def delete(self, refs: Sequence[Reference]) -> list[tuple[Reference, HoldallError]]:
        self.deleted += refs
        self.objects.difference_update(refs)
        return []


def _probe(server: Server, needed: bool = True) -> Probe:
    stands_for: Any = server
    return Probe(stands_for, needed)


def test_a_server_that_keeps_its_conditions_is_relied_on() -> None:
    server = Server()
    _probe(server).check(_ROOT)
    assert server.writes == 3


@pytest.mark.parametrize(
    ("keeps", "name"), [(("match",), "If-None-Match"), (("none",), "If-Match"), ((), "If-None-")]
)
def test_a_server_that_writes_all_the_same_is_refused(keeps: Sequence[str], name: str) -> None:
    with pytest.raises(Unsupported, match=f"http://server.example .* {name}") as caught:
        _probe(Server(keeps)).check(_ROOT)
    assert caught.value.reference == _ROOT


def test_a_server_that_cannot_do_a_condition_does_not_ignore_it() -> None:
    server = Server(("none",))
    server.fault = lambda number: Unsupported("not implemented") if number == 3 else None
    _probe(server).check(_ROOT)


def test_the_clouds_own_server_is_not_tried() -> None:
    server = Server(())
    _probe(server, needed=False).check(_ROOT)
    assert not server.writes


def test_a_server_that_keeps_its_conditions_is_tried_once() -> None:
    server = Server()
    probe = _probe(server)
    for _ in range(3):
        probe.check(_ROOT)
    assert server.writes == 3


def test_a_server_that_is_refused_is_tried_once() -> None:
    server = Server(())
    probe = _probe(server)
    for _ in range(3):
        with pytest.raises(Unsupported):
            probe.check(_ROOT)
    assert server.writes == 2


def test_of_many_threads_one_tries() -> None:
    server, begin = Server(), threading.Barrier(32)
    probe = _probe(server)

    def check(_: int) -> None:
        begin.wait()
        probe.check(_ROOT)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(check, range(32)))
    assert server.writes == 3


@pytest.mark.parametrize("keeps", [("none", "match"), ("match",), ("none",)])
def test_what_was_written_is_deleted(keeps: Sequence[str]) -> None:
    server = Server(keeps)
    try:
        _probe(server).check(_ROOT)
    except Unsupported:
        assert len(keeps) == 1
    assert not server.objects
    (probe,) = server.deleted
    assert probe.key.startswith("prefix/.holdall/probes/")


@pytest.mark.parametrize(
    "fault",
    [
        Unavailable("busy"),
        Timeout("slow"),
        PermissionDenied("no"),
        Unavailable("", transient=False),
    ],
)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_error_is_not_taken_for_a_condition_that_was_kept(
    fault: HoldallError, number: int
) -> None:
    server = Server(())
    if number == 3:
        server.keeps = ("none",)
    server.fault = lambda at: fault if at == number else None
    probe = _probe(server)
    with pytest.raises(type(fault)):
        probe.check(_ROOT)
    assert not server.objects
    server.fault = lambda at: None
    with pytest.raises(Unsupported):  # it asks again
        probe.check(_ROOT)


def test_a_probe_that_cannot_be_deleted_is_no_error() -> None:
    class Keeping(Server):
        def delete(self, refs: Sequence[Reference]) -> list[tuple[Reference, HoldallError]]:
            raise PermissionDenied("no")

    _probe(Keeping()).check(_ROOT)
