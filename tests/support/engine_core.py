"""What the tests of the deciding core share: waiters, requests and works that are only data, and a hand clock."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import cast

import attrs

from aprover.engine.core import Core
from aprover.engine.cost import FEATURES, PRIOR_WEIGHTS, CostModel, Work
from aprover.engine.policy import AlwaysOffload, Policy
from aprover.proof import Proof

MICROSECOND = 1e-6


def proof(data: bytes = b"proof") -> Proof:
    """What stands for a proof: the core keeps it, weighs it and hands it on, and looks at nothing in it."""
    return cast(Proof, data)


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@attrs.define(eq=False)
class FakeWaiter:
    """A waiter of a port."""

    port: Hashable
    name: int | str = ""


@attrs.define
class FakeRequest:
    """A request whose key is all there is of it."""

    key: Hashable
    key_bytes: int = 16
    proves: bool = True
    known: Work | None = attrs.field(factory=lambda: work(100e-6))
    memory_limit: int | None = None

    def known_work(self) -> Work | None:
        """What is known by now."""
        return self.known


def work(seconds: float, *, trace: str | None = None, splittable: bool = True, rows: int = 8) -> Work:
    """A work that a fresh model predicts to take `seconds`, a trace() in Python not included."""
    counts = dict.fromkeys(FEATURES, 0.0)
    count = seconds / PRIOR_WEIGHTS[0]
    while count * PRIOR_WEIGHTS[0] > seconds:  # by rounding, and a budget is to hold as many as it says
        count = math.nextafter(count, 0.0)
    counts["call"] = count
    return Work(tuple(counts.values()), rows, trace, splittable=splittable)


def make_core(clock: HandClock, *, policy: Policy | None = None, workers: int = 2, **options: object) -> Core:
    """A core that offloads everything unless told otherwise. Proofs are bytes."""
    chosen = AlwaysOffload() if policy is None else policy
    return Core(workers=workers, policy=chosen, cost=CostModel(), clock=clock, **options)  # type: ignore[arg-type]
