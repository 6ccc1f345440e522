"""Random constraint systems with their meaning on plain integers, and a slow interpreter of the bytecode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from aprover.air import AirBuilder, Column, Expr, bytecode
from aprover.air.field import P

HEIGHT = 16

Value = Callable[[int], int]
"""The value of an expression on a row."""


class RandomAir(NamedTuple):
    builder: AirBuilder
    trace: list[list[int]]
    """HEIGHT rows"""
    publics: list[int]
    values: list[Value]
    """of the asserted expressions, in order, modulo P"""
    reach: list[int]
    """how many of the last rows each is exempt from"""


class _Term(NamedTuple):
    expr: Expr
    value: Value
    degree: int


@st.composite
def random_airs(draw: st.DrawFn) -> RandomAir:
    """Two to four columns, one to three random constraints that share parts, and one that reads everything else."""
    elements = st.integers(0, P - 1) | st.integers(0, 3)
    count = draw(st.integers(2, 4))
    trace = [[draw(elements) for _ in range(count)] for _ in range(HEIGHT)]
    publics = [draw(elements), draw(elements)]
    b = AirBuilder(["a"])
    b.rows(HEIGHT)
    columns = [b.column(f"c{i}") for i in range(count)]

    def cell(column: Column, offset: int) -> _Term:
        index = columns.index(column)
        return _Term(column.at(offset), lambda row: trace[(row + offset) % HEIGHT][index], 1)

    def periodic(values: Sequence[int]) -> _Term:
        return _Term(b.periodic(values), lambda row: values[row % len(values)], 1)

    offsets = draw(st.lists(st.integers(0, 15), min_size=1, max_size=3))
    selector = periodic(draw(st.sampled_from([[0, 1], [5, 0, 0, 7], [1]])))
    known = [cell(column, offset) for column in columns for offset in offsets]
    known += [
        selector,
        _Term(b.public("a"), lambda _: publics[0], 0),
        _Term(b.output(0), lambda _: publics[1], 0),
    ]
    for _ in range(draw(st.integers(1, 12))):
        known.append(_combine(draw, known))
    values: list[Value] = []
    reach: list[int] = []
    everything: Expr = sum((term.expr for term in known), start=columns[0] * 0)
    # `known` is summed up too, with the columns at offset 0, so that no column or public value is left unread.
    for column in columns:
        everything = everything + column * column
    roots = [term for term in known[-3:] if term.expr.reach >= 0]
    for i, term in enumerate(roots):
        b.assert_zero(term.expr, name=f"random {i}")
        values.append(term.value)
        reach.append(term.expr.reach)
    if everything.reach >= 0:
        b.assert_zero(everything + 17 * b.public("a") + 19 * b.output(0) + 23 * selector.expr, name="everything")

        def total(row: int) -> int:
            squares = sum(value * value for value in trace[row])
            extra = 17 * publics[0] + 19 * publics[1] + 23 * selector.value(row)
            return (sum(term.value(row) for term in known) + squares + extra) % P

        values.append(total)
        reach.append(everything.reach)
    return RandomAir(b, trace, publics, values, reach)


def _combine(draw: st.DrawFn, known: Sequence[_Term]) -> _Term:
    left, right = draw(st.sampled_from(known)), draw(st.sampled_from(known))
    kind = draw(st.sampled_from("+-*nkp"))
    constant = draw(st.integers(-5, 5) | st.integers(0, P - 1))
    if kind == "+":
        return _Term(left.expr + right.expr, lambda row: (left.value(row) + right.value(row)) % P, 0)
    if kind == "-":
        return _Term(left.expr - right.expr, lambda row: (left.value(row) - right.value(row)) % P, 0)
    if kind == "n":
        return _Term(-left.expr, lambda row: -left.value(row) % P, 0)
    if kind == "*" and left.expr.degree + right.expr.degree <= 8:
        return _Term(left.expr * right.expr, lambda row: left.value(row) * right.value(row) % P, 0)
    if kind == "p":
        exponent = draw(st.integers(0, 8 // max(1, left.expr.degree)))
        return _Term(left.expr**exponent, lambda row: pow(left.value(row), exponent, P), 0)
    return _Term(constant - left.expr * constant, lambda row: (constant - left.value(row) * constant) % P, 0)


def run_bytecode(data: bytes, row: int, reads: Mapping[tuple[int, int], int], publics: Sequence[int]) -> list[int]:
    """The asserted values on one row, after docs/protocol.md, section 4.1; registers must be written before use."""
    code = bytecode.decode(data).tables[0]
    fixed = [reads[read] for read in code.reads]
    fixed += [cycle[row % len(cycle)] for cycle in code.periodics]
    fixed += [*publics, *code.constants]
    registers: dict[int, int] = {}
    asserted: list[int] = []

    def slot(index: int) -> int:
        return registers[index] if index < code.registers else fixed[index - code.registers]

    for op, dst, a, b in code.instructions:
        if op == bytecode.ASSERT:
            assert (dst, b) == (0, 0)
            asserted.append(slot(a))
        else:
            left, right = slot(a), slot(b)
            registers[dst] = (left + right, left - right, left * right)[op] % P
    return asserted
