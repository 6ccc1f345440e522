"""The core's lock under real threads: loops that submit and leave, workers that pull and finish, and an end."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from aprover.backends import ProvingCancelled
from aprover.engine.core import Core
from aprover.engine.cost import UNKNOWN_WORK, CostModel
from aprover.engine.messages import STOP, Batch, Closed, Effects, Failed, Help, Hit, Inline, Proved
from aprover.engine.policy import AdaptivePolicy, AlwaysInline, AlwaysOffload, Policy
from tests.support.engine_core import FakeRequest, FakeWaiter, work

LOOPS = 3
WORKERS = 3
REQUESTS = 3000
PATIENCE = 60
"""Seconds after which a thread is taken to hang. Only a machine with much else to do needs more than a few."""


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def proof_of(key: object) -> Any:
    """Bytes that stand for a proof."""
    return repr(key).encode() * 50


class World:
    """Ports with inboxes, workers with alarm clocks, and a record of who was answered."""

    def __init__(self, policy: Policy) -> None:
        self.core = Core(
            workers=WORKERS,
            policy=policy,
            cost=CostModel(),
            clock=time.monotonic,
            max_pending=20,
            cache_bytes=5000,
        )
        self.alarms = {worker: threading.Semaphore(0) for worker in range(WORKERS)}
        self.inboxes: dict[Any, list[tuple[FakeWaiter, Any]]] = defaultdict(list)
        self.wanted: dict[Any, threading.Event] = defaultdict(threading.Event)
        self.mail: dict[Any, threading.Event] = defaultdict(threading.Event)
        self.drained = threading.Event()
        self.problems: list[BaseException] = []

    def perform(self, effects: Effects) -> None:
        for port, answers in effects.deliver.items():
            self.inboxes[port] += answers  # type: ignore[arg-type]
            self.mail[port].set()
        for worker in effects.wake:
            self.alarms[worker].release()  # type: ignore[index]
        for port in effects.dispatch:
            self.wanted[port].set()
            self.mail[port].set()
        if effects.drained:
            assert not self.drained.is_set()
            self.drained.set()

    def make(self, batch: Batch) -> list[Any]:
        wanted = self.core.begin(batch)
        results: list[Any] = []
        for flight, want in zip(batch.flights, wanted, strict=True):
            if not want or flight.control.cancel_flag[0]:
                results.append(ProvingCancelled())
            elif flight.key == 7:
                results.append(ValueError())
            else:
                results.append(proof_of(flight.key))
        return results

    def run_worker(self, me: int) -> None:
        while True:
            task, effects = self.core.pull(me)
            self.perform(effects)
            if task is STOP:
                return
            if isinstance(task, Batch):
                if task.flights[0].work is UNKNOWN_WORK:
                    self.perform(self.core.surveyed(task, work(1e-3)))
                if task.split:
                    self.perform(self.core.offer_help(task, "team"))
                self.perform(self.core.finish(task, self.make(task), seconds=1e-5 * len(task.flights)))
            elif not isinstance(task, Help):
                assert self.alarms[me].acquire(timeout=PATIENCE), "nobody woke this worker"

    def run_loop(self, me: int) -> None:
        chance, tick, left = random.Random(me), 0, REQUESTS
        open_: dict[FakeWaiter, int] = {}
        answered: dict[str, int] = defaultdict(int)
        while left or open_:
            tick += 1
            for _ in range(min(left, chance.randrange(6))):
                left -= 1
                key = chance.randrange(40)
                waiter = FakeWaiter(me, key)
                trace = "slow" if key == 3 else None
                cost = None if key == 5 else work(chance.choice([5e-6, 1e-3, 20e-3]), trace=trace)
                decision: Any = self.core.submit(FakeRequest(key, known=cost), waiter, tick=tick)
                if isinstance(decision, Hit):
                    assert decision.proof == proof_of(key)
                    answered["hit"] += 1
                    continue
                if isinstance(decision, Inline):
                    self.perform(decision.effects)
                    result: Any = ValueError() if key == 7 else proof_of(key)
                    self.perform(self.core.inline_done(decision.flight, result, wall=2e-5, c_time=1e-5))
                    answered["inline"] += 1
                    continue
                open_[waiter] = key
                self.perform(decision.effects)
            if self.wanted[me].is_set():
                self.wanted[me].clear()
                answer = self.core.dispatch(me, tick=tick)
                if answer.again:
                    self.wanted[me].set()
                self.perform(answer.effects)
                if answer.batch is not None:
                    self.perform(self.core.finish(answer.batch, self.make(answer.batch), seconds=1e-5))
            if open_ and chance.random() < 0.3:
                waiter = chance.choice(list(open_))
                self.perform(self.core.leave(waiter))
                del open_[waiter]
                answered["left"] += 1
            self.mail[me].clear()
            inbox, self.inboxes[me] = self.inboxes[me], []
            for waiter, outcome in inbox:
                if waiter not in open_:
                    continue  # it left while its answer was on the way
                key = open_.pop(waiter)
                answered["answer"] += 1
                if key == 7:
                    assert isinstance(outcome, Failed)
                else:
                    assert isinstance(outcome, Proved)
                    assert outcome.proof == proof_of(key)
            if not left and open_ and not inbox and not self.wanted[me].is_set():
                assert self.mail[me].wait(PATIENCE), f"no answer: {self.core.statistics()}"
        assert sum(answered.values()) == REQUESTS

    def guarded(self, call: Any, me: int) -> None:
        try:
            call(me)
        except BaseException as error:  # noqa: BLE001 - it is raised where the test can see it
            self.problems.append(error)


@pytest.mark.usefixtures("impatient")
class TestThreads:
    @pytest.mark.parametrize(
        "policy", [AdaptivePolicy(), AlwaysInline(), AlwaysOffload()], ids=lambda p: type(p).__name__
    )
    def test_everybody_is_answered_and_nothing_is_left(self, policy: Policy) -> None:
        """Three loops and three workers at once: 9,000 requests, some cancelled, some failing, 20 admitted."""
        world = World(policy)
        workers = [threading.Thread(target=world.guarded, args=(world.run_worker, me)) for me in range(WORKERS)]
        loops = [threading.Thread(target=world.guarded, args=(world.run_loop, me)) for me in range(LOOPS)]
        for thread in workers + loops:
            thread.start()
        for thread in loops:
            thread.join(40)
        world.perform(world.core.close("wait"))
        for thread in workers:
            thread.join(PATIENCE)
        assert not world.problems, world.problems
        assert world.drained.is_set()
        assert not any(thread.is_alive() for thread in workers + loops)
        now = world.core.statistics()
        assert (now.pending, now.parked, now.waiters, now.running, now.busy_workers) == (0, 0, 0, 0, 0)
        assert now.requests == LOOPS * REQUESTS == now.hits + now.joins + now.flights
        assert now.flights == now.proofs + now.failed + now.cancelled
        assert not world.core._seats
        assert isinstance(world.core.submit(FakeRequest(1), FakeWaiter(0)), Closed)

    @pytest.mark.parametrize("how", ["close", "break down"])
    def test_an_end_in_the_middle_answers_everybody(self, how: str) -> None:
        """From another thread, while loops submit and workers work."""
        world = World(AlwaysOffload())

        def end() -> None:
            world.perform(world.core.close("cancel") if how == "close" else world.core.break_down(LookupError()))

        workers = [threading.Thread(target=world.guarded, args=(world.run_worker, me)) for me in range(WORKERS)]
        for thread in workers:
            thread.start()
        waiting: set[FakeWaiter] = set()
        closer = threading.Thread(target=end)
        for i in range(2000):
            waiter = FakeWaiter("loop", i)
            decision: Any = world.core.submit(FakeRequest(100 + i, known=work(1e-3)), waiter, tick=i)
            if isinstance(decision, Closed):
                break
            waiting.add(waiter)
            world.perform(decision.effects)
            world.perform(world.core.dispatch("loop", tick=i).effects)
            if i == 50:
                closer.start()
        closer.join(PATIENCE)
        for thread in workers:
            thread.join(PATIENCE)
        assert not world.problems, world.problems
        assert world.drained.is_set()
        assert {waiter for waiter, _ in world.inboxes["loop"]} == waiting
        assert len(world.inboxes["loop"]) == len(waiting)
        now = world.core.statistics()
        assert now.waiters == 0
        assert now.pending == 0 or how == "break down"
