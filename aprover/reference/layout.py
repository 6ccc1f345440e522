"""Sections 5 and 6: the parameters, and how a proof is laid out for an AIR and parameters."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from .air import Air, Table
from .domains import Domain, level_logs
from .field import DEGREE
from .reader import require

ELEMENT_BYTES = 4 * DEGREE
DIGEST_BYTES = 32
SALT_BYTES = 16
MAX_CHUNKS = 8
NARROW_COLUMNS = 32
INDEPENDENT, ZERO_KNOWLEDGE = 1, 2


@dataclass(frozen=True)
class ReferenceParameters:
    """Section 5."""

    log_blowup: int
    grinding_bits: int
    cap_log: int
    independent: bool
    zk: bool
    queries: int

    @classmethod
    def from_bytes(cls, data: bytes) -> ReferenceParameters:
        """Reads the eight bytes; PARAMETERS unless all is within section 5."""
        log_blowup, grinding_bits, cap_log, flags = data[:4]
        queries = int.from_bytes(data[4:], "little")
        require(1 <= log_blowup <= 6 and grinding_bits <= 32 and cap_log <= 8, "PARAMETERS")
        require(flags <= INDEPENDENT | ZERO_KNOWLEDGE and 1 <= queries <= 4096, "PARAMETERS")
        return cls(log_blowup, grinding_bits, cap_log, bool(flags & INDEPENDENT), bool(flags & ZERO_KNOWLEDGE), queries)


class Phase(enum.IntEnum):
    """What the trees of the levels are of."""

    PREPROCESSED = 0
    TRACE = 1
    LOOKUP = 2
    QUOTIENT = 3


@dataclass(frozen=True)
class Tree:
    """The size of a tree: 2^depth leaves of `columns` columns at `arity` points, and a cap of 2^cap_log nodes."""

    depth: int
    cap_log: int
    columns: int
    arity: int
    salted: bool

    @property
    def cap_bytes(self) -> int:
        return DIGEST_BYTES << self.cap_log

    @property
    def levels(self) -> int:
        """How many levels there are below the cap."""
        return self.depth - self.cap_log

    @property
    def leaf_values(self) -> int:
        return self.columns * self.arity

    @property
    def salt_bytes(self) -> int:
        return SALT_BYTES if self.salted else 0

    @property
    def leaf_bytes(self) -> int:
        return 4 * self.leaf_values + self.salt_bytes


@dataclass(frozen=True)
class Place:
    """Where a table is in a proof."""

    table: Table
    level: int
    masks: int
    """R"""
    length: int
    """lambda"""
    chunks: int
    """c"""
    first_columns: tuple[int, ...]
    """in the matrix of each phase"""
    first_constraint: int

    @property
    def stride(self) -> int:
        """m"""
        return self.length - self.masks

    @property
    def openings(self) -> int:
        return len(self.table.reads) + self.table.lookup_openings + self.chunks


def _excess(table: Table, masks: int) -> int:
    """e"""
    k = table.header.height
    return max(0, table.numerator_degree(k + masks - 1) - k)


def _log_kappa(table: Table, masks: int) -> int:
    log = max(3, (table.header.height + masks - 1).bit_length())
    while _excess(table, masks) // (2**log - masks) >= MAX_CHUNKS:
        log += 1
    return log


class Layout:
    """Whatever the AIR and the parameters say of a proof before it is read; PARAMETERS unless they fit (section 6)."""

    def __init__(self, air: Air, parameters: ReferenceParameters) -> None:
        self.air, self.parameters = air, parameters
        masks = [t.rows_read * (parameters.queries + DEGREE) if parameters.zk else 0 for t in air.tables]
        log_kappas = [_log_kappa(table, r) for table, r in zip(air.tables, masks, strict=True)]
        logs = level_logs(log_kappas)
        require(logs[0] + parameters.log_blowup <= 27, "PARAMETERS")
        arities = [above - below for above, below in pairwise(logs)] + [0]
        self.domains = [
            Domain(logs[0], log_k, log_arity, parameters.log_blowup)
            for log_k, log_arity in zip(logs, arities, strict=True)
        ]
        self.columns = [[0] * len(Phase) for _ in logs]
        """of each level, by phase"""
        self.places: list[Place] = []
        first_constraint = 0
        for table, r, log_kappa in zip(air.tables, masks, log_kappas, strict=True):
            level = max(t for t, log_k in enumerate(logs) if log_k >= log_kappa)
            self._place(table, r, level, first_constraint)
            first_constraint += table.constraints
        self.narrow = not parameters.zk and sum(map(sum, self.columns)) <= NARROW_COLUMNS
        self.mask_column = self.columns[0][Phase.QUOTIENT]
        """of G, in a zero-knowledge proof"""
        if parameters.zk:
            self.columns[0][Phase.QUOTIENT] += DEGREE
        self.log_indices = self.domains[0].log_cosets if self.narrow else self.domains[0].log_n
        require(parameters.queries <= 2**self.log_indices, "PARAMETERS")

        self.trees = {phase: dict(self._phase_trees(phase)) for phase in Phase}
        """by phase and level"""
        committed = range(1 if self.narrow else 0, self.folds)
        self.layers = {
            t: self._tree(self.domains[t].log_cosets, DEGREE, self.domains[t].arity, salted=False) for t in committed
        }
        """of the committed FRI layers"""

    def _place(self, table: Table, masks: int, level: int, first_constraint: int) -> None:
        length = 1 << self.domains[level].log_k
        chunks = _excess(table, masks) // (length - masks) + 1
        columns = self.columns[level]
        self.places.append(Place(table, level, masks, length, chunks, tuple(columns), first_constraint))
        columns[Phase.PREPROCESSED] += table.header.preprocessed
        columns[Phase.TRACE] += table.header.columns
        columns[Phase.LOOKUP] += DEGREE * table.lookup_columns
        columns[Phase.QUOTIENT] += DEGREE * chunks

    def _tree(self, depth: int, columns: int, arity: int, *, salted: bool) -> Tree:
        return Tree(depth, min(self.parameters.cap_log, depth), columns, arity, salted)

    def _phase_trees(self, phase: Phase) -> Iterator[tuple[int, Tree]]:
        salted = self.parameters.zk and phase is not Phase.PREPROCESSED
        for t, (domain, columns) in enumerate(zip(self.domains, self.columns, strict=True)):
            if columns[phase]:
                cosets = self.narrow and t == 0
                depth, arity = (domain.log_cosets, domain.arity) if cosets else (domain.log_n, 1)
                yield t, self._tree(depth, columns[phase], arity, salted=salted)

    @property
    def folds(self) -> int:
        return len(self.domains) - 1

    @property
    def openings(self) -> int:
        """N"""
        return sum(place.openings for place in self.places)

    @property
    def batched(self) -> int:
        """The number of batching coefficients."""
        return self.openings + self.parameters.zk

    @property
    def sums(self) -> int:
        """The number of lookup sums."""
        return sum(1 for table in self.air.tables if table.interactions)

    def tables_at(self, level: int) -> list[int]:
        return [i for i, place in enumerate(self.places) if place.level == level]
