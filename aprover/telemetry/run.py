"""What a timeline says of requests, batches and the queue: its events put together, for pictures and for figures."""

from __future__ import annotations

import enum
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from .timeline import Timeline, TimelineEvent

__all__ = ["Bar", "Fate", "Figures", "Lane", "ReasonLine", "RequestSpan", "Run", "percentile"]

Key = tuple[int, int]
"""An engine's number, and the number of something in it."""


class Fate(enum.StrEnum):
    """How a request ended."""

    HIT = "hit"
    """Answered from the cache."""
    JOINED = "joined"
    """An identical request was under way, and its proof served this one too."""
    INLINE = "inline"
    """Made on the caller's own thread."""
    BATCHED = "batched"
    """Made by a worker, alone or together with others in one C call."""
    SPLIT = "split"
    """Made by several workers together."""
    CANCELLED = "cancelled"
    """Its caller was cancelled."""
    REJECTED = "rejected"
    """Refused, as too many were pending."""
    FAILED = "failed"
    """It raised an error, a passed deadline among them."""
    PENDING = "pending"
    """The recording ended first."""


HELP = "help"
"""The placement of a `Bar` that is help with another's."""

ANSWERED = frozenset({Fate.HIT, Fate.JOINED, Fate.INLINE, Fate.BATCHED, Fate.SPLIT})
_PLACED = {"inline": Fate.INLINE, "offload": Fate.BATCHED, "split": Fate.SPLIT}
_ENDED = {
    "prove.hit": Fate.HIT,
    "prove.cancelled": Fate.CANCELLED,
    "prove.rejected": Fate.REJECTED,
    "prove.failed": Fate.FAILED,
}


@attrs.frozen
class Lane:
    """Where something happened: a thread, and of a worker's also the engine, for each engine numbers its own.

    Attributes:
        worker: Whether it is a worker of an engine; else it runs an event loop, or callers of the synchronous face.
        engine: The engine's number; 0 for a thread that is no worker, which may use several.
        thread: The thread's name.
    """

    worker: bool
    engine: int
    thread: str


@attrs.frozen
class RequestSpan:
    """One request, from its submission to its answer. Times in seconds since the beginning of the timeline."""

    number: int
    engine: int
    lane: Lane
    program: str
    start: float
    end: float
    fate: Fate
    joined: bool
    flight: int | None = None
    batch: int | None = None
    predicted: float | None = None
    """Seconds; what the cost model expected of its flight."""
    reason: str = ""
    """The policy's, for the placement of its flight."""
    error: str = ""

    @property
    def seconds(self) -> float:
        """How long its caller waited."""
        return self.end - self.start


@attrs.frozen
class Bar:
    """One batch that a worker made, help with another worker's, or one piece of work on a loop's own thread."""

    lane: Lane
    engine: int
    start: float
    end: float
    placement: str
    """As in the events, or `HELP`: then the bar of that number says what else there is to say."""
    number: int | None
    """Of the batch; None for a lone request that was made inline."""
    flights: tuple[int, ...]
    """That it made; none for help."""
    programs: tuple[tuple[str, int], ...]
    """The programs' ids and how many flights of each; also of those that were helped with."""
    predicted: float | None
    measured: float | None
    """Seconds in C; None if not told."""
    reason: str
    queue_wait: float | None
    """The longest that a flight in it waited for its start."""
    finished: bool = True

    @property
    def is_help(self) -> bool:
        """Whether it is help with a split proof of which another worker has the batch."""
        return self.placement == HELP

    @property
    def seconds(self) -> float:
        """From its start to its end, whatever the thread waited for meanwhile included."""
        return self.end - self.start


@attrs.frozen
class ReasonLine:
    """What the policy decided for one reason."""

    placement: str
    reason: str
    batches: int
    flights: int
    predicted: float
    """Seconds, in all."""
    measured: float


@attrs.frozen
class Figures:
    """A summary. Times in seconds; shares from 0 to 1; None where nothing was measured."""

    requests: int
    fates: Mapping[Fate, int]
    answered: int
    seconds: float
    throughput: float
    """Answers a second."""
    latency: Mapping[str, float]
    """``p50``, ``p90``, ``p99`` and ``max`` of the answered requests; empty if there are none."""
    workers: int
    occupancy: float
    """The share of the workers' time in which they had a batch, or helped with another's."""
    inline_share: float
    """The share of the time that the busiest loop's thread spent on inline work."""
    batches: int
    """Made by workers."""
    batch_size: float
    """Flights a batch, on average."""
    queue_wait: float | None
    """The median over the workers' batches of the longest wait in each."""
    prediction_error: float | None
    """The median over all batches of the ratio between predicted and measured time, whichever is larger, minus 1."""


@attrs.frozen
class Run:
    """All that happened, in the order of its start.

    Attributes:
        seconds: How long the recording took; until the last event, where that is not told.
        queue: Pairs of time and how many flights wait for their start from then on.
        loops: The threads that asked.
        workers: The threads that made batches.
    """

    timeline: Timeline
    seconds: float
    requests: tuple[RequestSpan, ...]
    bars: tuple[Bar, ...]
    queue: tuple[tuple[float, int], ...]
    loops: tuple[Lane, ...]
    workers: tuple[Lane, ...]

    @classmethod
    def of(cls, timeline: Timeline) -> Run:
        """Puts the events of a timeline together. What began before the recording, or has no beginning, is left out."""
        events = timeline.events
        last = max((event.seconds for event in events), default=0.0)
        end = max(last, timeline.duration or 0.0)
        told = _Telling(end)
        for event in events:
            told.take(event)
        requests = sorted(told.requests(), key=lambda request: request.start)
        bars = sorted(told.bars(), key=lambda bar: bar.start)
        lanes = sorted({request.lane for request in requests} | {bar.lane for bar in bars}, key=_in_order)
        return cls(
            timeline,
            end,
            tuple(requests),
            tuple(bars),
            tuple(told.queue),
            tuple(lane for lane in lanes if not lane.worker),
            tuple(lane for lane in lanes if lane.worker),
        )

    def figures(self) -> Figures:
        """The summary."""
        fates = Counter(request.fate for request in self.requests)
        latencies = sorted(request.seconds for request in self.requests if request.fate in ANSWERED)
        made = [bar for bar in self.bars if bar.lane.worker and not bar.is_help]
        busy = Counter[Lane]()
        for bar in self.bars:
            busy[bar.lane] += bar.seconds  # type: ignore[assignment] # a Counter adds up floats as well
        waits = [bar.queue_wait for bar in made if bar.queue_wait is not None]
        errors = [max(p / m, m / p) - 1 for bar in self.bars if (p := bar.predicted) and (m := bar.measured)]
        # Less than a clock tells apart is no time in which anything has a rate.
        seconds = self.seconds if self.seconds >= 1e-9 else math.inf
        capacity = seconds * len(self.workers)
        return Figures(
            requests=len(self.requests),
            fates={fate: fates[fate] for fate in Fate},
            answered=len(latencies),
            seconds=self.seconds,
            throughput=len(latencies) / seconds,
            latency=_percentiles(latencies),
            workers=len(self.workers),
            occupancy=sum(busy[lane] for lane in self.workers) / capacity if self.workers else 0.0,
            inline_share=max((busy[lane] / seconds for lane in self.loops), default=0.0),
            batches=len(made),
            batch_size=sum(len(bar.flights) for bar in made) / len(made) if made else 0.0,
            queue_wait=statistics.median(waits) if waits else None,
            prediction_error=statistics.median(errors) if errors else None,
        )

    def reasons(self) -> list[ReasonLine]:
        """What was decided how often and why, the most frequent first."""
        groups: dict[tuple[str, str], list[Bar]] = {}
        for bar in self.bars:
            if not bar.is_help:
                groups.setdefault((bar.placement, bar.reason), []).append(bar)
        lines = [
            ReasonLine(
                placement,
                reason,
                len(bars),
                sum(len(bar.flights) for bar in bars),
                sum(bar.predicted or 0.0 for bar in bars),
                sum(bar.seconds if bar.measured is None else bar.measured for bar in bars),
            )
            for (placement, reason), bars in groups.items()
        ]
        return sorted(lines, key=lambda line: -line.flights)


def _in_order(lane: Lane) -> tuple[bool, int, list[str | int]]:
    """Worker 10 after worker 9."""
    parts = re.split(r"(\d{1,9})", lane.thread)
    return lane.worker, lane.engine, [int(part) if i % 2 else part for i, part in enumerate(parts)]


def percentile(ordered: Sequence[float], share: float) -> float:
    """By nearest rank, of sorted values of which there is at least one.

    Args:
        share: From 0 to 1.
    """
    return ordered[round(share * (len(ordered) - 1))]


def _percentiles(ordered: Sequence[float]) -> dict[str, float]:
    if not ordered:
        return {}
    return {**{f"p{p}": percentile(ordered, p / 100) for p in (50, 90, 99)}, "max": ordered[-1]}


@attrs.define(eq=False)
class _Open:
    """A request of which the end was not told yet."""

    number: int
    engine: int
    lane: Lane
    program: str
    start: float
    joined: bool = False
    flight: int | None = None
    predicted: float | None = None
    reason: str = ""


class _Telling:
    """Takes the events one by one, in the order of time."""

    def __init__(self, end: float) -> None:
        self.end = end
        self.queue: list[tuple[float, int]] = []
        self._open: dict[int, _Open] = {}
        self._over: list[RequestSpan] = []
        self._running: dict[Key, TimelineEvent] = {}
        self._inline: dict[Key, TimelineEvent] = {}
        self._bars: list[Bar] = []
        self._helping: dict[Lane, TimelineEvent] = {}
        self._batches: dict[Key, tuple[tuple[str, int], ...]] = {}
        """The programs of those that have begun."""
        self._waiting: set[Key] = set()
        self._programs: dict[Key, str] = {}
        self._predicted: dict[Key, float] = {}
        self._split: set[Key] = set()
        self._lanes: dict[tuple[bool, int, str], Lane] = {}

    def _lane(self, worker: bool, engine: int, thread: str) -> Lane:
        key = worker, engine, thread
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(*key)
        return lane

    def requests(self) -> Iterable[RequestSpan]:
        yield from self._over
        for request in self._open.values():
            yield self._ended(request, self.end, Fate.PENDING, {})

    def bars(self) -> Iterable[Bar]:
        for bar in self._bars:
            # A batch begins before it is known that others will help with it.
            split = not bar.is_help and bar.number is not None and (bar.engine, bar.number) in self._split
            yield attrs.evolve(bar, placement="split") if split else bar
        for begun in self._running.values():
            yield self._batch(begun, self.end, None)
        for begun in self._inline.values():
            yield self._lone(begun, self.end, finished=False)
        for lane, begun in self._helping.items():
            yield self._help(lane, begun, self.end, finished=False)

    def take(self, event: TimelineEvent) -> None:
        fields = event.fields
        engine = fields.get("engine") or 0
        match event.name:
            case "prove.submitted":
                lane = self._lane(False, 0, event.thread)
                number = fields.get("request") or 0
                self._open[number] = _Open(number, engine, lane, fields.get("program") or "", event.seconds)
            case "prove.joined" | "prove.queued" | "prove.inline":
                self._placed(event, engine)
            case "prove.batch_started":
                self._running[engine, fields.get("batch") or 0] = event
                self._batches[engine, fields.get("batch") or 0] = self._programs_of(event)
                self._start(event.seconds, engine, fields.get("flights") or ())
            case "prove.batch_finished":
                begun = self._running.pop((engine, fields.get("batch") or 0), None)
                if begun is not None:
                    self._bars.append(self._batch(begun, event.seconds, fields.get("seconds")))
            case "prove.help_started":
                self._helping[self._lane(True, engine, event.thread)] = event
            case "prove.help_finished":
                lane = self._lane(True, engine, event.thread)
                begun = self._helping.pop(lane, None)
                if begun is not None:
                    self._bars.append(self._help(lane, begun, event.seconds))
            case "prove.flight_ended":
                key = engine, fields.get("flight") or 0
                if fields.get("predicted") is not None:
                    self._predicted[key] = fields["predicted"]
                self._start(event.seconds, engine, key[1:])
                begun = self._inline.pop(key, None)
                if begun is not None:
                    self._bars.append(self._lone(begun, event.seconds))
            case "prove.completed":
                self._end(event, None)
            case name if name in _ENDED:
                self._end(event, _ENDED[name])

    def _placed(self, event: TimelineEvent, engine: int) -> None:
        fields = event.fields
        request = self._open.get(fields.get("request") or 0)
        flight = fields.get("flight") or 0
        if request is not None:
            request.flight = flight
            request.joined = event.name == "prove.joined"
            request.predicted = fields.get("predicted")
            request.reason = fields.get("reason") or ""
        if event.name == "prove.joined":
            return
        self._programs[engine, flight] = fields.get("program") or ""
        if event.name == "prove.inline":
            self._inline[engine, flight] = event
        elif (engine, flight) not in self._waiting:
            self._waiting.add((engine, flight))
            self.queue.append((event.seconds, len(self._waiting)))

    def _start(self, seconds: float, engine: int, flights: Iterable[int]) -> None:
        """These flights wait no longer."""
        before = len(self._waiting)
        self._waiting.difference_update([(engine, flight) for flight in flights])
        if len(self._waiting) != before:
            self.queue.append((seconds, len(self._waiting)))

    def _end(self, event: TimelineEvent, fate: Fate | None) -> None:
        request = self._open.pop(event.fields.get("request") or 0, None)
        if request is None:
            return
        if fate is None:
            placed = _PLACED.get(event.fields.get("placement") or "", Fate.BATCHED)
            if placed is Fate.SPLIT and event.fields.get("batch") is not None:
                self._split.add((request.engine, event.fields["batch"]))
            fate = Fate.JOINED if request.joined else placed
        self._over.append(self._ended(request, event.seconds, fate, event.fields))

    @staticmethod
    def _ended(request: _Open, end: float, fate: Fate, fields: Mapping[str, Any]) -> RequestSpan:
        return RequestSpan(
            request.number,
            request.engine,
            request.lane,
            request.program,
            request.start,
            end,
            fate,
            request.joined,
            flight=request.flight,
            batch=fields.get("batch"),
            predicted=fields.get("predicted", request.predicted),
            reason=fields.get("reason") or request.reason,
            error=fields.get("error") or "",
        )

    def _batch(self, begun: TimelineEvent, end: float, measured: float | None) -> Bar:
        fields = begun.fields
        engine = fields.get("engine") or 0
        flights = tuple(fields.get("flights") or ())
        placement = fields.get("placement") or "offload"
        # A batch that a loop makes itself is no worker's.
        worker = placement != "inline"
        lane = self._lane(worker, engine if worker else 0, begun.thread)
        predicted = fields.get("predicted")
        if len(flights) == 1:
            # Of a shape that was new when the batch began, only the flight's end tells what it was worth.
            predicted = self._predicted.get((engine, flights[0]), predicted)
        return Bar(
            lane,
            engine,
            begun.seconds,
            end,
            placement,
            fields.get("batch"),
            flights,
            self._programs_of(begun),
            predicted,
            measured,
            fields.get("reason") or "",
            fields.get("queue_wait"),
            finished=measured is not None,
        )

    def _programs_of(self, begun: TimelineEvent) -> tuple[tuple[str, int], ...]:
        """Of the batch of which this event tells the beginning."""
        engine = begun.fields.get("engine") or 0
        flights = begun.fields.get("flights") or ()
        return tuple(Counter(self._programs.get((engine, flight), "?") for flight in flights).most_common())

    def _help(self, lane: Lane, begun: TimelineEvent, end: float, *, finished: bool = True) -> Bar:
        engine, number = begun.fields.get("engine") or 0, begun.fields.get("batch")
        programs = self._batches.get((engine, number or 0), ())
        return Bar(lane, engine, begun.seconds, end, HELP, number, (), programs, None, None, "", None, finished)

    def _lone(self, begun: TimelineEvent, end: float, *, finished: bool = True) -> Bar:
        fields = begun.fields
        flight = fields.get("flight") or 0
        return Bar(
            self._lane(False, 0, begun.thread),
            fields.get("engine") or 0,
            begun.seconds,
            end,
            "inline",
            None,
            (flight,),
            ((fields.get("program") or "?", 1),),
            fields.get("predicted"),
            end - begun.seconds if finished else None,
            fields.get("reason") or "",
            None,
            finished,
        )
