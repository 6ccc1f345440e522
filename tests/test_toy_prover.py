"""The slow prover without lies, a third reading of the protocol, makes the C prover's proofs byte for byte."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aprover._native import ffi, lib
from tests.support import toy_field as tf
from tests.support.lies import random_elements
from tests.support.toy_air import Table, decode
from tests.support.toy_commit import Tree
from tests.support.toy_layout import Layout, Parameters
from tests.support.toy_programs import Instance, fibonacci, mixer, random_program, tribonacci
from tests.support.toy_prover import cosets, layer_points, prove, prove_run
from tests.support.toy_tables import Sizes, ledger, random_tables
from tests.support.verifiers import AVX2, PORTABLE, VERIFIERS, NativeError, c_parameters, load, native_prove


def random_parameters(rng: random.Random, instance: Instance, zk: bool = False) -> Parameters:
    """Any parameters that fit, small enough for the slow prover."""
    air = decode(instance.air)
    height = max(table.log_height for table in air.tables)
    log_blowup = rng.randrange(1, 4 if zk else 5) if height < 7 else rng.randrange(1, 3)
    domain = 1 << Layout(air, Parameters(log_blowup, 1)).log_indices
    queries = rng.choice((1, 2, min(domain, 20), rng.randrange(1, min(domain, 33) + 1)))
    queries = min(queries, 9) if zk else queries
    return Parameters(log_blowup, queries, rng.randrange(7), rng.randrange(9), rng.random() < 0.5, zk)


def verdicts(instance: Instance, proof: bytes) -> dict[str, str | None]:
    claim = instance.air, instance.publics, instance.statement
    return {name: verify(*claim, proof) for name, verify in VERIFIERS.items()}


def agree(instance: Instance, parameters: Parameters) -> None:
    """One proof by all provers, accepted by all verifiers; or with masks, proofs of either that all accept."""
    claim = instance.air, instance.publics, instance.statement
    proof = prove(*claim, parameters.to_bytes(), instance.traces)
    native = [native_prove(instance, parameters.to_bytes(), path) for path in (PORTABLE, AVX2)]
    if parameters.zk:
        assert verdicts(instance, native[0]) == dict.fromkeys(VERIFIERS)
    else:
        assert native == [proof, proof]
    assert verdicts(instance, proof) == dict.fromkeys(VERIFIERS)


class TestAgreement:
    @settings(max_examples=40)
    @given(st.integers(0, 2**32), st.integers(3, 8), st.booleans())
    @example(seed=1, log_height=10, wide=False)
    @example(seed=2, log_height=10, wide=True)
    def test_both_provers_make_the_same_bytes(self, seed: int, log_height: int, wide: bool) -> None:
        """For random AIRs of one table (degrees to 8, reads to 15 rows ahead, slots of rows, periodic columns,
        boundaries anywhere) and parameters, the C prover on each instruction set and the slow prover give one proof,
        which all verifiers accept."""
        instance = random_program(seed, log_height, wide)
        agree(instance, random_parameters(random.Random(seed), instance))

    @settings(max_examples=30)
    @given(st.integers(0, 2**32), st.integers(3, 6))
    @example(seed=7, max_log_height=9)
    @example(seed=8, max_log_height=9)
    def test_so_they_do_for_several_tables(self, seed: int, max_log_height: int) -> None:
        """Likewise for random tables of several heights with random buses: permutations, lookups into preprocessed and
        other tables, tuples that go round a table's end, batches of every size."""
        instance = random_tables(seed, max_log_height)
        agree(instance, random_parameters(random.Random(seed), instance))

    @settings(max_examples=12)
    @given(st.integers(0, 2**32), st.integers(3, 5))
    def test_masked_proofs_are_accepted_by_all(self, seed: int, max_log_height: int) -> None:
        """Zero-knowledge proofs of the same AIRs, by either prover, with either's randomness."""
        instance = random_tables(seed, max_log_height)
        agree(instance, random_parameters(random.Random(seed), instance, zk=True))

    @pytest.mark.parametrize("log_height", [3, 5, 10])
    def test_the_programs_of_the_soundness_tests(self, log_height: int) -> None:
        """What the lies are told about is provable."""
        for instance in (fibonacci(log_height), mixer(log_height, 3), mixer(log_height, 18), tribonacci(log_height)):
            agree(instance, Parameters(2, 4, 3, 1))

    @pytest.mark.parametrize("sizes", [(3, 3, 3), (8, 3, 7), (4, 9, 7), (3, 7, 10), (10, 8, 7), (7, 9, 8)])
    @pytest.mark.parametrize("zk", [False, True], ids=["plain", "zk"])
    def test_tables_of_every_order_of_heights(self, sizes: tuple[int, int, int], zk: bool) -> None:
        """Folds by 2, 4 and 8 between the levels, and tables that share one or stand alone."""
        agree(ledger(Sizes(*sizes, batch=2)), Parameters(1, 6, 2, 1, zk=zk))

    def test_a_false_claim_is_not_proved(self) -> None:
        """The honest side of both provers notices that the constraints do not hold at z."""
        instance = fibonacci(5)
        false = instance.replace(publics=[0, 1, 5])
        parameters = Parameters(3, 5).to_bytes()
        with pytest.raises(AssertionError, match="identity"):
            prove(false.air, false.publics, false.statement, parameters, false.traces)
        with pytest.raises(NativeError):
            native_prove(false, parameters)

    def test_an_unbalanced_bus_is_not_proved(self) -> None:
        """The honest side of both provers notices that the lookup sums do not add up to zero."""
        instance = ledger()
        counts = instance.traces[1].copy()
        counts[0] += 1
        false = instance.replace(traces=(instance.traces[0], counts, instance.traces[2]))
        parameters = Parameters(2, 5).to_bytes()
        with pytest.raises(AssertionError, match="sums"):
            prove(false.air, false.publics, false.statement, parameters, false.traces)
        with pytest.raises(NativeError):
            native_prove(false, parameters)

    @settings(max_examples=30)
    @given(st.integers(0, 2**32), st.integers(3, 6), st.booleans())
    def test_both_read_the_same_shape_from_an_air(self, seed: int, log_height: int, several: bool) -> None:
        """What follows from the bytecode (section 4.2) is the same here and on the C side."""
        data = random_tables(seed, log_height).air if several else random_program(seed, log_height, True).air
        loaded, _owner = load(data)
        shape, digest, air = ffi.new("aprover_shape *"), ffi.new("uint8_t[32]"), decode(data)
        lib.aprover_air_shape(loaded, shape)
        lib.aprover_air_digest(loaded, digest)
        assert bytes(digest) == air.digest
        assert (shape.tables, shape.publics, shape.constraints) == (len(air.tables), air.publics, air.constraints)
        assert shape.bus_width == max(air.buses, default=0)
        for i, table in enumerate(air.tables):
            found = ffi.new("aprover_table_shape *")
            lib.aprover_air_table_shape(loaded, i, found)
            assert (found.log_height, found.log_slots) == (table.log_height, table.log_slots)
            assert (found.columns, found.preprocessed) == (table.columns, len(table.preprocessed))
            assert (found.reads, found.rows_read) == (len(table.reads), table.rows_read)
            assert (found.interactions, found.lookup_columns) == (len(table.interactions), table.lookup_columns)
            assert (found.constraints, found.degree) == (table.constraints, largest_degree(table))

    @settings(max_examples=30)
    @given(st.integers(0, 2**32), st.integers(3, 9), st.booleans())
    def test_both_lay_a_proof_out_alike(self, seed: int, max_log_height: int, zk: bool) -> None:
        """Levels, chunks, layout and openings (section 6) are the same here and on the C side."""
        instance = random_tables(seed, max_log_height)
        parameters = random_parameters(random.Random(seed), instance, zk)
        layout, loaded = Layout(decode(instance.air), parameters), load(instance.air)[0]
        shape = ffi.new("aprover_proof_shape *")
        assert lib.aprover_proof_shape_of(loaded, c_parameters(parameters.to_bytes()), shape) == lib.APROVER_OK
        assert (shape.narrow, shape.folds, shape.openings) == (layout.narrow, layout.folds, layout.openings)
        assert shape.log_length == layout.log_lengths[0]
        for i, place in enumerate(layout.places):
            assert (shape.chunks[i], shape.level[i]) == (place.chunks, place.level)


def largest_degree(table: Table) -> int:
    return max([1, *(degree for degree, _ in table.asserted), *table.lookup_degrees])


class TestParts:
    """The slow prover's own tools, against their definitions."""

    def test_transforms(self) -> None:
        """`evaluate` is evaluation point by point, also where there are more coefficients than points; `interpolate` is
        its inverse."""
        for length in (1, 5, 8, 20):
            coefficients = random_elements(length, length)
            values = tf.evaluate(coefficients, 31, 3)
            for e in range(8):
                point = tf.lift(tf.array(31 * pow(tf.root(3), e, tf.P)))
                assert np.array_equal(values[e], tf.ext_at(coefficients, point))
            if length == 8:
                assert np.array_equal(tf.interpolate(values, 31), coefficients)

    def test_lagrange(self) -> None:
        """The polynomial through the points passes through the points."""
        points = tf.array([3, 5, 8, 1000, 2**30])
        values = random_elements("lagrange", 5)
        coefficients = tf.lagrange(points, values)
        for point, value in zip(points, values, strict=True):
            assert np.array_equal(tf.ext_at(coefficients, tf.lift(point)), value)

    def test_positions_and_cosets(self) -> None:
        """Position j*k + i is point `shift * w(n)^j * w(k)^i`; the members of a fold coset have one N-th power, at
        position l of the level below."""
        instance = ledger(Sizes(8, 3, 7))
        claim = instance.air, instance.publics, instance.statement
        _, run = prove_run(*claim, Parameters(2, 4).to_bytes(), instance.traces)
        assert run.layout.log_lengths == [8, 7, 4]
        for t in (0, 1):
            points, below = layer_points(run, t), layer_points(run, t + 1)
            k, arity = run.k(t), 1 << run.layout.log_arity(t)
            for position in range(0, len(points), 37):
                j, i = divmod(position, k)
                power = pow(tf.root(run.layout.log_n(t)), j, tf.P) * pow(tf.root(tf.log2(k)), i, tf.P)
                assert points[position] == pow(31, 1 << 8 - run.layout.log_lengths[t], tf.P) * power % tf.P
            for coset, point in zip(cosets(run, t, points), below, strict=True):
                assert set(tf.power(coset, arity).tolist()) == {int(point)}

    def test_multiproofs(self) -> None:
        """A multi-proof has no digest that follows from another, and none above the cap."""
        tree = Tree([bytes([i]) for i in range(8)], 1)
        assert len(tree.cap) == 64
        assert tree.multiproof(range(8)) == []
        assert tree.multiproof([0, 1]) == [tree.levels[1][1]]
        assert tree.multiproof([2, 5]) == [tree.levels[0][3], tree.levels[0][4], tree.levels[1][0], tree.levels[1][3]]
