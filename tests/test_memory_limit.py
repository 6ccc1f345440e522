"""Proofs in less memory: the same bytes, more work, and a refusal before any work where it cannot be."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import aprover
from aprover import AirBuilder, Fibonacci, Poseidon2Chain, Program, ProgramError, prover
from aprover.arenas import arena
from aprover.backends import Control
from aprover.engine.messages import Joined, Queued
from aprover.proof import shape_of
from aprover.prover import Team, prepare, prove_prepared
from aprover.security import Parameters, choose
from tests.support.engine_core import FakeRequest, FakeWaiter, HandClock, make_core

LONG = Fibonacci(2**17)
WIDE = Poseidon2Chain(tuple(range(16)), 2**10)


class Traced(Program):
    """A column of zeroes, whose trace must not be made."""

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003
        b.rows(2**16)
        x = b.column("x")
        b.assert_equal(x.next, x, name="stays")
        b.boundary(x, 0, 0, name="start")

    def trace(self, out: Any) -> None:  # noqa: ARG002
        raise AssertionError("made")


def parameters_of(program: Program, *, zk: bool = False) -> Parameters:
    return choose(shape_of(program.compiled(zk=zk)), 100, "time", zk)


def least(program: Program) -> int:
    """Found in what the refusal says is allowed."""
    with pytest.raises(ProgramError) as caught:
        prover.memory(program.compiled(), parameters_of(program), 1)
    assert caught.value.field == "memory_limit"
    return int(str(caught.value.allowed).split()[3])


class TestProver:
    @pytest.mark.parametrize("program", [LONG, WIDE], ids=["narrow", "wide"])
    def test_the_least_memory_gives_the_same_bytes(self, program: Program) -> None:
        """Much less of it, for a long trace; a byte less than that is refused."""
        parameters, fewest = parameters_of(program), least(program)
        if program is LONG:
            assert fewest < prover.memory(program.compiled(), parameters) / 2
        proof = prover.prove(program, parameters, control=Control(fewest))
        assert proof == prover.prove(program, parameters)
        with pytest.raises(ProgramError, match=f"at least the {fewest} bytes"):
            prover.prove(program, parameters, control=Control(fewest - 1))

    def test_an_arena_is_never_larger_than_the_limit(self) -> None:
        """Although one that is larger stayed from the proof before."""
        parameters, fewest = parameters_of(LONG), least(LONG)
        prover.prove(LONG, parameters)
        prover.prove(LONG, parameters, control=Control(fewest))
        kept = arena(1)
        assert kept[1] == fewest

    def test_proofs_with_and_without_a_limit_share_a_call(self) -> None:
        """Each works in what it may have."""
        parameters = parameters_of(LONG)
        batch = [prepare(LONG, parameters, control=control) for control in (Control(least(LONG)), None)]
        one, other = prove_prepared(batch)
        assert one == other == prover.prove(LONG, parameters)

    def test_a_team_gives_the_same_bytes(self) -> None:
        """Helpers need memory of their own; if there is none for them, the proof is made alone."""
        parameters, fewest = parameters_of(LONG), least(LONG)
        expected = prover.prove(LONG, parameters)
        team = Team(2)
        for limit in (fewest, 2 * fewest):
            assert prove_prepared([prepare(LONG, parameters, control=Control(limit))], team=team) == [expected]
        team.close()

    def test_zero_knowledge_proofs_verify(self) -> None:
        """Masks and salts are made twice."""
        program = Fibonacci(2**14)
        parameters = attrs.evolve(parameters_of(program, zk=True), log_blowup=3)
        air, statement = program.compiled(zk=True), program.statement()
        most = prover.memory(air, parameters)
        with pytest.raises(ProgramError) as caught:
            prover.memory(air, parameters, 1)
        fewest = int(str(caught.value.allowed).split()[3])
        assert fewest < most
        proof = prover.prove(program, parameters, control=Control(fewest))
        assert prover.verify(air, air.publics(statement), statement.to_bytes(), proof) == parameters


class TestPrediction:
    def test_estimate_and_explain_say_what_is_taken(self) -> None:
        """The same, with a limit and without."""
        for limit in (None, least(LONG), 2 * least(LONG)):
            taken = prover.memory(LONG.compiled(), parameters_of(LONG), limit)
            assert aprover.estimate(LONG, memory_limit=limit).memory == taken
            assert aprover.explain(LONG, memory_limit=limit).memory == taken
            assert limit is None or taken <= limit

    def test_too_little_is_an_error_there_too(self) -> None:
        """Which names the limit and what is needed."""
        for ask in (aprover.estimate, aprover.explain):
            with pytest.raises(ProgramError, match=f"memory_limit = 1000 .*{least(LONG)} bytes"):
                ask(LONG, memory_limit=1000)


class TestEngine:
    async def test_too_little_is_refused_before_the_work(self) -> None:
        """A program's own trace() is not run."""
        async with aprover.open_engine():
            with pytest.raises(ProgramError, match="memory_limit"):
                await aprover.prove(Traced(), memory_limit=1000)

    async def test_the_proof_is_the_same_for_the_cache(self) -> None:
        """Who asks without a limit gets what was made under one, and the other way round."""
        async with aprover.open_engine():
            proof = await aprover.prove(LONG, memory_limit=least(LONG))
            assert await aprover.prove(LONG) is proof
            assert await aprover.prove(LONG, memory_limit=1) is proof
            assert proof == await aprover.prove(LONG, cache=False)

    async def test_an_engine_has_a_limit_of_its_own(self) -> None:
        """For requests that say nothing; estimates too."""
        async with aprover.open_engine(memory_limit=1000) as engine:
            with pytest.raises(ProgramError, match="memory_limit"):
                await aprover.prove(Fibonacci(20))
            with pytest.raises(ProgramError, match="memory_limit"):
                engine.estimate(Fibonacci(20))
            assert aprover.verify(await aprover.prove(Fibonacci(20), memory_limit=2**20))

    async def test_batches_and_aggregates_have_it_too(self) -> None:
        """One failure for each proof that cannot be made."""
        programs = [Fibonacci(20), Fibonacci(21)]
        async with aprover.open_engine():
            results = await aprover.prove_batch(programs, memory_limit=1000, return_exceptions=True)
            assert [type(result) for result in results] == [ProgramError, ProgramError]
            with pytest.raises(ProgramError, match="memory_limit"):
                await aprover.prove_batch(programs, aggregate=True, memory_limit=1000)
            limited = await aprover.prove_batch(programs, aggregate=True, memory_limit=2**22, cache=False)
            assert limited == await aprover.prove_batch(programs, aggregate=True, cache=False)

    async def test_the_trace_backend_has_it_too(self) -> None:
        """It takes the trace, and no more."""
        async with aprover.open_engine():
            with pytest.raises(ProgramError, match="at least the 256 bytes of this trace"):
                await aprover.prove(Fibonacci(20), backend="trace", memory_limit=255)
            await aprover.prove(Fibonacci(20), backend="trace", memory_limit=256)

    @pytest.mark.parametrize("limit", [0, -1, 1.5, True, "1G"])
    async def test_wrong_values(self, limit: Any) -> None:
        """Everywhere."""
        with pytest.raises(ProgramError, match="memory_limit"):
            await aprover.prove(Fibonacci(20), memory_limit=limit)
        with pytest.raises(ProgramError, match="memory_limit"):
            await aprover.prove_batch([], memory_limit=limit)
        with pytest.raises(ProgramError, match="memory_limit"):
            async with aprover.open_engine(memory_limit=limit):
                pass

    def test_a_request_joins_only_what_has_its_limit(self) -> None:
        """So that nobody fails, or takes memory, for another's limit."""
        core = make_core(HandClock())

        def submit(limit: int | None) -> object:
            return core.submit(FakeRequest("x", memory_limit=limit), FakeWaiter("loop", str(limit)))

        assert isinstance(submit(None), Queued)
        assert isinstance(submit(5), Queued)
        assert isinstance(submit(5), Joined)
