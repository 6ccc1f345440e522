"""What the deciding core and its shells say to each other: data only, no behaviour.

A shell (a port, a worker, the supervisor) calls the core, and the core answers with a decision and with `Effects`
that the shell performs once the lock is free. Nothing here waits, and nothing here runs code of a user.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable
from typing import TYPE_CHECKING, Protocol

import attrs

from ..proof import Proof

if TYPE_CHECKING:
    from .cost import Work
    from .flights import Flight

__all__ = [
    "STOP",
    "Batch",
    "Closed",
    "Decision",
    "Dispatch",
    "Effects",
    "Event",
    "Expired",
    "Failed",
    "Help",
    "Hit",
    "Inline",
    "Joined",
    "Outcome",
    "Parked",
    "Port",
    "Proved",
    "Queued",
    "Rejected",
    "Request",
    "Stop",
    "Waiter",
    "Worker",
]

Port = Hashable
"""One event loop, or one plain thread, through which requests enter and answers return. Opaque to the core."""
Worker = Hashable
"""One worker thread. Opaque to the core."""


class Waiter(Protocol):
    """One caller who waits for one answer; made by its port, hashed and compared by identity."""

    @property
    def port(self) -> Port:
        """Where the answer is to be delivered."""


class Request(Protocol):
    """What is to be proved. The core reads these and hands the rest through to whoever does the work."""

    @property
    def key(self) -> Hashable:
        """Every input of the proof. Its hash is cached, and neither hash nor equality runs code of a user."""

    @property
    def key_bytes(self) -> int:
        """What keeping the key takes, about."""

    def known_work(self) -> Work | None:
        """What it would cost, if its shape is known by now. Quick; runs no code of a user."""

    @property
    def memory_limit(self) -> int | None:
        """Bytes that making it may take, which is no part of the key. It joins only what is made under the same."""

    @property
    def proves(self) -> bool:
        """Whether the result is a proof, and not a verification of one."""


# --- how a waiter's request ends --------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Proved:
    """The proof was made."""

    proof: Proof


@attrs.frozen(eq=False)
class Failed:
    """Proving failed. Each waiter raises an exception of its own, made from the cause that all of them share."""

    cause: BaseException


@attrs.frozen
class Expired:
    """The waiter's own deadline passed first: DeadlineExceeded."""


@attrs.frozen
class Closed:
    """The engine was closed first: EngineClosed."""

    cause: BaseException | None = None
    """The bug that ended it, if one did."""


Outcome = Proved | Failed | Expired | Closed


# --- what the caller of the core has to do ---------------------------------------------------------------------------


@attrs.frozen
class Event:
    """One entry for the structured log, ``prove.<name>``; made only if the core was told to make them.

    The core's own are ``inline``, ``queued``, ``batch_started``, ``batch_finished``, ``help_started``,
    ``help_finished``, ``proved``, ``failed`` and ``dropped``: about flights and batches. What happens to a request
    (submitted, hit, joined, completed, cancelled, rejected) its port knows from the decision and from the answer.
    """

    name: str
    fields: dict[str, object]
    flight: Flight | None = None


class Effects:
    """What the caller performs after the lock was released, in any order. False if there is nothing to do."""

    __slots__ = ("deliver", "dispatch", "drained", "events", "resume", "timer", "wake")

    def __init__(self) -> None:
        self.deliver: dict[Port, list[tuple[Waiter, Outcome]]] = {}
        """Answers by port. Each is to reach its port's own thread, which skips the waiters that are gone by then."""
        self.wake: list[Worker] = []
        """Idle workers that are to call `Core.pull` now. Each is named once for each time that it went idle."""
        self.dispatch: list[Port] = []
        """Ports that are to call `Core.dispatch` when this pass of their loop ends. Named once until they have."""
        self.resume: list[Port] = []
        """Of these, the ones whose next pass is to come without a wait, as this one's budget is spent."""
        self.timer: float | None = None
        """A new earliest deadline, on the core's clock: call `Core.expire` then."""
        self.events: list[Event] = []
        self.drained = False
        """The engine was closed, and nothing is pending or running any more. Said once."""

    def __bool__(self) -> bool:
        return bool(self.deliver or self.wake or self.dispatch or self.events or self.drained or self.timer is not None)


NOTHING = Effects()
"""Shared; never written to."""


# --- what becomes of a request ---------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class Hit:
    """The proof was in the cache. The waiter is not registered and not to be delivered to."""

    proof: Proof
    over_budget: bool
    """The tick's budget is spent: yield to the loop once before returning."""
    effects: Effects = NOTHING


@attrs.frozen(eq=False)
class Joined:
    """An identical flight is under way; its answer will be delivered to this waiter too."""

    flight: Flight
    effects: Effects


@attrs.define(eq=False)
class Inline:
    """Run it here and now, then call `Core.inline_done`. The waiter is not delivered to: it has the result in hand."""

    flight: Flight
    effects: Effects


@attrs.define(eq=False)
class Queued:
    """The answer will be delivered."""

    flight: Flight
    effects: Effects


@attrs.frozen(eq=False)
class Parked:
    """As `Queued`, but as many flights are pending as the engine takes: this one waits for admission first."""

    flight: Flight
    effects: Effects


@attrs.frozen(eq=False)
class Rejected:
    """Too many flights are pending, and the engine was told not to let callers wait: EngineOverloaded."""

    effects: Effects


Decision = Hit | Joined | Inline | Queued | Parked | Rejected | Expired | Closed


# --- what a worker or a loop is to do --------------------------------------------------------------------------------


@attrs.define(eq=False)
class Batch:
    """Flights for one worker, or for one loop's own thread, and for one C call. Ends with one `Core.finish`."""

    number: int
    flights: tuple[Flight, ...]
    predicted: float
    """Seconds, for all of them together, traces in Python included."""
    inline: bool
    """Runs on a loop's own thread, out of `Core.dispatch`."""
    split: bool
    """A single large flight: make a team of helpers for it, and offer it by `Core.offer_help`."""
    pulled: float
    """When, on the core's clock."""
    started: bool = False
    """`Core.begin` was called."""
    shared: int = 0
    """How many of its flights are answered by members of aggregates."""
    python: bool = False
    """A user's air() or trace() is running for it."""
    busy_before: float = 0.0
    """The core's sum of workers' busy time when it was pulled."""
    loops_before: float = 0.0
    """The core's sum of loops' busy time when it was pulled."""


@attrs.frozen(eq=False)
class Help:
    """Enter the team of a split proof: ``team.help(leave)``, then call `Core.pull` again."""

    team: object
    leave: bytearray
    """The core makes its first byte nonzero when smaller work waits. Four bytes."""
    batch: Batch


class Stop(enum.Enum):
    """Told to a worker that is to end its thread."""

    STOP = "stop"


STOP = Stop.STOP


@attrs.define(eq=False)
class Dispatch:
    """What a port does in this pass of its loop."""

    batch: Batch | None
    """To be run on this thread now, and finished by `Core.finish`."""
    again: bool
    """More of it waits for the budget of the next tick: call `Core.dispatch` again in the next pass."""
    effects: Effects
