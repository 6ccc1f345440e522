"""Range proofs: the commitment, proofs at the ends of the range, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aprover.air.check import check, check_trace, fill_trace
from aprover.air.field import P
from aprover.air.program import describe
from aprover.errors import ConstraintError, ProgramError, VerificationCode
from aprover.programs import RangeProof, range_proof
from aprover.programs.poseidon2 import permute
from aprover.testing import find_underconstrained

from .support.proving import assert_both_reject, assert_unprovable, lying, proved_and_verified

MOST = 2**64 - 1
BLINDING = (894848333, 1437655012, 1200606629, 1690012884)
TAG = 0x52414E47

values = st.one_of(
    st.integers(0, MOST),
    st.integers(0, 20),
    st.integers(P - 5, P + 5),
    st.integers(2**32 - 5, 2**32 + 5),
    st.integers(MOST - 5, MOST),
)
blindings = st.tuples(*[st.integers(0, P - 1)] * 4)


class TestCommitment:
    @given(values, blindings)
    @settings(max_examples=20)
    def test_is_the_documented_sponge(self, value: int, blinding: tuple[int, ...]) -> None:
        """Four limbs of 16 bits and the blinding; the tag and zeros; one permutation; eight elements."""
        limbs = [value % 2**16, value // 2**16 % 2**16, value // 2**32 % 2**16, value // 2**48]
        expected = permute([*limbs, *blinding, TAG, 0, 0, 0, 0, 0, 0, 0])[:8]
        assert RangeProof.commit(value, blinding) == tuple(expected)
        assert RangeProof(value, 0, MOST, blinding).public_outputs() == tuple(expected)

    def test_random_blinding(self) -> None:
        """Four elements, others each time."""
        first, second = RangeProof.random_blinding(), RangeProof.random_blinding()
        assert len(first) == 4
        assert all(0 <= element < P for element in first)
        assert first != second


class TestProofs:
    @pytest.mark.parametrize(
        ("value", "low", "high"),
        [(77, 18, 120), (18, 18, 120), (120, 18, 120), (5, 5, 5), (0, 0, MOST), (MOST, 0, MOST), (P, P - 1, P + 1)],
    )
    def test_both_verifiers_accept(self, value: int, low: int, high: int) -> None:
        """Inside, at both ends, in ranges of one value and of all values, and around P."""
        program = RangeProof(value, low, high, BLINDING)
        proof = proved_and_verified(program)
        assert proof.statement.parameters == (("low", low), ("high", high))
        assert proof.statement.public_outputs == RangeProof.commit(value, BLINDING)

    def test_another_commitment_or_range_is_rejected(self) -> None:
        """By both verifiers, even where the statement would be true."""
        program = RangeProof(77, 18, 120, BLINDING)
        proof = proved_and_verified(program)
        quotient = VerificationCode.QUOTIENT
        for i in (0, 7):
            commitment = list(program.public_outputs())
            commitment[i] = (commitment[i] + 1) % P
            assert_both_reject(proof, RangeProof, quotient, public_outputs=tuple(commitment))
        assert_both_reject(proof, RangeProof, quotient, public_outputs=RangeProof.commit(78, BLINDING))
        for low, high in ((17, 120), (18, 119), (78, 120)):
            assert_both_reject(proof, RangeProof, quotient, parameters=(("low", low), ("high", high)))

    @pytest.mark.parametrize(("low", "high"), [(121, 120), (-1, 120), (18, 2**64), (18, None), (True, 120)])
    def test_a_range_that_is_none_is_rejected(self, low: Any, high: Any) -> None:
        """Before any constraint is built."""
        proof = proved_and_verified(RangeProof(77, 18, 120, BLINDING))
        parameters = (("low", low), ("high", high))
        assert_both_reject(proof, RangeProof, VerificationCode.PROGRAM, parameters=parameters)

    @given(values, values, values, blindings)
    @settings(max_examples=20)
    def test_every_value_has_a_trace(self, a: int, b: int, c: int, blinding: tuple[int, ...]) -> None:
        """The constraints hold for every value in every range."""
        low, value, high = sorted((a, b, c))
        check(RangeProof(value, low, high, blinding))


class TestSoundness:
    @pytest.mark.parametrize(
        "program", [RangeProof(77, 18, 2**40, BLINDING), RangeProof(3, 3, 3, (0, 0, 0, 0))], ids=repr
    )
    def test_no_cell_is_free(self, program: RangeProof) -> None:
        """Each cell of each row is held by a constraint."""
        assert find_underconstrained(program) == ()

    @given(values, values, values)
    @settings(max_examples=20)
    def test_a_value_outside_cannot_be_proved(self, a: int, b: int, c: int) -> None:
        """Past its checks, the trace of a value below low or above high breaks a constraint."""
        low, middle, high = sorted((a, b, c))
        for value, bounds in ((low, (middle, high)), (high, (low, middle))):
            if not bounds[0] <= value <= bounds[1]:
                with pytest.raises(ConstraintError):
                    check(lying(RangeProof(bounds[0], *bounds, BLINDING), value=value))

    def test_the_prover_refuses_it_too(self) -> None:
        """With differences modulo 2**64, the last carry betrays them; no wrap-around is possible."""
        good = RangeProof(77, 18, 120, BLINDING)
        for value in (17, 121, 0, MOST, 18 + P):
            assert_unprovable(lying(good, value=value))

    @pytest.mark.parametrize(("value", "name"), [(17, "low"), (121, "high")])
    def test_the_carry_out_is_what_fails(self, value: int, name: str) -> None:
        """The trace of a difference below 0 is right in all but the carry out of the last digit."""
        with pytest.raises(ConstraintError) as caught:
            check(lying(RangeProof(77, 18, 120, BLINDING), value=value))
        assert (caught.value.name, caught.value.row) == (f"{name}: no carry out of the last digit", 31)


class TestLies:
    """Traces of false statements that are right in all but one constraint."""

    VALUE, ABOVE, CARRY, CARRY_OUT, STATE, LIMB = 0, 2, 6, 7, slice(10, 26), slice(26, 30)

    @staticmethod
    def broken(program: RangeProof, trace: NDArray[np.uint32], commitment: tuple[int, ...]) -> tuple[str, int]:
        with pytest.raises(ConstraintError) as caught:
            check_trace(describe(program), program.compiled(), [trace], commitment)
        return caught.value.name, caught.value.row

    def below_low(self, above: int) -> tuple[RangeProof, NDArray[np.uint32]]:
        """For the value 17, which is below 18: with these digits of what lies above."""
        liar = lying(RangeProof(77, 18, 120, BLINDING), value=17)
        trace = fill_trace(liar)[0]
        for row in range(32):
            trace[row, self.ABOVE] = above >> 2 * row & 1
            trace[row, self.ABOVE + 1] = above >> 2 * row + 1 & 1
        return liar, trace

    def test_wrap_around_modulo_p(self) -> None:
        """18 + (P - 1) is 17 in the field, and without boolean carries the digits would agree to that."""
        liar, trace = self.below_low(P - 1)
        carry, quarter = 0, pow(4, -1, P)
        for row in range(32):
            trace[row, self.CARRY] = carry
            digits = [(number >> 2 * row & 3) for number in (18, P - 1, 17)]
            carry = (digits[0] + digits[1] + carry - digits[2]) * quarter % P
            trace[row, self.CARRY_OUT] = carry
        assert carry == 0
        assert self.broken(liar, trace, liar.public_outputs())[0] == "low: the carry is boolean"

    def test_wrap_around_modulo_two_to_the_64(self) -> None:
        """18 + (2**64 - 1) is 17 but for the last carry."""
        liar, trace = self.below_low(2**64 - 1)
        assert self.broken(liar, trace, liar.public_outputs()) == ("low: no carry out of the last digit", 31)

    def test_a_carry_that_gets_lost(self) -> None:
        """Dropping the carry on its way to the last digit would hide it."""
        liar, trace = self.below_low(2**62 - 1)
        trace[31, [self.CARRY, self.CARRY_OUT]] = 0
        assert self.broken(liar, trace, liar.public_outputs()) == ("low: the carry goes on", 30)

    def test_a_carry_from_nowhere(self) -> None:
        """18 + 0 - 1 is 17, with a carry of -1 into the first digit."""
        liar, trace = self.below_low(0)
        trace[:, [self.CARRY, self.CARRY_OUT]] = 0
        trace[0, self.CARRY] = P - 1
        assert self.broken(liar, trace, liar.public_outputs()) == ("low: no carry into the first digit", 0)

    def test_a_digit_of_other_bits(self) -> None:
        """-1 + 2 * 1 is 1 too, but -1 is no bit."""
        program = RangeProof(77, 18, 120, BLINDING)
        trace = fill_trace(program)[0]
        trace[0, [self.VALUE, self.VALUE + 1]] = P - 1, 1
        assert self.broken(program, trace, program.public_outputs()) == ("value[0] is boolean", 0)

    def test_another_value_is_committed(self) -> None:
        """The limbs tie the value that is hashed to the one that is in range."""
        program, other = RangeProof(77, 18, 120, BLINDING), RangeProof(78, 0, MOST, BLINDING)
        trace, hashed = fill_trace(program)[0], fill_trace(other)[0]
        trace[:, self.STATE] = hashed[:, self.STATE]
        assert self.broken(program, trace, other.public_outputs()) == ("limb 0 is committed", 0)
        trace[:, self.LIMB] = hashed[:, self.LIMB]
        assert self.broken(program, trace, other.public_outputs()) == ("limb 0 loses its digits", 0)
        trace[:, self.LIMB.start] = fill_trace(program)[0][:, self.LIMB.start] + 1
        assert self.broken(program, trace, other.public_outputs()) == ("limb 0 has no more digits", 31)

    @pytest.mark.parametrize("place", [8, 9, 15])
    def test_another_capacity(self, place: int) -> None:
        """With a capacity of one's own choice the permutation can be run backwards."""
        program = RangeProof(77, 18, 120, BLINDING)
        trace = fill_trace(program)[0]
        state = trace[0, self.STATE].tolist()
        state[place] += 1
        for row, (kind, constants) in enumerate(range_proof._steps()):
            trace[row, self.STATE] = state
            state = range_proof._step(state, kind, constants)
        assert self.broken(program, trace, tuple(state[:8])) == (f"capacity {place - 8}", 0)


class TestRefusals:
    @pytest.mark.parametrize("value", [17, 121, 0, MOST, -1, 2**64, True, "77", None])
    def test_a_value_outside_its_range(self, value: Any) -> None:
        """Named by its field, before proving; the error does not show it."""
        with pytest.raises(ProgramError) as caught:
            RangeProof(value, 18, 120, BLINDING)
        assert (caught.value.field, caught.value.value) == ("value", None)
        assert str(caught.value).startswith("the private field 'value' is ")

    @pytest.mark.parametrize(
        ("low", "high", "field"), [(5, 4, "high"), (-1, 4, "low"), (0, 2**64, "high"), ("0", 4, "low")]
    )
    def test_a_range_that_is_none(self, low: Any, high: Any, field: str) -> None:
        """Low and high are in order and have 64 bits."""
        with pytest.raises(ProgramError) as caught:
            RangeProof(4, low, high, BLINDING)
        assert caught.value.field == field

    @pytest.mark.parametrize("blinding", [(), BLINDING[:3], (*BLINDING, 0), list(BLINDING), (P, 0, 0, 0), None, 5])
    def test_a_malformed_blinding(self, blinding: Any) -> None:
        """Four elements in a tuple; the error does not show them."""
        with pytest.raises(ProgramError) as caught:
            RangeProof(77, 18, 120, blinding)
        assert (caught.value.field, caught.value.value) == ("blinding", None)
        assert str(BLINDING[0]) not in str(caught.value)

    def test_private_fields_are_not_shown(self) -> None:
        """Neither the repr nor the statement holds them."""
        program = RangeProof(77777, 18, 120000, BLINDING)
        text = repr(program) + repr(program.statement())
        assert not any(str(secret) in text for secret in (77777, *BLINDING))
