"""The fault layer does what its script says, and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import (
    AlreadyExists,
    HoldallError,
    NotFound,
    PermissionDenied,
    Timeout,
    Unavailable,
)
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.objects.layers.retry import Retry
from holdall.objects.options import (
    COPY,
    DELETE,
    GET,
    HEAD,
    LIST,
    WRITE,
    CopyOptions,
    DeleteOptions,
    WriteOptions,
)
from holdall.testing import Fault, FaultRule, Faults
from holdall.testing.layers.witness import Witness
from objects.layers.scripted import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.objects.layers import Call

CREATE = WriteOptions(if_none_match="*")


@pytest.fixture(params=["blocking", "loop"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param == "blocking")


def faulty(mode: Mode, *rules: FaultRule, data: bytes | None = b"0123456789") -> Faults:
    """A memory store with faults, and the object `a` in it."""
    faults = Faults(Witness(mode.runtime), rules)
    if data is not None:
        mode.run(faults.inner.put(faults.root.child("a"), data, WRITE))
    return faults


def rule(operation: Any, nth: int = 1, times: int | None = 1, **fault: Any) -> FaultRule:
    return FaultRule(fault=Fault(**fault), operation=operation, nth=nth, times=times)


def read(mode: Mode, store: Any, key: str = "a") -> bytes:
    async def whole() -> bytes:
        async with await store.get(store.root.child(key), GET) as body:
            return b"".join([chunk async for chunk in body.chunks(3)])

    return mode.run(whole())


def uncertain(mode: Mode, faults: Faults, change: Callable[[], Any]) -> None:
    with pytest.raises(Unavailable, match="may have been applied") as raised:
        mode.run(change())
    assert (raised.value.transient, raised.value.uncertain) == (False, True)


# When


def test_without_a_script_nothing_fails(mode: Mode) -> None:
    faults = faulty(mode)
    assert read(mode, faults) == b"0123456789"
    assert faults.faults == {}


def test_the_nth_call_of_an_operation_fails_and_no_other(mode: Mode) -> None:
    faults = faulty(mode, rule("head", nth=3, error=Timeout))
    ref = faults.root.child("a")
    outcomes = []
    for _ in range(5):
        try:
            mode.run(faults.head(ref, HEAD))
            outcomes.append("answer")
        except Timeout:
            outcomes.append("error")
    assert outcomes == ["answer", "answer", "error", "answer", "answer"]


def test_a_rule_may_hold_for_several_calls_or_for_all_from_one_on(mode: Mode) -> None:
    for times, expected in ((2, [False, True, True, False]), (None, [False, True, True, True])):
        faults = faulty(mode, rule("list", nth=2, times=times, error=Unavailable))
        failed = []
        for _ in range(4):
            try:
                mode.run(faults.list(faults.root, LIST))
                failed.append(False)
            except Unavailable:
                failed.append(True)
        assert failed == expected


def test_a_rule_with_a_key_holds_for_that_key_only(mode: Mode) -> None:
    fault = Fault(error=Unavailable)
    faults = faulty(mode, FaultRule(fault=fault, operation="put", key="b"))
    mode.run(faults.put(faults.root.child("a"), b"", WRITE))
    with pytest.raises(Unavailable):
        mode.run(faults.put(faults.root.child("b"), b"", WRITE))


def test_the_first_rule_that_holds_decides_and_the_others_count_on(mode: Mode) -> None:
    rules = [rule("head", error=Unavailable), rule("head", nth=2, error=PermissionDenied)]
    faults = faulty(mode, *rules)
    for error in (Unavailable, PermissionDenied):
        with pytest.raises(error):
            mode.run(faults.head(faults.root.child("a"), HEAD))


def test_a_rule_passes_over_calls_that_its_fault_cannot_happen_to(mode: Mode) -> None:
    faults = faulty(mode, rule(None, nth=1, cut=4))
    mode.run(faults.head(faults.root.child("a"), HEAD))
    with pytest.raises(Unavailable, match="broke off after 4 bytes"):
        read(mode, faults)


def test_a_function_is_a_script_too(mode: Mode) -> None:
    asked: list[Call[Any]] = []

    def script(call: Call[Any]) -> Fault | None:
        asked.append(call)
        return Fault(error=Unavailable) if call.operation == "put" else None

    faults = Faults(MemoryStore(MemorySettings(), mode.runtime), script)
    with pytest.raises(Unavailable):
        mode.run(faults.put(faults.root.child("a"), b"data", WRITE))
    with pytest.raises(NotFound):
        mode.run(faults.head(faults.root.child("a"), HEAD))
    assert [call.operation for call in asked] == ["put", "head"]


def test_a_script_that_asks_for_what_cannot_happen_is_refused(mode: Mode) -> None:
    faults = Faults(MemoryStore(MemorySettings(), mode.runtime), lambda call: Fault(cut=1))
    with pytest.raises(ValueError, match="cannot happen to 'head'"):
        mode.run(faults.head(faults.root.child("a"), HEAD))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"cut": 1, "lost": True}, "not both"),
        ({"cut": -1}, "a number of bytes"),
        ({"delay": -1}, "a number of seconds"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(fault: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Fault(**fault)


@pytest.mark.parametrize(
    ("operation", "nth", "fault"),
    [("head", 1, {"cut": 1}), ("read", 1, {"lost": True}), ("put", 0, {"lost": True})],
)
def test_a_rule_that_cannot_hold_is_refused(
    operation: str, nth: int, fault: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"cannot happen|counted from 1"):
        rule(operation, nth, **fault)


# What


def test_an_error_is_raised_before_the_call_is_sent(mode: Mode) -> None:
    faults = faulty(mode, rule("put", error=Unavailable))
    with pytest.raises(Unavailable, match="put failed, as the script says") as raised:
        mode.run(faults.put(faults.root.child("a"), b"new", WRITE))
    assert raised.value.reference == faults.root.child("a")
    assert read(mode, faults) == b"0123456789"
    assert (faults.seen["put"], faults.sent.get("put")) == (1, None)


def test_an_instance_is_raised_as_it_is(mode: Mode) -> None:
    error = KeyError("of no family")
    faults = faulty(mode, rule("put", error=error))
    with pytest.raises(KeyError) as raised:
        mode.run(faults.put(faults.root.child("a"), b"new", WRITE))
    assert raised.value is error


def test_a_delay_is_slept_by_the_runtime_and_the_call_goes_well(mode: Mode) -> None:
    faults = faulty(mode, rule("put", delay=7.5))
    mode.run(faults.put(faults.root.child("a"), b"new", WRITE))
    assert mode.clock.slept == [7.5]
    assert read(mode, faults) == b"new"


def test_a_delay_may_end_in_an_error(mode: Mode) -> None:
    faults = faulty(mode, rule("put", delay=7.5, error=Timeout))
    with pytest.raises(Timeout):
        mode.run(faults.put(faults.root.child("a"), b"new", WRITE))
    assert mode.clock.slept == [7.5]


# Cuts


@pytest.mark.parametrize("size", [0, 4, 9])
def test_a_cut_body_breaks_after_so_many_bytes(mode: Mode, size: int) -> None:
    faults = faulty(mode, rule("get", cut=size))
    got = bytearray()

    async def read_pieces() -> None:
        async with await faults.get(faults.root.child("a"), GET) as body:
            assert (body.length, body.whole) == (10, None)
            while chunk := await body.read(3):
                got.extend(chunk)

    with pytest.raises(Unavailable) as raised:
        mode.run(read_pieces())
    assert raised.value.transient
    assert got == b"0123456789"[:size]


def test_a_cut_body_breaks_when_it_is_read_whole(mode: Mode) -> None:
    faults = faulty(mode, rule("get", cut=4))

    async def read_all() -> None:
        async with await faults.get(faults.root.child("a"), GET) as body:
            await body.read_all()

    with pytest.raises(Unavailable):
        mode.run(read_all())


def test_a_body_that_is_no_longer_than_the_cut_comes_whole(mode: Mode) -> None:
    assert read(mode, faulty(mode, rule("get", cut=10))) == b"0123456789"


def test_a_cut_body_lets_go_of_the_inner_one(mode: Mode) -> None:
    faults = faulty(mode, rule("get", cut=4))
    with pytest.raises(Unavailable):
        read(mode, faults)
    witness = faults.inner
    assert isinstance(witness, Witness)
    assert witness.open_bodies == 0


@pytest.mark.parametrize("size", [0, 2, 4])
def test_so_many_bytes_of_a_cut_write_arrive(mode: Mode, size: int) -> None:
    faults = faulty(mode, rule("write", nth=2, cut=size))

    async def write() -> int:
        upload = await faults.upload(faults.root.child("b"), WRITE, None)
        await upload.write(b"begin")
        with pytest.raises(Unavailable):
            await upload.write(b"more")
        offset = upload.offset
        await upload.commit()
        return offset

    assert mode.run(write()) == 5 + size
    assert read(mode, faults, "b") == b"begin" + b"more"[:size]


def test_a_cut_put_leaves_nothing(mode: Mode) -> None:
    faults = faulty(mode, rule("put", cut=2), data=None)
    with pytest.raises(Unavailable):
        mode.run(faults.put(faults.root.child("a"), b"data", WRITE))
    with pytest.raises(NotFound):
        mode.run(faults.head(faults.root.child("a"), HEAD))


def test_the_error_of_a_cut_is_the_one_of_the_script(mode: Mode) -> None:
    with pytest.raises(Timeout):
        read(mode, faulty(mode, rule("get", cut=1, error=Timeout)))


# Lost answers


def test_a_call_whose_answer_is_lost_is_done(mode: Mode) -> None:
    faults = faulty(mode, rule("put", lost=True))
    with pytest.raises(Unavailable, match="its answer was lost") as raised:
        mode.run(faults.put(faults.root.child("a"), b"new", WRITE))
    assert (raised.value.transient, raised.value.uncertain) == (True, False)
    assert read(mode, faults) == b"new"


@pytest.mark.parametrize("options", [CREATE, WriteOptions(if_match="m1")])
def test_a_conditional_write_whose_answer_is_lost_may_have_been_applied(
    mode: Mode, options: WriteOptions
) -> None:
    faults = faulty(mode, rule("put", lost=True))
    uncertain(mode, faults, lambda: faults.put(faults.root.child("b"), b"new", options))


def test_a_conditional_write_is_done_though_its_answer_is_lost(mode: Mode) -> None:
    faults = faulty(mode, rule("put", lost=True))
    uncertain(mode, faults, lambda: faults.put(faults.root.child("b"), b"new", CREATE))
    assert read(mode, faults, "b") == b"new"


def test_a_conditional_write_that_was_refused_is_as_uncertain(mode: Mode) -> None:
    faults = faulty(mode, rule("put", lost=True))
    uncertain(mode, faults, lambda: faults.put(faults.root.child("a"), b"new", CREATE))
    assert read(mode, faults) == b"0123456789"


def test_a_conditional_delete_may_have_been_applied(mode: Mode) -> None:
    faults = faulty(mode, rule("delete", lost=True))
    refs = (faults.root.child("a"),)
    uncertain(mode, faults, lambda: faults.delete(refs, DeleteOptions(if_match="m1")))


@pytest.mark.parametrize("options", [CopyOptions(move=True), CopyOptions(if_none_match="*")])
def test_a_move_or_a_conditional_copy_may_have_been_applied(
    mode: Mode, options: CopyOptions
) -> None:
    faults = faulty(mode, rule("copy", lost=True))
    root = faults.root
    uncertain(mode, faults, lambda: faults.copy(root.child("a"), root.child("b"), options))


def commit(faults: Faults, options: WriteOptions) -> Callable[[], Any]:
    async def change() -> None:
        upload = await faults.upload(faults.root.child("b"), options, None)
        await upload.write(b"data")
        await upload.commit(4)

    return change


def test_a_conditional_commit_may_have_been_applied(mode: Mode) -> None:
    faults = faulty(mode, rule("commit", lost=True))
    uncertain(mode, faults, commit(faults, CREATE))
    assert read(mode, faults, "b") == b"data"


def test_an_error_before_a_conditional_write_leaves_nothing_unknown(mode: Mode) -> None:
    faults = faulty(mode, rule("put", error=Unavailable))
    with pytest.raises(Unavailable) as raised:
        mode.run(faults.put(faults.root.child("b"), b"new", CREATE))
    assert (raised.value.transient, raised.value.uncertain) == (True, False)


def test_all_else_whose_answer_is_lost_is_transient(mode: Mode) -> None:
    root = faulty(mode).root
    calls: dict[str, Callable[[Faults], Any]] = {
        "get": lambda faults: faults.get(root.child("a"), GET),
        "list": lambda faults: faults.list(root, LIST),
        "delete": lambda faults: faults.delete((root.child("a"),), DELETE),
        "copy": lambda faults: faults.copy(root.child("a"), root.child("b"), COPY),
        "upload": lambda faults: faults.upload(root.child("a"), CREATE, None),
        "commit": lambda faults: commit(faults, WRITE)(),
    }
    for operation, call in calls.items():
        faults = faulty(mode, rule(operation, lost=True))
        with pytest.raises(Unavailable) as raised:
            mode.run(call(faults))
        assert (operation, raised.value.transient) == (operation, True)
        assert faults.sent[operation] == 1  # type: ignore[index]


def test_a_body_whose_answer_is_lost_is_closed(mode: Mode) -> None:
    faults = faulty(mode, rule("get", lost=True))
    with pytest.raises(Unavailable):
        mode.run(faults.get(faults.root.child("a"), GET))
    witness = faults.inner
    assert isinstance(witness, Witness)
    assert witness.open_bodies == 0


def test_a_write_whose_answer_is_lost_counts_in_the_offset(mode: Mode) -> None:
    faults = faulty(mode, rule("write", lost=True))

    async def write() -> int:
        upload = await faults.upload(faults.root.child("b"), WRITE, None)
        with pytest.raises(Unavailable):
            await upload.write(b"12345")
        return upload.offset

    assert mode.run(write()) == 5


def test_the_error_of_a_lost_answer_is_the_one_of_the_script(mode: Mode) -> None:
    faults = faulty(mode, rule("put", lost=True, error=Timeout))
    with pytest.raises(Timeout):
        mode.run(faults.put(faults.root.child("a"), b"new", WRITE))
    assert read(mode, faults) == b"new"


# Counts


def test_it_counts_what_came_what_was_sent_and_what_failed(mode: Mode) -> None:
    faults = faulty(
        mode,
        rule("put", nth=1, error=Unavailable),
        rule("put", nth=2, lost=True),
        rule("write", cut=0),
    )
    for _ in range(3):
        try:
            mode.run(faults.put(faults.root.child("a"), b"new", WRITE))
        except HoldallError:
            continue
    with pytest.raises(Unavailable):
        mode.run(commit(faults, WRITE)())
    assert faults.seen == {"put": 3, "upload": 1, "write": 1}
    assert faults.sent == {"put": 2, "upload": 1}
    assert faults.faults == {"put": 2, "write": 1}


def test_steps_of_bodies_are_counted(mode: Mode) -> None:
    faults = faulty(mode)
    read(mode, faults)
    assert faults.seen == {"get": 1, "read": 5}


def test_the_same_script_lets_the_same_calls_fail(mode: Mode) -> None:
    outcomes = []
    for _ in range(2):
        faults = faulty(mode, rule(None, nth=2, times=3, error=Unavailable))
        ended = []
        for number in range(6):
            try:
                mode.run(faults.put(faults.root.child(str(number)), b"", CREATE))
                ended.append(number)
            except Unavailable:
                pass
        outcomes.append(ended)
    assert outcomes == [[0, 4, 5], [0, 4, 5]]


def test_a_retry_around_it_hides_a_lost_answer(mode: Mode) -> None:
    faults = faulty(mode, rule("put", lost=True))
    store = Retry(faults)
    mode.run(store.put(store.root.child("a"), b"new", WRITE))
    assert faults.sent["put"] == 2
    assert read(mode, store) == b"new"


def test_a_retry_around_it_does_not_repeat_a_conditional_write(mode: Mode) -> None:
    faults = faulty(mode, rule("put", lost=True))
    uncertain(mode, faults, lambda: Retry(faults).put(faults.root.child("b"), b"new", CREATE))
    assert faults.sent["put"] == 1
    with pytest.raises(AlreadyExists):
        mode.run(faults.put(faults.root.child("b"), b"again", CREATE))
