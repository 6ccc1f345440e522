"""For the tests of one's own programs: does every cell of the trace matter?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from .air import CompiledAir, CompiledTable, Program, bytecode
from .air.bytecode import TableCode
from .air.check import Trace, check_trace, fill_trace
from .air.expr import ADD, SUB
from .air.field import P
from .air.filling import FilledRange
from .air.program import describe
from .air.tuples import TupleIndex, groups, hashes
from .errors import ProgramError

__all__ = ["FreeCell", "FreeColumn", "find_underconstrained"]

MAX_VALUES = 2**24
"""The most intermediate values (instructions times rows) that are kept: 128 MiB."""

Values = NDArray[np.uint64]

_P = np.uint64(P)


@attrs.frozen
class FreeCell:
    """A cell that may hold another value, all others staying as they are."""

    row: int
    value: int
    """What the program wrote."""
    accepted: tuple[int, ...]
    """Other values that break no constraint, of those that were tried."""


@attrs.frozen
class FreeColumn:
    """A column with such cells."""

    name: str
    """Of tables but the first ``table.column``."""
    cells: tuple[FreeCell, ...]
    whole: bool
    """Whether every cell of the column is one."""

    def __str__(self) -> str:
        first = self.cells[0]
        count = len(self.cells)
        where = "every row" if self.whole else f"{count} row{'s, first' if count > 1 else ','} row {first.row}"
        values = ", ".join(map(str, first.accepted))
        return f"column {self.name!r} is free in {where}: no constraint notices {values} in place of {first.value}"


class _Step(NamedTuple):
    """An instruction with operands that no later one overwrites: leaves first, then results in their order."""

    op: int
    result: int
    a: int
    b: int


class _Assert(NamedTuple):
    operand: int
    reach: int
    """It does not hold on so many last rows."""
    range: FilledRange | None
    """If it says that an expression is the sum of limbs; these follow from the expression."""


class _Put(NamedTuple):
    """An interaction."""

    bus: int
    sign: int
    multiplicity: int
    values: tuple[int, ...]


class _Code(NamedTuple):
    steps: list[_Step]
    asserts: list[_Assert]
    puts: list[_Put]
    reads_below: list[int]
    """For each operand the reads that it depends on, as a set of bits."""


class _Table(NamedTuple):
    """A table with its values."""

    compiled: CompiledTable
    raw: TableCode
    code: _Code
    operands: list[Values]
    trace: Trace


class _Provided(NamedTuple):
    """The tuples of a bus on which tables look up."""

    tuples: TupleIndex
    once: NDArray[np.uint64]
    """Hashes of the tuples that one row alone provides, sorted."""


def find_underconstrained(
    program: Program, *, values: Sequence[int] = (), seed: int = 0, columns: Sequence[str] | None = None
) -> tuple[FreeColumn, ...]:
    """Changes one cell of the trace after the other, and reports those whose change nothing notices.

    A cell x is changed to x + 1, x - 1, 1 - x (which turns booleans over), -x, 0, a random element, and to `values`.
    Only what reads the cell is evaluated, on the rows from which it is read, for all rows of a column at once: a chain
    of Poseidon2 permutations on 8 rows, of 298 columns, takes about a second. Columns that the builder fills follow the
    change: limbs are taken again and lookups are counted again, as a prover would do.

    It finds columns that nothing holds fast, such as a forgotten link or a boolean that is never used. It does not find
    freedom in which several cells must move together, so an empty result is no proof that an AIR is sound. Not all that
    it finds is a mistake: a private input may really be free.

    Args:
        program: With small parameters, so that the trace is small; its trace must satisfy its constraints.
        values: More values to try, modulo P.
        seed: Of the random elements.
        columns: Names; all by default.

    Returns:
        The columns with free cells, in order; empty if there are none. It shows values of the trace, which private
        inputs may follow from.

    Raises:
        ConstraintError: The program's own trace breaks a constraint.
        ProgramError: The trace is too large, a cell is not below P, or there is no such column.
    """
    air = program.compiled()
    size = sum(table.cost * table.height for table in air.tables)
    if size > MAX_VALUES:
        raise ProgramError(
            f"{size} values (instructions times rows) are too many; choose parameters with a smaller trace"
        )
    names = {_name(table, column) for table in air.tables for column in table.column_names[: table.written]}
    for name in columns or ():
        if name not in names:
            raise ProgramError(field="columns", value=name, allowed="names of columns that the program writes")
    traces = fill_trace(program)
    publics = air.publics(program.statement())
    check_trace(describe(program), air, traces, publics)
    tables = _tables(air, traces, publics)
    provided = _provided(air, traces, publics)
    generator = np.random.default_rng(seed)
    found: list[FreeColumn] = []
    for table in tables:
        for index in range(table.compiled.written):
            tried = _mutations(table.trace[:, index].astype(np.uint64), values, generator)
            name = _name(table.compiled, table.compiled.column_names[index])
            if columns is None or name in columns:
                found += _free(table, index, name, tried, provided)
    return tuple(found)


def _name(table: CompiledTable, column: str) -> str:
    return column if table.name == "main" else f"{table.name}.{column}"


def _free(table: _Table, index: int, name: str, tried: Values, provided: dict[int, _Provided]) -> Iterator[FreeColumn]:
    cells = table.trace[:, index].astype(np.uint64)
    noticed = tried == cells
    noticed[:, [row for column, row, _ in table.raw.boundaries if column == index]] = True
    # Of each bus without lookups, what the change adds to the sum of hashes; see air/balance.py.
    added: dict[int, Values] = {}
    for read, (column, offset) in enumerate(table.raw.reads):
        if column == index:
            changed = _changed(table, read, np.roll(tried, -offset, axis=1))
            noticed |= np.roll(_broken(table, changed), offset, axis=1)
            noticed |= np.roll(_missed(table, changed, provided), offset, axis=1)
            for bus, change in _additions(table, changed, provided):
                added[bus] = added.get(bus, np.uint64(0)) + np.roll(change, offset, axis=1)
    for change in added.values():
        noticed |= change != 0
    free = [
        FreeCell(row, int(cells[row]), tuple(sorted({int(value) for value in tried[~noticed[:, row], row]})))
        for row in np.flatnonzero(~noticed.all(axis=0)).tolist()
    ]
    if free:
        yield FreeColumn(name, tuple(free), len(free) == len(cells))


def _mutations(cells: Values, values: Sequence[int], generator: np.random.Generator) -> Values:
    """Shape (values that are tried, rows)."""
    one = np.uint64(1)
    tried = [(cells + one) % _P, (cells + _P - one) % _P, (_P + one - cells) % _P, (_P - cells) % _P, cells * 0]
    tried.append(generator.integers(0, P, len(cells), dtype=np.uint64))
    tried += [np.full(len(cells), value % P, dtype=np.uint64) for value in values]
    return np.array(tried)


def _tables(air: CompiledAir, traces: Sequence[Trace], publics: Sequence[int]) -> list[_Table]:
    tables = []
    for number, (compiled, raw) in enumerate(zip(air.tables, bytecode.decode(air.data).tables, strict=True)):
        code = _without_registers(raw, compiled, air.filling.ranges(number))
        operands = _evaluate(raw, code, traces[number], publics)
        tables.append(_Table(compiled, raw, code, operands, traces[number]))
    return tables


def _without_registers(raw: TableCode, compiled: CompiledTable, ranges: Sequence[FilledRange]) -> _Code:
    leaves = len(raw.reads) + len(raw.periodics) + raw.publics + len(raw.constants)
    reads_below = [1 << i if i < len(raw.reads) else 0 for i in range(leaves)]
    register: dict[int, int] = {}
    sums = {f"{item.name}: sum of {'bits' if item.width == 1 else 'limbs'}": item for item in ranges if item.columns}

    def operand(slot: int) -> int:
        return register[slot] if slot < raw.registers else slot - raw.registers

    def reach(below: int) -> int:
        return max((offset for i, (_, offset) in enumerate(raw.reads) if below >> i & 1), default=0)

    steps: list[_Step] = []
    asserts: list[_Assert] = []
    for op, dst, a, b in raw.instructions:
        if op == bytecode.ASSERT:
            item = sums.get(compiled.constraint_names[len(asserts)])
            asserts.append(_Assert(operand(a), reach(reads_below[operand(a)]), item))
            continue
        step = _Step(op, len(reads_below), operand(a), operand(b))
        steps.append(step)
        reads_below.append(reads_below[step.a] | reads_below[step.b])
        register[dst] = step.result
    puts = [
        _Put(bus, sign, operand(multiplicity), tuple([operand(value) for value in values]))
        for bus, sign, multiplicity, values in raw.interactions
    ]
    return _Code(steps, asserts, puts, reads_below)


def _evaluate(raw: TableCode, code: _Code, trace: Trace, publics: Sequence[int]) -> list[Values]:
    """Each operand on all rows; what a read finds below the last row is taken from the top."""
    rows = np.arange(len(trace))
    columns = [*trace.T, *raw.preprocessed]
    operands: list[Values] = [np.roll(columns[column], -offset).astype(np.uint64) for column, offset in raw.reads]
    operands += [np.array(cycle, dtype=np.uint64)[rows % len(cycle)] for cycle in raw.periodics]
    operands += [np.full(len(trace), value, dtype=np.uint64) for value in (*publics, *raw.constants)]
    for step in code.steps:
        operands.append(_apply(step.op, operands[step.a], operands[step.b]))
    return operands


def _changed(table: _Table, read: int, tried: Values) -> dict[int, Values]:
    """The operands that depend on a read, if it finds what is tried: on row a, the changed cell of row a + offset."""
    changed: dict[int, Values] = {read: tried}
    operands, bit = table.operands, 1 << read
    for step in table.code.steps:
        if table.code.reads_below[step.result] & bit:
            a, b = changed.get(step.a), changed.get(step.b)
            changed[step.result] = _apply(
                step.op, operands[step.a] if a is None else a, operands[step.b] if b is None else b
            )
    return changed


def _broken(table: _Table, changed: dict[int, Values]) -> NDArray[np.bool_]:
    """On which rows an assertion notices."""
    shape = next(iter(changed.values())).shape
    broken = np.zeros(shape, dtype=np.bool_)
    for item in table.code.asserts:
        if item.operand not in changed:
            continue
        wrong = changed[item.operand] != 0
        if item.range is not None:
            # The difference to the sum of the old limbs is by how much the expression has changed.
            old = np.zeros(shape[1], dtype=np.uint64)
            for i, column in enumerate(item.range.columns):
                old += table.trace[:, column].astype(np.uint64) << np.uint64(item.range.width * i)
            wrong &= (changed[item.operand] + old) % _P >> np.uint64(item.range.bits) != 0
        holds_on = shape[1] - item.reach
        broken[:, :holds_on] |= wrong[:, :holds_on]
    return broken


# Buses


def _provided(air: CompiledAir, traces: Sequence[Trace], publics: Sequence[int]) -> dict[int, _Provided]:
    """By the numbers of the buses with lookups."""
    found = {}
    for number in air.filling.counted_buses:
        known = air.filling.provided(number, [trace.T for trace in traces], publics)
        group, first = groups(known.tuples)
        once = first[np.bincount(group) == 1]
        found[number] = _Provided(known, np.sort(hashes(known.tuples[:, once], 1)))
    return found


def _old(table: _Table, put: _Put) -> tuple[Values, Values]:
    return table.operands[put.multiplicity], np.array([table.operands[value] for value in put.values])


def _new(table: _Table, put: _Put, changed: dict[int, Values]) -> tuple[Values, Values] | None:
    """The multiplicity and the tuple after the change, if it reaches them; tuples of shape (width, tried, rows)."""
    if put.multiplicity not in changed and not any(value in changed for value in put.values):
        return None
    shape = next(iter(changed.values())).shape
    parts = [
        np.broadcast_to(changed.get(operand, table.operands[operand]), shape)
        for operand in (put.multiplicity, *put.values)
    ]
    return parts[0], np.array(parts[1:])


def _hash(tuples: Values) -> Values:
    """Of the tuples along the first axis."""
    flat = hashes(tuples.reshape(len(tuples), -1).astype(np.uint32), 1)
    return flat.reshape(tuples.shape[1:])


def _missed(table: _Table, changed: dict[int, Values], provided: dict[int, _Provided]) -> NDArray[np.bool_]:
    """On which rows a lookup finds nothing any more, or another one's tuple is not provided any more."""
    missed = np.zeros(next(iter(changed.values())).shape, dtype=np.bool_)
    for put in table.code.puts:
        new = _new(table, put, changed)
        if put.bus not in provided or new is None:
            continue
        multiplicity, tuples = new
        if put.sign == 0:
            flat = tuples.reshape(len(tuples), -1).astype(np.uint32)
            absent = provided[put.bus].tuples.find(flat) < 0
            missed |= (multiplicity != 0) & absent.reshape(missed.shape)
            continue
        before, old = _old(table, put)
        once = np.isin(_hash(old), provided[put.bus].once)
        different = (multiplicity != before) | (tuples != old[:, None]).any(axis=0)
        missed |= (before != 0) & once & different
    return missed


def _additions(
    table: _Table, changed: dict[int, Values], provided: dict[int, _Provided]
) -> Iterator[tuple[int, Values]]:
    """Of each bus without lookups, by how much the sum of hashes changes on each row."""
    for put in table.code.puts:
        new = _new(table, put, changed)
        if put.bus in provided or new is None:
            continue
        before, old = _old(table, put)
        change = new[0] * _hash(new[1]) - before * _hash(old)
        yield put.bus, change if put.sign == 0 else np.uint64(0) - change


def _apply(op: int, a: Values, b: Values) -> Values:
    if op == ADD:
        return (a + b) % _P
    if op == SUB:
        return (a + (_P - b)) % _P
    return a * b % _P
