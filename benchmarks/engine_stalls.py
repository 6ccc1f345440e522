"""What an engine does to its event loop: for how long nothing else gets a turn, while very many requests wait.

Parked means that all have asked and wait for their answers. So all tasks are started at once and ask in the next pass
of the loop, which is a figure of its own. The passes from then on are looked at, until the last has its answer.

Who shares the loop feels how late it comes round for something that is due at a random moment: 0 if it sleeps then,
else what is left of the pass. Of that the share of time is known without any sample, from when the passes began and
ended (`lateness`). A percentile over passes says something else, and depends on how many short ones there are: of the
200 passes that an engine needs for 10,000 requests which come 50 in a pass, the 99.9th percentile is the longest, while
a control that wakes its loop for each proof alone has 9,000. These figures stand beside the others, without a target.

Nothing is taken out: Python's collections of garbage are in all figures, of both arms, and the longest is named.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import itertools
import queue
import random
import selectors
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

import attrs
import outcome
import trio

import aprover
from aprover import Fibonacci, Proof

from .measuring import Figure, make, program_of_rows, quantile

__all__ = ["bench_stalls", "lateness"]

Way = Callable[[Fibonacci], Awaitable[object]]
Pass = tuple[float, float]
"""When it began, and when it ended."""
ROWS = (32, 512, 8192)
WORKERS = 2


def _load_of(count: int, rng: random.Random) -> list[Fibonacci]:
    """Mixed: mostly tiny, some of 512 rows, a few of 8,192, a third of them repeated."""
    programs: list[Fibonacci] = []
    for _ in range(count):
        if programs and rng.random() < 0.33:
            programs.append(programs[rng.randrange(len(programs))])
        else:
            programs.append(program_of_rows(rng.choices(ROWS, (80, 19, 1))[0]))
    return programs


def lateness(rounds: Sequence[Sequence[Pass]], share: float) -> float:
    """How late the loop comes round, at most, for so large a share of what is due at random moments; in seconds.

    Args:
        rounds: The passes of each, in order; between two of them the loop sleeps.
        share: From 0 to 1, which gives the longest pass.
    """
    lengths = sorted((end - begun for passes in rounds for begun, end in passes), reverse=True)
    rest = (1 - share) * sum(passes[-1][1] - passes[0][0] for passes in rounds if passes)
    # In a pass, moments that are more than x late take what it is longer than x. Over all, that is to be the rest.
    late = 0.0
    for count, total in enumerate(itertools.accumulate(lengths), 1):
        late = (total - rest) / count
        if count < len(lengths) and late >= lengths[count]:
            break
    return max(0.0, late)


@attrs.define(eq=False)
class Recorded:
    """The passes of a loop under one load, and the collections of garbage meanwhile, which stop all threads."""

    passes: list[Pass] = attrs.field(factory=list)
    collections: list[Pass] = attrs.field(factory=list)
    _begun: float | None = None
    _collects: float = 0.0

    def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - Trio's
        """A pass begins. As an instrument, and elsewhere called likewise."""
        self._begun = time.perf_counter()

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - Trio's
        """A pass ends; not looked at if this began in it."""
        if self._begun is not None:
            self.passes.append((self._begun, time.perf_counter()))

    def collected(self, phase: str, _: object) -> None:
        """A callback of `gc.callbacks`."""
        if phase == "start":
            self._collects = time.perf_counter()
        else:
            self.collections.append((self._collects, time.perf_counter()))

    @property
    def asking(self) -> Pass:
        """The pass in which all asked."""
        return self.passes[0]

    @property
    def parked(self) -> list[Pass]:
        """The passes from then on."""
        return self.passes[1:]

    @property
    def collecting(self) -> float:
        """Seconds of the longest collection from then on."""
        return max((end - begun for begun, end in self.collections if begun > self.asking[1]), default=0.0)


# --- under trio ------------------------------------------------------------------------------------------------------


async def _under_trio(programs: Sequence[Fibonacci], way: Way, at_once: int) -> Recorded:
    """One load, of which so many start in a pass."""
    gc.collect()
    recorded = Recorded()
    trio.lowlevel.add_instrument(recorded)  # type: ignore[arg-type] # Trio takes any part of an Instrument
    gc.callbacks.append(recorded.collected)
    try:
        async with trio.open_nursery() as nursery:
            for i, program in enumerate(programs, 1):
                nursery.start_soon(way, program)
                if i % at_once == 0 and i < len(programs):
                    await trio.lowlevel.checkpoint()
    finally:
        gc.callbacks.remove(recorded.collected)
        trio.lowlevel.remove_instrument(recorded)  # type: ignore[arg-type]
    return recorded


class TrioThreads:
    """The usual way without an engine: a thread of Trio's for each proof, as many at a time as there are workers.

    Each wakes the loop when it is done, and waits for it to be given the next.
    """

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(WORKERS)
        self._made: dict[Fibonacci, trio.Event | Proof] = {}

    async def __call__(self, program: Fibonacci) -> object:
        """Waits until the proof has been made for anybody."""
        found = self._made.get(program)
        if found is None:
            event = self._made[program] = trio.Event()
            self._made[program] = await trio.to_thread.run_sync(make, program, limiter=self._limiter)
            event.set()
        elif isinstance(found, trio.Event):
            await found.wait()
        return self._made[program]


class BareThreads:
    """The quickest without an engine: threads that make one proof after the other and never wait for the loop."""

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._made: dict[Fibonacci, list[trio.lowlevel.Task] | Proof] = {}
        self._queue = queue.SimpleQueue[Fibonacci | None]()
        self._threads = [threading.Thread(target=self._work) for _ in range(WORKERS)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while (program := self._queue.get()) is not None:
            self._token.run_sync_soon(self._hand_out, program, make(program))

    def _hand_out(self, program: Fibonacci, proof: Proof) -> None:
        tasks, self._made[program] = self._made[program], proof
        assert isinstance(tasks, list)
        for task in tasks:
            trio.lowlevel.reschedule(task, outcome.Value(proof))

    async def __call__(self, program: Fibonacci) -> object:
        """Waits until the proof has been made for anybody."""
        found = self._made.get(program)
        if found is None:
            found = self._made[program] = []
            self._queue.put(program)
        elif isinstance(found, Proof):
            return found
        found.append(trio.lowlevel.current_task())
        return await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)

    def stop(self) -> None:
        """Ends the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()


async def _by_engine(count: int, at_once: int) -> Recorded:
    async with aprover.open_engine(workers=WORKERS) as engine:
        await engine.prove_batch([program_of_rows(rows) for rows in ROWS])
        return await _under_trio(_load_of(count, random.Random(1)), engine.prove, at_once)


async def _by_trio_threads(count: int, at_once: int) -> Recorded:
    return await _under_trio(_load_of(count, random.Random(1)), TrioThreads(), at_once)


async def _by_bare_threads(count: int, at_once: int) -> Recorded:
    threads = BareThreads()
    try:
        return await _under_trio(_load_of(count, random.Random(1)), threads, at_once)
    finally:
        threads.stop()


Arm = Callable[[int, int], Awaitable[Recorded]]
ARMS: tuple[Arm, ...] = (_by_engine, _by_trio_threads, _by_bare_threads)


async def _all_rounds(count: int, at_once: int, rounds: int) -> list[list[Recorded]]:
    """Of each arm, interleaved in random order, all with programs that nobody has asked for."""
    rng = random.Random(1)
    recorded: list[list[Recorded]] = [[] for _ in ARMS]
    for _ in range(rounds):
        for arm in rng.sample(range(len(ARMS)), len(ARMS)):
            recorded[arm].append(await ARMS[arm](count, at_once))
    return recorded


# --- under asyncio ---------------------------------------------------------------------------------------------------


class _Selector(selectors.DefaultSelector):
    """Tells where the passes of an asyncio loop begin and end."""

    recorded: Recorded | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.recorded is None:
            return super().select(timeout)
        self.recorded.before_io_wait(0)
        ready = super().select(timeout)
        self.recorded.after_io_wait(0)
        return ready


def _under_asyncio(count: int, *, engine: bool) -> Recorded:
    """One load, all at once, of an engine or of as many threads of an executor's."""
    selector = _Selector()

    async def load(way: Way) -> Recorded:
        programs = _load_of(count, random.Random(1))
        gc.collect()
        recorded = selector.recorded = Recorded()
        await asyncio.gather(*[way(program) for program in programs])
        selector.recorded = None
        return recorded

    async def main() -> Recorded:
        if engine:
            async with aprover.open_engine(workers=WORKERS) as opened:
                await opened.prove_batch([program_of_rows(rows) for rows in ROWS])
                return await load(opened.prove)
        made: dict[Fibonacci, asyncio.Future[Proof]] = {}
        loop = asyncio.get_running_loop()

        def way(program: Fibonacci) -> Awaitable[Proof]:
            if program not in made:
                made[program] = loop.run_in_executor(threads, make, program)
            return made[program]

        async def asked(program: Fibonacci) -> Proof:
            return await way(program)

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as threads:
            return await load(asked)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(main())


# --- figures ---------------------------------------------------------------------------------------------------------


def _ms(rounds: Sequence[Sequence[Pass]], share: float) -> float:
    return lateness(rounds, share) * 1e3


def _parked_figures(arms: Sequence[Sequence[Recorded]]) -> list[Figure]:
    """Of loads that came at once."""
    ours, usual, bare = ([recorded.parked for recorded in arm] for arm in arms)
    passes = sum(map(len, ours)), sum(map(len, usual))
    figures = []
    for name, share, target in (("p99.9", 0.999, 2.0), ("max", 1.0, 10.0)):
        engine, control = _ms(ours, share), _ms(usual, share)
        note = f"{engine:.2f} ms, {passes[0]} passes; Trio's threads {control:.2f} ms, {passes[1]} passes"
        figures.append(Figure(f"stalls of the loop, {name}", engine - control, "ms", target, note=note))
    for name, share in (("p99.9", 0.999), ("max", 1.0)):
        engine, control = _ms(ours, share), _ms(bare, share)
        note = f"{engine:.2f} ms; {WORKERS} threads that never wait for the loop {control:.2f} ms"
        figures.append(Figure(f"stalls, less those by bare threads, {name}", engine - control, "ms", note=note))
    collecting = [max(recorded.collecting for recorded in arm) * 1e3 for arm in arms]
    note = f"Python's own; Trio's threads {collecting[1]:.2f} ms, bare threads {collecting[2]:.2f} ms"
    figures.append(Figure("the longest collection of garbage meanwhile", collecting[0], "ms", note=note))
    asking = [quantile([end - begun for begun, end in (one.asking for one in arm)], 0.5) * 1e3 for arm in arms]
    note = f"median {asking[0]:.0f} ms; Trio's threads {asking[1]:.0f} ms, bare threads {asking[2]:.0f} ms"
    figures.append(Figure("the pass in which all ask", asking[0] - asking[1], "ms", note=note))
    return figures


def _coming_figures(arms: Sequence[Sequence[Recorded]]) -> list[Figure]:
    """Of loads that came 50 in a pass, and so were mostly made while others still came: percentiles over passes."""
    ours, control, _ = ([end - begun for one in arm for begun, end in one.passes] for arm in arms)
    figures = []
    for name, share in (("p99.9", 0.999), ("max", 1.0)):
        engine, usual = quantile(ours, share) * 1e3, quantile(control, share) * 1e3
        note = f"{engine:.1f} ms of {len(ours)} passes; Trio's threads {usual:.1f} ms of {len(control)}"
        figures.append(Figure(f"passes in which 50 come, {name}", engine - usual, "ms", note=note))
    return figures


def _asyncio_figures(count: int, rounds: int) -> list[Figure]:
    ours, control = ([_under_asyncio(count, engine=engine).parked for _ in range(rounds)] for engine in (True, False))
    figures = []
    for name, share in (("p99.9", 0.999), ("max", 1.0)):
        engine, usual = _ms(ours, share), _ms(control, share)
        note = f"{engine:.2f} ms; threads of an executor's {usual:.2f} ms"
        figures.append(Figure(f"stalls of the loop, asyncio, {name}", engine - usual, "ms", note=note))
    return figures


def bench_stalls(quick: bool) -> list[Figure]:
    """How late the loop comes with 10,000 mixed requests parked, less the same without an engine."""
    count, rounds = (2_000, 2) if quick else (10_000, 20)
    figures = _parked_figures(trio.run(_all_rounds, count, count, rounds))
    figures += _coming_figures(trio.run(_all_rounds, count, 50, 1))
    return figures + _asyncio_figures(count, max(1, rounds // 5))
