"""What the ports have in common: an inbox of answers that any thread fills and only the port's own thread empties.

Theory of operation
-------------------
A port belongs to one engine and one event loop (or one plain thread). Other threads call `deliver` and `schedule` only.
Both leave a note and then see to it that `turn` runs on the loop, at the latest in its next pass. A turn resolves at
most `SLICE` waiters, and lets the core release what was submitted since the last turn; that may give it a batch to
run here. If more is left, the next pass has another turn, so that the loop's other tasks always get theirs. (A loop
that says when a pass ends, as Trio does, has what was submitted in it released then, without another pass.) A worker
that has more answers for a loop that has not yet heard of earlier ones lets it run first.

Only the loop's own thread touches its tasks and futures. A waiter that was cancelled in the meantime is marked
`gone`, on that same thread, and skipped there; so a cancellation and a delivery cannot cross.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from ..messages import Outcome
from .interrupts import held_back

if TYPE_CHECKING:
    from ...telemetry import Job
    from ..life import EngineLife

__all__ = ["SLICE", "LoopPort", "Port", "Waiter", "running_loop"]

SLICE = 100
"""Waiters that are resolved in one pass of the loop. (10,000 at once stalled a loop for 39 ms, 100 for 1.2.)"""

STARVED = 5e-3
"""Seconds for which workers let a loop run that has not heard of an answer, the interpreter's usual switch interval. A
loop that takes longer waits for something else."""
NAP = 50e-6
"""Seconds from one look at it to the next, which is about what a thread takes to wake up."""

FOREVER = float("inf")


class Waiter:
    """One caller who waits for one answer. Compared by identity."""

    __slots__ = ("gone", "job", "port", "resolve")

    def __init__(self, port: Port, resolve: Callable[[Outcome], object] | None = None) -> None:
        self.port = port
        self.job: Job | None = None
        """The story that ends if it is cancelled, and which nobody else ends then."""
        self.gone = False
        """It was cancelled, or has its answer. Changed on the port's own thread only."""
        self.resolve = resolve
        """Called with the answer on the port's own thread; for a plain thread's port, on the worker's."""


class Port(ABC):
    """See the module's docstring.

    Attributes:
        tick: The number of the loop's current pass.
        held: Keeps KeyboardInterrupt out of what the core is told through this port, on its own thread.
    """

    __slots__ = ("__weakref__", "engine", "held", "thread", "tick")

    def __init__(self, engine: EngineLife) -> None:
        self.engine = engine
        self.held = held_back()
        self.thread = threading.get_ident()
        self.tick = 0

    @abstractmethod
    def deliver(self, answers: Sequence[tuple[Waiter, Outcome]]) -> None:
        """Brings answers to their waiters. Any thread."""

    @abstractmethod
    def schedule(self) -> None:
        """Has `Core.dispatch` called at the end of this pass of the loop, or in the next. Any thread."""

    def stay_awake(self) -> None:  # noqa: B027 - most need no hint
        """A hint that the next pass will have work of the engine's. The port's own thread."""

    @property
    def is_behind(self) -> bool:
        """Whether it has not heard of answers that were delivered a moment ago. Any thread."""
        return False

    def let_run(self) -> None:  # noqa: B027 - only a loop waits for the interpreter
        """Sleeps until it is not behind any more. A worker."""

    @abstractmethod
    def stop(self) -> None:
        """The engine has ended: nothing of this port may stay. Any thread."""

    def is_dead(self) -> bool:
        """Whether the loop can never run again. Any thread."""
        return False

    def scope_deadline(self) -> float:
        """The deadline of the enclosing cancel scopes, on the engine's clock; infinity if there is none."""
        return FOREVER

    def caller(self) -> Hashable:
        """Who asks: the running task, or None if the port cannot tell. The port's own thread."""
        return None


class LoopPort(Port):
    """A port of an event loop."""

    __slots__ = (
        "_inbox",
        "_notice",
        "_noticed",
        "_noticed_at",
        "_scheduled_at",
        "_slice",
        "_slice_tick",
        "_stopping",
        "_wanted",
    )

    def __init__(self, engine: EngineLife) -> None:
        super().__init__(engine)
        self._inbox: deque[tuple[Waiter, Outcome]] = deque()
        self._noticed = False
        """A notice is on its way to the loop from another thread."""
        self._noticed_at = 0.0
        self._notice: float | None = None
        """Seconds that the last one took, until the core is told."""
        self._wanted = False
        """`Core.dispatch` is to be called."""
        self._scheduled_at = 0.0
        self._slice = 0
        self._slice_tick = -1
        self._stopping = False

    # What a loop must provide

    @abstractmethod
    def _turn_soon(self) -> None:
        """Has `turn` run in the next pass, once. The loop's own thread."""

    @abstractmethod
    def _notify(self) -> None:
        """Has `_on_notice` run on the loop soon.

        Raises:
            RuntimeError: The loop has ended.
        """

    @abstractmethod
    def wait(self, waiter: Waiter) -> Awaitable[Outcome]:
        """Waits for the answer. Whoever catches a cancellation of this has the waiter leave the engine."""

    @abstractmethod
    async def check_cancelled(self) -> None:
        """A cancellation point that is no schedule point, as far as the loop knows such a thing."""

    @abstractmethod
    async def pause(self) -> None:
        """A full checkpoint."""

    @abstractmethod
    async def until_scope_deadline(self) -> None:
        """Waits a moment for the cancellation that a passed scope's deadline brings."""

    @abstractmethod
    def now(self) -> float:
        """The loop's own clock."""

    # Any thread

    def deliver(self, answers: Sequence[tuple[Waiter, Outcome]]) -> None:
        """See `Port.deliver`."""
        self._inbox.extend(answers)
        self._stir()

    def schedule(self) -> None:
        """See `Port.schedule`."""
        self._wanted = True
        self._scheduled_at = time.perf_counter()
        self._stir()

    @property
    def is_behind(self) -> bool:
        """See `Port.is_behind`."""
        return self._noticed and time.perf_counter() - self._noticed_at < STARVED

    def let_run(self) -> None:
        """See `Port.let_run`."""
        while self.is_behind:
            time.sleep(NAP)

    def stop(self) -> None:
        """See `Port.stop`."""
        self._stopping = True
        self._stir()

    def _stir(self) -> None:
        if threading.get_ident() == self.thread and self._in_loop():
            self._turn_soon()
        elif not self._noticed:
            # Set before, and cleared before the inbox is emptied: no answer falls between.
            self._noticed = True
            self._noticed_at = time.perf_counter()
            try:
                self._notify()
            except RuntimeError:
                self.engine.port_died(self)

    def _in_loop(self) -> bool:
        return True

    # The loop's own thread

    def _on_notice(self) -> None:
        self._noticed = False
        self.engine.heard()
        self._notice = time.perf_counter() - self._noticed_at
        self.turn()

    def turn(self) -> None:
        """One pass's share of the port's work."""
        self._deliver_slice()
        if self._wanted:
            self._release()
            self._deliver_slice()
        if self._inbox or self._wanted:
            self._turn_soon()
        elif self._stopping:
            self._end()

    def _deliver_slice(self) -> None:
        """Resolves as many of those who have their answers as one pass may."""
        inbox = self._inbox
        if not inbox:
            return
        tick = self.tick
        if tick != self._slice_tick:
            self._slice_tick, self._slice = tick, 0
        left = SLICE - self._slice
        while inbox and left > 0:
            waiter, outcome = inbox.popleft()
            if not waiter.gone:
                waiter.gone = True
                left -= 1
                waiter.resolve(outcome)  # type: ignore[misc] # who waits here has one
        self._slice = SLICE - left

    def _release(self) -> None:
        """Has the core release what was submitted."""
        self._wanted = False
        lag, notice = time.perf_counter() - self._scheduled_at, self._notice
        self._notice = None
        if self.engine.dispatch(self, self.tick, lag, notice):
            self._wanted = True
            self._scheduled_at = time.perf_counter()

    @abstractmethod
    def _end(self) -> None:
        """The last turn is over."""


def running_loop() -> str | None:
    """What runs on this thread: ``"trio"``, ``"asyncio"`` or None."""
    # Another thread may be importing it at this moment, and then none runs here.
    trio: Any = getattr(sys.modules.get("trio"), "lowlevel", None)
    # Trio first: as a guest it runs inside another loop.
    if trio is not None and trio.in_trio_task():
        return "trio"
    if asyncio._get_running_loop() is not None:
        return "asyncio"
    # Trio, but not in a task: an instrument or an abort function, say.
    return "trio" if trio is not None and trio.in_trio_run() else None
