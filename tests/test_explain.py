"""`explain`: what it says about constraints and proofs agrees with them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from aprover import prover
from aprover.air import Program
from aprover.air.explain import explain as explain_air
from aprover.errors import ProgramError
from aprover.explaining import explain
from aprover.programs import Fibonacci, Poseidon2Chain, RangeProof
from aprover.proof import shape_of

from .programs_for_tests import SAMPLES, SEED, DegreeEight, Poseidon2Rounds, Squares, Tribonacci, Window

PAGE = """\
fibonacci(n=100)
  public        2 values from inputs, 1 from outputs
  encoded       156 bytes
table 'main':
  rows          100, padded to 128
  columns       2 columns; 256 cells
  constraints   2: 2 of degree 1
  boundaries    3
  periodic      0 columns, lengths: none
  degree        1
  cost          5 instructions a row, 1 register
  columns:
    x, read 1 below, fixed in 1 row
    y, read 1 below, fixed in 2 rows
  constraints:
    shift: x.next == y  (degree 1)
    sum: y.next == x + y  (degree 1)"""


class TestConstraints:
    def test_page(self) -> None:
        """What a user reads."""
        assert str(explain_air(Fibonacci(100, 3, 4))) == PAGE

    @pytest.mark.parametrize("program", SAMPLES, ids=repr)
    def test_agrees_with_what_is_proved(self, program: Program) -> None:
        """With the shape on which security and size are computed."""
        explanation, (shape,) = explain_air(program), shape_of(program.compiled()).tables
        (table,) = explanation.tables
        assert (table.height, len(table.columns)) == (shape.height, shape.columns)
        assert table.degree == max([1, *[degree for degree, _ in shape.terms]])
        assert table.rows_read == shape.rows_read
        assert sum(len(part.offsets) for part in table.columns) == shape.openings
        fixed = sum(part.boundaries > 0 for part in table.columns)
        assert len(table.constraints) + fixed == shape.constraints

    def test_constraints(self) -> None:
        """Names, degrees, how far down they read, and their text."""
        parts = explain_air(Window(8)).tables[0].constraints
        assert [(part.name, part.degree, part.reach) for part in parts] == [("x", 2, 3), ("y", 2, 1)]
        assert parts[0].text == "x.at(3) == x + x.next * y.at(2)"
        (part,) = explain_air(DegreeEight()).tables[0].constraints
        assert (part.degree, part.reach) == (8, 8)

    def test_columns(self) -> None:
        """Where constraints read them, and how many cells are fixed."""
        x, y = explain_air(Window(8)).tables[0].columns
        assert (x.name, x.boundaries, x.offsets) == ("x", 4, (0, 1, 3))
        assert (y.name, y.boundaries, y.offsets) == ("y", 2, (0, 1, 2))

    def test_periodic_columns(self) -> None:
        """Their lengths."""
        assert explain_air(Poseidon2Rounds(SEED)).tables[0].periodic == (32,) * 20
        assert "20 columns, lengths: 32" in str(explain_air(Poseidon2Rounds(SEED)))

    def test_a_page_stays_short(self) -> None:
        """Of 298 columns and constraints the first ones are shown."""
        text = str(explain_air(Poseidon2Chain(SEED, 1)))
        assert len(text.splitlines()) < 70
        assert max(map(len, text.splitlines())) <= 120
        assert "... and 274 more" in text

    def test_inputs_are_not_shown(self) -> None:
        """Neither public nor private ones: an explanation is about the constraints."""
        text = repr(explain_air(RangeProof(77777, 3, 99999, (88888, 5, 6, 7)))) + str(explain_air(Tribonacci(9, 88888)))
        assert "77777" not in text
        assert "88888" not in text
        assert explain_air(Fibonacci(100, 3, 4)) == explain_air(Fibonacci(100, 5, 6))

    def test_tables(self) -> None:
        """What each writes, what the builder adds, and what they put on buses."""
        explanation = explain_air(Squares(100, 40))
        assert explanation.buses == (("square of", 2), ("parities", 2), ("numbers of 6 bits", 1))
        main, squares, parities, _ = explanation.tables
        assert [(part.name, part.origin) for part in main.columns[:4]] == [
            ("x", "written"),
            ("y", "written"),
            ("parity", "written"),
            ("y_is_small.limb[0]", "automatic"),
        ]
        assert [part.origin for part in parities.columns] == ["automatic", "preprocessed", "preprocessed"]
        assert (main.interactions[1].name, main.interactions[1].verb, main.interactions[1].text) == (
            "parity of x",
            "sends",
            "(x, parity) when active(100)",
        )
        assert squares.interactions[0].verb == "provides"
        text = str(explanation)
        assert "table 'parities':" in text
        assert "parity of x: sends (x, parity) when active(100) on parities" in text

    def test_is_frozen(self) -> None:
        """It is a value."""
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            explain_air(Fibonacci(9)).tables[0].rows = 3  # type: ignore[misc]


class TestProofs:
    @pytest.mark.parametrize(
        "program", [Fibonacci(1000), Window(50), Poseidon2Chain(SEED, 11), Squares(300, 300)], ids=repr
    )
    @pytest.mark.parametrize(("prefer", "zk"), [("time", False), ("size", False), ("time", True)])
    def test_predicts_the_proof(self, program: Program, prefer: Any, zk: bool) -> None:
        """The length within a twentieth, or a tenth where a mask moves the queries; the memory and the bits exactly."""
        explanation = explain(program, security=90, prefer=prefer, zk=zk)
        body = prover.prove(program, explanation.parameters)
        assert abs(len(body) - explanation.proof_bytes) < max(200, explanation.proof_bytes / (10 if zk else 20))
        assert explanation.memory == prover.prepare(program, explanation.parameters).memory
        assert explanation.security.proven_bits >= 90
        assert explanation.air == explain_air(program)

    def test_page(self) -> None:
        """The constraints, then what the proof will be like."""
        explanation = explain(Fibonacci(100))
        text = str(explanation)
        assert text.startswith(PAGE + "\nproof:\n")
        assert f"{explanation.parameters.queries} queries" in text
        assert f"about {explanation.proof_bytes} bytes" in text

    def test_does_not_run_the_program(self) -> None:
        """Two million rows are explained at once: neither trace nor outputs are computed."""

        class Slow(Fibonacci):
            def public_outputs(self) -> tuple[int, ...]:
                raise AssertionError

        assert explain(Slow(2**21)).air.tables[0].height == 2**21

    @pytest.mark.parametrize("security", [0, 129, True, 100.0, None])
    def test_wrong_security(self, security: Any) -> None:
        """The error names the argument."""
        with pytest.raises(ProgramError) as caught:
            explain(Fibonacci(9), security=security)
        assert caught.value.field == "security"

    def test_wrong_preference(self) -> None:
        """The error names the argument."""
        with pytest.raises(ProgramError, match="prefer"):
            explain(Fibonacci(9), prefer="speed")  # type: ignore[arg-type]
