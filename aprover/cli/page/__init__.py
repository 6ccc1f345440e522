"""A recorded run as one HTML page that needs nothing else: its data, style and script are in it.

The page may not load anything: its content security policy allows only the style and the script whose digests it names.
Text that comes from the recording is put on it as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any

from aprover.telemetry.run import Bar, Fate, Figures, Lane, RequestSpan, Run

__all__ = ["page", "page_data"]

UNITS = 10_000_000
"""Of time in the page's data, in a second: a tenth of a microsecond, as exact as the recording."""

SCRIPTS = ("model.js", "picture.js", "words.js", "controls.js")
"""In the order in which they need each other."""

FATES = tuple(Fate)

MOST_LANES = 64
"""Of threads that ask, and of workers: a canvas can be only so tall."""


class _Names:
    """Numbers for texts, each kept once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __getitem__(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    def all(self) -> list[str]:
        return list(self._numbers)


def page(run: Run, title: str) -> str:
    """The page.

    Args:
        title: Of the page, as text.
    """
    style = _source("timeline.css")
    script = "\n".join(_source(name) for name in SCRIPTS)
    # A script element ends at the first "</", whatever the JSON around it says; and "<!--" would begin a comment.
    data = json.dumps(page_data(run), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    return Template(_source("timeline.html")).substitute(
        title=html.escape(title),
        version=html.escape(run.timeline.made_by),
        policy=policy,
        style=style,
        script=script,
        data=data,
    )


def page_data(run: Run) -> dict[str, Any]:
    """What the page draws: columns rather than objects, and times as differences, so that it is short.

    Times are in tenths of a microsecond. ``start`` columns hold the difference to the row before; a number that is
    missing is -1.
    """
    names = _Names()
    asked, made = (Counter(item.lane for item in items) for items in (run.requests, run.bars))
    loops, loop_names = _numbered(run.loops, asked + made, "threads", lambda lane: lane.thread)
    workers, worker_names = _numbered(run.workers, made, "workers", lambda lane: _worker_name(lane, run.workers))
    lanes = {**loops, **{lane: len(loop_names) + number for lane, number in workers.items()}}
    timeline = run.timeline
    return {
        "about": {
            "started": timeline.started.isoformat(),
            "seconds": run.seconds,
            "version": timeline.made_by,
            "cpus": timeline.cpus,
            "events": len(timeline),
            "dropped": timeline.dropped,
        },
        "fates": [fate.value for fate in FATES],
        "loops": loop_names,
        "workers": worker_names,
        "requests": _request_columns(run, loops, names),
        "bars": _bar_columns(run.bars, lanes, names),
        "queue": {
            "start": list(_differences(at for at, _ in run.queue)),
            "depth": [depth for _, depth in run.queue],
        },
        "figures": _figures(run.figures()),
        "reasons": [
            [line.placement, line.reason, line.batches, line.flights, line.predicted, line.measured]
            for line in run.reasons()
        ],
        "names": names.all(),
    }


def _request_columns(run: Run, loops: Mapping[Lane, int], names: _Names) -> dict[str, list[int]]:
    batches = {
        (bar.engine, bar.number): i for i, bar in enumerate(run.bars) if bar.number is not None and not bar.is_help
    }
    # A request whose end was not told, or that ran on the caller's own thread, has no batch's number.
    makers = {(bar.engine, flight): i for i, bar in enumerate(run.bars) for flight in bar.flights}

    def bar_of(request: RequestSpan) -> int:
        found = batches.get((request.engine, request.batch)) if request.batch is not None else None
        if found is None and request.flight is not None:
            found = makers.get((request.engine, request.flight))
        return -1 if found is None else found

    requests = run.requests
    return {
        "start": list(_differences(request.start for request in requests)),
        "seconds": [_units(request.seconds) for request in requests],
        "number": [request.number for request in requests],
        "loop": [loops[request.lane] for request in requests],
        "fate": [FATES.index(request.fate) for request in requests],
        "program": [names[request.program] for request in requests],
        "flight": [_or_none(request.flight) for request in requests],
        "bar": [bar_of(request) for request in requests],
        "predicted": [_units(request.predicted) for request in requests],
        "reason": [names[request.error or request.reason] for request in requests],
    }


def _bar_columns(bars: Sequence[Bar], lanes: Mapping[Lane, int], names: _Names) -> dict[str, list[int]]:
    return {
        "start": list(_differences(bar.start for bar in bars)),
        "seconds": [_units(bar.seconds) for bar in bars],
        "lane": [lanes[bar.lane] for bar in bars],
        "placement": [names[bar.placement] for bar in bars],
        "number": [_or_none(bar.number) for bar in bars],
        "size": [len(bar.flights) for bar in bars],
        "programs": [names[_listed(bar)] for bar in bars],
        "predicted": [_units(bar.predicted) for bar in bars],
        "measured": [_units(bar.measured) for bar in bars],
        "wait": [_units(bar.queue_wait) for bar in bars],
        "reason": [names[bar.reason] for bar in bars],
        "finished": [int(bar.finished) for bar in bars],
    }


def _source(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _units(seconds: float | None) -> int:
    return -1 if seconds is None or not math.isfinite(seconds) else max(0, round(seconds * UNITS))


def _or_none(number: int | None) -> int:
    return -1 if number is None else number


def _differences(times: Iterable[float]) -> Iterator[int]:
    before = 0
    for seconds in times:
        now = _units(seconds)
        yield now - before
        before = now


def _listed(bar: Bar) -> str:
    return ", ".join(f"{count} x {program}" if count > 1 else program for program, count in bar.programs)


def _worker_name(lane: Lane, workers: tuple[Lane, ...]) -> str:
    name = lane.thread.removeprefix("aprover ")
    return name if len({other.engine for other in workers}) == 1 else f"engine {lane.engine}, {name}"


def _numbered(
    lanes: Sequence[Lane], busy: Mapping[Lane, int], what: str, name: Callable[[Lane], str]
) -> tuple[dict[Lane, int], list[str]]:
    """The numbers of lanes on the page, and their names. More than fit share the last: of a server's threads, say."""
    shown = list(lanes)
    if len(lanes) > MOST_LANES:
        kept = set(sorted(lanes, key=lambda lane: -busy.get(lane, 0))[: MOST_LANES - 1])
        shown = [lane for lane in lanes if lane in kept]
    numbers = {lane: number for number, lane in enumerate(shown)}
    names = [name(lane) for lane in shown]
    if len(shown) < len(lanes):
        numbers.update({lane: len(shown) for lane in lanes if lane not in numbers})
        names.append(f"{len(lanes) - len(shown)} other {what}")
    return numbers, names


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "requests": figures.requests,
        "fates": [figures.fates[fate] for fate in FATES],
        "answered": figures.answered,
        "seconds": figures.seconds,
        "throughput": figures.throughput,
        "latency": dict(figures.latency),
        "workers": figures.workers,
        "occupancy": figures.occupancy,
        "inline_share": figures.inline_share,
        "batches": figures.batches,
        "batch_size": figures.batch_size,
        "queue_wait": figures.queue_wait,
        "prediction_error": figures.prediction_error,
    }
