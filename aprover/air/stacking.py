"""The AIR of an aggregate: many statements with few AIRs in one (docs/protocol.md, section 14)."""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from ..errors import ProgramError
from . import bytecode
from .bytecode import TableCode
from .compiled import CompiledAir, CompiledTable
from .filling import Filling

__all__ = ["Stack", "copies", "fits", "most_runs", "outputs_in_cells", "public_count", "refusal", "stack"]


@attrs.frozen(cache_hash=True)
class Stack:
    """Statements with one AIR, and how they stand in their table: statement i in run ``i % 2**log_slots`` of copy
    ``i >> log_slots``."""

    air: CompiledAir
    count: int
    log_slots: int


def refusal(air: CompiledAir) -> str | None:
    """What keeps statements with this AIR out of aggregates; None if nothing does."""
    if len(air.tables) > 1:
        return "several tables"
    if air.buses:
        return "lookups or range checks"
    if air.tables[0].preprocessed:
        return "preprocessed columns"
    return None


def copies(count: int, log_slots: int) -> int:
    """How often the columns are repeated."""
    return -(-count >> log_slots)


@functools.lru_cache(maxsize=512)
def most_runs(air: CompiledAir, count: int) -> int:
    """The largest `log_slots` that these statements may have: without an empty copy, within 2**24 rows, and 0 if a
    constraint reads a public value on every row, since that is one value for all of them."""
    if _reads_publics(_code(air)):
        return 0
    return min((count - 1).bit_length(), 24 - air.tables[0].log_height)


@functools.lru_cache(maxsize=64)
def stack(stacks: tuple[Stack, ...]) -> CompiledAir:
    """The AIR of all statements together: a table for each stack, the public values statement after statement.

    Args:
        stacks: Of AIRs without `refusal`.

    Raises:
        ProgramError: It is larger than the protocol allows.
    """
    publics = sum(one.count * public_count(one.air) for one in stacks)
    tables, compiled, first = [], [], 0
    for number, one in enumerate(stacks):
        if not 0 <= one.log_slots <= most_runs(one.air, one.count):
            raise ProgramError(f"{one.count} statements of {one.air.height} rows do not fill 2**{one.log_slots} runs")
        bytecode.check_sizes(**_sizes(one, publics))
        tables.append(_encode(one, first, publics))
        compiled.append(_compiled(one, number))
        first += one.count * public_count(one.air)
    return CompiledAir(
        data=bytecode.encode(tables, (), publics),
        tables=tuple(compiled),
        buses=(),
        public_spec=(),
        inputs=(),
        outputs=0,
        filling=Filling((), (), ()),
    )


def fits(stacks: Sequence[Stack]) -> bool:
    """Whether `stack` would find them within the protocol's limits."""
    publics = sum(one.count * public_count(one.air) for one in stacks)
    return all(bytecode.within_sizes(**_sizes(one, publics)) for one in stacks)


def _sizes(one: Stack, publics: int) -> dict[str, int]:
    code = _code(one.air)
    width = copies(one.count, one.log_slots)
    reads = len(code.reads) * width
    return {
        "columns": code.columns * width,
        "reads": reads,
        "publics": publics,
        "instructions": len(code.instructions) * width,
        "boundaries": len(code.boundaries) * one.count,
        "slots": code.registers + reads + len(code.periodics) + publics + len(code.constants),
    }


@functools.lru_cache(maxsize=512)
def _code(air: CompiledAir) -> TableCode:
    return bytecode.decode(air.data).tables[0]


def public_count(air: CompiledAir) -> int:
    """How many public values a statement with this AIR has."""
    return _code(air).publics


def outputs_in_cells(air: CompiledAir) -> bool:
    """Whether each public output is the value of some cell, so that whoever has the trace knows it."""
    code = _code(air)
    first = code.registers + len(code.reads) + len(code.periodics)
    bound = {slot - first for _, _, slot in code.boundaries}
    return bound.issuperset(range(code.publics - air.outputs, code.publics))


def _reads_publics(code: TableCode) -> bool:
    first = code.registers + len(code.reads) + len(code.periodics)
    slots = {slot for op, _, a, b in code.instructions for slot in ((a,) if op == bytecode.ASSERT else (a, b))}
    return any(first <= slot < first + code.publics for slot in slots)


def _encode(one: Stack, first_public: int, publics: int) -> bytes:
    """The words of one table.

    Args:
        one: What stands in it.
        first_public: The number of the first statement's first public value.
        publics: Of all tables.
    """
    code = _code(one.air)
    width = copies(one.count, one.log_slots)
    reads = _reads(code, width)
    head = [code.columns * width, 0, code.log_height + one.log_slots, one.log_slots, reads.size, len(code.periodics)]
    head += [len(code.constants), code.registers, len(code.instructions) * width]
    head += [len(code.boundaries) * one.count, 0, 1]
    fixed: list[int] = []
    for values in code.periodics:
        fixed += (len(values).bit_length() - 1, *values)
    fixed += code.constants
    return b"".join(
        [
            struct.pack(f"<{len(head)}I", *head),
            reads.tobytes(),
            struct.pack(f"<{len(fixed)}I", *fixed),
            _instructions(one, first_public, publics).tobytes(),
            _boundaries(one, first_public, publics).tobytes(),
        ]
    )


def _reads(code: TableCode, width: int) -> NDArray[np.uint32]:
    """By offset, then copy, then column."""
    found = np.array(code.reads, dtype="<u4").reshape(-1, 2)
    columns, offsets = found[:, 0], found[:, 1]
    words = (offsets << 16 | columns)[None, :] + code.columns * np.arange(width, dtype="<u4")[:, None]
    return np.sort(words.ravel()).astype("<u4")


def _slots(one: Stack, first_public: int, publics: int) -> NDArray[np.int64]:
    """For each copy (a row) and each slot of the member's table, the slot of this one.

    Public values are those of the copy's first statement.
    """
    code = _code(one.air)
    width = copies(one.count, one.log_slots)
    copy = np.arange(width)[:, None]
    offsets = np.array([offset for _, offset in code.reads])
    # Reads of smaller offsets come first, in all copies; among equal ones copy after copy.
    before = np.searchsorted(offsets, offsets, side="left")
    alike = np.searchsorted(offsets, offsets, side="right") - before
    reads = before * width + copy * alike + np.arange(len(offsets)) - before
    first_periodic = code.registers + len(code.reads) * width
    first_of_all = first_periodic + len(code.periodics)
    return np.concatenate(
        [
            np.broadcast_to(np.arange(code.registers), (width, code.registers)),
            code.registers + reads,
            np.broadcast_to(first_periodic + np.arange(len(code.periodics)), (width, len(code.periodics))),
            first_of_all + first_public + (copy << one.log_slots) * code.publics + np.arange(code.publics),
            np.broadcast_to(first_of_all + publics + np.arange(len(code.constants)), (width, len(code.constants))),
        ],
        axis=1,
    )


def _instructions(one: Stack, first_public: int, publics: int) -> NDArray[np.uint32]:
    steps = np.array(_code(one.air).instructions, dtype=np.int64).reshape(-1, 4)
    slots = _slots(one, first_public, publics)
    op, dst = steps[:, 0], steps[:, 1]
    asserts = op == bytecode.ASSERT
    a, b = slots[:, steps[:, 2]], np.where(asserts, 0, slots[:, steps[:, 3]])
    first = np.broadcast_to(op | dst << 16, a.shape)
    return np.stack([first, a | b << 16], axis=-1).astype("<u4")


def _boundaries(one: Stack, first_public: int, publics: int) -> NDArray[np.uint32]:
    code = _code(one.air)
    member = np.array(code.boundaries, dtype=np.int64).reshape(-1, 3)
    statement = np.arange(one.count)[:, None]
    copy, run = statement >> one.log_slots, statement & ((1 << one.log_slots) - 1)
    column, row = member[:, 0] + copy * code.columns, member[:, 1] + (run << code.log_height)
    slot = _slots(one, first_public, publics)[copy, member[:, 2]]
    first_of_all = code.registers + len(code.reads)
    is_public = (member[:, 2] >= first_of_all + len(code.periodics)) & (
        member[:, 2] < first_of_all + len(code.periodics) + code.publics
    )
    slot = slot + is_public * run * code.publics
    words = np.stack([column, row, slot], axis=-1).reshape(-1, 3)
    return words[np.lexsort((words[:, 1], words[:, 0]))].astype("<u4")


def _compiled(one: Stack, number: int) -> CompiledTable:
    member = one.air.tables[0]
    width = copies(one.count, one.log_slots)
    reads = _reads(_code(one.air), width).tolist()
    asserted = member.constraint_names[: len(member.terms)]
    bounded = {column for column, _, _ in _code(one.air).boundaries}
    return attrs.evolve(
        member,
        name=f"stack {number}",
        log_height=member.log_height + one.log_slots,
        log_slots=one.log_slots,
        columns=member.columns * width,
        written=member.columns * width,
        reads=tuple([(word & 0xFFFF, word >> 16) for word in reads]),
        terms=member.terms * width,
        constraint_names=asserted * width + member.constraint_names[len(asserted) :] * width,
        cost=member.cost * width,
        column_names=member.column_names * width,
        boundary_names=member.boundary_names if bounded else (),
    )
