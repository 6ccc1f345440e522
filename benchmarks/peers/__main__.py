"""``make bench-peers``: this project and others on the same statement, interleaved; ratios first.

Each arm is a process that stays alive. In each round all of them make their proofs, in random order, one at a time and
on one thread; a ratio is the median over the rounds of the ratio within a round. Times are those of the thread, so that
other work on the machine is not counted; they include making the trace, end with the proof's bytes, and for verifying
begin with them. Memory is what one proof needs at most: of the others the live bytes of their heap, of this project the
peak of the process less what it held before its first proof.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs

from aprover import Fibonacci
from aprover.proof import shape_of
from aprover.security import Prefer, choose, security_report
from aprover.security.chooser import MAX_GRINDING
from aprover.security.shape import MAX_LOG_BLOWUP

from ..machine import MOST_WAITED, RESULTS, first_line, machine
from ..measuring import median
from .configurations import NAMES, OURS, Arm, proven, usual
from .programs import Answer, Programs, Unavailable, Worker, version

SIZES = (5, 6, 8, 10, 12, 14, 16, 18, 20)
BYTES_SIZES = (10, 20)
STRETCH = 20_000.0
"""Microseconds that one arm proves in one round, if a single proof does not take longer."""
MOST_IN_A_ROUND = 2000
TRIALS = 4
"""Requests by which the configurations of equal bits are told apart; the best one counts."""
LARGEST_TRIED = 14
"""log2 of the rows up to which all configurations of equal bits are tried; above, the one that was fastest there."""
MOST_LOG_DOMAIN = 24
"""log2 of the largest domain whose smallest proofs are looked for: larger ones take tens of GiB and minutes."""
WANTED_RATIO = 10.0

Say = Callable[[str], None]


def ours(log_rows: int, prefer: Prefer = "time") -> Arm:
    """This project, at its default of 100 proven bits."""
    shape = shape_of(Fibonacci(1 << log_rows, a=1, b=1).compiled())
    parameters = choose(shape, 100, prefer)
    return Arm(
        peer=OURS,
        role="fastest" if prefer == "fastest" else "ours",
        kind=f"BabyBear^5, folds by 8, blowup {1 << parameters.log_blowup}",
        log_rows=log_rows,
        log_blowup=parameters.log_blowup,
        queries=parameters.queries,
        grinding_bits=parameters.grinding_bits,
        proven_bits=security_report(shape, parameters).proven_bits,
        conjectured_bits=None,
        words=(str(log_rows), *([prefer] if prefer != "time" else [])),
    )


def one_by_one(programs: Programs, arms: Iterable[Arm], requests: int = 1) -> dict[Arm, Answer]:
    """The fastest of a few answers of each arm, in a process of its own; without the arms that cannot."""
    answers = {}
    for arm in filter(programs.has, arms):
        with contextlib.suppress(Unavailable), programs.start(arm) as worker:
            count = 1 if arm.log_rows > 10 else 5
            answers[arm] = min((worker.ask(count) for _ in range(requests)), key=lambda answer: answer.prove)
    return answers


class Chooser:
    """The fastest configuration of each peer with 100 proven bits."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._kinds: dict[str, str] = {}

    def fastest(self, log_rows: int) -> list[Arm]:
        arms = list(proven(log_rows, range(1, 5)))
        if log_rows > LARGEST_TRIED and self._kinds:
            return [arm for arm in arms if self._kinds.get(arm.peer) == arm.kind]
        times = {arm: answer.prove for arm, answer in one_by_one(self._programs, arms, TRIALS).items()}
        chosen = [
            min((arm for arm in times if arm.peer == peer), key=times.__getitem__, default=None) for peer in NAMES
        ]
        self._kinds = {arm.peer: arm.kind for arm in chosen if arm is not None}
        return [arm for arm in chosen if arm is not None]


@attrs.frozen
class Measured:
    """One arm at one size: medians over the rounds. Times are in microseconds; ratios are to this project's time."""

    arm: Arm
    prove: float
    verify: float
    bytes: int
    peak_mib: float
    prove_ratio: float
    verify_ratio: float
    waited: float


def measure(programs: Programs, arms: list[Arm], rounds: int, say: Say) -> list[Measured]:
    """All arms of one size, interleaved. An arm that cannot prove this size is left out, with its reason said."""
    rng = random.Random(1)
    answers: dict[Arm, list[Answer]] = {}
    with contextlib.ExitStack() as stack:
        workers: dict[Arm, tuple[Worker, int]] = {}
        for arm in filter(programs.has, arms):
            worker = stack.enter_context(programs.start(arm))
            try:
                worker.ask(1)
                count = max(1, min(MOST_IN_A_ROUND, int(STRETCH / worker.ask(1).prove)))
                workers[arm] = worker, count
                answers[arm] = []
            except Unavailable as error:
                say(f"2^{arm.log_rows}: {arm.name}: not measured: {error}")
        for _ in range(rounds):
            for arm in rng.sample(list(workers), len(workers)):
                worker, count = workers[arm]
                answers[arm].append(worker.ask(count))
    base = next(answers[arm] for arm in answers if arm.role == "ours")
    return [
        Measured(
            arm=arm,
            prove=median([one.prove for one in several]),
            verify=median([one.verify for one in several]),
            bytes=several[-1].bytes,
            peak_mib=several[-1].peak_mib,
            prove_ratio=median([one.prove / mine.prove for one, mine in zip(several, base, strict=True)]),
            verify_ratio=median([one.verify / mine.verify for one, mine in zip(several, base, strict=True)]),
            waited=median([one.waited for one in several]),
        )
        for arm, several in answers.items()
    ]


def show(results: list[Measured], say: Say) -> None:
    """One size for people: ratios first."""
    log_rows = results[0].arm.log_rows
    waited = max(one.waited for one in results)
    if waited > MOST_WAITED:
        say(f"\n2^{log_rows} rows: on a busy machine: the processes waited for a core up to {waited:.0%} of their time")
    usual_ones = [one for one in results if one.arm.role == "usual"]
    if usual_ones:
        best = min(usual_ones, key=lambda one: one.prove_ratio)
        verdict = "met" if best.prove_ratio >= WANTED_RATIO else "MISSED"
        say(
            f"\n2^{log_rows} rows: {best.prove_ratio:.1f} times as fast as the fastest peer as usual ({best.arm.name});"
        )
        say(f"at least {WANTED_RATIO:.0f} wanted: {verdict}")
    say(f"{'':54}{'prove':>8}{'verify':>8}{'prove us':>13}{'verify us':>11}{'KiB':>8}{'MiB':>8}{'bits':>7}")
    for one in results:
        ratios = f"{one.prove_ratio:7.1f}x{one.verify_ratio:7.1f}x"
        times = f"{one.prove:13,.1f}{one.verify:11,.1f}{one.bytes / 1024:8.1f}{one.peak_mib:8.1f}"
        say(f"{one.arm.name:54}{ratios}{times}{one.arm.proven_bits:7.1f}")


def smallest(programs: Programs, log_rows: int, say: Say) -> list[dict[str, Any]]:
    """The smallest proof of each at 100 proven bits: all may grind as this project does, and use blowups up to 64."""
    log_blowups = range(3, min(MAX_LOG_BLOWUP, MOST_LOG_DOMAIN - log_rows) + 1)
    answers = one_by_one(programs, [ours(log_rows, "size"), *proven(log_rows, log_blowups, MAX_GRINDING)])
    rows = []
    say(f"\n2^{log_rows} rows: smallest proofs at 100 proven bits")
    for peer in (OURS, *NAMES):
        mine = {arm: answer for arm, answer in answers.items() if arm.peer == peer}
        if mine:
            arm, answer = min(mine.items(), key=lambda item: item[1].bytes)
            rows.append({**attrs.asdict(arm), "bytes": answer.bytes, "prove": answer.prove})
            say(f"{arm.name:54}{answer.bytes / 1024:8.1f} KiB{answer.prove:13,.0f} us{arm.proven_bits:7.1f} bits")
    return rows


def flat(one: Measured) -> dict[str, Any]:
    fields = attrs.asdict(one)
    return {**fields.pop("arm"), **fields}


def sizes(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(",") if word)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__)
    parser.add_argument("--sizes", type=sizes, default=SIZES, help="log2 of the rows: 5,10,20")
    parser.add_argument(
        "--bytes-sizes", type=sizes, default=BYTES_SIZES, help="those whose smallest proofs are compared"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help=f"where the figures go; {RESULTS / 'peers.json'} for all sizes")
    options = parser.parse_args()

    def say(text: str) -> None:
        print(text, flush=True)

    about = machine()
    programs = Programs(NAMES)
    for peer, reason in programs.missing.items():
        say(f"{peer} is not measured: {reason}")
    chooser = Chooser(programs)
    rows: list[dict[str, Any]] = []
    for log_rows in options.sizes:
        own = [ours(log_rows), ours(log_rows, "fastest")]
        if own[0].kind == own[1].kind:  # where size costs next to nothing
            own.pop()
        arms = [*own, *usual(log_rows), *chooser.fastest(log_rows)]
        results = measure(programs, arms, options.rounds, say)
        show(results, say)
        rows += map(flat, results)
    small = [row for log_rows in options.bytes_sizes for row in smallest(programs, log_rows, say)]
    report = {
        "machine": about | {"rust": first_line("rustc", "--version")},
        "versions": {peer: version(peer) for peer in NAMES},
        "missing": programs.missing,
        "rounds": options.rounds,
        "rows": rows,
        "smallest": small,
    }
    path = options.json or (RESULTS / "peers.json" if options.sizes == SIZES else None)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n")
        say(f"\nfigures: {path}")


if __name__ == "__main__":
    main()
