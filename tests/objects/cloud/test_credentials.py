"""Credentials come from the first place that has any, and are renewed in time."""

import logging
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import Unauthenticated, Unavailable
from holdall.objects.backends.cloud.azure_access import Bearer, SharedAccess, SharedKey
from holdall.objects.backends.cloud.credentials import Credentials, Lease, Source, expiry, fixed
from holdall.objects.backends.cloud.driving import Provider
from holdall.objects.backends.cloud.sigv4 import Key

_NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
_HOUR, _MINUTE, _SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = _NOON

    def __call__(self) -> datetime:
        return self.now


class Place:
    """A place that answers `1`, `2` and so on, each for an hour, unless it is to fail."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asked = 0
        self.fails = False
        self.holds = _HOUR

    def __call__(self) -> Lease[str]:
        self.asked += 1
        if self.fails:
            raise Unavailable("the place is closed")
        return Lease(str(self.asked), self._clock.now + self.holds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def place(clock: Clock) -> Place:
    return Place(clock)


@pytest.fixture
def credentials(clock: Clock, place: Place) -> Credentials[str]:
    return Credentials([Source("the place", place)], "Open the place", clock)


def _nothing() -> Lease[str] | None:
    return None


def _closed() -> Lease[str]:
    raise Unavailable("it is closed")


# Where


def test_the_first_place_that_has_any_counts() -> None:
    found = Credentials([Source("none", _nothing), fixed("one", "1"), fixed("two", "2")], "")
    assert found.current() == "1"


def test_a_place_that_fails_is_not_passed_over_for_another_identity() -> None:
    found = Credentials([Source("closed", _closed), fixed("one", "1")], "")
    with pytest.raises(Unauthenticated, match="closed: it is closed") as caught:
        found.current()
    assert isinstance(caught.value.__cause__, Unavailable)


def test_no_credentials_is_an_error_that_says_where_it_looked_and_the_way_out() -> None:
    found = Credentials(
        [Source("the desk", _nothing), Source("the safe", _closed)], "Ask at the door"
    )
    with pytest.raises(Unauthenticated) as caught:
        found.current()
    assert caught.value.message == (
        "no credentials were found. Looked at the desk: nothing; the safe: it is closed. "
        "Ask at the door"
    )


def test_another_place_is_not_asked_once_one_has_answered(clock: Clock, place: Place) -> None:
    first = iter([None, Lease("somebody else")])
    sources = [Source("first", lambda: next(first)), Source("second", place)]
    found = Credentials(sources, "", clock)
    assert found.current() == "1"
    clock.now += _HOUR
    assert found.current() == "2"


def test_what_was_found_nowhere_is_looked_for_again(clock: Clock, place: Place) -> None:
    found = Credentials([Source("the place", place)], "", clock)
    place.fails = True
    with pytest.raises(Unauthenticated):
        found.current()
    place.fails = False
    assert found.current() == "2"


# How long


def test_what_holds_is_not_asked_for_again(credentials: Credentials[str], place: Place) -> None:
    assert [credentials.current() for _ in range(3)] == ["1"] * 3
    assert place.asked == 1


def test_what_has_no_end_is_asked_for_once(clock: Clock) -> None:
    asked = iter(["once"])
    found = Credentials([Source("a place", lambda: Lease(next(asked)))], "", clock)
    for _ in range(2):
        assert found.current() == "once"
        clock.now += 1000 * _HOUR


def test_it_is_renewed_five_minutes_before_its_end(
    credentials: Credentials[str], clock: Clock
) -> None:
    assert credentials.lease() == Lease("1", _NOON + _HOUR)
    clock.now += 55 * _MINUTE - _SECOND
    assert credentials.current() == "1"
    clock.now += _SECOND
    assert credentials.lease() == Lease("2", _NOON + 115 * _MINUTE)


def test_a_short_lease_is_not_asked_for_at_every_request(
    credentials: Credentials[str], clock: Clock, place: Place
) -> None:
    place.holds = 2 * _MINUTE
    credentials.current()
    clock.now += 29 * _SECOND
    credentials.current()
    assert place.asked == 1
    clock.now += _SECOND
    credentials.current()
    assert place.asked == 2


def test_a_renewal_that_fails_keeps_what_holds_and_warns(
    credentials: Credentials[str], clock: Clock, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    credentials.current()
    place.fails = True
    clock.now += 56 * _MINUTE
    assert credentials.current() == "1"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "the place is closed" in record.getMessage()


def test_a_renewal_that_failed_waits_before_it_is_tried_again(
    credentials: Credentials[str], clock: Clock, place: Place
) -> None:
    credentials.current()
    place.fails = True
    clock.now += 56 * _MINUTE
    assert [credentials.current() for _ in range(5)] == ["1"] * 5
    assert place.asked == 2
    place.fails = False
    clock.now += 30 * _SECOND
    assert credentials.current() == "3"


def test_a_renewal_that_fails_after_the_end_is_an_error(
    credentials: Credentials[str], clock: Clock, place: Place
) -> None:
    credentials.current()
    place.fails = True
    clock.now += _HOUR
    with pytest.raises(Unauthenticated, match=r"the place: the place is closed\. Open the place"):
        credentials.current()
    place.fails = False
    assert credentials.current() == "3"


@pytest.mark.parametrize("fails", [False, True])
def test_what_has_ended_is_not_given_out(
    credentials: Credentials[str], clock: Clock, place: Place, fails: bool
) -> None:
    place.holds = 10 * _SECOND if not fails else _HOUR
    credentials.current()
    place.fails = fails
    if fails:
        clock.now += _HOUR - 10 * _SECOND
        assert credentials.current() == "1"
        clock.now += 10 * _SECOND
        with pytest.raises(Unauthenticated):
            credentials.current()
    else:
        clock.now += 10 * _SECOND
        assert credentials.current() == "2"


# Threads


class Slow:
    """A place that answers when it may, and says when it was reached."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asked = 0
        self.reached = threading.Event()
        self.may = threading.Event()
        self.may.set()

    def __call__(self) -> Lease[int]:
        self.asked += 1
        self.reached.set()
        assert self.may.wait(30)
        return Lease(self.asked, self._clock.now + _HOUR)


def test_a_hundred_threads_make_one_request(clock: Clock) -> None:
    slow = Slow(clock)
    found = Credentials([Source("slow", slow)], "", clock)
    together = threading.Barrier(100)

    def ask(_: int) -> int:
        together.wait()
        return found.current()

    with ThreadPoolExecutor(100) as threads:
        assert set(threads.map(ask, range(100))) == {1}
    assert slow.asked == 1


def test_threads_that_come_while_there_is_nothing_wait_for_the_first(clock: Clock) -> None:
    slow = Slow(clock)
    slow.may.clear()
    found = Credentials([Source("slow", slow)], "", clock)
    with ThreadPoolExecutor(2) as threads:
        answers = [threads.submit(found.current) for _ in range(2)]
        assert slow.reached.wait(30)
        assert not any(answer.done() for answer in answers)
        slow.may.set()
        assert [answer.result(30) for answer in answers] == [1, 1]
    assert slow.asked == 1


class Counted:
    """A lock that knows how many have come to it, and opens a gate at the last of them."""

    def __init__(self, many: int, gate: threading.Event) -> None:
        self._lock, self._count = threading.Lock(), threading.Lock()
        self._many, self._gate = many, gate

    def __enter__(self) -> None:
        with self._count:
            self._many -= 1
            if not self._many:
                self._gate.set()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.mark.parametrize("expired", [False, True])
def test_threads_that_waited_for_a_search_that_failed_take_its_error(
    clock: Clock, expired: bool
) -> None:
    asked: list[str] = []
    gate = threading.Event()

    def find() -> Lease[str]:
        if expired and not asked:
            asked.append("first")
            return Lease("1", clock.now + _HOUR)
        asked.append("again")
        assert gate.wait(30)
        raise Unavailable("the place is closed")

    found = Credentials([Source("the place", find)], "", clock)
    if expired:
        found.current()
        clock.now += _HOUR
    found._guard = Counted(50, gate)  # type: ignore[assignment]

    def ask(_: int) -> str:
        with pytest.raises(Unauthenticated, match="the place is closed") as caught:
            found.current()
        return caught.value.message

    with ThreadPoolExecutor(50) as threads:
        assert len(set(threads.map(ask, range(50)))) == 1
    assert asked.count("again") == 1


def test_nobody_waits_for_a_renewal_while_the_old_holds(clock: Clock) -> None:
    slow = Slow(clock)
    found = Credentials([Source("slow", slow)], "", clock)
    found.current()
    slow.reached.clear()
    slow.may.clear()
    clock.now += 56 * _MINUTE
    with ThreadPoolExecutor(1) as threads:
        renewing = threads.submit(found.current)
        assert slow.reached.wait(30)
        assert found.current() == 1
        slow.may.set()
        assert renewing.result(30) == 2
    assert found.current() == 2


# obstore


def test_obstore_gets_the_same_credential_and_its_end(credentials: Credentials[str]) -> None:
    provider = Provider(credentials, lambda text: {"token": text})
    assert provider() == {"token": "1", "expires_at": _NOON + _HOUR}
    assert credentials.current() == "1"


def test_why_obstore_got_none_is_kept(place: Place, credentials: Credentials[str]) -> None:
    provider = Provider(credentials, lambda text: {"token": text})
    assert provider.taken() is None
    place.fails = True
    with pytest.raises(Unauthenticated):
        provider()
    error = provider.taken()
    assert isinstance(error, Unauthenticated)
    assert provider.taken() is None


# Secrets


@pytest.mark.parametrize(
    "value",
    [
        Key("hunter2", "hunter2", "hunter2"),
        SharedKey("hunter2"),
        SharedAccess("hunter2"),
        Bearer("hunter2"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_shows_or_pickles_a_secret(value: object) -> None:
    lease = Lease(value, _NOON)
    found = Credentials([fixed("the settings", value)], "advice")
    found.current()
    for thing in (value, lease, found, fixed("the settings", value)):
        assert "hunter2" not in f"{thing} {thing!r}"
    for thing in (value, lease):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(thing)


def test_credentials_are_not_pickled(credentials: Credentials[str]) -> None:
    credentials.current()
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(credentials)


# Times


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_read_as_it_is_written(time: datetime) -> None:
    assert expiry(time.isoformat()) == time
    assert expiry(time.replace(tzinfo=None).isoformat()) == time


def test_a_time_of_aws_is_read() -> None:
    assert expiry("2024-02-29T12:00:00Z") == _NOON
