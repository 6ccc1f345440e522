"""The reference verifier's reading of an AIR, and its quotient."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import blake3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprover.reference.air import MAX_WORDS, MINUS, PLUS, Air, Table, decode
from aprover.reference.blake3 import K_AIR
from aprover.reference.field import ONE, ZERO, F, P, inverse, w, word_bytes
from aprover.reference.layout import Layout, ReferenceParameters
from aprover.reference.quotient import Challenges, TableOpenings
from aprover.reference.quotient import quotient as table_quotient

ADD, SUB, MUL, ASSERT = range(4)


@dataclass(frozen=True)
class Spec:
    """An AIR of one table in parts, encoded without any check."""

    columns: int = 2
    log_height: int = 3
    reads: tuple[tuple[int, int], ...] = ((0, 0), (1, 0), (0, 1), (1, 1))
    periodics: tuple[tuple[int, tuple[int, ...]], ...] = ()
    publics: int = 1
    constants: tuple[int, ...] = (0, 1)
    registers: int = 2
    instructions: tuple[tuple[int, int, int, int], ...] = ()
    boundaries: tuple[tuple[int, int, int], ...] = ()
    preprocessed: tuple[tuple[int, ...], ...] = ()
    log_slots: int = 0
    buses: tuple[int, ...] = ()
    interactions: tuple[tuple[int, ...], ...] = ()
    batch: int = 1
    front: dict[int, int] = field(default_factory=dict)
    header: dict[int, int] = field(default_factory=dict)
    tail: tuple[int, ...] = ()

    def table(self) -> list[int]:
        header = [self.columns, len(self.preprocessed), self.log_height, self.log_slots, len(self.reads)]
        header += [len(self.periodics), len(self.constants), self.registers, len(self.instructions)]
        header += [len(self.boundaries), len(self.interactions), self.batch]
        for index, value in self.header.items():
            header[index] = value
        body = [offset << 16 | column for column, offset in self.reads]
        for e, values in self.periodics:
            body += [e, *values]
        body += self.constants
        for op, dst, a, b in self.instructions:
            body += [op | dst << 16, a | b << 16]
        for part in (self.boundaries, self.interactions, self.preprocessed):
            for words in part:
                body += words
        return [*header, *body]

    def to_bytes(self) -> bytes:
        front = [2, 1, len(self.buses), self.publics]
        for index, value in self.front.items():
            front[index] = value
        return word_bytes([*front, *self.buses, *self.table(), *self.tail])


# Fibonacci: the slots are registers 0, 1; reads 2..5 (a, b, a', b'); the public value 6; the constants 7, 8.
FIBONACCI = Spec(
    instructions=(
        (SUB, 0, 4, 3),  # a' - b
        (ASSERT, 0, 0, 0),
        (ADD, 1, 2, 3),
        (SUB, 1, 5, 1),  # b' - (a + b)
        (ASSERT, 0, 1, 0),
    ),
    boundaries=((0, 0, 7), (1, 0, 8), (1, 6, 6)),
)


# Two tuples of width 2 on one bus: (a, b) with multiplicity 0 and, with sign minus, (b', a') with multiplicity 1.
LOOKUP = replace(FIBONACCI, buses=(2,), interactions=((0, 0, 7, 2, 3), (0, 1, 8, 5, 4)), batch=2)


def power_of_read(degree: int) -> tuple[tuple[int, int, int, int], ...]:
    """Register 0 becomes a^degree."""
    return ((MUL, 0, 2, 2), *((MUL, 0, 0, 2),) * (degree - 2))


MALFORMED: dict[str, tuple[Spec, str]] = {
    "version 1": (replace(FIBONACCI, front={0: 1}), "version 1"),
    "no tables": (replace(FIBONACCI, front={1: 0}), "0 tables"),
    "too many tables": (replace(FIBONACCI, front={1: 65}), "65 tables"),
    "a table that is not there": (replace(FIBONACCI, front={1: 2}), "header are not all there"),
    "too many buses": (replace(FIBONACCI, front={2: 65}), "65 buses"),
    "too many publics": (replace(FIBONACCI, front={3: 65537}), "65537 public values"),
    "a bus of no width": (replace(FIBONACCI, buses=(0,)), "a bus of width 0"),
    "a bus too wide": (replace(FIBONACCI, buses=(17,)), "a bus of width 17"),
    "no columns": (replace(FIBONACCI, header={0: 0}), "columns = 0"),
    "too many columns": (replace(FIBONACCI, header={0: 4097}), "columns = 4097"),
    "too many preprocessed columns": (replace(FIBONACCI, header={1: 4097}), "preprocessed = 4097"),
    "too many columns together": (replace(FIBONACCI, header={1: 4095, 4: 4097}), "4097 columns are more than 4096"),
    "too low": (replace(FIBONACCI, header={2: 2}), "log_height = 2"),
    "too high": (replace(FIBONACCI, header={2: 25}), "log_height = 25"),
    "more slots than rows": (replace(FIBONACCI, log_slots=4), r"2\^4 slots of 2\^3 rows"),
    "fewer reads than columns": (replace(FIBONACCI, header={4: 1}), "reads = 1"),
    "too many reads": (replace(FIBONACCI, header={4: 16385}), "reads = 16385"),
    "too many periodics": (replace(FIBONACCI, header={5: 1025}), "periodics = 1025"),
    "too many constants": (replace(FIBONACCI, header={6: 16385}), "constants = 16385"),
    "too many registers": (replace(FIBONACCI, header={7: 4097}), "registers = 4097"),
    "too many instructions": (replace(FIBONACCI, header={8: 2**20 + 1}), "instructions = 1048577"),
    "too many boundaries": (replace(FIBONACCI, header={9: 65537}), "boundaries = 65537"),
    "too many interactions": (replace(FIBONACCI, header={10: 1025}), "interactions = 1025"),
    "an empty batch": (replace(LOOKUP, batch=0), "batch = 0"),
    "too large a batch": (replace(LOOKUP, batch=5), "batch = 5"),
    "a batch of nothing": (replace(FIBONACCI, batch=2), "batches of 2, but no interactions"),
    "too many slots": (replace(FIBONACCI, front={3: 65528}), "65536 slots are more than 65535"),
    "no such bus": (replace(LOOKUP, interactions=((1, 0, 7, 2, 3),)), "an interaction with bus 1"),
    "no such sign": (replace(LOOKUP, interactions=((0, 2, 7, 2, 3),)), "an interaction with sign 2"),
    "no such multiplicity": (replace(LOOKUP, interactions=((0, 0, 9, 2, 3),)), "there is no slot 9"),
    "no such value": (replace(LOOKUP, interactions=((0, 0, 7, 2, 9),)), "there is no slot 9"),
    "a value not written": (
        replace(LOOKUP, instructions=((ASSERT, 0, 2, 0),), interactions=((0, 0, 7, 2, 1),)),
        "register 1 is read before",
    ),
    "a value missing": (replace(LOOKUP, interactions=((0, 0, 7, 2),)), "values of a tuple are not all there"),
    "a lookup of degree 9": (
        replace(LOOKUP, instructions=power_of_read(8), interactions=((0, 0, 7, 0, 3),)),
        "a lookup constraint of degree 9",
    ),
    "a batch of degree 9": (
        replace(LOOKUP, instructions=power_of_read(4), interactions=((0, 0, 7, 0, 3),) * 2),
        "a lookup constraint of degree 9",
    ),
    "a multiplicity of degree 8 in a batch": (
        replace(LOOKUP, instructions=power_of_read(8), interactions=((0, 0, 0, 7, 8), (0, 0, 7, 2, 3))),
        "a lookup constraint of degree 9",
    ),
    "preprocessed value": (
        replace(
            FIBONACCI,
            reads=((0, 0), (1, 0), (2, 0)),
            instructions=(),
            boundaries=((0, 0, 7),),
            preprocessed=((0,) * 7 + (P,),),
        ),
        "preprocessed values is not canonical",
    ),
    "a boundary in a preprocessed column": (
        replace(
            FIBONACCI,
            reads=((0, 0), (1, 0), (2, 0)),
            instructions=(),
            boundaries=((2, 0, 7),),
            preprocessed=((0,) * 8,),
        ),
        "a boundary in column 2",
    ),
    "a constraint that reads over its slot": (replace(FIBONACCI, log_slots=3), "reads 1 rows on, in slots of 1 rows"),
    "reads not ascending": (replace(FIBONACCI, reads=((0, 0), (1, 0), (1, 1), (0, 1))), "not strictly ascending"),
    "a read twice": (replace(FIBONACCI, reads=((0, 0), (1, 0), (1, 1), (1, 1))), "not strictly ascending"),
    "a column not read": (replace(FIBONACCI, reads=((0, 0), (0, 1), (1, 1), (1, 2))), "all columns at offset 0"),
    "no such column read": (replace(FIBONACCI, reads=((0, 0), (1, 0), (0, 1), (2, 1))), "a read of column 2"),
    "offset 16": (replace(FIBONACCI, log_height=5, reads=((0, 0), (1, 0), (0, 16), (1, 16))), "at offset 16"),
    "offset not below k": (replace(FIBONACCI, reads=((0, 0), (1, 0), (0, 1), (1, 8))), "at offset 8"),
    "period above k": (replace(FIBONACCI, periodics=((4, tuple(range(16))),)), r"a period of 2\^4"),
    "period above 2^12": (
        replace(FIBONACCI, log_height=14, periodics=((13, tuple(range(2**13))),)),
        r"a period of 2\^13",
    ),
    "periodic value": (replace(FIBONACCI, periodics=((1, (0, P)),)), "periodic values is not canonical"),
    "constant": (replace(FIBONACCI, constants=(0, P)), "constants is not canonical"),
    "operation": (replace(FIBONACCI, instructions=((4, 0, 2, 2),)), "unknown operation 4"),
    "operation's high bits": (replace(FIBONACCI, instructions=((0x0100, 0, 2, 2),)), "unknown operation 256"),
    "no such slot a": (replace(FIBONACCI, instructions=((ADD, 0, 9, 2),)), "there is no slot 9"),
    "no such slot b": (replace(FIBONACCI, instructions=((ADD, 0, 2, 65535),)), "there is no slot 65535"),
    "no such slot asserted": (replace(FIBONACCI, instructions=((ASSERT, 0, 9, 0),)), "there is no slot 9"),
    "no such register": (replace(FIBONACCI, instructions=((ADD, 2, 2, 2),)), "there is no register 2"),
    "register not written": (replace(FIBONACCI, instructions=((ADD, 0, 1, 2),)), "register 1 is read before"),
    "own register not written": (replace(FIBONACCI, instructions=((ADD, 0, 2, 0),)), "register 0 is read before"),
    "asserted register not written": (replace(FIBONACCI, instructions=((ASSERT, 0, 0, 0),)), "register 0 is read"),
    "assertion with dst": (replace(FIBONACCI, instructions=((ASSERT, 1, 2, 0),)), "an assertion with dst or b"),
    "assertion with b": (replace(FIBONACCI, instructions=((ASSERT, 0, 2, 1),)), "an assertion with dst or b"),
    "assertion of a constant": (replace(FIBONACCI, instructions=((ASSERT, 0, 7, 0),)), "slot of degree 0"),
    "degree 9": (
        replace(
            FIBONACCI,
            instructions=(
                (MUL, 0, 2, 2),
                (MUL, 0, 0, 0),
                (MUL, 0, 0, 0),
                (MUL, 0, 0, 2),
                (ASSERT, 0, 2, 0),
            ),
        ),
        "register 0 has degree 9",
    ),
    "boundaries not ascending by row": (replace(FIBONACCI, boundaries=((0, 1, 7), (0, 0, 7))), "ascending"),
    "boundaries not ascending by column": (replace(FIBONACCI, boundaries=((1, 0, 7), (0, 1, 7))), "ascending"),
    "a boundary twice": (replace(FIBONACCI, boundaries=((0, 0, 6), (0, 0, 7))), "ascending"),
    "no such column bound": (replace(FIBONACCI, boundaries=((2, 0, 7),)), "a boundary in column 2"),
    "no such row": (replace(FIBONACCI, boundaries=((0, 8, 7),)), "a boundary in row 8"),
    "boundary slot is a read": (replace(FIBONACCI, boundaries=((0, 0, 5),)), "slot 5 of a boundary"),
    "boundary slot is too large": (replace(FIBONACCI, boundaries=((0, 0, 9),)), "slot 9 of a boundary"),
    "no constraint": (replace(FIBONACCI, instructions=(), boundaries=()), "a table without constraints"),
    "more words": (replace(FIBONACCI, tail=(0,)), "words follow the last table"),
}


class TestDecoding:
    def test_fibonacci(self) -> None:
        """All that section 4.2 derives is there for a small AIR."""
        air = decode(FIBONACCI.to_bytes())
        (table,) = air.tables
        assert table.reads == FIBONACCI.reads
        assert table.constants == (0, 1)
        assert table.instructions == FIBONACCI.instructions
        assert table.boundaries == ((0, ((0, 7),)), (1, ((0, 8), (6, 6))))
        assert table.asserted == ((1, 1), (1, 1))
        assert (table.constraints, table.rows_read, table.lookup_columns) == (4, 2, 0)
        assert (air.publics, air.buses, air.constraints) == (1, (), 4)
        assert not air.has_lookups
        assert not air.has_preprocessed
        assert air.digest == blake3.blake3(FIBONACCI.to_bytes(), key=K_AIR).digest()

    def test_lookups(self) -> None:
        """Interactions, their batches and degrees; a table with interactions reads two rows, whatever its reads are."""
        (table,) = decode(LOOKUP.to_bytes()).tables
        assert [(one.bus, one.sign, one.multiplicity, one.values) for one in table.interactions] == [
            (0, PLUS, 7, (2, 3)),
            (0, MINUS, 8, (5, 4)),
        ]
        assert (table.lookup_columns, table.lookup_degrees, table.constraints) == (1, (3,), 5)
        (single,) = decode(replace(LOOKUP, batch=1).to_bytes()).tables
        assert (single.lookup_columns, single.lookup_degrees) == (2, (2, 2))
        alone = replace(LOOKUP, reads=((0, 0), (1, 0)), instructions=(), boundaries=(), interactions=((0, 0, 5, 5, 5),))
        (table,) = decode(alone.to_bytes()).tables
        assert (table.rows_read, table.constraints) == (2, 1)

    def test_lookup_degrees(self) -> None:
        """1 + the sum of the fingerprints' degrees, or a multiplicity's degree and those of the others."""
        for degree, batch, expected in ((2, 1, (3, 2)), (4, 2, (6,)), (7, 1, (8, 2))):
            spec = replace(LOOKUP, instructions=power_of_read(degree), batch=batch)
            (table,) = decode(replace(spec, interactions=((0, 0, 7, 0, 3), (0, 0, 7, 2, 3))).to_bytes()).tables
            assert table.lookup_degrees == expected
        spec = replace(LOOKUP, instructions=power_of_read(8), batch=1, interactions=((0, 0, 0, 7, 8),))
        assert decode(spec.to_bytes()).tables[0].lookup_degrees == (8,)

    def test_preprocessed_columns(self) -> None:
        """Their values come last, and they are read as the columns after the others."""
        values = tuple(range(8))
        reads, instructions = ((0, 0), (1, 0), (2, 0), (2, 1)), ((SUB, 0, 4, 5), (ASSERT, 0, 0, 0))
        spec = replace(FIBONACCI, reads=reads, preprocessed=(values,), instructions=instructions, boundaries=())
        air = decode(spec.to_bytes())
        assert air.has_preprocessed
        assert air.tables[0].preprocessed == (values,)

    @pytest.mark.parametrize(("interactions", "allowed"), [(120, True), (121, False)])
    def test_counts_do_not_reach_the_field_size(self, interactions: int, allowed: bool) -> None:
        """120 tuples in each of 2^24 rows are p - 1; with one more, multiplicities of 1 could add up to zero."""
        spec = replace(FIBONACCI, log_height=24, buses=(1, 1), interactions=((0, 0, 7, 2),) * interactions)
        elsewhere = replace(spec, interactions=(*spec.interactions[:120], *((1, 0, 7, 2),) * 120))
        assert decode(elsewhere.to_bytes()).tables[0].header.interactions == 240
        if allowed:
            decode(spec.to_bytes())
        else:
            with pytest.raises(ValueError, match="as many as the field has elements"):
                decode(spec.to_bytes())

    def test_counts_add_up_over_tables(self) -> None:
        """The bound of a bus is on all tables together."""
        one = replace(FIBONACCI, log_height=24, buses=(1,), interactions=((0, 0, 7, 2),) * 60)
        other = replace(one, interactions=((0, 1, 7, 2),) * 61)
        front = [2, 2, 1, 1, 1]
        assert len(decode(word_bytes([*front, *one.table(), *one.table()])).tables) == 2
        with pytest.raises(ValueError, match="as many as the field has elements"):
            decode(word_bytes([*front, *one.table(), *other.table()]))

    def test_constraints_are_numbered_through(self) -> None:
        """C is the total of all tables."""
        air = decode(word_bytes([2, 2, 1, 1, 2, *LOOKUP.table(), *FIBONACCI.table()]))
        assert [table.constraints for table in air.tables] == [5, 4]
        assert air.constraints == 9

    @pytest.mark.parametrize("name", MALFORMED)
    def test_malformed(self, name: str) -> None:
        """Each thing that section 4 forbids is refused with a text that names it."""
        spec, text = MALFORMED[name]
        with pytest.raises(ValueError, match="malformed AIR: .*" + text):
            decode(spec.to_bytes())

    def test_truncated(self) -> None:
        """Every proper prefix is refused."""
        data = FIBONACCI.to_bytes()
        for length in range(len(data)):
            with pytest.raises(ValueError, match="malformed AIR"):
                decode(data[:length])

    @given(st.binary(max_size=200))
    def test_arbitrary_bytes(self, data: bytes) -> None:
        """Arbitrary bytes are refused, by ValueError alone."""
        with pytest.raises(ValueError, match="malformed AIR"):
            decode(data)

    @given(st.integers(0, len(FIBONACCI.to_bytes()) // 4 - 1), st.integers(0, 2**32 - 1))
    def test_one_changed_word(self, index: int, word: int) -> None:
        """One changed word gives another AIR with another digest, or a ValueError; never anything else."""
        data = bytearray(FIBONACCI.to_bytes())
        data[4 * index : 4 * index + 4] = word.to_bytes(4, "little")
        try:
            air = decode(bytes(data))
        except ValueError:
            return
        assert (air.digest == decode(FIBONACCI.to_bytes()).digest) == (bytes(data) == FIBONACCI.to_bytes())

    def test_large_claims_cost_nothing(self) -> None:
        """A header that announces the largest of everything is refused before anything is made of it."""
        with pytest.raises(ValueError, match="reads are not all there"):
            decode(word_bytes([2, 1, 0, 4096, 4096, 0, 24, 0, 16384, 1024, 16384, 4096, 2**20, 65536, 0, 1]))

    def test_at_most_eight_million_words(self) -> None:
        """Longer encodings are refused before they are read."""
        with pytest.raises(ValueError, match="more than 8000000 words"):
            decode(bytes(4 * MAX_WORDS + 4))


def power(degree: int, offset: int = 0) -> Spec:
    """One column; asserts x * x' * .. of this degree, one factor read at `offset`."""
    reads = ((0, 0),) if offset == 0 else ((0, 0), (0, offset))
    last = len(reads)  # slot of the last read, after one register
    instructions: list[tuple[int, int, int, int]] = [(ADD, 0, last, 1 + len(reads))]  # + the public value
    instructions += [(MUL, 0, 0, 1)] * (degree - 1)
    instructions += [(ASSERT, 0, 0, 0)]
    return Spec(columns=1, log_height=4, reads=reads, registers=1, instructions=tuple(instructions))


class TestDerived:
    @pytest.mark.parametrize("degree", range(1, 9))
    @pytest.mark.parametrize("offset", [0, 1, 2, 7, 15])
    def test_chunks(self, degree: int, offset: int) -> None:
        """Chunks are floor(max(e) / k) + 1 with e = degree * (k - 1) + exemption - k, at least 1."""
        air = decode(power(degree, offset).to_bytes())
        assert air.tables[0].asserted == ((degree, offset),)
        assert air.tables[0].rows_read == offset + 1
        excess = degree * 15 + offset - 16
        assert layout(air).places[0].chunks == (excess // 16 + 1 if excess >= 0 else 1)

    def test_chunks_of_slots(self) -> None:
        """With 4 slots each exempted row counts four times; with boundaries or lookups theirs count too."""
        (place,) = layout(decode(replace(power(2, 1), log_slots=2).to_bytes())).places
        assert place.table.numerator_degree(15) == 2 * 15 + 4
        (place,) = layout(decode(replace(LOOKUP, batch=2).to_bytes())).places
        assert place.table.numerator_degree(7) == 3 * 7
        (place,) = layout(decode(FIBONACCI.to_bytes())).places
        assert place.table.numerator_degree(7) == 7 + 7

    def test_degree_is_formal(self) -> None:
        """Degrees: the maximum for sums and differences, the sum for products, 1 for periodics, 0 for values."""
        spec = Spec(
            columns=1,
            reads=((0, 0), (0, 3)),
            periodics=((0, (7,)),),
            registers=3,
            # slots: registers 0..2, reads 3, 4, periodic 5, public 6, constants 7, 8
            instructions=(
                (MUL, 0, 3, 5),  # degree 2
                (SUB, 1, 0, 0),  # formally 2, though it is zero
                (MUL, 2, 1, 6),  # 2
                (ASSERT, 0, 2, 0),
                (MUL, 2, 2, 4),  # 3, exemption 3
                (ASSERT, 0, 2, 0),
                (ADD, 2, 7, 3),  # overwritten: degree 1, exemption 0
                (ASSERT, 0, 2, 0),
                (ASSERT, 0, 4, 0),  # a read itself
            ),
        )
        (table,) = decode(spec.to_bytes()).tables
        assert table.asserted == ((2, 0), (3, 3), (1, 0), (1, 3))

    def test_without_assertions(self) -> None:
        """With boundaries only there is one chunk."""
        air = decode(replace(FIBONACCI, instructions=()).to_bytes())
        assert (layout(air).places[0].chunks, air.constraints) == (1, 2)

    @pytest.mark.parametrize(("columns", "narrow"), [(27, True), (28, False)])
    def test_layout(self, columns: int, narrow: bool) -> None:
        """The layout is narrow up to W + 5c = 32."""
        spec = Spec(columns=columns, reads=tuple((c, 0) for c in range(columns)), boundaries=((0, 0, 2 + columns),))
        assert layout(decode(spec.to_bytes())).narrow is narrow


def layout(air: Air, *, zk: bool = False) -> Layout:
    return Layout(air, ReferenceParameters(3, 0, 0, False, zk, 4))


def quotient(table: Table, publics: list[int], reads: Sequence[F], alpha: F, x: F) -> F:
    """Q(x) of a table without lookups, the first of its AIR."""
    openings = TableOpenings(reads, [], ZERO, [])
    return table_quotient(table, publics, openings, ZERO, Challenges(ZERO, ZERO, alpha, x), 0)


def interpolate(points: list[F], values: list[F], x: F) -> F:
    """Lagrange's interpolation at x."""
    total = ZERO
    for i, a in enumerate(points):
        numerator, denominator = values[i], ONE
        for j, b in enumerate(points):
            if i != j:
                numerator, denominator = numerator * (x - b), denominator * (a - b)
        total = total + numerator * denominator.inverse()
    return total


def column_value(column: list[int], x: F) -> F:
    """The value at x of the polynomial that takes `column` on the roots of unity of its length."""
    root = w(len(column).bit_length() - 1)
    points = [F.of(pow(root, i, P)) for i in range(len(column))]
    return interpolate(points, [F.of(value) for value in column], x)


def random_element(rng: random.Random) -> F:
    return F(rng.randrange(P) for _ in range(5))


def is_polynomial(air: Air, trace: list[list[int]], publics: list[int], rng: random.Random) -> bool:
    """Whether Q, evaluated from the trace at random points, is a polynomial of degree < c*k."""
    (place,) = layout(air).places
    table = place.table
    k, root = table.header.height, w(table.header.log_height)
    alpha = random_element(rng)
    points = [random_element(rng) for _ in range(place.chunks * k + 1)]
    values = []
    for x in points:
        reads = [column_value(trace[c], x.scale(pow(root, o, P))) for c, o in table.reads]
        values.append(quotient(table, publics, reads, alpha, x))
    return interpolate(points[:-1], values[:-1], points[-1]) == values[-1]


def fibonacci_trace() -> list[list[int]]:
    a, b = [0], [1]
    for _ in range(7):
        a.append(b[-1])
        b.append(a[-2] + b[-1])
    return [a, b]


# One column and three periodic columns: x[i+2] = (x[i] + r[i]) * x[i+1] where s[i] is 1, no condition elsewhere.
PERIODIC = Spec(
    columns=1,
    reads=((0, 0), (0, 1), (0, 2)),
    periodics=((0, (5,)), (1, (1, 0)), (3, tuple(range(10, 18)))),
    registers=1,
    # slots: register 0, reads 1..3, periodics 4..6, public 7, constants 8, 9
    instructions=((ADD, 0, 1, 6), (MUL, 0, 0, 2), (SUB, 0, 3, 0), (MUL, 0, 0, 5), (ASSERT, 0, 0, 0)),
    boundaries=((0, 7, 7),),
)


def periodic_trace() -> list[list[int]]:
    x = [3, 4]
    for i in range(6):
        x.append((x[i] + 10 + i) * x[i + 1] % P if i % 2 == 0 else 1000 + i)
    return [x]


class TestQuotient:
    def test_honest_fibonacci(self) -> None:
        """For a trace that satisfies all constraints, Q is a polynomial of degree < c*k."""
        air, trace = decode(FIBONACCI.to_bytes()), fibonacci_trace()
        assert is_polynomial(air, trace, [trace[1][6]], random.Random(1))

    @pytest.mark.parametrize("row", range(8))
    @pytest.mark.parametrize("column", range(2))
    def test_each_cell_counts(self, row: int, column: int) -> None:
        """A changed cell in any row makes Q no polynomial."""
        air, trace = decode(FIBONACCI.to_bytes()), fibonacci_trace()
        publics = [trace[1][6]]
        trace[column][row] += 1
        assert not is_polynomial(air, trace, publics, random.Random(2))

    def test_a_false_public_value(self) -> None:
        """A public value that the trace does not have makes Q no polynomial."""
        air, trace = decode(FIBONACCI.to_bytes()), fibonacci_trace()
        assert not is_polynomial(air, trace, [trace[1][6] + 1], random.Random(3))

    def test_honest_periodic(self) -> None:
        """Periodic columns of period 1, 2 and k, read at their rows, and an exemption of two rows."""
        air, trace = decode(PERIODIC.to_bytes()), periodic_trace()
        assert air.tables[0].asserted == ((3, 2),)
        assert is_polynomial(air, trace, [trace[0][7]], random.Random(4))

    @pytest.mark.parametrize("row", range(6))
    def test_selected_rows_count_and_others_do_not(self, row: int) -> None:
        """A change at a row that no selected constraint reads keeps Q a polynomial; any other change does not."""
        air, trace = decode(PERIODIC.to_bytes()), periodic_trace()
        publics = [trace[0][7]]
        trace[0][row] += 1
        holds = all(trace[0][i + 2] == (trace[0][i] + 10 + i) * trace[0][i + 1] % P for i in range(0, 6, 2))
        assert is_polynomial(air, trace, publics, random.Random(5)) is holds

    @pytest.mark.parametrize(("degree", "offset"), [(1, 0), (1, 15), (2, 0), (2, 1), (3, 2), (5, 0), (8, 15)])
    def test_degree_bound(self, degree: int, offset: int) -> None:
        """Q of a constraint of any degree and exemption has degree < c*k."""
        air, rng = decode(power(degree, offset).to_bytes()), random.Random(6)
        # (x' + public) * x^(degree-1) = 0 at all rows but the exempt ones: x is -public after the first rows, which
        # are free; without exemption, x may be zero as well if the degree is above one.
        trace = [rng.randrange(P) for _ in range(offset)] + [P - 9] * (16 - offset)
        if offset == 0 and degree > 1:
            trace = [rng.choice([0, P - 9]) for _ in range(16)]
        assert is_polynomial(air, [trace], [9], rng)
        assert not is_polynomial(air, [[*trace[:15], 1]], [9], rng)

    def test_boundary_constraint_is_its_definition(self) -> None:
        """B is (S*T - U) / V, with S and U interpolated from the boundary rows and their values."""
        spec = replace(FIBONACCI, instructions=(), boundaries=((1, 0, 8), (1, 3, 6), (1, 7, 7)))
        air, rng = decode(spec.to_bytes()), random.Random(9)
        x, t, public = random_element(rng), random_element(rng), rng.randrange(P)
        s = column_value([1, 0, 0, 1, 0, 0, 0, 1], x)
        u = column_value([1, 0, 0, public, 0, 0, 0, 0], x)
        expected = (s * t - u) * (x**8 - ONE).inverse()
        reads = [random_element(rng), t, random_element(rng), random_element(rng)]
        assert quotient(air.tables[0], [public], reads, random_element(rng), x) == expected

    def test_coefficients_run_through_all_constraints(self) -> None:
        """Constraint i has the coefficient alpha^i: assertions first, then columns with boundaries."""
        air, rng = decode(FIBONACCI.to_bytes()), random.Random(10)
        alpha, x = random_element(rng), random_element(rng)
        a, b, a1, b1 = reads = [random_element(rng) for _ in range(4)]
        last = F.of(pow(w(3), 7, P))
        scale = (x - last) * (x**8 - ONE).inverse()
        total = (a1 - b) * scale + alpha * (b1 - a - b) * scale
        total = total + alpha**2 * a.scale(inverse(8)) * (x - ONE).inverse()
        sixth = F.of(pow(w(3), 6, P))
        boundary = (b - ONE) * (x - ONE).inverse() + (b - F.of(13)) * sixth * (x - sixth).inverse()
        assert quotient(air.tables[0], [13], reads, alpha, x) == total + alpha**3 * boundary.scale(inverse(8))


class TestLookupConstraints:
    def test_they_are_their_definition(self) -> None:
        """L_a = h_a * F_a - N_a, and for the last batch the step of the running sum, as section 4.4 says."""
        rng = random.Random(11)
        three = ((0, 0, 7, 2, 3), (0, 1, 8, 5, 4), (0, 0, 2, 3, 3))
        spec = replace(LOOKUP, instructions=(), boundaries=(), interactions=three)
        (table,) = decode(spec.to_bytes()).tables
        gamma, beta, alpha, x, sigma, h, phi, following = (random_element(rng) for _ in range(8))
        a, b, a1, b1 = reads = [random_element(rng) for _ in range(4)]
        f = [gamma - beta * u - beta * beta * v for u, v in ((a, b), (b1, a1), (b, b))]
        first = h * f[0] * f[1] - (ZERO * f[1] - ONE * f[0])
        last = (following - phi - h + sigma.scale(inverse(8))) * f[2] - a
        expected = (alpha**5 * first + alpha**6 * last) * (x**8 - ONE).inverse()
        openings = TableOpenings(reads, [h, phi], following, [])
        assert table_quotient(table, [4], openings, sigma, Challenges(gamma, beta, alpha, x), 5) == expected

    def test_the_bus_is_part_of_the_fingerprint(self) -> None:
        """The same tuple on another bus has another fingerprint, apart by the buses' numbers."""
        gamma, beta, x = (random_element(random.Random(i)) for i in range(3))
        found = []
        for bus in (0, 1):
            spec = replace(LOOKUP, buses=(2, 2), interactions=((bus, 0, 7, 2, 3),), instructions=(), boundaries=())
            (table,) = decode(spec.to_bytes()).tables
            openings = TableOpenings([ONE] * 4, [ZERO], ONE, [])
            value = table_quotient(table, [4], openings, ZERO, Challenges(gamma, beta, ONE, x), 0)
            found.append(value * (x**8 - ONE))  # F, since phi steps by one and the multiplicity is zero
        assert found[0] - found[1] == ONE
