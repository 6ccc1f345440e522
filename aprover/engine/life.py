"""The life of an engine: the deciding core with its workers, its supervisor and its ports, from opening to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

from ..aggregate import AggregateMember, AggregateProof
from ..errors import EngineClosed
from ..proof import Proof
from ..telemetry import Events, Job, Trace
from . import calibration
from .core import Core
from .cost import CostModel
from .making import make_batch
from .messages import NOTHING, Dispatch, Effects
from .policy import AdaptivePolicy, Policy
from .ports import Port, running_loop
from .ports.asyncio import AsyncioPort
from .ports.base import LoopPort
from .ports.interrupts import held_back
from .ports.thread import ThreadPort
from .workers import WorkerThread, on_worker, usable_cores

__all__ = ["EngineLife", "Mode", "require_plain_thread"]

Mode = Literal["wait", "cancel"]
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
    if type(result) is Proof:  # nearly always, and sooner asked than whether it is one of two
        return len(result)
    # A statement, which a verification gives, is never kept.
    if isinstance(result, AggregateMember):
        return result.share
    return len(result) if isinstance(result, Proof | AggregateProof) else 0


class EngineLife:
    """What `Engine` is made of; see there. Which arguments mean what, `open_engine` and `Core` say."""

    uninterrupted: tuple[Callable[..., object], ...] = ()
    """What else is not to be interrupted halfway."""

    def __init__(
        self,
        *,
        workers: int | None = None,
        policy: Policy | None = None,
        cost: CostModel | None = None,
        cache_bytes: int = 256 * 2**20,
        max_pending: int = 10_000,
        memory_limit: int | None = None,
        on_overload: Literal["wait", "raise"] = "wait",
        finish_abandoned: bool = False,
        trace: Trace = None,
        calibrate: bool = False,
        aggregates: bool = False,
        clock: Callable[[], float] = time.monotonic,
        worker_class: type[WorkerThread] = WorkerThread,
    ) -> None:
        self.workers = usable_cores() if workers is None else workers
        self.max_pending = max_pending
        self.memory_limit = memory_limit
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
            finish_abandoned=finish_abandoned,
            weigh=_weigh,
            events=self.events.on(),
            aggregates=aggregates,
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
        self.failure: BaseException | None = None
        """The bug that it broke down for."""
        self._calibrated: str | None = None
        """The cost model that calibration gave it, as text."""
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
        def replace(model: CostModel) -> None:
            self._calibrated = model.dumps()
            self._core.replace_cost(model)

        calibration.calibrate(replace, lambda: not self.is_closed)

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
        with held_back():
            with self._lock:
                self._closing = True
            self.perform(self._core.close(mode))
            self._stir_supervisor()

    def break_down(self, cause: BaseException) -> None:
        """There is a bug in the engine: everybody is answered with EngineClosed, from `cause`, and it ends. Any thread.

        A worker that is in the middle of something comes back from it as ever, and its results are dropped.
        """
        with held_back():
            with self._lock:
                self._closing = True
                if self.failure is None:
                    self.failure = cause
            self.perform(self._core.break_down(cause))
            self._stir_supervisor()

    def broken_by(self, error: Exception) -> EngineClosed:
        """What to raise for an exception that came out of the core. Ends the engine, if that is not done."""
        if not isinstance(error, EngineClosed):
            self.break_down(error)
        return EngineClosed("the engine broke down, which is a bug in it")

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

    def _worker_ended(self, error: BaseException | None) -> None:
        """The last act of a worker's thread.

        Args:
            error: What it died of: a bug.
        """
        if error is not None:
            self.break_down(error)
        with self._lock:
            last = self._alive == 1
        if last and self._calibrated is not None and self.failure is None:
            # Here, because it writes a file, which no loop should wait for.
            learned = self._core.dump_cost()
            if learned != self._calibrated:
                calibration.keep(learned)
        with self._lock:
            self._alive -= 1
        self._stir_supervisor()

    def _check_open(self) -> None:
        if self._forks != _forks:
            raise EngineClosed("the engine was opened before this process was forked")
        if self.failure is not None:
            raise EngineClosed("the engine broke down, which is a bug in it") from self.failure
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
        trio: Any = getattr(sys.modules.get("trio"), "lowlevel", None)
        port: LoopPort | None
        # Trio first: as a guest it runs inside another loop.
        if trio is not None and trio.in_trio_task():
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
            protect(EngineLife.perform, Core.hit, *self.uninterrupted)
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
        port.held = held_back()  # which threads answer differently
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
        if effects is NOTHING:
            return
        # Workers and ports are opaque to the core. Most effects have one of these, and what is empty is sooner asked
        # than walked through.
        shell: Any
        if effects.wake:
            for shell in effects.wake:
                shell.wake()
        if effects.events:
            # Before the answers, so that nobody's story goes on before what it tells of has been told.
            if not self.events.on():
                self._core.events = False
            (self.events if job is None else job).perform(effects.events)
        if effects.deliver:
            for shell, answers in effects.deliver.items():
                shell.deliver(answers)
        if effects.dispatch:
            for shell in effects.dispatch:
                shell.schedule()
        if effects.resume:
            for shell in effects.resume:
                shell.stay_awake()
        if effects.timer is not None:
            self._set_timer(effects.timer)
        if effects.drained:
            self._drained = True
            self._stir_supervisor()

    def heard(self) -> None:
        """Answers have reached whom they are for. Any thread."""
        self._core.heard()

    def expire(self) -> None:
        """Answers those whose deadlines have passed."""
        self.perform(self._core.expire())

    def dispatch(self, port: Port, tick: int, lag: float = 0.0, notice: float | None = None) -> bool:
        """Releases what was submitted through the port, and runs what is to run on its thread. True: once more.

        Args:
            port, tick, lag, notice: As for `Core.dispatch`.
        """
        try:
            released: Dispatch = self._core.dispatch(port, tick=tick, lag=lag, notice=notice)
            self.perform(released.effects)
            if released.batch is not None:
                make_batch(self._core, released.batch, self.perform)
        except Exception as error:  # noqa: BLE001 - see `break_down`
            # This is a loop's callback, and who could be told by raising has no business with it.
            self.broken_by(error)
            return False
        return released.again
