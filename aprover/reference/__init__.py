"""A second verifier, in plain Python on integers: slow, short, and written from docs/protocol.md alone.

It shares no code with the prover and with the C verifier; what they all read are the constraints that `aprover.air`
builds. `verify` is the counterpart of `aprover.verify`; the protocol itself is in `aprover.reference.verifier`, which
imports nothing else of aprover.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, overload

from .. import programs as _programs  # noqa: F401 - registers the shipped programs by their ids
from ..air import Program, program_from_statement
from ..errors import ProgramError, ProofFormatError, SecurityError, VerificationCode, VerificationError, rejection
from ..statement import MAX_STATEMENT_BYTES, Statement
from .aggregate import aggregate_air, read_aggregate
from .air import decode
from .layout import ZERO_KNOWLEDGE, ReferenceParameters
from .proof import PARAMETERS_BYTES
from .reader import Rejected
from .security import proven_bits
from .verifier import verify_stark

__all__ = ["ReferenceParameters", "Rejected", "proven_bits", "verify", "verify_stark"]

MAGIC = b"APRV"
VERSION = 2
STARK, TRACE, AGGREGATE, MEMBER = range(4)
INDEX_BYTES = 4
HEADER_BYTES = 12


class _Proof(Protocol):
    @property
    def statement(self) -> Statement: ...

    def to_bytes(self) -> bytes: ...


class _Aggregate(Protocol):
    @property
    def statements(self) -> tuple[Statement, ...]: ...

    def to_bytes(self) -> bytes: ...


_Classes = type[Program] | tuple[type[Program], ...] | None


def _malformed(message: str) -> ProofFormatError:
    return ProofFormatError(VerificationCode.ENVELOPE, message)


def _open_envelope(data: bytes) -> tuple[int, bytes, bytes]:
    """Section 11: the number of the backend, the statement's bytes, and the rest."""
    if len(data) < HEADER_BYTES or data[:4] != MAGIC or data[4] != VERSION or data[6:8] != b"\0\0":
        raise _malformed(f"not the envelope of a proof of version {VERSION}")
    if data[5] not in (STARK, TRACE, AGGREGATE, MEMBER):
        raise VerificationError(VerificationCode.BACKEND, f"unknown backend {data[5]}")
    length = int.from_bytes(data[8:HEADER_BYTES], "little")
    if length > min(len(data) - HEADER_BYTES, MAX_STATEMENT_BYTES):
        raise _malformed(f"a statement of {length} bytes is longer than what is there or allowed")
    end = HEADER_BYTES + length
    return data[5], data[HEADER_BYTES:end], data[end:]


@overload
def verify(
    proof: _Proof | bytes,
    statement: Statement | None = None,
    *,
    min_security: int = 100,
    program: _Classes = None,
) -> Statement: ...


@overload
def verify(
    proof: _Aggregate,
    statement: tuple[Statement, ...] | None = None,
    *,
    min_security: int = 100,
    program: _Classes = None,
) -> tuple[Statement, ...]: ...


def verify(
    proof: _Proof | _Aggregate | bytes,
    statement: Statement | tuple[Statement, ...] | None = None,
    *,
    min_security: int = 100,
    program: _Classes = None,
) -> Statement | tuple[Statement, ...]:
    """Checks a STARK proof and returns the statement that it proves; the contract is that of `aprover.verify`.

    Takes from hundredths of a second to seconds, and where constraints have long preprocessed columns, which it commits
    itself, longer: a minute for 2**16 rows. Proofs of the ``trace`` backend, which are checked by computing again,
    are refused.

    Args:
        proof: A `Proof` or its bytes, an `AggregateProof`, or an `AggregateMember` or its bytes.
        statement: What the proof has to be about; a tuple for an `AggregateProof`.
        min_security: The fewest proven bits to accept, from 1 to 128 (section 10).
        program: The class of a program that is not shipped with aprover; for aggregates also a tuple of classes.

    Returns:
        The statement; of an `AggregateProof` all its statements, in order.

    Raises:
        VerificationError: The proof is rejected; `code` says by which check.
        ProgramError: `min_security` or `program` is not what it may be.
    """
    if type(min_security) is not int or not 1 <= min_security <= 128:
        raise ProgramError(field="min_security", value=min_security, allowed="an int from 1 to 128 (proven bits)")
    classes = program if isinstance(program, tuple) else () if program is None else (program,)
    if not all(isinstance(one, type) and issubclass(one, Program) for one in classes):
        raise ProgramError(field="program", value=program, allowed="a Program class")
    data = bytes(proof) if isinstance(proof, bytes | bytearray) else proof.to_bytes()
    backend, claimed, body = _open_envelope(data)
    if backend == TRACE:
        Statement.from_bytes(claimed)
        raise VerificationError(VerificationCode.BACKEND, "the reference verifier does not re-execute computations")
    if backend == STARK:
        return _verify_one(claimed, body, statement, min_security, program)
    index = None
    if backend == MEMBER:
        own, index = Statement.from_bytes(claimed), int.from_bytes(body[:INDEX_BYTES], "little")
        backend, claimed, body = _open_envelope(body[INDEX_BYTES:])
        if backend != AGGREGATE:
            raise VerificationError(VerificationCode.BACKEND, "a member of no aggregate")
        if statement is not None and statement != own:
            raise VerificationError(VerificationCode.STATEMENT, f"the proof is about {own!r}")
        statement = own
    elif isinstance(proof, bytes | bytearray):
        raise VerificationError(VerificationCode.BACKEND, "an aggregate, which has many statements")
    found = _verify_aggregate(claimed, body, index, min_security, classes)
    if statement is not None and statement != found:
        raise VerificationError(VerificationCode.STATEMENT, f"the proof is about {found!r}")
    return found


def _verify_one(encoded: bytes, body: bytes, statement: object, min_security: int, program: _Classes) -> Statement:
    claimed = Statement.from_bytes(encoded)
    if statement is not None and statement != claimed:
        raise VerificationError(VerificationCode.STATEMENT, f"the proof is about {claimed!r}")
    if isinstance(program, tuple):
        raise ProgramError(field="program", value=program, allowed="a Program class")
    # A zero-knowledge proof of several tables is about constraints of its own (section 13).
    zk = len(body) >= PARAMETERS_BYTES and bool(body[3] & ZERO_KNOWLEDGE)
    air, _ = program_from_statement(claimed, program, zk=zk)
    _verify_stark(air.data, air.publics(claimed), encoded, body, min_security)
    return claimed


def _verify_aggregate(
    encoded: bytes, rest: bytes, index: int | None, min_security: int, programs: Sequence[type[Program]]
) -> Statement | tuple[Statement, ...]:
    """Section 14; of a member, its own statement."""
    claims, body = read_aggregate(encoded, rest)
    if index is not None and index >= len(claims.statements):
        raise _malformed(f"statement {index} of {len(claims.statements)}")
    _verify_stark(aggregate_air(claims, programs), claims.publics, encoded, body, min_security)
    return claims.statements if index is None else claims.statements[index]


def _verify_stark(air: bytes, publics: Sequence[int], encoded: bytes, body: bytes, min_security: int) -> None:
    try:
        parameters = verify_stark(air, publics, encoded, body)
    except Rejected as rejected:
        raise rejection(rejected.code) from None
    bits = proven_bits(decode(air), parameters)
    if bits < min_security:
        raise SecurityError(f"{bits:.1f} proven bits, fewer than {min_security}", reachable=bits)
