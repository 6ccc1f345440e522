"""`TableBuilder`: the columns, constraints and interactions of one table."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ProgramError
from . import bytecode
from .buses import Bus, FixedTable, Interaction
from .compiled import PublicSlot
from .expr import CONSTANT, PERIODIC, PUBLIC, Arena, Column, Expr, Origin
from .field import P

MIN_LOG_HEIGHT = 3
MAX_LOG_HEIGHT = 24
MAX_LOG_PERIOD = 12
MAX_RANGE_BITS = 30


class Assertion(NamedTuple):
    name: str
    left: Expr
    right: Expr
    when: Expr
    difference: Expr
    """``when * (left - right)``"""

    def text(self) -> str:
        """As one would write it."""
        when = "" if self.when.kind == CONSTANT else f" when {self.when}"
        return f"{self.left} == {self.right}{when}"


class Boundary(NamedTuple):
    name: str
    column: int
    row: int
    value: Expr


class RangeCheck(NamedTuple):
    """``0 <= expr < 2^bits`` on every row; how it is checked is decided when the heights of all tables are known."""

    name: str
    table: TableBuilder
    expr: Expr
    bits: int
    limb_bits: int | None
    """1 for bits; None if the builder decides."""


class Whole:
    """What the tables of an AIR share."""

    def __init__(self, inputs: Sequence[str]) -> None:
        self.inputs = tuple(inputs)
        self.publics: dict[PublicSlot, int] = {}  # in the order of their first mention
        self.public_names: list[str] = []
        self.tables: list[TableBuilder] = []
        self.buses: list[Bus] = []
        self.range_checks: list[RangeCheck] = []


class TableBuilder:
    """One table: `AirBuilder` itself is the first one, and `AirBuilder.table` gives others.

    The height of a table is the next power of two of its `rows`, at least 8. Constraints hold on every row of that
    height (but the last `s`, if they read `s` rows below), so the trace must go on after the rows of interest; or they
    hold on some rows only, by ``when=``.

    What a table puts on buses it puts there on every row of the height, the last ones included, where ``x.next`` is the
    value in row 0.
    """

    def __init__(self, name: str, whole: Whole, *, is_fixed: bool = False) -> None:
        self.name = name
        self.is_fixed = is_fixed
        self.assertions: list[Assertion] = []
        self.boundaries: list[Boundary] = []
        self.interactions: list[Interaction] = []
        self._whole = whole
        self._arena = Arena(name, whole.public_names)
        self._rows: int | None = None
        self._names: set[str] = set()
        self._column_names: set[str] = set()
        self._booleans: set[int] = set()
        # From a value to its index or its column; dicts keep the order.
        self._periodics: dict[tuple[int, ...], int] = {}
        self._preprocessed: dict[bytes, tuple[Column, NDArray[np.uint32]]] = {}
        whole.tables.append(self)

    def rows(self, count: int) -> None:
        """The table needs at least `count` rows, 1 to 2^24."""
        if self._rows is not None:
            raise ProgramError(f"rows({count}): the number of rows was set before, to {self._rows}")
        if type(count) is not int or not 1 <= count <= 1 << MAX_LOG_HEIGHT:
            raise ProgramError(field="rows", value=count, allowed=f"1 to {1 << MAX_LOG_HEIGHT}")
        self._rows = count

    @property
    def rows_wanted(self) -> int:
        """What `rows` was given.

        Raises:
            ProgramError: Nothing yet.
        """
        if self._rows is None:
            where = "the AIR" if self.name == "main" else f"table {self.name!r}"
            raise ProgramError(f"{where} does not say how many rows it needs: call {self._called}.rows(n) first")
        return self._rows

    @property
    def log_height(self) -> int:
        """log2 of the height that follows from `rows`."""
        return max(MIN_LOG_HEIGHT, (self.rows_wanted - 1).bit_length())

    @property
    def _called(self) -> str:
        return "b" if self.name == "main" else self.name

    # Columns and values

    def column(self, name: str) -> Column:
        """A new column; `name` appears in messages and is unique."""
        return self._add_columns([_checked_name("column name", name)])[0]

    def columns(self, name: str, count: int) -> list[Column]:
        """`count` new columns, named ``name[0]``, ``name[1]`` and so on."""
        if type(count) is not int or not 1 <= count <= bytecode.MAX_COLUMNS:
            raise ProgramError(
                field=f"the number of columns {name!r}", value=count, allowed=f"1 to {bytecode.MAX_COLUMNS}"
            )
        return self._add_columns([f"{name}[{i}]" for i in range(count)])

    def _add_columns(self, names: Sequence[str], origin: Origin = Origin.WRITTEN) -> list[Column]:
        for name in names:
            if name in self._column_names:
                raise ProgramError(f"there is a column {name!r} already")
            self._column_names.add(name)
        return [self._arena.column(name, origin) for name in names]

    def automatic(self, names: Sequence[str]) -> list[Column]:
        """Columns that `filling` fills; for the builder's own parts."""
        return self._add_columns(names, Origin.AUTOMATIC)

    def periodic(self, values: Sequence[int], *, name: str | None = None) -> Expr:
        """A column known to everybody that repeats `values`: at row i it is ``values[i % len(values)]``.

        Their number is a power of two, at most 4096 and at most the height. It counts 1 in a degree. Whoever verifies
        evaluates all its values, so it is meant for short cycles; see `preprocessed` for long ones.
        """
        try:
            cycle = tuple([operator.index(value) % P for value in values])
        except TypeError as error:
            raise ProgramError(f"periodic({values!r}): {error}; the values are ints") from None
        size = len(cycle)
        if size == 0 or size & (size - 1) or size > 1 << MAX_LOG_PERIOD:
            raise ProgramError(
                field="the length of a periodic column", value=size, allowed="a power of two from 1 to 4096"
            )
        index = self._periodics.setdefault(cycle, len(self._periodics))
        if index == len(self._arena.periodic_names):
            self._arena.periodic_names.append(f"periodic[{index}]" if name is None else name)
        return self._arena.leaf(PERIODIC, index)

    def cycle(self, index: int) -> tuple[int, ...]:
        """The values of a periodic column by its number."""
        return list(self._periodics)[index]

    def preprocessed(self, values: Sequence[int] | NDArray[np.integer], *, name: str | None = None) -> Column:
        """A column known to everybody, of any values: ``values[i]`` in row i, and 0 in the rows after them.

        It is committed once for each program with its parameters, and kept. It is read as any column is, but has no
        boundaries.

        Args:
            values: Ints, taken modulo P, at most as many as the height.
            name: Appears in messages and is unique.
        """
        array = elements("preprocessed", values)
        key = array.tobytes()
        known = self._preprocessed.get(key)
        if known is None:
            name = f"preprocessed[{len(self._preprocessed)}]" if name is None else _checked_name("column name", name)
            (column,) = self._add_columns([name], Origin.PREPROCESSED)
            known = self._preprocessed[key] = column, array
        return known[0]

    def preprocessed_values(self) -> list[tuple[Column, NDArray[np.uint32]]]:
        """The preprocessed columns with their values, in the order of their declaration."""
        return list(self._preprocessed.values())

    @property
    def first(self) -> Expr:
        """1 in row 0, and 0 in all others. Of degree 1, like all selectors; call `rows` before."""
        return self._selector([1], "first")

    @property
    def last(self) -> Expr:
        """1 in the last row of the height, and 0 in all others."""
        return self._selector([0] * ((1 << self.log_height) - 1) + [1], "last")

    def active(self, count: int | None = None) -> Expr:
        """1 in the rows before `count`, and 0 from there on.

        Args:
            count: 0 to the height; what `rows` was given, if it is left out.
        """
        height = 1 << self.log_height
        if count is None:
            count = self.rows_wanted
        if type(count) is not int or not 0 <= count <= height:
            raise ProgramError(field="the number of active rows", value=count, allowed=f"0 to {height}, the height")
        return self._selector([1] * count, f"active({count})")

    def _selector(self, values: list[int], name: str) -> Expr:
        height = 1 << self.log_height
        if height <= 1 << MAX_LOG_PERIOD:
            return self.periodic(values + [0] * (height - len(values)), name=name)
        return self.preprocessed(np.array(values or [0], dtype=np.uint32), name=name)

    def public(self, name: str, index: int | None = None) -> Expr:
        """The value of the public input `name`, or of its element `index` if it is a tuple of ints."""
        inputs = self._whole.inputs
        if name not in inputs:
            known = ", ".join(inputs) or "none"
            raise ProgramError(f"public({name!r}): no field is declared so with aprover.public(); there are: {known}")
        if index is not None and (type(index) is not int or index < 0):
            raise ProgramError(field=f"the index of the public input {name!r}", value=index, allowed="an int >= 0")
        return self._public(("input", name, index), name if index is None else f"{name}[{index}]")

    def output(self, index: int) -> Expr:
        """The value of the public output `index`, counted from 0."""
        if type(index) is not int or index < 0:
            raise ProgramError(field="the index of a public output", value=index, allowed="an int >= 0")
        return self._public(("output", index), f"output[{index}]")

    def _public(self, slot: PublicSlot, text: str) -> Expr:
        publics = self._whole.publics
        index = publics.setdefault(slot, len(publics))
        if index == len(self._whole.public_names):
            self._whole.public_names.append(text)
        return self._arena.leaf(PUBLIC, index)

    # Constraints

    def assert_zero(self, expr: Expr, *, when: Expr | int = 1, name: str | None = None) -> None:
        """`expr` is zero on every row; on every row but the last `s` if it reads `s` rows below.

        Args:
            expr: It reads at least one column.
            when: The constraint holds on the rows where this is not zero. The degree of ``when * expr`` is 1 to 8.
            name: Appears in messages and is unique; by default the expression itself.
        """
        self.assert_equal(expr, 0, when=when, name=f"{expr} == 0" if name is None else name)

    def assert_equal(
        self, left: Expr | int, right: Expr | int, *, when: Expr | int = 1, name: str | None = None
    ) -> None:
        """`left` equals `right` on every row, as in `assert_zero`."""
        arena = self._arena
        left, right, when = arena.coerce(left), arena.coerce(right), arena.coerce(when)
        if name is None:
            name = f"{left} == {right}"
        equal = arena.sub(left, right)
        if (equal.reach < 0 and when.reach < 0) or equal.kind == CONSTANT:
            raise ProgramError(f"constraint {name!r} reads no column: it is {equal} == 0 on every row")
        difference = arena.mul(when, equal)
        if difference.reach < 0:
            raise ProgramError(f"constraint {name!r} holds on no row: its `when` is {when}")
        self._take(name)
        self._booleans.add(difference.number)
        self.assertions.append(Assertion(name, left, right, when, difference))

    def assert_boolean(self, expr: Expr, *, name: str | None = None) -> None:
        """`expr` is 0 or 1 on every row."""
        expr = self._arena.coerce(expr)
        self.assert_zero(expr * (expr - 1), name=f"{expr} is boolean" if name is None else name)

    def boundary(self, column: Column, row: int, value: Expr | int, *, name: str | None = None) -> None:
        """`column` has `value` in row `row`.

        Args:
            column: A column, not an expression.
            row: An index into the trace as `Program.trace` gets it: 0 is the first row, and negative numbers
                count from the end of the height, so -1 is the last row of the padded trace.
            value: An int, a public input or a public output.
            name: Appears in messages and is unique.
        """
        if not isinstance(column, Column):
            raise ProgramError(f"boundary: {column} is not a column")
        self._arena.coerce(column)
        if self._arena.column_origins[column.x] is Origin.PREPROCESSED:
            raise ProgramError(f"boundary: {column.name} is preprocessed, so its values are known")
        expr = self._arena.coerce(value)
        if expr.kind not in (CONSTANT, PUBLIC):
            raise ProgramError(
                f"boundary of {column.name} at row {row}: {expr} is neither an int nor a public value; "
                "give the expression a column of its own and set a boundary there"
            )
        if type(row) is not int:
            raise ProgramError(field=f"row of a boundary of {column.name}", value=row, allowed="an int")
        if name is None:
            name = f"{column.name} at row {row}"
        self._take(name)
        self.boundaries.append(Boundary(name, column.x, row, expr))

    def _take(self, name: str) -> None:
        _checked_name("name of a constraint", name)
        if name in self._names:
            raise ProgramError(f"there is a constraint or boundary {name!r} already; give each a name of its own")
        self._names.add(name)

    # Lookups

    def lookup(
        self,
        values: Expr | Sequence[Expr | int],
        where: FixedTable | Bus,
        *,
        when: Expr | int = 1,
        name: str | None = None,
    ) -> None:
        """On every row, or on those where `when` is 1, the tuple of `values` is one of the tuples of a table.

        Args:
            values: As many as the table has columns; one alone needs no tuple.
            where: From `AirBuilder.fixed_table`, or a bus on which another table provides its rows.
            when: 0 or 1. It reads its own row only, and is constrained to be boolean unless its values are known.
            name: Appears in messages and is unique.
        """
        if isinstance(where, FixedTable):
            where = where.bus
        if not isinstance(where, Bus):
            raise ProgramError(f"lookup: {where!r} is neither a fixed table nor a bus")
        where.look_up(values, when=when, table=self, name=name)

    def range_check(self, expr: Expr, bits: int, *, limb_bits: int | None = None, name: str | None = None) -> None:
        """``0 <= expr < 2^bits`` on every row; on every row but the last `s` if it reads `s` rows below.

        It is done by columns of bits, or by limbs that are looked up in a table of all numbers of `limb_bits` bits; the
        builder fills these columns itself. In tables of less than about 2^16 rows, bits are faster.

        Args:
            expr: Of any degree.
            bits: 1 to 30.
            limb_bits: 1 for bits, or 3 to 15, or 16 if that divides `bits`; by default what is fastest.
            name: Appears in messages and is unique.
        """
        expr = self._arena.coerce(expr)
        if limb_bits is not None and (
            type(limb_bits) is not int
            or not (limb_bits == 1 or 3 <= limb_bits <= 16)
            or (limb_bits == 16 and bits % 16)
        ):
            raise ProgramError(
                field="limb_bits", value=limb_bits, allowed="1, 3 to 15, or 16 for ranges of 16 bits, or None"
            )
        if type(bits) is not int or not 1 <= bits <= MAX_RANGE_BITS:
            raise ProgramError(field=f"the bits of the range of {expr}", value=bits, allowed=f"1 to {MAX_RANGE_BITS}")
        if name is None:
            name = f"{expr} has {bits} bits"
        if expr.reach < 0:
            raise ProgramError(f"range check {name!r} reads no column")
        self._take(name)
        self._whole.range_checks.append(RangeCheck(name, self, expr, bits, limb_bits))

    def permutation(self, left: Sequence[Expr], right: Sequence[Expr], *, name: str) -> None:
        """The rows' tuples `left` are the rows' tuples `right` in another order, each as often, over all rows.

        Args:
            left: Of this table, one value or more.
            right: As many values, of this table or of one with as many rows.
            name: Appears in messages; it names the bus that the builder makes for it.
        """
        bus = Bus.make(self._whole, name, len(left))
        bus.send(left, table=self, name=f"{name}: left")
        bus.receive(right, name=f"{name}: right")

    # For the rest of the builder

    @property
    def column_names(self) -> Sequence[str]:
        """Of all columns, in the order of their declaration."""
        return self._arena.column_names

    @property
    def periodics(self) -> list[tuple[int, ...]]:
        """The values of the periodic columns, by their number."""
        return list(self._periodics)

    def periodic_name(self, index: int) -> str:
        """How messages name a periodic column."""
        return self._arena.periodic_names[index]

    def filled_up(self, column: Column, values: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """The values of a preprocessed column on all rows.

        Raises:
            ProgramError: There are more than rows.
        """
        height = 1 << self.log_height
        if len(values) > height:
            where = "" if self.name == "main" else f" of table {self.name!r}"
            raise ProgramError(
                f"preprocessed column {column.name!r}{where} has {len(values)} values, but the trace has {height} rows"
            )
        return np.concatenate([values, np.zeros(height - len(values), dtype=np.uint32)])

    def order(self) -> list[int]:
        """The numbers of the columns' declaration, in the order in which the table has them."""
        origins = self._arena.column_origins
        if origins.count(Origin.WRITTEN) == len(origins):
            return list(range(len(origins)))
        return sorted(range(len(origins)), key=lambda index: (origins[index], index))

    def count(self, origin: Origin) -> int:
        """The number of columns of one origin."""
        return self._arena.column_origins.count(origin)

    def coerce(self, value: object) -> Expr:
        """An expression of this table."""
        return self._arena.coerce(value)

    def owns(self, expr: Expr) -> bool:
        """Whether the expression was made of this table's columns or by its methods."""
        return expr._arena is self._arena

    def interact(self, item: Interaction) -> None:
        """Puts something on a bus in every row."""
        self._take(item.name)
        self.interactions.append(item)

    def constrain_boolean(self, expr: Expr, what: str) -> None:
        """Sees to it that `expr`, which tells whether a row puts something on a bus, is 0 or 1 on every row."""
        if expr.kind == CONSTANT:
            if expr.x not in (0, 1):
                raise ProgramError(f"{what}: `when` is {expr}, and it is 0 or 1")
            return
        if expr.reach > 0:
            raise ProgramError(
                f"{what}: `when` is {expr}, which reads the rows below its own; in the last row these are the first "
                "ones, which no constraint holds fast. Give it a column of its own"
            )
        if expr.reach < 0:
            if not self._known_boolean(expr):
                raise ProgramError(f"{what}: `when` is {expr}, which reads no column and is not 0 or 1 on every row")
            return
        boolean = expr * (expr - 1)
        if boolean.number not in self._booleans:
            self.assert_zero(boolean, name=f"{expr} is boolean, as {what} asks")

    def _known_boolean(self, expr: Expr) -> bool:
        """Whether an expression that reads no column is 0 or 1 on every row."""
        plan = bytecode.schedule([], [expr])
        cycles = {leaf.number: self.cycle(leaf.x) for leaf in plan.leaves if leaf.kind == PERIODIC}
        if any(leaf.kind == PUBLIC for leaf in plan.leaves):
            return False
        period = max(map(len, cycles.values()), default=1)
        values = {number: list(cycle) * (period // len(cycle)) for number, cycle in cycles.items()}
        values.update((leaf.number, [leaf.x] * period) for leaf in plan.leaves if leaf.kind == CONSTANT)
        for node, _ in plan.steps:
            assert node is not None
            assert node.left is not None
            assert node.right is not None
            combine = (operator.add, operator.sub, operator.mul)[node.kind]
            pairs = zip(values[node.left.number], values[node.right.number], strict=True)
            values[node.number] = [combine(a, b) % P for a, b in pairs]
        return set(values[expr.number]) <= {0, 1}


def _checked_name(what: str, name: object) -> str:
    if not isinstance(name, str) or not name:
        raise ProgramError(field=what, value=name, allowed="a non-empty str")
    return name


def elements(what: str, values: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint32]:
    """Ints modulo P, at least one."""
    if isinstance(values, np.ndarray) and values.ndim == 1 and np.issubdtype(values.dtype, np.integer):
        array = values % np.array(P, dtype=np.uint64 if values.dtype == np.uint64 else np.int64)
    else:
        try:
            array = np.array([operator.index(value) % P for value in values], dtype=np.uint32)
        except TypeError as error:
            raise ProgramError(f"{what}: {error}; the values are ints") from None
    if not 1 <= len(array) <= 1 << MAX_LOG_HEIGHT:
        raise ProgramError(field=f"the number of values of {what}", value=len(array), allowed="1 to 2^24")
    return np.ascontiguousarray(array, dtype=np.uint32)
