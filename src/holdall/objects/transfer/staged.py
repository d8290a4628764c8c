"""What former runs left staged at a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.core.errors import PermissionDenied, Unsupported

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.contract import ObjectStore
    from holdall.objects.results import UploadInfo


class Staged:
    """The uploads that former runs left at the target, asked for once and only when needed."""

    def __init__(self, target: ObjectStore, folder: Reference) -> None:
        self._target = target
        self._folder = folder
        self._lock = target.runtime.lock()
        self._found: dict[str, list[UploadInfo]] | None = None

    async def of(self, ref: Reference) -> list[UploadInfo]:
        """The uploads of one key, the newest first: an older one was found not to fit."""
        if self._target.capabilities.resume == "none":
            return []
        async with self._lock:
            if self._found is None:
                self._found = await self._list()
        key = ref.relative_to(self._target.root)
        return sorted(self._found.get(key, ()), key=lambda info: -info.begun_ns)

    async def _list(self) -> dict[str, list[UploadInfo]]:
        found: dict[str, list[UploadInfo]] = {}
        token = None
        while True:
            try:
                page = await self._target.uploads(self._folder, token)
            except (PermissionDenied, Unsupported):
                # Who may write but not list uploads begins each anew, and is not kept from it.
                return found
            for info in page.uploads:
                found.setdefault(info.key, []).append(info)
            token = page.token
            if token is None:
                return found
