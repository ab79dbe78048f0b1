"""What the server counts, for Prometheus to read."""

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from glinermt.serve.batching import BatchReport

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_TOKENS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


class Metrics:
    """The numbers of one server; several worker processes put theirs together."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "glinermt_requests", "Requests answered.", ("path", "status"), registry=registry
        )
        self._seconds = Histogram(
            "glinermt_request_seconds",
            "Time from a request's first byte to its reply's last.",
            ("path",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._open = Gauge(
            "glinermt_requests_open",
            "Requests that are being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._texts = Counter("glinermt_texts", "Texts read.", ("path",), registry=registry)
        self._batch_requests = Histogram(
            "glinermt_batch_requests",
            "Requests that share a batch.",
            buckets=_SIZES,
            registry=registry,
        )
        self._batch_tokens = Histogram(
            "glinermt_batch_tokens",
            "Estimated tokens of a batch.",
            buckets=_TOKENS,
            registry=registry,
        )
        self._batch_seconds = Histogram(
            "glinermt_batch_seconds",
            "Time the model takes for a batch.",
            buckets=_SECONDS,
            registry=registry,
        )

    def begin_request(self) -> None:
        self._open.inc()

    def end_request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request; ``path`` is the route's, so that there are few."""
        self._open.dec()
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def count_texts(self, path: str, number: int) -> None:
        self._texts.labels(path).inc(number)

    def count_batch(self, report: BatchReport) -> None:
        self._batch_requests.observe(report.requests)
        self._batch_tokens.observe(report.tokens)
        self._batch_seconds.observe(report.seconds)

    def render(self) -> bytes:
        """Return the numbers in Prometheus' text format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
