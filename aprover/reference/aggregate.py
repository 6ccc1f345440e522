"""Section 14: aggregates. The AIR of many statements, from the AIRs of the single ones, and the claims about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..air import Program, program_from_statement
from ..errors import ProofFormatError, VerificationCode, VerificationError
from ..statement import Statement, Value, ValueReader
from .air import ASSERT, VERSION, Table, decode
from .field import P, word_bytes, words

KIND = 7
MAX_GROUPS = 64
MAX_STATEMENTS = 65536


@dataclass(frozen=True)
class Group:
    """Statements of one program with the same parameters."""

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

    def statement(self, values: Sequence[int]) -> Statement:
        """The one with these public values."""
        rest: list[int] = list(values)
        inputs: list[Value] = []
        for length in self.inputs:
            if length is None:
                inputs.append(rest.pop(0))
            else:
                inputs.append(tuple(rest[:length]))
                del rest[:length]
        return Statement(self.program, self.parameters, tuple(inputs), tuple(rest))


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise ProofFormatError(VerificationCode.ENVELOPE, f"aggregate: {text}")


def _read_group(reader: ValueReader) -> Group:
    program, parameters, inputs, outputs = [reader.value() for _ in range(4)]
    count, log_slots = reader.number(4), reader.number(1)
    _require(type(program) is str and type(parameters) is tuple and type(inputs) is tuple, "a group")
    found: Any = parameters
    for pair in found:
        _require(type(pair) is tuple and len(pair) == 2 and type(pair[0]) is str, "a parameter")
    lengths: Any = inputs
    for length in (*(one for one in lengths if one is not None), outputs):
        _require(type(length) is int and 0 <= length <= MAX_STATEMENTS, "a number of public values")
    _require(1 <= count <= MAX_STATEMENTS and 2**log_slots < 2 * count, "the statements of a group or their runs")
    return Group(str(program), found, lengths, int(str(outputs)), count, log_slots)


def read_claims(data: bytes) -> tuple[list[Group], list[int]]:
    """The groups, and for each statement the number of its group."""
    reader = ValueReader(data)
    _require(reader.number(1) == KIND, "the first byte of the claims")
    groups = [_read_group(reader) for _ in range(reader.number(1))]
    _require(1 <= len(groups) <= MAX_GROUPS, "the number of groups")
    heads = {Statement(one.program, one.parameters, (), ()) for one in groups}
    _require(len(heads) == len(groups), "two groups of the same program and parameters")
    total = sum(one.count for one in groups)
    _require(total <= MAX_STATEMENTS, "too many statements")
    _require(sum(one.count * one.width for one in groups) <= MAX_STATEMENTS, "too many public values")
    order = list(reader.take(total)) if len(groups) > 1 else [0] * total
    _require(reader.at == len(data), "bytes follow the claims")
    _require(list(dict.fromkeys(order)) == list(range(len(groups))), "the first appearances of the groups")
    _require([order.count(g) for g in range(len(groups))] == [one.count for one in groups], "the order of the groups")
    return groups, order


@dataclass(frozen=True)
class Claims:
    """What an aggregate claims."""

    encoded: bytes
    groups: list[Group]
    publics: list[int]
    statements: tuple[Statement, ...]
    """In order."""
    of_group: list[list[Statement]]


def read_aggregate(encoded: bytes, rest: bytes) -> tuple[Claims, bytes]:
    """The claims, and the STARK proof that follows the public values in `rest`."""
    groups, order = read_claims(encoded)
    size = 4 * sum(one.count * one.width for one in groups)
    _require(len(rest) >= size, "public values are missing")
    publics = list(words(rest[:size]))
    if any(value >= P for value in publics):
        raise ProofFormatError(VerificationCode.NON_CANONICAL, "a public value of the aggregate")
    following_values = iter(publics)
    of_group = [
        [one.statement([next(following_values) for _ in range(one.width)]) for _ in range(one.count)] for one in groups
    ]
    following = [iter(one) for one in of_group]
    statements = tuple(next(following[number]) for number in order)
    return Claims(encoded, groups, publics, statements, of_group), rest[size:]


def aggregate_air(claims: Claims, programs: Sequence[type[Program]]) -> bytes:
    """The AIR of all statements, whose programs are among `programs` or shipped."""
    classes = {program.id: program for program in programs}
    stacks = []
    for one, statements in zip(claims.groups, claims.of_group, strict=True):
        for statement in statements:
            air, _ = program_from_statement(statement, classes.get(one.program))
            if len(air.publics(statement)) != one.width:
                raise VerificationError(VerificationCode.STATEMENT, "the number of public values")
        stacks.append((air.data, one.count, one.log_slots))
    return stacked(stacks)


def stacked(stacks: Sequence[tuple[bytes, int, int]]) -> bytes:
    """The AIR of groups of statements: each group's AIR, count and log_slots.

    Raises:
        VerificationError: An AIR has no aggregates, or not in so many runs.
    """
    members = [decode(data) for data, _, _ in stacks]
    for member in members:
        if len(member.tables) > 1 or member.buses or member.has_preprocessed:
            raise VerificationError(VerificationCode.PROGRAM, "its AIR has no aggregates")
    publics = sum(member.publics * count for member, (_, count, _) in zip(members, stacks, strict=True))
    out, first = [VERSION, len(stacks), 0, publics], 0
    for member, (_, count, log_slots) in zip(members, stacks, strict=True):
        out += _Stacked(member.tables[0], member.publics, count, log_slots, first, publics).words()
        first += member.publics * count
    return word_bytes(out)


class _Stacked:
    """The table of a group."""

    def __init__(self, table: Table, width: int, count: int, log_slots: int, first_public: int, publics: int) -> None:
        self.table, self.width, self.count = table, width, count
        self.log_slots, self.first_public, self.publics = log_slots, first_public, publics
        self.runs = 1 << log_slots
        self.copies = (count + self.runs - 1) // self.runs
        columns = table.header.columns
        self.reads = sorted((o, j * columns + c) for c, o in table.reads for j in range(self.copies))
        self.place = {read: i for i, read in enumerate(self.reads)}

    def slot(self, slot: int, copy: int, statement: int) -> int:
        """The slot here of a slot of the member, read in a copy for a statement."""
        h, columns = self.table.header, self.table.header.columns
        if slot < h.registers:
            return slot
        slot -= h.registers
        if slot < h.reads:
            column, offset = self.table.reads[slot]
            return h.registers + self.place[offset, copy * columns + column]
        slot -= h.reads
        first = h.registers + len(self.reads)
        if slot < h.periodics:
            return first + slot
        slot -= h.periodics
        first += h.periodics
        if slot < self.width:
            return first + self.first_public + statement * self.width + slot
        return first + self.publics + slot - self.width

    def words(self) -> list[int]:
        """The encoding of section 4.1."""
        h = self.table.header
        boundaries = self._boundaries()
        out = [h.columns * self.copies, 0, h.log_height + self.log_slots, self.log_slots, len(self.reads), h.periodics]
        out += [h.constants, h.registers, h.instructions * self.copies, len(boundaries), 0, 1]
        out += [offset << 16 | column for offset, column in self.reads]
        for values in self.table.periodics:
            out += [len(values).bit_length() - 1, *values]
        out += self.table.constants
        out += self._instructions()
        return out + [word for boundary in boundaries for word in boundary]

    def _instructions(self) -> list[int]:
        h = self.table.header
        first_public = h.registers + h.reads + h.periodics
        out = []
        for copy in range(self.copies):
            for op, dst, a, b in self.table.instructions:
                operands = [a] if op == ASSERT else [a, b]
                if self.runs > 1 and any(first_public <= slot < first_public + self.width for slot in operands):
                    raise VerificationError(VerificationCode.STATEMENT, "public values that are read have one run")
                mapped = [self.slot(slot, copy, copy * self.runs) for slot in operands]
                out += [op | dst << 16, mapped[0] | (mapped[1] << 16 if op != ASSERT else 0)]
        return out

    def _boundaries(self) -> list[tuple[int, int, int]]:
        h = self.table.header
        return sorted(
            (
                (i // self.runs) * h.columns + column,
                (i % self.runs) * h.height + row,
                self.slot(slot, i // self.runs, i),
            )
            for i in range(self.count)
            for column, bound in self.table.boundaries
            for row, slot in bound
        )
