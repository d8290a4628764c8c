"""What a server counts, for Prometheus: requests, bytes, connections, and its stores' calls."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from holdall.core.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from holdall.objects.async_data_store import AsyncDataStore

MISSING: Final = "figures need prometheus-client: pip install 'holdall[server]'"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_ROUTE: Final = "-"
_SECONDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip


class Figures:
    """The figures of one application; nothing is counted for others in the process.

    A route is counted as it was declared, such as `/objects/{key}`, and one that nobody declared
    as `-`: what clients make up is no name of a series.

    Args:
        registry: Where they are registered, besides what its owner has there.

    Raises:
        InvalidConfig: `prometheus_client` is not installed.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError as error:
            raise InvalidConfig(MISSING) from error
        self.registry = CollectorRegistry() if registry is None else registry
        named: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter(
            "holdall_http_requests", "Requests that ended", ["route", "method", "status"], **named
        )
        self._seconds = Histogram(
            "holdall_http_request_seconds",
            "From a request's head to the last byte of its answer",
            ["route", "method"],
            buckets=_SECONDS,
            **named,
        )
        sizes = Counter("holdall_http_bytes", "Bytes of bodies", ["direction"], **named)
        self._received, self._sent = sizes.labels("received"), sizes.labels("sent")
        self._running = Gauge("holdall_http_requests_running", "Requests of now", **named)
        self._sockets = Gauge("holdall_websockets", "WebSocket connections of now", **named)
        self._watches = Gauge("holdall_websocket_watches", "Watches over WebSockets", **named)
        self._series: dict[tuple[str, str, int], Any] = {}
        self._times: dict[tuple[str, str], Any] = {}

    def began(self) -> None:
        """A request came."""
        self._running.inc()

    def ended(
        self, route: str, method: str, status: int, seconds: float, received: int, sent: int
    ) -> None:
        """A request ended.

        Args:
            route: As it was declared; empty for none.
            method: As it was sent.
            status: What was answered; 0 where nothing was.
            seconds: How long it took.
            received: Bytes of its body.
            sent: Bytes of the answer's body.
        """
        self._running.dec()
        route, method = route or _NO_ROUTE, method if method in _METHODS else "other"
        key = route, method, status
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._requests.labels(route, method, status)
            self._times.setdefault(key[:2], self._seconds.labels(route, method))
        series.inc()
        self._times[key[:2]].observe(seconds)
        self._received.inc(received)
        self._sent.inc(sent)

    def socket_opened(self) -> None:
        """A WebSocket was opened."""
        self._sockets.inc()

    def socket_closed(self) -> None:
        """A WebSocket was closed."""
        self._sockets.dec()

    def watch_count(self, count: Callable[[], float]) -> None:
        """Ask how many watches there are over WebSockets, whenever figures are wanted."""
        self._watches.set_function(count)

    def measured(self, store: AsyncDataStore) -> AsyncDataStore:
        """A store whose calls are counted; the same one where somebody counts them already."""
        from holdall.objects.async_data_store import AsyncDataStore
        from holdall.objects.layers.metrics import Metrics
        from holdall.objects.layers.recorders import PrometheusRecorder
        from holdall.objects.switch import Switch

        # What stands before a store that can be exchanged would not be told when it is.
        if any(isinstance(one, (Metrics, Switch)) for one in store.store.stores()):
            return store
        try:
            recorder = PrometheusRecorder(self.registry, "objects")
        except ValueError:  # its owner records another store there, and there can be one recorder
            return store
        layer = Metrics(store.store, recorder=recorder)
        return AsyncDataStore(layer, max_download=store.max_download, expires=store.expires)


def figures_of(registry: CollectorRegistry | None) -> Figures | None:
    """The figures of an application; None where nobody wants them enough to install for them.

    Raises:
        InvalidConfig: There is a registry, and nothing to count with; or it has the figures of
            another application.
    """
    if registry is None and find_spec("prometheus_client") is None:
        return None
    try:
        return Figures(registry)
    except ValueError as error:
        raise InvalidConfig(
            "the registry has the figures of another application: each takes one of its own"
        ) from error
