"""Who waits for what: the deciding core's tables, and each step in the life of a flight, under the core's lock.

Where and when flights are made is not decided here, but in `placing`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Literal

import attrs

from ..proof import Proof
from .cache import ProofCache
from .cost import UNKNOWN_WORK, CostModel
from .crew import Crew
from .flights import (
    ABANDON,
    CANCELLING,
    FAIL,
    PARKED,
    PROVE,
    QUEUED,
    REJOIN,
    RUNNING,
    START,
    STOP,
    Deadlines,
    Flight,
    FlightQueue,
    Seat,
)
from .loop_state import LoopState
from .machine import Machine
from .messages import (
    NOTHING,
    Batch,
    Closed,
    Effects,
    Event,
    Expired,
    Failed,
    Hit,
    Joined,
    Outcome,
    Port,
    Proved,
    Request,
    Waiter,
)
from .policy import TICK_BUDGET

__all__ = ["FOREVER", "HIT_SECONDS", "SUBMIT_SECONDS", "Ended", "Ledger"]

FOREVER = math.inf
HIT_SECONDS = 2e-6
"""What a hit takes of the tick's budget, about."""
SUBMIT_SECONDS = 4e-6
"""What any other request takes of a loop."""
DELIVERY_SECONDS = 6e-6
"""What an answer that is delivered takes of a loop."""

Ended = list[tuple[dict[Waiter, Seat], Outcome]]
"""Seats that were answered, to be grouped by port when the lock is free: there may be thousands."""


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
    shared: int = 0
    queue_wait: float = 0.0
    started: int = 0


class Ledger(ABC):
    """A part of `Core`, whose arguments these are. Not thread-safe."""

    def __init__(
        self,
        *,
        workers: int,
        cost: CostModel,
        clock: Callable[[], float],
        cache_bytes: int,
        max_pending: int,
        finish_abandoned: bool,
        weigh: Callable[[Proof], int],
        events: bool,
    ) -> None:
        self._clock = clock
        self._max_pending = max_pending
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

        self._machine = Machine(workers, cost, clock())
        self._crew = Crew(self._machine)

        self._mode: Literal["wait", "cancel"] | None = None
        self._drained = False
        self._broken: BaseException | None = None
        self._count = _Counters()

    @abstractmethod
    def _after_ends(self, now: float, effects: Effects, coming: int = 0) -> None:
        """See `Placing._after_ends`."""

    def _port(self, port: Port, tick: int) -> LoopState:
        state = self._ports.get(port)
        if state is None:
            state = self._ports[port] = LoopState(tick)
        elif tick != state.tick:
            state.enter(tick)
        return state

    def _open(self, request: Request, now: float) -> Flight:
        work = request.known_work() or UNKNOWN_WORK
        self._numbers = number = self._numbers + 1
        self._count.flights += 1
        flight = Flight(number, request, work, self._machine.cost.predict(work), now)
        self._flights[flight.key] = flight
        return flight

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
        if flight.state is CANCELLING:
            flight.control.cancel_flag[0] = 0
            flight.step(REJOIN)
        effects = NOTHING if deadline == FOREVER else Effects()
        self._seat(flight, waiter, priority, deadline, effects)
        flight.store = flight.store or cache
        if flight.state is QUEUED or flight.state is PARKED:
            self._home(flight).improved(flight)
        return Joined(flight, effects)

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
        waits = flight.state is QUEUED or flight.state is PARKED
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
        return flight.state is RUNNING and flight.owner is None and not kept

    def _flag(self, flight: Flight) -> None:
        flight.step(ABANDON)
        flight.flagged = True
        flight.control.cancel()

    def _drop(self, flight: Flight, effects: Effects) -> None:
        """Ends a flight that waits for its start, and has no waiters any more."""
        self._home(flight).remove(flight)
        if flight.state is QUEUED:
            self._pending -= 1
        flight.step(ABANDON)
        self._forget(flight)
        self._count.cancelled += 1
        if self.events:
            self._log(effects, "dropped", flight)

    def _forget(self, flight: Flight) -> None:
        key = flight.key
        other = self._flights.pop(key, None)
        if other is not None and other is not flight:  # its successor
            self._flights[key] = other

    def _home(self, flight: Flight) -> FlightQueue:
        """The queue that a waiting flight is in."""
        if flight.state is PARKED:
            return self._parked
        if flight.port is None:
            return self._queue
        port = self._ports[flight.port]
        return port.small if flight.small else port.large

    def _start(self, flight: Flight, now: float) -> None:
        flight.step(START)
        if flight.flagged:
            flight.flagged = False
        self._running.add(flight)
        flight.started = now
        count = self._count
        count.started += 1
        count.queue_wait += now - flight.opened

    def _stopped(self, flight: Flight, effects: Effects) -> None:
        """It ended because of its flag. That is no outcome: whoever came since then waits for another start."""
        self._running.discard(flight)
        if flight.seats and flight.state is CANCELLING:
            raise RuntimeError(f"{flight!r}: somebody waits for a flight that is being cancelled")
        if not flight.seats and flight.state is RUNNING:
            self._flag(flight)
        flight.step(STOP)
        if flight.state is QUEUED:
            # Nobody else can have opened a successor: it was joinable all the time.
            self._queue.push(flight)
            return
        self._pending -= 1
        self._forget(flight)
        self._count.cancelled += 1
        if self.events:
            self._log(effects, "dropped", flight)

    def _end(self, flight: Flight, result: Proof | BaseException, size: int, effects: Effects, ended: Ended) -> None:
        """It ended with a result. The seats are emptied and grouped after the lock is free: there may be thousands.

        Args:
            size: From `_size`; what is 0 is not kept.
        """
        self._running.discard(flight)
        self._pending -= 1
        self._forget(flight)
        outcome: Outcome
        if isinstance(result, BaseException):
            flight.step(FAIL)
            self._count.failed += 1
            outcome = Failed(result)
        else:
            flight.step(PROVE)
            if flight.request.proves:
                self._count.proofs += 1
            else:
                self._count.verifications += 1
            if size and flight.store:
                self._cache.put(flight.key, result, size)
            outcome = Proved(result)
        if self.events:
            name = "failed" if isinstance(result, BaseException) else "proved"
            self._log(effects, name, flight, waiters=len(flight.seats))
        if flight.seats:
            self._answer(flight, outcome, ended)

    def _expired(self, flights: list[Flight], effects: Effects, ended: Ended) -> None:
        """They came up in a queue, and were taken out, after the last deadline of their waiters."""
        for flight in flights:
            self._pending -= 1
            flight.step(ABANDON)
            self._forget(flight)
            self._count.cancelled += 1
            self._count.expired += len(flight.seats)
            if self.events:
                self._log(effects, "dropped", flight)
            self._answer(flight, Expired(), ended)

    def _cancel(self, flight: Flight, effects: Effects, ended: Ended) -> None:
        """Closing: all its waiters are told; but one who is running it at this moment finishes it."""
        self._answer(flight, Closed(), ended)
        if flight.state is RUNNING:
            if flight.owner is None:
                self._flag(flight)
        elif flight.state is QUEUED or flight.state is PARKED:
            self._drop(flight, effects)

    def _answer(self, flight: Flight, outcome: Outcome, ended: Ended) -> None:
        seats = flight.seats
        if seats:
            flight.seats = {}
            count = len(seats)
            self._waiters -= count
            self._machine.loops_will(DELIVERY_SECONDS * count)
            ended.append((seats, outcome))

    def _size(self, flight: Flight, result: Proof | BaseException) -> int:
        """Bytes that it takes in the cache; 0 if nobody wants it there. Without the lock, for a request is asked."""
        # Who comes after this and wants it kept does not have that. It has the proof.
        if not flight.store or isinstance(result, BaseException):
            return 0
        return flight.request.key_bytes + self._weigh(result)

    def _group(self, ended: Ended, effects: Effects) -> None:
        """After the lock was released: answers by port. Nobody else can reach these seats any more."""
        deliver, known = effects.deliver, self._seats
        port: Port = None
        answers: list[tuple[Waiter, Outcome]] | None = None
        for seats, outcome in ended:
            for waiter in seats:
                known.pop(waiter, None)
                if answers is None or waiter.port is not port:  # one after the other, most are of one port
                    port = waiter.port
                    answers = deliver.get(port)
                    if answers is None:
                        answers = deliver[port] = []
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
