"""The AIR of docs/protocol.md section 4: encoding by hand, decoding, and the quotient's formula."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tests.support import toy_field as tf
from tests.support.toy_commit import K_AIR, hash_with
from tests.support.toy_field import Array, P

ADD, SUB, MUL, ASSERT = range(4)
PLUS, MINUS = 0, 1

Slot = tuple[int, int]
"""(degree, exemption)"""


@dataclasses.dataclass(frozen=True)
class Interaction:
    """A tuple put on a bus by every row: `multiplicity` and `values` are slots."""

    bus: int
    sign: int
    multiplicity: int
    values: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """A decoded table; what follows from the bytecode (section 4.2) is computed here too."""

    columns: int
    log_height: int
    log_slots: int
    registers: int
    batch: int
    reads: tuple[tuple[int, int], ...]
    periodics: tuple[tuple[int, ...], ...]
    publics: int
    constants: tuple[int, ...]
    instructions: tuple[tuple[int, int, int, int], ...]
    boundaries: tuple[tuple[int, int, int], ...]
    interactions: tuple[Interaction, ...]
    preprocessed: tuple[tuple[int, ...], ...]
    asserted: tuple[Slot, ...]
    lookup_degrees: tuple[int, ...]

    @property
    def height(self) -> int:
        """Rows k."""
        return 1 << self.log_height

    @property
    def bounded_columns(self) -> list[int]:
        """Columns with boundaries, ascending: one boundary constraint each."""
        return sorted({column for column, _, _ in self.boundaries})

    @property
    def constraints(self) -> int:
        """Asserted slots, then boundary constraints, then lookup constraints."""
        return len(self.asserted) + len(self.bounded_columns) + self.lookup_columns

    @property
    def lookup_columns(self) -> int:
        """A."""
        return -(-len(self.interactions) // self.batch)

    @property
    def batches(self) -> list[tuple[Interaction, ...]]:
        """The interactions, `batch` at a time."""
        return [self.interactions[i : i + self.batch] for i in range(0, len(self.interactions), self.batch)]

    @property
    def rows_read(self) -> int:
        """o."""
        return max(1 + max(o for _, o in self.reads), 2 if self.interactions else 1)

    def quotient_degree(self, column_degree: int) -> int:
        """A bound on deg Q for columns of this degree."""
        bounds = [d * column_degree + (s << self.log_slots) for d, s in self.asserted]
        bounds += [d * column_degree for d in self.lookup_degrees]
        bounds += [column_degree + self.height - 1] * bool(self.boundaries)
        return max(bounds) - self.height


@dataclasses.dataclass(frozen=True)
class Air:
    """A decoded AIR."""

    data: bytes
    publics: int
    buses: tuple[int, ...]
    tables: tuple[Table, ...]

    @property
    def digest(self) -> bytes:
        """The AIR digest."""
        return hash_with(K_AIR, self.data)

    @property
    def constraints(self) -> int:
        """C."""
        return sum(table.constraints for table in self.tables)


def decode(data: bytes) -> Air:
    """Read the encoding of section 4.1. The AIRs of the tests are well formed; this checks little."""
    words = struct.unpack(f"<{len(data) // 4}I", data)
    version, count, buses, publics = words[:4]
    assert version == 2
    rest: Iterator[int] = iter(words[4:])
    widths = tuple(next(rest) for _ in range(buses))
    tables = tuple(_decode_table(rest, publics, widths) for _ in range(count))
    assert next(rest, None) is None
    return Air(data, publics, widths, tables)


def _decode_table(rest: Iterator[int], publics: int, widths: Sequence[int]) -> Table:
    def take(count: int) -> tuple[int, ...]:
        return tuple(next(rest) for _ in range(count))

    columns, n_preprocessed, log_height, log_slots, n_reads, n_periodics, n_constants = take(7)
    registers, n_code, n_bounds, n_interactions, batch = take(5)
    reads = tuple((w & 0xFFFF, w >> 16) for w in take(n_reads))
    periodics = tuple(take(1 << next(rest)) for _ in range(n_periodics))
    constants = take(n_constants)
    code = []
    for _ in range(n_code):
        first, second = take(2)
        code.append((first & 0xFFFF, first >> 16, second & 0xFFFF, second >> 16))
    boundaries = tuple((next(rest), next(rest), next(rest)) for _ in range(n_bounds))
    interactions = []
    for _ in range(n_interactions):
        bus, sign, multiplicity = take(3)
        interactions.append(Interaction(bus, sign, multiplicity, take(widths[bus])))
    preprocessed = tuple(take(1 << log_height) for _ in range(n_preprocessed))
    slots: list[Slot] = [(0, 0)] * registers + [(1, o) for _, o in reads]
    slots += [(1, 0)] * n_periodics + [(0, 0)] * (publics + n_constants)
    asserted = _run_degrees(slots, code)
    lookups = [_lookup_degree(slots, interactions[i : i + batch]) for i in range(0, n_interactions, batch)]
    return Table(
        columns, log_height, log_slots, registers, batch, reads, periodics, publics, constants, tuple(code),
        boundaries, tuple(interactions), preprocessed, asserted, tuple(lookups),
    )  # fmt: skip


def _run_degrees(slots: list[Slot], code: Sequence[tuple[int, int, int, int]]) -> tuple[Slot, ...]:
    """(degree, exemption) of each asserted slot; `slots` ends as it is after the last instruction."""
    out = []
    for op, dst, a, b in code:
        (da, sa), (db, sb) = slots[a], slots[b]
        if op == ASSERT:
            out.append((da, sa))
        else:
            slots[dst] = (da + db if op == MUL else max(da, db), max(sa, sb))
    return tuple(out)


def _lookup_degree(slots: Sequence[Slot], batch: Sequence[Interaction]) -> int:
    prints = [max(slots[v][0] for v in one.values) for one in batch]
    counts = [slots[one.multiplicity][0] for one in batch]
    return max(1 + sum(prints), *(m + sum(prints) - f for m, f in zip(counts, prints, strict=True)))


@dataclasses.dataclass(frozen=True)
class Ring:
    """Arithmetic for one of two uses of the formulas: base vectors over a domain, or one extension element at z.

    `times` multiplies an extension value, or a vector of them, by a value of the ring.
    """

    add: Callable[[Any, Any], Any]
    sub: Callable[[Any, Any], Any]
    mul: Callable[[Any, Any], Any]
    inverse: Callable[[Any], Any]
    power: Callable[[Any, int], Any]
    constant: Callable[[int], Any]
    times: Callable[[Array, Any], Array]


def _base_mul(a: Array, b: Array) -> Array:
    return a * b % P


BASE = Ring(tf.add, tf.sub, _base_mul, tf.inverse, tf.power, lambda v: tf.array([v]), tf.scale)
EXTENSION = Ring(tf.add, tf.sub, tf.mul, tf.ext_inverse, tf.ext_power, lambda v: tf.lift(tf.array(v)), tf.mul)


@dataclasses.dataclass(frozen=True)
class LookupValues:
    """What the lookup constraints of section 4.4 depend on besides the slots, extension-valued."""

    gamma: Array
    beta: Array
    sigma: Array
    columns: Sequence[Array]
    """h_0, .., phi at x"""
    next_sum: Array
    """phi at the next row's point"""


def run_slots(
    table: Table,
    ring: Ring,
    x: Array,
    reads: Sequence[Array],
    publics: Sequence[int],
    periodic_values: Sequence[Sequence[int]] | None = None,
) -> tuple[list[Any], list[Array]]:
    """All slots after the last instruction, and the asserted values."""
    slots: list[Any] = [None] * table.registers
    slots += reads
    for values in table.periodics if periodic_values is None else periodic_values:
        y = ring.power(x, table.height // len(values))
        value = ring.constant(0)
        for c in reversed(tf.interpolate(tf.array(values), 1).tolist()):
            value = ring.add(ring.mul(value, y), ring.constant(c))
        slots.append(value)
    slots += [ring.constant(v) for v in (*publics, *table.constants)]
    out = []
    for op, dst, a, b in table.instructions:
        if op == ASSERT:
            out.append(slots[a])
        else:
            slots[dst] = (ring.add, ring.sub, ring.mul)[op](slots[a], slots[b])
    return slots, out


def fingerprint(ring: Ring, slots: Sequence[Any], one: Interaction, gamma: Array, beta: Array) -> Array:
    """gamma - (bus + sum of beta^j * t_j)."""
    total = tf.sub(gamma, tf.lift(tf.array(one.bus)))
    for j, slot in enumerate(one.values, 1):
        total = tf.sub(total, ring.times(tf.ext_power(beta, j), slots[slot]))
    return total


def batch_fraction(
    ring: Ring, slots: Sequence[Any], batch: Sequence[Interaction], gamma: Array, beta: Array
) -> tuple[Array, Array]:
    """F and N of one batch: the sum of its fractions is N / F."""
    prints = [fingerprint(ring, slots, one, gamma, beta) for one in batch]
    product: Array = tf.ONE
    numerator: Array = tf.ZERO
    for i, one in enumerate(batch):
        product = tf.mul(product, prints[i])
        others: Array = tf.ONE
        for j, other in enumerate(prints):
            others = others if i == j else tf.mul(others, other)
        term = ring.times(others, slots[one.multiplicity])
        numerator = tf.sub(numerator, term) if one.sign == MINUS else tf.add(numerator, term)
    return product, numerator


def quotient(
    table: Table,
    ring: Ring,
    x: Array,
    reads: Sequence[Array],
    publics: Sequence[int],
    weights: Array,
    lookups: LookupValues | None = None,
    periodic_values: Sequence[Sequence[int]] | None = None,
) -> Array:
    """The quotient of section 4.3 at x, extension-valued.

    `x` and each of `reads` are base vectors (N,) with BASE, or one element (5,) with EXTENSION; `weights`, one for each
    of the table's constraints, are the powers of alpha, unless the prover lies. Raises no error where the constraints
    fail: it is a rational function.
    """
    slots, values = run_slots(table, ring, x, reads, publics, periodic_values)
    total: Array = ring.times(np.zeros_like(weights[0]), x)
    y = ring.power(x, 1 << table.log_slots)
    for i, (value, (_, exemption)) in enumerate(zip(values, table.asserted, strict=True)):
        for e in range(1, exemption + 1):
            value = ring.mul(
                value, ring.sub(y, ring.constant(pow(tf.root(table.log_height), -e << table.log_slots, P)))
            )
        total = tf.add(total, ring.times(weights[i], value))
    first_lookup = len(table.asserted) + len(table.bounded_columns)
    for a, batch in enumerate(table.batches):
        assert lookups is not None
        product, numerator = batch_fraction(ring, slots, batch, lookups.gamma, lookups.beta)
        column = lookups.columns[a]
        if a == table.lookup_columns - 1:
            step = tf.sub(lookups.next_sum, column)
            for other in lookups.columns[:-1]:
                step = tf.sub(step, other)
            column = tf.add(step, lookups.sigma * np.uint64(pow(table.height, P - 2, P)) % np.uint64(P))
        total = tf.add(total, tf.mul(weights[first_lookup + a], tf.sub(tf.mul(column, product), numerator)))
    vanishing = ring.sub(ring.power(x, table.height), ring.constant(1))
    total = ring.times(total, ring.inverse(vanishing))
    return _with_boundaries(table, ring, x, reads, publics, weights, total)


def _with_boundaries(
    table: Table,
    ring: Ring,
    x: Array,
    reads: Sequence[Array],
    publics: Sequence[int],
    weights: Array,
    total: Array,
) -> Array:
    scalars = [*publics, *table.constants]
    first_scalar = table.registers + len(table.reads) + len(table.periodics)
    points = {row: pow(tf.root(table.log_height), row, P) for _, row, _ in table.boundaries}
    inverses = {row: ring.inverse(ring.sub(x, ring.constant(point))) for row, point in points.items()}
    for i, bounded in enumerate(table.bounded_columns, len(table.asserted)):
        for column, row, slot in table.boundaries:
            if column != bounded:
                continue
            numerator = ring.sub(reads[column], ring.constant(scalars[slot - first_scalar]))
            factor = ring.constant(points[row] * pow(table.height, P - 2, P))
            part = ring.mul(ring.mul(numerator, inverses[row]), factor)
            total = tf.add(total, ring.times(weights[i], part))
    return total


class TableDraft:
    """Assembles the encoding of a table by hand; every operation writes a new register.

    Operands are strings that name slots: what `read`, `periodic`, `public`, `constant` and the operations return.
    """

    def __init__(
        self,
        columns: int,
        log_height: int,
        preprocessed: Sequence[Sequence[int]] = (),
        *,
        log_slots: int = 0,
        batch: int = 1,
    ) -> None:
        self.columns, self.log_height, self.preprocessed = columns, log_height, list(preprocessed)
        self.log_slots, self.batch = log_slots, batch
        self._reads: set[tuple[int, int]] = set()
        self._periodics: list[Sequence[int]] = []
        self._constants: dict[int, int] = {}
        self._code: list[tuple[int, int, str, str]] = []
        self._registers = 0
        self._boundaries: dict[tuple[int, int], str] = {}
        self.interactions: list[tuple[int, int, str, Sequence[str]]] = []

    def read(self, column: int, offset: int = 0) -> str:
        """The value of a column, `offset` rows ahead. Preprocessed ones are numbered after the others."""
        self._reads.add((column, offset))
        return f"read {column} {offset}"

    def periodic(self, values: Sequence[int]) -> str:
        """A periodic column with these 2^e values."""
        self._periodics.append(values)
        return f"periodic {len(self._periodics) - 1}"

    def public(self, index: int) -> str:
        """A public value."""
        return f"public {index}"

    def constant(self, value: int) -> str:
        """A constant."""
        return f"constant {self._constants.setdefault(value % P, len(self._constants))}"

    def operation(self, op: int, a: str, b: str) -> str:
        """ADD, SUB or MUL into a new register."""
        self._code.append((op, self._registers, a, b))
        self._registers += 1
        return f"register {self._registers - 1}"

    def add(self, a: str, b: str) -> str:
        """a + b."""
        return self.operation(ADD, a, b)

    def sub(self, a: str, b: str) -> str:
        """a - b."""
        return self.operation(SUB, a, b)

    def mul(self, a: str, b: str) -> str:
        """a * b."""
        return self.operation(MUL, a, b)

    def check(self, a: str) -> None:
        """Assert that a slot is zero."""
        self._code.append((ASSERT, 0, a, ""))

    def boundary(self, column: int, row: int, value: str) -> None:
        """The column has this value (a public value or a constant) in this row."""
        self._boundaries[column, row] = value

    def put(self, bus: int, sign: int, multiplicity: str, values: Sequence[str]) -> None:
        """Put a tuple on a bus."""
        self.interactions.append((bus, sign, multiplicity, values))

    def words(self, publics: int) -> list[int]:
        """The words of section 4.1."""
        first = {(c, 0) for c in range(self.columns + len(self.preprocessed))}
        reads = sorted(self._reads | first, key=lambda r: (r[1], r[0]))
        names = [f"register {i}" for i in range(self._registers)]
        names += [f"read {c} {o}" for c, o in reads]
        names += [f"periodic {i}" for i in range(len(self._periodics))]
        names += [f"public {i}" for i in range(publics)]
        names += [f"constant {i}" for i in range(len(self._constants))]
        slot: Mapping[str, int] = {name: i for i, name in enumerate(names)} | {"": 0}
        words = [self.columns, len(self.preprocessed), self.log_height, self.log_slots, len(reads)]
        words += [len(self._periodics), len(self._constants), self._registers, len(self._code)]
        words += [len(self._boundaries), len(self.interactions), self.batch]
        words += [o << 16 | c for c, o in reads]
        for values in self._periodics:
            words += [tf.log2(len(values)), *values]
        words += list(self._constants)
        for op, dst, a, b in self._code:
            words += [op | dst << 16, slot[a] | slot[b] << 16]
        for (column, row), value in sorted(self._boundaries.items()):
            words += [column, row, slot[value]]
        for bus, sign, multiplicity, put in self.interactions:
            words += [bus, sign, slot[multiplicity], *(slot[v] for v in put)]
        for column_values in self.preprocessed:
            assert len(column_values) == 1 << self.log_height
            words += column_values
        return words


class Draft(TableDraft):
    """Assembles an AIR by hand. It is itself the draft of the first table; `table` adds further ones."""

    def __init__(
        self,
        columns: int,
        log_height: int,
        publics: int = 0,
        preprocessed: Sequence[Sequence[int]] = (),
        *,
        buses: Sequence[int] = (),
        log_slots: int = 0,
        batch: int = 1,
    ) -> None:
        super().__init__(columns, log_height, preprocessed, log_slots=log_slots, batch=batch)
        self.publics, self.buses = publics, list(buses)
        self.tables: list[TableDraft] = [self]

    def table(
        self,
        columns: int,
        log_height: int,
        preprocessed: Sequence[Sequence[int]] = (),
        *,
        log_slots: int = 0,
        batch: int = 1,
    ) -> TableDraft:
        """A further table."""
        self.tables.append(TableDraft(columns, log_height, preprocessed, log_slots=log_slots, batch=batch))
        return self.tables[-1]

    def encode(self) -> bytes:
        """The words of section 4.1 as bytes."""
        words = [2, len(self.tables), len(self.buses), self.publics, *self.buses]
        for table in self.tables:
            words += table.words(self.publics)
        return struct.pack(f"<{len(words)}I", *words)
