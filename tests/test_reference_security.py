"""The reference verifier's proven bits."""

from __future__ import annotations

from dataclasses import replace
from math import log2
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprover.reference.air import Air, Header
from aprover.reference.field import P
from aprover.reference.proof import ReferenceParameters
from aprover.reference.security import proven_bits
from aprover.security import Parameters, Shape, security_report


def air(
    log_height: int,
    reads: int,
    chunks: int = 1,
    *,
    columns: int = 1,
    constraints: int = 1,
    offset: int = 1,
    degree: int = 1,
) -> Air:
    """An AIR of which only what the bits depend on is filled in."""
    return Air(
        header=Header(1, columns, log_height, reads, 0, 0, 0, 0, 0, 0),
        reads=((0, 0),) * (reads - 1) + ((0, offset),),
        periodics=(),
        constants=(),
        instructions=(),
        boundaries=(),
        exemptions=(0,) * constraints,
        degree=degree,
        chunks=chunks,
        narrow=columns + 5 * chunks <= 32,
        digest=b"",
    )


def parameters(log_blowup: int, queries: int, grinding_bits: int = 0, independent: bool = False) -> ReferenceParameters:
    return ReferenceParameters(log_blowup, grinding_bits, 0, independent, queries)


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
        """Where the algebraic rounds decide, more constraints, degree, openings or rows cost bits."""
        most = parameters(1, 4096)
        base = air(23, 15000)
        bits = proven_bits(base, most)
        assert proven_bits(replace(base, exemptions=cast("tuple[int, ...]", range(2**50))), most) < bits
        assert proven_bits(replace(base, degree=2**24), most) < bits
        assert proven_bits(air(23, 16000), most) < bits
        assert proven_bits(air(24, 15000), most) < bits
        assert proven_bits(base, replace(most, independent=True)) > bits

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
    @given(st.data())
    def test_any_shape(self, data: st.DataObject) -> None:
        """The bits are those of `aprover.security`, which was written apart, for any shape and parameters."""
        log_height = data.draw(st.integers(3, 24))
        columns = data.draw(st.sampled_from([1, 2, 10, 27, 40, 300]))
        shape = air(
            log_height,
            data.draw(st.integers(max(columns, 2), 4 * columns + 2)),
            data.draw(st.integers(1, 8)),
            columns=columns,
            constraints=data.draw(st.integers(1, 5000)),
            offset=data.draw(st.integers(0, min(15, 2**log_height - 1))),
            degree=data.draw(st.integers(1, 8)),
        )
        log_blowup = data.draw(st.integers(1, min(6, 27 - log_height)))
        index_domain = 2 ** (log_height + log_blowup - (3 if shape.narrow else 0))
        queries = data.draw(st.integers(1, min(4096, index_domain)) | st.integers(1, min(100, index_domain)))
        mine = parameters(log_blowup, queries, data.draw(st.integers(0, 32)), data.draw(st.booleans()))
        report = security_report(
            Shape(
                log_height=log_height,
                columns=columns,
                rows_read=shape.rows_read,
                constraints=shape.constraints,
                degree=shape.degree,
                chunks=shape.chunks,
                openings=shape.openings,
            ),
            Parameters(
                log_blowup=log_blowup,
                queries=queries,
                grinding_bits=mine.grinding_bits,
                cap_log=0,
                independent=mine.independent,
            ),
        )
        assert proven_bits(shape, mine) == pytest.approx(report.proven_bits, abs=1e-6)
