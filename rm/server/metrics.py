"""What a server counts, in Prometheus' text format; one registry a server, so that two in a process do not mix."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Requests by path and status, items by outcome, batches by size and seconds, what waits and what is kept."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("rm_requests", "Requests answered", ["path", "status"], registry=self.registry)
        self.seconds = Histogram("rm_request_seconds", "Seconds to answer a request", ["path"], buckets=_SECONDS,
                                 registry=self.registry)
        self.items = Counter("rm_items", "Questions by outcome: scored, or the type of error", ["outcome"],
                             registry=self.registry)
        self.batch = Histogram("rm_batch_items", "Questions scored together", buckets=_SIZES, registry=self.registry)
        self.scoring = Histogram("rm_batch_seconds", "Seconds the model took for a batch", buckets=_SECONDS,
                                 registry=self.registry)
        self.waiting = Gauge("rm_waiting_items", "Questions that wait or are being scored", registry=self.registry)
        self.kept = Gauge("rm_kept_prompts", "Prompts whose references are kept", registry=self.registry)

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return generate_latest(self.registry)
