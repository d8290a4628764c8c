"""Protobuf messages to bytes and back: only what computes.

Binary by default; the JSON of protobuf's own mapping where the key ends in `.json`
(https://protobuf.dev/programming-guides/json/).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from holdall.core.errors import Corrupt, InvalidConfig, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from holdall.core.reference import Reference

    M = TypeVar("M", bound=Message)

MAX_BYTES = 2**31 - 1
"""The largest message that protobuf can read (its limit is 2 GiB)."""

TYPE_NAME = "protobuf-type"
"""The metadata that names the type of a message."""

_ANY = "google.protobuf.Any"
_JSON, _BINARY = "application/json", "application/protobuf"


def content_type(ref: Reference) -> str:
    """The media type of a message under this key."""
    return _JSON if is_json(ref) else _BINARY


def is_json(ref: Reference) -> bool:
    """Whether a message under this key is kept as JSON."""
    return ref.key.endswith(".json")


def type_name(kind: type[Message]) -> str:
    """The full name of a message's type, such as `google.protobuf.Timestamp`.

    Raises:
        TypeError: It is no generated class.
        InvalidConfig: protobuf is not installed.
    """
    base = _message_class()
    if not isinstance(kind, type):
        raise TypeError(f"{type(kind).__name__}, an instance, was given: give the class")
    described = getattr(kind, "DESCRIPTOR", None) if issubclass(kind, base) else None
    if described is None:
        raise TypeError(f"{kind.__name__} is no protobuf message: use a generated class")
    name: str = described.full_name
    return name


def check(message: Message, ref: Reference) -> str:
    """Answer the name of the type of a message that can be written.

    Raises:
        TypeError: It is no message.
        ValueError: A required field is not set.
        LimitExceeded: It has 2 GiB or more, which nobody could read again.
    """
    if isinstance(message, type):
        raise TypeError(f"{message.__name__}, a class, was given: give an instance of it")
    name = type_name(type(message))
    missing = cast("Any", message).FindInitializationErrors()
    if missing:
        raise ValueError(f"{ref}: the {name} lacks {', '.join(missing)}")
    size = message.ByteSize()
    if size > MAX_BYTES:
        raise LimitExceeded(
            f"{ref}: the {name} has {size} bytes, and protobuf reads {MAX_BYTES}", reference=ref
        )
    return name


def encode(message: Message, ref: Reference) -> bytes:
    """Write a message: equal ones as equal bytes, as far as one version of protobuf goes.

    Raises:
        ValueError: JSON cannot say it, such as an `Any` of an unknown type or a field of a later
            version; and what `check` raises.
    """
    name = check(message, ref)
    if not is_json(ref):
        return message.SerializeToString(deterministic=True)
    from google.protobuf import json_format

    try:
        text = json_format.MessageToJson(message, indent=None, sort_keys=True)
    except (json_format.Error, TypeError, ValueError) as error:
        raise ValueError(f"{ref}: this {name} cannot be written as JSON: {error}") from error
    if _has_unknown(message):
        raise ValueError(
            f"{ref}: this {name} cannot be written as JSON: it holds fields that this program "
            "does not know, as those of a later version, and they would be lost"
        )
    return text.encode()


def decode(data: bytes, kind: type[M], ref: Reference, recorded: str | None) -> M:
    """Read a message.

    Args:
        data: What is kept.
        kind: What it should be.
        ref: Where it was found; its ending says whether it is JSON.
        recorded: The type that was named when it was written; None when nobody did.

    Raises:
        Corrupt: It is damaged, or a message of another type. Of binary ones without a record
            that is noticed where not one field is known to `kind`.
    """
    name = type_name(kind)
    if recorded is not None and recorded != name:
        raise Corrupt(f"{ref} is a {recorded} and no {name}", reference=ref)
    message = kind()
    if is_json(ref):
        from google.protobuf import json_format

        try:
            json_format.Parse(data.decode(), message)
        except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            raise Corrupt(f"{ref} is no {name} in JSON: {error}", reference=ref) from error
        return message
    from google.protobuf.message import DecodeError

    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise Corrupt(f"{ref} is no {name}, or is damaged", reference=ref) from error
    if recorded is None and data and not message.ListFields() and _has_unknown(message):
        raise Corrupt(f"{ref} is no {name}: it has not one of its fields", reference=ref)
    missing = cast("Any", message).FindInitializationErrors()
    if missing:
        raise Corrupt(f"{ref}: the {name} lacks {', '.join(missing)}", reference=ref)
    return message


def _has_unknown(message: Message) -> bool:
    """Whether it, or a message within it, has a field that its type does not know."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    return len(UnknownFieldSet(message)) > 0 or any(map(_has_unknown, _within(message)))


def _within(message: Any) -> Iterator[Message]:
    """The messages in the fields of a message; of an `Any`, what is packed in it."""
    base = _message_class()
    if message.DESCRIPTOR.full_name == _ANY and message.type_url:
        yield _unpacked(message)
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if isinstance(value, base):
            yield value
        elif field.message_type.GetOptions().map_entry:
            yield from (item for item in value.values() if isinstance(item, base))
        else:
            yield from value


def _unpacked(packed: Any) -> Message:
    from google.protobuf import descriptor_pool, message_factory

    described = descriptor_pool.Default().FindMessageTypeByName(packed.type_url.split("/")[-1])
    return message_factory.GetMessageClass(described).FromString(packed.value)


def _message_class() -> Any:
    try:
        from google.protobuf.message import Message
    except ImportError as error:
        raise InvalidConfig("messages need protobuf: pip install 'holdall[messages]'") from error
    return Message
