"""Where flights are made: at the door, in a batch on a loop, in one of a worker, or by several; under the core's lock.

What the policy says is carried out here, and what it must not decide is seen to: the budget of the tick, no inline work
beside a user's Python, a bounded number of pending flights, and that no worker sleeps while there is work for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ..proof import Proof
from .cost import UNKNOWN_WORK, CostModel, Work
from .flights import ADMIT, PARKED, Flight, FlightQueue
from .ledger import FOREVER, Ended, Ledger
from .loop_state import LoopState
from .messages import NOTHING, Batch, Effects, Help, Inline, Parked, Queued, Waiter, Worker
from .policy import INLINE, TICK_BUDGET, Load, Policy, share_of, workers_for

__all__ = ["RELEASED_AT_ONCE", "SAMPLED", "Placing"]

SHORTEST_SPLIT = 1e-3
"""Seconds of predicted work about which no policy is asked whether to split it."""
PATIENCE = 5e-3
"""A worker that is held back, because threads hinder each other, is not held back behind longer work than this."""
FAIRNESS = 4
"""Or behind work that is so many times as long as what it would do."""
RELEASED_AT_ONCE = 256
"""Flights that one dispatch hands to the workers, so that the lock is held for a fraction of a millisecond."""
LONGEST_SHARED = 16e-3
"""Seconds, as single proofs, of a batch whose requests may share a proof, which takes a tenth to a twentieth of it."""
WORTH_SHARING = 16
"""So many small requests of one tick are not made on the loop's thread, if they may share a proof on a worker."""
SAMPLED = 8
"""Of so many quick batches, or inline proofs, the cost model looks at one, once it has seen some."""
SEEN = 32
"""How many it looks at first."""
LONG = 1e-3
"""Seconds of a batch that is always looked at."""
SURPRISE = 1.5
"""So is one that takes so many times as long as predicted, or the inverse."""


def _not_for_a_loop(work: Work) -> str:
    """Why no policy was asked about it."""
    if work is UNKNOWN_WORK:
        return "its shape is new"
    return "too long for the loop" if work.native else "it runs Python"


_Lesson = tuple[Batch, float, float, float, float]
"""A batch, its seconds in C, those of them that its thread was not at work, and the busy workers and loops beside."""


class _LoadNow:
    """A `Load` that is worked out as far as a policy asks: most decisions need three or four of its parts."""

    __slots__ = ("_now", "_placing", "_state")

    def __init__(self, placing: Placing, state: LoopState | None, now: float) -> None:
        self._placing = placing
        self._state = state
        self._now = now

    @property
    def together(self) -> float:
        state = self._state
        return 1.0 if state is None else max(state.arrivals, state.usual_flights)

    @property
    def requests(self) -> float:
        state = self._state
        return 1.0 if state is None else max(state.requests, state.usual_requests)

    @property
    def workers(self) -> int:
        return self._placing._workers

    @property
    def idle(self) -> int:
        return self._placing._crew.idle

    @property
    def busy(self) -> int:
        return len(self._placing._crew.active)

    @property
    def queued(self) -> int:
        return self._placing._queue.count

    @property
    def queue_cost(self) -> float:
        return self._placing._queue.cost

    @property
    def running_cost(self) -> float:
        now = self._now
        return sum([max(0.0, batch.predicted - (now - batch.pulled)) for batch in self._placing._crew.active])

    @property
    def scaling(self) -> float:
        return self._placing._machine.scaling.value(self._now)

    @property
    def handback(self) -> float:
        return self._placing._machine.handback.value(self._now)

    @property
    def brief_handback(self) -> float:
        return self._placing._machine.brief_handback.value(self._now)

    @property
    def wake(self) -> float:
        machine = self._placing._machine
        return machine.wake.value(self._now) + machine.notice.value(self._now)

    @property
    def lag(self) -> float:
        return 0.0 if self._state is None else self._state.lag

    @property
    def python(self) -> bool:
        return self._placing._crew.python > 0


class Placing(Ledger):
    """A part of `Core`, whose arguments these are. Not thread-safe."""

    def __init__(
        self,
        *,
        workers: int,
        policy: Policy,
        cost: CostModel,
        clock: Callable[[], float],
        cache_bytes: int,
        max_pending: int,
        finish_abandoned: bool,
        weigh: Callable[[Proof], int],
        events: bool,
        aggregates: bool,
    ) -> None:
        super().__init__(
            workers=workers,
            cost=cost,
            clock=clock,
            cache_bytes=cache_bytes,
            max_pending=max_pending,
            finish_abandoned=finish_abandoned,
            weigh=weigh,
            events=events,
        )
        self._workers = workers
        self.aggregates = aggregates
        self._policy = policy
        self._longest_inline = policy.longest_inline
        self._batches = 0
        self._lessons: list[_Lesson] = []
        """Of batches whose answers are out already."""

    def _load(self, state: LoopState | None, now: float) -> Load:
        return cast(Load, _LoadNow(self, state, now))

    def _inline_at_the_door(self, flight: Flight, state: LoopState, now: float) -> bool:
        crew = self._crew
        together, requests = max(state.arrivals, state.usual_flights), max(state.requests, state.usual_requests)
        asked = flight.predicted, together, requests, len(crew.active), self._queue.count, crew.python
        choice = state.choices.get(asked)
        if choice is None:
            # Those that come together are alike, mostly, and to decide takes as long as all else that opens a flight.
            choice = state.choices[asked] = self._policy.place(flight.predicted, self._load(state, now))
        placement, flight.reason = choice
        if placement is not INLINE or crew.python:
            return False
        if not state.affords(flight.predicted):
            flight.reason = "the tick's budget is spent"
            return False
        return True

    def _inline(self, flight: Flight, waiter: Waiter, state: LoopState, now: float) -> Inline:
        flight.owner = waiter  # without a seat: it cannot leave before it is done
        self._start(flight, now)
        flight.placement = "inline"
        self._count.inline += 1
        state.spent += flight.predicted
        if not self.events:
            return Inline(flight, NOTHING)
        effects = Effects()
        self._log(effects, "inline", flight)
        return Inline(flight, effects)

    def _park(self, flight: Flight, waiter: Waiter, priority: int, deadline: float) -> Parked:
        """Until there is room for one more."""
        effects = NOTHING if deadline == FOREVER else Effects()
        flight.state = PARKED
        flight.reason = "max_pending is reached"
        self._seat(flight, waiter, priority, deadline, effects)
        self._parked.push(flight)
        return Parked(flight, effects)

    def _wait_at_port(self, flight: Flight, waiter: Waiter, state: LoopState, priority: int, deadline: float) -> Queued:
        """Until the end of the tick."""
        # Most have no effects: the port was told by the first of the tick.
        effects = NOTHING if state.announced and deadline == FOREVER and not self.events else Effects()
        self._seat(flight, waiter, priority, deadline, effects)
        flight.port = waiter.port
        if not flight.small:
            flight.reason = _not_for_a_loop(flight.work)
        (state.small if flight.small else state.large).push(flight)
        if not state.announced:
            state.announced = True
            effects.dispatch.append(waiter.port)
            if flight.small and not state.affords(flight.predicted):
                effects.resume.append(waiter.port)
        if self.events:
            self._log(effects, "queued", flight)
        return Queued(flight, effects)

    def _dispatch_small(self, state: LoopState, now: float, effects: Effects, ended: Ended) -> Batch | None:
        """What may run on the loop's thread: there, within the budget, or on the workers."""
        queue = state.small
        if self.aggregates and queue.count >= WORTH_SHARING:
            self._release(queue, RELEASED_AT_ONCE, "may share a proof")
            return None
        placement, reason = self._policy.release(queue.count, queue.cost, self._load(state, now))
        if placement is not INLINE or self._crew.python:
            self._release(queue, RELEASED_AT_ONCE, reason)
            return None
        first = queue.first()
        if first is None or not state.affords(first.predicted):
            return None
        flights, expired = queue.take(TICK_BUDGET - state.spent, now)
        self._expired(expired, effects, ended)
        if not flights:
            return None
        batch = self._batch(flights, now, inline=True, reason=reason)
        state.spent += batch.predicted
        self._count.inline += len(flights)
        if self.events:
            self._log_start(effects, batch)
        return batch

    def _release(self, queue: FlightQueue, most: int, reason: str | None = None) -> None:
        """From a port to the workers. Without a reason, those keep the one that they have."""
        for flight in queue.give(self._queue, most):
            flight.port = None
            if reason is not None:
                flight.reason = reason

    def _batch(self, flights: list[Flight], now: float, *, inline: bool, reason: str = "") -> Batch:
        self._batches += 1
        number = self._batches
        predicted = sum([flight.predicted for flight in flights])
        batch = Batch(number, tuple(flights), predicted, inline, False, now)
        placement = "inline" if inline else "offload"
        for flight in flights:
            self._start(flight, now)
            flight.port = None
            flight.batch = batch
            flight.batch_number = number
            flight.placement = placement
            if reason:
                flight.reason = reason
        return batch

    def _next_task(self, worker: Worker, now: float, effects: Effects, ended: Ended) -> Batch | Help | None:
        queue = self._queue
        if queue.count and not self._held_back(now):
            share = 0.0  # one is always taken
            if queue.count > 1:
                share = share_of(queue.cost, self._workers, 1 + self._crew.coming)
                if self.aggregates:
                    share = max(share, min(queue.cost / self._workers, LONGEST_SHARED))
            flights, expired = queue.take(share, now, self._look_up)
            if expired:
                self._expired(expired, effects, ended)
            if flights:
                return self._offload(flights, now, effects)
        help_ = self._crew.help(worker, now)
        if help_ is not None and self.events:
            self._log(effects, "help_started", None, batch=help_.batch.number)
        return help_

    def _look_up(self, flight: Flight) -> None:
        """Another flight of its shape may have been surveyed since it was opened."""
        work = flight.request.known_work()
        if work is not None:
            flight.work = work
            self._queue.revalue(flight, self._machine.cost.predict(work))

    def _offload(self, flights: list[Flight], now: float, effects: Effects) -> Batch:
        """A batch for the worker that asks."""
        crew = self._crew
        batch = self._batch(flights, now, inline=False)
        self._machine.pulled(batch, len(crew.active), now)
        crew.active.add(batch)
        self._count.batches += 1
        self._count.offloaded += len(flights)
        if not flights[0].work.native:
            batch.python = True
            crew.python += 1
        if len(flights) == 1:
            self._decide_split(batch, now)
        if self.events and flights[0].work is not UNKNOWN_WORK:  # else it is told what it is when that is known
            self._log_start(effects, batch)
        return batch

    def _decide_split(self, batch: Batch, now: float) -> None:
        """Whether several workers are to make a batch of one."""
        flight = batch.flights[0]
        work = flight.work
        if flight.predicted >= SHORTEST_SPLIT and work.splittable and self._workers > 1 and not self._queue.count:
            batch.split = self._policy.split(self._machine.cost.predict_proof(work), self._load(None, now))
            if batch.split:
                self._count.offloaded -= 1
                self._count.split += 1
                flight.placement = "split"

    def _held_back(self, now: float, coming: int = 0) -> bool:
        """Whether another worker beside the active and the coming ones would only hinder."""
        active = self._crew.active
        beside = len(active) + coming
        if beside == 0 or beside < self._policy.width(self._load(None, now)):
            return False
        first = self._queue.first()
        longest = PATIENCE if first is None else max(PATIENCE, FAIRNESS * first.predicted)
        return all(batch.predicted <= longest and not batch.python for batch in active)

    def _after_ends(self, now: float, effects: Effects, coming: int = 0) -> None:
        """After anything that may have freed a slot, or filled the queue, or ended the engine's work.

        Args:
            coming: Workers that will pull next, without being woken.
        """
        parked, queue = self._parked, self._queue
        while parked.count and self._pending < self._max_pending and (flight := parked.pop()) is not None:
            flight.step(ADMIT)
            self._pending += 1
            flight.reason = "was parked"
            queue.push(flight)
        if queue.count:
            self._wake(now, effects, coming)
        if self._mode is not None and not (self._pending or parked.count or self._drained):
            self._drained = effects.drained = True
            self._crew.wake_all(now, effects)

    def _wake(self, now: float, effects: Effects, coming: int) -> None:
        """As many workers as the queue is worth; and helpers are asked to leave if that is more than are idle."""
        crew = self._crew
        coming += crew.coming
        wanted = self._queue.count
        if wanted > 1:
            wanted = workers_for(wanted, self._queue.cost)
        wanted -= coming
        while wanted > 0 and crew.idle and not self._held_back(now, coming):
            crew.wake(now, effects)
            coming += 1
            wanted -= 1
        if wanted > 0 and not crew.idle and crew.helping:
            first = self._queue.first()
            if first is not None:
                crew.recall(wanted, first)

    def _teaches(self, batch: Batch, seconds: float) -> bool:
        """Whether there may be something to learn from it. Much of the work of quick batches would be to learn."""
        return seconds > 0.0 and (  # else there was no C call
            batch.number <= SEEN
            or batch.number % SAMPLED == 0
            or batch.predicted >= LONG
            or not batch.predicted < seconds * SURPRISE < batch.predicted * SURPRISE**2
        )

    def _study(self, now: float) -> None:
        for batch, seconds, handback, beside, loops in self._lessons:
            works = [flight.work for flight in batch.flights]
            if batch.inline:
                self._machine.learn_handback(batch.predicted, handback, now)
            else:
                self._machine.learn_scaling(works, seconds, handback, beside, loops, now)
            self._machine.learn_cost(works, seconds - handback, beside + loops, now)
        self._lessons.clear()
