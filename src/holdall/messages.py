"""Protobuf messages as objects: one by one, and many at once (extra `messages`).

    from holdall import messages

    messages.write_message(store, "runs/42/inputs.pb", inputs)
    inputs = messages.read_message(store, "runs/42/inputs.pb", Inputs)

`write_message` and `read_message` are methods of the stores, too. A key that ends in `.json` keeps
a message as JSON, any other one as binary protobuf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, Unpack

from holdall.core import protobuf
from holdall.core.errors import HoldallError, NotFound, PartialFailure
from holdall.core.runtime.blocking import drive
from holdall.objects.async_data_store import AsyncDataStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.message import Message

    from holdall.core.reference import Reference
    from holdall.objects.data_store import DataStore
    from holdall.objects.results import ObjectMeta
    from holdall.objects.sources import WriteKeywords

    M = TypeVar("M", bound=Message)

WORKERS = 16
"""How many messages are under way at once unless it is said."""


def write_message(
    store: DataStore, key: str | Reference, message: Message, **keywords: Unpack[WriteKeywords]
) -> ObjectMeta:
    """Write a message; see `DataStore.write_message`."""
    return store.write_message(key, message, **keywords)


def read_message(
    store: DataStore, key: str | Reference, kind: type[M], *, max_size: int | None = None
) -> M:
    """Read a message; see `DataStore.read_message`."""
    return store.read_message(key, kind, max_size=max_size)


def write_messages(
    store: DataStore,
    messages: Mapping[str, Message],
    *,
    workers: int = WORKERS,
    **keywords: Unpack[WriteKeywords],
) -> dict[str, ObjectMeta]:
    """Write many messages, some at a time.

    Args:
        store: Where to.
        messages: By key.
        workers: How many at a time.
        keywords: The fields of `WriteOptions`, for each of them.

    Returns:
        What the store knows of each, by key.

    Raises:
        TypeError: One is no message; then nothing is written.
        ValueError: One lacks a required field, or JSON cannot say it; likewise.
        LimitExceeded: One has 2 GiB or more; likewise.
        PartialFailure: Some could not be written; the others were.
    """
    return drive(
        write_messages_async(
            AsyncDataStore(store.store, max_download=store.max_download),
            messages,
            workers=workers,
            **keywords,
        )
    )


def read_messages(
    store: DataStore,
    keys: Iterable[str],
    kind: type[M],
    *,
    max_size: int | None = None,
    workers: int = WORKERS,
) -> list[M | None]:
    """Read many messages of one type, some at a time.

    Args:
        store: Where from.
        keys: Which.
        kind: What all of them are.
        max_size: For each of them: see `DataStore.read_message`.
        workers: How many at a time.

    Returns:
        A message for each key, in the order of the keys; None where there is no object.

    Raises:
        PartialFailure: Some could not be read, for another reason than that.
    """
    return drive(
        read_messages_async(
            AsyncDataStore(store.store, max_download=store.max_download),
            keys,
            kind,
            max_size=max_size,
            workers=workers,
        )
    )


async def write_messages_async(
    store: AsyncDataStore,
    messages: Mapping[str, Message],
    *,
    workers: int = WORKERS,
    **keywords: Unpack[WriteKeywords],
) -> dict[str, ObjectMeta]:
    """Write many messages, some at a time; see `write_messages`."""
    for key, message in messages.items():
        ref = store.reference(key)
        if protobuf.is_json(ref):
            # Only the text shows whether there is one; to keep all of them could take any memory.
            protobuf.encode(message, ref)
            await store.store.runtime.sleep(0)
        else:
            protobuf.check(message, ref)

    async def write(key: str) -> ObjectMeta | HoldallError:
        try:
            return await store.write_message(key, messages[key], **keywords)
        except HoldallError as error:
            return error

    answers = [answer async for answer in store.store.runtime.map(write, messages, workers)]
    failed = [answer for answer in answers if isinstance(answer, HoldallError)]
    if failed:
        raise PartialFailure(
            f"{len(failed)} of {len(answers)} messages could not be written", failed
        )
    return {
        key: answer
        for key, answer in zip(messages, answers, strict=True)
        if not isinstance(answer, HoldallError)
    }


async def read_messages_async(
    store: AsyncDataStore,
    keys: Iterable[str],
    kind: type[M],
    *,
    max_size: int | None = None,
    workers: int = WORKERS,
) -> list[M | None]:
    """Read many messages of one type, some at a time; see `read_messages`."""

    async def read(key: str) -> M | HoldallError | None:
        try:
            return await store.read_message(key, kind, max_size=max_size)
        except NotFound:
            return None
        except HoldallError as error:
            return error

    answers = [answer async for answer in store.store.runtime.map(read, keys, workers)]
    failed = [answer for answer in answers if isinstance(answer, HoldallError)]
    if failed:
        raise PartialFailure(f"{len(failed)} of {len(answers)} messages could not be read", failed)
    return [answer for answer in answers if not isinstance(answer, HoldallError)]
