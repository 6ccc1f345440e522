"""``aprover bench`` and ``aprover demo``: what this machine does, in figures and in a story."""

from __future__ import annotations

import functools
import itertools
import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import attrs
import trio
import typer

import aprover
from aprover import Engine, Fibonacci, Program, Proof

from . import report
from .app import ENGINE, AsJson, app

FEWEST, MOST = 3, 200
"""Repetitions of each measurement."""
BURST = 500
"""Requests at once."""

_fresh = itertools.count(1)


@attrs.frozen
class Size:
    """One size of trace, on one request at a time. Times in seconds, medians."""

    rows: int
    prove: float
    verify: float
    proof_bytes: int
    proven_bits: float
    repetitions: int


@attrs.frozen
class Burst:
    """Many requests at once, or one kind of request again and again. Seconds a request, the median."""

    name: str
    seconds: float
    requests: int


@app.command(epilog=report.EXIT_CODES, rich_help_panel=ENGINE)
def bench(
    smallest: Annotated[int, typer.Option(min=3, max=22, help="From 2^SMALLEST rows.")] = 5,
    largest: Annotated[int, typer.Option(min=3, max=22, help="To 2^LARGEST rows.")] = 16,
    security: Annotated[int, typer.Option(min=1, max=128, help="Proven bits.")] = 100,
    seconds: Annotated[float, typer.Option("--seconds", "-s", min=0, help="How long to measure, about.")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Measure proving and verifying on this machine, from small traces to large ones, and the engine's own cost.

    Every proof is new and verified; times are medians of single calls of aprover.prove, the engine included.
    """
    with report.reporting(as_json, refusal=report.USAGE):
        if smallest > largest:
            raise aprover.ProgramError(field="smallest", value=smallest, allowed=f"3 to --largest, {largest}")
        budget = seconds / (largest - smallest + 1 + 3)
        sizes, bursts = trio.run(functools.partial(_measure, range(smallest, largest + 1), security, budget))
        if as_json:
            machine = {"machine": platform.machine(), "python": platform.python_version(), "security": security}
            out: dict[str, Any] = {**machine, "sizes": [attrs.asdict(size) for size in sizes]}
            print(json.dumps({**out, "engine": [attrs.asdict(burst) for burst in bursts]}))
            return
        print(
            f"{'rows':>9} {'prove ms':>10} {'us a row':>9} {'verify ms':>10} {'bytes':>8} {'proven bits':>12} {'of':>4}"
        )
        for size in sizes:
            times = f"{size.prove * 1e3:>10,.3f} {size.prove / size.rows * 1e6:>9.2f} {size.verify * 1e3:>10.3f}"
            print(f"{size.rows:>9,} {times} {size.proof_bytes:>8,} {size.proven_bits:>12.1f} {size.repetitions:>4}")
        print()
        report.print_facts([(burst.name, f"{burst.seconds * 1e6:,.1f} us a request") for burst in bursts])


@app.command(epilog=report.EXIT_CODES, rich_help_panel=ENGINE)
def demo(as_json: AsJson = False) -> None:
    """Prove, verify with both verifiers, and tamper: what this project does, in a minute."""
    with report.reporting(as_json):
        # Not before, for the processes that it starts import this module.
        from .demo import main

        trio.run(main, as_json)


def _program(log_rows: int) -> Fibonacci:
    """One that was not proved before, and fills so many rows."""
    return Fibonacci(2**log_rows, a=next(_fresh))


async def _measure(logs: range, security: int, budget: float) -> tuple[list[Size], list[Burst]]:
    async with aprover.open_engine() as engine:
        await engine.prove(_program(5), security=security)
        sizes = [await _size(engine, log, security, budget) for log in logs]
        known = _program(5)
        await engine.prove(known, security=security)
        bursts = [
            await _burst("a hit", functools.partial(_hits, engine, known, security), budget),
            await _burst("identical, at once", functools.partial(_identical, engine, security), budget),
            await _burst("distinct, at once", functools.partial(_distinct, engine, security), budget),
        ]
    return sizes, bursts


async def _size(engine: Engine, log_rows: int, security: int, budget: float) -> Size:
    proves: list[float] = []
    verifies: list[float] = []
    proof: Proof | None = None
    until = time.perf_counter() + budget
    while len(proves) < FEWEST or (time.perf_counter() < until and len(proves) < MOST):
        program = _program(log_rows)
        statement = program.statement()
        begun = time.perf_counter()
        proof = await engine.prove(program, security=security)
        proved = time.perf_counter()
        aprover.verify(proof, statement, min_security=security)
        verifies.append(time.perf_counter() - proved)
        proves.append(proved - begun)
    assert proof is not None
    return Size(
        program.compiled().height,
        statistics.median(proves),
        statistics.median(verifies),
        len(proof),
        proof.security.proven_bits,
        len(proves),
    )


async def _burst(name: str, once: Callable[[], Any], budget: float) -> Burst:
    times: list[float] = []
    until = time.perf_counter() + budget
    while len(times) < FEWEST or (time.perf_counter() < until and len(times) < MOST):
        begun = time.perf_counter()
        await once()
        times.append((time.perf_counter() - begun) / BURST)
    return Burst(name, statistics.median(times), len(times) * BURST)


async def _hits(engine: Engine, program: Program, security: int) -> None:
    for _ in range(BURST):
        await engine.prove(program, security=security)


async def _identical(engine: Engine, security: int) -> None:
    program = _program(5)
    async with trio.open_nursery() as nursery:
        for _ in range(BURST):
            nursery.start_soon(functools.partial(engine.prove, program, security=security))


async def _distinct(engine: Engine, security: int) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(BURST):
            nursery.start_soon(functools.partial(engine.prove, _program(5), security=security))
