"""Asking a server in this process: grids to it, grids from it."""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Any

import httpx

from holdall.haystack import MARKER, Grid, Number, Ref
from holdall.haystack.codecs.media import codec_for
from holdall.haystack.codecs.zinc import ZINC
from holdall.server import Users

ZINC_TYPE = {"content-type": "text/zinc"}
ITERATIONS = 4096


def building() -> list[dict[str, Any]]:
    """A site with a piece of equipment and three points."""
    point = {"point": MARKER, "his": MARKER, "siteRef": Ref("s1"), "equipRef": Ref("a1")}
    return [
        {
            "id": Ref("s1"),
            "dis": "HQ",
            "site": MARKER,
            "tz": "New_York",
            "area": Number(2000, "m²"),
        },
        {"id": Ref("a1"), "dis": "AHU-1", "equip": MARKER, "ahu": MARKER, "siteRef": Ref("s1")},
        {
            **point,
            "id": Ref("p1"),
            "temp": MARKER,
            "writable": MARKER,
            "kind": "Number",
            "unit": "°C",
        },
        {**point, "id": Ref("p2"), "flow": MARKER, "kind": "Number"},
        {**point, "id": Ref("p3"), "run": MARKER, "kind": "Bool", "tz": "Berlin"},
    ]


class Asking:
    """Asks a server.

    Args:
        client: The client; its headers go with every request.
    """

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def get(self, path: str, **headers: str) -> httpx.Response:
        """What a GET answers; `-` stands for `_` in names of headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer: httpx.Response = self.client.get(f"/api/{path}", headers=named)
        return answer

    def post(self, op: str, body: Any, **headers: str) -> httpx.Response:
        """What a POST of a grid, or of text, answers."""
        if isinstance(body, Grid):
            body = ZINC.encode(body)
        named = ZINC_TYPE | {name.replace("_", "-"): value for name, value in headers.items()}
        answer: httpx.Response = self.client.post(f"/api/{op}", content=body, headers=named)
        return answer

    def grid(self, op: str, body: Any = None) -> Grid:
        """The grid that an operation answers; a text is a GET's query."""
        response = self.get(op) if body is None else self.post(op, body)
        return grid_of(response)


def grid_of(response: httpx.Response) -> Grid:
    """The grid of a response."""
    assert response.status_code == 200, response.text
    return codec_for(response.headers["content-type"]).decode(response.content)


def users() -> Users:
    """Accounts in memory, whose passwords are hashed only a little."""
    return Users(iterations=ITERATIONS)


def b64(text: str) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parameters(header: str) -> dict[str, str]:
    """The parameters of an answered header."""
    return dict(re.findall(r"([A-Za-z]+)=([^,\s]+)", header))


def unb64(text: str) -> str:
    """The text of base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


class Login:
    """The client's side of the handshake, step by step, by RFC 5802."""

    def __init__(self, client: httpx.Client, name: str, password: str) -> None:
        self.client, self.name, self.password = client, name, password
        self.nonce = secrets.token_hex(12)
        self.token = ""
        self.first_answer = ""

    def hello(self) -> httpx.Response:
        response = self._get(f"HELLO username={b64(self.name)}")
        self.token = parameters(response.headers.get("www-authenticate", "")).get(
            "handshakeToken", ""
        )
        return response

    def first(self) -> httpx.Response:
        message = f"n,,n={self.name},r={self.nonce}"
        response = self._get(f"SCRAM handshakeToken={self.token}, data={b64(message)}")
        data = parameters(response.headers.get("www-authenticate", "")).get("data", "")
        self.first_answer = unb64(data)
        return response

    def final_header(self) -> str:
        parts = dict(part.split("=", 1) for part in self.first_answer.split(","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", self.password.encode(), base64.b64decode(parts["s"]), int(parts["i"])
        )
        key = hmac.new(salted, b"Client Key", "sha256").digest()
        without_proof = f"c=biws,r={parts['r']}"
        message = f"n={self.name},r={self.nonce},{self.first_answer},{without_proof}"
        signature = hmac.new(hashlib.sha256(key).digest(), message.encode(), "sha256").digest()
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True)))
        data = b64(f"{without_proof},p={proof.decode()}")
        return f"SCRAM handshakeToken={self.token}, data={data}"

    def final(self) -> httpx.Response:
        return self._get(self.final_header())

    def all(self) -> httpx.Response:
        """The last answer of a whole handshake."""
        self.hello()
        self.first()
        return self.final()

    def bearer(self) -> str:
        """The header of a session."""
        info = self.all().headers["authentication-info"]
        return f"BEARER authToken={parameters(info)['authToken']}"

    def _get(self, authorization: str) -> httpx.Response:
        answer: httpx.Response = self.client.get(
            "/api/about", headers={"Authorization": authorization}
        )
        return answer
