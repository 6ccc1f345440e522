"""An engine that was opened with ``aggregate="auto"``: requests of the same time share proofs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio

import aprover
from aprover import (
    AggregateMember,
    AlwaysInline,
    AlwaysOffload,
    Engine,
    Fibonacci,
    Poseidon2Chain,
    Program,
    ProgramError,
    ProveError,
)
from aprover.engine.core import Core
from aprover.engine.sharing import LEAST
from tests.programs_for_tests import Tribonacci
from tests.support.engine_core import FakeRequest, FakeWaiter, HandClock, make_core


async def prove_all(engine: Engine, programs: Sequence[Program], **settings: Any) -> list[Any]:
    """All at once; failures in the places of the proofs."""
    results: list[Any] = [None] * len(programs)

    async def one(index: int) -> None:
        try:
            results[index] = await engine.prove(programs[index], **settings)
        except aprover.AproverError as error:
            results[index] = error

    async with trio.open_nursery() as nursery:
        for i in range(len(programs)):
            nursery.start_soon(one, i)
    return results


def members(results: Sequence[object]) -> list[AggregateMember]:
    return [result for result in results if isinstance(result, AggregateMember)]


async def warm(engine: Engine, *programs: Program) -> None:
    """What an engine has not seen yet is looked at alone."""
    for program in programs:
        await engine.prove(program, cache=False)


def opened(**changes: Any) -> Any:
    return aprover.open_engine(workers=1, policy=AlwaysOffload(), aggregate="auto", **changes)


class TestSharing:
    async def test_requests_of_one_time_share_a_proof(self) -> None:
        """Each has the answer to its own, which both verifiers accept, and all are counted."""
        programs = [Fibonacci(20, i) for i in range(40)]
        async with opened() as engine:
            await warm(engine, Fibonacci(20, 99))
            results = await prove_all(engine, programs)
            shared = members(results)
            assert len(shared) >= 32
            assert engine.statistics().shared == len(shared)
        for program, result in zip(programs, results, strict=True):
            assert aprover.verify(result) == program.statement()
        assert aprover.reference.verify(shared[-1]) == shared[-1].statement
        assert all(proof.security.proven_bits >= 100 for proof in results)

    async def test_without_being_asked_nothing_is_shared(self) -> None:
        """It tells each caller the statements of the others."""
        async with aprover.open_engine(workers=1, policy=AlwaysOffload()) as engine:
            await warm(engine, Fibonacci(20, 99))
            assert not members(await prove_all(engine, [Fibonacci(20, i) for i in range(40)]))
            assert engine.statistics().shared == 0
        with pytest.raises(ProgramError, match="aggregate"):
            async with aprover.open_engine(aggregate="on"):  # type: ignore[arg-type]
                pass

    async def test_only_what_is_alike_shares(self) -> None:
        """Not other constraints, other settings, masked proofs, Python's traces, nor too few."""
        programs = [Fibonacci(20, i) for i in range(8)] + [Poseidon2Chain(tuple(range(i, i + 16)), 4) for i in range(3)]
        async with opened() as engine:
            await warm(engine, programs[0], programs[-1], Tribonacci(20))
            results = await prove_all(engine, programs)
            assert not members(results[8:])
            assert len(programs) - 8 < LEAST
            assert not members(await prove_all(engine, programs[:8], zk=True))
            assert not members(await prove_all(engine, [Tribonacci(20, i) for i in range(8)]))
            for proof in members(results):
                assert {one.program for one in proof.aggregate.statements} == {"fibonacci"}
        assert [aprover.verify(proof) for proof in results] == [program.statement() for program in programs]

    async def test_members_are_kept_each_under_its_own_request(self) -> None:
        """Who asks again has the same object; in the cache each counts for its share."""
        programs = [Fibonacci(20, i) for i in range(16)]
        async with opened() as engine:
            await warm(engine, Fibonacci(20, 99))
            first = await prove_all(engine, programs)
            assert members(first)
            before = engine.statistics()
            assert before.cache_bytes < len(members(first)[0]) + 16 * 10_000
            again = await prove_all(engine, programs)
            assert all(a is b for a, b in zip(first, again, strict=True))
            assert engine.statistics().hits == before.hits + 16

    async def test_who_asks_for_the_same_has_the_same(self) -> None:
        """One flight, one place in the aggregate."""
        programs = [Fibonacci(20, i % 8) for i in range(24)]
        async with opened() as engine:
            await warm(engine, Fibonacci(20, 99))
            results = await prove_all(engine, programs)
            assert all(results[i] is results[i + 8] for i in range(16))
            assert all(proof.aggregate.count <= 8 for proof in members(results))


class TestTrouble:
    async def test_what_fails_together_is_tried_alone(self) -> None:
        """So the others have proofs, and whoever asked for what is false has its own failure."""

        class Lying(Fibonacci):
            def public_outputs(self) -> tuple[int, ...]:
                true = super().public_outputs()[0]
                return (true + 1,) if self.a == 3 else (true,)

        programs = [Lying(20, i) for i in range(8)]
        async with opened() as engine:
            await warm(engine, Lying(20, 99))
            results = await prove_all(engine, programs)
        assert isinstance(results[3], ProveError)
        for program, result in zip(programs, results, strict=True):
            if result is not results[3]:
                assert aprover.verify(result, program=Lying) == program.statement()

    async def test_who_is_cancelled_leaves_the_others_theirs(self) -> None:
        """As from a batch."""
        results: list[Any] = [None] * 16
        async with opened() as engine:
            await warm(engine, Fibonacci(20, 99))

            async def one(index: int, scope: trio.CancelScope) -> None:
                with scope:
                    results[index] = await engine.prove(Fibonacci(20, index))

            scopes = [trio.CancelScope() for _ in results]
            async with trio.open_nursery() as nursery:
                for i, scope in enumerate(scopes):
                    nursery.start_soon(one, i, scope)
                await trio.lowlevel.checkpoint()
                scopes[5].cancel()
        assert results[5] is None or aprover.verify(results[5]).public_inputs == (5, 1)
        for i, result in enumerate(results):
            assert i == 5 or aprover.verify(result).public_inputs == (i, 1)


class TestBatches:
    """What the deciding core does about it."""

    @staticmethod
    def submit(core: Core, count: int) -> None:
        for i in range(count):
            core.submit(FakeRequest(i), FakeWaiter("loop", i), tick=1, caller=i)

    @pytest.mark.parametrize(("aggregates", "most"), [(False, 10), (True, 64)])
    def test_batches_that_may_share_are_larger(self, aggregates: bool, most: int) -> None:
        """Of requests of 0.1 ms each: as many as take 16 ms alone, instead of 1 ms."""
        core = make_core(HandClock(), workers=1, aggregates=aggregates)
        self.submit(core, 64)
        core.dispatch("loop", tick=1)
        batch: Any = core.pull("worker")[0]
        assert most - 1 <= len(batch.flights) <= most

    @pytest.mark.parametrize(
        ("aggregates", "count", "inline"), [(False, 64, True), (True, 64, False), (True, 12, True)]
    )
    def test_many_that_may_share_are_not_made_on_the_loop(self, aggregates: bool, count: int, inline: bool) -> None:
        """A worker makes them together, for less than the loop would take for a few."""
        core = make_core(HandClock(), workers=1, aggregates=aggregates, policy=AlwaysInline())
        self.submit(core, count)
        assert (core.dispatch("loop", tick=2).batch is not None) == inline
