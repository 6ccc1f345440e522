"""What one call costs: hits, inline work, offloading, joining, and log events that nobody reads."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, cast

import outcome
import structlog
import trio

import aprover
from aprover import AlwaysInline, AlwaysOffload, Engine, Fibonacci
from aprover.arenas import arena
from aprover.backends import Control
from aprover.engine.cost import FEATURES, Work
from aprover.engine.ports import Waiter
from aprover.loading import ffi, lib
from aprover.telemetry import Events

from .measuring import (
    CAN_BE_APART,
    Figure,
    cores_apart,
    fresh,
    interleaved_async,
    make,
    median,
    program_of_rows,
    quantile,
    request_of,
)

TRIO_S_OWN = "without an engine: Trio's own share"
SMALL = 31
"""Fibonacci(31) has 32 rows."""


async def _nothing() -> None:
    pass


async def _pass() -> None:
    """Lets the loop begin its next pass."""
    if asyncio._get_running_loop() is not None:
        await asyncio.sleep(0)
    else:
        await trio.lowlevel.checkpoint()


async def _hits(engine: Engine, rounds: int) -> tuple[float, float]:
    """Seconds of an await that hits, and of one of a coroutine that does nothing."""
    each = 200  # within the budget of a tick
    program = Fibonacci(SMALL)
    await engine.prove(program)

    async def hits() -> float:
        await _pass()
        begun = time.perf_counter()
        for _ in range(each):
            await engine.prove(program)
        return (time.perf_counter() - begun) / each

    async def nothing() -> float:
        begun = time.perf_counter()
        for _ in range(each):
            await _nothing()
        return (time.perf_counter() - begun) / each

    times = await interleaved_async({"hit": hits, "nothing": nothing}, rounds)
    return median(times["hit"]), median(times["nothing"])


async def _with_engine(what: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    async with aprover.open_engine(**settings) as engine:
        return await what(engine, *args)


def bench_hits(quick: bool) -> list[Figure]:
    """A cache hit: the whole await."""
    rounds = 30 if quick else 300
    under_trio, nothing = trio.run(_with_engine, _hits, rounds)
    under_asyncio, _ = asyncio.run(_with_engine(_hits, rounds))
    note = f"awaiting a coroutine that does nothing: {nothing * 1e6:.2f} us"
    return [
        Figure("hit, trio", under_trio * 1e6, "us", 4.0, note=note),
        Figure("hit, asyncio", under_asyncio * 1e6, "us", 6.0),
    ]


async def _inline(engine: Engine, rounds: int) -> tuple[float, float, float]:
    async def with_engine() -> float:
        program = fresh(SMALL)
        await _pass()  # a lone request, with the budget of a pass for itself
        begun = time.perf_counter()
        await engine.prove(program)
        return time.perf_counter() - begun

    async def bare() -> float:
        prepared = request_of(fresh(SMALL)).prepare(Control())
        job, errors = prepared._job, ffi.new("aprover_error[]", 1)
        job.arena, job.arena_bytes = arena(prepared.memory)
        await _pass()
        begun = time.perf_counter()
        lib.aprover_prove_batch(job, 1, errors)
        seconds = time.perf_counter() - begun
        assert job.status == lib.APROVER_OK
        return seconds

    async def prepared() -> float:
        program = fresh(SMALL)
        await _pass()
        begun = time.perf_counter()
        make(program)
        return time.perf_counter() - begun

    times = await interleaved_async({"engine": with_engine, "bare": bare, "prepared": prepared}, rounds)
    return median(times["engine"]), median(times["bare"]), median(times["prepared"])


def bench_inline(quick: bool) -> list[Figure]:
    """Inline work over the bare C call, for 32 rows."""
    rounds = 300 if quick else 3000
    engine, bare, prepared = trio.run(lambda: _with_engine(_inline, rounds, policy=AlwaysInline()))
    note = f"{engine * 1e6:.1f} us, of which C {bare * 1e6:.1f}, statement and arguments {(prepared - bare) * 1e6:.1f}"
    return [
        Figure("inline over the bare C call", (engine - bare) * 1e6, "us", 12.0, note=note),
        Figure("inline over the same without an engine", (engine - prepared) * 1e6, "us", note="statement and all"),
    ]


class RawThread:
    """The control: a thread of one's own that proves, and calls back. Nothing is shared, joined, kept or cancelled."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[aprover.Program, Callable[[Any], object]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            program, call = job
            call(make(program))

    def submit(self, program: aprover.Program, call: Callable[[Any], object]) -> None:
        """`call` gets the proof, on this thread."""
        self._queue.put((program, call))

    def close(self) -> None:
        """Waits for the thread."""
        self._queue.put(None)
        self._thread.join()

    async def under_trio(self, program: aprover.Program) -> object:
        """By run_sync_soon."""
        task = trio.lowlevel.current_task()
        token = trio.lowlevel.current_trio_token()
        self.submit(program, lambda _: token.run_sync_soon(trio.lowlevel.reschedule, task))
        return await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)

    async def under_asyncio(self, program: aprover.Program) -> object:
        """By call_soon_threadsafe."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        self.submit(program, lambda proof: loop.call_soon_threadsafe(future.set_result, proof))
        return await future


class LeastEngine(RawThread):
    """The least that joins what is identical, keeps what was made, and lets go of who is cancelled; under Trio.

    No sizes, no deadlines, no priorities, no errors, no batches, no policy, and one loop. What an engine takes beyond
    this is its own; what this takes beyond `RawThread` is the price of the matter.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._kept: dict[object, object] = {}
        self._flights: dict[object, set[trio.lowlevel.Task]] = {}
        self._token = trio.lowlevel.current_trio_token()

    async def prove(self, program: aprover.Program) -> object:
        """The proof, its only one."""
        await trio.lowlevel.checkpoint_if_cancelled()
        key = request_of(program).key
        task = trio.lowlevel.current_task()
        with self._lock:
            if key in self._kept:
                return self._kept[key]
            waiters = self._flights.get(key)
            first = waiters is None
            if waiters is None:
                waiters = self._flights[key] = set()
            waiters.add(task)
        if first:
            self.submit(program, functools.partial(self._made, key))

        def abort(_: object) -> trio.lowlevel.Abort:
            waiters.discard(task)
            return trio.lowlevel.Abort.SUCCEEDED

        return await trio.lowlevel.wait_task_rescheduled(abort)

    def _made(self, key: object, proof: object) -> None:
        with self._lock:
            self._kept[key] = proof
            waiters = self._flights.pop(key)
        self._token.run_sync_soon(self._wake, waiters, proof)

    @staticmethod
    def _wake(waiters: set[trio.lowlevel.Task], proof: object) -> None:
        while waiters:
            trio.lowlevel.reschedule(waiters.pop(), outcome.Value(proof))


async def _offload(engine: Engine, rounds: int, trio_runs: bool, apart: bool) -> dict[str, list[float]]:
    raw = RawThread()
    ask = raw.under_trio if trio_runs else raw.under_asyncio
    least = LeastEngine() if trio_runs else None

    async def with_engine() -> float:
        program = fresh(SMALL)
        begun = time.perf_counter()
        await engine.prove(program)
        return time.perf_counter() - begun

    async def without() -> float:
        program = fresh(SMALL)
        begun = time.perf_counter()
        await ask(program)
        return time.perf_counter() - begun

    async def by_the_least() -> float:
        program = fresh(SMALL)
        begun = time.perf_counter()
        if least is not None:
            await least.prove(program)
        return time.perf_counter() - begun

    arms = {"engine": with_engine, "raw": without, "least": by_the_least}
    try:
        await interleaved_async(arms, 100)  # all threads run, and there is nothing new for anybody
        with cores_apart() if apart else contextlib.nullcontext():
            return await interleaved_async(arms, rounds)
    finally:
        raw.close()
        if least is not None:
            least.close()


def bench_offload(quick: bool) -> list[Figure]:
    """Offloading one proof of 32 rows, against a raw thread that does the same work and wakes the loop.

    A thread that wakes another on a core that sleeps, and is woken from there, takes about 100 us longer than one that
    shares its core. Linux leaves each thread where it last ran, so that of two threads on two cores one shares the
    loop's, whichever it is, and the other does not: the least engine, which does all that the raw thread does and more,
    then takes 0.7 times as long. So the same stands here twice, with threads that all have another core than the loop,
    and wherever Linux leaves them; with the same targets.
    """
    rounds = 300 if quick else 3000
    figures = []
    for apart in (True, False) if CAN_BE_APART else (False,):
        for loop in ("trio", "asyncio"):
            figures += _offload_figures(loop, rounds, apart)
    return figures


def _offload_figures(loop: str, rounds: int, apart: bool) -> list[Figure]:
    settings = {"policy": AlwaysOffload()}
    if loop == "trio":
        times = trio.run(lambda: _with_engine(_offload, rounds, True, apart, **settings))
    else:
        times = asyncio.run(_with_engine(_offload, rounds, False, apart, **settings))
    figures = []
    where = f"{loop}, cores apart" if apart else loop
    targets = {"trio": (1.3, 1.5), "asyncio": (1.5, None)}[loop]
    for name, share, target in (("p50", 0.5, targets[0]), ("p99", 0.99, targets[1])):
        engine, raw = quantile(times["engine"], share), quantile(times["raw"], share)
        note = f"{engine * 1e6:.0f} us against {raw * 1e6:.0f} us"
        figures.append(Figure(f"offload of one, {where}, {name}", engine / raw, "x raw", target, note=note))
    if loop == "trio":
        least = median(times["least"]) / median(times["raw"])
        name = "offload of one, least engine, cores apart, p50" if apart else "offload of one, by the least engine, p50"
        note = "joins, keeps and lets go, and nothing else: what is possible"
        figures.append(Figure(name, least, "x raw", note=note))
    return figures


class Noop:
    """A request that takes its way through the engine, and for which nothing is done."""

    batched = False
    proves = False
    key_bytes = 0
    memory_limit = None
    label = "noop"

    WORK = Work((0.01,) + (0.0,) * (len(FEATURES) - 1), 8)

    @property
    def key(self) -> object:
        """Its own."""
        return self

    def known_work(self) -> Work:
        """A hundredth of a proof's call, so that it travels in batches."""
        return self.WORK

    def make(self, control: Control) -> bytes:  # noqa: ARG002
        """Nothing."""
        return b""

    def failure(self, error: BaseException) -> BaseException:
        """As it is."""
        return error


async def ask_noop(engine: Engine) -> None:
    """One request for nothing, as `Engine.prove` would ask."""
    port = engine.port()
    waiter = Waiter(port)
    request = cast(Any, Noop())
    if engine.ask(request, waiter, priority=0, deadline=float("inf"), cache=False) is None:
        await port.wait(waiter)


async def _batches(engine: Engine, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(64):
                nursery.start_soon(ask_noop, engine)
        times.append((time.perf_counter() - begun) / 64)
    return median(times)


async def _spawns(rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(64):
                nursery.start_soon(trio.sleep, 0)
        times.append((time.perf_counter() - begun) / 64)
    return median(times)


async def _waits(rounds: int, count: int) -> float:
    """Seconds for each of so many tasks that wait for one event, and are started for it."""
    times = []
    for _ in range(rounds):
        event = trio.Event()
        begun = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(event.wait)
            await trio.lowlevel.checkpoint()
            event.set()
        times.append((time.perf_counter() - begun) / count)
    return median(times)


def bench_batches(quick: bool) -> list[Figure]:
    """64 requests at once for nothing: what the engine's way costs each, task and wake-up included."""
    rounds = 50 if quick else 500
    seconds = trio.run(lambda: _with_engine(_batches, rounds, policy=AlwaysOffload()))
    spawn = trio.run(_spawns, rounds)
    waits = trio.run(_waits, rounds, 64)
    note = f"64 tasks with one checkpoint each, without an engine: {spawn * 1e6:.1f} us"
    return [
        Figure("offload in batches of 64, each", seconds * 1e6, "us", 14.0, note=note),
        Figure("64 tasks that wait for one event, each", waits * 1e6, "us", note=TRIO_S_OWN),
    ]


async def _identical(engine: Engine, rounds: int, rows: int) -> tuple[dict[str, list[float]], list[int]]:
    made: list[int] = []

    async def thousand() -> float:
        first = program_of_rows(rows)
        programs = [Fibonacci(first.n, a=first.a) for _ in range(1000)]
        before = engine.statistics().proofs
        begun = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for program in programs:
                nursery.start_soon(engine.prove, program)
        seconds = time.perf_counter() - begun
        made.append(engine.statistics().proofs - before)
        return seconds

    async def one() -> float:
        program = program_of_rows(rows)
        begun = time.perf_counter()
        await engine.prove(program)
        return time.perf_counter() - begun

    return await interleaved_async({"thousand": thousand, "one": one}, rounds), made


def bench_identical(quick: bool) -> list[Figure]:
    """1,000 concurrent requests for the same proof, each with a program object of its own."""
    rounds = 5 if quick else 25
    times, made = trio.run(lambda: _with_engine(_identical, rounds, 2**14))
    thousand, one = median(times["thousand"]), median(times["one"])
    waits = trio.run(_waits, rounds, 1000)
    note = f"{thousand * 1e3:.1f} ms; one proof alone {one * 1e3:.1f} ms"
    return [
        Figure("proofs for 1,000 identical requests", max(made), "", 1.0, note=f"least {min(made)}"),
        Figure("their wall time beyond 1.3 proofs, each", (thousand - 1.3 * one) * 1e3, "us", 20.0, note=note),
        Figure(
            "1,000 tasks that wait for one event, each", waits * 1e6, "us", note="without an engine: Trio's own share"
        ),
    ]


def bench_events(quick: bool) -> list[Figure]:
    """Log events: what they cost each request when nobody asked for any, and when somebody drops them all."""
    rounds, each = (20 if quick else 200), 1000

    def seconds(events: Events) -> float:
        times = []
        for _ in range(rounds):
            begun = time.perf_counter()
            for _ in range(each):
                events.open("fibonacci")
            times.append((time.perf_counter() - begun) / each)
        return median(times)

    structlog.reset_defaults()
    off = seconds(Events())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    filtered = seconds(Events())
    structlog.reset_defaults()
    note = f"configured, and filtered by level: {filtered * 1e6:.2f} us"
    return [Figure("log events that nobody asked for", off * 1e6, "us", 0.3, note=note)]
