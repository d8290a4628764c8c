"""Requests of our own to the services, signed with the same credentials as obstore's."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from holdall.core.errors import HoldallError, LimitExceeded, Unsupported
from holdall.objects.backends.cloud.faults import Asked, answered, lost
from holdall.objects.backends.cloud.words import quoted_etag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdall.core.reference import Reference
    from holdall.objects.backends.cloud.http import Http, Response
    from holdall.objects.contract import Data
    from holdall.objects.options import SignOptions, WriteOptions
    from holdall.objects.results import SignedUrl

_KEY_SAFE = "/-_.~"


class Requests(ABC):
    """Sends requests to one container.

    Args:
        http: The connections.
        root: The container's address, for errors.
        endpoint: The service's URL, for errors.
    """

    def __init__(self, http: Http, root: Reference, endpoint: str) -> None:
        self._http = http
        self.root = root
        self.endpoint = endpoint

    @abstractmethod
    def prepared(
        self, method: str, key: str, query: Mapping[str, str], headers: dict[str, str], body: Data
    ) -> tuple[str, dict[str, str]]:
        """URL and headers of a request, with what tells the service who asks.

        Args:
            method: The verb.
            key: What about; empty for the container.
            query: Not encoded.
            headers: Names in small letters; may be changed.
            body: What is sent.
        """

    @abstractmethod
    def presign(self, key: str, options: SignOptions) -> SignedUrl:
        """A URL that needs no other credential, and what goes with it; no request."""

    def send(
        self,
        method: str,
        key: str,
        asked: Asked,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Data = b"",
    ) -> Response:
        """Send a request and read its answer.

        Raises:
            HoldallError: The answer is an error, or there was none.
        """
        url, signed = self.prepared(method, key, query or {}, dict(headers or {}), body)
        try:
            response = self._http.send(method, url, signed, body)
        except HoldallError as error:
            about = type(error)(
                f"{asked.ref}: {error.message}", reference=asked.ref, transient=error.transient
            )
            raise (lost(about, asked) if error.uncertain else about) from error
        if response.status >= 300:
            code, message = self.said(response)
            fault = answered(response.status, code, message, asked)
            fault.retry_after = response.retry_after
            raise fault
        return response

    def said(self, response: Response) -> tuple[str, str]:
        """Code and message of an error."""
        code = response.headers.get("x-ms-error-code", "")
        if not response.body.lstrip().startswith(b"<"):
            return code, ""
        try:
            root = ElementTree.fromstring(response.body)  # noqa: S314 - see `xml.parsed`
        except ElementTree.ParseError:
            return code, ""
        found = {child.tag.rpartition("}")[2]: child.text or "" for child in root}
        return code or found.get("Code", ""), found.get("Message", "").split("\n")[0]

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    @staticmethod
    def quoted(key: str) -> str:
        """A key in the path of a URL."""
        return quote(key, safe=_KEY_SAFE)

    @staticmethod
    def form(pairs: Mapping[str, str]) -> str:
        """Pairs as a header carries them."""
        return urlencode(pairs, quote_via=quote)

    @staticmethod
    def md5(body: bytes) -> str:
        """A digest as the header Content-MD5 carries it."""
        return b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()

    @staticmethod
    def signed_headers(options: SignOptions) -> dict[str, str]:
        """What the client must send with a signed URL, for its signature to hold."""
        headers: dict[str, str] = {}
        if options.content_type is not None:
            headers["Content-Type"] = options.content_type
        if options.content_md5 is not None:
            headers["Content-MD5"] = b64encode(bytes.fromhex(options.content_md5)).decode()
        return headers


def check_method(options: SignOptions, reference: Reference) -> None:
    """Raise `Unsupported` for a method that no URL is signed for."""
    if options.method not in {"GET", "PUT", "DELETE"}:
        raise Unsupported(
            f"{reference}: a URL is signed for GET, PUT or DELETE, and not for {options.method!r}",
            reference=reference,
        )


def check_expiry(options: SignOptions, longest: int | None, reference: Reference) -> None:
    """Raise `LimitExceeded` when a URL could not hold for so long.

    Args:
        options: What the URL allows, and for how long.
        longest: How many seconds the service takes at most; None for any.
        reference: What the URL is of.
    """
    if options.expires < 1 or (longest is not None and options.expires > longest):
        most = "" if longest is None else f" and at most {longest / 86400:g} days"
        raise LimitExceeded(
            f"{reference}: a URL for {options.expires:g} s cannot be signed; it holds for at "
            f"least 1 s{most} (expires)",
            reference=reference,
        )


def conditions_of(options: WriteOptions) -> dict[str, str]:
    """The conditions of a write as headers of HTTP (RFC 9110, section 13.1)."""
    if options.if_none_match is not None:
        return {"if-none-match": "*"}
    return {} if options.if_match is None else {"if-match": quoted_etag(options.if_match)}


def etag_of(response: Response) -> str:
    """The etag that an answer names, without quotes."""
    return response.headers["etag"].strip('"')
