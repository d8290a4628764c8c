"""The record: named fields under an id, and what is kept beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

import msgspec

from holdall.core.errors import InvalidKey
from holdall.records.encoding import from_plain, to_plain
from holdall.records.paths import ABSENT, METADATA, descend, field_path, is_special, parse_path
from holdall.records.values import SCALARS, adopt, check_name, equal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from holdall.records.paths import Path

_MOST_KNOWN = 10_000
_known_names: set[str] = set()
STORE_NAMES = ("id", "created_at", "updated_at")
"""What a database itself writes into `metadata`."""


@final
class Record:
    """Named values, with an id and metadata.

    The id is the field `id` when there is one, otherwise one of its own; a database gives a
    record without any a new UUID. After `create`, `update`, `read` or `search`, `metadata` also
    holds `id`, `created_at` and `updated_at`, and `version` is what the database holds.

    Args:
        data: The fields, in their order. Values are copied.
        id: The id; it must be that of the field `id` where both are given.
        metadata: What belongs to the record and is none of its fields.

    Raises:
        TypeError: A value is of no kind that every backend keeps, or the id is no text.
        ValueError: A value cannot be kept as it is, or there are two ids.

    Attributes:
        fields: The fields by name, to read and to change.
        metadata: The metadata by name. `id`, `created_at` and `updated_at` are the database's.
        version: Which state of the record this is; None for one that was never stored. An
            update is refused when the database holds another one; set None to overwrite.
    """

    __slots__ = ("_given", "_id", "fields", "metadata", "version")

    fields: dict[str, Any]
    metadata: dict[str, Any]
    version: str | None

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002  # the name that users know
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.fields = adopt_fields(data or {}, "")
        self.metadata = adopt_fields(metadata or {}, f"{METADATA}.")
        self.version = None
        self._given: tuple[Any, ...] = ()
        named = self.fields.get("id")
        if named is not None and id is not None and named != id:
            raise InvalidKey(f"the record's field 'id' is {named!r}, and {id!r} is given as its id")
        self._id = id if named is None else named
        if self._id is not None:
            check_id(self._id)

    @property
    def id(self) -> str | None:
        """The id; None before the record has one."""
        named = self.fields.get("id")
        return self._id if named is None else named

    def get_value(self, name: str, default: Any = None) -> Any:
        """Answer the value at a path; `default` where there is none.

        Args:
            name: A field, a dotted path into one (`address.city`, `items.0`), or `metadata.…`;
                see `holdall.records.paths`.
            default: What to answer where there is nothing.
        """
        value = self.find(parse_path(name))
        return default if value is ABSENT else value

    def find(self, path: Path) -> Any:
        """Answer what a path leads to; `ABSENT` where there is nothing."""
        if not is_special(path):
            return descend(self.fields, field_path(path))
        if path[0] == METADATA:
            return descend(self.metadata, path[1:])
        return ABSENT if self.id is None else self.id

    def copy(self) -> Record:
        """A record of its own that equals this one."""
        record = Record.__new__(Record)
        record._id = self.id
        record.fields = {name: adopt(value, name) for name, value in self.fields.items()}
        record.metadata = {name: adopt(value, name) for name, value in self.metadata.items()}
        record.version = self.version
        record._given = self._given
        return record

    @classmethod
    def kept(
        cls,
        id: str,  # noqa: A002
        fields: dict[str, Any],
        metadata: dict[str, Any],
        created: datetime,
        updated: datetime,
        version: str,
    ) -> Self:
        """A record as a database holds it, of values that are not copied; for databases."""
        record = cls.__new__(cls)
        record._id = id
        record.fields = fields
        record.metadata = metadata
        record.version = version
        record._given = given = (id, created, updated)
        metadata["id"], metadata["created_at"], metadata["updated_at"] = given
        return record

    def take(self, id: str, created: datetime, updated: datetime, version: str) -> None:  # noqa: A002
        """Note what a database says of this record, after it was written or read."""
        self._id = id
        self.version = version
        self._given = (id, created, updated)
        metadata = self.metadata
        metadata["id"], metadata["created_at"], metadata["updated_at"] = self._given

    def own_metadata(self) -> dict[str, Any]:
        """The metadata without what the database itself writes there.

        Raises:
            ValueError: One of the database's names holds something of the user's.
        """
        if not self.metadata:
            return {}
        own = adopt_fields(self.metadata, f"{METADATA}.")
        for at, name in enumerate(STORE_NAMES):
            value = own.pop(name, None)
            if value is not None and not (self._given and equal(value, self._given[at])):
                raise ValueError(
                    f"metadata.{name} is {value!r}, and the database writes that itself: "
                    "give it another name, or make it a field"
                )
        return own

    def to_dict(self) -> dict[str, Any]:
        """Answer `id`, `fields`, `metadata` and `version`; the values are copies."""
        copied = self.copy()
        return {
            "id": self.id,
            "fields": copied.fields,
            "metadata": copied.metadata,
            "version": self.version,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """Read what `to_dict` answered; anything but `fields` may be missing.

        Raises:
            ValueError: There is no `fields`, or a name that `to_dict` does not write.
        """
        unknown = data.keys() - {"id", "fields", "metadata", "version"}
        if unknown or "fields" not in data:
            raise ValueError(
                f"a record as a dict has id, fields, metadata and version, and this one has "
                f"{', '.join(map(repr, data)) or 'nothing'}: for the fields alone write Record(…)"
            )
        record = cls(data["fields"], data.get("id"), data.get("metadata"))
        record.version = data.get("version")
        if record.version is not None:
            record._given = tuple(record.metadata.get(name) for name in STORE_NAMES)
        return record

    def to_json(self) -> str:
        """The record as JSON text, which `from_json` reads; see `holdall.records.encoding`."""
        return msgspec.json.encode(
            {
                "id": self.id,
                "fields": to_plain(self.fields),
                "metadata": to_plain(self.metadata),
                "version": self.version,
            }
        ).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is no JSON of a record.
            Corrupt: A value in it cannot be.
        """
        data = msgspec.json.decode(text)
        if type(data) is not dict:
            raise ValueError("the JSON of a record is an object with id, fields and metadata")
        for part in ("fields", "metadata"):
            if part in data:
                data[part] = from_plain(data[part])
        return cls.from_dict(data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return (
            self.id == other.id
            and equal(self.fields, other.fields)
            and equal(self._shown_metadata(), other._shown_metadata())
        )

    __hash__ = None  # type: ignore[assignment]

    def _shown_metadata(self) -> dict[str, Any]:
        if not self._given:
            return self.metadata
        return {name: value for name, value in self.metadata.items() if name not in STORE_NAMES}

    def __repr__(self) -> str:
        return f"Record({self.fields!r}, id={self.id!r})"


def adopt_fields(data: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Answer a copy of named values, checked.

    Args:
        data: The values by name.
        path: Where they stand, for errors: ends with a dot, or is empty.
    """
    adopted = dict(data)
    for name, value in adopted.items():
        if type(value) not in SCALARS or name not in _known_names:
            break
    else:
        return adopted  # what most are: scalars under names that were seen before
    adopted = {
        check_name(name, path or "a record"): adopt(value, f"{path}{name}")
        for name, value in data.items()
    }
    if len(_known_names) < _MOST_KNOWN:
        _known_names.update(adopted)
    return adopted


def check_id(id: object) -> str:  # noqa: A002
    """Answer an id.

    Raises:
        TypeError: It is no text.
        InvalidKey: It is empty, has more than 1,024 bytes, or holds what UTF-8 cannot write or
            a NUL. A backend may take fewer bytes.
    """
    if not isinstance(id, str):
        raise TypeError(f"an id is text, and {id!r} is {type(id).__name__}: write {str(id)!r}")
    if not id:
        raise InvalidKey("the id of a record is empty")
    if not id.isascii() or "\0" in id:
        try:
            id.encode()
        except UnicodeEncodeError as error:
            raise InvalidKey(f"the id {id!r} holds a lone surrogate") from error
        if "\0" in id:
            raise InvalidKey(f"the id {id!r} holds a NUL")
    if len(id) > 256 and len(id.encode()) > MAX_ID_BYTES:
        raise InvalidKey(
            f"the id {id[:60]!r}… has {len(id.encode())} bytes, and {MAX_ID_BYTES} are allowed"
        )
    return id


MAX_ID_BYTES = 1024
