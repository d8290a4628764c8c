"""Databases on stores of objects: the contract, and the settings behind it."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from msgspec.structs import replace

from holdall.core.config import literal
from holdall.core.errors import HoldallError, InvalidConfig, Unsupported
from holdall.core.reference import MAX_KEY_BYTES, MAX_SEGMENT_BYTES, Reference
from holdall.objects.backends.cloud.settings import CloudSettings
from holdall.objects.registry import REMOTE_LAYERS, plan_store
from holdall.records.backends.objects.access import Access, closing
from holdall.records.backends.objects.deleting import Remover
from holdall.records.backends.objects.keys import SUFFIX
from holdall.records.backends.objects.listing import Lister
from holdall.records.backends.objects.searching import Searcher
from holdall.records.backends.objects.settings import (
    FileRecordSettings,
    ObjectRecordSettings,
    RecordsOnObjects,
    S3RecordSettings,
)
from holdall.records.backends.objects.shelf import Shelf
from holdall.records.backends.objects.snapshot import Snapshot
from holdall.records.backends.objects.writing import Writer
from holdall.records.contract import RecordStore
from holdall.records.stored import RecordCapabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import msgspec

    from holdall.core.runtime import Runtime
    from holdall.objects.contract import ObjectStore
    from holdall.objects.registry import Plan
    from holdall.records.contract import RecordTransaction
    from holdall.records.paths import Path
    from holdall.records.predicate import Node
    from holdall.records.stored import Found, Outcome, Removal, Stored, Write


class RecordsOnStore(RecordStore):
    """Records in a store of objects: one JSON object each, right under the store's root.

    Args:
        settings: The database's.
        objects: The store of objects; closed with the database.
    """

    def __init__(self, settings: RecordsOnObjects, objects: ObjectStore) -> None:
        super().__init__(settings, objects.runtime)
        self._objects = objects
        self._shelf = Shelf(settings.memory)
        self._access = Access(objects, settings, self._shelf)
        self._snapshot = Snapshot(self._access)
        self._lister = Lister(self._access, self._snapshot.bounds)
        self._writer = Writer(self._access)
        self._remover = Remover(self._access, self._lister)
        self._searcher = Searcher(self._access, self._lister, self._snapshot)

    @property
    def objects(self) -> ObjectStore:
        """The store that the records are in."""
        return self._objects

    @property
    def address(self) -> str:
        return str(self._objects.root)

    @cached_property
    def capabilities(self) -> RecordCapabilities:
        can = self._objects.capabilities
        prefix = self._objects.root.key if self._objects.root.scheme != "file" else ""
        room = MAX_KEY_BYTES - len(prefix.encode()) - 1
        return RecordCapabilities(
            durable=can.durable,
            remote=can.remote,
            max_id_bytes=min(room, MAX_SEGMENT_BYTES) - len(SUFFIX),
        )

    async def get(self, ids: Sequence[str]) -> Sequence[Stored | HoldallError | None]:
        if len(ids) == 1:
            return [await self._row(ids[0])]
        reading = self._runtime.map(self._row, ids, self._access.workers)
        async with closing(reading) as rows:
            return [row async for row in rows]

    async def _row(self, id_: str) -> Stored | HoldallError | None:
        try:
            return await self._access.row(id_)
        except HoldallError as error:  # of one object: the others are read
            return error

    async def put(self, writes: Sequence[Write]) -> Sequence[Outcome]:
        self._lister.forget()
        try:
            return await self._writer.write(writes)
        finally:
            self._lister.forget()

    async def delete(self, removals: Sequence[Removal]) -> Sequence[bool | HoldallError]:
        self._lister.forget()
        try:
            return await self._remover.delete(removals)
        finally:
            self._lister.forget()

    async def find(self, found: Found) -> Sequence[Stored]:
        return await self._searcher.find(found)

    async def count(self, predicate: Node) -> int:
        return await self._searcher.count(predicate)

    async def clear(self) -> int:
        self._lister.forget()
        try:
            number = await self._remover.clear()
        finally:
            self._shelf.clear()
            self._lister.note_cleared()
        await self._snapshot.drop()
        return number

    async def index(self, path: Path) -> None:
        raise Unsupported(
            f"{self.address} has no indexes: what a search has read stays in memory, and the next "
            "one only reads what changed"
        )

    async def begin(self) -> RecordTransaction:
        raise Unsupported(
            f"{self.address} has no transactions: a store of objects writes one object at a time"
        )

    async def close(self) -> None:
        await self._objects.close()


@final
class ObjectRecords(RecordsOnStore):
    """Records on any store of objects: a folder, a container, Redis, memory."""

    settings_type = ObjectRecordSettings

    @classmethod
    def open(cls, settings: msgspec.Struct, runtime: Runtime) -> ObjectRecords:
        assert isinstance(settings, ObjectRecordSettings)
        place = settings.store
        plan = _unasked(plan_store(place if isinstance(place, str) else literal(place)))
        # Secrets in the address or the configuration stay in the store alone.
        shown = replace(settings, store=plan.configuration())
        return cls(shown, plan.open(runtime, REMOTE_LAYERS))

    @classmethod
    def settings_of(cls, url: str) -> Mapping[str, Any]:
        return {"store": url}

    @property
    def type(self) -> str:
        return "objects"


@final
class FileRecords(RecordsOnStore):
    """Records in a folder of this machine, one file each."""

    settings_type = FileRecordSettings

    @classmethod
    def open(cls, settings: msgspec.Struct, runtime: Runtime) -> FileRecords:
        assert isinstance(settings, FileRecordSettings)
        path = settings.path
        if not path.startswith("/"):
            path = os.path.abspath(path)
        place = {"type": "file", "path": path, "durable": settings.durable}
        shown = replace(settings, path=path)
        return cls(shown, plan_store(literal(place)).open(runtime))

    @classmethod
    def settings_of(cls, url: str) -> Mapping[str, Any]:
        return {"path": Reference.parse(url, folder=True).path}

    @property
    def type(self) -> str:
        return "file"


@final
class S3Records(RecordsOnStore):
    """Records in a bucket of S3, or of a server of its protocol."""

    settings_type = S3RecordSettings

    @classmethod
    def open(cls, settings: msgspec.Struct, runtime: Runtime) -> S3Records:
        assert isinstance(settings, S3RecordSettings)
        if (settings.access_key_id is None) != (settings.secret_access_key is None):
            raise InvalidConfig("give 'access_key_id' and 'secret_access_key', or none of them")
        given = {
            "type": "s3",
            "bucket": settings.bucket,
            "prefix": settings.prefix.strip("/"),
            "region": settings.region,
            "endpoint": settings.endpoint_url,
            "access_key": settings.access_key_id,
            "secret_key": settings.secret_access_key,
            "session_token": settings.session_token,
            "single_size": settings.multipart_threshold,
            "workers": settings.max_workers,
        }
        place = {name: value for name, value in given.items() if value is not None}
        plan = _unasked(plan_store(literal(place)))
        return cls(settings, plan.open(runtime, REMOTE_LAYERS))

    @classmethod
    def settings_of(cls, url: str) -> Mapping[str, Any]:
        reference = Reference.parse(url, folder=True)
        found: dict[str, Any] = {"bucket": reference.container, "prefix": reference.key}
        if reference.userinfo is not None:
            name, colon, secret = reference.userinfo.reveal().partition(":")
            if not colon:
                raise InvalidConfig(f"{reference}: write s3://key:secret@bucket/…")
            found |= {"access_key_id": name, "secret_access_key": secret}
        return found

    @property
    def type(self) -> str:
        return "s3"


def _unasked(plan: Plan) -> Plan:
    """A plan of a store that asks its service nothing when it is opened."""
    if not isinstance(plan.settings, CloudSettings):
        return plan
    return replace(plan, settings=replace(plan.settings, check=False))
