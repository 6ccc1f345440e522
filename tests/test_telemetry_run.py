"""What a recording says: fates, bars, the queue and the figures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import aprover
from aprover.cli.page import MOST_LANES, page, page_data
from aprover.telemetry import Run, capture_timeline
from aprover.telemetry.perfetto import trace_events
from aprover.telemetry.run import Bar, Fate, RequestSpan, percentile
from tests.support.runs import LOOP, Told, batch, help_with, recorded, request

FLIGHT = {"flight": 1, "predicted": 0.002, "reason": "workers are sooner"}


def the_request(*story: tuple[float, str, Mapping[str, Any]]) -> RequestSpan:
    (only,) = Run.of(recorded(request(1, (0.0, "submitted", {}), *story), seconds=2.0)).requests
    return only


def the_bar(events: list[Told], seconds: float = 1.0) -> Bar:
    (only,) = Run.of(recorded(events, seconds=seconds)).bars
    return only


class TestFates:
    @pytest.mark.parametrize(
        ("story", "fate"),
        [
            ([(1.0, "hit", {"seconds": 1.0})], Fate.HIT),
            ([(0.1, "joined", {"flight": 1}), (1.0, "completed", {"placement": "offload"})], Fate.JOINED),
            ([(0.1, "inline", FLIGHT), (1.0, "completed", {"placement": "inline"})], Fate.INLINE),
            ([(0.1, "queued", FLIGHT), (1.0, "completed", {"placement": "offload"})], Fate.BATCHED),
            ([(0.1, "queued", FLIGHT), (1.0, "completed", {"placement": "split"})], Fate.SPLIT),
            ([(0.1, "queued", FLIGHT), (1.0, "cancelled", {})], Fate.CANCELLED),
            ([(0.1, "joined", {"flight": 1}), (1.0, "cancelled", {})], Fate.CANCELLED),
            ([(1.0, "rejected", {})], Fate.REJECTED),
            ([(0.1, "queued", FLIGHT), (1.0, "failed", {"error": "ProveError"})], Fate.FAILED),
        ],
    )
    def test_the_end_of_a_story_is_its_fate(
        self, story: list[tuple[float, str, Mapping[str, Any]]], fate: Fate
    ) -> None:
        """From its submission to its end."""
        seen = the_request(*story)
        assert (seen.fate, seen.start, seen.end, seen.program) == (fate, 0.0, 1.0, "fibonacci")

    def test_a_story_without_an_end_is_pending_until_the_recording_ends(self) -> None:
        """It is not lost."""
        seen = the_request((0.1, "queued", FLIGHT))
        assert (seen.fate, seen.end) == (Fate.PENDING, 2.0)
        assert (seen.flight, seen.predicted, seen.reason) == (1, 0.002, "workers are sooner")

    def test_a_story_that_began_before_the_recording_is_left_out(self) -> None:
        """Nobody knows since when its caller waits."""
        assert Run.of(recorded(request(1, (1.0, "completed", {})))).requests == ()

    def test_an_error_is_named(self) -> None:
        """By its type, which is all that is recorded."""
        assert the_request((1.0, "failed", {"error": "DeadlineExceeded"})).error == "DeadlineExceeded"


class TestBars:
    def test_a_batch_is_a_bar_on_its_worker_with_its_programs(self) -> None:
        """Whatever programs the flights in it are of."""
        queued = [
            *request(1, (0.0, "submitted", {}), (0.0, "queued", {"flight": 1})),
            *request(2, (0.0, "submitted", {}), (0.0, "queued", {"flight": 2})),
            *request(3, (0.0, "submitted", {}), (0.0, "queued", {"flight": 3}), program="sha256"),
        ]
        bar = the_bar([*queued, *batch(7, 0.25, 0.75, [1, 2, 3], predicted=0.2, queue_wait=0.25)])
        assert (bar.lane.worker, bar.lane.thread, bar.number) == (True, "aprover worker 1", 7)
        assert (bar.start, bar.end, bar.measured, bar.predicted, bar.queue_wait) == (0.25, 0.75, 0.25, 0.2, 0.25)
        assert bar.programs == (("fibonacci", 2), ("sha256", 1))

    def test_an_unfinished_batch_reaches_the_end_and_says_so(self) -> None:
        """And has not been measured."""
        bar = the_bar(batch(1, 0.25, None, [1]))
        assert (bar.end, bar.finished, bar.measured) == (1.0, False, None)

    def test_a_batch_that_turns_out_to_be_split_is_a_split_one(self) -> None:
        """It began before that was known, and so before its time could be predicted."""
        done = {"flight": 1, "batch": 1, "placement": "split", "predicted": 0.4}
        bar = the_bar(
            [
                *batch(1, 0.25, 0.75, [1], predicted=0.005),
                *request(1, (0.0, "submitted", {}), (0.1, "queued", {"flight": 1}), (0.8, "completed", done)),
                (0.7, "aprover worker 1", "flight_ended", {"engine": 1, "flight": 1, "predicted": 0.4}),
            ]
        )
        assert (bar.placement, bar.predicted) == ("split", 0.4)

    def test_help_is_a_bar_on_the_helper_s_lane_and_no_batch(self) -> None:
        """It counts as busy, and neither as a batch nor as another proof."""
        queued = request(1, (0.0, "submitted", {}), (0.0, "queued", {"flight": 1}))
        run = Run.of(recorded([*queued, *batch(1, 0.0, 1.0, [1], placement="split"), *help_with(1, 0.25, 0.75)]))
        made, help_ = run.bars
        assert (help_.is_help, made.is_help) == (True, False)
        assert (help_.lane.thread, help_.number, help_.start, help_.end) == ("aprover worker 2", 1, 0.25, 0.75)
        assert (help_.programs, help_.flights) == (made.programs, ())
        figures = run.figures()
        assert (figures.batches, figures.batch_size, figures.workers, figures.occupancy) == (1, 1.0, 2, 0.75)
        assert [(line.placement, line.batches) for line in run.reasons()] == [("split", 1)]

    def test_help_that_does_not_end_reaches_the_end_and_a_beginning_that_was_missed_is_no_help(self) -> None:
        """A recording begins and ends anywhere."""
        begun = Run.of(recorded(help_with(1, 0.5, None), seconds=1.0))
        assert [(bar.is_help, bar.finished, bar.end) for bar in begun.bars] == [(True, False, 1.0)]
        assert Run.of(recorded(help_with(1, 0.5, 0.75)[1:], seconds=1.0)).bars == ()

    def test_inline_work_is_a_bar_on_the_caller_s_thread(self) -> None:
        """From the decision to the end of its flight."""
        bar = the_bar(
            request(1, (0.0, "submitted", {}), (0.25, "inline", FLIGHT), (0.5, "flight_ended", {"flight": 1}))
        )
        assert (bar.lane.worker, bar.lane.thread, bar.start, bar.end) == (False, LOOP, 0.25, 0.5)

    def test_a_batch_that_a_loop_makes_itself_is_on_its_lane(self) -> None:
        """It is no worker's."""
        assert not the_bar(batch(1, 0.25, 0.5, [1], worker=LOOP, placement="inline")).lane.worker

    def test_workers_of_two_engines_are_two_though_their_names_are_the_same(self) -> None:
        """Every engine numbers its own."""
        run = Run.of(recorded([*batch(1, 0.0, 0.5, [1], engine=1), *batch(1, 0.0, 0.5, [1], engine=2)]))
        assert [(lane.engine, lane.thread) for lane in run.workers] == [
            (1, "aprover worker 1"),
            (2, "aprover worker 1"),
        ]
        assert [bar.engine for bar in run.bars] == [1, 2]


class TestLanes:
    def test_each_loop_and_each_worker_has_one_in_the_order_of_their_numbers(self) -> None:
        """Worker 10 is behind worker 9, and a thread that asks is no worker."""
        events: list[Told] = []
        for number in (10, 2, 9):
            events += batch(number, 0.0, 0.5, [number], worker=f"aprover worker {number}")
        for thread in ("loop 2", "loop 10"):
            fields = {"engine": 1, "request": len(events), "program": "fibonacci"}
            events += [(0.0, thread, "submitted", fields), (0.1, thread, "hit", fields)]
        run = Run.of(recorded(events))
        assert [lane.thread for lane in run.loops] == ["loop 2", "loop 10"]
        assert [lane.thread for lane in run.workers] == [f"aprover worker {number}" for number in (2, 9, 10)]
        assert [request.lane.thread for request in run.requests] == ["loop 2", "loop 10"]


class TestQueue:
    def test_flights_wait_from_their_queueing_to_their_start(self) -> None:
        """Or until they are dropped."""
        run = Run.of(
            recorded(
                [
                    *request(1, (0.0, "submitted", {}), (0.1, "queued", {"flight": 1})),
                    *request(2, (0.0, "submitted", {}), (0.2, "queued", {"flight": 2})),
                    *batch(1, 0.3, 0.5, [1]),
                    (0.4, LOOP, "flight_ended", {"engine": 1, "flight": 2, "outcome": "dropped"}),
                    (0.5, LOOP, "flight_ended", {"engine": 1, "flight": 1, "outcome": "proved"}),
                ]
            )
        )
        assert run.queue == ((0.1, 1), (0.2, 2), (0.3, 1), (0.4, 0))


class TestFigures:
    def test_they_are_what_one_would_reckon_by_hand(self) -> None:
        """Four requests in two seconds, one worker that has a batch for half a second."""
        done = {"placement": "offload", "batch": 1, "flight": 1}
        run = Run.of(
            recorded(
                [
                    *request(1, (0.0, "submitted", {}), (0.0, "queued", {"flight": 1}), (0.8, "completed", done)),
                    *request(2, (0.0, "submitted", {}), (0.0, "joined", {"flight": 1}), (0.8, "completed", done)),
                    *request(3, (1.0, "submitted", {}), (1.1, "hit", {})),
                    *request(4, (1.0, "submitted", {}), (1.1, "cancelled", {})),
                    *batch(1, 0.25, 0.75, [1], predicted=0.125, queue_wait=0.25),
                ],
                seconds=2.0,
            )
        )
        figures = run.figures()
        assert {fate: count for fate, count in figures.fates.items() if count} == {
            Fate.HIT: 1,
            Fate.JOINED: 1,
            Fate.BATCHED: 1,
            Fate.CANCELLED: 1,
        }
        assert (figures.requests, figures.answered, figures.throughput) == (4, 3, 1.5)
        assert figures.latency == pytest.approx({"p50": 0.8, "p90": 0.8, "p99": 0.8, "max": 0.8})
        assert (figures.workers, figures.occupancy, figures.batches, figures.batch_size) == (1, 0.25, 1, 1.0)
        # Measured 0.25 s in C where 0.125 s were predicted.
        assert (figures.queue_wait, figures.prediction_error) == (0.25, 1.0)
        (line,) = run.reasons()
        assert (line.placement, line.flights, line.predicted, line.measured) == ("offload", 1, 0.125, 0.25)

    def test_of_nothing_there_are_none(self) -> None:
        """And nothing is divided by zero."""
        run = Run.of(recorded([]))
        figures = run.figures()
        assert (figures.requests, figures.throughput, figures.occupancy, figures.latency) == (0, 0.0, 0.0, {})
        assert figures.queue_wait is None
        assert figures.prediction_error is None
        assert run.reasons() == []

    @given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
    def test_a_percentile_is_one_of_the_values_and_grows_with_the_share(
        self, values: list[float], share: float
    ) -> None:
        """By nearest rank."""
        ordered = sorted(values)
        assert percentile(ordered, 0.0) <= percentile(ordered, share) <= percentile(ordered, 1.0)
        assert percentile(ordered, share) in values


class TestRealRuns:
    async def test_they_agree_with_the_engine_s_own_counters(self) -> None:
        """Each request has the fate that the engine counted."""

        async def ask(n: int, patience: float = float("inf")) -> None:
            with trio.move_on_after(patience):
                await engine.prove(aprover.Fibonacci(n))

        with capture_timeline() as timeline:
            offloading = aprover.open_engine(workers=2, policy=aprover.AlwaysOffload())
            async with offloading as engine, trio.open_nursery() as nursery:
                for number in range(60):
                    nursery.start_soon(ask, 20 + number % 20)
                nursery.start_soon(ask, 5000, 0.0)
            async with aprover.open_engine(workers=1) as other:
                await other.prove(aprover.Fibonacci(20))
                await other.prove(aprover.Fibonacci(20))
        seen, second = engine.statistics(), other.statistics()
        run = Run.of(timeline)
        figures = run.figures()
        assert figures.fates[Fate.HIT] == seen.hits + second.hits == 1
        assert figures.fates[Fate.JOINED] == seen.joins == 40
        assert figures.fates[Fate.CANCELLED] <= 1
        assert figures.answered == 62
        assert figures.batches == seen.batches + second.batches
        assert sum(len(bar.flights) for bar in run.bars if bar.lane.worker) == seen.offloaded + second.offloaded
        assert all(bar.finished for bar in run.bars)
        assert 0 < figures.occupancy <= 1
        assert run.queue[-1][1] == 0


NAMES = ["submitted", "joined", "queued", "inline", "batch_started", "batch_finished", "flight_ended", "completed"]
NAMES += ["help_started", "help_finished", "hit", "cancelled", "rejected", "failed", "of the future"]
NUMBER = st.none() | st.integers(0, 4)
TIME = st.none() | st.floats(0, 10)
WORD = st.none() | st.text(max_size=4)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "engine": NUMBER,
        "request": NUMBER,
        "flight": NUMBER,
        "batch": NUMBER,
        "flights": st.lists(st.integers(0, 4), max_size=3),
        "predicted": TIME,
        "seconds": TIME,
        "queue_wait": TIME,
        "program": WORD,
        "reason": WORD,
        "placement": st.sampled_from(["inline", "offload", "split", "elsewhere"]),
    },
)
EVENTS = st.lists(
    st.tuples(st.floats(0, 10), st.sampled_from(["a", "b", "1", "a2", "9" * 5000]), st.sampled_from(NAMES), FIELDS),
    max_size=12,
)


class TestAnyRun:
    @given(EVENTS)
    def test_whatever_is_told_in_whatever_order_can_be_drawn(self, events: list[Told]) -> None:
        """A recording may begin and end anywhere, and come from another version."""
        run = Run.of(recorded(events))
        figures = run.figures()
        assert sum(figures.fates.values()) == figures.requests == len(run.requests)
        assert all(0 <= request.start <= request.end <= run.seconds for request in run.requests)
        assert all(bar.start <= bar.end <= run.seconds for bar in run.bars)
        assert all(depth >= 0 for _, depth in run.queue)
        data = json.loads(json.dumps(page_data(run), allow_nan=False))
        assert {len(column) for column in data["requests"].values()} == {len(run.requests)}
        assert {len(column) for column in data["bars"].values()} == {len(run.bars)}
        assert all(-1 <= bar < len(run.bars) for bar in data["requests"]["bar"])
        json.dumps(list(trace_events(run)), allow_nan=False)

    def test_a_thousand_threads_share_the_lanes_that_there_are(self) -> None:
        """As of a server with a thread for each connection; the busiest have their own."""
        events: list[Told] = []
        for number in range(1000):
            fields = {"engine": 1, "request": number + 1, "program": "fibonacci"}
            thread = "the busiest" if number % 2 else f"thread {number}"
            events += [(0.0, thread, "submitted", fields), (0.1, thread, "hit", fields)]
            events += batch(number, 0.0, 0.1, [number], worker=f"worker {number}")
        data = page_data(Run.of(recorded(events)))
        assert len(data["loops"]) == len(data["workers"]) == MOST_LANES
        assert "the busiest" in data["loops"]
        assert data["loops"][-1] == f"{501 - (MOST_LANES - 1)} other threads"
        assert Counter(data["requests"]["loop"])[data["loops"].index("the busiest")] == 500
        assert set(data["requests"]["loop"]) == set(range(MOST_LANES))
        assert set(data["bars"]["lane"]) == set(range(MOST_LANES, 2 * MOST_LANES))

    def test_no_text_of_a_recording_can_leave_its_place_in_the_page(self) -> None:
        """A program's id is whatever its author says."""
        evil = "</script><script>alert(1)</script><!--"
        run = Run.of(recorded(request(1, (0.0, "submitted", {}), (1.0, "hit", {}), program=evil)))
        text = page(run, evil)
        assert text.count("<script") == 2
        assert "alert(1)</script>" not in text


class TestPerfetto:
    def test_help_is_named_for_what_it_is(self) -> None:
        """On the helper's own thread."""
        run = Run.of(recorded([*batch(1, 0.0, 1.0, [1], placement="split"), *help_with(1, 0.25, 0.75)]))
        events = list(trace_events(run))
        threads = {event["args"]["name"]: event["tid"] for event in events if event["name"] == "thread_name"}
        (help_,) = [event for event in events if event["ph"] == "X" and event["tid"] == threads["aprover worker 2"]]
        assert (help_["name"], help_["dur"], help_["args"]["batch"]) == ("help with ?", 500_000, 1)

    def test_batches_are_complete_events_and_requests_have_both_ends(self) -> None:
        """With the times in microseconds, each on its thread."""
        done = {"placement": "offload", "batch": 1, "flight": 1, "reason": "workers are sooner"}
        run = Run.of(
            recorded(
                [
                    *request(1, (0.0, "submitted", {}), (0.1, "queued", {"flight": 1}), (0.8, "completed", done)),
                    *batch(1, 0.25, 0.75, [1], predicted=0.125),
                ]
            )
        )
        events = list(trace_events(run))
        threads = {event["args"]["name"]: event["tid"] for event in events if event["name"] == "thread_name"}
        (complete,) = [event for event in events if event["ph"] == "X"]
        assert (complete["ts"], complete["dur"], complete["tid"]) == (250_000, 500_000, threads["aprover worker 1"])
        assert complete["args"]["predicted_us"] == 125_000
        begin, end = [event for event in events if event["ph"] in "be"]
        assert (begin["ph"], begin["ts"], end["ph"], end["ts"]) == ("b", 0, "e", 800_000)
        assert begin["id2"] == end["id2"]
        assert begin["tid"] == threads[LOOP]
        assert begin["args"]["reason"] == "workers are sooner"
        assert [event["args"]["flights"] for event in events if event["ph"] == "C"] == [1, 0]
