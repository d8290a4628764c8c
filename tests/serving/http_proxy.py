"""A proxy before an HTTP/1.1 server, which counts requests and makes faults on demand."""

import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, Self, TypedDict, Unpack

from serving.http_messages import Head, pieces, read_head, until
from serving.process import HOST
from serving.proxy import Cut, Hold, Proxy, Wire


@dataclass(slots=True)
class Request:
    """What came from a client.

    Attributes:
        method: The verb.
        target: Path and query, as sent.
        headers: Names and values, as sent.
        size: How many bytes of body have come, without the framing of chunks.
        status: What the client was answered; None when the reply was lost, or is not there yet.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    size: int = 0
    status: int | None = None

    def header(self, name: str) -> str | None:
        """The value of a header, as sent."""
        return next((v for known, v in self.headers if known.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the proxy answers in place of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Matching(TypedDict, total=False):
    """Which requests a fault meets.

    Args:
        method: A pattern that the verb is.
        path: A pattern found in the target (path and query).
        skip: How many such requests go well before.
        times: How many meet it then; None for all.
    """

    method: str
    path: str
    skip: int
    times: int | None


@dataclass(slots=True)
class Fault:
    """What happens to the requests that it matches."""

    kind: Literal["answer", "cut request", "cut reply", "lose", "hold", "drip"]
    method: str = ".*"
    path: str = ""
    skip: int = 0
    times: int | None = 1
    size: int | None = None
    pause: float = 0
    reset: bool = False
    answer: Answer | None = None
    hold: Hold = field(default_factory=Hold)

    def meets(self, request: Request) -> bool:
        """Whether it happens to this request, which counts."""
        if not (re.fullmatch(self.method, request.method) and re.search(self.path, request.target)):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            if not self.times:
                return False
            self.times -= 1
        return True


class HttpProxy(Proxy):
    """Relays HTTP/1.1 as it is, the `Host` header too, which signatures cover.

    A fault meets the next request that it matches, once, unless `Matching` says otherwise; the
    one that was asked for first wins. Bodies pass in pieces, whatever their size.

    Args:
        port: Where the server listens.
        host: On which machine.
        says_host: What the server gets as `Host`, for one that looks there for its own name and
            checks no signature; None leaves what the client says.
    """

    def __init__(self, port: int, host: str = HOST, *, says_host: str | None = None) -> None:
        self._says_host = says_host
        self._requests: list[Request] = []
        self._faults: list[Fault] = []
        super().__init__(port, host)

    @property
    def endpoint(self) -> str:
        """Its URL, without a trailing slash."""
        return f"http://{HOST}:{self.port}"

    @property
    def requests(self) -> list[Request]:
        """What has come since the beginning, or since `forget`."""
        with self._lock:
            return list(self._requests)

    def found(self, method: str = ".*", path: str = "") -> list[Request]:
        """The requests whose verb and target fit two patterns."""
        return [
            request
            for request in self.requests
            if re.fullmatch(method, request.method) and re.search(path, request.target)
        ]

    def forget(self) -> None:
        """Forget requests and faults."""
        with self._lock:
            self._requests.clear()
            self._faults.clear()

    def answer(
        self,
        status: int,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        **matching: Unpack[Matching],
    ) -> Self:
        """Answer in place of the server, which hears nothing."""
        fault = Fault("answer", **matching, answer=Answer(status, dict(headers or {}), body))
        return self._add(fault)

    def cut_request(self, after: int, **matching: Unpack[Matching]) -> Self:
        """Hand on the head and this many bytes of the body, then cut; at the body's end at last."""
        return self._add(Fault("cut request", **matching, size=after))

    def cut_reply(self, after: int, *, reset: bool = False, **matching: Unpack[Matching]) -> Self:
        """Hand back the head and this many bytes of the body, then cut; at its end at last."""
        return self._add(Fault("cut reply", **matching, size=after, reset=reset))

    def lose_reply(self, *, reset: bool = False, **matching: Unpack[Matching]) -> Self:
        """Let the server do what it was asked, then cut the connection in place of its reply."""
        return self._add(Fault("lose", **matching, reset=reset))

    def hold_reply(self, after: int | None = None, **matching: Unpack[Matching]) -> Hold:
        """Keep the reply of the server until it is released.

        Args:
            after: Keep what follows this many bytes of the body; None keeps the head too.
            matching: Which requests.
        """
        hold = self.hold()
        self._add(Fault("hold", **matching, size=after, hold=hold))
        return hold

    def drip_reply(self, size: int, pause: float, **matching: Unpack[Matching]) -> Self:
        """Hand back the body this many bytes at a time, with so many seconds before each."""
        return self._add(Fault("drip", **matching, size=size, pause=pause))

    def serve(self, client: Wire) -> None:
        server: Wire | None = None
        try:
            while (head := read_head(client.reader)) is not None:
                request = Request(head.first[0], head.first[1], head.headers)
                fault = self._meet(request)
                if fault is not None and fault.answer is not None:
                    if not self._answer(client, head, request, fault.answer):
                        return
                    continue
                if server is not None and server.has_news():
                    self.drop(server)  # the server was tired of waiting
                    server = None
                server = server or self.connect()
                if not self._relay(client, server, head, request, fault):
                    return
        finally:
            if server is not None:
                self.drop(server)

    def _add(self, fault: Fault) -> Self:
        with self._lock:
            self._faults.append(fault)
        return self

    def _meet(self, request: Request) -> Fault | None:
        with self._lock:
            self._requests.append(request)
            return next((fault for fault in self._faults if fault.meets(request)), None)

    def _answer(self, client: Wire, head: Head, request: Request, answer: Answer) -> bool:
        waits = bool(head.get("expect"))
        if not waits:
            for _, number in pieces(client.reader, head.chunked, head.length or 0):
                request.size += number
        request.status = answer.status
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        lines += [f"Content-Length: {len(answer.body)}", *["Connection: close"] * waits, "", ""]
        body = b"" if request.method == "HEAD" else answer.body
        client.send("\r\n".join(lines).encode() + body)
        return not waits and head.keeps_open(head.first[2])

    def _relay(
        self, client: Wire, server: Wire, head: Head, request: Request, fault: Fault | None
    ) -> bool:
        """Hand on one request and its reply; answer whether the connection can go on."""
        server.send(head.raw if self._says_host is None else head.with_host(self._says_host))
        if fault is not None and fault.kind == "cut request":
            if head.get("expect"):
                client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = pieces(client.reader, head.chunked, head.length or 0, fault.size)
            for piece, number in until(body, fault.size or 0):
                server.send(piece)
                request.size += number
            raise Cut

        if not head.chunked and not head.length:
            return self._hand_back(client, server, head, request, fault)
        # Beside, because a server may reply before it has read everything.
        passing = self.start(lambda: _pass_body(client, server, head, request))
        try:
            goes_on = self._hand_back(client, server, head, request, fault)
        except (OSError, Cut):
            client.end(socket.SHUT_RD)
            server.end()
            passing.join()
            raise
        if head.get("expect") and not request.size:
            # The client was told the end without having been asked for its body.
            client.end(socket.SHUT_RD)
            goes_on = False
        passing.join()
        return goes_on

    def _hand_back(
        self, client: Wire, server: Wire, head: Head, request: Request, fault: Fault | None
    ) -> bool:
        kind = None if fault is None else fault.kind
        while True:
            reply = read_head(server.reader)
            if reply is None:
                raise ConnectionResetError
            status = int(reply.first[1])
            if status >= 200 or status == 101:
                break
            client.send(reply.raw)
        empty = request.method == "HEAD" or status in {204, 304}
        length = 0 if empty else reply.length
        border = None if fault is None else fault.size
        body = pieces(server.reader, reply.chunked and not empty, length, border)
        if fault is not None and kind == "lose":
            for _ in body:
                pass
            raise Cut(reset=fault.reset)
        if fault is not None and kind == "hold" and fault.size is None:
            fault.hold.keep()
        request.status = status
        client.send(reply.raw)
        if fault is None:
            for piece, _ in body:
                client.send(piece)
        elif kind == "cut reply":
            for piece, _ in until(body, fault.size or 0):
                client.send(piece)
            raise Cut(reset=fault.reset)
        elif kind == "hold":
            self._send_held(client, body, fault)
        else:
            self._send_dripping(client, body, fault)
        ends_itself = reply.chunked or length is not None
        return ends_itself and head.keeps_open(head.first[2]) and reply.keeps_open(reply.first[0])

    def _send_held(self, client: Wire, body: Iterator[tuple[bytes, int]], fault: Fault) -> None:
        if fault.size is not None:
            for piece, _ in until(body, fault.size):
                client.send(piece)
            fault.hold.keep()
        for piece, _ in body:
            client.send(piece)

    def _send_dripping(self, client: Wire, body: Iterator[tuple[bytes, int]], fault: Fault) -> None:
        size = fault.size or 1
        for piece, _ in body:
            for at in range(0, len(piece), size):
                self.pause(fault.pause)
                client.send(piece[at : at + size])


def _pass_body(client: Wire, server: Wire, head: Head, request: Request) -> None:
    """Hand on the body of a request; what the server no longer takes is read all the same."""
    taken = True
    try:
        for piece, number in pieces(client.reader, head.chunked, head.length):
            request.size += number
            if taken:
                taken = _try_to_send(server, piece)
    except OSError:
        server.end()  # the client has gone in the middle


def _try_to_send(wire: Wire, data: bytes) -> bool:
    try:
        wire.send(data)
    except OSError:
        return False
    return True
