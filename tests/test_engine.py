"""`prove` and its kin with real proofs and real workers, on the default engine and on engines of their own."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, get_args

import anyio
import pytest
import trio

import aprover
from aprover import (
    BatchError,
    Estimate,
    Fibonacci,
    Poseidon2Chain,
    Program,
    ProgramError,
    Proof,
    ProveError,
    SecurityError,
    VerificationError,
    prover,
)
from aprover.backends import Control
from aprover.engine import asking
from aprover.proof import BackendName
from tests.support.engine_shells import MakeOdd, Odd, odd

__all__ = ["odd"]

LARGE = Fibonacci(2**22)
"""Takes seconds, so that it is caught at work."""


class Steep(Program):
    """As tall and of as high a degree as the protocol allows; never proved."""

    @classmethod
    def air(cls, b: aprover.AirBuilder, params: Any) -> None:  # noqa: ARG003
        b.rows(2**24)
        x = b.column("x")
        b.assert_equal(x.next, x**8, name="power")
        b.boundary(x, 0, 2)


class TestProve:
    async def test_it_proves_under_trio(self) -> None:
        """The first line of the README."""
        proof = await aprover.prove(Fibonacci(20))
        assert proof.public_outputs == (6765,)
        assert aprover.verify(proof) == Fibonacci(20).statement()

    def test_it_proves_under_asyncio(self) -> None:
        """The same call, the same bytes."""

        async def main() -> list[Proof]:
            return await asyncio.gather(*[aprover.prove(Fibonacci(n)) for n in (20, 21, 22)])

        assert asyncio.run(main()) == [aprover.prove_sync(Fibonacci(n)) for n in (20, 21, 22)]

    async def test_two_hundred_at_once_all_verify(self) -> None:
        """Concurrent requests do not disturb each other."""
        proofs: dict[int, Proof] = {}

        async def one(n: int) -> None:
            proofs[n] = await aprover.prove(Fibonacci(n))

        async with trio.open_nursery() as nursery:
            for n in range(1, 201):
                nursery.start_soon(one, n)
        for n, proof in proofs.items():
            assert aprover.verify(proof) == Fibonacci(n).statement()

    async def test_preferring_size_gives_a_smaller_proof(self) -> None:
        """At the same security."""
        quick = await aprover.prove(Fibonacci(5000))
        small = await aprover.prove(Fibonacci(5000), prefer="size")
        assert len(small) < len(quick)
        assert small.security.proven_bits >= 100

    async def test_progress_goes_up_on_this_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A phase and a fraction, which never falls within a phase."""
        monkeypatch.setattr(asking, "PROGRESS_SECONDS", 0.001)
        calls: list[tuple[str, float]] = []

        def progress(phase: str, fraction: float) -> None:
            assert threading.current_thread() is threading.main_thread()
            calls.append((phase, fraction))

        await aprover.prove(Fibonacci(2**16), progress=progress)
        assert calls
        assert {phase for phase, _ in calls} <= {"queued", "trace", "prove"}
        fractions = [fraction for _, fraction in calls]
        assert fractions == sorted(fractions)
        assert 0 <= fractions[0] < fractions[-1] <= 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("security", 0),
            ("security", 129),
            ("security", 100.0),
            ("security", True),
            ("backend", "snark"),
            ("backend", None),
            ("prefer", "speed"),
            ("check", 1),
        ],
    )
    async def test_a_wrong_setting_is_named_before_any_work(self, field: str, value: Any) -> None:
        """One error with the field, the value and what is allowed, from every door."""
        settings: Any = {field: value}
        with pytest.raises(ProgramError) as caught:
            await aprover.prove(LARGE, **settings)
        assert (caught.value.field, caught.value.value) == (field, value)
        assert caught.value.allowed
        with pytest.raises(ProgramError):
            await aprover.prove_batch([LARGE], **settings)
        with pytest.raises(ProgramError):
            await trio.to_thread.run_sync(lambda: aprover.prove_sync(LARGE, **settings))
        if field != "check":
            with pytest.raises(ProgramError):
                aprover.estimate(LARGE, **settings)

    async def test_what_is_no_program_is_refused(self) -> None:
        """A class, for example, where an instance is meant."""
        for wrong in (Fibonacci, 20, None):
            with pytest.raises(ProgramError) as caught:
                await aprover.prove(wrong)  # type: ignore[arg-type]
            assert caught.value.field == "program"

    async def test_bits_out_of_reach_say_how_many_there_are(self) -> None:
        """From `prove` and `estimate`, before any work: degree 8 on 2^24 rows has 127.4 bits out of domain."""
        with pytest.raises(SecurityError) as caught:
            aprover.estimate(Steep(), security=128)
        assert caught.value.reachable is not None
        assert 127 < caught.value.reachable < 128
        with pytest.raises(SecurityError):
            await aprover.prove(Steep(), security=128)

    async def test_a_failing_trace_is_a_prove_error_with_its_cause(self, odd: MakeOdd) -> None:
        """Whatever user code raises."""
        for hook in ("in_trace", "in_outputs"):
            for backend in get_args(BackendName):

                def fail() -> None:
                    raise ZeroDivisionError("user")

                with pytest.raises(ProveError) as caught:
                    await aprover.prove(odd(**{hook: fail}), backend=backend)
                assert isinstance(caught.value.__cause__, ZeroDivisionError)
                odd(**{hook: lambda: None})


class TestUserCode:
    async def test_trace_runs_on_a_worker_in_an_empty_context(self, odd: MakeOdd) -> None:
        """Never on the loop, and without the caller's context variables."""
        variable = contextvars.ContextVar("variable", default="empty")
        variable.set("caller")
        seen: list[Any] = []
        await aprover.prove(odd(in_trace=lambda: seen.append((threading.current_thread(), variable.get()))))
        assert [value for _, value in seen] == ["empty"]
        assert threading.main_thread() not in [thread for thread, _ in seen]

    async def test_what_a_trace_sets_in_its_context_is_not_there_for_the_next(self, odd: MakeOdd) -> None:
        """Each has an empty one of its own."""
        variable = contextvars.ContextVar("variable", default=0)
        seen: list[int] = []

        def count() -> None:
            seen.append(variable.get())
            variable.set(variable.get() + 1)

        async with aprover.open_engine(workers=1) as engine:
            for _ in range(3):
                await engine.prove(odd(in_trace=count))
        assert seen == [0, 0, 0]

    async def test_prove_sync_inside_trace_is_refused(self, odd: MakeOdd) -> None:
        """It could wait for its own worker for ever."""
        with pytest.raises(ProveError) as caught:
            await aprover.prove(odd(in_trace=lambda: aprover.prove_sync(Fibonacci(20))))
        assert isinstance(caught.value.__cause__, RuntimeError)


async def at_work(control_of: Callable[[], Any]) -> None:
    while control_of() is None or control_of().fraction == 0:
        await anyio.sleep(0.001)


class TestCancellation:
    @pytest.mark.parametrize("backend", ["trio", "asyncio"])
    def test_c_stops_soon_and_the_worker_is_free(self, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proof that takes a second ends within a fraction of that, and the next request does not wait."""
        controls: list[Control] = []

        class Watched(Control):
            def __init__(self, memory_limit: int | None = None) -> None:
                super().__init__(memory_limit)
                controls.append(self)

        monkeypatch.setattr("aprover.engine.flights.Control", Watched)

        async def main() -> None:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(aprover.prove, LARGE)
                    await at_work(lambda: controls[0] if controls else None)
                    at = controls[0].fraction
                    begun = time.perf_counter()
                    scope.cancel()
            assert scope.cancelled_caught
            assert time.perf_counter() - begun < 0.5
            assert at < 0.9
            assert controls[0].fraction < 1
            await aprover.prove(Fibonacci(20))

        anyio.run(main, backend=backend)

    async def test_a_user_s_trace_is_waited_for_by_the_engine(self, odd: MakeOdd) -> None:
        """It cannot be stopped. The call is over at once; leaving the engine waits, shielded."""
        begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

        def slow() -> None:
            begun.set()
            assert go_on.wait(20)
            ended.set()

        with trio.CancelScope() as scope:
            async with aprover.open_engine(on_exit="cancel"):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(aprover.prove, odd(in_trace=slow))
                    await trio.to_thread.run_sync(begun.wait)
                    nursery.cancel_scope.cancel()
                assert not ended.is_set()
                threading.Timer(0.05, go_on.set).start()
                scope.cancel()
            assert ended.is_set()
        assert ended.is_set()

    async def test_after_a_user_s_method_no_further_work_begins(self, odd: MakeOdd) -> None:
        """Cancelled during public_outputs(), the request does not go on to trace()."""
        begun, go_on, traced = threading.Event(), threading.Event(), threading.Event()

        def slow() -> None:
            begun.set()
            assert go_on.wait(20)

        async def prove(backend: BackendName) -> None:
            await aprover.prove(odd(in_outputs=slow, in_trace=traced.set), backend=backend)

        for backend in get_args(BackendName):
            begun.clear()
            go_on.clear()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(prove, backend)
                await trio.to_thread.run_sync(begun.wait)
                nursery.cancel_scope.cancel()
                # The flag is set once the waiter has seen the cancellation.
                with trio.CancelScope(shield=True):
                    await trio.testing.wait_all_tasks_blocked()
                go_on.set()
            assert not traced.is_set()

    async def test_a_cancelled_batch_leaves_nothing_running(self) -> None:
        """All its requests stop, and none is begun any more."""
        taken: list[int] = []

        def programs() -> Any:
            for n in range(2**21, 2**21 + 100):
                taken.append(n)
                yield Fibonacci(n)

        with trio.move_on_after(0.1) as scope:
            await aprover.prove_batch(programs())
        assert scope.cancelled_caught
        count = len(taken)
        await aprover.prove(Fibonacci(20))
        assert len(taken) == count

    async def test_a_cancelled_verify_batch_stops(self) -> None:
        """At a checkpoint, even if all would be quick."""
        proof = await aprover.prove(Fibonacci(20))
        with trio.CancelScope() as scope:
            scope.cancel()
            await aprover.verify_batch([proof])
        assert scope.cancelled_caught

    @pytest.mark.parametrize("call", ["prove_sync", "prove_batch_sync"])
    def test_a_keyboard_interrupt_stops_the_synchronous_calls(self, call: str) -> None:
        """Ctrl-C during a long proof ends it soon, and the workers are free again."""

        def interrupt() -> None:
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.2, interrupt)
        begun = time.perf_counter()
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            if call == "prove_sync":
                aprover.prove_sync(LARGE)
            else:
                aprover.prove_batch_sync([LARGE] * 10)
        timer.join()
        assert time.perf_counter() - begun < 2
        aprover.prove_sync(Fibonacci(20))

    def test_a_keyboard_interrupt_ends_verify_batch_sync(self) -> None:
        """It goes on as it is, no further proof is taken, and the workers are free again."""
        proof = aprover.prove_sync(Fibonacci(20))

        def proofs() -> Any:
            yield proof
            raise KeyboardInterrupt
            yield proof

        with pytest.raises(KeyboardInterrupt):
            aprover.verify_batch_sync(proofs())
        assert aprover.verify_batch_sync([proof]) == [proof.statement]


class TestBatch:
    PROGRAMS: ClassVar[list[Program]] = [Fibonacci(20), Poseidon2Chain(tuple(range(16)), 2), Odd(), Fibonacci(1)]

    @pytest.mark.parametrize("how", ["trio", "asyncio", "sync"])
    def test_proofs_come_in_order(self, how: str) -> None:
        """One for each program."""
        proofs = run_batch(how, aprover.prove_batch, aprover.prove_batch_sync, self.PROGRAMS)
        assert [proof.statement for proof in proofs] == [program.statement() for program in self.PROGRAMS]
        assert proofs == [aprover.prove_sync(program) for program in self.PROGRAMS]

    @pytest.mark.parametrize("how", ["trio", "asyncio", "sync"])
    def test_a_failure_is_raised_after_all_are_done(self, how: str, odd: MakeOdd) -> None:
        """With proofs and errors in order."""

        def fail() -> None:
            raise ZeroDivisionError

        batch = [Fibonacci(20), odd(in_trace=fail), Fibonacci(21), Fibonacci]
        with pytest.raises(BatchError) as caught:
            run_batch(how, aprover.prove_batch, aprover.prove_batch_sync, batch)
        results = caught.value.results
        assert [type(result) for result in results] == [Proof, ProveError, Proof, ProgramError]
        assert caught.value.exceptions == (results[1], results[3])
        wanted = run_batch(how, aprover.prove_batch, aprover.prove_batch_sync, batch, return_exceptions=True)
        assert [type(result) for result in wanted] == [Proof, ProveError, Proof, ProgramError]

    @pytest.mark.parametrize("how", ["trio", "asyncio", "sync"])
    def test_statements_come_in_order_from_verify_batch(self, how: str) -> None:
        """From proofs and from bytes; a rejection is a failure of its own."""
        proofs = aprover.prove_batch_sync([Fibonacci(n) for n in range(1, 30)])
        mixed = [proof.to_bytes() if i % 2 else proof for i, proof in enumerate(proofs)]
        statements = run_batch(how, aprover.verify_batch, aprover.verify_batch_sync, mixed)
        assert statements == [proof.statement for proof in proofs]
        bad = Proof("stark", proofs[0].statement, proofs[1].body)
        with pytest.raises(BatchError) as caught:
            run_batch(how, aprover.verify_batch, aprover.verify_batch_sync, [proofs[0], bad, b"junk"])
        assert caught.value.results[0] == proofs[0].statement
        assert all(isinstance(error, VerificationError) for error in caught.value.exceptions)
        assert len(caught.value.exceptions) == 2


def run_batch(how: str, function: Any, sync: Any, items: Any, **settings: Any) -> Any:
    if how == "sync":
        return sync(items, **settings)

    async def main() -> Any:
        return await function(items, **settings)

    return anyio.run(main, backend=how)


class TestSynchronous:
    async def test_the_synchronous_calls_are_refused_on_a_loop(self) -> None:
        """They would block it."""
        for call in (
            lambda: aprover.prove_sync(Fibonacci(20)),
            lambda: aprover.prove_batch_sync([Fibonacci(20)]),
            lambda: aprover.verify_batch_sync([]),
        ):
            with pytest.raises(RuntimeError, match="event loop"):
                call()

    async def test_they_work_on_a_thread_beside_a_loop(self) -> None:
        """Such as to_thread gives."""
        proof = await trio.to_thread.run_sync(aprover.prove_sync, Fibonacci(20))
        assert aprover.verify(proof).public_outputs == (6765,)


class TestEstimate:
    @pytest.mark.parametrize("backend", ["stark", "trace"])
    def test_it_never_runs_the_program(self, backend: Any, odd: MakeOdd) -> None:
        """Neither trace() nor public_outputs()."""

        def fail() -> None:
            raise AssertionError("the program was run")

        estimate = aprover.estimate(odd(in_trace=fail, in_outputs=fail), backend=backend)
        assert isinstance(estimate, Estimate)
        assert (estimate.rows, estimate.columns, estimate.placement) == (8, 1, "offload")
        assert min(estimate.duration, estimate.proof_bytes, estimate.memory) > 0

    @pytest.mark.parametrize("backend", ["stark", "trace"])
    @pytest.mark.parametrize("program", [Fibonacci(20), Fibonacci(5000), Poseidon2Chain(tuple(range(16)), 100)])
    def test_the_size_is_near_the_truth(self, program: Program, backend: Any) -> None:
        """Within a tenth, or the statement's length where that is more."""
        proof = aprover.prove_sync(program, backend=backend)
        slack = max(len(proof) / 10, len(program.statement().to_bytes()))
        assert abs(aprover.estimate(program, backend=backend).proof_bytes - len(proof)) <= slack

    @pytest.mark.parametrize("program", [Fibonacci(20), Fibonacci(2**14), Poseidon2Chain(tuple(range(16)), 500)])
    def test_the_time_is_of_the_right_order(self, program: Program) -> None:
        """Within a factor of 8 of the time that this core spends, whatever else the machine does."""
        parameters = aprover.prove_sync(program).parameters
        prover.prove(program, parameters)
        begun, repeats = time.thread_time(), 10
        for _ in range(repeats):
            prover.prove(program, parameters)
        spent = (time.thread_time() - begun) / repeats
        assert spent / 8 < aprover.estimate(program).duration < spent * 8

    def test_more_work_costs_more(self) -> None:
        """In time and in memory."""
        small, large = aprover.estimate(Fibonacci(1000)), aprover.estimate(Fibonacci(100_000))
        assert small.duration < large.duration
        assert small.memory < large.memory
        assert small.proof_bytes < large.proof_bytes
