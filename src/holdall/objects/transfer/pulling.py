"""Between a remote store and a place at hand: one object, or all of a folder."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from holdall.core.errors import NotFound
from holdall.core.runtime.blocking import drive
from holdall.objects.options import HEAD
from holdall.objects.transfer.engine import Sync
from holdall.objects.transfer.results import SyncOptions

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.contract import ObjectStore
    from holdall.objects.data_store import DataStore
    from holdall.objects.registry import Place
    from holdall.objects.transfer.results import OnProgress, OnStep, SyncReport

    Here: TypeAlias = DataStore | Place
    AsyncHere: TypeAlias = AsyncDataStore | Place

SYNC = SyncOptions()


async def pull_async(
    remote: AsyncDataStore,
    here: AsyncHere,
    key: str = "",
    options: SyncOptions = SYNC,
    *,
    on_progress: OnProgress | None = None,
    on_step: OnStep | None = None,
) -> SyncReport:
    """Bring an object, or a folder of them, from a store to a place at hand.

    It is `sync_async` for a part of a store: what is the same already is not moved again, bytes
    are verified, and what was interrupted goes on when it is called again. Keys stay what they
    are: `2024/a` becomes `2024/a` there.

    Args:
        remote: Where from.
        here: Where to: a store, or what `holdall.open_async` takes, such as the path of a folder.
        key: An object; where there is none of this key, or it ends in `/`, all in the folder of
            that name; empty for everything.
        options: How; `key` stands in for their `prefix`.
        on_progress: As for `sync_async`.
        on_step: As for `sync_async`.

    Raises:
        NotFound: There is neither such an object nor such a folder.
        InvalidConfig: One place lies in the other.
        HoldallError: A listing failed as a whole. What failed for one object is in the report.
    """
    async with _opened_async(here) as opened:
        return await _move(remote.store, opened.store, key, options, on_progress, on_step)


def pull(
    remote: DataStore,
    here: Here,
    key: str = "",
    options: SyncOptions = SYNC,
    *,
    on_progress: OnProgress | None = None,
    on_step: OnStep | None = None,
) -> SyncReport:
    """Bring an object, or a folder of them, from a store to a place at hand; see `pull_async`."""
    with _opened(here) as opened:
        return drive(_move(remote.store, opened.store, key, options, on_progress, on_step))


async def push_async(
    here: AsyncHere,
    remote: AsyncDataStore,
    key: str = "",
    options: SyncOptions = SYNC,
    *,
    on_progress: OnProgress | None = None,
    on_step: OnStep | None = None,
) -> SyncReport:
    """Bring an object, or a folder of them, from a place at hand to a store: `pull_async` back.

    Args:
        here: Where from: a store, or what `holdall.open_async` takes, such as the path of a folder.
        remote: Where to.
        key: As for `pull_async`.
        options: As for `pull_async`.
        on_progress: As for `sync_async`.
        on_step: As for `sync_async`.

    Raises:
        NotFound: There is neither such an object nor such a folder.
        InvalidConfig: One place lies in the other.
        HoldallError: A listing failed as a whole. What failed for one object is in the report.
    """
    async with _opened_async(here) as opened:
        return await _move(opened.store, remote.store, key, options, on_progress, on_step)


def push(
    here: Here,
    remote: DataStore,
    key: str = "",
    options: SyncOptions = SYNC,
    *,
    on_progress: OnProgress | None = None,
    on_step: OnStep | None = None,
) -> SyncReport:
    """Bring an object, or a folder of them, from a place at hand to a store; see `push_async`."""
    with _opened(here) as opened:
        return drive(_move(opened.store, remote.store, key, options, on_progress, on_step))


def _opened(here: Here) -> AbstractContextManager[DataStore]:
    """A store at hand; closed afterwards when it was opened here."""
    # Stores of many kinds import this package, for their copies.
    from holdall.objects.data_store import DataStore
    from holdall.objects.opening import open as open_blocking

    return nullcontext(here) if isinstance(here, DataStore) else open_blocking(here)


def _opened_async(here: AsyncHere) -> AbstractAsyncContextManager[AsyncDataStore]:
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.opening import open_async

    return nullcontext(here) if isinstance(here, AsyncDataStore) else open_async(here)


async def _move(
    source: ObjectStore,
    target: ObjectStore,
    key: str,
    options: SyncOptions,
    on_progress: OnProgress | None,
    on_step: OnStep | None,
) -> SyncReport:
    work = Sync(source, target, replace(options, prefix=key), on_progress, on_step)
    if key and not key.endswith("/"):
        try:
            found = await source.head(source.root.child(key), HEAD)
        except NotFound:
            return await work.run()
        return await work.run_one(found)
    return await work.run()
