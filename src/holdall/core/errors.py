"""The one family of errors.

    HoldallError
    ├── NotFound                also a FileNotFoundError and a KeyError
    ├── PreconditionFailed      the object is not the one that the caller has seen
    │   └── AlreadyExists       also a FileExistsError
    ├── PermissionDenied        also a PermissionError
    ├── Unauthenticated
    ├── InvalidKey              also a ValueError
    ├── InvalidRange            also a ValueError
    ├── InvalidQuery            also a ValueError; knows line and column
    ├── InvalidConfig           also a ValueError
    ├── InvalidValue            also a ValueError
    ├── KeyConflict             `a` beside `a/b` on a backend made of folders
    ├── LimitExceeded
    ├── Unsupported
    │   └── ResumeNotSupported
    ├── CircuitOpen
    ├── Timeout                 also a TimeoutError; transient
    ├── Unavailable             also a ConnectionError; transient
    ├── Corrupt
    ├── CodecError              also a ValueError; knows line and column
    └── PartialFailure          some of many; holds the others

Each error knows the `reference` it is about, where there is one, and whether it is `transient`:
whether the same call may go well a little later. A driver's exception is always the `__cause__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class HoldallError(Exception):
    """Anything that went wrong in Holdall.

    Args:
        message: What happened, to what, and the way out; printed as it stands.
        reference: The address that it is about, as text or `Reference`; None when there is none.
        transient: Whether the same call may succeed later; the class's own answer when None.

    Attributes:
        retry_after: For how many seconds the service asks not to be called again; None where it
            does not say, or where that does not come through.
        uncertain: Whether the answer to a change was lost, so that it may have been applied.
    """

    transient: bool = False
    retry_after: float | None = None
    uncertain: bool = False

    def __init__(
        self, message: str, *, reference: object | None = None, transient: bool | None = None
    ) -> None:
        # A second base such as OSError or KeyError would print itself in its own way.
        Exception.__init__(self, message)
        self.message = message
        self.reference = reference
        if transient is not None:
            self.transient = transient

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.__dict__.copy())


def _rebuild(kind: type[HoldallError], message: str, state: dict[str, Any]) -> HoldallError:
    error = kind.__new__(kind, message)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class NotFound(HoldallError, FileNotFoundError, KeyError):
    """There is nothing at this address."""


class PreconditionFailed(HoldallError):
    """The object changed, or is gone, since the caller read the etag or version it asked for."""


class AlreadyExists(PreconditionFailed, FileExistsError):
    """Something is there already, and the caller asked to create."""


class PermissionDenied(HoldallError, PermissionError):
    """The caller is known and may not do this, or the address leads out of the store."""


class Unauthenticated(HoldallError):
    """The service does not know the caller: no credentials, wrong ones, or expired ones."""


class InvalidKey(HoldallError, ValueError):
    """The text is no key or reference; the message says which rule it breaks."""


class InvalidRange(HoldallError, ValueError):
    """The range of bytes asked for does not lie within the object."""


class InvalidConfig(HoldallError, ValueError):
    """A setting is missing, unknown, or holds what it cannot hold."""


class InvalidValue(HoldallError, ValueError):
    """A value does not fit what it is for: its kind, its unit, its zone, its level."""


class KeyConflict(HoldallError):
    """Where keys are files in folders, one key would have to be a file and a folder at once."""


class LimitExceeded(HoldallError):
    """Something is larger than a limit; the message names size, limit and setting."""


class Unsupported(HoldallError, NotImplementedError):
    """This store, service or medium cannot do what was asked; see `capabilities`."""


class ResumeNotSupported(Unsupported):
    """This store keeps no bytes of an interrupted upload: start again from byte zero."""


class CircuitOpen(HoldallError):
    """The circuit breaker refused the call, because the calls before it failed."""

    transient = True


class Timeout(HoldallError, TimeoutError):
    """The time allowed was used up; the message names the setting."""

    transient = True


class Unavailable(HoldallError, ConnectionError):
    """The service did not answer, or said that it cannot answer now."""

    transient = True


class Corrupt(HoldallError):
    """What is stored is not what was written, or not of the type asked for."""


class _Positioned(HoldallError):
    """An error in a text, which knows the place.

    Args:
        message: What was found and what was expected.
        line: Counted from 1; None when unknown.
        column: Counted from 1; None when unknown.
        reference: The address that the text came from, where there is one.
    """

    def __init__(
        self,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        reference: object | None = None,
    ) -> None:
        place = "" if line is None else f"line {line}, column {column}: "
        super().__init__(place + message, reference=reference)
        self.line = line
        self.column = column


class InvalidQuery(_Positioned, ValueError):
    """The filter or query means nothing: the message names the part."""


class CodecError(_Positioned, ValueError):
    """The bytes are not of the format they were read as."""


class PartialFailure(HoldallError):
    """Some of the things asked for in one call failed; the others were done.

    Args:
        message: How many of how many, and what was asked.
        errors: One error a failed thing, each knowing its reference.
    """

    def __init__(self, message: str, errors: Sequence[HoldallError]) -> None:
        shown = "".join(f"\n  {error}" for error in errors[:5])
        rest = f"\n  and {len(errors) - 5} more" if len(errors) > 5 else ""
        super().__init__(message + shown + rest, transient=all(error.transient for error in errors))
        self.errors = tuple(errors)
