"""The deciding core: which proof is made when, where and together with what.

A monitor: one lock guards everything, every public method takes it once, for microseconds, and returns `Effects` that
the caller performs after the release. Under the lock there are no C calls, no code of a user, no logging, no wake-ups.
The core knows no event loop and reads no clock but the one that it was given. Any number of loops and threads call it.

The way of a request, as the shells see it::

    port (a loop's own thread)                       worker (a thread)
    --------------------------                       -----------------
    hit(request, port)   the quickest way in         while (task := pull(me)) is not STOP:
    submit(request, waiter, work) -> Decision            None   -> sleep until an effect wakes me
        Hit, Joined, Expired, Closed ...                 Help   -> task.team.help(task.leave)
        Inline -> make the proof here;                   Batch  -> survey what is unknown: surveyed(task, work);
                  inline_done(...)                                 prepare all; begin(task) -> those still wanted;
        Queued -> effects.dispatch names the port:                 one C call; finish(task, results, ...)
    dispatch(port) once in the next pass of the loop               perform the effects (deliver to each loop)
        -> a Batch to run on this thread, and workers to wake
    leave(waiter) when the waiter is cancelled       the supervisor: expire() at effects.timer; close(mode)

Effects come out of every call and are always to be performed, whatever else the answer says.

The core's parts are `flights` (the life of a flight, and queues), `cache`, `loop_state` (one a port), `crew` (the
workers) and `machine` (what is learned). An exception out of the core is a bug in it, after which nothing that it says
can be relied on: whoever gets one calls `break_down`, which answers everybody once and ends it all.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Literal

import attrs

from ..backends import ProvingCancelled
from ..proof import Proof
from .cache import ProofCache
from .cost import UNKNOWN_WORK, CostModel, Work
from .crew import Crew
from .flights import Deadlines, Flight, FlightQueue, Seat, State, Step
from .loop_state import LoopState
from .machine import Machine
from .messages import (
    NOTHING,
    STOP,
    Batch,
    Closed,
    Decision,
    Dispatch,
    Effects,
    Event,
    Expired,
    Failed,
    Help,
    Hit,
    Inline,
    Joined,
    Outcome,
    Parked,
    Port,
    Proved,
    Queued,
    Rejected,
    Request,
    Stop,
    Waiter,
    Worker,
)
from .policy import LONGEST_BATCH, SHORTEST_BATCH, TICK_BUDGET, Load, Placement, Policy
from .statistics import EngineStatistics

__all__ = ["TICK_BUDGET", "Core"]

FOREVER = math.inf
HIT_SECONDS = 2e-6
"""What a hit takes of the tick's budget, about."""
SUBMIT_SECONDS = 4e-6
"""What any other request takes of a loop."""
DELIVERY_SECONDS = 6e-6
"""What an answer that is delivered takes of a loop."""
PATIENCE = 5e-3
"""A worker that is held back, because threads hinder each other, is not held back behind longer work than this."""
FAIRNESS = 4
"""Or behind work that is so many times as long as what it would do."""
RELEASED_AT_ONCE = 256
"""Flights that one dispatch hands to the workers, so that the lock is held for a fraction of a millisecond."""
EXPIRED_AT_ONCE = 512
"""Waiters that one `expire` answers, for the same reason."""
SAMPLED = 8
"""Of so many quick batches, or inline proofs, the cost model looks at one, once it has seen some."""
SEEN = 32
"""How many it looks at first."""
LONG = 1e-3
"""Seconds of a batch that is always looked at."""
SURPRISE = 1.5
"""So is one that takes so many times as long as predicted, or the inverse."""
HANDBACK_SLACK = 100e-6
"""And so is an inline proof after which its thread waited for so long."""


@attrs.define(eq=False)
class _Counters:
    requests: int = 0
    hits: int = 0
    joins: int = 0
    flights: int = 0
    rejected: int = 0
    refused: int = 0
    proofs: int = 0
    verifications: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    left: int = 0
    inline: int = 0
    offloaded: int = 0
    split: int = 0
    batches: int = 0
    queue_wait: float = 0.0
    started: int = 0


_Ended = list[tuple[dict[Waiter, Seat], Outcome]]
_Lesson = tuple[Batch, float, float, float]
"""A batch, its seconds in C, and how many workers and loops were busy beside it."""


class Core:
    """See the module's docstring.

    Args:
        workers: How many worker threads there are; at most so many batches run outside loops at a time.
        policy: Decides between inline, offload and split.
        cost: Predicts seconds; corrected by finished batches.
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
    ) -> None:
        self._lock = threading.Lock()
        self._workers = workers
        self._policy = policy
        self._longest_inline = policy.longest_inline
        self._clock = clock
        self._max_pending = max_pending
        self._on_overload = on_overload
        self._finish_abandoned = finish_abandoned
        self._weigh = weigh
        self.events = events
        """Whether to make `Event`s. May be changed at any time: who listens to an engine comes and goes."""

        self._cache = ProofCache(cache_bytes)
        self._flights: dict[Hashable, Flight] = {}
        """By key, the one that can be joined, if its state says so."""
        self._seats: dict[Waiter, Seat] = {}
        """Also, for a moment, seats in flights that have ended."""
        self._waiters = 0
        self._deadlines = Deadlines()
        self._timer = FOREVER
        """The earliest deadline that was announced."""
        self._ports: dict[Port, LoopState] = {}
        self._queue = FlightQueue()
        self._parked = FlightQueue()
        self._running: set[Flight] = set()
        """Running or being cancelled."""
        self._pending = 0
        self._numbers = 0
        self._batches = 0

        self._machine = Machine(workers, cost, clock())
        self._crew = Crew(self._machine)
        self._lessons: list[_Lesson] = []
        """Of batches whose answers are out already."""

        self._mode: Literal["wait", "cancel"] | None = None
        self._drained = False
        self._broken: BaseException | None = None
        self._count = _Counters()

    # --- requests ----------------------------------------------------------------------------------------------------

    def hit(self, request: Request, port: Port, tick: int) -> Proof | None:
        """The proof from the cache, if there is one and the tick's budget allows; the quickest way in.

        Returns:
            None if `submit` has to be called.
        """
        key = request.key
        with self._lock:
            if self._mode is not None:
                return None
            proof = self._cache.get(key)
            if proof is None:
                return None
            state = self._ports.get(port)
            if state is None or state.tick != tick:
                state = self._port(port, tick)
            if state.spent > TICK_BUDGET:
                return None
            state.spent += HIT_SECONDS
            count = self._count
            count.requests += 1
            count.hits += 1
            return proof

    def submit(
        self,
        request: Request,
        waiter: Waiter,
        work: Work | None,
        *,
        priority: int = 0,
        deadline: float = FOREVER,
        cache: bool = True,
        tick: int = 0,
        caller: Hashable = None,
    ) -> Decision:
        """Answers from the cache, joins an identical flight, or opens one.

        Args:
            request: Its hash and equality run no code of a user.
            waiter: Made for this one request.
            work: What the proof would cost; None if its shape is not known yet, and a worker has to find out.
            priority: Larger goes first.
            deadline: On the core's clock. A hit is a hit even after it.
            cache: False neither reads nor stores; it still joins.
            tick: The number of this pass of the waiter's loop; any new number opens a new budget.
            caller: The task that asks, if it is known. What one task asks one after the other in the same tick does not
                come together, so that the policy has to be told it apart from what many tasks ask.
        """
        key = request.key
        with self._lock:
            count = self._count
            count.requests += 1
            if self._mode is not None:
                count.refused += 1
                return Closed(self._broken)
            if cache:
                proof = self._cache.get(key)
                if proof is not None:
                    return self._hit(proof, waiter.port, tick)
            now = self._clock()
            if deadline <= now:
                count.refused += 1
                return Expired()
            flight = self._flights.get(key)
            if flight is not None and flight.joinable:
                return self._join(flight, waiter, priority, deadline, cache, tick)
            if self._pending >= self._max_pending and self._on_overload == "raise":
                count.rejected += 1
                return Rejected(NOTHING)
            self._machine.loops_will(SUBMIT_SECONDS)
            state = self._ports.get(waiter.port)
            if state is None or state.tick != tick:
                state = self._port(waiter.port, tick)
            state.arrive(caller)
            flight = self._open(request, UNKNOWN_WORK if work is None else work, now)
            flight.store = cache
            if self._pending >= self._max_pending:
                effects = Effects()
                flight.state = State.PARKED
                self._seat(flight, waiter, priority, deadline, effects)
                self._parked.push(flight)
                return Parked(flight, effects)
            self._pending += 1
            if flight.work.native and flight.predicted <= self._longest_inline:
                flight.small = True
                if self._inline_at_the_door(flight, state, now):
                    return self._inline(flight, waiter, state, now)
            # Most have none: the port was told by the first of the tick.
            effects = NOTHING if state.announced and deadline == FOREVER and not self.events else Effects()
            self._seat(flight, waiter, priority, deadline, effects)
            flight.port = waiter.port
            (state.small if flight.small else state.large).push(flight)
            if not state.announced:
                state.announced = True
                effects.dispatch.append(waiter.port)
            if self.events:
                self._log(effects, "queued", flight)
            return Queued(flight, effects)

    def leave(self, waiter: Waiter) -> Effects:
        """The waiter was cancelled. O(1). It will not be delivered to, unless the delivery is already on its way.

        When the last waiter leaves a flight, queued work is dropped and running work is asked to stop. Unknown or
        answered waiters are ignored.
        """
        effects = Effects()
        with self._lock:
            seat = self._seats.get(waiter)
            if seat is not None and seat.taken:
                self._count.left += 1
                self._unseat(seat, self._clock(), effects)
        return effects

    def inline_done(self, flight: Flight, result: Proof | BaseException, *, wall: float, c_time: float) -> Effects:
        """The work of an `Inline` decision is over, on the same thread.

        Args:
            flight: From the decision.
            result: The proof, or what it raised. ProvingCancelled, or a BaseException that is no Exception, ends it
                for its own waiter alone; for the others it is queued.
            wall: Seconds that the loop stood still.
            c_time: Seconds of it that its thread was at work, or `wall` if that is not known.
        """
        size = self._size(flight, result)
        proved = not isinstance(result, BaseException)
        with self._lock:
            if self._broken is not None:
                return NOTHING
            machine = self._machine
            machine.loops_did(wall)
            owner, flight.owner = flight.owner, None
            port = self._ports.get(owner.port) if owner is not None else None
            if port is not None and wall > flight.predicted:
                port.spent += wall - flight.predicted
            # This is the shortest way of all, so what is known is only looked at now and then.
            if proved and (
                flight.number % SAMPLED == 0 or wall > c_time + HANDBACK_SLACK or self._count.proofs < SAMPLED
            ):
                now = self._clock()
                machine.handback.observe(wall - c_time, now)
                machine.learn_cost((flight.work,), c_time, float(len(self._crew.active)), now)
            if proved and not (flight.seats or self.events or self._mode or self._queue.count or self._parked.count):
                self._end(flight, result, size, NOTHING, [])  # the end of it has no consequences
                return NOTHING
            effects, ended = Effects(), _Ended()
            if isinstance(result, ProvingCancelled) or not (proved or isinstance(result, Exception)):
                self._stopped(flight, effects)
            else:
                self._end(flight, result, size, effects, ended)
            self._after_ends(self._clock(), effects)
        self._group(ended, effects)
        return effects

    # --- loops -------------------------------------------------------------------------------------------------------

    def dispatch(self, port: Port, *, tick: int, lag: float = 0.0, notice: float | None = None) -> Dispatch:
        """Releases all that was submitted through this port since the last time.

        Args:
            port: The caller's own.
            tick: The number of this pass of the loop.
            lag: Seconds by which this pass came later than the loop wanted.
            notice: Seconds from a worker's answer until this loop had it, the last time; None if there was none since.
        """
        effects, ended = Effects(), _Ended()
        batch = None
        with self._lock:
            if self._broken is not None:
                return Dispatch(None, False, NOTHING)
            now = self._clock()
            state = self._port(port, tick)
            state.announced = False
            state.is_late(lag)
            if notice is not None:
                self._machine.notice.observe(notice, now)
            if state.large.count:
                self._release(state.large, RELEASED_AT_ONCE, "not for a loop's thread")
            if state.small.count:
                batch = self._dispatch_small(state, now, effects, ended)
            again = bool(state.small.count or state.large.count)
            state.announced = again
            self._after_ends(now, effects)
        if ended:
            self._group(ended, effects)
        return Dispatch(batch, again, effects)

    def drop_port(self, port: Port) -> Effects:
        """The loop is gone: its waiters leave, and what it had submitted is released for the others who wait for it."""
        effects = Effects()
        with self._lock:
            now = self._clock()
            for seat in [seat for waiter, seat in self._seats.items() if waiter.port == port]:
                if seat.taken:
                    self._count.left += 1
                    self._unseat(seat, now, effects)
            state = self._ports.pop(port, None)
            if state is not None:
                for queue in (state.small, state.large):
                    self._release(queue, len(queue), "its loop has ended")
            self._after_ends(now, effects)
        return effects

    # --- workers -----------------------------------------------------------------------------------------------------

    def pull(self, worker: Worker) -> tuple[Batch | Help | Stop | None, Effects]:
        """What the worker does next. None: it is idle now, and some later effect names it in `wake`."""
        effects, ended = Effects(), _Ended()
        task: Batch | Help | Stop | None
        with self._lock:
            if self._drained:
                return STOP, NOTHING
            now = self._clock()
            self._crew.arrive(worker, now)
            if self._lessons:
                self._study(now)
            task = self._next_task(worker, now, effects, ended)
            if task is None:
                self._crew.rest(worker)
            self._after_ends(now, effects)
        if ended:
            self._group(ended, effects)
        return task, effects

    def surveyed(self, batch: Batch, work: Work) -> Effects:
        """The worker that was given a shape which nobody knew has found out about it, and goes on to make it."""
        effects = Effects()
        with self._lock:
            if self._broken is not None:
                return NOTHING
            (flight,) = batch.flights
            flight.work = work
            flight.predicted = batch.predicted = self._machine.cost.predict(work)
            if work.native:
                self._crew.python_over(batch)
            now = self._clock()
            self._decide_split(batch, now)
            self._after_ends(now, effects)
        return effects

    def begin(self, batch: Batch) -> tuple[bool, ...]:
        """The C call comes next: which of the batch's flights are still wanted, in their order.

        Until here, new requests may rejoin a flight that was being cancelled; from here on C may have seen the flag.
        The results of unwanted ones are ProvingCancelled.
        """
        with self._lock:
            batch.started = True
            return tuple([flight.state is not State.CANCELLING for flight in batch.flights])

    def traced(self, batch: Batch, seconds: float) -> Effects:
        """The user's trace() of a batch of one is over; it took `seconds`, which the cost model learns apart."""
        with self._lock:
            self._crew.python_over(batch)
            self._machine.cost.observe_trace(batch.flights[0].work, seconds)
        return NOTHING

    def offer_help(self, batch: Batch, team: object) -> Effects:
        """The team of a split batch is ready for helpers: idle workers are woken, and their `pull` gives `Help`."""
        effects = Effects()
        with self._lock:
            if batch in self._crew.active:
                self._crew.offer(batch, team)
                self._crew.wake_all(self._clock(), effects)
        return effects

    def finish(
        self,
        batch: Batch,
        results: Sequence[Proof | BaseException],
        *,
        seconds: float,
        wall: float | None = None,
        handback: float | None = None,
    ) -> Effects:
        """The batch is over. What there is to learn from it is learned when the worker pulls, after the answers.

        Args:
            batch: From `pull` or `dispatch`.
            results: For each flight, in order, its proof or what it raised; ProvingCancelled for cancelled ones, and
                for those of an inline batch that a BaseException ended: these queue again for those who wait.
            seconds: The wall time of the C call, Python traces not included.
            wall: For an inline batch, seconds that the loop stood still; None takes `seconds`.
            handback: Seconds of the C call's wall time that were no time of its thread; None if not known.
        """
        effects, ended = Effects(), _Ended()
        sizes = [self._size(flight, result) for flight, result in zip(batch.flights, results, strict=True)]
        with self._lock:
            if self._broken is not None:
                return NOTHING
            now = self._clock()
            if batch.inline:
                self._machine.loops_did(seconds if wall is None else wall)
                beside, loops = float(len(self._crew.active)), 0.0
            else:
                beside, loops = self._machine.finished(batch, len(self._crew.active), now)
                self._crew.over(batch)
            failed = False
            for flight, result, size in zip(batch.flights, results, sizes, strict=True):
                flight.batch = None
                failed = failed or isinstance(result, BaseException)
                if isinstance(result, ProvingCancelled) and (flight.flagged or batch.inline):
                    self._stopped(flight, effects)
                else:
                    self._end(flight, result, size, effects, ended)
            if not failed and not batch.split and self._teaches(batch, seconds):
                self._lessons.append((batch, seconds, beside, loops))
                if handback is not None:
                    self._machine.handback.observe(handback, now)
                if batch.inline:
                    self._study(now)
            if self.events:
                self._log(effects, "batch_finished", None, batch=batch.number, size=len(batch.flights), seconds=seconds)
            self._after_ends(now, effects, coming=0 if batch.inline else 1)
        self._group(ended, effects)
        return effects

    # --- time, end, and counters -------------------------------------------------------------------------------------

    def expire(self) -> Effects:
        """Answers waiters whose deadline has passed with `Expired`, and says in `Effects.timer` when to come again.

        A proof that is there before this was called is delivered, even if it was late.
        """
        effects, ended = Effects(), _Ended()
        with self._lock:
            if self._broken is not None:
                return NOTHING
            now = self._clock()
            self._timer = FOREVER
            for _ in range(EXPIRED_AT_ONCE):
                seat = self._deadlines.first()
                if seat is None or seat.deadline > now:
                    break
                self._count.expired += 1
                ended.append(({seat.waiter: seat}, Expired()))
                self._unseat(seat, now, effects)
            self._announce(effects)
            self._after_ends(now, effects)
        self._group(ended, effects)
        return effects

    def next_deadline(self) -> float:
        """The earliest deadline of a waiter, or infinity."""
        with self._lock:
            seat = self._deadlines.first()
            return FOREVER if seat is None else seat.deadline

    def close(self, mode: Literal["wait", "cancel"]) -> Effects:
        """No further requests.

        ``"wait"`` lets what is pending finish; ``"cancel"`` answers all waiters with `Closed`, drops what is queued and
        stops what runs. May be called again, to go from wait to cancel. `Effects.drained` says when nothing is left;
        from then on `pull` gives `STOP`, and all idle workers are woken to hear it.
        """
        effects, ended = Effects(), _Ended()
        with self._lock:
            if self._broken is not None:
                return NOTHING
            now = self._clock()
            if self._mode != "cancel":
                self._mode = mode
            if mode == "cancel":
                for flight in {*self._flights.values(), *self._running}:
                    self._cancel(flight, effects, ended)
            self._after_ends(now, effects)
        self._group(ended, effects)
        return effects

    def break_down(self, cause: BaseException) -> Effects:
        """After a bug: answers all waiters with `Closed`, and stops everything at once. The state is not looked at.

        Whoever is at work finds out when it comes back: it is told to stop, and its results are dropped.
        """
        effects = Effects()
        with self._lock:
            if self._broken is not None:
                return effects
            self._broken, self._mode, self._drained = cause, "cancel", True
            effects.drained = True
            for flight in self._running:
                flight.control.cancel()
            outcome = Closed(cause)
            for waiter in self._seats:
                effects.deliver.setdefault(waiter.port, []).append((waiter, outcome))
            self._seats.clear()
            self._waiters = 0
            self._crew.wake_all(self._clock(), effects)
        return effects

    def statistics(self) -> EngineStatistics:
        """A frozen snapshot, consistent within itself."""
        with self._lock:
            running = len(self._running)
            crew, cache = self._crew, self._cache
            return EngineStatistics(
                **attrs.asdict(self._count),
                cache_entries=len(cache),
                cache_bytes=cache.bytes,
                evictions=cache.evictions,
                parked=self._parked.count,
                queued=self._pending - running,
                running=running,
                waiters=self._waiters,
                busy_workers=len(crew.active) + crew.helping,
                idle_workers=crew.idle,
            )

    def predict(self, work: Work) -> tuple[float, Placement]:
        """Seconds on one core, and where a lone request for this would run now."""
        with self._lock:
            now = self._clock()
            self._study(now)
            predicted = self._machine.cost.predict(work)
            load = self._load(None, now)
            if (
                work.native
                and predicted <= self._longest_inline
                and self._policy.place(predicted, load)[0] is Placement.INLINE
            ):
                return predicted, Placement.INLINE
            if work.splittable and self._policy.split(predicted, load):
                return predicted, Placement.SPLIT
            return predicted, Placement.OFFLOAD

    def dump_cost(self) -> str:
        """The cost model as JSON; see `CostModel.dumps`."""
        with self._lock:
            self._study(self._clock())
            return self._machine.cost.dumps()

    def replace_cost(self, cost: CostModel) -> None:
        """Predicts by another model from now on, say one that was calibrated. It belongs to the core from then on."""
        with self._lock:
            self._machine.cost = cost

    # --- under the lock: requests and flights ------------------------------------------------------------------------

    def _hit(self, proof: Proof, port: Port, tick: int) -> Hit:
        self._count.hits += 1
        state = self._port(port, tick)
        state.requests += 1
        state.spent += HIT_SECONDS
        self._machine.loops_will(HIT_SECONDS)
        return Hit(proof, state.spent > TICK_BUDGET)

    def _join(self, flight: Flight, waiter: Waiter, priority: int, deadline: float, cache: bool, tick: int) -> Joined:
        self._count.joins += 1
        self._port(waiter.port, tick).requests += 1
        self._machine.loops_will(SUBMIT_SECONDS)
        if flight.state is State.CANCELLING:
            flight.control.cancel_flag[0] = 0
            flight.step(Step.REJOIN)
        effects = NOTHING if deadline == FOREVER else Effects()
        self._seat(flight, waiter, priority, deadline, effects)
        flight.store = flight.store or cache
        if flight.state is State.QUEUED or flight.state is State.PARKED:
            self._home(flight).improved(flight)
        return Joined(flight, effects)

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

    def _open(self, request: Request, work: Work, now: float) -> Flight:
        self._numbers += 1
        self._count.flights += 1
        flight = Flight(self._numbers, request, work, self._machine.cost.predict(work), now)
        self._flights[flight.key] = flight
        return flight

    def _seat(self, flight: Flight, waiter: Waiter, priority: int, deadline: float, effects: Effects) -> None:
        seat = self._seats[waiter] = flight.join(waiter, priority, deadline)
        self._waiters += 1
        if deadline < FOREVER:
            self._deadlines.add(seat, self._waiters)
            if deadline < self._timer:
                self._timer = effects.timer = deadline

    def _unseat(self, seat: Seat, now: float, effects: Effects) -> None:
        """One waiter goes; the flight goes with the last."""
        flight = seat.flight
        flight.leave(seat)
        self._waiters -= 1
        self._seats.pop(seat.waiter, None)
        waits = flight.state is State.QUEUED or flight.state is State.PARKED
        if flight.seats:
            if waits:
                self._home(flight).improved(flight)
        elif waits:
            self._drop(flight, effects)
            self._after_ends(now, effects)
        elif self._unwanted(flight):
            self._flag(flight)

    def _unwanted(self, flight: Flight) -> bool:
        """Whether a flight without seats that runs is not wanted by anybody else either."""
        kept = self._finish_abandoned and flight.store
        return flight.state is State.RUNNING and flight.owner is None and not kept

    def _flag(self, flight: Flight) -> None:
        flight.step(Step.ABANDON)
        flight.flagged = True
        flight.control.cancel()

    def _drop(self, flight: Flight, effects: Effects) -> None:
        """Ends a flight that waits for its start, and has no waiters any more."""
        self._home(flight).remove(flight)
        if flight.state is State.QUEUED:
            self._pending -= 1
        flight.step(Step.ABANDON)
        self._forget(flight)
        self._count.cancelled += 1
        if self.events:
            self._log(effects, "dropped", flight)

    def _forget(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def _home(self, flight: Flight) -> FlightQueue:
        """The queue that a waiting flight is in."""
        if flight.state is State.PARKED:
            return self._parked
        if flight.port is None:
            return self._queue
        port = self._ports[flight.port]
        return port.small if flight.small else port.large

    def _start(self, flight: Flight, now: float) -> None:
        flight.step(Step.START)
        flight.port = None
        flight.flagged = False
        self._running.add(flight)
        flight.started = now
        self._count.started += 1
        self._count.queue_wait += now - flight.opened

    def _stopped(self, flight: Flight, effects: Effects) -> None:
        """It ended because of its flag. That is no outcome: whoever came since then waits for another start."""
        self._running.discard(flight)
        if flight.seats and flight.state is State.CANCELLING:
            raise RuntimeError(f"{flight!r}: somebody waits for a flight that is being cancelled")
        if not flight.seats and flight.state is State.RUNNING:
            self._flag(flight)
        flight.step(Step.STOP)
        if flight.state is State.QUEUED:
            # Nobody else can have opened a successor: it was joinable all the time.
            self._queue.push(flight)
            return
        self._pending -= 1
        self._forget(flight)
        self._count.cancelled += 1
        if self.events:
            self._log(effects, "dropped", flight)

    def _end(self, flight: Flight, result: Proof | BaseException, size: int, effects: Effects, ended: _Ended) -> None:
        """It ended with a result. The seats are emptied and grouped after the lock is free: there may be thousands."""
        self._running.discard(flight)
        self._pending -= 1
        self._forget(flight)
        outcome: Outcome
        if isinstance(result, BaseException):
            flight.step(Step.FAIL)
            self._count.failed += 1
            outcome = Failed(result)
            name = "failed"
        else:
            flight.step(Step.PROVE)
            if flight.request.proves:
                self._count.proofs += 1
            else:
                self._count.verifications += 1
            if flight.store:
                self._cache.put(flight.key, result, size)
            outcome = Proved(result)
            name = "proved"
        if self.events:
            self._log(effects, name, flight, waiters=len(flight.seats))
        if flight.seats:
            self._answer(flight, outcome, ended)

    def _answer(self, flight: Flight, outcome: Outcome, ended: _Ended) -> None:
        seats, flight.seats = flight.seats, {}
        if seats:
            self._waiters -= len(seats)
            self._machine.loops_will(DELIVERY_SECONDS * len(seats))
            ended.append((seats, outcome))

    def _cancel(self, flight: Flight, effects: Effects, ended: _Ended) -> None:
        """Closing: all its waiters are told; but one who is running it at this moment finishes it."""
        self._answer(flight, Closed(), ended)
        if flight.state is State.RUNNING:
            if flight.owner is None:
                self._flag(flight)
        elif flight.state is State.QUEUED or flight.state is State.PARKED:
            self._drop(flight, effects)

    def _size(self, flight: Flight, result: Proof | BaseException) -> int:
        if isinstance(result, BaseException):
            return 0
        return flight.request.key_bytes + self._weigh(result)

    def _group(self, ended: _Ended, effects: Effects) -> None:
        """After the lock was released: answers by port. Nobody else can reach these seats any more."""
        deliver, known = effects.deliver, self._seats
        for seats, outcome in ended:
            for waiter in seats:
                known.pop(waiter, None)
                answers = deliver.get(waiter.port)
                if answers is None:
                    deliver[waiter.port] = [(waiter, outcome)]
                else:
                    answers.append((waiter, outcome))

    def _announce(self, effects: Effects) -> None:
        seat = self._deadlines.first()
        if seat is not None and seat.deadline < self._timer:
            self._timer = effects.timer = seat.deadline

    def _log(self, effects: Effects, name: str, flight: Flight | None, **fields: object) -> None:
        if flight is not None:
            fields.update(flight=flight.number, predicted=flight.predicted, reason=flight.reason)
        effects.events.append(Event(name, fields, flight))

    def _log_start(self, effects: Effects, batch: Batch) -> None:
        first = batch.flights[0]
        self._log(
            effects,
            "batch_started",
            None,
            batch=batch.number,
            size=len(batch.flights),
            flights=[flight.number for flight in batch.flights],
            predicted=batch.predicted,
            placement=first.placement,
            reason=first.reason,
            queue_wait=max(batch.pulled - flight.opened for flight in batch.flights),
        )

    # --- under the lock: placement -----------------------------------------------------------------------------------

    def _port(self, port: Port, tick: int) -> LoopState:
        state = self._ports.get(port)
        if state is None:
            state = self._ports[port] = LoopState(tick)
        elif tick != state.tick:
            state.enter(tick)
        return state

    def _load(self, state: LoopState | None, now: float) -> Load:
        machine, active, queue = self._machine, self._crew.active, self._queue
        together, requests, lag = 1.0, 1.0, 0.0
        if state is not None:
            together = max(state.arrivals, state.usual_flights)
            requests = max(state.requests, state.usual_requests)
            lag = state.lag
        return Load(
            together,
            requests,
            self._workers,
            self._crew.idle,
            len(active),
            queue.count,
            queue.cost,
            sum([max(0.0, batch.predicted - (now - batch.pulled)) for batch in active]) if active else 0.0,
            machine.scaling.value(now),
            machine.handback.value(now),
            machine.wake.value(now) + machine.notice.value(now),
            lag,
            self._crew.python > 0,
        )

    def _inline_at_the_door(self, flight: Flight, state: LoopState, now: float) -> bool:
        placement, flight.reason = self._policy.place(flight.predicted, self._load(state, now))
        if placement is not Placement.INLINE or self._crew.python:
            return False
        if not state.affords(flight.predicted):
            flight.reason = "the tick's budget is spent"
            return False
        return True

    def _dispatch_small(self, state: LoopState, now: float, effects: Effects, ended: _Ended) -> Batch | None:
        """What may run on the loop's thread: there, within the budget, or on the workers."""
        queue = state.small
        placement, reason = self._policy.release(queue.count, queue.cost, self._load(state, now))
        if placement is not Placement.INLINE or self._crew.python:
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

    def _release(self, queue: FlightQueue, most: int, reason: str) -> None:
        """From a port to the workers."""
        push = self._queue.push
        for flight in queue.drain(most):
            flight.port = None
            flight.reason = reason
            push(flight)

    def _batch(self, flights: list[Flight], now: float, *, inline: bool, reason: str = "") -> Batch:
        self._batches += 1
        batch = Batch(
            number=self._batches,
            flights=tuple(flights),
            predicted=sum([flight.predicted for flight in flights]),
            inline=inline,
            split=False,
            pulled=now,
        )
        placement = "inline" if inline else "offload"
        for flight in flights:
            self._start(flight, now)
            flight.batch = batch
            flight.batch_number = batch.number
            flight.placement = placement
            if reason:
                flight.reason = reason
        return batch

    def _next_task(self, worker: Worker, now: float, effects: Effects, ended: _Ended) -> Batch | Help | None:
        queue = self._queue
        if queue.count and not self._held_back(now):
            share = max(SHORTEST_BATCH, min(queue.cost / (2 * self._workers), LONGEST_BATCH))
            flights, expired = queue.take(share, now, self._look_up)
            self._expired(expired, effects, ended)
            if flights:
                return self._offload(flights, now, effects)
        return self._crew.help(worker)

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
        if self.events:
            self._log_start(effects, batch)
        return batch

    def _decide_split(self, batch: Batch, now: float) -> None:
        """Whether several workers are to make a batch of one."""
        flight = batch.flights[0]
        work = flight.work
        if work.splittable and self._workers > 1 and not self._queue.count:
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

    def _expired(self, flights: list[Flight], effects: Effects, ended: _Ended) -> None:
        """They came up in a queue, and were taken out, after the last deadline of their waiters."""
        for flight in flights:
            self._pending -= 1
            flight.step(Step.ABANDON)
            self._forget(flight)
            self._count.cancelled += 1
            self._count.expired += len(flight.seats)
            if self.events:
                self._log(effects, "dropped", flight)
            self._answer(flight, Expired(), ended)

    # --- under the lock: workers -------------------------------------------------------------------------------------

    def _after_ends(self, now: float, effects: Effects, coming: int = 0) -> None:
        """After anything that may have freed a slot, or filled the queue, or ended the engine's work.

        Args:
            coming: Workers that will pull next, without being woken.
        """
        parked, queue = self._parked, self._queue
        while parked.count and self._pending < self._max_pending and (flight := parked.pop()) is not None:
            flight.step(Step.ADMIT)
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
        wanted = min(self._queue.count, max(1, int(self._queue.cost / SHORTEST_BATCH))) - coming
        while wanted > 0 and crew.idle and not self._held_back(now, coming):
            crew.wake(now, effects)
            coming += 1
            wanted -= 1
        if wanted > 0 and not crew.idle and crew.helping:
            first = self._queue.first()
            if first is not None:
                crew.recall(wanted, first)

    # --- under the lock: learning ------------------------------------------------------------------------------------

    def _teaches(self, batch: Batch, seconds: float) -> bool:
        """Whether there may be something to learn from it. Much of the work of quick batches would be to learn."""
        return (
            batch.number <= SEEN
            or batch.number % SAMPLED == 0
            or batch.predicted >= LONG
            or not batch.predicted < seconds * SURPRISE < batch.predicted * SURPRISE**2
        )

    def _study(self, now: float) -> None:
        for batch, seconds, beside, loops in self._lessons:
            works = [flight.work for flight in batch.flights]
            if batch.inline:
                self._machine.learn_cost(works, seconds, beside, now)
            else:
                self._machine.learn(works, seconds, beside, loops, now)
        self._lessons.clear()
