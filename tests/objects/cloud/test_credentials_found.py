"""Where each cloud's credentials are found, on metadata services of this machine."""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from holdall.core.errors import InvalidConfig, Unauthenticated
from holdall.core.secrets import Secret
from holdall.objects.backends.cloud import aws, azure_access
from holdall.objects.backends.cloud.azure_access import (
    Access,
    Bearer,
    SharedAccess,
    SharedKey,
    account_of,
)
from holdall.objects.backends.cloud.credentials import Credentials
from holdall.objects.backends.cloud.google_access import Signer, access_of
from holdall.objects.backends.cloud.settings import AzureSettings, GoogleSettings
from holdall.objects.backends.cloud.sigv4 import Key

_HIDDEN = "hunter2"
_NOBODY = "http://127.0.0.1:1"


class _Handler(BaseHTTPRequestHandler):
    server: "Metadata"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = self.path.partition("?")[0]
        with self.server.guard:
            self.server.asked.append((self.command, self.path, headers, body))
            answer = self.server.answers.get(f"{self.command} {path}", (404, ""))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        status, text = answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        return


class Metadata(ThreadingHTTPServer):
    """Gives each method and path the answer that a test wrote down, or those of a list in turn."""

    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.guard = threading.Lock()

    def lines(self) -> list[str]:
        return [f"{method} {path}" for method, path, _, _ in self.asked]


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    server = Metadata()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _in(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _refused(credentials: Credentials[Any] | None, *hidden: str) -> str:
    assert credentials is not None
    with pytest.raises(Unauthenticated) as caught:
        credentials.current()
    shown = f"{caught.value} {caught.value!r}"
    assert not [secret for secret in (_HIDDEN, *hidden) if secret in shown]
    return caught.value.message


# AWS

_TOKEN = "/latest/api/token"
_ROLES = "/latest/meta-data/iam/security-credentials/"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    return tmp_path


def _aws(home: Path, **environment: str) -> Credentials[Key]:
    """AWS's credentials where nothing is set but what a test gives, and no machine answers."""
    nothing = {"HOME": str(home), "AWS_EC2_METADATA_SERVICE_ENDPOINT": _NOBODY}
    return aws.find(None, None, {**nothing, **environment})


def _role(name: str, expires: str) -> tuple[int, str]:
    answer = {"AccessKeyId": name, "SecretAccessKey": _HIDDEN, "Token": "t", "Expiration": expires}
    return 200, json.dumps({"Code": "Success", "Type": "AWS-HMAC", **answer})


@pytest.fixture
def machine(metadata: Metadata) -> Metadata:
    """A machine whose role is called `role one`."""
    metadata.answers = {
        f"PUT {_TOKEN}": (200, "session"),
        f"GET {_ROLES}": (200, "role-one"),
        f"GET {_ROLES}role-one": _role("ASIA1", _in(hours=6)),
    }
    return metadata


def test_a_key_of_the_settings_is_the_only_one(home: Path) -> None:
    environment = {"AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "other"}
    key = Key("id", "secret", "token")
    assert aws.find(key, "a profile", environment).current() is key


def test_a_key_of_the_environment_comes_first(home: Path, machine: Metadata) -> None:
    (home / ".aws/credentials").write_text(
        "[default]\naws_access_key_id=file\naws_secret_access_key=x"
    )
    found = _aws(
        home,
        AWS_ACCESS_KEY_ID="id",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_SESSION_TOKEN="token",
        AWS_EC2_METADATA_SERVICE_ENDPOINT=machine.url,
    )
    assert found.current() == Key("id", "secret", "token")
    assert not machine.asked


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("credentials", "[{0}]\naws_access_key_id = id\naws_secret_access_key = a%b\n"),
        ("config", "[{1}{0}]\naws_access_key_id = id\naws_secret_access_key = a%b\n"),
        (
            "config",
            "[{1}{0}]\ns3 =\n  a = b\naws_access_key_id=id\naws_secret_access_key=a%b",
        ),
    ],
)
@pytest.mark.parametrize("profile", ["default", "other"])
def test_a_profile_is_read_from_aws_files(home: Path, file: str, text: str, profile: str) -> None:
    prefix = "" if profile == "default" else "profile "
    (home / ".aws" / file).write_text(text.format(profile, prefix))
    assert _aws(home, AWS_PROFILE=profile).current() == Key("id", "a%b")
    assert aws.find(None, profile, {"HOME": str(home)}).current() == Key("id", "a%b")


def test_files_elsewhere_are_read(home: Path) -> None:
    place = home / "elsewhere"
    place.write_text(
        "[default]\naws_access_key_id=id\naws_secret_access_key=s\naws_session_token=t\n"
    )
    assert _aws(home, AWS_SHARED_CREDENTIALS_FILE=str(place)).current() == Key("id", "s", "t")
    place.write_text(place.read_text().replace("=id", "=two"))
    assert _aws(home, AWS_CONFIG_FILE=str(place)).current() == Key("two", "s", "t")


def test_a_profile_of_the_settings_is_looked_for_alone(home: Path, machine: Metadata) -> None:
    environment = {"HOME": str(home), "AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.url}
    message = _refused(aws.find(None, "missing", environment))
    assert "no credentials for the profile 'missing'" in message
    assert not machine.asked


def test_a_file_that_is_none_of_aws_is_named_and_not_shown(home: Path) -> None:
    (home / ".aws/credentials").write_text(f"aws_secret_access_key {_HIDDEN}\n")
    assert f"{home}/.aws/credentials cannot be read" in _refused(_aws(home))


def test_a_profile_that_runs_a_program_goes_through_boto3(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("boto3")
    answer = {"Version": 1, "AccessKeyId": "id", "SecretAccessKey": "s", "SessionToken": "t"}
    (home / "answer.json").write_text(json.dumps({**answer, "Expiration": _in(hours=1)}))
    (home / ".aws/config").write_text(
        f"[profile runs]\ncredential_process = cat {home}/answer.json\n"
    )
    # boto3 itself looks into the environment of the process.
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / ".aws/config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "none"))
    lease = aws.find(None, "runs", {"HOME": str(home)}).lease()
    assert lease.value == Key("id", "s", "t")
    assert lease.expires is not None
    assert lease.expires > datetime.now(UTC)


def test_a_role_without_boto3_says_what_to_install(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    (home / ".aws/config").write_text("[profile r]\nrole_arn = arn:x\nsource_profile = default\n")
    assert "pip install boto3" in _refused(aws.find(None, "r", {"HOME": str(home)}))


_STS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><SessionToken>t</SessionToken>
<SecretAccessKey>hunter2</SecretAccessKey><Expiration>{}</Expiration>
<AccessKeyId>ASIA1</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""


@pytest.fixture
def cluster(metadata: Metadata, home: Path) -> dict[str, str]:
    """The environment that a cluster gives to a pod with a role."""
    (home / "token").write_text("web-hunter2\n")
    return {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(home / "token"),
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/a",
        "AWS_ENDPOINT_URL_STS": metadata.url,
    }


def test_a_web_identity_takes_its_role(
    home: Path, metadata: Metadata, cluster: dict[str, str]
) -> None:
    expires = _in(hours=1)
    metadata.answers = {"POST /": (200, _STS.format(expires))}
    lease = _aws(home, **cluster).lease()
    assert lease.value == Key("ASIA1", _HIDDEN, "t")
    assert lease.expires == datetime.fromisoformat(expires)
    ((_, path, headers, body),) = metadata.asked
    assert path == "/"
    assert "authorization" not in headers
    assert dict(parse_qsl(body.decode())) == {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": "arn:aws:iam::1:role/a",
        "RoleSessionName": "holdall",
        "WebIdentityToken": "web-hunter2",
    }


def test_a_web_identity_reads_its_file_each_time(
    home: Path, metadata: Metadata, cluster: dict[str, str]
) -> None:
    metadata.answers = {"POST /": (403, "<ErrorResponse/>")}
    found = _aws(home, **cluster)
    assert "a web identity: the token service answers 403" in _refused(found)
    metadata.answers = {"POST /": (200, _STS.format(_in(hours=1)))}
    (home / "token").write_text("another")
    found.current()
    assert parse_qs(metadata.asked[-1][3].decode())["WebIdentityToken"] == ["another"]


def test_a_missing_token_of_a_web_identity_is_named(home: Path, cluster: dict[str, str]) -> None:
    (home / "token").unlink()
    assert f"{home}/token cannot be read" in _refused(_aws(home, **cluster))


@pytest.mark.parametrize("kind", ["text", "file"])
def test_a_container_has_a_role(home: Path, metadata: Metadata, kind: str) -> None:
    metadata.answers = {"GET /role": _role("ASIA1", _in(hours=1))}
    (home / "token").write_text("let me in\n")
    token = {
        "text": {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "let me in"},
        "file": {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(home / "token")},
    }[kind]
    found = _aws(home, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{metadata.url}/role", **token)
    assert found.current() == Key("ASIA1", _HIDDEN, "t")
    assert metadata.asked[0][2]["authorization"] == "let me in"


def test_a_path_is_one_of_the_containers_own_service(
    home: Path, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "_CONTAINER", metadata.url)
    metadata.answers = {"GET /v2/role": _role("ASIA1", _in(hours=1))}
    found = _aws(home, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="/v2/role")
    assert found.current().id == "ASIA1"


def test_a_machine_gives_its_role_for_a_session(home: Path, machine: Metadata) -> None:
    found = _aws(home, AWS_EC2_METADATA_SERVICE_ENDPOINT=f"{machine.url}/")
    assert found.current() == Key("ASIA1", _HIDDEN, "t")
    assert machine.lines() == [f"PUT {_TOKEN}", f"GET {_ROLES}", f"GET {_ROLES}role-one"]
    first, *others = [headers for _, _, headers, _ in machine.asked]
    assert int(first["x-aws-ec2-metadata-token-ttl-seconds"]) > 0
    assert [headers["x-aws-ec2-metadata-token"] for headers in others] == ["session"] * 2


@pytest.mark.parametrize("word", ["true", "TRUE"])
def test_a_machine_that_is_switched_off_is_not_asked(
    home: Path, machine: Metadata, word: str
) -> None:
    off = {"AWS_EC2_METADATA_DISABLED": word, "AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.url}
    assert "the machine: nothing" in _refused(_aws(home, **off))
    assert not machine.asked


def test_a_machine_without_a_role_has_nothing(home: Path, machine: Metadata) -> None:
    machine.answers[f"GET {_ROLES}"] = (404, "")
    found = _aws(home, AWS_EC2_METADATA_SERVICE_ENDPOINT=machine.url)
    assert "the machine: nothing" in _refused(found)


def test_an_answer_that_is_none_is_not_shown(home: Path, machine: Metadata) -> None:
    machine.answers[f"GET {_ROLES}role-one"] = (200, json.dumps({"AccessKeyId": _HIDDEN}))
    found = _aws(home, AWS_EC2_METADATA_SERVICE_ENDPOINT=machine.url)
    assert "gave no credentials" in _refused(found)


def test_the_places_of_aws_are_named_in_their_order(home: Path) -> None:
    message = _refused(_aws(home))
    names = ["the environment", "'default'", "a web identity", "the container", "the machine"]
    assert sorted(names, key=message.index) == names
    assert message.endswith("set anonymous for public objects")


def test_what_expires_soon_is_asked_for_again_in_time(home: Path, machine: Metadata) -> None:
    machine.answers[f"GET {_ROLES}role-one"] = [
        _role("OLD", _in(minutes=4, hours=1)),
        _role("NEW", _in(hours=6)),
    ]
    found = _aws(home, AWS_EC2_METADATA_SERVICE_ENDPOINT=machine.url)
    assert found.current().id == "OLD"
    found._now = lambda: datetime.now(UTC) + timedelta(hours=1)
    assert found.current().id == "NEW"


def test_a_machine_that_is_busy_leaves_the_old_key(
    home: Path, machine: Metadata, caplog: pytest.LogCaptureFixture
) -> None:
    found = _aws(home, AWS_EC2_METADATA_SERVICE_ENDPOINT=machine.url)
    found.current()
    machine.answers[f"GET {_ROLES}role-one"] = (503, _HIDDEN)
    found._now = lambda: datetime.now(UTC) + timedelta(hours=5, minutes=56)
    with caplog.at_level(logging.WARNING, "holdall"):
        assert found.current().id == "ASIA1"
    assert "could not be renewed" in caplog.text
    assert _HIDDEN not in caplog.text
    found._now = lambda: datetime.now(UTC) + timedelta(hours=6)
    assert "the machine" in _refused(found)


def test_a_hundred_threads_ask_a_machine_once(home: Path, machine: Metadata) -> None:
    found = _aws(home, AWS_EC2_METADATA_SERVICE_ENDPOINT=machine.url)
    together = threading.Barrier(100)

    def ask(_: int) -> str:
        together.wait()
        return found.current().id

    with ThreadPoolExecutor(100) as threads:
        assert set(threads.map(ask, range(100))) == {"ASIA1"}
    assert len(machine.asked) == 3


# Azure


def _azure(environment: Mapping[str, str] | None = None, **given: Any) -> azure_access.Account:
    secrets = {"connection_string", "account_key", "sas_token"}
    settings: dict[str, Any] = {
        name: Secret(value) if name in secrets and value is not None else value
        for name, value in {"account_name": "me", **given}.items()
    }
    return account_of(AzureSettings(container="c", **settings), environment or {})


def _access(account: azure_access.Account) -> Access:
    assert account.credentials is not None
    return account.credentials.current()


_STRING = "AccountName=me;AccountKey=a2V5;EndpointSuffix=core.example"


def test_the_four_ways_into_azure_come_in_their_order() -> None:
    ways: dict[str, Any] = {
        "connection_string": _STRING,
        "account_key": "b3RoZXI=",
        "sas_token": "?sv=1&sig=x",
        "use_managed_identity": True,
    }
    found = []
    while len(ways) > 1:
        found.append(_access(_azure(**ways)))
        del ways[next(iter(ways))]
    assert found == [SharedKey("a2V5"), SharedKey("b3RoZXI="), SharedAccess("sv=1&sig=x")]


def test_a_connection_string_names_account_and_address() -> None:
    account = _azure(connection_string=_STRING, account_name=None)
    assert (account.name, account.endpoint) == ("me", "https://me.blob.core.example")
    assert account.signs


def test_a_connection_string_may_hold_address_and_signature() -> None:
    text = "BlobEndpoint=http://h:1/me/;SharedAccessSignature=?sv=1&sig=a%2Bb=="
    account = _azure(connection_string=text)
    assert account.endpoint == "http://h:1/me"
    assert _access(account) == SharedAccess("sv=1&sig=a%2Bb==")
    assert not account.signs


def test_the_emulator_has_its_own_string() -> None:
    account = _azure(connection_string="UseDevelopmentStorage=true", account_name=None)
    assert account.name == "devstoreaccount1"
    assert account.endpoint == "http://127.0.0.1:10000/devstoreaccount1"
    assert isinstance(_access(account), SharedKey)


def test_what_is_no_connection_string_names_the_setting_and_shows_nothing() -> None:
    with pytest.raises(InvalidConfig, match="'connection_string'") as caught:
        _azure(connection_string=_HIDDEN)
    assert _HIDDEN not in f"{caught.value!r}"


@pytest.mark.parametrize(
    ("environment", "access"),
    [
        ({"AZURE_STORAGE_CONNECTION_STRING": _STRING}, SharedKey("a2V5")),
        ({"AZURE_STORAGE_KEY": "a2V5"}, SharedKey("a2V5")),
        ({"AZURE_STORAGE_ACCOUNT_KEY": "a2V5"}, SharedKey("a2V5")),
        ({"AZURE_STORAGE_SAS_TOKEN": "?sv=1"}, SharedAccess("sv=1")),
    ],
)
def test_the_environment_opens_azure_where_nothing_is_given(
    environment: dict[str, str], access: Access
) -> None:
    assert _access(_azure(environment)) == access
    assert _access(_azure(environment, account_key="bWluZQ==")) == SharedKey("bWluZQ==")


def test_the_environment_names_the_account() -> None:
    account = _azure({"AZURE_STORAGE_ACCOUNT": "you"}, account_name=None, account_key="a2V5")
    assert (account.name, account.endpoint) == ("you", "https://you.blob.core.windows.net")


def test_an_account_that_nobody_names_is_an_error() -> None:
    with pytest.raises(InvalidConfig, match="AZURE_STORAGE_ACCOUNT"):
        _azure(account_name=None)


def test_public_objects_of_azure_need_nothing() -> None:
    environment = {"AZURE_STORAGE_KEY": "a2V5"}
    assert _azure(environment, anonymous=True).credentials is None


@pytest.mark.parametrize("client", [None, "the-client"])
def test_a_machine_of_azure_has_an_identity(metadata: Metadata, client: str | None) -> None:
    ends = int(datetime.now(UTC).timestamp()) + 3600
    answer = {"access_token": _HIDDEN, "expires_on": str(ends), "token_type": "Bearer"}
    metadata.answers = {"GET /metadata/identity/oauth2/token": (200, json.dumps(answer))}
    environment = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": f"{metadata.url}/"}
    account = _azure(environment, use_managed_identity=True, client_id=client)
    assert account.credentials is not None
    lease = account.credentials.lease()
    assert lease.value == Bearer(_HIDDEN)
    assert lease.expires == datetime.fromtimestamp(ends, UTC)
    ((_, path, headers, _),) = metadata.asked
    assert headers["metadata"] == "true"
    asked = {"resource": "https://storage.azure.com/", "api-version": "2018-02-01"}
    assert dict(parse_qsl(urlsplit(path).query)) == asked | (
        {} if client is None else {"client_id": client}
    )


def test_an_app_service_has_an_identity(metadata: Metadata) -> None:
    ends = int(datetime.now(UTC).timestamp()) + 3600
    answer = {"access_token": _HIDDEN, "expires_on": ends}
    metadata.answers = {"GET /msi/token": (200, json.dumps(answer))}
    environment = {"IDENTITY_ENDPOINT": f"{metadata.url}/msi/token", "IDENTITY_HEADER": "mine"}
    assert _access(_azure(environment, use_managed_identity=True)) == Bearer(_HIDDEN)
    ((_, path, headers, _),) = metadata.asked
    assert headers["x-identity-header"] == "mine"
    assert "api-version=2019-08-01" in path


@pytest.mark.parametrize("answer", [(400, _HIDDEN), (200, _HIDDEN), (200, "{}")])
def test_an_identity_that_is_none_is_not_shown(metadata: Metadata, answer: tuple[int, str]) -> None:
    metadata.answers = {"GET /msi/token": answer}
    environment = {"IDENTITY_ENDPOINT": f"{metadata.url}/msi/token", "IDENTITY_HEADER": "mine"}
    message = _refused(_azure(environment, use_managed_identity=True).credentials)
    assert "the managed identity: the identity service" in message


# Google


@pytest.fixture(scope="module")
def account_key() -> dict[str, str]:
    """The key of a service account, whose tokens come from nowhere yet."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "client_email": "me@project.example",
        "private_key": private.decode(),
        "private_key_id": "1",
        "token_uri": f"{_NOBODY}/token",
    }


def _google(
    environment: Mapping[str, str] | None = None, **given: Any
) -> tuple[Credentials[str] | None, Signer | None]:
    return access_of(GoogleSettings(bucket="b", **given), environment or {})


def test_a_token_of_the_settings_is_the_only_one() -> None:
    credentials, signer = _google({"GOOGLE_OAUTH_ACCESS_TOKEN": "other"}, token=Secret("mine"))
    assert credentials is not None
    assert (credentials.current(), signer) == ("mine", None)


def test_a_token_of_the_environment_opens_google() -> None:
    credentials, _ = _google({"GOOGLE_OAUTH_ACCESS_TOKEN": "other"})
    assert credentials is not None
    assert credentials.current() == "other"


def test_public_objects_of_google_need_nothing() -> None:
    assert _google(anonymous=True, token=Secret("mine")) == (None, None)


@pytest.mark.parametrize("kind", ["path", "text"])
def test_a_service_account_makes_tokens(
    metadata: Metadata, account_key: dict[str, str], tmp_path: Path, kind: str
) -> None:
    answer = {"access_token": _HIDDEN, "expires_in": 3600, "token_type": "Bearer"}
    metadata.answers = {"POST /token": (200, json.dumps(answer))}
    text = json.dumps({**account_key, "token_uri": f"{metadata.url}/token"})
    (tmp_path / "key.json").write_text(text)
    given: dict[str, dict[str, Any]] = {
        "path": {"service_account": str(tmp_path / "key.json")},
        "text": {"service_account_key": Secret(text)},
    }
    credentials, _ = _google(**given[kind])
    assert credentials is not None
    lease = credentials.lease()
    assert lease.value == _HIDDEN
    assert lease.expires is not None
    assert timedelta(minutes=50) < lease.expires - datetime.now(UTC) <= timedelta(hours=1)
    assert metadata.lines() == ["POST /token"]


def test_a_service_account_signs_with_its_key(account_key: dict[str, str]) -> None:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    _, signer = _google(service_account_key=Secret(json.dumps(account_key)))
    assert signer is not None
    assert signer.email == "me@project.example"
    private = serialization.load_pem_private_key(account_key["private_key"].encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    private.public_key().verify(
        signer.sign(b"a text"), b"a text", padding.PKCS1v15(), hashes.SHA256()
    )


def test_a_service_account_that_gets_no_token_shows_nothing(
    metadata: Metadata, account_key: dict[str, str]
) -> None:
    refusal = {"error": "invalid_grant", "error_description": _HIDDEN}
    metadata.answers = {"POST /token": (400, json.dumps(refusal))}
    key = {**account_key, "token_uri": f"{metadata.url}/token"}
    credentials, _ = _google(service_account_key=Secret(json.dumps(key)))
    assert "the service account: Google gives no token" in _refused(credentials)


@pytest.mark.parametrize("text", [_HIDDEN, f'["{_HIDDEN}"]', f'{{"private_key": "{_HIDDEN}"}}'])
def test_what_is_no_key_of_an_account_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        _google(service_account_key=Secret(text))
    assert _HIDDEN not in f"{caught.value!r}"


def test_a_missing_file_of_an_account_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"missing\.json cannot be read"):
        _google(service_account=str(tmp_path / "missing.json"))


def test_google_without_its_library_says_what_to_install(
    account_key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "google.oauth2.service_account", None)
    with pytest.raises(InvalidConfig, match=r"pip install 'holdall\[cloud\]'"):
        _google(service_account_key=Secret(json.dumps(account_key)))
