"""``make bench-aggregates``: what a statement costs in an aggregate, beside the same number of single proofs.

On one thread and without an engine, fresh inputs each time; the arms take turns in random order, and the figures are
medians. "C" is the one C call alone, traces included; "all" begins with the program objects and ends with the proof.
The engine's figure is one ``await prove_batch(..., aggregate=True)`` from a trio task to a worker and back.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
import trio

import aprover
from aprover import AggregateProof, Fibonacci, Poseidon2Chain, Program, Sha256, verify
from aprover.backends import Control, Prefer, aggregating, prepare_aggregate
from aprover.loading import lib

from .machine import RESULTS, machine
from .measuring import interleaved, make, median

_numbers = itertools.count(1)
SINGLE = 64
"""Of the single proofs of an arm so many are made, and the rest is taken to last as long."""


def fibonacci(count: int) -> list[Program]:
    return [Fibonacci(20, next(_numbers)) for _ in range(count)]


def mixed(count: int) -> list[Program]:
    """Three shapes, a third each."""
    found: list[Program] = []
    for i in range(count):
        number = next(_numbers)
        kinds = (
            Fibonacci(20, number),
            Poseidon2Chain(tuple(range(number, number + 16)), 8),
            Sha256(number.to_bytes(8, "little")),
        )
        found.append(kinds[i % 3])
    return found


CASES: dict[str, tuple[Callable[[int], list[Program]], int]] = {
    "1 Fibonacci(20)": (fibonacci, 1),
    "16 Fibonacci(20)": (fibonacci, 16),
    "64 Fibonacci(20)": (fibonacci, 64),
    "256 Fibonacci(20)": (fibonacci, 256),
    "1024 Fibonacci(20)": (fibonacci, 1024),
    "48 mixed": (mixed, 48),
}


@attrs.frozen
class Target:
    """The most that a statement may take, all in, and that its aggregate may weigh."""

    seconds: float
    bytes: float = math.inf


TARGETS = {
    ("256 Fibonacci(20)", "time"): Target(4e-6, 2**16),
    ("256 Fibonacci(20)", "fastest"): Target(2.5e-6),
    ("1024 Fibonacci(20)", "fastest"): Target(2.5e-6),
}


class Measured:
    """Stands in for the C library of the module that proves, and times its one call."""

    def __init__(self) -> None:
        self._real = lib
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def aprover_prove(self, job: Any, error: Any) -> int:
        """As the library's."""
        begun = time.perf_counter()
        status: int = self._real.aprover_prove(job, error)
        self.seconds = time.perf_counter() - begun
        return status


def together(programs: Sequence[Program], prefer: Prefer) -> AggregateProof:
    return prepare_aggregate(programs, security=100, prefer=prefer).prove(Control())


def timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def alone(programs: Sequence[Program]) -> float:
    """Seconds for single proofs of all."""
    some = programs[:SINGLE]
    return timed(lambda: [make(program) for program in some]) * len(programs) / len(some)


async def through_the_engine(build: Callable[[int], list[Program]], count: int, prefer: Prefer, rounds: int) -> float:
    """Median seconds of one call."""
    times = []
    async with aprover.open_engine(workers=1) as engine:
        for _ in range(rounds + 1):
            programs = build(count)
            begun = time.perf_counter()
            await engine.prove_batch(programs, aggregate=True, prefer=prefer)
            times.append(time.perf_counter() - begun)
    return median(times[1:])


def measure(name: str, prefer: Prefer, rounds: int) -> dict[str, Any]:
    """One case, in seconds a statement."""
    build, count = CASES[name]
    proof = together(build(count), prefer)
    make(build(1)[0])
    in_c: list[float] = []
    library = Measured()

    def aggregated() -> float:
        programs = build(count)
        seconds = timed(lambda: together(programs, prefer))
        in_c.append(library.seconds)
        return seconds

    with mock.patch.object(aggregating, "lib", library):
        times = interleaved({"together": aggregated, "alone": lambda: alone(build(count))}, rounds)
    engine = trio.run(functools.partial(through_the_engine, build, count, prefer, rounds))
    return {
        "statements": count,
        "all": median(times["together"]) / count,
        "c": median(in_c) / count,
        "engine": engine / count,
        "alone": median(times["alone"]) / count,
        "bytes": len(proof),
        "alone_bytes": sum(len(make(program)) for program in build(min(count, 3))) / min(count, 3) * count,
        "verify": median([timed(lambda: verify(proof)) for _ in range(20)]),
        "bits": proof.security.proven_bits,
        "runs": [1 << group.log_slots for group in proof.groups],
        "blowup": 1 << proof.parameters.log_blowup,
        "queries": proof.parameters.queries,
    }


def _verdict(name: str, prefer: Prefer, found: dict[str, Any]) -> str:
    target = TARGETS.get((name, prefer))
    if target is None:
        return ""
    met = found["all"] <= target.seconds and found["bytes"] <= target.bytes
    at = "" if target.bytes == math.inf else f" at {target.bytes / 1024:.0f} KiB"
    return f"  {'met' if met else 'MISSED'}: {target.seconds * 1e6:.1f} us{at}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.aggregates", description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of cases' names; all by default")
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument(
        "--json", type=Path, help=f"where the figures go; {RESULTS / 'aggregates.json'}, if all are there"
    )
    options = parser.parse_args()
    about = machine()
    print(f"{about['processor']}, {about['instruction_set']}, one thread, load {about['load']} before the start")
    print(
        f"{'':19}{'prefer':9}{'us in C':>9}{'us all':>9}{'engine':>9}{'alone':>9}{'bytes':>9}"
        f"{'verify ms':>11}{'bits':>7}"
    )
    results: dict[str, Any] = {}
    for name in CASES:
        if options.names and not name.startswith(tuple(options.names)):
            continue
        for prefer in ("time", "fastest", "size"):
            found = measure(name, prefer, options.rounds)
            results.setdefault(name, {})[prefer] = found
            times = "".join(f"{found[what] * 1e6:9.2f}" for what in ("c", "all", "engine", "alone"))
            rest = f"{found['bytes']:9,}{found['verify'] * 1e3:11.2f}{found['bits']:7.1f}"
            print(f"{name:19}{prefer:9}{times}{rest}{_verdict(name, prefer, found)}", flush=True)
    path = options.json or (None if options.names else RESULTS / "aggregates.json")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": about, "cases": results}, indent=1) + "\n")
        print(f"figures: {path}")


if __name__ == "__main__":
    main()
