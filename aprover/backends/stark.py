"""The `stark` backend: succinct proofs, made and checked by the C core (docs/protocol.md)."""

from __future__ import annotations

from .. import prover
from ..air import Program, program_from_statement
from ..errors import SecurityError
from ..proof import HEADER_BYTES, BackendName, Proof, shape_of
from ..security import choose, predicted_time, proof_size, security_report
from .base import Control, Cost, Prefer

__all__ = ["StarkBackend"]

STATEMENT_BYTES = 64
"""What a statement takes, about; `cost` cannot know its outputs."""

# `predicted_time` compares parameters with each other. These make seconds of it, within a factor of 3 from 2^3 to
# 2^20 rows, as benchmarks/speed.py measured them on the machine class that docs/architecture.md names.
SECONDS_PER_PROOF = 45e-6
SECONDS_PER_PREDICTED_NANOSECOND = 4e-9


class StarkBackend:
    """See the module's docstring."""

    name: BackendName = "stark"

    def prove(self, program: Program, *, security: int, prefer: Prefer, control: Control) -> Proof:
        """See `Backend.prove`."""
        shape = shape_of(program.compiled())
        parameters = choose(shape, security, prefer)
        statement = program.statement()
        control.check()
        control.phase = "prove"
        body = prover.prove(program, parameters, control=control)
        return Proof(self.name, statement, body, shape)

    def verify(self, proof: Proof, *, program: type[Program] | Program | None, min_security: int) -> None:
        """See `Backend.verify`. Takes milliseconds at most; never needs private inputs."""
        cls = type(program) if isinstance(program, Program) else program
        air, _ = program_from_statement(proof.statement, cls)
        publics = air.publics(proof.statement)
        parameters = prover.verify(air, publics, proof.statement.to_bytes(), proof.body)
        reached = security_report(shape_of(air), parameters).proven_bits
        if reached < min_security:
            raise SecurityError(f"{reached:.1f} proven bits, fewer than {min_security}", reachable=reached)

    def cost(self, program: Program, *, security: int, prefer: Prefer) -> Cost:
        """See `Backend.cost`. Does not count a user's own trace() and public_outputs()."""
        air = program.compiled()
        shape = shape_of(air)
        parameters = choose(shape, security, prefer)
        return Cost(
            duration=SECONDS_PER_PROOF + SECONDS_PER_PREDICTED_NANOSECOND * predicted_time(shape, parameters),
            proof_bytes=HEADER_BYTES + STATEMENT_BYTES + proof_size(shape, parameters),
            memory=prover.memory(air, parameters),
        )
