"""The store of `s3://`: its settings, its address, its requests."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, final
from urllib.parse import urlsplit

from msgspec import structs

from holdall.core.errors import InvalidConfig
from holdall.objects.backends.cloud import aws, driving
from holdall.objects.backends.cloud.prefixes import root_of
from holdall.objects.backends.cloud.requests import Requests
from holdall.objects.backends.cloud.s3 import S3Service
from holdall.objects.backends.cloud.settings import S3Settings, check_url, url_of
from holdall.objects.backends.cloud.sigv4 import (
    DIGEST,
    UNSIGNED,
    Key,
    presign,
    query_text,
    sign_headers,
)
from holdall.objects.backends.cloud.store import CloudStore
from holdall.objects.results import SignedUrl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec import Struct

    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime
    from holdall.objects.backends.cloud.credentials import Credentials
    from holdall.objects.backends.cloud.http import Http
    from holdall.objects.contract import Data
    from holdall.objects.options import SignOptions

_REGION = "us-east-1"
# They stand in the URL as they are, over which obstore panics; Ceph writes `tenant:bucket`.
_NAME = re.compile(r"[\w.:-]+\Z", re.ASCII)


@final
class S3Requests(Requests):
    """Requests to one bucket, signed by an access key.

    Args:
        http: The connections.
        root: The bucket's address, for errors.
        endpoint: The service's URL, for errors.
        base: The bucket's URL.
        bucket: Its name.
        region: Where it is.
        credentials: The access key; None to sign nothing.
        public: The bucket's URL in signed URLs, where it is another one.

    Attributes:
        signs_bodies: Whether a large body is hashed, for its signature.
    """

    def __init__(
        self,
        http: Http,
        root: Reference,
        endpoint: str,
        base: str,
        bucket: str,
        region: str,
        credentials: Credentials[Key] | None,
        public: str | None = None,
    ) -> None:
        super().__init__(http, root, endpoint)
        parts = urlsplit(base)
        self._public = urlsplit(public or base)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.netloc
        self._path = parts.path
        self._bucket = bucket
        self._region = region
        self._credentials = credentials
        self._encrypted = parts.scheme == "https"
        self.signs_bodies = credentials is not None and not self._encrypted

    def prepared(
        self, method: str, key: str, query: Mapping[str, str], headers: dict[str, str], body: Data
    ) -> tuple[str, dict[str, str]]:
        path = f"{self._path}/{self.quoted(key)}"
        text = query_text(query)
        url = f"{self._origin}{path}?{text}" if text else f"{self._origin}{path}"
        if self._credentials is None:
            return url, headers
        # Under TLS nobody can change a large body on the way, and hashing it costs as much as
        # sending it.
        payload = UNSIGNED if self._encrypted and len(body) > 65536 else headers.get(DIGEST)
        payload = payload or hashlib.sha256(body).hexdigest()
        access, now = self._credentials.current(), datetime.now(UTC)
        return url, sign_headers(
            method, self._host, path, text, headers, payload, access, self._region, now
        )

    def presign(self, key: str, options: SignOptions) -> SignedUrl:
        host, path = self._public.netloc, f"{self._public.path}/{self.quoted(key)}"
        url = f"{self._public.scheme}://{host}{path}"
        headers = self.signed_headers(options)
        if self._credentials is None:
            return SignedUrl(url, headers)
        query = presign(
            options.method,
            host,
            path,
            {name.lower(): text for name, text in headers.items()},
            self._credentials.current(),
            self._region,
            datetime.now(UTC),
            int(options.expires),
        )
        return SignedUrl(f"{url}?{query}", headers)

    def source(self, key: str) -> str:
        return self.quoted(f"{self._bucket}/{key}")


@final
class S3Store(CloudStore):
    """Objects of a bucket, in Amazon S3 or on a server of its protocol."""

    settings_type = S3Settings

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> S3Store:
        assert isinstance(settings, S3Settings)
        obstore = driving.load("s3")
        # What the environment names becomes a setting, so that a process with another
        # environment opens the same place.
        region = settings.region or driving.named("AWS_REGION", "AWS_DEFAULT_REGION") or _REGION
        where = settings.endpoint or driving.named("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
        settings = structs.replace(settings, region=region, endpoint=where)
        root = root_of("s3", settings.bucket, settings.prefix)
        endpoint, base = _addresses(settings)
        public = structs.replace(settings, endpoint=settings.sign_endpoint or settings.endpoint)
        given = partial(_key, settings) if _key(settings) is not None else None
        credentials = None if settings.anonymous else aws.find(given, settings.profile)
        provider = None if credentials is None else driving.Provider(credentials, _shape)
        driver = obstore.store.S3Store(
            settings.bucket,
            region=region,
            endpoint=base if _in_host(settings) else endpoint,
            virtual_hosted_style_request=_in_host(settings),
            client_options=driving.client_options(settings, endpoint),
            retry_config=driving.NO_RETRY,
            **driving.access(provider),
            **_encryption(settings),
        )
        requests = S3Requests(
            driving.http(settings), root, endpoint, base, settings.bucket, region,
            credentials, _addresses(public)[1],
        )  # fmt: skip
        service = S3Service(
            requests,
            driver,
            extra=_encryption_headers(settings),
            probes=settings.probe and settings.endpoint is not None,
        )
        return cls.opened(root, settings, runtime, service, provider)

    @classmethod
    def settings_of(cls, reference: Reference) -> Mapping[str, Any]:
        found: dict[str, Any] = {"bucket": reference.container, "prefix": reference.key}
        if reference.userinfo is not None:
            name, colon, secret = reference.userinfo.reveal().partition(":")
            if not colon:
                raise InvalidConfig(f"{reference}: write s3://key:secret@bucket/…")
            found |= {"access_key": name, "secret_key": secret}
        return found

    @property
    def type(self) -> str:
        return "s3"

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        return self.root.container

    @property
    def region(self) -> str:
        """Where the bucket is."""
        assert isinstance(self.settings, S3Settings)
        return self.settings.region or _REGION

    def get_s3_path(self, key: str) -> str:
        """The address of a key, such as `s3://bucket/prefix/key`.

        Raises:
            InvalidKey: It breaks a rule of keys.
        """
        return str(self.root.child(key))


def _in_host(settings: S3Settings) -> bool:
    """Whether the bucket stands in the host."""
    if settings.path_style is not None:
        return not settings.path_style
    # A name with a dot does not fit the certificate of the host.
    return settings.endpoint is None and "." not in settings.bucket


def _addresses(settings: S3Settings) -> tuple[str, str]:
    """The URL of the service, and the one of the bucket."""
    for name in ("bucket", "region"):
        if not _NAME.match(getattr(settings, name)):
            raise InvalidConfig(
                f"the setting {name!r} holds other characters than letters, digits, '.', '_', '-' "
                "and ':'"
            )
    service = f"https://s3.{settings.region}.amazonaws.com"
    endpoint = url_of(settings.endpoint or service, settings.use_ssl)
    if not _in_host(settings):
        return endpoint, f"{endpoint}/{settings.bucket}"
    scheme, _, host = endpoint.partition("://")
    base = f"{scheme}://{settings.bucket}.{host}"
    check_url("bucket", base)
    return endpoint, base


def _key(settings: S3Settings) -> Key | None:
    name, secret, token = settings.access_key, settings.secret_key, settings.session_token
    if name is None and secret is None:
        return None
    if name is None or secret is None:
        given, missing = ("access_key", "secret_key") if secret is None else (
            "secret_key", "access_key",
        )  # fmt: skip
        raise InvalidConfig(f"the setting {given!r} is given, and {missing!r} is missing")
    return Key(name.reveal(), secret.reveal(), None if token is None else token.reveal())


def _shape(key: Key) -> dict[str, Any]:
    return {"access_key_id": key.id, "secret_access_key": key.secret, "token": key.token}


def _encryption(settings: S3Settings) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if settings.encryption is not None:
        found["server_side_encryption"] = settings.encryption
    if settings.kms_key_id is not None:
        found["sse_kms_key_id"] = settings.kms_key_id
    return found


def _encryption_headers(settings: S3Settings) -> dict[str, str]:
    found: dict[str, str] = {}
    if settings.encryption is not None:
        found["x-amz-server-side-encryption"] = settings.encryption
    if settings.kms_key_id is not None:
        found["x-amz-server-side-encryption-aws-kms-key-id"] = settings.kms_key_id
    return found
