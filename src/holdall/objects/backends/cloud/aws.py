"""Where AWS credentials are found, in the order that AWS's own tools look.

A place that is named and gives nothing is an error: the next one would be another identity.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

import configparser
import os
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

import msgspec

from holdall.core.errors import InvalidConfig, Unauthenticated, Unavailable
from holdall.objects.backends.cloud.credentials import Credentials, Lease, Source, expiry, revealed
from holdall.objects.backends.cloud.http import Http
from holdall.objects.backends.cloud.sigv4 import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_METADATA = "http://169.254.169.254"
_CONTAINER = "http://169.254.170.2"
# Of what AWS runs itself; any other host would be told the token in the clear.
_CONTAINERS = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost"}
_ADVICE = (
    "Give access_key and secret_key, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a "
    "profile, or set anonymous for public objects"
)
_PATIENCE = timedelta(seconds=2)  # these services are on the same machine, or are not there
_FAR = timedelta(seconds=10)  # and the token service is not
_ROLES = {"role_arn", "sso_session", "sso_start_url", "sso_account_id"}
_WORDS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
# Of boto3, which goes on to these when a profile says too little: they are not that profile.
_ELSEWHERE = {"env", "container-role", "iam-role", "boto-config"}


def find(
    key: Callable[[], Key | None] | None,
    profile: str | None,
    environment: Mapping[str, str] = os.environ,
) -> Credentials[Key]:
    """The credentials to use.

    Args:
        key: Reads the key that the settings give; looked at alone when they give one.
        profile: The profile of AWS's files that the settings name; looked at alone, else.
        environment: The variables.
    """
    if key is not None:
        return Credentials([revealed("the settings", key)], _ADVICE)
    named = profile or environment.get("AWS_PROFILE")
    name = named or "default"
    files = Source(f"the profile {name!r}", lambda: _from_files(name, named, environment))
    if profile is not None:
        return Credentials([files], _ADVICE)
    http, far = Http(_PATIENCE, _PATIENCE), Http(_FAR, _FAR, proxied=True)
    return Credentials(
        [
            Source("the environment", lambda: _from_environment(environment)),
            files,
            Source("a web identity", lambda: _from_web_identity(far, environment)),
            Source("the container", lambda: _from_container(http, environment)),
            Source("the machine", lambda: _from_machine(http, environment)),
        ],
        _ADVICE,
    )


def _from_environment(environment: Mapping[str, str]) -> Lease[Key] | None:
    return _whole(environment, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def _whole(
    found: Mapping[str, str], name: str, secret: str, token: str, place: str = ""
) -> Lease[Key] | None:
    """The key of one place, which an error begins with; None where there is no part of it."""
    if not found.get(name) and not found.get(secret):
        return None
    for part, other in ((name, secret), (secret, name)):
        if not found.get(part):
            raise Unauthenticated(f"{place}{other} is given, and {part} is missing")
    return Lease(Key(found[name], found[secret], found.get(token) or None))


def _from_files(
    profile: str, named: str | None, environment: Mapping[str, str]
) -> Lease[Key] | None:
    """A profile of `~/.aws/credentials` and `~/.aws/config`."""
    home = Path(environment.get("HOME") or "~").expanduser() / ".aws"
    shared, config = "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"
    section = profile if profile == "default" else f"profile {profile}"
    places = [
        (environment.get(shared) or str(home / "credentials"), profile, shared in environment),
        (environment.get(config) or str(home / "config"), section, config in environment),
    ]
    sections = [(path, _section(path, name, asked)) for path, name, asked in places]
    words = {word for _, entries in sections for word in entries}
    # As AWS's own tools do: what is written of a role comes before a key, which may be its source.
    if not words & _ROLES:
        for path, entries in sections:
            key = _whole(entries, *_WORDS, f"in {path} ")
            if key is not None:
                return key
    if words & (_ROLES | {"credential_process"}):
        return _from_boto3(profile)
    if named is not None:
        raise Unauthenticated(f"AWS's files have no credentials for the profile {named!r}")
    return None


def _section(path: str, name: str, asked: bool) -> dict[str, str]:
    """What a file says of a profile; nothing where there is no such file.

    Args:
        path: The file.
        name: What the file calls the profile.
        asked: Whether a variable names the file, so that it must be readable if it is there.
    """
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(Path(path).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        if asked:
            raise InvalidConfig(f"{path} cannot be read: {error.strerror}") from error
        return {}
    except (configparser.Error, UnicodeDecodeError):
        # Their messages quote the line, which may hold a secret.
        raise InvalidConfig(f"{path} cannot be read: it is no file of AWS profiles") from None
    return dict(parser.items(name)) if parser.has_section(name) else {}


def _from_boto3(profile: str) -> Lease[Key]:
    """What AWS's own library makes of a profile: a role, single sign-on, another program."""
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError
    except ImportError as error:
        raise InvalidConfig(
            f"the profile {profile!r} needs AWS's own library: pip install boto3"
        ) from error
    try:
        session: Any = boto3.Session(profile_name=profile)
        found = session.get_credentials()
        frozen = None if found is None else found.get_frozen_credentials()
    except (CredentialRetrievalError, OSError, ValueError, KeyError) as error:
        # Of a program that is not there, fails, or says something else: maybe a secret.
        raise Unauthenticated(
            f"the profile {profile!r} gives no credentials: {type(error).__name__}"
        ) from None
    except (BotoCoreError, ClientError) as error:
        raise Unauthenticated(f"the profile {profile!r} gives no credentials: {error}") from error
    if frozen is None or found.method in _ELSEWHERE:
        raise Unauthenticated(f"the profile {profile!r} gives no credentials")
    return Lease(
        Key(frozen.access_key, frozen.secret_key, frozen.token),
        getattr(found, "_expiry_time", None),
    )


def _from_web_identity(http: Http, environment: Mapping[str, str]) -> Lease[Key] | None:
    """A role for the token that a cluster puts into a file."""
    path, role = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"), environment.get("AWS_ROLE_ARN")
    if not path and not role:
        return None
    if not path or not role:
        given, missing = "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"
        if not path:
            given, missing = missing, given
        raise Unauthenticated(f"{given} is set, and {missing} is not")
    token = _token_in(path)
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    endpoint = environment.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{region}.amazonaws.com"
    asked = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": role,
        "RoleSessionName": environment.get("AWS_ROLE_SESSION_NAME") or "holdall",
        "WebIdentityToken": token,
    }
    headers = {"content-type": "application/x-www-form-urlencoded"}
    url = f"{endpoint.rstrip('/')}/"
    answer = http.send("POST", url, headers, urlencode(asked).encode())
    if answer.status != 200:
        raise Unauthenticated(f"the token service answers {answer.status}")
    try:
        root = ElementTree.fromstring(answer.body)  # noqa: S314 - see `xml.parsed`
    except ElementTree.ParseError as error:
        raise Unavailable("the token service answered something that is no XML") from error
    found = {entry.tag.rpartition("}")[2]: entry.text or "" for entry in root.iter()}
    try:
        key = Key(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        return Lease(key, expiry(found["Expiration"]))
    except (KeyError, ValueError):
        raise Unauthenticated("the token service gave no credentials") from None


def _from_container(http: Http, environment: Mapping[str, str]) -> Lease[Key] | None:
    """The role of a container."""
    relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if relative:
        url = f"{_CONTAINER}{relative}"
    if not url:
        return None
    if not _is_safe(url):
        raise Unauthenticated(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither of https:// nor of a host of this "
            "machine or container"
        )
    headers: dict[str, str] = {}
    path = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    if path:
        token = _token_in(path)
    if token:
        headers["authorization"] = token
    return _key_of(http.send("GET", url, headers).body)


def _is_safe(url: str) -> bool:
    """Whether a token may be sent there."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https" or host in _CONTAINERS:
            return True
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _from_machine(http: Http, environment: Mapping[str, str]) -> Lease[Key] | None:
    """The role of a machine, by the second version of its metadata service."""
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    endpoint = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _METADATA
    endpoint = endpoint.rstrip("/")
    lifetime = {"x-aws-ec2-metadata-token-ttl-seconds": "300"}
    answer = http.send("PUT", f"{endpoint}/latest/api/token", lifetime)
    if answer.status != 200:
        return None
    headers = {"x-aws-ec2-metadata-token": answer.body.decode("latin-1").strip()}
    roles = f"{endpoint}/latest/meta-data/iam/security-credentials/"
    answer = http.send("GET", roles, headers)
    if answer.status != 200 or not answer.body:
        return None
    role = quote(answer.body.split(b"\n")[0].strip())
    return _key_of(http.send("GET", roles + role, headers).body)


class _Answer(msgspec.Struct, rename="pascal"):
    access_key_id: str
    secret_access_key: str
    token: str
    expiration: str


def _key_of(body: bytes) -> Lease[Key]:
    try:
        found = msgspec.json.decode(body, type=_Answer)
        end = expiry(found.expiration)
    except ValueError:  # which msgspec's errors are too
        raise Unauthenticated("the metadata service gave no credentials") from None
    return Lease(Key(found.access_key_id, found.secret_access_key, found.token), end)


def _token_in(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise Unauthenticated(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        # The cause would hold the bytes of the token.
        raise Unauthenticated(f"{path} cannot be read: it is not UTF-8") from None
