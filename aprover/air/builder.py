"""`AirBuilder`: columns, constraints and boundary values of a program, checked and compiled to bytecode."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ProgramError, shown
from . import bytecode
from .compiled import CompiledAir, CompiledTable, PublicSlot
from .expr import CONSTANT, PERIODIC, PUBLIC, READ, Arena, Column, Expr
from .field import P

__all__ = ["AirBuilder", "Assertion", "Boundary", "Column", "Expr"]

MIN_LOG_HEIGHT = 3
MAX_LOG_HEIGHT = 24
MAX_LOG_PERIOD = 12


class Assertion(NamedTuple):
    name: str
    left: Expr
    right: Expr
    difference: Expr


class Boundary(NamedTuple):
    name: str
    column: int
    row: int
    value: Expr


class AirBuilder:
    """Describes the constraints of a trace; `Program.air` gets one.

    The height of the trace is the next power of two of `rows`, at least 8. Constraints hold on every row of that
    height (but the last `s`, if they read `s` rows below), so the trace must go on after the rows of interest.

    Args:
        public_inputs: The names that `public` accepts, in the order of the statement.
    """

    def __init__(self, public_inputs: Sequence[str] = ()) -> None:
        self.assertions: list[Assertion] = []
        self.boundaries: list[Boundary] = []
        self._arena = Arena()
        self._names: set[str] = set()
        self._column_names: set[str] = set()
        self._rows: int | None = None
        # From a value to its index; dicts keep the order.
        self._periodics: dict[tuple[int, ...], int] = {}
        self._publics: dict[PublicSlot, int] = {}
        self._inputs = tuple(public_inputs)

    def rows(self, count: int) -> None:
        """The trace needs at least `count` rows, 1 to 2^24."""
        if self._rows is not None:
            raise ProgramError(f"rows({count}): the number of rows was set before, to {self._rows}")
        if type(count) is not int or not 1 <= count <= 1 << MAX_LOG_HEIGHT:
            raise ProgramError(field="rows", value=count, allowed=f"1 to {1 << MAX_LOG_HEIGHT}")
        self._rows = count

    # Columns and values

    def column(self, name: str) -> Column:
        """A new column; `name` appears in messages and is unique."""
        if not isinstance(name, str) or not name:
            raise ProgramError(field="column name", value=name, allowed="a non-empty str")
        return self._add_columns([name])[0]

    def columns(self, name: str, count: int) -> list[Column]:
        """`count` new columns, named ``name[0]``, ``name[1]`` and so on."""
        if type(count) is not int or not 1 <= count <= bytecode.MAX_COLUMNS:
            raise ProgramError(
                field=f"the number of columns {name!r}", value=count, allowed=f"1 to {bytecode.MAX_COLUMNS}"
            )
        return self._add_columns([f"{name}[{i}]" for i in range(count)])

    def _add_columns(self, names: Sequence[str]) -> list[Column]:
        for name in names:
            if name in self._column_names:
                raise ProgramError(f"there is a column {name!r} already")
            self._column_names.add(name)
        return [self._arena.column(name) for name in names]

    def periodic(self, values: Sequence[int]) -> Expr:
        """A column known to everybody that repeats `values`: at row i it is ``values[i % len(values)]``.

        Their number is a power of two, at most 4096 and at most the height. It counts 1 in a degree.
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
        return self._arena.leaf(PERIODIC, self._periodics.setdefault(cycle, len(self._periodics)))

    def public(self, name: str, index: int | None = None) -> Expr:
        """The value of the public input `name`, or of its element `index` if it is a tuple of ints."""
        if name not in self._inputs:
            known = ", ".join(self._inputs) or "none"
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
        index = self._publics.setdefault(slot, len(self._publics))
        if index == len(self._arena.public_names):
            self._arena.public_names.append(text)
        return self._arena.leaf(PUBLIC, index)

    def public_name(self, slot: PublicSlot) -> str:
        """How messages name a public value."""
        return self._arena.public_names[self._publics[slot]]

    def cycle(self, index: int) -> tuple[int, ...]:
        """The values of a periodic column by its number."""
        return list(self._periodics)[index]

    # Constraints

    def assert_zero(self, expr: Expr, *, name: str | None = None) -> None:
        """`expr` is zero on every row; on every row but the last `s` if it reads `s` rows below.

        Args:
            expr: Of degree 1 to 8; it reads at least one column.
            name: Appears in messages and is unique; by default the expression itself.
        """
        self.assert_equal(expr, 0, name=f"{expr} == 0" if name is None else name)

    def assert_equal(self, left: Expr | int, right: Expr | int, *, name: str | None = None) -> None:
        """`left` equals `right` on every row, as in `assert_zero`."""
        left, right = self._arena.coerce(left), self._arena.coerce(right)
        if name is None:
            name = f"{left} == {right}"
        difference = left - right
        if difference.reach < 0:
            raise ProgramError(f"constraint {name!r} reads no column: it is {difference} == 0 on every row")
        self._take(name)
        self.assertions.append(Assertion(name, left, right, difference))

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
        if not isinstance(name, str) or not name:
            raise ProgramError(field="name of a constraint", value=name, allowed="a non-empty str")
        if name in self._names:
            raise ProgramError(f"there is a constraint or boundary {name!r} already; give each a name of its own")
        self._names.add(name)

    # Compiling

    def compile(self) -> CompiledAir:
        """The checked bytecode.

        Raises:
            ProgramError: There are no constraints, the number of rows is missing, two boundaries meet in one cell,
                a row or offset lies outside the height, a column, periodic column, public input or output is read
                by nothing, or the AIR is larger than docs/protocol.md, section 4.1, allows.
        """
        if self._rows is None:
            raise ProgramError("the AIR does not say how many rows it needs: call b.rows(n)")
        if not self.assertions and not self.boundaries:
            raise ProgramError("the AIR has no constraints")
        log_height = max(MIN_LOG_HEIGHT, (self._rows - 1).bit_length())
        plan = bytecode.schedule([assertion.difference for assertion in self.assertions])
        boundaries = self._resolve_boundaries(1 << log_height)
        columns = len(self._arena.column_names)
        reads = [(column, 0) for column in range(columns)]
        reads += sorted(
            {(leaf.x, leaf.y) for leaf in plan.leaves if leaf.kind == READ and leaf.y}, key=lambda read: read[::-1]
        )
        self._check_reads(plan, 1 << log_height)
        self._check_used(plan, boundaries)
        spec, inputs, outputs = self._public_spec()
        table = bytecode.encode_table(
            plan,
            log_height=log_height,
            reads=reads,
            columns=columns,
            column_of={column: column for column in range(columns)},
            periodics=list(self._periodics),
            publics=[self._publics[slot] for slot in spec],
            boundaries=[(boundary.column, boundary.row, boundary.value) for boundary in boundaries],
            interactions=[],
            batch=1,
            preprocessed=[],
        )
        bounded = dict.fromkeys(boundary.column for boundary in boundaries)
        names = [assertion.name for assertion in self.assertions]
        names += [f"boundaries of {self._arena.column_names[column]}" for column in bounded]
        compiled = CompiledTable(
            name="main",
            log_height=log_height,
            columns=columns,
            written=columns,
            preprocessed=0,
            reads=tuple(reads),
            terms=tuple([(item.difference.degree, item.difference.reach) for item in self.assertions]),
            lookup_degrees=(),
            interactions=0,
            constraint_names=tuple(names),
            cost=table.instructions,
            registers=table.registers,
            column_names=tuple(self._arena.column_names),
            boundary_names=tuple([boundary.name for boundary in boundaries]),
        )
        return CompiledAir(
            data=bytecode.encode([table], [], len(spec)),
            tables=(compiled,),
            buses=(),
            public_spec=spec,
            inputs=inputs,
            outputs=outputs,
        )

    def _resolve_boundaries(self, height: int) -> list[Boundary]:
        cells: dict[tuple[int, int], Boundary] = {}
        for boundary in self.boundaries:
            row = boundary.row + height if boundary.row < 0 else boundary.row
            if not 0 <= row < height:
                raise ProgramError(
                    field=f"row of boundary {boundary.name!r}", value=boundary.row, allowed=f"{-height} to {height - 1}"
                )
            other = cells.setdefault((boundary.column, row), boundary._replace(row=row))
            if other.name != boundary.name:
                raise ProgramError(
                    f"boundaries {other.name!r} and {boundary.name!r} meet in one cell: column "
                    f"{self._arena.column_names[boundary.column]}, row {row}; a cell has at most one"
                )
        return [cells[cell] for cell in sorted(cells)]

    def _check_reads(self, plan: bytecode.Schedule, height: int) -> None:
        for leaf in plan.leaves:
            if leaf.kind == READ and leaf.y >= height:
                names = [item.name for item in self.assertions if item.difference.reach >= height]
                raise ProgramError(f"constraint {names[0]!r} reads {leaf}, but the trace has only {height} rows")
        for cycle in self._periodics:
            if len(cycle) > height:
                raise ProgramError(f"a periodic column repeats after {len(cycle)} rows, but the trace has {height}")

    def _check_used(self, plan: bytecode.Schedule, boundaries: Sequence[Boundary]) -> None:
        columns = {leaf.x for leaf in plan.leaves if leaf.kind == READ}
        columns.update(boundary.column for boundary in boundaries)
        for index, name in enumerate(self._arena.column_names):
            if index not in columns:
                raise ProgramError(f"no constraint reads the column {name!r}: it would prove nothing")
        periodics = {leaf.x for leaf in plan.leaves if leaf.kind == PERIODIC}
        for cycle, index in self._periodics.items():
            if index not in periodics:
                raise ProgramError(f"no constraint reads periodic[{index}], with values {shown(cycle)}")
        publics = {leaf.x for leaf in plan.leaves if leaf.kind == PUBLIC}
        publics.update(boundary.value.x for boundary in boundaries if boundary.value.kind == PUBLIC)
        for index, name in enumerate(self._arena.public_names):
            if index not in publics:
                raise ProgramError(
                    f"no constraint or boundary reads the public value {name}: the proof would not bind it"
                )

    def _public_spec(self) -> tuple[tuple[PublicSlot, ...], tuple[tuple[str, int | None], ...], int]:
        """The order of the public values: inputs in the order of their declaration, then outputs."""
        spec: list[PublicSlot] = []
        lengths: list[tuple[str, int | None]] = []
        for name in self._inputs:
            indices = [slot[2] for slot in self._publics if slot[0] == "input" and slot[1] == name and len(slot) == 3]
            if indices == [None]:
                lengths.append((name, None))
                spec.append(("input", name, None))
                continue
            if None in indices:
                raise ProgramError(f"public({name!r}) is used both as one value and as a tuple")
            _check_gaps([index for index in indices if index is not None], f"public input {name!r}")
            lengths.append((name, len(indices)))
            spec += [("input", name, index) for index in range(len(indices))]
        outputs = [slot[1] for slot in self._publics if len(slot) == 2]
        if outputs:
            _check_gaps(outputs, "public outputs")
        spec += [("output", index) for index in range(len(outputs))]
        return tuple(spec), tuple(lengths), len(outputs)


def _check_gaps(indices: Sequence[int], what: str) -> None:
    if not indices:
        raise ProgramError(f"no constraint or boundary reads the {what}: the proof would not bind it")
    if max(indices) >= len(indices):
        missing = min(set(range(len(indices))).difference(indices))
        raise ProgramError(f"no constraint or boundary reads element {missing} of the {what}, but a later one is read")
