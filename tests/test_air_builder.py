"""Expressions and the builder: what they accept, what they refuse, and what the bytecode means."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aprover.air import AirBuilder, Column, CompiledAir, Expr, Program, bytecode
from aprover.air.field import P
from aprover.errors import ProgramError
from aprover.loading import proof_shape_in_c, shape_in_c
from aprover.proof import shape_of
from aprover.reference.air import decode as reference_decode
from aprover.security import Parameters, layout_of

from .programs_for_tests import SAMPLES, TABLE_SAMPLES, DegreeEight, Poseidon2Rounds, Tribonacci
from .random_airs import RandomAir, random_airs, run_bytecode


@pytest.fixture
def b() -> AirBuilder:
    return AirBuilder(["a", "seed"])


@pytest.fixture
def x(b: AirBuilder) -> Column:
    return b.column("x")


@pytest.fixture
def y(b: AirBuilder) -> Column:
    return b.column("y")


class TestExpressions:
    def test_equal_expressions_are_one_node(self, b: AirBuilder, x: Column, y: Column) -> None:
        """Common subexpressions are found whatever the order of the operands."""
        assert x + y is y + x
        assert x * y is y * x
        assert x.next is x.at(1)
        assert x.at(0) is x
        assert (x + y) * (x + y) is (y + x) ** 2
        assert b.public("a") is b.public("a")
        assert b.periodic([1, 2]) is b.periodic((1, 2))

    def test_constants_fold(self, x: Column) -> None:
        """What is known when the AIR is built costs no instruction."""
        two, three = x * 0 + 2, x**0 + 2
        assert two * three is x * 0 + 6
        assert (x + 1) + 2 is x + 3
        assert (x - 1) + 1 is x
        assert 5 + x - 7 is x - 2
        assert x * 2 * 3 is x * 6
        assert x * 1 is x
        assert x + 0 is x
        assert x - 0 is x
        assert x * P is x * 0
        assert x - x is x * 0
        minus = -x
        assert -minus is x
        assert x * -1 is -x
        assert x + (-x) is x * 0
        assert x - (-x) is x + x
        assert minus + x**2 is x**2 - x
        assert x**2 + minus is x**2 - x
        assert two**10 is x * 0 + 1024

    def test_numpy_integers_are_constants(self, x: Column) -> None:
        """On either side of an operator."""
        three, seven = cast(Any, np.int64(3)), cast(Any, np.uint32(7))
        assert three * x is x * 3
        assert x + seven is 7 + x

    @pytest.mark.parametrize("value", [1.0, "1", None, [1], True])
    def test_other_operands_are_refused(self, x: Column, value: object) -> None:
        """Only ints and expressions combine with expressions."""
        with pytest.raises(ProgramError, match="not an expression"):
            _ = x + value  # type: ignore[operator]

    def test_expressions_have_no_truth_value(self, x: Column) -> None:
        """Branching on a column is refused, with a hint at selectors."""
        with pytest.raises(ProgramError, match="selector"):
            bool(x)

    def test_comparing_expressions_is_not_a_constraint(self, b: AirBuilder, x: Column, y: Column) -> None:
        """A constraint written with == is refused, with a hint at assert_equal."""
        with pytest.raises(ProgramError, match="assert_equal"):
            b.assert_zero(x == y)  # type: ignore[arg-type]

    def test_degree(self, b: AirBuilder, x: Column, y: Column) -> None:
        """Columns and periodic columns count 1; sums take the larger degree, products the sum."""
        s = b.periodic([0, 1])
        assert (x * 0 + 3).degree == 0
        assert b.public("a").degree == 0
        assert (x * b.public("a")).degree == 1
        assert (s * x.next + y).degree == 2
        assert (x**3 * s - y**2).degree == 4
        assert (x**8).degree == 8

    @pytest.mark.parametrize(
        "make",
        [lambda x, y: (x + y) ** 9, lambda x, y: x**5 * y**4, lambda x, y: (x * y) ** 5, lambda x, y: (x**8 + 1) * y],
    )
    def test_degree_above_eight_says_what_to_split(
        self, x: Column, y: Column, make: Callable[[Expr, Expr], Expr]
    ) -> None:
        """The error shows the expression and its degree, and how to split it."""
        with pytest.raises(
            ProgramError, match=r"x.* has degree (9|10), and the largest degree is 8.*column of its own"
        ):
            make(x, y)

    @pytest.mark.parametrize("exponent", [-1, 1.5, "2"])
    def test_exponents_are_non_negative_ints(self, x: Column, exponent: object) -> None:
        """Nothing else is a power in a polynomial."""
        with pytest.raises(ProgramError, match="exponent"):
            _ = x**exponent  # type: ignore[operator]

    def test_powers_share_their_squares(self) -> None:
        """x^7 takes four products."""
        b = AirBuilder()
        x = b.column("x")
        b.rows(8)
        b.assert_equal(x.next, x**7, name="seventh")
        assert b.compile().cost == 4 + 1 + 1

    @pytest.mark.parametrize("offset", [-1, 16, 1.5, "1"])
    def test_offsets(self, x: Column, offset: object) -> None:
        """Reads go from 0 to 15 rows below."""
        assert x.at(15).degree == 1
        with pytest.raises(ProgramError, match=r"x.at\(offset\)"):
            x.at(offset)  # type: ignore[arg-type]

    def test_expressions_of_another_builder_are_refused(self, b: AirBuilder, x: Column) -> None:
        """Two AIRs do not mix."""
        stranger = AirBuilder().column("z")
        with pytest.raises(ProgramError, match="z belongs to another"):
            _ = x + stranger
        with pytest.raises(ProgramError, match="z belongs to another"):
            b.boundary(stranger, 0, 0)

    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (lambda x, y: x.next - (x - y), "x.next - (x - y)"),
            (lambda x, y: (x + y) * x.at(3) + 2, "(x + y) * x.at(3) + 2"),
            (lambda x, y: x * y - 5, "x * y + -5"),
            (lambda x, y: -(x + y), "-(x + y)"),
            (lambda x, y: 3 - y * (x - 3) ** 2, "3 - y * (x + -3) * (x + -3)"),
        ],
    )
    def test_text(self, x: Column, y: Column, make: Callable[[Column, Column], Expr], text: str) -> None:
        """Messages show expressions as they would be written."""
        assert str(make(x, y)) == text

    def test_text_of_large_expressions_is_short(self, x: Column) -> None:
        """What is nested deeply is left out."""
        expr: Expr = x
        for i in range(1000):
            expr = expr * 2 + i + x.next
        assert len(str(expr)) < 200
        assert "..." in str(expr)

    def test_long_sums_do_not_exhaust_the_stack(self) -> None:
        """Expressions may be nested as deep as memory allows."""
        b = AirBuilder()
        x = b.column("x")
        expr: Expr = x
        for i in range(20_000):
            expr = expr * 2 + x.at(i % 16)
        b.rows(16)
        b.assert_zero(expr, name="long")
        assert b.compile().tables[0].registers == 1


class TestBytecode:
    @given(random_airs())
    @settings(max_examples=80, deadline=None)
    def test_means_what_the_expressions_mean(self, case: RandomAir) -> None:
        """Running the bytecode on a row gives the values of the expressions on plain integers."""
        air = case.builder.compile()
        for row in range(air.height):
            read = {(c, o): case.trace[(row + o) % air.height][c] for c, o in air.tables[0].reads}
            assert run_bytecode(air.data, row, read, case.publics) == [value(row) for value in case.values]

    @given(random_airs())
    @settings(max_examples=60, deadline=None)
    def test_shape_is_what_both_verifiers_derive(self, case: RandomAir) -> None:
        """The C loader and the reference verifier accept the encoding and find the same shape."""
        assert_shapes_agree(case.builder.compile())

    @pytest.mark.parametrize("program", SAMPLES + TABLE_SAMPLES, ids=str)
    def test_samples_have_the_shape_that_both_verifiers_derive(self, program: Program) -> None:
        """As above, for real programs; also of the AIR for zero-knowledge proofs."""
        assert_shapes_agree(program.compiled())
        assert_shapes_agree(program.compiled(zk=True))

    def test_is_the_same_in_every_process(self) -> None:
        """A verifier builds the AIR itself, so hash seeds and addresses must not matter."""
        script = (
            "import hashlib\nfrom tests.programs_for_tests import SAMPLES, TABLE_SAMPLES\n"
            "print(hashlib.sha256(b''.join(p.compiled(zk=True).data for p in SAMPLES + TABLE_SAMPLES)).hexdigest())"
        )
        outputs = {
            subprocess.run(
                [sys.executable, "-c", script],
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(outputs) == 1
        assert len(outputs.pop().strip()) == 64

    def test_registers_are_reused(self) -> None:
        """A register is free again after the last use of its value, also for that instruction's own result."""
        b = AirBuilder()
        x = b.columns("x", 64)
        b.rows(8)
        total: Expr = x[0]
        for column in x[1:]:
            total = total + column * column
        b.assert_zero(total, name="sum")
        assert b.compile().tables[0].registers == 2

    def test_the_costlier_operand_comes_first(self) -> None:
        """A balanced tree of 2^d products of leaves needs d + 1 registers, whichever side is heavier."""
        b = AirBuilder()
        x = b.columns("x", 16)
        b.rows(8)
        pairs: list[Expr] = [x[i] * x[i + 1] for i in range(0, 16, 2)]
        skewed = x[3] * x[5] - (x[1] * x[2] - (x[0] * x[4] - (x[6] * x[9] - x[8] * x[7])))
        while len(pairs) > 1:
            pairs = [pairs[i] + pairs[i + 1] for i in range(0, len(pairs), 2)]
        b.assert_zero(pairs[0], name="tree")
        b.assert_zero(skewed, name="skewed")
        assert b.compile().tables[0].registers == 4

    def test_constants_are_listed_once(self) -> None:
        """Constants of constraints and boundaries share one table, in ascending order."""
        b = AirBuilder()
        x = b.column("x")
        b.rows(8)
        b.assert_equal(x.next, (x + 9) * 5 - 9, name="step")
        b.boundary(x, 0, 5)
        b.boundary(x, 1, P + 4)
        assert bytecode.decode(b.compile().data).tables[0].constants == (4, 5, 9, P - 9)

    def test_limits_are_errors(self) -> None:
        """An AIR that no verifier would load is refused when it is built."""
        b = AirBuilder()
        b.rows(2**17)
        x = b.column("x")
        b.assert_equal(x.next, x, name="same")
        for row in range(bytecode.MAX_BOUNDARIES + 1):
            b.boundary(x, row, 0)
        with pytest.raises(ProgramError, match="has 65537 boundaries, and at most 65536 are allowed"):
            b.compile()


def assert_shapes_agree(air: CompiledAir) -> None:
    """The C core and the reference verifier derive from the bytes what the builder says; and so for proofs of it."""
    reference = reference_decode(air.data)
    totals, tables = shape_in_c(air)
    assert totals["tables"] == len(reference.tables) == len(air.tables)
    assert totals["publics"] == reference.publics == len(air.public_spec)
    assert totals["interactions"] == sum(table.interactions for table in air.tables)
    assert reference.buses == tuple(width for _, width in air.buses)
    for own, independent, table in zip(tables, reference.tables, air.tables, strict=True):
        assert own == {
            "log_height": table.log_height,
            "log_slots": 0,
            "columns": table.columns,
            "preprocessed": table.preprocessed,
            "reads": len(table.reads),
            "interactions": table.interactions,
            "lookup_columns": table.lookup_columns,
            "constraints": table.constraints,
            "degree": table.degree,
            "rows_read": table.rows_read,
        }
        header = independent.header
        assert (header.log_height, header.columns, header.preprocessed) == (
            table.log_height,
            table.columns,
            table.preprocessed,
        )
        assert (independent.reads, independent.rows_read) == (table.reads, table.rows_read)
        assert (independent.lookup_degrees, independent.constraints) == (table.lookup_degrees, table.constraints)
    for parameters in (Parameters(1, 2), Parameters(2, 12, zk=True)):
        layout, shape = layout_of(shape_of(air), parameters), proof_shape_in_c(air, parameters)
        assert shape["chunks"] == [table.chunks for table in layout.tables]
        assert shape["level"] == [table.level for table in layout.tables]
        assert (shape["narrow"], shape["openings"]) == (layout.narrow, layout.openings)


def chunks_of(air: CompiledAir) -> int:
    return shape_of(air).layout().tables[0].chunks


class TestShape:
    @pytest.mark.parametrize(
        ("rows", "log_height"), [(1, 3), (8, 3), (9, 4), (16, 4), (17, 5), (2**20, 20), (2**24 - 1, 24), (2**24, 24)]
    )
    def test_height(self, rows: int, log_height: int) -> None:
        """The height is the next power of two, at least 8."""
        b = AirBuilder()
        b.rows(rows)
        b.boundary(b.column("x"), 0, 1)
        assert b.compile().tables[0].log_height == log_height

    @pytest.mark.parametrize(("offset", "chunks"), [(1, 7), (7, 7), (8, 8), (15, 8)], ids=lambda value: str(value))
    def test_degree_eight(self, offset: int, chunks: int) -> None:
        """deg Q <= 8(k-1) + s - k: 7 chunks below s = 8, 8 chunks from there."""
        assert chunks_of(DegreeEight(64, offset).compiled()) == chunks

    def test_degree_one_with_exempt_rows(self) -> None:
        """A linear recurrence has one chunk, also when the last rows are exempt."""
        air = Tribonacci(100).compiled()
        (table,) = air.tables
        assert (table.degree, chunks_of(air), table.rows_read) == (1, 1, 4)

    def test_names(self) -> None:
        """Each constraint has a name: the asserted ones in order, then the columns with boundaries in order."""
        b = AirBuilder()
        b.rows(8)
        x, y, z = b.column("x"), b.column("y"), b.column("z")
        b.boundary(z, 1, 2)
        b.assert_equal(y.next, y + z, name="second first")
        b.boundary(x, 0, 0, name="start")
        b.assert_zero(x * (x - 1))
        b.boundary(z, 0, 1)
        air = b.compile().tables[0]
        assert air.constraint_names == ("second first", "x * (x + -1) == 0", "boundaries of x", "boundaries of z")
        assert air.boundary_names == ("start", "z at row 0", "z at row 1")
        assert air.column_names == ("x", "y", "z")

    def test_reads_are_the_columns_then_by_offset(self) -> None:
        """The first W reads are the columns at offset 0, whether read or not."""
        b = AirBuilder()
        b.rows(8)
        x, y = b.column("x"), b.column("y")
        b.assert_equal(y.at(2), x.next, name="one")
        b.assert_equal(x.at(2), y.next, name="two")
        assert b.compile().tables[0].reads == ((0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2))


class TestPublicValues:
    def test_order(self, b: AirBuilder, x: Column) -> None:
        """Inputs come in the order of declaration and index, outputs after them, however they are used."""
        b.rows(8)
        b.boundary(x, 3, b.output(1))
        b.boundary(x, 2, b.public("seed", 1))
        b.boundary(x, 1, b.output(0))
        b.assert_equal(x.next, x * b.public("seed", 0) + b.public("a"), name="step")
        assert b.compile().public_spec == (
            ("input", "a", None),
            ("input", "seed", 0),
            ("input", "seed", 1),
            ("output", 0),
            ("output", 1),
        )

    def test_a_declared_input_must_be_read(self, b: AirBuilder, x: Column) -> None:
        """A public value that no constraint reads would not be bound by the proof."""
        b.rows(8)
        b.boundary(x, 0, b.public("a"))
        with pytest.raises(ProgramError, match="reads the public input 'seed'"):
            b.compile()

    def test_a_mentioned_value_must_be_read(self, b: AirBuilder, x: Column) -> None:
        """Mentioning it is not enough; nor is an expression that no constraint uses, or one that folds away."""
        b.rows(8)
        b.boundary(x, 0, b.public("a"))
        b.boundary(x, 1, b.public("seed", 0))
        b.assert_zero(x.next - x * (b.output(0) - b.output(0) + 1), name="same")
        with pytest.raises(ProgramError, match=r"reads the public value output\[0\]"):
            b.compile()

    def test_indices_have_no_gaps(self, b: AirBuilder, x: Column) -> None:
        """An element that is skipped would not be bound either."""
        b.rows(8)
        b.boundary(x, 0, b.public("a"))
        b.boundary(x, 1, b.public("seed", 0))
        b.boundary(x, 2, b.output(2))
        b.boundary(x, 3, b.output(0))
        with pytest.raises(ProgramError, match="element 1 of the public outputs"):
            b.compile()

    def test_one_value_or_a_tuple(self, b: AirBuilder, x: Column) -> None:
        """A public input is used in one way."""
        b.rows(8)
        b.boundary(x, 0, b.public("a"))
        b.boundary(x, 1, b.public("a", 0))
        with pytest.raises(ProgramError, match="both as one value and as a tuple"):
            b.compile()

    def test_unknown_input(self, b: AirBuilder) -> None:
        """The error lists the names that there are."""
        with pytest.raises(ProgramError, match=r"public\('b'\).*there are: a, seed"):
            b.public("b")

    @pytest.mark.parametrize("index", [-1, True, "0", 1.0])
    def test_indices_are_non_negative_ints(self, b: AirBuilder, index: object) -> None:
        """For inputs and outputs."""
        with pytest.raises(ProgramError, match="index"):
            b.public("seed", index)  # type: ignore[arg-type]
        with pytest.raises(ProgramError, match="index"):
            b.output(index)  # type: ignore[arg-type]


class TestBoundaries:
    def test_negative_rows_count_from_the_end_of_the_height(self) -> None:
        """Row -1 is the last row of the padded trace, whenever the number of rows is set."""
        b = AirBuilder()
        x = b.column("x")
        b.boundary(x, -1, 5)
        b.boundary(x, -16, 4)
        b.boundary(x, 3, 6)
        b.rows(9)
        code = bytecode.decode(b.compile().data).tables[0]
        assert [(column, row) for column, row, _ in code.boundaries] == [(0, 0), (0, 3), (0, 15)]

    @pytest.mark.parametrize("row", [16, -17, 2**40])
    def test_rows_lie_in_the_height(self, row: int) -> None:
        """The error names the boundary and the allowed rows."""
        b = AirBuilder()
        b.rows(9)
        b.boundary(b.column("x"), row, 1, name="far")
        with pytest.raises(ProgramError, match=r"row of boundary 'far' = -?\d+ .*-16 to 15"):
            b.compile()

    def test_two_boundaries_in_one_cell_conflict(self, b: AirBuilder, x: Column) -> None:
        """Also when one counts from the end; the error names both."""
        b.rows(8)
        b.boundary(x, 7, 1, name="seventh")
        b.boundary(x, -1, 1, name="last")
        with pytest.raises(ProgramError, match=r"'seventh' and 'last' meet in one cell: column x, row 7"):
            b.compile()

    def test_values_are_ints_or_public(self, b: AirBuilder, x: Column, y: Column) -> None:
        """An expression needs a column of its own."""
        for value in (y, b.public("a") + 1, x * 2):
            with pytest.raises(ProgramError, match="neither an int nor a public value"):
                b.boundary(x, 0, value)

    def test_only_columns_have_boundaries(self, b: AirBuilder, x: Column) -> None:
        """Not expressions, and not the next row."""
        for wrong in (x.next, x + 1, 3):
            with pytest.raises(ProgramError, match="is not a column"):
                b.boundary(wrong, 0, 0)  # type: ignore[arg-type]

    @pytest.mark.parametrize("row", [1.0, True, None, "0"])
    def test_rows_are_ints(self, b: AirBuilder, x: Column, row: object) -> None:
        """Nothing else is a row."""
        with pytest.raises(ProgramError, match="row of a boundary"):
            b.boundary(x, row, 0)  # type: ignore[arg-type]


class TestRefusals:
    def test_no_rows(self, b: AirBuilder, x: Column) -> None:
        """The AIR must say how many rows it needs."""
        b.assert_zero(x, name="zero")
        with pytest.raises(ProgramError, match=r"b.rows\(n\)"):
            b.compile()

    def test_rows_twice(self, b: AirBuilder) -> None:
        """Once is enough."""
        b.rows(8)
        with pytest.raises(ProgramError, match="set before, to 8"):
            b.rows(9)

    @pytest.mark.parametrize("rows", [0, -1, 2**24 + 1, True, 8.0, "8"])
    def test_wrong_rows(self, b: AirBuilder, rows: object) -> None:
        """The error names the value and the range."""
        with pytest.raises(ProgramError, match=r"rows = .*1 to 16777216"):
            b.rows(rows)  # type: ignore[arg-type]

    def test_no_constraints(self, b: AirBuilder) -> None:
        """An AIR without constraints proves nothing."""
        b.column("x")
        b.rows(8)
        with pytest.raises(ProgramError, match="no constraints"):
            b.compile()

    def test_unused_column(self, b: AirBuilder, x: Column, y: Column) -> None:
        """A column that no constraint reads is an error, also if an unused expression reads it."""
        b.rows(8)
        _ = x + y
        b.assert_zero(x, name="zero")
        with pytest.raises(ProgramError, match="no constraint reads the column 'y'"):
            b.compile()

    def test_unused_periodic_column(self, b: AirBuilder, x: Column) -> None:
        """The same for periodic columns."""
        b.rows(8)
        b.periodic([1, 2])
        b.assert_zero(x, name="zero")
        with pytest.raises(ProgramError, match=r"no constraint reads periodic\[0\]"):
            b.compile()

    def test_constraints_that_read_no_column(self, b: AirBuilder, x: Column) -> None:
        """A relation among public values, periodic columns and constants is not about the trace."""
        for wrong in (b.public("a") - 3, b.periodic([0, 1]) * 2, x - x, x * 0 + 7):
            with pytest.raises(ProgramError, match="'nothing' reads no column"):
                b.assert_zero(wrong, name="nothing")
        with pytest.raises(ProgramError, match="reads no column"):
            b.assert_equal(x + 1, 1 + x)

    def test_names_are_unique(self, b: AirBuilder, x: Column) -> None:
        """Columns among themselves; constraints and boundaries among themselves, default names included."""
        b.columns("s", 3)
        for make in (lambda: b.column("x"), lambda: b.column("s[2]"), lambda: b.columns("s", 2)):
            with pytest.raises(ProgramError, match="already"):
                make()
        b.assert_zero(x, name="zero")
        b.assert_zero(x)
        with pytest.raises(ProgramError, match="'zero' already"):
            b.boundary(x, 0, 0, name="zero")
        with pytest.raises(ProgramError, match="'x == 0' already"):
            b.assert_zero(x)

    @pytest.mark.parametrize("name", ["", 3, b"x"])
    def test_names_are_text(self, b: AirBuilder, x: Column, name: object) -> None:
        """Non-empty text."""
        with pytest.raises(ProgramError, match="name"):
            b.column(name)  # type: ignore[arg-type]
        with pytest.raises(ProgramError, match="name"):
            b.assert_zero(x, name=name)  # type: ignore[arg-type]

    def test_reads_beyond_the_height(self, b: AirBuilder, x: Column) -> None:
        """An offset is smaller than the height."""
        b.assert_equal(x.at(8), x, name="far")
        b.rows(8)
        with pytest.raises(ProgramError, match=r"'far' reads x.at\(8\), but the trace has only 8 rows"):
            b.compile()

    @pytest.mark.parametrize("values", [[], [1, 2, 3], [0] * 8192, [1.5, 2], ["1"]])
    def test_wrong_periodic_columns(self, b: AirBuilder, values: list[int]) -> None:
        """A power of two of ints, at most 4096."""
        with pytest.raises(ProgramError, match="periodic"):
            b.periodic(values)

    def test_period_longer_than_the_height(self, b: AirBuilder, x: Column) -> None:
        """A period divides the height."""
        b.rows(8)
        b.assert_equal(x, b.periodic(range(16)), name="count")
        with pytest.raises(ProgramError, match="repeats after 16 rows, but the trace has 8"):
            b.compile()

    @pytest.mark.parametrize("count", [0, -1, 4097, 2**60, True])
    def test_wrong_number_of_columns(self, b: AirBuilder, count: int) -> None:
        """Before any of them is made."""
        with pytest.raises(ProgramError, match="number of columns"):
            b.columns("s", count)


def test_sample_with_every_feature() -> None:
    """Poseidon2Rounds has degree 8, periodic columns and arrays of columns, so tests that use it reach these."""
    air = Poseidon2Rounds(tuple(range(16))).compiled()
    assert (air.tables[0].degree, chunks_of(air), air.columns) == (8, 7, 16)
    assert len(bytecode.decode(air.data).tables[0].periodics) == 20


@given(st.lists(st.integers(-(2**70), 2**70), min_size=4, max_size=4))
def test_integers_are_taken_modulo_p(values: list[int]) -> None:
    """In expressions, boundaries and periodic columns."""
    b = AirBuilder()
    x = b.column("x")
    b.rows(8)
    b.assert_zero(x.next * 3 + values[0] + b.periodic(values), name="all")
    b.boundary(x, 0, values[1])
    code = bytecode.decode(b.compile().data).tables[0]
    assert set(code.constants) == {3, values[0] % P, values[1] % P} - (
        {0} if values[0] % P == 0 and values[1] % P else set()
    )
    assert code.periodics == [tuple(value % P for value in values)]
