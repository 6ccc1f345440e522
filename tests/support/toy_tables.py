"""Programs of several tables for the soundness tests, with buses, lookups and preprocessed columns."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tests.support.toy_air import MINUS, PLUS, Draft, TableDraft
from tests.support.toy_field import P
from tests.support.toy_programs import Instance, RandomTable

RANGE_BUS, LOG_BUS = 0, 1
MAIN, RANGES, LOG = 0, 1, 2
LIMIT = 8
"""The values that are looked up are below this."""

X, V, SELECTED = 0, 1, 2
"""Columns of the main table."""
COUNT = 0
"""Column of the table of ranges; then, preprocessed, the value and its square."""
ENTRY, LISTED = 0, 1
"""Columns of the log."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Heights of the three tables, and how many interactions of the main table share a lookup column."""

    main: int = 5
    ranges: int = 3
    log: int = 4
    batch: int = 1


def ledger(sizes: Sizes = Sizes(), *, start: int = 3, forged: int | None = None) -> Instance:
    """Three tables on two buses.

    - main: `x' = x + v`; `v` and its square are looked up in `ranges` where `selected` is 1, else `v` is 0; a row that
      is selected sends x to the log;
    - ranges: (v, v^2) for v below LIMIT, preprocessed and repeated over the height; a free count on the table's side;
    - log: receives the entries where `listed` is 1.

    Public: the first x and the last one. Nobody looks up LIMIT - 1, unless a value is `forged`: then one row of main
    has it, and the count of LIMIT - 1 is one, as if the forged value were listed there.
    """
    draft = Draft(3, sizes.main, publics=2, buses=[2, 1], batch=sizes.batch)
    x, v, selected = draft.read(X), draft.read(V), draft.read(SELECTED)
    draft.check(draft.sub(draft.read(X, 1), draft.add(x, v)))
    draft.check(draft.mul(selected, draft.sub(selected, draft.constant(1))))
    draft.check(draft.mul(draft.sub(selected, draft.constant(1)), v))
    draft.boundary(X, 0, draft.public(0))
    draft.boundary(X, (1 << sizes.main) - 1, draft.public(1))
    draft.put(RANGE_BUS, PLUS, selected, [v, draft.mul(v, v)])
    draft.put(LOG_BUS, PLUS, selected, [x])
    table = [i % LIMIT for i in range(1 << sizes.ranges)]
    ranges = draft.table(1, sizes.ranges, [table, [v * v for v in table]])
    ranges.put(RANGE_BUS, MINUS, ranges.read(COUNT), [ranges.read(1), ranges.read(2)])
    log = draft.table(2, sizes.log)
    listed = log.read(LISTED)
    log.check(log.mul(listed, log.sub(listed, log.constant(1))))
    log.put(LOG_BUS, MINUS, listed, [log.read(ENTRY)])

    rng = random.Random(str(sizes))
    k, most = 1 << sizes.main, 1 << sizes.log
    rows: list[list[int]] = []
    at, entries = start, []
    chosen = set(rng.sample(range(k), min(k // 2, most)))
    for row in range(k):
        value = rng.randrange(LIMIT - 1) if row in chosen else 0
        if forged is not None and row == min(chosen):
            value = forged
        rows.append([at, value, int(row in chosen)])
        entries += [at] if row in chosen else []
        at = (at + value) % P
    counts = Counter(row[V] for row in rows if row[SELECTED])
    if forged is not None:
        counts[LIMIT - 1] = counts.pop(forged)
    order = sorted(entries, reverse=True)
    traces = (
        np.array(rows, dtype=np.uint64),
        np.array([[counts[v] if i < LIMIT else 0] for i, v in enumerate(table)], dtype=np.uint64),
        np.array([[e, 1] for e in order] + [[77, 0]] * (most - len(order)), dtype=np.uint64),
    )
    return Instance(draft.encode(), [start, rows[-1][X]], b"ledger", traces)


# ---- random ones ----


def random_tables(seed: int, max_log_height: int = 6) -> Instance:
    """A random AIR of one to four random tables, with zero to four random buses, and traces that satisfy it."""
    return _RandomTables(random.Random(f"tables {seed}"), max_log_height).build()


Value = tuple[str, int, int]
"""("read", column, offset), ("product", column, column), ("public", i, 0), ("constant", v, 0) or ("periodic", i, 0)."""


@dataclasses.dataclass
class _Table:
    draft: TableDraft
    columns: list[list[int]]
    random: RandomTable | None = None

    @property
    def k(self) -> int:
        return 1 << self.draft.log_height

    def add(self, values: Sequence[int]) -> int:
        """A further trace column; its number. Not after a read of a preprocessed column."""
        assert not self.draft.preprocessed
        self.columns.append(list(values))
        self.draft.columns = len(self.columns)
        return len(self.columns) - 1


class _RandomTables:
    def __init__(self, rng: random.Random, max_log_height: int) -> None:
        self.rng, self.max_log_height = rng, max_log_height
        self.publics = [rng.randrange(P) for _ in range(rng.randrange(3))]
        self.whole: Draft | None = None
        self.tables: list[_Table] = []

    def _height(self) -> int:
        return self.rng.randrange(3, self.max_log_height + 1)

    def _new(self, columns: int, log_height: int, preprocessed: Sequence[Sequence[int]] = ()) -> TableDraft:
        batch = self.rng.randrange(1, 5)
        if self.whole is None:
            self.whole = Draft(columns, log_height, preprocessed=preprocessed, batch=batch)
            return self.whole
        return self.whole.table(columns, log_height, preprocessed, batch=batch)

    def build(self) -> Instance:
        rng = self.rng
        for _ in range(rng.choice((1, 1, 2, 3, 4))):
            draft = self._new(rng.randrange(1, 5), self._height())
            made = RandomTable(rng, draft, self.publics, slots=True)
            self.tables.append(_Table(draft, made.build().T.tolist(), made))
        assert self.whole is not None
        for _ in range(rng.randrange(5)):
            rng.choice((self._wrap, self._permutation, self._lookup, self._lookup))(rng.randrange(1, 4))
        for table in self.tables:
            if not table.draft.interactions:
                table.draft.batch = 1
        self.whole.publics = len(self.publics)
        traces = tuple(np.array(table.columns, dtype=np.uint64).T.copy() for table in self.tables)
        return Instance(self.whole.encode(), self.publics, rng.randbytes(rng.randrange(40)), traces)

    def _bus(self, width: int) -> int:
        assert self.whole is not None
        self.whole.buses.append(width)
        return len(self.whole.buses) - 1

    def _value(self, table: _Table) -> Value:
        kinds = ["read", "read", "product", "constant"] + ["public"] * bool(self.publics)
        kinds += ["periodic"] * bool(table.random and table.random.periodics)
        kind, columns = self.rng.choice(kinds), len(table.columns)
        if kind == "read":
            return kind, self.rng.randrange(columns), self.rng.randrange(min(4, table.k))
        if kind == "product":
            return kind, self.rng.randrange(columns), self.rng.randrange(columns)
        if kind == "constant":
            return kind, self.rng.randrange(P), 0
        count = len(self.publics) if kind == "public" else len(table.random.periodics) if table.random else 0
        return kind, self.rng.randrange(count), 0

    def _name(self, table: _Table, value: Value, later: int = 0) -> str:
        kind, a, b = value
        draft = table.draft
        if kind == "read":
            return draft.read(a, b + later)
        if kind == "product":
            return draft.mul(draft.read(a, later), draft.read(b, later))
        if kind == "periodic":
            assert table.random is not None
            return table.random.periodic_names[a]
        return draft.public(a) if kind == "public" else draft.constant(a)

    def _at(self, table: _Table, value: Value, row: int) -> int:
        kind, a, b = value
        if kind == "read":
            return table.columns[a][(row + b) % table.k]
        if kind == "product":
            return table.columns[a][row] * table.columns[b][row] % P
        if kind == "periodic":
            assert table.random is not None
            values = table.random.periodics[a]
            return values[row % len(values)]
        return self.publics[a] if kind == "public" else a

    def _wrap(self, width: int) -> None:
        """A table sends tuples and takes those of the next row, round its end."""
        table = self.rng.choice(self.tables)
        values = [value for value in (self._value(table) for _ in range(width)) if value[0] != "periodic"]
        values = values or [("constant", 5, 0)]
        bus, sign = self._bus(len(values)), self.rng.choice((PLUS, MINUS))
        count = table.draft.constant(self.rng.randrange(P))
        table.draft.put(bus, sign, count, [self._name(table, value) for value in values])
        table.draft.put(bus, 1 - sign, count, [self._name(table, value, 1) for value in values])

    def _permutation(self, width: int) -> None:
        """Columns of a further table are the tuples of this one in another order."""
        table = self.rng.choice(self.tables)
        values = [self._value(table) for _ in range(width)]
        tuples = [[self._at(table, value, row) for value in values] for row in range(table.k)]
        bus = self._bus(width)
        table.draft.put(bus, PLUS, table.draft.constant(1), [self._name(table, value) for value in values])
        self.rng.shuffle(tuples)
        other = _Table(self._new(width, table.draft.log_height), [list(column) for column in zip(*tuples, strict=True)])
        names = [other.draft.read(c) for c in range(width)]
        other.draft.put(bus, MINUS, other.draft.constant(1), names)
        self.tables.append(other)

    def _lookup(self, width: int) -> None:
        """Further columns of this table have rows of another, preprocessed or not; which counts how often."""
        rng = self.rng
        user = rng.choice([table for table in self.tables if not table.draft.preprocessed])
        log_height = self._height()
        entries = [[rng.randrange(P) for _ in range(1 << log_height)] for _ in range(width)]
        taken = [rng.randrange(1 << log_height) for _ in range(user.k)]
        columns = [user.add([entry[t] for t in taken]) for entry in entries]
        used = rng.choice((None, [rng.randrange(2) for _ in range(user.k)]))
        bus = self._bus(width)
        names = [user.draft.read(c) for c in columns]
        if used is None:
            user.draft.put(bus, PLUS, user.draft.constant(1), names)
        else:
            flag = user.draft.read(user.add(used))
            user.draft.check(user.draft.mul(flag, user.draft.sub(flag, user.draft.constant(1))))
            user.draft.put(bus, PLUS, flag, names)
        counts = Counter(t for row, t in enumerate(taken) if used is None or used[row])
        count = [counts[i] for i in range(1 << log_height)]
        if rng.random() < 0.6:
            table = _Table(self._new(1, log_height, entries), [count])
            names = [table.draft.read(1 + c) for c in range(width)]
        else:
            table = _Table(self._new(1 + width, log_height), [count, *entries])
            names = [table.draft.read(1 + c) for c in range(width)]
        table.draft.put(bus, MINUS, table.draft.read(0), names)
        self.tables.append(table)
