"""Proven bits, parameters, expected sizes, and the chooser."""

from __future__ import annotations

import dataclasses
import itertools
import math
import pickle
import time
from fractions import Fraction
from typing import Any, Literal

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aprover.errors import ProofFormatError, SecurityError, VerificationCode
from aprover.reference.layout import ReferenceParameters
from aprover.reference.security import proven_bits
from aprover.security import (
    Parameters,
    SecurityReport,
    Shape,
    choose,
    costs,
    layout_of,
    minimal_queries,
    predicted_time,
    proof_size,
    security_report,
    usual_bytes,
)
from aprover.security.chooser import DEAREST, MARGIN, MAX_COMMITTED_BYTES, SMALL_LOG_HEIGHT, TRADE
from aprover.security.costs import Tree, committed_bytes, expected_opening, trees
from aprover.security.shape import PHASES
from aprover.security.soundness import LOG2_FIELD, Code, cached_report, log2_falling
from tests import security_exact as exact
from tests.support import toy_air, toy_programs, toy_prover, toy_tables
from tests.support.shapes import airs, case_of, random_airs, random_proofs, reference_of, shape_of, table
from tests.support.toy_air import Air
from tests.support.toy_layout import Layout as ToyLayout
from tests.support.toy_layout import Parameters as ToyParameters

FIBONACCI = table(3)
"""Two columns, two transitions, two boundary columns; four reads, all at most one row ahead; one chunk."""

TALL = table(3, 32, reads=63)
"""The design's N = 64: 32 columns of which 31 are read in two rows, and one chunk. A wide layout."""


def fibonacci(log_height: int) -> Shape:
    return shape_of(airs(dataclasses.replace(FIBONACCI, log_height=log_height)))


def tall(log_height: int) -> Shape:
    return shape_of(airs(dataclasses.replace(TALL, log_height=log_height)))


def wide(log_height: int, degree: int = 3) -> Shape:
    """300 columns, read in two rows, with transitions of a degree."""
    return shape_of(airs(table(log_height, 300, reads=600, asserted=((degree, 1),) * 298)))


def ledger(log_height: int) -> Shape:
    """Three tables of different heights with lookups and preprocessed columns."""
    return shape_of(
        airs(
            table(log_height, 30, reads=60, asserted=((3, 1),) * 10, interactions=4, batch=2, lookup_degree=4),
            table(max(3, log_height - 4), 1, preprocessed=2, asserted=(), bounded=0, interactions=1),
            table(max(3, log_height - 1), 5, asserted=((2, 0),), bounded=0, interactions=1),
        )
    )


def evolved(shape: Shape, **changes: Any) -> Shape:
    """A shape whose first table is changed."""
    return attrs.evolve(shape, tables=(attrs.evolve(shape.tables[0], **changes), *shape.tables[1:]))


def openings(shape: Shape, count: int) -> Shape:
    """A shape of one table and one chunk that has so many openings."""
    return evolved(shape, openings=count - 1)


# (shape, parameters, queries that the design expects)
EXPECTED = [
    (fibonacci(5), Parameters(3, 12), 12),
    (fibonacci(8), Parameters(3, 54), 54),
    (tall(20), Parameters(2, 87, grinding_bits=16), 87),
    (tall(20), Parameters(3, 58, grinding_bits=16), 58),
]

# Every round of the four, to 1e-6 bits; derived by security_exact, and checked against it below.
PINNED: list[dict[str, float]] = [
    {
        "constraints": 147.7865255,
        "out-of-domain": 143.7641577,
        "batching": 124.3797570,
        "fold 0": 126.5724011,
        "queries": math.inf,
        "hash": 128.0,
    },
    {
        "constraints": 144.4875585,
        "out-of-domain": 137.4847435,
        "batching": 104.8849432,
        "fold 0": 107.0775883,
        "queries": 102.4036102,
        "hash": 128.0,
    },
    {
        "constraints": 146.8620276,
        "out-of-domain": 127.8620270,
        "batching": 100.7800082,
        "fold 0": 106.9499332,
        "fold 1": 109.9499332,
        "fold 2": 112.9499332,
        "fold 3": 115.9499332,
        "fold 4": 118.9499332,
        "queries": 100.5157224,
        "hash": 128.0,
    },
    {
        "constraints": 146.8249996,
        "out-of-domain": 127.8249989,
        "batching": 100.5948673,
        "fold 0": 106.7647923,
        "fold 1": 109.7647923,
        "fold 2": 112.7647923,
        "fold 3": 115.7647923,
        "fold 4": 118.7647923,
        "queries": 100.7078725,
        "hash": 128.0,
    },
]
MULTIPLICITIES = [9, 93, 25, 18]


def shapes(max_log_height: int = 22) -> st.SearchStrategy[Shape]:
    return random_airs(max_log_height).map(shape_of)


def proofs(max_log_height: int = 22) -> st.SearchStrategy[tuple[Shape, Parameters]]:
    return random_proofs(max_log_height).map(lambda proof: (shape_of(proof[0]), proof[1]))


def rounds(report: SecurityReport) -> dict[str, float]:
    return {term.name: term.bits for term in report.terms}


class TestParameters:
    """The eight bytes of section 5."""

    def test_known_bytes(self) -> None:
        """The order is blowup, grinding, cap, flags, then the queries as a little-endian u32."""
        parameters = Parameters(log_blowup=2, queries=0x0102, grinding_bits=16, cap_log=3, independent=True)
        assert parameters.to_bytes() == bytes([2, 16, 3, 1, 0x02, 0x01, 0, 0])
        assert attrs.evolve(parameters, zk=True).to_bytes()[3] == 3
        assert attrs.evolve(parameters, independent=False, zk=True).to_bytes()[3] == 2

    @given(proofs())
    def test_bytes_come_back(self, proof: tuple[Shape, Parameters]) -> None:
        """Reading what was written gives the same parameters."""
        assert Parameters.from_bytes(proof[1].to_bytes()) == proof[1]

    @given(st.binary(min_size=8, max_size=8))
    def test_reading_is_canonical(self, data: bytes) -> None:
        """Bytes are either refused or written back unchanged."""
        try:
            parameters = Parameters.from_bytes(data)
        except ProofFormatError as error:
            assert error.code is VerificationCode.PARAMETERS
        else:
            assert parameters.to_bytes() == data

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            bytes([1, 0, 0, 0, 1, 0, 0]),
            bytes([1, 0, 0, 0, 1, 0, 0, 0, 0]),
            bytes([0, 0, 0, 0, 1, 0, 0, 0]),
            bytes([7, 0, 0, 0, 1, 0, 0, 0]),
            bytes([1, 33, 0, 0, 1, 0, 0, 0]),
            bytes([1, 64, 0, 0, 1, 0, 0, 0]),
            bytes([1, 0, 9, 0, 1, 0, 0, 0]),
            bytes([1, 0, 0, 4, 1, 0, 0, 0]),
            bytes([1, 0, 0, 0, 0, 0, 0, 0]),
            bytes([1, 0, 0, 0, 1, 16, 0, 0]),
            bytes([1, 0, 0, 0, 1, 0, 0, 1]),
        ],
    )
    def test_what_section_5_forbids_is_refused(self, data: bytes) -> None:
        """Wrong length, no blowup, blowup 128, 33 or 64 bits of grinding, a cap too large, an unknown flag, no or too
        many queries."""
        with pytest.raises(ProofFormatError) as caught:
            Parameters.from_bytes(data)
        assert caught.value.code is VerificationCode.PARAMETERS

    def test_the_extremes_are_read(self) -> None:
        """The limits of section 5 are inclusive."""
        assert Parameters.from_bytes(bytes([6, 32, 8, 1, 0, 16, 0, 0])) == Parameters(6, 4096, 32, 8, True)
        assert Parameters.from_bytes(bytes([1, 0, 0, 0, 1, 0, 0, 0])) == Parameters(1, 1)

    def test_settings_pickle(self) -> None:
        """Shapes, parameters and reports cross process boundaries."""
        report = security_report(*EXPECTED[0][:2])
        for value in (*EXPECTED[0][:2], report):
            assert pickle.loads(pickle.dumps(value)) == value


class TestShape:
    """What follows from a shape."""

    @pytest.mark.parametrize(
        ("columns", "degree", "narrow"), [(27, 1, True), (28, 1, False), (17, 4, True), (18, 4, False)]
    )
    def test_the_layout_turns_wide_above_32_committed_columns(self, columns: int, degree: int, narrow: bool) -> None:
        """Narrow means that columns of all kinds, five for each chunk and each lookup column, are at most 32."""
        shape = evolved(fibonacci(5), columns=columns, terms=((degree, 1),))
        assert shape.layout().narrow is narrow
        assert not shape.layout(3).narrow
        assert evolved(shape, columns=columns - 5, preprocessed=5).layout().narrow is narrow
        looked = {"columns": columns - 10, "interactions": 2, "lookup_columns": 2, "lookup_degrees": (1,)}
        assert evolved(attrs.evolve(shape, bus_width=1), **looked).layout().narrow is narrow

    @pytest.mark.parametrize("log_height", range(3, 25))
    def test_folds_are_those_of_the_protocol(self, log_height: int) -> None:
        """At least one fold by 8, then on until at most 64 coefficients are left."""
        left, count = 1 << log_height, 0
        while count == 0 or left > 64:
            left, count = left // 8, count + 1
        layout = fibonacci(log_height).layout()
        assert (layout.folds, layout.final_length) == (count, left)

    @settings(max_examples=150)
    @given(random_proofs())
    def test_a_layout_is_that_of_section_6(self, proof: tuple[Air, Parameters]) -> None:
        """Levels, lengths, masks, chunks and openings are those of the slow prover, which was written apart."""
        air, parameters = proof
        expected = ToyLayout(air, ToyParameters.from_bytes(parameters.to_bytes()))
        layout = layout_of(shape_of(air), parameters)
        assert [level.log_length for level in layout.levels] == expected.log_lengths
        assert [level.log_arity for level in layout.levels[:-1]] == [expected.log_arity(t) for t in range(layout.folds)]
        assert (layout.narrow, layout.openings, layout.zk) == (expected.narrow, expected.openings, parameters.zk)
        assert layout.log_indices(parameters.log_blowup) == expected.log_indices
        for place, other in zip(layout.tables, expected.places, strict=True):
            assert (place.level, place.log_length, place.masks) == (other.level, other.log_length, other.masks)
            assert (place.chunks, place.stride) == (other.chunks, other.stride)
        for t, level in enumerate(layout.levels):
            assert level.tables == len(expected.tables_at(t))
            for phase, columns in zip(PHASES, level.columns, strict=True):
                mask = 5 * (parameters.zk and t == 0 and phase == "quotient")
                assert columns == sum(expected.places[i].phase_columns[phase] for i in expected.tables_at(t)) + mask

    def test_masked_tables_have_few_chunks(self) -> None:
        """A short table of high degree with many masks is lengthened until its quotient has at most 8 chunks."""
        for degree, queries in itertools.product(range(1, 9), (1, 17, 100, 300, 4096)):
            (place,) = evolved(fibonacci(3), terms=((degree, 1),)).layout(queries).tables
            assert place.chunks <= 8
            assert place.stride >= 8

    @pytest.mark.parametrize(
        "change",
        [
            {"log_height": 2},
            {"log_height": 25},
            {"columns": 0},
            {"columns": 4097},
            {"preprocessed": 4095},
            {"rows_read": 0},
            {"rows_read": 17},
            {"constraints": 0},
            {"terms": ((0, 1),)},
            {"terms": ((9, 1),)},
            {"openings": 0},
            {"log_slots": 6},
            {"interactions": 1},
            {"lookup_columns": 1},
            {"lookup_degrees": (2,)},
            {"interactions": 1025, "lookup_columns": 1, "lookup_degrees": (2,)},
        ],
    )
    def test_what_section_4_forbids_is_refused(self, change: dict[str, Any]) -> None:
        """A count outside its range is a ValueError that names it."""
        with pytest.raises(ValueError, match=next(iter(change))):
            evolved(fibonacci(5), **change)

    def test_tables_and_buses_are_counted(self) -> None:
        """One to 64 tables; interactions need a bus, and two rows."""
        (one,) = fibonacci(5).tables
        assert Shape((one,) * 64).constraints == 64 * one.constraints
        for count in (0, 65):
            with pytest.raises(ValueError, match="tables"):
                Shape((one,) * count)
        looked = attrs.evolve(one, interactions=1, lookup_columns=1, lookup_degrees=(2,))
        with pytest.raises(ValueError, match="bus_width"):
            Shape((looked,))
        assert Shape((looked,), 1).lookups == 32
        with pytest.raises(ValueError, match="rows_read"):
            attrs.evolve(looked, rows_read=1)

    def test_no_more_rows_are_read_than_there_are(self) -> None:
        """An offset is below the height."""
        assert evolved(fibonacci(3), rows_read=8).tables[0].rows_read == 8
        with pytest.raises(ValueError, match="rows_read"):
            evolved(fibonacci(3), rows_read=9)


class TestExpected:
    """The query counts that the design expects for 100 bits."""

    @pytest.mark.parametrize(("shape", "parameters", "queries"), EXPECTED)
    def test_minimal_queries(self, shape: Shape, parameters: Parameters, queries: int) -> None:
        """Within two of the design's figure."""
        found = minimal_queries(shape, parameters.log_blowup, parameters.grinding_bits, parameters.independent, 100)
        assert found is not None
        assert abs(found - queries) <= 2

    def test_the_layout_of_a_tall_trace_does_not_matter(self) -> None:
        """With 2^19 octets or 2^22 rows to draw from, drawing without replacement gains nothing."""
        narrow = evolved(tall(20), columns=21, rows_read=3)
        assert narrow.layout().narrow
        assert not tall(20).layout().narrow
        assert minimal_queries(narrow, 2, 16, False, 100) == minimal_queries(tall(20), 2, 16, False, 100) == 87

    def test_distinct_indices_are_why_few_suffice(self) -> None:
        """With replacement the first shape would need the design's 69 queries, not 12."""
        agreement = math.sqrt(1 / 8) * (1 + 1 / (2 * 16))
        assert math.ceil(100 / -math.log2(agreement)) in range(67, 72)
        assert minimal_queries(fibonacci(5), 3, 0, False, 100) == 12


class TestReport:
    """The table of rounds of one proof."""

    @pytest.mark.parametrize(
        ("shape", "parameters", "pinned", "m"),
        [(*one[:2], table, m) for one, table, m in zip(EXPECTED, PINNED, MULTIPLICITIES, strict=True)],
    )
    def test_pinned_rounds(self, shape: Shape, parameters: Parameters, pinned: dict[str, float], m: int) -> None:
        """Every round of the four expected shapes, and which multiplicity gives them."""
        report = security_report(shape, parameters)
        assert rounds(report) == pytest.approx(pinned, abs=1e-6)
        assert (report.regime, report.multiplicity) == ("johnson", m)
        assert report.proven_bits == pytest.approx(min(pinned.values()), abs=1e-6)
        assert (report.queries, report.blowup) == (parameters.queries, 1 << parameters.log_blowup)
        assert report.grinding_bits == parameters.grinding_bits

    @pytest.mark.parametrize(("shape", "parameters"), [one[:2] for one in EXPECTED])
    def test_the_pinned_rounds_are_exact(self, shape: Shape, parameters: Parameters) -> None:
        """Exact arithmetic, trying every multiplicity up to 120, agrees on the table and on the choice of regime."""
        air = airs(dataclasses.replace(FIBONACCI if shape.layout().narrow else TALL, log_height=shape.log_height))
        m, terms = exact.best(case_of(air, parameters), most=120)
        report = security_report(shape, parameters)
        assert report.multiplicity == m
        assert rounds(report) == pytest.approx(terms, abs=1e-6)

    @settings(max_examples=100)
    @given(random_proofs(max_log_height=17))
    def test_any_report_is_exact(self, proof: tuple[Air, Parameters]) -> None:
        """For any shape and parameters, floats and exact arithmetic agree on each round to 1e-6 bits."""
        air, parameters = proof
        report = security_report(shape_of(air), parameters)
        assert rounds(report) == pytest.approx(exact.rounds(case_of(air, parameters), report.multiplicity), abs=1e-6)

    @settings(max_examples=25)
    @given(proofs())
    def test_no_multiplicity_gives_more(self, proof: tuple[Shape, Parameters]) -> None:
        """The bisection finds what trying every allowed multiplicity, and unique decoding, finds."""
        shape, parameters = proof
        code = Code(shape, layout_of(shape, parameters), parameters.log_blowup, parameters.independent)

        def bits(m: int | None) -> float:
            return min(code.committed_bits(m), code.query_bits(m, parameters.queries, parameters.grinding_bits))

        allowed = [m for m in range(3, 1001) if (1 + Fraction(1, 2 * m)) ** 2 >= 1 + code.layout.slack]
        every: list[int | None] = [None, *allowed]
        first = max(every, key=bits)
        report = security_report(shape, parameters)
        assert report.multiplicity == first
        assert report.proven_bits == min(128.0, bits(first))
        assert report.regime == ("unique-decoding" if first is None else "johnson")

    @settings(max_examples=60)
    @given(random_proofs(), st.none() | st.integers(3, 1000))
    def test_agreement_is_the_floor_it_says(self, proof: tuple[Air, Parameters], m: int | None) -> None:
        """A = floor((1 - theta) * M), which a float would sometimes miss by one."""
        air, parameters = proof
        shape = shape_of(air)
        code = Code(shape, layout_of(shape, parameters), parameters.log_blowup, parameters.independent)
        assert code.agreement(m) == exact.agreement(case_of(air, parameters), m)

    @settings(max_examples=60)
    @given(random_proofs())
    def test_both_verifiers_report_the_same(self, proof: tuple[Air, Parameters]) -> None:
        """The reference verifier's own computation agrees far within the chooser's margin."""
        air, parameters = proof
        parameters = attrs.evolve(parameters, queries=min(parameters.queries, 150))  # it is slow with more
        theirs = proven_bits(reference_of(air), ReferenceParameters.from_bytes(parameters.to_bytes()))
        assert theirs == pytest.approx(security_report(shape_of(air), parameters).proven_bits, abs=MARGIN / 1e4)

    def test_the_hash_limits_every_report(self) -> None:
        """No more than 128 bits are claimed, however strong the rounds are."""
        report = security_report(fibonacci(3), Parameters(1, 2))
        assert report.proven_bits == 128.0
        assert min(bits for name, bits in rounds(report).items() if name != "hash") > 128

    def test_one_query_proves_next_to_nothing(self) -> None:
        """A weak proof is reported as weak."""
        assert security_report(fibonacci(10), Parameters(1, 1)).proven_bits < 1

    def test_a_word_may_agree_everywhere(self) -> None:
        """At rate 1/2 with as many rows read as there are, no word is far, and there are no bits to claim."""
        shape = openings(evolved(fibonacci(3), rows_read=8), 17)
        assert security_report(shape, Parameters(1, 2)).proven_bits == 0.0

    def test_parameters_must_fit_the_shape(self) -> None:
        """More queries than indices, or an LDE domain beyond 2^27, is malformed, not weak."""
        security_report(fibonacci(5), Parameters(3, 32))
        for shape, parameters in ((fibonacci(5), Parameters(3, 33)), (fibonacci(24), Parameters(4, 50))):
            for function in (security_report, proof_size, predicted_time):
                with pytest.raises(ProofFormatError) as caught:
                    function(shape, parameters)
                assert caught.value.code is VerificationCode.PARAMETERS

    def test_a_report_is_made_in_two_milliseconds(self) -> None:
        """A verifier makes one for every proof; so it must be fast even when it is not cached."""

        def cold(parameters: Parameters) -> float:
            start = time.perf_counter()
            cached_report.__wrapped__(tall(20), parameters)
            return time.perf_counter() - start

        assert min(cold(Parameters(3, 58, grinding_bits=16)) for _ in range(20)) < 2e-3
        assert min(cold(Parameters(3, 4096)) for _ in range(20)) < 2e-3


class TestRounds:
    """What each number moves, in a fixed regime: a report in which two were mixed up would show it."""

    def changed(self, before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
        return {name: after[name] - before[name] for name in before if abs(after[name] - before[name]) > 1e-9}

    def table(self, m: int | None, shape: Shape, parameters: Parameters) -> dict[str, float]:
        code = Code(shape, layout_of(shape, parameters), parameters.log_blowup, parameters.independent)
        queries = code.query_bits(m, parameters.queries, parameters.grinding_bits)
        return {**dict(code.terms(m)), "queries": queries}

    @pytest.mark.parametrize("m", [None, 3, 25])
    def test_each_number_moves_its_own_rounds(self, m: int | None) -> None:
        """Altering one number alone changes the rounds that depend on it, by what it should."""
        shape, parameters = tall(20), Parameters(2, 87, grinding_bits=16)
        before = self.table(m, shape, parameters)

        def moved(**changes: Any) -> dict[str, float]:
            at_shape = {name: value for name, value in changes.items() if hasattr(shape.tables[0], name)}
            at_parameters = {name: value for name, value in changes.items() if name not in at_shape}
            after = self.table(m, evolved(shape, **at_shape), attrs.evolve(parameters, **at_parameters))
            return self.changed(before, after)

        assert moved(cap_log=4) == {}
        assert moved(grinding_bits=20) == pytest.approx({"queries": 4.0})
        assert set(moved(queries=88)) == {"queries"}
        assert moved(independent=True) == pytest.approx({"batching": math.log2(63)})
        assert moved(openings=126) == pytest.approx({"batching": -1.0})
        assert moved(constraints=8) == pytest.approx({"constraints": -1.0})
        # the boundaries have degree 2 with the factor that they are multiplied by
        assert moved(terms=((4, 1),))["out-of-domain"] == pytest.approx(-1.0, abs=1e-5)
        assert set(moved(terms=((4, 1),))) == {"out-of-domain", "batching"}  # more chunks are more openings
        assert moved(columns=4000, preprocessed=96) == {}
        lists = set() if m is None else {"constraints"}
        distances = {"queries", *(name for name in before if name.startswith(("batching", "fold")))}
        assert set(moved(log_blowup=3)) - {"out-of-domain"} == lists | distances
        taller = self.table(m, evolved(shape, log_height=23), parameters)
        assert set(taller) - set(before) == {"fold 5"}
        assert {name: taller[name] - before[name] for name in ("out-of-domain", "batching", "fold 0")} == pytest.approx(
            {"out-of-domain": -3.0, "batching": -3.0, "fold 0": -3.0}, abs=1e-3
        )

    def test_the_narrow_layout_draws_cosets(self) -> None:
        """The indices are the fold cosets of level 0 in the narrow layout, and all its positions in the wide one."""
        assert 1 << fibonacci(8).layout().log_indices(3) == 256
        assert 1 << tall(8).layout().log_indices(3) == 2048

    @pytest.mark.parametrize("m", [None, 5])
    def test_tables_and_lookups_move_what_they_should(self, m: int | None) -> None:
        """Twice the fractions, or twice the width + 1 of the widest bus: a bit of the lookups. A lower level: one more
        power in the fold that it enters, and its line error in the batching. The mask: one word more to batch."""
        shape, parameters = ledger(12), Parameters(2, 87)
        before = self.table(m, shape, parameters)
        assert before.keys() >= {"lookups", "fold 0"}
        wider = self.table(m, attrs.evolve(shape, bus_width=2 * shape.bus_width + 1), parameters)
        assert self.changed(before, wider) == pytest.approx({"lookups": -1.0})
        alone = Shape(shape.tables[:1], shape.bus_width)
        twice = evolved(alone, interactions=8)
        once = self.table(m, alone, parameters)
        assert self.changed(once, self.table(m, twice, parameters)) == pytest.approx({"lookups": -1.0})
        # two levels, 2^12 and 2^11, that a fold by 2 links: two powers instead of one; alone, a fold by 8: seven
        two = fibonacci(12).tables + fibonacci(11).tables
        linked = self.table(m, Shape(two), parameters)
        lines = Code(Shape(two), Shape(two).layout(), 2, False)._lines(m)
        assert linked["fold 0"] == pytest.approx(LOG2_FIELD - math.log2(2 * lines(13)))
        assert linked["batching"] == pytest.approx(LOG2_FIELD - math.log2((lines(14) + lines(13)) * 9))
        single = self.table(m, fibonacci(12), parameters)
        lines = Code(fibonacci(12), fibonacci(12).layout(), 2, False)._lines(m)
        assert single["fold 0"] == pytest.approx(LOG2_FIELD - math.log2(7 * lines(11)))

    def test_a_mask_is_one_word_more_to_batch(self) -> None:
        """N is one more in a zero-knowledge proof, with the chunks that the masked table has."""
        parameters = Parameters(2, 20, zk=True)
        layout = layout_of(fibonacci(12), parameters)
        assert layout.batched == layout.openings + 1
        assert layout_of(fibonacci(12), attrs.evolve(parameters, zk=False)).batched == 5

    @settings(max_examples=50)
    @given(proofs(), st.data())
    def test_a_stronger_parameter_never_weakens(self, proof: tuple[Shape, Parameters], data: st.DataObject) -> None:
        """More queries, more grinding, or independent coefficients: never fewer bits."""
        shape, parameters = proof
        assume(not parameters.zk)  # there, more queries need longer tables
        limit = min(4096, 1 << shape.layout().log_indices(parameters.log_blowup))
        stronger = attrs.evolve(
            parameters,
            queries=data.draw(st.integers(parameters.queries, limit)),
            grinding_bits=data.draw(st.integers(parameters.grinding_bits, 32)),
            independent=parameters.independent or data.draw(st.booleans()),
        )
        assert security_report(shape, stronger).proven_bits >= security_report(shape, parameters).proven_bits - 1e-9

    @settings(max_examples=50)
    @given(proofs(), st.data())
    def test_a_harder_shape_never_strengthens(self, proof: tuple[Shape, Parameters], data: st.DataObject) -> None:
        """More constraints or openings: never more bits."""
        shape, parameters = proof
        (first, *rest) = shape.tables
        before = security_report(shape, parameters).proven_bits
        harder = attrs.evolve(
            first,
            constraints=data.draw(st.integers(first.constraints, 2**20)),
            openings=data.draw(st.integers(first.openings, 16384)),
        )
        assert security_report(attrs.evolve(shape, tables=(harder, *rest)), parameters).proven_bits <= before + 1e-9

    @settings(max_examples=50)
    @given(proofs(), st.data())
    def test_reading_more_rows_lets_more_indices_agree(
        self, proof: tuple[Shape, Parameters], data: st.DataObject
    ) -> None:
        """The distance shrinks, and queries are worth no more; the line error, which grows with it, shrinks."""
        shape, parameters = proof
        assume(not parameters.zk)
        (first, *rest) = shape.tables
        read = attrs.evolve(first, rows_read=data.draw(st.integers(first.rows_read, min(16, first.height))))
        harder = attrs.evolve(shape, tables=(read, *rest))
        few, more = (Code(s, s.layout(), parameters.log_blowup, False) for s in (shape, harder))
        assert more.agreement(None) >= few.agreement(None)
        assert more.largest_multiplicity() <= few.largest_multiplicity()

    @given(st.integers(1, 2**27), st.integers(0, 4096))
    def test_falling_factorials(self, a: int, q: int) -> None:
        """log2 of a falling factorial is right to 1e-8 bits, far below what a report shows."""
        q = min(a, q)
        assert log2_falling(a, q) == pytest.approx(math.log2(math.perm(a, q)), abs=1e-8)

    @pytest.mark.parametrize(("a", "q"), [(8191, 4096), (8192, 4096), (8191, 1), (8192, 1), (4096, 4096), (1, 1)])
    def test_falling_factorials_where_the_method_changes(self, a: int, q: int) -> None:
        """The two ways of computing them meet."""
        assert log2_falling(a, q) == pytest.approx(math.log2(math.perm(a, q)), abs=1e-8)


def opened(leaves: set[int], log_leaves: int, cap_log: int) -> tuple[int, int]:
    """How many leaves and digests section 6's multi-proof of a tree has."""
    nodes, digests = leaves, 0
    for _ in range(log_leaves - cap_log):
        digests += sum(1 for node in nodes if node ^ 1 not in nodes)
        nodes = {node >> 1 for node in nodes}
    return len(leaves), digests


class TestProofSize:
    """Expected bytes."""

    @staticmethod
    def counted(log_leaves: int, log_indices: int, queries: int, cap_log: int) -> tuple[Fraction, Fraction]:
        """Leaves and digests of section 6's multi-proof, averaged over all sets of indices."""
        leaves = digests = sets = 0
        for indices in itertools.combinations(range(1 << log_indices), queries):
            # which of the equal blocks an index is in does not matter, as long as they are equal
            found = opened({index % (1 << log_leaves) for index in indices}, log_leaves, cap_log)
            sets, leaves, digests = sets + 1, leaves + found[0], digests + found[1]
        return Fraction(leaves, sets), Fraction(digests, sets)

    @pytest.mark.parametrize("cap_log", [0, 2, 5])
    @pytest.mark.parametrize(
        ("log_leaves", "log_indices", "queries"),
        [(4, 4, 1), (4, 4, 5), (4, 4, 15), (4, 4, 16), (1, 4, 3), (0, 3, 2), (3, 5, 3), (2, 5, 4)],
    )
    def test_the_expectation_is_exact(self, log_leaves: int, log_indices: int, queries: int, cap_log: int) -> None:
        """It equals the average over every possible set of query indices, for trees with one or more indices a leaf."""
        found = expected_opening(Tree(log_leaves, 32), log_indices, queries, cap_log)
        counted = self.counted(log_leaves, log_indices, queries, cap_log)
        assert found == pytest.approx([float(value) for value in counted], abs=1e-9)

    @pytest.mark.parametrize("cap_log", [0, 3])
    @pytest.mark.parametrize(("log_height", "columns"), [(3, 2), (5, 2), (10, 2), (3, 20), (5, 20), (10, 20)])
    def test_a_proof_that_opens_everything_has_exactly_this_size(
        self, log_height: int, columns: int, cap_log: int
    ) -> None:
        """With as many queries as indices nothing is left to chance, and a real proof has the predicted length."""
        instance = toy_programs.fibonacci(log_height) if columns == 2 else toy_programs.mixer(log_height, columns)
        shape = shape_of(toy_air.decode(instance.air))
        assert shape.layout().narrow is (columns == 2)
        parameters = Parameters(1, 1 << shape.layout().log_indices(1), cap_log=cap_log)
        claim = instance.air, instance.publics, instance.statement
        proof = toy_prover.prove(*claim, parameters.to_bytes(), instance.traces)
        assert len(proof) == proof_size(shape, parameters)

    def test_so_has_one_of_several_tables(self) -> None:
        """With lookups, preprocessed columns and three levels."""
        instance = toy_tables.ledger(toy_tables.Sizes(8, 3, 7, 2))
        shape, parameters = shape_of(toy_air.decode(instance.air)), Parameters(1, 512, cap_log=2)
        claim = instance.air, instance.publics, instance.statement
        assert len(toy_prover.prove(*claim, parameters.to_bytes(), instance.traces)) == proof_size(shape, parameters)

    @pytest.mark.parametrize(
        ("instance", "parameters"),
        [
            (toy_programs.fibonacci(7), Parameters(2, 12)),
            (toy_programs.mixer(6, 20), Parameters(1, 7, cap_log=2)),
            (toy_programs.mixer(6, 20), Parameters(2, 7, zk=True)),
            (toy_tables.ledger(toy_tables.Sizes(5, 3, 7)), Parameters(1, 9, cap_log=1)),
            (toy_tables.ledger(toy_tables.Sizes(5, 3, 7)), Parameters(2, 9, cap_log=1, zk=True)),
        ],
        ids=["narrow", "wide", "masked", "tables", "masked tables"],
    )
    def test_a_proof_has_this_size_for_the_indices_it_drew(
        self, instance: toy_programs.Instance, parameters: Parameters, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With each tree's expectation replaced by the count for the proof's own indices, its length to the byte."""
        claim = instance.air, instance.publics, instance.statement
        proof, run = toy_prover.prove_run(*claim, parameters.to_bytes(), instance.traces)

        def opening(tree: Tree, log_indices: int, queries: int, cap_log: int) -> tuple[int, int]:
            """An index lies in one of `blowup` blocks, and so does the leaf that it leads to."""
            assert len(run.indices) == queries
            indices, leaves = 1 << log_indices >> parameters.log_blowup, 1 << tree.log_leaves >> parameters.log_blowup
            return opened({at // indices * leaves + at % leaves for at in run.indices}, tree.log_leaves, cap_log)

        monkeypatch.setattr(costs, "expected_opening", opening)
        assert len(proof) == proof_size(shape_of(toy_air.decode(instance.air)), parameters)

    def test_the_trees_are_those_of_section_6(self) -> None:
        """Narrow: coset leaves, and layers from the first on; wide: row leaves, and layer 0 too."""
        narrow, one, fold = fibonacci(13).layout(), fibonacci(9).layout(), tall(13).layout()
        assert list(trees(narrow, 1)) == [Tree(11, 64), Tree(11, 160), Tree(8, 160), Tree(5, 160)]
        assert list(trees(fold, 1)) == [Tree(14, 128), Tree(14, 20), Tree(11, 160), Tree(8, 160), Tree(5, 160)]
        assert list(trees(one, 1)) == [Tree(7, 64), Tree(7, 160)]

    def test_the_trees_of_several_tables(self) -> None:
        """Phase after phase, level after level; preprocessed ones are no work of a proof; salts where masked."""
        shape = shape_of(
            airs(
                table(9, 30, interactions=2, batch=2),
                table(8, 1, preprocessed=2, asserted=(), bounded=0, interactions=1),
            )
        )
        expected = [Tree(9, 8, per_proof=False), Tree(10, 120), Tree(9, 4), Tree(10, 20), Tree(9, 20)]
        expected += [Tree(10, 20), Tree(9, 20), Tree(9, 40), Tree(6, 160)]
        assert list(trees(shape.layout(), 1)) == expected
        masked = list(trees(shape.layout(3), 1))
        assert [tree.leaf_bytes % 20 for tree in masked[:3]] == [8, 120 % 20 + 16, 0]
        assert masked[0].leaf_bytes == 8


Preference = Literal["time", "size", "fastest"]
PREFERENCES: tuple[Preference, ...] = ("time", "size", "fastest")


class TestChoose:
    """Parameters for a shape and wanted bits."""

    @settings(max_examples=40)
    @given(shapes(20), st.sampled_from([80, 100, 110.5, 128]), st.sampled_from(PREFERENCES), st.booleans())
    def test_what_is_chosen_is_strong_enough(self, shape: Shape, bits: float, prefer: Preference, zk: bool) -> None:
        """Either the report of the parameters carries the bits, with a margin, or none can and the error says so."""
        try:
            parameters = choose(shape, bits, prefer, zk)
        except SecurityError as error:
            assert error.code is VerificationCode.SECURITY
            assert error.reachable is not None
            assert error.reachable < bits
        else:
            assert parameters.zk is zk
            report = security_report(shape, parameters)
            assert report.proven_bits >= bits
            rest = min(term.bits for term in report.terms if term.name != "hash")
            assert rest >= bits + MARGIN - 1e-9

    @pytest.mark.parametrize("prefer", PREFERENCES)
    @pytest.mark.parametrize("log_height", [9, 12, 20])
    def test_the_margin_is_kept(self, log_height: int, prefer: Preference) -> None:
        """Parameters that reach the bits by less than the margin are not taken."""
        shape = tall(log_height)

        def reached(parameters: Parameters) -> float:
            return security_report(shape, parameters).proven_bits

        bits = reached(choose(shape, 100, prefer)) - MARGIN / 2
        assert bits < 120
        assert reached(choose(shape, bits, prefer)) >= bits + MARGIN

    @settings(max_examples=40)
    @given(shapes(), st.sampled_from([100, 128]), st.sampled_from(PREFERENCES))
    def test_no_query_too_many(self, shape: Shape, bits: int, prefer: Preference) -> None:
        """With one query fewer the bits are missed."""
        try:
            parameters = choose(shape, bits, prefer)
        except SecurityError:
            assume(False)
        if parameters.queries > 1:
            report = security_report(shape, attrs.evolve(parameters, queries=parameters.queries - 1))
            assert min(term.bits for term in report.terms if term.name != "hash") < bits + MARGIN

    @settings(max_examples=40)
    @given(shapes(), st.sampled_from([100, 128]), st.sampled_from(PREFERENCES))
    def test_independent_coefficients_only_where_needed(self, shape: Shape, bits: int, prefer: Preference) -> None:
        """Where they are chosen, powers at that blowup miss the bits with any number of queries."""
        try:
            parameters = choose(shape, bits, prefer)
        except SecurityError:
            assume(False)
        powers = minimal_queries(shape, parameters.log_blowup, 20, False, bits + MARGIN)
        assert parameters.independent is (powers is None)

    @pytest.mark.parametrize("log_height", range(3, 25))
    def test_small_traces_are_not_ground(self, log_height: int) -> None:
        """No proof of work up to 2^9 rows, at most 20 bits above."""
        grinding = choose(fibonacci(log_height)).grinding_bits
        assert grinding == 0 if log_height <= SMALL_LOG_HEIGHT else 0 < grinding <= 20

    @settings(max_examples=30)
    @given(shapes(), st.sampled_from([100, 120]))
    def test_each_preference_has_its_way(self, shape: Shape, bits: int) -> None:
        """No kind of parameters is more than 3% worse in what it prefers than the other kinds."""
        try:
            usual, small, fast = (choose(shape, bits, prefer) for prefer in PREFERENCES)
        except SecurityError:
            assume(False)
        assert predicted_time(shape, fast) <= TRADE * predicted_time(shape, usual)
        assert proof_size(shape, small) <= TRADE * proof_size(shape, usual)
        assert committed_bytes(shape, small) <= max(MAX_COMMITTED_BYTES, committed_bytes(shape, usual))
        if shape.log_height > SMALL_LOG_HEIGHT:
            assert predicted_time(shape, usual) <= DEAREST * TRADE * predicted_time(shape, small)

    @settings(max_examples=60)
    @given(shapes(22), st.sampled_from([80, 100, 120]), st.booleans())
    def test_a_proof_is_no_larger_than_usual(self, shape: Shape, bits: int, zk: bool) -> None:
        """Unless that more than doubles the time; and where the fastest is no larger anyway, it is as good."""
        try:
            usual, small, fast = (choose(shape, bits, prefer, zk) for prefer in PREFERENCES)
        except SecurityError:
            assume(False)
        allowed = usual_bytes(shape, bits)
        least = predicted_time(shape, fast)
        assert predicted_time(shape, usual) <= DEAREST * TRADE * least
        if proof_size(shape, fast) <= allowed:
            assert proof_size(shape, usual) <= allowed
            assert predicted_time(shape, usual) <= TRADE**2 * least
        elif predicted_time(shape, small) <= DEAREST / TRADE * least and proof_size(shape, small) <= allowed:
            assert proof_size(shape, usual) <= allowed

    @pytest.mark.parametrize("log_height", range(3, 23))
    def test_two_columns_are_as_small_as_others_make_them(self, log_height: int) -> None:
        """At every height; and up to 2^14 rows, where the fastest are within a few percent of that, about as fast."""
        shape = fibonacci(log_height)
        usual, fast = choose(shape), choose(shape, prefer="fastest")
        assert proof_size(shape, usual) <= usual_bytes(shape)
        assert predicted_time(shape, usual) <= (1.1 if log_height <= 14 else DEAREST) * predicted_time(shape, fast)

    def test_what_is_usual_grows_smoothly(self) -> None:
        """By the square of the number of levels, by the columns of all tables, and by the bits."""
        assert usual_bytes(fibonacci(20)) == pytest.approx(240 * 1024)
        assert usual_bytes(fibonacci(20), 50) == pytest.approx(120 * 1024)
        assert usual_bytes(shape_of(airs(table(10, 12)))) == pytest.approx(60 * 1024 + 4320)
        assert usual_bytes(ledger(12)) > usual_bytes(fibonacci(12))

    def test_masks_of_a_lower_tree_make_no_larger_proof(self) -> None:
        """A short trace is masked to the length of one that is a little longer, and costs no more."""
        sizes = [proof_size(shape, choose(shape, zk=True)) for shape in map(wide, range(3, 8))]
        assert max(sizes) < 1.1 * min(sizes)

    @pytest.mark.parametrize("shape", [fibonacci(3), fibonacci(9), ledger(3), ledger(12), wide(3, 8), wide(10)])
    def test_masks_are_within_reach_of_every_height(self, shape: Shape) -> None:
        """100 bits with zero knowledge, for the shortest tables too, whose masks are longer than themselves."""
        parameters = choose(shape, zk=True)
        assert parameters.zk
        assert security_report(shape, parameters).proven_bits >= 100
        fewer = attrs.evolve(parameters, queries=parameters.queries - 1)
        assert security_report(shape, fewer).proven_bits < 101

    def test_size_is_bought_with_time(self) -> None:
        """For a large trace the small proof is at most half as long, and takes longer to make."""
        fast, small = choose(fibonacci(18), prefer="fastest"), choose(fibonacci(18), prefer="size")
        assert proof_size(fibonacci(18), small) < proof_size(fibonacci(18), fast) / 2
        assert predicted_time(fibonacci(18), small) > predicted_time(fibonacci(18), fast)

    def test_fastest_by_trying_everything(self) -> None:
        """For one shape: no blowup, grinding and query count that reaches the bits is predicted to be 3% faster."""
        shape = fibonacci(16)
        best = math.inf
        for log_blowup, grinding in itertools.product(range(1, 7), range(21)):
            queries = minimal_queries(shape, log_blowup, grinding, False, 100 + MARGIN)
            assert queries is not None
            best = min(best, predicted_time(shape, Parameters(log_blowup, queries, grinding)))
        assert best <= predicted_time(shape, choose(shape, prefer="fastest")) <= TRADE * best

    @pytest.mark.parametrize("prefer", PREFERENCES)
    @pytest.mark.parametrize(
        "shape",
        [
            fibonacci(3),
            fibonacci(16),
            fibonacci(22),
            wide(12),
            wide(20),
            shape_of(airs(table(22, 4096, reads=8192, asserted=((2, 1),) * 4094))),
            ledger(20),
        ],
    )
    def test_128_bits_for_large_shapes(self, shape: Shape, prefer: Preference) -> None:
        """Unique decoding or independent coefficients reach 128 bits with the same field."""
        report = security_report(shape, choose(shape, 128, prefer))
        assert report.proven_bits == 128.0
        if shape.log_height >= 20:
            assert report.regime == "unique-decoding"

    def test_128_bits_of_a_very_wide_trace_need_independent_coefficients(self) -> None:
        """8193 openings at 2^22 rows: the powers of one coefficient do not do."""
        shape = shape_of(airs(table(22, 4096, reads=8192, asserted=((2, 1),) * 4094)))
        assert choose(shape, 128).independent
        assert not choose(shape, 100).independent

    def test_a_shape_beyond_128_bits_says_what_is_reachable(self) -> None:
        """2^24 rows of degree 8: the out-of-domain round alone stays below 128 bits."""
        shape = wide(24, 8)
        with pytest.raises(SecurityError, match=r"127\.\d\d bits are reachable") as caught:
            choose(shape, 128)
        out_of_domain = dict(Code(shape, shape.layout(), 1, True).terms(None))["out-of-domain"]
        assert caught.value.reachable == pytest.approx(out_of_domain - MARGIN, abs=0.01)

    @settings(max_examples=25)
    @given(shapes(), st.sampled_from(PREFERENCES))
    def test_what_is_reachable_is_reached(self, shape: Shape, prefer: Preference) -> None:
        """Asking for the reachable bits succeeds; asking for a twentieth of a bit more does not."""
        with pytest.raises(SecurityError) as caught:
            choose(shape, 129, prefer)
        reachable = caught.value.reachable
        assert reachable is not None
        assert reachable <= 128
        choose(shape, reachable, prefer)
        with pytest.raises(SecurityError) as again:
            choose(shape, reachable + 0.05, prefer)
        assert again.value.reachable == reachable

    def test_more_than_the_hash_is_out_of_reach(self) -> None:
        """Nothing gives more than 128 bits."""
        with pytest.raises(SecurityError) as caught:
            choose(fibonacci(5), 128.5)
        assert caught.value.reachable == 128

    def test_nonsense_is_refused(self) -> None:
        """An unknown preference, or bits that are not a number, is a mistake of the caller."""
        with pytest.raises(ValueError, match="prefer"):
            choose(fibonacci(5), 100, "speed")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="not a number"):
            choose(fibonacci(5), math.nan)
