"""The deciding core: which proof is made when, where and together with what.

A monitor: one lock guards everything, every public method takes it once, for microseconds, and returns `Effects` that
the caller performs after the release. Under the lock there are no C calls, no code of a user, no logging, no wake-ups.
The core knows no event loop and reads no clock but the one that it was given. Any number of loops and threads call it.

The way of a request, as the shells see it::

    port (a loop's own thread)                       worker (a thread)
    --------------------------                       -----------------
    attempt(request, waiter)   -> Hit | Joined       while (task := pull(me)) is not STOP:
        or, if None, with the work's features:           None   -> sleep until an effect wakes me
    submit(request, waiter, work) -> Decision            Help   -> task.team.help(task.leave)
        Inline -> make the proof here;                   Batch  -> prepare all; begin(task) -> those still wanted;
                  inline_done(...)                                 one C call; finish(task, results, ...)
        Queued -> effects.dispatch names the port:                 perform the effects (deliver to each loop)
    dispatch(port) once in the next pass of the loop
        -> a Batch to run on this thread, and workers to wake
    leave(waiter) when the waiter is cancelled       the supervisor: expire() at effects.timer; close(mode)

Effects come out of every call and are always to be performed, whatever else the answer says.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Literal

from ..proof import Proof
from .cost import CostModel, Work
from .messages import (
    Batch,
    Closed,
    Decision,
    Dispatch,
    Effects,
    Expired,
    Help,
    Hit,
    Joined,
    Port,
    Request,
    Stop,
    Waiter,
    Worker,
)
from .policy import Policy
from .statistics import EngineStatistics

__all__ = ["Core"]

FOREVER = float("inf")


class Core:
    """See the module's docstring.

    Args:
        workers: How many worker threads there are; at most so many batches run outside loops at a time.
        policy: Decides between inline, offload and split.
        cost: Predicts seconds; corrected by every finished batch.
        cache_bytes: The bound of the proof cache, keys included. 0 keeps nothing.
        max_pending: How many flights may be queued or running; joiners do not count.
        on_overload: Whether a request beyond that waits (`Parked`) or is refused (`Rejected`).
        clock: Seconds, monotonic, the same for all threads. Deadlines are on this clock.
        finish_abandoned: Let running work that nobody waits for run on into the cache, instead of stopping it.
        weigh: Bytes of a proof, for the cache.
        events: Whether to make `Event`s.
    """

    def __init__(
        self,
        *,
        workers: int,
        policy: Policy,
        cost: CostModel,
        clock: Callable[[], float],
        cache_bytes: int = 256 * 2**20,
        max_pending: int = 10_000,
        on_overload: Literal["wait", "raise"] = "wait",
        finish_abandoned: bool = False,
        weigh: Callable[[Proof], int] = len,
        events: bool = False,
    ) -> None: ...

    # Requests

    def attempt(
        self,
        request: Request,
        waiter: Waiter,
        *,
        priority: int = 0,
        deadline: float = FOREVER,
        cache: bool = True,
        tick: int = 0,
    ) -> Hit | Joined | Expired | Closed | None:
        """Answers from the cache or joins an identical flight, without knowing what the work would cost.

        Args:
            priority: Larger goes first.
            deadline: On the core's clock. A hit is a hit even after it.
            cache: False neither reads nor stores; it still joins.
            tick: The number of this pass of the waiter's loop; any new number opens a new budget.

        Returns:
            None if the proof must be made: find out its `Work` and call `submit`. The waiter is not registered then.
        """

    def submit(
        self,
        request: Request,
        waiter: Waiter,
        work: Work,
        *,
        priority: int = 0,
        deadline: float = FOREVER,
        cache: bool = True,
        tick: int = 0,
    ) -> Decision:
        """As `attempt` (the world may have changed in between), and else opens a flight."""

    def leave(self, waiter: Waiter) -> Effects:
        """The waiter was cancelled. O(1). It will not be delivered to, unless the delivery is already on its way.

        When the last waiter leaves a flight, queued work is dropped and running work is asked to stop. Unknown or
        answered waiters are ignored.
        """

    def inline_done(
        self, flight: object, result: Proof | BaseException, *, wall: float, c_time: float
    ) -> Effects:
        """The work of an `Inline` decision is over, on the same thread.

        Args:
            result: The proof, or what it raised. ProvingCancelled, or a BaseException that is no Exception, ends it
                for its own waiter alone; for the others it is queued.
            wall: Seconds that the loop stood still.
            c_time: Seconds of it in C, or `wall` if that is not known.
        """

    # Loops

    def dispatch(self, port: Port, *, tick: int, lag: float = 0.0) -> Dispatch:
        """Releases all that was submitted through this port since the last time.

        Args:
            tick: The number of this pass of the loop.
            lag: Seconds by which this pass came later than the loop wanted.
        """

    def drop_port(self, port: Port) -> Effects:
        """The loop is gone: its waiters leave, and what it had submitted is released for the others who wait for it."""

    # Workers

    def pull(self, worker: Worker) -> tuple[Batch | Help | Stop | None, Effects]:
        """What the worker does next. None: it is idle now, and some later effect names it in `wake`."""

    def begin(self, batch: Batch) -> tuple[bool, ...]:
        """The C call comes next: which of the batch's flights are still wanted, in their order.

        Until here, new requests may rejoin a flight that was being cancelled; from here on C may have seen the flag. The
        results of unwanted ones are ProvingCancelled.
        """

    def traced(self, batch: Batch, seconds: float) -> Effects:
        """The user's trace() of a batch of one is over; it took `seconds`, which the cost model learns apart."""

    def offer_help(self, batch: Batch, team: object) -> Effects:
        """The team of a split batch is ready for helpers: idle workers are woken, and their `pull` gives `Help`."""

    def finish(
        self, batch: Batch, results: Sequence[Proof | BaseException], *, seconds: float
    ) -> Effects:
        """The batch is over.

        Args:
            results: For each flight, in order, its proof or what it raised; ProvingCancelled for cancelled ones.
            seconds: The wall time of the C call, Python traces not included.
        """

    # Time, end, and counters

    def expire(self) -> Effects:
        """Answers every waiter whose deadline has passed with `Expired`."""

    def next_deadline(self) -> float:
        """The earliest deadline of a waiter, or infinity."""

    def close(self, mode: Literal["wait", "cancel"]) -> Effects:
        """No further requests. ``"wait"`` lets what is pending finish; ``"cancel"`` answers all waiters with `Closed`,
        drops what is queued and stops what runs. May be called again, to go from wait to cancel. `Effects.drained`
        says when nothing is left; from then on `pull` gives `STOP`, and all idle workers are woken to hear it.
        """

    def statistics(self) -> EngineStatistics:
        """A frozen snapshot, consistent within itself."""
