"""Structured log events of a request's life.

Of a request, with ``request``, a number of its own, and ``program``, the program's id:

======================== ========= ====================================================================================
event                    level     further fields
======================== ========= ====================================================================================
``prove.submitted``      debug
``prove.hit`` [#]_       debug     seconds
``prove.joined``         debug     flight
``prove.inline``         debug     flight, predicted, reason: it runs on the caller's own thread, now
``prove.queued``         debug     flight, predicted, reason, parked: it waits for the end of the tick, or for admission
``prove.completed``      debug     seconds, flight, batch, predicted, placement, reason, queue_wait
``prove.cancelled``      debug     seconds, flight
``prove.rejected``       warning
``prove.failed``         warning   seconds, flight, error
======================== ========= ====================================================================================

.. [#] A request ends with exactly one of hit, completed, cancelled, rejected and failed.

Of flights and batches, which serve many requests:

======================== ========= ====================================================================================
event                    level     further fields
======================== ========= ====================================================================================
``prove.batch_started``  debug     batch, size, flights (their numbers), predicted, placement, reason, queue_wait
``prove.batch_finished`` debug     batch, size, seconds
``prove.help_started``   debug     batch: another worker helps with this split proof from now on
``prove.help_finished``  debug     batch, seconds: it does not any more, and may be back later
``prove.flight_ended``   debug     flight, predicted, reason, outcome (proved, failed or dropped), waiters
======================== ========= ====================================================================================

Every event has ``engine``, a number. Times are in seconds; ``seconds`` is measured: of a request since it was
submitted, of a batch in C, and of help since its start. ``placement`` is ``inline``, ``offload`` or ``split``;
``reason`` says why, in the words of the policy if it was asked. Of programs no more than the id is told, and of errors
no more than the type: inputs, private or not, stay untold.

The events of a request are logged in a copy of the context in which it was submitted. So what the caller has bound with
`structlog.contextvars` is in them, and a request that joins another's flight keeps its own.
"""

from __future__ import annotations

import contextvars
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, cast

import structlog

from . import timeline

__all__ = ["Events", "Job", "Trace"]

Trace = bool | Callable[[str, Mapping[str, object]], object] | structlog.typing.BindableLogger | None
"""Where the events of an engine go.

None: to structlog, if and as long as it is configured. False: nowhere. True: to structlog, configured or not. A
structlog logger: to it, with what is bound to it. A function: it is called with the name and the fields of each event.
"""

WARNINGS = frozenset({"prove.rejected", "prove.failed"})

REQUEST_ENDS = frozenset({"hit", "completed", "cancelled", "rejected", "failed"})

_engines = itertools.count(1)
_requests = itertools.count(1)
_is_configured = structlog.is_configured
_now = time.perf_counter


class _Event(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, object]: ...


class _Flight(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def batch_number(self) -> int: ...
    @property
    def predicted(self) -> float: ...
    @property
    def placement(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def opened(self) -> float: ...
    @property
    def started(self) -> float: ...


FLIGHT_ENDS = frozenset({"proved", "failed", "dropped"})
"""What the core calls the ends of a flight; a request has ends of its own, one for each that waited."""


class Events:
    """The events of one engine.

    A library does not configure logging, and structlog that nobody has configured would print: so with ``trace=None``
    there are events only while `structlog.is_configured()`, or a timeline is captured. When there are none, a request
    costs one call of `open`, a tenth of a microsecond.

    A logger that raises does not disturb the engine: `threading.excepthook` gets the first exception, and that is all.

    Raises:
        TypeError: `trace` is none of what it may be.
    """

    __slots__ = ("_callback", "_complained", "_follow", "_logger", "_loud", "engine")

    def __init__(self, trace: Trace = None) -> None:
        self.engine = next(_engines)
        self._logger: Any = None
        self._callback: Callable[[str, Mapping[str, object]], object] | None = None
        self._complained = False
        if trace is None or trace is True:
            # A lazy proxy: configuration that comes later counts.
            self._logger = structlog.get_logger("aprover")
        elif hasattr(trace, "bind"):
            self._logger = trace
        elif callable(trace):
            self._callback = trace
        elif trace is not False:
            raise TypeError(f"trace must be None, a bool, a structlog logger or a function, not {type(trace).__name__}")
        self._follow = trace is None
        self._loud = trace is not None and trace is not False

    def on(self) -> bool:
        """Whether anybody listens, now."""
        return self._loud or bool(timeline.captures) or (self._follow and _is_configured())

    def open(self, program: str) -> Job | None:
        """Begins the story of one request, with ``prove.submitted``; None if nobody listens.

        Args:
            program: The program's id.
        """
        if not self._loud and not timeline.captures and not (self._follow and _is_configured()):
            return None
        job = Job(self, program)
        job.emit("submitted")
        return job

    def emit(self, name: str, **fields: object) -> None:
        """An event of no request in particular, such as of a batch. Without its ``prove.``."""
        self._emit(None, name, {"engine": self.engine, **fields}, fields)

    def perform(self, events: Iterable[_Event]) -> None:
        """Emits what came out of a call to the core."""
        for event in events:
            name, fields = _told(event)
            self._emit(None, name, {"engine": self.engine, **fields}, fields)

    def _emit(self, bound: Any, name: str, fields: Mapping[str, object], unbound: Mapping[str, object]) -> None:
        """Tells all who listen.

        Args:
            bound: The logger to which all fields but `unbound` are bound; None to find and bind one.
        """
        name = f"prove.{name}"
        for capture in timeline.captures:
            capture.record(name, fields)
        if not self._loud and not (self._follow and _is_configured()):
            return
        try:
            if self._callback is not None:
                self._callback(name, fields)
                return
            if bound is None:
                bound = self._logger.bind(engine=self.engine)
            (bound.warning if name in WARNINGS else bound.debug)(name, **unbound)
        except Exception as error:  # noqa: BLE001 - whatever a logger raises, proofs go on
            self.complain(error)

    def complain(self, error: BaseException) -> None:
        """Shows the first exception of a logger."""
        if not self._complained:
            self._complained = True
            shown = (type(error), error, error.__traceback__, threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(cast(Any, shown)))


def _told(event: _Event) -> tuple[str, Mapping[str, object]]:
    if event.name in FLIGHT_ENDS:
        return "flight_ended", {**event.fields, "outcome": event.name}
    return event.name, event.fields


class Job:
    """The story of one request. Any thread may go on with it, one at a time."""

    __slots__ = ("_begun", "_bound", "_context", "_events", "_fields", "_flight", "_over", "number")

    def __init__(self, events: Events, program: str) -> None:
        self.number = next(_requests)
        self._events = events
        self._flight: _Flight | None = None
        self._over = False
        self._begun = _now()
        self._fields = {"engine": events.engine, "request": self.number, "program": program}
        self._context = contextvars.copy_context()
        self._bound: Any = None
        if events._logger is not None and (events._loud or _is_configured()):
            try:
                self._bound = events._logger.bind(**self._fields)
            except Exception as error:  # noqa: BLE001 - as in Events
                events.complain(error)

    @property
    def seconds(self) -> float:
        """Since it was submitted."""
        return _now() - self._begun

    def follow(self, flight: _Flight) -> None:
        """It waits for this flight, whose facts are in the end of its story."""
        self._flight = flight

    def emit(self, name: str, **fields: object) -> None:
        """One event of its story, without ``prove.``."""
        self._over = self._over or name in REQUEST_ENDS
        self._context.run(self._events._emit, self._bound, name, {**self._fields, **fields}, fields)

    def perform(self, events: Iterable[_Event]) -> None:
        """Emits what came out of its own call to the core: its ``inline`` or ``queued``, and what befell others."""
        for event in events:
            if event.name in ("inline", "queued"):
                self.emit(event.name, **event.fields)
            else:
                self._events.perform((event,))

    def done(self, error: BaseException | None = None, *, cancelled: bool = False) -> None:
        """The end of its story, if it has none yet: ``prove.completed``, ``prove.failed`` or ``prove.cancelled``.

        Args:
            error: What it raises to its caller, None for a proof. Only its type is told.
            cancelled: The caller was cancelled.
        """
        if self._over:
            return
        flight = self._flight
        fields: dict[str, object] = {"seconds": self.seconds}
        if flight is not None:
            fields["flight"] = flight.number
        if cancelled:
            self.emit("cancelled", **fields)
        elif error is not None:
            self.emit("failed", **fields, error=type(error).__name__)
        elif flight is None:
            self.emit("completed", **fields)
        else:
            self.emit(
                "completed",
                **fields,
                batch=flight.batch_number or None,
                predicted=flight.predicted,
                placement=flight.placement,
                reason=flight.reason,
                # Of the flight: who joins a running one has not waited for its start.
                queue_wait=max(0.0, flight.started - flight.opened),
            )
