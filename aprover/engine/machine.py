"""What the deciding core has learned of the machine: how long work takes on it, and what a change of threads costs.

Theory of operation
-------------------
`CostModel` says what work takes alone, and `Scaling` what threads are worth together; both are corrected by finished
batches. Which batches ran beside which, and beside how busy loops, follows from two sums of busy seconds over time.

Two more things decide between a loop's own thread and a worker, and both are small on a quiet machine and milliseconds
beside a thread that is busy with Python, since whoever wants the interpreter then waits for its switch interval:

- a wake-up: from the moment that a worker is named in an effect until it pulls, and from the moment that an answer is
  handed to a loop until that loop's thread has it;
- a handback: what a thread waits for the interpreter after a C call. It is the time of the call that is no time of the
  thread's own, and a loop's thread pays it as a worker does. Calls of up to `BRIEF_CALL` are looked at apart: who waits
  for the interpreter takes longer than that to wake up, so that it is mostly free still when they return.

What was seen of these is believed for about a second. Whoever avoids a way learns nothing more about it, and has to
try it again.
"""

from __future__ import annotations

from collections.abc import Sequence

from .cost import CostModel, Scaling, Work
from .messages import Batch
from .policy import BRIEF_CALL

__all__ = ["WAKE_SECONDS", "Lately", "Machine"]

WAKE_SECONDS = 30e-6
"""A wake-up in one direction, until one was seen."""
LONGEST_DELAY = 20e-3
"""More than this is not a matter of the interpreter, but of a machine that stood still."""
ALONE = 0.25
"""Fewer than so many busy threads beside a C call, on average, are as good as none."""
SWITCH_SECONDS = 5e-3
"""Python's switch interval, unless somebody has set another."""
HALF_LIFE = 1.0
"""Seconds after which half of what was seen is forgotten."""
GAIN = 0.25
BRIEF_GAIN = 0.03
"""For calls of which most wait for nothing, and a few for milliseconds."""


class Lately:
    """A duration that is followed quickly, and forgotten in favour of what is usual.

    Args:
        usual: Seconds, until something was seen and when that is long ago.
        gain: How much one observation counts.
    """

    __slots__ = ("_at", "_excess", "_gain", "_usual")

    def __init__(self, usual: float, gain: float = GAIN) -> None:
        self._usual = usual
        self._gain = gain
        self._excess = 0.0
        self._at = 0.0

    def value(self, now: float) -> float:
        """Seconds, as far as is known at this time."""
        excess = self._excess
        if excess == 0.0:
            return self._usual
        age = now - self._at
        return self._usual + (excess * 0.5 ** (age / HALF_LIFE) if age > 0 else excess)

    def observe(self, seconds: float, now: float) -> None:
        """Learns from one."""
        # Comparisons, because min() and max() take as long again, and two of these are made for every batch.
        if seconds < 0.0:
            seconds = 0.0
        elif seconds > LONGEST_DELAY:
            seconds = LONGEST_DELAY
        excess, age = self._excess, now - self._at
        if age > 0 and excess != 0.0:
            excess *= 0.5 ** (age / HALF_LIFE)
        self._excess = excess + self._gain * (seconds - self._usual - excess)
        self._at = now


class Machine:
    """See the module's docstring. Not thread-safe: the core uses it under its own lock.

    Args:
        workers: How many there are.
        cost: Predicts seconds.
        now: The time, in seconds, as in all further calls.
    """

    def __init__(self, workers: int, cost: CostModel, now: float) -> None:
        self.cost = cost
        self.scaling = Scaling(workers)
        self.wake = Lately(WAKE_SECONDS)
        """From an effect that names a worker until it pulls."""
        self.notice = Lately(WAKE_SECONDS)
        """From a worker's answer until the loop has it."""
        self.handback = Lately(0.0)
        """After a C call, until the thread goes on."""
        self.brief_handback = Lately(0.0, BRIEF_GAIN)
        """The same after a call so brief that nobody who waits for the interpreter is awake by then, mostly."""
        self._busy = 0.0
        self._busy_at = now
        self._loops = 0.0
        self._owed = 0.0

    # Who was busy beside whom

    def loops_will(self, seconds: float) -> None:
        """Loops have so much work of their own before them, for requests and answers."""
        self._owed += seconds

    def loops_did(self, seconds: float) -> None:
        """Inline work held a loop."""
        self._loops += seconds

    def pulled(self, batch: Batch, active: int, now: float) -> None:
        """A worker has a new batch, beside so many others."""
        self._sum(active, now)
        batch.busy_before, batch.loops_before = self._busy, self._loops

    def finished(self, batch: Batch, active: int, now: float) -> tuple[float, float]:
        """A worker's batch is over.

        Args:
            active: The batches on workers, this one included.

        Returns:
            How many workers, and how many loops, were busy beside it, on average.
        """
        self._sum(active, now)
        duration = now - batch.pulled
        if duration <= 0:
            return 0.0, 0.0
        beside = (self._busy - batch.busy_before) / duration - 1
        loops = (self._loops - batch.loops_before) / duration
        return (beside if beside > 0.0 else 0.0), (loops if loops < 1.0 else 1.0)

    def _sum(self, active: int, now: float) -> None:
        passed = now - self._busy_at
        if active:
            self._busy += active * passed
        worked = self._owed
        if worked > passed:
            worked = passed
        self._loops += worked
        self._owed -= worked
        self._busy_at = now

    # Learning

    def learn_handback(self, predicted: float, handback: float, now: float, *, sampled: bool = True) -> None:
        """A loop's own C call is over.

        Args:
            predicted: Seconds that it was to take.
            handback: In so many more its thread was not at work.
            now: The time.
            sampled: It is looked at whatever it took. Of brief calls, only these say what they wait on average.
        """
        if predicted > BRIEF_CALL:
            self.handback.observe(handback, now)
        elif sampled:
            # The first of all are cold, and longer than any wait for the interpreter.
            self.brief_handback.observe(min(handback, SWITCH_SECONDS), now)

    def learn_scaling(
        self, works: Sequence[Work], seconds: float, handback: float, beside: float, loops: float, now: float
    ) -> None:
        """A C call of a worker made these.

        Args:
            works: What it made.
            seconds: It took, traces in Python not included.
            handback: In so many of them its thread was not at work.
            beside: Other workers that were busy meanwhile, on average.
            loops: Loops that were.
            now: The time.
        """
        predict = self.cost.predict_proof
        predicted = predict(works[0]) if len(works) == 1 else sum(map(predict, works))
        # Two threads that share a core take twice as long, and no longer; and whoever waits for the interpreter beside
        # busy Python waits for one switch interval.
        for_python = handback > predicted or 0.8 * SWITCH_SECONDS < handback < 1.3 * SWITCH_SECONDS
        if for_python or beside + loops < ALONE:
            self.handback.observe(handback, now)
        if not for_python:
            # What is waited for in any case says nothing about cores. The rest does.
            seconds -= min(handback, self.handback.value(now))
            self.scaling.observe(seconds / predicted, beside, loops, now)

    def learn_cost(self, works: Sequence[Work], seconds: float, others: float, now: float) -> None:
        """A C call made these beside so many others: the cost model is taught what it would have taken alone.

        Args:
            works: What it made.
            seconds: The thread was at work.
            others: Workers and loops that were busy beside it, on average.
            now: The time.
        """
        slowdown = max(1.01, self.scaling.slowdown(others, now)) if others > 0.1 else 1.0
        self.cost.observe(works, seconds, slowdown=slowdown)
