"""A recorded run in the Chrome trace event format, which Perfetto and ``chrome://tracing`` open.

Source: the "Trace Event Format" document of the Chromium project. Used are complete events (``X``) for batches,
nestable asynchronous events (``b`` and ``e``) for requests, counters (``C``) for the queue, and metadata (``M``) for
the names of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from .run import Bar, RequestSpan, Run

__all__ = ["trace_events"]

PROCESS = 1


def trace_events(run: Run) -> Iterator[dict[str, Any]]:
    """The objects of ``traceEvents``, each a JSON object. Their times are in microseconds, as the format has them."""
    threads = {lane: number for number, lane in enumerate((*run.loops, *run.workers), 1)}
    yield _metadata(0, "process_name", name="aprover")
    for lane, thread in threads.items():
        several = lane.worker and len({other.engine for other in run.workers}) > 1
        yield _metadata(thread, "thread_name", name=f"{lane.thread} (engine {lane.engine})" if several else lane.thread)
        yield _metadata(thread, "thread_sort_index", sort_index=thread)
    for bar in run.bars:
        yield _batch(bar, threads[bar.lane])
    for request in run.requests:
        yield from _request(request, threads[request.lane])
    for at, depth in run.queue:
        waiting = {"name": "waiting flights", "args": {"flights": depth}}
        yield {"ph": "C", "pid": PROCESS, "tid": 0, "ts": _us(at), **waiting}


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 1)


def _metadata(thread: int, kind: str, **args: object) -> dict[str, Any]:
    return {"ph": "M", "pid": PROCESS, "tid": thread, "name": kind, "args": args}


def _batch(bar: Bar, thread: int) -> dict[str, Any]:
    programs = ", ".join(f"{count} x {program}" if count > 1 else program for program, count in bar.programs)
    name = f"help with {programs or 'a batch'}" if bar.is_help else programs or "batch"
    args = {
        "batch": bar.number,
        "placement": bar.placement,
        "reason": bar.reason,
        "flights": list(bar.flights),
        "predicted_us": None if bar.predicted is None else _us(bar.predicted),
        "measured_us": None if bar.measured is None else _us(bar.measured),
        "queue_wait_us": None if bar.queue_wait is None else _us(bar.queue_wait),
        "finished": bar.finished,
    }
    return {
        "ph": "X",
        "pid": PROCESS,
        "tid": thread,
        "ts": _us(bar.start),
        "dur": _us(bar.seconds),
        "cat": f"batch,{bar.placement}",
        "name": name,
        "args": {name: value for name, value in args.items() if value is not None},
    }


def _request(request: RequestSpan, thread: int) -> Iterator[dict[str, Any]]:
    facts = attrs.asdict(
        request, filter=lambda field, value: field.name in {"flight", "batch", "reason", "error"} and bool(value)
    )
    common = {
        "pid": PROCESS,
        "tid": thread,
        "cat": f"request,{request.fate}",
        "id2": {"local": hex(request.number)},
        "name": f"{request.program}: {request.fate}",
    }
    yield {**common, "ph": "b", "ts": _us(request.start), "args": {"request": request.number, **facts}}
    yield {**common, "ph": "e", "ts": _us(request.end)}
