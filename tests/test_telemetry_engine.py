"""The story of each request, as an engine tells it: complete, in order, and without a word about inputs."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import structlog
import trio
import trio.testing
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars

import aprover
from aprover import AdaptivePolicy, AlwaysInline, AlwaysOffload, Engine, Fibonacci, FixedPolicy
from aprover.engine.calibration import work_of_program
from aprover.telemetry import Timeline
from tests.programs_for_tests import Tribonacci

REQUEST_ENDS = {"hit", "completed", "cancelled", "rejected", "failed"}
LARGE = 2**16 - 1


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    structlog.reset_defaults()
    clear_contextvars()
    yield
    structlog.reset_defaults()
    clear_contextvars()


class Told(list[tuple[str, Mapping[str, Any]]]):
    """A function for ``trace=`` that keeps what it hears."""

    def __call__(self, name: str, fields: Mapping[str, object]) -> None:
        self.append((name.removeprefix("prove."), fields))

    def named(self, name: str) -> list[Mapping[str, Any]]:
        return [fields for told, fields in self if told == name]

    def stories(self) -> list[list[str]]:
        """The events of each request, in the order of the requests."""
        by_request: dict[int, list[str]] = defaultdict(list)
        for name, fields in self:
            if "request" in fields:
                by_request[fields["request"]].append(name)
        return [by_request[number] for number in sorted(by_request)]


class FailingTrace(Tribonacci):
    """Its trace() raises, with a secret in the message."""

    def trace(self, out: Any) -> None:  # noqa: ARG002
        raise ValueError(f"the seed is {self.seed}")


async def burst(engine: Engine, *programs: aprover.Program) -> None:
    async with trio.open_nursery() as nursery:
        for program in programs:
            nursery.start_soon(engine.prove, program)


class TestStories:
    async def test_inline(self) -> None:
        """Where, why and how long."""
        told = Told()
        work_of_program(Fibonacci(20))  # whose shape is known then
        async with aprover.open_engine(policy=AlwaysInline(), trace=told) as engine:
            await engine.prove(Fibonacci(20))
        assert told.stories() == [["submitted", "inline", "completed"]]
        (done,) = told.named("completed")
        assert (done["program"], done["placement"], done["reason"], done["batch"]) == (
            "fibonacci",
            "inline",
            "always",
            None,
        )
        assert done["seconds"] > 0
        assert done["predicted"] > 0
        assert done["flight"] == told.named("inline")[0]["flight"]

    async def test_offloaded_in_batches(self) -> None:
        """Batches name their flights, and requests their batch."""
        told = Told()
        async with aprover.open_engine(policy=AlwaysOffload(), trace=told) as engine:
            await burst(engine, *map(Fibonacci, range(20, 40)))
        assert told.stories() == [["submitted", "queued", "completed"]] * 20
        started = told.named("batch_started")
        assert sum(batch["size"] for batch in started) == 20
        assert {batch["batch"] for batch in started} == {batch["batch"] for batch in told.named("batch_finished")}
        flights = {flight: batch for batch in started for flight in batch["flights"]}
        for done in told.named("completed"):
            batch = flights[done["flight"]]
            assert (done["batch"], done["placement"]) == (batch["batch"], "offload")
            assert 0 <= done["queue_wait"] <= min(batch["queue_wait"], done["seconds"])
        assert max(done["queue_wait"] for done in told.named("completed")) > 0
        assert all(batch["seconds"] > 0 for batch in told.named("batch_finished"))
        ended = told.named("flight_ended")
        assert [(flight["outcome"], flight["waiters"]) for flight in ended] == [("proved", 1)] * 20

    async def test_batches_on_the_loops_own_thread(self) -> None:
        """Those that the end of the tick runs there are batches too."""
        told = Told()
        programs = [*map(Fibonacci, range(500, 540))]
        for program in programs:
            work_of_program(program)
        async with aprover.open_engine(policy=AlwaysInline(), trace=told) as engine:
            await burst(engine, *programs)
        assert {batch["placement"] for batch in told.named("batch_started")} == {"inline"}
        assert len(told.named("batch_started")) == len(told.named("batch_finished")) > 0

    async def test_split(self) -> None:
        """One large proof by several workers."""
        told = Told()
        policy = AdaptivePolicy(shortest_split=0.0, smallest_gain=0.0)
        async with aprover.open_engine(policy=policy, workers=2, trace=told) as engine:
            await engine.prove(Fibonacci(LARGE))
        assert told.named("completed")[0]["placement"] == "split"
        (batch,) = told.named("batch_started")
        assert batch["placement"] == "split"
        # Whether the other worker comes in time, and how often, is its own affair; it tells of each time twice.
        begun, ended = told.named("help_started"), told.named("help_finished")
        assert len(begun) == len(ended)
        assert {help_["batch"] for help_ in [*begun, *ended]} <= {batch["batch"]}
        assert all(help_["seconds"] >= 0 for help_ in ended)

    async def test_why_it_waits_is_told_when_it_is_queued(self) -> None:
        """Whether or not a policy was asked, and the same as in the end, unless something else came between."""
        told = Told()
        work_of_program(Fibonacci(400))
        work_of_program(Fibonacci(LARGE))
        work_of_program(Tribonacci(300))
        async with aprover.open_engine(policy=AlwaysOffload(), trace=told) as engine:
            await engine.prove(Fibonacci(400))
            await engine.prove(Fibonacci(27_000))
            await engine.prove(Tribonacci(300))
            await engine.prove(Fibonacci(LARGE))
        reasons = ["too long for the loop", "its shape is new", "it runs Python", "too long for the loop"]
        assert [queued["reason"] for queued in told.named("queued")] == reasons
        assert [done["reason"] for done in told.named("completed")] == reasons
        async with aprover.open_engine(policy=FixedPolicy(thresholds=((0.0, 1),)), trace=told) as engine:
            await engine.prove(Fibonacci(400))
        assert told.named("queued")[-1]["reason"] == "counted at the end of the tick"
        assert told.named("completed")[-1]["reason"] == "enough for threads"

    async def test_hits_and_joins(self) -> None:
        """One flight for all who join, and none for a hit."""
        told = Told()
        program = Fibonacci(1000)
        async with aprover.open_engine(policy=AlwaysOffload(), trace=told) as engine:
            await burst(engine, program, program)
            await engine.prove(program)
        assert sorted(told.stories()) == [
            ["submitted", "hit"],
            ["submitted", "joined", "completed"],
            ["submitted", "queued", "completed"],
        ]
        assert len({fields["flight"] for fields in told.named("completed")}) == 1
        assert told.named("flight_ended")[0]["waiters"] == 2

    async def test_cancelled(self) -> None:
        """The request, and the flight that nobody waits for any more."""
        told = Told()
        async with aprover.open_engine(trace=told) as engine, trio.open_nursery() as nursery:
            nursery.start_soon(engine.prove, Fibonacci(2**18))
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert told.stories() == [["submitted", "queued", "cancelled"]]
        assert [flight["outcome"] for flight in told.named("flight_ended")] == ["dropped"]

    async def test_rejected(self) -> None:
        """Told once, though it also raises."""
        told = Told()
        async with (
            aprover.open_engine(max_pending=1, on_overload="raise", trace=told) as engine,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(engine.prove, Fibonacci(2**18))
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(aprover.EngineOverloaded):
                await engine.prove(Fibonacci(2**18 - 1))
            nursery.cancel_scope.cancel()
        assert told.stories() == [["submitted", "queued", "cancelled"], ["submitted", "rejected"]]

    async def test_parked(self) -> None:
        """Admission comes first."""
        told = Told()
        async with aprover.open_engine(max_pending=1, policy=AlwaysOffload(), trace=told) as engine:
            await burst(engine, Fibonacci(3000), Fibonacci(3001))
        assert told.stories() == [["submitted", "queued", "completed"]] * 2
        assert [fields.get("parked", False) for fields in told.named("queued")] == [False, True]

    async def test_failed(self) -> None:
        """The type of the error, and not its text; and the flight's outcome."""
        told = Told()
        async with aprover.open_engine(trace=told) as engine:
            with pytest.raises(aprover.ProveError):
                await engine.prove(FailingTrace(20, seed=123456789))
        assert told.stories() == [["submitted", "queued", "failed"]]
        assert told.named("failed")[0]["error"] == "ProveError"
        assert [flight["outcome"] for flight in told.named("flight_ended")] == ["failed"]

    async def test_a_deadline_that_has_passed(self) -> None:
        """Is a failure, of a request that opened no flight."""
        told = Told()
        async with aprover.open_engine(trace=told) as engine:
            with pytest.raises(aprover.DeadlineExceeded):
                await engine.prove(Fibonacci(20), deadline=trio.current_time() - 1)
        assert told.stories() == [["submitted", "failed"]]
        assert told.named("failed")[0]["error"] == "DeadlineExceeded"

    async def test_a_wrong_program(self) -> None:
        """What cannot be proved at all has a story with an end, and so has the batch that found it out."""
        told = Told()
        async with aprover.open_engine(trace=told) as engine:
            with pytest.raises(aprover.SecurityError):
                await engine.prove(Unreachable(3), security=128)
        assert told.stories() == [["submitted", "queued", "failed"]]
        assert len(told.named("batch_started")) == len(told.named("batch_finished")) == 1

    @pytest.mark.parametrize("policy", [AlwaysInline(), AlwaysOffload(), AdaptivePolicy()], ids=repr)
    async def test_batches_of_programs(self, policy: Any) -> None:
        """Each program of prove_batch is a request with a story of its own; so is each verification."""
        told = Told()
        programs = [*map(Fibonacci, range(20, 50)), Fibonacci(20), FailingTrace(20)]
        async with aprover.open_engine(policy=policy, trace=told) as engine:
            results = await engine.prove_batch(programs, return_exceptions=True)
            proofs = [proof for proof in results if isinstance(proof, aprover.Proof)]
            assert len(proofs) == 31
            assert len(told.stories()) == 32
            await engine.verify_batch(proofs[:3])
        stories = told.stories()
        assert len(stories) == 35
        assert all(story[0] == "submitted" and len(REQUEST_ENDS & set(story)) == 1 for story in stories)
        assert [len(told.named(name)) for name in ("failed", "cancelled", "rejected")] == [1, 0, 0]
        assert {fields["program"] for fields in told.named("completed")[-3:]} == {"verify"}

    async def test_a_batch_that_is_left(self) -> None:
        """All that was under way is cancelled, and says so."""
        told = Told()
        programs = [Fibonacci(20), *(Fibonacci(2**18 - i) for i in range(20))]
        async with (
            aprover.open_engine(policy=AlwaysOffload(), trace=told) as engine,
            engine.prove_as_completed(programs) as done,
        ):
            async for _ in done:
                break
        stories = told.stories()
        assert all(len(REQUEST_ENDS & set(story)) == 1 for story in stories)
        assert sum("completed" in story for story in stories) >= 1
        assert sum("cancelled" in story for story in stories) >= 1

    def test_plain_threads(self) -> None:
        """As elsewhere, a hit too."""
        with aprover.capture_timeline() as timeline:
            aprover.prove_sync(Fibonacci(1234))
            aprover.prove_sync(Fibonacci(1234))
            aprover.prove_batch_sync([Fibonacci(1235)])
        told = told_by(timeline)
        assert [(story[0], story[-1]) for story in told.stories()] == [
            ("submitted", "completed"),
            ("submitted", "hit"),
            ("submitted", "completed"),
        ]

    def test_asyncio(self) -> None:
        """As under trio."""
        told = Told()

        async def main() -> None:
            async with aprover.open_engine(policy=AlwaysOffload(), trace=told) as engine:
                await asyncio.gather(engine.prove(Fibonacci(20)), engine.prove(Fibonacci(20)))
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await engine.prove(Fibonacci(2**18))

        asyncio.run(main())
        assert [story[-1] for story in told.stories()] == ["completed", "completed", "cancelled"]


class Unreachable(Tribonacci):
    """Its AIR cannot be built."""

    @classmethod
    def air(cls, b: aprover.AirBuilder, params: Any) -> None:  # noqa: ARG003
        raise aprover.SecurityError("not so many", reachable=50.0)


def told_by(timeline: Timeline) -> Told:
    told = Told()
    for event in timeline.events:
        told(event.name, event.fields)
    return told


class TestListening:
    async def test_an_engine_that_was_open_before_anybody_listened(self) -> None:
        """Tells everything from then on, flights and batches as well; and nothing afterwards."""
        async with aprover.open_engine(policy=AlwaysOffload()) as engine:
            await engine.prove(Fibonacci(20))
            with aprover.capture_timeline() as timeline:
                await engine.prove(Fibonacci(21))
            await engine.prove(Fibonacci(22))
            with aprover.capture_timeline() as again:
                pass
        names = [event.name.removeprefix("prove.") for event in timeline.events]
        assert sorted(names) == sorted(
            ["submitted", "queued", "batch_started", "batch_finished", "flight_ended", "completed"]
        )
        assert len(again) == 0

    async def test_the_log_of_each_request_has_its_callers_contextvars(self) -> None:
        """Those who join keep their own. Batches belong to nobody."""
        heard: list[dict[str, Any]] = []

        def keep(_logger: Any, _method: str, entry: Any) -> Any:
            heard.append(dict(entry))
            raise structlog.DropEvent

        structlog.configure(processors=[merge_contextvars, keep])

        async def serve(user: str) -> None:
            bind_contextvars(user=user)
            await aprover.prove_batch([Fibonacci(4000), Fibonacci(4001)])
            await aprover.prove(Fibonacci(4002))

        async with aprover.open_engine(policy=AlwaysOffload()), trio.open_nursery() as nursery:
            nursery.start_soon(serve, "ada")
            nursery.start_soon(serve, "emmy")
        users: dict[int, set[str]] = defaultdict(set)
        for entry in heard:
            if "request" in entry:
                users[entry["request"]].add(entry["user"])
            else:
                assert "user" not in entry
        assert sorted(map(sorted, users.values())) == [["ada"]] * 3 + [["emmy"]] * 3
        assert any(entry["event"] == "prove.joined" for entry in heard)

    async def test_a_logger_that_raises_disturbs_no_proof(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On no thread."""
        monkeypatch.setattr(threading, "excepthook", lambda _: None)

        def broken(*_: object) -> None:
            raise ZeroDivisionError

        async with aprover.open_engine(policy=AlwaysOffload(), trace=broken) as engine:
            await burst(engine, *map(Fibonacci, range(20, 30)))
            assert engine.statistics().proofs == 10
        left = engine.statistics()
        assert (left.waiters, left.pending, left.busy_workers) == (0, 0, 0)

    @pytest.mark.parametrize("told_to", ["trace", "timeline"])
    async def test_no_input_is_ever_told(self, told_to: str, tmp_path: Any) -> None:
        """Neither private nor public ones, of successes and of failures; their ids and numbers are."""
        secret, public = 987654321, 123456787
        told = Told()

        async def run(trace: Callable[..., object] | None) -> None:
            async with aprover.open_engine(trace=trace) as engine:
                await engine.prove(Tribonacci(20, seed=secret))
                await engine.prove(Fibonacci(20, a=public))
                with pytest.raises(aprover.ProveError):
                    await engine.prove(FailingTrace(20, seed=secret))
                with pytest.raises(aprover.ConstraintError):
                    await engine.prove(WrongTrace(20, seed=secret), check=True)

        if told_to == "trace":
            await run(told)
            text = repr(told)
        else:
            with aprover.capture_timeline() as timeline:
                await run(None)
            timeline.write(tmp_path / "run.jsonl")
            text = (tmp_path / "run.jsonl").read_text()
        assert text.count("prove.completed") + text.count("'completed'") == 2
        for value in (secret, public, secret * 3 % 2013265921):
            assert str(value) not in text


class WrongTrace(Tribonacci):
    """Breaks a constraint."""

    def trace(self, out: Any) -> None:
        super().trace(out)
        out[5, 0] += 1
