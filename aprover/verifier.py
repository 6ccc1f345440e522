"""`verify`: the check of a proof, whatever its backend, and of an aggregate."""

from __future__ import annotations

from typing import cast, overload

from .aggregate import AggregateMember, AggregateProof, Programs
from .air import Program
from .backends import backend_named, check_security, field_names, verify_aggregate
from .errors import ProgramError, VerificationCode, VerificationError
from .proof import Proof
from .statement import Statement

__all__ = ["verify"]

_Program = type[Program] | Program | tuple[type[Program], ...] | None


@overload
def verify(
    proof: Proof | bytes,
    statement: Statement | None = None,
    *,
    min_security: int = 100,
    program: _Program = None,
) -> Statement: ...


@overload
def verify(
    proof: AggregateProof,
    statement: tuple[Statement, ...] | None = None,
    *,
    min_security: int = 100,
    program: Programs = None,
) -> tuple[Statement, ...]: ...


@overload
def verify(
    proof: Proof | AggregateProof | bytes,
    statement: Statement | tuple[Statement, ...] | None = None,
    *,
    min_security: int = 100,
    program: _Program = None,
) -> Statement | tuple[Statement, ...]: ...


def verify(
    proof: Proof | AggregateProof | bytes,
    statement: Statement | tuple[Statement, ...] | None = None,
    *,
    min_security: int = 100,
    program: _Program = None,
) -> Statement | tuple[Statement, ...]:
    """Checks a proof and returns the statement that it proves.

    The caller must compare that statement with the one that it meant, or pass it as `statement`: a valid proof of
    something else is valid.

    Synchronous. A STARK proof takes from 50 microseconds to a few milliseconds, so it may be called on an event loop. A
    proof of the ``trace`` backend takes as long as the computation itself and needs its private inputs too.

    Args:
        proof: The proof or its bytes; those of an aggregate are to be read by `AggregateProof.from_bytes` first. Of an
            `AggregateMember` the whole aggregate is checked.
        statement: What the proof has to be about; for an aggregate a tuple of all its statements, in order.
        min_security: The fewest proven bits to accept, from 1 to 128.
        program: For a program of one's own, its class: a verifier must know the constraints from somewhere else than
            the proof. Given an instance, the proof has to be about its parameters and public inputs too. The ``trace``
            backend needs the instance if it has private inputs. For an aggregate a class or a tuple of classes, of
            those programs that are not shipped with aprover; other statements are refused.

    Returns:
        The statement; of an `AggregateProof` a tuple of all its statements, in order.

    Raises:
        VerificationError: The proof is rejected; `code` says by which check, and `ProofFormatError` and `SecurityError`
            are its subclasses for malformed bytes and too few bits.
        ProgramError: `min_security` or `program` is not what they may be.
    """
    check_security(min_security, "min_security")
    if isinstance(proof, AggregateProof):
        verify_aggregate(proof, program=_classes(program), min_security=min_security)
        if statement is not None and statement != proof.statements:
            raise VerificationError(VerificationCode.STATEMENT, f"the aggregate is about {proof.statements!r}")
        return proof.statements
    if not isinstance(proof, Proof):
        proof = Proof.from_bytes(proof)
    claimed = proof.statement
    if statement is not None and statement != claimed:
        raise VerificationError(VerificationCode.STATEMENT, f"the proof is about {claimed!r}")
    if isinstance(program, Program):
        _require_same_inputs(claimed, program)
    if isinstance(proof, AggregateMember):
        verify_aggregate(proof.aggregate, program=_classes(program), min_security=min_security)
    else:
        backend_named(proof.backend).verify(proof, program=_one(program), min_security=min_security)
    return claimed


def _one(program: object) -> type[Program] | Program | None:
    if program is not None and not isinstance(program, Program) and not _is_program_class(program):
        raise ProgramError(field="program", value=program, allowed="a Program class or instance")
    return cast("type[Program] | Program | None", program)


def _classes(program: object) -> tuple[type[Program], ...]:
    if isinstance(program, Program):
        return (type(program),)
    found = program if isinstance(program, tuple) else () if program is None else (program,)
    if not all(map(_is_program_class, found)):
        raise ProgramError(field="program", value=program, allowed="a Program class, or a tuple of such")
    return cast("tuple[type[Program], ...]", found)


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
