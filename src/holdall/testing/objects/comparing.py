"""How the answers of two stores are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdall.core.errors import HoldallError
from holdall.testing.objects.asking import in_byte_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.objects.data_store import DataStore
    from holdall.objects.results import ObjectMeta
    from holdall.objects.writer import BlockingUpload

T = TypeVar("T")


class Pair:
    """One upload of both stores."""

    def __init__(self, key: str, condition: str | None) -> None:
        self.key = key
        self.condition = condition
        self.data = b""
        self.real: BlockingUpload
        self.model: BlockingUpload


def answer(act: Callable[[], T]) -> T | type[HoldallError]:
    """What an act answers, or the type of error that it raises."""
    try:
        return act()
    except HoldallError as error:
        return type(error)


def agree(real: Callable[[], T], model: Callable[[], T]) -> None:
    """Both answer the same, or raise the same type of error."""
    expected = answer(model)
    assert answer(real) == expected


def asked(meta: ObjectMeta) -> tuple[str, int]:
    """What the answer of every change says."""
    return meta.key, meta.size


def known(meta: ObjectMeta, model: ObjectMeta) -> tuple[object, ...]:
    """What a store must know of an object; a service may add a digest or a type of its own."""
    own = [
        getattr(meta, name)
        for name in ("content_md5", "content_type", "sha256")
        if getattr(model, name) is not None
    ]
    return (meta.key, meta.size, meta.metadata, meta.tags, *own)


def listed(
    store: DataStore, prefix: str, max_items: int, delimiter: bool, after: str | None = None
) -> list[str]:
    """Keys, and folders with a `/`, in the order of the listing as far as pages show it."""
    found: list[str] = []
    cursor = None
    while True:
        page = store.list_page(
            prefix, max_items=max_items, cursor=cursor, delimiter=delimiter, after=after
        )
        assert len(page.objects) + len(page.folders) <= max_items
        assert page.foreign == 0
        assert page.token is None or page.token != cursor
        folders = [f"{folder}/" for folder in page.folders]
        found += in_byte_order([*(meta.key for meta in page.objects), *folders])
        cursor = page.token
        if cursor is None:
            return found
