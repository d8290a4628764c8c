"""Each answer of a service, and each exception of obstore, is one error of ours."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import obstore
import pytest
from obstore import exceptions
from obstore.store import S3Store

from holdall.core.errors import (
    AlreadyExists,
    HoldallError,
    InvalidConfig,
    InvalidRange,
    KeyConflict,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from holdall.core.reference import Reference
from holdall.objects.backends.cloud.faults import Asked, answered, lost, raised
from holdall.objects.backends.cloud.http import Http
from holdall.objects.backends.cloud.s3_store import S3Requests

_REF = Reference.parse("s3://bucket/a")
_ENDPOINT = "https://s3.example"
_READ = Asked(_REF)
_WRITE = Asked(_REF, writes=True)
_CREATE = Asked(_REF, creates=True, writes=True)
_REPLACE = Asked(_REF, conditional=True, writes=True)
_MAYBE = "the write may have been applied"


# Answers


@pytest.mark.parametrize(
    ("status", "code", "kind", "transient"),
    [
        (301, "PermanentRedirect", InvalidConfig, False),
        (307, "", InvalidConfig, False),
        (308, "", InvalidConfig, False),
        (400, "InvalidArgument", Unavailable, False),
        (400, "RequestTimeout", Unavailable, True),
        (400, "ExpiredToken", Unauthenticated, False),
        (400, "InvalidToken", Unauthenticated, False),
        (400, "AuthorizationHeaderMalformed", Unauthenticated, False),
        (400, "KeyTooLongError", LimitExceeded, False),
        (400, "MetadataTooLarge", LimitExceeded, False),
        (400, "EntityTooLarge", LimitExceeded, False),
        (401, "", Unauthenticated, False),
        (403, "AccessDenied", PermissionDenied, False),
        (403, "", PermissionDenied, False),
        (403, "InvalidAccessKeyId", Unauthenticated, False),
        (403, "SignatureDoesNotMatch", Unauthenticated, False),
        (403, "RequestTimeTooSkewed", Unauthenticated, False),
        (403, "AuthenticationFailed", Unauthenticated, False),
        (404, "NoSuchKey", NotFound, False),
        (404, "BlobNotFound", NotFound, False),
        (404, "", NotFound, False),
        (404, "XAdminUserNotFound", Unauthenticated, False),
        (404, "NoSuchBucket", InvalidConfig, False),
        (404, "ContainerNotFound", InvalidConfig, False),
        (405, "MethodNotAllowed", Unsupported, False),
        (408, "", Unavailable, True),
        (409, "ConditionalRequestConflict", Unavailable, True),
        (409, "PathConflict", KeyConflict, False),
        (409, "ObjectParentIsFile", KeyConflict, False),
        (412, "PreconditionFailed", PreconditionFailed, False),
        (413, "RequestBodyTooLarge", LimitExceeded, False),
        (416, "InvalidRange", InvalidRange, False),
        (423, "", Unavailable, True),
        (425, "", Unavailable, True),
        (429, "", Unavailable, True),
        (500, "InternalError", Unavailable, True),
        (501, "NotImplemented", Unsupported, False),
        (502, "", Unavailable, True),
        (503, "SlowDown", Unavailable, True),
        (504, "", Unavailable, True),
    ],
)
def test_a_status_and_a_code_are_one_error(
    status: int, code: str, kind: type[HoldallError], transient: bool
) -> None:
    error = answered(status, code, "", _READ)
    assert type(error) is kind
    assert error.transient == transient
    assert str(_REF.root) in str(error)


@pytest.mark.parametrize(
    ("scheme", "kind"),
    [("s3://b/a", "bucket"), ("gs://b/a", "bucket"), ("az://b/a", "container")],
)
def test_a_missing_container_is_named_and_is_no_missing_object(scheme: str, kind: str) -> None:
    ref = Reference.parse(scheme)
    error = answered(404, "NoSuchBucket", "", Asked(ref))
    assert not isinstance(error, NotFound)
    assert str(error).startswith(f"{ref.root}: there is no such {kind}")
    assert error.reference == ref.root


@pytest.mark.parametrize("status", [400, 403, 429, 500])
def test_what_the_service_says_is_said(status: int) -> None:
    assert "(Code: a message)" in str(answered(status, "Code", "a message", _READ))


_REPEATED = [
    "GET /b/a?sv=2020&sig=Hunter2%2F%3D&sp=r HTTP/1.1",
    "GET /b/a?sv=2020&amp;sig=Hunter2&amp;sp=r",
    r"GET /b/a?sv=2020\u0026sig=Hunter2\u0026sp=r",
    r"{\"sig\": \"Hunter2\"}",
    "PUT /b/a?X-Amz-Credential=Hunter2%2F2026",
    "PUT /b/a?X-Amz-Signature=Hunter2",
    "x-amz-security-token: Hunter2",
    "GET /b/a?X-Goog-Signature=Hunter2",
    "x-ms-copy-source: https://a/b?sp%3Dr%26sig%3DHunter2",
    "Authorization: Bearer Hunter2",
]


@pytest.mark.parametrize("message", _REPEATED)
def test_a_signature_that_the_service_repeats_is_not_said(message: str) -> None:
    said = str(answered(500, "Busy", message, _READ))
    assert "Hunter2" not in said
    assert f"{message.partition('Hunter2')[0]}***" in said


@pytest.mark.parametrize("message", _REPEATED)
def test_obstores_error_holds_no_signature_that_the_service_repeats(message: str) -> None:
    body = f"<Error><Code>Busy</Code><Message>{message}</Message></Error>"
    error = exceptions.GenericError(f"Server returned non-2xx status code: 500: {body}")
    fault = raised(error, _READ, _ENDPOINT)
    assert "500" in str(fault)
    for text in (str(fault), str(error), repr(error)):
        assert "Hunter2" not in text


@pytest.mark.parametrize("message", ["a sign of trouble", "design: bad", "no signature=x"])
def test_what_is_no_signature_is_said(message: str) -> None:
    assert message in str(answered(500, "Busy", message, _READ))


def test_a_storage_class_that_is_refused_is_named_and_not_asked_for_again() -> None:
    asked = Asked(_REF, writes=True, storage_class="Nonesuch")
    error = answered(400, "InvalidStorageClass", "", asked)
    assert isinstance(error, Unsupported)
    assert "'Nonesuch'" in str(error)
    assert not error.transient


def test_a_request_that_came_too_slowly_is_no_refused_storage_class() -> None:
    asked = Asked(_REF, writes=True, storage_class="STANDARD")
    assert answered(400, "RequestTimeout", "", asked).transient


def test_a_service_that_says_nothing_has_no_brackets() -> None:
    assert "(" not in str(answered(500, "", "", _READ))


# Refused


@pytest.mark.parametrize(
    ("status", "code"),
    [(412, ""), (409, "BlobAlreadyExists"), (409, "UnspecifiedConditionsNotMet")],
)
def test_a_create_that_is_refused_found_something(status: int, code: str) -> None:
    error = answered(status, code, "", _CREATE)
    assert type(error) is AlreadyExists
    assert _MAYBE not in str(error)


@pytest.mark.parametrize("status", [404, 412])
def test_a_replacement_that_is_refused_found_another_or_none(status: int) -> None:
    assert type(answered(status, "", "", _REPLACE)) is PreconditionFailed


def test_a_read_of_one_version_that_is_gone_found_nothing() -> None:
    assert type(answered(404, "", "", Asked(_REF, conditional=True))) is NotFound


def test_a_missing_container_is_no_refusal() -> None:
    assert type(answered(404, "NoSuchBucket", "", _REPLACE)) is InvalidConfig


# Lost


@pytest.mark.parametrize("asked", [_CREATE, _REPLACE])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_conditional_write_without_an_outcome_is_not_repeated(asked: Asked, status: int) -> None:
    error = answered(status, "", "", asked)
    assert type(error) is Unavailable
    assert _MAYBE in str(error)
    assert not error.transient
    assert error.reference == _REF


@pytest.mark.parametrize("asked", [_READ, _WRITE, Asked(_REF, conditional=True)])
@pytest.mark.parametrize("error", [Timeout("slow"), Unavailable("away")])
def test_what_may_be_repeated_stays_transient(asked: Asked, error: HoldallError) -> None:
    assert lost(error, asked) is error
    assert error.transient


@pytest.mark.parametrize("asked", [_CREATE, _REPLACE])
@pytest.mark.parametrize("error", [Timeout("slow"), Unavailable("away")])
def test_a_conditional_write_without_an_answer_is_not_repeated(
    asked: Asked, error: HoldallError
) -> None:
    found = lost(error, asked)
    assert type(found) is type(error)
    assert _MAYBE in str(found)
    assert not found.transient


@pytest.mark.parametrize("status", [408, 409, 423, 425, 429])
def test_a_conditional_write_that_was_turned_away_may_be_repeated(status: int) -> None:
    error = answered(status, "", "", _CREATE)
    assert error.transient
    assert _MAYBE not in str(error)


@pytest.mark.parametrize("error", [InvalidConfig("a"), Unauthenticated("a"), LimitExceeded("a")])
def test_what_was_never_sent_was_not_applied(error: HoldallError) -> None:
    assert lost(error, _CREATE) is error


# obstore


def _text(status: int, code: str = "", message: str = "") -> str:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message><Other>hunter2</Other></Error>"
    return f"Generic S3 error: Server returned non-2xx status code: {status} X: {body}"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.GenericError(_text(403, "AccessDenied", "no")), PermissionDenied),
        (exceptions.GenericError(_text(403, "SignatureDoesNotMatch", "no")), Unauthenticated),
        (exceptions.GenericError(_text(404, "NoSuchBucket", "no")), InvalidConfig),
        (exceptions.GenericError("client error with status 503 Service"), Unavailable),
        (exceptions.GenericError("Wanted range starting at 9, object has 3"), InvalidRange),
        (exceptions.AlreadyExistsError("exists"), PreconditionFailed),
        (exceptions.PreconditionError("changed"), PreconditionFailed),
        (FileNotFoundError("gone"), NotFound),
        (exceptions.GenericError("operation timed out"), Timeout),
        (exceptions.GenericError("error decoding response body"), Unavailable),
        (OSError("broken pipe"), Unavailable),
    ],
)
def test_what_obstore_raises_is_one_error(error: Exception, kind: type[HoldallError]) -> None:
    found = raised(error, _READ, _ENDPOINT)
    assert type(found) is kind
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("name", ["AlreadyExistsError", "PreconditionError"])
def test_obstores_refusal_of_a_create_found_something(name: str) -> None:
    error = getattr(exceptions, name)("https://s3.example/a?sig=hunter2")
    found = raised(error, _CREATE, _ENDPOINT)
    assert type(found) is AlreadyExists
    assert "hunter2" not in str(found)


def test_only_the_first_line_of_what_the_service_says_is_said() -> None:
    error = exceptions.GenericError(_text(403, "Code", "a message\nRequestId: 1"))
    assert "(Code: a message)" in str(raised(error, _READ, _ENDPOINT))


def test_a_time_out_names_the_setting() -> None:
    error = exceptions.GenericError("https://s3.example/a?sig=hunter2: operation timed out")
    found = raised(error, _READ, _ENDPOINT)
    assert found.transient
    assert "'timeout'" in str(found)
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("text", ["operation timed out", "connection closed"])
@pytest.mark.parametrize("asked", [_CREATE, _REPLACE])
def test_obstores_conditional_write_without_an_answer_is_not_repeated(
    text: str, asked: Asked
) -> None:
    found = raised(exceptions.GenericError(text), asked, _ENDPOINT)
    assert _MAYBE in str(found)
    assert not found.transient


def test_a_connection_that_broke_names_the_endpoint_and_may_be_tried_again() -> None:
    error = exceptions.GenericError("https://s3.example/a?sig=hunter2: connection reset")
    found = raised(error, _WRITE, _ENDPOINT)
    assert found.transient
    assert _ENDPOINT in str(found)
    assert "hunter2" not in str(found)


@pytest.fixture
def closed() -> Iterator[str]:
    """An address that refuses connections: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def breaking() -> Iterator[str]:
    """An address that takes a connection and breaks it off once something came."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.recv(1)
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _of_obstore(endpoint: str) -> HoldallError:
    store = S3Store(
        "bucket",
        endpoint=endpoint,
        access_key_id="id",
        secret_access_key="secret",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    )
    with pytest.raises(exceptions.BaseError) as caught:
        obstore.put(store, "a", b"body", mode="create", use_multipart=False)
    return raised(caught.value, _CREATE, endpoint)


def _of_ours(endpoint: str) -> HoldallError:
    second = timedelta(seconds=30)
    base = f"{endpoint}/bucket"
    requests = S3Requests(Http(second, second), _REF.root, endpoint, base, "bucket", "r", None)
    with pytest.raises(HoldallError) as caught:
        requests.send("PUT", "a", _CREATE, body=b"body")
    return caught.value


@pytest.mark.parametrize("of", [_of_obstore, _of_ours])
def test_a_conditional_write_that_was_never_sent_may_be_repeated(
    closed: str, of: Callable[[str], HoldallError]
) -> None:
    error = of(closed)
    assert type(error) is Unavailable
    assert (error.transient, error.uncertain) == (True, False)
    assert _MAYBE not in str(error)


@pytest.mark.parametrize("of", [_of_obstore, _of_ours])
def test_a_conditional_write_whose_connection_broke_may_have_been_applied(
    breaking: str, of: Callable[[str], HoldallError]
) -> None:
    error = of(breaking)
    assert type(error) is Unavailable
    assert (error.transient, error.uncertain) == (False, True)
    assert _MAYBE in str(error)
