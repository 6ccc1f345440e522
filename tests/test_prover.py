"""The door to C: batches, teams, failures by name."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aprover import prover
from aprover.air import AirBuilder, Program, private
from aprover.air.field import P
from aprover.errors import ProgramError, ProveError, VerificationError
from aprover.programs import Fibonacci, Poseidon2Chain
from aprover.proof import shape_of
from aprover.security import Parameters, choose

from .programs_for_tests import SAMPLES


def parameters_of(program: Program) -> Parameters:
    return choose(shape_of(program.compiled()), 100)


def body_of(program: Program, **options: Any) -> bytes:
    return prover.prove(program, parameters_of(program), **options)


def check(program: Program, body: bytes, path: str = "auto") -> None:
    air, statement = program.compiled(), program.statement()
    prover.verify(air, air.publics(statement), statement.to_bytes(), body, path=path)


class Stopped(Exception):
    pass


class Flag:
    def __init__(self, value: int = 0) -> None:
        self.cancel_flag = bytearray([value, 0, 0, 0])
        self.progress_value = bytearray(4)

    def check(self) -> None:
        if self.cancel_flag[0]:
            raise Stopped


class Doubling(Program):
    """x, 2x, 4x, ... whose trace can be told to go wrong."""

    n: int
    fault: str = private(default="")

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.n)
        x = b.column("x")
        b.assert_equal(x.next, 2 * x, name="doubles")
        b.boundary(x, 0, 1, name="start")

    def trace(self, out: NDArray[np.uint32]) -> None:
        value = 1
        for row in range(len(out)):
            out[row, 0] = value
            value = 2 * value % P
        if self.fault == "cell":
            out[5, 0] += 1
        elif self.fault == "range":
            out[5, 0] = P
        elif self.fault == "raises":
            raise ZeroDivisionError
        elif self.fault == "refuses":
            raise ProgramError(field="n", value=self.n, allowed="another")


class TestProofs:
    @pytest.mark.parametrize("program", SAMPLES, ids=lambda p: type(p).__name__)
    def test_every_path_gives_the_same_bytes(self, program: Program) -> None:
        """What one machine proves, another one proves with the same bytes, and each verifies the other's."""
        body = body_of(program, path="portable")
        assert body == body_of(program, path="auto")
        check(program, body, "auto")
        check(program, body, "portable")

    @pytest.mark.parametrize("program", SAMPLES, ids=lambda p: type(p).__name__)
    def test_c_derives_the_builders_shape(self, program: Program) -> None:
        """Chunks, degree and counts follow from the bytecode alone, in C as in Python."""
        air, shape = program.compiled(), prover.shape_in_c(program.compiled())
        assert shape["chunks"] == air.chunks
        assert shape["degree"] == air.degree
        assert shape["constraints"] == air.constraints
        assert shape["rows_read"] == air.rows_read
        assert shape["reads"] + shape["chunks"] == air.openings
        assert bool(shape["narrow"]) == air.narrow

    def test_progress_reaches_its_end(self) -> None:
        """A watcher sees a thousand parts of a thousand when the proof is made."""
        flag = Flag()
        body_of(Fibonacci(1000), control=flag)
        assert int.from_bytes(flag.progress_value, "little") == 1000


class TestBatches:
    def test_results_are_those_of_single_proofs(self) -> None:
        """A batch of any mix gives the bytes that each would have had alone, in order."""
        programs: list[Program] = [
            Fibonacci(20),
            Doubling(9),
            Poseidon2Chain(tuple(range(16)), 3),
            Fibonacci(300),
            Fibonacci(20),
        ]
        results = prover.prove_prepared([prover.prepare(p, parameters_of(p)) for p in programs])
        assert results == [body_of(p) for p in programs]

    def test_failures_stay_with_their_own_request(self) -> None:
        """One that fails or is cancelled leaves the others of its C call alone."""
        programs: list[Program] = [
            Fibonacci(20),
            Doubling(9, "cell"),
            Fibonacci(21),
            Doubling(9, "raises"),
            Fibonacci(22),
        ]
        flags = [Flag(), Flag(), Flag(1), Flag(), Flag()]
        batch = [prover.prepare(p, parameters_of(p), control=f) for p, f in zip(programs, flags, strict=True)]
        results = prover.prove_prepared(batch)
        assert [type(r) for r in results] == [bytes, ProveError, Stopped, ProveError, bytes]
        check(programs[0], results[0])  # type: ignore[arg-type]
        check(programs[4], results[4])  # type: ignore[arg-type]

    def test_an_empty_batch_is_nothing(self) -> None:
        """No C call, no results."""
        assert prover.prove_prepared([]) == []


class TestTeams:
    @pytest.mark.parametrize("program", [Fibonacci(9000), Doubling(8192)], ids=lambda p: type(p).__name__)
    def test_helpers_change_no_byte(self, program: Program) -> None:
        """The proof of a team is the proof of one thread."""
        team, leave = prover.Team(3), bytearray(4)
        helpers = [threading.Thread(target=team.help, args=(leave,)) for _ in range(3)]
        for helper in helpers:
            helper.start()
        (result,) = prover.prove_prepared([prover.prepare(program, parameters_of(program))], team=team)
        team.close()
        for helper in helpers:
            helper.join()
        assert result == body_of(program)

    def test_a_helper_leaves_when_told(self) -> None:
        """The leave flag ends the help of an idle team too."""
        team, leave = prover.Team(2), bytearray(4)
        helper = threading.Thread(target=team.help, args=(leave,))
        helper.start()
        leave[0] = 1
        helper.join(timeout=10)
        assert not helper.is_alive()
        team.close()
        team.close()
        team.help(bytearray(4))  # of a closed team: returns at once

    @pytest.mark.parametrize("lanes", [0, 17])
    def test_lanes_are_bounded(self, lanes: int) -> None:
        """One to sixteen threads."""
        with pytest.raises(ValueError, match=str(lanes)):
            prover.Team(lanes)


class TestFailures:
    def test_a_broken_constraint_is_not_proved(self) -> None:
        """The prover's own check at z catches a wrong cell, and says what to do."""
        with pytest.raises(ProveError, match=r"aprover\.check"):
            body_of(Doubling(9, "cell"))

    def test_a_value_out_of_range_is_named(self) -> None:
        """Column and row of a value that is no residue."""
        with pytest.raises(ProveError, match="column x, row 5") as caught:
            body_of(Doubling(9, "range"))
        assert isinstance(caught.value.__cause__, ProgramError)

    def test_what_trace_raises_is_the_cause(self) -> None:
        """A program's own fault reaches its caller."""
        with pytest.raises(ProveError) as caught:
            body_of(Doubling(9, "raises"))
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        with pytest.raises(ProgramError, match="another"):
            body_of(Doubling(9, "refuses"))

    def test_a_set_flag_stops(self) -> None:
        """The caller's own exception comes back."""
        with pytest.raises(Stopped):
            body_of(Fibonacci(1000), control=Flag(1))

    def test_parameters_that_do_not_fit_are_refused(self) -> None:
        """More queries than indices."""
        with pytest.raises(ProveError, match="8 rows"):
            prover.prove(Fibonacci(8), Parameters(1, 3))

    def test_a_short_proof_is_truncated(self) -> None:
        """Any number of bytes is an answer, never a crash."""
        program = Fibonacci(8)
        body = body_of(program)
        for length in range(0, len(body), 7):
            with pytest.raises(VerificationError):
                check(program, body[:length])
