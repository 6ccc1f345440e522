"""`Proof`: a statement with what proves it, and its bytes (docs/protocol.md, section 11)."""

from __future__ import annotations

import functools
import hashlib
from typing import Literal

import attrs

from .air import CompiledAir, Program, program_from_statement
from .errors import ProgramError, ProofFormatError, VerificationCode, VerificationError
from .security import Parameters, SecurityReport, Shape, TableShape, security_report
from .statement import MAX_STATEMENT_BYTES, Statement, Value

__all__ = ["BackendName", "Proof", "shape_of"]

BackendName = Literal["stark", "trace"]

MAGIC = b"APRV"
VERSION = 2
"""Of the protocol: docs/protocol.md."""
HEADER_BYTES = 12
Kind = BackendName | Literal["aggregate"]
NUMBERS: dict[Kind, int] = {"stark": 0, "trace": 1, "aggregate": 3}
KINDS = {number: kind for kind, number in NUMBERS.items()}
AGGREGATE = 2
"""The number of an aggregate itself, which has many statements: see `aggregate.AggregateProof`."""
TRACE_BODY_BYTES = 32


@functools.lru_cache(maxsize=512)
def shape_of(air: CompiledAir) -> Shape:
    """What the security of a proof about `air` depends on, apart from the parameters."""
    tables = [
        TableShape(
            log_height=table.log_height,
            columns=table.columns,
            rows_read=table.rows_read,
            constraints=table.constraints,
            openings=len(table.reads) + (table.lookup_columns + 1 if table.interactions else 0),
            terms=tuple(sorted(set(table.terms))),
            boundaries=bool(table.boundary_names),
            preprocessed=table.preprocessed,
            log_slots=table.log_slots,
            interactions=table.interactions,
            lookup_columns=table.lookup_columns,
            lookup_degrees=tuple(sorted(set(table.lookup_degrees))),
        )
        for table in air.tables
    ]
    return Shape(tuple(tables), max((width for _, width in air.buses), default=0))


@attrs.frozen(cache_hash=True, slots=True)
class Proof:
    """A statement and the bytes that prove it. Nothing is known to be true until `aprover.verify` says so.

    Two proofs are equal if their bytes are. Proofs pickle.

    Attributes:
        backend: ``"stark"``; ``"trace"`` for a commitment that is checked by doing the work again; ``"aggregate"`` for
            one statement of an aggregate, an `AggregateMember`.
        statement: What is claimed.
        body: What the backend made: for ``stark`` the bytes of docs/protocol.md, section 8.
    """

    backend: Kind
    statement: Statement
    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")
    # Known to who made the proof; spares a verifier's lookup of the program in `security`.
    _shape: Shape | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def public_outputs(self) -> tuple[Value, ...]:
        """What the computation is claimed to give."""
        return self.statement.public_outputs

    @property
    def parameters(self) -> Parameters:
        """The parameters at the front of a STARK proof.

        Raises:
            ProofFormatError: Code ``PARAMETERS``.
            VerificationError: Code ``BACKEND``: a trace commitment has no parameters.
        """
        self._require_stark()
        return Parameters.from_bytes(self.body[:8])

    @property
    def security(self) -> SecurityReport:
        """The proven bits of a proof with these parameters, if it verifies.

        Computed from the parameters in the bytes and the shape of the program's constraints. For a proof that came as
        bytes and is about a program that is not shipped with aprover, use `security_for`.

        Raises:
            ProofFormatError: Code ``PARAMETERS``.
            VerificationError: Code ``PROGRAM``: the program is not known here. Code ``BACKEND``: a trace commitment
                has no such report, as it is checked by doing the work again.
        """
        self._require_stark()
        if self._shape is not None:
            return security_report(self._shape, self.parameters)
        return self.security_for(None)

    def security_for(self, program: type[Program] | tuple[type[Program], ...] | None) -> SecurityReport:
        """Like `security`, for a program of one's own, given by its class.

        Raises:
            ProofFormatError: Code ``PARAMETERS``.
            VerificationError: Codes ``PROGRAM`` and ``STATEMENT``: the statement is not about this program. Code
                ``BACKEND``, as for `security`.
        """
        self._require_stark()
        if isinstance(program, tuple):
            raise ProgramError(field="program", value=program, allowed="a Program class")
        parameters = self.parameters
        air, _ = program_from_statement(self.statement, program, zk=parameters.zk)
        return security_report(shape_of(air), parameters)

    def _require_stark(self) -> None:
        if self.backend != "stark":
            raise VerificationError(
                VerificationCode.BACKEND, f"a proof of the {self.backend} backend has no parameters and no report"
            )

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes in hexadecimal: a name for this proof, the one that ``sha256sum`` gives its file."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The canonical bytes, envelope included."""
        statement = self.statement.to_bytes()
        head = MAGIC + bytes((VERSION, NUMBERS[self.backend], 0, 0)) + len(statement).to_bytes(4, "little")
        return b"".join((head, statement, self.body))

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Proof:
        """Reads the envelope and the statement; the backend's part is read by `aprover.verify`.

        Time and memory are linear in ``len(data)``.

        Raises:
            ProofFormatError: Code ``ENVELOPE``: malformed. Codes ``TRUNCATED`` and ``TRAILING``: a trace commitment
                that does not have 32 bytes.
            VerificationError: Code ``BACKEND``: of a backend that this version does not know.
        """
        if len(data) < HEADER_BYTES:
            raise _malformed(f"{len(data)} bytes are too few")
        if data[:4] != MAGIC:
            raise _malformed("these are not the bytes of a proof")
        if data[4] != VERSION:
            raise _malformed(f"version {data[4]}; this is version {VERSION}")
        if data[6:8] != b"\0\0":
            raise _malformed("reserved bytes are not zero")
        if data[5] == AGGREGATE:
            what = "an aggregate, which has many statements: read it by AggregateProof.from_bytes"
            raise VerificationError(VerificationCode.BACKEND, what)
        if data[5] not in KINDS:
            raise VerificationError(VerificationCode.BACKEND, f"unknown backend {data[5]}")
        length = int.from_bytes(data[8:HEADER_BYTES], "little")
        if length > min(len(data) - HEADER_BYTES, MAX_STATEMENT_BYTES):
            raise _malformed(f"a statement of {length} bytes is longer than what is there or allowed")
        end = HEADER_BYTES + length
        statement = Statement.from_bytes(data[HEADER_BYTES:end])
        if KINDS[data[5]] == "aggregate":
            from .aggregate import AggregateMember

            return AggregateMember.of(statement, bytes(data[end:]))
        proof = cls(KINDS[data[5]], statement, bytes(data[end:]))
        if proof.backend == "trace" and len(proof.body) != TRACE_BODY_BYTES:
            code = VerificationCode.TRUNCATED if len(proof.body) < TRACE_BODY_BYTES else VerificationCode.TRAILING
            raise ProofFormatError(code, f"a trace commitment has {TRACE_BODY_BYTES} bytes, not {len(proof.body)}")
        return proof

    def __len__(self) -> int:
        """The length in bytes, envelope included."""
        return HEADER_BYTES + len(self.statement.to_bytes()) + len(self.body)

    def __bool__(self) -> Literal[True]:
        # Explicit, since truth would otherwise come from the length and suggest that the proof was checked.
        return True


def _malformed(message: str) -> ProofFormatError:
    return ProofFormatError(VerificationCode.ENVELOPE, message)
