"""`AirBuilder`: columns, constraints, lookups and boundary values of a program, checked and compiled to bytecode."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ProgramError
from . import bytecode
from .buses import MINUS, PLUS, Bus, FixedTable, Interaction, check_buses
from .compiled import CompiledAir, PublicSlot
from .compiling import check_table, encode_table
from .expr import Column, Expr
from .filling import Filling, Masks
from .ranges import Limbs, realise
from .table import Assertion, Boundary, TableBuilder, Whole, elements

__all__ = ["AirBuilder", "Assertion", "Boundary", "Bus", "Column", "Expr", "FixedTable", "TableBuilder"]

MASK_WIDTH = 5
"""As many base field elements as an element of the challenge field has."""


class AirBuilder(TableBuilder):
    """Describes the constraints of a trace; `Program.air` gets one.

    It is the first table, named ``"main"``, and makes the others: `table`, `fixed_table`; and the buses that tie tables
    together: `bus`.

    Args:
        public_inputs: The names that `public` accepts, in the order of the statement.
    """

    def __init__(self, public_inputs: Sequence[str] = ()) -> None:
        super().__init__("main", Whole(public_inputs))
        self._fixed: dict[tuple[bytes, ...], FixedTable] = {}
        self._limbs: list[Limbs] = []
        self._masks: list[Masks] | None = None

    @property
    def tables(self) -> tuple[TableBuilder, ...]:
        """All tables: this one, those that `table` made, and fixed ones, in the order of the encoding."""
        return tuple(sorted(self._whole.tables, key=lambda table: table.is_fixed))

    @property
    def buses(self) -> tuple[Bus, ...]:
        """Fixed tables have one each too."""
        return tuple(self._whole.buses)

    def public_names(self) -> list[str]:
        """How messages name the public values, in the order of the statement."""
        return [self._whole.public_names[self._whole.publics[slot]] for slot in self._public_spec()[0]]

    def table(self, name: str) -> TableBuilder:
        """A further table, with columns, constraints and a number of rows of its own.

        With more than one table, `Program.trace` gets a mapping from the tables' names to arrays.

        Args:
            name: Appears in messages and is unique; the first table is ``"main"``.
        """
        self._check_table_name(name)
        return TableBuilder(name, self._whole)

    def bus(self, name: str, width: int) -> Bus:
        """A bus for tuples of `width` values, 1 to 16; see `Bus`.

        Args:
            name: Appears in messages and is unique.
            width: The number of values in a tuple.
        """
        return Bus.make(self._whole, name, width)

    def fixed_table(self, name: str, columns: Sequence[Sequence[int] | NDArray[np.integer]]) -> FixedTable:
        """A table that is part of the AIR: the rows of `columns` are the tuples that `lookup` finds.

        It is committed once for each program with its parameters, and kept. Asked for again with the same values, by
        any name, it is the same table. The builder counts the lookups; `Program.trace` has nothing to do with it.

        Args:
            name: Appears in messages and is unique.
            columns: Ints modulo P, as many in each column: 1 to 2^24.
        """
        arrays = [elements(f"fixed table {name!r}", column) for column in columns]
        if not arrays or len({len(array) for array in arrays}) != 1:
            raise ProgramError(
                field=f"the columns of fixed table {name!r}",
                value=tuple([len(array) for array in arrays]),
                allowed="one or more, of equal length",
            )
        key = tuple([array.tobytes() for array in arrays])
        known = self._fixed.get(key)
        if known is not None:
            return known
        self._check_table_name(name)
        bus = Bus.make(self._whole, name, len(arrays))
        table = TableBuilder(name, self._whole, is_fixed=True)
        table.rows(len(arrays[0]))
        # Rows are filled up by the first one: so no other tuple is there.
        rest = (1 << table.log_height) - len(arrays[0])
        values = [np.concatenate([array, np.repeat(array[:1], rest)]) for array in arrays]
        bus.provide([table.preprocessed(array, name=f"{name}[{i}]") for i, array in enumerate(values)], table=table)
        known = self._fixed[key] = FixedTable(name, bus)
        return known

    def _check_table_name(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise ProgramError(field="name of a table", value=name, allowed="a non-empty str")
        if any(table.name == name for table in self._whole.tables):
            raise ProgramError(f"there is a table {name!r} already")

    def _range_table(self, bits: int) -> FixedTable:
        return self.fixed_table(f"numbers of {bits} bits", [np.arange(1 << bits)])

    # Compiling

    def finish(self, *, zk: bool = False) -> None:
        """Adds what the builder decides when all is declared: the parts of range checks, and the masks of sums."""
        checks = self._whole.range_checks
        if checks:
            self._limbs += realise(checks, self._range_table)
            checks.clear()
        if self._masks is None:
            self._masks = self._add_masks() if zk else []

    def _add_masks(self) -> list[Masks]:
        """Random tuples from each table to the next, if several are on buses: docs/protocol.md, section 13."""
        tables = [table for table in self.tables if table.interactions]
        if len(tables) < 2:
            return []
        bus = self.bus("masks of sums", MASK_WIDTH)
        masks = []
        for sender, receiver in itertools.pairwise(tables):
            sides = []
            for table, sign, what in ((sender, PLUS, "mask"), (receiver, MINUS, "mask copy")):
                *values, multiplicity = table.automatic([f"{what}[{i}]" for i in range(MASK_WIDTH)] + [f"{what} used"])
                table.interact(Interaction(what, bus, sign, multiplicity, tuple(values), None, multiplicity))
                sides.append((table, tuple(values), multiplicity))
            masks.append(Masks(*sides))
        return masks

    def compile(self, *, zk: bool = False) -> CompiledAir:
        """The checked bytecode.

        Args:
            zk: For zero-knowledge proofs, whose AIR hides the lookup sums of its tables from each other.

        Raises:
            ProgramError: There are no constraints, the number of rows is missing, two boundaries meet in one cell,
                a row or offset lies outside the height, a column, periodic column, public input or output is read
                by nothing, a bus cannot balance, or the AIR is larger than docs/protocol.md, section 4.1, allows.
        """
        for table in self._whole.tables:
            table.log_height  # noqa: B018 - raises if the number of rows is missing
        self.finish(zk=zk)
        checked = [check_table(table) for table in self.tables]
        check_buses(self._whole)
        self._check_publics_used(set().union(*[each.publics for each in checked]))
        spec, inputs, outputs = self._public_spec()
        publics = [self._whole.publics[slot] for slot in spec]
        bus_numbers = {bus: number for number, bus in enumerate(self.buses)}
        encoded = [encode_table(each, publics, bus_numbers) for each in checked]
        assert self._masks is not None
        return CompiledAir(
            data=bytecode.encode([data for data, _ in encoded], [bus.width for bus in self.buses], len(spec)),
            tables=tuple([table for _, table in encoded]),
            buses=tuple([(bus.name, bus.width) for bus in self.buses]),
            public_spec=spec,
            inputs=inputs,
            outputs=outputs,
            filling=Filling.of(self.tables, self._limbs, self._masks, publics, bus_numbers),
        )

    def _check_publics_used(self, used: set[int]) -> None:
        for index, name in enumerate(self._whole.public_names):
            if index not in used:
                raise ProgramError(
                    f"no constraint or boundary reads the public value {name}: the proof would not bind it"
                )

    def _public_spec(self) -> tuple[tuple[PublicSlot, ...], tuple[tuple[str, int | None], ...], int]:
        """The order of the public values: inputs in the order of their declaration, then outputs."""
        publics = self._whole.publics
        spec: list[PublicSlot] = []
        lengths: list[tuple[str, int | None]] = []
        for name in self._whole.inputs:
            indices = [slot[2] for slot in publics if slot[0] == "input" and slot[1] == name and len(slot) == 3]
            if indices == [None]:
                lengths.append((name, None))
                spec.append(("input", name, None))
                continue
            if None in indices:
                raise ProgramError(f"the public input {name!r} is read both as one value and as a tuple")
            _check_gaps([index for index in indices if index is not None], f"public input {name!r}")
            lengths.append((name, len(indices)))
            spec += [("input", name, index) for index in range(len(indices))]
        outputs = [slot[1] for slot in publics if len(slot) == 2]
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
