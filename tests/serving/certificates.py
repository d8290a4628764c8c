"""Certificates for servers and clients that speak TLS."""

import shutil
import subprocess
from pathlib import Path

from serving.requiring import require_server


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate for `localhost`, which is its own authority.

    Args:
        folder: Where its files go.
        name: What they are called.

    Returns:
        The file of the certificate, and that of its key.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        require_server("a server with TLS", "there is no openssl on PATH to make a certificate")
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
    places = ["-keyout", str(key), "-out", str(certificate)]
    command = [openssl, "req", "-x509", *made, *places, *subject]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
