"""Fills the columns that follow from those that a program writes: limbs of range checks, and counts of lookups."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from . import bytecode
from .evaluate import evaluate
from .expr import READ, Column, Expr
from .failures import Failure
from .field import P
from .tuples import TupleIndex

if TYPE_CHECKING:
    from .buses import Bus, Interaction
    from .ranges import Limbs
    from .table import TableBuilder

__all__ = ["FilledRange", "Filling", "Masks", "Table"]

Table = NDArray[np.uint32]
"""One table's columns: shape (columns, rows)."""

_Values = dict[int, NDArray[np.uint32]]
"""From slots to values on all rows."""

MASK_DOMAIN = b"aprover: masks of lookup sums"


class Masks(NamedTuple):
    """A random tuple that one table sends in row 0 and another receives: table, values, multiplicity of each."""

    sender: tuple[TableBuilder, tuple[Column, ...], Column]
    receiver: tuple[TableBuilder, tuple[Column, ...], Column]


@attrs.frozen(eq=False)
class FilledRange:
    """A range check, and the columns that hold the limbs of its expression, the lowest first; maybe none."""

    name: str
    text: str
    """The expression."""
    slot: int
    reach: int
    bits: int
    columns: tuple[int, ...]
    width: int


@attrs.frozen(eq=False)
class _Side:
    """What one table puts on a bus on which tuples are looked up."""

    name: str
    table: int
    when: int
    """A slot."""
    values: tuple[int, ...]
    """Slots."""
    count: int | None
    """The column of counts, of a table that provides."""


@attrs.frozen(eq=False)
class _Counted:
    """A bus on which tuples are looked up."""

    name: str
    number: int
    lookups: tuple[_Side, ...]
    providers: tuple[_Side, ...]
    fixed: bool
    """Whether what is provided is the same in every proof."""


class _Provided(NamedTuple):
    tuples: TupleIndex
    rows: list[NDArray[np.int64]]
    """Of each table that provides, the rows that do."""


@attrs.frozen(eq=False)
class _Part:
    """Of one table."""

    name: str
    preprocessed: tuple[NDArray[np.uint32], ...]
    range_code: bytecode.Rows
    ranges: tuple[FilledRange, ...]
    bus_code: bytecode.Rows

    def values(
        self, code: bytecode.Rows, slots: Sequence[int], table: Table, publics: Sequence[int]
    ) -> NDArray[np.uint32]:
        return evaluate(code, slots, [*table, *self.preprocessed], publics, table.shape[1])


class _Mask(NamedTuple):
    table: int
    values: tuple[int, ...]
    used: int


@attrs.frozen(eq=False)
class Filling:
    """How the automatic columns of an AIR follow from the others."""

    _parts: tuple[_Part, ...] = attrs.field(repr=False)
    _counted: tuple[_Counted, ...] = attrs.field(repr=False)
    _masks: tuple[tuple[_Mask, _Mask], ...] = attrs.field(repr=False)
    _fixed: dict[int, _Provided] = attrs.field(factory=dict, init=False, repr=False)
    """Of the buses with fixed tuples, by their number; made at their first use."""

    @classmethod
    def of(
        cls,
        tables: Sequence[TableBuilder],
        limbs: Sequence[Limbs],
        masks: Sequence[Masks],
        publics: Sequence[int],
        bus_numbers: Mapping[Bus, int],
    ) -> Filling:
        """From finished tables.

        Args:
            tables: In the order of the encoding.
            limbs: Of all range checks.
            masks: Empty unless proofs are zero-knowledge.
            publics: For each public value in the order of the statement, its number in the order of its first mention.
        bus_numbers: Their order.
        """
        if not limbs and not bus_numbers and not any(table.preprocessed_values() for table in tables):
            return cls(tuple([_Part(table.name, (), _NOTHING, (), _NOTHING) for table in tables]), (), ())
        places = [{column: place for place, column in enumerate(table.order())} for table in tables]
        parts = []
        for table, place in zip(tables, places, strict=True):
            own = [item for item in limbs if item.check.table is table]
            ranges = _assemble(table, place, [item.check.expr for item in own], publics)
            counted = [item for item in table.interactions if _is_counted(tables, item.bus)]
            buses = _assemble(table, place, [e for item in counted for e in (item.when, *item.values)], publics)
            preprocessed = tuple([table.filled_up(column, values) for column, values in table.preprocessed_values()])
            items = tuple([_range(item, place, ranges.slots) for item in own])
            parts.append(_Part(table.name, preprocessed, ranges, items, buses))
        number = {id(table): i for i, table in enumerate(tables)}

        def mask(side: tuple[TableBuilder, tuple[Column, ...], Column]) -> _Mask:
            table, values, used = number[id(side[0])], side[1], side[2]
            return _Mask(table, tuple([places[table][value.x] for value in values]), places[table][used.x])

        return cls(
            parts=tuple(parts),
            counted=tuple(_counted_buses(tables, places, [part.bus_code for part in parts], bus_numbers)),
            masks=tuple([(mask(pair.sender), mask(pair.receiver)) for pair in masks]),
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to fill."""
        return not (self._counted or self._masks or any(part.ranges for part in self._parts))

    @property
    def steps(self) -> int:
        """What there is to fill, in columns: limbs of range checks, and what each side of a lookup is looked up in."""
        limbs = sum(max(1, len(item.columns)) for part in self._parts for item in part.ranges)
        return limbs + sum(len(bus.lookups) + len(bus.providers) for bus in self._counted)

    @property
    def counted_buses(self) -> frozenset[int]:
        """The numbers of the buses on which tuples are looked up."""
        return frozenset([bus.number for bus in self._counted])

    def ranges(self, number: int) -> tuple[FilledRange, ...]:
        """The range checks of a table."""
        return self._parts[number].ranges

    def preprocessed(self, number: int) -> tuple[NDArray[np.uint32], ...]:
        """The preprocessed columns of a table."""
        return self._parts[number].preprocessed

    def complete(self, tables: Sequence[Table], publics: Sequence[int], entropy: bytes | None = None) -> list[Failure]:
        """Fills the automatic columns in place.

        Args:
            tables: Of each table its columns, shape (columns, rows); all written columns hold values below P.
            publics: In the order of the statement.
            entropy: At least 32 bytes of the system's randomness, never used before; for a zero-knowledge AIR.

        Returns:
            What is out of its range, and lookups that find nothing. The columns are filled all the same.
        """
        failures: list[Failure] = []
        for part, table in zip(self._parts, tables, strict=True):
            if part.ranges:
                failures += _fill_limbs(part, table, publics)
        values = self._on_buses(tables, publics)
        for bus in self._counted:
            failures += self._fill_counts(bus, tables, values)
        if self._masks:
            if entropy is None or len(entropy) < 32:
                raise ValueError("a zero-knowledge AIR is completed with at least 32 bytes of entropy")
            elements = _random_elements(entropy)
            for sender, receiver in self._masks:
                for side in (sender, receiver):
                    tables[side.table][side.used, 0] = 1
                for mine, copy in zip(sender.values, receiver.values, strict=True):
                    tables[sender.table][mine, 0] = tables[receiver.table][copy, 0] = next(elements)
        return failures

    def provided(self, number: int, tables: Sequence[Table], publics: Sequence[int]) -> TupleIndex:
        """The tuples of a bus on which tuples are looked up; other arguments as for `complete`."""
        (bus,) = [bus for bus in self._counted if bus.number == number]
        return self._provided(bus, self._on_buses(tables, publics)).tuples

    def _on_buses(self, tables: Sequence[Table], publics: Sequence[int]) -> list[_Values]:
        """Of each table what it puts on buses on which tuples are looked up, by slots."""
        slots: list[dict[int, int]] = [{} for _ in self._parts]
        for bus in self._counted:
            for side in (*bus.lookups, *(() if bus.number in self._fixed else bus.providers)):
                for slot in (side.when, *side.values):
                    slots[side.table].setdefault(slot, len(slots[side.table]))
        return [
            dict(zip(wanted, part.values(part.bus_code, list(wanted), table, publics), strict=True)) if wanted else {}
            for wanted, part, table in zip(slots, self._parts, tables, strict=True)
        ]

    def _provided(self, bus: _Counted, values: Sequence[_Values]) -> _Provided:
        known = self._fixed.get(bus.number)
        if known is None:
            pairs = [_tuples(side, values) for side in bus.providers]
            index = TupleIndex(np.concatenate([tuples for _, tuples in pairs], axis=1))
            known = _Provided(index, [rows for rows, _ in pairs])
            if bus.fixed:
                self._fixed[bus.number] = known
        return known

    def _fill_counts(self, bus: _Counted, tables: Sequence[Table], values: Sequence[_Values]) -> Iterator[Failure]:
        index, provided_rows = self._provided(bus, values)
        counts = np.zeros(index.size, dtype=np.int64)
        for side in bus.lookups:
            rows, tuples = _tuples(side, values)
            found = index.find(tuples)
            missing = np.flatnonzero(found < 0)
            if len(missing):
                yield _not_found(side, bus, self._parts[side.table].name, rows[missing], tuples[:, missing])
                found = found[found >= 0]
            counts += np.bincount(found, minlength=index.size)
        start = 0
        for side, rows in zip(bus.providers, provided_rows, strict=True):
            assert side.count is not None
            column = tables[side.table][side.count]
            column[:] = 0
            column[rows] = counts[start : start + len(rows)]
            start += len(rows)


def _tuples(side: _Side, values: Sequence[_Values]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """The rows that put something on the bus, and what: shape (width, rows)."""
    own = values[side.table]
    rows = np.flatnonzero(own[side.when])
    tuples = np.array([own[slot] for slot in side.values])
    return rows, tuples if len(rows) == len(own[side.when]) else tuples[:, rows]


def _is_counted(tables: Sequence[TableBuilder], bus: Bus) -> bool:
    return any(item.bus is bus and item.counts is not None for table in tables for item in table.interactions)


_NOTHING = bytecode.Rows(0, (), (), (), (), [], {}, {})


def _assemble(
    table: TableBuilder, places: Mapping[int, int], exprs: Sequence[Expr], publics: Sequence[int]
) -> bytecode.Rows:
    if not exprs:
        return _NOTHING
    plan = bytecode.schedule([], exprs)
    return bytecode.assemble(
        plan,
        reads=sorted({(places[leaf.x], leaf.y) for leaf in plan.leaves if leaf.kind == READ}),
        column_of=places,
        periodics=table.periodics,
        publics=publics,
    )


def _range(item: Limbs, places: Mapping[int, int], slots: Mapping[int, int]) -> FilledRange:
    check = item.check
    return FilledRange(
        name=check.name,
        text=str(check.expr),
        slot=slots[check.expr.number],
        reach=check.expr.reach,
        bits=check.bits,
        columns=tuple([places[column.x] for column in item.columns]),
        width=item.width,
    )


def _counted_buses(
    tables: Sequence[TableBuilder],
    places: Sequence[Mapping[int, int]],
    codes: Sequence[bytecode.Rows],
    numbers: Mapping[Bus, int],
) -> Iterator[_Counted]:
    by_bus: dict[Bus, list[tuple[int, Interaction]]] = {}
    for number, table in enumerate(tables):
        for item in table.interactions:
            by_bus.setdefault(item.bus, []).append((number, item))
    for bus, items in by_bus.items():
        if not any(item.counts is not None for _, item in items):
            continue
        lookups: list[_Side] = []
        providers: list[_Side] = []
        for number, item in items:
            slots = codes[number].slots
            side = _Side(
                name=item.name,
                table=number,
                when=slots[item.when.number],
                values=tuple([slots[value.number] for value in item.values]),
                count=None if item.counts is None else places[number][item.counts.x],
            )
            (lookups if item.counts is None else providers).append(side)
        fixed = all(tables[side.table].is_fixed for side in providers)
        yield _Counted(bus.name, numbers[bus], tuple(lookups), tuple(providers), fixed)


def _fill_limbs(part: _Part, table: Table, publics: Sequence[int]) -> Iterator[Failure]:
    exprs = part.values(part.range_code, [item.slot for item in part.ranges], table, publics)
    for item, values in zip(part.ranges, exprs, strict=True):
        values[len(values) - max(item.reach, 0) :] = 0
        wrong = np.flatnonzero(values >> item.bits)
        if len(wrong):
            row, most = int(wrong[0]), (1 << item.bits) - 1
            value = int(values[row])
            yield Failure(
                item.name,
                part.name,
                row,
                len(wrong),
                (value, most),
                f"range check {item.name!r} fails at row {row}: {item.text} is {value}, and it should be 0 to {most}",
            )
        for i, column in enumerate(item.columns):
            table[column] = values >> item.width * i & (1 << item.width) - 1


def _not_found(side: _Side, bus: _Counted, table: str, rows: NDArray[np.int64], tuples: NDArray[np.uint32]) -> Failure:
    row = int(rows[0])
    values = tuple(tuples[:, 0].tolist())
    shown = str(values[0]) if len(values) == 1 else str(values)
    return Failure(
        side.name,
        table,
        row,
        len(rows),
        (1, 0),
        f"lookup {side.name!r} fails at row {row}: {shown} is not in {bus.name!r}",
        bus.name,
    )


def _random_elements(entropy: bytes) -> Iterator[int]:
    """Uniform field elements, by rejection, from an extendable hash of the entropy."""
    generator = hashlib.shake_256(MASK_DOMAIN + entropy)
    done, size = 0, 1024
    while True:
        block = generator.digest(size)
        for position in range(done, size, 4):
            value = int.from_bytes(block[position : position + 4], "little") & 0x7FFFFFFF
            if value < P:
                yield value
        done, size = size, 2 * size
