"""What there is to do: which places can be synced, and what differs between them."""

from __future__ import annotations

import os
from contextlib import aclosing
from typing import TYPE_CHECKING

from msgspec.structs import replace

from holdall.core.errors import (
    Corrupt,
    HoldallError,
    InvalidConfig,
    NotFound,
    PreconditionFailed,
)
from holdall.core.secrets import Secret
from holdall.objects.transfer.digests import check_record, known_digest, read_digest
from holdall.objects.transfer.joining import Listing, Pair, folder_of, join
from holdall.objects.transfer.results import Step

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from holdall.core.reference import Reference
    from holdall.objects.contract import ObjectStore
    from holdall.objects.results import ObjectMeta
    from holdall.objects.transfer.results import Action, Reason, SyncOptions

# Two servers may have buckets of one name.
_REACHED_BY = ("endpoint", "account_name", "connection_string")


async def check_places(
    source: ObjectStore, target: ObjectStore, prefix: str, *, moves: bool = False
) -> None:
    """Raise unless one store can be synced into the other.

    Args:
        source: What is read.
        target: What is written.
        prefix: Of the keys that are synced.
        moves: Whether the source loses what the target has.

    Raises:
        InvalidConfig: They are one place, or one lies in the other, also by way of links; or one
            waits on an event loop and the other does not.
    """
    if source.runtime.blocking != target.runtime.blocking:
        raise InvalidConfig("open both stores with holdall.open, or both with holdall.open_async")
    one, other = folder_of(source, prefix), folder_of(target, prefix)
    # Each memory:// without a name is a store of its own, though all have the same address.
    if one.scheme == "memory" and not one.container and source is not target:
        return
    paths = [await _real_path(source, one), await _real_path(target, other)]
    alike = one == other or _inside(one, other) or _inside(other, one)
    if (alike and not _apart(source, target, moves or one != other)) or _overlap(*paths):
        raise InvalidConfig(
            f"{one} and {other} are one place, or one lies in the other; sync between two "
            "places that share nothing"
        )


def _apart(source: ObjectStore, target: ObjectStore, certainly: bool) -> bool:
    """Whether stores at one address are two places: databases by number, or other servers.

    Args:
        source: One.
        target: The other.
        certainly: Whether objects would be lost if they were one. A server may have two names: to
            sync it with itself changes nothing, but in a folder of itself, or when the source
            loses what was copied, it does.
    """
    one, other = _named(source, ("db",)), _named(target, ("db",))
    if one and other and one != other:
        return True
    return not certainly and _named(source, _REACHED_BY) != _named(target, _REACHED_BY)


def _named(store: ObjectStore, names: tuple[str, ...]) -> dict[str, str]:
    """The settings of these names of a store, or of the one inside of its layers."""
    for each in store.stores():
        found = {name: getattr(each.settings, name, None) for name in names}
        if any(value is not None for value in found.values()):
            return {name: _plain(value) for name, value in found.items()}
    return {}


def _plain(value: object) -> str:
    text = value.reveal() if isinstance(value, Secret) else str(value)
    return text.rpartition("://")[2].rstrip("/")


def _inside(ref: Reference, folder: Reference) -> bool:
    if (ref.scheme, ref.container, ref.host) != (folder.scheme, folder.container, folder.host):
        return False
    return not folder.key or ref.key.startswith(f"{folder.key}/")


async def _real_path(store: ObjectStore, folder: Reference) -> str | None:
    path = folder.path if store.capabilities.local else None
    return None if path is None else await store.runtime.call(os.path.realpath, None, path)


def _overlap(one: str | None, other: str | None) -> bool:
    return (
        one is not None and other is not None and os.path.commonpath((one, other)) in (one, other)
    )


async def plan(
    source: ObjectStore, target: ObjectStore, options: SyncOptions
) -> AsyncGenerator[Step, None]:
    """Go through what a sync would do; it changes nothing.

    In byte order of the key; then come folders that may not be read, and then, as in a sync, what
    would be deleted, in byte order too. Where a sync would delete nothing these steps are `keep`,
    and their error says why.
    """
    await check_places(source, target, options.prefix)
    left = Listing(source, options.prefix, options.exclude, lenient=True)
    right = Listing(target, options.prefix, options.exclude, lenient=True)

    async def decide(pair: Pair) -> Step:
        return (await step_for(source, target, pair, options))[0]

    ok, extra = True, False
    async with aclosing(join(left, right)) as pairs:
        checked = with_source(pairs, left, source, options)
        async for step in target.runtime.map(decide, checked, options.workers):
            ok = ok and step.action != "fail"
            if options.delete and step.reason == "extra":
                extra = True  # whether it would be deleted shows when all has been looked at
            else:
                yield step
    for failure in left.failed + right.failed:
        ok = False
        yield Step(failure.key, "fail", None, 0, error=failure.error)
    if extra:
        async with aclosing(_plan_deleting(source, target, options, left.foreign, ok)) as steps:
            async for step in steps:
                yield step


async def _plan_deleting(
    source: ObjectStore, target: ObjectStore, options: SyncOptions, foreign: int, ok: bool
) -> AsyncGenerator[Step, None]:
    """Go through what a sync would delete, which lists again as this does."""
    left = Listing(source, options.prefix, options.exclude, lenient=not ok)
    right = Listing(target, options.prefix, options.exclude, lenient=not ok)
    async with aclosing(join(left, right)) as pairs:
        async for pair in with_source(pairs, left, source, options):
            if pair.source is not None or pair.target is None:
                continue
            step = Step(pair.key, "delete", "extra", pair.target.size)
            why = objection(max(foreign, left.foreign), options, ok=ok)
            if why is not None:
                refused = PreconditionFailed(f"nothing would be deleted: {why}")
                step = replace(step, action="keep", error=refused)
            yield step


def objection(foreign: int, options: SyncOptions, *, ok: bool) -> str | None:
    """Why a sync must not delete; None when it may.

    Args:
        foreign: How many entries of the source are no objects.
        options: Those of the sync.
        ok: Whether all went well until now.
    """
    if not ok:
        return "not everything could be copied"
    if foreign and not options.allow_empty:
        # A folder that became a link is no object any more; its copy may be the only one.
        one = "1 entry that is no object, such as a link"
        many = f"{foreign} entries that are no objects, such as links"
        return (
            f"the source holds {one if foreign == 1 else many}, and the target may hold what "
            f"{'it' if foreign == 1 else 'they'} {'was' if foreign == 1 else 'were'}; "
            "allow_empty permits it"
        )
    return None


async def with_source(
    pairs: AsyncGenerator[Pair, None], left: Listing, source: ObjectStore, options: SyncOptions
) -> AsyncGenerator[Pair, None]:
    """Pass pairs on, after the first look has shown that there is a source."""
    async for pair in pairs:
        if not left.objects:
            await check_source(source, left, options)
        yield pair
    if not left.objects:
        await check_source(source, left, options)


async def check_source(source: ObjectStore, listing: Listing, options: SyncOptions) -> None:
    """Raise unless a source that gave no object may be synced.

    Raises:
        NotFound: It is not there; or it is empty, and `delete` would empty the target.
    """
    only_excluded = listing.excluded and not options.delete
    if options.allow_empty or only_excluded or listing.failed:
        return
    folder = folder_of(source, options.prefix)
    path = folder.path if source.capabilities.local else None
    if path is not None and await source.runtime.call(os.path.isdir, None, path):
        if not options.delete:
            return
        raise NotFound(
            f"{folder} is empty, and delete would empty the target; allow_empty permits it",
            reference=folder,
        )
    raise NotFound(f"{folder}: there is nothing to sync; is the address right?", reference=folder)


async def step_for(
    source: ObjectStore, target: ObjectStore, pair: Pair, options: SyncOptions
) -> tuple[Step, Pair]:
    """What to do about one key; and the pair as it was looked at, which knows its etags then."""
    if pair.source is None:
        assert pair.target is not None
        action: Action = "delete" if options.delete else "keep"
        return Step(pair.key, action, "extra", pair.target.size), pair
    size = pair.source.size
    if pair.target is None:
        return Step(pair.key, "copy", "missing", size), pair
    try:
        reason, seen = await _difference(source, target, pair, options)
    except HoldallError as error:
        return Step(pair.key, "fail", None, size, error=error), pair
    return Step(pair.key, "same" if reason is None else "copy", reason, size), seen


async def _difference(
    source: ObjectStore, target: ObjectStore, pair: Pair, options: SyncOptions
) -> tuple[Reason | None, Pair]:
    mine, theirs = pair.source, pair.target
    assert mine is not None
    assert theirs is not None
    if mine.size != theirs.size:
        return "size", pair
    if not mine.size or options.compare == "size":
        return None, pair
    if options.compare == "modified" and theirs.modified_ns > mine.modified_ns:
        return None, pair
    if options.compare == "content":
        return await _content_difference(source, target, mine, theirs), pair
    try:
        theirs, there = await known_digest(target, theirs)
    except NotFound:
        return "missing", pair
    except Corrupt:
        return "damaged", pair
    mine, here = await known_digest(source, mine)
    return None if there == here else "checksum", Pair(pair.key, mine, theirs)


async def _content_difference(
    source: ObjectStore, target: ObjectStore, mine: ObjectMeta, theirs: ObjectMeta
) -> Reason | None:
    """Compare the bytes of both sides; a damaged source raises, and is not taken for good."""
    found, sha256 = await read_digest(source, mine.ref)
    check_record(found, sha256)
    try:
        there, their_sha256 = await read_digest(target, theirs.ref)
        check_record(there, their_sha256)
    except NotFound:
        return "missing"
    except Corrupt:
        return "damaged"
    return None if sha256 == their_sha256 else "checksum"
