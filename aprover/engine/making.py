"""How flights become proofs: prepare each, then one C call for all of them. Synchronous; on a worker or on a loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from ..backends import Prepared, ProvingCancelled, Team, prove_prepared
from ..errors import AproverError
from ..proof import Proof
from .aggregates import AnyRequest
from .core import Core
from .cost import UNKNOWN_WORK
from .flights import Flight
from .messages import Batch, Effects
from .sharing import LEAST, share

__all__ = ["make_batch", "make_inline"]

Perform = Callable[[Effects], object]
Result = Proof | BaseException

LANES = 16
"""The most threads that may make one proof together."""

_wall = time.perf_counter
_busy = time.thread_time


def _as_failure(flight: Flight, error: BaseException) -> BaseException:
    """What goes into the flight for an exception that its work raised."""
    if isinstance(error, AproverError | ProvingCancelled):
        return error
    request = cast("AnyRequest", flight.request)
    return request.failure(error)


def make_inline(flight: Flight) -> tuple[Result, float, float]:
    """Makes one proof on this thread.

    Returns:
        The result, the seconds that it took, and those of them that the thread was at work.

    Raises:
        BaseException: One that is no Exception, such as KeyboardInterrupt.
    """
    wall, busy = _wall(), _busy()
    result: Result
    request: Any = flight.request
    try:
        if request.batched:
            (result,) = prove_prepared((request.prepare(flight.control),))
        else:
            result = request.make(flight.control)
    except Exception as error:  # noqa: BLE001 - it is the flight's result
        result = error
    if isinstance(result, Exception):
        result = _as_failure(flight, result)
    return result, _wall() - wall, _busy() - busy


class _Times:
    """Of a batch's C call, in seconds."""

    __slots__ = ("busy", "traced", "wall")

    def __init__(self) -> None:
        self.wall = 0.0
        self.busy = 0.0
        """The thread's own share of it."""
        self.traced = 0.0
        """The share of a user's trace()."""


def make_batch(core: Core, batch: Batch, perform: Perform, *, lanes: int = 1) -> None:
    """Makes the batch's proofs on this thread and finishes it, whatever their work does.

    Args:
        perform: Performs the core's effects.
        lanes: How many threads may work on a split proof, this one included.

    Raises:
        BaseException: On a loop's own thread only, one that is no Exception, such as KeyboardInterrupt; the flights
            are then queued again. On a worker it is the flight's own: a trace() may raise SystemExit.
    """
    results: list[Result | None] = [None] * len(batch.flights)
    times = _Times()
    begun = _wall()
    try:
        first = batch.flights[0]
        if first.work is UNKNOWN_WORK:
            request: Any = first.request
            work = request.work()
            perform(core.surveyed(batch, work))
        _make(core, batch, perform, results, lanes, times)
    except BaseException as error:
        if batch.inline and not isinstance(error, Exception):
            _fill(results, [ProvingCancelled() for _ in results])
            raise
        _fill(results, [_as_failure(flight, error) for flight in batch.flights])
    finally:
        seconds = times.wall - times.traced
        handback = 0.0 if times.traced or batch.split else times.wall - times.busy
        effects = core.finish(
            batch,
            results,  # type: ignore[arg-type] # there is one for each by now
            seconds=seconds if seconds > 0.0 else 0.0,
            wall=_wall() - begun if batch.inline else None,
            handback=handback if handback > 0.0 else 0.0,
        )
        perform(effects)


def _fill(results: list[Result | None], others: Sequence[Result]) -> None:
    for i, other in enumerate(others):
        if results[i] is None:
            results[i] = other


def _make(core: Core, batch: Batch, perform: Perform, results: list[Result | None], lanes: int, times: _Times) -> None:
    """Fills in the results, and the times of the C call."""
    flights = batch.flights
    prepared: list[Prepared] = []
    places: list[int] = []
    traced: Callable[[float], None] | None = None
    first: Any = flights[0].request
    if not first.batched:
        _make_plainly(core, batch, perform, results)
        return
    if not flights[0].work.native:  # and so alone in its batch

        def traced(seconds: float) -> None:
            times.traced = seconds
            perform(core.traced(batch, seconds))

    elif core.aggregates and not batch.inline and len(flights) >= LEAST:
        _make_shared(core, batch, results)

    for i, flight in enumerate(flights):
        if results[i] is not None:
            continue
        request: Any = flight.request
        try:
            job = request.prepare(flight.control, traced)
        except BaseException as error:
            if batch.inline and not isinstance(error, Exception):
                raise
            results[i] = _as_failure(flight, error)
        else:
            prepared.append(job)
            places.append(i)
    wanted = core.begin(batch)
    if not all(wanted):
        _fill(results, [cast(Any, None) if want else ProvingCancelled() for want in wanted])
        kept = [(place, job) for place, job in zip(places, prepared, strict=True) if results[place] is None]
        places, prepared = [place for place, _ in kept], [job for _, job in kept]
    if not prepared:
        return
    team = Team(min(lanes, LANES), core.give_way) if batch.split and lanes > 1 else None
    try:
        if team is not None:
            perform(core.offer_help(batch, team))
        wall, busy = _wall(), _busy()
        made = prove_prepared(prepared, team=team)
        times.busy, times.wall = _busy() - busy, _wall() - wall
    finally:
        if team is not None:
            team.close()
    for i, result in zip(places, made, strict=True):
        results[i] = _as_failure(flights[i], result) if isinstance(result, Exception) else result


def _make_shared(core: Core, batch: Batch, results: list[Result | None]) -> None:
    """Fills in the results of those that share a proof. They run to their end, as they are many people's."""
    wanted = core.begin(batch)
    places = [i for i, want in enumerate(wanted) if want]
    flights = [batch.flights[i] for i in places]
    for flight in flights:
        flight.control.phase = "prove"
    for i, member in share(flights, core.predicted).items():
        results[places[i]] = member
        batch.shared += 1


def _make_plainly(core: Core, batch: Batch, perform: Perform, results: list[Result | None]) -> None:
    """What is not one C call, one after the other; all of its time is learned as Python's."""
    wanted = core.begin(batch)
    begun = _wall()
    for i, flight in enumerate(batch.flights):
        if not wanted[i]:
            results[i] = ProvingCancelled()
            continue
        try:
            request: Any = flight.request
            results[i] = request.make(flight.control)
        except BaseException as error:  # noqa: BLE001 - it is this flight's result
            results[i] = _as_failure(flight, error)
    if not batch.flights[0].work.native:
        perform(core.traced(batch, _wall() - begun))
