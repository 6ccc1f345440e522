"""`estimate`: what a proof would cost, said without doing any of its work."""

from __future__ import annotations

from typing import Literal

import attrs

from ..air import Program
from ..backends import Prefer, backend_named
from ..proof import BackendName
from .request import check_program, check_settings

__all__ = ["Estimate", "estimate"]


@attrs.frozen
class Estimate:
    """A prediction; a user's own trace() and public_outputs() are not in it.

    Attributes:
        duration: Seconds on one core of the machine class on which the model was measured.
        placement: Where the work would run; always on one worker thread.
        rows: The height of the trace, a power of two.
        columns: The width of the trace.
        proof_bytes: The expected length of the proof.
        memory: Bytes while the proof is made.
    """

    duration: float
    placement: Literal["worker"]
    rows: int
    columns: int
    proof_bytes: int
    memory: int


def estimate(
    program: Program, *, security: int = 100, backend: BackendName = "stark", prefer: Prefer = "time"
) -> Estimate:
    """Predicts what `prove` with the same arguments costs. Synchronous and quick; never runs the computation.

    Raises:
        ProgramError: An argument or the program is wrong.
        SecurityError: The program's shape cannot reach `security` bits; `reachable` says how many it can.
    """
    check_program(program)
    check_settings(security=security, backend=backend, prefer=prefer)
    air = program.compiled()
    cost = backend_named(backend).cost(program, security=security, prefer=prefer)
    return Estimate(
        duration=cost.duration,
        placement="worker",
        rows=air.height,
        columns=air.columns,
        proof_bytes=cost.proof_bytes,
        memory=cost.memory,
    )
