"""Runs register bytecode on many rows at once, in numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from . import bytecode
from .expr import ADD, MUL
from .field import P

__all__ = ["BLOCK_ROWS", "Block", "RowCode", "blocks", "evaluate"]

BLOCK_ROWS = 2048
"""Rows evaluated at once: enough to hide numpy's cost of a call, few enough for a few registers to stay in cache."""

Values = NDArray[np.uint64]
_P = np.uint64(P)


class RowCode(Protocol):
    """The part of a table's encoding that one row of it runs; see `bytecode.TableCode`."""

    @property
    def registers(self) -> int: ...
    @property
    def reads(self) -> Sequence[tuple[int, int]]: ...
    @property
    def periodics(self) -> Sequence[Sequence[int]]: ...
    @property
    def constants(self) -> Sequence[int]: ...
    @property
    def instructions(self) -> Sequence[tuple[int, int, int, int]]: ...


class Block:
    """Values of slots on consecutive rows, as uint64 below P."""

    def __init__(
        self, code: RowCode, columns: Sequence[NDArray[np.uint32]], publics: Sequence[int], start: int, size: int
    ) -> None:
        self.start = start
        self.size = size
        self._code = code
        self._columns = columns
        self._scalars = [np.uint64(value) for value in (*publics, *code.constants)]
        self._leaves: dict[int, Values | np.uint64] = {}
        self._registers = np.empty((code.registers, size), dtype=np.uint64)
        # The largest offset that each register depends on.
        self._reach = [0] * code.registers

    def value(self, slot: int) -> Values | np.uint64:
        """A register as it is now; or a leaf, which is a scalar if it is the same on all rows."""
        index = slot - self._code.registers
        if index < 0:
            register: Values = self._registers[slot]
            return register
        leaf = self._leaves.get(index)
        if leaf is None:
            leaf = self._leaves[index] = self._leaf(index)
        return leaf

    def reach(self, slot: int) -> int:
        """The largest offset among the reads that the slot depends on."""
        index = slot - self._code.registers
        if index < 0:
            return self._reach[slot]
        return self._code.reads[index][1] if index < len(self._code.reads) else 0

    def _leaf(self, index: int) -> Values | np.uint64:
        code = self._code
        if index < len(code.reads):
            column, offset = code.reads[index]
            cells = self._columns[column]
            first = self.start + offset
            taken = cells[first : first + self.size]
            if len(taken) < self.size:
                taken = np.concatenate([taken, cells[: self.size - len(taken)]])
            return taken.astype(np.uint64)
        index -= len(code.reads)
        if index < len(code.periodics):
            cycle = np.array(code.periodics[index], dtype=np.uint64)
            return cycle[(self.start + np.arange(self.size)) % len(cycle)]
        return self._scalars[index - len(code.periodics)]

    def run(self, asserted: Callable[[int, int], None] | None = None) -> None:
        """All instructions in order; `asserted` is called with the number of each assertion and its slot."""
        scratch = np.empty(self.size, dtype=np.uint64)
        index = 0
        for op, dst, a, b in self._code.instructions:
            if op == bytecode.ASSERT:
                if asserted is not None:
                    asserted(index, a)
                index += 1
                continue
            _apply(op, self.value(a), self.value(b), self._registers[dst], scratch)
            self._reach[dst] = max(self.reach(a), self.reach(b))


def blocks(
    code: RowCode, columns: Sequence[NDArray[np.uint32]], publics: Sequence[int], height: int
) -> Iterator[Block]:
    """All rows, not run yet.

    Args:
        code: What is run.
        columns: Each of `height` values below P, in the order of the table's columns, preprocessed ones included.
        publics: In the order of the statement.
        height: The number of rows.
    """
    for start in range(0, height, BLOCK_ROWS):
        yield Block(code, columns, publics, start, min(BLOCK_ROWS, height - start))


def evaluate(
    code: RowCode,
    slots: Sequence[int],
    columns: Sequence[NDArray[np.uint32]],
    publics: Sequence[int],
    height: int,
) -> NDArray[np.uint32]:
    """The values of `slots` after the last instruction, on all rows: shape (slots, height).

    Other arguments as for `blocks`.
    """
    out = np.empty((len(slots), height), dtype=np.uint32)
    for block in blocks(code, columns, publics, height):
        block.run()
        for i, slot in enumerate(slots):
            out[i, block.start : block.start + block.size] = block.value(slot)
    return out


def _apply(op: int, a: Values | np.uint64, b: Values | np.uint64, out: Values, scratch: Values) -> None:
    if op == MUL:
        np.multiply(a, b, out=out)
        # numpy divides by a scalar with SIMD, but takes remainders without.
        np.floor_divide(out, _P, out=scratch)
        np.multiply(scratch, _P, out=scratch)
        np.subtract(out, scratch, out=out)
        return
    if op == ADD:
        np.add(a, b, out=out)
        np.subtract(out, _P, out=scratch)
    else:
        np.subtract(a, b, out=out)
        np.add(out, _P, out=scratch)
    # One of the two is in [0, P); the other one, if it is not equal, is larger or wraps round to a huge number.
    np.minimum(out, scratch, out=out)
