"""Tables, buses, lookups and range checks: what the builder accepts and refuses, and what `check` says about traces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aprover.air import AirBuilder, Program, bytecode
from aprover.air.check import check, check_trace, fill_trace
from aprover.air.field import P
from aprover.air.program import describe
from aprover.air.tracing import fill, new_tables
from aprover.air.tuples import TupleIndex, groups
from aprover.errors import ConstraintError, ProgramError

from .programs_for_tests import TABLE_SAMPLES, Relay, Shuffle, Squares, Weighted


def broken(program: Program) -> ConstraintError:
    with pytest.raises(ConstraintError) as caught:
        check(program)
    return caught.value


@pytest.fixture
def b() -> AirBuilder:
    builder = AirBuilder(["a"])
    builder.rows(8)
    return builder


class TestSamples:
    @pytest.mark.parametrize("program", TABLE_SAMPLES, ids=str)
    def test_traces_satisfy_constraints_and_buses(self, program: Program) -> None:
        """Tables of other heights, lookups, range checks and preprocessed columns."""
        assert check(program) is None  # type: ignore[func-returns-value]

    @pytest.mark.parametrize("program", TABLE_SAMPLES, ids=str)
    def test_every_changed_cell_is_noticed(self, program: Program) -> None:
        """Also in the columns that the builder fills: then the given trace is taken as it is."""
        air, builder, good = program.compiled(), describe(program), fill_trace(program)
        publics = air.publics(program.statement())
        generator = np.random.default_rng(1)
        for number, table in enumerate(air.tables):
            for column in range(table.columns):
                row = int(generator.integers(table.height))
                traces = [trace.copy(order="F") for trace in good]
                traces[number][row, column] = (int(good[number][row, column]) + 1) % P
                with pytest.raises(ConstraintError):
                    check_trace(builder, air, traces, publics)


class TestTables:
    def test_trace_gets_a_mapping(self) -> None:
        """From the names of tables with columns of their own to arrays; fixed tables are the builder's affair."""
        program = Squares(100, 40)
        names = ["main", "squares", "parities", "numbers of 6 bits"]
        assert [table.name for table in program.compiled().tables] == names

        class Looking(Squares):
            def trace(self, out: dict[str, NDArray[np.uint32]]) -> None:
                assert {name: array.shape for name, array in out.items()} == {"main": (128, 3), "squares": (64, 2)}
                assert all(array[:, 0].flags.c_contiguous for array in out.values())
                super().trace(out)

        check(Looking(100, 40))

    def test_trace_gets_one_array_for_one_written_table(self) -> None:
        """Although a fixed table makes it two tables in the proof."""

        class One(Program):
            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003
                b.rows(8)
                b.lookup(b.column("x"), b.fixed_table("primes", [[2, 3, 5]]))

            def trace(self, out: NDArray[np.uint32]) -> None:
                out[:, 0] = [2, 3, 5, 5, 5, 2, 2, 2]

        program = One()
        check(program)
        assert fill_trace(program)[1][:, 0].tolist() == [4, 1, 3, 0, 0, 0, 0, 0]

    def test_public_values_belong_to_all_tables(self, b: AirBuilder) -> None:
        """One that the first table named may be read by another, on either side of an operator."""
        t = b.table("t")
        t.rows(8)
        x = t.column("x")
        t.assert_equal(b.public("a") * x, x * b.public("a") + (b.output(0) - x), name="same")
        b.assert_zero(b.column("y"), name="y")
        assert b.compile().public_spec == (("input", "a", None), ("output", 0))

    def test_columns_belong_to_one_table(self, b: AirBuilder) -> None:
        """The error names both tables and the way out."""
        x = b.column("x")
        t = b.table("t")
        with pytest.raises(ProgramError, match=r"x belongs to table 'main', not to 't'.*by a bus"):
            t.assert_zero(t.column("y") - x)
        with pytest.raises(ProgramError, match="belongs to table 't'"):
            x + t.column("z")

    def test_names(self, b: AirBuilder) -> None:
        """Tables among themselves and buses among themselves; columns of two tables may share one."""
        b.table("t").column("x")
        b.column("x")
        for name in ("t", "main", "", 3):
            with pytest.raises(ProgramError, match=r"there is a table|name of a table"):
                b.table(name)  # type: ignore[arg-type]
        b.bus("s", 1)
        with pytest.raises(ProgramError, match="there is a bus 's' already"):
            b.bus("s", 1)

    def test_a_table_without_rows(self, b: AirBuilder) -> None:
        """The error names it, and the call that is missing."""
        b.assert_zero(b.column("x"))
        t = b.table("other")
        t.assert_zero(t.column("y"))
        with pytest.raises(ProgramError, match=r"table 'other' does not say.*other.rows\(n\)"):
            b.compile()

    def test_a_table_without_constraints(self, b: AirBuilder) -> None:
        """It would prove nothing."""
        b.assert_zero(b.column("x"))
        b.boundary(b.columns("y", 1)[0], 0, b.public("a"))
        b.table("other").rows(8)
        with pytest.raises(ProgramError, match="table 'other' has no constraints"):
            b.compile()

    def test_failures_name_the_table(self) -> None:
        """Of constraints and boundaries of tables other than the first."""

        class Wrong(Squares):
            def trace(self, out: dict[str, NDArray[np.uint32]]) -> None:
                super().trace(out)
                out["squares"][3, 1] = 10

        error = broken(Wrong(30, 40))
        assert "constraint 'square' of table 'squares' fails at row 3: v is 10, u * u is 9; there u = 3, v = 10" in str(
            error
        )


class TestConstraints:
    def test_when(self) -> None:
        """A constraint holds where `when` is not zero; the error still shows its two sides."""

        class Until(Program):
            wrong: int = 0

            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003
                b.rows(11)
                x = b.column("x")
                b.assert_equal(x.next, x + 1, when=b.active(10), name="step")

            def trace(self, out: NDArray[np.uint32]) -> None:
                out[:11, 0] = np.arange(11)
                out[11:, 0] = 77
                if self.wrong:
                    out[self.wrong, 0] = 50

        check(Until())
        check(Until(11))
        error = broken(Until(10))
        assert (error.name, error.row, error.values) == ("step", 9, (50, 10))

    @pytest.mark.parametrize("rows", [5, 8, 5000])
    def test_selectors(self, rows: int) -> None:
        """First, last and active rows, whether the height is that of a periodic column or more."""

        class Selectors(Program):
            n: int

            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:
                b.rows(params.n)
                first, last, active, two = b.columns("s", 4)
                b.assert_equal(first, b.first)
                b.assert_equal(last, b.last)
                b.assert_equal(active, b.active())
                b.assert_equal(two, b.active(2) - b.active(0))

            def trace(self, out: NDArray[np.uint32]) -> None:
                out[0, 0] = out[-1, 1] = 1
                out[: self.n, 2] = 1
                out[:2, 3] = 1

        check(Selectors(rows))
        assert bool(Selectors(rows).compiled().tables[0].preprocessed) == (rows > 4096)

    def test_selectors_need_the_height(self) -> None:
        """So rows come first."""
        with pytest.raises(ProgramError, match=r"call b.rows\(n\)"):
            _ = AirBuilder().first

    @pytest.mark.parametrize("count", [-1, 9, True, 1.0])
    def test_active_rows_lie_in_the_height(self, b: AirBuilder, count: Any) -> None:
        """The error says how many there are."""
        with pytest.raises(ProgramError, match=r"active rows = .*0 to 8"):
            b.active(count)

    def test_preprocessed_columns(self) -> None:
        """They are read as others are, wrong values are found, and they come last in the encoding."""

        class Wrong(Weighted):
            def trace(self, out: NDArray[np.uint32]) -> None:
                super().trace(out)
                out[4, 1] += 1

        assert (broken(Wrong(7)).name, broken(Wrong(7)).row) == ("add", 3)
        table = Weighted(7).compiled().tables[0]
        assert (table.columns, table.preprocessed, table.column_names) == (2, 1, ("x", "total", "weight"))
        values = bytecode.decode(Weighted(7).compiled().data).tables[0].preprocessed
        assert values.tolist() == [[5, 6, 9, 14, 21, 30, 41, 0]]

    def test_preprocessed_columns_are_shared_by_content(self, b: AirBuilder) -> None:
        """The same values are the same column."""
        assert b.preprocessed([1, 2]) is b.preprocessed((1, P + 2))
        assert b.preprocessed([1, 2]) is not b.preprocessed([1, 2, 3])

    def test_preprocessed_columns_that_are_too_long(self, b: AirBuilder) -> None:
        """The height is known when the AIR is compiled; the error names the column."""
        b.assert_equal(b.column("x"), b.preprocessed(range(9), name="nine"))
        b.boundary(b.column("y"), 0, b.public("a"))
        with pytest.raises(ProgramError, match="'nine' has 9 values, but the trace has 8 rows"):
            b.compile()

    def test_preprocessed_columns_have_no_boundaries(self, b: AirBuilder) -> None:
        """Their values are known."""
        with pytest.raises(ProgramError, match="is preprocessed"):
            b.boundary(b.preprocessed([1]), 0, 1)


class TestBuses:
    def test_a_balanced_bus(self) -> None:
        """Rows that are not active put nothing on it."""
        check(Relay(11))

    @pytest.mark.parametrize(("table", "row", "column"), [("half", 2, 0), ("sum", 1, 1)])
    def test_out_of_balance(self, table: str, row: int, column: int) -> None:
        """The error names the bus, the tuple, how often it is on each side, and where."""

        class Wrong(Relay):
            def trace(self, out: dict[str, NDArray[np.uint32]]) -> None:
                super().trace(out)
                out[table][row, column] = 100

        text = str(broken(Wrong(11)))
        if table == "half":
            assert (
                "bus 'single' is out of balance: 100 is sent 0 times and received once "
                "('receive single' of table 'half', row 2); 2 tuples are"
            ) in text
        assert "bus 'double' is out of balance: " in text

    def test_counts_matter(self) -> None:
        """A tuple that is sent twice must be received twice: sets are not enough."""

        class Twice(Program):
            copies: int = 1

            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003
                b.rows(8)
                b.permutation([b.column("x")], [b.column("y")], name="same")

            def trace(self, out: NDArray[np.uint32]) -> None:
                out[:, 0] = [1, 1, 1, 2, 2, 3, 4, 5]
                out[:, 1] = [5, 4, 3, 2, 2, 1, 1, 1] if self.copies == 1 else [5, 4, 3, 2, 1, 1, 1, 1]

        check(Twice())
        error = broken(Twice(2))
        assert (error.name, error.row, error.values) == ("same", 0, (3, 4))
        assert (
            "1 is sent 3 times ('same: left', rows 0, 1, 2) and received 4 times ('same: right', rows 4, 5, 6, 7)"
            in str(error)
        )

    @given(st.lists(st.tuples(*[st.integers(0, 2), st.integers(0, 1)] * 2), min_size=8, max_size=8))
    @settings(max_examples=60, deadline=None)
    def test_balance_is_equality_of_counts(self, rows: list[tuple[int, int, int, int]]) -> None:
        """On random tuples: `check` accepts exactly what is received as often as it is sent."""

        class Random(Program):
            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003
                b.rows(8)
                sent, sends, received, receives = b.columns("x", 4)
                bus = b.bus("s", 2)
                bus.send([sent, 5], when=sends)
                bus.receive([received, 5], when=receives)

            def trace(self, out: NDArray[np.uint32]) -> None:
                out[:] = rows

        sides = [Counter(row[i] for row in rows if row[i + 1]) for i in (0, 2)]
        if sides[0] == sides[1]:
            check(Random())
            return
        error = broken(Random())
        different = [value for value in range(3) if sides[0][value] != sides[1][value]]
        assert error.values in [(sides[0][value], sides[1][value]) for value in different]

    def test_permutation(self) -> None:
        """Pairs move together: the columns alone being permutations is not enough."""

        class Wrong(Shuffle):
            def trace(self, out: NDArray[np.uint32]) -> None:
                super().trace(out)
                out[:, 3] = np.roll(out[:, 3], 1)

        check(Shuffle(8))
        assert broken(Wrong(8)).name == "shuffled"

    def test_selectors_are_made_boolean(self, b: AirBuilder) -> None:
        """One constraint for each expression, unless its values are known."""
        bus = b.bus("s", 1)
        x, flag = b.column("x"), b.column("flag")
        bus.send(x, when=flag)
        bus.receive(x, when=flag)
        bus.send(x, when=b.first)
        bus.receive(x, when=1 - b.active(3))
        assert [item.name for item in b.assertions] == ["flag is boolean, as bus 's': send asks"]

    def test_a_wrong_selector(self) -> None:
        """A column that says 2 breaks the constraint that the builder added."""

        class Two(Program):
            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003
                b.rows(8)
                x, flag = b.column("x"), b.column("flag")
                bus = b.bus("s", 1)
                bus.send(x, when=flag)
                bus.receive(x, when=flag)

            def trace(self, out: NDArray[np.uint32]) -> None:
                out[3, 1] = 2

        assert (broken(Two()).name, broken(Two()).row) == ("flag is boolean, as bus 's': send asks", 3)

    @pytest.mark.parametrize(
        ("when", "text"),
        [
            (lambda b, x: 2, "`when` is 2"),  # noqa: ARG005
            (lambda b, x: b.periodic([0, 2]), "not 0 or 1 on every row"),  # noqa: ARG005
            (lambda b, x: b.first + b.active(2), "not 0 or 1 on every row"),  # noqa: ARG005
            (lambda b, x: b.public("a"), "not 0 or 1 on every row"),  # noqa: ARG005
            (lambda b, x: x.next, "reads the rows below"),  # noqa: ARG005
        ],
    )
    def test_wrong_selectors(self, b: AirBuilder, when: Callable[..., Any], text: str) -> None:
        """What is not 0 or 1, or cannot be made so on the last rows."""
        x = b.column("x")
        with pytest.raises(ProgramError, match=text):
            b.bus("s", 1).send(x, when=when(b, x))

    def test_one_side_alone(self, b: AirBuilder) -> None:
        """It cannot balance, or proves nothing."""
        x = b.column("x")
        b.assert_zero(x * b.public("a"), name="zero")
        bus = b.bus("s", 1)
        bus.send(x)
        with pytest.raises(ProgramError, match="nothing receives from or provides for bus 's'"):
            b.compile()

    def test_a_fixed_table_that_nothing_looks_up(self, b: AirBuilder) -> None:
        """The error names it."""
        b.assert_zero(b.column("x") * b.public("a"), name="zero")
        b.fixed_table("unused", [[1, 2]])
        with pytest.raises(ProgramError, match="nothing sends to bus 'unused'"):
            b.compile()

    def test_unequal_numbers(self, b: AirBuilder) -> None:
        """Where every row sends and every row receives, the numbers of rows are equal."""
        t = b.table("t")
        t.rows(9)
        bus = b.bus("s", 1)
        bus.send(b.column("x"))
        bus.receive(t.column("y"))
        b.boundary(b.column("z"), 0, b.public("a"))
        with pytest.raises(ProgramError, match="'s' cannot balance: 8 tuples are sent and 16 are received"):
            b.compile()

    def test_a_constant_that_the_other_side_never_has(self, b: AirBuilder) -> None:
        """The error says where."""
        bus = b.bus("s", 2)
        x = b.column("x")
        bus.send([x, 1])
        bus.receive([x, 2], when=1)
        b.boundary(x, 0, b.public("a"))
        with pytest.raises(ProgramError, match="puts the constant 1 at place 1 on every row"):
            b.compile()

    def test_receiving_and_providing(self, b: AirBuilder) -> None:
        """On one bus they are refused: a provided tuple could stand for a received one."""
        bus = b.bus("s", 1)
        x = b.column("x")
        bus.send(x)
        bus.receive(x)
        bus.provide(b.column("y"))
        b.boundary(x, 0, b.public("a"))
        with pytest.raises(ProgramError, match="both receives and provides"):
            b.compile()

    def test_widths(self, b: AirBuilder) -> None:
        """A tuple has the width of its bus; a bus is 1 to 16 wide."""
        bus = b.bus("s", 2)
        for values in ([b.column("x")], [1, 2, 3], b.column("y")):
            with pytest.raises(ProgramError, match="the bus has width 2"):
                bus.send(values)
        for width in (0, 17, True):
            with pytest.raises(ProgramError, match=r"width of bus 't' = .*1 to 16"):
                b.bus("t", width)

    def test_constants_do_not_say_whose_they_are(self, b: AirBuilder) -> None:
        """Unless the table is given."""
        bus = b.bus("s", 2)
        with pytest.raises(ProgramError, match="give table="):
            bus.send([1, b.public("a")])
        bus.send([1, b.public("a")], table=b)
        with pytest.raises(ProgramError, match="another AirBuilder"):
            bus.receive([1, AirBuilder().column("z")])

    def test_too_high_a_degree(self, b: AirBuilder) -> None:
        """The error says which expression and how to split it."""
        x = b.column("x")
        b.permutation([x**8], [b.column("y")], name="eighth")
        b.boundary(x, 0, b.public("a"))
        with pytest.raises(
            ProgramError, match=r"'eighth: left' on bus 'eighth' has degree 9.*\(x \* x .*own column|column of its own"
        ):
            b.compile()

    @pytest.mark.parametrize(
        ("pairs", "others", "batch"), [(1, 0, 1), (3, 0, 2), (20, 0, 3), (2, 120, 1), (20, 120, 2)]
    )
    def test_lookup_columns(self, pairs: int, others: int, batch: int) -> None:
        """Interactions share lookup columns, as far as the chunks of higher degrees cost less."""
        b = AirBuilder()
        b.rows(8)
        bus = b.bus("s", 1)
        for i in range(pairs):
            bus.send(b.column(f"x{i}"))
            bus.receive(b.column(f"y{i}"))
        for i in range(others):
            b.assert_boolean(b.column(f"z{i}"))
        (table,) = b.compile().tables
        assert bytecode.decode(b.compile().data).tables[0].batch == batch
        assert table.lookup_columns == -(-2 * pairs // batch)
        assert max(table.lookup_degrees) == batch + 1


class TestLookups:
    def test_a_value_that_is_not_there(self) -> None:
        """The error names the lookup, the row and the tuple."""

        class Wrong(Squares):
            def trace(self, out: dict[str, NDArray[np.uint32]]) -> None:
                super().trace(out)
                out["main"][5, 2] ^= 1
                out["main"][7, 1] = 3

        error = broken(Wrong(30, 40))
        assert (error.name, error.row, error.values) == ("parity of x", 5, (1, 0))
        first, second = str(error).splitlines()
        assert first.startswith("lookup 'parity of x' fails at row 5: (")
        assert first.endswith("is not in 'parities'")
        assert second.startswith("also: lookup 'x squared' fails at row 7: (")

    def test_inactive_rows_look_nothing_up(self) -> None:
        """After n rows the last column of the pairs is free of the table."""
        traces = fill_trace(Squares(5, 20))
        assert traces[2][:, 0].sum() == 5
        assert traces[1][:, 2].sum() == 8

    @pytest.mark.parametrize("value", [0, 4, P - 1])
    def test_what_fills_a_table_up_is_in_it(self, value: int) -> None:
        """A table of three rows has a height of eight, and nothing but the three in it."""

        class Primes(Program):
            value: int

            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003
                b.rows(8)
                b.lookup(b.column("x"), b.fixed_table("primes", [[2, 3, 5]]), name="prime")

            def trace(self, out: NDArray[np.uint32]) -> None:
                out[:, 0] = 2
                out[6, 0] = self.value

        check(Primes(5))
        assert (broken(Primes(value)).name, broken(Primes(value)).row) == ("prime", 6)

    def test_the_first_of_equal_rows_is_counted(self) -> None:
        """A fixed table is filled up by its first row, which so is there several times."""
        traces = fill_trace(Squares(9, 70))
        assert traces[2].shape == (128, 1)
        assert not traces[2][70:].any()

    def test_fixed_tables_are_shared_by_content(self, b: AirBuilder) -> None:
        """Whatever their name."""
        one = b.fixed_table("one", [[1, 2], [3, 4]])
        assert b.fixed_table("two", [(1, 2 + P), np.array([3, 4])]) is one
        assert (one.name, one.width) == ("one", 2)

    @pytest.mark.parametrize("columns", [[], [[1], [1, 2]], [[]], [[1.5]], [["1"]]])
    def test_wrong_fixed_tables(self, b: AirBuilder, columns: list[list[int]]) -> None:
        """Columns of ints, of one length."""
        with pytest.raises(ProgramError, match="fixed table 't'"):
            b.fixed_table("t", columns)

    def test_what_is_no_table(self, b: AirBuilder) -> None:
        """The error says what is wanted."""
        with pytest.raises(ProgramError, match="neither a fixed table nor a bus"):
            b.lookup(b.column("x"), [1, 2])  # type: ignore[arg-type]

    def test_the_proving_path_tells_no_values(self) -> None:
        """An error that may be logged names the lookup and the row only."""

        class Wrong(Squares):
            def trace(self, out: dict[str, NDArray[np.uint32]]) -> None:
                super().trace(out)
                out["main"][5, 1] = 123457

        program = Wrong(30, 40)
        with pytest.raises(ConstraintError) as caught:
            fill(program, program.compiled(), new_tables(program.compiled()))
        assert (caught.value.name, caught.value.row) == ("x squared", 5)
        assert "123457" not in str(caught.value)


class Ranged(Program):
    """A column of given values, each below 2^bits."""

    values: tuple[int, ...]
    bits: int
    offset: int = 0
    limb_bits: int | None = None

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(len(params.values))
        b.range_check(b.column("x").at(params.offset), params.bits, limb_bits=params.limb_bits, name="small")

    def trace(self, out: NDArray[np.uint32]) -> None:
        out[: len(self.values), 0] = self.values


class TestRangeChecks:
    @given(bits=st.integers(1, 30), limb_bits=st.sampled_from([None, 1, 3, 4, 7, 8, 11, 15]), data=st.data())
    @settings(max_examples=60, deadline=None)
    def test_bounds(self, bits: int, limb_bits: int | None, data: st.DataObject) -> None:
        """Exactly the values below 2^bits pass, whatever the limbs."""
        inside = data.draw(st.integers(0, 2**bits - 1) | st.sampled_from([0, 2**bits - 1]))
        check(Ranged((inside, 2**bits - 1), bits, 0, limb_bits))
        wrong = data.draw(st.integers(2**bits, P - 1) | st.sampled_from([2**bits, P - 1]))
        error = broken(Ranged((inside, wrong), bits, 0, limb_bits))
        assert (error.row, error.name.split(":")[0]) == (1, "small")

    @pytest.mark.parametrize(
        ("bits", "limb_bits"),
        [(16, 1), (16, 16), (13, 4), (13, 15), (30, 15), (29, 15), (30, 8), (8, 8), (7, 8), (1, 8)],
    )
    def test_no_decomposition_of_a_wrong_value_passes(self, bits: int, limb_bits: int) -> None:
        """Not the right one, whose uppermost limb is too large, nor one that wraps round at P, lookups counted anew."""
        program = Ranged((0,) * 8, bits, 0, limb_bits)
        air, builder = program.compiled(), describe(program)
        for value in (2**bits, 2**bits + 1, P - 1, (P + 1) // 2, 2**30, 61441):
            if value < 2**bits:
                continue
            for whole in (value, value + P, value + 2 * P):
                tables = [np.ascontiguousarray(trace.T) for trace in fill_trace(program)]
                main = tables[0]
                main[0, 0] = value
                limbs = len(main) - 1
                for i in range(limbs):
                    rest = whole >> limb_bits * i
                    main[1 + i, 0] = rest % P if i == limbs - 1 else rest & (1 << limb_bits) - 1
                on_buses = air.filling._on_buses(tables, [])
                for bus in air.filling._counted:
                    list(air.filling._fill_counts(bus, tables, on_buses))
                with pytest.raises(ConstraintError):
                    check_trace(builder, air, [table.T for table in tables], [])

    def test_message(self) -> None:
        """It names the check, the row, the value and the range, and not what follows from it."""
        text = str(broken(Ranged((1, 2, 3, 300), 8)))
        assert text == "range check 'small' fails at row 3: x is 300, and it should be 0 to 255"

    def test_reads_below(self) -> None:
        """A check that reads s rows below does not hold on the last s rows, where these are the first ones."""
        check(Ranged((500, 500, *range(14)), 8, 2))
        assert broken(Ranged((500, 500, 256, *range(13)), 8, 2)).row == 0
        check(Ranged((500, 500, *range(14)), 8, 2, 8))
        assert broken(Ranged((500, 500, 256, *range(13)), 8, 2, 8)).row == 0

    def test_large_traces_use_a_table_and_small_ones_bits(self) -> None:
        """As the cells that they take decide."""
        assert len(Ranged((0,) * 4096, 16).compiled().tables) == 1

        class Large(Ranged):
            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:
                b.rows(2**20)
                b.range_check(b.column("x"), params.bits)

        assert len(Large((0,), 16).compiled().tables) == 2

    @pytest.mark.parametrize(("bits", "limb_bits"), [(8, 0), (8, 2), (8, 17), (30, 16), (8, True), (8, 8.0)])
    def test_wrong_limbs(self, b: AirBuilder, bits: int, limb_bits: Any) -> None:
        """Of 16 bits only if they fit exactly: otherwise the check of the uppermost could wrap round."""
        with pytest.raises(ProgramError, match="limb_bits = "):
            b.range_check(b.column("x"), bits, limb_bits=limb_bits)

    @pytest.mark.parametrize("bits", [0, 31, -1, True, 1.0])
    def test_wrong_bits(self, b: AirBuilder, bits: Any) -> None:
        """Above 30 bits a sum of limbs could wrap round modulo P."""
        with pytest.raises(ProgramError, match=r"bits of the range of x = .*1 to 30"):
            b.range_check(b.column("x"), bits)

    def test_constants_are_refused(self, b: AirBuilder) -> None:
        """A check reads a column."""
        with pytest.raises(ProgramError, match="reads no column"):
            b.range_check(b.public("a"), 8)


class TestZeroKnowledge:
    def test_one_table_needs_no_masks(self) -> None:
        """Its sum is zero anyway; so the AIR is the same."""
        assert Shuffle(8).compiled(zk=True) is Shuffle(8).compiled()

    def test_tables_pass_random_tuples_on(self) -> None:
        """Each table on buses but the last sends a random tuple in row 0, and the next receives a copy."""
        program = Relay(11)
        air = program.compiled(zk=True)
        assert air.buses[-1][1] == 5
        assert [table.columns for table in air.tables] == [1 + 6, 2 + 12, 4 + 6]
        tables = new_tables(air)
        fill(program, air, tables, bytes(range(32)))
        assert (tables[0][1:6, 0] == tables[1][2:7, 0]).all()
        assert (tables[1][8:13, 0] == tables[2][-6:-1, 0]).all()
        assert len({*tables[0][1:6, 0].tolist(), *tables[1][8:13, 0].tolist()}) == 10
        assert [int(tables[0][6].sum()), int(tables[0][6, 0])] == [1, 1]

    def test_masks_balance(self) -> None:
        """The filled tables satisfy the AIR with its masks."""
        program = Relay(11)
        air = program.compiled(zk=True)
        builder = AirBuilder(["step"])
        Relay.air(builder, program)
        builder.compile(zk=True)
        tables = new_tables(air)
        fill(program, air, tables, bytes(32))
        check_trace(builder, air, [table.T for table in tables], air.publics(program.statement()))

    def test_entropy_decides(self) -> None:
        """Other randomness gives other masks, and none is refused."""
        program = Relay(11)
        air = program.compiled(zk=True)
        filled = []
        for entropy in (bytes(32), bytes(31) + b"\1"):
            tables = new_tables(air)
            fill(program, air, tables, entropy)
            filled.append(tables[0][1:6, 0].tolist())
        assert filled[0] != filled[1]
        with pytest.raises(ValueError, match="32 bytes of entropy"):
            fill(program, air, new_tables(air))


class TestTuples:
    @given(
        width=st.integers(1, 4),
        top=st.sampled_from([3, 2**11, P - 1]),
        size=st.integers(1, 60),
        seed=st.integers(0, 2**32),
    )
    @settings(max_examples=80, deadline=None)
    def test_index(self, width: int, top: int, size: int, seed: int) -> None:
        """Finds the first of equal tuples, and nothing else, whether by direct access or by hashes."""
        generator = np.random.default_rng(seed)
        tuples = generator.integers(0, top + 1, (width, size)).astype(np.uint32)
        wanted = np.concatenate([tuples, generator.integers(0, top + 1, (width, 20)).astype(np.uint32)], axis=1)
        listed = [tuple(column) for column in tuples.T.tolist()]
        expected = [listed.index(key) if (key := tuple(c)) in listed else -1 for c in wanted.T.tolist()]
        assert TupleIndex(tuples).find(wanted).tolist() == expected
        group, first = groups(tuples)
        assert [listed[first[g]] for g in group.tolist()] == listed
        assert len(first) == len(set(listed))

    def test_empty_index(self) -> None:
        """It finds nothing."""
        assert (
            TupleIndex(np.zeros((2, 0), dtype=np.uint32)).find(np.zeros((2, 3), dtype=np.uint32)).tolist() == [-1] * 3
        )
