"""Section 4: the AIR's encoding, what follows from it, and the quotient at one point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from operator import mul

from .blake3 import K_AIR, keyed_hash
from .field import DEGREE, ONE, ZERO, F, P, inverse, w, words

ADD, SUB, MUL, ASSERT = range(4)
MAX_WORDS = 8_000_000
MAX_SLOTS = 65535
MAX_OFFSET = 15
MAX_LOG_PERIOD = 12
MAX_DEGREE = 8
MAX_CHUNKS = 8
NARROW_COLUMNS = 32


@dataclass(frozen=True)
class Header:
    """The ten words at the front of the encoding."""

    version: int
    columns: int
    log_height: int
    reads: int
    periodics: int
    publics: int
    constants: int
    registers: int
    instructions: int
    boundaries: int

    @property
    def height(self) -> int:
        """k"""
        return 1 << self.log_height


LEAST = Header(1, 1, 3, 1, 0, 0, 0, 0, 0, 0)
MOST = Header(1, 4096, 24, 16384, 1024, 65536, 16384, 4096, 2**20, 65536)


def check(condition: bool, text: str, *values: object) -> None:
    """A malformed AIR is its builder's mistake, not a rejected proof; `text` is a format for `values`."""
    if not condition:
        raise ValueError("malformed AIR: " + text.format(*values))


@dataclass(frozen=True)
class Air:
    """A checked AIR. The last five follow from the rest (section 4.2)."""

    header: Header
    reads: tuple[tuple[int, int], ...]
    """(column, offset)"""
    periodics: tuple[tuple[int, ...], ...]
    constants: tuple[int, ...]
    instructions: tuple[tuple[int, int, int, int], ...]
    """(op, dst, a, b)"""
    boundaries: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
    """(column, ((row, slot), ...)), one for each column that has boundaries"""
    exemptions: tuple[int, ...]
    """of the asserted slots, in order"""
    degree: int
    """the largest of an asserted slot, at least 1"""
    chunks: int
    narrow: bool
    digest: bytes

    @property
    def constraints(self) -> int:
        return len(self.exemptions) + len(self.boundaries)

    @property
    def openings(self) -> int:
        return len(self.reads) + self.chunks

    @property
    def rows_read(self) -> int:
        return 1 + max(offset for _, offset in self.reads)


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


def _header(source: _Words) -> Header:
    header = Header(*source.take(10, "ten words of the header"))
    for name, value in vars(header).items():
        low = header.columns if name == "reads" else getattr(LEAST, name)
        high = getattr(MOST, name)
        check(low <= value <= high, "{} = {} is not in {}..{}", name, value, low, high)
    h = header
    slots = h.registers + h.reads + h.periodics + h.publics + h.constants
    check(slots <= MAX_SLOTS, "{} slots are more than {}", slots, MAX_SLOTS)
    return header


def _reads(source: _Words, header: Header) -> tuple[tuple[int, int], ...]:
    encoded = source.take(header.reads, "reads")
    check(all(a < b for a, b in pairwise(encoded)), "the reads are not strictly ascending")
    reads = tuple((word & 0xFFFF, word >> 16) for word in encoded)
    for column, offset in reads:
        check(column < header.columns, "a read of column {}", column)
        check(offset <= MAX_OFFSET and offset < header.height, "a read at offset {}", offset)
    first = tuple((column, 0) for column in range(header.columns))
    check(reads[: header.columns] == first, "the first reads are not all columns at offset 0")
    return reads


def _periodics(source: _Words, header: Header) -> tuple[tuple[int, ...], ...]:
    periodics = []
    for _ in range(header.periodics):
        (e,) = source.take(1, "periodics")
        check(e <= min(header.log_height, MAX_LOG_PERIOD), "a period of 2^{}", e)
        periodics.append(source.canonical(2**e, "periodic values"))
    return tuple(periodics)


def _boundaries(source: _Words, header: Header) -> tuple[tuple[int, tuple[tuple[int, int], ...]], ...]:
    flat = source.take(3 * header.boundaries, "boundaries")
    triples = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
    for earlier, later in pairwise(triples):
        check(earlier[:2] < later[:2], "the boundaries are not strictly ascending")
    first_value = header.registers + header.reads + header.periodics
    end = first_value + header.publics + header.constants
    for column, row, slot in triples:
        check(column < header.columns, "a boundary in column {}", column)
        check(row < header.height, "a boundary in row {}", row)
        check(first_value <= slot < end, "slot {} of a boundary is no public value and no constant", slot)
    columns = groupby(triples, lambda triple: triple[0])
    return tuple((column, tuple((row, slot) for _, row, slot in group)) for column, group in columns)


def _assertions(
    header: Header, reads: Sequence[tuple[int, int]], instructions: Sequence[tuple[int, int, int, int]]
) -> list[tuple[int, int]]:
    """The (degree, exemption) of every asserted slot; checks the instructions on the way."""
    values = header.publics + header.constants
    known: list[tuple[int, int] | None] = [None] * header.registers
    known += [(1, offset) for _, offset in reads] + [(1, 0)] * header.periodics + [(0, 0)] * values

    def slot(index: int) -> tuple[int, int]:
        check(index < len(known), "there is no slot {}", index)
        found = known[index]
        if found is None:
            raise ValueError(f"malformed AIR: register {index} is read before it is written")
        return found

    asserted = []
    for op, dst, a, b in instructions:
        check(op <= ASSERT, "unknown operation {}", op)
        degree, exemption = slot(a)
        if op == ASSERT:
            check(dst == 0 and b == 0, "an assertion with dst or b")
            check(1 <= degree <= MAX_DEGREE, "an asserted slot of degree {}", degree)
            asserted.append((degree, exemption))
            continue
        other_degree, other_exemption = slot(b)
        check(dst < header.registers, "there is no register {}", dst)
        degree = degree + other_degree if op == MUL else max(degree, other_degree)
        check(degree <= MAX_DEGREE, "register {} has degree {}", dst, degree)
        known[dst] = degree, max(exemption, other_exemption)
    return asserted


@lru_cache(maxsize=8)
def decode(data: bytes) -> Air:
    """Reads and checks an AIR (sections 4.1 and 4.2); ValueError if it is malformed."""
    source = _Words(data)
    header = _header(source)
    reads = _reads(source, header)
    periodics = _periodics(source, header)
    constants = source.canonical(header.constants, "constants")
    flat = source.take(2 * header.instructions, "instructions")
    instructions = tuple(
        (first & 0xFFFF, first >> 16, second & 0xFFFF, second >> 16)
        for first, second in zip(flat[::2], flat[1::2], strict=True)
    )
    boundaries = _boundaries(source, header)
    check(source.position == len(source.words), "words follow the boundaries")
    asserted = _assertions(header, reads, instructions)
    check(bool(asserted or boundaries), "there is no constraint")

    k = header.height
    excess = [d * (k - 1) + s - k for d, s in asserted] + [k - 2 for _ in boundaries]
    chunks = max([0, *excess]) // k + 1
    check(chunks <= MAX_CHUNKS, "{} chunks", chunks)
    return Air(
        header=header,
        reads=reads,
        periodics=periodics,
        constants=constants,
        instructions=instructions,
        boundaries=boundaries,
        exemptions=tuple(s for _, s in asserted),
        degree=max([1, *(d for d, _ in asserted)]),
        chunks=chunks,
        narrow=header.columns + DEGREE * chunks <= NARROW_COLUMNS,
        digest=keyed_hash(K_AIR, data),
    )


def _periodic_values(air: Air, x: F) -> list[F]:
    """P(x^(k / 2^e)) of every periodic column, by Lagrange's formula over the 2^e-th roots of unity."""
    k = air.header.height
    vanishing = x**k - ONE  # y^(2^e) - 1 for y = x^(k / 2^e), whatever e
    bases: dict[int, list[tuple[int, ...]]] = {}
    values = []
    for column in air.periodics:
        period = len(column)
        if period not in bases:
            y, root = x ** (k // period), w(period.bit_length() - 1)
            nodes = [pow(root, j, P) for j in range(period)]
            basis = [(y - F.of(node)).inverse().scale(node) * vanishing for node in nodes]
            bases[period] = list(zip(*(b.scale(inverse(period)).c for b in basis), strict=True))
        values.append(F([sum(map(mul, column, coefficients)) % P for coefficients in bases[period]]))
    return values


def _boundary_constraint(air: Air, slots: Sequence[F], value: F, boundaries: Sequence[tuple[int, int]], x: F) -> F:
    """B_i(x) of section 4.3 for a column with T_c(x) = `value`."""
    k, root = air.header.height, w(air.header.log_height)
    total = ZERO
    for row, slot in boundaries:
        node = pow(root, row, P)
        total = total + (value - slots[slot]) * (x - F.of(node)).inverse().scale(node)
    return total.scale(inverse(k))


def quotient(air: Air, publics: Sequence[int], reads: Sequence[F], alpha: F, x: F) -> F:
    """Section 4.3: Q(x) from the values of the reads at x, for x outside of Fp."""
    k, root = air.header.height, w(air.header.log_height)
    slots = [ZERO] * air.header.registers + list(reads) + _periodic_values(air, x)
    slots += [F.of(value) for value in publics] + [F.of(value) for value in air.constants]

    exempt = [ONE]  # E_0(x), E_1(x), ...
    for e in range(1, MAX_OFFSET + 1):
        exempt.append(exempt[-1] * (x - F.of(pow(root, k - e, P))))

    transitions, coefficient = ZERO, ONE
    exemptions = iter(air.exemptions)
    for op, dst, a, b in air.instructions:
        if op == ADD:
            slots[dst] = slots[a] + slots[b]
        elif op == SUB:
            slots[dst] = slots[a] - slots[b]
        elif op == MUL:
            slots[dst] = slots[a] * slots[b]
        else:
            transitions = transitions + coefficient * slots[a] * exempt[next(exemptions)]
            coefficient = coefficient * alpha

    total = transitions * (x**k - ONE).inverse()
    for column, boundaries in air.boundaries:
        total = total + coefficient * _boundary_constraint(air, slots, reads[column], boundaries, x)
        coefficient = coefficient * alpha
    return total
