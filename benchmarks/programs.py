"""``make bench-programs``: what proofs of the programs cost, in three sizes each, and what zero knowledge adds.

On one thread, making the trace included; medians, each case in a process of its own, and the masked one next to the
plain one. MiB is what making the proof adds to the process's memory at its peak.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from aprover import (
    Fibonacci,
    FibonacciU64,
    MerkleMembership,
    Poseidon2Chain,
    Program,
    Proof,
    RangeProof,
    Sha256,
    Transfers,
    prover,
    security,
    verify,
)
from aprover.proof import shape_of

from .machine import MOST_WAITED, RESULTS, machine, scheduled, waited_since
from .measuring import median
from .speed import peak_mib, timed

EXAMPLES = Path(__file__).parent.parent / "examples"
DIGEST = tuple(range(8))
SALT = tuple(range(1, 8))


def membership(depth: int) -> MerkleMembership:
    """A leaf between siblings of no meaning."""
    from aprover.programs.poseidon2 import compress

    node = DIGEST
    for _ in range(depth):
        node = compress(node, DIGEST)
    return MerkleMembership(root=node, leaf=DIGEST, path=(DIGEST,) * depth, position=0)


def transfers(accounts: int, count: int) -> Transfers:
    """Small payments between all accounts."""
    source = random.Random(accounts)
    moves = [(source.randrange(accounts), source.randrange(accounts), source.randrange(9)) for _ in range(count)]
    return Transfers((10**6,) * accounts, tuple(moves), SALT)


def example(name: str, cls: str, *arguments: object) -> Program:
    """A program of a file in examples/."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Program, getattr(module, cls)(*arguments))


def recurrence(n: int) -> Program:
    return example("linear_recurrence", "LinearRecurrence", (1, 2, 3), (1, 1, 1), n)


def sorting(count: int) -> Program:
    return example("sort", "Sort", tuple(random.Random(count).randrange(2**29) for _ in range(count)))


CASES: dict[str, Callable[[], Program]] = {
    "Fibonacci 2^10": lambda: Fibonacci(2**10),
    "Fibonacci 2^14": lambda: Fibonacci(2**14),
    "Fibonacci 2^17": lambda: Fibonacci(2**17),
    "FibonacciU64 2^10": lambda: FibonacciU64(2**10),
    "FibonacciU64 2^14": lambda: FibonacciU64(2**14),
    "FibonacciU64 2^18": lambda: FibonacciU64(2**18),
    "Poseidon2Chain 8": lambda: Poseidon2Chain(tuple(range(16)), 8),
    "Poseidon2Chain 2^7": lambda: Poseidon2Chain(tuple(range(16)), 2**7),
    "Poseidon2Chain 2^10": lambda: Poseidon2Chain(tuple(range(16)), 2**10),
    "Sha256 64 bytes": lambda: Sha256(bytes(64)),
    "Sha256 4 KiB": lambda: Sha256(bytes(2**12)),
    "Sha256 64 KiB": lambda: Sha256(bytes(2**16)),
    "MerkleMembership 4": lambda: membership(4),
    "MerkleMembership 20": lambda: membership(20),
    "MerkleMembership 40": lambda: membership(40),
    "RangeProof 64 bits": lambda: RangeProof(1, 0, 2**64 - 1, (1, 2, 3, 4)),
    "Transfers 8, 8": lambda: transfers(8, 8),
    "Transfers 64, 256": lambda: transfers(64, 256),
    "Transfers 512, 4096": lambda: transfers(512, 4096),
    "LinearRecurrence 2^10": lambda: recurrence(2**10 - 1),
    "LinearRecurrence 2^14": lambda: recurrence(2**14 - 1),
    "LinearRecurrence 2^17": lambda: recurrence(2**17 - 1),
    "Sort 8": lambda: sorting(8),
    "Sort 100": lambda: sorting(100),
    "Sort 2000": lambda: sorting(2000),
}


def median_of(call: Callable[[], Any], repeats: int) -> float:
    """Seconds of the median of `repeats` calls, after one that is not counted where there are many."""
    if repeats > 3:
        call()
    return median([timed(call) for _ in range(repeats)])


def measure(name: str, zk: bool) -> dict[str, Any]:
    """One case, in this process, whose peak memory is then that of the case."""
    program = CASES[name]()
    air, statement = program.compiled(zk=zk), program.statement()
    shape = shape_of(air)
    parameters = security.choose(shape, 100, zk=zk)
    before, begun = peak_mib(), scheduled()
    proof = Proof("stark", statement, prover.prove(program, parameters))  # commits to preprocessed columns, once
    used = peak_mib() - before
    once = median_of(lambda: prover.prove(program, parameters), 1)
    figures = {
        "rows": [table.height for table in air.tables],
        "columns": [table.columns for table in air.tables],
        "prove": median_of(lambda: prover.prove(program, parameters), max(3, min(100, int(2 / once)))),
        "verify": median_of(lambda: verify(proof, program=type(program)), 20),
        "bytes": len(proof),
        "mib": used,
        "bits": security.security_report(shape, parameters).proven_bits,
    }
    return figures | {"waited": waited_since(begun)}


def _in_process_of_its_own(name: str, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.programs", "--case", name, *words]
    result: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return result


def _line(name: str, plain: dict[str, Any], masked: dict[str, Any]) -> str:
    shape = "".join(f"{' '.join(map(str, plain[what])):>{width}}" for what, width in (("rows", 26), ("columns", 14)))
    times = f"{plain['prove'] * 1e3:10,.2f}{plain['verify'] * 1e3:10,.2f}"
    rest = f"{plain['bytes']:9,}{plain['mib']:6.0f}{plain['bits']:7.1f}"
    return f"{name:22}{shape}{times}{rest}{masked['prove'] / plain['prove']:7.1f}{masked['bytes']:11,}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.programs", description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of cases' names; all by default")
    parser.add_argument(
        "--json", type=Path, help=f"where the figures go; {RESULTS / 'programs.json'}, if all are measured"
    )
    parser.add_argument("--case", choices=CASES, help="measure one case in this process and print it as JSON")
    parser.add_argument("--zk", action="store_true", help="with --case: of a zero-knowledge proof")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.zk)))
        return
    about = machine()
    print(f"{about['processor']}, {about['instruction_set']}, one thread, load {about['load']} before the start")
    titles = f"{'rows of tables':>26}{'columns':>14}{'prove ms':>10}{'verify ms':>10}{'bytes':>9}{'MiB':>6}{'bits':>7}"
    print(f"{'':22}{titles}{'zk, x':>7}{'zk, bytes':>11}")
    results = {}
    for name in CASES:
        if options.names and not name.startswith(tuple(options.names)):
            continue
        plain, masked = _in_process_of_its_own(name), _in_process_of_its_own(name, "--zk")
        results[name] = plain | {"zk": masked}
        print(_line(name, plain, masked), flush=True)
    waited = max(case["waited"] for both in results.values() for case in (both, both["zk"]))
    if waited > MOST_WAITED:
        print(f"On a busy machine: the processes waited for a core up to {waited:.0%} of their time.")
    path = options.json or (None if options.names else RESULTS / "programs.json")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": about, "cases": results}, indent=1) + "\n")
        print(f"figures: {path}")


if __name__ == "__main__":
    main()
