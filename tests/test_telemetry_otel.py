"""OpenTelemetry spans of a real engine, as an SDK exports them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio
import trio.testing
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import aprover
from aprover.telemetry.otel import OpenTelemetrySpans

LARGE = aprover.Fibonacci(2**16)


class Exported:
    """What was exported so far."""

    def __init__(self) -> None:
        self._memory = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._memory))
        self.listener = OpenTelemetrySpans(self.provider)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._memory.get_finished_spans() if span.name == name]

    @property
    def requests(self) -> list[ReadableSpan]:
        return self.named("aprover.prove")

    @property
    def batches(self) -> list[ReadableSpan]:
        return self.named("aprover.batch")

    def holds_nothing(self) -> bool:
        held = self.listener
        return not (held._submitted or held._requests or held._flights or held._batches)


@pytest.fixture
def exported() -> Exported:
    return Exported()


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    assert span.attributes is not None
    return span.attributes


def ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def links(span: ReadableSpan) -> set[tuple[int, int]]:
    return {(link.context.trace_id, link.context.span_id) for link in span.links}


class TestRequests:
    async def test_a_request_is_a_child_of_the_span_around_it(self, exported: Exported) -> None:
        """Though a worker ends its story."""
        tracer = exported.provider.get_tracer("a user")
        async with aprover.open_engine(trace=exported.listener, policy=aprover.AlwaysOffload()) as engine:
            with tracer.start_as_current_span("handle"):
                await engine.prove(aprover.Fibonacci(500))
        (outer,) = exported.named("handle")
        (span,) = exported.requests
        assert span.parent is not None
        assert span.parent.span_id == ids(outer)[1]
        told = attributes(span)
        assert told["aprover.program"] == "fibonacci"
        assert told["aprover.outcome"] == "completed"
        assert told["aprover.placement"] == "offload"
        assert told["aprover.reason"] in ("its shape is new", "too long for the loop", "always")
        assert outer.start_time is not None
        assert span.start_time is not None
        assert span.end_time is not None
        assert outer.start_time <= span.start_time < span.end_time

    async def test_a_hit_has_no_span(self, exported: Exported) -> None:
        """It is over in microseconds."""
        async with aprover.open_engine(trace=exported.listener) as engine:
            await engine.prove(aprover.Fibonacci(20))
            for _ in range(3):
                await engine.prove(aprover.Fibonacci(20))
        assert len(exported.requests) == 1
        assert exported.holds_nothing()

    async def test_a_cancelled_request_ends_its_span_without_an_error(self, exported: Exported) -> None:
        """To be cancelled is no failure."""
        async with aprover.open_engine(trace=exported.listener, policy=aprover.AlwaysOffload()) as engine:
            with trio.move_on_after(0.005):
                await engine.prove(LARGE)
        (span,) = exported.requests
        assert attributes(span)["aprover.outcome"] == "cancelled"
        assert span.status.status_code is trace.StatusCode.UNSET
        assert exported.holds_nothing()

    async def test_a_refused_request_is_an_error_with_its_type(self, exported: Exported) -> None:
        """Here the engine takes one at a time, and has one."""
        async with (
            aprover.open_engine(
                trace=exported.listener, max_pending=1, on_overload="raise", policy=aprover.AlwaysOffload()
            ) as engine,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(engine.prove, LARGE)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(aprover.EngineOverloaded):
                await engine.prove(aprover.Fibonacci(21))
            nursery.cancel_scope.cancel()
        (refused,) = [span for span in exported.requests if attributes(span)["aprover.outcome"] == "rejected"]
        assert attributes(refused)["error.type"] == "EngineOverloaded"
        assert refused.status.status_code is trace.StatusCode.ERROR
        assert exported.holds_nothing()


class TestBatches:
    async def test_a_batch_links_to_all_that_it_serves(self, exported: Exported) -> None:
        """To those who joined a proof as well; and it is no child of any of them."""
        async with (
            aprover.open_engine(trace=exported.listener, policy=aprover.AlwaysOffload()) as engine,
            trio.open_nursery() as nursery,
        ):
            for n in (100, 101, 102, 100):
                nursery.start_soon(engine.prove, aprover.Fibonacci(n))
        assert len(exported.requests) == 4
        assert sum(bool(attributes(span).get("aprover.joined")) for span in exported.requests) == 1
        linked = [links(batch) for batch in exported.batches]
        assert sum(map(len, linked)) == 4
        assert set.union(*linked) == {ids(span) for span in exported.requests}
        assert all(batch.parent is None for batch in exported.batches)
        assert sum(attributes(batch)["aprover.size"] for batch in exported.batches) == 3
        assert exported.holds_nothing()

    async def test_who_joins_a_running_proof_is_linked_too(self, exported: Exported) -> None:
        """Its batch had begun without it."""
        async with (
            aprover.open_engine(trace=exported.listener, policy=aprover.AlwaysOffload()) as engine,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(engine.prove, LARGE)
            while not engine.statistics().running:
                await trio.lowlevel.checkpoint()
            await engine.prove(LARGE)
        (batch,) = exported.batches
        assert links(batch) == {ids(span) for span in exported.requests}
        assert len(exported.requests) == 2
        assert exported.holds_nothing()

    def test_a_batch_that_begins_inside_a_users_span_is_no_child_of_it(self, exported: Exported) -> None:
        """It serves others as well."""
        batch = {"engine": 1, "batch": 1, "size": 1, "flights": [1], "predicted": 0.1, "placement": "inline"}
        with exported.provider.get_tracer("a user").start_as_current_span("handle"):
            exported.listener("prove.batch_started", batch)
            exported.listener("prove.batch_finished", {"engine": 1, "batch": 1, "size": 1, "seconds": 0.1})
        assert exported.batches[0].parent is None

    def test_a_join_that_is_told_after_its_flight_has_ended_leaves_nothing(self, exported: Exported) -> None:
        """Workers and loops tell at the same time."""
        for request, end in enumerate(("completed", "cancelled")):
            common = {"engine": 1, "request": request, "program": "fibonacci"}
            exported.listener("prove.submitted", common)
            exported.listener("prove.flight_ended", {"engine": 1, "flight": 7})
            exported.listener("prove.joined", {**common, "flight": 7})
            exported.listener(f"prove.{end}", {**common, "flight": 7, "seconds": 0.1})
            assert exported.holds_nothing()
        assert len(exported.requests) == 2

    def test_without_a_provider_nothing_is_done_and_nothing_kept(self) -> None:
        """The API alone has spans that do not record."""
        listener = OpenTelemetrySpans(trace.NoOpTracerProvider())
        common = {"engine": 1, "request": 1, "program": "fibonacci"}
        listener("prove.submitted", common)
        listener("prove.queued", {**common, "flight": 1})
        listener("prove.completed", {**common, "flight": 1, "seconds": 0.1})
        assert not (listener._requests or listener._flights or listener._submitted)
