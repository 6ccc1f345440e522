"""How well the cost model predicts proofs that it was not fitted to, and how long an engine's first use takes for it.

Every program that is shipped, plain and zero-knowledge, in traces of 2^3 to 2^20 rows. What is measured is the thread's
own time, without a trace() in Python, which is learned apart. ``python -m benchmarks.engine_cost`` prints the weights
that fit this machine.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from aprover.engine import calibration
from aprover.engine.calibration import Point
from aprover.engine.cost import FEATURES, PRIOR_WEIGHTS, CostModel
from aprover.engine.families import every_family

from .measuring import Figure, median, quantile

TARGET_MEDIAN, TARGET_95 = 10.0, 30.0
"""Per cent."""
TARGET_FIRST_USE = 200.0
"""Milliseconds."""

FIRST_USE = """
import time
from aprover.engine import calibration
begun = time.perf_counter()
points = calibration.measure()
calibration.fitted(points).dumps()
print(len(points), time.perf_counter() - begun)
"""


def _first_use(runs: int) -> list[tuple[int, float]]:
    """Shapes and seconds of the first calibration of a process."""
    found = []
    for _ in range(runs):
        done = subprocess.run([sys.executable, "-c", FIRST_USE], capture_output=True, text=True, check=True)
        count, seconds = done.stdout.split()
        found.append((int(count), float(seconds)))
    return found


def _errors(model: CostModel, points: Sequence[Point], name: str, targets: bool = True) -> list[Figure]:
    found = {str(point.family): 100 * abs(model.predict_proof(point.work) / point.seconds - 1) for point in points}
    errors = list(found.values())
    worst = max(found, key=lambda family: found[family])
    return [
        Figure(f"{name}, median error", median(errors), "%", TARGET_MEDIAN if targets else None),
        Figure(
            f"{name}, 95th percentile",
            quantile(errors, 0.95),
            "%",
            TARGET_95 if targets else None,
            note=f"{len(errors)} shapes; worst: {worst}, {found[worst]:.0f} %",
        ),
    ]


def bench_cost(quick: bool) -> list[Figure]:
    """The cost model's errors over all programs and sizes, as it is shipped and as an engine's first use fits it."""
    firsts = _first_use(1 if quick else 5)
    probes = calibration.measure()
    probed = {str(point.family) for point in probes}
    points = calibration.measure(every_family(12 if quick else 20), seconds=5.0 if quick else 60.0)
    unseen = [point for point in points if str(point.family) not in probed]
    half = [calibration.fitted(points[start::2]) for start in (0, 1)]
    held_out = [
        abs(half[1 - i % 2].predict_proof(point.work) / point.seconds - 1) * 100 for i, point in enumerate(points)
    ]
    return [
        *_errors(CostModel(), points, "as shipped", targets=False),
        *_errors(calibration.fitted(probes), unseen, "fitted at first use, to others"),
        Figure("fitted to each half, the other: median error", median(held_out), "%", TARGET_MEDIAN),
        Figure("fitted to each half, the other: 95th percentile", quantile(held_out, 0.95), "%", TARGET_95),
        Figure(
            "a first use measures and fits in",
            min(seconds for _, seconds in firsts) * 1e3,
            "ms",
            TARGET_FIRST_USE,
            note=f"best of {len(firsts)}; {max(count for count, _ in firsts)} of {len(calibration.PROBES)} shapes",
        ),
    ]


def main() -> None:
    """Prints what `PRIOR_WEIGHTS` would be if they were fitted to this machine, now."""
    points = calibration.measure(every_family(20), seconds=60.0)
    model = calibration.fitted(points)
    for name, before, after in zip(FEATURES, PRIOR_WEIGHTS, model.weights, strict=True):
        print(f"    {after:.1e},  # {name}, was {before:.1e}")
    for figure in (*_errors(CostModel(), points, "before"), *_errors(model, points, "after")):
        print(f"{figure.name}: {figure.value:.1f} {figure.unit} {figure.note}")


if __name__ == "__main__":
    main()
