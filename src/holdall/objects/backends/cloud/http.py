"""Requests over HTTP, for what obstore has no call for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from holdall.core.errors import Timeout, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from holdall.objects.contract import Data


class Response:
    """The answer to a request, read whole.

    Attributes:
        status: The HTTP status.
        headers: By name in small letters.
        body: The bytes.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body


class Http:
    """Connections that are kept and shared by threads. It follows no redirect and repeats nothing.

    Args:
        timeout: How long an answer may stand still.
        connect_timeout: How long to wait for a connection.
        ca_file: A file of certificates to trust, PEM; None for those that Python trusts.
        connections: How many are kept.
    """

    def __init__(
        self,
        timeout: timedelta,
        connect_timeout: timedelta,
        ca_file: str | None = None,
        connections: int = 16,
    ) -> None:
        self._timeout = timeout.total_seconds()
        self._connect_timeout = connect_timeout.total_seconds()
        self._ca_file = ca_file
        self._connections = connections
        self._pool: Any = None
        self._process = 0

    def send(self, method: str, url: str, headers: Mapping[str, str], body: Data = b"") -> Response:
        """Send a request and read its answer.

        Raises:
            Timeout: It took too long; names the setting.
            Unavailable: There was no connection, or it broke off.
        """
        import urllib3
        from urllib3 import exceptions

        pool = self._pool
        if pool is None or self._process != os.getpid():
            # A child must not write into its parent's connections.
            pool = self._pool = urllib3.PoolManager(
                maxsize=self._connections,
                retries=False,
                timeout=urllib3.Timeout(connect=self._connect_timeout, read=self._timeout),
                ca_certs=self._ca_file,
            )
            self._process = os.getpid()
        try:
            answer = pool.request(
                method, url, headers=headers, body=body, redirect=False, decode_content=False
            )
        # What urllib3 says holds the URL, and a URL may hold a signature.
        except exceptions.NewConnectionError:  # which urllib3 counts among time-outs
            raise Unavailable(f"no connection to {_host(url)} could be made") from None
        except exceptions.ConnectTimeoutError:
            raise Timeout(
                f"{_host(url)} took longer to connect than the setting 'connect_timeout' allows"
            ) from None
        except exceptions.TimeoutError:
            raise Timeout(f"{_host(url)} took longer than the setting 'timeout' allows") from None
        except exceptions.SSLError as error:
            reason = getattr(error.args[0] if error.args else None, "reason", None) or "TLS failed"
            raise Unavailable(
                f"{_host(url)} cannot be trusted: {reason} (the setting 'ca_file')",
                transient=False,
            ) from None
        except exceptions.HTTPError:
            raise Unavailable(f"the connection to {_host(url)} failed, or broke off") from None
        return Response(answer.status, answer.headers, answer.data)

    def close(self) -> None:
        """Let go of the connections; they are made again when needed."""
        pool, self._pool = self._pool, None
        if pool is not None and self._process == os.getpid():
            pool.clear()


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
