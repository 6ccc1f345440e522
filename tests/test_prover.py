"""The door to C: batches, teams, failures by name."""

from __future__ import annotations

import threading
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import aprover
from aprover import loading, prover
from aprover.air import AirBuilder, CompiledAir, Program, private
from aprover.air.field import P
from aprover.backends import Control, backend_named, plan_for, prepare_proof, prove_prepared
from aprover.errors import ProgramError, ProofFormatError, ProveError, VerificationCode, VerificationError
from aprover.programs import Fibonacci, FibonacciU64, Poseidon2Chain
from aprover.proof import Proof, shape_of
from aprover.security import Parameters, choose, layout_of

from .programs_for_tests import SAMPLES, TABLE_SAMPLES, Relay, Squares, Weighted

ALL_SAMPLES = SAMPLES + TABLE_SAMPLES
MASKED_SAMPLES: tuple[Program, ...] = (Fibonacci(20), Poseidon2Chain(tuple(range(16)), 3), *TABLE_SAMPLES)


def named(program: Program) -> str:
    return type(program).__name__


def parameters_of(program: Program, zk: bool = False) -> Parameters:
    return choose(shape_of(program.compiled(zk=zk)), 100, zk=zk)


def body_of(program: Program, zk: bool = False, **options: Any) -> bytes:
    return prover.prove(program, parameters_of(program, zk), **options)


def check(program: Program, body: bytes, path: str = "auto") -> None:
    air, statement = program.compiled(zk=Parameters.from_bytes(body[:8]).zk), program.statement()
    prover.verify(air, air.publics(statement), statement.to_bytes(), body, path=path)


def rejection(program: Program, body: bytes) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        check(program, body)
    return caught.value


class Stopped(Exception):
    pass


class Flag:
    def __init__(self, value: int = 0) -> None:
        self.cancel_flag = bytearray([value, 0, 0, 0])
        self.progress_value = bytearray(4)
        self.memory_limit: int | None = None

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


class ManyBoundaries(Program):
    """Four columns of free values, bound on many rows: two columns on the same ones, two on others."""

    shift: int = private(default=0)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003
        b.rows(64)
        for number, rows in enumerate(cls.bound()):
            column = b.column(f"c{number}")
            for row in rows:
                b.boundary(column, row, 1000 * number + row)

    @staticmethod
    def bound() -> tuple[range, ...]:
        return range(0, 60, 3), range(0, 60, 3), range(1, 60, 3), range(0, 62, 2)

    def trace(self, out: NDArray[np.uint32]) -> None:
        out[:] = 1000 * np.arange(4)[None, :] + np.arange(64)[:, None]
        out[3, 1] += self.shift


class Wrong(Relay):
    """Adds to one cell."""

    table: str = private(kw_only=True)
    cell: tuple[int, int] = private(kw_only=True)
    by: int = private(default=1)

    def trace(self, out: dict[str, NDArray[np.uint32]]) -> None:
        super().trace(out)
        out[self.table][self.cell] += self.by


class TestProofs:
    @pytest.mark.parametrize("program", ALL_SAMPLES, ids=named)
    def test_every_path_gives_the_same_bytes(self, program: Program) -> None:
        """What one machine proves, another one proves with the same bytes, and each verifies the other's."""
        body = body_of(program, path="portable")
        assert body == body_of(program, path="auto")
        check(program, body, "auto")
        check(program, body, "portable")

    @pytest.mark.parametrize("zk", [False, True], ids=["plain", "zk"])
    @pytest.mark.parametrize("program", ALL_SAMPLES, ids=named)
    def test_c_derives_the_builders_shape(self, program: Program, zk: bool) -> None:
        """Counts and degrees of every table follow from the bytecode alone, in C as in Python."""
        air = program.compiled(zk=zk)
        totals, tables = prover.shape_in_c(air)
        assert totals["constraints"] == sum(table.constraints for table in air.tables)
        assert totals["interactions"] == sum(table.interactions for table in air.tables)
        assert totals["publics"] == len(air.public_spec)
        for in_c, table in zip(tables, air.tables, strict=True):
            for name in (
                "log_height",
                "columns",
                "preprocessed",
                "interactions",
                "lookup_columns",
                "constraints",
                "degree",
            ):
                assert in_c[name] == getattr(table, name), name
            assert (in_c["reads"], in_c["rows_read"]) == (len(table.reads), table.rows_read)

    @pytest.mark.parametrize("zk", [False, True], ids=["plain", "zk"])
    @pytest.mark.parametrize("program", ALL_SAMPLES, ids=named)
    def test_c_derives_the_layout_that_is_judged(self, program: Program, zk: bool) -> None:
        """Levels, chunks and openings of the security report are those of the proof."""
        air, parameters = program.compiled(zk=zk), parameters_of(program, zk)
        layout, in_c = layout_of(shape_of(air), parameters), prover.proof_shape_in_c(air, parameters)
        assert in_c["chunks"] == [table.chunks for table in layout.tables]
        assert in_c["level"] == [table.level for table in layout.tables]
        assert in_c["length"] == [layout.levels[table.level].log_length for table in layout.tables]
        assert (in_c["openings"], in_c["folds"], in_c["narrow"]) == (layout.openings, layout.folds, layout.narrow)

    def test_progress_reaches_its_end(self) -> None:
        """A watcher sees a thousand parts of a thousand when the proof is made."""
        flag = Flag()
        body_of(Fibonacci(1000), control=flag)
        assert int.from_bytes(flag.progress_value, "little") == 1000


class TestZeroKnowledge:
    @pytest.mark.parametrize("program", MASKED_SAMPLES, ids=named)
    def test_a_masked_proof_is_accepted(self, program: Program) -> None:
        """On every path, with a fresh mask each time."""
        first, second = body_of(program, zk=True), body_of(program, zk=True, path="portable")
        assert first[:8] == second[:8]
        assert first[8:40] != second[8:40]  # the trace's cap
        check(program, first, "portable")
        check(program, second, "auto")

    @pytest.mark.parametrize("program", [Fibonacci(20), Relay(16, 5)], ids=named)
    def test_both_ways_to_a_backend_mask(self, program: Program) -> None:
        """A proof that was prepared says the same as one that was made at once, and the verifier asks for neither."""
        options: dict[str, Any] = {"security": 100, "prefer": "time", "zk": True}
        (prepared,) = prove_prepared([prepare_proof(plan_for(program, **options), program, control=Control())])
        assert isinstance(prepared, Proof)
        for proof in (prepared, backend_named("stark").prove(program, control=Control(), **options)):
            assert proof.parameters.zk
            assert proof.security.proven_bits >= 100
            assert aprover.verify(proof, program=type(program)) == program.statement()

    def test_a_hash_of_the_trace_hides_nothing(self) -> None:
        """So the trace backend refuses."""
        with pytest.raises(ProgramError, match="zk"):
            backend_named("trace").prove(Fibonacci(20), security=100, prefer="time", control=Control(), zk=True)

    def test_leaves_and_openings_have_nothing_in_common(self) -> None:
        """No 20 bytes at the place of an opening are the same in two proofs of one statement."""
        program = Fibonacci(20)
        first, second = body_of(program, zk=True), body_of(program, zk=True)
        start = 8 + 2 * 32
        assert all(first[at : at + 20] != second[at : at + 20] for at in range(start, start + 10 * 20, 20))

    def test_the_flag_is_part_of_the_statement(self) -> None:
        """A masked proof is none of another layout."""
        body = bytearray(body_of(Fibonacci(20), zk=True))
        body[3] &= ~2
        rejection(Fibonacci(20), bytes(body))


class TestPreprocessedColumns:
    @pytest.mark.parametrize(
        ("program", "other"), [(Weighted(20, 5), Weighted(21, 5)), (Squares(9, 70), Squares(9, 71))]
    )
    def test_another_programs_columns_are_not_accepted(self, program: Program, other: Program) -> None:
        """The columns are part of the AIR, which the verifier builds itself."""
        rejection(other, body_of(program))

    def test_commitments_are_kept(self) -> None:
        """The second proof does not commit again; what does not change the caps asks for no others."""
        air = Weighted(20, 5).compiled()
        one = loading.preprocessed(air, Parameters(2, 20))
        assert one is loading.preprocessed(air, Parameters(2, 30, 4, independent=True))
        assert one is not loading.preprocessed(air, Parameters(3, 20))
        assert one is not None
        assert loading.preprocessed_caps(air, Parameters(2, 7)) == one.caps
        assert loading.preprocessed(Fibonacci(20).compiled(), Parameters(2, 20)) is None
        assert loading.preprocessed_caps(Fibonacci(20).compiled(), Parameters(2, 20)) == b""

    @pytest.mark.parametrize("program", [Squares(9, 70), FibonacciU64(2**16)], ids=named)
    def test_what_a_verifier_refuses_at_once_costs_it_nothing(self, program: Program) -> None:
        """The head of a proof is looked at before columns are extended as far as its parameters ask."""
        claim = program.compiled(), program.compiled().publics(program.statement()), program.statement().to_bytes()
        loading.load(program.compiled())
        tracemalloc.start()
        try:
            for log_blowup in range(1, 7):
                for body in (Parameters(log_blowup, 8).to_bytes(), Parameters(log_blowup, 8).to_bytes() + bytes(100)):
                    with pytest.raises(ProofFormatError) as caught:
                        prover.verify(*claim, body)
                    assert caught.value.code is VerificationCode.TRUNCATED
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()

    def test_a_verifier_keeps_no_commitment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It keeps the caps, and makes those that a masked proof's lengths ask for once, however many its queries."""
        made: list[weakref.ref[loading.Preprocessed]] = []

        def commit(air: CompiledAir, parameters: Parameters, inner: Any = loading._commit) -> loading.Preprocessed:
            commitment: loading.Preprocessed = inner(air, parameters)
            made.append(weakref.ref(commitment))
            return commitment

        monkeypatch.setattr(loading, "_commit", commit)
        air = Squares(6, 71).compiled(zk=True)
        for queries in range(21, 40):
            assert len(loading.preprocessed_caps(air, Parameters(2, queries, zk=True))) == 32
        assert [one() for one in made] == [None]
        longer = Parameters(2, 200, zk=True)
        assert loading.preprocessed_caps(air, longer) != loading.preprocessed_caps(air, Parameters(2, 21, zk=True))
        assert len(made) == 2
        proved = loading.preprocessed(air, Parameters(2, 21, zk=True))
        assert proved is not None
        assert loading.preprocessed_caps(air, Parameters(2, 22, zk=True)) == proved.caps

    def test_threads_share_a_commitment(self) -> None:
        """Proofs made at once with the same one are those made alone."""
        programs = [Squares(5, seed) for seed in range(1, 9)]
        expected = [body_of(program) for program in programs]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(body_of, programs)) == expected


class TestBoundariesOnManyRows:
    @pytest.mark.parametrize("zk", [False, True], ids=["plain", "zk"])
    def test_columns_may_share_their_rows(self, zk: bool) -> None:
        """The selector of one column serves the next one if the rows are the same, and only then."""
        check(ManyBoundaries(), body_of(ManyBoundaries(), zk))
        with pytest.raises(ProveError, match="constraints"):
            body_of(ManyBoundaries(shift=1), zk)


class TestBatches:
    def test_results_are_those_of_single_proofs(self) -> None:
        """A batch of any mix gives the bytes that each would have had alone, in order."""
        programs: list[Program] = [
            Fibonacci(20),
            Doubling(9),
            Squares(5),
            Poseidon2Chain(tuple(range(16)), 3),
            Fibonacci(300),
            Relay(16, 5),
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
    @pytest.mark.parametrize("program", [Fibonacci(9000), Doubling(8192), Relay(9000), Squares(9000, 300)], ids=named)
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

    @pytest.mark.parametrize(("table", "cell"), [("sum", (1, 2)), ("main", (3, 0))])
    def test_a_broken_constraint_of_a_table_is_named(self, table: str, cell: tuple[int, int]) -> None:
        """Which table is at fault is known from its quotient; one that is on a bus too breaks that first."""
        with pytest.raises(ProveError, match="buses" if table == "main" else f"of table '{table}'"):
            body_of(Wrong(16, table=table, cell=cell))

    def test_a_value_out_of_range_in_a_table_is_named(self) -> None:
        """Table, column and row."""
        with pytest.raises(ProveError, match="column left of table 'sum', row 2"):
            body_of(Wrong(16, table="sum", cell=(2, 0), by=P))

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
