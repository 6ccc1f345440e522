"""What a proof is about (its shape), how it is made (its parameters), and how it is laid out for both together:
docs/protocol.md, sections 4 to 6."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import Self

import attrs
from attrs import validators

from aprover.errors import ProofFormatError, VerificationCode

MAX_LOG_BLOWUP = 6
MAX_LOG_DOMAIN = 27
MAX_QUERIES = 4096
MAX_CHUNKS = 8
MAX_LOG_ARITY = 3
LOG_FINAL_LENGTH = 6
"""Folding stops at no more than 2**6 coefficients."""
NARROW_COLUMNS = 32
EXTENSION_DEGREE = 5
"""Columns of the base field that make one of the challenge field."""


def _between(low: int, high: int) -> Callable[[object, attrs.Attribute[int], int], None]:
    return validators.and_(validators.instance_of(int), validators.ge(low), validators.le(high))


def _pairs(_instance: object, attribute: attrs.Attribute[tuple[tuple[int, int], ...]], value: object) -> None:
    assert isinstance(value, tuple)
    for degree, exempted in value:
        if not 1 <= degree <= 8 or exempted < 0:
            raise ValueError(f"{attribute.name} has degree {degree} with {exempted} exempted rows")


def _degrees(_instance: object, attribute: attrs.Attribute[tuple[int, ...]], value: object) -> None:
    assert isinstance(value, tuple)
    for degree in value:
        if not 1 <= degree <= 8:
            raise ValueError(f"{attribute.name} has degree {degree}; allowed: 1 to 8")


@attrs.frozen(cache_hash=True, kw_only=True)
class TableShape:
    """What security, size and time of a proof depend on in one table, apart from the parameters.

    Raises:
        ValueError: A count is outside docs/protocol.md, section 4.
    """

    log_height: int = attrs.field(validator=_between(3, 24))
    """The table has `2**log_height` rows."""
    columns: int = attrs.field(validator=_between(1, 4096))
    """Whose values the prover chooses."""
    rows_read: int = attrs.field(validator=_between(1, 16))
    """1 + the largest offset of a read; with interactions at least 2."""
    constraints: int = attrs.field(validator=_between(1, 2**20 + 4096 + 1024))
    """Asserted slots, boundary columns and lookup columns together."""
    openings: int = attrs.field(validator=_between(1, 16384 + 1025))
    """Values opened out of domain without the chunks: the reads, the lookup columns, and the running sum once more."""
    terms: tuple[tuple[int, int], ...] = attrs.field(default=(), validator=_pairs)
    """Degree and exempted rows of the asserted slots; equal pairs need not be repeated."""
    boundaries: bool = attrs.field(default=False, validator=validators.instance_of(bool))
    """Whether there are boundary constraints."""
    preprocessed: int = attrs.field(default=0, validator=_between(0, 4096))
    """Columns whose values are part of the AIR."""
    log_slots: int = attrs.field(default=0, validator=_between(0, 24))
    """The rows are `2**log_slots` runs; exempted rows are the last ones of each."""
    interactions: int = attrs.field(default=0, validator=_between(0, 1024))
    """Tuples that each row puts on buses."""
    lookup_columns: int = attrs.field(default=0, validator=_between(0, 1024))
    """Each of one element of the challenge field a row."""
    lookup_degrees: tuple[int, ...] = attrs.field(default=(), validator=_degrees)
    """Of the lookup constraints; equal ones need not be repeated."""

    def __attrs_post_init__(self) -> None:
        if self.rows_read > self.height:
            raise ValueError(f"rows_read = {self.rows_read} exceeds the height {self.height}")
        if self.columns + self.preprocessed > 4096:
            raise ValueError(f"columns = {self.columns} and preprocessed = {self.preprocessed} are more than 4096")
        if self.log_slots > self.log_height:
            raise ValueError(f"log_slots = {self.log_slots} exceeds log_height = {self.log_height}")
        if not bool(self.interactions) == bool(self.lookup_columns) == bool(self.lookup_degrees):
            raise ValueError("interactions come with lookup_columns and lookup_degrees, and these with them")
        if self.interactions and self.rows_read < 2:
            raise ValueError("rows_read is at least 2 with interactions")

    @property
    def height(self) -> int:
        return 1 << self.log_height

    def masks(self, queries: int) -> int:
        """R of section 6: the random coefficients of each column in a zero-knowledge proof."""
        return self.rows_read * (queries + EXTENSION_DEGREE)

    def numerator_degree(self, column_degree: int) -> int:
        """Delta of section 6: of the quotient times the vanishing polynomial, for columns of this degree."""
        degrees = [d * column_degree + (s << self.log_slots) for d, s in self.terms]
        degrees += [d * column_degree for d in self.lookup_degrees]
        if self.boundaries:
            degrees.append(column_degree + self.height - 1)
        return max(degrees, default=0)

    def excess(self, masks: int) -> int:
        """e of section 6: the degree of the quotient, for columns with so many masks, if it is not negative."""
        return max(0, self.numerator_degree(self.height + masks - 1) - self.height)


@attrs.frozen(cache_hash=True)
class Shape:
    """What security, size and time of a proof depend on, apart from the parameters."""

    tables: tuple[TableShape, ...] = attrs.field()
    bus_width: int = attrs.field(default=0, validator=_between(0, 16))
    """Of the widest bus; 0 if there is none."""

    @tables.validator
    def _check_tables(self, _attribute: attrs.Attribute[tuple[TableShape, ...]], value: object) -> None:
        assert isinstance(value, tuple)
        if not 1 <= len(value) <= 64:
            raise ValueError(f"tables: {len(value)} of them; allowed: 1 to 64")

    def __attrs_post_init__(self) -> None:
        if self.lookups and not self.bus_width:
            raise ValueError("bus_width = 0, but there are interactions")

    @property
    def constraints(self) -> int:
        return sum(table.constraints for table in self.tables)

    @property
    def log_height(self) -> int:
        """Of the highest table."""
        return max(table.log_height for table in self.tables)

    @property
    def lookups(self) -> int:
        """Fractions in all lookup sums: each table's height times its interactions."""
        return sum(table.interactions << table.log_height for table in self.tables)

    def layout(self, masked_queries: int = 0) -> Layout:
        """How a proof of this shape is laid out.

        Args:
            masked_queries: The number of queries if the proof is zero-knowledge; 0 if it is not.
        """
        return _layout(self, masked_queries)


@attrs.frozen
class TableLayout:
    """One table's place in a proof."""

    level: int
    log_length: int
    """All polynomials of the table have fewer than `2**log_length` coefficients (lambda)."""
    masks: int
    """Random coefficients of each column (R); 0 unless the proof is zero-knowledge."""
    chunks: int

    @property
    def length(self) -> int:
        return 1 << self.log_length

    @property
    def stride(self) -> int:
        return self.length - self.masks


PHASES = ("preprocessed", "trace", "lookup", "quotient")


@attrs.frozen
class LevelLayout:
    """One size of domain: an FRI layer, and the tables of this length."""

    log_length: int
    log_arity: int
    """FRI folds this layer by `2**log_arity`; 0 for the last one."""
    columns: tuple[int, int, int, int]
    """Of the tree of each of `PHASES`; there is none if 0."""
    tables: int


@attrs.frozen
class Layout:
    """Levels, lengths, chunks and trees of a proof: section 6."""

    levels: tuple[LevelLayout, ...]
    tables: tuple[TableLayout, ...]
    narrow: bool
    """Whether a leaf of the level 0 trees is one fold coset; else it is one row."""
    openings: int
    """Values opened out of domain (N)."""
    sums: int
    """Lookup sums that the proof states."""
    zk: bool
    slack: Fraction
    """The largest rows_read / length of all tables; rho of section 10 less 1."""

    @property
    def log_length(self) -> int:
        """Of level 0."""
        return self.levels[0].log_length

    @property
    def folds(self) -> int:
        return len(self.levels) - 1

    @property
    def final_length(self) -> int:
        """Coefficients of the final polynomial."""
        return 1 << self.levels[-1].log_length

    @property
    def batched(self) -> int:
        """Words that the batching coefficients combine: the openings, and the mask."""
        return self.openings + self.zk

    def log_indices(self, log_blowup: int) -> int:
        """log2 of M: the fold cosets of level 0 in the narrow layout, else its positions."""
        return self.log_length + log_blowup - (self.levels[0].log_arity if self.narrow else 0)


def _log_lengths(log_kappas: list[int]) -> list[int]:
    """The levels' lengths: folds by up to 8 that meet the length of each table above the final length."""
    levels = [max(log_kappas)]
    while len(levels) == 1 or levels[-1] > LOG_FINAL_LENGTH:
        below = [one for one in log_kappas if LOG_FINAL_LENGTH < one < levels[-1]]
        levels.append(levels[-1] - min([MAX_LOG_ARITY, *(levels[-1] - one for one in below)]))
    return levels


def _log_kappa(table: TableShape, masks: int) -> int:
    """log2 of the least length with room for the masks and for the quotient in `MAX_CHUNKS` chunks."""
    log = max(3, (table.height + masks - 1).bit_length())
    while table.excess(masks) // ((1 << log) - masks) >= MAX_CHUNKS:
        log += 1
    return log


@functools.lru_cache(maxsize=512)
def _layout(shape: Shape, masked_queries: int) -> Layout:
    masks = [table.masks(masked_queries) if masked_queries else 0 for table in shape.tables]
    log_kappas = [_log_kappa(table, mask) for table, mask in zip(shape.tables, masks, strict=True)]
    log_lengths = _log_lengths(log_kappas)
    columns = [[0] * len(PHASES) for _ in log_lengths]
    counts = [0] * len(log_lengths)
    tables = []
    for table, mask, log_kappa in zip(shape.tables, masks, log_kappas, strict=True):
        level = max(t for t, one in enumerate(log_lengths) if one >= log_kappa)
        length = 1 << log_lengths[level]
        chunks = table.excess(mask) // (length - mask) + 1
        tables.append(TableLayout(level, log_lengths[level], mask, chunks))
        lookup, quotient = EXTENSION_DEGREE * table.lookup_columns, EXTENSION_DEGREE * chunks
        for phase, count in enumerate((table.preprocessed, table.columns, lookup, quotient)):
            columns[level][phase] += count
        counts[level] += 1
    narrow = not masked_queries and sum(map(sum, columns)) <= NARROW_COLUMNS
    if masked_queries:
        columns[0][PHASES.index("quotient")] += EXTENSION_DEGREE
    arities = [above - below for above, below in itertools.pairwise(log_lengths)]
    return Layout(
        levels=tuple(
            LevelLayout(log_length, log_arity, (c[0], c[1], c[2], c[3]), count)
            for log_length, log_arity, c, count in zip(log_lengths, [*arities, 0], columns, counts, strict=True)
        ),
        tables=tuple(tables),
        narrow=narrow,
        openings=sum(t.openings + place.chunks for t, place in zip(shape.tables, tables, strict=True)),
        sums=sum(1 for table in shape.tables if table.interactions),
        zk=masked_queries > 0,
        slack=max(Fraction(t.rows_read, place.length) for t, place in zip(shape.tables, tables, strict=True)),
    )


@attrs.frozen
class Parameters:
    """The prover's choices, eight bytes of the proof (docs/protocol.md, section 5).

    Raises:
        ValueError: A value is outside section 5. Limits that depend on the shape are checked where one is at hand.
    """

    log_blowup: int = attrs.field(validator=_between(1, MAX_LOG_BLOWUP))
    queries: int = attrs.field(validator=_between(1, MAX_QUERIES))
    grinding_bits: int = attrs.field(default=0, validator=_between(0, 32))
    cap_log: int = attrs.field(default=0, validator=_between(0, 8))
    independent: bool = attrs.field(default=False, validator=validators.instance_of(bool))
    """Independent batching coefficients; else the powers of one."""
    zk: bool = attrs.field(default=False, validator=validators.instance_of(bool))
    """The proof hides the private part of the trace (section 13)."""

    def to_bytes(self) -> bytes:
        """The eight bytes of section 5."""
        head = bytes((self.log_blowup, self.grinding_bits, self.cap_log, self.independent | self.zk << 1))
        return head + self.queries.to_bytes(4, "little")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the eight bytes of section 5.

        Raises:
            ProofFormatError: with code `PARAMETERS`: not eight bytes, or a value outside section 5.
        """
        if len(data) != 8:
            raise ProofFormatError(VerificationCode.PARAMETERS, f"{len(data)} bytes of parameters instead of 8")
        flags = data[3]
        if flags > 3:
            raise ProofFormatError(VerificationCode.PARAMETERS, f"flags = {flags} has unknown bits")
        try:
            return cls(data[0], int.from_bytes(data[4:], "little"), data[1], data[2], bool(flags & 1), bool(flags & 2))
        except ValueError as error:
            raise ProofFormatError(VerificationCode.PARAMETERS, str(error.args[0])) from None


def layout_of(shape: Shape, parameters: Parameters) -> Layout:
    """How a proof of this shape with these parameters is laid out.

    Raises:
        ProofFormatError: with code `PARAMETERS`: what sections 5 and 6 ask of shape and parameters together does not
            hold: the level 0 domain is too large, or has fewer indices than queries.
    """
    layout = shape.layout(parameters.queries if parameters.zk else 0)
    problem = misfit(layout, parameters.log_blowup, parameters.queries)
    if problem is not None:
        raise ProofFormatError(VerificationCode.PARAMETERS, problem)
    return layout


def misfit(layout: Layout, log_blowup: int, queries: int) -> str | None:
    """What sections 5 and 6 forbid about a layout at a blowup with so many queries; None if nothing."""
    log_domain = layout.log_length + log_blowup
    if log_domain > MAX_LOG_DOMAIN:
        return f"a domain of 2**{log_domain} exceeds 2**{MAX_LOG_DOMAIN}"
    indices = 1 << layout.log_indices(log_blowup)
    if queries > indices:
        return f"{queries} queries of {indices} distinct indices"
    return None
