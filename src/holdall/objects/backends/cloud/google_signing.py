"""Signed URLs of Google Cloud Storage, version 4.

https://cloud.google.com/storage/docs/authentication/signatures
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from holdall.objects.backends.cloud.sigv4 import query_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

_ALGORITHM = "GOOG4-RSA-SHA256"


def presign(
    method: str,
    host: str,
    path: str,
    headers: Mapping[str, str],
    email: str,
    sign: Callable[[bytes], bytes],
    now: datetime,
    expires: int,
) -> str:
    """The query of a URL that needs no other credential.

    Args:
        method: The verb.
        host: Host and port of the URL.
        path: Encoded.
        headers: What the client must send, names in small letters.
        email: The service account.
        sign: Signs bytes with its key.
        now: In UTC.
        expires: For how many seconds.
    """
    time = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/auto/storage/goog4_request"
    signed = {**headers, "host": host}
    ordered = sorted(signed)
    query = query_text(
        {
            "X-Goog-Algorithm": _ALGORITHM,
            "X-Goog-Credential": f"{email}/{scope}",
            "X-Goog-Date": time,
            "X-Goog-Expires": str(expires),
            "X-Goog-SignedHeaders": ";".join(ordered),
        }
    )
    lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in ordered)
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{';'.join(ordered)}\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signature = sign(f"{_ALGORITHM}\n{time}\n{scope}\n{digest}".encode()).hex()
    return f"{query}&X-Goog-Signature={signature}"
