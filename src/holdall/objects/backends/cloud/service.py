"""What is different between the clouds: the requests that obstore has no call for.

All of it blocks and sends one request a method, but where said; the store around it hands the
calls to the runtime. Keys here are whole: from the container, as the service sees them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

if TYPE_CHECKING:
    from holdall.core.errors import HoldallError
    from holdall.core.reference import Reference
    from holdall.objects.contract import Data
    from holdall.objects.options import GetOptions, SignOptions, WriteOptions
    from holdall.objects.results import Capabilities, SignedUrl


class Known(Struct, frozen=True, gc=False):
    """What a service says of an object.

    Args:
        key: Its key in the container.
        size: In bytes.
        modified_ns: When it was written, in nanoseconds since 1970 UTC.
        etag: As conditions name it, without quotes; empty where a server names none.
        content_type: Media type; None where there is none.
        metadata: As the service has it, with names and values still encoded.
        content_md5: Hexadecimal, where the service has one.
        storage_class: The service's name of it; None for the one that is meant when none is said.
        tags: None where they were not asked for.
    """

    key: str
    size: int
    modified_ns: int
    etag: str
    content_type: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    content_md5: str | None = None
    storage_class: str | None = None
    tags: dict[str, str] | None = None


class Listing(Struct, frozen=True, gc=False):
    """One page of a listing, as the service gives it.

    Args:
        found: Objects, in the service's order.
        folders: What the delimiter cut short, with the `/` at the end.
        token: Asks for the next page; None at the end.
        digest: Tells the objects and folders of a page from those of another one with the same
            prefix; empty where that was not asked for, or cannot be told.
        same: The digest is one of those that are known, so that both were left out. All of them
            come behind the key that was named.
    """

    found: Sequence[Known]
    folders: Sequence[str]
    token: str | None
    digest: bytes = b""
    same: bool = False


class Part(Struct, frozen=True):
    """A part of an upload, which the service has.

    Args:
        name: What the service calls it, to name it in the end.
        size: In bytes.
        md5: Hexadecimal MD5 of its bytes, as far as the service knows it.
    """

    name: str
    size: int
    md5: str = ""


class Service(ABC):
    """One service, and one container in it.

    Attributes:
        capabilities: What a store in it can do.
        driver: obstore's store for the container, which also knows the credentials.
        least_part: How many bytes each part but the last must have.
        most_parts: How many parts an upload may have.
        endpoint: Where it is, for errors.
        delete_batch: How many keys one request deletes.
        longest_url: For how many seconds a signed URL can hold; None for any time.
        etag_name: What stands for the etag in what obstore answers for a put or an object, which
            may have quotes around it.
        default_type: The content type that the service gives an object without one.
        puts_alone: Whether `put` must write every object, since obstore cannot.
        signs_bodies: Whether the SHA-256 of a part is sent along.
        tags_apart: Whether tags are asked for by a request of their own, and not a part of the
            metadata.
        reads_replaced: Whether a read that names an etag may find an object that has been replaced
            or deleted, which the container keeps.
    """

    capabilities: Capabilities
    driver: Any
    endpoint: str
    least_part: int
    most_parts: int
    delete_batch: int
    longest_url: int | None
    etag_name: Literal["e_tag", "version"]
    default_type: str
    puts_alone: bool
    signs_bodies: bool = False
    tags_apart: bool = True
    reads_replaced: bool = False

    @abstractmethod
    def attributes(self, options: WriteOptions) -> tuple[dict[str, str], dict[str, str]] | None:
        """What obstore sends along with an object: attributes and tags.

        None when obstore cannot send these, so that `put` must.

        Raises:
            LimitExceeded: The service takes fewer or shorter ones; names its limit.
        """

    @abstractmethod
    def put(self, ref: Reference, data: Data, options: WriteOptions) -> str:
        """Write an object; answer its etag."""

    @abstractmethod
    def condition(self, etag: str) -> dict[str, str]:
        """What obstore calls "only if it is this one"."""

    @abstractmethod
    def read_condition(self, etag: str) -> dict[str, str]:
        """What obstore calls "only if it is this one" of a read."""

    @abstractmethod
    def range_of(self, options: GetOptions) -> tuple[int, int] | dict[str, int] | None:
        """The range as obstore takes it; None when the size must be known before."""

    @abstractmethod
    def check_conditional(self, root: Reference) -> None:
        """Raise `Unsupported` when conditions do not hold there; asks the server once.

        Args:
            root: Where an object may be written to find out.
        """

    @abstractmethod
    def metadata(self, sent: dict[str, str]) -> dict[str, str]:
        """The user's pairs, of what the service has kept."""

    @abstractmethod
    def head(self, ref: Reference) -> Known:
        """Answer what is known of an object, without its tags."""

    @abstractmethod
    def tags(self, ref: Reference, known: Known) -> dict[str, str]:
        """Answer the tags of an object."""

    @abstractmethod
    def page(
        self,
        ref: Reference,
        prefix: str,
        delimiter: bool,
        most: int,
        token: str | None,
        after: str = "",
        known: frozenset[bytes] | None = None,
    ) -> Listing:
        """Answer one page of the objects whose key begins with the prefix.

        Args:
            ref: The prefix, for errors.
            prefix: What their keys begin with.
            delimiter: Whether folders stand for what is in them.
            most: How many entries the page has at most.
            token: Of the page before; None for the first one.
            after: What comes up to this key may be left out, as far as the service can; empty for
                nothing.
            known: Digests of pages that need not be read; None to be told none.
        """

    @abstractmethod
    def delete(self, refs: Sequence[Reference]) -> list[tuple[Reference, HoldallError]]:
        """Delete up to `delete_batch` objects; answer those that could not be deleted."""

    @abstractmethod
    def delete_same(self, ref: Reference, etag: str) -> None:
        """Delete an object if it is still this one."""

    @abstractmethod
    def copy(self, source: Known, from_ref: Reference, to_ref: Reference, create: bool) -> str:
        """Copy an object, if it is still this one, with all that is kept with it; answer its etag.

        The bytes stay in the service. As many requests as that takes. The etag is empty where a
        server does not say it.
        """

    @abstractmethod
    def begin(self, ref: Reference, options: WriteOptions, upload: str) -> str:
        """Begin an upload; answer what the service calls it."""

    @abstractmethod
    def put_part(
        self, ref: Reference, session: str, number: int, data: Data, sha256: str | None = None
    ) -> Part:
        """Write one part, numbered from 1.

        Args:
            ref: What it will be a part of.
            session: What the service calls the upload.
            number: Its place.
            data: Its bytes.
            sha256: Their SHA-256, hexadecimal, where it is known already.
        """

    @abstractmethod
    def parts(self, ref: Reference, session: str) -> list[Part]:
        """Answer the parts that the service has, in order; as many requests as that takes.

        Raises:
            NotFound: There is no such upload.
        """

    @abstractmethod
    def finish(
        self, ref: Reference, session: str, parts: Sequence[Part], options: WriteOptions
    ) -> str:
        """Make the parts the object; answer its etag."""

    @abstractmethod
    def tidy(self, ref: Reference, session: str) -> None:
        """Remove what is left of an upload that became the object; requests as in `drop`."""

    @abstractmethod
    def drop(self, ref: Reference, session: str) -> None:
        """Forget an upload and its parts; nothing happens when there is none.

        As many requests as that takes.
        """

    @abstractmethod
    def sign(self, ref: Reference, options: SignOptions) -> SignedUrl:
        """Answer a URL that lets its holder do one thing, and what it must send; no request."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""
