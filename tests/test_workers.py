"""The engine's waiting and cancelling, with jobs that say exactly what they do; no proofs."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest
import trio

from aprover.backends import Control, ProvingCancelled
from aprover.engine import workers
from aprover.engine.batch import gather, gather_sync, settle, window
from aprover.errors import BatchError

JOB_SECONDS = 20.0
"""How long a job waits for what a test does to it before the test fails."""


class Job:
    """Runs until it is released, or, like C polling its flag, until it is cancelled and then allowed to finish."""

    def __init__(self, result: object = "done", finish_at_once: bool = True) -> None:
        self.result = result
        self.begun, self.released, self.may_finish = threading.Event(), threading.Event(), threading.Event()
        self.saw_cancel = self.ended = False
        if finish_at_once:
            self.may_finish.set()

    def __call__(self, control: Control) -> object:
        self.begun.set()
        polls = int(JOB_SECONDS / 0.001)
        while not self.released.wait(0.001):
            polls -= 1
            assert polls
            if control.cancel_flag[0]:
                self.saw_cancel = True
                assert self.may_finish.wait(JOB_SECONDS)
                self.ended = True
                raise ProvingCancelled
        self.ended = True
        return self.result


async def begun(job: Job) -> None:
    """Waits until the job runs, on either loop."""
    assert await anyio.to_thread.run_sync(job.begun.wait, JOB_SECONDS)


def on_both_loops(test: Callable[[Any], Coroutine[Any, Any, None]]) -> Any:
    """The test as a plain function, once under trio and once under asyncio."""

    @pytest.mark.parametrize("backend", ["trio", "asyncio"])
    def both(self: object, backend: str) -> None:
        anyio.run(test, self, backend=backend)

    both.__doc__ = test.__doc__
    return both


class TestRun:
    @on_both_loops
    async def test_it_gives_the_result(self) -> None:
        """What the job returns is what the waiter gets."""
        assert await workers.run(lambda _: 42, Control()) == 42

    @on_both_loops
    async def test_it_raises_what_the_job_raises(self) -> None:
        """The very exception, unwrapped."""
        error = ValueError("x")

        def job(_: Control) -> None:
            raise error

        with pytest.raises(ValueError) as caught:
            await workers.run(job, Control())
        assert caught.value is error

    @on_both_loops
    async def test_the_job_runs_on_a_worker_in_a_context_of_its_own(self) -> None:
        """User code never runs on the loop's thread."""
        here = threading.get_ident()
        thread, worker = await workers.run(lambda _: (threading.get_ident(), workers.on_worker()), Control())
        assert thread != here
        assert worker
        assert not workers.on_worker()

    @on_both_loops
    async def test_progress_is_called_on_the_loop(self) -> None:
        """At most ten times a second, so a job that is held until the second call takes at least as long."""
        job, calls = Job(), []

        def progress() -> None:
            calls.append((threading.get_ident(), anyio.current_time()))
            if len(calls) == 2:
                job.released.set()

        begun_at = anyio.current_time()
        assert await workers.run(job, Control(), progress) == "done"
        assert {thread for thread, _ in calls} == {threading.get_ident()}
        assert calls[1][1] - begun_at >= 2 * workers.PROGRESS_SECONDS * 0.9

    async def test_no_more_jobs_run_than_there_are_cores(self) -> None:
        """The limit holds for the whole process."""
        count = workers.usable_cores()
        jobs = [Job() for _ in range(count + 1)]
        async with trio.open_nursery() as nursery:
            for job in jobs[:-1]:
                nursery.start_soon(workers.run, job, Control())
            for job in jobs[:-1]:
                await begun(job)
            nursery.start_soon(workers.run, jobs[-1], Control())
            for _ in range(5):
                await trio.testing.wait_all_tasks_blocked()
            assert not jobs[-1].begun.is_set()
            for job in jobs:
                job.released.set()


class TestCancellation:
    @on_both_loops
    async def test_a_cancelled_wait_stops_the_job_and_waits_until_its_thread_is_free(self) -> None:
        """Cancelled goes on only when nothing is left running."""
        job = Job(finish_at_once=False)
        async with anyio.create_task_group() as group:

            async def waiter() -> None:
                try:
                    await workers.run(job, Control())
                finally:
                    assert job.ended

            group.start_soon(waiter)
            await begun(job)
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                while not job.saw_cancel:
                    await anyio.sleep(0.001)
                assert not job.ended
                job.may_finish.set()
        assert job.saw_cancel
        assert job.ended

    async def test_it_sleeps_while_it_waits_for_the_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Shielded: one wait, and not one after another that each ends in Cancelled."""
        scopes = 0

        class Counted(anyio.CancelScope):
            def __new__(cls, **settings: Any) -> Any:
                nonlocal scopes
                scopes += 1
                return trio.CancelScope(**settings)

        job = Job(finish_at_once=False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(workers.run, job, Control())
            await begun(job)
            monkeypatch.setattr("aprover.engine.workers.anyio.CancelScope", Counted)
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                for _ in range(20):
                    await trio.lowlevel.checkpoint()
            monkeypatch.undo()
            job.may_finish.set()
        assert scopes == 1

    def test_asyncio_s_own_cancel_waits_too_even_when_repeated(self) -> None:
        """Task.cancel, which passes anyio's shields, as asyncio.timeout and TaskGroup use it."""

        async def main() -> None:
            job = Job(finish_at_once=False)
            task = asyncio.create_task(workers.run(job, Control()))
            await begun(job)
            for _ in range(3):
                task.cancel()
                for _ in range(3):
                    await asyncio.sleep(0)
                assert not task.done()
            job.may_finish.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert job.saw_cancel
            assert job.ended

        asyncio.run(main())

    def test_an_asyncio_timeout_becomes_a_timeout_error(self) -> None:
        """The cancellation is passed on as asyncio wants it."""

        async def main() -> None:
            job = Job()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await workers.run(job, Control())
            assert job.ended or not job.begun.is_set()

        asyncio.run(main())

    @on_both_loops
    async def test_a_queued_job_is_dropped_at_once(self) -> None:
        """It never runs, and its waiter does not wait for a worker."""
        busy = [Job() for _ in range(workers.usable_cores())]
        queued = Job()
        async with anyio.create_task_group() as group:
            for job in busy:
                group.start_soon(workers.run, job, Control())
            for job in busy:
                await begun(job)
            with anyio.move_on_after(0.01) as scope:
                await workers.run(queued, Control())
            assert scope.cancelled_caught
            for job in busy:
                assert not job.ended
                job.released.set()
        assert not queued.begun.is_set()

    @on_both_loops
    async def test_a_wait_that_is_already_cancelled_begins_nothing(self) -> None:
        """It is a checkpoint before anything is submitted."""
        job = Job()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await workers.run(job, Control())
        assert scope.cancelled_caught
        assert not job.begun.is_set()

    async def test_it_is_a_schedule_point(self) -> None:
        """Other tasks run even if the result is there at once."""
        with trio.testing.assert_checkpoints():
            await workers.run(lambda _: None, Control())

    @on_both_loops
    async def test_a_failing_progress_callback_stops_the_job(self) -> None:
        """Its exception goes on when the worker is free."""
        job = Job()

        def progress() -> None:
            raise LookupError("no")

        with pytest.raises(LookupError, match="no"):
            await workers.run(job, Control(), progress)
        assert job.saw_cancel
        assert job.ended

    @on_both_loops
    async def test_a_job_that_says_cancelled_unasked_is_an_error(self) -> None:
        """ProvingCancelled never reaches a caller as it is."""

        def job(_: Control) -> None:
            raise ProvingCancelled

        with pytest.raises(RuntimeError, match="nobody cancelled"):
            await workers.run(job, Control())


class TestSynchronous:
    def test_it_gives_the_result(self) -> None:
        """Without any event loop."""
        assert workers.run_sync(lambda _: 42, Control()) == 42

    @on_both_loops
    async def test_it_is_refused_on_a_thread_with_a_loop(self) -> None:
        """It would block everything else."""
        with pytest.raises(RuntimeError, match="event loop"):
            workers.run_sync(lambda _: 42, Control())
        with pytest.raises(RuntimeError, match="event loop"):
            gather_sync([1], lambda _: lambda _: 42)

    def test_it_is_refused_on_a_worker(self) -> None:
        """It could wait for its own thread for ever."""

        def job(_: Control) -> None:
            workers.run_sync(lambda _: None, Control())

        with pytest.raises(RuntimeError, match="trace"):
            workers.run_sync(job, Control())

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_it_works_in_a_forked_child(self) -> None:
        """The child gets workers of its own."""
        assert workers.run_sync(lambda _: 1, Control()) == 1
        child = os.fork()
        if child == 0:
            os._exit(workers.run_sync(lambda _: 7, Control()))
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7


def failing_on_odd(item: int) -> Callable[[Control], int]:
    def job(_: Control) -> int:
        if item % 2:
            raise ValueError(item)
        return item

    return job


async def gather_async(items: Any, make: Any) -> Any:
    return await gather(items, make)


class TestGather:
    @pytest.mark.parametrize("how", ["trio", "asyncio", "sync"])
    def test_results_and_failures_come_in_order(self, how: str) -> None:
        """A failure stops nothing else."""
        items = range(5 * window())
        results: list[Any] = (
            gather_sync(items, failing_on_odd)
            if how == "sync"
            else anyio.run(gather_async, items, failing_on_odd, backend=how)
        )
        assert [r.args[0] if isinstance(r, ValueError) else r for r in results] == list(items)
        assert [isinstance(r, ValueError) for r in results] == [bool(i % 2) for i in items]

    @pytest.mark.parametrize("how", ["trio", "asyncio", "sync"])
    def test_a_job_that_cannot_be_made_is_a_failure_of_its_own(self, how: str) -> None:
        """A bad request among good ones fails alone."""

        def make(item: int) -> Callable[[Control], int]:
            if item == 1:
                raise ValueError(item)
            return lambda _: item

        results: list[Any] = (
            gather_sync([0, 1, 2], make) if how == "sync" else anyio.run(gather_async, [0, 1, 2], make, backend=how)
        )
        assert results[::2] == [0, 2]
        assert isinstance(results[1], ValueError)

    @pytest.mark.parametrize("how", ["trio", "asyncio", "sync"])
    def test_items_are_taken_through_a_bounded_window(self, how: str) -> None:
        """A batch does not pull its whole input at once."""
        taken, finished, most = 0, 0, 0
        lock = threading.Lock()

        def items() -> Any:
            nonlocal taken, most
            for i in range(10 * window()):
                with lock:
                    taken += 1
                    most = max(most, taken - finished)
                yield i

        def make(item: int) -> Callable[[Control], int]:
            def job(_: Control) -> int:
                nonlocal finished
                with lock:
                    finished += 1
                return item

            return job

        if how == "sync":
            gather_sync(items(), make)
        else:
            anyio.run(gather_async, items(), make, backend=how)
        assert finished == 10 * window()
        assert most <= window() + 1

    @pytest.mark.parametrize("how", ["trio", "asyncio", "sync"])
    def test_a_failing_input_raises_its_own_error_and_leaves_nothing_running(self, how: str) -> None:
        """What iterating raises goes on as it is."""
        job = Job()

        def items() -> Any:
            yield 0
            job.begun.wait(JOB_SECONDS)
            raise LookupError("input")

        with pytest.raises(LookupError, match="input"):
            if how == "sync":
                gather_sync(items(), lambda _: job)
            else:
                anyio.run(gather_async, items(), lambda _: job, backend=how)
        assert job.saw_cancel
        assert job.ended

    @on_both_loops
    async def test_cancelling_stops_all_jobs(self) -> None:
        """And waits for them."""
        jobs = [Job() for _ in range(3 * window())]
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(gather, jobs, lambda job: job)
                await begun(jobs[0])
                scope.cancel()
        assert jobs[0].saw_cancel
        assert all(job.ended for job in jobs if job.begun.is_set())
        assert not jobs[-1].begun.is_set()

    async def test_an_empty_batch_is_a_checkpoint(self) -> None:
        """Like any other."""
        with trio.testing.assert_checkpoints():
            assert await gather([], failing_on_odd) == []

    def test_settle_raises_a_batch_error_with_all_results(self) -> None:
        """Unless the exceptions are wanted as results."""
        failure = ValueError(1)
        results: list[int | Exception] = [0, failure, 2]
        assert settle(results, return_exceptions=True) == results
        with pytest.raises(BatchError, match="1 of 3") as caught:
            settle(results, return_exceptions=False)
        assert caught.value.results == (0, failure, 2)
        assert caught.value.exceptions == (failure,)
