"""Worker threads, and waiting for one from trio, from asyncio or from a plain thread.

A job is synchronous and takes a `Control`. Whoever waits for it and is cancelled sets the control's flag and then still
waits, shielded, until the thread is really free: nothing outlives the call. In a wait that never began, because all
workers were busy, the job is dropped at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

import anyio

from ..backends import Control, ProvingCancelled

__all__ = ["in_event_loop", "on_worker", "require_plain_thread", "run", "run_sync", "submit", "usable_cores"]

T = TypeVar("T")

PROGRESS_SECONDS = 0.1
"""How often progress is reported, at most."""


def usable_cores() -> int:
    """The cores that this process may use."""
    if sys.platform == "linux":
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


_executor: ThreadPoolExecutor | None = None
_executor_lock = threading.Lock()
_local = threading.local()


def _mark_worker() -> None:
    _local.worker = True


def on_worker() -> bool:
    """Whether this thread is a worker, where user code such as trace() runs."""
    return getattr(_local, "worker", False)


def in_event_loop() -> bool:
    """Whether this thread runs trio or asyncio."""
    if asyncio._get_running_loop() is not None:
        return True
    trio = sys.modules.get("trio")
    return trio is not None and trio.lowlevel.in_trio_run()


def submit(job: Callable[[Control], T], control: Control) -> Future[T]:
    """Queues a job. One executor a process, so that all loops and threads together never use more than the cores."""
    global _executor
    with _executor_lock:
        if _executor is None:
            _executor = ThreadPoolExecutor(usable_cores(), "aprover worker", initializer=_mark_worker)
        return _executor.submit(job, control)


def _after_fork() -> None:
    global _executor, _executor_lock
    # The threads did not come along, and the lock may have been held.
    _executor, _executor_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _call_from_thread() -> Callable[[Callable[[], object]], object]:
    """How another thread has something called on this thread's event loop."""
    trio = sys.modules.get("trio")
    # Trio first: as a guest it runs inside an asyncio loop.
    if trio is not None and trio.lowlevel.in_trio_task():
        run_sync_soon: Callable[[Callable[[], object]], object] = trio.lowlevel.current_trio_token().run_sync_soon
        return run_sync_soon
    return asyncio.get_running_loop().call_soon_threadsafe


async def run(job: Callable[[Control], T], control: Control, while_waiting: Callable[[], object] | None = None) -> T:
    """Runs `job` on a worker and waits for it.

    If this is cancelled, or `while_waiting` raises, the job is cancelled through `control`, and the exception goes on
    once the worker is free. A cancellation that comes too late for the job still wins: its result is dropped.

    Args:
        job: What runs on the worker.
        control: Passed to it.
        while_waiting: Called on this loop, at most ten times a second.

    Raises:
        Whatever `job` raises.
    """
    await anyio.lowlevel.checkpoint_if_cancelled()
    finished = anyio.Event()
    call = _call_from_thread()
    future = submit(job, control)

    def notify(_: Future[T]) -> None:
        # A loop that is gone has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            call(finished.set)

    future.add_done_callback(notify)
    try:
        if while_waiting is None:
            await finished.wait()
        while not finished.is_set():
            with anyio.move_on_after(PROGRESS_SECONDS):
                await finished.wait()
            if while_waiting is not None and not finished.is_set():
                while_waiting()
    except BaseException:
        # Any exception: cancellation, a failing callback, KeyboardInterrupt.
        control.cancel()
        if not future.cancel():
            await _until_free(finished)
        raise
    return _result(future)


async def _until_free(finished: anyio.Event) -> None:
    while not finished.is_set():
        with anyio.CancelScope(shield=True):
            try:
                await finished.wait()
            except anyio.get_cancelled_exc_class():
                # Only asyncio's own Task.cancel passes a shield. It was cancelled before, and that is what it will see.
                pass


def _result(future: Future[T]) -> T:
    try:
        return future.result()
    except (CancelledError, ProvingCancelled) as error:
        raise RuntimeError("a job was cancelled that nobody cancelled") from error


def require_plain_thread() -> None:
    """Raises RuntimeError on a thread that must not block."""
    if in_event_loop():
        raise RuntimeError("this thread runs an event loop, which a synchronous call would block; await instead")
    if on_worker():
        raise RuntimeError("a synchronous call from inside a program's own trace() or public_outputs()")


def run_sync(job: Callable[[Control], T], control: Control) -> T:
    """Runs `job` on a worker and blocks until it is done; KeyboardInterrupt cancels it.

    Raises:
        RuntimeError: On a thread that runs an event loop, which it would block, or on a worker, for which it could wait
            for ever.
        Whatever `job` raises.
    """
    require_plain_thread()
    future = submit(job, control)
    try:
        return _result(future)
    except BaseException:
        control.cancel()
        if not future.cancel():
            # exception(), unlike result(), does not raise here what is raised below.
            with contextlib.suppress(CancelledError):
                future.exception()
        raise
