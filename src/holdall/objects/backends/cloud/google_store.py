"""The store of `gs://`: its settings, its address, its requests."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, final
from urllib.parse import quote, urlsplit

import msgspec

from holdall.core.errors import Unsupported
from holdall.objects.backends.cloud import driving, google_signing
from holdall.objects.backends.cloud.google import GoogleService
from holdall.objects.backends.cloud.google_access import Signer, access_of
from holdall.objects.backends.cloud.prefixes import root_of
from holdall.objects.backends.cloud.requests import Requests
from holdall.objects.backends.cloud.settings import GoogleSettings, url_of
from holdall.objects.backends.cloud.sigv4 import query_text
from holdall.objects.backends.cloud.store import CloudStore
from holdall.objects.results import SignedUrl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec import Struct

    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime
    from holdall.objects.backends.cloud.credentials import Credentials
    from holdall.objects.backends.cloud.http import Http, Response
    from holdall.objects.contract import Data
    from holdall.objects.options import SignOptions

_ENDPOINT = "https://storage.googleapis.com"


@final
class GoogleRequests(Requests):
    """Requests to the JSON API, whose `key` is the whole path.

    Args:
        http: The connections.
        root: The bucket's address, for errors.
        endpoint: The service's URL.
        bucket: The bucket's name.
        credentials: The bearer token; None for public objects.
        signer: The account whose key signs URLs; None where there is none.
        public: The service's URL in signed URLs, where it is another one.

    Attributes:
        objects: The path of the bucket's objects.
        host: Host and port of the service.
    """

    def __init__(
        self,
        http: Http,
        root: Reference,
        endpoint: str,
        bucket: str,
        credentials: Credentials[str] | None,
        signer: Signer | None,
        public: str | None = None,
    ) -> None:
        super().__init__(http, root, endpoint)
        self.objects = f"/storage/v1/b/{quote(bucket, safe='')}/o"
        self.host = urlsplit(endpoint).netloc
        self._public = public or endpoint
        self._bucket = bucket
        self._credentials = credentials
        self._signer = signer

    def path(self, key: str) -> str:
        """The path of an object within the API."""
        return f"/b/{quote(self._bucket, safe='')}/o/{quote(key, safe='')}"

    def prepared(
        self, method: str, key: str, query: Mapping[str, str], headers: dict[str, str], body: Data
    ) -> tuple[str, dict[str, str]]:
        text = query_text(query)
        if self._credentials is not None:
            headers["authorization"] = f"Bearer {self._credentials.current()}"
        return f"{self.endpoint}{key}{'?' if text else ''}{text}", headers

    def related(self, described: bytes, data: Data, content_type: str | None) -> tuple[bytes, str]:
        """What is known of an object and its bytes, in one body; and the body's content type."""
        boundary = f"holdall-{uuid.uuid4().hex}"
        media = content_type or "application/octet-stream"
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
            f"{described.decode()}\r\n--{boundary}\r\nContent-Type: {media}\r\n\r\n"
        )
        body = b"".join((head.encode(), data, f"\r\n--{boundary}--\r\n".encode()))
        return body, f"multipart/related; boundary={boundary}"

    def presign(self, key: str, options: SignOptions) -> SignedUrl:
        if self._signer is None:
            raise Unsupported(
                f"{self.root}: only the key of a service account signs URLs here, and the store "
                "was opened with something else (the setting 'service_account')",
                reference=self.root,
            )
        path = f"/{self._bucket}/{self.quoted(key)}"
        headers = self.signed_headers(options)
        query = google_signing.presign(
            options.method,
            urlsplit(self._public).netloc,
            path,
            {name.lower(): text for name, text in headers.items()},
            self._signer.email,
            self._signer.sign,
            datetime.now(UTC),
            int(options.expires),
        )
        return SignedUrl(f"{self._public}{path}?{query}", headers)

    def said(self, response: Response) -> tuple[str, str]:
        try:
            error = msgspec.json.decode(response.body)["error"]
            message = str(error["message"])
        except (msgspec.MsgspecError, KeyError, TypeError):
            return "", ""
        # A missing bucket and a missing object differ in the text alone.
        missing = response.status == 404 and "bucket" in message.lower()
        return "NoSuchBucket" if missing else "", message.partition("\n")[0]


@final
class GoogleStore(CloudStore):
    """Objects of a bucket in Google Cloud Storage."""

    settings_type = GoogleSettings

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> GoogleStore:
        assert isinstance(settings, GoogleSettings)
        obstore = driving.load("cloud")
        root = root_of("gs", settings.bucket, settings.prefix)
        where = settings.endpoint or driving.named("STORAGE_EMULATOR_HOST")
        settings = msgspec.structs.replace(settings, endpoint=where)
        endpoint = url_of(where or _ENDPOINT, settings.use_ssl)
        credentials, signer = access_of(settings)
        provider = None if credentials is None else driving.Provider(credentials, _shape)
        driver = obstore.store.GCSStore(
            settings.bucket,
            base_url=endpoint,
            client_options=driving.client_options(settings, endpoint),
            retry_config=driving.NO_RETRY,
            **driving.access(provider),
        )
        public = settings.sign_endpoint and url_of(settings.sign_endpoint, settings.use_ssl)
        requests = GoogleRequests(
            driving.http(settings), root, endpoint, settings.bucket, credentials, signer, public
        )
        prefix = f"{root.key}/" if root.key else ""
        service = GoogleService(requests, driver, prefix, sign=signer is not None)
        return cls.opened(root, settings, runtime, service, provider)

    @classmethod
    def settings_of(cls, reference: Reference) -> Mapping[str, Any]:
        return {"bucket": reference.container, "prefix": reference.key}

    @property
    def type(self) -> str:
        return "gs"

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        return self.root.container


def _shape(token: str) -> dict[str, Any]:
    return {"token": token}
