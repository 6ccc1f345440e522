"""The port of a Trio run: a system task that sleeps until there is something to do, holds no user work, and ends with
the loop; and an instrument, with two methods that Trio calls once a pass (0.7 us each). They count the passes, and
release what was submitted in a pass at its end, when all its tasks have had their turn and before the loop may sleep.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING

import trio
from outcome import Value
from trio.lowlevel import Abort

from ..messages import Outcome
from .base import FOREVER, LoopPort, Waiter
from .interrupts import NOT_HELD

if TYPE_CHECKING:
    from ..life import EngineLife

__all__ = ["TrioPort", "protect"]

MOMENT = 0.001
"""Seconds by which the engine's clock and the run's may disagree."""


def protect(*functions: Callable[..., object]) -> None:
    """Has Trio raise no KeyboardInterrupt inside these."""
    for function in functions:
        trio.lowlevel.enable_ki_protection(function)


def _nothing() -> None:
    pass


def _resolve(task: trio.lowlevel.Task, outcome: Outcome) -> None:
    trio.lowlevel.reschedule(task, Value(outcome))


def _abort(waiter: Waiter, _: object) -> Abort:
    # From this moment on; the caller's exception handler does the rest.
    waiter.gone = True
    return Abort.SUCCEEDED


class _Passes:
    """Counts the passes of the loop for a port, and tells it of their ends."""

    def __init__(self, port: TrioPort) -> None:
        self._port = port

    def before_io_wait(self, timeout: float) -> None:
        port = self._port
        if port._wanted:
            port.end_pass(timeout)

    def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - Trio's
        self._port.tick += 1


class TrioPort(LoopPort):
    """See the module's docstring. Made inside the run that it serves."""

    __slots__ = ("_asleep", "_due", "_ended", "_passes", "_task", "token")

    def __init__(self, engine: EngineLife) -> None:
        super().__init__(engine)
        self.held = NOT_HELD  # Trio's own way is `protect`
        self.token = trio.lowlevel.current_trio_token()
        self._asleep = False
        self._due = False
        self._ended = trio.Event()
        self._passes = _Passes(self)
        trio.lowlevel.add_instrument(self._passes)  # type: ignore[arg-type] # Trio takes any part of an Instrument
        self._task = trio.lowlevel.spawn_system_task(self._run, name="aprover port")

    # The system task

    async def _run(self) -> None:
        def abort(_: object) -> Abort:
            self._asleep = False
            return Abort.SUCCEEDED

        try:
            while not self._ended.is_set():
                if self._due:
                    # There is more to do, and the others shall have their turn first.
                    await trio.lowlevel.checkpoint()
                else:
                    self._asleep = True
                    await trio.lowlevel.wait_task_rescheduled(abort)
                self._due = False
                self.turn()
        finally:
            # Also when the run ends, and cancels its system tasks.
            self._ended.set()
            self.engine.port_died(self)
            trio.lowlevel.remove_instrument(self._passes)  # type: ignore[arg-type]

    def schedule(self) -> None:
        """See `Port.schedule`. The end of this pass will see it; only from elsewhere, the loop has to be woken."""
        self._wanted = True
        self._scheduled_at = time.perf_counter()
        if threading.get_ident() != self.thread:
            self._stir()

    def stay_awake(self) -> None:
        """See `Port.stay_awake`. To wake a loop that has settled down takes as long as two passes."""
        self._turn_soon()

    def end_pass(self, timeout: float) -> None:
        """Releases what was submitted in this pass.

        Args:
            timeout: For how long the loop is going to sleep then. That was settled before this could wake anybody.
        """
        self._release()
        self._deliver_slice()
        if timeout > 0 and (self._wanted or self._due):
            self.token.run_sync_soon(_nothing, idempotent=True)

    def _turn_soon(self) -> None:
        self._due = True
        if self._asleep:
            self._asleep = False
            trio.lowlevel.reschedule(self._task)

    def _end(self) -> None:
        self._ended.set()
        self._turn_soon()

    def _notify(self) -> None:
        self.token.run_sync_soon(self._on_notice)

    def is_dead(self) -> bool:
        """See `Port.is_dead`."""
        return self._ended.is_set()

    async def wait_ended(self) -> None:
        """Until nothing of the port is left."""
        await self._ended.wait()
        await trio.lowlevel.cancel_shielded_checkpoint()

    # Callers

    def caller(self) -> Hashable:
        """See `Port.caller`."""
        return trio.lowlevel.current_task()

    def wait(self, waiter: Waiter) -> Awaitable[Outcome]:
        """See `LoopPort.wait`."""
        waiter.resolve = functools.partial(_resolve, trio.lowlevel.current_task())
        return trio.lowlevel.wait_task_rescheduled(functools.partial(_abort, waiter))  # noqa: ASYNC105 - by the caller

    # Not in a method of its own, which would take as long again.
    check_cancelled = staticmethod(trio.lowlevel.checkpoint_if_cancelled)

    async def pause(self) -> None:
        """See `LoopPort.pause`."""
        await trio.lowlevel.checkpoint()

    def scope_deadline(self) -> float:
        """See `Port.scope_deadline`."""
        deadline = trio.current_effective_deadline()
        if deadline == math.inf:
            return FOREVER
        return self.engine.clock() + (deadline - trio.current_time())

    async def until_scope_deadline(self) -> None:
        """See `LoopPort.until_scope_deadline`. No longer than a moment: the deadline may have been moved."""
        await trio.sleep_until(min(trio.current_effective_deadline(), trio.current_time() + MOMENT))

    def now(self) -> float:
        """See `LoopPort.now`."""
        return trio.current_time()
