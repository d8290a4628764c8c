"""Requests over HTTP, for what obstore has no call for."""

from __future__ import annotations

import logging
import os
import re
import ssl
import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from holdall import __version__
from holdall.core.errors import InvalidConfig, LimitExceeded, Timeout, Unavailable
from holdall.objects.backends.cloud import proxies

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from holdall.objects.contract import Data

ANSWER_BYTES = 256 * 1024 * 1024
"""How much an answer may have unless it is said: far more than a page of any service."""

_AGENT = f"holdall/{__version__}"
_QUERY = re.compile(r"\?[^\s\"'>]*")

_ours = threading.local()


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

    @property
    def retry_after(self) -> float | None:
        """For how many seconds not to ask again (RFC 9110, section 10.2.3); None if unsaid."""
        said = self.headers.get("retry-after", "").strip()
        if said.isascii() and said.isdigit():
            return float(said)
        try:
            moment = parsedate_to_datetime(said)
        except ValueError:
            return None
        return max(0.0, moment.timestamp() - time.time())


class Http:
    """Connections that are kept and shared by threads. It follows no redirect and repeats nothing.

    A forked child makes its own connections.

    Args:
        timeout: How long an answer may stand still.
        connect_timeout: How long to wait for a connection.
        ca_file: A file of certificates to trust, PEM; None for those that Python trusts.
        connections: How many are kept.
        headers: Go with every request that does not name them itself.
        proxied: Whether the proxies count that the environment names. Not for the services of a
            machine itself, which a proxy cannot reach.
    """

    def __init__(
        self,
        timeout: timedelta,
        connect_timeout: timedelta,
        ca_file: str | None = None,
        connections: int = 16,
        headers: Mapping[str, str] | None = None,
        *,
        proxied: bool = False,
    ) -> None:
        self._timeout = timeout.total_seconds()
        self._connect_timeout = connect_timeout.total_seconds()
        self._ca_file = ca_file
        self._connections = connections
        self._headers = {"user-agent": _AGENT, **(headers or {})}
        self._proxied = proxied
        self._ways: dict[str, proxies.Proxy | None] = {}  # by origin
        # By process and proxy; a parent's are dropped in the child.
        self._pools: dict[tuple[int, proxies.Proxy | None], Any] = {}

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Data = b"",
        limit: int = ANSWER_BYTES,
    ) -> Response:
        """Send a request and read its answer.

        Args:
            method: The verb.
            url: Encoded, as it is to be sent.
            headers: What goes with it; a user agent is added where there is none.
            body: What is sent.
            limit: How many bytes the body of the answer may have.

        Raises:
            Timeout: It took too long; names the setting. `uncertain` when it may have arrived.
            Unavailable: There was no connection, or it broke off; `uncertain` as before.
            LimitExceeded: The answer has more bytes than `limit`.
            InvalidConfig: A header holds what no header can, such as a token with a line break.
        """
        from urllib3 import exceptions

        proxy = self._way(url) if self._proxied else None
        pool = self._pools.get((os.getpid(), proxy)) or self._connect(proxy)
        _ours.sending = True
        try:
            answer = pool.request(
                method,
                url,
                headers={**self._headers, **headers},
                body=body,
                redirect=False,
                decode_content=False,
                preload_content=False,
            )
            content = _content(answer, url, limit)
        # What urllib3 says holds the URL, and a URL may hold a signature.
        except exceptions.HTTPError as error:
            raise _failure(error, url) from None
        except ValueError:  # which quotes the header, and that may be a token
            raise InvalidConfig(
                f"a request to {_host(url)} cannot be sent: a header holds a line break or "
                "another character that no header can; look for one in the credentials"
            ) from None
        finally:
            _ours.sending = False
        return Response(answer.status, answer.headers, content)

    def _way(self, url: str) -> proxies.Proxy | None:
        """The proxy of a URL; found once for each origin."""
        origin = "/".join(url.split("/", 3)[:3])
        if origin not in self._ways:
            self._ways[origin] = proxies.proxy_of(origin)
        return self._ways[origin]

    def _connect(self, proxy: proxies.Proxy | None) -> Any:
        import urllib3

        logging.getLogger("urllib3.connectionpool").addFilter(_without_query)
        process = os.getpid()
        for other in [other for other in list(self._pools) if other[0] != process]:
            # A child must not write into its parent's connections.
            self._pools.pop(other, None)
        options: dict[str, Any] = {
            "maxsize": self._connections,
            "retries": False,
            "timeout": urllib3.Timeout(connect=self._connect_timeout, read=self._timeout),
            "ca_certs": self._ca_file,
        }
        if proxy is None:
            pool = urllib3.PoolManager(**options)
        else:
            pool = urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers(), **options)
        # Another thread may have been faster.
        return self._pools.setdefault((process, proxy), pool)

    def close(self) -> None:
        """Let go of the connections; they are made again when needed."""
        for key in [key for key in list(self._pools) if key[0] == os.getpid()]:
            pool = self._pools.pop(key, None)
            if pool is not None:
                pool.clear()


def _failure(error: Any, url: str) -> Timeout | Unavailable:
    """The error for what urllib3 raises; `uncertain` unless nothing was sent."""
    from urllib3 import exceptions

    host, cause = _host(url), error
    if isinstance(error, exceptions.ProxyError):
        host, cause = f"the proxy for {host}", error.original_error
    if isinstance(cause, exceptions.NewConnectionError):  # which urllib3 counts among time-outs
        return Unavailable(f"no connection to {host} could be made")
    if isinstance(cause, exceptions.ConnectTimeoutError):
        return Timeout(f"{host} took longer to connect than the setting 'connect_timeout' allows")
    found: Timeout | Unavailable
    if isinstance(cause, exceptions.TimeoutError):
        found = Timeout(f"{host} took longer than the setting 'timeout' allows")
    elif isinstance(cause, exceptions.SSLError):
        told = cause.args[0] if cause.args else None
        reason = getattr(told, "reason", None) or "TLS failed"
        found = Unavailable(
            f"{host} cannot be trusted: {reason} (the setting 'ca_file')", transient=False
        )
        if isinstance(told, ssl.SSLCertVerificationError):
            return found
    else:
        found = Unavailable(f"the connection to {host} failed, or broke off")
    found.uncertain = True
    return found


def _content(answer: Any, url: str, limit: int) -> bytes:
    """The body of an answer; no more than `limit` of it is ever held."""
    size = answer.length_remaining
    if size is not None and size <= limit:
        # Only a read of everything notices that a body was cut.
        whole: bytes = answer.read()
        return whole
    content: bytes = answer.read(limit + 1) if size is None else b""
    if size is not None or len(content) > limit:
        answer.close()
        raise LimitExceeded(
            f"{_host(url)} answered with more than the {limit} bytes that are read of an answer"
        )
    return content


def _without_query(record: logging.LogRecord) -> bool:
    """Take the queries, which may hold signatures, from what urllib3 logs of our requests."""
    if getattr(_ours, "sending", False):
        record.msg, record.args = _QUERY.sub("", record.getMessage()), ()
    return True


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
