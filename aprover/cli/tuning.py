"""The commands about the engine: ``aprover stress`` and ``aprover calibrate``."""

from __future__ import annotations

import contextlib
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import aprover
from aprover import ProgramError
from aprover.engine import calibration
from aprover.engine.cost import CostModel
from aprover.engine.families import every_family
from aprover.engine.workers import usable_cores

from . import report
from .app import ENGINE, AsJson, app
from .live import LiveView
from .stress import DEFAULT_MIX, Report, Settings, parse_mix
from .stress import stress as run_stress

LEFT = (
    "Exit codes: 0 nothing is left or wrong; 1 something is; 2 an option is wrong; 3 a file cannot be written; "
    "130 interrupted. "
    "Try: --repetition 0.1, 0.5 or 0.9; --mix 20:99,1048576:1 for huge ones; --concurrency 100 to 10000; "
    "--cache-mib 1 for a cache that is too small."
)


class LoopName(StrEnum):
    TRIO = "trio"
    ASYNCIO = "asyncio"


def _mix(text: str) -> tuple[tuple[int, float], ...]:
    try:
        return parse_mix(text)
    except ValueError as error:
        raise ProgramError(f"--mix: {error}", field="mix") from error


@app.command(epilog=LEFT, rich_help_panel=ENGINE)
def stress(
    concurrency: Annotated[int, typer.Option(min=1, max=100_000, help="Tasks that ask at the same time.")] = 1000,
    seconds: Annotated[float, typer.Option("--seconds", "-s", min=0, help="For how long new requests are made.")] = 5.0,
    mix: Annotated[str, typer.Option(help="Sizes and weights: n:weight of Fibonacci(n), with commas.")] = DEFAULT_MIX,
    repetition: Annotated[float, typer.Option(min=0, max=1, help="The share that repeats an earlier request.")] = 0.5,
    cancel: Annotated[float, typer.Option(min=0, max=1, help="The share whose caller loses patience.")] = 0.1,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker threads; by default the usable cores.")] = None,
    cache_mib: Annotated[float, typer.Option(min=0, help="The bound of the proof cache, in MiB.")] = 256.0,
    max_pending: Annotated[int, typer.Option(min=1, help="Proofs queued or running at most; others wait.")] = 10_000,
    loop: Annotated[LoopName, typer.Option(help="The event loop.")] = LoopName.TRIO,
    seed: Annotated[int, typer.Option(help="Of all random choices.")] = 1,
    live: Annotated[
        bool, typer.Option("--live", help="Show it while it runs; lines where there is no terminal.")
    ] = False,
    record: Annotated[
        Path | None, typer.Option("--record", help="Record the run in this file, for aprover timeline.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put an engine under load: many tasks, any mix of sizes, some cancelled; then check that nothing is left."""
    with report.reporting(as_json):
        settings = Settings(
            concurrency=concurrency,
            seconds=seconds,
            mix=_mix(mix),
            repetition=repetition,
            cancel=cancel,
            workers=workers,
            cache_bytes=int(cache_mib * 2**20),
            max_pending=max_pending,
            loop=loop.value,
            seed=seed,
        )
        result = _run_stress(settings, live, record)
        if as_json:
            print(json.dumps(result.as_json()))
        else:
            report.print_facts(result.facts())
        if result.left:
            raise typer.Exit(report.REJECTED)


def _run_stress(settings: Settings, live: bool, record: Path | None) -> Report:
    with contextlib.ExitStack() as stack:
        watch = None
        if live:
            title = f"{settings.concurrency:,} tasks under {settings.loop}"
            view = LiveView(
                title,
                seconds=settings.seconds,
                workers=settings.workers or usable_cores(),
                cache_bytes=settings.cache_bytes,
            )
            watch = stack.enter_context(view).update
        if record is None:
            return run_stress(settings, watch)
        # Opened first: a long run is not made for nothing.
        with record.open("a"):
            pass
        with aprover.capture_timeline() as timeline:
            result = run_stress(settings, watch)
        timeline.write(record)
        return result


@app.command(epilog=report.EXIT_CODES, rich_help_panel=ENGINE)
def calibrate(
    largest: Annotated[int, typer.Option(min=8, max=22, help="Time narrow traces of up to 2^LARGEST rows.")] = 20,
    seconds: Annotated[float, typer.Option("--seconds", "-s", min=0, help="How long to measure, about.")] = 20.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do not keep the result.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit the cost model to this machine, show predicted against measured times, and keep it for later engines.

    Of every program that is shipped, from tiny to large. Errors are of the time predicted by the model that was there
    before; by one that knows no more than an engine measures at its first use; by the fit; and by a fit that did not
    see the program in question.
    """
    with report.reporting(as_json):
        before = calibration.load() or CostModel()
        first = calibration.measure(seconds=min(seconds / 10, calibration.BUDGET_SECONDS))
        points = calibration.measure(every_family(largest), seconds=seconds)
        rows = _compared(points, {"before": before, "first_use": calibration.fitted(first)})
        after = calibration.fitted(points)
        kept = None if dry_run else calibration.save(after.dumps())
        if as_json:
            print(json.dumps({"shapes": rows, "file": None if kept is None else str(kept)}))
            return
        _print_calibration(rows)
        if not dry_run:
            print(f"kept in {kept}" if kept is not None else "the result cannot be kept: no folder to write to")


_Row = dict[str, str | int | float]


def _compared(points: list[calibration.Point], models: dict[str, CostModel]) -> list[_Row]:
    after = calibration.fitted(points)
    programs = {point.family.program for point in points}
    unseen = {
        program: calibration.fitted([point for point in points if point.family.program != program])
        for program in programs
    }
    return [
        {
            "program": point.family.program,
            "size": point.family.size,
            "zk": point.family.zk,
            "rows": point.work.rows,
            "repeats": point.repeats,
            "seconds": point.seconds,
            **{name: model.predict_proof(point.work) for name, model in models.items()},
            "after": after.predict_proof(point.work),
            "unseen": unseen[point.family.program].predict_proof(point.work),
        }
        for point in points
    ]


def _print_calibration(rows: list[_Row]) -> None:
    models = ("before", "first_use", "after", "unseen")
    heads = "".join(f"{model.replace('_', ' '):>10}" for model in models)
    print(f"{'program':<31} {'rows':>9} {'measured us':>12} {'predicted us':>12}{heads}")
    errors: dict[str, list[float]] = {model: [] for model in models}
    for row in sorted(rows, key=lambda row: (row["program"], row["zk"], row["rows"])):
        measured = float(row["seconds"])
        shares = [float(row[model]) / measured - 1 for model in models]
        for model, share in zip(models, shares, strict=True):
            errors[model].append(abs(share))
        name = f"{row['program']} {row['size']}{', zk' if row['zk'] else ''}"
        times = f"{measured * 1e6:>12,.0f} {float(row['after']) * 1e6:>12,.0f}"
        print(f"{name:<31} {row['rows']:>9,} {times}" + "".join(f"{share:>+10.0%}" for share in shares))
    for name, place in (("median error", 0.5), ("95 % within", 0.95)):
        found = [sorted(errors[model])[min(len(rows) - 1, int(place * len(rows)))] for model in models]
        print(f"{name:<67}" + "".join(f"{share:>10.0%}" for share in found))
