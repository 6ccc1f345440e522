"""An engine's events as Prometheus metrics; needs the extra ``prometheus``.

================================== ========= ==========================================================================
metric                             kind      labels, and what it measures
================================== ========= ==========================================================================
``aprover_requests_total``         counter   program, outcome (hit, completed, cancelled, rejected, failed): by its end
``aprover_joins_total``            counter   program: requests that shared a proof which was under way
``aprover_flights_total``          counter   placement (inline, offload, split), reason: proofs that were begun
``aprover_request_seconds``        histogram outcome: from submission to the end, as the caller saw it
``aprover_queue_wait_seconds``     histogram the longest wait of a flight in each batch, from opening to start
``aprover_batch_size``             histogram flights in a batch
``aprover_batch_seconds``          histogram placement: the C call of a batch
``aprover_prediction_error_ratio`` histogram measured by predicted seconds of a batch of proofs; 1 is perfect. A
                                             trace() in Python is predicted and not measured
================================== ========= ==========================================================================

And of engines that are watched, read from their statistics when Prometheus asks, with the label engine:
``aprover_waiters``, ``aprover_queued_flights``, ``aprover_running_flights``, ``aprover_busy_workers`` and
``aprover_cache_bytes``.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
    from prometheus_client.core import GaugeMetricFamily, Metric
except ImportError as error:
    raise ImportError(
        "aprover.telemetry.prometheus needs prometheus-client: pip install 'aprover[prometheus]'"
    ) from error

if TYPE_CHECKING:
    from ..engine import Engine

__all__ = ["PrometheusMetrics"]

SECONDS = (25e-6, 1e-4, 25e-5, 1e-3, 25e-4, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
RATIOS = (0.25, 0.5, 0.71, 0.83, 0.91, 1.0, 1.1, 1.2, 1.41, 2.0, 4.0)

_Key = tuple[Any, Any]
"""The number of an engine, and one of its own."""

_OUTCOMES = frozenset(f"prove.{name}" for name in ("hit", "completed", "cancelled", "rejected", "failed"))

_GAUGES = (
    ("aprover_waiters", "Requests that wait for their proof.", "waiters"),
    ("aprover_queued_flights", "Proofs that wait for a worker.", "queued"),
    ("aprover_running_flights", "Proofs that are being made.", "running"),
    ("aprover_busy_workers", "Workers that make a proof.", "busy_workers"),
    ("aprover_cache_bytes", "Bytes of finished proofs that are kept.", "cache_bytes"),
)


class PrometheusMetrics:
    """Counts what it hears: ``open_engine(trace=PrometheusMetrics())``. One may listen to several engines.

    Any thread may call it. It holds what it needs of the batches under way, and nothing of finished ones.

    Args:
        registry: Where the metrics are registered.

    Raises:
        ValueError: The registry has these metrics already; make one object for each registry.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._requests = Counter(
            "aprover_requests", "Requests, by how they ended.", ("program", "outcome"), registry=registry
        )
        self._joins = Counter(
            "aprover_joins", "Requests that shared a proof under way.", ("program",), registry=registry
        )
        self._flights = Counter(
            "aprover_flights",
            "Proofs that were begun, by where and why there.",
            ("placement", "reason"),
            registry=registry,
        )
        self._seconds = Histogram(
            "aprover_request_seconds",
            "From submission to the end of a request.",
            ("outcome",),
            buckets=SECONDS,
            registry=registry,
        )
        self._queue_wait = Histogram(
            "aprover_queue_wait_seconds",
            "The longest wait in a batch for its start.",
            buckets=SECONDS,
            registry=registry,
        )
        self._batch_size = Histogram("aprover_batch_size", "Flights in a batch.", buckets=SIZES, registry=registry)
        self._batch_seconds = Histogram(
            "aprover_batch_seconds", "The C call of a batch.", ("placement",), buckets=SECONDS, registry=registry
        )
        self._error = Histogram(
            "aprover_prediction_error_ratio",
            "Measured by predicted seconds of a batch.",
            buckets=RATIOS,
            registry=registry,
        )
        self._lock = threading.Lock()
        self._batches: dict[_Key, tuple[str, list[_Key]]] = {}
        """Of each batch under way: the placement and the flights."""
        self._predicted: dict[_Key, float | None] = {}
        """Of each of these flights, once it has a proof: the predicted seconds, which are not known when it begins if
        nobody had looked at its shape before."""
        self._watched: weakref.WeakSet[Engine] = weakref.WeakSet()
        registry.register(_Statistics(self._watched))

    def watch(self, engine: Engine) -> None:
        """Adds the gauges of an engine, for as long as it exists; they are read only when Prometheus asks."""
        with self._lock:
            self._watched.add(engine)

    def __call__(self, name: str, fields: Mapping[str, Any]) -> None:
        """One event of an engine."""
        if name in _OUTCOMES:
            outcome = name.removeprefix("prove.")
            self._requests.labels(fields["program"], outcome).inc()
            if "seconds" in fields:
                self._seconds.labels(outcome).observe(fields["seconds"])
        elif name == "prove.joined":
            self._joins.labels(fields["program"]).inc()
        elif name == "prove.inline":
            self._flights.labels("inline", fields["reason"]).inc()
        elif name == "prove.batch_started":
            self._batch_started(fields)
        elif name == "prove.flight_ended":
            self._flight_ended(fields)
        elif name == "prove.batch_finished":
            self._batch_finished(fields)

    def _batch_started(self, fields: Mapping[str, Any]) -> None:
        engine, placement, size = fields["engine"], fields["placement"], fields["size"]
        flights = [(engine, number) for number in fields["flights"]]
        with self._lock:
            self._batches[engine, fields["batch"]] = placement, flights
            self._predicted.update(dict.fromkeys(flights))
        self._flights.labels(placement, fields["reason"]).inc(size)
        self._batch_size.observe(size)
        self._queue_wait.observe(fields["queue_wait"])

    def _flight_ended(self, fields: Mapping[str, Any]) -> None:
        key = fields["engine"], fields["flight"]
        with self._lock:
            if key in self._predicted and fields["outcome"] == "proved":
                self._predicted[key] = fields["predicted"]

    def _batch_finished(self, fields: Mapping[str, Any]) -> None:
        with self._lock:
            placement, flights = self._batches.pop((fields["engine"], fields["batch"]), ("", []))
            predicted = [self._predicted.pop(flight, None) for flight in flights]
        if not flights:
            return  # it began before anybody listened
        self._batch_seconds.labels(placement).observe(fields["seconds"])
        known = [seconds for seconds in predicted if seconds]
        if len(known) == len(predicted):  # else something failed or was cancelled
            self._error.observe(fields["seconds"] / sum(known))


class _Statistics:
    """A collector of the gauges of watched engines."""

    def __init__(self, engines: weakref.WeakSet[Engine]) -> None:
        self._engines = engines

    def collect(self) -> Iterator[Metric]:
        states = [(str(engine.events.engine), engine.statistics()) for engine in list(self._engines)]
        for name, documentation, field in _GAUGES:
            family = GaugeMetricFamily(name, documentation, labels=("engine",))
            for engine, statistics in states:
                family.add_metric((engine,), getattr(statistics, field))
            yield family
