"""Programs that exercise what the shipped ones do not. `SAMPLES` has small instances of all of them."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from aprover.air import AirBuilder, Expr, Program, private, public
from aprover.air.field import P
from aprover.air.validators import field_elements, integer
from aprover.programs import Fibonacci, Poseidon2Chain
from aprover.programs.poseidon2 import (
    EXTERNAL_CONSTANTS,
    HALF_EXTERNAL_ROUNDS,
    INTERNAL_CONSTANTS,
    INTERNAL_ROUNDS,
    WIDTH,
    external_layer,
    internal_layer,
    permute,
)


class Tribonacci(Program):
    """t(i+3) = t(i) + t(i+1) + t(i+2) in the field, from 0, 0 and a private seed; proves t(n), n >= 2."""

    n: int
    seed: int = private(default=1)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.n + 1)
        t = b.column("t")
        b.assert_equal(t.at(3), t + t.next + t.at(2), name="sum")
        b.boundary(t, 0, 0)
        b.boundary(t, 1, 0)
        b.boundary(t, params.n, b.output(0))

    def terms(self, count: int) -> list[int]:
        t = [0, 0, self.seed]
        while len(t) < count:
            t.append(sum(t[-3:]) % P)
        return t

    def trace(self, out: NDArray[np.uint32]) -> None:
        out[:, 0] = self.terms(len(out))

    def public_outputs(self) -> tuple[int, ...]:
        return (self.terms(self.n + 1)[self.n],)


class Poseidon2Rounds(Program):
    """The chain of `Poseidon2Chain` with one round a row: 16 columns, constraints of degree 8, 20 periodic columns.

    A permutation takes 32 rows. The step from row r of the 32 to the next is the first linear layer for r = 0, a round
    for r = 1 to 21, nothing for the rest.
    """

    seed: tuple[int, ...] = public(validator=field_elements(WIDTH))
    n: int = attrs.field(default=1, validator=integer(1, 2**15))

    CYCLE = 32

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(cls.CYCLE * params.n)
        state = b.columns("state", WIDTH)
        steps = cls.steps()
        initial, external, internal, idle = (
            b.periodic([int(kind == each) for kind, _ in steps]) for each in ("initial", "external", "internal", "idle")
        )
        shifted = [value + b.periodic([constants[i] for _, constants in steps]) for i, value in enumerate(state)]
        boxed = [value**7 for value in shifted]
        plain: list[Expr] = [*state]
        layers = external_layer(plain), external_layer(boxed), internal_layer([boxed[0], *plain[1:]])
        for i in range(WIDTH):
            after = initial * layers[0][i] + external * layers[1][i] + internal * layers[2][i] + idle * state[i]
            b.assert_equal(state[i].next, after, name=f"round {i}")
            b.boundary(state[i], 0, b.public("seed", i))
            b.boundary(state[i], cls.CYCLE * params.n - 1, b.output(i))

    @classmethod
    def steps(cls) -> list[tuple[str, tuple[int, ...]]]:
        nothing = (0,) * WIDTH
        steps = [("initial", nothing)]
        steps += [("external", constants) for constants in EXTERNAL_CONSTANTS[:HALF_EXTERNAL_ROUNDS]]
        steps += [("internal", (constant, *nothing[1:])) for constant in INTERNAL_CONSTANTS]
        steps += [("external", constants) for constants in EXTERNAL_CONSTANTS[HALF_EXTERNAL_ROUNDS:]]
        assert len(steps) == 1 + 2 * HALF_EXTERNAL_ROUNDS + INTERNAL_ROUNDS
        return steps + [("idle", nothing)] * (cls.CYCLE - len(steps))

    def trace(self, out: NDArray[np.uint32]) -> None:
        steps = self.steps()
        state: list[int] = list(self.seed)
        for row in range(len(out)):
            out[row] = state
            kind, constants = steps[row % self.CYCLE]
            boxed = [pow(value + constant, 7, P) for value, constant in zip(state, constants, strict=True)]
            if kind == "initial":
                state = external_layer(state)
            elif kind == "external":
                state = external_layer(boxed)
            elif kind == "internal":
                state = internal_layer([boxed[0], *state[1:]])
            state = [value % P for value in state]

    def public_outputs(self) -> tuple[int, ...]:
        state: list[int] = list(self.seed)
        for _ in range(self.n):
            state = permute(state)
        return tuple(state)


class WideSquares(Program):
    """Each column's next value is a power of its own plus its right neighbour: a wide trace of any height.

    Column 0 starts from `start`, column i from i. The output is the last column's value in row n - 1.
    """

    n: int = attrs.field(validator=integer(2, 2**22))
    width: int = attrs.field(default=40, validator=integer(2, 1000))
    power: int = attrs.field(default=2, validator=integer(1, 8))
    start: int = public(default=7)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.n)
        columns = b.columns("x", params.width)
        for i, column in enumerate(columns):
            right = columns[(i + 1) % params.width]
            b.assert_equal(column.next, column**params.power + right, name=f"step {i}")
            b.boundary(column, 0, i if i else b.public("start"))
        b.boundary(columns[-1], params.n - 1, b.output(0))

    def _rows(self, count: int) -> NDArray[np.uint64]:
        rows = np.empty((count, self.width), dtype=np.uint64)
        row = np.arange(self.width, dtype=np.uint64)
        row[0] = self.start
        for i in range(count):
            rows[i] = row
            power = row
            for _ in range(self.power - 1):
                power = power * row % P
            row = (power + np.roll(row, -1)) % P
        return rows

    def trace(self, out: NDArray[np.uint32]) -> None:
        out[:] = self._rows(len(out))

    def public_outputs(self) -> tuple[int, ...]:
        return (int(self._rows(self.n)[-1, -1]),)


class Window(Program):
    """x(i+3) = x(i) + x(i+1) y(i+2), y(i+1) = y(i)^2 + x(i+3): reads at the offsets 0 to 3, of two columns."""

    n: int = attrs.field(validator=integer(4, 2**20))
    a: int = public(default=1)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.n)
        x, y = b.column("x"), b.column("y")
        b.assert_equal(x.at(3), x + x.next * y.at(2), name="x")
        b.assert_equal(y.next, y**2 + x, name="y")
        for row in range(3):
            b.boundary(x, row, b.public("a") if row == 0 else row)
        b.boundary(y, 0, 5)
        b.boundary(x, -1, b.output(0), name="last x")
        b.boundary(y, params.n - 1, b.output(1), name="y at n")

    def trace(self, out: NDArray[np.uint32]) -> None:
        x, y = [self.a, 1, 2], [5]
        for i in range(len(out)):
            y.append((y[i] ** 2 + x[i]) % P)
            if i >= 2:
                x.append((x[i - 2] + x[i - 1] * y[i]) % P)
        out[:, 0] = x[: len(out)]
        out[:, 1] = y[: len(out)]

    def public_outputs(self) -> tuple[int, ...]:
        out = np.empty((self.compiled().height, 2), dtype=np.uint32)
        self.trace(out)
        return int(out[-1, 0]), int(out[self.n - 1, 1])


class Checkpoints(Program):
    """x(i+1) = x(i)^2 + 3, with `count` values of the column public, one every `every` rows."""

    count: int = attrs.field(default=300, validator=integer(1, 4000))
    every: int = attrs.field(default=3, validator=integer(1, 64))
    start: int = private(default=2)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.count * params.every)
        x = b.column("x")
        b.assert_equal(x.next, x * x + 3, name="square")
        for i in range(params.count):
            b.boundary(x, params.every * i, b.output(i), name=f"checkpoint {i}")

    def _values(self, count: int) -> list[int]:
        values = [self.start]
        for _ in range(count - 1):
            values.append((values[-1] ** 2 + 3) % P)
        return values

    def trace(self, out: NDArray[np.uint32]) -> None:
        out[:, 0] = self._values(len(out))

    def public_outputs(self) -> tuple[int, ...]:
        return tuple(self._values(self.count * self.every)[:: self.every])


class DegreeEight(Program):
    """x(i+s) = x(i)^8 + 1: degree 8 exactly, with 7 quotient chunks for s < 8 and 8 for s >= 8."""

    n: int = attrs.field(default=16, validator=integer(8, 2**20))
    offset: int = attrs.field(default=8, validator=integer(1, 15))
    start: int = public(default=3)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(max(params.n, params.offset + 1))
        x = b.column("x")
        b.assert_equal(x.at(params.offset), x**8 + 1, name="eighth")
        for row in range(params.offset):
            b.boundary(x, row, b.public("start") if row == 0 else row)
        b.boundary(x, -1, b.output(0))

    def trace(self, out: NDArray[np.uint32]) -> None:
        x = [self.start, *range(1, self.offset)]
        while len(x) < len(out):
            x.append((pow(x[-self.offset], 8, P) + 1) % P)
        out[:, 0] = x

    def public_outputs(self) -> tuple[int, ...]:
        out = np.empty((self.compiled().height, 1), dtype=np.uint32)
        self.trace(out)
        return (int(out[-1, 0]),)


class Squares(Program):
    """Main has pairs (x, x^2) that it looks up in a table of squares, in a fixed table and in ranges; on n rows."""

    n: int = attrs.field(validator=integer(1, 2**20))
    size: int = attrs.field(default=20, validator=integer(1, 2**15))
    seed: int = private(default=1)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.n)
        x, y, parity = b.column("x"), b.column("y"), b.column("parity")
        squares = b.table("squares")
        squares.rows(params.size)
        u, v = squares.column("u"), squares.column("v")
        squares.assert_equal(u.next, u + 1, name="count")
        squares.assert_equal(v, u * u, name="square")
        squares.boundary(u, 0, 0)
        bus = b.bus("square of", 2)
        bus.provide([u, v])
        b.lookup([x, y], bus, name="x squared")
        parities = b.fixed_table("parities", [np.arange(params.size), np.arange(params.size) % 2])
        b.lookup([x, parity], parities, when=b.active(), name="parity of x")
        b.range_check(y, 30, limb_bits=6 if params.n > 99 else None, name="y is small")
        b.assert_equal((1 - b.active()) * parity, 0, name="no parity after n")
        b.boundary(y, params.n - 1, b.output(0))

    def _x(self) -> NDArray[np.int64]:
        return np.random.default_rng(self.seed).integers(0, self.size, self.compiled().tables[0].height)

    def trace(self, out: dict[str, NDArray[np.uint32]]) -> None:
        main, squares = out["main"], out["squares"]
        x = self._x()
        main[:, 0], main[:, 1], main[: self.n, 2] = x, x * x, x[: self.n] % 2
        squares[:, 0] = np.arange(len(squares))
        squares[:, 1] = np.arange(len(squares)) ** 2

    def public_outputs(self) -> tuple[int, ...]:
        return (int(self._x()[self.n - 1] ** 2),)


class Shuffle(Program):
    """One table with one bus: the pairs of two columns are those of two others in another order."""

    n: int = attrs.field(validator=integer(1, 2**20))
    seed: int = private(default=1)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.n)
        left, right = b.columns("left", 2), b.columns("right", 2)
        b.permutation(left, right, name="shuffled")
        b.boundary(left[0], 0, b.output(0))

    def _pairs(self) -> NDArray[np.int64]:
        return np.random.default_rng(self.seed).integers(0, 9, (self.compiled().height, 2))

    def trace(self, out: NDArray[np.uint32]) -> None:
        pairs = self._pairs()
        out[:, :2] = pairs
        out[:, 2:] = np.random.default_rng(self.seed + 1).permutation(pairs)

    def public_outputs(self) -> tuple[int, ...]:
        return (int(self._pairs()[0, 0]),)


class Relay(Program):
    """Three tables of other heights: what main counts goes through `half`, two a row, to `sum`, which adds it up."""

    n: int = attrs.field(validator=integer(1, 2**15))
    step: int = public(default=3)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        pairs = -(-params.n // 2)
        b.rows(params.n)
        x = b.column("x")
        b.assert_equal(x.next, x + b.public("step"), name="step")
        b.boundary(x, 0, 1)
        single, double = b.bus("single", 1), b.bus("double", 3)
        single.send(x, when=b.active(2 * pairs) if 2 * pairs < 1 << b.log_height else 1)
        half = b.table("half")
        half.rows(pairs)
        first, second = half.column("first"), half.column("second")
        single.receive(first, when=half.active())
        single.receive(second, when=half.active())
        double.send([first, second, 7], when=half.active())
        total = b.table("sum")
        total.rows(pairs + 1)
        left, right, sum_ = total.column("left"), total.column("right"), total.column("sum")
        here = total.column("here")
        total.assert_zero(here - total.active(pairs), name="here")
        double.receive([left, right, 7], when=here)
        total.assert_equal(sum_.next, sum_ + here * (left + right), name="add")
        total.assert_zero((1 - here) * left, name="no left")
        total.assert_zero((1 - here) * right, name="no right")
        half.assert_zero((1 - half.active()) * first, name="no first")
        half.assert_zero((1 - half.active()) * second, name="no second")
        total.boundary(sum_, 0, 0)
        total.boundary(sum_, pairs, b.output(0))

    def trace(self, out: dict[str, NDArray[np.uint32]]) -> None:
        main, half, total = out["main"], out["half"], out["sum"]
        pairs = -(-self.n // 2)
        main[:, 0] = (1 + self.step * np.arange(len(main), dtype=np.int64)) % P
        half[:pairs] = main[: 2 * pairs].reshape(pairs, 2)
        total[:pairs, :2] = half[:pairs]
        total[:pairs, 3] = 1
        sums = np.cumsum(half[:pairs].astype(np.int64).sum(axis=1)) % P
        total[1:, 2] = sums[-1]
        total[1 : pairs + 1, 2] = sums

    def public_outputs(self) -> tuple[int, ...]:
        count = 2 * -(-self.n // 2)
        return ((count + self.step * count * (count - 1) // 2) % P,)


class Weighted(Program):
    """One table with a preprocessed column of n weights: the sum of weights times a private column."""

    n: int = attrs.field(validator=integer(1, 2**20))
    seed: int = private(default=1)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.n + 1)
        x, total = b.column("x"), b.column("total")
        weight = b.preprocessed([(i * i + 5) % P for i in range(params.n)], name="weight")
        b.assert_equal(total.next, total + weight * x, name="add")
        b.assert_equal(x.next, x, when=1 - b.last, name="same")
        b.boundary(total, 0, 0)
        b.boundary(total, params.n, b.output(0))

    def _weights(self) -> NDArray[np.int64]:
        return (np.arange(self.n, dtype=np.int64) ** 2 + 5) % P

    def trace(self, out: NDArray[np.uint32]) -> None:
        out[:, 0] = self.seed
        sums = np.cumsum(self._weights() * self.seed % P) % P
        out[1 : self.n + 1, 1] = sums
        out[self.n :, 1] = sums[-1]

    def public_outputs(self) -> tuple[int, ...]:
        return (int(np.sum(self._weights() * self.seed % P) % P),)


# fmt: off
SEED = (
    894848333, 1437655012, 1200606629, 1690012884, 71131202, 1749206695, 1717947831, 120589055,
    19776022, 42382981, 1831865506, 724844064, 171220207, 1299207443, 227047920, 1783754913,
)
# fmt: on

SAMPLES: tuple[Program, ...] = (
    Fibonacci(1, 5, 6),
    Fibonacci(20),
    Fibonacci(1000, 3, P - 1),
    Poseidon2Chain(SEED, 1),
    Poseidon2Chain(SEED, 11),
    Tribonacci(2),
    Tribonacci(30, 77),
    Poseidon2Rounds(SEED, 1),
    Poseidon2Rounds(SEED, 3),
    WideSquares(8),
    WideSquares(100, power=3),
    WideSquares(9, width=2, power=8),
    Window(4),
    Window(50, 9),
    Checkpoints(),
    Checkpoints(5, 1),
    DegreeEight(8, 1),
    DegreeEight(8, 7),
    DegreeEight(),
    DegreeEight(40, 15),
)

TABLE_SAMPLES: tuple[Program, ...] = (
    Squares(5),
    Squares(100, 40),
    Squares(9, 70),
    Squares(300, 300),
    Shuffle(8),
    Shuffle(60),
    Relay(1),
    Relay(16, 5),
    Relay(99, P - 1),
    Weighted(7),
    Weighted(20, 5),
)
"""Programs with several tables, lookups, buses or preprocessed columns."""
