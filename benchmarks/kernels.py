"""What the kernels allow: the work of a proof, counted, times what each kernel needs alone; against the whole proof.

The kernels' times are those of the C microbenchmarks (``make cbench``) in the same run. A transform is taken as it
measures at its size; whatever only streams over its data, at its best. Of the constraints only their weighted sum is
counted, and no bookkeeping, so the sum is a lower bound.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from aprover import Fibonacci, Program, prover
from aprover.proof import shape_of
from aprover.security import Parameters, Shape, choose, layout_of
from aprover.security.costs import trees

from .machine import RESULTS, machine
from .speed import in_process_of_its_own, timed

LOG_SIZES = (10, 14, 18, 20)
LANES = 8
LOG_SIZES_OF_LANES = (3, 4, 5, 6, 8)
ROUNDS = 5
PROFILED = (5, 10, 14, 18, 20)
SAMPLED = 3.0
"""Seconds of a profile, after some that are not sampled: the interpreter's start is no part of a proof."""
STARTING = 1.5
TRANSFORMS = ("interpolate", "evaluate")
FOLDED_AT_ONCE = 10
"""log2 of the rows from which the narrow layout's DEEP polynomial is never made, but its fold at once (csrc/deep.c)."""
SYMBOLS = (
    ("hashing", r"compress8|load_octets|load_rows|hash_|merkle|multiproof|blake3|transcript"),
    (
        "transforms",
        r"transform|interpolate|evaluate_(b|p|columns|s)|strip_|coset_table|octets",
    ),
    ("constraints", r"^block_|evaluate_rows|run_code|prepare|boundary|^mix|invert|scale_powers|apr_air"),
    (
        "openings, DEEP and folding",
        r"divide|combine|add_columns|accumulate|^dot|powers|add_scaled|fold|open_sl|sum_sl",
    ),
    ("grinding", r"grind"),
    ("trace", r"apr_trace|canonical|generate"),
)
"""Groups of a profile, by the functions of the C core."""


@attrs.frozen
class Kernels:
    """Nanoseconds of each kernel alone."""

    polynomial: dict[str, dict[int, float]]
    """An element, by kernel and log2 of the length."""
    leaf: float
    """A compression among many leaves."""
    node: float
    nonce: float
    alone: float
    """A compression that waits for the one before."""

    def element(self, kernel: str, log_n: int) -> float:
        """Nanoseconds an element: of a transform at the largest measured length up to 2^log_n, of others at best."""
        by_length = self.polynomial[kernel]
        if kernel in TRANSFORMS:
            return by_length[max((measured for measured in by_length if measured <= log_n), default=min(by_length))]
        return min(by_length.values())


def measure(programs: Path) -> Kernels:
    """Runs the microbenchmarks, which must have been built.

    Raises:
        OSError: They have not.
        subprocess.CalledProcessError: One of them fails.
    """

    def output(*words: str) -> list[str]:
        done = subprocess.run([str(programs / words[0]), *words[1:]], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    lines = output("bench_poly", str(max(LOG_SIZES)))
    lengths = [int(length) for length in re.findall(r"2\^(\d+)", lines[0])]
    rows = [(line[:15].strip(), [float(word) for word in line[15:].split()]) for line in lines[1:] if line.strip()]
    polynomial = {name: dict(zip(lengths, values, strict=True)) for name, values in rows}
    # The last section but one is that of the fastest path; "one message" follows.
    hashes = dict(re.findall(r"^ +(\S.*?) +([\d.]+) ns a compression", "\n".join(output("bench_hash")), re.MULTILINE))
    return Kernels(
        polynomial,
        leaf=float(hashes["octets, 5 columns, k = 2^13, B = 8"]),
        node=float(hashes["nodes, 4096 of 64 bytes"]),
        nonce=float(hashes["grind, a nonce"]),
        alone=float(hashes["64 bytes"]),
    )


def work(shape: Shape, parameters: Parameters) -> Iterator[tuple[str, str, int, float]]:
    """Group, kernel, log2 of the length and number of elements, for one narrow trace (docs/protocol.md, section 7)."""
    layout, (table,) = layout_of(shape, parameters), shape.tables
    log_k, k, blowup = table.log_height, float(table.height), 1 << parameters.log_blowup
    chunks = layout.tables[0].chunks
    quotient = 5 * chunks
    yield "trace", "from_canonical", log_k, table.columns * k
    yield "transforms", "interpolate", log_k, (table.columns + quotient) * k
    # The constraints are evaluated on cosets of the extension; only chunks beyond the blowup need others. The values of
    # an only chunk are known on the first.
    further, known = max(0, chunks - blowup), quotient if chunks == 1 else 0
    yield "transforms", "evaluate", log_k, ((table.columns + quotient) * blowup + table.columns * further - known) * k
    # Each constraint, and their sum, is multiplied with an element of the challenge field; what it takes to have the
    # constraint's value is left out.
    yield "constraints", "add_scaled", log_k, 5 * (table.constraints + 1) * chunks * k
    group, opened = "openings, DEEP and folding", (table.openings + quotient) * k
    yield group, "dot_columns", log_k, opened
    if log_k >= FOLDED_AT_ONCE:
        # The first fold of the DEEP polynomial is made of two sums over parts of the columns, at each point.
        yield group, "accumulate", log_k, 2 * opened
        yield group, "divide", log_k - 3, table.rows_read * k / 8
        yield group, "add_scaled", log_k - 3, 5 * table.rows_read * k / 8
    else:
        yield group, "accumulate", log_k, opened
        yield group, "divide", log_k, table.rows_read * k
        yield group, "add_scaled", log_k, 5 * (table.rows_read - 1) * k
        yield group, "fold", log_k, k
    for t in range(1, layout.folds):
        yield group, "fold", log_k - 3 * t, k / 8**t
        yield "transforms", "evaluate", log_k - 3 * t, 5 * blowup * k / 8**t


def limits(kernels: Kernels, shape: Shape, parameters: Parameters) -> dict[str, float]:
    """Seconds that each group of kernels needs at least."""
    nanoseconds: dict[str, float] = defaultdict(float)
    for group, kernel, log_n, elements in work(shape, parameters):
        nanoseconds[group] += elements * kernels.element(kernel, log_n)
    for tree in trees(layout_of(shape, parameters), parameters.log_blowup):
        leaves = float(1 << tree.log_leaves)
        nanoseconds["hashing"] += leaves * (-(-tree.leaf_bytes // 64) * kernels.leaf + kernels.node)
    if parameters.grinding_bits:
        nanoseconds["grinding"] += (1 << parameters.grinding_bits) * kernels.nonce
    return {group: 1e-9 * value for group, value in nanoseconds.items()}


def compare(kernels: Kernels, log_rows: int) -> dict[str, Any]:
    """The kernels' limits beside the time of the whole in seconds, each the best of several runs."""
    name = f"Fibonacci(2^{log_rows})"
    shape = shape_of(Fibonacci(1 << log_rows).compiled())
    groups = limits(kernels, shape, choose(shape, 100))
    whole = min(in_process_of_its_own(name)["prove"] for _ in range(ROUNDS))
    return {"log_rows": log_rows, "groups": groups, "sum": sum(groups.values()), "whole": whole}


# ---- eight proofs side by side ----


def lone_compressions(program: Program, parameters: Parameters) -> int:
    """Compressions of the transcript of one narrow proof, each of which waits for the one before (section 7)."""
    air = program.compiled()
    shape, statement = shape_of(air), program.statement()
    layout = layout_of(shape, parameters)
    cap = 32 << parameters.cap_log
    publics = 4 * len(air.publics(statement))
    first = [16, 8, 32, 4 * len(shape.tables), publics, len(statement.to_bytes()), cap]
    absorbed = [first, [cap], [20 * layout.openings], *([[cap]] * (layout.folds - 1)), [20 * layout.final_length], [8]]
    absorbed.insert(3, [])
    # The first block that is squeezed has the next state and eight words, each further one sixteen.
    blocks = sum(max(1, -(-sum(9 + length for length in lengths) // 64)) for lengths in absorbed)
    return blocks + -(-max(0, parameters.queries - 8) // 16)


def idle_lanes(shape: Shape, parameters: Parameters) -> int:
    """Lanes that stay empty where a level of a tree, or what is left of it, does not fill eight."""
    idle = 0
    for tree in trees(layout_of(shape, parameters), parameters.log_blowup):
        for level in range(tree.log_leaves + 1):
            blocks = -(-tree.leaf_bytes // 64) if level == tree.log_leaves else 1
            idle += -(1 << level) % LANES * blocks if level > 0 else 0
    return idle


def side_by_side(kernels: Kernels, log_rows: int) -> dict[str, Any]:
    """How much faster proofs could be if eight of them shared the lanes of all hashing; times in seconds."""
    program = Fibonacci(1 << log_rows)
    shape = shape_of(program.compiled())
    parameters = choose(shape, 100)
    lone, roots = lone_compressions(program, parameters), len(list(trees(layout_of(shape, parameters), 1)))
    idle = idle_lanes(shape, parameters)
    saved = 1e-9 * ((lone + roots) * (kernels.alone - kernels.node) + idle * kernels.node)
    whole = min(repeated_together(program, parameters) for _ in range(ROUNDS))
    return {
        "log_rows": log_rows,
        "lone": lone + roots,
        "idle": idle,
        "saved": saved,
        "whole": whole,
        "bound": whole / (whole - saved),
    }


def repeated_together(program: Program, parameters: Parameters, count: int = 64) -> float:
    """Seconds of one of many proofs in one call."""
    prepared = [prover.prepare(program, parameters) for _ in range(count)]
    return timed(lambda: prover.prove_prepared(prepared)) / count


# ---- profile ----


def group_of(library: str, symbol: str) -> str | None:
    """The group of a function; None for what is not part of a proof, such as the interpreter's start."""
    if library.startswith("[kernel"):
        return "the system"
    if not library.startswith("_native"):
        return None
    return next((group for group, pattern in SYMBOLS if re.search(pattern, symbol)), "other")


def profile(log_rows: int) -> dict[str, float] | None:
    """Shares of the time of a proof by group, as perf samples them; None where perf does not run."""
    prove = [sys.executable, "-m", "benchmarks.kernels", "--prove", str(log_rows)]
    with tempfile.TemporaryDirectory() as scratch:
        data = str(Path(scratch, "perf.data"))
        report = ["perf", "report", "-i", data, "--stdio", "-t", ";", "--sort", "dso,symbol"]
        try:
            record = ["perf", "record", "-F", "1999", "-D", str(int(1000 * STARTING)), "-o", data, *prove]
            subprocess.run(record, capture_output=True, check=True)
            lines = subprocess.run(report, capture_output=True, text=True, check=True).stdout.splitlines()
        except (OSError, subprocess.CalledProcessError):
            return None
    shares: dict[str, float] = defaultdict(float)
    for line in lines:
        fields = [field.strip() for field in line.split(";")]
        if line.startswith("#") or len(fields) < 3:
            continue
        group = group_of(fields[1], re.sub(r"^\[.\] ", "", fields[2]))
        if group is not None:
            shares[group] += float(fields[0].rstrip("%"))
    total = sum(shares.values())
    return {group: share / total for group, share in sorted(shares.items(), key=lambda item: -item[1])} or None


def phases(compared: dict[str, Any], profile: dict[str, float] | None) -> list[dict[str, Any]]:
    """Each group's seconds as the profile shares the whole out, and its limit; nothing without a profile."""
    if not profile:
        return []
    limits, whole = compared["groups"], compared["whole"]
    groups = sorted({*limits, *profile}, key=lambda group: -profile.get(group, 0.0))
    return [
        {"group": group, "measured": profile.get(group, 0.0) * whole, "limit": limits.get(group, 0.0)}
        for group in groups
    ]


def prove(log_rows: int) -> None:
    """Proofs and nothing else, to be sampled."""
    end = time.monotonic() + STARTING + SAMPLED
    program = Fibonacci(1 << log_rows)
    parameters = choose(shape_of(program.compiled()), 100)
    while time.monotonic() < end:
        prover.prove(program, parameters)


def show(compared: list[dict[str, Any]], profiles: dict[str, dict[str, float] | None]) -> None:
    groups = list(compared[-1]["groups"])
    print(f"{'us':6}" + "".join(f"{group:>28}" for group in groups) + f"{'sum':>12}{'whole':>12}{'share':>7}")
    for one in compared:
        times = "".join(f"{one['groups'].get(group, 0.0) * 1e6:28,.1f}" for group in groups)
        share = one["sum"] / one["whole"]
        print(f"2^{one['log_rows']:<4}{times}{one['sum'] * 1e6:12,.1f}{one['whole'] * 1e6:12,.1f}{share:7.0%}")
    for log_rows, shares in profiles.items():
        said = "perf does not run here" if shares is None else ", ".join(f"{g} {s:.1%}" for g, s in shares.items())
        print(f"profile of 2^{log_rows} rows: {said}")
    for one in compared:
        for phase in phases(one, profiles.get(str(one["log_rows"]))):
            measured, limit = 1e6 * phase["measured"], 1e6 * phase["limit"]
            near = f"{limit / measured:7.0%}" if measured > 0 else ""
            print(f"2^{one['log_rows']:<4}{phase['group']:28}{measured:12,.1f} us, limit{limit:12,.1f} us{near}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.kernels", description=__doc__)
    parser.add_argument("--programs", type=Path, help="where `make build-cbenches` puts its programs")
    parser.add_argument("--json", type=Path, default=RESULTS / "kernels.json", help="where the figures go")
    parser.add_argument(
        "--prove", type=int, metavar="LOG_ROWS", help="only make proofs of so many rows, some seconds long"
    )
    options = parser.parse_args()
    if options.prove is not None:
        prove(options.prove)
        return
    if options.programs is None:
        parser.error("--programs is missing")
    about = machine()
    kernels = measure(options.programs)
    compared = [compare(kernels, log_rows) for log_rows in LOG_SIZES]
    profiles = {str(log_rows): profile(log_rows) for log_rows in PROFILED}
    lanes = [side_by_side(kernels, log_rows) for log_rows in LOG_SIZES_OF_LANES]
    show(compared, profiles)
    for one in lanes:
        print(f"2^{one['log_rows']} rows: eight side by side could be {one['bound']:.2f} times as fast")
    figures = {
        "machine": about,
        "kernels": attrs.asdict(kernels),
        "limits": compared,
        "profiles": profiles,
        "lanes": lanes,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"figures: {options.json}")


if __name__ == "__main__":
    main()
