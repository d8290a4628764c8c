"""Settings of the cloud stores."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct, field

from holdall.core.errors import InvalidConfig
from holdall.core.secrets import Secret
from holdall.objects.options import PART_BYTES

_SIGNED = ("x-amz-", "x-ms-", "x-goog-")
_IN_REQUESTS = (
    "account_name", "bucket", "container", "endpoint", "host", "kms_key_id", "region",
    "sign_endpoint",
)  # fmt: skip
"""Settings that stand in the URL or a header of a request, where obstore panics over others."""
_URL = re.compile(r"https?://[\w\-.~:/?#\[\]@!$&'()*+,;=%]+\Z", re.ASCII | re.IGNORECASE)
_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+\Z", re.ASCII)  # RFC 9110, section 5.6.2
_OURS = {"authorization", "host", "content-length", "content-type", "range", "date"}


class CloudSettings(Struct, frozen=True, kw_only=True):
    """Settings that all cloud stores have.

    Args:
        prefix: What the keys of the store begin with, inside the container.
        endpoint: The service's URL; None for what the environment names (`AWS_ENDPOINT_URL_S3`
            or `AWS_ENDPOINT_URL`, `STORAGE_EMULATOR_HOST` for Google), else the cloud's own.
        sign_endpoint: The service's URL in signed URLs, where those who use them reach it by
            another one; they are as a store opened with this `endpoint` signs them.
        use_ssl: Whether an endpoint without a scheme is reached by HTTPS.
        ca_file: Path of a file of certificates to trust, PEM.
        anonymous: Whether requests are sent without credentials, for public objects.
        timeout: How long a request may stand still.
        connect_timeout: How long to wait for a connection.
        part_size: How many bytes a part of an upload has; parts grow when there are many.
        single_size: Up to how many bytes an object is written by one request.
        workers: How many requests one call sends at once.
        headers: Go with every request, for a gateway in between: no header of the service's
            own (`x-amz-…`, `x-ms-…`, `x-goog-…`), which would have to be signed.
        idle_connections: How many unused connections to a host are kept; None for as many as
            the clients keep by themselves.
        check: Whether opening asks the service once, so that a wrong name, address or
            credential is found there.
    """

    prefix: str = ""
    endpoint: str | None = None
    sign_endpoint: str | None = None
    use_ssl: bool = True
    ca_file: str | None = None
    anonymous: bool = False
    timeout: timedelta = timedelta(seconds=30)
    connect_timeout: timedelta = timedelta(seconds=5)
    part_size: int = PART_BYTES
    single_size: int = 2 * PART_BYTES
    workers: int = 8
    headers: dict[str, str] = field(default_factory=dict)
    idle_connections: int | None = None
    check: bool = True

    def __post_init__(self) -> None:
        for name in _IN_REQUESTS:
            text = getattr(self, name, None)
            # It is not shown: a secret may stand in it.
            if text and (not text.isprintable() or " " in text):
                raise InvalidConfig(f"{name} holds a space, a line break or the like")
        for name in ("endpoint", "sign_endpoint"):
            if getattr(self, name):
                check_url(name, url_of(getattr(self, name), self.use_ssl))
        for name in ("timeout", "connect_timeout"):
            if getattr(self, name) < timedelta(milliseconds=1):
                raise InvalidConfig(f"{name} must be at least 1 ms")
        for name, value in self.headers.items():
            if name.lower().startswith(_SIGNED) or name.lower() in _OURS:
                raise ValueError(f"headers: {name!r} belongs to the service, or to the request")
            if not name.isascii() or not value.isascii() or not (name + value).isprintable():
                raise ValueError(f"headers: {name!r} is not plain ASCII on one line")
            if not _TOKEN.match(name):
                raise ValueError(f"headers: {name!r} is no name of a header")
        if self.idle_connections is not None and self.idle_connections < 1:
            raise ValueError(f"idle_connections is {self.idle_connections}: below 1")


def check_url(setting: str, url: str) -> None:
    """Raise `InvalidConfig` for a URL that no request can be sent to; it is not shown.

    Args:
        setting: Where it stands.
        url: As `url_of` answers it.
    """
    try:
        parts = urlsplit(url)
        fit = bool(_URL.match(url) and parts.hostname) and parts.port != 0
    except ValueError:
        fit = False
    if not fit:
        raise InvalidConfig(
            f"{setting} is no URL: it needs a host, perhaps a port, and other characters than "
            "those of URLs encoded"
        )


def url_of(endpoint: str, use_ssl: bool) -> str:
    """The URL that an endpoint stands for, without a `/` at its end.

    Args:
        endpoint: A URL, or what follows its scheme.
        use_ssl: Whether that scheme is HTTPS, where there is none.
    """
    if "://" not in endpoint:
        endpoint = f"{'https' if use_ssl else 'http'}://{endpoint}"
    return endpoint.rstrip("/")


class S3Settings(CloudSettings, frozen=True, kw_only=True):
    """Settings of `s3://`.

    Args:
        bucket: The bucket.
        region: Where it is; None for `AWS_REGION` or `AWS_DEFAULT_REGION`, else `us-east-1`.
        path_style: Whether the bucket stands in the path and not in the host; None for the path
            where an endpoint is given.
        access_key: The access key's id.
        secret_key: The access key's secret.
        session_token: Of a temporary access key.
        profile: The profile of AWS's configuration files whose credentials to use.
        encryption: Server-side encryption of what is written: `AES256`, `aws:kms` or
            `aws:kms:dsse`.
        kms_key_id: The key that `aws:kms` uses.
        probe: Whether a server that is not AWS is tried before conditions are relied on.
    """

    bucket: str
    region: str | None = None
    path_style: bool | None = None
    access_key: Secret | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    profile: str | None = None
    encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = None
    kms_key_id: str | None = None
    probe: bool = True


class AzureSettings(CloudSettings, frozen=True, kw_only=True):
    """Settings of `az://` and `abfs[s]://`.

    The first of these that is given counts: connection string, account key, SAS token, managed
    identity.

    Args:
        container: The container.
        account_name: The storage account.
        connection_string: Account, key and endpoint in one text, as the portal shows it.
        account_key: The account's key.
        sas_token: A shared access signature.
        use_managed_identity: Whether to ask the machine's own identity.
        client_id: Which identity, where the machine has several.
        scheme: How references of the store begin: `az`, `abfs` or `abfss`.
        host: The host in references that begin with `abfs`.
    """

    container: str
    account_name: str | None = None
    connection_string: Secret | None = None
    account_key: Secret | None = None
    sas_token: Secret | None = None
    use_managed_identity: bool = False
    client_id: str | None = None
    scheme: Literal["az", "abfs", "abfss"] = "az"
    host: str = ""


class GoogleSettings(CloudSettings, frozen=True, kw_only=True):
    """Settings of `gs://`.

    Args:
        bucket: The bucket.
        token: A bearer token.
        service_account: Path of the key file of a service account.
        service_account_key: The content of such a file.
    """

    bucket: str
    token: Secret | None = None
    service_account: str | None = None
    service_account_key: Secret | None = None
