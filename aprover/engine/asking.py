"""What an engine is asked for one proof: the life of a request, from its checks to its answer.

The shortest ways are straight: a hit is one call of the core, and inline work is two with the work between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import anyio

from ..air import Program
from ..backends import Control, Prefer
from ..errors import EngineOverloaded
from ..proof import BackendName, Proof
from ..telemetry import Job
from .flights import Flight
from .making import make_inline
from .messages import (
    NOTHING,
    Decision,
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
from .ports import Waiter
from .ports.base import LoopPort
from .ports.interrupts import held_back
from .ports.thread import Mailbox, ThreadPort
from .request import Request, VerifyRequest, check_options

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Progress", "ProveMethods"]

Progress = Callable[[str, float], object]
"""Called with the phase (``"queued"``, ``"trace"`` or ``"prove"``) and how much of it is done, from 0 to 1."""

PROGRESS_SECONDS = 0.1
"""How often progress is reported, at most."""

FOREVER = math.inf
Waits = Joined | Queued | Parked
"""The answer will be delivered."""


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


class ProveMethods:
    """A part of `Engine`."""

    def is_implicitly_late(self, outcome: object, deadline: float) -> bool:
        """Whether a deadline passed that the caller did not give, but some cancel scope around it has."""
        return isinstance(outcome, Expired) and cast("Engine", self).clock() < deadline

    def limit(self, deadline: float | None, port: LoopPort | ThreadPort) -> float:
        """An explicit deadline, given on the loop's own clock, on the engine's clock."""
        return FOREVER if deadline is None else cast("Engine", self).clock() + (deadline - port.now())

    def enter(
        self,
        request: Request | VerifyRequest,
        waiter: Waiter,
        job: Job | None,
        priority: int,
        deadline: float,
        cache: bool,
    ) -> Hit | Waits | Outcome:
        """Asks the core, does what it wants done, and makes the proof if that is to be done here and now.

        No interrupt may come inside: see `trio.protect` and `interrupts.held_back`.

        Raises:
            EngineOverloaded: So many are pending, and the engine was told not to let callers wait.
            EngineClosed: The engine broke down.
        """
        engine = cast("Engine", self)
        if not engine._started:
            engine.start()
        port = waiter.port
        try:
            answer: Decision = engine._core.submit(
                request,
                waiter,
                request.known_work(),
                priority=priority,
                deadline=deadline,
                cache=cache,
                tick=port.tick,
                caller=port.caller(),
            )
            if isinstance(answer, Inline):
                if answer.effects is not NOTHING:
                    engine.perform(answer.effects, job)
                if job is not None:
                    job.follow(answer.flight)
                return self._make_inline(answer.flight)
            if isinstance(answer, Waits):
                if answer.effects is not NOTHING:
                    engine.perform(answer.effects, job)
                if job is not None:
                    _tell_entry(job, answer)
                return answer
        except Exception as error:
            raise engine.broken_by(error) from error
        if isinstance(answer, Rejected):
            if job is not None:
                job.emit("rejected")
            raise EngineOverloaded("as many proofs are pending as the engine takes")
        if job is not None and isinstance(answer, Hit):
            job.emit("hit", seconds=job.seconds)
        return answer

    def _make_inline(self, flight: Flight) -> Outcome:
        engine = cast("Engine", self)
        try:
            result, wall, busy = make_inline(flight)
        except BaseException as error:
            engine.perform(engine._core.inline_done(flight, error, wall=0.0, c_time=0.0))
            raise
        effects = engine._core.inline_done(flight, result, wall=wall, c_time=busy)
        if effects is not NOTHING:
            engine.perform(effects)
        return Failed(result) if isinstance(result, BaseException) else Proved(result)

    def leave(self, waiter: Waiter) -> None:
        """The waiter does not wait any more. Ignored if it never did, or has its answer."""
        engine = cast("Engine", self)
        waiter.gone = True
        if waiter.job is not None:
            waiter.job.done(cancelled=True)
        engine.perform(engine._core.leave(waiter))

    def ask(
        self, request: Request | VerifyRequest, waiter: Waiter, *, priority: int, deadline: float, cache: bool
    ) -> Outcome | None:
        """Asks for one proof of several, on the port's own thread. None: the waiter's `resolve` will be called.

        Raises:
            EngineOverloaded, EngineClosed: As `enter`.
        """
        port, explicit = waiter.port, deadline
        if isinstance(port, LoopPort):
            deadline = min(deadline, port.scope_deadline())
        job = self._open_story(request)
        tell = None if job is None else self._tell(job, waiter, explicit)
        try:
            with held_back():
                answer = self.enter(request, waiter, job, priority, deadline, cache)
        except BaseException as error:
            if job is not None:
                job.done(error, cancelled=not isinstance(error, Exception))
            raise
        if isinstance(answer, Waits):
            return None
        outcome = Proved(answer.proof) if isinstance(answer, Hit) else answer
        if tell is not None:
            tell(outcome)
        return outcome

    def _open_story(self, request: Request | VerifyRequest) -> Job | None:
        """What is to be told of this request; None if nobody listens."""
        engine = cast("Engine", self)
        job = engine.events.open(request.label)
        if job is not None:
            engine._core.events = True
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
        engine = cast("Engine", self)
        request = Request(program, security, backend, prefer, check)
        if priority != 0 or deadline is not None or cache is not True:
            check_options(priority, deadline, cache)
        port = engine.port()
        await port.check_cancelled()
        job = engine.events.open(program.id)
        if job is not None:
            engine._core.events = True
        elif cache:
            proof = engine._core.hit(request, port, port.tick)
            if proof is not None:
                return proof
        explicit = FOREVER if deadline is None else self.limit(deadline, port)
        waiter = Waiter(port)
        try:
            while True:
                limit = min(explicit, port.scope_deadline())
                answer = self.enter(request, waiter, job, priority, limit, cache)
                if isinstance(answer, Waits):
                    if progress is None:
                        answer = await port.wait(waiter)
                    else:
                        answer = await _watch(waiter, answer.flight.control, progress)
                elif isinstance(answer, Hit):
                    if answer.over_budget:
                        await port.pause()
                    proof = answer.proof
                    break
                if not self.is_implicitly_late(answer, explicit):
                    proof = answer_of(answer)
                    break
                # The scope around this will cancel it; unless its deadline was moved, and then it is asked again.
                await port.until_scope_deadline()
                await port.check_cancelled()
                waiter = Waiter(port)
        except BaseException as error:
            self.leave(waiter)
            if isinstance(error, KeyboardInterrupt):
                # On asyncio, it may have come between the core's answer and its effects.
                port.schedule()
            if job is not None:
                job.done(error, cancelled=not isinstance(error, Exception))
            raise
        if job is not None:
            job.done()
        return proof

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
            with cast("Engine", self).thread_port() as port:
                outcome = self._outcome_sync(request, port, job, progress, priority, self.limit(deadline, port), cache)
                proof = answer_of(outcome)
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
        deadline: float,
        cache: bool,
    ) -> Outcome:
        box = Mailbox()
        waiter = Waiter(port, box.put)
        try:
            with held_back():
                answer = self.enter(request, waiter, job, priority, deadline, cache)
                port.flush()
            if isinstance(answer, Hit):
                return Proved(answer.proof)
            if not isinstance(answer, Waits):
                return answer
            if progress is None:
                outcome = box.get()
                assert outcome is not None
                return outcome
            while (outcome := box.get(PROGRESS_SECONDS)) is None:
                progress(answer.flight.control.phase, answer.flight.control.fraction)
            return outcome
        except BaseException:
            with held_back():
                self.leave(waiter)
            raise


def _tell_entry(job: Job, answer: Waits) -> None:
    flight = answer.flight
    job.follow(flight)
    if isinstance(answer, Joined):
        job.emit("joined", flight=flight.number)
    elif isinstance(answer, Parked):
        job.emit("queued", flight=flight.number, predicted=flight.predicted, parked=True)
