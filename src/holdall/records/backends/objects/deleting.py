"""Deleting records, and saying of each whether it was there."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from holdall.core.errors import HoldallError, NotFound, PartialFailure, PreconditionFailed
from holdall.objects.options import DELETE, HEAD, DeleteOptions
from holdall.objects.results import DeleteFailure
from holdall.records.backends.objects.access import closing
from holdall.records.backends.objects.keys import id_of
from holdall.records.results import changed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.core.reference import Reference
    from holdall.records.backends.objects.access import Access
    from holdall.records.backends.objects.listing import Lister
    from holdall.records.stored import Removal

_QUESTIONS_A_PAGE = 20
_BATCH_REFS = 1000


class Remover:
    """Deletes records by the store's own batches.

    Args:
        access: Knows the store.
        lister: Forgets how many there were.
    """

    def __init__(self, access: Access, lister: Lister) -> None:
        self._access = access
        self._lister = lister

    async def delete(self, removals: Sequence[Removal]) -> list[bool | HoldallError]:
        """Delete records; answer for each, in order, whether there was one, or why not."""
        places: dict[str, list[int]] = {}
        for at, removal in enumerate(removals):
            places.setdefault(removal.id, []).append(at)
        outcomes: list[bool | HoldallError] = [False] * len(removals)
        careful = [
            id_
            for id_, ats in places.items()
            if any(removals[at].version is not None for at in ats)
        ]
        plain = [id_ for id_ in places if id_ not in set(careful)]
        for id_, outcome in (await self._delete_any(plain)).items():
            first, *more = places[id_]
            outcomes[first] = outcome
            for at in more:
                outcomes[at] = outcome if isinstance(outcome, HoldallError) else False

        async def run(id_: str) -> list[bool | HoldallError]:
            return [await self._delete_same(removals[at]) for at in places[id_]]

        async with closing(self._access.runtime.map(run, careful, self._access.workers)) as found:
            ids = iter(careful)
            async for several in found:
                for at, one in zip(places[next(ids)], several, strict=True):
                    outcomes[at] = one
        return outcomes

    async def clear(self) -> int:
        """Delete all records; answer how many there were.

        Raises:
            PartialFailure: Some could not be deleted.
        """
        number = 0
        errors: list[HoldallError] = []
        async with closing(self._access.pages()) as pages:
            async for page in pages:
                refs = [meta.ref for meta in page.objects if id_of(meta.key) is not None]
                if refs:
                    failed = await self._access.store.delete(refs, DELETE)
                    errors += [one.error for one in failed]
                    number += len(refs) - len(failed)
        if errors:
            raise PartialFailure(
                f"{len(errors)} records could not be deleted, and {number} were", errors
            )
        return number

    async def _delete_any(self, ids: list[str]) -> dict[str, bool | HoldallError]:
        outcomes = await self._there(ids)
        refs = {self._access.ref(id_): id_ for id_ in ids if outcomes[id_] is True}
        every = list(refs)
        # Not all in one call, which a time limit may be for.
        batches = [every[at : at + _BATCH_REFS] for at in range(0, len(every), _BATCH_REFS)]
        workers = min(self._access.workers, max(1, len(batches)))
        async with closing(self._access.runtime.map(self._drop, batches, workers)) as dropped:
            async for failures in dropped:
                outcomes |= {refs[failure.ref]: failure.error for failure in failures}
        self._forget(ids)
        return outcomes

    async def _drop(
        self, refs: Sequence[Reference], options: DeleteOptions = DELETE
    ) -> Sequence[DeleteFailure]:
        try:
            return await self._access.store.delete(refs, options)
        except HoldallError as error:
            return [DeleteFailure(ref, error) for ref in refs]

    async def _delete_same(self, removal: Removal) -> bool | HoldallError:
        """Delete one record, if it has a certain version."""
        id_ = removal.id
        if removal.version is None:
            return (await self._delete_any([id_]))[id_]
        try:
            ref = self._access.ref(id_)
            row = await self._access.row(id_)
            if row is None or row.version != removal.version:
                return changed(id_, removal.version, row)
            options = DeleteOptions(if_match=removal.version, must_exist=True)
            failures = await self._drop([ref], options)
            if not failures:
                return True
            error = failures[0].error
            if isinstance(error, NotFound):
                return changed(id_, removal.version, None)
            if isinstance(error, PreconditionFailed):
                return changed(id_, removal.version, await self._access.row(id_))
            if error.uncertain:
                with suppress(HoldallError):  # where nobody can look, it stays in doubt
                    if await self._access.row(id_) is None:
                        return True
        except HoldallError as raised:
            return raised
        else:
            return error
        finally:
            self._forget([id_])

    def _forget(self, ids: Sequence[str]) -> None:
        self._lister.forget()
        for id_ in ids:
            self._access.shelf.drop(id_)

    async def _there(self, ids: list[str]) -> dict[str, bool | HoldallError]:
        """Say of each id whether there is a record.

        A page of the listing may answer for a thousand of them, a question only for one: many are
        first looked for in some pages, and asked for when they come later in the listing. Where
        the store can, these pages begin before the first one, and end behind the last one.
        """
        outcomes: dict[str, bool | HoldallError] = {}
        names: dict[str, str] = {}
        for id_ in ids:
            try:
                names[self._access.ref(id_).name] = id_
            except HoldallError as error:
                outcomes[id_] = error
        can = self._access.store.capabilities
        left = len(names) // _QUESTIONS_A_PAGE
        if left:
            found: set[str] = set()
            last: str | None = ""
            end = max(names) if can.ordered else None
            # The first of them without its last letter comes before it.
            begin = min(names)[:-1] if can.ordered and can.seeks else ""
            async with closing(self._access.pages(begin)) as pages:
                async for page in pages:
                    left -= 1
                    found.update(meta.key for meta in page.objects)
                    seen = [page.objects[-1].key] if page.objects else []
                    seen += [f"{page.folders[-1]}/"] if page.folders else []
                    last = None if page.token is None else max(seen, default=last)
                    if left == 0 or (end is not None and last is not None and last >= end):
                        break
            for name, id_ in list(names.items()):
                if name in found or last is None or (can.ordered and name <= last):
                    outcomes[id_] = name in found
                    del names[name]

        async def ask(id_: str) -> tuple[str, bool | HoldallError]:
            try:
                await self._access.store.head(self._access.ref(id_), HEAD)
            except NotFound:
                return id_, False
            except HoldallError as error:
                return id_, error
            return id_, True

        asking = self._access.runtime.map(ask, list(names.values()), self._access.workers)
        async with closing(asking) as answers:
            outcomes |= {id_: outcome async for id_, outcome in answers}
        return outcomes
