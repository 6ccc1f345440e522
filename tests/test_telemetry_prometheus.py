"""Prometheus metrics of a real engine, as they are scraped."""

from __future__ import annotations

import gc

import pytest
import trio
import trio.testing
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import aprover
from aprover.telemetry.prometheus import PrometheusMetrics

LARGE = aprover.Fibonacci(2**16)


class Scraped:
    """A registry with the metrics in it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = PrometheusMetrics(self.registry)

    def __call__(self, sample: str, **labels: str) -> float:
        """The sum of all samples of that name with at least these labels, from the text that is served."""
        families = text_string_to_metric_families(generate_latest(self.registry).decode())
        return sum(
            one.value
            for family in families
            for one in family.samples
            if one.name == sample and labels.items() <= one.labels.items()
        )


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


class TestCounters:
    async def test_each_request_is_counted_by_its_end(self, scraped: Scraped) -> None:
        """One is proved, three hit."""
        async with aprover.open_engine(trace=scraped.metrics) as engine:
            for _ in range(4):
                await engine.prove(aprover.Fibonacci(20))
        assert scraped("aprover_requests_total", program="fibonacci", outcome="completed") == 1
        assert scraped("aprover_requests_total", program="fibonacci", outcome="hit") == 3
        assert scraped("aprover_request_seconds_count") == 4

    async def test_joins_and_placements_are_counted_and_agree_with_the_statistics(self, scraped: Scraped) -> None:
        """Ninety requests for nine proofs, wherever they are made."""
        async with aprover.open_engine(trace=scraped.metrics) as engine, trio.open_nursery() as nursery:
            for i in range(90):
                nursery.start_soon(engine.prove, aprover.Fibonacci(200 + i % 9))
        done = engine.statistics()
        assert scraped("aprover_joins_total") == done.joins
        assert scraped("aprover_requests_total", outcome="hit") == done.hits
        assert scraped("aprover_flights_total") == 9
        assert scraped("aprover_flights_total", placement="inline") == done.inline
        assert scraped("aprover_flights_total", placement="offload") == done.offloaded

    async def test_refusals_and_cancellations_are_counted(self, scraped: Scraped) -> None:
        """One of each."""
        async with (
            aprover.open_engine(
                trace=scraped.metrics, max_pending=1, on_overload="raise", policy=aprover.AlwaysOffload()
            ) as engine,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(engine.prove, LARGE)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(aprover.EngineOverloaded):
                await engine.prove(aprover.Fibonacci(21))
            nursery.cancel_scope.cancel()
        assert scraped("aprover_requests_total", outcome="rejected") == 1
        assert scraped("aprover_requests_total", outcome="cancelled") == 1


class TestHistograms:
    async def test_batches_are_measured_and_compared_with_their_prediction(self, scraped: Scraped) -> None:
        """Every batch that finished has a size, a wait, a time and an error."""
        policy = aprover.AlwaysOffload()
        async with aprover.open_engine(trace=scraped.metrics, policy=policy) as engine, trio.open_nursery() as nursery:
            for n in range(300, 340):
                nursery.start_soon(engine.prove, aprover.Fibonacci(n))
        batches = engine.statistics().batches
        assert scraped("aprover_batch_size_count") == batches
        assert scraped("aprover_batch_size_sum") == 40
        assert scraped("aprover_queue_wait_seconds_count") == batches
        assert scraped("aprover_batch_seconds_count", placement="offload") == batches
        assert scraped("aprover_prediction_error_ratio_count") == batches
        assert scraped("aprover_prediction_error_ratio_sum") > 0
        assert not scraped.metrics._batches
        assert not scraped.metrics._predicted

    def test_the_prediction_that_counts_is_the_last_one(self, scraped: Scraped) -> None:
        """When a batch begins, a shape that nobody knows has none yet."""
        batch = {"batch": 1, "size": 1, "flights": [3], "predicted": 0.005, "placement": "offload"}
        scraped.metrics("prove.batch_started", {"engine": 1, **batch, "reason": "always", "queue_wait": 0.0})
        ended = {"flight": 3, "predicted": 0.5, "reason": "always", "outcome": "proved", "waiters": 1}
        scraped.metrics("prove.flight_ended", {"engine": 1, **ended})
        scraped.metrics("prove.batch_finished", {"engine": 1, "batch": 1, "size": 1, "seconds": 0.25})
        assert scraped("aprover_prediction_error_ratio_sum") == 0.5

    async def test_what_was_cancelled_says_nothing_of_the_prediction(self, scraped: Scraped) -> None:
        """It ended early."""
        async with (
            aprover.open_engine(trace=scraped.metrics, policy=aprover.AlwaysOffload()) as engine,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(engine.prove, LARGE)
            while not engine.statistics().running:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert scraped("aprover_batch_seconds_count") == 1
        assert scraped("aprover_prediction_error_ratio_count") == 0
        assert not scraped.metrics._predicted

    def test_a_batch_that_began_unheard_is_not_measured(self, scraped: Scraped) -> None:
        """There is no prediction to compare it with."""
        scraped.metrics("prove.batch_finished", {"engine": 1, "batch": 1, "size": 1, "seconds": 0.1})
        assert scraped("aprover_batch_seconds_count") == 0


class TestGauges:
    async def test_a_watched_engine_shows_its_state_as_long_as_it_exists(self, scraped: Scraped) -> None:
        """One large proof is being made, for two who wait; then there is no engine any more."""
        async with aprover.open_engine(trace=scraped.metrics, policy=aprover.AlwaysOffload()) as engine:
            number = str(engine.events.engine)
            scraped.metrics.watch(engine)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(engine.prove, LARGE)
                nursery.start_soon(engine.prove, LARGE)
                while not engine.statistics().running:
                    await trio.lowlevel.checkpoint()
                assert scraped("aprover_waiters", engine=number) == 2
                assert scraped("aprover_running_flights", engine=number) == 1
                assert scraped("aprover_busy_workers", engine=number) >= 1
            assert scraped("aprover_waiters", engine=number) == 0
            assert scraped("aprover_cache_bytes", engine=number) > 10_000
        del engine
        gc.collect()
        assert b'aprover_waiters{engine="' not in generate_latest(scraped.registry)

    def test_one_registry_takes_the_metrics_once(self, scraped: Scraped) -> None:
        """As everywhere with Prometheus."""
        with pytest.raises(ValueError, match="Duplicated"):
            PrometheusMetrics(scraped.registry)
