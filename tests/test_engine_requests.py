"""One request's ways to end other than by a proof: cancelled, late, failed, refused. And batches of them.

Where time matters it is a mock clock's, and the workers are run by hand.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing

import aprover
from aprover import (
    AproverError,
    BatchError,
    DeadlineExceeded,
    EngineOverloaded,
    Fibonacci,
    ProgramError,
    Proof,
    ProveError,
)
from aprover.backends import prove_prepared
from aprover.engine import batch as batch_module
from aprover.engine import making
from aprover.engine import request as request_module
from aprover.engine.engine import Engine
from aprover.engine.request import Request
from tests.support.engine_shells import TAGS, TIMEOUT, Gate, MakeOdd, Odd, fresh, hand_engine, odd, on_all_loops

__all__ = ["odd"]


async def settled() -> None:
    """Until every task waits for something, on any loop."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


class Call:
    """A call in a task of its own, and what became of it."""

    def __init__(self, group: Any, function: Callable[..., Any], *args: Any, **settings: Any) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self.scope: Any = None
        self.over = False
        group.start_soon(self._run, function, args, settings)

    async def _run(self, function: Callable[..., Any], args: Any, settings: Any) -> None:
        with anyio.CancelScope() as self.scope:
            try:
                self.result = await function(*args, **settings)
            except Exception as error:  # noqa: BLE001 - for the test to look at
                self.error = error
            except BaseException as error:
                self.error = error
                raise
            finally:
                self.over = True


class TestCancellation:
    @on_all_loops
    async def test_a_cancelled_waiter_is_over_at_once_and_the_others_get_the_proof(self) -> None:
        """The flight is nobody's own, not even the first one's."""
        async with hand_engine() as (engine, (hand,)), anyio.create_task_group() as group:
            program = fresh()
            first, second, third = [Call(group, engine.prove, program) for _ in range(3)]
            await settled()
            for call in (first, second):
                call.scope.cancel()
            await settled()
            assert first.over
            assert second.over
            assert first.scope.cancelled_caught
            assert not hand.asked_to_stop
            hand.finish()
            await settled()
            assert third.result.statement == program.statement()

    @on_all_loops
    async def test_when_all_have_left_running_work_is_asked_to_stop(self) -> None:
        """And it is no proof, and no failure."""
        async with hand_engine() as (engine, (hand,)), anyio.create_task_group() as group:
            call = Call(group, engine.prove, fresh())
            await settled()
            call.scope.cancel()
            await settled()
            assert call.over
            assert hand.asked_to_stop
            assert engine.statistics().running == 1
            hand.give_up()
            seen = engine.statistics()
            assert (seen.running, seen.cancelled, seen.proofs, seen.failed) == (0, 1, 0, 0)

    @on_all_loops
    async def test_when_all_have_left_queued_work_is_dropped(self) -> None:
        """No worker ever sees it."""
        async with hand_engine() as (engine, (hand,)), anyio.create_task_group() as group:
            busy, queued = fresh(), fresh()
            Call(group, engine.prove, busy)
            await settled()
            call = Call(group, engine.prove, queued)
            await settled()
            call.scope.cancel()
            await settled()
            assert call.over
            hand.finish()
            assert hand.batch is None

    @on_all_loops
    async def test_a_waiter_cancelled_between_completion_and_delivery(self) -> None:
        """Its proof is on the way to the loop: it is skipped there, and the proof is kept for others."""
        async with hand_engine() as (engine, (hand,)), anyio.create_task_group() as group:
            program = fresh()
            call, other = Call(group, engine.prove, program), Call(group, engine.prove, program)
            await settled()
            hand.finish()
            call.scope.cancel()
            await settled()
            assert call.scope.cancelled_caught
            assert other.result is not None
            assert engine.statistics().waiters == 0
            assert await engine.prove(program) == other.result

    def test_asyncio_s_own_cancel_between_completion_and_delivery(self) -> None:
        """The future was cancelled, and is not resolved again."""

        async def main() -> None:
            async with hand_engine() as (engine, (hand,)):
                task = asyncio.create_task(engine.prove(fresh()))
                await settled()
                hand.finish()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await settled()

        asyncio.run(main())

    async def test_a_flight_that_sees_its_flag_is_not_lost_for_who_came_since(self) -> None:
        """Cancelled, asked for again, and then given up by C: it is made after all."""
        async with hand_engine() as (engine, (hand,)), trio.open_nursery() as nursery:
            program = fresh()
            first = Call(nursery, engine.prove, program)
            await trio.testing.wait_all_tasks_blocked()
            first.scope.cancel()
            second = Call(nursery, engine.prove, program)
            await trio.testing.wait_all_tasks_blocked()
            while not second.over:
                hand.give_up() if hand.asked_to_stop else hand.finish()
                await trio.testing.wait_all_tasks_blocked()
            assert second.result.statement == program.statement()

    @on_all_loops
    async def test_a_wait_that_is_already_cancelled_begins_nothing(self) -> None:
        """Under trio not even a flight; under asyncio a cancellation is only seen where a task waits."""
        async with hand_engine() as (engine, (hand,)):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await engine.prove(fresh())
            assert scope.cancelled_caught
            await settled()
            assert hand.batch is None or hand.asked_to_stop

    async def test_a_hit_is_a_cancellation_point(self) -> None:
        """Although it does not give way to other tasks."""
        async with aprover.open_engine() as engine:
            program = fresh()
            await engine.prove(program)
            with trio.CancelScope() as scope:
                scope.cancel()
                await engine.prove(program)
            assert scope.cancelled_caught

    async def test_prove_batch_leaves_all_its_flights(self) -> None:
        """And begins no further one."""
        taken: list[int] = []

        def programs() -> Any:
            for i in range(10_000):
                taken.append(i)
                yield fresh()

        async with hand_engine() as (engine, (hand,)), trio.open_nursery() as nursery:
            call = Call(nursery, engine.prove_batch, programs())
            await trio.testing.wait_all_tasks_blocked()
            assert len(taken) == batch_module.WINDOW
            call.scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert call.over
            assert hand.asked_to_stop
            assert engine.statistics().waiters == 0
            assert engine.statistics().queued == 0
            assert len(taken) == batch_module.WINDOW


class TestDeadlines:
    async def test_work_that_has_not_begun_is_not_begun_any_more(self, mock_clock: trio.testing.MockClock) -> None:
        """Its waiter gets DeadlineExceeded at that moment, not when the worker is free."""
        async with hand_engine(clock=mock_clock.current_time) as (engine, (hand,)), trio.open_nursery() as nursery:
            busy = Call(nursery, engine.prove, fresh())
            await trio.testing.wait_all_tasks_blocked()
            late = Call(nursery, engine.prove, fresh(), deadline=trio.current_time() + 10)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(9)
            await trio.testing.wait_all_tasks_blocked()
            assert not late.over
            mock_clock.jump(2)
            await trio.testing.wait_all_tasks_blocked()
            assert isinstance(late.error, DeadlineExceeded)
            hand.finish()
            assert hand.batch is None
            await trio.testing.wait_all_tasks_blocked()
            assert isinstance(busy.result, Proof)

    async def test_a_deadline_that_has_passed_is_refused_at_the_door(self, mock_clock: trio.testing.MockClock) -> None:
        """But what is in the cache is there in no time."""
        async with hand_engine(clock=mock_clock.current_time) as (engine, (hand,)), trio.open_nursery() as nursery:
            program = fresh()
            with pytest.raises(DeadlineExceeded):
                await engine.prove(program, deadline=trio.current_time() - 1)
            assert hand.batch is None
            call = Call(nursery, engine.prove, program)
            await trio.testing.wait_all_tasks_blocked()
            hand.finish()
            await trio.testing.wait_all_tasks_blocked()
            assert await engine.prove(program, deadline=trio.current_time() - 1) == call.result

    async def test_a_cancel_scope_s_deadline_counts_and_ends_as_a_cancellation(
        self, mock_clock: trio.testing.MockClock
    ) -> None:
        """The caller sees what trio's users expect, and the engine knows that it need not begin."""
        async with hand_engine(clock=mock_clock.current_time) as (engine, (hand,)), trio.open_nursery() as nursery:
            Call(nursery, engine.prove, fresh())
            await trio.testing.wait_all_tasks_blocked()
            caught: list[bool] = []

            async def late() -> None:
                with trio.move_on_after(10) as scope:
                    await engine.prove(fresh())
                caught.append(scope.cancelled_caught)

            nursery.start_soon(late)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(11)
            await trio.testing.wait_all_tasks_blocked()
            assert caught == [True]
            hand.finish()
            assert hand.batch is None

    async def test_a_scope_whose_deadline_is_moved_is_asked_for_again(self, mock_clock: trio.testing.MockClock) -> None:
        """The engine may have given up; the caller has not."""
        async with hand_engine(clock=mock_clock.current_time) as (engine, (hand,)), trio.open_nursery() as nursery:
            Call(nursery, engine.prove, fresh())
            await trio.testing.wait_all_tasks_blocked()
            program = fresh()
            scope = trio.CancelScope(deadline=trio.current_time() + 10)
            proofs: list[Proof] = []

            async def moved() -> None:
                with scope:
                    proofs.append(await engine.prove(program))

            nursery.start_soon(moved)
            await trio.testing.wait_all_tasks_blocked()
            scope.deadline += 100
            mock_clock.jump(11)
            await trio.testing.wait_all_tasks_blocked()
            assert engine.statistics().expired == 1
            mock_clock.jump(1)
            await trio.testing.wait_all_tasks_blocked()
            while not proofs:
                hand.finish()
                await trio.testing.wait_all_tasks_blocked()
            assert proofs[0].statement == program.statement()

    def test_asyncio_gives_its_own_clock(self) -> None:
        """The loop's `time`, on which asyncio's timeouts are."""

        async def main() -> None:
            async with aprover.open_engine() as engine:
                now = asyncio.get_running_loop().time()
                with pytest.raises(DeadlineExceeded):
                    await engine.prove(Fibonacci(2**22), deadline=now + 0.05)
                assert await engine.prove(fresh(), deadline=now + 100)

        asyncio.run(main())

    def test_a_thread_gives_the_monotonic_clock(self) -> None:
        """As `time.monotonic` does."""
        with pytest.raises(DeadlineExceeded):
            aprover.prove_sync(fresh(), deadline=0.0)

    @pytest.mark.parametrize(
        ("option", "value"), [("priority", 1.5), ("priority", None), ("deadline", "soon"), ("cache", 1)]
    )
    async def test_a_wrong_option_is_named(self, option: str, value: Any) -> None:
        """As wrong settings are."""
        options: Any = {option: value}
        with pytest.raises(ProgramError) as caught:
            await aprover.prove(fresh(), **options)
        assert caught.value.field == option
        with pytest.raises(ProgramError):
            await aprover.prove_batch([fresh()], **options)


class TestOrder:
    async def test_what_is_more_urgent_goes_first(self) -> None:
        """Among what waits for a worker; a join makes a flight as urgent as the joiner."""
        async with hand_engine() as (engine, (hand,)), trio.open_nursery() as nursery:
            programs = [Odd(tag=next(TAGS)) for _ in range(4)]
            for program, priority in zip(programs, (0, 0, 5, 1), strict=True):
                Call(nursery, engine.prove, program, priority=priority)
                await trio.testing.wait_all_tasks_blocked()
            Call(nursery, engine.prove, programs[1], priority=9)
            await trio.testing.wait_all_tasks_blocked()
            order = []
            while hand.batch is not None:
                order += hand.programs
                hand.finish()
            assert [programs.index(program) for program in order] == [0, 1, 2, 3]
            assert order[1] is not order[2]


class TestOverload:
    async def test_a_request_too_many_waits(self) -> None:
        """`max_pending` counts proofs, not those who wait for them."""
        async with hand_engine(max_pending=2) as (engine, (hand,)), trio.open_nursery() as nursery:
            calls = [Call(nursery, engine.prove, Odd(tag=next(TAGS))) for _ in range(5)]
            await trio.testing.wait_all_tasks_blocked()
            seen = engine.statistics()
            assert (seen.pending, seen.parked) == (2, 3)
            while hand.batch is not None:
                hand.finish()
                await trio.testing.wait_all_tasks_blocked()
            assert all(isinstance(call.result, Proof) for call in calls)

    async def test_or_is_refused(self) -> None:
        """If the engine was opened so; joining is still free."""
        async with (
            hand_engine(max_pending=1, on_overload="raise") as (engine, (hand,)),
            trio.open_nursery() as nursery,
        ):
            program = fresh()
            Call(nursery, engine.prove, program)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(EngineOverloaded):
                await engine.prove(fresh())
            Call(nursery, engine.prove, program)
            await trio.testing.wait_all_tasks_blocked()
            assert (engine.statistics().joins, engine.statistics().rejected) == (1, 1)
            hand.finish()

    @on_all_loops
    async def test_a_batch_never_fails_for_its_own_size(self) -> None:
        """It is fed through a window that the engine has room for."""
        async with aprover.open_engine(max_pending=3, on_overload="raise", policy=aprover.AlwaysOffload()) as engine:
            assert len(await engine.prove_batch([fresh() for _ in range(50)])) == 50

    async def test_a_batch_waits_where_others_leave_it_little_room(self) -> None:
        """As long as something of its own is under way, and so will make room."""
        async with (
            hand_engine(max_pending=2, on_overload="raise") as (engine, (hand,)),
            trio.open_nursery() as nursery,
        ):
            Call(nursery, engine.prove, Odd(tag=next(TAGS)))
            await trio.testing.wait_all_tasks_blocked()
            programs = [Odd(tag=next(TAGS)) for _ in range(3)]
            batch = Call(nursery, engine.prove_batch, programs)
            await trio.testing.wait_all_tasks_blocked()
            assert engine.statistics().rejected == 1
            while hand.batch is not None:
                hand.finish()
                await trio.testing.wait_all_tasks_blocked()
            assert [proof.statement for proof in batch.result] == [program.statement() for program in programs]


class TestOptions:
    @pytest.mark.parametrize("finish", [True, False])
    async def test_finish_abandoned_keeps_what_nobody_waits_for(self, finish: bool, odd: MakeOdd) -> None:
        """It runs on into the cache; without the option, it stops where it can."""
        gate = Gate()
        program = odd(in_trace=gate)
        async with aprover.open_engine(finish_abandoned=finish) as engine:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(engine.prove, program)
                assert await trio.to_thread.run_sync(gate.reached.wait, TIMEOUT)
                nursery.cancel_scope.cancel()
            gate.opened.set()
            while engine.statistics().running:
                await trio.sleep(0.001)
            seen = engine.statistics()
            assert (seen.proofs, seen.cancelled) == ((1, 0) if finish else (0, 1))
            await engine.prove(program)
            assert engine.statistics().hits == int(finish)

    async def test_finish_abandoned_is_a_bool(self) -> None:
        """Nothing else."""
        with pytest.raises(ProgramError, match="finish_abandoned"):
            async with aprover.open_engine(finish_abandoned=1):  # type: ignore[arg-type]
                pass

    async def test_verifications_are_counted_apart_from_proofs(self) -> None:
        """A rejected one is a failure."""
        async with aprover.open_engine() as engine:
            proof = await engine.prove(fresh())
            await engine.verify_batch([proof, proof])
            await engine.verify_batch([proof, b"no proof"], return_exceptions=True)
            seen = engine.statistics()
            assert (seen.proofs, seen.verifications, seen.failed) == (1, 3, 1)


class TestFailures:
    @on_all_loops
    async def test_each_waiter_gets_an_exception_of_its_own(self) -> None:
        """From the cause that they share; the errors are not kept, so that the next one may succeed."""

        class Failing(Odd):
            error = ZeroDivisionError("user")
            working = False

            def trace(self, out: Any) -> None:
                if not self.working:
                    raise self.error
                super().trace(out)

        program = Failing(tag=next(TAGS))
        async with hand_engine() as (engine, (hand,)), anyio.create_task_group() as group:
            calls = [Call(group, engine.prove, program) for _ in range(3)]
            other = Call(group, engine.prove, fresh())
            await settled()
            while hand.batch is not None:
                hand.finish()
            await settled()
            errors = [call.error for call in calls]
            assert [type(error) for error in errors] == [ProveError] * 3
            assert len(set(map(id, errors))) == 3
            assert len({id(error.__traceback__) for error in errors if error is not None}) == 3
            assert all(error is not None and error.__cause__ is Failing.error for error in errors)
            assert isinstance(other.result, Proof)
            Failing.working = True
            again = Call(group, engine.prove, program)
            await settled()
            hand.finish()
            await settled()
            assert isinstance(again.result, Proof)

    @pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError()])
    async def test_whatever_a_trace_raises_is_its_own_waiters_affair(self, error: BaseException, odd: MakeOdd) -> None:
        """The worker lives on."""

        def fail() -> None:
            raise error

        async with aprover.open_engine(workers=1) as engine:
            for hook in ("in_trace", "in_outputs"):
                with pytest.raises(ProveError) as caught:
                    await engine.prove(odd(**{hook: fail}))
                assert caught.value.__cause__ is error
                odd(**{hook: lambda: None})
                assert await engine.prove(Odd(tag=next(TAGS)))

    async def test_an_air_that_fails_fails_its_request(self, odd: MakeOdd) -> None:
        """As the cause of a ProveError, and with nothing left behind."""

        def fail() -> None:
            raise LookupError("air")

        async with aprover.open_engine() as engine:
            program = attrs_evolved(odd(in_air=fail), n=4096)
            with pytest.raises(ProveError) as caught:
                await engine.prove(program)
            assert isinstance(caught.value.__cause__, LookupError)
            seen = engine.statistics()
            assert (seen.failed, seen.waiters, seen.pending) == (1, 0, 0)

    async def test_an_air_runs_on_a_worker_and_once_for_each_shape(self, odd: MakeOdd) -> None:
        """So no loop waits for it, and what is known of a shape serves all programs of it."""
        threads: list[threading.Thread] = []
        async with aprover.open_engine(policy=aprover.AlwaysInline()) as engine:
            program = odd(in_air=lambda: threads.append(threading.current_thread()))
            for tag in (next(TAGS), next(TAGS)):
                await engine.prove(attrs_evolved(program, n=2048, tag=tag))
        (thread,) = threads
        assert thread is not threading.current_thread()

    async def test_a_shape_that_is_known_is_inline_and_one_that_is_not_is_not(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever the policy, the first proof of a shape is made by a worker."""
        monkeypatch.setattr(request_module, "_shapes", {})
        n = 5000
        async with aprover.open_engine(policy=aprover.AlwaysInline()) as engine:
            await engine.prove(Fibonacci(n, a=1))
            assert (engine.statistics().inline, engine.statistics().offloaded) == (0, 1)
            await engine.prove(Fibonacci(n, a=2))
            assert engine.statistics().inline == 1

    async def test_many_of_an_unknown_shape_share_calls_once_it_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The first of them is surveyed; the others wait in the queue and are seen anew when they come up."""
        monkeypatch.setattr(request_module, "_shapes", {})
        async with aprover.open_engine(workers=1, policy=aprover.AlwaysOffload()) as engine:
            await engine.prove_batch([fresh() for _ in range(64)])
            assert engine.statistics().batches < 40

    @pytest.mark.parametrize("policy", [aprover.AlwaysOffload(), aprover.AlwaysInline()])
    async def test_a_c_call_that_fails_fails_its_batch_and_no_more(
        self, policy: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each of its requests by itself."""

        def fail(*_: Any, **__: Any) -> Any:
            raise MemoryError("no arena")

        async with aprover.open_engine(policy=policy) as engine:
            with monkeypatch.context() as patch:
                patch.setattr("aprover.engine.making.prove_prepared", fail)
                results = await engine.prove_batch([fresh() for _ in range(20)], return_exceptions=True)
            assert {type(result) for result in results} == {ProveError}
            assert len(set(map(id, results))) == 20
            assert {type(result.__cause__) for result in results if isinstance(result, ProveError)} == {MemoryError}
            assert await engine.prove(fresh())
            assert engine.statistics().failed == 20

    async def test_an_inline_interrupt_is_the_caller_s_and_the_others_still_get_the_proof(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-C while C runs on the loop's own thread."""
        real = prove_prepared
        interrupts = [KeyboardInterrupt()]

        def interrupted(*args: Any, **settings: Any) -> Any:
            if interrupts:
                raise interrupts.pop()
            return real(*args, **settings)

        monkeypatch.setattr("aprover.engine.making.prove_prepared", interrupted)
        async with aprover.open_engine(policy=aprover.AlwaysInline()) as engine:
            program = fresh()
            with pytest.raises(KeyboardInterrupt):
                await engine.prove(program)
            assert engine.statistics().waiters == 0
            assert engine.statistics().pending == 0
            assert await engine.prove(program)

    @pytest.mark.parametrize(("where", "count"), [("prove_prepared", 3), ("Request.prepare", 20)])
    async def test_an_interrupt_of_an_inline_batch_is_no_failure_of_its_requests(
        self, where: str, count: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It goes on to the thread that ran the batch, here one that blocks; others would get their proofs later."""
        owner: Any = making if where == "prove_prepared" else Request
        name = where.rpartition(".")[2]
        real = getattr(owner, name)
        calls = 0

        def interrupted(*args: Any, **settings: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == count:
                raise KeyboardInterrupt
            return real(*args, **settings)

        async with aprover.open_engine(policy=aprover.AlwaysInline()) as engine:
            await engine.prove(fresh())  # a worker has to be the first to make one of this shape
            programs = [fresh() for _ in range(200)]
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, interrupted)
                with pytest.raises(KeyboardInterrupt):
                    await trio.to_thread.run_sync(engine.prove_batch_sync, programs)
            seen = engine.statistics()
            assert (seen.waiters, seen.pending, seen.failed) == (0, 0, 0)
            assert calls >= count  # those who left late were begun by a worker
            assert len(await engine.prove_batch(programs)) == 200


def attrs_evolved(program: Odd, **changes: Any) -> Odd:
    return type(program)(**{"n": program.n, "tag": program.tag, **changes})


class TestProgress:
    @on_all_loops
    async def test_it_is_told_while_waiting_and_what_it_raises_ends_the_wait(self) -> None:
        """On this loop's thread; the work is then wanted no more."""
        here = threading.get_ident()
        seen: list[tuple[str, float]] = []

        def progress(phase: str, fraction: float) -> None:
            assert threading.get_ident() == here
            seen.append((phase, fraction))
            if len(seen) == 2:
                raise LookupError("enough")

        async with hand_engine() as (engine, (hand,)):
            with pytest.raises(LookupError, match="enough"):
                await engine.prove(fresh(), progress=progress)
            assert hand.asked_to_stop
        assert seen == [("queued", 0.0)] * 2

    @on_all_loops
    async def test_a_proof_that_is_there_soon_tells_nothing(self) -> None:
        """There is nothing to watch."""
        async with aprover.open_engine() as engine:
            program = fresh()
            proof = await engine.prove(program)
            assert await engine.prove(program, progress=lambda *_: pytest.fail("told")) == proof


class TestAsCompleted:
    @on_all_loops
    async def test_each_comes_when_it_is_done(self) -> None:
        """With its index; a failure is raised by `unwrap`, and stops nothing."""
        async with aprover.open_engine() as engine:
            programs: list[Any] = [Fibonacci(2**16), fresh(), Fibonacci, fresh()]
            seen: dict[int, Any] = {}
            async with engine.prove_as_completed(programs) as done:
                async for item in done:
                    try:
                        seen[item.index] = item.unwrap()
                    except AproverError as error:
                        seen[item.index] = error
            assert sorted(seen) == [0, 1, 2, 3]
            assert isinstance(seen[2], ProgramError)
            for i in (0, 1, 3):
                assert seen[i].statement == programs[i].statement()

    async def test_the_order_is_that_of_completion(self) -> None:
        """Not that of the programs."""
        async with hand_engine(workers=2) as (engine, (one, other)):
            # Long enough for the second worker to be worth waking.
            programs = [Odd(n=4096, tag=next(TAGS)) for _ in range(2)]
            async with engine.prove_as_completed(programs) as done:
                async with trio.open_nursery() as nursery:
                    call = Call(nursery, done.__anext__)
                    await trio.testing.wait_all_tasks_blocked()
                    call.scope.cancel()  # which loses nothing
                first = next(hand for hand in (one, other) if hand.programs == [programs[1]])
                first.finish()
                assert (await done.__anext__()).index == 1
                next(hand for hand in (one, other) if hand.batch is not None).finish()
                assert (await done.__anext__()).index == 0
                with pytest.raises(StopAsyncIteration):
                    await done.__anext__()

    @on_all_loops
    async def test_leaving_the_block_cancels_the_rest(self) -> None:
        """However it is left."""
        async with hand_engine() as (engine, (hand,)):
            programs = [Odd(tag=next(TAGS)) for _ in range(1000)]
            async with engine.prove_as_completed(programs) as done, anyio.create_task_group() as group:
                call = Call(group, done.__anext__)
                await settled()
                hand.finish()
                await settled()
                assert call.result.unwrap()
            await settled()
            assert hand.asked_to_stop
            assert engine.statistics().waiters == 0
            assert engine.statistics().queued == 0


class TestBatches:
    @on_all_loops
    async def test_a_batch_is_taken_through_a_bounded_window(self) -> None:
        """However long it is, and in order."""
        taken = answered = most = 0

        def programs() -> Any:
            nonlocal taken, most
            for i in range(3 * batch_module.WINDOW):
                taken += 1
                most = max(most, taken - engine.statistics().proofs)
                yield Fibonacci(20, a=i, b=next(TAGS))

        async with aprover.open_engine(policy=aprover.AlwaysOffload()) as engine:
            proofs = await engine.prove_batch(programs())
            answered = len(proofs)
        assert answered == taken == 3 * batch_module.WINDOW
        assert [proof.statement.public_inputs[0] for proof in proofs] == list(range(answered))
        assert most <= batch_module.WINDOW + 1

    @on_all_loops
    async def test_equal_programs_in_a_batch_are_proved_once(self) -> None:
        """They are requests like any others."""
        async with aprover.open_engine() as engine:
            proofs = await engine.prove_batch([Fibonacci(77)] * 100)
            assert len(set(map(id, proofs))) == 1
            assert engine.statistics().proofs == 1

    @on_all_loops
    async def test_a_failing_input_goes_on_as_it_is(self) -> None:
        """And nothing is left under way."""

        def programs() -> Any:
            yield fresh()
            raise LookupError("input")

        async with hand_engine() as (engine, (hand,)):
            with pytest.raises(LookupError, match="input"):
                await engine.prove_batch(programs())
            await settled()
            assert engine.statistics().waiters == 0
            assert hand.batch is None or hand.asked_to_stop

    async def test_an_empty_batch_and_one_of_hits_are_checkpoints(self) -> None:
        """Other tasks run, and a cancellation is seen."""
        async with aprover.open_engine() as engine:
            program = fresh()
            await engine.prove(program)
            for programs in ([], [program] * 3):
                with trio.testing.assert_checkpoints():
                    await engine.prove_batch(programs)

    def test_a_batch_error_keeps_the_successes_from_every_door(self, odd: MakeOdd) -> None:
        """With all results in order."""

        def fail() -> None:
            raise ZeroDivisionError

        programs: list[Any] = [fresh(), odd(in_trace=fail), Fibonacci, fresh()]
        with pytest.raises(BatchError) as caught:
            aprover.prove_batch_sync(programs)
        assert [type(result) for result in caught.value.results] == [Proof, ProveError, ProgramError, Proof]
        assert [type(error) for error in caught.value.exceptions] == [ProveError, ProgramError]

    async def test_verifications_share_the_workers_with_proofs(self) -> None:
        """And do not count as hits, nor stay in the cache."""
        async with aprover.open_engine() as engine:
            proofs = await engine.prove_batch([fresh() for _ in range(20)])
            entries = engine.statistics().cache_entries
            statements = await engine.verify_batch([*proofs, *proofs])
            assert statements == [proof.statement for proof in proofs] * 2
            assert engine.statistics().cache_entries == entries


class TestKeys:
    async def test_every_input_makes_another_request(self) -> None:
        """The class, the parameters, the inputs, also the private ones, and each setting."""

        class Other(Odd):
            pass

        async with aprover.open_engine() as engine:
            program = Odd(tag=next(TAGS))
            await engine.prove(program)
            different: list[tuple[Any, dict[str, Any]]] = [
                (Other(n=program.n, tag=program.tag), {}),
                (attrs_evolved(program, n=16), {}),
                (attrs_evolved(program, tag=next(TAGS)), {}),
                (program, {"security": 99}),
                (program, {"backend": "trace"}),
                (program, {"prefer": "size"}),
                (program, {"check": True}),
            ]
            for other, settings in different:
                await engine.prove(other, **settings)
            assert engine.statistics().proofs == 1 + len(different)
            assert engine.statistics().hits == 0
            for other, settings in [(attrs_evolved(program), {}), *different]:
                await engine.prove(other, **settings)
            assert engine.statistics().hits == 1 + len(different)

    async def test_a_user_s_own_equality_decides_nothing(self) -> None:
        """Neither is it called."""

        class Equal(Odd):
            def __eq__(self, other: object) -> bool:
                raise AssertionError("called")

            def __hash__(self) -> int:
                raise AssertionError("called")

        async with aprover.open_engine() as engine:
            await engine.prove(Equal(tag=1))
            await engine.prove(Equal(tag=2))
            await engine.prove(Equal(tag=1))
            assert (engine.statistics().proofs, engine.statistics().hits) == (2, 1)


class TestManyAtOnce:
    @on_all_loops
    async def test_a_storm_of_requests_and_cancellations_leaves_nothing(self) -> None:
        """Every call ends by its own proof or by its own cancellation, and all counters go back to zero."""
        ends: list[Any] = []

        async def one(engine: Engine, i: int) -> None:
            program = Fibonacci(20 + i % 37, a=i % 11)
            with anyio.move_on_after(0.0005 * (i % 7)) if i % 3 == 0 else anyio.CancelScope() as scope:
                proof = await engine.prove(program)
                assert proof.statement == program.statement()
            ends.append(scope.cancelled_caught)

        async with aprover.open_engine() as engine:
            async with anyio.create_task_group() as group:
                for i in range(3000):
                    group.start_soon(one, engine, i)
                    if i % 100 == 0:
                        await anyio.lowlevel.checkpoint()
            assert len(ends) == 3000
            with anyio.fail_after(20):
                while engine.statistics().pending:
                    await anyio.sleep(0.001)
            seen = engine.statistics()
            assert (seen.waiters, seen.parked, seen.running) == (0, 0, 0)
            assert seen.requests == seen.hits + seen.joins + seen.flights + seen.rejected + seen.refused
