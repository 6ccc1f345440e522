"""`Engine`: the deciding core with its workers, its supervisor and its ports; and the life of one request in it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import anyio

from ..air import Program
from ..backends import Control, Prefer, backend_named
from ..errors import EngineClosed, EngineOverloaded
from ..proof import BackendName, Proof
from ..telemetry import Events, Job, Trace
from . import calibration
from .batches import BatchMethods
from .core import Core
from .cost import CostModel
from .estimate import Estimate
from .flights import Flight
from .making import make_batch, make_inline
from .messages import (
    Closed,
    Decision,
    Dispatch,
    Effects,
    Expired,
    Failed,
    Hit,
    Inline,
    Joined,
    Outcome,
    Parked,
    Proved,
    Queued,
    Rejected,
)
from .outcomes import answer_of, error_of
from .policy import AdaptivePolicy, Policy
from .ports import Port, Waiter, running_loop
from .ports.asyncio import AsyncioPort
from .ports.base import LoopPort
from .ports.thread import Mailbox, ThreadPort
from .request import Request, VerifyRequest, check_options
from .statistics import EngineStatistics
from .workers import WorkerThread, on_worker, usable_cores

__all__ = ["Engine", "Mode", "Progress", "require_plain_thread"]

Mode = Literal["wait", "cancel"]
Progress = Callable[[str, float], object]
"""Called with the phase (``"queued"``, ``"trace"`` or ``"prove"``) and how much of it is done, from 0 to 1."""

PROGRESS_SECONDS = 0.1
"""How often progress is reported, at most."""

FOREVER = math.inf

_forks = 0
"""How many forks lie between this process and the one that imported this module."""


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


def require_plain_thread() -> None:
    """Raises RuntimeError on a thread that must not block."""
    if running_loop() is not None:
        raise RuntimeError("this thread runs an event loop, which a synchronous call would block; await instead")
    if on_worker():
        raise RuntimeError("a synchronous call from inside a program's own trace() or public_outputs()")


def _running_asyncio() -> asyncio.AbstractEventLoop | None:
    return asyncio._get_running_loop()


def _weigh(result: object) -> int:
    # A statement, which a verification gives, is never kept.
    return len(result) if isinstance(result, Proof) else 0


async def _watch(waiter: Waiter, control: Control, progress: Progress) -> Outcome:
    """Waits for the answer and reports progress meanwhile."""
    event = anyio.Event()
    outcome: Outcome | None = None

    def resolve(answer: Outcome) -> None:
        nonlocal outcome
        outcome = answer
        event.set()

    waiter.resolve = resolve
    while outcome is None:
        with anyio.move_on_after(PROGRESS_SECONDS):
            await event.wait()
        if outcome is None:
            progress(control.phase, control.fraction)
    return outcome


class Engine(BatchMethods):
    """Made by `aprover.open_engine`; its methods are the functions of the same names, on this engine.

    All may be called from any number of event loops and threads at once.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        policy: Policy | None = None,
        cost: CostModel | None = None,
        cache_bytes: int = 256 * 2**20,
        max_pending: int = 10_000,
        on_overload: Literal["wait", "raise"] = "wait",
        trace: Trace = None,
        calibrate: bool = False,
        clock: Callable[[], float] = time.monotonic,
        worker_class: type[WorkerThread] = WorkerThread,
    ) -> None:
        self.workers = usable_cores() if workers is None else workers
        self.max_pending = max_pending
        self.clock = clock
        self.events = Events(trace)
        self._forks = _forks
        self._core = Core(
            workers=self.workers,
            policy=AdaptivePolicy() if policy is None else policy,
            cost=CostModel() if cost is None else cost,
            clock=clock,
            cache_bytes=cache_bytes,
            max_pending=max_pending,
            on_overload=on_overload,
            weigh=_weigh,
            events=self.events.on(),
        )
        self._local = threading.local()
        # Guards what follows; never held while anything else is called that may wait.
        self._lock = threading.Lock()
        self._ports: set[Port] = set()
        self._thread_ports: list[ThreadPort] = []
        self.supervisor_thread: threading.Thread | None = None
        self._threads = [
            worker_class(self._core, self.perform, self._worker_ended, lanes=self.workers, number=i + 1)
            for i in range(self.workers)
        ]
        if calibrate:
            # One of them; the others go to work at once, with the shipped model.
            self._threads[-1].first = self._calibrate
        self._alive = 0
        self._started = False
        self._closing = False
        self._drained = False
        self._start_supervisor: Callable[[], object] | None = None
        self._set_timer: Callable[[float], object] = lambda _: None
        self._stir_supervisor: Callable[[], object] = lambda: None

    def __repr__(self) -> str:
        return f"<aprover engine, {self.workers} workers, {'closed' if self._closing else 'open'}>"

    # Life

    def _calibrate(self) -> None:
        calibration.calibrate(self._core.replace_cost, lambda: not self.is_closed)

    def supervised_by(
        self,
        set_timer: Callable[[float], object],
        stir: Callable[[], object],
        start: Callable[[], object] | None = None,
    ) -> None:
        """Names the supervisor, which is started with the workers if it is not running yet."""
        self._set_timer, self._stir_supervisor, self._start_supervisor = set_timer, stir, start

    def start(self) -> None:
        """Starts the workers, if they are not running."""
        if self._started:
            return
        with self._lock:
            if self._started or self._closing:
                return
            if self._start_supervisor is not None:
                self._start_supervisor()
            self._alive = len(self._threads)
            for worker in self._threads:
                worker.start()
            self._started = True

    def close(self, mode: Mode) -> None:
        """No further requests. Returns at once; the workers end when what is pending is done, or was stopped."""
        with self._lock:
            self._closing = True
        self.perform(self._core.close(mode))
        self._stir_supervisor()

    @property
    def is_closed(self) -> bool:
        """Whether it takes no requests any more."""
        return self._closing or self._forks != _forks

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it is left to be done, and no worker is alive."""
        return self._closing and (self._drained or not self._started) and not self._alive

    def join(self, timeout: float | None = None) -> bool:
        """Waits for the workers' threads, after `close`. False if some are still alive after `timeout` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        ended = [
            worker.join(None if until is None else max(0.0, until - time.monotonic()))
            for worker in (self._threads if self._started else ())
        ]
        return all(ended)

    def end_ports(self) -> list[Port]:
        """After the end, takes this engine's system tasks and callbacks from all loops. Returns what is going."""
        with self._lock:
            ports = list(self._ports)
        for port in ports:
            port.stop()
        return ports

    def _worker_ended(self) -> None:
        with self._lock:
            self._alive -= 1
        self._stir_supervisor()

    def _check_open(self) -> None:
        if self._forks != _forks:
            raise EngineClosed("the engine was opened before this process was forked")
        if self._closing:
            raise EngineClosed("the engine is closed")

    # Ports

    def port(self) -> LoopPort:
        """The port of the event loop that runs here.

        Raises:
            EngineClosed: There would have to be a new one.
            RuntimeError: No event loop runs here, or it runs on one of the workers.
        """
        if self._forks != _forks:
            self._check_open()
        trio: Any = sys.modules.get("trio")
        port: LoopPort | None
        # Trio first: as a guest it runs inside another loop.
        if trio is not None and trio.lowlevel.in_trio_task():
            port = getattr(self._local, "trio", None)
            if port is None:
                port = self._local.trio = self._new_port("trio")
            return port
        port = getattr(self._local, "asyncio", None)
        if port is None or cast(AsyncioPort, port).loop is not _running_asyncio():
            port = self._local.asyncio = self._new_port("asyncio")
        return port

    def _new_port(self, kind: str) -> LoopPort:
        if on_worker():
            raise RuntimeError("an event loop inside a program's own trace() cannot wait for further proofs")
        self._check_open()
        port: LoopPort
        if kind == "trio":
            from .ports.trio import TrioPort, protect

            # Halfway through these, an interrupt would leave the core in no state at all; it is raised a little later.
            protect(Engine.perform, Core.hit, Core.attempt, Core.submit, Core.leave, Core.inline_done)
            port = TrioPort(self)
        else:
            loop = _running_asyncio()
            if loop is None:
                raise RuntimeError("no trio or asyncio event loop runs on this thread; the synchronous calls need none")
            for known in list(self._ports):
                if isinstance(known, AsyncioPort) and known.loop is loop:
                    return known
            port = AsyncioPort(self)
        with self._lock:
            self._ports.add(port)
        if kind == "asyncio":
            self._stir_supervisor()  # which has to look after it from now on
        return port

    @contextlib.contextmanager
    def thread_port(self) -> Iterator[ThreadPort]:
        """A port for one synchronous call on this thread. It is used again by later calls, so there are few.

        Raises:
            RuntimeError: The thread runs an event loop, or it is a worker.
        """
        require_plain_thread()
        self._check_open()
        try:
            port = self._thread_ports.pop()
        except IndexError:
            port = ThreadPort(self)
        try:
            yield port
        finally:
            # What this call has submitted, others may have joined.
            port.flush()
            self._thread_ports.append(port)

    def port_died(self, port: Port) -> None:
        """The loop has ended, or this engine has."""
        if getattr(self._local, "trio", None) is port:
            # A Trio run ends on its own thread.
            self._local.trio = None
        with self._lock:
            known = port in self._ports
            self._ports.discard(port)
        if known:
            self.perform(self._core.drop_port(port))

    @property
    def must_sweep(self) -> bool:
        """Whether there are loops that end without telling."""
        return any(isinstance(port, AsyncioPort) for port in list(self._ports))

    def sweep(self) -> None:
        """Drops the ports of loops that were closed."""
        for port in list(self._ports):
            if port.is_dead():
                self.port_died(port)

    # The core, with the effects of what is asked of it

    def perform(self, effects: Effects, job: Job | None = None) -> None:
        """Does what the core wants done. Any thread.

        Args:
            job: The request whose own call to the core this came from.
        """
        if not effects:
            return
        for worker in effects.wake:
            cast(WorkerThread, worker).wake()
        if effects.events:
            # Before the answers, so that nobody's story goes on before what it tells of has been told.
            if not self.events.on():
                self._core.events = False
            (self.events if job is None else job).perform(effects.events)
        for port, answers in effects.deliver.items():
            cast(Port, port).deliver(cast(Any, answers))
        for port in effects.dispatch:
            cast(Port, port).schedule()
        if effects.timer is not None:
            self._set_timer(effects.timer)
        if effects.drained:
            self._drained = True
            self._stir_supervisor()

    def leave(self, waiter: Waiter) -> None:
        """The waiter does not wait any more."""
        if waiter.job is not None:
            waiter.job.done(cancelled=True)
        self.perform(self._core.leave(waiter))

    def expire(self) -> None:
        """Answers those whose deadlines have passed."""
        self.perform(self._core.expire())

    def dispatch(self, port: Port, tick: int, lag: float) -> bool:
        """Releases what was submitted through the port, and runs what is to run on its thread. True: once more."""
        released: Dispatch = self._core.dispatch(port, tick=tick, lag=lag)
        self.perform(released.effects)
        if released.batch is not None:
            make_batch(self._core, released.batch, self.perform)
        return released.again

    def statistics(self) -> EngineStatistics:
        """A frozen snapshot of the engine's counters, consistent within itself."""
        return self._core.statistics()

    def estimate(
        self, program: Program, *, security: int = 100, backend: BackendName = "stark", prefer: Prefer = "time"
    ) -> Estimate:
        """As `aprover.estimate`, by this engine's cost model and load."""
        request = Request(program, security, backend, prefer, False)
        duration, placement = self._core.predict(request.work())
        air = program.compiled()
        cost = backend_named(backend).cost(program, security=security, prefer=prefer)
        return Estimate(duration, placement.value, air.height, air.columns, cost.proof_bytes, cost.memory)

    # Requests

    def is_implicitly_late(self, outcome: object, deadline: float) -> bool:
        """Whether a deadline passed that the caller did not give, but some cancel scope around it has."""
        return isinstance(outcome, Expired) and self.clock() < deadline

    def limit(self, deadline: float | None, port: LoopPort | ThreadPort) -> float:
        """An explicit deadline, given on the loop's own clock, on the engine's clock."""
        return FOREVER if deadline is None else self.clock() + (deadline - port.now())

    def ask(
        self, request: Request | VerifyRequest, waiter: Waiter, *, priority: int, deadline: float, cache: bool
    ) -> Outcome | None:
        """Asks for one proof, on the port's own thread. None: the waiter's `resolve` will be called.

        Raises:
            EngineOverloaded: So many are pending, and the engine was told not to let callers wait.
            AproverError: The request cannot be carried out.
        """
        port, explicit = waiter.port, deadline
        if isinstance(port, LoopPort):
            deadline = min(deadline, port.scope_deadline())
        job = self._open_story(request)
        tell = None if job is None else self._tell(job, waiter, explicit)
        try:
            answer: Decision | None = self._core.attempt(
                request, waiter, priority=priority, deadline=deadline, cache=cache, tick=port.tick
            )
            if answer is None:
                answer = self._submit(request, waiter, priority, deadline, cache)
            outcome, _ = self._settled(answer, job)
        except BaseException as error:
            if job is not None:
                job.done(error, cancelled=not isinstance(error, Exception))
            raise
        if tell is not None and outcome is not None:
            tell(outcome)
        return outcome

    def _submit(
        self, request: Request | VerifyRequest, waiter: Waiter, priority: int, deadline: float, cache: bool
    ) -> Decision:
        work = request.work()
        self.start()
        port = waiter.port
        return self._core.submit(
            request,
            waiter,
            work,
            priority=priority,
            deadline=deadline,
            cache=cache,
            tick=port.tick,
            caller=port.caller(),
        )

    def _settled(self, answer: Decision, job: Job | None) -> tuple[Outcome | None, Flight | None]:
        """The outcome, if there is one already, and else the flight to wait for.

        Raises:
            EngineOverloaded: There is none.
        """
        if isinstance(answer, Expired | Closed):
            return answer, None
        if isinstance(answer, Hit):
            if job is not None:
                job.emit("hit", seconds=job.seconds)
            return Proved(answer.proof), None
        self.perform(answer.effects, job)
        if isinstance(answer, Rejected):
            if job is not None:
                job.emit("rejected")
            raise EngineOverloaded("as many proofs are pending as the engine takes")
        if isinstance(answer, Inline):
            if job is not None:
                job.follow(answer.flight)
            return self._make_inline(answer), None
        assert isinstance(answer, Joined | Queued | Parked)
        if job is not None:
            flight = answer.flight
            job.follow(flight)
            if isinstance(answer, Joined):
                job.emit("joined", flight=flight.number)
            elif isinstance(answer, Parked):
                job.emit("queued", flight=flight.number, predicted=flight.predicted, parked=True)
        return None, answer.flight

    def _open_story(self, request: Request | VerifyRequest) -> Job | None:
        """What is to be told of this request; None if nobody listens."""
        job = self.events.open(request.label)
        if job is not None:
            self._core.events = True
        return job

    def _tell(self, job: Job, waiter: Waiter, deadline: float) -> Callable[[Outcome], object]:
        """Has the story of a request of a batch end with its answer. For an answer at once, call what it returns."""

        def tell(outcome: Outcome) -> None:
            if self.is_implicitly_late(outcome, deadline):
                job.done(cancelled=True)
            else:
                job.done(error_of(outcome))

        resolve = waiter.resolve
        assert resolve is not None

        def told(outcome: Outcome) -> None:
            tell(outcome)
            resolve(outcome)

        waiter.job, waiter.resolve = job, told
        return tell

    def _make_inline(self, answer: Inline) -> Outcome:
        try:
            result, wall, busy = make_inline(answer.flight)
        except BaseException as error:
            self.perform(self._core.inline_done(answer.flight, error, wall=0.0, c_time=0.0))
            raise
        self.perform(self._core.inline_done(answer.flight, result, wall=wall, c_time=busy))
        if isinstance(result, BaseException):
            return Failed(result)
        return Proved(result)

    async def prove(
        self,
        program: Program,
        *,
        security: int = 100,
        backend: BackendName = "stark",
        prefer: Prefer = "time",
        check: bool = False,
        priority: int = 0,
        deadline: float | None = None,
        cache: bool = True,
        progress: Progress | None = None,
    ) -> Proof:
        """As `aprover.prove`, on this engine."""
        request = Request(program, security, backend, prefer, check)
        if priority != 0 or deadline is not None or cache is not True:
            check_options(priority, deadline, cache)
        port = self.port()
        await port.check_cancelled()
        job = self.events.open(request.program.id)
        if job is not None:
            self._core.events = True
        elif cache:
            proof = self._core.hit(request, port, port.tick)
            if proof is not None:
                return proof
        explicit = FOREVER if deadline is None else self.limit(deadline, port)
        waiter = Waiter(port)
        limit = min(explicit, port.scope_deadline())
        answer = self._core.attempt(request, waiter, priority=priority, deadline=limit, cache=cache, tick=port.tick)
        try:
            while True:
                outcome = await self._outcome(
                    request, waiter, answer, job, progress, priority=priority, deadline=limit, cache=cache
                )
                if not self.is_implicitly_late(outcome, explicit):
                    break
                # The scope around this will cancel it; unless its deadline was moved, and then it is asked again.
                await port.until_scope_deadline()
                await port.check_cancelled()
                waiter, answer, limit = Waiter(port), None, min(explicit, port.scope_deadline())
            proof = answer_of(outcome)
        except BaseException as error:
            if job is not None:
                job.done(error, cancelled=not isinstance(error, Exception))
            raise
        if job is not None:
            job.done()
        return proof

    async def _outcome(
        self,
        request: Request,
        waiter: Waiter,
        answer: Decision | None,
        job: Job | None,
        progress: Progress | None,
        *,
        priority: int,
        deadline: float,
        cache: bool,
    ) -> Outcome:
        """What becomes of one waiter; if this is cancelled, the waiter leaves."""
        port = cast(LoopPort, waiter.port)
        try:
            if answer is None:
                answer = self._submit(request, waiter, priority, deadline, cache)
            outcome, flight = self._settled(answer, job)
            if isinstance(answer, Hit):
                if answer.over_budget:
                    await port.pause()
            elif outcome is None:
                assert flight is not None
                if progress is None:
                    outcome = await port.wait(waiter)
                else:
                    outcome = await _watch(waiter, flight.control, progress)
        except BaseException as error:
            # Ignored if the waiter is not, or no longer, among those who wait.
            waiter.gone = True
            self.leave(waiter)
            if isinstance(error, KeyboardInterrupt):
                # It may have come between the core's answer and its effects.
                port.schedule()
            raise
        assert outcome is not None
        return outcome

    def prove_sync(
        self,
        program: Program,
        *,
        security: int = 100,
        backend: BackendName = "stark",
        prefer: Prefer = "time",
        check: bool = False,
        priority: int = 0,
        deadline: float | None = None,
        cache: bool = True,
        progress: Progress | None = None,
    ) -> Proof:
        """As `aprover.prove_sync`, on this engine."""
        request = Request(program, security, backend, prefer, check)
        check_options(priority, deadline, cache)
        job = self._open_story(request)
        try:
            with self.thread_port() as port:
                proof = answer_of(self._outcome_sync(request, port, job, progress, priority, deadline, cache))
        except BaseException as error:
            if job is not None:
                job.done(error, cancelled=not isinstance(error, Exception))
            raise
        if job is not None:
            job.done()
        return proof

    def _outcome_sync(
        self,
        request: Request,
        port: ThreadPort,
        job: Job | None,
        progress: Progress | None,
        priority: int,
        deadline: float | None,
        cache: bool,
    ) -> Outcome:
        box = Mailbox()
        waiter = Waiter(port, box.put)
        limit = self.limit(deadline, port)
        try:
            answer: Decision | None = self._core.attempt(
                request, waiter, priority=priority, deadline=limit, cache=cache, tick=port.tick
            )
            if answer is None:
                answer = self._submit(request, waiter, priority, limit, cache)
            outcome, flight = self._settled(answer, job)
            port.flush()
            if outcome is None and progress is None:
                outcome = box.get()
            while outcome is None:
                outcome = box.get(PROGRESS_SECONDS)
                if outcome is None and progress is not None and flight is not None:
                    progress(flight.control.phase, flight.control.fraction)
        except BaseException:
            waiter.gone = True
            self.leave(waiter)
            raise
        return outcome
