"""A second verifier, in plain Python on integers: slow, short, and written from docs/protocol.md alone.

It shares no code with the prover and with the C verifier; what they all read are the constraints that `aprover.air`
builds. `verify` is the counterpart of `aprover.verify`; the protocol itself is in `aprover.reference.verifier`, which
imports nothing else of aprover.
"""

from __future__ import annotations

from typing import Protocol

from .. import programs as _programs  # noqa: F401 - registers the shipped programs by their ids
from ..air import Program, program_from_statement
from ..errors import ProgramError, ProofFormatError, SecurityError, VerificationCode, VerificationError, rejection
from ..statement import MAX_STATEMENT_BYTES, Statement
from .air import decode
from .layout import ZERO_KNOWLEDGE, ReferenceParameters
from .proof import PARAMETERS_BYTES
from .reader import Rejected
from .security import proven_bits
from .verifier import verify_stark

__all__ = ["ReferenceParameters", "Rejected", "proven_bits", "verify", "verify_stark"]

MAGIC = b"APRV"
VERSION = 1
STARK, TRACE = 0, 1
HEADER_BYTES = 12


class _Proof(Protocol):
    def to_bytes(self) -> bytes: ...


def _malformed(message: str) -> ProofFormatError:
    return ProofFormatError(VerificationCode.ENVELOPE, message)


def _open_envelope(data: bytes) -> tuple[Statement, bytes]:
    """Section 11: the statement and the STARK proof of an envelope."""
    if len(data) < HEADER_BYTES or data[:4] != MAGIC or data[4] != VERSION or data[6:8] != b"\0\0":
        raise _malformed("not the envelope of a proof of version 1")
    if data[5] not in (STARK, TRACE):
        raise VerificationError(VerificationCode.BACKEND, f"unknown backend {data[5]}")
    length = int.from_bytes(data[8:HEADER_BYTES], "little")
    if length > min(len(data) - HEADER_BYTES, MAX_STATEMENT_BYTES):
        raise _malformed(f"a statement of {length} bytes is longer than what is there or allowed")
    statement = Statement.from_bytes(data[HEADER_BYTES : HEADER_BYTES + length])
    if data[5] == TRACE:
        raise VerificationError(VerificationCode.BACKEND, "the reference verifier does not re-execute computations")
    return statement, data[HEADER_BYTES + length :]


def verify(
    proof: _Proof | bytes,
    statement: Statement | None = None,
    *,
    min_security: int = 100,
    program: type[Program] | None = None,
) -> Statement:
    """Checks a STARK proof and returns the statement that it proves; the contract is that of `aprover.verify`.

    Takes from hundredths of a second to seconds, and where constraints have long preprocessed columns, which it commits
    itself, longer: a minute for 2**16 rows. Proofs of the ``trace`` backend, which are checked by computing again,
    are refused.

    Args:
        proof: A `Proof` or its bytes.
        statement: What the proof has to be about.
        min_security: The fewest proven bits to accept, from 1 to 128 (section 10).
        program: The class of a program that is not shipped with aprover.

    Raises:
        VerificationError: The proof is rejected; `code` says by which check.
        ProgramError: `min_security` or `program` is not what it may be.
    """
    if type(min_security) is not int or not 1 <= min_security <= 128:
        raise ProgramError(field="min_security", value=min_security, allowed="an int from 1 to 128 (proven bits)")
    if program is not None and not (isinstance(program, type) and issubclass(program, Program)):
        raise ProgramError(field="program", value=program, allowed="a Program class")
    claimed, body = _open_envelope(bytes(proof) if isinstance(proof, bytes | bytearray) else proof.to_bytes())
    if statement is not None and statement != claimed:
        raise VerificationError(VerificationCode.STATEMENT, f"the proof is about {claimed!r}")
    # A zero-knowledge proof of several tables is about constraints of its own (section 13).
    zk = len(body) >= PARAMETERS_BYTES and bool(body[3] & ZERO_KNOWLEDGE)
    air, _ = program_from_statement(claimed, program, zk=zk)
    try:
        parameters = verify_stark(air.data, air.publics(claimed), claimed.to_bytes(), body)
    except Rejected as rejected:
        raise rejection(rejected.code) from None
    bits = proven_bits(decode(air.data), parameters)
    if bits < min_security:
        raise SecurityError(f"{bits:.1f} proven bits, fewer than {min_security}", reachable=bits)
    return claimed
