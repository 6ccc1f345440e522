"""Opening, closing, leaving, forking: the life of an engine, and that nothing outlives it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing

import aprover
from aprover import EngineClosed, Fibonacci, ProgramError, ProveError
from aprover.engine import opening
from aprover.engine.core import Core
from aprover.engine.engine import Engine
from aprover.engine.supervisor import Supervisor
from tests.support.engine_shells import (
    LOOPS,
    TAGS,
    TIMEOUT,
    Gate,
    MakeOdd,
    fresh,
    hand_engine,
    odd,
    on_all_loops,
    run_on,
)

__all__ = ["odd"]


def engine_threads() -> set[threading.Thread]:
    """Of any engine."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("aprover")}


@pytest.fixture(autouse=True)
def _no_default_engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What tests here see is of engines of their own."""
    monkeypatch.setattr(opening, "_default", None)
    before = engine_threads()
    yield
    engine = opening._default
    if engine is not None:
        engine.close("cancel")
        assert engine.join(TIMEOUT)
        if engine.supervisor_thread is not None:
            engine.supervisor_thread.join(TIMEOUT)
    assert engine_threads() <= before


class TestOpening:
    @on_all_loops
    async def test_the_functions_use_the_engine_that_is_open(self) -> None:
        """In the block, and in the tasks that are started in it; the innermost one, if there are several."""
        async with aprover.open_engine() as outer:
            async with aprover.open_engine() as inner:
                await aprover.prove(fresh())
                async with anyio.create_task_group() as group:
                    group.start_soon(aprover.prove, fresh())
                await aprover.prove_batch([fresh()])
                assert inner.statistics().proofs == 3
            await aprover.prove(fresh())
            assert outer.statistics().proofs == 1
        assert opening._default is None

    @on_all_loops
    async def test_nothing_outlives_the_block(self) -> None:
        """No thread, no flight, no waiter; all work that was done is accounted for."""
        before = engine_threads()
        async with aprover.open_engine(workers=3) as engine:
            assert len([thread for thread in engine_threads() - before if "worker" in thread.name]) == 3
            await aprover.prove_batch([fresh() for _ in range(300)])
        assert engine_threads() == before
        seen = engine.statistics()
        assert (seen.proofs, seen.waiters, seen.pending, seen.parked, seen.busy_workers) == (300, 0, 0, 0, 0)

    @on_all_loops
    async def test_what_the_block_raises_comes_out_as_it_is(self) -> None:
        """Not wrapped in a group by the supervisor's nursery."""
        error = LookupError("mine")
        with pytest.raises(LookupError) as caught:
            async with aprover.open_engine():
                raise error
        assert caught.value is error

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("workers", 0),
            ("workers", True),
            ("cache_bytes", -1),
            ("max_pending", 0),
            ("on_overload", "drop"),
            ("on_exit", "leave"),
        ],
    )
    async def test_a_wrong_setting_is_named(self, field: str, value: Any) -> None:
        """With what is allowed."""
        settings: Any = {field: value}
        with pytest.raises(ProgramError) as caught:
            async with aprover.open_engine(**settings):
                pass
        assert caught.value.field == field

    def test_it_needs_an_event_loop(self) -> None:
        """A script uses the synchronous calls, which need no engine of their own."""
        block = aprover.open_engine()
        with pytest.raises(RuntimeError, match="event loop"):
            block.__aenter__().send(None)

    async def test_a_cache_of_no_bytes_keeps_nothing(self) -> None:
        """And one that is small keeps the latest."""
        program = fresh()
        async with aprover.open_engine(cache_bytes=0) as engine:
            await engine.prove(program)
            await engine.prove(program)
            assert (engine.statistics().proofs, engine.statistics().cache_bytes) == (2, 0)
        async with aprover.open_engine(cache_bytes=20_000) as engine:
            for _ in range(50):
                await engine.prove(fresh())
            assert 0 < engine.statistics().cache_bytes <= 20_000
            assert engine.statistics().evictions > 0

    async def test_cache_false_neither_takes_nor_keeps(self) -> None:
        """But it is the same proof."""
        program = fresh()
        async with aprover.open_engine() as engine:
            first = await engine.prove(program, cache=False)
            assert engine.statistics().cache_entries == 0
            assert await engine.prove(program) == first
            assert await engine.prove(program, cache=False) == first
            assert engine.statistics().proofs == 3


class TestLeaving:
    @on_all_loops
    async def test_by_default_it_waits_for_what_is_pending(self) -> None:
        """Of other tasks, which began it in time."""
        proofs: list[aprover.Proof] = []

        async def late(program: Fibonacci) -> None:
            proofs.append(await aprover.prove(program))

        async with (
            anyio.create_task_group() as group,
            aprover.open_engine(policy=aprover.AlwaysOffload()) as engine,
        ):
            for n in range(10):
                group.start_soon(late, Fibonacci(2**13 + n))
            while engine.statistics().flights < 10:
                await anyio.lowlevel.checkpoint()
        assert len(proofs) == 10

    @pytest.mark.parametrize("backend", ["trio", "asyncio"])
    def test_a_block_that_is_cancelled_before_it_is_entered_starts_nothing_that_stays(self, backend: str) -> None:
        """Entering is a checkpoint under trio; asyncio cancels where something is first waited for."""

        async def main() -> bool:
            with anyio.CancelScope() as scope:
                scope.cancel()
                async with aprover.open_engine():
                    await anyio.lowlevel.checkpoint()
                    raise AssertionError("the block goes on")
            return scope.cancelled_caught

        with_workers = threading.active_count()
        assert anyio.run(main, backend=backend)
        assert threading.active_count() <= with_workers

    async def test_a_block_that_is_cancelled_while_it_is_entered_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The supervisor has started by then, and is shielded."""
        real = Supervisor.run
        scope = trio.CancelScope()

        async def run(self: Supervisor, task_status: trio.TaskStatus[None]) -> None:
            class Status:
                @staticmethod
                def started() -> None:
                    task_status.started()
                    scope.cancel()

            await real(self, cast(Any, Status))

        monkeypatch.setattr(Supervisor, "run", run)
        with scope:
            async with aprover.open_engine():
                await trio.sleep_forever()
        assert scope.cancelled_caught

    @on_all_loops
    async def test_or_cancels_it(self) -> None:
        """Whoever still waits is told."""
        closed = 0

        async def late() -> None:
            nonlocal closed
            with pytest.raises(EngineClosed):
                await aprover.prove(Fibonacci(2**22))
            closed += 1

        async with anyio.create_task_group() as group, aprover.open_engine(on_exit="cancel") as engine:
            for _ in range(3):
                group.start_soon(late)
            while engine.statistics().waiters < 3:
                await anyio.lowlevel.checkpoint()
        assert closed == 3

    @on_all_loops
    async def test_a_block_that_raises_cancels_what_is_pending(self) -> None:
        """There is nobody left who would wait for it."""
        with pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as group, aprover.open_engine() as engine:
                group.start_soon(aprover.prove, Fibonacci(2**22))
                while engine.statistics().running < 1:
                    await anyio.sleep(0.001)
                raise LookupError
        assert [type(error) for error in caught.value.exceptions] in (
            [LookupError, EngineClosed],
            [EngineClosed, LookupError],
        )
        assert engine.statistics().cancelled == 1

    async def test_it_sleeps_while_it_waits_shielded(self, odd: MakeOdd, monkeypatch: pytest.MonkeyPatch) -> None:
        """One wait, and not one after another that each ends in Cancelled."""
        scopes = 0

        class Counted(anyio.CancelScope):
            def __new__(cls, **settings: Any) -> Any:
                nonlocal scopes
                scopes += 1
                return super().__new__(cls, **settings)

        gate = Gate()
        async with trio.open_nursery() as nursery:

            async def block() -> None:
                async with aprover.open_engine(on_exit="cancel"):
                    await aprover.prove(odd(in_trace=gate))

            nursery.start_soon(block)
            await trio.to_thread.run_sync(gate.reached.wait)
            with monkeypatch.context() as patch:
                patch.setattr("aprover.engine.opening.anyio.CancelScope", Counted)
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    for _ in range(20):
                        await trio.lowlevel.checkpoint()
            gate.opened.set()
        assert scopes == 1

    @on_all_loops
    async def test_a_block_that_is_cancelled_cancels_what_is_pending(self) -> None:
        """Also while it was waiting for it."""
        closed = 0

        async def late() -> None:
            nonlocal closed
            try:
                await aprover.prove(Fibonacci(2**22))
            except EngineClosed:
                closed += 1

        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                async with aprover.open_engine() as engine:
                    group.start_soon(late)
                    while engine.statistics().running < 1:
                        await anyio.sleep(0.001)
                    group.start_soon(cancel_soon, scope)
            assert scope.cancelled_caught
        assert closed == 1
        assert not engine.statistics().running

    @on_all_loops
    async def test_after_it_the_engine_is_closed_for_those_who_still_have_it(self) -> None:
        """A task that was started in the block and outlives it is told, and never served by the default engine."""
        go_on = anyio.Event()
        told = 0

        async def outliving() -> None:
            nonlocal told
            await go_on.wait()
            for call in (lambda: aprover.prove(Fibonacci(20)), lambda: aprover.prove_batch([Fibonacci(20)])):
                with pytest.raises((EngineClosed, aprover.BatchError)):
                    await call()
                told += 1

        async with anyio.create_task_group() as group:
            async with aprover.open_engine() as engine:
                await engine.prove(Fibonacci(20))
                group.start_soon(outliving)
            with pytest.raises(EngineClosed):
                await engine.prove(Fibonacci(20))
            go_on.set()
        assert told == 2
        assert opening._default is None

    def test_asyncio_s_own_cancel_waits_for_the_engine_s_end_too(self, odd: MakeOdd) -> None:
        """Task.cancel passes anyio's shields, and may come again and again."""
        gate = Gate()
        before = engine_threads()

        async def main() -> None:
            async def block() -> None:
                async with aprover.open_engine(on_exit="cancel"):
                    await aprover.prove(odd(in_trace=gate))

            task = asyncio.create_task(block())
            await asyncio.to_thread(gate.reached.wait)
            for _ in range(3):
                task.cancel()
                for _ in range(5):
                    await asyncio.sleep(0)
                assert not task.done()
            gate.opened.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert gate.passed.is_set()

        asyncio.run(main())
        assert engine_threads() == before


async def cancel_soon(scope: anyio.CancelScope) -> None:
    for _ in range(3):
        await anyio.sleep(0.001)
    scope.cancel()


class TestSynchronousCalls:
    @on_all_loops
    async def test_they_are_refused_on_a_thread_with_a_loop(self) -> None:
        """They would block everything else."""
        async with aprover.open_engine() as engine:
            for call in (
                lambda: aprover.prove_sync(Fibonacci(20)),
                lambda: engine.prove_sync(Fibonacci(20)),
                lambda: aprover.prove_batch_sync([Fibonacci(20)]),
                lambda: aprover.verify_batch_sync([b""]),
            ):
                with pytest.raises(RuntimeError, match="event loop"):
                    call()

    def test_they_are_refused_inside_a_trace(self, odd: MakeOdd) -> None:
        """They could wait for their own worker for ever; so could an event loop of its own."""
        for call in (
            lambda: aprover.prove_sync(Fibonacci(20)),
            lambda: aprover.prove_batch_sync([Fibonacci(20)]),
            lambda: asyncio.run(aprover.prove(Fibonacci(20))),
            lambda: trio.run(aprover.prove, Fibonacci(20)),
        ):
            with pytest.raises(ProveError) as caught:
                aprover.prove_sync(odd(in_trace=call))
            assert isinstance(caught.value.__cause__, RuntimeError)

    async def test_a_thread_of_trio_uses_the_open_engine(self) -> None:
        """The context goes along with it."""
        async with aprover.open_engine() as engine:
            await trio.to_thread.run_sync(aprover.prove_sync, fresh())
            await trio.to_thread.run_sync(aprover.prove_batch_sync, [fresh(), fresh()])
            assert engine.statistics().proofs == 3


def run_script(script: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False, **settings
    )


IMPORTING = """
import sys, types
from aprover.engine.ports import running_loop
sys.modules["trio"] = types.ModuleType("trio")
print(running_loop())
"""

AT_EXIT = """
import threading, time, aprover
from aprover.engine import opening
from aprover.engine.core import Core
from aprover.engine.engine import Engine
from aprover.engine.supervisor import Supervisor
opening.EXIT_SECONDS = 0.3
class Slow(aprover.Program):
    @classmethod
    def air(cls, b, params):
        b.rows(8)
        x = b.column("x")
        b.assert_equal(x.next, x, name="same")
        b.boundary(x, 0, 0)
    def trace(self, out):
        begun.set()
        time.sleep(100)
begun = threading.Event()
threading.Thread(target=aprover.prove_sync, args=(Slow(),), daemon=True).start()
begun.wait()
print("leaving")
"""


class Bug(Exception):
    """What a bug in the core raises."""


def break_core(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its next call on, this method of the core raises."""

    def broken(*_: object, **__: object) -> None:
        raise Bug

    monkeypatch.setattr(Core, where, broken)


async def errors_of_three(engine: Engine) -> list[BaseException]:
    """What two who ask for the same, and one who asks for something else, are told."""
    errors: list[BaseException] = []

    async def one(program: Fibonacci) -> None:
        try:
            await engine.prove(program)
        except aprover.AproverError as error:
            errors.append(error)

    same = fresh()
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as group:
            for program in (same, same, fresh()):
                group.start_soon(one, program)
    assert len(errors) == 3
    return errors


class TestBugsInTheCore:
    """Whoever waits gets EngineClosed with the bug as its cause, all threads end, and the block says so too."""

    @pytest.mark.parametrize("loop", LOOPS)
    @pytest.mark.parametrize("where", ["pull", "finish", "dispatch", "submit"])
    def test_nobody_waits_for_ever(self, loop: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wherever the bug is."""
        before = set(threading.enumerate())

        async def main() -> None:
            async with aprover.open_engine(policy=aprover.AlwaysOffload(), workers=1) as engine:
                await engine.prove(fresh())
                with monkeypatch.context() as patch:
                    break_core(where, patch)
                    errors = await errors_of_three(engine)
                assert all(type(error) is EngineClosed and isinstance(error.__cause__, Bug) for error in errors)
                with pytest.raises(EngineClosed):
                    await engine.prove(fresh())

        with pytest.raises(RuntimeError, match="bug") as caught:
            run_on(loop, main)
        assert isinstance(caught.value.__cause__, Bug)
        assert set(threading.enumerate()) <= before

    @pytest.mark.parametrize("loop", LOOPS)
    def test_what_begin_raises_fails_its_batch(self, loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """It can be told those who wait, so the engine goes on."""

        async def main() -> None:
            async with aprover.open_engine(policy=aprover.AlwaysOffload(), workers=1) as engine:
                with monkeypatch.context() as patch:
                    break_core("begin", patch)
                    errors = await errors_of_three(engine)
                assert all(type(error) is ProveError and isinstance(error.__cause__, Bug) for error in errors)
                assert await engine.prove(fresh())

        run_on(loop, main)

    def test_a_blocking_call_ends_and_the_default_engine_is_replaced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The next call gets a new one."""
        assert aprover.prove_sync(fresh())
        old = opening._default
        assert old is not None
        with monkeypatch.context() as patch:
            break_core("finish", patch)
            with pytest.raises(EngineClosed) as caught:
                aprover.prove_sync(Fibonacci(5000, a=next(TAGS)))
        assert isinstance(caught.value.__cause__, Bug)
        assert aprover.prove_sync(fresh())
        assert opening._default is not old
        assert old.join(TIMEOUT)
        assert old.supervisor_thread is not None
        old.supervisor_thread.join(TIMEOUT)


class TestExit:
    def test_threads_may_ask_while_another_imports_trio(self) -> None:
        """As the first of them makes the default engine, whose supervisor needs it."""
        done = run_script(IMPORTING)
        assert (done.stdout, done.stderr, done.returncode) == ("None\n", "", 0)

    def test_the_default_engine_does_not_keep_the_process(self) -> None:
        """At exit, a trace() that does not end is waited for no longer than the bound."""
        done = run_script(AT_EXIT)
        assert (done.stdout, done.returncode) == ("leaving\n", 0)

    def test_an_interrupted_prove_sync_leaves_nothing(self) -> None:
        """The waiter has left, and the flight was stopped."""

        def interrupt() -> None:
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.2, interrupt)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            aprover.prove_sync(Fibonacci(2**22))
        timer.join()
        engine = opening._default
        assert engine is not None
        assert engine.statistics().waiters == 0
        aprover.prove_sync(fresh())
        engine.close("wait")
        assert engine.join(TIMEOUT)
        assert (engine.statistics().cancelled, engine.statistics().proofs) == (1, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
class TestFork:
    def test_a_child_gets_a_default_engine_of_its_own(self) -> None:
        """With workers that live, and locks that nobody holds."""
        parent = aprover.prove_sync(Fibonacci(77))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 7 if aprover.prove_sync(Fibonacci(77)) == parent and aprover.prove_sync(fresh()) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert aprover.prove_sync(fresh())

    def test_a_child_refuses_an_engine_that_was_opened_before(self) -> None:
        """Its threads did not come along. The context still names it, and it is not replaced in silence."""

        async def main() -> None:
            async with aprover.open_engine() as engine:
                await engine.prove(fresh())
                context_run = await trio.to_thread.run_sync(forked, engine)
                assert context_run == 7

        def forked(engine: aprover.Engine) -> int:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    for call in (engine.prove_sync, aprover.prove_sync):
                        try:
                            call(Fibonacci(20))
                        except EngineClosed:
                            code = 7
                        else:
                            code = 2
                            break
                finally:
                    os._exit(code)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        trio.run(main)


class TestClosingByHand:
    async def test_waiting_for_the_end_can_be_cancelled(self) -> None:
        """Then what is pending is stopped, and the block is left all the same."""
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery, hand_engine(on_exit="wait") as (engine, (hand,)):
                nursery.start_soon(told_closed, engine.prove(fresh()))
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(give_up_when_asked, hand)
                scope.cancel()
        assert scope.cancelled_caught
        assert hand.stopped


async def told_closed(call: Any) -> None:
    with trio.CancelScope(shield=True), pytest.raises(EngineClosed):
        await call


async def give_up_when_asked(hand: Any) -> None:
    with trio.CancelScope(shield=True):
        while not hand.asked_to_stop:
            await trio.lowlevel.checkpoint()
        hand.give_up()
