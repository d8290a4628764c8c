"""The proxies relay what they should, and fail as they are told."""

import socket
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from faulty import HttpProxy, RedisProxy
from serving.caches import RedisServer

HOST = "127.0.0.1"
MIB = 1024 * 1024


class Server(ThreadingHTTPServer):
    """Says nothing about clients that went, which is what these tests are about."""

    daemon_threads = False  # its end waits for them

    def handle_error(self, *_: object) -> None:
        return


class Answering(BaseHTTPRequestHandler):
    """Answers a GET with as many bytes as the path ends in, and a PUT with how many came."""

    protocol_version = "HTTP/1.1"
    done: Queue[str]

    def do_GET(self) -> None:
        self.done.put(self.command)
        size = int(self.path.rpartition("/")[2])
        self.send_response(200)
        chunked, endless = self.path.startswith("/chunks"), self.path.startswith("/endless")
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif endless:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command == "HEAD":
            return
        for at in range(0, size, MIB):
            piece = b"x" * min(MIB, size - at)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\nx-last: 1\r\n\r\n")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        size = 0
        if self.headers["Transfer-Encoding"] == "chunked":
            while length := int(self.rfile.readline(), 16):
                size += len(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers["Content-Length"] or 0)
            while left and (piece := self.rfile.read1(min(left, MIB))):
                size += len(piece)
                left -= len(piece)
            if left:
                self.close_connection = True
                self.done.put(f"{self.command} cut at {size}")
                return
        self.done.put(self.command)
        body = f"{size} for {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_expect_100(self) -> bool:
        if self.path == "/refused":
            self.send_response(417)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return False
        return super().handle_expect_100()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def done() -> Queue[str]:
    """What the server has done."""
    return Queue()


@pytest.fixture
def server_port(done: Queue[str]) -> Iterator[int]:
    handler = type("Handler", (Answering,), {"done": done})
    with Server((HOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(server_port: int) -> Iterator[HttpProxy]:
    with HttpProxy(server_port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: HttpProxy) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(HOST, proxy.port, timeout=30)
    yield connection
    connection.close()


def ask(
    client: HTTPConnection, method: str, target: str, body: object = None, **headers: str
) -> tuple[int, bytes]:
    client.request(method, target, body, headers)  # type: ignore[arg-type]
    reply = client.getresponse()
    return reply.status, reply.read()


def typed(port: int, text: bytes) -> bytes:
    """Send bytes as they are and read to the end of the connection."""
    with socket.create_connection((HOST, port), timeout=30) as connection:
        connection.sendall(text)
        return b"".join(iter(lambda: connection.recv(65536), b""))


# What passes


@pytest.mark.parametrize("target", ["/bytes/0", "/bytes/300000", "/chunks/0", "/chunks/3000000"])
def test_a_reply_passes_whole(client: HTTPConnection, target: str) -> None:
    assert ask(client, "GET", target) == (200, b"x" * int(target.rpartition("/")[2]))


def test_a_reply_that_ends_with_its_connection_passes_whole(client: HTTPConnection) -> None:
    assert ask(client, "GET", "/endless/70000") == (200, b"x" * 70_000)


def test_the_body_of_a_head_is_not_waited_for(client: HTTPConnection) -> None:
    assert ask(client, "HEAD", "/bytes/5") == (200, b"")
    assert ask(client, "GET", "/bytes/5") == (200, b"xxxxx")


def test_a_connection_serves_many_requests(client: HTTPConnection, proxy: HttpProxy) -> None:
    client.connect()
    kept = client.sock
    for _ in range(3):
        ask(client, "GET", "/chunks/9")
        ask(client, "PUT", "/k", b"12345")
    assert client.sock is kept
    assert len(proxy.requests) == 6


def test_the_host_stays_that_of_the_proxy(client: HTTPConnection, proxy: HttpProxy) -> None:
    assert ask(client, "PUT", "/k", b"12")[1] == f"2 for {HOST}:{proxy.port}".encode()


def test_the_host_can_be_that_of_the_server(server_port: int) -> None:
    with HttpProxy(server_port, says_host="example.org") as proxy:
        text = b"PUT /k HTTP/1.1\r\nhost: x\r\nConnection: close\r\n\r\n"
        assert typed(proxy.port, text).endswith(b"0 for example.org")


def test_a_chunked_request_passes_and_is_counted(client: HTTPConnection, proxy: HttpProxy) -> None:
    client.request("PUT", "/k", iter([b"123", b"4567"]), encode_chunked=True)
    assert client.getresponse().read().startswith(b"7 for ")
    assert proxy.requests[0].size == 7


def test_requests_are_noted(client: HTTPConnection, proxy: HttpProxy) -> None:
    ask(client, "PUT", "/a?b=c", b"12345", **{"X-Mine": "Yes"})
    (request,) = proxy.requests
    assert (request.method, request.target, request.size) == ("PUT", "/a?b=c", 5)
    assert (request.header("x-mine"), request.status) == ("Yes", 200)


def test_requests_are_found_by_verb_and_target(client: HTTPConnection, proxy: HttpProxy) -> None:
    for method, target in (("GET", "/bytes/1"), ("GET", "/bytes/2"), ("PUT", "/k")):
        ask(client, method, target)
    assert len(proxy.found("GET")) == 2
    assert len(proxy.found(path="bytes/1$")) == 1
    assert not proxy.found("PU")


def test_what_was_forgotten_is_not_found(client: HTTPConnection, proxy: HttpProxy) -> None:
    ask(client, "GET", "/bytes/1")
    proxy.answer(503)
    proxy.forget()
    assert not proxy.requests
    assert ask(client, "GET", "/bytes/1")[0] == 200


EXPECTING = b"PUT %b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n"


def test_a_client_that_waits_for_100_gets_it(proxy: HttpProxy) -> None:
    with socket.create_connection((HOST, proxy.port), timeout=30) as connection:
        reader = connection.makefile("rb")
        connection.sendall(EXPECTING % b"/k" + b"Connection: close\r\n\r\n")
        assert reader.readline().startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"abc")
        assert b"3 for x" in reader.read()
        reader.close()


def test_a_client_that_is_refused_before_its_body_hears_so(proxy: HttpProxy) -> None:
    assert typed(proxy.port, EXPECTING % b"/refused" + b"\r\n").startswith(b"HTTP/1.1 417 ")


def test_large_bodies_pass_in_little_memory(client: HTTPConnection, proxy: HttpProxy) -> None:
    size = 64 * MIB
    piece = b"x" * MIB
    tracemalloc.start()
    try:
        client.request("PUT", "/k", (piece for _ in range(64)), {"Content-Length": str(size)})
        assert client.getresponse().read().startswith(b"%d for" % size)
        client.request("GET", f"/chunks/{size}")
        reply = client.getresponse()
        got = sum(len(part) for part in iter(lambda: reply.read(MIB), b""))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (got, proxy.requests[0].size) == (size, size)
    assert peak < 16 * MIB


def test_many_connections_pass_at_once(proxy: HttpProxy) -> None:
    got = []

    def work() -> None:
        connection = HTTPConnection(HOST, proxy.port, timeout=30)
        for _ in range(5):
            got.append(ask(connection, "GET", "/bytes/100000")[1] == b"x" * 100_000)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [True] * 80


# Answers in place of the server


def test_an_answer_comes_without_the_server(
    client: HTTPConnection, proxy: HttpProxy, done: Queue[str]
) -> None:
    proxy.answer(429, b"slow down", headers={"Retry-After": "7"})
    client.request("PUT", "/k", b"x" * MIB)
    reply = client.getresponse()
    assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
    assert reply.read() == b"slow down"
    assert done.empty()
    assert (proxy.requests[0].status, proxy.requests[0].size) == (429, MIB)
    assert ask(client, "GET", "/bytes/1") == (200, b"x")


def test_an_answer_to_a_head_has_no_body(client: HTTPConnection, proxy: HttpProxy) -> None:
    proxy.answer(503, b"not now")
    assert ask(client, "HEAD", "/bytes/1") == (503, b"")
    assert ask(client, "GET", "/bytes/1") == (200, b"x")


def test_an_answer_needs_no_body_of_who_waits_for_100(proxy: HttpProxy) -> None:
    proxy.answer(503)
    assert typed(proxy.port, EXPECTING % b"/k" + b"\r\n").startswith(b"HTTP/1.1 503 ")


def test_a_fault_meets_what_it_matches(client: HTTPConnection, proxy: HttpProxy) -> None:
    proxy.answer(500, method="PUT|DELETE", path="/k$", skip=1, times=2)
    ask(client, "GET", "/bytes/1")
    ask(client, "PUT", "/other")
    codes = [ask(client, "PUT", "/k")[0] for _ in range(4)]
    assert codes == [200, 500, 500, 200]


def test_a_fault_may_last(client: HTTPConnection, proxy: HttpProxy) -> None:
    proxy.answer(503, times=None)
    assert {ask(client, "GET", "/bytes/1")[0] for _ in range(5)} == {503}


def test_the_first_fault_wins(client: HTTPConnection, proxy: HttpProxy) -> None:
    proxy.answer(500).answer(503)
    assert [ask(client, "GET", "/bytes/1")[0] for _ in range(3)] == [500, 503, 200]


# Cuts


@pytest.mark.parametrize("after", [0, 1, 400_000, 999_999])
@pytest.mark.parametrize("kind", ["bytes", "chunks"])
def test_a_reply_is_cut_after_its_bytes(proxy: HttpProxy, kind: str, after: int) -> None:
    proxy.cut_reply(after)
    text = typed(proxy.port, b"GET /%b/1000000 HTTP/1.1\r\nHost: x\r\n\r\n" % kind.encode())
    assert text.startswith(b"HTTP/1.1 200 ")
    assert text.partition(b"\r\n\r\n")[2].count(b"x") == after


def test_a_client_sees_that_a_reply_was_cut(client: HTTPConnection, proxy: HttpProxy) -> None:
    proxy.cut_reply(2)
    with pytest.raises(IncompleteRead):
        ask(client, "GET", "/bytes/5")


def test_a_reply_can_be_cut_by_a_reset(client: HTTPConnection, proxy: HttpProxy) -> None:
    proxy.cut_reply(2, reset=True)
    with pytest.raises(ConnectionResetError):
        ask(client, "GET", "/bytes/5")


@pytest.mark.parametrize("after", [0, 7, 300_000])
def test_a_request_is_cut_after_its_bytes(
    client: HTTPConnection, proxy: HttpProxy, done: Queue[str], after: int
) -> None:
    proxy.cut_request(after)
    with pytest.raises((HTTPException, OSError)):
        ask(client, "PUT", "/k", b"x" * MIB)
    assert done.get(timeout=30) == f"PUT cut at {after}"
    assert proxy.requests[0].size == after


def test_a_lost_reply_was_meant(client: HTTPConnection, proxy: HttpProxy, done: Queue[str]) -> None:
    proxy.lose_reply()
    with pytest.raises((HTTPException, OSError)):
        ask(client, "PUT", "/k", b"12345")
    assert done.get_nowait() == "PUT"
    assert (proxy.requests[0].size, proxy.requests[0].status) == (5, None)


def test_a_reply_can_be_lost_by_a_reset(client: HTTPConnection, proxy: HttpProxy) -> None:
    proxy.lose_reply(reset=True)
    with pytest.raises(ConnectionResetError):
        ask(client, "PUT", "/k", b"12345")


def test_a_server_that_goes_ends_its_client() -> None:
    with (
        socket.create_server((HOST, 0)) as listening,
        HttpProxy(listening.getsockname()[1]) as proxy,
        socket.create_connection((HOST, proxy.port), timeout=30) as client,
    ):
        client.sendall(b"PUT /k HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
        server, _ = listening.accept()
        got = b""
        while not got.endswith(b"\r\n\r\nx"):
            got += server.recv(1000)
        server.close()
        assert client.recv(1) == b""


# Waiting


def test_a_reply_waits_until_it_is_released(
    client: HTTPConnection, proxy: HttpProxy, done: Queue[str]
) -> None:
    held = proxy.hold_reply(method="PUT")
    client.request("PUT", "/k", b"12345")
    assert held.reached.wait(30)
    assert done.get_nowait() == "PUT"
    assert client.sock is not None
    client.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.sock.recv(1)
    client.sock.settimeout(30)
    held.release()
    assert client.getresponse().status == 200


def test_the_rest_of_a_reply_waits_until_it_is_released(
    client: HTTPConnection, proxy: HttpProxy
) -> None:
    held = proxy.hold_reply(after=400_000)
    client.request("GET", "/chunks/1000000")
    reply = client.getresponse()
    assert held.reached.wait(30)
    assert reply.read(400_000) == b"x" * 400_000
    held.release()
    assert len(reply.read()) == 600_000


def test_a_dripping_reply_comes_whole(client: HTTPConnection, proxy: HttpProxy) -> None:
    proxy.drip_reply(2, 0)
    assert ask(client, "GET", "/bytes/9") == (200, b"x" * 9)


def test_others_pass_while_a_reply_waits(client: HTTPConnection, proxy: HttpProxy) -> None:
    held = proxy.hold_reply()
    client.request("GET", "/bytes/1")
    assert held.reached.wait(30)
    assert typed(proxy.port, b"GET /bytes/1 HTTP/1.1\r\nConnection: close\r\n\r\n").endswith(b"x")


# Listening


def test_connections_are_refused_for_a_while(client: HTTPConnection, proxy: HttpProxy) -> None:
    ask(client, "GET", "/bytes/1")
    with proxy.refusing():
        with pytest.raises((HTTPException, OSError)):
            ask(client, "GET", "/bytes/1")
        client.close()
        with pytest.raises(ConnectionRefusedError):
            ask(client, "GET", "/bytes/1")
    client.close()
    assert ask(client, "GET", "/bytes/1") == (200, b"x")


def test_it_listens_on_this_machine_only(proxy: HttpProxy) -> None:
    assert proxy.endpoint == f"http://127.0.0.1:{proxy.port}"
    if sys.platform == "linux":  # elsewhere this machine has only one such address
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", proxy.port))


def test_it_ends_with_everything_that_it_began(server_port: int) -> None:
    with HttpProxy(server_port) as proxy:
        name = f"proxy {proxy.port}"
        held = proxy.hold_reply(path="/bytes")
        proxy.drip_reply(1, 1000, path="/chunks")
        sockets = [socket.create_connection((HOST, proxy.port), timeout=30) for _ in range(4)]
        sockets[0].sendall(b"GET /bytes/9 HTTP/1.1\r\n\r\n")
        sockets[1].sendall(b"GET /chunks/9 HTTP/1.1\r\n\r\n")
        sockets[2].sendall(b"PUT /k HTTP/1.1\r\nContent-Length: 9\r\n\r\nx")
        assert held.reached.wait(30)
        assert sockets[1].recv(10)
        assert sum(thread.name == name for thread in threading.enumerate()) > 2
    assert not any(thread.name == name for thread in threading.enumerate())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, proxy.port))
    for connection in sockets:
        connection.close()


# Redis


@pytest.fixture
def redis_proxy(redis_server: RedisServer) -> Iterator[RedisProxy]:
    redis_server.make_empty()
    with RedisProxy(redis_server.running.port) as proxy:
        yield proxy


@pytest.fixture(params=[2, 3])
def through(
    request: pytest.FixtureRequest, redis_server: RedisServer, redis_proxy: RedisProxy
) -> Iterator["redis.Redis"]:
    """A client behind the proxy, connected, in both versions of the protocol."""
    with redis.Redis(
        port=redis_proxy.port,
        password=redis_server.password,
        protocol=request.param,
        retry=Retry(NoBackoff(), 0),
        single_connection_client=True,
    ) as client:
        client.ping()
        redis_proxy.forget()
        yield client


def test_values_of_every_kind_pass(through: "redis.Redis") -> None:
    through.set("k", b"x" * MIB)
    assert through.get("k") == b"x" * MIB
    assert through.get("none") is None
    through.hset("h", mapping={"a": "1", "b": "2"})
    assert through.hgetall("h") == {b"a": b"1", b"b": b"2"}
    assert through.eval("return {1, {'a', {}}, false}", 0) == [1, [b"a", []], None]
    with pytest.raises(redis.ResponseError):
        through.incr("k")


def test_commands_are_noted(through: "redis.Redis", redis_proxy: RedisProxy) -> None:
    with through.pipeline(transaction=False) as pipe:
        pipe.set("a", 1)
        pipe.get("a")
        pipe.execute()
    assert redis_proxy.commands[-2:] == ["SET", "GET"]


def test_a_lost_reply_of_redis_was_meant(
    through: "redis.Redis", redis_proxy: RedisProxy, redis_server: RedisServer
) -> None:
    redis_proxy.cut_before(2, command="SET")
    through.set("a", 1)
    through.get("a")
    with pytest.raises(redis.ConnectionError):
        through.set("a", 2)
    with redis.Redis.from_url(redis_server.url) as direct:
        assert direct.get("a") == b"2"


def test_a_connection_is_cut_after_a_reply(through: "redis.Redis", redis_proxy: RedisProxy) -> None:
    redis_proxy.cut_after(command="SET")
    assert through.set("a", 1) is True
    with pytest.raises(redis.ConnectionError):
        through.get("a")


def test_a_reply_of_redis_is_cut_inside(through: "redis.Redis", redis_proxy: RedisProxy) -> None:
    through.set("k", b"x" * MIB)
    redis_proxy.cut_inside(MIB // 2, command="GET")
    with pytest.raises(redis.ConnectionError):
        through.get("k")


def test_a_reply_of_redis_waits_until_it_is_released(
    through: "redis.Redis", redis_proxy: RedisProxy, redis_server: RedisServer
) -> None:
    held = redis_proxy.hold_reply(command="SET")
    got = []
    thread = threading.Thread(target=lambda: got.append(through.set("a", 1)))
    thread.start()
    assert held.reached.wait(30)
    with redis.Redis.from_url(redis_server.url) as direct:
        assert direct.get("a") == b"1"
    assert got == []
    held.release()
    thread.join()
    assert got == [True]


def test_a_redis_refuses_connections_for_a_while(
    through: "redis.Redis", redis_proxy: RedisProxy
) -> None:
    with redis_proxy.refusing(), pytest.raises(redis.ConnectionError):
        through.get("a")
