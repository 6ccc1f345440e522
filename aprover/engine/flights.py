"""Flights: the proofs that are waited for, their life, and the queue in which they wait for a worker.

Theory of operation
-------------------
A flight is one proof to be made and the waiters who want it. It belongs to the engine and never to the caller that was
first: waiters come (a join) and go (a leave), and the flight follows from how many of them there are. For each key at
most one flight can be joined; the core keeps it in a table, and takes it out when it ends or begins to be cancelled.

=========== =================================================================== ========= ===============
state       meaning                                                             joinable  holds
=========== =================================================================== ========= ===============
PARKED      as many flights are pending as the engine takes; not counted yet    yes       a place in line
QUEUED      waits: at its port until the end of the tick, then in the queue     yes       a pending slot
RUNNING     in a batch of a worker, or on a loop's own thread                   yes       a pending slot
CANCELLING  running, but nobody waits any more; its flag is set                 no [#]_   a pending slot
DONE        ended with a proof                                                  no        nothing
FAILED      ended with an error, which its waiters share as the cause           no        nothing
DROPPED     ended with neither: nobody waited, or the engine was closed         no        nothing
=========== =================================================================== ========= ===============

.. [#] Except while the batch has not begun its C call, where the flag can be taken back: nobody has acted on it but
   perhaps the thread that prepares the batch. Afterwards a new request opens a successor under the same key.

All changes go through `TRANSITIONS`; a pair of state and step that it does not have is a bug and raises. Two rows are
less obvious. RUNNING + STOP: the flag had been set and taken back, but whoever ran the flight had seen it. Its
outcome is then not an outcome, and the flight queues again for those who wait: a cancellation is never the answer of
a flight. CANCELLING + PROVE: the work was quicker than the flag. The proof goes to the cache, nobody is told.

The order of the queue is (best priority, latest deadline, age), the first two over the waiters that a flight has now,
so that each join and each leave may change it. What was put in stays in line as it came until somebody asks who is
first, which for most happens in their last queue only; their places are looked at then. From then on the heap holds for
each flight one live entry that is not later than its true place: a flight that improves gets a new entry, one that
worsened is put back when its entry comes up. Dead entries are dropped when they come up, and all at once when they
outnumber the live.

A shell runs a flight outside the lock, with nothing but `Flight.control` between it and the core: the core sets the
flag under the lock, and takes it back under the lock.
"""

from __future__ import annotations

import enum
import heapq
import itertools
from collections.abc import Callable, Hashable, Iterator

from ..backends import Control
from .cost import UNKNOWN_WORK, Work
from .messages import Batch, Port, Request, Waiter

__all__ = [
    "ABANDON",
    "ADMIT",
    "CANCELLING",
    "FAIL",
    "PARKED",
    "PROVE",
    "QUEUED",
    "REJOIN",
    "RUNNING",
    "START",
    "STOP",
    "TRANSITIONS",
    "Deadlines",
    "Flight",
    "FlightQueue",
    "LazyMax",
    "Seat",
    "State",
    "Step",
]

FOREVER = float("inf")


class State(enum.Enum):
    """See the module's docstring."""

    __hash__ = object.__hash__  # members are looked up with every step, and an Enum's own hash is written in Python

    PARKED = "parked"
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"


class Step(enum.Enum):
    """What happens to a flight."""

    __hash__ = object.__hash__

    ADMIT = "admit"
    START = "start"
    ABANDON = "abandon"
    REJOIN = "rejoin"
    PROVE = "prove"
    FAIL = "fail"
    STOP = "stop"


# Names of their own, for these are looked at all the time, and Python 3.11 calls a function for each `State.QUEUED`.
PARKED, QUEUED, RUNNING, CANCELLING, DONE, FAILED, DROPPED = State
ADMIT, START, ABANDON, REJOIN, PROVE, FAIL, STOP = Step

TRANSITIONS: dict[tuple[State, Step], State] = {
    (PARKED, ADMIT): QUEUED,
    (PARKED, ABANDON): DROPPED,
    (QUEUED, START): RUNNING,
    (QUEUED, ABANDON): DROPPED,
    (RUNNING, ABANDON): CANCELLING,
    (RUNNING, PROVE): DONE,
    (RUNNING, FAIL): FAILED,
    (RUNNING, STOP): QUEUED,
    (CANCELLING, REJOIN): RUNNING,
    (CANCELLING, PROVE): DONE,
    (CANCELLING, FAIL): FAILED,
    (CANCELLING, STOP): DROPPED,
}

ENDED = frozenset({DONE, FAILED, DROPPED})
PENDING = frozenset({QUEUED, RUNNING, CANCELLING})


class LazyMax:
    """The largest of a changing multiset: O(log n) amortised for each change, O(1) amortised to read."""

    __slots__ = ("_counts", "_heap")

    def __init__(self) -> None:
        self._counts: dict[float, int] = {}
        self._heap: list[float] = []

    def add(self, value: float) -> None:
        """Puts one in."""
        count = self._counts.get(value)
        if count is None:
            self._counts[value] = 1
            heapq.heappush(self._heap, -value)
        else:
            self._counts[value] = count + 1

    def remove(self, value: float) -> None:
        """Takes one out, which must be in."""
        self._counts[value] -= 1

    def max(self) -> float:
        """The largest one.

        Raises:
            IndexError: There is none.
        """
        while self._counts[-self._heap[0]] == 0:
            del self._counts[-heapq.heappop(self._heap)]
        return -self._heap[0]


class Seat:
    """A waiter's place in a flight."""

    __slots__ = ("deadline", "flight", "priority", "waiter")

    def __init__(self, waiter: Waiter, flight: Flight, priority: int, deadline: float) -> None:
        self.waiter = waiter
        self.flight = flight
        self.priority = priority
        self.deadline = deadline

    @property
    def taken(self) -> bool:
        """Whether the waiter still waits here."""
        return self.flight.seats.get(self.waiter) is self


class Flight:
    """One proof under way and those who wait for it. Changed only by the core, under its lock.

    Shells may read `number`, `request`, `control` and `opened` (the core's clock), which do not change; `work` and
    `predicted` (seconds), which change once if the shape had to be surveyed; and `started`, `placement`, `batch_number`
    and `reason`, which change.
    """

    # Defaults stand in the class: many flights live for microseconds, and most of these never change.
    reason = ""
    """Why it runs where it runs, by the policy."""
    placement = ""
    """``inline``, ``offload`` or ``split``, once it has started."""
    started = 0.0
    """When it last started, on the core's clock."""
    batch_number = 0
    """Of the batch that it last was in; 0 if in none."""
    state = QUEUED
    priority = 0
    """The best of its waiters. Kept as it was when the last one leaves."""
    deadline = FOREVER
    """The latest of its waiters. Kept as it was when the last one leaves."""
    store = False
    """Some waiter wants it cached."""
    flagged = False
    """It was asked to stop since it started."""
    owner: Waiter | None = None
    """The waiter that runs it inline: it has no seat, and is not delivered to."""
    port: Port | None = None
    """Where it waits for the end of the tick."""
    small = False
    """It may run on a loop's own thread."""
    batch: Batch | None = None
    """What it runs in, unless a waiter runs it inline."""
    entry = 0
    """The serial number of its live entry in a queue; 0 if it is in none."""
    placed: tuple[float, float, int] | None = None
    """The order that it was entered with; None until somebody asked for its place."""
    _priorities: LazyMax | None = None
    _deadlines: LazyMax | None = None

    def __init__(self, number: int, request: Request, work: Work, predicted: float, opened: float) -> None:
        self.number = number
        self.request = request
        self.key: Hashable = request.key
        self.work = work
        self.control = Control(request.memory_limit)
        self.predicted = predicted
        self.opened = opened
        self.seats: dict[Waiter, Seat] = {}

    def __repr__(self) -> str:
        # The request may hold private inputs.
        return f"<Flight {self.number} {self.state.value}, {len(self.seats)} waiting>"

    def step(self, step: Step) -> None:
        """Moves along `TRANSITIONS`.

        Raises:
            RuntimeError: There is no such transition.
        """
        state = TRANSITIONS.get((self.state, step))
        if state is None:
            raise RuntimeError(f"{self!r} cannot {step.value}")
        self.state = state

    @property
    def ended(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state in ENDED

    @property
    def joinable(self) -> bool:
        """Whether a new waiter may be seated."""
        state = self.state
        if state is CANCELLING:
            return self.batch is not None and not self.batch.started
        return state not in ENDED

    @property
    def order(self) -> tuple[float, float, int]:
        """Its place in the queue; smaller goes first."""
        return (-self.priority, self.deadline, self.number)

    def join(self, waiter: Waiter, priority: int, deadline: float) -> Seat:
        """Seats a waiter."""
        seat = Seat(waiter, self, priority, deadline)
        if not self.seats:
            self.priority, self.deadline = priority, deadline
            if self._priorities is not None:
                self._priorities = self._deadlines = None
        else:
            if self._priorities is None or self._deadlines is None:
                self._priorities, self._deadlines = LazyMax(), LazyMax()
                for other in self.seats.values():
                    self._priorities.add(other.priority)
                    self._deadlines.add(other.deadline)
            self._priorities.add(priority)
            self._deadlines.add(deadline)
            self.priority = max(self.priority, priority)
            self.deadline = max(self.deadline, deadline)
        self.seats[waiter] = seat
        return seat

    def leave(self, seat: Seat) -> None:
        """Empties a seat."""
        del self.seats[seat.waiter]
        if self._priorities is not None and self._deadlines is not None:
            self._priorities.remove(seat.priority)
            self._deadlines.remove(seat.deadline)
            if self.seats:
                self.priority = int(self._priorities.max())
                self.deadline = self._deadlines.max()


class Deadlines:
    """The deadlines of all waiters, earliest first. A waiter that has no seat any more is skipped."""

    __slots__ = ("_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Seat]] = []
        self._serial = 0

    def add(self, seat: Seat, seated: int) -> None:
        """Puts in a waiter with a deadline.

        Args:
            seated: How many waiters there are now; when dead entries outnumber them, these are thrown out.
        """
        if len(self._heap) > 64 and len(self._heap) > 2 * seated:
            self._heap = [item for item in self._heap if item[2].taken]
            heapq.heapify(self._heap)
        self._serial += 1
        heapq.heappush(self._heap, (seat.deadline, self._serial, seat))

    def first(self) -> Seat | None:
        """The waiter whose deadline is the earliest, who stays in."""
        while self._heap:
            seat = self._heap[0][2]
            if seat.taken:
                return seat
            heapq.heappop(self._heap)
        return None


LONGEST_LINE = 256
"""Flights whose places are looked at together, so that the core's lock is held for a fraction of a millisecond."""

_Item = tuple[tuple[float, float, int], int, Flight]
_serials = itertools.count(1)  # one for all queues: a flight moves from one to another, and leaves dead entries behind


class FlightQueue:
    """Flights in the order of their urgency; see the module's docstring."""

    __slots__ = ("_heap", "_line", "cost", "count")

    def __init__(self) -> None:
        self._heap: list[_Item] = []
        self._line: list[tuple[int, Flight]] = []
        """Those about whose place nobody has asked yet."""
        self.count = 0
        """How many are in it."""
        self.cost = 0.0
        """Predicted seconds of all flights in it."""

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Flight]:
        return iter(self._all())

    def _all(self) -> list[Flight]:
        flights = [flight for serial, flight in self._line if flight.entry == serial]
        if self._heap:
            flights += [flight for _, serial, flight in self._heap if flight.entry == serial]
        return flights

    def push(self, flight: Flight) -> None:
        """Puts a flight in."""
        flight.entry = serial = next(_serials)
        flight.placed = None
        line = self._line
        line.append((serial, flight))
        if len(line) > LONGEST_LINE:
            self._place()
        self.count += 1
        self.cost += flight.predicted

    def _place(self) -> None:
        """From the line into the heap."""
        heap, push = self._heap, heapq.heappush
        for serial, flight in self._line:
            if flight.entry == serial:
                flight.placed = order = (-flight.priority, flight.deadline, flight.number)
                push(heap, (order, serial, flight))
        self._line.clear()

    def remove(self, flight: Flight) -> None:
        """Takes out a flight that is in it, wherever it stands."""
        flight.entry = 0
        self.count -= 1
        self.cost = self.cost - flight.predicted if self.count else 0.0  # no rest of rounding stays
        entries = len(self._heap) + len(self._line)
        if entries > 64 and entries > 2 * self.count:
            self._place()
            self._heap = [item for item in self._heap if item[2].entry == item[1]]
            heapq.heapify(self._heap)

    def improved(self, flight: Flight) -> None:
        """To be called after a flight's order may have become better. (Worse needs no call.)"""
        if flight.placed is not None and flight.order < flight.placed:
            self._enter(flight)

    def first(self) -> Flight | None:
        """The most urgent flight, which stays in."""
        if self._line:
            self._place()
        heap = self._heap
        while heap:
            order, serial, flight = heap[0]
            if flight.entry != serial:
                heapq.heappop(heap)
            elif order < (-flight.priority, flight.deadline, flight.number):
                heapq.heappop(heap)
                self._enter(flight)
            else:
                return flight
        return None

    def pop(self) -> Flight | None:
        """The most urgent flight, taken out."""
        flight = self.first()
        if flight is not None:
            heapq.heappop(self._heap)
            self.remove(flight)
        return flight

    def give(self, to: FlightQueue, most: int) -> list[Flight]:
        """Has so many flights wait in another queue: the most urgent ones unless all go, and then in no order.

        They keep their places, and so their entries. New ones would be thousands of objects in a row, for which Python
        collects garbage while all wait.

        Returns:
            Those that went.
        """
        heap, line, further = self._heap, self._line, to._line
        flights: list[Flight] = []
        cost = 0.0
        if self.count > most:
            items = [heapq.heappop(heap) for _ in range(most) if self.first() is not None]
        else:
            for entry in line:
                flight = entry[1]
                if flight.entry == entry[0]:
                    further.append(entry)
                    flights.append(flight)
                    cost += flight.predicted
            line.clear()
            if len(further) > LONGEST_LINE:
                to._place()
            items = heap.copy()
            heap.clear()
        for item in items:
            flight = item[2]
            if flight.entry == item[1]:
                heapq.heappush(to._heap, item)
                flights.append(flight)
                cost += flight.predicted
        self.count -= len(flights)
        self.cost = self.cost - cost if self.count else 0.0
        to.count += len(flights)
        to.cost += cost
        return flights

    def _enter(self, flight: Flight) -> None:
        flight.entry = serial = next(_serials)
        flight.placed = order = flight.order
        heapq.heappush(self._heap, (order, serial, flight))

    def revalue(self, flight: Flight, predicted: float) -> None:
        """Changes what a flight that is in it is predicted to cost."""
        self.cost += predicted - flight.predicted
        flight.predicted = predicted

    def take(
        self, limit: float, now: float, survey: Callable[[Flight], object] | None = None
    ) -> tuple[list[Flight], list[Flight]]:
        """Takes out one batch: the most urgent flight, and those after it while the sum of their costs is within
        `limit`.

        A flight whose trace is made in Python is a batch of its own: its time cannot be foreseen as well, and nothing
        else should wait for it.

        Args:
            limit: Seconds.
            now: On the clock of the deadlines.
            survey: Called with flights of unknown shape, which may be known by now.

        Returns:
            The batch, and the flights that came up whose last deadline has passed: taken out too, and never to start.
        """
        batch: list[Flight] = []
        expired: list[Flight] = []
        total = 0.0
        native = True
        while native and self.count and (flight := self.first()) is not None:
            if survey is not None and flight.work is UNKNOWN_WORK:
                survey(flight)
            if flight.deadline <= now:
                expired.append(flight)
            else:
                native, longer = flight.work.native, total + flight.predicted
                if batch and not (native and longer <= limit):
                    break
                batch.append(flight)
                total = longer
            heapq.heappop(self._heap)
            flight.entry = 0
            self.count -= 1
            self.cost -= flight.predicted
        if not self.count:
            self.cost = 0.0
        return batch, expired
