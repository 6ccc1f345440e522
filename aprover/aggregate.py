"""`AggregateProof`: many statements with what proves all of them, and its bytes (docs/protocol.md, section 14)."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Sequence
from typing import Any, Literal, Self, cast

import attrs
import numpy as np
from numpy.typing import NDArray

from .air import CompiledAir, Program, program_from_statement
from .air.field import P
from .air.program import judges_public_inputs
from .air.stacking import Stack, refusal, stack
from .errors import ProgramError, ProofFormatError, VerificationCode, VerificationError
from .proof import AGGREGATE, HEADER_BYTES, MAGIC, VERSION, Proof, shape_of
from .security import Parameters, SecurityReport, Shape, security_report
from .statement import MAX_STATEMENT_BYTES, Statement, StatementForm, Value, ValueReader, encode_value

__all__ = ["AggregateMember", "AggregateProof", "ClaimGroup", "Programs", "encode_claims"]

KIND = 7
"""The first byte of the claims; no statement begins with it."""
MAX_GROUPS = 64
MAX_STATEMENTS = 2**16
INDEX_BYTES = 4

Programs = type[Program] | tuple[type[Program], ...] | None
"""Classes of programs of one's own that an aggregate may be about."""


@attrs.frozen(slots=False)
class ClaimGroup:
    """Statements about one program with the same parameters.

    Attributes:
        program: Its id.
        parameters: As in `Statement`.
        inputs: For each public input the length of a tuple, or None for an int.
        outputs: How many public outputs there are.
        count: How many statements.
        log_slots: log2 of the runs of rows that they share a table's columns in.
    """

    program: str
    parameters: tuple[tuple[str, Value], ...]
    inputs: tuple[int | None, ...]
    outputs: int
    count: int
    log_slots: int

    @property
    def width(self) -> int:
        """Public values of a statement."""
        return sum(1 if length is None else length for length in self.inputs) + self.outputs

    @property
    def head(self) -> bytes:
        """What two groups of one aggregate differ in."""
        return encode_value(self.program, "program") + encode_value(self.parameters, "parameters")

    @functools.cached_property
    def _form(self) -> StatementForm:
        return StatementForm(self.program, self.parameters)

    @functools.cached_property
    def _only_ints(self) -> bool:
        return all(length is None for length in self.inputs)

    def statement(self, values: Sequence[int]) -> Statement:
        """The statement with these public values."""
        if self._only_ints:
            return self._form.fill(tuple(values[: len(self.inputs)]), tuple(values[len(self.inputs) :]))
        at, inputs = 0, []
        for length in self.inputs:
            size = 1 if length is None else length
            inputs.append(values[at] if length is None else tuple(values[at : at + size]))
            at += size
        return self._form.fill(tuple(inputs), tuple(values[at:]))


def encode_claims(groups: Sequence[ClaimGroup], order: Sequence[int]) -> bytes:
    """The bytes of what an aggregate claims, without the public values.

    Args:
        groups: At most 64, in the order of their first statements.
        order: For each statement the number of its group.

    Raises:
        ProgramError: A parameter has no encoding.
    """
    parts = [bytes((KIND, len(groups)))]
    for one in groups:
        form = encode_value(one.inputs, "inputs") + encode_value(one.outputs, "outputs")
        parts += [one.head, form, one.count.to_bytes(4, "little"), bytes((one.log_slots,))]
    if len(groups) > 1:
        parts.append(bytes(order))
    return b"".join(parts)


def _decode_claims(data: bytes) -> tuple[tuple[ClaimGroup, ...], bytes]:
    """The groups, and the order if there are several."""
    reader = ValueReader(data)
    if reader.number(1) != KIND:
        raise _malformed("these are not the claims of an aggregate")
    groups = tuple([_decode_group(reader) for _ in range(reader.number(1))])
    if not 1 <= len(groups) <= MAX_GROUPS or len({one.head for one in groups}) < len(groups):
        raise _malformed(f"{len(groups)} groups; 1 to {MAX_GROUPS} different ones are allowed")
    total = sum(one.count for one in groups)
    if total > MAX_STATEMENTS or sum(one.count * one.width for one in groups) > MAX_STATEMENTS:
        raise _malformed(f"{total} statements, or their public values, are too many")
    order = reader.take(total) if len(groups) > 1 else b""
    if reader.at != len(data):
        raise _malformed("bytes follow the claims")
    if len(groups) > 1:
        if list(dict.fromkeys(order)) != list(range(len(groups))):
            raise _malformed("the groups are not in the order of their first statements")
        if any(order.count(number) != one.count for number, one in enumerate(groups)):
            raise _malformed("the order does not agree with the counts")
    return groups, order


def _public_bytes(groups: Sequence[ClaimGroup]) -> int:
    return 4 * sum(one.count * one.width for one in groups)


def _decode_group(reader: ValueReader) -> ClaimGroup:
    program, parameters, inputs, outputs = (reader.value() for _ in range(4))
    count, log_slots = reader.number(4), reader.number(1)
    lengths = inputs if type(inputs) is tuple else (True,)
    if not (type(program) is str and _are_parameters(parameters)):
        raise _malformed("the program or its parameters")
    if not all(_is_count(length) or length is None for length in lengths) or not _is_count(outputs):
        raise _malformed("the numbers of public values")
    if not 1 <= count <= MAX_STATEMENTS or log_slots > (count - 1).bit_length():
        raise _malformed(f"{count} statements in 2**{log_slots} runs")
    return ClaimGroup(program, cast(Any, parameters), cast(Any, lengths), cast(int, outputs), count, log_slots)


def _are_parameters(value: object) -> bool:
    return type(value) is tuple and all(
        type(pair) is tuple and len(pair) == 2 and type(pair[0]) is str for pair in value
    )


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_STATEMENTS


def _malformed(message: str) -> ProofFormatError:
    return ProofFormatError(VerificationCode.ENVELOPE, f"aggregate: {message}")


@attrs.frozen(slots=False, eq=False)
class AggregateProof:
    """Statements, in order, and the bytes that prove all of them together. Nothing is known to be true until
    `aprover.verify` says so.

    It cannot be split: whoever holds it sees all its statements. Two aggregates are equal if their bytes are.
    Aggregates pickle.

    Attributes:
        claims: What is claimed, without the public values: the bytes of docs/protocol.md, section 14.
        publics: The public values of all statements, group after group, four bytes each.
        body: The STARK proof: the bytes of section 8.
    """

    claims: bytes = attrs.field(repr=lambda claims: f"<{len(claims)} bytes>")
    publics: bytes = attrs.field(repr=False)
    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")
    # Known to who made the proof; spares a look-up of the programs in `security`.
    _shape: Shape | None = attrs.field(default=None, repr=False)

    @functools.cached_property
    def _parsed(self) -> tuple[tuple[ClaimGroup, ...], bytes]:
        groups, order = _decode_claims(self.claims)
        if len(self.publics) != _public_bytes(groups):
            raise _malformed(f"{len(self.publics)} bytes of public values; {_public_bytes(groups)} are claimed")
        if self.publics and int(self.public_values.max()) >= P:
            raise ProofFormatError(VerificationCode.NON_CANONICAL, "a public value of the aggregate is not below p")
        return groups, order

    @property
    def groups(self) -> tuple[ClaimGroup, ...]:
        """The statements' programs and parameters, each once.

        Raises:
            ProofFormatError: Code ``ENVELOPE`` or ``NON_CANONICAL``: the claims or the public values are malformed;
                `from_bytes` would have refused them.
        """
        return self._parsed[0]

    @property
    def count(self) -> int:
        """How many statements there are."""
        return sum(one.count for one in self.groups)

    @functools.cached_property
    def _values(self) -> list[list[list[int]]]:
        """Of each group, of each statement, the public values."""
        values = np.frombuffer(self.publics, dtype="<u4")
        found, at = [], 0
        for one in self.groups:
            end = at + one.count * one.width
            found.append(values[at:end].reshape(one.count, one.width).tolist())
            at = end
        return found

    @functools.cached_property
    def _places(self) -> list[tuple[int, int]]:
        """Of each statement its group, and its number there."""
        if len(self.groups) == 1:
            return [(0, i) for i in range(self.count)]
        counters = [itertools.count() for _ in self.groups]
        return [(number, next(counters[number])) for number in self._parsed[1]]

    def statement(self, index: int) -> Statement:
        """The statement at this index, from 0.

        Raises:
            IndexError: There is none.
        """
        number, place = self._places[index]
        return self.groups[number].statement(self._values[number][place])

    @functools.cached_property
    def statements(self) -> tuple[Statement, ...]:
        """What is claimed, in the order in which the programs were given."""
        return tuple([self.statement(i) for i in range(self.count)])

    def member(self, index: int) -> AggregateMember:
        """One statement's claim; it carries the whole aggregate.

        Raises:
            IndexError: There is no such statement.
        """
        return AggregateMember(self, range(self.count)[index])

    @property
    def parameters(self) -> Parameters:
        """The parameters at the front of the STARK proof.

        Raises:
            ProofFormatError: Code ``PARAMETERS``.
        """
        return Parameters.from_bytes(self.body[:8])

    @property
    def security(self) -> SecurityReport:
        """The proven bits that each statement has, if the aggregate verifies.

        Raises:
            As `Proof.security`.
        """
        if self._shape is not None:
            return security_report(self._shape, self.parameters)
        return self.security_for(None)

    def security_for(self, program: Programs) -> SecurityReport:
        """Like `security`, for programs of one's own, given by their classes.

        Raises:
            As `Proof.security_for`.
        """
        return security_report(shape_of(self.air(program)), self.parameters)

    def air(self, program: Programs = None) -> CompiledAir:
        """The constraints that a proof of all statements must satisfy, built from the programs.

        Raises:
            VerificationError: Code ``PROGRAM``: a program is unknown, refuses its parameters, or cannot be aggregated.
                Code ``STATEMENT``: the public values or the layout do not fit the program.
        """
        given = {} if program is None else {one.id: one for one in _classes(program)}
        stacks = []
        for number, one in enumerate(self.groups):
            air = self._member_air(number, given.get(one.program))
            if tuple([length for _, length in air.inputs]) != one.inputs or air.outputs != one.outputs:
                raise VerificationError(VerificationCode.STATEMENT, f"the public values are not those of {one.program}")
            reason = refusal(air)
            if reason is not None:
                raise VerificationError(VerificationCode.PROGRAM, f"{one.program} has {reason}: it has no aggregates")
            stacks.append(Stack(air, one.count, one.log_slots))
        try:
            return stack(tuple(stacks))
        except ProgramError as error:
            raise VerificationError(VerificationCode.STATEMENT, str(error)) from None

    def _member_air(self, number: int, cls: type[Program] | None) -> CompiledAir:
        one = self.groups[number]
        values = self._values[number]
        air, found = program_from_statement(one.statement(values[0]), cls)
        if judges_public_inputs(found):
            for own in values[1:]:
                program_from_statement(one.statement(own), cls)
        return air

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes in hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The canonical bytes, envelope included."""
        head = MAGIC + bytes((VERSION, AGGREGATE, 0, 0)) + len(self.claims).to_bytes(4, "little")
        return b"".join((head, self.claims, self.publics, self.body))

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Self:
        """Reads the envelope, the claims and the public values; the proof is read by `aprover.verify`.

        Time and memory are linear in ``len(data)``.

        Raises:
            ProofFormatError: Code ``ENVELOPE``: malformed. Code ``NON_CANONICAL``: a public value is not below p.
            VerificationError: Code ``BACKEND``: this is no aggregate.
        """
        length = _open(data)
        end = HEADER_BYTES + length
        claims = bytes(data[HEADER_BYTES:end])
        split = end + _public_bytes(_decode_claims(claims)[0])
        made = cls(claims, bytes(data[end:split]), bytes(data[split:]))
        _ = made.groups  # which refuses malformed ones
        return made

    @property
    def public_values(self) -> NDArray[np.uint32]:
        """The public values of all statements, group after group, as the constraints read them."""
        return np.frombuffer(self.publics, dtype="<u4")

    def __len__(self) -> int:
        """The length in bytes, envelope included."""
        return HEADER_BYTES + len(self.claims) + len(self.publics) + len(self.body)

    def __bool__(self) -> Literal[True]:
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AggregateProof):
            return NotImplemented
        return (self.claims, self.publics, self.body) == (other.claims, other.publics, other.body)

    def __hash__(self) -> int:
        return hash((self.claims, self.publics, self.body))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.claims, self.publics, self.body, self._shape)


def _classes(program: type[Program] | tuple[type[Program], ...]) -> tuple[type[Program], ...]:
    found = program if isinstance(program, tuple) else (program,)
    for one in found:
        if not (isinstance(one, type) and issubclass(one, Program)):
            raise ProgramError(field="program", value=program, allowed="a Program class, or a tuple of such")
    return found


def _open(data: bytes | bytearray | memoryview) -> int:
    """The length at the end of the envelope's head."""
    if len(data) < HEADER_BYTES or data[:4] != MAGIC or data[4] != VERSION or bytes(data[6:8]) != b"\0\0":
        raise _malformed("not the envelope of a proof of this version")
    if data[5] != AGGREGATE:
        raise VerificationError(VerificationCode.BACKEND, f"backend {data[5]}: this is no aggregate")
    length = int.from_bytes(data[8:HEADER_BYTES], "little")
    if length > min(len(data) - HEADER_BYTES, MAX_STATEMENT_BYTES):
        raise _malformed(f"claims of {length} bytes are longer than what is there or allowed")
    return length


class AggregateMember(Proof):
    """One statement of an aggregate. It carries the aggregate, so whoever holds it sees all the statements.

    `aprover.verify` checks the whole and returns this statement. Members of one aggregate share its bytes in memory.

    Attributes:
        aggregate: The shared proof.
        index: Which of its statements this one is, from 0.
    """

    __slots__ = ("aggregate", "index")

    aggregate: AggregateProof
    index: int

    def __init__(self, aggregate: AggregateProof, index: int) -> None:
        object.__setattr__(self, "aggregate", aggregate)
        object.__setattr__(self, "index", index)

    @property
    def backend(self) -> Literal["aggregate"]:
        """``"aggregate"``."""
        return "aggregate"

    @property
    def statement(self) -> Statement:
        """What is claimed."""
        return self.aggregate.statement(self.index)

    @property
    def body(self) -> bytes:
        """The index, and the bytes of the aggregate; made anew each time."""
        return self.index.to_bytes(INDEX_BYTES, "little") + self.aggregate.to_bytes()

    @property
    def parameters(self) -> Parameters:
        """As `AggregateProof.parameters`."""
        return self.aggregate.parameters

    @property
    def security(self) -> SecurityReport:
        """As `AggregateProof.security`."""
        return self.aggregate.security

    def security_for(self, program: Programs) -> SecurityReport:
        """As `AggregateProof.security_for`."""
        return self.aggregate.security_for(program)

    @classmethod
    def of(cls, statement: Statement, body: bytes) -> Self:
        """From the parts of an envelope (`Proof.from_bytes`).

        Raises:
            ProofFormatError: Code ``ENVELOPE``: the body is malformed. Code ``NON_CANONICAL``: as `AggregateProof`.
            VerificationError: Code ``STATEMENT``: the aggregate has another statement there.
        """
        index, aggregate = int.from_bytes(body[:INDEX_BYTES], "little"), AggregateProof.from_bytes(body[INDEX_BYTES:])
        if index >= aggregate.count:
            raise _malformed(f"statement {index} of {aggregate.count}")
        made = cls(aggregate, index)
        if made.statement != statement:
            raise VerificationError(VerificationCode.STATEMENT, f"statement {index} of the aggregate is another one")
        return made

    @property
    def share(self) -> int:
        """This member's share of the aggregate's bytes, which all members have in common."""
        return -(-len(self.aggregate) // self.aggregate.count)

    def __len__(self) -> int:
        """The length in bytes, envelopes and the whole aggregate included."""
        return HEADER_BYTES + len(self.statement.to_bytes()) + INDEX_BYTES + len(self.aggregate)

    def __repr__(self) -> str:
        return f"AggregateMember(index={self.index}, statement={self.statement!r}, aggregate={self.aggregate!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AggregateMember):
            return NotImplemented
        return self.index == other.index and self.aggregate == other.aggregate

    def __hash__(self) -> int:
        return hash((self.index, self.aggregate))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.aggregate, self.index)
