"""The port of an asyncio loop, uvloop's included: callbacks, and a future for each waiter."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Hashable
from typing import TYPE_CHECKING

from ..messages import Outcome
from .base import LoopPort, Waiter

if TYPE_CHECKING:
    from ..life import EngineLife

__all__ = ["AsyncioPort"]


def _resolve(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


class AsyncioPort(LoopPort):
    """See the module's docstring. Made inside the loop that it serves.

    asyncio tells nobody that a loop was closed, so `is_dead` has to be asked.
    """

    __slots__ = ("_counting", "_passes", "_turning", "loop")

    def __init__(self, engine: EngineLife) -> None:
        self._counting = False
        self._passes = 0
        super().__init__(engine)
        self.loop = asyncio.get_running_loop()
        self._turning = False

    @property
    def tick(self) -> int:
        """The number of the loop's current pass; passes in which nobody asks are not counted."""
        if not self._counting:
            self._counting = True
            self.loop.call_soon(self._next_pass)
        return self._passes

    @tick.setter
    def tick(self, value: int) -> None:
        self._passes = value

    def _next_pass(self) -> None:
        self._counting = False
        self._passes += 1

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            self.loop.call_soon(self.turn)

    def turn(self) -> None:
        """See `LoopPort.turn`."""
        with self.held:
            self._turning = False
            super().turn()

    def _on_notice(self) -> None:
        with self.held:
            super()._on_notice()

    def _end(self) -> None:
        self.engine.port_died(self)

    def _notify(self) -> None:
        self.loop.call_soon_threadsafe(self._on_notice)

    def _in_loop(self) -> bool:
        # A loop that was closed, or is not running now, is not to be scheduled on from its old thread.
        return asyncio._get_running_loop() is self.loop

    def is_dead(self) -> bool:
        """See `Port.is_dead`."""
        return self.loop.is_closed()

    # Callers

    def caller(self) -> Hashable:
        """See `Port.caller`."""
        return asyncio.current_task(self.loop)

    def wait(self, waiter: Waiter) -> Awaitable[Outcome]:
        """See `LoopPort.wait`."""
        future: asyncio.Future[Outcome] = self.loop.create_future()
        waiter.resolve = functools.partial(_resolve, future)
        return future

    async def check_cancelled(self) -> None:
        """See `LoopPort.check_cancelled`. asyncio delivers a cancellation where a task next waits."""

    async def pause(self) -> None:
        """See `LoopPort.pause`."""
        await asyncio.sleep(0)

    async def until_scope_deadline(self) -> None:
        """See `LoopPort.until_scope_deadline`."""
        await asyncio.sleep(0)

    def now(self) -> float:
        """See `LoopPort.now`."""
        return self.loop.time()
