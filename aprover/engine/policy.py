"""Where a proof is made: on the loop's own thread, on a worker, or on several.

A policy is asked twice about a request that needs a proof. `Policy.place` is asked at the door, where only this
request is known and what came before it in the same tick. `Policy.release` is asked at the end of the tick about all
those that were not run at the door; by then it is known how many there are. Both are asked about work in C only: a
trace() in Python never runs on a loop's thread. The budget of the tick is the core's, and no policy can exceed it.
"""

from __future__ import annotations

import enum
from typing import Protocol

import attrs

__all__ = [
    "INLINE",
    "OFFLOAD",
    "SPLIT",
    "LONGEST_BATCH",
    "SHORTEST_BATCH",
    "USUAL_BATCH",
    "TICK_BUDGET",
    "BRIEF_CALL",
    "AdaptivePolicy",
    "AlwaysInline",
    "AlwaysOffload",
    "Choice",
    "FixedPolicy",
    "Load",
    "Placement",
    "Policy",
    "share_of",
    "workers_for",
]

FOREVER = float("inf")
ROUNDING = 1e-9
"""Equal parts of a sum are parts of it, however they were added."""
BRIEF_CALL = 50e-6
"""Seconds of a C call from which its thread returns before another has woken up to take the interpreter, mostly."""
TICK_BUDGET = 500e-6
"""Seconds of a loop's tick that hits and inline work may take together."""
SHORTEST_BATCH = 150e-6
"""Seconds of predicted work that are worth another worker. A batch costs another 0.1 to 0.15 ms, most of it while
threads hand the interpreter to each other. (20 proofs of 256 rows took 2.6 ms in batches of 0.1 ms, 2.0 in batches of
0.2, 1.7 in batches of 0.4.)"""
USUAL_BATCH = 400e-6
"""Seconds of predicted work that a worker takes if that leaves enough for those who are on their way."""
LONGEST_BATCH = 1e-3
"""Seconds of predicted work that one batch may hold, if it holds more than one flight."""


class Placement(enum.StrEnum):
    """Where work is done."""

    INLINE = "inline"
    OFFLOAD = "offload"
    SPLIT = "split"


INLINE, OFFLOAD, SPLIT = Placement


@attrs.define(eq=False)
class Load:
    """What a policy sees besides the work itself. Times are in seconds."""

    together: float
    """Flights that come together in a tick of this loop: as many as came already, or as usually come."""
    requests: float
    """Requests that come together, those for the same proof counted each; at least `together`."""
    workers: int
    idle: int
    busy: int
    """Workers that make a batch now."""
    queued: int
    """Flights that wait for a worker."""
    queue_cost: float
    """Predicted time of those."""
    running_cost: float
    """Predicted time that is left of what the workers are making."""
    scaling: float
    """What two threads get done together, relative to one."""
    handback: float
    """What a thread waits for the interpreter after a C call, lately."""
    wake: float
    """From handing work to an idle worker until it runs, and from its end until the loop hears of it, lately."""
    lag: float
    """By how much the loop comes late, lately."""
    python: bool
    """A user's trace() is running on a worker, and holds the GIL."""
    brief_handback: float = 0.0
    """As `handback`, after a C call of up to `BRIEF_CALL`."""


def workers_for(count: int, cost: float) -> int:
    """How many workers so much work is worth.

    Args:
        count: Pieces of work.
        cost: Predicted seconds of all of them.
    """
    return max(1, min(count, int(cost / SHORTEST_BATCH * (1 + ROUNDING))))


def share_of(cost: float, workers: int, ready: int) -> float:
    """Seconds of predicted work that a worker takes at once, if it takes more than one piece.

    Args:
        cost: Of all that waits.
        workers: How many there are.
        ready: How many are about to take from it, this one included.
    """
    usual = min(USUAL_BATCH, cost / ready)
    return max(usual, min(cost / (2 * workers), LONGEST_BATCH)) * (1 + ROUNDING)


Choice = tuple[Placement, str]
"""A placement, and the reason for it in a few words."""


class Policy(Protocol):
    """Decides; frozen, without state of its own, quick, and called under the core's lock."""

    @property
    def longest_inline(self) -> float:
        """Seconds of predicted time above which work is never inline, and so is not asked about."""
        ...

    def place(self, cost: float, load: Load) -> Choice:
        """INLINE: now, if the budget allows. OFFLOAD: at the end of the tick, `release` decides.

        Args:
            cost: Predicted seconds of one piece of work in C.
        """
        ...

    def release(self, count: int, cost: float, load: Load) -> Choice:
        """INLINE: on this loop's thread, tick by tick within the budget. OFFLOAD: by the workers.

        Args:
            count: How many pieces of work in C, each within `longest_inline`, came in this tick or wait since an
                earlier one.
            cost: Predicted seconds of all of them.
        """
        ...

    def width(self, load: Load) -> int:
        """How many workers to use at most."""
        ...

    def split(self, cost: float, load: Load) -> bool:
        """Whether several workers are to make this one proof, given that nothing else waits."""
        ...


def _seconds(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value < FOREVER:
        raise ValueError(f"{attribute.name} = {value!r} is not a time in seconds")


@attrs.frozen(kw_only=True)
class AdaptivePolicy:
    """Chooses what finishes the work that is known or expected soonest, by the costs of inline and offloaded work.

    The costs are medians measured on the project's machine class (see docs/architecture.md); all in seconds.

    Attributes:
        delivery: The loop's own time to wake one waiter.
        join: The loop's own time to let a request wait for a proof that is under way.
        hit: The loop's own time for a request whose proof is there.
        overhead: The loop's own time for a request that opens a flight, besides the work.
        dispatch: The loop's own time for one pass of a port's dispatcher.
        batch: What a batch takes beside its work, most of it while threads hand the interpreter to each other.
        longest_inline: No work beyond this runs on a loop's thread, whatever would be gained.
        preference: Work that is long for a loop goes to the workers even if the loop is sooner, but not by this factor.
        short: What is not long for a loop.
        noise: A shorter wait for the interpreter after a C call is not looked at.
        largest_lag: While the loop comes later than this, only such work is inline as is shorter than a delivery.
        shortest_split: Proofs below are not split.
        smallest_gain: Two threads have to get done so many times as much as one, for a proof to be split. This one and
            `preference` are ratios.

    Raises:
        ValueError: An attribute is negative or not finite.
    """

    delivery: float = attrs.field(default=7e-6, validator=_seconds)
    join: float = attrs.field(default=3e-6, validator=_seconds)
    hit: float = attrs.field(default=2e-6, validator=_seconds)
    overhead: float = attrs.field(default=4e-6, validator=_seconds)
    dispatch: float = attrs.field(default=8e-6, validator=_seconds)
    batch: float = attrs.field(default=80e-6, validator=_seconds)
    longest_inline: float = attrs.field(default=2.1e-3, validator=_seconds)
    preference: float = attrs.field(default=0.95, validator=_seconds)
    short: float = attrs.field(default=250e-6, validator=_seconds)
    noise: float = attrs.field(default=50e-6, validator=_seconds)
    largest_lag: float = attrs.field(default=5e-3, validator=_seconds)
    shortest_split: float = attrs.field(default=5e-3, validator=_seconds)
    smallest_gain: float = attrs.field(default=1.15, validator=_seconds)

    def place(self, cost: float, load: Load) -> Choice:
        """See `Policy.place`."""
        hindrance = self._hindrance(cost, load)
        if hindrance is not None:
            return OFFLOAD, hindrance
        if cost <= self.delivery:
            return INLINE, "shorter than a delivery"
        count = max(1.0, load.together)
        requests = max(count, load.requests)
        # Both ways, each flight costs its overhead. The others who want the same proof find it, or have to wait.
        inline = self._inline(count * cost, count, load) + (requests - count) * self.hit
        if inline <= load.wake:
            return INLINE, "shorter than a wake-up"
        offload = self._offload(count, count * cost, requests, load) + (requests - count) * self.join
        if load.handback > self.noise and count > 1 and self._at_once(count * cost, requests, load) < inline:
            return OFFLOAD, "one call for all of the tick"
        return self._sooner(cost, inline + count * self.overhead, offload + count * self.overhead)

    def release(self, count: int, cost: float, load: Load) -> Choice:
        """See `Policy.release`."""
        hindrance = self._hindrance(cost / count, load)
        if hindrance is not None:
            return OFFLOAD, hindrance
        requests = count * max(1.0, load.requests / max(1.0, load.together))
        inline = self._at_once(cost, requests, load)
        return self._sooner(cost / count, inline, self._offload(count, cost, requests, load))

    def width(self, load: Load) -> int:
        """See `Policy.width`. One, where threads hinder each other more than they help."""
        return load.workers if load.scaling >= 0.95 else 1

    def split(self, cost: float, load: Load) -> bool:
        """See `Policy.split`."""
        if cost < self.shortest_split or load.idle == 0 or load.scaling < self.smallest_gain:
            return False
        # A helper is there a change of threads later, and its leaving takes another. Beside a thread that is busy with
        # Python these are milliseconds.
        return (cost - load.wake) * (1 - 1 / load.scaling) > load.wake

    def _hindrance(self, cost: float, load: Load) -> str | None:
        """Why work of this cost must not be inline."""
        if load.python:
            return "a trace() in Python is running"
        if cost > self.longest_inline:
            return "too long for the loop"
        if load.lag > self.largest_lag and cost > self.delivery:
            return "the loop is late"
        return None

    def _at_once(self, cost: float, requests: float, load: Load) -> float:
        """Seconds from the end of the tick until the last answer, if the loop does this, tick by tick."""
        ticks = 1 + cost / TICK_BUDGET
        return self._inline(cost, ticks, load) + requests * self.delivery + self.dispatch * ticks

    def _inline(self, cost: float, calls: float, load: Load) -> float:
        """Seconds until so much work is done on the loop, and what the workers have before them as well.

        Args:
            calls: How many C calls that takes.
        """
        handback = load.brief_handback if cost <= calls * BRIEF_CALL else load.handback
        if handback > self.noise:
            cost += calls * handback
        if not load.busy:
            return cost
        # Beside workers it has half of what two threads get done, and takes the other half from them.
        return max(2 * cost, cost + load.queue_cost + load.running_cost) / load.scaling

    def _sooner(self, cost: float, inline: float, offload: float) -> Choice:
        if inline <= offload * (1.0 if cost <= self.short else self.preference):
            return INLINE, "the loop is sooner"
        return OFFLOAD, "workers are sooner"

    def _offload(self, count: float, cost: float, requests: float, load: Load) -> float:
        """Seconds from the end of the tick until the last answer, if workers do this.

        Args:
            count: Pieces of work.
            cost: Seconds of all of them.
            requests: Answers to be delivered.
        """
        workers = min(self.width(load), workers_for(max(1, round(count)), cost))
        speed = 1 + (workers - 1) * (load.scaling - 1)
        deliveries = requests * self.delivery
        # Workers and loop run side by side, each at its share, until one side is done. (More than two threads together
        # are taken to do as much as two.)
        side = min(deliveries, cost / workers)
        together = load.scaling if workers == 1 else speed
        work = side * (workers + 1) / together + (cost - workers * side) / speed + (deliveries - side)
        # But no answer can be delivered before there is a first batch.
        piece = cost / count
        size = piece * max(1, int(share_of(cost, load.workers, workers) / piece))
        first = size * workers / speed
        before = load.queue_cost + (load.running_cost if load.busy >= workers else 0.0)
        batches = self.batch * max(1.0, cost / workers / size)
        held = load.handback * (1 + cost / workers / LONGEST_BATCH) if load.handback > self.noise else 0.0
        return self.dispatch + load.wake + batches + held + before / speed + max(work, first + deliveries)


@attrs.frozen(kw_only=True)
class FixedPolicy:
    """Fixed thresholds: how many tasks of which cost are worth threads. The baseline that `AdaptivePolicy` has to beat.

    Attributes:
        thresholds: Pairs (seconds of one task, tasks): tasks of at least this cost go to the workers from so many on.
            Below the first, they never do.
    """

    thresholds: tuple[tuple[float, int], ...] = ((10e-6, 20), (20e-6, 10), (50e-6, 5))

    @property
    def longest_inline(self) -> float:
        """See `Policy.longest_inline`."""
        return FOREVER

    def place(self, cost: float, load: Load) -> Choice:  # noqa: ARG002
        """See `Policy.place`."""
        if self._needed(cost) is None:
            return INLINE, "below the lowest threshold"
        return OFFLOAD, "counted at the end of the tick"

    def release(self, count: int, cost: float, load: Load) -> Choice:  # noqa: ARG002
        """See `Policy.release`."""
        needed = self._needed(cost / count)
        if needed is None or count < needed:
            return INLINE, "too few"
        return OFFLOAD, "enough for threads"

    def width(self, load: Load) -> int:
        """See `Policy.width`."""
        return load.workers

    def split(self, cost: float, load: Load) -> bool:  # noqa: ARG002
        """See `Policy.split`. Never."""
        return False

    def _needed(self, cost: float) -> int | None:
        needed = None
        for seconds, count in self.thresholds:
            if cost >= seconds:
                needed = count
        return needed


@attrs.frozen
class AlwaysInline:
    """All work in C runs on the loop's own thread. A baseline for measurements: long proofs stall the loop."""

    @property
    def longest_inline(self) -> float:
        """See `Policy.longest_inline`."""
        return FOREVER

    def place(self, cost: float, load: Load) -> Choice:  # noqa: ARG002
        """See `Policy.place`."""
        return INLINE, "always"

    def release(self, count: int, cost: float, load: Load) -> Choice:  # noqa: ARG002
        """See `Policy.release`."""
        return INLINE, "always"

    def width(self, load: Load) -> int:
        """See `Policy.width`."""
        return load.workers

    def split(self, cost: float, load: Load) -> bool:  # noqa: ARG002
        """See `Policy.split`. Never."""
        return False


@attrs.frozen
class AlwaysOffload:
    """All work runs on workers, and no proof is split. A baseline for measurements."""

    @property
    def longest_inline(self) -> float:
        """See `Policy.longest_inline`."""
        return 0.0

    def place(self, cost: float, load: Load) -> Choice:  # noqa: ARG002
        """See `Policy.place`."""
        return OFFLOAD, "always"

    def release(self, count: int, cost: float, load: Load) -> Choice:  # noqa: ARG002
        """See `Policy.release`."""
        return OFFLOAD, "always"

    def width(self, load: Load) -> int:
        """See `Policy.width`."""
        return load.workers

    def split(self, cost: float, load: Load) -> bool:  # noqa: ARG002
        """See `Policy.split`. Never."""
        return False
