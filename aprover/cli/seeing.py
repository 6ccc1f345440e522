"""``aprover timeline``: a recorded run as a page to look at, for Perfetto, or in figures."""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from aprover import ProgramError
from aprover.telemetry import Run, Timeline
from aprover.telemetry.perfetto import trace_events
from aprover.telemetry.run import Fate, Figures

from . import report
from .app import ENGINE, AsJson, app
from .page import page

__all__ = ["read_run"]


class Format(StrEnum):
    HTML = "html"
    PERFETTO = "perfetto"
    SUMMARY = "summary"


@app.command(epilog=report.EXIT_CODES, rich_help_panel=ENGINE)
def timeline(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A recorded run: Timeline.write, or aprover stress --record.")
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write the page or the trace.")] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="A page of its own; the Chrome trace event format; or figures only."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="The page's title; by default the file's name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw the run in FILE as one HTML page that needs nothing else, or convert it for Perfetto; and sum it up."""
    with report.reporting(as_json):
        chosen = form or (Format.SUMMARY if output is None else Format.HTML)
        if chosen is not Format.SUMMARY and output is None:
            raise ProgramError(f"--format {chosen} needs --output FILE", field="output")
        if chosen is Format.SUMMARY and output is not None:
            raise ProgramError("--format summary writes no file; allowed: html or perfetto", field="format")
        if output is not None and not output.parent.is_dir():
            raise FileNotFoundError(f"no such folder: {output.parent}")  # before the work
        with _without_collections():
            run = read_run(file)
            if output is not None:
                _write(output, _parts(run, chosen, title or file.name))
            figures = run.figures()
        if as_json:
            print(json.dumps(_as_json(figures, run, output)))
            return
        lines = _facts(figures, run)
        if output is not None:
            lines.append(("written", f"{output.stat().st_size:,} bytes to {output}"))
        report.print_facts(lines)


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Without looking for cycles among a million objects that have none: that takes a third of the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def read_run(file: Path) -> Run:
    """The run that was recorded in a file.

    Raises:
        OSError: It cannot be read, or is malformed: the line and the reason are named.
    """
    try:
        return Run.of(Timeline.read("/dev/stdin" if str(file) == "-" else file))
    except ValueError as error:
        raise report.MalformedFile(f"{file}: {error}") from error


def _parts(run: Run, form: Format, title: str) -> Iterator[str]:
    if form is Format.HTML:
        yield page(run, title)
        return
    yield '{"displayTimeUnit":"ms","traceEvents":[\n'
    for number, event in enumerate(trace_events(run)):
        yield (",\n" if number else "") + json.dumps(event, separators=(",", ":"))
    yield "\n]}\n"


def _write(output: Path, parts: Iterator[str]) -> None:
    with output.open("w", encoding="utf-8") as file:
        file.writelines(parts)


def _as_json(figures: Figures, run: Run, output: Path | None) -> dict[str, Any]:
    return {
        **report.jsonable(attrs.asdict(figures)),
        "fates": {fate.value: count for fate, count in figures.fates.items()},
        "reasons": [attrs.asdict(line) for line in run.reasons()],
        "dropped": run.timeline.dropped,
        "file": None if output is None else str(output),
    }


def _facts(figures: Figures, run: Run) -> list[tuple[str, str]]:
    fates = ", ".join(f"{count:,} {fate.value}" for fate, count in figures.fates.items() if count)
    latency = ", ".join(f"{name} {_time(seconds)}" for name, seconds in figures.latency.items())
    error = figures.prediction_error
    lines = [
        ("recorded", f"{_time(figures.seconds)}, {len(run.timeline):,} events, {run.timeline.dropped:,} not kept"),
        ("requests", f"{figures.requests:,}" + (f": {fates}" if fates else "")),
        ("answers", f"{figures.throughput:,.0f} a second"),
        ("latency", latency or "none measured"),
        ("workers", f"{figures.workers}, {figures.occupancy:.1%} busy; a loop with at most {figures.inline_share:.1%}"),
        ("batches", f"{figures.batches:,} by workers, {figures.batch_size:.1f} proofs on average"),
        ("queue wait", "none" if figures.queue_wait is None else f"{_time(figures.queue_wait)}, the median of batches"),
        ("prediction", "none" if error is None else f"off by {error:.0%}, the median of batches"),
    ]
    lines += [
        (
            f"  {line.placement}",
            f"{_counted(line.flights, 'proof')} in {_counted(line.batches, 'batch')}: {line.reason or 'not told'}",
        )
        for line in run.reasons()
    ]
    if pending := figures.fates[Fate.PENDING]:
        lines.append(("pending", f"{pending:,} requests had no answer when the recording ended"))
    return lines


def _counted(count: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
