"""What an engine is worth under load."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

import trio

import aprover
from aprover import AdaptivePolicy, Engine, EngineStatistics, Fibonacci
from aprover.cli.stress import resident

from .measuring import Figure, interleaved_async, make, median, program_of_rows, quantile, scaling

# --- against the naive way -------------------------------------------------------------------------------------------


async def _naively(programs: Sequence[aprover.Program]) -> None:
    """A thread of Trio's for each call."""
    async with trio.open_nursery() as nursery:
        for program in programs:
            nursery.start_soon(trio.to_thread.run_sync, make, program)


async def _by_engine(engine: Engine, programs: Sequence[aprover.Program]) -> None:
    async with trio.open_nursery() as nursery:
        for program in programs:
            nursery.start_soon(engine.prove, program)


def _mixed(count: int, distinct: Sequence[int], rng: random.Random) -> list[Fibonacci]:
    """So many requests for one fresh program of each of these heights, in random order, none of them left out."""
    kinds = [program_of_rows(rows) for rows in distinct]
    picks = [kinds[i % len(kinds)] for i in range(count)]
    rng.shuffle(picks)
    # Objects of their own, as callers have.
    return [Fibonacci(kind.n, a=kind.a) for kind in picks]


NAIVE_CASES: tuple[tuple[str, int, tuple[int, ...], float], ...] = (
    ("20 distinct, 32 rows", 20, (32,) * 20, 1.0),
    ("20 distinct, 128 rows", 20, (128,) * 20, 2.61),
    ("20 distinct, 256 rows", 20, (256,) * 20, 1.0),
    ("100 at 99 %, 32 rows", 100, (32,), 6.0),
    ("100 at 99 %, 128 rows", 100, (128,), 14.7),
    ("100 at 99 %, 256 rows", 100, (256,), 21.0),
    ("30 mixed at 67 %", 30, (32,) * 4 + (128,) * 3 + (256,) * 3, 5.38),
)


async def _timed(what: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await what()
    return time.perf_counter() - begun


async def _naive_case(rounds: int, count: int, distinct: Sequence[int]) -> dict[str, list[float]]:
    rng = random.Random(1)

    async def with_engine() -> float:
        programs = _mixed(count, distinct, rng)
        return await _timed(lambda: _by_engine(engine, programs))

    async def naive() -> float:
        programs = _mixed(count, distinct, rng)
        return await _timed(lambda: _naively(programs))

    async def sequential() -> float:
        programs = _mixed(count, distinct, rng)
        begun = time.perf_counter()
        for program in programs:
            make(program)
        return time.perf_counter() - begun

    async with aprover.open_engine() as engine:
        arms = {"engine": with_engine, "naive": naive, "sequential": sequential}
        await interleaved_async(arms, 2)
        return await interleaved_async(arms, rounds)


def bench_naive(quick: bool) -> list[Figure]:
    """How many times quicker than a thread of Trio's for each call, without joining and cache."""
    rounds = 10 if quick else 60
    figures = [Figure("two threads in C, relative to one", scaling(), "x", note="the control for all gains by threads")]
    for name, count, distinct, target in NAIVE_CASES:
        times = trio.run(_naive_case, rounds, count, distinct)
        engine, naive, sequential = (median(times[arm]) for arm in ("engine", "naive", "sequential"))
        note = f"{engine * 1e3:.2f} ms against {naive * 1e3:.2f} ms; one after the other {sequential / engine:.2f}x"
        figures.append(Figure(name, naive / engine, "x naive", target, at_least=True, note=note))
    return figures


# --- many, with cancellation -----------------------------------------------------------------------------------------


async def _soak(count: int, cancelled: float) -> tuple[EngineStatistics, int, list[int]]:
    """All counters in the end, how many were cancelled, and the memory at each tenth."""
    rng = random.Random(1)
    memory: list[int] = []
    gone = 0
    threads, tasks = set(threading.enumerate()), trio.lowlevel.current_statistics().tasks_living

    async def one(engine: Engine, program: Fibonacci, patience: float) -> None:
        nonlocal gone
        with trio.move_on_after(patience) as scope:
            await engine.prove(program)
        gone += scope.cancelled_caught

    async with aprover.open_engine(cache_bytes=2**22) as engine:
        for tenth in range(10):
            for _ in range(count // 10 // 500):
                async with trio.open_nursery() as nursery:
                    for _ in range(500):
                        program = (
                            Fibonacci(31, a=rng.randrange(10**6)) if rng.random() < 0.5 else Fibonacci(31, a=tenth)
                        )
                        patience = rng.random() * 0.02 if rng.random() < cancelled else float("inf")
                        nursery.start_soon(one, engine, program, patience)
            gc.collect()
            memory.append(resident())
        while engine.statistics().running or engine.statistics().busy_workers:  # noqa: ASYNC110 - counters, no event
            await trio.sleep(0.005)
        seen = engine.statistics()
    assert trio.lowlevel.current_statistics().tasks_living == tasks, "a task is left"
    assert set(threading.enumerate()) <= threads, "a thread is left"
    return seen, gone, memory


def bench_soak(quick: bool) -> list[Figure]:
    """100,000 requests, 10 % of them cancelled at random times: nothing is left, and memory stays."""
    seen, gone, memory = trio.run(_soak, 10_000 if quick else 100_000, 0.1)
    left = seen.waiters + seen.pending + seen.parked + seen.busy_workers
    growth = (memory[-1] / memory[2] - 1) * 100
    note = f"{seen.requests} requests, {gone} cancelled, {seen.proofs} proofs, {seen.cancelled} flights dropped"
    return [
        Figure("waiters, flights and busy workers left", left, "", 0.0, note=note),
        Figure("bytes in the cache beyond its bound", max(0, seen.cache_bytes - 2**22), "", 0.0),
        Figure("memory gained after the first 30 %", growth, "%", 5.0, note=f"{memory[-1] / 2**20:.1f} MiB in the end"),
    ]


# --- beside a huge proof ---------------------------------------------------------------------------------------------


async def _beside(rows: int, count: int) -> tuple[list[float], list[float], int]:
    """Seconds of small offloaded proofs, alone and beside a huge one, and how many huge ones were made."""

    async def small(engine: Engine) -> list[float]:
        times = []
        for _ in range(count):
            program = program_of_rows(512)
            times.append(await _timed(lambda program=program: engine.prove(program)))  # type: ignore[misc]
            await trio.sleep(0.003)
        return times

    # Never inline, and otherwise as usual: so huge ones are split.
    async with aprover.open_engine(policy=AdaptivePolicy(longest_inline=0.0), on_exit="cancel") as engine:
        await small(engine)
        idle = await small(engine)
        begun = engine.statistics().proofs
        async with trio.open_nursery() as nursery:

            async def huge() -> None:
                while True:
                    await engine.prove(program_of_rows(rows), cache=False)

            nursery.start_soon(huge)
            await trio.sleep(0.05)
            busy = await small(engine)
            nursery.cancel_scope.cancel()
        return idle, busy, engine.statistics().proofs - begun - count


def bench_beside(quick: bool) -> list[Figure]:
    """The p99 of small offloaded proofs beside one of 2^20 rows: at most 3 times that without, and 0.5 ms."""
    idle, busy, huge = trio.run(_beside, 2**17 if quick else 2**20, 100 if quick else 500)
    alone, beside = quantile(idle, 0.99) * 1e3, quantile(busy, 0.99) * 1e3
    note = (
        f"alone {alone:.2f} ms; medians {median(busy) * 1e3:.2f} and {median(idle) * 1e3:.2f} ms; {huge} huge ones done"
    )
    return [Figure("p99 of small ones beside a huge one", beside, "ms", 3 * alone + 0.5, note=note)]
