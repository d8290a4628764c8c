"""Protobuf messages as objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, Unpack, final

from holdall.core.errors import LimitExceeded
from holdall.core.runtime.blocking import drive
from holdall.objects.face.addresses import Addresses, AsyncAddresses
from holdall.objects.face.reading import above_setting
from holdall.objects.options import GET, GetOptions
from holdall.objects.sources import write_options

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from holdall.core.reference import Reference
    from holdall.objects.results import ObjectMeta
    from holdall.objects.sources import WriteKeywords

    M = TypeVar("M", bound=Message)


class AsyncMessages(AsyncAddresses):
    """The part of `AsyncDataStore` for messages."""

    @final
    async def write_message(
        self, key: str | Reference, message: Message, **keywords: Unpack[WriteKeywords]
    ) -> ObjectMeta:
        """Write a protobuf message: as JSON where the key ends in `.json`, else binary.

        Its type is recorded in the metadata `protobuf-type`, where the store keeps metadata, and
        checked when it is read. Needs the extra `messages`.

        Args:
            key: Where.
            message: An instance of a generated class.
            keywords: The fields of `WriteOptions`, as for `write`.

        Raises:
            TypeError: It is no message.
            ValueError: A required field is not set, or JSON cannot say it, such as a field that
                is of a later version than the class.
            LimitExceeded: It has 2 GiB or more.
        """
        from holdall.core import protobuf

        ref = self.reference(key)
        data = protobuf.encode(message, ref)
        keywords.setdefault("content_type", protobuf.content_type(ref))
        if self.capabilities.metadata:
            named = {protobuf.TYPE_NAME: protobuf.type_name(type(message))}
            keywords["metadata"] = {**(keywords.get("metadata") or {}), **named}
        return await self._store.put(ref, data, write_options(keywords))

    @final
    async def read_message(
        self, key: str | Reference, kind: type[M], *, max_size: int | None = None
    ) -> M:
        """Read a protobuf message.

        Args:
            key: Which.
            kind: The generated class that it is of.
            max_size: Refuse more bytes than this; when None the store's `max_download`.

        Raises:
            NotFound: There is no object.
            Corrupt: It is no message of this type, or damaged; names type and reference.
            LimitExceeded: It is larger than `max_size`, or the setting it comes from.
        """
        from holdall.core import protobuf

        protobuf.type_name(kind)  # what is no message class is said before anything is read
        ref = self.reference(key)
        limit = self._max_download if max_size is None else max_size
        try:
            stream = await self._store.get(ref, GetOptions(max_size=limit) if limit else GET)
            data = await stream.read_all() if stream.whole is None else stream.whole
        except LimitExceeded as error:
            if max_size is None:
                raise above_setting(error, limit) from error
            raise
        return protobuf.decode(data, kind, ref, stream.meta.metadata.get(protobuf.TYPE_NAME))


class Messages(Addresses):
    """The part of `DataStore` for messages."""

    @final
    def write_message(
        self, key: str | Reference, message: Message, **keywords: Unpack[WriteKeywords]
    ) -> ObjectMeta:
        """Write a protobuf message: as JSON where the key ends in `.json`, else binary.

        Its type is recorded in the metadata `protobuf-type`, where the store keeps metadata, and
        checked when it is read. Needs the extra `messages`.

        Args:
            key: Where.
            message: An instance of a generated class.
            keywords: The fields of `WriteOptions`, as for `write`.

        Raises:
            TypeError: It is no message.
            ValueError: A required field is not set, or JSON cannot say it, such as a field that
                is of a later version than the class.
            LimitExceeded: It has 2 GiB or more.
        """
        return drive(self._face.write_message(key, message, **keywords))

    @final
    def read_message(
        self, key: str | Reference, kind: type[M], *, max_size: int | None = None
    ) -> M:
        """Read a protobuf message.

        Args:
            key: Which.
            kind: The generated class that it is of.
            max_size: Refuse more bytes than this; when None the store's `max_download`.

        Raises:
            NotFound: There is no object.
            Corrupt: It is no message of this type, or damaged; names type and reference.
            LimitExceeded: It is larger than `max_size`, or the setting it comes from.
        """
        return drive(self._face.read_message(key, kind, max_size=max_size))
