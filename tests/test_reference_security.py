"""The reference verifier's proven bits."""

from __future__ import annotations

from dataclasses import replace
from math import log2

import pytest
from hypothesis import given

from aprover.reference.air import Air
from aprover.reference.field import P
from aprover.reference.layout import ReferenceParameters
from aprover.reference.security import proven_bits
from aprover.security import Parameters, security_report
from tests.support.shapes import airs, random_proofs, reference_of, shape_of, table
from tests.support.toy_air import Air as ToyAir


def air(log_height: int, reads: int, *, constraints: int = 2, degree: int = 1, offset: int = 1) -> Air:
    """One column and one chunk, unless the degree asks for more."""
    asserted = ((degree, 1),) * (constraints - 1)
    return reference_of(airs(table(log_height, 1, reads=reads, offset=offset, asserted=asserted, bounded=1)))


def parameters(log_blowup: int, queries: int, grinding_bits: int = 0, independent: bool = False) -> ReferenceParameters:
    return ReferenceParameters(log_blowup, grinding_bits, 0, independent, False, queries)


class TestExpectedCounts:
    @pytest.mark.parametrize(
        ("log_height", "log_blowup", "grinding_bits", "openings", "queries"),
        [(5, 3, 0, 5, 12), (8, 3, 0, 5, 54), (20, 2, 16, 64, 87), (20, 3, 16, 64, 58)],
    )
    def test_hundred_bits(
        self, log_height: int, log_blowup: int, grinding_bits: int, openings: int, queries: int
    ) -> None:
        """Four known shapes reach 100 bits with about as many queries as expected, and not with one fewer."""
        shape = air(log_height, openings - 1)

        def bits(q: int) -> float:
            return proven_bits(shape, parameters(log_blowup, q, grinding_bits))

        least = next(q for q in range(1, 200) if bits(q) >= 100)
        assert abs(least - queries) <= 2
        assert bits(least - 1) < 100


class TestRounds:
    def test_enough_cosets_make_the_query_error_zero(self) -> None:
        """Opening every coset of a small domain leaves the hash's 128 bits, or what the field gives."""
        assert proven_bits(air(3, 4), parameters(6, 64)) == 128

    def test_each_quantity_counts(self) -> None:
        """Where the algebraic rounds decide, more openings or rows cost bits; independent coefficients give some."""
        most = parameters(1, 4096)
        bits = proven_bits(air(23, 15000), most)
        assert proven_bits(air(23, 16000), most) < bits
        assert proven_bits(air(24, 15000), most) < bits
        independent = replace(most, independent=True)
        free = proven_bits(air(23, 15000), independent)
        assert free > bits
        assert proven_bits(air(24, 15000, degree=8), independent) < free

    def test_lookups_count(self) -> None:
        """Where lookups decide, twice the interactions cost a bit."""
        found = [
            proven_bits(
                reference_of(airs(table(23, 2, interactions=count, batch=4), bus_width=16)),
                parameters(1, 4096, 0, independent=True),
            )
            for count in (512, 1024)
        ]
        assert found[0] - found[1] == pytest.approx(1, abs=1e-9)

    def test_unique_decoding_by_hand(self) -> None:
        """A large table at blowup 2, with all queries that there may be: unique decoding's batching round decides."""
        k, n = 2**24, 2**25
        theta = (1 - (k + 2) / n) / 2
        expected = 5 * log2(P) - log2((theta * n + 1) * 15000)
        assert proven_bits(air(24, 15000), parameters(1, 4096)) == pytest.approx(expected, abs=1e-9)

    def test_grinding_adds_its_bits(self) -> None:
        """Where the queries decide, a bit of grinding is a bit of security."""
        shape = air(10, 4)
        without = proven_bits(shape, parameters(3, 20))
        assert proven_bits(shape, parameters(3, 20, 7)) == pytest.approx(without + 7, abs=1e-9)


class TestAgainstTheOtherComputation:
    @given(random_proofs())
    def test_any_shape(self, proof: tuple[ToyAir, Parameters]) -> None:
        """The bits are those of `aprover.security`, which was written apart, for any shape and parameters."""
        shape, given = proof
        mine = ReferenceParameters.from_bytes(given.to_bytes())
        expected = security_report(shape_of(shape), given).proven_bits
        assert proven_bits(reference_of(shape), mine) == pytest.approx(expected, abs=1e-6)
