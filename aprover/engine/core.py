"""The deciding core: which proof is made when, where and together with what.

A monitor: one lock guards everything, every public method takes it once, for microseconds, and returns `Effects` that
the caller performs after the release. Under the lock there are no C calls, no code of a user, no logging, no wake-ups.
The core knows no event loop and reads no clock but the one that it was given. Any number of loops and threads call it.

The way of a request, as the shells see it::

    port (a loop's own thread)                       worker (a thread)
    --------------------------                       -----------------
    hit(request, port)   the quickest way in         while (task := pull(me)) is not STOP:
    submit(request, waiter) -> Decision                  None   -> sleep until an effect wakes me
        Hit, Joined, Expired, Closed ...                 Help   -> task.team.help(task.leave)
        Inline -> make the proof here;                   Batch  -> survey what is unknown: surveyed(task, work);
                  inline_done(...)                                 prepare all; begin(task) -> those still wanted;
        Queued -> effects.dispatch names the port:                 one C call; finish(task, results, ...)
    dispatch(port) once when the loop's pass ends                  perform the effects (deliver to each loop)
        -> a Batch to run on this thread, and workers to wake
    leave(waiter) when the waiter is cancelled       the supervisor: expire() at effects.timer; close(mode)

Effects come out of every call and are always to be performed, whatever else the answer says.

The core is built in three steps, `ledger` (who waits for what), `placing` (what is made where) and this monitor. Its
parts are `flights` (the life of a flight, and queues), `cache`, `loop_state` (one a port), `crew` (the workers) and
`machine` (what is learned). An exception out of the core is a bug in it, after which nothing that it says can be relied
on: whoever gets one calls `break_down`, which answers everybody once and ends it all.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Literal

import attrs

from ..backends import ProvingCancelled
from ..proof import Proof
from .cost import UNKNOWN_WORK, CostModel, Work
from .flights import CANCELLING, Flight
from .ledger import HIT_SECONDS, SUBMIT_SECONDS, Ended
from .messages import (
    NOTHING,
    STOP,
    Batch,
    Closed,
    Decision,
    Dispatch,
    Effects,
    Expired,
    Help,
    Port,
    Rejected,
    Request,
    Stop,
    Waiter,
    Worker,
)
from .placing import RELEASED_AT_ONCE, SAMPLED, Placing
from .policy import INLINE, OFFLOAD, SPLIT, TICK_BUDGET, Placement, Policy
from .statistics import EngineStatistics

__all__ = ["Core"]

FOREVER = math.inf
HANDBACK_SLACK = 100e-6
"""An inline proof is learned from, sampled or not, if its thread waited for the interpreter for so long after it."""
EXPIRED_AT_ONCE = 512
"""Waiters that one `expire` answers, so that the lock is held for a fraction of a millisecond."""


class Core(Placing):
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
        aggregates: Whether requests of a batch may share a proof. Batches are larger then.
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
        aggregates: bool = False,
    ) -> None:
        super().__init__(
            workers=workers,
            policy=policy,
            cost=cost,
            clock=clock,
            cache_bytes=cache_bytes,
            max_pending=max_pending,
            finish_abandoned=finish_abandoned,
            weigh=weigh,
            events=events,
            aggregates=aggregates,
        )
        self._lock = threading.Lock()
        self._on_overload = on_overload

    # --- requests -----------------------------------------------------------------------------------------------------

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
        *,
        priority: int = 0,
        deadline: float = FOREVER,
        cache: bool = True,
        tick: int = 0,
        caller: Hashable = None,
    ) -> Decision:
        """Answers from the cache, joins an identical flight, or opens one.

        Args:
            request: It joins what is made under the same memory limit. What it runs here is no code of a user: hash,
                equality, and `Request.known_work` if a flight is opened. If that is None, a worker has to find out what
                the proof will cost.
            waiter: Made for this one request.
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
            if flight is not None and flight.joinable and flight.request.memory_limit == request.memory_limit:
                return self._join(flight, waiter, priority, deadline, cache, tick)
            full = self._pending >= self._max_pending
            if full and self._on_overload == "raise":
                count.rejected += 1
                return Rejected(NOTHING)
            self._machine.loops_will(SUBMIT_SECONDS)
            state = self._ports.get(waiter.port)
            if state is None or state.tick != tick:
                state = self._port(waiter.port, tick)
            state.arrive(caller)
            flight = self._open(request, now)
            if cache:
                flight.store = True
            if full:
                return self._park(flight, waiter, priority, deadline)
            self._pending += 1
            if flight.work.native and flight.predicted <= self._longest_inline:
                flight.small = True
                if self._inline_at_the_door(flight, state, now):
                    return self._inline(flight, waiter, state, now)
            return self._wait_at_port(flight, waiter, state, priority, deadline)

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
            sampled = flight.number % SAMPLED == 0 or self._count.proofs < SAMPLED
            if proved and (sampled or wall > c_time + HANDBACK_SLACK):
                now = self._clock()
                beside = float(len(self._crew.active))
                machine.learn_handback(flight.predicted, wall - c_time, now, sampled=sampled)
                machine.learn_cost((flight.work,), c_time, beside, now)
            if proved and not (flight.seats or self.events or self._mode or self._queue.count or self._parked.count):
                self._end(flight, result, size, NOTHING, [])  # the end of it has no consequences
                return NOTHING
            effects, ended = Effects(), Ended()
            if isinstance(result, ProvingCancelled) or not (proved or isinstance(result, Exception)):
                self._stopped(flight, effects)
            else:
                self._end(flight, result, size, effects, ended)
            self._after_ends(self._clock(), effects)
        self._group(ended, effects)
        return effects

    # --- loops --------------------------------------------------------------------------------------------------------

    def dispatch(self, port: Port, *, tick: int, lag: float = 0.0, notice: float | None = None) -> Dispatch:
        """Releases all that was submitted through this port since the last time.

        Args:
            port: The caller's own.
            tick: The number of this pass of the loop.
            lag: Seconds by which this pass came later than the loop wanted.
            notice: Seconds from a worker's answer until this loop had it, the last time; None if there was none since.
        """
        effects, ended = Effects(), Ended()
        batch = None
        with self._lock:
            if self._broken is not None:
                return Dispatch(None, False, NOTHING)
            now = self._clock()
            state = self._ports.get(port)
            if state is None or state.tick != tick:
                state = self._port(port, tick)
            state.is_late(lag)
            if notice is not None:
                self._machine.notice.observe(notice, now)
            if state.large.count:
                self._release(state.large, RELEASED_AT_ONCE)
            if state.small.count:
                batch = self._dispatch_small(state, now, effects, ended)
            state.announced = again = bool(state.small.count or state.large.count)
            self._after_ends(now, effects)
        if ended:
            self._group(ended, effects)
        return Dispatch(batch, again, effects)

    def drop_port(self, port: Port) -> Effects:
        """The loop is gone: its waiters leave, and what it had submitted is released for the others who wait for it."""
        effects = Effects()
        with self._lock:
            if self._broken is not None:
                return NOTHING
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

    # --- workers ------------------------------------------------------------------------------------------------------

    def pull(self, worker: Worker) -> tuple[Batch | Help | Stop | None, Effects]:
        """What the worker does next. None: it is idle now, and some later effect names it in `wake`."""
        effects, ended = Effects(), Ended()
        task: Batch | Help | Stop | None
        with self._lock:
            now = self._clock()
            helped = self._crew.arrive(worker, now)
            if helped is not None and self.events:
                self._log(effects, "help_finished", None, batch=helped[0].number, seconds=helped[1])
            if self._drained:
                return STOP, effects
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
            if self.events:
                self._log_start(effects, batch)
            self._after_ends(now, effects)
        return effects

    def begin(self, batch: Batch) -> tuple[bool, ...]:
        """The C call comes next: which of the batch's flights are still wanted, in their order.

        Until here, new requests may rejoin a flight that was being cancelled; from here on C may have seen the flag.
        The results of unwanted ones are ProvingCancelled.
        """
        with self._lock:
            batch.started = True
            return tuple([flight.state is not CANCELLING for flight in batch.flights])

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
        handback: float = 0.0,
    ) -> Effects:
        """The batch is over. What there is to learn from it is learned when the worker pulls, after the answers.

        Args:
            batch: From `pull` or `dispatch`.
            results: For each flight, in order, its proof or what it raised; ProvingCancelled for cancelled ones, and
                for those of an inline batch that a BaseException ended: these queue again for those who wait.
            seconds: The wall time of the C call, Python traces not included.
            wall: For an inline batch, seconds that the loop stood still; None takes `seconds`.
            handback: Seconds of the C call's wall time in which its thread was not at work, if that is known.
        """
        effects, ended = Effects(), Ended()
        size_of = self._size
        sizes = [size_of(flight, result) for flight, result in zip(batch.flights, results, strict=True)]
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
                if isinstance(result, BaseException):
                    failed = True
                    if isinstance(result, ProvingCancelled) and (flight.flagged or batch.inline):
                        self._stopped(flight, effects)
                        continue
                self._end(flight, result, size, effects, ended)
            self._count.shared += batch.shared
            # Together they took less than the model, which knows single proofs, could make sense of.
            if not failed and not batch.split and not batch.shared and self._teaches(batch, seconds):
                self._lessons.append((batch, seconds, handback, beside, loops))
                if batch.inline:
                    self._study(now)
            if self.events:
                if batch.flights[0].work is UNKNOWN_WORK:
                    self._log_start(effects, batch)  # and that was all there was
                self._log(effects, "batch_finished", None, batch=batch.number, size=len(batch.flights), seconds=seconds)
            if ended and not batch.inline:
                self._crew.answers()
            self._after_ends(now, effects, coming=0 if batch.inline else 1)
        self._group(ended, effects)
        return effects

    @property
    def give_way(self) -> bytearray:
        """An int32 for the threads of split proofs: whether they are to let others have their cores after each task."""
        return self._crew.give_way

    def heard(self) -> None:
        """A loop or a thread has its answers. Takes no lock: it is a hint, and one byte."""
        self._crew.give_way[0] = 0

    # --- time, end, and counters --------------------------------------------------------------------------------------

    def expire(self) -> Effects:
        """Answers waiters whose deadline has passed with `Expired`, and says in `Effects.timer` when to come again.

        A proof that is there before this was called is delivered, even if it was late.
        """
        effects, ended = Effects(), Ended()
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
        effects, ended = Effects(), Ended()
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
            if work.native and predicted <= self._longest_inline and self._policy.place(predicted, load)[0] is INLINE:
                return predicted, INLINE
            if work.splittable and self._policy.split(predicted, load):
                return predicted, SPLIT
            return predicted, OFFLOAD

    def predicted(self, work: Work) -> float:
        """Seconds on one core that a proof takes which nobody asked for as such."""
        with self._lock:
            return self._machine.cost.predict_proof(work)

    def dump_cost(self) -> str:
        """The cost model as JSON; see `CostModel.dumps`."""
        with self._lock:
            self._study(self._clock())
            return self._machine.cost.dumps()

    def replace_cost(self, cost: CostModel) -> None:
        """Predicts by another model from now on, say one that was calibrated. It belongs to the core from then on."""
        with self._lock:
            self._machine.cost = cost
