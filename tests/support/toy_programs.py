"""Small programs of the soundness tests: their AIRs encoded by hand, and traces that keep (or break) them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence

import numpy as np

from tests.support.toy_air import Draft, TableDraft
from tests.support.toy_field import Array, P


@dataclasses.dataclass(frozen=True)
class Instance:
    """One AIR with its public values, statement bytes and the traces (rows, columns) of its tables."""

    air: bytes
    publics: list[int]
    statement: bytes
    traces: tuple[Array, ...]

    @property
    def trace(self) -> Array:
        """The trace of the only table."""
        (trace,) = self.traces
        return trace

    def replace(self, **changes: object) -> Instance:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Glitch:
    """A wrong step into `row`: `amount` is added to `column` there, and the rows after it go on from that."""

    row: int
    column: int
    amount: int = 1


def fibonacci(log_height: int, a: int = 0, b: int = 1, *glitches: Glitch) -> Instance:
    """Two columns (F(i), F(i+1)); public: a, b, and the second column's last value."""
    k = 1 << log_height
    draft = Draft(2, log_height, publics=3)
    draft.check(draft.sub(draft.read(0, 1), draft.read(1)))
    draft.check(draft.sub(draft.read(1, 1), draft.add(draft.read(0), draft.read(1))))
    draft.boundary(0, 0, draft.public(0))
    draft.boundary(1, 0, draft.public(1))
    draft.boundary(1, k - 1, draft.public(2))
    trace = _run([a, b], k, lambda row, _: [row[1], (row[0] + row[1]) % P], glitches)
    return Instance(draft.encode(), [a, b, int(trace[-1, 1])], b"fibonacci", (trace,))


ROUND_CONSTANTS = (1, 2013265920, 77, 1234567890)
SELECTOR = (1, 0)


def mixer(log_height: int, columns: int, *glitches: Glitch, constants: tuple[int, ...] = ROUND_CONSTANTS) -> Instance:
    """`x_j' = x_j^3 * s + x_(j+1) + r` with a selector s and round constants r that are periodic: degree 4, 3 chunks.

    Public: the first column's first value and the last column's last one; the other columns start with constants. The
    AIR has ROUND_CONSTANTS whatever `constants` the trace is made with.
    """
    k = 1 << log_height
    draft = Draft(columns, log_height, publics=2)
    selector, constant = draft.periodic(SELECTOR), draft.periodic(ROUND_CONSTANTS)
    for j in range(columns):
        x = draft.read(j)
        cubed = draft.mul(draft.mul(draft.mul(x, x), x), selector)
        following = draft.add(draft.add(cubed, draft.read((j + 1) % columns)), constant)
        draft.check(draft.sub(draft.read(j, 1), following))
    draft.boundary(0, 0, draft.public(0))
    draft.boundary(columns - 1, k - 1, draft.public(1))
    for j in range(1, columns):
        draft.boundary(j, 0, draft.constant(j * j + 5))
    start = [1, *(j * j + 5 for j in range(1, columns))]

    def step(row: list[int], at: int) -> list[int]:
        s, r = SELECTOR[at % 2], constants[at % 4]
        return [(pow(x, 3, P) * s + y + r) % P for x, y in zip(row, row[1:] + row[:1], strict=True)]

    trace = _run(start, k, step, glitches)
    return Instance(draft.encode(), [1, int(trace[-1, -1])], b"mixer", (trace,))


def tribonacci(log_height: int, *glitches: Glitch) -> Instance:
    """One column, each value the sum of the three before: one constraint, which exempts the last three rows."""
    k = 1 << log_height
    draft = Draft(1, log_height, publics=4)
    total = draft.add(draft.add(draft.read(0), draft.read(0, 1)), draft.read(0, 2))
    draft.check(draft.sub(draft.read(0, 3), total))
    for i, row in enumerate((0, 1, 2, k - 1)):
        draft.boundary(0, row, draft.public(i))
    values: list[int] = []
    for at in range(k):
        values.append(sum(values[-3:]) % P if at > 2 else at)
        values[at] += sum(glitch.amount for glitch in glitches if glitch.row == at)
    trace = np.array(values, dtype=np.uint64).reshape(k, 1) % np.uint64(P)
    return Instance(draft.encode(), [int(trace[row, 0]) for row in (0, 1, 2, k - 1)], b"tribonacci", (trace,))


def _run(start: list[int], rows: int, step: Callable[[list[int], int], list[int]], glitches: Sequence[Glitch]) -> Array:
    trace: list[list[int]] = []
    for at in range(rows):
        trace.append(step(trace[-1], at - 1) if trace else list(start))
        for glitch in glitches:
            if glitch.row == at:
                trace[at][glitch.column] = (trace[at][glitch.column] + glitch.amount) % P
    return np.array(trace, dtype=np.uint64)


def random_program(seed: int, log_height: int, wide: bool) -> Instance:
    """A random AIR of one table without lookups, and a trace that satisfies it; see `RandomTable`."""
    rng = random.Random(f"{seed} {log_height} {wide}")
    columns = rng.randrange(28, 45) if wide else rng.randrange(1, 9)
    publics = [rng.randrange(P) for _ in range(rng.randrange(4))]
    draft = Draft(columns, log_height)
    table = RandomTable(rng, draft, publics, slots=True)
    trace = table.build()
    draft.publics = len(publics)
    statement = rng.randbytes(rng.randrange(80))
    return Instance(draft.encode(), publics, statement, (trace,))


class RandomTable:
    """A random table and a trace that satisfies it.

    Column j is either free, or `x_j(i + o_j)` is a random polynomial (degree up to 8) of reads fewer than `o_j` rows
    ahead (of the row itself, columns before j, when `o_j = 0`), periodic columns, public values and constants;
    boundaries hold at random rows. `build` may add public values: those of two boundaries.
    """

    def __init__(self, rng: random.Random, draft: TableDraft, publics: list[int], *, slots: bool = False) -> None:
        self.rng, self.draft, self.publics = rng, draft, publics
        self.k, self.columns = 1 << draft.log_height, draft.columns
        if slots:
            draft.log_slots = rng.choice((0, 0, rng.randrange(draft.log_height - 1)))
        self.run = self.k >> draft.log_slots
        exponents = [rng.randrange(min(draft.log_height, 5) + 1) for _ in range(rng.randrange(4))]
        self.periodics = [[rng.randrange(P) for _ in range(1 << e)] for e in exponents]
        self.periodic_names = [draft.periodic(v) for v in self.periodics]
        self.constants = [rng.choice((0, 1, P - 1, rng.randrange(P))) for _ in range(3)]
        self.offsets = [
            rng.choice((None, 0, 1, 1, 1, 2, min(self.run - 1, rng.randrange(1, 16)))) for _ in range(self.columns)
        ]
        self.offsets[0] = 1  # at least one constraint
        self.max_degree = rng.choice((1, 2, 3, 4, 8))
        self.readable = len(publics)
        self.formulas = [None if o is None else self._formula(j, o) for j, o in enumerate(self.offsets)]

    def _formula(self, column: int, offset: int) -> list[tuple[int, list[tuple[str, int, int]]]]:
        """Terms (constant, factors); factors are ("read", column, offset), ("periodic", i, 0), ("public", i, 0)."""
        terms = []
        for _ in range(self.rng.randrange(1, 4)):
            factors: list[tuple[str, int, int]] = []
            for _ in range(self.rng.randrange(1, self.max_degree + 1)):
                kind = self.rng.choice(("read", "read", "read", "periodic", "public"))
                if kind == "periodic" and self.periodics:
                    factors.append(("periodic", self.rng.randrange(len(self.periodics)), 0))
                elif kind == "public" and self.readable:
                    factors.append(("public", self.rng.randrange(self.readable), 0))
                elif offset:
                    factors.append(("read", self.rng.randrange(self.columns), self.rng.randrange(offset)))
                elif column:
                    factors.append(("read", self.rng.randrange(column), 0))
            terms.append((self.rng.randrange(len(self.constants)), factors))
        return terms

    def _encode_formula(self, column: int, offset: int) -> None:
        formula = self.formulas[column]
        assert formula is not None
        names = {"periodic": lambda i, _: self.periodic_names[i], "public": lambda i, _: self.draft.public(i)}
        total = self.draft.read(column, offset)
        for coefficient, factors in formula:
            value = self.draft.constant(self.constants[coefficient])
            for kind, i, o in factors:
                value = self.draft.mul(value, self.draft.read(i, o) if kind == "read" else names[kind](i, o))
            total = self.draft.sub(total, value)
        self.draft.check(total)

    def _value(self, column: int, at: int, trace: list[list[int]]) -> int:
        formula = self.formulas[column]
        assert formula is not None
        total = 0
        for coefficient, factors in formula:
            value = self.constants[coefficient]
            for kind, i, o in factors:
                if kind == "read":
                    value = value * trace[at + o][i] % P
                elif kind == "periodic":
                    value = value * self.periodics[i][at % len(self.periodics[i])] % P
                else:
                    value = value * self.publics[i] % P
            total += value
        return total % P

    def build(self) -> Array:
        """The trace; the constraints are written into the draft."""
        trace = [[self.rng.randrange(P) for _ in range(self.columns)] for _ in range(self.k)]
        for row in range(self.k):
            for j, o in enumerate(self.offsets):
                if o is not None and row % self.run >= o:
                    trace[row][j] = self._value(j, row - o, trace)
        for j, o in enumerate(self.offsets):
            if o is not None:
                self._encode_formula(j, o)
        cells = [(self.rng.randrange(self.columns), self.rng.randrange(self.k)) for _ in range(2)]
        for column, row in cells:
            self.draft.boundary(column, row, self.draft.public(len(self.publics)))
            self.publics.append(trace[row][column])
        for _ in range(self.rng.randrange(6)):
            column, row = self.rng.randrange(self.columns), self.rng.randrange(self.k)
            if (column, row) not in cells:
                self.draft.boundary(column, row, self.draft.constant(trace[row][column]))
        return np.array(trace, dtype=np.uint64)
