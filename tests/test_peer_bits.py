"""Bits of other provers are counted by the formula of this one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aprover import Fibonacci
from aprover.proof import shape_of
from aprover.security import choose, security_report
from aprover.security.soundness import LOG2_FIELD, Code
from benchmarks.peers.bits import Setting, System, committed_terms, conjectured_bits, fewest_queries, proven_bits
from benchmarks.peers.configurations import PEERS, PROVEN_BITS, Peer, proven, usual


def ourselves(log_rows: int, *, independent: bool) -> System:
    """This project's own system, described as a peer."""
    shape = shape_of(Fibonacci(1 << log_rows).compiled())
    layout = shape.layout()
    return System(
        log_field=LOG2_FIELD,
        openings=layout.openings,
        independent=independent,
        constraints=shape.constraints,
        degree=1,
        folds=lambda _log_rows, _log_blowup: (3,) * layout.folds,
    )


class TestFormula:
    @settings(max_examples=50)
    @given(
        log_rows=st.integers(3, 20),
        log_blowup=st.integers(1, 6),
        independent=st.booleans(),
        m=st.none() | st.integers(3, 1000),
    )
    def test_it_agrees_with_the_one_that_proofs_are_held_to(
        self, log_rows: int, log_blowup: int, independent: bool, m: int | None
    ) -> None:
        """Every round but the queries, in either regime, has the bits that `aprover.security` gives it."""
        shape = shape_of(Fibonacci(1 << log_rows).compiled())
        code = Code(shape, shape.layout(), log_blowup, independent)
        mine = committed_terms(ourselves(log_rows, independent=independent), log_rows, log_blowup, m)
        assert list(mine) == pytest.approx([bits for _, bits in code.terms(m)], abs=1e-9)

    def test_queries_that_may_repeat_are_worth_little_less_on_a_large_domain(self) -> None:
        """The one difference in the formula vanishes as the domain grows."""
        shape = shape_of(Fibonacci(2**20).compiled())
        chosen = choose(shape, 100)
        setting = Setting(chosen.log_blowup, chosen.queries, chosen.grinding_bits)
        bits = proven_bits(ourselves(20, independent=chosen.independent), 20, setting)
        report = security_report(shape, chosen).proven_bits
        assert report - 0.1 < bits <= report

    @settings(max_examples=25)
    @given(st.sampled_from(PEERS), st.integers(5, 20), st.integers(1, 4), st.sampled_from([0, 16]))
    def test_the_fewest_queries_are_enough_and_one_less_is_not(
        self, peer: Peer, log_rows: int, log_blowup: int, grinding_bits: int
    ) -> None:
        """For every peer at every size."""
        system = peer.system()
        queries = fewest_queries(system, log_rows, log_blowup, grinding_bits, PROVEN_BITS)
        if queries is None:
            most = proven_bits(system, log_rows, Setting(log_blowup, 10_000, grinding_bits))
            assert most < PROVEN_BITS
        else:
            assert proven_bits(system, log_rows, Setting(log_blowup, queries, grinding_bits)) >= PROVEN_BITS
            assert proven_bits(system, log_rows, Setting(log_blowup, queries - 1, grinding_bits)) < PROVEN_BITS


class TestConfigurations:
    @pytest.mark.parametrize("log_rows", [5, 10, 20])
    def test_usual_ones_have_about_100_conjectured_bits_and_half_as_many_proven(self, log_rows: int) -> None:
        """What the documentation calls 100 bits."""
        for arm in usual(log_rows):
            assert arm.conjectured_bits is not None
            assert 100 <= arm.conjectured_bits < 103
            assert 44 < arm.proven_bits < 52

    @pytest.mark.parametrize("log_rows", [5, 10, 20])
    def test_each_peer_can_reach_100_proven_bits(self, log_rows: int) -> None:
        """So that no row of the comparison at equal bits is empty."""
        arms = list(proven(log_rows, range(1, 5)))
        assert {arm.peer for arm in arms} == {peer.name for peer in PEERS}
        assert all(arm.proven_bits >= PROVEN_BITS for arm in arms)

    def test_a_small_field_bounds_even_the_conjecture(self) -> None:
        """More queries do not help beyond the field."""
        system = System(64.0, 5, independent=True, constraints=5, degree=1, folds=lambda *_: ())
        assert conjectured_bits(system, 20, Setting(1, 1000)) == 64 - 21


def test_the_challenge_field_of_each_peer_has_its_documented_size() -> None:
    """In bits, to the nearest."""
    sizes = {(peer.name, math.ceil(peer.system().log_field)) for peer in PEERS}
    assert sizes == {("Winterfell", 128), ("Winterfell", 192), ("Plonky3", 124), ("Plonky3", 155), ("Stwo", 124)}
