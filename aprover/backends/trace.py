"""The `trace` backend: a commitment to the trace, checked by making the trace again (docs/protocol.md, section 12).

It is not succinct: verifying costs as much as computing, and needs all inputs, private ones included. What it gives is
a short tag, made in microseconds where a proof takes longer, that anyone with the inputs can check.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .. import prover
from ..air import CompiledAir, Program, program_from_statement
from ..air.check import check_trace
from ..air.field import P
from ..air.filling import Table
from ..air.program import describe
from ..errors import AproverError, ProgramError, VerificationCode, VerificationError
from ..proof import HEADER_BYTES, TRACE_BODY_BYTES, BackendName, Proof
from ..statement import Statement
from .base import Control, Cost, Prefer, field_names

__all__ = ["TraceBackend", "commitment"]

KEY = b"aprover v2 trace backend".ljust(32, b"\0")
ALIGNMENT = 64
# Making a value of the trace and hashing it, on the machine class that docs/architecture.md names.
SECONDS_PER_BYTE = 0.8e-9
SECONDS_PER_PROOF = 20e-6
# Checking a user's own trace: for each program, and for each instruction on each row.
SECONDS_PER_CHECK = 200e-6
SECONDS_PER_CHECKED = 2e-9


def _layout(statement: Statement, air: CompiledAir) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[Table]]:
    """One buffer that is hashed as it stands: (owner, what is hashed, the zeroed tables inside it).

    The first table is aligned; so are the others to four bytes, since all parts between them are whole words.
    """
    data = statement.to_bytes()
    head = len(data).to_bytes(8, "little") + data
    sizes = [8 + 4 * table.columns * table.height for table in air.tables]
    start = ALIGNMENT + len(head) + 8
    owner = np.zeros(start + sum(sizes) + ALIGNMENT, dtype=np.uint8)
    start += -(owner.ctypes.data + start) % ALIGNMENT - len(head) - 8
    message = owner[start : start + len(head) + sum(sizes)]
    message[: len(head)] = np.frombuffer(head, dtype=np.uint8)
    tables, at = [], len(head)
    for table, size in zip(air.tables, sizes, strict=True):
        words = message[at : at + size].view(np.uint32)
        words[0], words[1] = table.columns, table.log_height
        tables.append(words[2:].reshape(table.columns, table.height))
        at += size
    return owner, message, tables


def commitment(program: Program, control: Control | None = None, *, check: bool) -> bytes:
    """The 32 bytes of section 12.

    Args:
        check: Whether the trace has to satisfy the constraints.

    Raises:
        ConstraintError: It does not.
        ProgramError, ProveError: Making the trace failed.
    """
    air = program.compiled()
    statement = program.statement()
    if control is not None:
        control.check()
        control.phase = "trace"
    _owner, message, tables = _layout(statement, air)
    prover.write_trace(program, air, tables, control)
    if max(int(table.max()) for table in tables) >= P:
        raise ProgramError(f"{program.id}: trace() wrote a value that is not below {P}")
    if control is not None:
        control.check()
        control.phase = "prove"
    if check:
        check_trace(describe(program), air, [table.T for table in tables], air.publics(statement))
    return prover.blake3_keyed(KEY, message)


def _instance(statement: Statement, program: type[Program] | Program | None) -> Program:
    """The program with all its inputs: as given, or built from the statement if nothing in it is private."""
    if isinstance(program, Program):
        return program
    _, cls = program_from_statement(statement, program)
    if field_names(cls, "private"):
        raise VerificationError(
            VerificationCode.PROGRAM,
            f"{cls.id} has private inputs, so a trace commitment is checked with the whole program: program=...",
        )
    values = dict(statement.parameters)
    values |= zip(field_names(cls, "public"), statement.public_inputs, strict=True)
    try:
        return cast(Program, cast(Any, cls)(**values))
    except AproverError as error:
        raise VerificationError(VerificationCode.PROGRAM, f"{cls.id} refuses the statement: {error}") from error


def _refuse_zk(zk: bool) -> None:
    """A hash of a private trace lets anyone try values for it, and its check needs them all."""
    if zk:
        raise ProgramError(field="zk", value=zk, allowed="False with the backend 'trace'")


def _trace_bytes(air: CompiledAir, limit: int | None) -> int:
    size = 4 * air.cells
    if limit is not None and size > limit:
        raise ProgramError(field="memory_limit", value=limit, allowed=f"at least the {size} bytes of this trace")
    return size


class TraceBackend:
    """See the module's docstring. Its security is that of the hash; `security` and `prefer` change nothing."""

    name: BackendName = "trace"

    def prove(
        self,
        program: Program,
        *,
        security: int,  # noqa: ARG002 - the protocol's
        prefer: Prefer,  # noqa: ARG002 - the protocol's
        control: Control,
        zk: bool = False,
    ) -> Proof:
        """See `Backend.prove`. Time is linear in the trace.

        A trace that Python wrote is checked against the constraints, which takes longer than the rest; one from a
        generator in C is right by construction. A verifier checks both.
        """
        _refuse_zk(zk)
        _trace_bytes(program.compiled(), control.memory_limit)
        check = program.native_trace() is None
        return Proof(self.name, program.statement(), commitment(program, control, check=check))

    def verify(
        self,
        proof: Proof,
        *,
        program: type[Program] | Program | None,
        min_security: int,  # noqa: ARG002 - at most 128, which the hash has
    ) -> None:
        """See `Backend.verify`. Takes as long as the computation itself.

        Raises:
            VerificationError: Code ``STATEMENT``: computing again gives another statement. Code ``TRACE_COMMITMENT``:
                another trace. Code ``PROGRAM``: the program is unknown, or has private inputs that were not given.
        """
        instance = _instance(proof.statement, program)
        try:
            statement = instance.statement()
            if statement != proof.statement:
                raise VerificationError(VerificationCode.STATEMENT, f"computing again gives {statement!r}")
            again = commitment(instance, check=True)
        except VerificationError:
            raise
        except AproverError as error:
            message = f"the trace cannot be made again: {error}"
            raise VerificationError(VerificationCode.TRACE_COMMITMENT, message) from error
        if again != proof.body:
            raise VerificationError(VerificationCode.TRACE_COMMITMENT, "the trace that was made again is another one")

    def cost(
        self,
        program: Program,
        *,
        security: int,  # noqa: ARG002 - the protocol's
        prefer: Prefer,  # noqa: ARG002 - the protocol's
        zk: bool = False,
        memory_limit: int | None = None,
    ) -> Cost:
        """See `Backend.cost`. Does not count a user's own trace()."""
        _refuse_zk(zk)
        air = program.compiled()
        trace_bytes = _trace_bytes(air, memory_limit)
        duration = SECONDS_PER_PROOF + SECONDS_PER_BYTE * trace_bytes
        if program.native_trace() is None:
            duration += SECONDS_PER_CHECK + SECONDS_PER_CHECKED * sum(table.cost * table.height for table in air.tables)
        # The statement's outputs are not known without the work; their few bytes are left out.
        return Cost(
            duration=duration,
            proof_bytes=HEADER_BYTES + TRACE_BODY_BYTES,
            memory=trace_bytes,
        )
