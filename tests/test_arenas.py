"""How long a thread keeps the memory of its proofs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aprover import arenas
from aprover.arenas import SMALL_BYTES, SPARED, arena, give_back
from aprover.engine import workers
from aprover.engine.workers import WorkerThread

LARGE = 4 * SMALL_BYTES


@pytest.fixture(autouse=True)
def _no_arena() -> Iterator[None]:
    arenas._local.__dict__.clear()
    yield
    arenas._local.__dict__.clear()


class TestArenas:
    def test_a_proof_uses_the_memory_of_the_one_before(self) -> None:
        """Whether it needs as much or less."""
        first = arena(LARGE)
        assert arena(LARGE) is first
        assert arena(LARGE - 64) is first

    def test_a_larger_proof_gets_a_larger_arena(self) -> None:
        """And the ones after it use that."""
        arena(1000)
        larger = arena(LARGE)
        assert larger[1] == LARGE
        assert arena(1000) is larger

    def test_a_new_arena_begins_with_zeroes(self) -> None:
        """Which tell the C core that no tables are there."""
        assert bytes(arena(1000)[0][0:64]) == bytes(64)

    def test_no_arena_is_larger_than_it_may_be(self) -> None:
        """A limit holds although more is there."""
        arena(LARGE)
        assert arena(1000, most=2000)[1] == 1000

    def test_a_large_arena_goes_when_it_is_not_needed_any_more(self) -> None:
        """After some proofs in a row that need much less; one like it begins the count again."""
        first = arena(LARGE)
        for _ in range(SPARED - 1):
            assert arena(1000) is first
        assert arena(LARGE) is first
        for _ in range(SPARED - 1):
            assert arena(1000) is first
        assert arena(1000)[1] == 1000

    def test_a_small_arena_stays(self) -> None:
        """However little the next proofs need, and when it is idle."""
        first = arena(SMALL_BYTES)
        for _ in range(2 * SPARED):
            assert arena(1000) is first
        give_back()
        assert arena(1000) is first


class _Bed:
    """The lock that a worker sleeps on: nobody wakes it in time, then somebody does."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def acquire(self, timeout: float = -1) -> bool:
        self.slept.append(timeout)
        return timeout < 0


class TestIdleWorkers:
    def test_a_worker_that_nothing_wakes_gives_a_large_arena_back(self) -> None:
        """And sleeps on, without a timer."""
        worker = WorkerThread.__new__(WorkerThread)
        worker._bed = bed = _Bed()  # type: ignore[assignment] # as much of a lock as it uses
        arena(LARGE)
        worker._lie_down()
        assert bed.slept == [workers.IDLE_SECONDS, -1]
        assert arena(1000)[1] == 1000
