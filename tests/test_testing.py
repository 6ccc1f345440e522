"""`aprover.testing.find_underconstrained`: planted faults are found, and nothing else."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from aprover.air import AirBuilder, Program
from aprover.air.check import check_trace, fill_trace
from aprover.air.field import P
from aprover.air.program import describe
from aprover.errors import ConstraintError, ProgramError
from aprover.programs import Fibonacci
from aprover.testing import FreeColumn, find_underconstrained

from .programs_for_tests import SAMPLES, TABLE_SAMPLES, Tribonacci, Window


class Squares(Program):
    """total(i+1) = total(i) + flag(i) x(i)^2, with a fault to choose."""

    fault: str = ""
    rows: int = 8

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.rows)
        flag, x, total = b.column("flag"), b.column("x"), b.column("total")
        b.assert_zero(flag * (flag - 1), name="flag is boolean")
        square = x * x
        if params.fault == "flag is not used":
            added = square
        elif params.fault == "half of the rows":
            added = flag * square
            b.assert_equal(b.periodic([1, 0]) * flag, 0, name="no flag on even rows")
        else:
            added = flag * square
            b.assert_equal(flag, 1, name="flag")
        b.assert_equal(total.next, total + added, name="sum")
        step = 1 if params.fault != "every other x" else 2
        b.assert_equal(x.at(step), x + step, name="count")
        b.boundary(x, 0, 1)
        if params.fault == "every other x":
            b.boundary(x, 1, 2)
        if params.fault != "no start":
            b.boundary(total, 0, 0)

    def trace(self, out: NDArray[np.uint32]) -> None:
        x = np.arange(1, len(out) + 1)
        out[:, 0] = 1
        if self.fault == "half of the rows":
            out[::2, 0] = 0
        out[:, 1] = x
        out[1:, 2] = np.cumsum(out[:, 0] * x * x)[:-1]
        if self.fault == "a wrong trace":
            out[3, 2] += 1


class Linked(Program):
    """Items with their prices from another table, and the numbers of items sent to a third; with a fault to choose."""

    fault: str = ""

    FAULTS: ClassVar[dict[str, dict[str, list[int]]]] = {
        "": {},
        # The price is then looked up alone, so the key in the other table means nothing.
        "no key": {"item": list(range(8)), "prices.item": list(range(8))},
        # Sent and received by the same row, it may be anything.
        "own row": {"item": list(range(8))},
        # Rows that take no part.
        "half": {"item": [1, 3, 5, 7], "price": [1, 3, 5, 7], "count.item": [4, 5, 6, 7]},
    }

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(8)
        item, price, used = b.column("item"), b.column("price"), b.column("used")
        prices, count = b.table("prices"), b.table("count")
        prices.rows(8)
        count.rows(8)
        key, cost = prices.column("item"), prices.column("price")
        prices.assert_equal(cost.next, 2 * cost, name="double")
        prices.boundary(cost, 0, 3)
        counted = count.column("item")
        b.assert_equal(used, b.periodic([1, 0]) if params.fault == "half" else 1, name="used")
        seen = b.bus("seen", 1)
        if params.fault == "no key":
            priced = b.bus("priced", 1)
            priced.provide(cost)
            b.lookup(price, priced)
            prices.assert_zero(key * (key - 1) * (key - 2), name="small")
            b.assert_zero(item * (item - 1) * (item - 2), name="small")
            seen.send(price)
            seen.receive(counted)
            return
        priced = b.bus("priced", 2)
        priced.provide([key, cost])
        prices.assert_equal(key.next, key + 1, name="one by one")
        prices.boundary(key, 0, 0)
        if params.fault == "own row":
            b.lookup([0 * item, price], priced)
            b.bus("back", 1).send(item)
            b.buses[-1].receive(item)
            seen.send(price)
            seen.receive(counted)
            return
        b.lookup([item, price], priced, when=used)
        seen.send(item, when=used)
        seen.receive(counted, when=count.active(4) if params.fault == "half" else 1)

    def trace(self, out: dict[str, NDArray[np.uint32]]) -> None:
        main, prices, count = out["main"], out["prices"], out["count"]
        prices[:, 0], prices[:, 1] = range(8), 3 * 2 ** np.arange(8)
        main[:, 0], main[:, 2] = [0, 3, 1, 2, 3, 3, 7, 0], 1
        main[:, 1] = prices[main[:, 0], 1]
        count[:, 0] = main[::-1, 0]
        if self.fault == "no key":
            main[:, 0], prices[:, 0] = 1, 1
            count[:, 0] = main[::-1, 1]
        if self.fault == "own row":
            main[:, 1] = 3
            count[:, 0] = 3
        if self.fault == "half":
            main[1::2, 2] = 0
            count[:4, 0], count[4:] = main[::2, 0], 0


class Overlap(Program):
    """Reads a column at the offsets 0, 1 and 3 in one constraint, which leaves some cells half free."""

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003
        b.rows(8)
        x, y = b.column("x"), b.column("y")
        b.assert_zero(x * (x.next - 1) * x.at(3), name="product")
        b.assert_zero(y * y - 1, name="sign")
        b.boundary(y, 5, 1)

    def trace(self, out: NDArray[np.uint32]) -> None:
        out[:, 0] = [0, 0, 5, 1, 0, 7, 0, 1]
        out[:, 1] = 1


def free_by_check(program: Program) -> set[tuple[str, int, int]]:
    """By evaluating everything for every change: column, row and accepted value."""
    air, builder, good = program.compiled(), describe(program), fill_trace(program)[0]
    publics = air.publics(program.statement())
    free = set()
    for index, name in enumerate(air.tables[0].column_names):
        for row in range(air.height):
            x = int(good[row, index])
            for value in {(x + 1) % P, (x - 1) % P, (1 - x) % P, -x % P, 0, 7} - {x}:
                trace = good.copy(order="F")
                trace[row, index] = value
                try:
                    check_trace(builder, air, [trace], publics)
                except ConstraintError:
                    continue
                free.add((name, row, value))
    return free


def flat(found: tuple[FreeColumn, ...]) -> set[tuple[str, int, int]]:
    return {(column.name, cell.row, value) for column in found for cell in column.cells for value in cell.accepted}


class TestPlantedFaults:
    def test_a_sound_program_is_clean(self) -> None:
        """Nothing is planted, nothing is found."""
        assert find_underconstrained(Squares()) == ()

    def test_a_boolean_that_nothing_uses(self) -> None:
        """It is constrained, so the builder cannot know; turned over, it is noticed by nothing."""
        (found,) = find_underconstrained(Squares("flag is not used"))
        assert (found.name, found.whole) == ("flag", True)
        assert [(cell.row, cell.value, cell.accepted) for cell in found.cells] == [(i, 1, (0,)) for i in range(8)]
        assert str(found) == "column 'flag' is free in every row: no constraint notices 0 in place of 1"

    def test_a_start_that_nothing_holds(self) -> None:
        """A sum whose start is free is noticed by its differences: freedom of all cells together is not found."""
        assert find_underconstrained(Squares("no start")) == ()

    def test_a_row_that_a_selector_leaves_out(self) -> None:
        """On odd rows only the next row's sum notices the flag, and the last row has none."""
        (found,) = find_underconstrained(Squares("half of the rows"))
        assert (found.name, found.whole, [cell.row for cell in found.cells]) == ("flag", False, [7])
        assert str(found).startswith("column 'flag' is free in 1 row, row 7:")

    @pytest.mark.parametrize(
        "program",
        [*[Squares(fault) for fault in ("", "flag is not used", "half of the rows", "every other x")], Overlap()],
        ids=str,
    )
    def test_agrees_with_evaluating_everything(self, program: Program) -> None:
        """The constraints around the changed row notice what all constraints on all rows notice."""
        found = find_underconstrained(program, values=[7])
        assert {item for item in flat(found) if item[2] < 10 or item[2] > P - 10} == free_by_check(program)

    def test_further_values(self) -> None:
        """A fault that only a special value shows is found when that value is given."""

        class Sparse(Program):
            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003
                b.rows(8)
                x = b.column("x")
                b.assert_zero((x - 5) * (x - 1000), name="one of two")

            def trace(self, out: NDArray[np.uint32]) -> None:
                out[:, 0] = 5

        assert find_underconstrained(Sparse()) == ()
        (found,) = find_underconstrained(Sparse(), values=[1000])
        assert found.whole
        assert found.cells[0].accepted == (1000,)

    def test_chosen_columns(self) -> None:
        """Only these are changed."""
        assert find_underconstrained(Squares("flag is not used"), columns=["x", "total"]) == ()


class TestPrograms:
    @pytest.mark.parametrize("program", [p for p in SAMPLES if p.compiled().height <= 128], ids=repr)
    def test_sample(self, program: Program) -> None:
        """No cell of the shipped programs and of those of the tests is free, at small sizes."""
        assert find_underconstrained(program) == ()


class TestTables:
    @pytest.mark.parametrize("program", [p for p in TABLE_SAMPLES if p.compiled().height <= 128], ids=repr)
    def test_sample(self, program: Program) -> None:
        """Lookups, buses and range checks hold their cells fast."""
        assert find_underconstrained(program) == ()

    @pytest.mark.parametrize("fault", list(Linked.FAULTS))
    def test_planted_faults(self, fault: str) -> None:
        """Each is found where it is, and nothing else is."""
        found = find_underconstrained(Linked(fault))
        assert {column.name: [cell.row for cell in column.cells] for column in found} == Linked.FAULTS[fault]

    def test_values_in_range_are_free(self) -> None:
        """A range check says no more: of a value that nothing else reads, every other one in range is reported."""

        class Small(Program):
            limb_bits: int

            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:
                b.rows(8)
                b.range_check(b.column("x"), 4, limb_bits=params.limb_bits)

            def trace(self, out: NDArray[np.uint32]) -> None:
                out[:, 0] = 15

        for limb_bits in (1, 3, 4, 5):
            (found,) = find_underconstrained(Small(limb_bits), values=[3, 16])
            assert {cell.accepted for cell in found.cells} == {(0, 3, 14)}

    def test_columns_by_name(self) -> None:
        """Of other tables with the table's name; those that the builder fills are none of the author's."""
        assert find_underconstrained(Linked("no key"), columns=["used", "prices.price"]) == ()
        for name in ("cost", "prices.provide_priced_count", "nothing.item"):
            with pytest.raises(ProgramError, match="columns"):
                find_underconstrained(Linked(), columns=[name])


class TestRefusals:
    def test_a_wrong_trace(self) -> None:
        """The program's own trace is checked first."""
        with pytest.raises(ConstraintError) as caught:
            find_underconstrained(Squares("a wrong trace"))
        assert (caught.value.name, caught.value.row) == ("sum", 2)

    def test_a_large_trace(self) -> None:
        """The error says what to do."""
        with pytest.raises(ProgramError, match="smaller trace"):
            find_underconstrained(Fibonacci(2**22))

    def test_an_unknown_column(self) -> None:
        """The error names it."""
        with pytest.raises(ProgramError, match="'z'"):
            find_underconstrained(Window(8), columns=["x", "z"])

    def test_private_values_are_free_only_together(self) -> None:
        """A private seed with all that follows from it may change; its cell alone may not."""
        assert find_underconstrained(Tribonacci(5, 3)) == ()
