"""What fsspec asks of a listing, answered from the store each time: nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fsspec.spec import AbstractFileSystem

from holdall.core.errors import InvalidKey, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdall.core.reference import Reference
    from holdall.objects.data_store import DataStore
    from holdall.objects.results import ObjectMeta

Info = dict[str, Any]


class Place(NamedTuple):
    """Where a path leads.

    Args:
        store: The store.
        key: The key in it; empty for the store itself.
        prefix: What stands before a key in a path.
    """

    store: DataStore
    key: str
    prefix: str

    @property
    def ref(self) -> Reference:
        """The address.

        Raises:
            InvalidKey: The path breaks a rule of keys.
        """
        root = self.store.root
        return root.child(self.key) if self.key else root

    def info(self, meta: ObjectMeta) -> Info:
        """What fsspec calls the details of a file."""
        info: Info = {
            "name": self.prefix + meta.key,
            "size": meta.size,
            "type": "file",
            "mtime": meta.modified_ns / 1e9,
            "content_type": meta.content_type,
            "metadata": dict(meta.metadata),
        }
        if meta.etag is not None:  # a listing on a disk does without
            info["etag"] = meta.etag
        return info

    def folder(self, key: str) -> Info:
        """What fsspec calls the details of a directory."""
        return {"name": (self.prefix + key).rstrip("/"), "size": 0, "type": "directory"}


class Listing(AbstractFileSystem):  # type: ignore[misc]
    """The part of a file system that looks. A directory is there while something lies in it.

    A failure other than that something is missing is raised, and never counts as an answer:
    `exists` is not false because the network is down.
    """

    def place(self, path: str, *, folder: bool = False) -> Place:
        """Where a path leads.

        Args:
            path: Without protocol.
            folder: Whether it is to be listed.
        """
        raise NotImplementedError

    def object_place(self, path: str) -> Place:
        """Where the path of something that is to be a file leads."""
        place = self.place(path)
        if not place.key:
            raise IsADirectoryError(f"{path or place.ref} is a directory")
        return place

    def object_info(self, path: str) -> Info:
        """The details of an object.

        Raises:
            NotFound: There is no object of this name; a directory is none.
        """
        place = self.place(path)
        if not place.key:
            raise NotFound(f"{place.ref} is no object", reference=place.ref)
        return place.info(place.store.stat(place.ref))

    def info(self, path: str, **kwargs: Any) -> Info:
        """The details of a file, or else of a directory: `name`, `size`, `type`, `etag`, `mtime`.

        Raises:
            NotFound: There is neither.
        """
        path = self._strip_protocol(path)
        try:
            return self.object_info(path)
        except NotFound as error:
            place = self.place(path, folder=True)
            if not place.key and self.is_there(place):
                return place.folder("")
            if place.key and holds_something(place):
                return place.folder(place.key)
            raise NotFound(f"{path}: there is nothing", reference=error.reference) from error

    def is_there(self, place: Place) -> bool:
        """Whether what a store was opened at counts as a directory, also when it is empty."""
        return True

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is a file or a directory."""
        return self._type(path) is not None

    def isfile(self, path: str) -> bool:
        """Whether there is a file."""
        return self._type(path) == "file"

    def isdir(self, path: str) -> bool:
        """Whether there is a directory: something lies in it."""
        return self._type(path) == "directory"

    def _type(self, path: str) -> str | None:
        try:
            kind: str = self.info(path)["type"]
        except (FileNotFoundError, InvalidKey):
            return None
        return kind

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What lies one level under a path, in order of the names; the file itself for a file.

        Raises:
            NotFound: There is neither a file nor a directory.
        """
        path = self._strip_protocol(path)
        place = self.place(path, folder=True)
        found: list[Info] = []
        for page in place.store.pages(place.ref, delimiter=True):
            found += (place.info(meta) for meta in page.objects)
            found += (place.folder(folder) for folder in page.folders)
        if not found:
            info = self.info(path)
            found = [] if info["type"] == "directory" else [info]
        found.sort(key=_name)
        return found if detail else [info["name"] for info in found]

    def walk(
        self,
        path: str,
        maxdepth: int | None = None,
        topdown: bool = True,
        on_error: str | Callable[[OSError], object] = "omit",
        **kwargs: Any,
    ) -> Iterator[tuple[str, Any, Any]]:
        """Go through directories, as `os.walk` does; arguments as in fsspec.

        `on_error="omit"`, the default, omits what is missing. Other errors are raised, since a
        listing that lacks what could not be read would look like a whole one.
        """
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        path = self._strip_protocol(path)
        detail = kwargs.get("detail", False)
        try:
            listing = self.ls(path)
        except OSError as error:
            if callable(on_error):
                on_error(error)
            elif on_error == "raise" or not isinstance(error, FileNotFoundError):
                raise
            return
        folders = {_last(info): info for info in listing if info["type"] == "directory"}
        files = {
            "" if info["name"] == path else _last(info): info
            for info in listing
            if info["type"] == "file"
        }
        shown = (folders, files) if detail else (list(folders), list(files))
        if topdown:
            yield (path, *shown)
        if maxdepth is None or maxdepth > 1:
            # The caller may have taken names out of what was yielded.
            for name in list(shown[0] if topdown else folders):
                yield from self.walk(
                    folders[name]["name"],
                    None if maxdepth is None else maxdepth - 1,
                    topdown,
                    on_error,
                    detail=detail,
                )
        if not topdown:
            yield (path, *shown)

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """All files below a path, in order; the file itself for a file; none where nothing is.

        Without `maxdepth` it is one listing, and not one a directory.
        """
        path = self._strip_protocol(path)
        if maxdepth is None:
            found = self._all_below(path, withdirs)
        else:
            found = {}
            for _, folders, files in self.walk(path, maxdepth, detail=True):
                inside = (files | folders) if withdirs else files
                found.update({info["name"]: info for info in inside.values()})
        if withdirs and path not in found and path and self.isdir(path):
            found[path] = self.info(path)
        if not found and self.isfile(path):
            found[path] = self.info(path)
        names = sorted(found)
        return {name: found[name] for name in names} if detail else names

    def _all_below(self, path: str, withdirs: bool) -> dict[str, Info]:
        place = self.place(path, folder=True)
        found: dict[str, Info] = {}
        for meta in place.store.walk(place.ref):
            info = place.info(meta)
            found[info["name"]] = info
            if not withdirs:
                continue
            folder = meta.key.rpartition("/")[0]
            while len(folder) > len(place.key) and place.prefix + folder not in found:
                found[place.prefix + folder] = place.folder(folder)
                folder = folder.rpartition("/")[0]
        return found

    def du(
        self,
        path: str,
        total: bool = True,
        maxdepth: int | None = None,
        withdirs: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The bytes of all files below a path; with `total=False` those of each."""
        found = self.find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True)
        sizes = {name: info["size"] for name, info in found.items()}
        return sum(sizes.values()) if total else sizes


def holds_something(place: Place) -> bool:
    """Whether there is an object below a place."""
    token: str | None = None
    while True:
        page = place.store.list_page(place.ref, max_items=1, cursor=token)
        if page.objects:
            return True
        token = page.token
        if token is None:
            return False


def _name(info: Info) -> str:
    name: str = info["name"]
    return name


def _last(info: Info) -> str:
    return _name(info).rpartition("/")[2]
