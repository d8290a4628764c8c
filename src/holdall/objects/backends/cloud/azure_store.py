"""The store of `az://` and `abfs[s]://`: its settings, its address, its requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, final
from urllib.parse import quote, urlsplit

from holdall.core.errors import Unsupported
from holdall.objects.backends.cloud import driving, xml
from holdall.objects.backends.cloud.azure import AzureService
from holdall.objects.backends.cloud.azure_access import (
    Access,
    Account,
    Bearer,
    SharedAccess,
    SharedKey,
    account_of,
)
from holdall.objects.backends.cloud.prefixes import root_of
from holdall.objects.backends.cloud.requests import Requests
from holdall.objects.backends.cloud.settings import AzureSettings, url_of
from holdall.objects.backends.cloud.shared_key import (
    VERSION,
    authorization,
    http_date,
    sas,
    sas_pairs,
)
from holdall.objects.backends.cloud.store import CloudStore
from holdall.objects.results import SignedUrl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from msgspec import Struct

    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime
    from holdall.objects.backends.cloud.http import Http
    from holdall.objects.contract import Data
    from holdall.objects.options import SignOptions


@final
class AzureRequests(Requests):
    """Requests to one container.

    Args:
        http: The connections.
        root: The container's address, for errors.
        account: The account, and how to enter.
        container: The container's name.
        public: The account's URL in signed URLs, where it is another one.
    """

    def __init__(
        self,
        http: Http,
        root: Reference,
        account: Account,
        container: str,
        public: str | None = None,
    ) -> None:
        super().__init__(http, root, account.endpoint)
        parts = urlsplit(account.endpoint)
        self._account = account
        self._container = container
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._path = f"{parts.path}/{self.quoted(container)}"
        self._public = f"{public or account.endpoint}/{self.quoted(container)}"

    def prepared(
        self, method: str, key: str, query: Mapping[str, str], headers: dict[str, str], body: Data
    ) -> tuple[str, dict[str, str]]:
        headers["x-ms-version"] = VERSION
        return self._prepared(method, self._path_of(key), query, headers, len(body))

    def _prepared(
        self, method: str, path: str, query: Mapping[str, str], headers: dict[str, str], size: int
    ) -> tuple[str, dict[str, str]]:
        headers["x-ms-date"] = http_date(datetime.now(UTC))
        account = self._account
        access = None if account.credentials is None else account.credentials.current()
        if isinstance(access, SharedAccess):
            query = {**query, **sas_pairs(access.token)}
        elif isinstance(access, Bearer):
            headers["authorization"] = f"Bearer {access.token}"
        elif isinstance(access, SharedKey):
            headers["authorization"] = authorization(
                method, path, query, headers, size, account.name, access.key
            )
        text = "&".join(f"{name}={quote(query[name], safe='')}" for name in sorted(query))
        return f"{self._origin}{path}{'?' if text else ''}{text}", headers

    def _path_of(self, key: str) -> str:
        return f"{self._path}/{self.quoted(key)}" if key else self._path

    def source(self, key: str) -> str:
        url = f"{self._origin}{self._path_of(key)}"
        credentials = self._account.credentials
        access = None if credentials is None else credentials.current()
        return f"{url}?{access.token}" if isinstance(access, SharedAccess) else url

    def batch(self, method: str, keys: Sequence[str]) -> tuple[bytes, str]:
        """Many requests in the body of one, each signed for itself."""
        requests = []
        for key in keys:
            url, headers = self._prepared(method, self._path_of(key), {}, {}, 0)
            target = url[len(self._origin) :]
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            requests.append(f"{method} {target} HTTP/1.1\r\n{lines}Content-Length: 0\r\n")
        return xml.batch_of(requests)

    def presign(self, key: str, options: SignOptions) -> SignedUrl:
        credentials = self._account.credentials
        access = None if credentials is None else credentials.current()
        if not isinstance(access, SharedKey):
            raise Unsupported(
                f"{self.root}: only an account's key signs URLs here, and the store was opened "
                "with something else (the setting 'account_key')",
                reference=self.root,
            )
        if options.content_type is not None or options.content_md5 is not None:
            raise Unsupported(
                f"{self.root}: Azure signs no header of what a URL writes, so that its holder "
                "could send another type and other bytes: leave out content_type and content_md5",
                reference=self.root,
            )
        expiry = datetime.now(UTC) + timedelta(seconds=options.expires)
        query = sas(
            options.method, self._account.name, self._container, key, access.key, expiry,
            https=self._public.startswith("https:"),
        )  # fmt: skip
        blob = {"x-ms-blob-type": "BlockBlob"} if options.method == "PUT" else {}
        return SignedUrl(f"{self._public}/{self.quoted(key)}?{query}", blob)


@final
class AzureStore(CloudStore):
    """Objects of a container in Azure Blob Storage."""

    settings_type = AzureSettings
    _account: Account

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> AzureStore:
        assert isinstance(settings, AzureSettings)
        obstore = driving.load("cloud")
        account = account_of(settings)
        root = root_of(settings.scheme, settings.container, settings.prefix, settings.host)
        credentials = account.credentials
        provider = None if credentials is None else driving.Provider(credentials, _shape)
        driver = obstore.store.AzureStore(
            settings.container,
            account_name=account.name,
            endpoint=account.endpoint,
            client_options=driving.client_options(settings, account.endpoint),
            retry_config=driving.NO_RETRY,
            **driving.access(provider),
        )
        public = settings.sign_endpoint and url_of(settings.sign_endpoint, settings.use_ssl)
        requests = AzureRequests(driving.http(settings), root, account, settings.container, public)
        prefix = f"{root.key}/" if root.key else ""
        service = AzureService(requests, driver, prefix, sign=account.signs)
        store = cls.opened(root, settings, runtime, service, provider)
        store._account = account
        return store

    @classmethod
    def settings_of(cls, reference: Reference) -> Mapping[str, Any]:
        found: dict[str, Any] = {"container": reference.container, "prefix": reference.key}
        if reference.scheme != "az":
            found["scheme"] = reference.scheme
        if reference.host:
            found |= {"host": reference.host, "account_name": reference.host.partition(".")[0]}
        return found

    @property
    def type(self) -> str:
        return "az"

    @property
    def container(self) -> str:
        """The name of the container."""
        return self.root.container

    @property
    def account_name(self) -> str:
        """The storage account."""
        return self._account.name


def _shape(access: Access) -> dict[str, Any]:
    if isinstance(access, SharedKey):
        return {"access_key": access.key}
    if isinstance(access, SharedAccess):
        return {"sas_token": access.token}
    return {"token": access.token}
