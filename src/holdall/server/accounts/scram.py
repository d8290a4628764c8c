"""SCRAM-SHA-256 (RFC 5802, RFC 7677): proving a password without sending it.

    client first    n,,n=alice,r=<client nonce>
    server first    r=<client nonce><server nonce>,s=<salt>,i=<iterations>
    client final    c=biws,r=<both nonces>,p=<proof>
    server final    v=<signature>

What is kept of a password proves it and cannot be turned back into it: a salt, and two keys. Names
are ASCII without `,` and `=`, so that nothing in a message needs an escape; passwords are UTF-8 as
they are typed.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode, urlsafe_b64encode
from typing import Final

from msgspec import Struct

from holdall.core.errors import InvalidValue, Unauthenticated

HASH: Final = "SHA-256"
ITERATIONS: Final = 600_000
"""How often a password is hashed: what a guess costs whoever stole what is kept."""
LEAST_ITERATIONS: Final = 4096
SHORTEST_PASSWORD: Final = 8
_LONGEST_PASSWORD: Final = 1024
_LONGEST_MESSAGE: Final = 2048
_SALT_BYTES: Final = 16


class Credentials(Struct, frozen=True):
    """What is kept of a password.

    Attributes:
        salt: Random bytes.
        iterations: How often it was hashed.
        stored_key: What a proof is checked with.
        server_key: With which the server proves itself.
    """

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    @classmethod
    def of(cls, password: str, *, iterations: int = ITERATIONS) -> Credentials:
        """Make what is kept of a password; takes a good part of a second.

        Raises:
            InvalidValue: The password has less than 8 or more than 1,024 characters, or holds
                half of one.
        """
        if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
            raise InvalidValue(
                f"a password has from {SHORTEST_PASSWORD} to {_LONGEST_PASSWORD:,} characters"
            )
        try:
            secret = password.encode()
        except UnicodeEncodeError:
            # The cause would hold the password.
            raise InvalidValue("a password holds half of a character") from None
        salt = secrets.token_bytes(_SALT_BYTES)
        salted = hashlib.pbkdf2_hmac("sha256", secret, salt, iterations)
        client_key = _hmac(salted, b"Client Key")
        return cls(
            salt, iterations, hashlib.sha256(client_key).digest(), _hmac(salted, b"Server Key")
        )

    @classmethod
    def unknown(cls, name: str, secret: bytes, *, iterations: int = ITERATIONS) -> Credentials:
        """What a name has that nobody has: always the same, and no proof fits.

        Args:
            name: The name, any text.
            secret: The server's own.
            iterations: Those of everybody else.
        """
        key = hmac.new(secret, b"salt\0" + name.encode("utf-8", "surrogatepass"), "sha256").digest()
        return cls(key[:_SALT_BYTES], iterations, _hmac(key, b"stored"), _hmac(key, b"server"))


class ClientFirst(Struct, frozen=True):
    """What a client begins with."""

    name: str
    nonce: str

    @classmethod
    def read(cls, text: str) -> ClientFirst:
        """Read a client's first message.

        Raises:
            Unauthenticated: It is none, or asks for what is not here.
        """
        # Some clients leave the header out, which says that there is no channel binding.
        header, bare = ("n,,", text) if text.startswith("n=") else (text[:3], text[3:])
        parts = bare.split(",")
        if (
            header not in {"n,,", "y,,"}
            or len(parts) != 2
            or not parts[0].startswith("n=")
            or not parts[1].startswith("r=")
            or len(text) > _LONGEST_MESSAGE
        ):
            raise Unauthenticated("the first message of SCRAM is n,,n=<user>,r=<nonce>")
        nonce = parts[1][2:]
        if len(nonce) < 8 or not nonce.isascii() or not nonce.isprintable():
            raise Unauthenticated("the nonce of SCRAM has 8 or more printable characters")
        return cls(parts[0][2:], nonce)

    def is_of(self, name: str) -> bool:
        """Whether it says that its client is this one; some clients leave out the escapes."""
        return name in {self.name, self.name.replace("=2C", ",").replace("=3D", "=")}


class ClientFinal(Struct, frozen=True):
    """What a client ends with."""

    without_proof: str
    nonce: str
    proof: bytes

    @classmethod
    def read(cls, text: str) -> ClientFinal:
        """Read a client's last message.

        Raises:
            Unauthenticated: It is none.
        """
        without_proof, found, proof = text.strip().rpartition(",p=")
        parts = without_proof.split(",")
        if (
            not found
            or len(parts) != 2
            or parts[0] not in {"c=biws", "c=eSws"}
            or not parts[1].startswith("r=")
            or len(text) > _LONGEST_MESSAGE
        ):
            raise Unauthenticated("the last message of SCRAM is c=biws,r=<nonce>,p=<proof>")
        return cls(without_proof, parts[1][2:], decoded(proof))


def server_first(nonce: str, credentials: Credentials) -> str:
    """What the server answers to a client's first message.

    Args:
        nonce: The client's and the server's, one behind the other.
        credentials: Of whom the client says it is.
    """
    salt = b64encode(credentials.salt).decode()
    return f"r={nonce},s={salt},i={credentials.iterations}"


def server_final(
    name: str, client_nonce: str, final: ClientFinal, credentials: Credentials
) -> str | None:
    """What the server answers to a proof; None where it is wrong.

    Takes the same time whether the name is known or not.
    """
    message = (
        f"n={name},r={client_nonce},{server_first(final.nonce, credentials)},{final.without_proof}"
    ).encode("utf-8", "surrogatepass")
    signature = _hmac(credentials.stored_key, message)
    proof = final.proof.ljust(len(signature), b"\0")[: len(signature)]
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    fits = hmac.compare_digest(hashlib.sha256(client_key).digest(), credentials.stored_key)
    answer = "v=" + b64encode(_hmac(credentials.server_key, message)).decode()
    return answer if fits and len(final.proof) == len(signature) else None


def encoded(text: str, *, padded: bool = False) -> str:
    """A text in base64url, as headers carry it: without padding, by the standard."""
    whole = urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode()
    return whole if padded else whole.rstrip("=")


def decoded(text: str) -> bytes:
    """Bytes of base64, of either alphabet, padded or not.

    Raises:
        Unauthenticated: It is none.
    """
    plain = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unauthenticated("a parameter of the header Authorization is no base64url") from error


def decoded_text(text: str) -> str:
    """A text of base64url.

    Raises:
        Unauthenticated: It is none, or not UTF-8.
    """
    try:
        return decoded(text).decode()
    except UnicodeDecodeError as error:
        raise Unauthenticated("a parameter of the header Authorization is not UTF-8") from error


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, "sha256").digest()
