"""The teaching example: it runs, it is right for every recurrence, and it refuses what is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aprover.air.check import check
from aprover.air.field import P
from aprover.errors import ProgramError, VerificationCode
from aprover.programs import Fibonacci
from aprover.testing import find_underconstrained

from .support.proving import assert_both_reject, example, printed_by, proved_and_verified

LinearRecurrence = example("linear_recurrence").LinearRecurrence

elements = st.integers(0, P - 1)


class TestExample:
    def test_runs(self) -> None:
        """It proves the Lucas number 15127, finds nothing free, and shows what a refusal says."""
        lines = printed_by("linear_recurrence")
        assert lines[0] == "cells that no constraint notices: none"
        assert lines[1].endswith("the Lucas number L(20) is 15127")
        assert lines[2].startswith("refused: initial = (2, 1, 3) is not allowed; allowed: 2 ints")


class TestProofs:
    @pytest.mark.parametrize(
        ("coefficients", "initial", "n"),
        [((1, 1), (2, 1), 20), ((3,), (5,), 1), ((0, 0, 1), (1, 2, 3), 3), ((P - 1,) * 15, tuple(range(15)), 100)],
    )
    def test_both_verifiers_accept(self, coefficients: Any, initial: Any, n: int) -> None:
        """Of order 1 to 15, at the first term that is not initial and beyond; and no other output."""
        program = LinearRecurrence(coefficients, initial, n)
        proof = proved_and_verified(program)
        wrong = ((program.public_outputs()[0] + 1) % P,)
        assert_both_reject(proof, LinearRecurrence, VerificationCode.QUOTIENT, public_outputs=wrong)
        assert find_underconstrained(program) == ()

    @given(st.lists(st.tuples(elements, elements), min_size=1, max_size=15), st.integers(0, 40))
    @settings(max_examples=25)
    def test_every_recurrence_has_a_trace(self, pairs: list[tuple[int, int]], more: int) -> None:
        """For all coefficients and initial terms, zero among them, and every n."""
        coefficients, initial = zip(*pairs, strict=True)
        check(LinearRecurrence(coefficients, initial, len(pairs) + more))

    @given(elements, elements, st.integers(2, 200))
    @settings(max_examples=25)
    def test_fibonacci_is_a_case(self, a: int, b: int, n: int) -> None:
        """With the coefficients 1 and 1."""
        assert LinearRecurrence((1, 1), (a, b), n).public_outputs() == Fibonacci(n, a, b).public_outputs()


class TestRefusals:
    @pytest.mark.parametrize(
        ("field", "arguments"),
        [
            ("coefficients", ((), (), 5)),
            ("coefficients", ((1,) * 16, (1,) * 16, 20)),
            ("coefficients", ((1, P), (1, 1), 5)),
            ("coefficients", ((1, -1), (1, 1), 5)),
            ("initial", ((1, 1), (1,), 5)),
            ("initial", ((1, 1), (1, P), 5)),
            ("n", ((1, 1), (1, 1), 1)),
            ("n", ((1, 1), (1, 1), 2**20)),
            ("n", ((1, 1), (1, 1), "5")),
        ],
    )
    def test_bad_input(self, field: str, arguments: Any) -> None:
        """The error names the field."""
        with pytest.raises(ProgramError) as caught:
            LinearRecurrence(*arguments)
        assert caught.value.field == field
