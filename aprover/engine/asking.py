"""What an engine is asked for one proof: the life of a request, from its checks to its answer.

The shortest ways are straight: a hit is one call of the core, and inline work is two with the work between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio

from ..air import Program
from ..backends import Control, Prefer
from ..errors import EngineOverloaded
from ..proof import BackendName, Proof
from ..telemetry import Job
from .aggregates import AnyRequest
from .flights import Flight
from .life import EngineLife
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
from .ports.thread import Mailbox, ThreadPort
from .request import Request, check_options

__all__ = ["Progress", "Asking"]

Progress = Callable[[str, float], object]
"""Called with the phase (``"queued"``, ``"trace"`` or ``"prove"``) and how much of it is done, from 0 to 1."""

PROGRESS_SECONDS = 0.1
"""How often progress is reported, at most."""

FOREVER = math.inf
Waits = Joined | Queued | Parked
"""The answer will be delivered."""
WAITS = (Queued, Joined, Parked)  # to be asked for every request, which is quicker of a tuple


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


class Asking(EngineLife):
    """A part of `Engine`: one proof."""

    def is_implicitly_late(self, outcome: object, deadline: float) -> bool:
        """Whether a deadline passed that the caller did not give, but some cancel scope around it has."""
        return isinstance(outcome, Expired) and self.clock() < deadline

    def limit(self, deadline: float | None, port: LoopPort | ThreadPort) -> float:
        """An explicit deadline, given on the loop's own clock, on the engine's clock."""
        return FOREVER if deadline is None else self.clock() + (deadline - port.now())

    def enter(
        self,
        request: AnyRequest,
        waiter: Waiter,
        job: Job | None,
        priority: int,
        deadline: float,
        cache: bool,
    ) -> Hit | Waits | Outcome:
        """Asks the core, does what it wants done, and makes the proof if that is to be done here and now.

        No interrupt may come inside: see `trio.protect` and `Port.held`.

        Raises:
            EngineOverloaded: So many are pending, and the engine was told not to let callers wait.
            EngineClosed: The engine broke down.
        """
        if not self._started:
            self.start()
        port = waiter.port
        try:
            answer: Decision = self._core.submit(
                request,
                waiter,
                priority=priority,
                deadline=deadline,
                cache=cache,
                tick=port.tick,
                caller=port.caller(),
            )
            if isinstance(answer, Inline):
                if answer.effects is not NOTHING:
                    self.perform(answer.effects, job)
                if job is not None:
                    job.follow(answer.flight)
                return self._make_inline(answer.flight)
            if isinstance(answer, WAITS):
                if answer.effects is not NOTHING:
                    self.perform(answer.effects, job)
                if job is not None:
                    _tell_entry(job, answer)
                return answer
        except Exception as error:
            raise self.broken_by(error) from error
        if isinstance(answer, Rejected):
            if job is not None:
                job.emit("rejected")
            raise EngineOverloaded("as many proofs are pending as the engine takes")
        if job is not None and isinstance(answer, Hit):
            job.emit("hit", seconds=job.seconds)
        return answer

    def _make_inline(self, flight: Flight) -> Outcome:
        try:
            result, wall, busy = make_inline(flight)
        except BaseException as error:
            self.perform(self._core.inline_done(flight, error, wall=0.0, c_time=0.0))
            raise
        effects = self._core.inline_done(flight, result, wall=wall, c_time=busy)
        if effects is not NOTHING:
            self.perform(effects)
        return Failed(result) if isinstance(result, BaseException) else Proved(result)

    def leave(self, waiter: Waiter) -> None:
        """The waiter does not wait any more. Ignored if it never did, or has its answer."""
        waiter.gone = True
        if waiter.job is not None:
            waiter.job.done(cancelled=True)
        self.perform(self._core.leave(waiter))

    def ask(
        self, request: AnyRequest, waiter: Waiter, *, priority: int, deadline: float, cache: bool
    ) -> Outcome | None:
        """Asks for one proof of several, on the port's own thread. None: the waiter's `resolve` will be called.

        Raises:
            EngineOverloaded, EngineClosed: As `enter`.
        """
        job = self._open_story(request)
        tell = None if job is None else self._tell(job, waiter, deadline)
        try:
            limit = min(deadline, waiter.port.scope_deadline())
            answer = self.enter(request, waiter, job, priority, limit, cache)
        except BaseException as error:
            if job is not None:
                job.done(error, cancelled=not isinstance(error, Exception))
            raise
        if isinstance(answer, WAITS):
            return None
        outcome = Proved(answer.proof) if isinstance(answer, Hit) else answer
        if tell is not None:
            tell(outcome)
        return outcome

    def _open_story(self, request: AnyRequest) -> Job | None:
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

    async def prove(
        self,
        program: Program,
        *,
        security: int = 100,
        backend: BackendName = "stark",
        prefer: Prefer = "time",
        zk: bool = False,
        check: bool = False,
        priority: int = 0,
        deadline: float | None = None,
        cache: bool = True,
        memory_limit: int | None = None,
        progress: Progress | None = None,
    ) -> Proof:
        """As `aprover.prove`, on this engine."""
        if memory_limit is None:
            memory_limit = self.memory_limit
        request = Request(program, security, backend, prefer, check, zk, memory_limit)
        if priority != 0 or deadline is not None or cache is not True:
            check_options(priority, deadline, cache)
        port = self.port()
        await port.check_cancelled()
        job = self.events.open(program.id)
        if job is not None:
            self._core.events = True
        elif cache:
            proof = self._core.hit(request, port, port.tick)
            if proof is not None:
                return proof
        explicit = FOREVER if deadline is None else self.limit(deadline, port)
        waiter = Waiter(port)
        try:
            while True:
                limit = min(explicit, port.scope_deadline())
                with port.held:
                    answer = self.enter(request, waiter, job, priority, limit, cache)
                if isinstance(answer, WAITS):
                    control = answer.flight.control
                    del answer  # thousands may wait, and all that they hold is there so many times
                    if progress is None:
                        answer = await port.wait(waiter)
                    else:
                        answer = await _watch(waiter, control, progress)
                elif isinstance(answer, Hit):
                    if answer.over_budget:
                        await port.pause()
                    proof = answer.proof
                    break
                if isinstance(answer, Proved):
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
            with port.held:
                self.leave(waiter)
                if isinstance(error, KeyboardInterrupt):
                    # From another handler, it may have come between the core's answer and its effects.
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
        zk: bool = False,
        check: bool = False,
        priority: int = 0,
        deadline: float | None = None,
        cache: bool = True,
        memory_limit: int | None = None,
        progress: Progress | None = None,
    ) -> Proof:
        """As `aprover.prove_sync`, on this engine."""
        if memory_limit is None:
            memory_limit = self.memory_limit
        request = Request(program, security, backend, prefer, check, zk, memory_limit)
        check_options(priority, deadline, cache)
        job = self._open_story(request)
        try:
            with self.thread_port() as port:
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
            with port.held:
                answer = self.enter(request, waiter, job, priority, deadline, cache)
                port.flush()
            if isinstance(answer, Hit):
                return Proved(answer.proof)
            if not isinstance(answer, WAITS):
                return answer
            if progress is None:
                outcome = box.get()
                assert outcome is not None
            else:
                while (outcome := box.get(PROGRESS_SECONDS)) is None:
                    progress(answer.flight.control.phase, answer.flight.control.fraction)
            self.heard()
            return outcome
        except BaseException:
            with port.held:
                self.leave(waiter)
            raise

    uninterrupted = (enter, leave)


def _tell_entry(job: Job, answer: Waits) -> None:
    flight = answer.flight
    job.follow(flight)
    if isinstance(answer, Joined):
        job.emit("joined", flight=flight.number)
    elif isinstance(answer, Parked):
        job.emit("queued", flight=flight.number, predicted=flight.predicted, reason=flight.reason, parked=True)
