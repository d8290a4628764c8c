"""Credentials that many threads share, and a child of their process."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from holdall.core.errors import Unauthenticated, Unavailable
from holdall.objects.backends.cloud.credentials import Credentials, Lease, Source, fixed

_SECRET = "hunter2-never-shown"
_START = datetime(2024, 2, 29, 12, tzinfo=UTC)
_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.time = _START

    def __call__(self) -> datetime:
        return self.time


class Issuer:
    """A source that counts its leases and fails when told to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asked = 0
        self.error: Exception | None = None

    def __call__(self) -> Lease[str]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Lease(f"{_SECRET}-{self.asked}", self._clock() + _HOUR)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Issuer:
    return Issuer(clock)


@pytest.fixture
def credentials(issuer: Issuer, clock: Clock) -> Credentials[str]:
    return Credentials([Source("the issuer", issuer)], "Do this", clock)


def test_100_threads_renew_once_what_expired(
    credentials: Credentials[str], issuer: Issuer, clock: Clock
) -> None:
    old, begin = credentials.current(), threading.Barrier(100)
    clock.time += 2 * _HOUR

    def ask(_: int) -> str:
        begin.wait()
        return credentials.current()

    with ThreadPoolExecutor(100) as pool:
        found = set(pool.map(ask, range(100)))
    assert len(found) == 1
    assert old not in found
    assert issuer.asked == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_does_not_wait_for_a_thread_that_it_does_not_have(clock: Clock) -> None:
    renewing, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    def find() -> Lease[str]:
        if os.getpid() == parent:
            renewing.set()
            assert go_on.wait(30)
        return Lease("found")

    credentials = Credentials([Source("slow", find)], "Do this", clock)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(credentials.current)
        assert renewing.wait(30)
        child = os.fork()
        if child == 0:
            _exit_at_once(credentials.current, "found")
        _, status = os.waitpid(child, 0)
        go_on.set()
    assert os.waitstatus_to_exitcode(status) == 0


def _exit_at_once(call: Callable[[], str], expected: str) -> None:
    """End the child, by a signal where it hangs."""
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        os._exit(0 if call() == expected else 1)
    finally:
        os._exit(2)


def test_nothing_secret_is_in_what_a_renewal_logs_and_raises(
    credentials: Credentials[str], issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lease = credentials.lease()
    assert _SECRET in lease.value
    issuer.error = Unavailable("the issuer is away")
    clock.time += _HOUR - _MINUTE
    assert credentials.current() == lease.value
    assert "the issuer is away" in caplog.text
    clock.time += _HOUR
    with pytest.raises(Unauthenticated, match="the issuer is away") as caught:
        credentials.current()
    shown = [repr(lease), str(lease), repr(credentials), repr(fixed("a", _SECRET))]
    shown += [repr(caught.value), str(caught.value), caplog.text]
    assert _SECRET not in "\n".join(shown)
