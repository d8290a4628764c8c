"""What former runs left staged at a target, and what they wrote down about it.

A transfer from a service that is cut off writes down beside the target's objects which object the
staged bytes are the beginning of, and their SHA-256. The one after it need not read them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from holdall.core.errors import HoldallError, PermissionDenied, Unsupported
from holdall.objects.options import DELETE, WRITE, GetOptions, ListOptions

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.objects.contract import ObjectStore, Upload
    from holdall.objects.results import ObjectMeta, UploadInfo

_FOLDER = ("journals", "staged")
_NOTE_BYTES = 64 * 1024


class _Note(Struct, frozen=True):
    """What an upload holds the first bytes of.

    Args:
        source: Its address.
        etag: Its etag.
        modified_ns: Its time; it tells stores apart whose etags begin anew with each process.
        offset: How many of its bytes.
        sha256: Their SHA-256. A machine that lost its power may not have kept them.
    """

    source: str
    etag: str
    modified_ns: int
    offset: int
    sha256: str


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
                self._found = await self._list(self._folder)
        key = ref.relative_to(self._target.root)
        return sorted(self._found.get(key, ()), key=lambda info: -info.begun_ns)

    async def note(self, upload: Upload, source: ObjectMeta, sha256: str) -> None:
        """Write down that an upload holds the first bytes of an object, which have this digest."""
        if source.etag is None or not upload.offset:
            return
        note = _Note(str(source.ref), source.etag, source.modified_ns, upload.offset, sha256)
        try:
            await self._target.put(self._ref(upload.id), msgspec.json.encode(note), WRITE)
            await self._tidy()
        except HoldallError:
            return  # then the next run reads it all, and the error that led here counts

    async def vouches(self, upload: Upload, source: ObjectMeta) -> bool:
        """Whether a former run wrote down that an upload holds the first bytes of this object."""
        try:
            stream = await self._target.get(self._ref(upload.id), GetOptions(max_size=_NOTE_BYTES))
            note = msgspec.json.decode(await stream.read_all(), type=_Note)
            known = (note.source, note.etag, note.modified_ns, note.offset)
            if known != (str(source.ref), source.etag, source.modified_ns, upload.offset):
                return False
            return note.sha256 == await upload.digest()
        except (HoldallError, msgspec.MsgspecError, UnicodeDecodeError):
            return False

    async def forget(self, upload: Upload) -> None:
        """Remove what was written down of an upload that has ended."""
        try:
            await self._target.delete([self._ref(upload.id)], DELETE)
        except HoldallError:
            return  # it fits nothing any more, and goes with the next tidying

    async def _tidy(self) -> None:
        """Remove what was written down of uploads that were purged."""
        folder = self._target.root.reserved(*_FOLDER)
        notes = (await self._target.list(folder, ListOptions())).objects
        there = await self._list(self._target.root)
        known = {self._ref(info.id) for infos in there.values() for info in infos}
        await self._target.delete([meta.ref for meta in notes if meta.ref not in known], DELETE)

    def _ref(self, name: str) -> Reference:
        return self._target.root.reserved(*_FOLDER, name)

    async def _list(self, folder: Reference) -> dict[str, list[UploadInfo]]:
        found: dict[str, list[UploadInfo]] = {}
        token = None
        while True:
            try:
                page = await self._target.uploads(folder, token)
            except (PermissionDenied, Unsupported):
                # Who may write but not list uploads begins each anew, and is not kept from it.
                return found
            for info in page.uploads:
                found.setdefault(info.key, []).append(info)
            token = page.token
            if token is None:
                return found
