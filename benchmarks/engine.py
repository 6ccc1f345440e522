"""``make bench-engine``: what the engine costs, and what it is worth; each figure with its target.

What a figure is compared with runs interleaved with it in the same run, since machines change from minute to minute.
On a machine that is busy with something else, believe the ratios, and of those the ones with a control that scales.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable

import attrs

from .engine_calls import bench_batches, bench_events, bench_hits, bench_identical, bench_inline, bench_offload
from .engine_cost import bench_cost
from .engine_load import bench_beside, bench_naive, bench_soak
from .engine_regret import bench_regret
from .engine_split import bench_split
from .engine_stalls import bench_stalls
from .measuring import Figure

BENCHMARKS: dict[str, Callable[[bool], list[Figure]]] = {
    "hits": bench_hits,
    "inline": bench_inline,
    "offload": bench_offload,
    "batches": bench_batches,
    "identical": bench_identical,
    "events": bench_events,
    "naive": bench_naive,
    "stalls": bench_stalls,
    "soak": bench_soak,
    "beside": bench_beside,
    "split": bench_split,
    "cost": bench_cost,
    "regret": bench_regret,
}


def line(figure: Figure) -> str:
    """One figure for people."""
    number = f"{figure.value:,.2f} {figure.unit}"
    target = "" if figure.target is None else f"{'>=' if figure.at_least else '<='} {figure.target:,.2f}"
    verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
    return f"{figure.name:<48} {number:>18} {target:>12} {verdict:<7} {figure.note}".rstrip()


APART = frozenset({"regret"})
"""Takes 20 minutes, and so runs only if it is named."""


def show(name: str, figures: list[Figure], *, as_json: bool) -> None:
    """One line for each figure."""
    for figure in figures:
        if as_json:
            print(json.dumps({"benchmark": name, **attrs.asdict(figure), "met": figure.met}))
        else:
            print(line(figure))
    sys.stdout.flush()


def main() -> None:
    described = "; ".join(f"{name}: {str(run.__doc__).splitlines()[0]}" for name, run in BENCHMARKS.items())
    parser = argparse.ArgumentParser(prog="benchmarks.engine", description=__doc__, epilog=described)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHMARKS)}; all but regret, if none is given"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and smaller loads")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of the table")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - BENCHMARKS.keys())
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    if not options.json:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
        print(f"{os.cpu_count()} cores, load {load:.1f} before the start")
    for name in options.names or [name for name in BENCHMARKS if name not in APART]:
        begun = time.perf_counter()
        show(name, BENCHMARKS[name](options.quick), as_json=options.json)
        print(f"{name} took {time.perf_counter() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
