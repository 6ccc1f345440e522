"""``aprover stress``: many tasks ask an engine for proofs at once, lose patience at random, and nothing may be left."""

from __future__ import annotations

import asyncio
import functools
import math
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import anyio
import attrs

import aprover
from aprover import EngineStatistics, Fibonacci, Proof
from aprover.errors import shown

from .live import Sample
from .report import jsonable

__all__ = ["DEFAULT_MIX", "Report", "Settings", "parse_mix", "stress"]

Loop = Literal["trio", "asyncio"]
Watch = Callable[[Sample], object]

DEFAULT_MIX = "20:60,200:30,2000:9,20000:1"
BEAT_SECONDS = 0.001
SETTLE_SECONDS = 10.0
"""How long cancelled work may take to end, at most."""
STARTED_AT_ONCE = 100
"""Tasks in one pass of the loop, so that starting them is not what stalls it."""
POOL = 1000
"""How many earlier requests of a size can be repeated."""
SAMPLE = 20
"""Proofs that are verified in the end."""
KEPT = 1_000_000
"""Latencies that are kept."""
TOLD_SECONDS = 0.25
"""Between two samples for who watches."""


@attrs.frozen
class Settings:
    """What to do.

    Attributes:
        concurrency: Tasks; each asks for one proof after the other.
        seconds: For how long new requests are made.
        mix: Pairs (n of Fibonacci(n), weight).
        repetition: The share of requests that repeat an earlier one.
        cancel: The share of requests whose caller loses patience, at a random time.
        workers: None for as many as there are usable cores.
        cache_bytes: Of the engine's cache.
        max_pending: Of the engine.
        loop: Which event loop to use.
        seed: Of all random choices.
    """

    concurrency: int = 1000
    seconds: float = 5.0
    mix: tuple[tuple[int, float], ...] = ()
    repetition: float = 0.5
    cancel: float = 0.1
    workers: int | None = None
    cache_bytes: int = 256 * 2**20
    max_pending: int = 10_000
    loop: Loop = "trio"
    seed: int = 1


def parse_mix(text: str) -> tuple[tuple[int, float], ...]:
    """``"20:70,2000:30"`` as pairs of n and weight.

    Raises:
        ValueError: It is not of that form, or nothing has a weight.
    """
    pairs = []
    for part in text.split(","):
        n, _, weight = part.partition(":")
        try:
            pair = int(n), float(weight or 1)
        except ValueError:
            pair = 0, 0.0
        if not 1 <= pair[0] <= 2**22 or not 0 <= pair[1] < math.inf:
            raise ValueError(f"{shown(part)} is not n:weight, with n from 1 to 2^22 and a weight that is not negative")
        pairs.append(pair)
    if not sum(weight for _, weight in pairs):
        raise ValueError("nothing has a weight")
    return tuple(pairs)


@attrs.define
class Report:
    """What happened. Times in seconds, memory in bytes."""

    settings: Settings
    workers: int
    statistics: EngineStatistics
    seconds: float
    """From the first request to the last answer."""
    answered: int
    cancelled: int
    failures: dict[str, int]
    """By the name of the exception."""
    latencies: dict[str, float]
    stalls: dict[str, float]
    """By how much the loop came late."""
    memory: dict[str, int]
    left: list[str]
    """What is left, or wrong, in sentences. Nothing should be."""
    verified: int

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        out: dict[str, Any] = jsonable(attrs.asdict(self))
        return out

    def facts(self) -> list[tuple[str, str]]:
        """As names and values, for people."""
        seen, settings = self.statistics, self.settings
        share = 100 / max(1, seen.requests)
        placed = f"{seen.inline} inline, {seen.offloaded} offloaded, {seen.split} split"
        cache = f"{_mib(seen.cache_bytes)} of {_mib(settings.cache_bytes)}, {seen.cache_entries} proofs"
        memory = self.memory
        return [
            (
                "load",
                f"{settings.concurrency} tasks under {settings.loop}, {self.workers} workers, {self.seconds:.1f} s",
            ),
            ("throughput", f"{self.answered / self.seconds:,.0f} answers a second, {seen.proofs} proofs made"),
            ("latency", _times(self.latencies)),
            ("requests", f"{seen.requests}, {seen.hits * share:.1f} % hits, {seen.joins * share:.1f} % joins"),
            ("placement", placed),
            ("batches", f"{seen.batches} by workers, {seen.mean_batch_size:.1f} proofs on average"),
            ("queue wait", f"{seen.mean_queue_wait * 1e3:.2f} ms on average"),
            ("cancelled", f"{self.cancelled} callers; {seen.cancelled} proofs dropped or stopped for it"),
            ("loop stalls", f"{_times(self.stalls)} (the callers' own work included)"),
            ("cache", f"{cache}, {seen.evictions} evicted"),
            ("memory", f"{_mib(memory['before'])} before, {_mib(memory['peak'])} peak, {_mib(memory['after'])} after"),
            ("verified", f"{self.verified} of the proofs, at random"),
            ("left over", "; ".join(self.left) or "nothing"),
        ]


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _times(times: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds * 1e3:.2f} ms" for name, seconds in times.items()) or "none measured"


def percentiles(values: Sequence[float], *wanted: float) -> dict[str, float]:
    """The wanted percentiles, and the largest; none of no values."""
    if not values:
        return {}
    ordered = sorted(values)
    last = len(ordered) - 1
    out = {f"p{want:g}": ordered[min(last, round(want / 100 * last))] for want in wanted}
    return {**out, "max": ordered[-1]}


def resident() -> int:
    """Bytes of memory that this process has now; 0 where that is not known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    import resource

    return pages * resource.getpagesize()


class _Load:
    """One run."""

    def __init__(self, settings: Settings, watch: Watch | None) -> None:
        self.settings = settings
        self.watch = watch
        self.rng = random.Random(settings.seed)
        self.sizes = [n for n, _ in settings.mix]
        self.weights = [weight for _, weight in settings.mix]
        self.pools: dict[int, deque[Fibonacci]] = {n: deque(maxlen=POOL) for n in self.sizes}
        self.fresh = 0
        self.until = math.inf
        self.mean = 1e-3
        self.answered = self.cancelled = self.verified = 0
        self.failures: dict[str, int] = {}
        self.latencies: deque[float] = deque(maxlen=KEPT)
        self.stalls: deque[float] = deque(maxlen=KEPT)
        self.peak = 0
        self.recent: list[float] = []
        self.recent_stalls: list[float] = []
        self.sample: list[tuple[Fibonacci, Proof]] = []

    def program(self) -> Fibonacci:
        rng = self.rng
        (n,) = rng.choices(self.sizes, self.weights)
        pool = self.pools[n]
        if pool and rng.random() < self.settings.repetition:
            return pool[rng.randrange(len(pool))]
        self.fresh += 1
        program = Fibonacci(n, a=self.fresh)
        pool.append(program)
        return program

    def keep(self, program: Fibonacci, proof: Proof) -> None:
        """A fair sample of all proofs."""
        if len(self.sample) < SAMPLE:
            self.sample.append((program, proof))
        elif (place := self.rng.randrange(self.answered + 1)) < SAMPLE:
            self.sample[place] = program, proof

    async def one(self, engine: aprover.Engine) -> None:
        impatient = self.rng.random() < self.settings.cancel
        patience = self.rng.random() * 2 * self.mean if impatient else math.inf
        program = self.program()
        begun = time.perf_counter()
        with anyio.move_on_after(patience) as scope:
            try:
                proof = await engine.prove(program)
            except aprover.AproverError as error:
                name = type(error).__name__
                self.failures[name] = self.failures.get(name, 0) + 1
                return
        if scope.cancelled_caught:
            self.cancelled += 1
            return
        took = time.perf_counter() - begun
        self.mean += 0.01 * (took - self.mean)
        self.latencies.append(took)
        if self.watch is not None:
            self.recent.append(took)
        self.keep(program, proof)
        self.answered += 1

    async def caller(self, engine: aprover.Engine) -> None:
        """Asks at least once."""
        while True:
            await self.one(engine)
            # A hit need not let others run.
            await anyio.lowlevel.checkpoint()
            if time.perf_counter() >= self.until:
                return

    async def beat(self) -> None:
        while True:
            begun = time.perf_counter()
            await anyio.sleep(BEAT_SECONDS)
            late = max(0.0, time.perf_counter() - begun - BEAT_SECONDS)
            self.stalls.append(late)
            if self.watch is not None:
                self.recent_stalls.append(late)

    async def watch_memory(self) -> None:
        while True:
            self.peak = max(self.peak, resident())
            await anyio.sleep(0.1)

    async def tell(self, engine: aprover.Engine, watch: Watch) -> None:
        """Hands out what happened since the last time, again and again."""
        begun = last = time.perf_counter()
        before, answered = engine.statistics(), 0
        while True:
            busy = []
            while time.perf_counter() < last + TOLD_SECONDS:
                await anyio.sleep(TOLD_SECONDS / 12)
                busy.append(engine.statistics().busy_workers)
            now, seen = time.perf_counter(), engine.statistics()
            latencies, self.recent = self.recent, []
            stalls, self.recent_stalls = self.recent_stalls, []
            occupancy = sum(busy) / (len(busy) * engine.workers)
            new = self.answered - answered
            watch(Sample(now - begun, now - last, new, self.cancelled, latencies, stalls, occupancy, seen, before))
            last, before, answered = now, seen, self.answered

    async def drive(self, engine: aprover.Engine) -> float:
        begun = time.perf_counter()
        async with anyio.create_task_group() as watchers:
            watchers.start_soon(self.beat)
            watchers.start_soon(self.watch_memory)
            if self.watch is not None:
                watchers.start_soon(self.tell, engine, self.watch)
            self.until = begun + self.settings.seconds
            async with anyio.create_task_group() as callers:
                for i in range(self.settings.concurrency):
                    callers.start_soon(self.caller, engine)
                    if i % STARTED_AT_ONCE == 0:
                        await anyio.lowlevel.checkpoint()
            watchers.cancel_scope.cancel()
        return time.perf_counter() - begun

    def verify(self) -> list[str]:
        wrong = []
        for program, proof in self.sample:
            try:
                aprover.verify(proof, program.statement())
                self.verified += 1
            except aprover.VerificationError as error:
                wrong.append(f"a proof of {program!r} was rejected: {error}")
        return wrong


async def _settled(engine: aprover.Engine) -> EngineStatistics:
    """The counters, once stopped work has really stopped."""
    until = time.perf_counter() + SETTLE_SECONDS
    while True:
        seen = engine.statistics()
        if not (seen.pending or seen.parked or seen.busy_workers) or time.perf_counter() > until:
            return seen
        await anyio.sleep(0.005)


def _left_in(seen: EngineStatistics, settings: Settings) -> list[str]:
    counts = {
        "waiters": seen.waiters,
        "parked flights": seen.parked,
        "queued flights": seen.queued,
        "running flights": seen.running,
        "busy workers": seen.busy_workers,
    }
    left = [f"{count} {name}" for name, count in counts.items() if count]
    if seen.cache_bytes > settings.cache_bytes:
        left.append(f"{seen.cache_bytes} bytes in a cache of {settings.cache_bytes}")
    if seen.requests != seen.hits + seen.joins + seen.flights + seen.rejected + seen.refused:
        left.append("requests that were neither hits nor joins nor flights nor turned away")
    return left


def _tasks(loop: Loop) -> int:
    if loop == "asyncio":
        return len(asyncio.all_tasks())
    trio: Any = sys.modules["trio"]
    return int(trio.lowlevel.current_statistics().tasks_living)


async def _run(settings: Settings, watch: Watch | None) -> Report:
    load = _Load(settings, watch)
    threads, tasks, before = set(threading.enumerate()), _tasks(settings.loop), resident()
    async with aprover.open_engine(
        workers=settings.workers, cache_bytes=settings.cache_bytes, max_pending=settings.max_pending
    ) as engine:
        seconds = await load.drive(engine)
        seen = await _settled(engine)
    left = _left_in(seen, settings) + load.verify()
    more = [thread.name for thread in threading.enumerate() if thread not in threads]
    left += [f"the thread {name!r}" for name in more]
    if _tasks(settings.loop) != tasks:
        left.append(f"{_tasks(settings.loop) - tasks} tasks")
    left += [f"{count} requests failed with {name}" for name, count in load.failures.items()]
    return Report(
        settings=settings,
        workers=engine.workers,
        statistics=seen,
        seconds=seconds,
        answered=load.answered,
        cancelled=load.cancelled,
        failures=load.failures,
        latencies=percentiles(load.latencies, 50, 90, 99, 99.9),
        stalls=percentiles(load.stalls, 50, 99, 99.9),
        memory={"before": before, "peak": max(load.peak, before), "after": resident()},
        left=left,
        verified=load.verified,
    )


def stress(settings: Settings, watch: Watch | None = None) -> Report:
    """Runs it, in an event loop of its own.

    Args:
        watch: Is called four times a second with what happened meanwhile, on the loop's thread.
    """
    return anyio.run(functools.partial(_run, settings, watch), backend=settings.loop)
