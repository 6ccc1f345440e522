"""What the deciding core knows of one event loop: the budget of a pass, and how many requests come together."""

from __future__ import annotations

import math
from collections.abc import Hashable

from .flights import FlightQueue
from .policy import TICK_BUDGET, Choice

__all__ = ["LoopState"]

USUAL_GAIN = 0.5
"""How quickly the core follows how many requests usually come together, in the logarithm."""
LAG_GAIN = 0.25


class LoopState:
    """Of one port. Not thread-safe: the core uses it under its own lock.

    Args:
        tick: The number of the loop's current pass.
    """

    __slots__ = (
        "_flights_usual",
        "_requests_usual",
        "announced",
        "arrivals",
        "caller",
        "choices",
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
        """Seconds of this pass that hits and inline work took."""
        self.arrivals = 0
        """Flights opened in this pass, one after the other by the same caller counted once."""
        self.requests = 0
        """The same with hits and joins."""
        self.caller: Hashable = None
        self.choices: dict[tuple[float, ...], Choice] = {}
        """What the policy said in this pass, by the prediction and the load that it was asked about."""
        self.usual_flights = 1.0
        """How many open in a pass in which any do."""
        self.usual_requests = 1.0
        """How many requests come in such a pass."""
        self._flights_usual = self._requests_usual = 0.0  # their logarithms
        self.lag = 0.0
        """Seconds by which the loop comes late, lately."""
        self.small = FlightQueue()
        """Until the end of the pass: flights that may run on this loop's thread."""
        self.large = FlightQueue()
        """Until the end of the pass: all others."""
        self.announced = False
        """It was told to call `Core.dispatch`."""

    def enter(self, tick: int) -> None:
        """Another pass has begun."""
        if self.arrivals and (self.requests > 1 or self._requests_usual > 1e-3):
            self._flights_usual += USUAL_GAIN * (math.log(self.arrivals) - self._flights_usual)
            self._requests_usual += USUAL_GAIN * (math.log(self.requests) - self._requests_usual)
            self.usual_flights, self.usual_requests = math.exp(self._flights_usual), math.exp(self._requests_usual)
        self.tick, self.spent, self.arrivals, self.requests, self.caller = tick, 0.0, 0, 0, None
        if self.choices:
            self.choices.clear()

    def arrive(self, caller: Hashable) -> None:
        """A request opens a flight."""
        if caller is None or caller != self.caller:
            self.arrivals += 1
            self.requests += 1
            self.caller = caller

    def is_late(self, lag: float) -> None:
        """This pass came so many seconds after it was wanted."""
        self.lag += LAG_GAIN * (lag - self.lag)

    def affords(self, cost: float) -> bool:
        """Whether the budget has room. The first in a pass always goes, so that something always does."""
        return self.spent == 0.0 or self.spent + cost <= TICK_BUDGET
