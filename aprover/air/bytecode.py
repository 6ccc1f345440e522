"""The register bytecode of an AIR: docs/protocol.md, section 4.1."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ProgramError
from .expr import CONSTANT, MUL, PERIODIC, PUBLIC, READ, Expr

VERSION = 2
ASSERT = 3
AIR_HEADER_WORDS = 4
TABLE_HEADER_WORDS = 12

MAX_TABLES = 64
MAX_BUSES = 64
MAX_BUS_WIDTH = 16
MAX_COLUMNS = 4096
MAX_READS = 16384
MAX_PERIODICS = 1024
MAX_PUBLICS = 65536
MAX_CONSTANTS = 16384
MAX_REGISTERS = 4096
MAX_INSTRUCTIONS = 2**20
MAX_BOUNDARIES = 65536
MAX_INTERACTIONS = 1024
MAX_SLOTS = 65535
MAX_WORDS = 8_000_000


class Schedule(NamedTuple):
    """The operations in the order in which they run, and the leaves that they read.

    `steps` holds each operation once, before its first use, and the node ``None, root`` where `root` is asserted.
    `kept` are the values that are needed after the last step.
    """

    steps: list[tuple[Expr | None, Expr]]
    leaves: list[Expr]
    kept: list[Expr]


def schedule(roots: Sequence[Expr], kept: Sequence[Expr] = ()) -> Schedule:
    """Depth first in the order of the roots, of two operands first the one that takes more registers.

    A value is computed where it is first needed, so live ranges are as short as the order of the constraints
    lets them be.
    """
    steps: list[tuple[Expr | None, Expr]] = []
    leaves: list[Expr] = []
    done: set[int] = set()
    for position, root in enumerate([*roots, *kept]):
        stack = [root]
        while stack:
            node = stack[-1]
            if node.number in done:
                stack.pop()
                continue
            if node.kind > MUL:
                leaves.append(node)
                done.add(node.number)
                stack.pop()
                continue
            left, right = node.left, node.right
            assert left is not None
            assert right is not None
            missing = False
            for operand in (left, right) if left.weight < right.weight else (right, left):
                if operand.number not in done:
                    stack.append(operand)
                    missing = True
            if not missing:
                steps.append((node, node))
                done.add(node.number)
                stack.pop()
        if position < len(roots):
            steps.append((None, root))
    return Schedule(steps, leaves, list(kept))


class Rows(NamedTuple):
    """What a table evaluates on each row, and where its leaves stand among the slots."""

    registers: int
    reads: Sequence[tuple[int, int]]
    periodics: Sequence[Sequence[int]]
    publics: Sequence[int]
    """For each public value in the order of the statement, its index in the arena's table."""
    constants: Sequence[int]
    instructions: list[tuple[int, int, int, int]]
    """(op, dst, a, b)"""
    slots: dict[int, int]
    """From the numbers of nodes; of registers, as they are after the last instruction."""

    known_slots: dict[tuple[int, int], int]
    """Of constants and public values, by the kind and `Expr.x`."""


def assemble(
    plan: Schedule,
    *,
    reads: Sequence[tuple[int, int]],
    column_of: Mapping[int, int],
    periodics: Sequence[Sequence[int]],
    publics: Sequence[int],
    constants: Iterable[int] = (),
) -> Rows:
    """Gives slots to values, and registers to the results of operations.

    Args:
        plan: From `schedule`.
        reads: (column, offset) in the order of the openings.
        column_of: From the numbers that expressions have for columns to those of the table.
        periodics: The values of each periodic column, by its index.
        publics: For each public value in the order of the statement, its index in the arena's table.
        constants: That need a slot although the plan does not read them.
    """
    steps = plan.steps
    all_constants = sorted({node.x for node in plan.leaves if node.kind == CONSTANT}.union(constants))
    # Every node of a step has both operands; mypy knows only of all nodes, of which leaves have none.
    last_use: dict[int, int] = {}
    for position, (node, root) in enumerate(steps):
        if node is None:
            last_use[root.number] = position
        else:
            last_use[node.left.number] = position  # type: ignore[union-attr]
            last_use[node.right.number] = position  # type: ignore[union-attr]
    last_use.update((node.number, len(steps)) for node in plan.kept)
    registers, slots = _allocate(steps, last_use)
    first_periodic = registers + len(reads)
    first_public = first_periodic + len(periodics)
    first_constant = first_public + len(publics)
    read_slot = {read: registers + i for i, read in enumerate(reads)}
    known_slots = {(PUBLIC, index): first_public + i for i, index in enumerate(publics)}
    known_slots.update(((CONSTANT, value), first_constant + i) for i, value in enumerate(all_constants))
    for leaf in plan.leaves:
        if leaf.kind == READ:
            slots[leaf.number] = read_slot[column_of[leaf.x], leaf.y]
        elif leaf.kind == PERIODIC:
            slots[leaf.number] = first_periodic + leaf.x
        else:
            slots[leaf.number] = known_slots[leaf.kind, leaf.x]
    # A register is reused after its last use, so an operand's register is read before it is written again.
    instructions = [
        (ASSERT, 0, slots[root.number], 0)
        if node is None
        else (node.kind, slots[node.number], slots[node.left.number], slots[node.right.number])  # type: ignore[union-attr]
        for node, root in steps
    ]
    return Rows(registers, reads, periodics, publics, all_constants, instructions, slots, known_slots)


def encode(tables: Sequence[bytes], bus_widths: Sequence[int], publics: int) -> bytes:
    """The words of an AIR, little-endian.

    Raises:
        ProgramError: The AIR is larger than the protocol allows.
    """
    _check_size("tables", len(tables), MAX_TABLES)
    _check_size("buses", len(bus_widths), MAX_BUSES)
    _check_size("publics", publics, MAX_PUBLICS)
    head = (VERSION, len(tables), len(bus_widths), publics, *bus_widths)
    data = b"".join([struct.pack(f"<{len(head)}I", *head), *tables])
    _check_size("words", len(data) // 4, MAX_WORDS)
    return data


def encode_table(
    rows: Rows,
    *,
    log_height: int,
    columns: int,
    boundaries: Sequence[tuple[int, int, Expr]],
    interactions: Sequence[tuple[int, int, Expr, Sequence[Expr]]],
    batch: int,
    preprocessed: Sequence[NDArray[np.uint32]],
) -> bytes:
    """The words of one table, little-endian.

    Args:
        rows: What is evaluated on each row.
        log_height: log2 of the number of rows.
        columns: The number of columns that the prover chooses; the preprocessed ones come after them.
        boundaries: (column, row, constant or public value), ascending by column and row.
        interactions: (bus, sign: 0 plus and 1 minus, multiplicity, values), in the order in which they are batched.
        batch: How many of them share a lookup column, 1 to 4.
        preprocessed: The values of each preprocessed column, as many as there are rows.

    Raises:
        ProgramError: The table is larger than the protocol allows.
    """
    leaves = len(rows.reads) + len(rows.periodics) + len(rows.publics) + len(rows.constants)
    check_sizes(
        columns=columns + len(preprocessed),
        reads=len(rows.reads),
        periodics=len(rows.periodics),
        publics=len(rows.publics),
        constants=len(rows.constants),
        registers=rows.registers,
        instructions=len(rows.instructions),
        boundaries=len(boundaries),
        interactions=len(interactions),
        slots=rows.registers + leaves,
    )
    words = [columns, len(preprocessed), log_height, 0, len(rows.reads), len(rows.periodics), len(rows.constants)]
    words += (rows.registers, len(rows.instructions), len(boundaries), len(interactions), batch)
    words += (offset << 16 | column for column, offset in rows.reads)
    for values in rows.periodics:
        words.append(len(values).bit_length() - 1)
        words += values
    words += rows.constants
    for op, dst, a, b in rows.instructions:
        words += (op | dst << 16, a | b << 16)
    for column, row, value in boundaries:
        words += (column, row, rows.known_slots[value.kind, value.x])
    for bus, sign, multiplicity, tuple_values in interactions:
        words += (bus, sign, rows.slots[multiplicity.number], *[rows.slots[value.number] for value in tuple_values])
    parts = [struct.pack(f"<{len(words)}I", *words)]
    parts += [np.ascontiguousarray(values, dtype="<u4").tobytes() for values in preprocessed]
    return b"".join(parts)


def _allocate(steps: Sequence[tuple[Expr | None, Expr]], last_use: dict[int, int]) -> tuple[int, dict[int, int]]:
    """Linear scan without spilling: the number of registers, and the register of each operation by node number.

    The result may take the register of an operand that dies in the same instruction. Straight-line code makes
    the live ranges an interval graph, for which this uses as few registers as the order of the steps allows.
    """
    register_of: dict[int, int] = {}
    free: list[int] = []
    count = 0
    for position, (node, root) in enumerate(steps):
        operands = (root,) if node is None else (node.left, node.right) if node.left is not node.right else (node.left,)
        for operand in operands:
            assert operand is not None
            if operand.kind <= MUL and last_use[operand.number] == position:
                free.append(register_of[operand.number])
        if node is not None:
            if free:
                register_of[node.number] = free.pop()
            else:
                register_of[node.number] = count
                count += 1
    return count, register_of


_MOST = {
    "columns": MAX_COLUMNS,
    "reads": MAX_READS,
    "periodics": MAX_PERIODICS,
    "publics": MAX_PUBLICS,
    "constants": MAX_CONSTANTS,
    "registers": MAX_REGISTERS,
    "instructions": MAX_INSTRUCTIONS,
    "boundaries": MAX_BOUNDARIES,
    "interactions": MAX_INTERACTIONS,
    "slots": MAX_SLOTS,
}


def check_sizes(**sizes: int) -> None:
    """Checks counts of a table, by their names in docs/protocol.md, section 4.1.

    Raises:
        ProgramError: One is more than the protocol allows.
    """
    for what, size in sizes.items():
        _check_size(what, size, _MOST[what])


def within_sizes(**sizes: int) -> bool:
    """Whether `check_sizes` would find nothing."""
    return all(size <= _MOST[what] for what, size in sizes.items())


def _check_size(what: str, size: int, most: int) -> None:
    if size > most:
        raise ProgramError(f"the AIR has {size} {what}, and at most {most} are allowed")


class TableCode(NamedTuple):
    """The parts of a table's encoding."""

    columns: int
    log_height: int
    registers: int
    publics: int
    reads: list[tuple[int, int]]
    periodics: list[tuple[int, ...]]
    constants: tuple[int, ...]
    instructions: list[tuple[int, int, int, int]]
    """(op, dst, a, b)"""
    boundaries: list[tuple[int, int, int]]
    """(column, row, slot)"""
    interactions: list[tuple[int, int, int, tuple[int, ...]]]
    """(bus, sign, multiplicity, values); these are slots"""
    batch: int
    preprocessed: NDArray[np.uint32]
    """shape (preprocessed columns, rows)"""


class Bytecode(NamedTuple):
    """The parts of an AIR's encoding; the encoder's inverse."""

    bus_widths: tuple[int, ...]
    publics: int
    tables: list[TableCode]


def decode(data: bytes) -> Bytecode:
    """The parts of bytes that `encode` made. It does not validate; the C loader and the reference verifier do."""
    array = np.frombuffer(data, dtype="<u4")
    _, count, buses, publics = array[:AIR_HEADER_WORDS].tolist()
    at = AIR_HEADER_WORDS + buses
    widths = tuple(array[AIR_HEADER_WORDS:at].tolist())
    tables = []
    for _ in range(count):
        table, at = _decode_table(array, at, widths, publics)
        tables.append(table)
    assert at == len(array)
    return Bytecode(widths, publics, tables)


def _decode_table(array: NDArray[np.uint32], at: int, widths: Sequence[int], publics: int) -> tuple[TableCode, int]:
    """The table that begins at a word, and the word after it."""

    def take(size: int) -> list[int]:
        nonlocal at
        at += size
        found: list[int] = array[at - size : at].tolist()
        return found

    columns, fixed, log_height, _, n_reads, n_periodics, n_constants, registers, *counts = take(TABLE_HEADER_WORDS)
    n_steps, n_boundaries, n_interactions, batch = counts
    reads = [(word & 0xFFFF, word >> 16) for word in take(n_reads)]
    periodics = [tuple(take(1 << take(1)[0])) for _ in range(n_periodics)]
    constants = tuple(take(n_constants))
    steps = take(2 * n_steps)
    instructions = [
        (op & 0xFFFF, op >> 16, operands & 0xFFFF, operands >> 16)
        for op, operands in zip(steps[::2], steps[1::2], strict=True)
    ]
    boundaries = [(column, row, slot) for column, row, slot in [take(3) for _ in range(n_boundaries)]]
    interactions = []
    for _ in range(n_interactions):
        bus, sign, multiplicity = take(3)
        interactions.append((bus, sign, multiplicity, tuple(take(widths[bus]))))
    height = 1 << log_height
    code = TableCode(
        columns=columns,
        log_height=log_height,
        registers=registers,
        publics=publics,
        reads=reads,
        periodics=periodics,
        constants=constants,
        instructions=instructions,
        boundaries=boundaries,
        interactions=interactions,
        batch=batch,
        preprocessed=array[at : at + fixed * height].reshape(fixed, height),
    )
    return code, at + fixed * height
