"""``make bench``, the sweep: time, size and memory of one proof on one core, from 2^5 rows to 2^22.

Medians, after proofs that are not counted; each case in a process of its own, whose peak memory is then that of the
case. The time to prove is that of one call of C, or of sixteen proofs in one call where that is worth anything.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aprover import Fibonacci, Poseidon2Chain, Program, prover, verify
from aprover.backends import Control, backend_named
from aprover.proof import shape_of
from aprover.security import choose

from .machine import MOST_WAITED, RESULTS, machine, scheduled, waited_since
from .measuring import median

SEED = tuple(range(16))
LOG_SIZES = (5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22)
SWEEP: dict[str, Program] = {f"Fibonacci(2^{k})": Fibonacci(2**k) for k in LOG_SIZES}
CASES: dict[str, Program] = {
    "Fibonacci(20)": Fibonacci(20),
    "Fibonacci(200)": Fibonacci(200),
    **SWEEP,
    "Poseidon2Chain(8)": Poseidon2Chain(SEED, 8),
    "Poseidon2Chain(2^10)": Poseidon2Chain(SEED, 2**10),
    "Poseidon2Chain(2^14)": Poseidon2Chain(SEED, 2**14),
}
STRETCH = 0.4
"""Seconds spent on each measurement of a case, if one proof does not take longer."""
WARM = 0.2
FEWEST, MOST = 3, 1000
TOGETHER = 16
LARGEST_TOGETHER = 2**12
"""Rows up to which proofs are also made several in one call."""


def timed(call: Callable[[], Any]) -> float:
    """Seconds that this thread worked: what a clock on the wall would say on a machine with nothing else to do."""
    begun = time.thread_time()
    call()
    return time.thread_time() - begun


def repeated(call: Callable[[], float]) -> float:
    """The median of what `call` says it took, after some that are not counted: a cold core takes twice as long."""
    warm = time.perf_counter() + WARM
    first = call()
    while time.perf_counter() < warm:
        first = call()
    return median([call() for _ in range(max(FEWEST, min(MOST, int(STRETCH / max(first, 1e-7)))))])


def peak_mib() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def measure(program: Program) -> dict[str, Any]:
    """One case, in this process. Times in seconds."""
    air, statement = program.compiled(), program.statement()
    parameters = choose(shape_of(air), 100)
    publics, data = air.publics(statement), statement.to_bytes()
    before, begun = peak_mib(), scheduled()

    def together(count: int) -> float:
        prepared = [prover.prepare(program, parameters) for _ in range(count)]
        return timed(lambda: prover.prove_prepared(prepared)) / count

    prove = repeated(lambda: together(1))
    peak = peak_mib() - before
    proof = backend_named("stark").prove(program, security=100, prefer="time", control=Control())
    figures: dict[str, Any] = {
        "rows": air.height,
        "columns": air.columns,
        "blowup": 1 << parameters.log_blowup,
        "queries": parameters.queries,
        "grinding_bits": parameters.grinding_bits,
        "prove": prove,
        "prove_together": repeated(lambda: together(TOGETHER)) if air.height <= LARGEST_TOGETHER else prove,
        "verify": repeated(lambda: timed(lambda: prover.verify(air, publics, data, proof.body))),
        "verify_all": repeated(lambda: timed(lambda: verify(proof))),
        "bytes": len(proof),
        "bits": proof.security.proven_bits,
        "mib": peak,
    }
    if isinstance(program, Poseidon2Chain):
        figures["fastest"] = without_limit(program)
    return figures | {"waited": waited_since(begun)}


def without_limit(program: Program) -> dict[str, Any]:
    """The same with ``prefer="fastest"``, for programs with so many columns that it changes the parameters."""
    parameters = choose(shape_of(program.compiled()), 100, prefer="fastest")

    def once() -> float:
        prepared = [prover.prepare(program, parameters)]
        return timed(lambda: prover.prove_prepared(prepared))

    return {
        "blowup": 1 << parameters.log_blowup,
        "queries": parameters.queries,
        "grinding_bits": parameters.grinding_bits,
        "prove": repeated(once),
        "bytes": len(backend_named("stark").prove(program, security=100, prefer="fastest", control=Control())),
    }


def growth(results: dict[str, dict[str, Any]], low: int, high: int) -> float | None:
    """Time at 2^high rows over that at 2^low, divided by what n log n would give; None if either was not measured."""
    ends = [results.get(f"Fibonacci(2^{k})") for k in (low, high)]
    if ends[0] is None or ends[1] is None:
        return None
    return float(ends[1]["prove"] / ends[0]["prove"] / (high * 2**high / (low * 2**low)))


def in_process_of_its_own(name: str) -> dict[str, Any]:
    words = [sys.executable, "-m", "benchmarks.speed", "--case", name]
    result: dict[str, Any] = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return result


def sweep(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Measures and shows each case."""
    titles = f"{'prove us':>12}{'of 16 us':>12}{'verify us':>11}{'all of it':>11}{'bytes':>9}{'bits':>7}{'MiB':>7}"
    print(f"{'':22}{'rows':>9}{titles}  blowup, queries, grinding")
    results = {}
    for name in names:
        r = results[name] = in_process_of_its_own(name)
        times = f"{r['prove'] * 1e6:12,.1f}{r['prove_together'] * 1e6:12,.1f}{r['verify'] * 1e6:11,.0f}"
        rest = f"{r['verify_all'] * 1e6:11,.0f}{r['bytes']:9,}{r['bits']:7.1f}{r['mib']:7.0f}"
        chosen = f"{r['blowup']}, {r['queries']}, {r['grinding_bits']}"
        print(f"{name:22}{r['rows']:9,}{times}{rest}  {chosen}", flush=True)
        if "fastest" in r:
            usual, fastest = (r["rows"] / one["prove"] for one in (r, r["fastest"]))
            print(f'{"":22}permutations a second: {usual:,.0f}; {fastest:,.0f} with prefer="fastest"', flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.speed", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(CASES)}; all, if there is none")
    parser.add_argument(
        "--json", type=Path, help=f"where the figures go; {RESULTS / 'speed.json'}, if all are measured"
    )
    parser.add_argument("--case", choices=CASES, help="measure one case in this process and print it as JSON")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - CASES.keys())
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}")
    if options.case:
        print(json.dumps(measure(CASES[options.case])))
        return
    about = machine()
    print(f"{about['processor']}, {about['instruction_set']}, one core, load {about['load']} before the start")
    results = sweep(options.names or CASES)
    waited = max(case["waited"] for case in results.values())
    if waited > MOST_WAITED:
        print(f"On a busy machine: the processes waited for a core up to {waited:.0%} of their time.")
    factor = growth(results, 10, 22)
    if factor is not None:
        verdict = "no worse than" if factor <= 1 else "WORSE than"
        print(f"From 2^10 to 2^22 rows the time grows {factor:.2f} times as much as n log n: {verdict} n log n.")
    print("'of 16' is one of sixteen in one call; 'verify' is the C call, 'all of it' is aprover.verify().")
    path = options.json or (None if options.names else RESULTS / "speed.json")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": about, "growth": factor, "cases": results}, indent=1) + "\n")
        print(f"figures: {path}")


if __name__ == "__main__":
    main()
