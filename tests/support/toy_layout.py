"""Sections 5 and 6 of docs/protocol.md once more: parameters, levels, lengths, chunks and trees."""

from __future__ import annotations

import dataclasses
import functools
import struct

from tests.support.toy_air import Air, Table

STOP = 6
PHASES = ("preprocessed", "trace", "lookup", "quotient")


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Section 5."""

    log_blowup: int = 3
    queries: int = 20
    grinding_bits: int = 0
    cap_log: int = 0
    independent: bool = False
    zk: bool = False

    def to_bytes(self) -> bytes:
        """The 8 bytes."""
        flags = self.independent + 2 * self.zk
        return struct.pack("<BBBBI", self.log_blowup, self.grinding_bits, self.cap_log, flags, self.queries)

    @classmethod
    def from_bytes(cls, data: bytes) -> Parameters:
        """Read the 8 bytes without checking them."""
        log_blowup, grinding, cap_log, flags, queries = struct.unpack("<BBBBI", data)
        return cls(log_blowup, queries, grinding, cap_log, bool(flags & 1), bool(flags & 2))


@dataclasses.dataclass(frozen=True)
class Place:
    """A table's level and what follows from it."""

    table: Table
    level: int
    log_length: int
    masks: int

    @property
    def length(self) -> int:
        """lambda."""
        return 1 << self.log_length

    @property
    def stride(self) -> int:
        """m."""
        return self.length - self.masks

    @functools.cached_property
    def chunks(self) -> int:
        """c."""
        degree = self.table.quotient_degree(self.table.height + self.masks - 1)
        return max(degree, 0) // self.stride + 1

    @property
    def openings(self) -> int:
        """The table's part of N."""
        lookups = self.table.lookup_columns
        return len(self.table.reads) + (lookups + 1 if lookups else 0) + self.chunks

    @property
    def phase_columns(self) -> dict[str, int]:
        """Base columns in each phase."""
        table = self.table
        counts = (len(table.preprocessed), table.columns, 5 * table.lookup_columns, 5 * self.chunks)
        return dict(zip(PHASES, counts, strict=True))


def _log_kappa(table: Table, masks: int) -> int:
    degree = table.quotient_degree(table.height + masks - 1)
    return next(log for log in range(3, 40) if 1 << log >= table.height + masks and degree < 8 * ((1 << log) - masks))


class Layout:
    """What follows from an AIR and parameters."""

    def __init__(self, air: Air, parameters: Parameters) -> None:
        self.air, self.parameters = air, parameters
        masks = [table.rows_read * (parameters.queries + 5) * parameters.zk for table in air.tables]
        logs = [_log_kappa(table, r) for table, r in zip(air.tables, masks, strict=True)]
        self.log_lengths = [max(logs)]
        """l_0, l_1, .."""
        while len(self.log_lengths) == 1 or self.log_lengths[-1] > STOP:
            here = self.log_lengths[-1]
            # the highest of three steps down that would pass a table
            steps = [step for step in (1, 2) if here - step in logs and here - step > STOP]
            self.log_lengths.append(here - min([*steps, 3]))
        self.places = []
        for table, log, r in zip(air.tables, logs, masks, strict=True):
            level = [t for t, length in enumerate(self.log_lengths) if length >= log][-1]
            self.places.append(Place(table, level, self.log_lengths[level], r))

    @property
    def folds(self) -> int:
        """How many layers are folded."""
        return len(self.log_lengths) - 1

    def log_arity(self, t: int) -> int:
        """a_t."""
        return self.log_lengths[t] - self.log_lengths[t + 1]

    def log_n(self, t: int) -> int:
        """log2 of the size of level t's domain."""
        return self.log_lengths[t] + self.parameters.log_blowup

    def tables_at(self, t: int) -> list[int]:
        """Numbers of the tables of level t."""
        return [i for i, place in enumerate(self.places) if place.level == t]

    @functools.cached_property
    def narrow(self) -> bool:
        """Whether a leaf of level 0 holds a fold coset of all columns."""
        columns = sum(sum(place.phase_columns.values()) for place in self.places)
        return not self.parameters.zk and columns <= 32

    @property
    def openings(self) -> int:
        """N."""
        return sum(place.openings for place in self.places)

    @property
    def log_indices(self) -> int:
        """log2 of M."""
        return self.log_n(0) - self.log_arity(0) * self.narrow

    @property
    def committed(self) -> list[int]:
        """The FRI layers with a tree."""
        return list(range(1 if self.narrow else 0, self.folds))

    def trees(self, phase: str) -> list[int]:
        """The levels that have a tree in a phase."""
        levels = {place.level for place in self.places if place.phase_columns[phase]}
        return sorted(levels)

    def first_opening(self, table: int) -> int:
        """The number of a table's first opening."""
        return sum(place.openings for place in self.places[:table])

    def first_constraint(self, table: int) -> int:
        """The number of a table's first constraint."""
        return sum(place.table.constraints for place in self.places[:table])
