"""``make bench``: speed and memory on one core. Medians, after a warm-up; each large proof in a process of its own."""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from aprover import Fibonacci, Poseidon2Chain, Program, prover, verify
from aprover.backends import Control, backend_named
from aprover.proof import shape_of
from aprover.security import choose

SEED = tuple(range(16))
CASES: dict[str, tuple[Program, int]] = {
    "Fibonacci(20)": (Fibonacci(20), 400),
    "Fibonacci(200)": (Fibonacci(200), 200),
    "Fibonacci(2^10)": (Fibonacci(2**10), 100),
    "Fibonacci(2^14)": (Fibonacci(2**14), 10),
    "Fibonacci(2^17)": (Fibonacci(2**17), 3),
    "Fibonacci(2^20)": (Fibonacci(2**20), 2),
    "Poseidon2Chain(8)": (Poseidon2Chain(SEED, 8), 50),
    "Poseidon2Chain(2^10)": (Poseidon2Chain(SEED, 2**10), 3),
}
TARGETS = (
    "Targets on one core: Fibonacci(20) proved and verified in under 100 us each; 2^20 rows in under 1.5 s and 500 MiB."
)


def median(call: Callable[[], Any], repeats: int) -> float:
    """Seconds of the median of `repeats` calls, after one that is not counted where there are many."""
    if repeats > 3:
        call()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def peak_mib() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def measure(name: str) -> dict[str, float]:
    """One case, in this process, whose peak memory is then that of the case."""
    program, repeats = CASES[name]
    before = peak_mib()
    air, statement = program.compiled(), program.statement()
    parameters = choose(shape_of(air), 100)
    proof = backend_named("stark").prove(program, security=100, prefer="time", control=Control())
    publics, data = air.publics(statement), statement.to_bytes()
    return {
        "rows": air.height,
        "prove": median(lambda: prover.prove(program, parameters), repeats),
        "verify": median(lambda: prover.verify(air, publics, data, proof.body), max(repeats, 20)),
        "verify_all": median(lambda: verify(proof), max(repeats, 20)),
        "bytes": len(proof),
        "bits": proof.security.proven_bits,
        "mib": peak_mib() - before,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--case", choices=CASES, help="measure one case in this process and print it as JSON")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case)))
        return
    results = {}
    if not options.json:
        print(f"{platform.machine()}, {prover.instruction_set()}, Python {platform.python_version()}, one core")
        print(f"{'':22}{'rows':>9}{'prove us':>12}{'verify us':>11}{'all of it':>11}{'bytes':>9}{'bits':>7}{'MiB':>7}")
    for name in CASES:
        words = [sys.executable, "-m", "benchmarks.speed", "--case", name]
        r = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        results[name] = r
        if not options.json:
            times = f"{r['prove'] * 1e6:12,.0f}{r['verify'] * 1e6:11,.0f}{r['verify_all'] * 1e6:11,.0f}"
            print(f"{name:22}{r['rows']:9,}{times}{r['bytes']:9,}{r['bits']:7.1f}{r['mib']:7.0f}", flush=True)
    note = f"'verify' is the C call, 'all of it' is aprover.verify(). {TARGETS}"
    print(json.dumps(results) if options.json else note)


if __name__ == "__main__":
    main()
