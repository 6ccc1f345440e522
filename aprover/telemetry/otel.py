"""An engine's events as OpenTelemetry spans; needs the extra ``otel``, which is the API without an SDK.

A request that does not hit is a span ``aprover.prove``, a child of the span in which it was submitted. A batch is a
span ``aprover.batch``, a root of its own trace, with a link to the span of each request that it serves. Hits have no
span: they take some microseconds, and would be most of what is exported.

Attributes, of both where they apply: ``aprover.engine``, ``aprover.program``, ``aprover.flight``, ``aprover.batch``,
``aprover.size``, ``aprover.placement``, ``aprover.reason``, ``aprover.predicted`` and ``aprover.queue_wait`` in
seconds, ``aprover.joined`` (it shared a proof under way), ``aprover.outcome`` (completed, cancelled, rejected,
failed) and ``error.type``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

try:
    from opentelemetry import trace
    from opentelemetry.context import Context, get_current
except ImportError as error:
    raise ImportError("aprover.telemetry.otel needs opentelemetry-api: pip install 'aprover[otel]'") from error

__all__ = ["OpenTelemetrySpans"]

_ENDS = frozenset({"completed", "cancelled", "rejected", "failed"})
_ERRORS = frozenset({"rejected", "failed"})
_TOLD = ("engine", "program", "flight", "batch", "size", "placement", "reason", "predicted", "queue_wait")

_Key = tuple[Any, Any]
"""The number of an engine, and one of its own."""


class _Flight:
    """A proof that is wanted or being made: the spans of those who want it, and of the batch that makes it."""

    __slots__ = ("batch", "wanted")

    def __init__(self) -> None:
        self.batch: trace.Span | None = None
        self.wanted: dict[_Key, trace.Span] = {}


class OpenTelemetrySpans:
    """Makes spans of what it hears: ``open_engine(trace=OpenTelemetrySpans())``. One may listen to several engines.

    Any thread may call it. It holds the spans of requests and batches under way, and nothing of finished ones.

    Args:
        provider: Whose tracer makes the spans; by default the global one, which does nothing until it is set.
        clock: Nanoseconds since the epoch, for the spans' times.
    """

    def __init__(
        self, provider: trace.TracerProvider | None = None, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._tracer = trace.get_tracer("aprover", tracer_provider=provider)
        self._clock = clock
        self._lock = threading.Lock()
        self._submitted: dict[_Key, tuple[int, Context]] = {}
        """Requests of which it is not known yet whether they hit."""
        self._requests: dict[_Key, trace.Span] = {}
        self._flights: dict[_Key, _Flight] = {}
        self._batches: dict[_Key, trace.Span] = {}

    def __call__(self, name: str, fields: Mapping[str, Any]) -> None:
        """One event of an engine, in the context of the request that it is of."""
        event = name.removeprefix("prove.")
        with self._lock:
            if event == "submitted":
                self._submitted[fields["engine"], fields["request"]] = self._clock(), get_current()
            elif event == "hit":
                self._submitted.pop((fields["engine"], fields["request"]), None)
            elif event in ("joined", "inline", "queued"):
                self._begin_request(fields, joined=event == "joined")
            elif event in _ENDS:
                self._end_request(event, fields)
            elif event == "batch_started":
                self._begin_batch(fields)
            elif event == "batch_finished":
                self._end_batch(fields)
            elif event == "flight_ended":
                self._flights.pop((fields["engine"], fields["flight"]), None)

    def _span_of(self, fields: Mapping[str, Any]) -> trace.Span | None:
        """The span of a request, begun now if it is not yet; None if it began before anybody listened."""
        key = fields["engine"], fields["request"]
        span = self._requests.get(key)
        if span is None:
            begun = self._submitted.pop(key, None)
            if begun is not None:
                at, context = begun
                span = self._tracer.start_span("aprover.prove", context, start_time=at, attributes=_told(fields))
                self._requests[key] = span
        return span

    def _begin_request(self, fields: Mapping[str, Any], *, joined: bool) -> None:
        span = self._span_of(fields)
        if span is None:
            return
        span.set_attribute("aprover.joined", joined)
        flight = self._flights.setdefault((fields["engine"], fields["flight"]), _Flight())
        if flight.batch is None:
            flight.wanted[fields["engine"], fields["request"]] = span
        else:
            flight.batch.add_link(span.get_span_context())

    def _end_request(self, outcome: str, fields: Mapping[str, Any]) -> None:
        span = self._span_of(fields)
        if span is None:
            return
        del self._requests[fields["engine"], fields["request"]]
        self._leave_flight(outcome, fields)
        span.set_attributes(_told(fields))
        span.set_attribute("aprover.outcome", outcome)
        if outcome in _ERRORS:
            span.set_attribute("error.type", fields.get("error", "EngineOverloaded"))
            span.set_status(trace.StatusCode.ERROR)
        span.end(self._clock())

    def _leave_flight(self, outcome: str, fields: Mapping[str, Any]) -> None:
        """Its flight may have ended before the request was told that it has joined, and then nothing else drops it."""
        key = fields["engine"], fields.get("flight")
        flight = self._flights.get(key)
        if flight is None:
            return
        flight.wanted.pop((fields["engine"], fields["request"]), None)
        if outcome != "cancelled" or (flight.batch is None and not flight.wanted):
            del self._flights[key]

    def _begin_batch(self, fields: Mapping[str, Any]) -> None:
        engine = fields["engine"]
        flights = [self._flights.setdefault((engine, number), _Flight()) for number in fields["flights"]]
        links = [trace.Link(span.get_span_context()) for flight in flights for span in flight.wanted.values()]
        batch = self._tracer.start_span(
            "aprover.batch", Context(), links=links, start_time=self._clock(), attributes=_told(fields)
        )
        for flight in flights:
            flight.batch, flight.wanted = batch, {}
        self._batches[engine, fields["batch"]] = batch

    def _end_batch(self, fields: Mapping[str, Any]) -> None:
        batch = self._batches.pop((fields["engine"], fields["batch"]), None)
        if batch is not None:
            batch.end(self._clock())


def _told(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {f"aprover.{name}": fields[name] for name in _TOLD if fields.get(name) is not None}
