"""How range checks are done: by bits, or by limbs that are looked up in a table of a range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .buses import FixedTable
from .expr import Column, Expr
from .field import P
from .table import RangeCheck, TableBuilder

__all__ = ["Limbs", "realise"]

MAX_WIDTH = 16
MIN_WIDTH = 3
MAX_SCALED_BITS = 30
"""A limb scaled by a power of two must not wrap round modulo P."""

# What the parts cost to prove, in cells of a trace column of about 18 ns; measured on one core with FibonacciU64, from
# 2^10 to 2^19 rows. A lookup is half of a column of five elements, its fraction, and its count; a row of a range is in
# a dozen columns, and a table more means a proof of more levels.
CELLS_OF_A_LOOKUP = 7
CELLS_OF_A_RANGE = 25
CELLS_OF_A_TABLE = 1024


class Limbs(NamedTuple):
    """Columns that are filled with the limbs of an expression, the lowest first."""

    check: RangeCheck
    columns: tuple[Column, ...]
    width: int
    """Bits of each limb."""


def realise(checks: Sequence[RangeCheck], range_table: Callable[[int], FixedTable]) -> list[Limbs]:
    """Adds the columns and constraints of range checks to their tables.

    Args:
        checks: In the order of their declaration.
        range_table: Gives the table of all numbers of so many bits.

    Returns:
        What is to be filled. A check that needs no column is there too, with none.
    """
    width = _width([check for check in checks if check.limb_bits is None])
    return [_realise(check, check.limb_bits or width, range_table) for check in checks]


def _realise(check: RangeCheck, width: int, range_table: Callable[[int], FixedTable]) -> Limbs:
    table, expr, bits = check.table, check.expr, check.bits
    if width == 1 and not (bits == 1 and _direct(check)):
        digits = table.automatic([f"{_label(check)}.bit[{i}]" for i in range(bits)])
        for digit in digits:
            table.assert_boolean(digit)
        table.assert_equal(expr, _sum(digits, 1), name=f"{check.name}: sum of bits")
        return Limbs(check, tuple(digits), 1)
    if bits == 1 and _direct(check):
        table.assert_boolean(expr, name=f"{check.name}: boolean")
        return Limbs(check, (), 1)
    ranges = range_table(width)
    count = -(-bits // width)
    limbs: list[Expr] = [expr]
    columns: list[Column] = []
    if count > 1 or not _direct(check):
        columns = table.automatic([f"{_label(check)}.limb[{i}]" for i in range(count)])
        table.assert_equal(expr, _sum(columns, width), name=f"{check.name}: sum of limbs")
        limbs = list(columns)
    for i, limb in enumerate(limbs):
        _look_up(table, limb, ranges, f"{check.name}: limb {i}")
    rest = bits - (count - 1) * width
    if rest < width:
        # A limb x below 2^width has `rest` bits if 2^(width - rest) x is below 2^width too: that product does not wrap.
        _look_up(table, limbs[-1] * (1 << width - rest), ranges, f"{check.name}: upper limb")
    return Limbs(check, tuple(columns), width)


def _label(check: RangeCheck) -> str:
    """For the names of columns, which stand in expressions."""
    return check.name.replace(" ", "_")


def _look_up(table: TableBuilder, value: Expr, ranges: FixedTable, name: str) -> None:
    table.lookup(value, ranges, name=name)


def _sum(limbs: Sequence[Column], width: int) -> Expr:
    total: Expr = limbs[-1]
    for limb in reversed(limbs[:-1]):
        total = total * (1 << width) + limb
    return total


def _direct(check: RangeCheck) -> bool:
    """Whether the expression itself can be looked up: in the last rows it must mean what it means in the others."""
    return check.expr.reach == 0 and check.expr.degree == 1


def _width(checks: Sequence[RangeCheck]) -> int:
    """The width of limbs that takes the fewest cells; 1 for bits. Smaller widths first where it makes no difference."""
    widths = [width for width in range(MIN_WIDTH, MAX_WIDTH + 1) if all(_fits(check, width) for check in checks)]
    return min([1, *widths], key=lambda width: _cells(checks, width))


def _fits(check: RangeCheck, width: int) -> bool:
    rest = check.bits % width or width
    return rest == width or 2 * width - rest <= MAX_SCALED_BITS


def _cells(checks: Sequence[RangeCheck], width: int) -> float:
    if width == 1:
        return sum(check.bits * 2.0**check.table.log_height for check in checks)
    total = float(CELLS_OF_A_TABLE + CELLS_OF_A_RANGE * (1 << width))
    for check in checks:
        count = -(-check.bits // width)
        lookups = count + (check.bits % width != 0)
        columns = count if count > 1 or not _direct(check) else 0
        total += (columns + CELLS_OF_A_LOOKUP * lookups) * 2.0**check.table.log_height
    return total


assert 1 << MAX_SCALED_BITS < P
