"""The Fibonacci program: its values, its trace in Python and in C, its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from aprover._native import ffi, lib
from aprover.air.check import check, fill_trace
from aprover.air.field import P
from aprover.errors import ProgramError
from aprover.programs import Fibonacci
from aprover.programs.fibonacci import sequence
from aprover.testing import find_underconstrained

elements = st.integers(0, P - 1)


def slow(a: int, b: int, count: int) -> list[int]:
    values = [a, b]
    while len(values) < count:
        values.append((values[-2] + values[-1]) % P)
    return values[:count]


def c_trace(generator: int, arguments: tuple[int, ...], columns: int, log_height: int) -> NDArray[np.uint32]:
    """The trace that the C generator makes: shape (height, columns)."""
    out = np.full((columns, 1 << log_height), 0xFFFFFFFF, dtype=np.uint32)
    status = lib.aprover_generate(
        generator, list(arguments), len(arguments), ffi.from_buffer("uint32_t[]", out), columns, log_height, ffi.NULL
    )
    assert status == lib.APROVER_OK
    return out.T


class TestValues:
    def test_twenty(self) -> None:
        """F(20) = 6765."""
        assert Fibonacci(20).public_outputs() == (6765,)

    @given(elements, elements, st.integers(1, 300))
    def test_output_is_the_nth_term(self, a: int, b: int, n: int) -> None:
        """Fast doubling agrees with adding, from any two starting values."""
        assert Fibonacci(n, a, b).public_outputs() == (slow(a, b, n + 1)[n],)

    @given(elements, elements, st.integers(1, 200))
    def test_sequence(self, a: int, b: int, count: int) -> None:
        """The doubling sequence agrees with adding, for every length."""
        assert sequence(a, b, count).tolist() == slow(a, b, count)

    @pytest.mark.parametrize("n", [*range(1, 18), 31, 32, 33, 1000])
    def test_trace_satisfies_the_constraints(self, n: int) -> None:
        """For every n, not only powers of two, F(n) stands where the boundary wants it."""
        check(Fibonacci(n, 3, P - 2))

    @pytest.mark.parametrize(("n", "height"), [(1, 8), (8, 8), (9, 16), (16, 16), (1024, 1024), (2**22, 2**22)])
    def test_a_power_of_two_needs_no_more_rows(self, n: int, height: int) -> None:
        """The height is the next power of two of n, at least 8."""
        assert Fibonacci(n).compiled().height == height

    @pytest.mark.parametrize("n", [1, 5, 8])
    def test_no_cell_is_free(self, n: int) -> None:
        """A change of any cell breaks a constraint."""
        assert find_underconstrained(Fibonacci(n, 3, 4)) == ()


class TestTraceInC:
    @pytest.mark.parametrize("n", [1, 9, 1000, 2**16])
    def test_equals_the_trace_in_python(self, n: int) -> None:
        """The same cells in the same columns."""
        program = Fibonacci(n, P - 1, P - 2)
        generator, arguments = program.native_trace()
        air = program.compiled()
        assert (c_trace(generator, arguments, air.columns, air.tables[0].log_height) == fill_trace(program)[0]).all()


class TestRefusals:
    @pytest.mark.parametrize("n", [0, -1, 2**22 + 1, 2**80, True, "5", 5.0, None])
    def test_n(self, n: Any) -> None:
        """The error names field, value and range."""
        with pytest.raises(ProgramError) as caught:
            Fibonacci(n)
        assert (caught.value.field, caught.value.value) == ("n", n)
        assert "int" in str(caught.value.allowed)

    @pytest.mark.parametrize("value", [-1, P, True, "1", (1,)])
    def test_starting_values(self, value: Any) -> None:
        """They are field elements."""
        with pytest.raises(ProgramError) as first:
            Fibonacci(5, value)
        with pytest.raises(ProgramError) as second:
            Fibonacci(5, b=value)
        assert (first.value.field, second.value.field) == ("a", "b")
