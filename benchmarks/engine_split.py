"""What a second thread is worth to one large proof, beside what it is worth to anything here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from aprover import Fibonacci, prover
from aprover.proof import shape_of
from aprover.security import Parameters, choose

from .measuring import Figure, interleaved, median, program_of_rows

LOG_SIZES = (16, 18, 20)
WANTED = 0.85


def _prove(program: Fibonacci, parameters: Parameters, team: prover.Team | None = None) -> None:
    (result,) = prover.prove_prepared([prover.prepare(program, parameters)], team=team)
    if isinstance(result, Exception):
        raise result


def _timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _size(log_rows: int, rounds: int) -> tuple[float, float]:
    """How many times as fast two threads are as one: with one proof together, and with one each."""
    program = program_of_rows(1 << log_rows)
    parameters = choose(shape_of(program.compiled()), 100)
    each = max(1, 2 ** (18 - log_rows))
    team, leave = prover.Team(2), bytearray(4)

    def proofs(with_team: prover.Team | None = None) -> None:
        for _ in range(each):
            _prove(program, parameters, with_team)

    def pair() -> None:
        other = threading.Thread(target=proofs)
        other.start()
        proofs()
        other.join()

    helper = threading.Thread(target=team.help, args=(leave,))
    helper.start()
    try:
        # A helper that waits takes next to nothing from the other arms.
        times = interleaved(
            {
                "alone": lambda: _timed(proofs),
                "split": lambda: _timed(lambda: proofs(team)),
                "pair": lambda: _timed(pair),
            },
            rounds,
        )
    finally:
        team.close()
        helper.join()
    split = median([a / b for a, b in zip(times["alone"], times["split"], strict=True)])
    control = median([2 * a / b for a, b in zip(times["alone"], times["pair"], strict=True)])
    return split, control


def bench_split(quick: bool) -> list[Figure]:
    """One proof by two threads, against the control: two threads with a proof of that size each."""
    figures = []
    for log_rows in LOG_SIZES[:1] if quick else LOG_SIZES:
        split, control = _size(log_rows, 5 if quick else 15)
        name = f"split speedup / control, 2^{log_rows} rows"
        note = f"{split:.2f} against {control:.2f} times as fast as one thread"
        figures.append(Figure(name, split / control, "", WANTED, at_least=True, note=note))
    return figures
