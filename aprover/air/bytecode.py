"""The register bytecode of an AIR: docs/protocol.md, section 4.1."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ProgramError
from .expr import CONSTANT, MUL, PERIODIC, PUBLIC, READ, Expr

VERSION = 1
ASSERT = 3
HEADER_WORDS = 10

MAX_COLUMNS = 4096
MAX_READS = 16384
MAX_PERIODICS = 1024
MAX_PUBLICS = 65536
MAX_CONSTANTS = 16384
MAX_REGISTERS = 4096
MAX_INSTRUCTIONS = 2**20
MAX_BOUNDARIES = 65536
MAX_SLOTS = 65535
MAX_WORDS = 8_000_000


class Schedule(NamedTuple):
    """The operations in the order in which they run, and the leaves that they read.

    `steps` holds each operation once, before its first use, and the node ``None, root`` where `root` is asserted.
    """

    steps: list[tuple[Expr | None, Expr]]
    leaves: list[Expr]


def schedule(roots: Sequence[Expr]) -> Schedule:
    """Depth first in the order of the roots, of two operands first the one that takes more registers.

    A value is computed where it is first needed, so live ranges are as short as the order of the constraints
    lets them be.
    """
    steps: list[tuple[Expr | None, Expr]] = []
    leaves: list[Expr] = []
    done: set[int] = set()
    for root in roots:
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
        steps.append((None, root))
    return Schedule(steps, leaves)


class Encoded(NamedTuple):
    data: bytes
    instructions: int
    registers: int


def encode(
    plan: Schedule,
    *,
    log_height: int,
    reads: Sequence[tuple[int, int]],
    columns: int,
    periodics: Sequence[Sequence[int]],
    publics: Sequence[int],
    boundaries: Sequence[tuple[int, int, Expr]],
) -> Encoded:
    """The words of an AIR, little-endian.

    Args:
        plan: From `schedule`.
        log_height: log2 of the number of rows.
        reads: (column, offset) in the order of the openings.
        columns: The number of columns.
        periodics: The values of each periodic column, by its index.
        publics: For each public value in the order of the statement, its index in the arena's table.
        boundaries: (column, row, constant or public value), ascending by column and row.

    Raises:
        ProgramError: The AIR is larger than the protocol allows.
    """
    steps = plan.steps
    constants = sorted(
        {node.x for node in plan.leaves if node.kind == CONSTANT}
        | {value.x for _, _, value in boundaries if value.kind == CONSTANT}
    )
    last_use: dict[int, int] = {}
    for position, (node, root) in enumerate(steps):
        if node is None:
            last_use[root.number] = position
        else:
            last_use[node.left.number] = position  # type: ignore[union-attr]
            last_use[node.right.number] = position  # type: ignore[union-attr]
    registers, register_of = _allocate(steps, last_use)

    first_read = registers
    first_periodic = first_read + len(reads)
    first_public = first_periodic + len(periodics)
    first_constant = first_public + len(publics)
    _check_sizes(
        columns=columns,
        reads=len(reads),
        periodics=len(periodics),
        publics=len(publics),
        constants=len(constants),
        registers=registers,
        instructions=len(steps),
        boundaries=len(boundaries),
        slots=first_constant + len(constants),
    )
    read_slot = {read: first_read + i for i, read in enumerate(reads)}
    public_slot = {index: first_public + i for i, index in enumerate(publics)}
    constant_slot = {value: first_constant + i for i, value in enumerate(constants)}

    def leaf_slot(leaf: Expr) -> int:
        if leaf.kind == READ:
            return read_slot[leaf.x, leaf.y]
        if leaf.kind == PERIODIC:
            return first_periodic + leaf.x
        if leaf.kind == PUBLIC:
            return public_slot[leaf.x]
        return constant_slot[leaf.x]

    slot = {leaf.number: leaf_slot(leaf) for leaf in plan.leaves}
    slot.update(register_of)
    words = [VERSION, columns, log_height, len(reads), len(periodics), len(publics), len(constants), registers]
    words += (len(steps), len(boundaries))
    words += (offset << 16 | column for column, offset in reads)
    for values in periodics:
        words.append(len(values).bit_length() - 1)
        words += values
    words += constants
    # A register is reused after its last use, so an operand's register is read before it is written again.
    for node, root in steps:
        if node is None:
            words += (ASSERT, slot[root.number])
        else:
            left, right = slot[node.left.number], slot[node.right.number]  # type: ignore[union-attr]
            words += (node.kind | slot[node.number] << 16, left | right << 16)
    for column, row, value in boundaries:
        words += (column, row, leaf_slot(value))
    if len(words) > MAX_WORDS:
        raise ProgramError(f"the AIR has {len(words)} words, and at most {MAX_WORDS} are allowed")
    return Encoded(struct.pack(f"<{len(words)}I", *words), len(steps), registers)


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


def _check_sizes(**sizes: int) -> None:
    limits = {
        "columns": MAX_COLUMNS,
        "reads": MAX_READS,
        "periodics": MAX_PERIODICS,
        "publics": MAX_PUBLICS,
        "constants": MAX_CONSTANTS,
        "registers": MAX_REGISTERS,
        "instructions": MAX_INSTRUCTIONS,
        "boundaries": MAX_BOUNDARIES,
        "slots": MAX_SLOTS,
    }
    for what, size in sizes.items():
        if size > limits[what]:
            raise ProgramError(f"the AIR has {size} {what}, and at most {limits[what]} are allowed")


class Bytecode(NamedTuple):
    """The parts of an AIR's encoding; the encoder's inverse."""

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


def decode(data: bytes) -> Bytecode:
    """The parts of bytes that `encode` made. It does not validate; the C loader and the reference verifier do."""
    words = struct.unpack(f"<{len(data) // 4}I", data)
    _, columns, log_height, n_reads, n_periodics, publics, n_constants, registers, n_steps, n_boundaries = words[:10]
    at = HEADER_WORDS
    reads = [(word & 0xFFFF, word >> 16) for word in words[at : at + n_reads]]
    at += n_reads
    periodics = []
    for _ in range(n_periodics):
        end = at + 1 + (1 << words[at])
        periodics.append(words[at + 1 : end])
        at = end
    constants = words[at : at + n_constants]
    at += n_constants
    instructions = [
        (words[i] & 0xFFFF, words[i] >> 16, words[i + 1] & 0xFFFF, words[i + 1] >> 16)
        for i in range(at, at + 2 * n_steps, 2)
    ]
    at += 2 * n_steps
    boundaries = [(words[i], words[i + 1], words[i + 2]) for i in range(at, at + 3 * n_boundaries, 3)]
    assert at + 3 * n_boundaries == len(words)
    return Bytecode(columns, log_height, registers, publics, reads, periodics, constants, instructions, boundaries)
