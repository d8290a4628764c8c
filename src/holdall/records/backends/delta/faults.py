"""From the errors of the drivers to ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdall.core.errors import (
    Corrupt,
    HoldallError,
    InvalidConfig,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from holdall.core.secrets import MASK

if TYPE_CHECKING:
    from types import TracebackType

    from holdall.records.backends.delta.settings import DeltaRecordSettings

_COLOURS = re.compile(r"\x1b\[[0-9;]*m|↳")
_LONGEST = 400

# Those before settle conflicts by themselves though told not to, so that two writers could make one
# id, and a full vacuum of theirs deletes what is new.
_OLDEST: Final = (1, 3)

# What the text of an error of the storage tells, the first that is found.
_TOLD: tuple[tuple[str, type[HoldallError]], ...] = (
    ("InvalidAccessKeyId", Unauthenticated),
    ("SignatureDoesNotMatch", Unauthenticated),
    ("ExpiredToken", Unauthenticated),
    ("401 Unauthorized", Unauthenticated),
    ("AccessDenied", PermissionDenied),
    ("403 Forbidden", PermissionDenied),
    ("Permission denied", PermissionDenied),
    ("NoSuchBucket", NotFound),
    ("timed out", Timeout),
    ("No space left", LimitExceeded),
)

# What it tells of a table that needs more than the driver knows; the feature stands behind it.
_UNSUPPORTED: Final = "Kernel error: Unsupported:"

# What it tells of a file that is gone, and of one that holds something else than was written.
_GONE: Final = ("No such file or directory", "Path does not exist", "NoSuchKey")
_DAMAGED: Final = (
    "get_next failed(): Invalid:",
    "Corrupt snappy",
    "decompression failed",
    "file is corrupted",
    "deserialize thrift",
    "Deserializing page header",
    "Unexpected end of stream",
    "Json error",
    "No table metadata or protocol",
)


def load_drivers() -> None:
    """Make sure that the drivers are there.

    Raises:
        InvalidConfig: One is not installed, or too old.
    """
    try:
        import deltalake
        import duckdb  # noqa: F401
        import pyarrow.dataset  # noqa: F401
    except ImportError as error:
        raise InvalidConfig(
            f"{error.name} is not installed: pip install 'holdall[delta]'"
        ) from error
    if tuple(map(int, deltalake.__version__.split(".")[:2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise InvalidConfig(
            f"deltalake {deltalake.__version__} is too old, and would lose data: {oldest} or later "
            "is needed; pip install --upgrade 'holdall[delta]'"
        )


class translated:  # noqa: N801 - reads as a word where it is used: `with translated(settings):`
    """Turns errors of the drivers about a table into ours, for `with`."""

    __slots__ = ("_settings",)

    def __init__(self, settings: DeltaRecordSettings) -> None:
        self._settings = settings

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, HoldallError):
            return
        ours = translate(error, self._settings)
        if ours is not None:
            raise ours from error


def translate(error: BaseException, settings: DeltaRecordSettings) -> HoldallError | None:
    """The error to raise for one of a driver's; None when it is none of theirs."""
    import deltalake.exceptions as delta
    import duckdb
    import pyarrow as pa

    if not isinstance(error, (delta.DeltaError, duckdb.Error, pa.ArrowException, OSError)):
        return None
    address = settings.address
    message = f"{address}: {_shown(error, settings)}"
    if isinstance(error, delta.TableNotFoundError):
        return NotFound(message, reference=address)
    text = str(error)
    if isinstance(error, (delta.DeltaProtocolError, delta.SchemaMismatchError)) or (
        isinstance(error, delta.DeltaError) and _UNSUPPORTED in text
    ):
        return Unsupported(message)
    if isinstance(error, duckdb.OutOfMemoryException):
        return LimitExceeded(message, reference=address)
    for told, kind in _TOLD:
        if told in text:
            return kind(message, reference=address)
    if isinstance(error, FileNotFoundError) or any(told in text for told in _GONE):
        return Corrupt(
            f"{message}; a file of the table is gone, by a vacuum when this is an old version",
            reference=address,
        )
    if isinstance(error, pa.ArrowNotImplementedError):
        return Unsupported(message)
    damaged = any(told in text for told in _DAMAGED)
    no_json = isinstance(error, duckdb.InvalidInputException) and "JSON" in text
    if damaged or no_json or isinstance(error, pa.ArrowInvalid):
        return Corrupt(message, reference=address)
    return Unavailable(message, reference=address)


def _shown(error: BaseException, settings: DeltaRecordSettings) -> str:
    """What a driver says, on one line and without our secrets."""
    text = " ".join(_COLOURS.sub("", str(error)).split())
    for secret in (settings.access_key, settings.secret_key, settings.session_token):
        if secret is not None:
            try:
                text = text.replace(secret.reveal(), MASK)
            except InvalidConfig:  # it is not where it was; the message may still hold it
                return type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
