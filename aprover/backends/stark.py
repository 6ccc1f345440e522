"""The `stark` backend: succinct proofs, made and checked by the C core (docs/protocol.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .. import loading, prover
from ..air import CompiledAir, Program, program_from_statement
from ..errors import SecurityError
from ..proof import HEADER_BYTES, BackendName, Proof, shape_of
from ..prover import Plan, Prepared, Team
from ..security import Parameters, choose, predicted_time, proof_size, security_report
from .base import Control, Cost, Prefer

__all__ = [
    "Plan",
    "Prepared",
    "StarkBackend",
    "Team",
    "keep_commitment",
    "plan_for",
    "prepare_proof",
    "prove_prepared",
    "stark_parameters",
]

STATEMENT_BYTES = 64
"""What a statement takes, about; `cost` cannot know its outputs."""

# `predicted_time` compares parameters with each other. These make seconds of it, within a factor of 3 from 2^3 to
# 2^20 rows, as benchmarks/speed.py measured them on the machine class that docs/architecture.md names.
SECONDS_PER_PROOF = 45e-6
SECONDS_PER_PREDICTED_NANOSECOND = 4e-9


class StarkBackend:
    """See the module's docstring."""

    name: BackendName = "stark"

    def prove(self, program: Program, *, security: int, prefer: Prefer, control: Control, zk: bool = False) -> Proof:
        """See `Backend.prove`."""
        plan = plan_for(program, security=security, prefer=prefer, zk=zk)
        (result,) = prove_prepared([prepare_proof(plan, program, control=control)])
        if isinstance(result, Exception):
            raise result
        return result

    def verify(self, proof: Proof, *, program: type[Program] | Program | None, min_security: int) -> None:
        """See `Backend.verify`. Takes milliseconds at most; never needs private inputs."""
        cls = type(program) if isinstance(program, Program) else program
        air, _ = program_from_statement(proof.statement, cls, zk=is_zero_knowledge(proof.body))
        publics = air.publics(proof.statement)
        parameters = prover.verify(air, publics, proof.statement.to_bytes(), proof.body)
        reached = security_report(shape_of(air), parameters).proven_bits
        if reached < min_security:
            raise SecurityError(f"{reached:.1f} proven bits, fewer than {min_security}", reachable=reached)

    def cost(
        self, program: Program, *, security: int, prefer: Prefer, zk: bool = False, memory_limit: int | None = None
    ) -> Cost:
        """See `Backend.cost`. Does not count a user's own trace() and public_outputs()."""
        air = program.compiled(zk=zk)
        shape = shape_of(air)
        parameters = choose(shape, security, prefer, zk)
        return Cost(
            duration=SECONDS_PER_PROOF + SECONDS_PER_PREDICTED_NANOSECOND * predicted_time(shape, parameters),
            proof_bytes=HEADER_BYTES + STATEMENT_BYTES + proof_size(shape, parameters),
            memory=prover.memory(air, parameters, memory_limit),
        )


def is_zero_knowledge(body: bytes) -> bool:
    """Whether a STARK proof says that it was masked, which may be about another AIR. A verifier accepts either."""
    return len(body) > 3 and bool(body[3] & 2)


class _TimedTrace:
    """Stands in for a program while its trace is made, and says how long its trace() took."""

    def __init__(
        self, program: Program, control: Control, traced: Callable[[float], object], clock: Callable[[], float]
    ) -> None:
        self.id = program.id
        self.native_trace = program.native_trace
        self.statement = program.statement
        self._program = program
        self._control = control
        self._traced = traced
        self._clock = clock

    def trace(self, out: NDArray[np.uint32] | Mapping[str, NDArray[np.uint32]]) -> None:
        self._control.phase = "trace"
        begun = self._clock()
        try:
            self._program.trace(out)
        finally:
            self._traced(self._clock() - begun)
        self._control.phase = "prove"


def stark_parameters(air: CompiledAir, security: int, prefer: Prefer, zk: bool = False) -> Parameters:
    """The parameters that `StarkBackend` proves with.

    Args:
        air: For zero knowledge if `zk`.

    Raises:
        SecurityError: The shape cannot reach `security` proven bits.
    """
    return choose(shape_of(air), security, prefer, zk)


def keep_commitment(air: CompiledAir, parameters: Parameters) -> None:
    """Commits to the preprocessed columns, if there are any, so that the proofs to come find that done.

    Raises:
        ProveError: There is not enough memory.
    """
    loading.preprocessed(air, parameters)


def plan_for(program: Program, *, security: int, prefer: Prefer, zk: bool = False) -> Plan:
    """What `prepare_proof` needs for this program and others with the same parameters. Builds the AIR.

    Raises:
        As `Backend.prove`.
    """
    form = program._form(zk=zk)
    return prover.plan_of(form, choose(shape_of(form.air), security, prefer, zk))


def prepare_proof(
    plan: Plan,
    program: Program,
    *,
    control: Control,
    traced: Callable[[float], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Prepared:
    """The part of `StarkBackend.prove` before the work, for `prove_prepared`. Runs public_outputs().

    Args:
        plan: For this program.
        traced: Called with the seconds that the program's own trace() took, if it is not made in C.
        clock: Whose seconds these are.

    Raises:
        As `Backend.prove`.
    """
    prepared = prover.prepare_by(plan, program, control=control)
    control.check()
    if traced is not None and not prepared.native:
        prepared.program = cast(Program, _TimedTrace(program, control, traced, clock))
    control.phase = "prove"
    return prepared


def prove_prepared(batch: Sequence[Prepared], *, team: Team | None = None) -> list[Proof | Exception]:
    """The proofs, or what `Backend.prove` would have raised for each. One C call if all traces are made in C.

    Args:
        team: Whose other threads help with each proof in turn.
    """
    bodies = prover.prove_prepared(batch, team=team)
    return [
        Proof("stark", item.statement, body, item.plan.shape) if type(body) is bytes else cast(Exception, body)
        for item, body in zip(batch, bodies, strict=True)
    ]
