"""A run in memory, for a picture or for a later look.

The file is JSON lines in UTF-8. The first line is an object with

- ``format``: ``"aprover-timeline"``; ``version``: 1;
- ``started``: when it began, ISO 8601 in UTC; ``seconds``: how long it took, or null while it is still recorded;
- ``aprover``: the version of this package; ``cpus``: the cores of the machine;
- ``events`` and ``dropped``: how many events follow, and how many there was no place for.

Every further line is one event, an object with ``t``, the seconds since the beginning, ``event``, its name, ``thread``,
the name of the thread that told it, and the fields of that event (see `aprover.telemetry.events`). Lines are in the
order of ``t``, and none is longer than 4 MiB. A reader ignores fields that it does not know. A number that is not
finite is written as null, and what is not null, a boolean, a number, text or a list of such, as the name of its type.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from .._version import __version__
from ..errors import shown

__all__ = ["Timeline", "TimelineEvent", "capture_timeline"]

FORMAT, VERSION = "aprover-timeline", 1

DEFAULT_LIMIT = 1_000_000
"""Events; at about 500 bytes each."""

LONGEST_LINE = 4 * 2**20
"""Bytes; a batch of some hundred thousand flights."""

LONGEST_TIME = 1e9
"""Seconds; thirty years."""

LARGEST_NUMBER = 2**53
"""What every reader of JSON can hold."""

captures: tuple[Timeline, ...] = ()
"""Those that record now. Replaced as a whole, so that it can be read without a lock."""
_lock = threading.Lock()


@attrs.frozen
class TimelineEvent:
    """One event.

    Attributes:
        seconds: Since the beginning of the timeline.
        thread: The name of the thread that told it.
        name: Such as ``"prove.queued"``.
        fields: Such as ``{"request": 7}``.
    """

    seconds: float
    thread: str
    name: str
    fields: Mapping[str, Any]


class Timeline:
    """What happened in all engines of this process while it was captured. From `capture_timeline`, or from a file.

    Attributes:
        limit: How many events it has place for. Further ones are counted and dropped: the beginning is kept.
        started: When it began, in UTC.
        duration: Seconds; None while it is still recorded.
        made_by: The version of this package that recorded it.
        cpus: The cores of the machine that it was recorded on; None if that is not known.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        if type(limit) is not int or limit < 1:
            raise ValueError(f"limit must be a positive integer, not {limit!r}")
        self.limit = limit
        self.started = datetime.datetime.now(datetime.UTC)
        self.duration: float | None = None
        self.made_by = __version__
        self.cpus = os.cpu_count()
        self._begun = time.perf_counter()
        self._count = itertools.count(1)
        self._offered = 0
        self._raw: list[tuple[float, str, str, Mapping[str, Any]]] = []

    def record(self, name: str, fields: Mapping[str, object]) -> None:
        """Keeps one event, told by this thread now. Any thread may call it."""
        at = time.perf_counter() - self._begun
        # next() is atomic, so the bound holds without a lock.
        number = next(self._count)
        if number <= self.limit:
            self._raw.append((at, threading.current_thread().name, name, fields))
        else:
            self._offered = max(self._offered, number)

    @property
    def events(self) -> tuple[TimelineEvent, ...]:
        """All that was kept, in the order of time."""
        return tuple(TimelineEvent(*raw) for raw in sorted(self._raw, key=lambda raw: raw[0]))

    @property
    def dropped(self) -> int:
        """How many events there was no place for."""
        return max(0, self._offered - self.limit)

    def __len__(self) -> int:
        return len(self._raw)

    def close(self) -> None:
        """Stops the clock."""
        if self.duration is None:
            self.duration = time.perf_counter() - self._begun

    def lines(self) -> Iterator[str]:
        """The lines of the file, without their ends."""
        events = self.events
        yield json.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "started": self.started.isoformat(),
                "seconds": self.duration,
                "aprover": self.made_by,
                "cpus": self.cpus,
                "events": len(events),
                "dropped": self.dropped,
            }
        )
        for event in events:
            head = {"t": round(event.seconds, 7), "event": event.name, "thread": event.thread}
            yield json.dumps({**{name: _plain(value) for name, value in event.fields.items()}, **head}, allow_nan=False)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the file; one that is there is replaced.

        Raises:
            OSError: As `open`.
        """
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in self.lines())

    @classmethod
    def read(cls, path: str | os.PathLike[str], limit: int = DEFAULT_LIMIT) -> Timeline:
        """What `write` wrote; events beyond `limit` are dropped.

        Time is linear in the length of the file, and memory in `limit`, whatever is in it.

        Raises:
            OSError: As `open`.
            ValueError: It is no timeline of this version; the line is named, and what is wrong with it.
        """
        timeline = cls(limit)
        with open(path, "rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                try:
                    timeline._read_line(number, line)
                except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
                    raise ValueError(f"line {number} is not of a timeline: {_why(error)}") from error
            if number == 0:
                raise ValueError("line 1 is not of a timeline: the file is empty")
        return timeline

    def _read_line(self, number: int, line: bytes) -> None:
        if len(line) > LONGEST_LINE:
            raise ValueError(f"it is longer than {LONGEST_LINE} bytes")
        data = json.loads(line.decode("utf-8"))
        if not isinstance(data, dict):
            raise TypeError(f"a {type(data).__name__} is no JSON object")
        if number == 1:
            self._read_head(data)
        else:
            self._read_event(data)

    def _read_head(self, data: dict[str, Any]) -> None:
        if data["format"] != FORMAT or data["version"] != VERSION:
            raise ValueError(
                f"format {shown(data['format'])}, version {shown(data['version'])}; allowed: {FORMAT!r}, {VERSION}"
            )
        self.started = datetime.datetime.fromisoformat(data["started"])
        self.duration = None if data["seconds"] is None else _time("seconds", data["seconds"])
        self._offered = self.limit + _number("dropped", data["dropped"])
        self.made_by = str(data.get("aprover", ""))
        self.cpus = data["cpus"] if type(data.get("cpus")) is int else None

    def _read_event(self, data: dict[str, Any]) -> None:
        at, name, thread = _time("t", data.pop("t")), data.pop("event"), data.pop("thread")
        if not isinstance(name, str) or not isinstance(thread, str):
            raise TypeError(f"event = {shown(name)}, thread = {shown(thread)}; allowed: text")
        for field, value in data.items():
            if value is not None and field in KINDS:
                KINDS[field](field, value)
        if len(self._raw) < self.limit:
            self._raw.append((at, thread, name, data))
        else:
            self._offered += 1


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error)


def _number(field: str, value: object) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
        raise TypeError(f"{field} = {shown(value)}; allowed: integers from 0 to 2^53")
    return value


def _time(field: str, value: object) -> float:
    if type(value) not in (int, float) or not 0 <= value <= LONGEST_TIME:  # type: ignore[operator] # a number by then
        raise TypeError(f"{field} = {shown(value)}; allowed: seconds from 0 to {LONGEST_TIME:g}")
    return float(value)  # type: ignore[arg-type]


def _word(field: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{field} = {shown(value)}; allowed: text")


def _numbers(field: str, value: object) -> None:
    if not isinstance(value, list):
        raise TypeError(f"{field} = {shown(value)}; allowed: a list of numbers")
    for item in value:
        _number(field, item)


KINDS: Mapping[str, Callable[[str, object], object]] = {
    **dict.fromkeys(("batch", "engine", "flight", "request", "size", "waiters"), _number),
    **dict.fromkeys(("predicted", "queue_wait", "seconds"), _time),
    **dict.fromkeys(("error", "outcome", "placement", "program", "reason"), _word),
    "flights": _numbers,
}
"""What readers compute with, and what raises TypeError if it is not what it always is."""


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return type(value).__name__


@contextlib.contextmanager
def capture_timeline(limit: int = DEFAULT_LIMIT) -> Iterator[Timeline]:
    """Records what all engines of this process do while the block runs.

    ::

        with aprover.capture_timeline() as timeline:
            await aprover.prove_batch(programs)
        timeline.write("run.jsonl")

    It records whether or not anything is logged, costs some microseconds an event, and contains no inputs of programs.
    Several may record at a time.

    Args:
        limit: How many events to keep; later ones are counted in `Timeline.dropped`.
    """
    global captures
    timeline = Timeline(limit)
    with _lock:
        captures = (*captures, timeline)
    try:
        yield timeline
    finally:
        with _lock:
            captures = tuple(other for other in captures if other is not timeline)
        timeline.close()
