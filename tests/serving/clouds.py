"""Servers that speak the protocols of S3, Azure Blob Storage and Google Cloud Storage."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPResponse
from itertools import count
from pathlib import Path
from typing import Any

from serving import commands
from serving.process import HOST, Running, running

# The account of every azurite; its key is published and opens nothing else.
_AZURE_ACCOUNT = "devstoreaccount1"
_AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
_AZURE_VERSION = "2021-12-02"

_number = count(1)


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server of the S3 protocol, which wants path-style requests.

    Attributes:
        running: Its process.
        endpoint: Its URL, without a trailing slash.
        access_key_id: Half of the credential.
        secret_access_key: The other half.
        region: What a signature must name.
    """

    running: Running
    endpoint: str
    access_key_id: str
    secret_access_key: str
    region: str = "us-east-1"

    def make_container(self, name: str) -> str:
        """Make an empty bucket and return its name: the given one and a number."""
        bucket = _fresh(name)
        self.client().create_bucket(Bucket=bucket)
        return bucket

    def client(self) -> Any:
        """A boto3 client, which judges what Holdall has done."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name=self.region,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
            ),
        )


@dataclass(frozen=True, slots=True)
class AzureServer:
    """A server of the protocol of Azure Blob Storage.

    Attributes:
        running: Its process.
        endpoint: Its URL, with the account as the only segment of its path.
        account_name: The account.
        account_key: Its key, in base 64.
    """

    running: Running
    endpoint: str
    account_name: str
    account_key: str

    @property
    def connection_string(self) -> str:
        """All of it in the form that Azure's own tools take."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account_name};"
            f"AccountKey={self.account_key};BlobEndpoint={self.endpoint};"
        )

    def make_container(self, name: str) -> str:
        """Make an empty container and return its name: the given one and a number."""
        container = _fresh(name)
        status, body = self.request("PUT", f"/{container}", {"restype": "container"})
        assert status == 201, body
        return container

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Send a request signed with the account's key; return its status and body.

        Args:
            method: The verb.
            path: What follows the endpoint, as in `/container/blob`.
            query: Parameters of the URL, whose values need no encoding.
            body: What is sent.
            headers: Those whose names begin with `x-ms-`, in lower case; the signature has no
                room here for others.
        """
        query = dict(query or {})
        sent = {
            "x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "x-ms-version": _AZURE_VERSION,
        } | dict(headers or {})
        resource = f"/{self.account_name}/{self.account_name}{path}"
        lines = [method, "", "", str(len(body) or ""), *[""] * 8]
        lines += [f"{key}:{sent[key]}" for key in sorted(sent)]
        lines += [resource, *(f"{key}:{query[key]}" for key in sorted(query))]
        key = base64.b64decode(self.account_key)
        digest = hmac.digest(key, "\n".join(lines).encode(), hashlib.sha256)
        signature = base64.b64encode(digest).decode()
        sent["Authorization"] = f"SharedKey {self.account_name}:{signature}"
        target = f"/{self.account_name}{path}"
        if query:
            target += "?" + "&".join(f"{name}={value}" for name, value in query.items())
        return ask(self.running.port, method, target, body, sent)


@dataclass(frozen=True, slots=True)
class GoogleServer:
    """A server of both protocols of Google Cloud Storage, JSON and XML; it checks no token.

    Attributes:
        running: Its process.
        endpoint: Its URL, without a trailing slash.
        bearer_token: What a client shows, lest it asks the network for a token of its own.
    """

    running: Running
    endpoint: str
    bearer_token: str = "any"

    def make_container(self, name: str, *, versioned: bool = False) -> str:
        """Make an empty bucket and return its name: the given one and a number.

        One that is versioned keeps the objects that are replaced or deleted.
        """
        bucket = _fresh(name)
        status, body = ask(
            self.running.port,
            "POST",
            "/storage/v1/b?project=tests",
            json.dumps({"name": bucket, "versioning": {"enabled": versioned}}).encode(),
            {"Content-Type": "application/json"},
        )
        assert status == 200, body
        return bucket


@contextmanager
def moto(folder: Path) -> Iterator[S3Server]:
    """Run moto, which knows most of S3 and checks no signature."""
    command = commands.moto()
    with running(
        "moto",
        lambda port: [*command, "-H", HOST, "-p", str(port)],
        lambda port: ask(port, "GET", "/moto-api/")[0] == 200,
        folder=folder,
    ) as process:
        yield S3Server(process, f"http://{HOST}:{process.port}", "testing", "testing-secret")


@contextmanager
def versity(folder: Path, port: int | None = None) -> Iterator[S3Server]:
    """Run versitygw, which checks signatures and keeps its objects as files.

    One that was stopped goes on with the same folder and port.
    """
    command = commands.versity()
    access, secret = "versity-access", "versity-secret"
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    with running(
        "versitygw",
        lambda port: [*command, "--port", f"{HOST}:{port}", "posix", data],
        lambda port: ask(port, "GET", "/")[0] == 403,
        folder=folder,
        environment={"ROOT_ACCESS_KEY": access, "ROOT_SECRET_KEY": secret},
        port=port,
    ) as process:
        yield S3Server(process, f"http://{HOST}:{process.port}", access, secret)


@contextmanager
def azurite(folder: Path) -> Iterator[AzureServer]:
    """Run azurite's blob service, which checks signatures."""
    command = commands.azurite()
    with running(
        "azurite",
        lambda port: [
            *command,
            *("--blobHost", HOST, "--blobPort", str(port)),
            *("--silent", "--skipApiVersionCheck", "--inMemoryPersistence"),
            *("--disableTelemetry", "--disableProductStyleUrl"),
        ],
        lambda port: ask(port, "GET", f"/{_AZURE_ACCOUNT}?comp=list")[0] == 403,
        folder=folder,
    ) as process:
        endpoint = f"http://{HOST}:{process.port}/{_AZURE_ACCOUNT}"
        yield AzureServer(process, endpoint, _AZURE_ACCOUNT, _AZURE_KEY)


@contextmanager
def google(folder: Path) -> Iterator[GoogleServer]:
    """Run fake-gcs-server, with its objects in memory."""
    command = commands.google()
    with running(
        "fake-gcs-server",
        lambda port: [
            *command,
            *("-scheme", "http", "-host", HOST, "-port", str(port), "-backend", "memory"),
            *("-public-host", f"{HOST}:{port}", "-external-url", f"http://{HOST}:{port}"),
        ],
        lambda port: ask(port, "GET", "/storage/v1/b?project=tests")[0] == 200,
        folder=folder,
    ) as process:
        yield GoogleServer(process, f"http://{HOST}:{process.port}")


@contextmanager
def asking(
    port: int,
    method: str,
    target: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Iterator[HTTPResponse]:
    """Send one request to a server of this machine; the answer can be read within the block."""
    connection = HTTPConnection(HOST, port, timeout=60)
    try:
        connection.request(method, target, body or None, dict(headers or {}))
        yield connection.getresponse()
    finally:
        connection.close()


def ask(
    port: int,
    method: str,
    target: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Send one request to a server of this machine; return its status and body."""
    with asking(port, method, target, body, headers) as response:
        return response.status, response.read()


def _fresh(name: str) -> str:
    return f"{name}-{next(_number)}"
