"""`check`: right traces pass, and a wrong one is named with its constraint, row and values."""

from __future__ import annotations

from typing import Any, cast

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from aprover.air import AirBuilder, Program, private, public
from aprover.air.check import check, check_trace, fill_trace
from aprover.air.evaluate import BLOCK_ROWS
from aprover.air.field import P
from aprover.errors import ConstraintError, ProgramError
from aprover.programs import Fibonacci

from .programs_for_tests import SAMPLES, Checkpoints, DegreeEight, Tribonacci, Window
from .random_airs import RandomAir, random_airs


class Counter(Program):
    """x(i) = start + i, with a hook that spoils the trace."""

    rows_wanted: int
    spoiled: tuple[tuple[int, int], ...] = private(default=())
    start: int = public(default=0)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.rows_wanted)
        x = b.column("x")
        b.assert_equal(x.next, x + 1, name="step")
        b.boundary(x, 0, b.public("start"), name="start")
        b.boundary(x, -1, b.output(0), name="end")

    def trace(self, out: NDArray[np.uint32]) -> None:
        out[:, 0] = self.start + np.arange(len(out))
        for row, value in self.spoiled:
            out[row, 0] = value

    def public_outputs(self) -> tuple[int, ...]:
        return (self.start + self.compiled().height - 1,)


def broken(program: Program) -> ConstraintError:
    with pytest.raises(ConstraintError) as caught:
        check(program)
    return caught.value


class TestPasses:
    @pytest.mark.parametrize("program", SAMPLES, ids=str)
    def test_samples(self, program: Program) -> None:
        """The traces of all sample programs satisfy their constraints."""
        assert check(program) is None  # type: ignore[func-returns-value]

    def test_many_blocks(self) -> None:
        """Also when the trace is evaluated in several blocks, and reads cross their edges."""
        check(Window(4 * BLOCK_ROWS + 1))

    def test_exempt_rows(self) -> None:
        """A constraint that reads s rows below does not hold on the last s rows: there the trace wraps round."""
        trace = fill_trace(Window(16))[0].astype(object)
        assert (trace[0, 0] - trace[-3, 0] - trace[-2, 0] * trace[-1, 1]) % P
        check(Window(16))


class TestFailures:
    @pytest.mark.parametrize("rows", [8, 16, 4 * BLOCK_ROWS])
    def test_every_row_is_checked(self, rows: int) -> None:
        """A wrong cell in any row is found, in the row above it; the first and last rows and block edges included."""
        edges = {1, 2, 7, rows // 2, rows - 2, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1}
        for row in sorted(edge for edge in edges if 0 < edge < rows - 1):
            error = broken(Counter(rows, ((row, 5 * rows),)))
            assert (error.name, error.row, error.values) == ("step", row - 1, (5 * rows, row))

    def test_every_constraint_on_every_row(self) -> None:
        """Fibonacci: a change of any cell breaks a constraint, in its own row or the one above."""
        program = Fibonacci(13, 4, 9)
        good = fill_trace(program)[0]
        publics = program.compiled().publics(program.statement())
        for row in range(16):
            for column in range(2):
                trace = good.copy(order="F")
                trace[row, column] ^= 1
                with pytest.raises(ConstraintError) as caught:
                    check_trace(builder_of(program), program.compiled(), [trace], publics)
                assert caught.value.row in (row - 1, row)

    def test_first_row(self) -> None:
        """A wrong first row breaks its boundary."""
        error = broken(Counter(8, ((0, 3),), 2))
        assert (error.name, error.row, error.values) == ("start", 0, (3, 2))
        assert str(error) == (
            "boundary 'start' fails at row 0: x is 3, and it should be 2\n"
            "also: constraint 'step' fails at row 0: x.next is 3, x + 1 is 4; there x = 3, x.next = 3"
        )

    def test_the_lowest_row_is_reported(self) -> None:
        """Whatever the order of the constraints."""
        error = broken(Counter(32, ((30, 3), (7, 3), (8, 3))))
        assert (error.name, error.row) == ("step", 6)

        class Wrong(Window):
            def public_outputs(self) -> tuple[int, ...]:
                return (0, 0)

        error = broken(Wrong(5))  # of the last row of x and of row 4 of y
        assert (error.name, error.row) == ("y at n", 4)

    def test_a_wrong_output(self) -> None:
        """A public output that the trace does not reach breaks its boundary, with both values."""

        class Wrong(Fibonacci):
            def public_outputs(self) -> tuple[int, ...]:
                return (6766,)

        error = broken(Wrong(20))
        assert (error.name, error.row, error.values) == ("F(n)", 19, (6765, 6766))

    def test_message(self) -> None:
        """It names the constraint, the row, both sides with their values, the cells that are read; then the rest."""

        class Wrong(Fibonacci):
            def trace(self, out: NDArray[np.uint32]) -> None:
                super().trace(out)
                out[5, 1] += 1

        assert str(broken(Wrong(16))) == (
            "constraint 'sum' fails at row 4 (and in 1 other row): "
            "y.next is 9, x + y is 8; there x = 3, y = 5, y.next = 9\n"
            "also: constraint 'shift' fails at row 5: x.next is 8, y is 9; there y = 9, x.next = 8"
        )

    def test_both_sides_with_public_and_periodic_values(self) -> None:
        """The two values are those of the two sides of assert_equal, public and periodic values included."""

        class Mixed(Program):
            a: int = public(default=P - 1)

            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003
                b.rows(8)
                x = b.column("x")
                b.assert_equal(x.at(2) * b.periodic([2, 3]), b.public("a") * x - 7 * b.output(0), name="mixed")

            def trace(self, out: NDArray[np.uint32]) -> None:
                out[:, 0] = [0, 0, 1, 2, 0, 5, 6, 7]

            def public_outputs(self) -> tuple[int, ...]:
                return (0,)

        error = broken(Mixed())
        assert (error.name, error.row, error.values) == ("mixed", 0, (2, 0))

        class Later(Mixed):
            def trace(self, out: NDArray[np.uint32]) -> None:
                out[:, 0] = [0, 0, 0, 5, 0, 0, 0, 0]

        assert broken(Later()).values == (15, 0)
        assert broken(Later()).row == 1

    def test_many_boundaries(self) -> None:
        """Each of hundreds of public values in one column is compared with its cell."""
        program = Checkpoints(300, 3)
        values = program.public_outputs()

        class Wrong(Checkpoints):
            def public_outputs(self) -> tuple[int, ...]:
                return (*values[:211], 1, *values[212:])

        error = broken(Wrong(300, 3))
        assert (error.name, error.row, error.values) == ("checkpoint 211", 633, (values[211], 1))

    def test_degree_eight(self) -> None:
        """Exempt rows end where they should for large offsets."""

        class Wrong(DegreeEight):
            def trace(self, out: NDArray[np.uint32]) -> None:
                super().trace(out)
                out[-2, 0] ^= 1

        error = broken(Wrong(32, 15))
        assert (error.name, error.row) == ("eighth", 32 - 2 - 15)


class TestNonCanonical:
    @pytest.mark.parametrize("value", [P, P + 1, 2**32 - 1])
    def test_cells_are_below_p(self, value: int) -> None:
        """A cell at or above P is named, although it may satisfy the constraints modulo P."""
        with pytest.raises(ProgramError, match=rf"trace column 'x', row 3 = {value} is not allowed") as caught:
            check(Counter(8, ((3, value), (5, P))))
        assert not isinstance(caught.value, ConstraintError)


class TestPrivacy:
    def test_only_cells_that_are_read_are_shown(self) -> None:
        """The error tells nothing of private fields that are not in the row."""

        class Secretive(Tribonacci):
            password: str = private(default="")

            def trace(self, out: NDArray[np.uint32]) -> None:
                super().trace(out)
                out[20, 0] = 0

        error = broken(Secretive(30, 1_234_567, "swordfish"))
        assert error.row == 17
        assert "swordfish" not in str(error) + repr(error.args)
        assert "1234567" not in str(error)


class TestAgreement:
    @given(random_airs())
    @settings(max_examples=80, deadline=None)
    def test_agrees_with_the_definition(self, case: RandomAir) -> None:
        """On random constraints and traces: the first failure is the one that plain integers show."""
        air = case.builder.compile()
        failures = [
            (row, i)
            for row in range(16)
            for i, value in enumerate(case.values)
            if row < 16 - case.reach[i] and value(row)
        ]
        trace = np.asfortranarray(case.trace, dtype=np.uint32)
        if not failures:
            check_trace(case.builder, air, [trace], case.publics)
            return
        with pytest.raises(ConstraintError) as caught:
            check_trace(case.builder, air, [trace], case.publics)
        row, i = min(failures)
        assert (caught.value.row, caught.value.name) == (row, case.builder.assertions[i].name)
        assert caught.value.values == (case.values[i](row), 0)


def builder_of(program: Program) -> AirBuilder:
    b = AirBuilder([f.name for f in attrs.fields(cast(Any, type(program))) if f.metadata.get("aprover") == "public"])
    type(program).air(b, program)
    return b
