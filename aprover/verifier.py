"""`verify`: the check of a proof, whatever its backend."""

from __future__ import annotations

from .air import Program
from .backends import backend_named, check_security, field_names
from .errors import ProgramError, VerificationCode, VerificationError
from .proof import Proof
from .statement import Statement

__all__ = ["verify"]


def verify(
    proof: Proof | bytes,
    statement: Statement | None = None,
    *,
    min_security: int = 100,
    program: type[Program] | Program | None = None,
) -> Statement:
    """Checks a proof and returns the statement that it proves.

    The caller must compare that statement with the one that it meant, or pass it as `statement`: a valid proof of
    something else is valid.

    Synchronous. A STARK proof takes from 50 microseconds to a few milliseconds, so it may be called on an event loop. A
    proof of the ``trace`` backend takes as long as the computation itself and needs its private inputs too.

    Args:
        proof: The proof or its bytes.
        statement: What the proof has to be about.
        min_security: The fewest proven bits to accept, from 1 to 128.
        program: For a program of one's own, its class: a verifier must know the constraints from somewhere else than
            the proof. Given an instance, the proof has to be about its parameters and public inputs too. The ``trace``
            backend needs the instance if it has private inputs.

    Raises:
        VerificationError: The proof is rejected; `code` says by which check, and `ProofFormatError` and `SecurityError`
            are its subclasses for malformed bytes and too few bits.
        ProgramError: `min_security` or `program` is not what they may be.
    """
    check_security(min_security, "min_security")
    if program is not None and not isinstance(program, Program) and not _is_program_class(program):
        raise ProgramError(field="program", value=program, allowed="a Program class or instance")
    if not isinstance(proof, Proof):
        proof = Proof.from_bytes(proof)
    if statement is not None and statement != proof.statement:
        raise VerificationError(VerificationCode.STATEMENT, f"the proof is about {proof.statement!r}")
    if isinstance(program, Program):
        _require_same_inputs(proof.statement, program)
    backend_named(proof.backend).verify(proof, program=program, min_security=min_security)
    return proof.statement


def _is_program_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Program)


def _require_same_inputs(statement: Statement, program: Program) -> None:
    # Not program.statement(), which may take as long as the computation. The outputs are for the proof to say.
    cls = type(program)
    wanted = Statement(
        program=cls.id,
        parameters=tuple([(name, getattr(program, name)) for name in field_names(cls, None)]),
        public_inputs=tuple([getattr(program, name) for name in field_names(cls, "public")]),
        public_outputs=statement.public_outputs,
    )
    if wanted != statement:
        raise VerificationError(VerificationCode.STATEMENT, f"the proof is about {statement!r}, not about {program!r}")
