"""Sections 4.1 and 4.2: the AIR's encoding, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise

from .blake3 import K_AIR, keyed_hash
from .field import P, words

VERSION = 2
ADD, SUB, MUL, ASSERT = range(4)
PLUS, MINUS = range(2)
MAX_WORDS = 8_000_000
MAX_TABLES = 64
MAX_BUSES = 64
MAX_BUS_WIDTH = 16
MAX_PUBLICS = 65536
MAX_COLUMNS = 4096
MAX_SLOTS = 65535
MAX_OFFSET = 15
MAX_LOG_PERIOD = 12
MAX_DEGREE = 8


@dataclass(frozen=True)
class Header:
    """The twelve words at the front of a table."""

    columns: int
    preprocessed: int
    log_height: int
    log_slots: int
    reads: int
    periodics: int
    constants: int
    registers: int
    instructions: int
    boundaries: int
    interactions: int
    batch: int

    @property
    def height(self) -> int:
        """k"""
        return 1 << self.log_height

    @property
    def all_columns(self) -> int:
        """W + P"""
        return self.columns + self.preprocessed


LEAST = Header(1, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 1)
MOST = Header(4096, 4096, 24, 24, 16384, 1024, 16384, 4096, 2**20, 65536, 1024, 4)


@dataclass(frozen=True)
class Interaction:
    """A tuple that every row of a table puts on a bus."""

    bus: int
    sign: int
    multiplicity: int
    """a slot"""
    values: tuple[int, ...]
    """slots, as many as the bus is wide"""


@dataclass(frozen=True)
class Table:
    """A checked table. The last two follow from the rest (section 4.2)."""

    header: Header
    reads: tuple[tuple[int, int], ...]
    """(column, offset)"""
    periodics: tuple[tuple[int, ...], ...]
    constants: tuple[int, ...]
    instructions: tuple[tuple[int, int, int, int], ...]
    """(op, dst, a, b)"""
    boundaries: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
    """(column, ((row, slot), ...)), one for each column that has boundaries"""
    interactions: tuple[Interaction, ...]
    preprocessed: tuple[tuple[int, ...], ...]
    asserted: tuple[tuple[int, int], ...]
    """(degree, exemption) of the asserted slots, in order"""
    lookup_degrees: tuple[int, ...]
    """of the lookup constraints"""

    @property
    def batches(self) -> list[tuple[Interaction, ...]]:
        g = self.header.batch
        return [self.interactions[i : i + g] for i in range(0, len(self.interactions), g)]

    @property
    def lookup_columns(self) -> int:
        """A"""
        return len(self.lookup_degrees)

    @property
    def constraints(self) -> int:
        return len(self.asserted) + len(self.boundaries) + self.lookup_columns

    @property
    def lookup_openings(self) -> int:
        """The lookup columns at z, and the running sum one row on."""
        return self.lookup_columns + 1 if self.interactions else 0

    @property
    def rows_read(self) -> int:
        """o"""
        return max(1 + max(offset for _, offset in self.reads), 2 if self.interactions else 1)

    def numerator_degree(self, column_degree: int) -> int:
        """Delta of section 6."""
        slots = 1 << self.header.log_slots
        degrees = [d * column_degree + s * slots for d, s in self.asserted]
        degrees += [d * column_degree for d in self.lookup_degrees]
        if self.boundaries:
            degrees.append(column_degree + self.header.height - 1)
        return max(degrees)


@dataclass(frozen=True)
class Air:
    """A checked AIR."""

    publics: int
    buses: tuple[int, ...]
    """the width of each"""
    tables: tuple[Table, ...]
    digest: bytes

    @property
    def constraints(self) -> int:
        """C"""
        return sum(table.constraints for table in self.tables)

    @property
    def has_lookups(self) -> bool:
        return any(table.interactions for table in self.tables)

    @property
    def has_preprocessed(self) -> bool:
        return any(table.preprocessed for table in self.tables)


def check(condition: bool, text: str, *values: object) -> None:
    """A malformed AIR is its builder's mistake, not a rejected proof; `text` is a format for `values`."""
    if not condition:
        raise ValueError("malformed AIR: " + text.format(*values))


class _Words:
    """Takes words off the front of an encoding."""

    def __init__(self, data: bytes) -> None:
        check(len(data) % 4 == 0, "not a sequence of 32-bit words")
        check(len(data) <= 4 * MAX_WORDS, "more than {} words", MAX_WORDS)
        self.words = words(data)
        self.position = 0

    def take(self, count: int, what: str) -> tuple[int, ...]:
        check(len(self.words) - self.position >= count, "the {} are not all there", what)
        self.position += count
        return self.words[self.position - count : self.position]

    def canonical(self, count: int, what: str) -> tuple[int, ...]:
        values = self.take(count, what)
        check(all(value < P for value in values), "one of the {} is not canonical", what)
        return values


def _header(source: _Words, publics: int) -> Header:
    header = h = Header(*source.take(12, "twelve words of a table's header"))
    for name, value in vars(header).items():
        low = h.all_columns if name == "reads" else getattr(LEAST, name)
        high = getattr(MOST, name)
        check(low <= value <= high, "{} = {} is not in {}..{}", name, value, low, high)
    check(h.all_columns <= MAX_COLUMNS, "{} columns are more than {}", h.all_columns, MAX_COLUMNS)
    check(h.log_slots <= h.log_height, "2^{} slots of 2^{} rows", h.log_slots, h.log_height)
    check(h.interactions > 0 or h.batch == 1, "batches of {}, but no interactions", h.batch)
    slots = h.registers + h.reads + h.periodics + publics + h.constants
    check(slots <= MAX_SLOTS, "{} slots are more than {}", slots, MAX_SLOTS)
    return header


def _reads(source: _Words, header: Header) -> tuple[tuple[int, int], ...]:
    encoded = source.take(header.reads, "reads")
    check(all(a < b for a, b in pairwise(encoded)), "the reads are not strictly ascending")
    reads = tuple((word & 0xFFFF, word >> 16) for word in encoded)
    for column, offset in reads:
        check(column < header.all_columns, "a read of column {}", column)
        check(offset <= MAX_OFFSET and offset < header.height, "a read at offset {}", offset)
    first = tuple((column, 0) for column in range(header.all_columns))
    check(reads[: header.all_columns] == first, "the first reads are not all columns at offset 0")
    return reads


def _periodics(source: _Words, header: Header) -> tuple[tuple[int, ...], ...]:
    periodics = []
    for _ in range(header.periodics):
        (e,) = source.take(1, "periodics")
        check(e <= min(header.log_height, MAX_LOG_PERIOD), "a period of 2^{}", e)
        periodics.append(source.canonical(2**e, "periodic values"))
    return tuple(periodics)


def _boundaries(source: _Words, header: Header, publics: int) -> tuple[tuple[int, tuple[tuple[int, int], ...]], ...]:
    flat = source.take(3 * header.boundaries, "boundaries")
    triples = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
    for earlier, later in pairwise(triples):
        check(earlier[:2] < later[:2], "the boundaries are not strictly ascending")
    first_value = header.registers + header.reads + header.periodics
    end = first_value + publics + header.constants
    for column, row, slot in triples:
        check(column < header.columns, "a boundary in column {}", column)
        check(row < header.height, "a boundary in row {}", row)
        check(first_value <= slot < end, "slot {} of a boundary is no public value and no constant", slot)
    columns = groupby(triples, lambda triple: triple[0])
    return tuple((column, tuple((row, slot) for _, row, slot in group)) for column, group in columns)


def _interactions(source: _Words, header: Header, buses: Sequence[int]) -> tuple[Interaction, ...]:
    interactions = []
    for _ in range(header.interactions):
        bus, sign, multiplicity = source.take(3, "interactions")
        check(bus < len(buses), "an interaction with bus {}", bus)
        check(sign in (PLUS, MINUS), "an interaction with sign {}", sign)
        interactions.append(Interaction(bus, sign, multiplicity, source.take(buses[bus], "values of a tuple")))
    return tuple(interactions)


class _Slots:
    """The (degree, exemption) of each slot of a table that has a value so far."""

    def __init__(self, header: Header, reads: Sequence[tuple[int, int]], publics: int) -> None:
        self.registers = header.registers
        self.known: list[tuple[int, int] | None] = [None] * header.registers
        self.known += [(1, offset) for _, offset in reads]
        self.known += [(1, 0)] * header.periodics + [(0, 0)] * (publics + header.constants)

    def __getitem__(self, index: int) -> tuple[int, int]:
        check(index < len(self.known), "there is no slot {}", index)
        found = self.known[index]
        if found is None:
            raise ValueError(f"malformed AIR: register {index} is read before it is written")
        return found

    def run(self, instructions: Sequence[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
        """Checks the instructions; gives the (degree, exemption) of every asserted slot."""
        asserted = []
        for op, dst, a, b in instructions:
            check(op <= ASSERT, "unknown operation {}", op)
            degree, exemption = self[a]
            if op == ASSERT:
                check(dst == 0 and b == 0, "an assertion with dst or b")
                check(1 <= degree <= MAX_DEGREE, "an asserted slot of degree {}", degree)
                asserted.append((degree, exemption))
                continue
            other_degree, other_exemption = self[b]
            check(dst < self.registers, "there is no register {}", dst)
            degree = degree + other_degree if op == MUL else max(degree, other_degree)
            check(degree <= MAX_DEGREE, "register {} has degree {}", dst, degree)
            self.known[dst] = degree, max(exemption, other_exemption)
        return asserted

    def lookup_degree(self, batch: Sequence[Interaction]) -> int:
        """The degree of h * F - N, with F and N of section 4.4."""
        fingerprints = [max(self[slot][0] for slot in one.values) for one in batch]
        multiplicities = [self[one.multiplicity][0] for one in batch]
        total = sum(fingerprints)
        degree = max([1 + total, *(m + total - f for m, f in zip(multiplicities, fingerprints, strict=True))])
        check(degree <= MAX_DEGREE, "a lookup constraint of degree {}", degree)
        return degree


def _table(source: _Words, publics: int, buses: Sequence[int]) -> Table:
    header = _header(source, publics)
    reads = _reads(source, header)
    periodics = _periodics(source, header)
    constants = source.canonical(header.constants, "constants")
    flat = source.take(2 * header.instructions, "instructions")
    instructions = tuple(
        (first & 0xFFFF, first >> 16, second & 0xFFFF, second >> 16)
        for first, second in zip(flat[::2], flat[1::2], strict=True)
    )
    boundaries = _boundaries(source, header, publics)
    interactions = _interactions(source, header, buses)
    k = header.height
    preprocessed = tuple(source.canonical(k, "preprocessed values") for _ in range(header.preprocessed))

    slots = _Slots(header, reads, publics)
    asserted = slots.run(instructions)
    run = k >> header.log_slots
    for _, exemption in asserted:
        check(exemption < run, "a constraint that reads {} rows on, in slots of {} rows", exemption, run)
    batches = [interactions[i : i + header.batch] for i in range(0, len(interactions), header.batch)]
    lookup_degrees = tuple(slots.lookup_degree(batch) for batch in batches)
    check(bool(asserted or boundaries or interactions), "a table without constraints")
    return Table(
        header,
        reads,
        periodics,
        constants,
        instructions,
        boundaries,
        interactions,
        preprocessed,
        tuple(asserted),
        lookup_degrees,
    )


@lru_cache(maxsize=8)
def decode(data: bytes) -> Air:
    """Reads and checks an AIR (sections 4.1 and 4.2); ValueError if it is malformed."""
    source = _Words(data)
    version, tables, buses, publics = source.take(4, "first four words")
    check(version == VERSION, "version {}", version)
    check(1 <= tables <= MAX_TABLES, "{} tables", tables)
    check(buses <= MAX_BUSES, "{} buses", buses)
    check(publics <= MAX_PUBLICS, "{} public values", publics)
    widths = source.take(buses, "widths of the buses")
    for width in widths:
        check(1 <= width <= MAX_BUS_WIDTH, "a bus of width {}", width)
    all_tables = tuple(_table(source, publics, widths) for _ in range(tables))
    check(source.position == len(source.words), "words follow the last table")
    for bus in range(buses):
        most = sum(t.header.height for t in all_tables for one in t.interactions if one.bus == bus)
        check(most < P, "{} tuples on bus {} are as many as the field has elements", most, bus)
    return Air(publics, widths, all_tables, keyed_hash(K_AIR, data))
