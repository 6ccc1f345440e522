"""The teaching example of lookups: it runs, it sorts, and no wrong order passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aprover.air.check import check, check_trace, fill_trace
from aprover.air.program import describe
from aprover.errors import ConstraintError, ProgramError
from aprover.testing import find_underconstrained

from .support.proving import example, printed_by, proved_and_verified

Sort = example("sort").Sort


class TestExample:
    def test_runs(self) -> None:
        """It finds nothing free, shows what a wrong trace breaks, and proves ten values."""
        lines = printed_by("sort")
        assert lines[0] == "cells that nothing notices: none"
        assert lines[1].startswith("bus 'the same values' is out of balance: 5 is sent once")
        assert lines[2].startswith("also: boundary 'sorted value 2' fails at row 2")
        assert lines[3].endswith(": (4, 5, 7, 8, 9, 9, 15, 26, 31, 35)")


class TestProofs:
    @pytest.mark.parametrize("values", [(5,), (2**29 - 1, 0), (3, 1, 2) * 5, tuple(range(70, 0, -1))])
    def test_both_verifiers_accept(self, values: tuple[int, ...]) -> None:
        """One value, the largest ones, equal ones, and enough for limbs."""
        assert proved_and_verified(Sort(values)).statement.public_outputs == tuple(sorted(values))

    @given(st.lists(st.integers(0, 2**29 - 1) | st.integers(0, 3), min_size=1, max_size=80))
    @settings(max_examples=25, deadline=None)
    def test_every_list_has_a_trace(self, values: list[int]) -> None:
        """Zeros and equal values among them."""
        check(Sort(tuple(values)))

    @pytest.mark.parametrize("count", [5, 60])
    def test_nothing_is_free(self, count: int) -> None:
        """Whether differences are checked by bits or by limbs."""
        assert find_underconstrained(Sort(tuple(i * 7919 % 1000 for i in range(count)))) == ()


class TestLies:
    @pytest.mark.parametrize(
        ("values", "claimed"),
        [
            ((1, 2, 3), (1, 3, 2)),
            ((1, 2, 3), (1, 2, 2)),
            ((1, 2, 2), (1, 1, 2)),
            ((0, 2, 3), (2, 3, 5)),
            ((0, 0, 3), (0, 3, 9)),
        ],
    )
    def test_a_wrong_order(self, values: tuple[int, ...], claimed: tuple[int, ...]) -> None:
        """Not in order, or not the same values; nor may the added rows lend a value in exchange for a zero."""
        program = Sort(values)
        air = program.compiled()
        for lent in (0, claimed[-1], claimed[0]):
            trace = np.zeros_like(fill_trace(program)[0])
            trace[:3, 0], trace[:3, 1], trace[7, 0] = values, claimed, lent
            tables = [np.ascontiguousarray(trace.T)]
            air.filling.complete(tables, [*values, *claimed])
            with pytest.raises(ConstraintError):
                check_trace(describe(program), air, [tables[0].T], [*values, *claimed])

    @pytest.mark.parametrize("values", [(), (1, 2**29), (-1,), (1, True), [1]])
    def test_bad_input(self, values: Any) -> None:
        """The error names the field and what is allowed."""
        with pytest.raises(ProgramError) as caught:
            Sort(values)
        assert caught.value.field == "values"
