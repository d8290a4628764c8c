"""Requests of our own arrive as they were signed, and what goes wrong shows no secret."""

import logging
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import urllib3
from hypothesis import example, given
from hypothesis import strategies as st

import holdall
from holdall.core.errors import HoldallError, InvalidConfig, LimitExceeded, Timeout, Unavailable
from holdall.objects.backends.cloud.http import Http
from servers import require_server
from serving.process import free_port

_SIGNED = "sv=1&sig=hunter2-signature"
_SECOND = timedelta(seconds=1)
_LONG = timedelta(seconds=30)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def handle(self) -> None:
        self.server.connections += 1
        super().handle()

    def do_GET(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        self.server.body = self.rfile.read(size)
        self.server.target = self.path
        self.server.sent = {name.lower(): value for name, value in self.headers.items()}
        self.server.answer(self)

    def do_PUT(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def reply(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


class Server(ThreadingHTTPServer):
    """Answers as a test says, and notes what came last."""

    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.connections = 0
        self.target = ""
        self.body = b""
        self.sent: dict[str, str] = {}
        self.answer: Callable[[_Handler], None] = lambda handler: handler.reply(200, b"answer")
        self.released = threading.Event()

    def handle_error(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    yield from _serving(Server())


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    yield from _serving(Server())


def _serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def http() -> Iterator[Http]:
    found = Http(_LONG, _LONG)
    yield found
    found.close()


# What is sent


def test_a_request_and_its_answer_are_whole(server: Server, http: Http) -> None:
    server.answer = lambda handler: handler.reply(404, b"gone", X_Odd="Value")
    answer = http.send("PUT", f"{server.url}/a?b=c", {"x-mine": "yes"}, memoryview(b"body"))
    assert (answer.status, answer.body, answer.headers["x-odd"]) == (404, b"gone", "Value")
    assert (server.target, server.body, server.sent["x-mine"]) == ("/a?b=c", b"body", "yes")


def test_the_agent_is_holdall_unless_another_is_given(server: Server, http: Http) -> None:
    http.send("GET", server.url, {})
    assert server.sent["user-agent"] == f"holdall/{holdall.__version__}"
    http.send("GET", server.url, {"user-agent": "mine"})
    assert server.sent["user-agent"] == "mine"


# Hypothesis wants no fixtures that are made anew for each test.
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
        lambda key: not {".", ".."} & set(key.split("/"))  # as no key is
    )
)
@example("a b+c%2Fd~e?f#g[1]{2}|^`\\")
@example("%2f%zz%")
@example("a/.b//~c")
def test_what_was_signed_is_what_arrives(shared: Server, key: str) -> None:
    target = f"/c/{quote(key, safe='/-_.~')}?prefix={quote(key, safe='-_.~')}"
    http = Http(_LONG, _LONG)
    http.send("GET", f"{shared.url}{target}", {})
    http.close()
    assert shared.target == target


def test_a_redirect_is_an_answer(server: Server, http: Http) -> None:
    server.answer = lambda handler: handler.reply(307, Location="/elsewhere")
    assert http.send("GET", f"{server.url}/a", {}).status == 307
    assert server.target == "/a"


def test_nothing_is_repeated(server: Server, http: Http) -> None:
    server.answer = lambda handler: handler.reply(503, Retry_After="0")
    assert http.send("GET", server.url, {}).status == 503
    assert server.connections == 1


# Connections


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_connection_is_kept(server: Server, http: Http, method: str) -> None:
    for status, body in ((200, b"x" * 100_000), (204, b""), (404, b"gone")):
        server.answer = lambda handler, s=status, b=body: handler.reply(s, b)  # type: ignore[misc]
        http.send(method, server.url, {})
    assert server.connections == 1


def test_an_answer_in_chunks_is_read_and_its_connection_kept(server: Server, http: Http) -> None:
    def chunks(handler: _Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"5\r\nsome \r\n4\r\nmore\r\n0\r\n\r\n")

    server.answer = chunks
    for limit in (9, 1000):
        assert http.send("GET", server.url, {}, limit=limit).body == b"some more"
    assert server.connections == 1


def test_threads_that_begin_together_share_one_pool(
    server: Server, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, make = threading.Barrier(2), urllib3.PoolManager
    made: list[urllib3.PoolManager] = []

    def both_make_one(**options: Any) -> urllib3.PoolManager:
        together.wait(30)
        made.append(make(**options))
        return made[-1]

    monkeypatch.setattr(urllib3, "PoolManager", both_make_one)
    with ThreadPoolExecutor(2) as threads:
        for sent in [threads.submit(http.send, "GET", server.url, {}) for _ in range(2)]:
            assert sent.result(30).body == b"answer"
    assert sorted(len(pool.pools) for pool in made) == [0, 1]


def test_connections_are_made_again_after_a_close(server: Server, http: Http) -> None:
    for _ in range(2):
        assert http.send("GET", server.url, {}).body == b"answer"
        http.close()
    assert server.connections == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_makes_its_own_connections(server: Server, http: Http) -> None:
    http.send("GET", server.url, {})
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os._exit(0 if http.send("GET", server.url, {}).body == b"answer" else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert server.connections == 2
    assert http.send("GET", server.url, {}).body == b"answer"
    assert server.connections == 2


# How much is read


def test_an_answer_may_have_as_many_bytes_as_the_limit(server: Server, http: Http) -> None:
    assert http.send("GET", server.url, {}, limit=6).body == b"answer"


def test_a_larger_answer_is_refused_and_its_connection_given_up(server: Server, http: Http) -> None:
    def chunks(handler: _Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:
            handler.wfile.write(b"5\r\nevery\r\n")

    for answer in (server.answer, chunks):
        server.answer = answer
        with pytest.raises(LimitExceeded, match="more than the 5 bytes") as caught:
            http.send("GET", f"{server.url}/?{_SIGNED}", {}, limit=5)
        assert "hunter2" not in str(caught.value)


def test_the_size_of_an_object_is_not_the_size_of_its_head(server: Server, http: Http) -> None:
    server.answer = lambda handler: handler.reply(200, Content_Length=str(10**15))
    assert http.send("HEAD", server.url, {}).headers["content-length"] == str(10**15)


# What goes wrong


def _fails(http: Http, url: str, kind: type[HoldallError]) -> HoldallError:
    with pytest.raises(kind) as caught:
        http.send("GET", f"{url}/a?{_SIGNED}", {})
    assert "hunter2" not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"
    return caught.value


def test_nobody_listening_is_named_with_host_and_port(http: Http) -> None:
    port = free_port()
    error = _fails(http, f"http://me:hunter2@127.0.0.1:{port}", Unavailable)
    assert error.message == f"no connection to 127.0.0.1:{port} could be made"
    assert (error.transient, error.uncertain) == (True, False)


def test_a_silent_server_is_a_time_out_that_names_the_setting(server: Server) -> None:
    def wait(_: _Handler) -> None:
        server.released.wait(30)

    server.answer = wait
    http = Http(_SECOND / 10, _LONG)
    error = _fails(http, server.url, Timeout)
    assert "'timeout'" in error.message
    assert error.uncertain
    http.close()


def test_a_body_that_stands_still_is_the_same_time_out(server: Server) -> None:
    def stall(handler: _Handler) -> None:
        handler.reply(200, b"half", Content_Length="8")
        server.released.wait(30)

    server.answer = stall
    http = Http(_SECOND / 10, _LONG)
    assert "'timeout'" in _fails(http, server.url, Timeout).message
    http.close()


def test_a_full_server_is_a_time_out_that_names_the_other_setting() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = []
        for _ in range(4):  # nobody accepts them, and no more are taken
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(address)
        http = Http(_LONG, _SECOND / 10)
        error = _fails(http, f"http://127.0.0.1:{address[1]}", Timeout)
        assert "'connect_timeout'" in error.message
        assert not error.uncertain
        http.close()
        for one in waiting:
            one.close()


def _hang_up(handler: _Handler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def _cut_body(handler: _Handler) -> None:
    handler.reply(200, b"half", Content_Length="8")
    _hang_up(handler)


def _cut_chunks(handler: _Handler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"8\r\nhalf")
    _hang_up(handler)


def _babble(handler: _Handler) -> None:
    handler.wfile.write(b"what?\r\n\r\n")
    _hang_up(handler)


@pytest.mark.parametrize("answer", [_hang_up, _cut_body, _cut_chunks, _babble])
def test_what_breaks_off_is_unavailable(
    server: Server, http: Http, answer: Callable[[_Handler], None]
) -> None:
    server.answer = answer
    error = _fails(http, server.url, Unavailable)
    assert f"127.0.0.1:{server.server_port}" in error.message
    assert (error.transient, error.uncertain) == (True, True)
    server.answer = lambda handler: handler.reply(200, b"again")
    assert http.send("GET", server.url, {}).body == b"again"


@pytest.mark.parametrize("token", ["hunter2\nmore", "hunter2\r\nevil: yes", "hunter2 日本"])
def test_a_header_that_cannot_be_sent_is_refused_and_not_shown(
    server: Server, http: Http, token: str
) -> None:
    with pytest.raises(InvalidConfig, match="line break") as caught:
        http.send("GET", server.url, {"authorization": f"Bearer {token}"})
    assert "hunter2" not in str(caught.value)


def test_a_log_of_all_details_has_no_query(
    server: Server, http: Http, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    http.send("GET", f"{server.url}/a?{_SIGNED}", {})
    logged = " ".join(record.getMessage() for record in caplog.records)
    assert '"GET /a HTTP/1.1" 200' in logged
    assert "hunter2" not in logged


def test_what_others_ask_is_logged_as_ever(
    server: Server, http: Http, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    http.send("GET", server.url, {})
    with urllib3.PoolManager() as pool:
        pool.request("GET", f"{server.url}/b?c=d")
    assert '"GET /b?c=d HTTP/1.1" 200' in " ".join(record.getMessage() for record in caplog.records)


# Trust


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that nobody else vouches for, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        require_server("a server with TLS", "there is no openssl on PATH to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    found = folder / "certificate.pem", folder / "key.pem"
    made = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    places = ["-keyout", str(found[1]), "-out", str(found[0])]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [openssl, "req", "-x509", *made, *places, *names], check=True, capture_output=True
    )
    return found


@pytest.fixture
def secure(certificate: tuple[Path, Path]) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = Server()
    # A handshake in the accepting thread would keep the next client waiting.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.url = f"https://localhost:{server.server_port}"
    yield from _serving(server)


def test_a_server_is_trusted_by_the_file_that_is_given(
    secure: Server, certificate: tuple[Path, Path]
) -> None:
    http = Http(_LONG, _LONG, str(certificate[0]))
    assert http.send("GET", secure.url, {}).body == b"answer"
    http.close()


def test_a_server_that_nobody_vouches_for_is_not_trusted(secure: Server, http: Http) -> None:
    error = _fails(http, secure.url, Unavailable)
    assert "cannot be trusted: CERTIFICATE_VERIFY_FAILED (the setting 'ca_file')" in error.message
    assert (error.transient, error.uncertain) == (False, False)


def test_a_certificate_of_another_name_is_not_trusted(
    secure: Server, certificate: tuple[Path, Path]
) -> None:
    http = Http(_LONG, _LONG, str(certificate[0]))
    url = secure.url.replace("localhost", "127.0.0.1")
    assert "cannot be trusted" in _fails(http, url, Unavailable).message
    http.close()
