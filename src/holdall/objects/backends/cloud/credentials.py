"""Where credentials come from, and that they are renewed before they expire.

Each source here answers what is valid now. obstore asks the same one, so that its requests and
ours always carry the same credentials. A source that answers nothing has none to give.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from msgspec import Struct

from holdall.core.errors import HoldallError, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger("holdall.objects.cloud")

T = TypeVar("T")

_EARLY = timedelta(minutes=5)
_RETRY = timedelta(seconds=30)
_REVEALED = timedelta(seconds=60)


class Hidden(Struct, frozen=True):
    """What holds a secret: it neither shows it nor goes into a pickle."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a credential cannot be pickled: another process finds its own")


class Lease(Hidden, Generic[T], frozen=True):
    """A credential and how long it holds.

    Args:
        value: The credential.
        expires: Until when, in UTC; None for always, or until the source says otherwise.
    """

    value: T
    expires: datetime | None = None

    def __repr__(self) -> str:
        return f"Lease(***, {self.expires})"


class Source(Struct, Generic[T], frozen=True):
    """One place to look.

    Args:
        name: What an error calls it.
        find: Answers what it has now; None when it has nothing. It raises when it ought to have
            something, and then no other place is asked: that would be somebody else.
    """

    name: str
    find: Callable[[], Lease[T] | None]


class Credentials(Generic[T]):
    """What the first of several places that has anything gives, renewed in time.

    One caller renews, and the others go on with what still holds. Those that have nothing wait for
    it, and have its error when it finds nothing.

    Args:
        sources: Where to look, in order. The first one that has anything is asked from then on.
        advice: What to do when none has anything; ends the error.
        now: Answers the time, in UTC.
    """

    def __init__(
        self,
        sources: Sequence[Source[T]],
        advice: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sources = tuple(sources)
        self._advice = advice
        self._now = now
        self._guard = threading.Lock()
        # Both in one, so that nobody reads an old lease with the time of its successor.
        self._held: tuple[Lease[T], datetime | None] | None = None
        self._failed: tuple[int, str] = (0, "")  # how many searches, and why the last one
        _all_credentials.add(self)

    def current(self) -> T:
        """The credential that is valid now.

        Raises:
            Unauthenticated: No place has one, or it has expired and could not be renewed.
        """
        return self.lease().value

    def lease(self) -> Lease[T]:
        """The credential that is valid now, with its end."""
        failures = self._failed[0]
        held = self._held
        if held is not None:
            lease, renew_at = held
            now = self._now()
            if renew_at is None or now < renew_at:
                return lease
            valid = lease.expires is None or now < lease.expires
            if valid:
                if not self._guard.acquire(blocking=False):
                    return lease
                try:
                    return self._renew()
                finally:
                    self._guard.release()
        with self._guard:
            return self._renew(failures)

    def _renew(self, failures: int | None = None) -> Lease[T]:
        """Ask, unless another thread has.

        Args:
            failures: How many searches had found nothing before this thread waited for one; None
                if it did not wait.
        """
        held = self._held
        now = self._now()
        if held is not None and (held[1] is None or now < held[1]):
            return held[0]  # another thread was faster
        failed, why = self._failed
        if failures is not None and failed != failures:
            raise Unauthenticated(why)  # of the one that it waited for; another finds as little
        try:
            found = self._look()
        except HoldallError as error:
            if held is None or (held[0].expires is not None and now >= held[0].expires):
                self._failed = (self._failed[0] + 1, error.message)
                raise
            _log.warning(
                "credentials could not be renewed, and hold on until they expire: %s", error
            )
            self._held = (held[0], _renewal(held[0].expires, now, now))
            return held[0]
        end = found.expires
        self._held = (found, None if end is None else _renewal(end, end - _EARLY, now))
        return found

    def _look(self) -> Lease[T]:
        looked: list[str] = []
        cause: HoldallError | None = None
        for source in self._sources:
            try:
                found = source.find()
            except HoldallError as error:
                cause = error
                looked.append(f"{source.name}: {error}")
                break
            if found is not None:
                self._sources = (source,)
                return found
            looked.append(f"{source.name}: nothing")
        raise Unauthenticated(
            f"no credentials were found. Looked at {'; '.join(looked)}. {self._advice}"
        ) from cause

    def forked(self) -> None:
        """Go on in a forked child, where the thread that has the guard is not."""
        self._guard = threading.Lock()


def _renewal(end: datetime | None, wanted: datetime, now: datetime) -> datetime:
    """When to ask again: not at every request, and never after the end."""
    earliest = max(wanted, now + _RETRY)
    return earliest if end is None else min(earliest, end)


_all_credentials: weakref.WeakSet[Credentials[Any]] = weakref.WeakSet()


def _forked() -> None:
    for credentials in _all_credentials:
        credentials.forked()


os.register_at_fork(after_in_child=_forked)


def fixed(name: str, value: T) -> Source[T]:
    """A credential that was given, and stays."""
    lease = Lease(value)
    return Source(name, lambda: lease)


def revealed(name: str, read: Callable[[], T | None]) -> Source[T]:
    """A credential that a secret of the settings holds, which may be changed where it stands.

    Args:
        name: What an error calls it.
        read: Answers it as it is now.
    """

    def find() -> Lease[T] | None:
        found = read()
        return None if found is None else Lease(found, datetime.now(UTC) + _REVEALED)

    return Source(name, find)


def expiry(text: str) -> datetime:
    """A time as services write it, such as 2024-02-29T12:34:56Z."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
