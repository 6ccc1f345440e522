"""A machine on a virtual clock: one event loop and two workers around a real deciding core.

Threads share the cores: one busy thread gets a second of work done in a second, several together `scaling` seconds,
in equal parts. The loop runs in passes, as Trio's does: what becomes runnable in one pass runs in the next. What a
step costs is taken from measurements on the project's machine class.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Hashable

import attrs

from aprover.engine.core import Core
from aprover.engine.cost import CostModel
from aprover.engine.messages import Batch, Closed, Effects, Expired, Hit, Inline, Joined
from aprover.engine.policy import Policy
from tests.support.engine_core import FakeRequest, FakeWaiter, proof, work

HIT = 2e-6
SUBMIT = 4e-6
"""A request that opens a flight, until it waits or has its own proof."""
JOIN = 3e-6
YIELD = 5e-6
DISPATCH = 8e-6
DELIVERY = 7e-6
INLINE_ITEM = 1e-6
WAKE = 30e-6
"""From a signal until the thread runs, each way: no core is busy meanwhile."""
BATCH = 80e-6
"""Of a worker's, beside its work: most of it is waiting for the interpreter, which goes from thread to thread."""
ITEM = 1e-6

Job = Callable[[], "tuple[float, Callable[[], None]]"]


class Sim:
    """See the module's docstring.

    Args:
        scaling: What two or more threads get done together, relative to one.
        seconds: What one proof takes.
        held: What a thread waits for the interpreter after a C call, and when it is woken, because some other thread is
            busy with Python.
    """

    def __init__(self, policy: Policy, scaling: float, seconds: float, workers: int = 2, held: float = 0.0) -> None:
        self.now = 1000.0
        self.scaling = scaling
        self.seconds = seconds
        self.held = held
        self.work = work(seconds, splittable=False)
        self.core = Core(workers=workers, policy=policy, cost=CostModel(measured=True), clock=lambda: self.now)
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.serial = itertools.count()
        self.active: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self.ready: deque[Job] = deque()
        self.current: deque[Job] = deque()
        self.loop_busy = False
        self.notice: float | None = None
        self.tick = 0
        self.open = 0
        """Requests without an answer."""
        self.inline_run = 0.0
        """The longest time for which inline work held the loop in one pass, so far."""
        self._pass_inline = 0.0
        self.in_c = False
        """The loop's step has a C call in it."""
        for worker in range(workers):
            self.pull(worker)

    # Time

    def at(self, delay: float, call: Callable[[], None]) -> None:
        heapq.heappush(self.timers, (self.now + delay, next(self.serial), call))

    def run(self) -> None:
        """Until nothing happens any more."""
        while self.active or self.timers:
            together = 1.0 if len(self.active) < 2 else self.scaling
            rate = together / max(1, len(self.active))
            step = min((left / rate for left, _ in self.active.values()), default=float("inf"))
            if self.timers and self.timers[0][0] - self.now <= step:
                self.advance(max(0.0, self.timers[0][0] - self.now), rate)
                heapq.heappop(self.timers)[2]()
                continue
            self.advance(step, rate)
            name = min(self.active, key=lambda name: self.active[name][0])
            self.active.pop(name)[1]()

    def advance(self, step: float, rate: float) -> None:
        self.now += step
        for name, (left, then) in self.active.items():
            self.active[name] = (left - step * rate, then)

    # The loop

    def soon(self, job: Job, *, from_thread: bool = False) -> None:
        """Runs the job in the loop's next pass; a sleeping loop has to be woken."""
        self.ready.append(job)
        if not self.loop_busy:
            self.loop_busy = True
            delay = WAKE + self.held if from_thread else 0.0
            if from_thread:
                self.notice = delay
            self.at(delay, self.step)

    def step(self) -> None:
        if not self.current:
            self.inline_run = max(self.inline_run, self._pass_inline)
            self._pass_inline = 0.0
            if not self.ready:
                self.loop_busy = False
                return
            self.current, self.ready = self.ready, deque()
            self.tick += 1
        seconds, then = self.current.popleft()()

        def done() -> None:
            then()
            self.step()

        if self.in_c and self.held:
            self.in_c = False
            self.active["loop"] = (seconds, lambda: self.at(self.held, done))
        else:
            self.in_c = False
            self.active["loop"] = (seconds, done)

    def answered(self) -> None:
        self.open -= 1

    def request(self, key: Hashable) -> Job:
        self.open += 1

        def job() -> tuple[float, Callable[[], None]]:
            decision = self.core.submit(FakeRequest(key, known=self.work), FakeWaiter("loop"), tick=self.tick)
            if isinstance(decision, Hit):
                if decision.over_budget:
                    self.soon(lambda: (YIELD, self.answered))
                    return HIT, lambda: None
                return HIT, self.answered
            assert not isinstance(decision, Expired | Closed)
            effects = decision.effects
            self.perform(effects)
            if isinstance(decision, Inline):
                began = self.now
                self.in_c = True

                def made() -> None:
                    wall = self.now - began
                    self._pass_inline += wall
                    c_time = wall - SUBMIT - self.held
                    self.perform(self.core.inline_done(decision.flight, proof(), wall=wall, c_time=c_time))
                    self.answered()

                return SUBMIT + self.seconds, made
            return (JOIN if isinstance(decision, Joined) else SUBMIT), lambda: None

        return job

    def dispatch(self) -> tuple[float, Callable[[], None]]:
        answer = self.core.dispatch("loop", tick=self.tick, notice=self.notice)
        self.notice = None
        if answer.again:
            self.soon(self.dispatch)
        self.perform(answer.effects)
        batch = answer.batch
        if batch is None:
            return DISPATCH, lambda: None
        began = self.now
        self.in_c = True

        def made() -> None:
            wall = self.now - began
            self._pass_inline += wall
            seconds = wall - DISPATCH - INLINE_ITEM * len(batch.flights)
            results = [proof()] * len(batch.flights)
            self.perform(self.core.finish(batch, results, seconds=seconds, wall=wall, handback=self.held))

        return DISPATCH + len(batch.flights) * (INLINE_ITEM + self.seconds), made

    def perform(self, effects: Effects, *, from_thread: bool = False) -> None:
        for worker in effects.wake:
            self.at(WAKE + self.held, lambda worker=worker: self.pull(worker))  # type: ignore[misc]
        if effects.dispatch:
            self.soon(self.dispatch)
        for answers in effects.deliver.values():
            for _ in answers:
                self.soon(lambda: (DELIVERY, self.answered), from_thread=from_thread)

    # Workers

    def pull(self, worker: Hashable) -> None:
        task, effects = self.core.pull(worker)
        self.perform(effects, from_thread=True)
        if not isinstance(task, Batch):
            return
        began = self.now
        count = len(task.flights)

        def made() -> None:
            # Overheads are a thread's own and stretch with the rest; what is left is the time in C.
            c_part = count * self.seconds / (count * (self.seconds + ITEM) + BATCH)
            seconds = (self.now - began - self.held) * c_part + self.held
            effects = self.core.finish(task, [proof()] * count, seconds=seconds, handback=self.held)
            self.perform(effects, from_thread=True)
            self.pull(worker)

        then = (lambda: self.at(self.held, made)) if self.held else made
        self.active[worker] = (BATCH + count * (self.seconds + ITEM), then)


@attrs.frozen
class Burst:
    """What one burst of concurrent requests took: seconds until the last answer, and the longest inline stall."""

    seconds: float
    stall: float


def keys_of(count: int, repetition: float, salt: int) -> list[Hashable]:
    """Keys of a burst, of which this share repeats an earlier one."""
    distinct = max(1, round(count * (1 - repetition)))
    keys: list[Hashable] = [(salt, i % distinct) for i in range(count)]
    random.Random(salt).shuffle(keys)
    return keys


def run_bursts(
    policy: Policy,
    *,
    scaling: float,
    seconds: float,
    count: int,
    repetition: float,
    warm_up: int,
    measured: int = 1,
    held: float = 0.0,
) -> Burst:
    """One engine, some bursts one after the other; the mean time and the longest stall of the last few."""
    sim = Sim(policy, scaling, seconds, held=held)
    took = []
    for salt in range(warm_up + measured):
        sim.now += 0.01
        if salt == warm_up:
            sim.inline_run = 0.0
        began = sim.now
        for key in keys_of(count, repetition, salt):
            sim.soon(sim.request(key))
        sim.run()
        took.append(sim.now - began)
        assert sim.open == 0
    return Burst(sum(took[warm_up:]) / measured, sim.inline_run)
