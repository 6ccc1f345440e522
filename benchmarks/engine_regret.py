"""``make bench-regret``: is the policy right, on this machine and with real work? Its regret over a grid of loads.

A cell of the grid is a cost of one proof, how many tasks ask at once, how many of their requests repeat others, and
whether a thread beside them is busy with Python. All arms have the same cache and joining, and differ in the policy
only; they are interleaved at random. The better of always inline and always offload is picked on the odd rounds, and
compared with on the even ones.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import random
import threading
import time
from collections.abc import Iterator

import attrs
import trio

import aprover
from aprover import AdaptivePolicy, AlwaysInline, AlwaysOffload, Engine, Fibonacci, FixedPolicy
from aprover.engine.policy import Policy

from .engine_calls import ask_noop
from .measuring import Figure, make, median, program_of_rows, quantile

ROWS = (0, 8, 256, 1024, 4096, 2**14, 2**16, 2**19)
"""Of the proofs: 0 for a request for which nothing is done. About 2 us, 30 us, ... 100 ms."""
CONCURRENCY = (1, 10, 100, 1000)
REPETITION = (0.0, 0.5, 0.9, 0.99)
POLICIES: dict[str, Policy] = {
    "adaptive": AdaptivePolicy(),
    "inline": AlwaysInline(),
    "offload": AlwaysOffload(),
    "fixed": FixedPolicy(),
}
BEST_OF = ("inline", "offload")
LEAST_ROUNDS = 16
"""In each cell, after one to warm up; half of them to pick the best arm, and half to compare."""
MOST_ROUNDS = 31
MOST_SECONDS = 0.1
"""Of proving in one round; heavier cells are left out, unless more is asked for."""
MINUTES = 18.0
"""After these no further cell is begun, unless more is asked for. Which are left is a matter of chance."""
CELL_SECONDS = 20.0
"""After these a cell gets no more rounds than the least."""
GRACE = 2e-6
"""Seconds a request that are not held against the policy."""
RESAMPLES = 500


@attrs.frozen
class Cell:
    """One load."""

    rows: int
    concurrency: int
    repetition: float
    busy: bool

    @property
    def distinct(self) -> int:
        """Different proofs a round."""
        return max(1, round(self.concurrency * (1 - self.repetition)))

    def __str__(self) -> str:
        busy = ", beside busy Python" if self.busy else ""
        return f"{self.rows} rows x {self.concurrency} at {self.repetition:.0%}{busy}"


@attrs.frozen
class Regret:
    """How many times the best fixed arm's time the policy took: the median, and the bounds of its 95 % interval."""

    cell: Cell
    best: str
    ratio: float
    low: float
    high: float
    fixed: float
    """The policy's time relative to that of `FixedPolicy`."""


@contextlib.contextmanager
def busy_python(wanted: bool) -> Iterator[None]:
    """A thread that holds the GIL as often as it can."""
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            sum(range(1000))

    thread = threading.Thread(target=spin)
    if wanted:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if wanted:
            thread.join()


async def _round(engine: Engine, cell: Cell, rng: random.Random) -> float:
    kinds = [program_of_rows(cell.rows) for _ in range(cell.distinct)] if cell.rows else []
    picks = [kinds[i % len(kinds)] for i in range(cell.concurrency)] if cell.rows else []
    rng.shuffle(picks)
    programs = [Fibonacci(kind.n, a=kind.a) for kind in picks]
    begun = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for program in programs:
            nursery.start_soon(engine.prove, program)
        if not cell.rows:
            for _ in range(cell.concurrency):
                nursery.start_soon(ask_noop, engine)
    return time.perf_counter() - begun


async def _cell(cell: Cell, least: int, rounds: int, seconds: float) -> dict[str, list[float]]:
    rng = random.Random(1)
    times: dict[str, list[float]] = {name: [] for name in POLICIES}
    until = time.perf_counter() + seconds
    async with contextlib.AsyncExitStack() as stack:
        engines = {
            name: await stack.enter_async_context(aprover.open_engine(policy=policy))
            for name, policy in POLICIES.items()
        }
        stack.enter_context(busy_python(cell.busy))
        for number in range(rounds + 1):
            for name in rng.sample(list(engines), len(engines)):
                took = await _round(engines[name], cell, rng)
                if number:
                    times[name].append(took)
            if number >= least and number % 2 == 0 and time.perf_counter() > until:
                break
    return times


def regret_of(cell: Cell, times: dict[str, list[float]]) -> Regret:
    """From the seconds of each arm's rounds."""
    best = min(BEST_OF, key=lambda name: median(times[name][0::2]))
    grace = GRACE * cell.concurrency
    pairs = list(zip(times["adaptive"][1::2], times[best][1::2], times["fixed"][1::2], strict=True))

    def ratio(sample: list[tuple[float, float, float]]) -> float:
        return (median([pair[0] for pair in sample]) - grace) / median([pair[1] for pair in sample])

    rng = random.Random(1)
    resampled = [ratio(rng.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES)]
    fixed = median([pair[0] for pair in pairs]) / median([pair[2] for pair in pairs])
    return Regret(cell, best, ratio(pairs), quantile(resampled, 0.025), quantile(resampled, 0.975), fixed)


def _costs() -> dict[int, float]:
    def seconds(rows: int) -> float:
        begun = time.perf_counter()
        make(program_of_rows(rows))
        return time.perf_counter() - begun

    return {rows: min(seconds(rows) for _ in range(3)) if rows else 2e-6 for rows in ROWS}


def cells(most: float, quick: bool) -> list[Cell]:
    """Of the grid, those with no more than `most` seconds of work a round."""
    costs = _costs()
    concurrency = (1, 10, 100) if quick else CONCURRENCY
    repetition = (0.0, 0.9) if quick else REPETITION
    every = (Cell(*values) for values in itertools.product(ROWS, concurrency, repetition, (False, True)))
    return [
        cell
        for cell in every
        if cell.distinct * costs[cell.rows] <= most
        # Nothing is done for these, so nothing is repeated; and one request repeats none.
        and not (cell.repetition and (cell.concurrency == 1 or not cell.rows))
    ]


def _within(found: list[Regret]) -> float:
    """Per cent."""
    return 100 * sum(regret.low < 1.10 for regret in found) / len(found) if found else math.nan


def bench_regret(quick: bool, most: float | None = None, minutes: float = MINUTES) -> list[Figure]:
    """The policy's time over that of the better of always inline and always offload, over the grid. Takes 20 minutes.

    Args:
        quick: A thinned grid, fewer rounds and light cells: a minute or two.
        most: Seconds of proving in one round; heavier cells are left out.
        minutes: After these no further cell is begun.
    """
    rounds, heaviest, seconds = (8, 0.02, 0.5) if quick else (MOST_ROUNDS, MOST_SECONDS, CELL_SECONDS)
    least = 6 if quick else LEAST_ROUNDS
    until = time.perf_counter() + 60 * minutes
    every = len(cells(math.inf, quick))
    grid = cells(heaviest if most is None else most, quick)
    random.Random(1).shuffle(grid)
    found: list[Regret] = []
    for cell in grid:
        if time.perf_counter() > until:
            break
        found.append(regret_of(cell, trio.run(_cell, cell, least, rounds, seconds)))
    if not found:
        return []
    cut = f"{len(found)} of {every} cells; too heavy: {every - len(grid)}, no time for: {len(grid) - len(found)}"
    # A fixed arm is no oracle either; where the interval is wide, the machine was busy with something else.
    bad = [regret for regret in found if regret.low > 1.25]
    worst = max(found, key=lambda regret: regret.low)
    worse = [regret for regret in found if regret.fixed > 1.10]
    figures = [
        Figure("cells within 10 % of the best", _within(found), "%", 95.0, at_least=True, note=cut),
        Figure("  of these on a quiet machine", _within([regret for regret in found if not regret.cell.busy]), "%"),
        Figure("  of these beside busy Python", _within([regret for regret in found if regret.cell.busy]), "%"),
        Figure(
            "cells beyond 25 %", len(bad), "", 0.0, note=f"worst: {worst.cell}, {worst.low:.2f} to {worst.high:.2f}"
        ),
        Figure("median of the regrets", (median([regret.ratio for regret in found]) - 1) * 100, "%"),
        Figure("cells over 10 % slower than FixedPolicy", len(worse), "", note="medians, without an interval"),
    ]
    figures += [
        Figure(f"  {regret.cell}", regret.ratio, f"x {regret.best}", note=f"{regret.low:.2f} to {regret.high:.2f}")
        for regret in sorted(found, key=lambda regret: -regret.low)[:10]
        if regret.low > 1.10
    ]
    return figures


def main() -> None:
    from .engine import show

    parser = argparse.ArgumentParser(prog="benchmarks.engine_regret", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a thinned grid, fewer rounds, light cells")
    parser.add_argument(
        "--most", type=float, metavar="SECONDS", help=f"leave out what takes longer a round; by default {MOST_SECONDS}"
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help="begin no further cell after these")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of the table")
    options = parser.parse_args()
    show("regret", bench_regret(options.quick, options.most, options.minutes), as_json=options.json)


if __name__ == "__main__":
    main()
