"""Proxies that make faults, for tests of what happens when a network or a service fails.

    with HttpProxy(server.running.port) as proxy:
        store = holdall.open(type="s3", endpoint=proxy.endpoint, …)
        proxy.answer(503, headers={"Retry-After": "1"}, method="PUT", times=2)
        …
        assert len(proxy.found("PUT", "report")) == 3

Each stands on a free port of 127.0.0.1 before a real server.
"""

from serving.http_proxy import HttpProxy, Request
from serving.proxy import Hold
from serving.redis_proxy import RedisProxy

__all__ = ["Hold", "HttpProxy", "RedisProxy", "Request"]
