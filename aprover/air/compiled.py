"""An AIR that was built: its bytecode, and what follows from it (docs/protocol.md, section 4.2)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import attrs

from ..errors import VerificationCode, VerificationError, shown
from ..statement import Statement, Value
from .field import P, is_element
from .filling import Filling

PublicSlot = tuple[str, str, int | None] | tuple[str, int]
"""``("input", field, index or None)`` or ``("output", index)``."""


_ONLY_INTS = {int}


@attrs.frozen(eq=False)
class CompiledTable:
    """One table of an AIR.

    Attributes:
        name: Unique among the tables; the first one's is ``"main"``.
        log_height: log2 of the number of rows k.
        columns: The number W of columns whose values the prover chooses. The first `written` of them are written by
            `Program.trace`, the rest follow from these.
        written: How many columns `Program.trace` writes.
        preprocessed: The number P of columns whose values are part of the AIR.
        reads: (column, offset) of each trace opening, in order.
        terms: For each asserted expression its degree and on how many last rows it does not hold.
        lookup_degrees: The degree of each lookup constraint; so their number is that of the lookup columns.
        interactions: How many tuples a row puts on buses.
        constraint_names: The asserted ones, then one for each column that has boundaries, then one for each lookup
            constraint.
        cost: The number of instructions.
        registers: The number of registers.
        column_names: In the order of the columns, the preprocessed ones last.
        boundary_names: In the order of their encoding: by column and row.
        log_slots: The rows are ``2**log_slots`` runs of statements of their own (an aggregate's table; else 0).
    """

    name: str
    log_height: int
    columns: int
    written: int
    preprocessed: int
    reads: tuple[tuple[int, int], ...] = attrs.field(repr=False)
    terms: tuple[tuple[int, int], ...] = attrs.field(repr=False)
    lookup_degrees: tuple[int, ...] = attrs.field(repr=False)
    interactions: int
    constraint_names: tuple[str, ...] = attrs.field(repr=False)
    cost: int
    registers: int
    column_names: tuple[str, ...] = attrs.field(repr=False)
    boundary_names: tuple[str, ...] = attrs.field(repr=False)
    log_slots: int = 0

    @property
    def height(self) -> int:
        """The number of rows k, a power of two, at least 8."""
        return 1 << self.log_height

    @property
    def lookup_columns(self) -> int:
        """The number A of lookup columns, each of five elements a row."""
        return len(self.lookup_degrees)

    @functools.cached_property
    def rows_read(self) -> int:
        """How many consecutive rows a constraint may read: 1 + the largest offset, and at least 2 with interactions."""
        return max(1 + max(offset for _, offset in self.reads), 2 if self.interactions else 1)

    @functools.cached_property
    def degree(self) -> int:
        """The largest degree of an asserted expression or a lookup constraint, at least 1."""
        return max([1, *[degree for degree, _ in self.terms], *self.lookup_degrees])

    @property
    def constraints(self) -> int:
        """The number of constraints."""
        return len(self.constraint_names)


@attrs.frozen(eq=False)
class CompiledAir:
    """The constraints of a program with its parameters, ready for the prover and the verifiers.

    Attributes:
        data: The encoding of docs/protocol.md, section 4.1.
        tables: In the order of the encoding.
        buses: Name and width of each.
        public_spec: What each public value is, in the order in which the transcript absorbs them.
        inputs: The public fields in the order of `Statement.public_inputs`, with None for an int or the length of a
            tuple.
        outputs: How many public outputs there are.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    tables: tuple[CompiledTable, ...]
    buses: tuple[tuple[str, int], ...]
    public_spec: tuple[PublicSlot, ...] = attrs.field(repr=False)
    inputs: tuple[tuple[str, int | None], ...] = attrs.field(repr=False)
    outputs: int
    filling: Filling = attrs.field(repr=False)
    """How the columns that `Program.trace` does not write follow from the others."""

    @property
    def height(self) -> int:
        """The number of rows of the highest table."""
        return max(table.height for table in self.tables)

    @property
    def columns(self) -> int:
        """The number of columns of all tables, without preprocessed and lookup columns."""
        return sum(table.columns for table in self.tables)

    @property
    def cells(self) -> int:
        """Columns times height, of all tables."""
        return sum(table.columns << table.log_height for table in self.tables)

    @property
    def cost(self) -> int:
        """The number of instructions of all tables."""
        return sum(table.cost for table in self.tables)

    def publics(self, statement: Statement) -> list[int]:
        """The public values of `statement` in the order of `public_spec`.

        Raises:
            VerificationError: Code ``STATEMENT``; a value is missing, is too many, or is not an int in ``[0, P)``.
                A value too many counts because no constraint would bind it.
        """
        if len(statement.public_outputs) != self.outputs:
            raise _unfit(f"{len(statement.public_outputs)} public outputs, but the program has {self.outputs}")
        return self._elements([*self._flat(statement.public_inputs), *statement.public_outputs])

    def input_values(self, public_inputs: tuple[Value, ...]) -> list[int]:
        """The first part of `publics`: the values of `Statement.public_inputs`.

        Raises:
            VerificationError: As `publics`.
        """
        return self._elements([*self._flat(public_inputs)])

    @functools.cached_property
    def _has_tuples(self) -> bool:
        return any(length is not None for _, length in self.inputs)

    def _flat(self, given: tuple[Value, ...]) -> Sequence[Any]:
        if len(given) != len(self.inputs):
            raise _unfit(f"{len(given)} public inputs, but the program has {len(self.inputs)}")
        if not self._has_tuples:
            return given
        values: list[Any] = []
        for (name, length), value in zip(self.inputs, given, strict=True):
            if length is None:
                values.append(value)
            elif type(value) is not tuple or len(value) != length:
                raise _unfit(f"public input {name} = {shown(value)} is not a tuple of {length} ints")
            else:
                values += value
        return values

    def _elements(self, values: list[Any]) -> list[int]:
        """These, the first of `public_spec`, if all are field elements."""
        if values and not (set(map(type, values)) == _ONLY_INTS and min(values) >= 0 and max(values) < P):
            name, value = next(
                (_name_of(slot), value)
                for slot, value in zip(self.public_spec, values, strict=False)
                if not is_element(value)
            )
            raise _unfit(f"{name} = {shown(value)} is not an int from 0 to {P - 1}")
        return values


def _name_of(slot: PublicSlot) -> str:
    if len(slot) == 2:
        return f"public output {slot[1]}"
    return slot[1] if slot[2] is None else f"{slot[1]}[{slot[2]}]"


def _unfit(message: str) -> VerificationError:
    return VerificationError(VerificationCode.STATEMENT, message)
