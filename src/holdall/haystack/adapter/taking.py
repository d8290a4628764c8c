"""What users hand in, as it is kept: ids without `@`, tags as kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import uuid4

from holdall.core.errors import HoldallError, InvalidValue
from holdall.haystack.adopting import adopt
from holdall.haystack.codecs.hayson import from_hayson
from holdall.haystack.kinds import REMOVE, Marker, Number, Ref, checked_name

if TYPE_CHECKING:
    from holdall.haystack.kinds import Kind
    from holdall.haystack.stores.entities import Entity

_READY: Final = frozenset({Marker, Number, Ref, str, bool})
_TEXT: Final = frozenset({str})
_MOST_NAMES: Final = 4096
LONGEST_REF: Final = 1024
"""How many characters an id may have, and a Ref within an entity: every store finds such ones.

Redis finds nothing under more than 4,096 bytes, and a key of PostgreSQL has at most 2,704.
"""
_names: set[str] = set()
"""Names of tags that were checked before."""

Id: TypeAlias = str | Ref
"""The id of an entity: text with or without `@`, or a Ref."""


def id_of(entity: Entity) -> str:
    """The id of a stored entity, as text without `@`."""
    ref = entity["id"]
    assert isinstance(ref, Ref)
    return ref.val


def plain_id(of: object) -> str:
    """An id as text without `@`.

    Raises:
        InvalidValue: It is none.
    """
    if isinstance(of, Ref):
        return of.val
    if not isinstance(of, str):
        raise InvalidValue(f"{of!r} is no id: it takes text or a Ref")
    try:
        return Ref(of.removeprefix("@")).val
    except ValueError as error:
        raise InvalidValue(f"{of!r} is no id: {error}") from error


def plain_ids(ids: object) -> list[str]:
    """Several ids as text without `@`.

    Raises:
        InvalidValue: One is none, or it is one id and not several.
    """
    if isinstance(ids, (str, Ref)) or not isinstance(ids, Iterable):
        raise InvalidValue(f"{ids!r} is no list of ids")
    return [plain_id(one) for one in ids]


def listed(things: object, what: str) -> Iterable[Any]:
    """Answer what can be gone through, as it is.

    Raises:
        InvalidValue: It cannot.
    """
    if isinstance(things, (str, Mapping)) or not isinstance(things, Iterable):
        raise InvalidValue(f"expected a list of {what}, and this is {things!r}")
    return things


def checked_text(text: object, what: str) -> str:
    """Answer a text that can be written as UTF-8.

    Raises:
        InvalidValue: It is none.
    """
    if not isinstance(text, str):
        raise InvalidValue(f"{what} is a text, and this is {text!r}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue(f"{what} {text!r} holds half of a character") from error
    return text


def checked_version(version: object) -> int | None:
    """Answer a version that is expected, or None.

    Raises:
        InvalidValue: It is none.
    """
    if version is None or type(version) is int:
        return version
    raise InvalidValue(f"{version!r} is no version: it takes what `versions` answers")


def as_kind(value: Any, place: str) -> Any:
    """A value that may be Hayson as a kind.

    Raises:
        InvalidValue: It is neither; names the place.
    """
    if not isinstance(value, (Mapping, list)):
        return value
    try:
        return from_hayson(value)
    except (HoldallError, TypeError, ValueError, OverflowError) as error:
        raise InvalidValue(f"{place}: {error}") from error


def tags_of(
    tags: Mapping[str, Any], place: str = "the entity", *, removing: bool = True
) -> dict[str, Kind]:
    """Tags as kinds, without those that are None; without `REMOVE` when nothing is removed.

    Raises:
        InvalidValue: A name is none, or a value of no kind, or a Ref longer than `LONGEST_REF`,
            or they are no tags at all.
    """
    if not isinstance(tags, Mapping):
        raise InvalidValue(f"{place} is {tags!r}, and an entity is a mapping of tags")
    if tags.get("_kind", "dict") != "dict":
        raise InvalidValue(f"{place} is a {tags['_kind']!r} of Hayson, and an entity is a dict")
    if type(tags) is dict and _is_ready(tags):
        return tags.copy()
    taken: dict[str, Kind] = {}
    try:
        for name, value in tags.items():
            if name == "_kind" or value is None:
                continue
            if type(value) in _READY and type(value) is not Ref:
                taken[_name(name)] = value
            else:
                where = f"{place}, {name}"
                kind = adopt(as_kind(value, where), where)
                _check_refs(kind, where)
                checked = _name(name)
                if removing or kind is not REMOVE:
                    taken[checked] = kind
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue(str(error)) from error
    return taken


def _check_refs(kind: Any, place: str) -> None:
    """Check the Refs that a filter finds: also those of lists and dicts."""
    if type(kind) is Ref:
        if len(kind.val) > LONGEST_REF:
            raise InvalidValue(
                f"{place}: the Ref @{kind.val[:40]}… has {len(kind.val):,} characters, and a "
                f"store finds those with up to {LONGEST_REF:,}"
            )
    elif type(kind) is list:
        for item in kind:
            _check_refs(item, place)
    elif type(kind) is dict:
        for item in kind.values():
            _check_refs(item, place)


def _is_ready(tags: dict[Any, Any]) -> bool:
    """Whether tags are kept as they are: most of those that are loaded."""
    return (
        _READY.issuperset(map(type, tags.values()))
        and _TEXT.issuperset(map(type, tags))
        and _names.issuperset(tags)
        and not [ref for ref in tags.values() if type(ref) is Ref and len(ref.val) > LONGEST_REF]
    )


def _name(name: object) -> str:
    if type(name) is str and name in _names:
        return name
    checked = str.__str__(checked_name(name))  # without what a subclass shows for itself
    if len(_names) >= _MOST_NAMES:
        _names.clear()
    _names.add(checked)
    return checked


def adopted(
    entity: Mapping[str, Any], *, make_id: bool = False, place: str = "the entity"
) -> dict[str, Kind]:
    """An entity as it is kept; what is None or `REMOVE` is no tag of it.

    Args:
        entity: Tags, as kinds or as Hayson has them.
        make_id: Whether one without an id gets one.
        place: What an error calls it.

    Raises:
        InvalidValue: It has no id, or a tag that is none.
    """
    tags = tags_of(entity, place, removing=False)
    ref = tags.get("id")
    if ref is None and make_id:
        return {"id": Ref(uuid4().hex), **tags}
    if isinstance(ref, str):
        tags["id"] = Ref(plain_id(ref))
        _check_refs(tags["id"], f"{place}, id")
    elif not isinstance(ref, Ref):
        raise InvalidValue(f"{place} has the id {ref!r}, and an id is a Ref")
    return tags
