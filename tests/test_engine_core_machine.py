"""The deciding core under any interleaving: a rule-based state machine plays the ports, the workers and the clock."""

# ruff: noqa: ARG002 - the policy here does not look at what it is told

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aprover.backends import ProvingCancelled
from aprover.engine.core import Core
from aprover.engine.cost import UNKNOWN_WORK
from aprover.engine.flights import Flight, State
from aprover.engine.messages import (
    STOP,
    Batch,
    Closed,
    Effects,
    Expired,
    Failed,
    Help,
    Hit,
    Inline,
    Joined,
    Parked,
    Proved,
    Queued,
    Rejected,
)
from aprover.engine.policy import (
    LONGEST_BATCH,
    USUAL_BATCH,
    AdaptivePolicy,
    AlwaysInline,
    AlwaysOffload,
    FixedPolicy,
    Load,
    Placement,
)
from aprover.proof import Proof
from tests.support.engine_core import MICROSECOND, FakeRequest, FakeWaiter, HandClock, make_core, proof, work

PORTS = ["loop", "thread"]
WORKERS = ["one", "two", "three"]
SECONDS = {0: 2e-6, 1: 50e-6, 2: 400e-6, 3: 3e-3, 4: 50e-3, 5: 1e-3, 6: 20e-3}
KEYS = [0, 1, 2, 2, 3, 3, 4, 5, 6]
FOREVER = float("inf")
JOINABLE_WAITING = (State.PARKED, State.QUEUED, State.RUNNING)


@attrs.frozen
class MoodyPolicy:
    """Decides by chance, to reach what a sensible policy rarely does; but the same for the same work."""

    longest_inline: float = 1e-3

    def place(self, cost: float, load: Load) -> tuple[Placement, str]:
        return (Placement.INLINE if int(cost * 1e6) % 4 else Placement.OFFLOAD), "mood"

    def release(self, count: int, cost: float, load: Load) -> tuple[Placement, str]:
        return (Placement.INLINE if count % 2 else Placement.OFFLOAD), "mood"

    def width(self, load: Load) -> int:
        return 1 + load.queued % load.workers

    def split(self, cost: float, load: Load) -> bool:
        return True


POLICIES: list[Any] = [AdaptivePolicy(), FixedPolicy(), AlwaysInline(), AlwaysOffload(), MoodyPolicy()]


@attrs.define(eq=False)
class Job:
    """A batch under way on a worker or on a loop, or a flight inline."""

    batch: Batch | None
    flights: tuple[Flight, ...]
    begun: bool = False
    unwanted: frozenset[int] = frozenset()
    """Flights, by place, that `begin` found unwanted."""
    seen: set[int] = attrs.field(factory=set)
    """Flights, by place, whose flag C has seen."""


def fake(waiter: object) -> FakeWaiter:
    assert isinstance(waiter, FakeWaiter)
    return waiter


def proof_of(key: object) -> Proof:
    return proof(repr(key).encode() * 20)


class CoreMachine(RuleBasedStateMachine):
    core: Core

    @initialize(
        policy=st.sampled_from(POLICIES),
        max_pending=st.sampled_from([1, 3, 100]),
        on_overload=st.sampled_from(["wait", "raise"]),
        cache_bytes=st.sampled_from([0, 700, 10_000]),
        finish_abandoned=st.booleans(),
    )
    def open(self, policy: Any, max_pending: int, on_overload: str, cache_bytes: int, finish_abandoned: bool) -> None:
        self.clock = HandClock()
        self.max_pending, self.cache_bytes, self.finish_abandoned = max_pending, cache_bytes, finish_abandoned
        self.core = make_core(
            self.clock,
            policy=policy,
            workers=len(WORKERS),
            max_pending=max_pending,
            on_overload=on_overload,
            cache_bytes=cache_bytes,
            finish_abandoned=finish_abandoned,
        )
        self.waiting: dict[FakeWaiter, tuple[object, float]] = {}
        """Registered and not answered: key and deadline."""
        self.answered: set[FakeWaiter] = set()
        self.flights: list[Flight] = []
        self.causes: dict[object, set[BaseException]] = {}
        self.cacheable: set[object] = set()
        self.jobs: dict[object, Job] = {}
        """By worker, by ("inline", port) or by ("dispatched", port)."""
        self.helping: dict[object, Help] = {}
        self.idle: set[str] = set()
        self.announced: set[Any] = set()
        self.ticks = dict.fromkeys(PORTS, 0)
        self.timer = FOREVER
        self.closed: str | None = None
        self.drained = False
        self.count = 0

    # What the shells do with effects, and what must hold of every answer

    def perform(self, effects: Effects) -> None:
        for port, answers in effects.deliver.items():
            for answered, outcome in answers:
                waiter = fake(answered)
                assert waiter.port == port
                assert waiter not in self.answered, "answered twice"
                key, deadline = self.waiting.pop(waiter)
                self.answered.add(waiter)
                if isinstance(outcome, Proved):
                    assert outcome.proof == proof_of(key)
                elif isinstance(outcome, Failed):
                    assert outcome.cause in self.causes[key]
                elif isinstance(outcome, Expired):
                    assert deadline <= self.clock.now
                else:
                    assert isinstance(outcome, Closed)
                    assert self.closed == "cancel"
        for worker in effects.wake:
            assert worker in self.idle, "only who is idle is woken, and once"
            self.idle.discard(worker)
        for port in effects.dispatch:
            assert port not in self.announced
            self.announced.add(port)
        if effects.timer is not None:
            self.timer = min(self.timer, effects.timer)
        if effects.drained:
            assert self.closed
            assert not self.drained, "said once"
            self.drained = True

    def at_work(self, port: str) -> bool:
        return ("inline", port) in self.jobs or ("dispatched", port) in self.jobs

    def busy(self) -> list[object]:
        return [name for name in self.jobs if isinstance(name, str)]

    # Requests

    @rule(
        port=st.sampled_from(PORTS),
        key=st.sampled_from(KEYS),
        priority=st.integers(-1, 1),
        patience=st.sampled_from([FOREVER, FOREVER, -1.0, 50e-6, 1e-3, 1.0]),
        cache=st.booleans(),
        same_tick=st.booleans(),
    )
    def submit(self, port: str, key: int, priority: int, patience: float, cache: bool, same_tick: bool) -> None:
        if not self.at_work(port):
            self.ask(port, key, priority, patience, cache, same_tick)

    @precondition(lambda self: self.cancelling() and not all(map(self.at_work, PORTS)))
    @rule(data=st.data(), cache=st.booleans())
    def come_back(self, data: st.DataObject, cache: bool) -> None:
        """Somebody wants what is being cancelled."""
        flight = data.draw(st.sampled_from(self.cancelling()))
        port = next(port for port in PORTS if not self.at_work(port))
        self.ask(port, flight.key, 0, FOREVER, cache, True)

    def cancelling(self) -> list[Flight]:
        return [flight for flight in self.flights if flight.state is State.CANCELLING]

    def ask(self, port: str, key: Any, priority: int, patience: float, cache: bool, same_tick: bool) -> None:
        self.ticks[port] += not same_tick
        self.count += 1
        waiter, deadline = FakeWaiter(port, self.count), self.clock.now + patience
        before = {flight.key for flight in self.flights if flight.joinable}
        cost = work(SECONDS[key], trace="slow" if key == 5 else None)
        # The shape of one key is found out by a worker.
        known = None if key == 6 else cost
        decision: Any = self.core.submit(
            FakeRequest(key, known=known),
            waiter,
            priority=priority,
            deadline=deadline,
            cache=cache,
            tick=self.ticks[port],
        )
        if isinstance(decision, Closed):
            assert self.closed
            return
        assert not self.closed
        if isinstance(decision, Expired):
            assert deadline <= self.clock.now
            return
        if isinstance(decision, Hit):
            assert cache
            assert key in self.cacheable
            assert decision.proof == proof_of(key)
            return
        assert deadline > self.clock.now
        if isinstance(decision, Rejected):
            assert key not in before
            return
        flight = decision.flight
        assert flight.key == key
        assert flight.state in JOINABLE_WAITING
        assert isinstance(decision, Joined) == (key in before)
        if not isinstance(decision, Joined):
            self.flights.append(flight)
        if cache:
            self.cacheable.add(key)
        self.waiting[waiter] = (key, deadline)
        self.perform(decision.effects)
        if isinstance(decision, Inline):
            assert flight.work.native
            self.jobs["inline", port] = Job(None, (flight,))
            del self.waiting[waiter]
        else:
            assert isinstance(decision, Joined | Queued | Parked)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(sorted(self.waiting, key=lambda waiter: waiter.name)))
        del self.waiting[waiter]
        self.answered.add(waiter)
        self.perform(self.core.leave(waiter))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def all_leave(self, data: st.DataObject) -> None:
        """Everybody who waits for one key leaves, but for who is making it inline."""
        gone = data.draw(st.sampled_from(sorted({key for key, _ in self.waiting.values()}, key=repr)))
        for waiter in [waiter for waiter, (key, _) in self.waiting.items() if key == gone]:
            del self.waiting[waiter]
            self.answered.add(waiter)
            self.perform(self.core.leave(waiter))

    @precondition(lambda self: self.deserted_soon())
    @rule(data=st.data())
    def desert(self, data: st.DataObject) -> None:
        """Everybody leaves a flight that is running in a batch."""
        flight = data.draw(st.sampled_from(self.deserted_soon()))
        for waiter in map(fake, list(flight.seats)):
            del self.waiting[waiter]
            self.answered.add(waiter)
            self.perform(self.core.leave(waiter))

    def deserted_soon(self) -> list[Flight]:
        return [f for f in self.flights if f.state is State.RUNNING and f.batch is not None and f.seats]

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def leave_too_late(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(sorted(self.answered, key=lambda waiter: waiter.name)))
        before = self.core.statistics()
        self.perform(self.core.leave(waiter))
        assert self.core.statistics() == before

    # Loops

    @precondition(lambda self: any(not self.at_work(port) for port in self.announced))
    @rule(data=st.data(), lag=st.sampled_from([0.0, 0.02]))
    def dispatch(self, data: st.DataObject, lag: float) -> None:
        port = data.draw(st.sampled_from(sorted(port for port in self.announced if not self.at_work(port))))
        self.announced.discard(port)
        self.ticks[port] += 1
        answer = self.core.dispatch(port, tick=self.ticks[port], lag=lag)
        if answer.again:
            self.announced.add(port)
        if answer.batch is not None:
            assert answer.batch.inline
            self.check_started(answer.batch)
            assert all(flight.work.native for flight in answer.batch.flights)
            self.jobs["dispatched", port] = Job(answer.batch, answer.batch.flights)
        self.perform(answer.effects)

    @precondition(lambda self: any(job.batch is None for job in self.jobs.values()))
    @rule(data=st.data(), outcome=st.sampled_from(["proof", "error", "interrupt"]))
    def inline_done(self, data: st.DataObject, outcome: str) -> None:
        names = sorted((name for name, job in self.jobs.items() if job.batch is None), key=repr)
        (flight,) = self.jobs.pop(data.draw(st.sampled_from(names))).flights
        result: Any = proof_of(flight.key)
        if outcome == "error":
            result = ValueError()
            self.causes.setdefault(flight.key, set()).add(result)
        elif outcome == "interrupt":
            result = data.draw(st.sampled_from([KeyboardInterrupt(), ProvingCancelled()]))
        self.perform(self.core.inline_done(flight, result, wall=40e-6, c_time=30e-6))

    @rule(port=st.sampled_from(PORTS))
    def drop_port(self, port: str) -> None:
        if self.at_work(port):
            return
        for waiter in [waiter for waiter in self.waiting if waiter.port == port]:
            del self.waiting[waiter]
            self.answered.add(waiter)
        self.announced.discard(port)
        self.perform(self.core.drop_port(port))

    # Workers

    @precondition(lambda self: len(self.busy()) < len(WORKERS))
    @rule(data=st.data())
    def pull_somewhere(self, data: st.DataObject) -> None:
        self.pull(data.draw(st.sampled_from([worker for worker in WORKERS if worker not in self.jobs])))

    def pull(self, worker: str) -> None:
        self.idle.discard(worker)
        self.helping.pop(worker, None)
        released = [f for f in self.flights if f.state is State.QUEUED and f.port is None]
        live = [f for f in released if max(seat.deadline for seat in f.seats.values()) > self.clock.now]
        cost = sum(flight.predicted for flight in released)
        task, effects = self.core.pull(worker)
        if task is STOP:
            assert self.drained
        elif isinstance(task, Batch):
            assert not task.inline
            self.check_started(task)
            self.check_batch(task, live, cost)
            self.jobs[worker] = Job(task, task.flights)
        elif isinstance(task, Help):
            assert any(job.batch is task.batch for job in self.jobs.values())
            self.helping[worker] = task
        else:
            self.idle.add(worker)
        self.perform(effects)

    def check_started(self, batch: Batch) -> None:
        for flight in batch.flights:
            assert flight.state is State.RUNNING
            assert flight.seats
            assert max(seat.deadline for seat in flight.seats.values()) > self.clock.now, "started too late"
            assert not flight.control.cancel_flag[0]

    def check_batch(self, batch: Batch, live: list[Flight], cost: float) -> None:
        # The order by its definition, over the seats that are taken.
        def order(flight: Flight) -> tuple[float, float, int]:
            seats = flight.seats.values()
            return (-max(s.priority for s in seats), max(s.deadline for s in seats), flight.number)

        taken = list(batch.flights)
        assert taken == sorted(live, key=order)[: len(taken)]
        if len(taken) > 1:
            assert all(flight.work.native for flight in taken)
            assert batch.predicted <= max(USUAL_BATCH, min(cost / (2 * len(WORKERS)), LONGEST_BATCH)) + 1e-9
        assert not batch.split or len(taken) == 1

    @precondition(lambda self: any(job.batch and not job.begun for job in self.jobs.values()))
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        names = sorted((name for name, job in self.jobs.items() if job.batch and not job.begun), key=repr)
        job = self.jobs[data.draw(st.sampled_from(names))]
        assert job.batch is not None
        wanted = self.core.begin(job.batch)
        assert wanted == tuple([flight.state is not State.CANCELLING for flight in job.flights])
        job.begun = True
        job.unwanted = frozenset(i for i, want in enumerate(wanted) if not want)

    @precondition(lambda self: any(flight.control.cancel_flag[0] for flight in self.flights))
    @rule()
    def poll_flags(self) -> None:
        """Whoever runs a job looks at its flags: before it begins, as a thread that prepares does, or in C."""
        for job in self.jobs.values():
            if job.batch is not None:
                job.seen |= {i for i, flight in enumerate(job.flights) if flight.control.cancel_flag[0]}

    def unknown(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.batch and job.flights[0].work is UNKNOWN_WORK]

    @precondition(lambda self: self.unknown())
    @rule(data=st.data(), trace=st.sampled_from([None, "slow"]))
    def survey(self, data: st.DataObject, trace: str | None) -> None:
        """A worker finds out about a shape; or about one whose flights all left meanwhile."""
        self.survey_one(data.draw(st.sampled_from(self.unknown())), trace)

    def survey_one(self, job: Job, trace: str | None) -> None:
        assert job.batch is not None
        assert len(job.flights) == 1
        self.perform(self.core.surveyed(job.batch, work(SECONDS[6], trace=trace)))
        assert job.batch.python == (trace is not None)

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def trace_and_team(self, data: st.DataObject) -> None:
        job = self.jobs[data.draw(st.sampled_from(self.busy()))]
        assert job.batch is not None
        if job.batch.python and job.flights[0].work is not UNKNOWN_WORK:
            self.perform(self.core.traced(job.batch, 1e-3))
        if job.batch.split:
            self.perform(self.core.offer_help(job.batch, "team"))

    @precondition(lambda self: any(job.batch for job in self.jobs.values()))
    @rule(data=st.data(), slow=st.sampled_from([0.5, 1.0, 3.0]))
    def finish(self, data: st.DataObject, slow: float) -> None:
        names = sorted((name for name, job in self.jobs.items() if job.batch), key=repr)
        name = data.draw(st.sampled_from(names))
        job = self.jobs.pop(name)
        assert job.batch is not None
        if job.flights[0].work is UNKNOWN_WORK:
            self.survey_one(job, None)
        if not job.begun:
            wanted = self.core.begin(job.batch)
            job.unwanted = frozenset(i for i, want in enumerate(wanted) if not want)
        results: list[Any] = []
        for i, flight in enumerate(job.flights):
            if i in job.seen or i in job.unwanted:
                results.append(ProvingCancelled())
            elif data.draw(st.integers(0, 5)) == 0:
                results.append(ValueError())
                self.causes.setdefault(flight.key, set()).add(results[-1])
            else:
                results.append(proof_of(flight.key))
        self.perform(self.core.finish(job.batch, results, seconds=job.batch.predicted * slow))
        if name in WORKERS:
            self.pull(str(name))  # as every worker does

    @rule(port=st.sampled_from(PORTS))
    def one_pass(self, port: str) -> None:
        """A pass of a loop, and who was woken by it."""
        if port in self.announced and not self.at_work(port):
            self.announced.discard(port)
            self.ticks[port] += 1
            answer = self.core.dispatch(port, tick=self.ticks[port])
            if answer.again:
                self.announced.add(port)
            if answer.batch is not None:
                self.check_started(answer.batch)
                self.jobs["dispatched", port] = Job(answer.batch, answer.batch.flights)
            self.perform(answer.effects)
            for worker in answer.effects.wake:
                self.pull(str(worker))

    # Time and end

    @rule(step=st.sampled_from([10e-6, 200e-6, 5e-3, 2.0]), then_expire=st.booleans())
    def pass_time(self, step: float, then_expire: bool) -> None:
        self.clock.now += step
        if then_expire:
            self.expire()

    def expire(self) -> None:
        if self.timer <= self.clock.now:
            self.timer = FOREVER
            self.perform(self.core.expire())
            assert not [key for key, deadline in self.waiting.values() if deadline <= self.clock.now]

    @precondition(lambda self: self.count > 15)
    @rule(mode=st.sampled_from(["wait", "cancel"]))
    def close(self, mode: Any) -> None:
        self.closed = "cancel" if "cancel" in (mode, self.closed) else mode
        self.perform(self.core.close(mode))
        if mode == "cancel":
            assert not self.waiting

    # What always holds

    @invariant()
    def one_joinable_flight_a_key(self) -> None:
        joinable = [flight.key for flight in self.flights if flight.joinable]
        assert len(joinable) == len(set(joinable))

    @invariant()
    def flags_say_whether_anybody_waits(self) -> None:
        for flight in self.flights:
            inline = any(job.batch is None and job.flights == (flight,) for job in self.jobs.values())
            if flight.state is State.CANCELLING:
                assert flight.control.cancel_flag[0]
                assert not flight.seats
            elif flight.state is State.RUNNING:
                assert not flight.control.cancel_flag[0]
                assert flight.seats or inline or self.finish_abandoned
            elif not flight.ended:
                assert flight.seats
            else:
                assert not flight.seats

    @invariant()
    def counters_agree_with_the_world(self) -> None:
        now = self.core.statistics()
        assert now.requests == now.hits + now.joins + now.flights + now.rejected + now.refused
        assert now.flights == len(self.flights)
        ended = [flight.state for flight in self.flights if flight.ended]
        assert now.proofs == ended.count(State.DONE)
        assert now.failed == ended.count(State.FAILED)
        assert now.cancelled == ended.count(State.DROPPED)
        assert now.running == sum(f.state in (State.RUNNING, State.CANCELLING) for f in self.flights)
        assert now.running == sum(len(job.flights) for job in self.jobs.values())
        assert now.queued == sum(f.state is State.QUEUED for f in self.flights)
        assert now.parked == sum(f.state is State.PARKED for f in self.flights)
        assert now.waiters == len(self.waiting)
        assert now.pending <= self.max_pending
        assert now.parked == 0 or now.pending == self.max_pending
        assert len(self.busy()) <= len(WORKERS)
        assert now.busy_workers == len(self.busy()) + len(self.helping)
        assert now.idle_workers == len(self.idle)
        assert now.cache_bytes <= self.cache_bytes

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """Work in the queue has a worker that will pull it; work at a port has a dispatch; a deadline has a timer."""
        released = [f for f in self.flights if f.state is State.QUEUED and f.port is None]
        pulled_once = {*self.idle, *self.busy(), *self.helping}
        if released and len(pulled_once) == len(WORKERS):
            assert self.busy(), "all workers sleep, and there is work"
        for flight in self.flights:
            if flight.state is State.QUEUED and flight.port is not None:
                assert flight.port in self.announced
        for _, deadline in self.waiting.values():
            assert deadline >= self.timer

    def teardown(self) -> None:
        if not hasattr(self, "core"):
            return
        for _ in range(200):
            for name in list(self.jobs):
                job = self.jobs.pop(name)
                if job.batch is None:
                    (flight,) = job.flights
                    self.perform(self.core.inline_done(flight, proof_of(flight.key), wall=1e-5, c_time=1e-5))
                    continue
                if job.flights[0].work is UNKNOWN_WORK:
                    self.survey_one(job, None)
                wanted = self.core.begin(job.batch)
                results: list[Any] = [
                    proof_of(f.key) if want and i not in job.seen else ProvingCancelled()
                    for i, (f, want) in enumerate(zip(job.flights, wanted, strict=True))
                ]
                self.perform(self.core.finish(job.batch, results, seconds=MICROSECOND))
            for port in list(self.announced):
                self.announced.discard(port)
                self.ticks[port] += 1
                answer = self.core.dispatch(port, tick=self.ticks[port])
                if answer.again:
                    self.announced.add(port)
                if answer.batch is not None:
                    self.jobs["dispatched", port] = Job(answer.batch, answer.batch.flights)
                self.perform(answer.effects)
            for worker in WORKERS:
                if worker not in self.jobs:
                    self.pull(worker)
        assert not self.waiting, "everybody has an answer"
        now = self.core.statistics()
        assert (now.pending, now.parked, now.waiters, now.busy_workers) == (0, 0, 0, 0)
        assert not self.core._flights
        assert not self.core._seats
        assert not self.core._running
        assert self.core._queue.cost == 0
        assert self.core._crew.python == 0
        self.closed = self.closed or "wait"
        self.perform(self.core.close("wait"))
        assert self.drained
        assert self.core.pull("one")[0] is STOP


TestCoreMachine = CoreMachine.TestCase
TestCoreMachine.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
