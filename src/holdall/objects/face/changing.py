"""Deleting, copying, moving, and letting others do it by a signed URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from holdall.core.errors import PartialFailure
from holdall.core.reference import Reference
from holdall.core.runtime.blocking import drive
from holdall.objects.face.addresses import Addresses, AsyncAddresses
from holdall.objects.options import COPY, DELETE, CopyOptions, DeleteOptions, SignOptions
from holdall.objects.sources import check_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from holdall.core.errors import HoldallError
    from holdall.objects.results import ObjectMeta, SignedUrl

_DELETE_BATCH = 1000


class AsyncChanging(AsyncAddresses):
    """The part of `AsyncDataStore` that changes what is there."""

    @final
    async def delete(self, key: str | Reference, *, if_match: str | None = None) -> None:
        """Delete an object; nothing happens when there is none.

        Raises:
            PreconditionFailed: It has another etag than `if_match`.
        """
        options = DELETE
        if if_match is not None:
            options = DeleteOptions(if_match=check_text("if_match", if_match))
        for failure in await self._store.delete((self.reference(key),), options):
            raise failure.error

    @final
    async def delete_many(self, keys: Iterable[str | Reference]) -> None:
        """Delete objects, in as few requests as the service allows.

        Raises:
            PartialFailure: Some could not be deleted; its `errors` know which. All the others
                are deleted.
            InvalidKey: One is no key, or an address elsewhere; nothing is deleted.
        """
        if isinstance(keys, (str, Reference)):
            raise TypeError("delete_many takes several keys; delete takes one")
        refs = self._references(list(keys))
        errors: list[HoldallError] = []
        for at in range(0, len(refs), _DELETE_BATCH):
            batch = refs[at : at + _DELETE_BATCH]
            errors += [failure.error for failure in await self._store.delete(batch, DELETE)]
        if errors:
            raise PartialFailure(f"{len(errors)} of {len(refs)} objects were not deleted:", errors)

    def _references(self, keys: list[str | Reference]) -> list[Reference]:
        """The addresses of many keys, as `reference` gives that of each."""
        texts = [key for key in keys if type(key) is str]
        refs = self._root.many_children(texts) if len(texts) == len(keys) else None
        if refs is None:
            other = self.reference
            refs = [key if type(key) is Reference else other(key) for key in keys]
        return refs

    @final
    async def remove_directory(self, prefix: str | Reference) -> None:
        """Remove an empty folder; nothing to do where folders do not exist by themselves.

        Raises:
            KeyConflict: It is not empty.
        """
        await self._store.remove_folder(self._folder(prefix))

    @final
    async def copy(
        self,
        source: str | Reference,
        target: str | Reference,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ObjectMeta:
        """Copy an object with all that is kept with it; readers of the target see old or new.

        Args:
            source: What.
            target: Where to.
            if_match: Only if the source has this etag.
            if_none_match: `"*"`: only if there is no target.
        """
        return await self._copy(source, target, False, if_match, if_none_match)

    @final
    async def move(
        self,
        source: str | Reference,
        target: str | Reference,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ObjectMeta:
        """Move an object; the source goes once the target is complete. Arguments as `copy`."""
        return await self._copy(source, target, True, if_match, if_none_match)

    async def _copy(
        self,
        source: str | Reference,
        target: str | Reference,
        move: bool,
        if_match: str | None,
        if_none_match: str | None,
    ) -> ObjectMeta:
        options = COPY
        if move or if_match is not None or if_none_match is not None:
            options = CopyOptions(move=move, if_match=if_match, if_none_match=if_none_match)
        return await self._store.copy(self.reference(source), self.reference(target), options)

    @final
    async def sign(
        self,
        key: str | Reference,
        method: str = "GET",
        *,
        expires: timedelta | None = None,
        content_type: str | None = None,
        content_md5: str | None = None,
    ) -> SignedUrl:
        """Answer a URL that lets its holder `GET`, `PUT` or `DELETE` one object for a while.

        It is a text, whose `headers` are what the client must send with the request.

        Args:
            key: Which.
            method: What its holder may do.
            expires: For how long; an hour when None, or what the configuration says.
            content_type: What a PUT must send.
            content_md5: Hexadecimal MD5 of what a PUT must send.

        Raises:
            Unsupported: The store has no such URLs (`capabilities.sign`).
        """
        options = SignOptions(
            method=method,
            expires=(self._expires if expires is None else expires).total_seconds(),
            content_type=content_type,
            content_md5=content_md5,
        )
        return await self._store.sign(self.reference(key), options)


class Changing(Addresses):
    """The part of `DataStore` that changes what is there."""

    @final
    def delete(self, key: str | Reference, *, if_match: str | None = None) -> None:
        """Delete an object; nothing happens when there is none.

        Raises:
            PreconditionFailed: It has another etag than `if_match`.
        """
        drive(self._face.delete(key, if_match=if_match))

    @final
    def delete_many(self, keys: Iterable[str | Reference]) -> None:
        """Delete objects, in as few requests as the service allows.

        Raises:
            PartialFailure: Some could not be deleted; its `errors` know which. All the others
                are deleted.
            InvalidKey: One is no key, or an address elsewhere; nothing is deleted.
        """
        drive(self._face.delete_many(keys))

    @final
    def remove_directory(self, prefix: str | Reference) -> None:
        """Remove an empty folder; nothing to do where folders do not exist by themselves.

        Raises:
            KeyConflict: It is not empty.
        """
        drive(self._face.remove_directory(prefix))

    @final
    def copy(
        self,
        source: str | Reference,
        target: str | Reference,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ObjectMeta:
        """Copy an object with all that is kept with it; readers of the target see old or new.

        Args:
            source: What.
            target: Where to.
            if_match: Only if the source has this etag.
            if_none_match: `"*"`: only if there is no target.
        """
        return drive(
            self._face.copy(source, target, if_match=if_match, if_none_match=if_none_match)
        )

    @final
    def move(
        self,
        source: str | Reference,
        target: str | Reference,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ObjectMeta:
        """Move an object; the source goes once the target is complete. Arguments as `copy`."""
        return drive(
            self._face.move(source, target, if_match=if_match, if_none_match=if_none_match)
        )

    @final
    def sign(
        self,
        key: str | Reference,
        method: str = "GET",
        *,
        expires: timedelta | None = None,
        content_type: str | None = None,
        content_md5: str | None = None,
    ) -> SignedUrl:
        """Answer a URL that lets its holder `GET`, `PUT` or `DELETE` one object for a while.

        It is a text, whose `headers` are what the client must send with the request.

        Args:
            key: Which.
            method: What its holder may do.
            expires: For how long; an hour when None, or what the configuration says.
            content_type: What a PUT must send.
            content_md5: Hexadecimal MD5 of what a PUT must send.

        Raises:
            Unsupported: The store has no such URLs (`capabilities.sign`).
        """
        return drive(
            self._face.sign(
                key, method, expires=expires, content_type=content_type, content_md5=content_md5
            )
        )
