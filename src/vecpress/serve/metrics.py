"""Figures for Prometheus."""

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from vecpress.serve.batching import Seen

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """Counts what one server does.

    Args:
        waiting: Gives the texts that wait now.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        registry = self._registry = CollectorRegistry()
        route = ("method", "route")
        self._requests = Counter(
            "vecpress_requests", "Requests answered.", (*route, "status"), registry=registry
        )
        self._seconds = Histogram(
            "vecpress_request_seconds",
            "From request to answer.",
            route,
            buckets=_SECONDS,
            registry=registry,
        )
        self.running = Gauge(
            "vecpress_requests_in_flight", "Requests not yet answered.", registry=registry
        )
        self._texts = Histogram(
            "vecpress_batch_texts",
            "Texts given to the models at a time.",
            buckets=_TEXTS,
            registry=registry,
        )
        self._shared = Histogram(
            "vecpress_batch_requests",
            "Requests that they came from.",
            buckets=_TEXTS,
            registry=registry,
        )
        self._answered = Counter("vecpress_texts", "Texts embedded.", registry=registry)
        self._tokens = Counter("vecpress_tokens", "Tokens of these texts.", registry=registry)
        waits = Gauge("vecpress_queue_texts", "Texts waiting for their turn.", registry=registry)
        waits.set_function(waiting)
        ProcessCollector(registry=registry)

    def answered(self, method: str, *, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def batch(self, seen: Seen) -> None:
        """Count a batch."""
        self._texts.observe(seen.texts)
        self._shared.observe(seen.requests)

    def embedded(self, texts: int, *, tokens: int) -> None:
        """Count texts that were answered."""
        self._answered.inc(texts)
        self._tokens.inc(tokens)

    def text(self) -> bytes:
        """Give all figures in Prometheus's text format."""
        return generate_latest(self._registry)
