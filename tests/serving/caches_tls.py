"""Redis that speaks TLS alone."""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection

from serving import commands
from serving.certificates import make_certificate
from serving.process import HOST, running


@dataclass(frozen=True, slots=True)
class TlsServer:
    """A Redis that is called `localhost`.

    Attributes:
        port: Where it listens.
        authority: The file of the authority to trust.
        certificate: The file of the certificate that it knows clients by.
        key: The file of that certificate's key.
    """

    port: int
    authority: str
    certificate: str
    key: str


@contextmanager
def redis_tls(folder: Path, *, clients: bool = False, stack: bool = False) -> Iterator[TlsServer]:
    """Run a Redis that speaks TLS alone.

    Args:
        folder: Where it runs.
        clients: Whether clients need a certificate.
        stack: Whether it has the modules of Redis Stack.
    """
    own, own_key = make_certificate(folder, "server")
    theirs, their_key = make_certificate(folder, "client")
    program: Sequence[str] = commands.redis_stack() if stack else commands.redis()
    context = ssl.create_default_context(cafile=str(own))
    context.load_cert_chain(str(theirs), str(their_key))
    with running(
        "redis-tls",
        lambda port: [
            *program,
            *("--bind", HOST, "--port", "0", "--tls-port", str(port)),
            *("--tls-cert-file", own, "--tls-key-file", own_key, "--tls-ca-cert-file", theirs),
            *("--tls-auth-clients", "yes" if clients else "no"),
            *("--save", "", "--appendonly", "no", "--dir", folder),
        ],
        lambda port: _answers(port, context),
        folder=folder,
    ) as process:
        yield TlsServer(process.port, str(own), str(theirs), str(their_key))


def _answers(port: int, context: ssl.SSLContext) -> bool:
    with (
        create_connection((HOST, port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"PING\r\n")
        return connection.recv(100) == b"+PONG\r\n"
