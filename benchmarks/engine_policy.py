"""``make bench-policy``: the whole grid of the policy's regret on a virtual clock. `make test` looks at a part of it.

The machine is that of the tests (tests/support/engine_sim.py), with a real deciding core in it: so the figures are the
same everywhere. A cell is what two threads are worth together, the cost of one proof, how many ask at once, and how
many of them repeat others.
"""

from __future__ import annotations

import argparse
import itertools

import attrs

from aprover import AdaptivePolicy, AlwaysInline, AlwaysOffload, FixedPolicy
from aprover.engine.policy import Policy
from tests.support.engine_sim import run_bursts

SCALINGS = (0.8, 1.0, 1.5, 2.0)
COSTS = (2e-6, 5e-6, 10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 100e-3)
CONCURRENCY = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1000)
REPETITION = (0.0, 0.5, 0.9, 0.99)


@attrs.frozen
class Cell:
    """One load, and what the policy's time was relative to the better fixed arm's, and to FixedPolicy's."""

    scaling: float
    seconds: float
    count: int
    repetition: float
    regret: float
    fixed: float


def measure(scaling: float, seconds: float, count: int, repetition: float) -> Cell:
    """Plays some bursts; the adaptive policy is measured after it has learned."""

    def took(policy: Policy, warm_up: int = 0, measured: int = 1) -> float:
        return run_bursts(
            policy,
            scaling=scaling,
            seconds=seconds,
            count=count,
            repetition=repetition,
            warm_up=warm_up,
            measured=measured,
        ).seconds

    ours = took(AdaptivePolicy(), 8 if count < 256 else 5, 4 if count < 256 else 2)
    best = min(took(AlwaysInline()), took(AlwaysOffload()))
    return Cell(scaling, seconds, count, repetition, ours / best, ours / took(FixedPolicy()))


def main() -> None:
    """Prints the cells that miss, or the worst ones, and how many there are."""
    parser = argparse.ArgumentParser(prog="benchmarks.engine_policy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every third cost, and up to 64 at once")
    quick = parser.parse_args().quick
    grid = itertools.product(
        SCALINGS, COSTS[::3] if quick else COSTS, CONCURRENCY[:7] if quick else CONCURRENCY, REPETITION
    )
    cells = [measure(*cell) for cell in grid if not (cell[3] and cell[2] == 1)]
    beyond = [cell for cell in cells if cell.regret > 1.10 or cell.fixed > 1.10]
    print(f"{len(cells)} cells, {len(beyond)} of them more than 10 % slower than the better arm or than FixedPolicy")
    for cell in sorted(cells, key=lambda cell: -max(cell.regret, cell.fixed))[: max(10, len(beyond))]:
        print(
            f"{cell.regret:6.3f} of the better, {cell.fixed:6.3f} of fixed: two threads {cell.scaling},"
            f" {cell.seconds * 1e6:g} us x {cell.count} at {cell.repetition:.0%}"
        )


if __name__ == "__main__":
    main()
