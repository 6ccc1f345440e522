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
from tests.support.toy_air import decode
from tests.support.toy_commit import Tree
from tests.support.toy_programs import Instance, fibonacci, mixer, random_program, tribonacci
from tests.support.toy_prover import Parameters, octets, prove
from tests.support.verifiers import AVX2, PORTABLE, VERIFIERS, NativeError, load, native_prove


def random_parameters(rng: random.Random, instance: Instance) -> Parameters:
    """Any parameters that fit, small enough for the slow prover."""
    air = decode(instance.air)
    log_blowup = rng.randrange(1, 5 if air.log_height < 7 else 3)
    domain = (air.height << log_blowup) // (8 if air.narrow else 1)
    queries = rng.choice((1, 2, min(domain, 20), rng.randrange(1, domain + 1) if domain < 200 else 33))
    return Parameters(log_blowup, queries, rng.randrange(7), rng.randrange(9), rng.random() < 0.5)


def agree(instance: Instance, parameters: Parameters) -> None:
    claim = instance.air, instance.publics, instance.statement
    proof = prove(*claim, parameters.to_bytes(), instance.trace)
    for path in (PORTABLE, AVX2):
        assert native_prove(instance, parameters.to_bytes(), path) == proof
    assert {name: verify(*claim, proof) for name, verify in VERIFIERS.items()} == dict.fromkeys(VERIFIERS)


class TestAgreement:
    @settings(max_examples=40)
    @given(st.integers(0, 2**32), st.integers(3, 8), st.booleans())
    @example(seed=1, log_height=10, wide=False)
    @example(seed=2, log_height=10, wide=True)
    def test_both_provers_make_the_same_bytes(self, seed: int, log_height: int, wide: bool) -> None:
        """For random AIRs (degrees to 8, reads to 15 rows ahead, periodic columns, boundaries anywhere) and parameters,
        the C prover on each instruction set and the slow prover give one proof, which all verifiers accept."""
        instance = random_program(seed, log_height, wide)
        agree(instance, random_parameters(random.Random(seed), instance))

    @pytest.mark.parametrize("log_height", [3, 5, 10])
    def test_the_programs_of_the_soundness_tests(self, log_height: int) -> None:
        """What the lies are told about is provable."""
        for instance in (fibonacci(log_height), mixer(log_height, 3), mixer(log_height, 18), tribonacci(log_height)):
            agree(instance, Parameters(2, 4, 3, 1))

    def test_a_false_claim_is_not_proved(self) -> None:
        """The honest side of both provers notices that the constraints do not hold at z."""
        instance = fibonacci(5)
        false = instance.replace(publics=[0, 1, 5])
        parameters = Parameters(3, 5).to_bytes()
        with pytest.raises(AssertionError, match="identity"):
            prove(false.air, false.publics, false.statement, parameters, false.trace)
        with pytest.raises(NativeError):
            native_prove(false, parameters)

    @settings(max_examples=30)
    @given(st.integers(0, 2**32), st.integers(3, 6), st.booleans())
    def test_both_read_the_same_shape_from_an_air(self, seed: int, log_height: int, wide: bool) -> None:
        """What follows from the bytecode (section 4.2) is the same here and on the C side."""
        data = random_program(seed, log_height, wide).air
        loaded, _owner = load(data)
        shape, digest, air = ffi.new("aprover_shape *"), ffi.new("uint8_t[32]"), decode(data)
        lib.aprover_air_shape(loaded, shape)
        lib.aprover_air_digest(loaded, digest)
        assert bytes(digest) == air.digest
        assert (shape.log_height, shape.columns, shape.reads) == (log_height, air.columns, len(air.reads))
        assert (shape.constraints, shape.chunks, shape.narrow) == (air.constraints, air.chunks, air.narrow)
        assert shape.degree == max(degree for degree, _ in air.asserted)
        assert shape.rows_read == 1 + max(offset for _, offset in air.reads)
        assert shape.publics == air.publics


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

    def test_positions_and_octets(self) -> None:
        """Position j*k + i is point `w(n)^j * w(k)^i`; the members of an octet have one eighth power, at position l."""
        k, cosets = 16, 4
        natural = tf.powers(tf.root(6), k * cosets)
        positions = tf.to_positions(natural, cosets)
        for j in range(cosets):
            for i in range(k):
                expected = pow(tf.root(6), j, tf.P) * pow(tf.root(4), i, tf.P) % tf.P
                assert positions[j * k + i] == expected
        assert np.array_equal(tf.from_positions(positions, cosets), natural)
        folded = tf.to_positions(tf.powers(tf.root(3), k * cosets // 8), cosets)
        for octet, point in zip(octets(positions, cosets), folded, strict=True):
            assert set(tf.power(octet, 8).tolist()) == {int(point)}

    def test_multiproofs(self) -> None:
        """A multi-proof has no digest that follows from another, and none above the cap."""
        tree = Tree([bytes([i]) for i in range(8)], 1)
        assert len(tree.cap) == 64
        assert tree.multiproof(range(8)) == []
        assert tree.multiproof([0, 1]) == [tree.levels[1][1]]
        assert tree.multiproof([2, 5]) == [tree.levels[0][3], tree.levels[0][4], tree.levels[1][0], tree.levels[1][3]]
