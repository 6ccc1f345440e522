"""The Fibonacci sequence in 64-bit integers: its values, its constraints, its proofs, its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aprover import reference
from aprover.air.check import check, check_trace, fill_trace
from aprover.air.program import describe, program_from_statement
from aprover.backends.stark import stark_parameters
from aprover.errors import ConstraintError, ProgramError, VerificationCode, VerificationError
from aprover.programs.fibonacci_u64 import FibonacciU64, from_limbs, sequence, to_limbs
from aprover.proof import Proof
from aprover.prover import prove
from aprover.statement import Statement
from aprover.testing import find_underconstrained
from aprover.verifier import verify

MASK = 2**64 - 1
words = st.integers(0, MASK) | st.sampled_from([0, 1, 2**16 - 1, 2**16, 2**32 - 1, 2**63, MASK - 1, MASK])


def slow(a: int, b: int, count: int) -> list[int]:
    values = [a, b]
    while len(values) < count:
        values.append((values[-2] + values[-1]) & MASK)
    return values[:count]


class TestValues:
    def test_known_terms(self) -> None:
        """F(93) is the last one below 2^64, and F(94) wraps round."""
        assert from_limbs(FibonacciU64(20).public_outputs()) == 6765
        assert from_limbs(FibonacciU64(93).public_outputs()) == 12200160415121876738
        assert from_limbs(FibonacciU64(94).public_outputs()) == 19740274219868223167 - 2**64

    @given(words, words, st.integers(1, 300))
    def test_output_is_the_nth_term(self, a: int, b: int, n: int) -> None:
        """Fast doubling agrees with adding, from any two starting values."""
        assert from_limbs(FibonacciU64(n, a, b).public_outputs()) == slow(a, b, n + 1)[n]

    @given(words, words, st.integers(1, 200))
    def test_sequence(self, a: int, b: int, count: int) -> None:
        """The doubling sequence agrees with adding, for every length."""
        assert sequence(a, b, count).tolist() == slow(a, b, count)

    @given(words)
    def test_limbs(self, value: int) -> None:
        """Four limbs of 16 bits, and back; an int and its limbs are the same input."""
        assert all(0 <= limb < 2**16 for limb in to_limbs(value))
        assert from_limbs(to_limbs(value)) == value
        assert FibonacciU64(5, value) == FibonacciU64(5, to_limbs(value))


class TestConstraints:
    @given(words, words, st.integers(1, 40))
    @settings(max_examples=30, deadline=None)
    def test_trace_satisfies_the_constraints(self, a: int, b: int, n: int) -> None:
        """For every n, not only powers of two, and carries through all limbs."""
        check(FibonacciU64(n, a, b))

    def test_shape(self) -> None:
        """Eight columns are written; the builder adds bits of them, or looks the limbs up where there are many."""
        (table,) = FibonacciU64(1000).compiled().tables
        assert (table.written, table.columns, table.degree, table.height) == (8, 72, 2, 1024)
        main, numbers = FibonacciU64(2**18).compiled().tables
        assert (main.columns, main.interactions, numbers.height) == (8, 4, 2**16)

    def test_looked_up_limbs(self) -> None:
        """A limb of 2^16 is refused there too."""

        class Large(FibonacciU64):
            def trace(self, out: NDArray[np.uint32]) -> None:
                super().trace(out)
                out[2**17 + 5, 6] = 2**16

        check(FibonacciU64(2**18, MASK, MASK - 7))
        with pytest.raises(ConstraintError) as caught:
            check(Large(2**18))
        assert "range check 'y[2] is a limb' fails at row 131077: y[2] is 65536" in str(caught.value)

    @pytest.mark.parametrize("n", [1, 2, 13])
    def test_every_cell_is_constrained(self, n: int) -> None:
        """A change of any one cell breaks a constraint."""
        assert find_underconstrained(FibonacciU64(n, MASK, MASK - 2**33), values=(2**16, 2**16 - 1)) == ()

    @pytest.mark.parametrize("n", [1, 2, 94])
    def test_a_wrong_value(self, n: int) -> None:
        """In each limb of each public value, fails where it stands."""
        program = FibonacciU64(n, 3, MASK)
        air, builder, trace = program.compiled(), describe(program), fill_trace(program)[0]
        for i in range(12):
            publics = air.publics(program.statement())
            publics[i] ^= 1
            with pytest.raises(ConstraintError):
                check_trace(builder, air, [trace], publics)

    def test_a_carry_is_not_free(self) -> None:
        """A sequence without carries between limbs breaks the carry of the limb that should have had one."""
        program = FibonacciU64(8, 2**16 - 1, 1)
        trace = fill_trace(FibonacciU64(8, 0, 0))[0]
        trace[0, 0], trace[:, 4], trace[:, 8] = 2**16 - 1, 1, 1
        air = program.compiled()
        with pytest.raises(ConstraintError):
            check_trace(describe(program), air, [trace], air.publics(program.statement()))


class TestProofs:
    @pytest.mark.parametrize(("n", "a", "b"), [(1, 5, 7), (94, 0, 1), (1000, MASK, 2**63)])
    def test_both_verifiers(self, n: int, a: int, b: int) -> None:
        """A proof is accepted; under a statement with another value it is not."""
        program = FibonacciU64(n, a, b)
        proof = Proof("stark", program.statement(), prove(program, stark_parameters(program.compiled(), 100, "time")))
        assert verify(proof) == reference.verify(proof.to_bytes()) == program.statement()
        statement = program.statement()
        false = to_limbs(slow(a, b, n + 1)[n] ^ 2**40)
        claim = Statement(statement.program, statement.parameters, statement.public_inputs, false)
        for check_proof in (verify, reference.verify):
            with pytest.raises(VerificationError) as caught:
                check_proof(Proof("stark", claim, proof.body).to_bytes())
            assert caught.value.code is VerificationCode.QUOTIENT


class TestRefusals:
    @pytest.mark.parametrize("n", [0, -1, 2**20 + 1, True, "5", None])
    def test_n(self, n: Any) -> None:
        """The error names field, value and range."""
        with pytest.raises(ProgramError) as caught:
            FibonacciU64(n)
        assert (caught.value.field, caught.value.value) == ("n", n)

    @pytest.mark.parametrize(
        "value", [-1, 2**64, True, "1", None, (), (1, 2, 3), (0, 0, 0, 2**16), (0, 0, 0, True), [0] * 4]
    )
    @pytest.mark.parametrize("field", ["a", "b"])
    def test_starting_values(self, field: str, value: Any) -> None:
        """Ints of 64 bits, or four limbs of 16."""
        with pytest.raises(ProgramError) as caught:
            FibonacciU64(5, **{field: value})
        assert (caught.value.field, caught.value.value) == (field, value)
        assert caught.value.allowed

    @pytest.mark.parametrize("limbs", [(2**16, 0, 0, 0), (0, 0, 0, -1), (0, 0, 0), 5])
    def test_statements_with_other_limbs(self, limbs: Any) -> None:
        """A verifier refuses starting values that are not limbs: the constraints take it for granted."""
        with pytest.raises(VerificationError) as caught:
            program_from_statement(Statement("fibonacci-u64", (("n", 5),), (limbs, (1, 0, 0, 0)), (0, 0, 0, 0)))
        assert caught.value.code is VerificationCode.STATEMENT

    @pytest.mark.parametrize("limbs", [(0, 0, 0), (0, 0, 0, 2**16), (0, 0, 0, -1), "0000", 7])
    def test_from_other_limbs(self, limbs: Any) -> None:
        """`from_limbs` takes four ints of 16 bits."""
        with pytest.raises(ProgramError, match="limbs"):
            from_limbs(limbs)
