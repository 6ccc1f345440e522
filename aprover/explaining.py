"""`explain`: what a program's constraints are, and what a proof of it will be like, without making one."""

from __future__ import annotations

from typing import get_args

import attrs

from .air import Program
from .air.explain import Explanation
from .air.explain import explain as explain_air
from .errors import ProgramError
from .proof import HEADER_BYTES, shape_of
from .prover import memory
from .security import Parameters, Prefer, SecurityReport, Shape, choose, proof_size, security_report

__all__ = ["ProofExplanation", "explain"]


@attrs.frozen
class ProofExplanation:
    """An `Explanation` of the constraints, and how they would be proved."""

    air: Explanation
    shape: Shape = attrs.field(repr=False)
    parameters: Parameters
    security: SecurityReport
    proof_bytes: int
    """Expected length of the proof, without the bytes of its statement."""
    memory: int
    """Bytes that the prover works in, on one thread."""

    def __str__(self) -> str:
        chosen = self.parameters
        layout = self.shape.layout(chosen.queries if chosen.zk else 0)
        chunks = ", ".join([str(table.chunks) for table in layout.tables])
        return "\n".join(
            [
                str(self.air),
                "proof:",
                (
                    f"  {self.security.proven_bits:.1f} proven bits ({self.security.regime}): blowup"
                    f" {1 << chosen.log_blowup}, {chosen.queries} queries, {chosen.grinding_bits} bits of grinding"
                ),
                (
                    f"  {'narrow' if layout.narrow else 'wide'} layout, {layout.openings} openings, chunks of the"
                    f" quotient: {chunks}"
                ),
                f"  about {self.proof_bytes} bytes, made in {_size(self.memory)}",
            ]
        )


def _size(count: int) -> str:
    return f"{count / 2**10:.0f} KiB" if count < 2**20 else f"{count / 2**20:.0f} MiB"


def explain(
    program: Program,
    *,
    security: int = 100,
    prefer: Prefer = "time",
    zk: bool = False,
    memory_limit: int | None = None,
) -> ProofExplanation:
    """Explains a program without running it: milliseconds, whatever its size.

    Use `str` for a page to read. Neither public nor private inputs are in it.

    Args:
        program: Its parameters matter; its inputs do not.
        security: The proven bits that are wanted, from 1 to 128.
        prefer: As in `aprover.prove`: a quick proof of usual size, the smallest, or the fastest at any size.
        zk: Of a zero-knowledge proof. The constraints that are shown are those without its masks.
        memory_limit: Bytes that the proof may take while it is made, as in `aprover.prove`.

    Raises:
        ProgramError: The AIR is wrong, or an argument is not what it may be, or `memory_limit` is too low.
        SecurityError: The program's shape cannot reach so many bits.
    """
    if type(security) is not int or not 1 <= security <= 128:
        raise ProgramError(field="security", value=security, allowed="an int from 1 to 128 (proven bits)")
    if prefer not in get_args(Prefer):
        raise ProgramError(field="prefer", value=prefer, allowed=" or ".join(map(repr, get_args(Prefer))))
    explanation = explain_air(program)
    air = program.compiled(zk=zk)
    shape = shape_of(air)
    parameters = choose(shape, security, prefer, zk=zk)
    return ProofExplanation(
        air=explanation,
        shape=shape,
        parameters=parameters,
        security=security_report(shape, parameters),
        proof_bytes=HEADER_BYTES + proof_size(shape, parameters),
        memory=memory(air, parameters, memory_limit),
    )
