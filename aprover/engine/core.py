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

import math
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Literal

import attrs

from ..backends import ProvingCancelled
from ..proof import Proof
from .cache import ProofCache
from .cost import CostModel, Scaling, Work
from .flights import Deadlines, Flight, FlightQueue, Seat, State, Step
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
from .policy import LONGEST_BATCH, TICK_BUDGET, Load, Placement, Policy
from .statistics import EngineStatistics

__all__ = ["TICK_BUDGET", "Core"]

FOREVER = math.inf
HIT_SECONDS = 2e-6
"""What a hit takes of it, about."""
SUBMIT_SECONDS = 4e-6
"""What any other request takes of a loop."""
DELIVERY_SECONDS = 6e-6
"""What an answer that is delivered takes of a loop."""
LEAST_SHARE = 30e-6
"""Seconds of queued work for which one more worker is woken: half of what the waking takes."""
PATIENCE = 5e-3
"""A worker that is held back, because threads hinder each other, is not held back behind longer work than this."""
FAIRNESS = 4
"""Or behind work that is so many times as long as what it would do."""
RELEASED_AT_ONCE = 256
"""Flights that one dispatch hands to the workers, so that the lock is held for a fraction of a millisecond."""
EXPIRED_AT_ONCE = 512
"""Waiters that one `expire` answers, for the same reason."""
USUAL_GAIN = 0.5
"""How quickly the core follows how many requests usually come together, in the logarithm."""
SAMPLED = 8
"""Of so many inline proofs the cost model looks at one."""
STRETCH_HALF_LIFE = 0.5
"""Seconds after which half of a bad ratio of inline wall time to C time is forgotten, so that it is tried again."""
STRETCH_SLACK = 100e-6
"""Seconds added to both sides of that ratio: short work has its overhead, which is no sign of a busy machine."""


@attrs.define(eq=False)
class _Counters:
    requests: int = 0
    hits: int = 0
    joins: int = 0
    flights: int = 0
    rejected: int = 0
    refused: int = 0
    proofs: int = 0
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


class _PortState:
    """What the core knows of one loop."""

    __slots__ = (
        "_flights_usual",
        "_requests_usual",
        "announced",
        "arrivals",
        "caller",
        "lag",
        "large",
        "requests",
        "small",
        "spent",
        "tick",
        "usual_flights",
        "usual_requests",
    )

    def __init__(self, tick: int) -> None:
        self.tick = tick
        self.spent = 0.0
        """Seconds of this tick that hits and inline work took."""
        self.arrivals = 0
        """Flights opened in this tick, one after the other by the same caller counted once."""
        self.requests = 0
        """The same with hits and joins."""
        self.caller: Hashable = None
        self.usual_flights = 1.0
        """How many open in a tick in which any do."""
        self.usual_requests = 1.0
        """How many requests come in such a tick."""
        self._flights_usual = self._requests_usual = 0.0  # their logarithms
        self.lag = 0.0
        self.small = FlightQueue()
        """Until the end of the tick: flights that may run on this loop's thread."""
        self.large = FlightQueue()
        """Until the end of the tick: all others."""
        self.announced = False
        """It was told to call `dispatch`."""

    def enter(self, tick: int) -> None:
        if tick != self.tick:
            if self.arrivals and (self.requests > 1 or self._requests_usual > 1e-3):
                self._flights_usual += USUAL_GAIN * (math.log(self.arrivals) - self._flights_usual)
                self._requests_usual += USUAL_GAIN * (math.log(self.requests) - self._requests_usual)
                self.usual_flights, self.usual_requests = math.exp(self._flights_usual), math.exp(self._requests_usual)
            self.tick, self.spent, self.arrivals, self.requests, self.caller = tick, 0.0, 0, 0, None

    def arrive(self, caller: Hashable) -> None:
        if caller is None or caller != self.caller:
            self.arrivals += 1
            self.requests += 1
            self.caller = caller

    @property
    def together(self) -> float:
        """Flights that open, or usually open, in this tick."""
        arrivals, usual = self.arrivals, self.usual_flights
        return arrivals if arrivals > usual else usual

    @property
    def among(self) -> float:
        """The requests among which these are."""
        requests, usual = self.requests, self.usual_requests
        return requests if requests > usual else usual

    def affords(self, cost: float) -> bool:
        """The first in a tick always goes, so that something always does."""
        return self.spent == 0.0 or self.spent + cost <= TICK_BUDGET


class _Team:
    """The helpers of a split proof."""

    __slots__ = ("batch", "helpers", "team")

    def __init__(self, batch: Batch, team: object) -> None:
        self.batch = batch
        self.team = team
        self.helpers: dict[Worker, bytearray] = {}


_Ended = list[tuple[dict[Waiter, Seat], Outcome]]


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
    ) -> None:
        self._lock = threading.Lock()
        self._workers = workers
        self._policy = policy
        self._cost = cost
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
        self._ports: dict[Port, _PortState] = {}
        self._queue = FlightQueue()
        self._parked = FlightQueue()
        self._running: set[Flight] = set()
        """Running or being cancelled."""
        self._pending = 0
        self._numbers = 0
        self._batches = 0

        self._idle: dict[Worker, None] = {}
        self._woken: set[Worker] = set()
        """Named in an effect, and not here yet."""
        self._active: set[Batch] = set()
        """On workers."""
        self._helping: dict[Worker, _Team] = {}
        self._teams: list[_Team] = []
        self._python = 0
        """Batches in which a user's trace() runs."""
        self._busy = 0.0
        """Seconds of all workers together that batches took, up to `_busy_at`."""
        self._busy_at = clock()
        self._loops = 0.0
        """Seconds that loops were busy with requests, about, up to `_busy_at`."""
        self._loops_owe = 0.0
        """Seconds of such work that they have before them."""
        self._scaling = Scaling(workers)
        self._stretch = 1.0
        self._stretch_at = 0.0

        self._mode: Literal["wait", "cancel"] | None = None
        self._drained = False
        self._count = _Counters()

    # --- requests ----------------------------------------------------------------------------------------------------

    def hit(self, request: Request, port: Port, tick: int) -> Proof | None:
        """The proof from the cache, if there is one and the tick's budget allows; the quickest way in.

        Returns:
            None if `attempt` has to be called.
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
            request: Its hash and equality run no code of a user.
            waiter: Made for this one request.
            priority: Larger goes first.
            deadline: On the core's clock. A hit is a hit even after it.
            cache: False neither reads nor stores; it still joins.
            tick: The number of this pass of the waiter's loop; any new number opens a new budget.

        Returns:
            None if the proof must be made: find out its `Work` and call `submit`. The waiter is not registered then.
        """
        with self._lock:
            return self._attempt(request, waiter, priority, deadline, cache, tick)

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
        caller: Hashable = None,
    ) -> Decision:
        """As `attempt` (the world may have changed in between), and else opens a flight.

        Args:
            caller: The task that asks, if it is known. What one task asks one after the other in the same tick does not
                come together, so that the policy has to be told it apart from what many tasks ask.
        """
        with self._lock:
            decision = self._attempt(request, waiter, priority, deadline, cache, tick)
            if decision is not None:
                return decision
            self._count.requests += 1
            self._loops_owe += SUBMIT_SECONDS
            overloaded = self._pending >= self._max_pending
            if overloaded and self._on_overload == "raise":
                self._count.rejected += 1
                return Rejected(NOTHING)
            now = self._clock()
            port = self._port(waiter.port, tick)
            port.arrive(caller)
            flight = self._open(request, work, now)
            flight.store = cache
            effects = Effects() if self.events or overloaded else NOTHING
            if overloaded:
                flight.state = State.PARKED
                self._seat(flight, waiter, priority, deadline, effects)
                self._parked.push(flight)
                return Parked(flight, effects)
            self._pending += 1
            if self._inline_at_the_door(flight, port, now):
                flight.owner = waiter  # without a seat: it cannot leave before it is done
                self._start(flight, now)
                flight.placement = Placement.INLINE.value
                self._count.inline += 1
                port.spent += flight.predicted
                self._log(effects, "inline", flight)
                return Inline(flight, effects)
            effects = effects or Effects()
            self._seat(flight, waiter, priority, deadline, effects)
            small = work.native and flight.predicted <= self._policy.longest_inline
            flight.port = waiter.port
            (port.small if small else port.large).push(flight)
            if not port.announced:
                port.announced = True
                effects.dispatch.append(waiter.port)
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
            c_time: Seconds of it in C, or `wall` if that is not known.
        """
        size = self._size(flight, result)
        proved = not isinstance(result, BaseException)
        with self._lock:
            now = self._clock()
            self._loops += wall
            owner, flight.owner = flight.owner, None
            port = self._ports.get(owner.port) if owner is not None else None
            if port is not None and wall > flight.predicted:
                port.spent += wall - flight.predicted
            # This is the shortest way of all, so what is known is only looked at now and then.
            if proved and (
                flight.number % SAMPLED == 0 or wall > c_time + STRETCH_SLACK or self._count.proofs < SAMPLED
            ):
                self._learn_stretch(wall, c_time, now)
                self._observe([flight.work], c_time, float(len(self._active)), now)
            if proved and not (flight.seats or self.events or self._mode or len(self._queue) or len(self._parked)):
                self._end(flight, result, size, NOTHING, [])  # the end of it has no consequences
                return NOTHING
            effects, ended = Effects(), _Ended()
            if isinstance(result, ProvingCancelled) or not (proved or isinstance(result, Exception)):
                self._stopped(flight, effects)
            else:
                self._end(flight, result, size, effects, ended)
            self._after_ends(now, effects)
        self._group(ended, effects)
        return effects

    # --- loops -------------------------------------------------------------------------------------------------------

    def dispatch(self, port: Port, *, tick: int, lag: float = 0.0) -> Dispatch:
        """Releases all that was submitted through this port since the last time.

        Args:
            port: The caller's own.
            tick: The number of this pass of the loop.
            lag: Seconds by which this pass came later than the loop wanted.
        """
        effects, ended = Effects(), _Ended()
        batch = None
        with self._lock:
            now = self._clock()
            state = self._port(port, tick)
            state.announced = False
            state.lag += 0.25 * (lag - state.lag)
            self._release(state.large, RELEASED_AT_ONCE, "not for a loop's thread")
            if len(state.small):
                batch = self._dispatch_small(state, now, effects, ended)
            again = bool(len(state.small) or len(state.large))
            state.announced = again
            self._after_ends(now, effects)
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
            now = self._clock()
            self._idle.pop(worker, None)
            self._woken.discard(worker)
            team = self._helping.pop(worker, None)
            if team is not None:
                team.helpers.pop(worker, None)
            task = self._next_task(worker, now, effects, ended)
            if task is None:
                self._idle[worker] = None
            self._after_ends(now, effects)
        self._group(ended, effects)
        return task, effects

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
            self._python_over(batch)
            self._cost.observe_trace(batch.flights[0].work, seconds)
        return NOTHING

    def offer_help(self, batch: Batch, team: object) -> Effects:
        """The team of a split batch is ready for helpers: idle workers are woken, and their `pull` gives `Help`."""
        effects = Effects()
        with self._lock:
            if batch in self._active:
                self._teams.append(_Team(batch, team))
                for _ in range(len(self._idle)):
                    self._wake_one(effects)
        return effects

    def finish(
        self, batch: Batch, results: Sequence[Proof | BaseException], *, seconds: float, wall: float | None = None
    ) -> Effects:
        """The batch is over.

        Args:
            batch: From `pull` or `dispatch`.
            results: For each flight, in order, its proof or what it raised; ProvingCancelled for cancelled ones, and
                for those of an inline batch that a BaseException ended: these queue again for those who wait.
            seconds: The wall time of the C call, Python traces not included.
            wall: For an inline batch, seconds that the loop stood still; None takes `seconds`.
        """
        effects, ended = Effects(), _Ended()
        sizes = [self._size(flight, result) for flight, result in zip(batch.flights, results, strict=True)]
        with self._lock:
            now = self._clock()
            self._python_over(batch)
            wall = seconds if wall is None else wall
            beside, loops = self._batch_over(batch, wall, now)
            if not any(isinstance(result, BaseException) for result in results) and not batch.split:
                self._learn(batch, seconds, wall, beside, loops, now)
            for flight, result, size in zip(batch.flights, results, sizes, strict=True):
                flight.batch = None
                if isinstance(result, ProvingCancelled) and (flight.flagged or batch.inline):
                    self._stopped(flight, effects)
                else:
                    self._end(flight, result, size, effects, ended)
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
            now = self._clock()
            if self._mode != "cancel":
                self._mode = mode
            if mode == "cancel":
                for flight in {*self._flights.values(), *self._running}:
                    self._cancel(flight, effects, ended)
            self._after_ends(now, effects)
        self._group(ended, effects)
        return effects

    def statistics(self) -> EngineStatistics:
        """A frozen snapshot, consistent within itself."""
        with self._lock:
            counters = attrs.asdict(self._count)
            running = len(self._running)
            return EngineStatistics(
                **counters,
                cache_entries=len(self._cache),
                cache_bytes=self._cache.bytes,
                evictions=self._cache.evictions,
                parked=len(self._parked),
                queued=self._pending - running,
                running=running,
                waiters=self._waiters,
                busy_workers=len(self._active) + len(self._helping),
                idle_workers=len(self._idle),
            )

    def predict(self, work: Work) -> tuple[float, Placement]:
        """Seconds on one core, and where a lone request for this would run now."""
        with self._lock:
            predicted = self._cost.predict(work)
            load = self._load(None, self._clock())
            if (
                work.native
                and predicted <= self._policy.longest_inline
                and self._policy.place(predicted, load)[0] is Placement.INLINE
            ):
                return predicted, Placement.INLINE
            if work.splittable and self._policy.split(predicted, load):
                return predicted, Placement.SPLIT
            return predicted, Placement.OFFLOAD

    def dump_cost(self) -> str:
        """The cost model as JSON; see `CostModel.dumps`."""
        with self._lock:
            return self._cost.dumps()

    def replace_cost(self, cost: CostModel) -> None:
        """Predicts by another model from now on, say one that was calibrated. It belongs to the core from then on."""
        with self._lock:
            self._cost = cost

    # --- under the lock: requests and flights ------------------------------------------------------------------------

    def _attempt(
        self,
        request: Request,
        waiter: Waiter,
        priority: int,
        deadline: float,
        cache: bool,
        tick: int,
    ) -> Hit | Joined | Expired | Closed | None:
        count = self._count
        if self._mode is not None:
            count.requests += 1
            count.refused += 1
            return Closed()
        key = request.key
        if cache:
            proof = self._cache.get(key)
            if proof is not None:
                count.requests += 1
                count.hits += 1
                port = self._port(waiter.port, tick)
                port.requests += 1
                port.spent += HIT_SECONDS
                self._loops_owe += HIT_SECONDS
                return Hit(proof, port.spent > TICK_BUDGET)
        if deadline < FOREVER and deadline <= self._clock():
            count.requests += 1
            count.refused += 1
            return Expired()
        flight = self._flights.get(key)
        if flight is None or not flight.joinable:
            return None
        count.requests += 1
        count.joins += 1
        self._port(waiter.port, tick).requests += 1
        self._loops_owe += SUBMIT_SECONDS
        effects = Effects()
        if flight.state is State.CANCELLING:
            flight.control.cancel_flag[0] = 0
            flight.step(Step.REJOIN)
        self._seat(flight, waiter, priority, deadline, effects)
        flight.store = flight.store or cache
        if flight.state is State.QUEUED or flight.state is State.PARKED:
            self._home(flight).improved(flight)
        return Joined(flight, effects)

    def _open(self, request: Request, work: Work, now: float) -> Flight:
        self._numbers += 1
        self._count.flights += 1
        flight = Flight(self._numbers, request, work, self._cost.predict(work), now)
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
            self._log(effects, "failed", flight, waiters=len(flight.seats))
        else:
            flight.step(Step.PROVE)
            self._count.proofs += 1
            if flight.store:
                self._cache.put(flight.key, result, size)
            self._log(effects, "proved", flight, waiters=len(flight.seats))
            if not flight.seats:
                return
            outcome = Proved(result)
        self._answer(flight, outcome, ended)

    def _answer(self, flight: Flight, outcome: Outcome, ended: _Ended) -> None:
        seats, flight.seats = flight.seats, {}
        if seats:
            self._waiters -= len(seats)
            self._loops_owe += DELIVERY_SECONDS * len(seats)
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
        for seats, outcome in ended:
            for waiter in seats:
                self._seats.pop(waiter, None)
                effects.deliver.setdefault(waiter.port, []).append((waiter, outcome))

    def _announce(self, effects: Effects) -> None:
        seat = self._deadlines.first()
        if seat is not None and seat.deadline < self._timer:
            self._timer = effects.timer = seat.deadline

    def _log(self, effects: Effects, name: str, flight: Flight | None, **fields: object) -> None:
        if self.events:
            if flight is not None:
                fields.update(flight=flight.number, predicted=flight.predicted, reason=flight.reason)
            effects.events.append(Event(name, fields, flight))

    def _log_start(self, effects: Effects, batch: Batch) -> None:
        if self.events:
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

    def _port(self, port: Port, tick: int) -> _PortState:
        state = self._ports.get(port)
        if state is None:
            state = self._ports[port] = _PortState(tick)
        elif tick != state.tick:
            state.enter(tick)
        return state

    def _load(self, port: _PortState | None, now: float) -> Load:
        stretch, active = self._stretch, self._active
        if stretch > 1:
            stretch = 1 + (stretch - 1) * 0.5 ** (max(0.0, now - self._stretch_at) / STRETCH_HALF_LIFE)
        together, requests, lag = (1.0, 1.0, 0.0) if port is None else (port.together, port.among, port.lag)
        return Load(
            together,
            requests,
            self._workers,
            len(self._idle),
            len(active),
            len(self._queue),
            self._queue.cost,
            sum([max(0.0, batch.predicted - (now - batch.pulled)) for batch in active]) if active else 0.0,
            self._scaling.value(now),
            stretch,
            lag,
            self._python > 0,
        )

    def _inline_at_the_door(self, flight: Flight, port: _PortState, now: float) -> bool:
        cost = flight.predicted
        flight.small = flight.work.native and cost <= self._policy.longest_inline
        if not flight.small:
            return False
        placement, flight.reason = self._policy.place(cost, self._load(port, now))
        if placement is not Placement.INLINE or self._python:
            return False
        if not port.affords(cost):
            flight.reason = "the tick's budget is spent"
            return False
        return True

    def _dispatch_small(self, port: _PortState, now: float, effects: Effects, ended: _Ended) -> Batch | None:
        """What may run on the loop's thread: there, within the budget, or on the workers."""
        queue = port.small
        placement, reason = self._policy.release(len(queue), queue.cost, self._load(port, now))
        if placement is not Placement.INLINE or self._python:
            self._release(queue, RELEASED_AT_ONCE, reason)
            return None
        first = queue.first()
        if first is None or not port.affords(first.predicted):
            return None
        flights, expired = queue.take(TICK_BUDGET - port.spent, now)
        self._expired(expired, effects, ended)
        if not flights:
            return None
        batch = self._batch(flights, now, inline=True, reason=reason)
        port.spent += batch.predicted
        self._count.inline += len(flights)
        self._log_start(effects, batch)
        return batch

    def _release(self, queue: FlightQueue, most: int, reason: str) -> None:
        """From a port to the workers."""
        for _ in range(most):
            flight = queue.pop()
            if flight is None:
                return
            flight.port = None
            flight.reason = reason
            self._queue.push(flight)

    def _batch(self, flights: list[Flight], now: float, *, inline: bool, reason: str = "") -> Batch:
        self._batches += 1
        batch = Batch(
            number=self._batches,
            flights=tuple(flights),
            predicted=math.fsum(flight.predicted for flight in flights),
            inline=inline,
            split=False,
            pulled=now,
        )
        for flight in flights:
            self._start(flight, now)
            flight.batch = batch
            flight.batch_number = batch.number
            flight.placement = (Placement.INLINE if inline else Placement.OFFLOAD).value
            if reason:
                flight.reason = reason
        return batch

    def _next_task(self, worker: Worker, now: float, effects: Effects, ended: _Ended) -> Batch | Help | Stop | None:
        if self._drained:
            return STOP
        if len(self._queue) and not self._held_back(now):
            limit = min(self._queue.cost / (2 * self._workers), LONGEST_BATCH)
            flights, expired = self._queue.take(limit, now)
            self._expired(expired, effects, ended)
            if flights:
                return self._offload(flights, now, effects)
        for team in self._teams:
            leave = bytearray(4)
            team.helpers[worker] = leave
            self._helping[worker] = team
            return Help(team.team, leave, team.batch)
        return None

    def _offload(self, flights: list[Flight], now: float, effects: Effects) -> Batch:
        """A batch for the worker that asks."""
        batch = self._batch(flights, now, inline=False)
        work = flights[0].work
        if len(flights) == 1 and work.splittable and not len(self._queue) and self._workers > 1:
            batch.split = self._policy.split(self._cost.predict_proof(work), self._load(None, now))
        if not work.native:
            batch.python = True
            self._python += 1
        self._sum_busy(now)
        batch.busy_before, batch.loops_before = self._busy, self._loops
        self._active.add(batch)
        self._count.batches += 1
        if batch.split:
            self._count.split += 1
        else:
            self._count.offloaded += len(flights)
        if batch.split:
            flights[0].placement = Placement.SPLIT.value
        self._log_start(effects, batch)
        return batch

    def _held_back(self, now: float, coming: int = 0) -> bool:
        """Whether another worker beside the active and the coming ones would only hinder."""
        beside = len(self._active) + coming
        if beside == 0 or beside < self._policy.width(self._load(None, now)):
            return False
        first = self._queue.first()
        longest = PATIENCE if first is None else max(PATIENCE, FAIRNESS * first.predicted)
        return all(batch.predicted <= longest and not batch.python for batch in self._active)

    def _expired(self, flights: list[Flight], effects: Effects, ended: _Ended) -> None:
        """They came up in a queue, and were taken out, after the last deadline of their waiters."""
        for flight in flights:
            self._pending -= 1
            flight.step(Step.ABANDON)
            self._forget(flight)
            self._count.cancelled += 1
            self._count.expired += len(flight.seats)
            self._log(effects, "dropped", flight)
            self._answer(flight, Expired(), ended)

    # --- under the lock: workers -------------------------------------------------------------------------------------

    def _after_ends(self, now: float, effects: Effects, coming: int = 0) -> None:
        """After anything that may have freed a slot, or filled the queue, or ended the engine's work.

        Args:
            coming: Workers that will pull next, without being woken.
        """
        while self._pending < self._max_pending and (flight := self._parked.pop()) is not None:
            flight.step(Step.ADMIT)
            self._pending += 1
            flight.reason = "was parked"
            self._queue.push(flight)
        if len(self._queue):
            self._wake(now, effects, coming)
        if self._mode is not None and not (self._pending or len(self._parked) or self._drained):
            self._drained = effects.drained = True
            while self._idle:
                self._wake_one(effects)

    def _wake(self, now: float, effects: Effects, coming: int) -> None:
        """As many workers as the queue is worth; and helpers are asked to leave if that is more than are idle."""
        coming += len(self._woken)
        wanted = min(len(self._queue), max(1, int(self._queue.cost / LEAST_SHARE))) - coming
        while wanted > 0 and self._idle and not self._held_back(now, coming):
            self._wake_one(effects)
            coming += 1
            wanted -= 1
        if wanted > 0 and not self._idle and self._helping:
            self._recall(wanted)

    def _wake_one(self, effects: Effects) -> None:
        worker, _ = self._idle.popitem()  # the last that went idle has the warmest caches
        self._woken.add(worker)
        effects.wake.append(worker)

    def _recall(self, wanted: int) -> None:
        """Asks helpers to leave for smaller or more urgent work. They answer within half a millisecond."""
        first = self._queue.first()
        if first is None:
            return
        leaving = sum(1 for team in self._teams for leave in team.helpers.values() if leave[0])
        for team in self._teams:
            large = team.batch.flights[0]
            if first.predicted < large.predicted or first.priority > large.priority:
                for leave in team.helpers.values():
                    if leaving >= wanted:
                        return
                    if not leave[0]:
                        leave[0] = 1
                        leaving += 1

    def _python_over(self, batch: Batch) -> None:
        if batch.python:
            batch.python = False
            self._python -= 1

    def _sum_busy(self, now: float) -> None:
        passed = now - self._busy_at
        self._busy += len(self._active) * passed
        worked = min(passed, self._loops_owe)
        self._loops += worked
        self._loops_owe -= worked
        self._busy_at = now

    def _batch_over(self, batch: Batch, wall: float, now: float) -> tuple[float, float]:
        """Takes it off the books; returns how many workers and how many loops were busy beside it, on average."""
        if batch.inline:
            self._loops += wall
            return float(len(self._active)), 0.0
        self._sum_busy(now)
        self._active.discard(batch)
        self._teams = [team for team in self._teams if team.batch is not batch]
        duration = now - batch.pulled
        if duration <= 0:
            return 0.0, 0.0
        loops = min(1.0, (self._loops - batch.loops_before) / duration)
        return max(0.0, (self._busy - batch.busy_before) / duration - 1), loops

    def _learn(self, batch: Batch, seconds: float, wall: float, beside: float, loops: float, now: float) -> None:
        works = [flight.work for flight in batch.flights]
        if batch.inline:
            self._learn_stretch(wall, seconds, now)
        else:
            predicted = math.fsum(map(self._cost.predict_proof, works))
            self._scaling.observe(seconds / predicted, beside, loops, now)
        self._observe(works, seconds, beside + loops, now)

    def _observe(self, works: Sequence[Work], seconds: float, others: float, now: float) -> None:
        """Teaches the cost model what it would have taken alone."""
        slowdown = max(1.01, self._scaling.slowdown(others, now)) if others > 0.1 else 1.0
        self._cost.observe(works, seconds, slowdown=slowdown)

    def _learn_stretch(self, wall: float, c_time: float, now: float) -> None:
        seen = (wall + STRETCH_SLACK) / (c_time + STRETCH_SLACK)
        forgotten = 1 + (self._stretch - 1) * 0.5 ** ((now - self._stretch_at) / STRETCH_HALF_LIFE)
        self._stretch = max(1.0, forgotten + 0.2 * (seen - forgotten))
        self._stretch_at = now
