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


@dataclasses.dataclass(frozen=True)
class Air:
    """A decoded AIR; what follows from the bytecode (section 4.2) is computed here too."""

    data: bytes
    columns: int
    log_height: int
    registers: int
    reads: tuple[tuple[int, int], ...]
    periodics: tuple[tuple[int, ...], ...]
    publics: int
    constants: tuple[int, ...]
    instructions: tuple[tuple[int, int, int, int], ...]
    boundaries: tuple[tuple[int, int, int], ...]
    asserted: tuple[tuple[int, int], ...]

    @property
    def height(self) -> int:
        """Rows k."""
        return 1 << self.log_height

    @property
    def digest(self) -> bytes:
        """The AIR digest."""
        return hash_with(K_AIR, self.data)

    @property
    def bounded_columns(self) -> list[int]:
        """Columns with boundaries, ascending: one boundary constraint each."""
        return sorted({column for column, _, _ in self.boundaries})

    @property
    def constraints(self) -> int:
        """C: asserted slots, then boundary constraints."""
        return len(self.asserted) + len(self.bounded_columns)

    @property
    def chunks(self) -> int:
        """c, the number of quotient chunks."""
        return max(self.quotient_degree(self.height), 0) // self.height + 1

    @property
    def narrow(self) -> bool:
        """Whether one leaf holds an octet of all columns."""
        return self.columns + 5 * self.chunks <= 32

    @property
    def openings(self) -> int:
        """N."""
        return len(self.reads) + self.chunks

    def quotient_degree(self, length: int) -> int:
        """A bound on deg Q when the columns have degree below `length` (k, unless the prover lies)."""
        bounds = [d * (length - 1) + s - self.height for d, s in self.asserted]
        return max(bounds + [length - 2] * bool(self.boundaries))


def decode(data: bytes) -> Air:
    """Read the encoding of section 4.1. The AIRs of the tests are well formed; this checks little."""
    words = struct.unpack(f"<{len(data) // 4}I", data)
    version, columns, log_height, n_reads, n_periodics, publics, n_constants, registers, n_code, n_bounds = words[:10]
    assert version == 1
    rest: Iterator[int] = iter(words[10:])

    def take(count: int) -> tuple[int, ...]:
        return tuple(next(rest) for _ in range(count))

    reads = tuple((w & 0xFFFF, w >> 16) for w in take(n_reads))
    periodics = tuple(take(1 << next(rest)) for _ in range(n_periodics))
    constants = take(n_constants)
    code = []
    for _ in range(n_code):
        first, second = take(2)
        code.append((first & 0xFFFF, first >> 16, second & 0xFFFF, second >> 16))
    boundaries = tuple((next(rest), next(rest), next(rest)) for _ in range(n_bounds))
    assert next(rest, None) is None
    shape = _asserted(registers, reads, len(periodics), publics + len(constants), code)
    return Air(
        data, columns, log_height, registers, reads, periodics, publics, constants, tuple(code), boundaries, shape
    )


def _asserted(
    registers: int,
    reads: Sequence[tuple[int, int]],
    periodics: int,
    scalars: int,
    code: Sequence[tuple[int, int, int, int]],
) -> tuple[tuple[int, int], ...]:
    """(degree, exemption) of each asserted slot."""
    slots = [(0, 0)] * registers + [(1, o) for _, o in reads] + [(1, 0)] * periodics + [(0, 0)] * scalars
    out = []
    for op, dst, a, b in code:
        (da, sa), (db, sb) = slots[a], slots[b]
        if op == ASSERT:
            out.append((da, sa))
        else:
            slots[dst] = (da + db if op == MUL else max(da, db), max(sa, sb))
    return tuple(out)


@dataclasses.dataclass(frozen=True)
class Ring:
    """Arithmetic for one of two uses of the formula: base vectors over a domain, or one extension element at z."""

    add: Callable[[Any, Any], Any]
    sub: Callable[[Any, Any], Any]
    mul: Callable[[Any, Any], Any]
    inverse: Callable[[Any], Any]
    power: Callable[[Any, int], Any]
    constant: Callable[[int], Any]
    weigh: Callable[[Array, Any], Array]


def _base_mul(a: Array, b: Array) -> Array:
    return a * b % P


BASE = Ring(tf.add, tf.sub, _base_mul, tf.inverse, tf.power, lambda v: tf.array([v]), lambda w, v: tf.scale(w[None], v))
EXTENSION = Ring(tf.add, tf.sub, tf.mul, tf.ext_inverse, tf.ext_power, lambda v: tf.lift(tf.array(v)), tf.mul)


def quotient(
    air: Air,
    ring: Ring,
    x: Array,
    reads: Sequence[Array],
    publics: Sequence[int],
    weights: Array,
    periodic_values: Sequence[Sequence[int]] | None = None,
) -> Array:
    """The quotient of section 4.3 at x, extension-valued.

    `x` and each of `reads` are base vectors (N,) with BASE, or one element (5,) with EXTENSION; `weights` (C, 5) are
    the powers of alpha, unless the prover lies. Raises no error where the constraints fail: it is a rational function.
    """
    k, log_k = air.height, air.log_height
    values = _asserted_values(air, ring, x, reads, publics, periodic_values or air.periodics)
    vanishing_inverse = ring.inverse(ring.sub(ring.power(x, k), ring.constant(1)))
    total: Array = ring.weigh(np.zeros_like(weights[0]), x)
    for i, (value, (_, exemption)) in enumerate(zip(values, air.asserted, strict=True)):
        value = ring.mul(value, vanishing_inverse)
        for e in range(1, exemption + 1):
            value = ring.mul(value, ring.sub(x, ring.constant(pow(tf.root(log_k), k - e, P))))
        total = tf.add(total, ring.weigh(weights[i], value))
    scalars = [*publics, *air.constants]
    first_scalar = air.registers + len(air.reads) + len(air.periodics)
    points = {row: pow(tf.root(log_k), row, P) for _, row, _ in air.boundaries}
    inverses = {row: ring.inverse(ring.sub(x, ring.constant(point))) for row, point in points.items()}
    for i, bounded in enumerate(air.bounded_columns, len(air.asserted)):
        for column, row, slot in air.boundaries:
            if column != bounded:
                continue
            numerator = ring.sub(reads[column], ring.constant(scalars[slot - first_scalar]))
            part = ring.mul(ring.mul(numerator, inverses[row]), ring.constant(points[row] * pow(k, P - 2, P)))
            total = tf.add(total, ring.weigh(weights[i], part))
    return total


def _asserted_values(
    air: Air,
    ring: Ring,
    x: Array,
    reads: Sequence[Array],
    publics: Sequence[int],
    periodic_values: Sequence[Sequence[int]],
) -> list[Array]:
    slots: list[Any] = [None] * air.registers
    slots += reads
    for values in periodic_values:
        y = ring.power(x, air.height // len(values))
        value = ring.constant(0)
        for c in reversed(tf.interpolate(tf.array(values), 1).tolist()):
            value = ring.add(ring.mul(value, y), ring.constant(c))
        slots.append(value)
    slots += [ring.constant(v) for v in (*publics, *air.constants)]
    out = []
    for op, dst, a, b in air.instructions:
        if op == ASSERT:
            out.append(slots[a])
        else:
            slots[dst] = (ring.add, ring.sub, ring.mul)[op](slots[a], slots[b])
    return out


class Draft:
    """Assembles the encoding of an AIR by hand; every operation writes a new register.

    Operands are strings that name slots: what `read`, `periodic`, `public`, `constant` and the operations return.
    """

    def __init__(self, columns: int, log_height: int, publics: int = 0) -> None:
        self.columns, self.log_height, self.publics = columns, log_height, publics
        self._reads = {(c, 0) for c in range(columns)}
        self._periodics: list[Sequence[int]] = []
        self._constants: dict[int, int] = {}
        self._code: list[tuple[int, int, str, str]] = []
        self._registers = 0
        self._boundaries: dict[tuple[int, int], str] = {}

    def read(self, column: int, offset: int = 0) -> str:
        """The value of a column, `offset` rows ahead."""
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

    def encode(self) -> bytes:
        """The words of section 4.1 as bytes."""
        reads = sorted(self._reads, key=lambda r: (r[1], r[0]))
        names = [f"register {i}" for i in range(self._registers)]
        names += [f"read {c} {o}" for c, o in reads]
        names += [f"periodic {i}" for i in range(len(self._periodics))]
        names += [f"public {i}" for i in range(self.publics)]
        names += [f"constant {i}" for i in range(len(self._constants))]
        slot: Mapping[str, int] = {name: i for i, name in enumerate(names)} | {"": 0}
        words = [1, self.columns, self.log_height, len(reads), len(self._periodics), self.publics]
        words += [len(self._constants), self._registers, len(self._code), len(self._boundaries)]
        words += [o << 16 | c for c, o in reads]
        for values in self._periodics:
            words += [tf.log2(len(values)), *values]
        words += list(self._constants)
        for op, dst, a, b in self._code:
            words += [op | dst << 16, slot[a] | slot[b] << 16]
        for (column, row), value in sorted(self._boundaries.items()):
            words += [column, row, slot[value]]
        return struct.pack(f"<{len(words)}I", *words)
