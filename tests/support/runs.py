"""Recorded runs for tests: told by hand, or made at random."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

from aprover.telemetry import Timeline

Told = tuple[float, str, str, Mapping[str, Any]]
"""Seconds, thread, name without its ``prove.``, fields."""

LOOP = "MainThread"


def recorded(events: Iterable[Told], *, seconds: float | None = None) -> Timeline:
    """A timeline of these events."""
    timeline = Timeline()
    timeline._raw.extend((at, thread, f"prove.{name}", fields) for at, thread, name, fields in events)
    timeline.duration = max((raw[0] for raw in timeline._raw), default=0.0) if seconds is None else seconds
    return timeline


def request(number: int, *story: tuple[float, str, Mapping[str, Any]], program: str = "fibonacci") -> list[Told]:
    """What is told of one request; its fields are in all of its events."""
    base = {"engine": 1, "request": number, "program": program}
    return [(at, LOOP, name, {**base, **fields}) for at, name, fields in story]


def batch(
    number: int,
    start: float,
    end: float | None,
    flights: list[int],
    *,
    worker: str = "aprover worker 1",
    engine: int = 1,
    placement: str = "offload",
    **more: Any,
) -> list[Told]:
    """What is told of one batch; it does not end if `end` is None."""
    facts = {"engine": engine, "batch": number, "size": len(flights)}
    told: list[Told] = [
        (start, worker, "batch_started", {**facts, "flights": flights, "placement": placement, "reason": "", **more})
    ]
    if end is not None:
        told.append((end, worker, "batch_finished", {**facts, "seconds": (end - start) / 2}))
    return told


def help_with(number: int, start: float, end: float | None, *, worker: str = "aprover worker 2") -> list[Told]:
    """What is told of a helper of this batch; it does not leave if `end` is None."""
    facts = {"engine": 1, "batch": number}
    told: list[Told] = [(start, worker, "help_started", facts)]
    if end is not None:
        told.append((end, worker, "help_finished", {**facts, "seconds": end - start}))
    return told


def random_run(requests: int, seed: int = 1) -> Timeline:
    """Bursts of hits, inline work and batches of one, as an engine tells them."""
    rng = random.Random(seed)
    events: list[Told] = []
    free = [0.0, 0.0]
    at = 0.0
    for number in range(1, requests + 1):
        at += rng.expovariate(400) if rng.random() < 0.05 else 5e-6
        fate = rng.random()
        flight = {"flight": number, "predicted": 1e-4, "reason": "workers are sooner"}
        if fate < 0.4:
            events += request(number, (at, "submitted", {}), (at + 1e-5, "hit", {"seconds": 1e-5}))
        elif fate < 0.5:
            inline = {"flight": number, "predicted": 5e-5, "reason": "shorter than a wake-up"}
            events += request(
                number,
                (at, "submitted", {}),
                (at + 1e-6, "inline", inline),
                (at + 5e-5, "flight_ended", inline),
                (at + 6e-5, "completed", {**inline, "placement": "inline", "batch": None}),
            )
        else:
            worker = number % 2
            start = max(free[worker], at + 5e-5)
            end = free[worker] = start + rng.uniform(5e-5, 2e-4)
            events += batch(number, start, end, [number], worker=f"aprover worker {worker + 1}", predicted=1e-4)
            done = {**flight, "placement": "offload", "batch": number}
            events += request(
                number, (at, "submitted", {}), (at + 1e-6, "queued", flight), (end + 2e-5, "completed", done)
            )
    return recorded(events)
