"""Poseidon2: the permutation against published values, and the programs that prove it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aprover._native import ffi, lib
from aprover.air.check import check, check_trace, fill_trace
from aprover.air.field import P
from aprover.air.program import describe
from aprover.errors import ConstraintError, ProgramError
from aprover.programs import Poseidon2Chain, poseidon2
from aprover.programs.poseidon2 import (
    DIAGONAL,
    EXTERNAL_CONSTANTS,
    INTERNAL_CONSTANTS,
    WIDTH,
    advance,
    c_header,
    external_layer,
    internal_layer,
    permute,
)
from aprover.proof import shape_of
from aprover.testing import find_underconstrained

from .programs_for_tests import SEED, Poseidon2Rounds
from .test_programs_fibonacci import c_trace

states = st.lists(st.integers(0, P - 1), min_size=WIDTH, max_size=WIDTH)

# SEED and its image are test_default_babybear_poseidon2_width_16 of Plonky3 (baby-bear/src/poseidon2.rs). The other
# two images were computed with default_babybear_poseidon2_16 of the crate p3-baby-bear 0.8.0; so were the hundredth
# ones below.
# fmt: off
VECTORS = [
    (list(SEED), [
        516096821, 90309867, 1101817252, 1660784290, 360715097, 1789519026, 1788910906, 563338433,
        319524748, 1741414159, 1650859320, 894311162, 1121347488, 1692793758, 1052633829, 1344246938,
    ]),
    ([0] * 16, [
        1168947398, 128782440, 747404447, 883925857, 360581875, 1704698758, 1878363991, 1054281681,
        682225194, 705839125, 1218819873, 41544645, 1095344608, 174996601, 1678438226, 11259290,
    ]),
    ([P - 1] * 16, [
        1233564084, 138281517, 1431982993, 585402190, 417047365, 1462994434, 584596381, 883853858,
        1957702061, 1422117949, 1077349319, 355468137, 1629297269, 17043753, 1065643784, 679123220,
    ]),
]
HUNDREDTH = [
    (tuple(range(16)), (
        623445744, 915203779, 30940434, 487226759, 454039560, 1350352270, 1729803777, 1897363860,
        1123582317, 1432040505, 2000239194, 728556490, 1540321662, 1590612037, 1598901898, 751862274,
    )),
    (SEED, (
        668817763, 828064861, 410421838, 1190104547, 1356793398, 1922827217, 1829707969, 1638065371,
        1372213050, 732351504, 1287577625, 1512468678, 1985927185, 946633510, 389865595, 1590820637,
    )),
]
# fmt: on


def grain_bits() -> Iterator[int]:
    """The Grain LFSR of the Poseidon papers: prime field, S-box x^alpha, 31 bits, width 16, 8 and 13 rounds."""
    state: list[int] = []
    for value, size in ((1, 2), (0, 4), (31, 12), (16, 12), (8, 10), (13, 10), (2**30 - 1, 30)):
        state += [value >> (size - 1 - i) & 1 for i in range(size)]
    step = 0
    pending: int | None = None
    while True:
        bit = state[62] ^ state[51] ^ state[38] ^ state[23] ^ state[13] ^ state[0]
        state = [*state[1:], bit]
        step += 1
        if step <= 160:
            continue
        # Of each pair, the first bit says whether the second one counts.
        if pending is None:
            pending = bit
        else:
            if pending:
                yield bit
            pending = None


def grain_elements() -> Iterator[int]:
    """Values of 31 bits, most significant first; those that are not below P are skipped."""
    bits = grain_bits()
    while True:
        value = 0
        for _ in range(31):
            value = 2 * value + next(bits)
        if value < P:
            yield value


def c_permute(state: list[int]) -> list[int]:
    words = ffi.new("uint32_t[16]", state)
    assert lib.aprover_poseidon2_chain(words, 1, ffi.NULL) == lib.APROVER_OK
    return list(words)


class TestConstants:
    def test_are_those_of_the_grain_lfsr(self) -> None:
        """The round constants can be made again from the published procedure: nothing is hidden in them."""
        elements = grain_elements()
        rounds = [tuple(next(elements) for _ in range(WIDTH)) for _ in range(4)]
        internal = tuple(next(elements) for _ in INTERNAL_CONSTANTS)
        rounds += [tuple(next(elements) for _ in range(WIDTH)) for _ in range(4)]
        assert tuple(rounds) == EXTERNAL_CONSTANTS
        assert internal == INTERNAL_CONSTANTS

    def test_c_has_the_same(self) -> None:
        """csrc/poseidon2_constants.h is what `c_header` gives."""
        assert (Path(__file__).parent.parent / "csrc" / "poseidon2_constants.h").read_text() == c_header()

    @given(states)
    def test_layers(self, state: list[int]) -> None:
        """The linear layers are the matrices that the paper gives."""
        block = [[2, 3, 1, 1], [1, 2, 3, 1], [1, 1, 2, 3], [3, 1, 1, 2]]
        external = [
            sum((2 if i // 4 == j // 4 else 1) * block[i % 4][j % 4] * state[j] for j in range(16)) for i in range(16)
        ]
        assert external_layer(state) == external
        internal = [sum(state) + DIAGONAL[i] * state[i] for i in range(16)]
        assert internal_layer(state) == internal

    def test_diagonal(self) -> None:
        """-2, 1, 2, 1/2, 3, 4, -1/2, -3, -4, 1/2^8, 1/4, 1/8, 1/2^27, -1/2^8, -1/16, -1/2^27, as Plonky3 lists it."""
        scaled = [value * 2**27 % P for value in DIAGONAL]
        unit = 2**27
        expected = [-2 * unit, unit, 2 * unit, unit // 2, 3 * unit, 4 * unit, -unit // 2, -3 * unit, -4 * unit]
        expected += [2**19, 2**25, 2**24, 1, -(2**19), -(2**23), -1]
        assert scaled == [value % P for value in expected]


class TestPermutation:
    @pytest.mark.parametrize(("state", "image"), VECTORS)
    def test_published_vectors(self, state: list[int], image: list[int]) -> None:
        """In Python and in C."""
        assert permute(state) == image
        assert c_permute(state) == image

    @given(states, st.integers(0, 5))
    @settings(max_examples=10)
    def test_advance(self, state: list[int], count: int) -> None:
        """So many permutations, in Python, and with a chain that was handed in."""
        expected = state
        for _ in range(count):
            expected = permute(expected)
        calls: list[int] = []

        def chain(state: Sequence[int], count: int) -> list[int]:
            calls.append(count)
            result = list(state)
            for _ in range(count):
                result = c_permute(result)
            return result

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(poseidon2, "_native_chain", None)
            assert advance(state, count) == tuple(expected)
            poseidon2.use_native(chain)
            assert advance(state, count) == tuple(expected)
        assert calls == [count]

    @given(states)
    @settings(max_examples=30)
    def test_c_equals_python(self, state: list[int]) -> None:
        """On any state."""
        assert c_permute(state) == permute(state)


class TestChain:
    @pytest.mark.parametrize(("seed", "image"), HUNDREDTH)
    def test_hundredth_state(self, seed: tuple[int, ...], image: tuple[int, ...]) -> None:
        """A hundred permutations agree with the published implementation."""
        assert Poseidon2Chain(seed, 100).public_outputs() == image

    @pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 33])
    def test_trace_satisfies_the_constraints(self, n: int) -> None:
        """For every n, not only powers of two."""
        check(Poseidon2Chain(SEED, n))

    def test_shape(self) -> None:
        """298 columns of degree 3, one permutation a row."""
        air = Poseidon2Chain(SEED, 1000).compiled()
        (table,), layout = air.tables, shape_of(air).layout()
        assert (table.columns, table.degree, table.height) == (298, 3, 1024)
        assert (layout.tables[0].chunks, layout.narrow) == (2, False)

    def test_registers_fit_the_first_level_cache(self) -> None:
        """The evaluator keeps 128 rows of each register in 32 KiB."""
        assert Poseidon2Chain(SEED, 8).compiled().tables[0].registers <= 64

    @pytest.mark.parametrize("n", [1, 9, 100])
    def test_trace_in_c(self, n: int) -> None:
        """The same cells in the same columns as in Python."""
        program = Poseidon2Chain(SEED, n)
        generator, arguments = program.native_trace()
        air = program.compiled()
        assert (c_trace(generator, arguments, air.columns, air.tables[0].log_height) == fill_trace(program)[0]).all()

    def test_no_cell_is_free(self) -> None:
        """A change of any cell of any column breaks a constraint, in the rows that merely go on too."""
        assert find_underconstrained(Poseidon2Chain(SEED, 5)) == ()

    @pytest.mark.parametrize("n", [0, 2**20 + 1, True, "1"])
    def test_wrong_n(self, n: Any) -> None:
        """The error names field, value and range."""
        with pytest.raises(ProgramError) as caught:
            Poseidon2Chain(SEED, n)
        assert (caught.value.field, caught.value.value) == ("n", n)

    @pytest.mark.parametrize(
        "seed", [(), SEED[:15], (*SEED, 0), list(SEED), (*SEED[:15], P), (*SEED[:15], -1), (*SEED[:15], True), 5]
    )
    def test_wrong_seed(self, seed: Any) -> None:
        """Sixteen field elements in a tuple."""
        with pytest.raises(ProgramError, match="seed"):
            Poseidon2Chain(seed, 1)


class TestRounds:
    @pytest.mark.parametrize("n", [1, 2, 5])
    def test_agrees_with_the_chain(self, n: int) -> None:
        """Two very different sets of constraints hold for the same values."""
        assert Poseidon2Rounds(SEED, n).public_outputs() == Poseidon2Chain(SEED, n).public_outputs()
        check(Poseidon2Rounds(SEED, n))

    def test_every_round_is_constrained(self) -> None:
        """A change of any cell breaks a constraint, in every kind of step."""
        program = Poseidon2Rounds(SEED, 1)
        air, builder, good = program.compiled(), describe(program), fill_trace(program)[0]
        publics = air.publics(program.statement())
        for row in range(32):
            for column in (0, 7, 15):
                trace = good.copy(order="F")
                trace[row, column] ^= 1
                with pytest.raises(ConstraintError):
                    check_trace(builder, air, [trace], publics)
