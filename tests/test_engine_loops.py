"""One engine for trio, asyncio, uvloop and plain threads: passes of the loop, delivery, and loops that end."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Any, ClassVar

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing

import aprover
from aprover import Fibonacci, Proof
from aprover.engine.engine import Engine
from aprover.engine.ports import base
from aprover.engine.ports.base import SLICE, STARVED, Waiter
from aprover.engine.request import Request
from tests.support.engine_shells import (
    LOOPS,
    TAGS,
    TIMEOUT,
    Gate,
    MakeOdd,
    Odd,
    fresh,
    hand_engine,
    odd,
    on_all_loops,
    run_on,
)

__all__ = ["odd"]


async def burst(engine: Engine, programs: list[Fibonacci]) -> list[Proof]:
    """All at once, each in a task of its own, on either kind of loop."""
    proofs: dict[int, Proof] = {}

    async def one(i: int) -> None:
        proofs[i] = await engine.prove(programs[i])

    async with anyio.create_task_group() as group:
        for i in range(len(programs)):
            group.start_soon(one, i)
    return [proofs[i] for i in range(len(programs))]


class TestSharing:
    @on_all_loops
    async def test_a_thousand_identical_requests_need_one_proof(self) -> None:
        """Wherever the policy makes it."""
        policies = aprover.AdaptivePolicy(), aprover.AlwaysOffload(), aprover.AlwaysInline()
        for policy in policies:
            async with aprover.open_engine(policy=policy) as engine:
                proofs = await burst(engine, [Fibonacci(300)] * 1000)
                assert len(set(map(id, proofs))) == 1
                seen = engine.statistics()
                assert (seen.proofs, seen.flights, seen.hits + seen.joins) == (1, 1, 999)

    def test_loops_and_threads_share_flights_and_proofs(self) -> None:
        """Each program is proved once, although three loops and eight threads ask for all of them at the same time."""
        programs = [Fibonacci(n) for n in range(400, 430)]
        results: list[list[Proof]] = []

        async def main() -> None:
            async with aprover.open_engine() as engine:
                async with trio.open_nursery() as nursery:
                    for kind in LOOPS:
                        nursery.start_soon(trio.to_thread.run_sync, in_loop, kind, engine)
                    for _ in range(8):
                        nursery.start_soon(trio.to_thread.run_sync, in_thread, engine)
                    results.append(await burst(engine, programs))
                seen = engine.statistics()
                assert seen.proofs == len(programs)
                assert seen.requests == 12 * len(programs)
                assert (seen.waiters, seen.pending) == (0, 0)

        def in_loop(kind: str, engine: Engine) -> None:
            results.append(run_on(kind, burst, engine, programs))

        def in_thread(engine: Engine) -> None:
            results.append([engine.prove_sync(program) for program in programs])

        trio.run(main)
        assert len(results) == 12
        assert all(result == results[0] for result in results)

    def test_an_asyncio_engine_serves_other_loops_and_threads(self) -> None:
        """The supervisor's home does not matter to those who ask."""

        async def main() -> None:
            async with aprover.open_engine() as engine:
                with ThreadPoolExecutor(4) as pool:
                    submit = functools.partial(asyncio.get_running_loop().run_in_executor, pool)
                    jobs: list[Any] = [submit(run_on, kind, burst, engine, [fresh()]) for kind in LOOPS]
                    jobs.append(submit(engine.prove_sync, fresh()))
                    await asyncio.gather(*jobs)
                assert engine.statistics().proofs == 4

        asyncio.run(main())

    async def test_two_engines_share_nothing(self) -> None:
        """Each has its own cache, its own workers and its own ports."""
        program = fresh()
        async with aprover.open_engine() as one, aprover.open_engine() as other:
            assert await one.prove(program) == await other.prove(program)
            assert await aprover.prove(program)
            assert (one.statistics().proofs, one.statistics().hits) == (1, 0)
            assert (other.statistics().proofs, other.statistics().hits) == (1, 1)


class TestGivingWay:
    @on_all_loops
    async def test_split_proofs_give_way_no_longer_than_a_loop_needs(self) -> None:
        """It says so when it has an answer of a worker's, with or without progress."""
        async with aprover.open_engine(policy=aprover.AlwaysOffload()) as engine:
            for progress in (None, lambda *_: None):
                engine._core.give_way[0] = 1
                await engine.prove(fresh(), progress=progress)
                assert not engine._core.give_way[0]

    async def test_nor_than_a_thread_needs(self) -> None:
        """As soon as it has its answer."""
        async with aprover.open_engine(policy=aprover.AlwaysOffload()) as engine:
            for progress in (None, lambda *_: None):
                engine._core.give_way[0] = 1
                await trio.to_thread.run_sync(functools.partial(engine.prove_sync, fresh(), progress=progress))
                assert not engine._core.give_way[0]


class HandTime:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.slept = 0.0

    def perf_counter(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


class TestLettingRun:
    @on_all_loops
    async def test_a_worker_lets_a_loop_run_that_has_not_heard_of_earlier_answers(self) -> None:
        """Not after the first, and after the next for some milliseconds at most."""
        async with hand_engine(workers=2) as (engine, hands), anyio.create_task_group() as group:
            for busy in range(1, 3):
                group.start_soon(engine.prove, fresh())
                while len([hand for hand in hands if hand.batch is not None]) < busy:
                    await anyio.lowlevel.checkpoint()
            clock, slept = HandTime(), []

            def finish() -> None:
                for hand in hands:
                    hand.finish()
                    slept.append(clock.slept)

            with pytest.MonkeyPatch.context() as patches:
                patches.setattr(base, "time", clock)
                worker = threading.Thread(target=finish)
                worker.start()
                worker.join()  # on the loop's own thread, which so hears nothing
            assert slept == [0.0, pytest.approx(STARVED, abs=base.NAP)]

    @on_all_loops
    async def test_not_for_one_that_has_heard(self) -> None:
        """As it does in its next pass."""
        async with hand_engine(workers=2) as (engine, hands):
            clock = HandTime()
            with pytest.MonkeyPatch.context() as patches:
                patches.setattr(base, "time", clock)
                for _ in hands:
                    async with anyio.create_task_group() as group:
                        group.start_soon(engine.prove, fresh())
                        while not (busy := [hand for hand in hands if hand.batch is not None]):
                            await anyio.lowlevel.checkpoint()
                        await anyio.to_thread.run_sync(busy[0].finish)
            assert clock.slept == 0


class TestPasses:
    @on_all_loops
    async def test_what_is_asked_in_one_pass_leaves_together(self) -> None:
        """Two requests of two tasks, and the worker that was idle gets both of them to choose from."""
        async with hand_engine() as (engine, (hand,)), anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(engine.prove, fresh())
            while hand.batch is None:
                await anyio.lowlevel.checkpoint()
            assert engine.statistics().flights == 8
            assert len(hand.batch.flights) > 1
            while hand.batch is not None:
                hand.finish()

    async def test_a_pass_resolves_no_more_than_a_slice_of_waiters(self) -> None:
        """However many wait for one proof."""
        woken: list[int] = []
        passes = 0

        class Passes(trio.abc.Instrument):
            def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002
                nonlocal passes
                passes += 1

        async with hand_engine() as (engine, (hand,)):
            program = fresh()

            async def wait() -> None:
                await engine.prove(program)
                woken.append(passes)

            trio.lowlevel.add_instrument(Passes())
            async with trio.open_nursery() as nursery:
                for _ in range(5 * SLICE + 1):
                    nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                hand.finish()
        assert len(woken) == 5 * SLICE + 1
        assert max(woken.count(number) for number in set(woken)) == SLICE

    def test_asyncio_too_resolves_a_slice_a_pass(self) -> None:
        """Counted by a callback that is called once a pass."""
        woken: list[int] = []
        passes = 0

        async def main() -> None:
            nonlocal passes
            async with hand_engine() as (engine, (hand,)):
                program = fresh()

                async def wait() -> None:
                    await engine.prove(program)
                    woken.append(passes)

                tasks = [asyncio.create_task(wait()) for _ in range(3 * SLICE)]
                while hand.batch is None:
                    await asyncio.sleep(0)
                hand.finish()
                while not all(task.done() for task in tasks):
                    passes += 1
                    await asyncio.sleep(0)

        asyncio.run(main())
        assert max(woken.count(number) for number in set(woken)) == SLICE

    @on_all_loops
    async def test_hits_make_way_for_other_tasks(self) -> None:
        """A task that takes one proof after the other from the cache does not keep the loop to itself."""
        async with aprover.open_engine() as engine:
            program = fresh()
            await engine.prove(program)
            turns = 0
            done = False

            async def other() -> None:
                nonlocal turns
                while not done:
                    turns += 1
                    await anyio.lowlevel.checkpoint()

            async with anyio.create_task_group() as group:
                group.start_soon(other)
                for _ in range(5000):
                    await engine.prove(program)
                done = True
            assert turns >= 5

    async def test_a_loop_does_not_lie_down_before_what_its_budget_left_over(self) -> None:
        """To be woken up again would take it longer than the proof; nor does it before the answers have arrived."""
        async with aprover.open_engine(policy=aprover.AlwaysInline()) as engine:
            await engine.prove_batch([fresh() for _ in range(60)])  # of a shape whose price is known then

            class Sleeps(trio.abc.Instrument):
                timeouts: ClassVar[list[float]] = []

                def before_io_wait(self, timeout: float) -> None:
                    self.timeouts.append(timeout)

            programs = [fresh() for _ in range(60)]
            await trio.testing.wait_all_tasks_blocked()
            trio.lowlevel.add_instrument(Sleeps())
            async with trio.open_nursery() as nursery:
                for program in programs:
                    nursery.start_soon(engine.prove, program)
            assert len(Sleeps.timeouts) > 2, "all of it went into the budget"
            assert max(Sleeps.timeouts) == 0

    @on_all_loops
    async def test_inline_work_makes_way_for_other_tasks(self) -> None:
        """Half a millisecond at a time, or one proof if that takes longer."""
        async with aprover.open_engine(policy=aprover.AlwaysInline()) as engine:
            turns = 0

            async def other() -> None:
                nonlocal turns
                while engine.statistics().proofs < 200:
                    turns += 1
                    await anyio.lowlevel.checkpoint()

            async with anyio.create_task_group() as group:
                for _ in range(200):
                    group.start_soon(engine.prove, fresh())
                group.start_soon(other)
            assert engine.statistics().inline == 200
            assert turns >= 5


class TestUserCode:
    @on_all_loops
    async def test_a_python_trace_is_never_inline(self) -> None:
        """Not even when the policy would always have it so."""
        threads: list[threading.Thread] = []

        class Seen(Odd):
            def trace(self, out: Any) -> None:
                threads.append(threading.current_thread())
                super().trace(out)

        async with aprover.open_engine(policy=aprover.AlwaysInline()) as engine:
            await engine.prove(Seen())
        assert [thread.name.startswith("aprover worker") for thread in threads] == [True]

    async def test_nothing_is_inline_while_a_python_trace_runs(self, odd: MakeOdd) -> None:
        """It would wait for the GIL again and again."""
        gate = Gate()
        async with aprover.open_engine(workers=2, policy=aprover.AlwaysInline()) as engine:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(engine.prove, odd(in_trace=gate))
                await trio.to_thread.run_sync(gate.reached.wait)
                await engine.prove(fresh())
                assert engine.statistics().inline == 0
                gate.opened.set()
            await engine.prove(fresh())
            assert engine.statistics().inline == 1


class TestLoopsThatEnd:
    def test_waiters_of_a_closed_loop_are_skipped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Their flight goes on for the others, and the engine forgets them when it has an answer, at the latest."""
        monkeypatch.setattr(Engine, "sweep", lambda _: None)

        async def main() -> None:
            async with hand_engine() as (engine, (hand,)):
                program = fresh()
                loop = asyncio.new_event_loop()

                def abandon() -> None:
                    task = loop.create_task(engine.prove(program))
                    loop.run_until_complete(asyncio.sleep(0))
                    loop.run_until_complete(asyncio.sleep(0))
                    assert not task.done()
                    task._log_destroy_pending = False  # type: ignore[attr-defined] # it is meant to be
                    loop.close()

                await trio.to_thread.run_sync(abandon)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(engine.prove, program)
                    await trio.testing.wait_all_tasks_blocked()
                    assert engine.statistics().joins == 1
                    assert engine.statistics().waiters == 2
                    hand.finish()
                assert engine.statistics().waiters == 0

        trio.run(main)

    def test_the_supervisor_looks_for_closed_loops(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every second, so that what they leave behind stays no longer than that."""
        monkeypatch.setattr("aprover.engine.supervisor.SWEEP_SECONDS", 0.001)

        async def main() -> None:
            async with aprover.open_engine() as engine:
                await trio.to_thread.run_sync(run_on, "asyncio", burst, engine, [fresh()])
                with trio.fail_after(TIMEOUT):
                    while engine._core._ports:
                        await trio.sleep(0.001)
                assert not engine._ports

        trio.run(main)

    def test_what_a_closed_loop_had_not_yet_released_goes_to_the_workers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody else may have joined it."""
        sweep = Engine.sweep
        monkeypatch.setattr(Engine, "sweep", lambda _: None)

        async def main() -> None:
            async with hand_engine() as (engine, (hand,)):
                program = fresh()
                loop = asyncio.new_event_loop()

                def abandon() -> None:
                    task = loop.create_task(engine.prove(program))
                    task._log_destroy_pending = False  # type: ignore[attr-defined] # it is meant to be
                    # The pass in which the request is made is the last one.
                    loop.call_soon(loop.stop)
                    loop.run_forever()
                    loop.close()

                await trio.to_thread.run_sync(abandon)
                assert hand.batch is None
                assert engine.statistics().queued == 1
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(engine.prove, program)
                    await trio.testing.wait_all_tasks_blocked()
                    sweep(engine)
                    assert hand.programs == [program]
                    hand.finish()
                assert engine.statistics().waiters == 0

        trio.run(main)

    def test_a_synchronous_call_that_breaks_off_releases_what_it_asked_for(self) -> None:
        """Somebody else may have joined it; and the next call uses the same port."""

        async def main() -> None:
            async with hand_engine() as (engine, (hand,)):
                program = fresh()

                def break_off() -> None:
                    with engine.thread_port() as port:
                        request = Request(program, 100, "stark", "time", False)
                        outcome = engine.ask(request, Waiter(port, print), priority=0, deadline=inf, cache=True)
                        assert outcome is None
                        assert hand.batch is None

                await trio.to_thread.run_sync(break_off)
                assert hand.programs == [program]
                with ThreadPoolExecutor(1) as pool:
                    thread = pool.submit(engine.prove_sync, program)
                    while engine.statistics().waiters < 2:
                        await trio.lowlevel.checkpoint()
                    hand.finish()
                    assert thread.result().statement == program.statement()
                assert len(engine._thread_ports) == 1

        trio.run(main)

    @pytest.mark.parametrize("kind", LOOPS)
    def test_a_loop_that_ends_takes_its_port_along(self, kind: str) -> None:
        """Thousands of short runs leave nothing in the engine."""

        async def main() -> None:
            async with aprover.open_engine() as engine:
                for _ in range(3):
                    await trio.to_thread.run_sync(run_on, kind, burst, engine, [fresh()])
                if kind != "trio":
                    # It tells nobody, and has to be asked; the supervisor does so every second.
                    engine.sweep()
                assert not engine._ports
                assert not engine._core._ports

        trio.run(main)

    async def test_after_the_engine_s_end_nothing_is_left_on_the_loop(self) -> None:
        """No task and no instrument."""
        before = trio.lowlevel.current_statistics().tasks_living
        runner = trio.lowlevel.current_task()._runner
        instruments = sum(map(len, runner.instruments.values()))
        async with aprover.open_engine() as engine:
            await engine.prove(fresh())
            assert trio.lowlevel.current_statistics().tasks_living > before
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before
        assert sum(map(len, runner.instruments.values())) == instruments


class TestSplitting:
    POLICY = aprover.AdaptivePolicy(longest_inline=0, shortest_split=0, smallest_gain=0)
    """Splits whatever comes alone."""

    async def test_a_split_proof_has_the_same_bytes(self) -> None:
        """However many workers had a part in it."""
        program = Fibonacci(2**14, a=next(TAGS))
        async with aprover.open_engine(workers=3, policy=self.POLICY) as engine:
            split = await engine.prove(program)
            assert engine.statistics().split == 1
        async with aprover.open_engine(workers=1, policy=aprover.AlwaysOffload()) as engine:
            assert await engine.prove(program) == split
            assert engine.statistics().split == 0

    async def test_small_work_goes_ahead_of_a_split_proof(self) -> None:
        """A helper leaves it; and when there is nothing else, enters it again. Cancelled, all of them stop."""
        async with aprover.open_engine(workers=2, policy=self.POLICY) as engine:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(engine.prove, Fibonacci(2**22))
                with trio.fail_after(TIMEOUT):
                    for _ in range(3):
                        while engine.statistics().busy_workers < 2:
                            await trio.sleep(0.001)
                        assert await engine.prove(fresh())
                assert engine.statistics().proofs == 3
                nursery.cancel_scope.cancel()
            seen = engine.statistics()
            assert (seen.split, seen.offloaded) == (1, 3)
        assert engine.statistics().cancelled == 1
