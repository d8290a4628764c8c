"""Requests of our own go through the proxies that the environment names, as obstore's do."""

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import holdall
from holdall.core.errors import InvalidConfig, NotFound, Timeout, Unavailable
from holdall.objects.backends.cloud.http import Http
from holdall.objects.backends.cloud.proxies import Proxy, proxy_of

_LONG = timedelta(seconds=30)
_PROXY = "http://proxy.example:3128"
_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class _Handler(BaseHTTPRequestHandler):
    server: "Server"

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path))
        self.server.logins.append(self.headers.get("proxy-authorization"))
        self.send_response(404)
        self.send_header("content-length", "0")
        self.end_headers()

    do_CONNECT = do_HEAD = do_GET  # noqa: N815 - the name of the library

    def log_message(self, *_: object) -> None:
        return


class Server(ThreadingHTTPServer):
    """Finds nothing, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.place = f"127.0.0.1:{self.server_port}"
        self.asked: list[tuple[str, str]] = []
        self.logins: list[str | None] = []


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable that names a proxy."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def proxy() -> Iterator[Server]:
    yield from _serving()


@pytest.fixture
def service() -> Iterator[Server]:
    yield from _serving()


def _serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def http() -> Iterator[Http]:
    found = Http(_LONG, _LONG, proxied=True)
    yield found
    found.close()


# Which


@pytest.mark.parametrize(
    ("variables", "url", "goes"),
    [
        ({}, "http://a.example", False),
        ({"HTTP_PROXY": _PROXY}, "http://a.example", True),
        ({"http_proxy": _PROXY}, "http://a.example", True),
        ({"HTTP_PROXY": _PROXY}, "https://a.example", False),
        ({"HTTPS_PROXY": _PROXY}, "https://a.example", True),
        ({"ALL_PROXY": _PROXY}, "https://a.example", True),
        ({"HTTPS_PROXY": _PROXY, "NO_PROXY": "a.example"}, "https://a.example", False),
        ({"HTTPS_PROXY": _PROXY, "NO_PROXY": "b, example"}, "https://a.example:9000", False),
        ({"HTTPS_PROXY": _PROXY, "NO_PROXY": ".example"}, "https://a.example", False),
        ({"HTTPS_PROXY": _PROXY, "NO_PROXY": "*"}, "https://a.example", False),
        ({"HTTPS_PROXY": _PROXY, "NO_PROXY": "le,,b.example"}, "https://a.example", True),
        ({"HTTP_PROXY": _PROXY, "NO_PROXY": "10.0.0.0/8"}, "http://10.1.2.3", False),
        ({"HTTP_PROXY": _PROXY, "NO_PROXY": "10.0.0.0/8"}, "http://11.1.2.3", True),
        ({"HTTP_PROXY": _PROXY, "NO_PROXY": "::1"}, "http://[::1]:9000", False),
    ],
)
def test_the_environment_says_which_urls_go_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, goes: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(url) == (Proxy(_PROXY) if goes else None)


def test_a_proxy_without_a_scheme_is_one_of_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "proxy.example:3128")
    assert proxy_of("http://a.example") == Proxy(_PROXY)


def test_who_asks_a_proxy_is_kept_apart_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:hunter2%40@proxy.example:3128")
    found = proxy_of("http://a.example")
    assert found == Proxy(_PROXY, "me:hunter2@")
    assert "hunter2" not in repr(found)


def test_another_kind_of_proxy_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://me:hunter2@proxy.example:1080")
    with pytest.raises(InvalidConfig, match="a proxy of socks5://") as caught:
        proxy_of("http://a.example")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["http://me:hunter2@proxy:x", "http://", "http://me:hunter2@["])
def test_a_proxy_without_an_address_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", text)
    with pytest.raises(InvalidConfig, match="cannot be read") as caught:
        proxy_of("http://a.example")
    assert "hunter2" not in str(caught.value)


# What is sent


def test_a_request_goes_through_the_proxy(
    proxy: Server, service: Server, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://me:hunter2%E2%82%AC@{proxy.place}")
    url = f"http://{service.place}/a?b=c"
    assert http.send("GET", url, {}).status == 404
    assert proxy.asked == [("GET", url)]
    assert proxy.logins == [f"Basic {b64encode('me:hunter2€'.encode()).decode()}"]
    assert not service.asked


def test_a_request_under_tls_goes_through_a_tunnel(
    proxy: Server, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@{proxy.place}")
    with pytest.raises(Unavailable) as caught:
        http.send("GET", "https://a.example/?sig=hunter2", {})
    assert proxy.asked == [("CONNECT", "a.example:443")]
    assert "hunter2" not in str(caught.value)


def test_a_service_of_the_machine_itself_is_asked_without_one(
    proxy: Server, service: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.place}")
    assert Http(_LONG, _LONG).send("GET", f"http://{service.place}/a", {}).status == 404
    assert service.asked == [("GET", "/a")]
    assert not proxy.asked


@pytest.mark.parametrize("url", ["http://a.example/", "https://a.example/"])
def test_a_proxy_that_is_not_there_was_sent_nothing(
    http: Http, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://me:hunter2@127.0.0.1:1")
    with pytest.raises((Unavailable, Timeout), match=r"the proxy for a\.example") as caught:
        http.send("PUT", url, {})
    assert not caught.value.uncertain
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("bypassed", ["", "127.0.0.1", "127.0.0.0/8", "*", "0.0.1", "::1"])
@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda store: store.read("a"), id="by obstore"),
        pytest.param(lambda store: store.stat("a"), id="by ours"),
    ],
)
def test_what_obstore_asks_and_what_we_ask_go_the_same_way(
    proxy: Server,
    service: Server,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[holdall.DataStore], object],
    bypassed: str,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.place}")
    monkeypatch.setenv("NO_PROXY", bypassed)
    store = holdall.open(
        {
            "type": "s3",
            "bucket": "b",
            "access_key": "id",
            "secret_key": "secret",
            "endpoint": f"http://{service.place}",
            "check": False,
        }
    )
    with pytest.raises(NotFound):
        call(store)
    direct = bypassed in {"127.0.0.1", "127.0.0.0/8"}
    assert (bool(service.asked), bool(proxy.asked)) == (direct, not direct)
