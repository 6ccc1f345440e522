"""``aprover inspect``, ``aprover check`` and ``aprover explain``: looking at proofs and programs without proving."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

import aprover
from aprover import Program, ProgramError, SecurityReport, VerificationError
from aprover.testing import FreeColumn, find_underconstrained

from . import report
from .anatomy import Part, parts_of
from .app import PROGRAMS, PROOFS, AsJson, MemoryLimit, ProgramName, Values, app, optional_program, read_bounded
from .commands import Preference
from .programs import SHIPPED, build, complete_program, described, find
from .report import bits_text, security_line

BAR_WIDTH = 24


@app.command(epilog=report.EXIT_CODES, rich_help_panel=PROOFS)
def inspect(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A file with a proof, or - for standard input.")
    ] = None,
    program: Annotated[
        str | None,
        typer.Option(
            "--program",
            help="With a proof: module:Class of your own program that it is about. Without: the program to show. "
            "The code of your own is run.",
            autocompletion=complete_program,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the anatomy of the proof in FILE, without checking it; or, without FILE, what a program takes and claims."""
    with report.reporting(as_json):
        if file is not None:
            _inspect_proof(file, optional_program(program), as_json)
        elif program is not None:
            _inspect_program(find(program), as_json)
        else:
            raise ProgramError("nothing to inspect; allowed: a FILE with a proof, or --program NAME", field="file")


def _inspect_proof(file: Path, cls: type[Program] | None, as_json: bool) -> None:
    proof = report.read_proof(read_bounded(file))
    facts: SecurityReport | None = None
    why = "a commitment: whoever checks it computes again"
    try:
        parts = parts_of(proof, cls)
        facts = report.security_of(proof, cls)
    except VerificationError as error:
        parts, why = [Part("all of it", len(proof))], str(error)
    if as_json:
        sizes = [{"part": part.name, "bytes": part.size, "count": part.count or None} for part in parts]
        print(json.dumps({"verified": False, **report.proof_as_json(proof, facts), "parts": sizes}))
        return
    lines = [
        *report.claims_of(proof, "claims"),
        ("checked", "no (aprover verify does)"),
        ("backend", report.backend_of(proof)),
        ("sha256", proof.digest),
        ("security", why if facts is None else security_line(facts)),
    ]
    if facts is not None:
        lines += [(f"  {term.name}", bits_text(term.bits)) for term in facts.terms]
    lines += [("bytes", f"{len(proof):,}"), *_part_lines(parts, len(proof))]
    report.print_facts(lines)


def _part_lines(parts: Sequence[Part], total: int) -> list[tuple[str, str]]:
    lines = []
    for part in parts:
        share = part.size / total
        bar = report.bar(share, BAR_WIDTH)
        lines.append((f"  {part.name}", f"{part.size:>9,} {share:>6.1%}  {bar}  {part.counted}".rstrip()))
    return lines


def _inspect_program(cls: type[Program], as_json: bool) -> None:
    inputs = described(cls)
    about = (cls.__doc__ or "").strip().partition("\n\n")[0].replace("\n", " ")
    if as_json:
        print(json.dumps({"program": cls.id, "class": f"{cls.__module__}:{cls.__qualname__}", "inputs": inputs}))
        return
    lines = [("program", cls.id), ("class", f"{cls.__module__}:{cls.__qualname__}")]
    if about and cls.id in SHIPPED:
        lines.append(("proves", " ".join(about.split())))
    for line in inputs:
        needed = "needed" if line["needed"] else f"by default {line['default']}"
        role = {"public": "public input", "private": "private input, in no statement"}.get(line["role"], "parameter")
        lines.append((f"  {line['name']}", f"{line['type']}; {role}; {needed}"))
    report.print_facts(lines)


@app.command(epilog=report.EXIT_CODES, rich_help_panel=PROGRAMS)
def check(
    program: ProgramName,
    values: Values = None,
    underconstrained: Annotated[
        bool,
        typer.Option("--underconstrained", help="Also look for cells that may hold other values: small traces only."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make PROGRAM's trace and name the first constraint that it breaks: its row, and the two values."""
    with report.reporting(as_json):
        instance = build(find(program), values or [])
        with report.running_own(program):
            aprover.check(instance)
            free: Sequence[FreeColumn] = find_underconstrained(instance) if underconstrained else ()
            air = instance.compiled()
        facts = {
            "rows": air.height,
            "columns": air.columns,
            "constraints": sum(table.constraints for table in air.tables),
        }
        if as_json:
            columns = [
                {"column": column.name, "cells": len(column.cells), "first_row": column.cells[0].row} for column in free
            ]
            print(json.dumps({"holds": not free, "program": instance.id, **facts, "free": columns}))
        elif free:
            for column in free:
                print(f"rejected: {column}")
        else:
            print(f"every constraint holds on every row: {', '.join(f'{n:,} {name}' for name, n in facts.items())}")
        if free:
            raise typer.Exit(report.REJECTED)


@app.command(epilog=report.EXIT_CODES, rich_help_panel=PROGRAMS)
def explain(
    program: ProgramName,
    values: Values = None,
    security: Annotated[int, typer.Option(help="Proven bits, 1 to 128.")] = 100,
    prefer: Annotated[
        Preference, typer.Option(help="A proof quick to make, a small one, or the fastest at any size.")
    ] = Preference.TIME,
    zk: Annotated[bool, typer.Option("--zk", help="Hide the private inputs; slower.")] = False,
    memory_limit: MemoryLimit = None,
    as_json: AsJson = False,
) -> None:
    """Show what PROGRAM's constraints are, what they cost, and what a proof of them will be like. Proves nothing."""
    with report.reporting(as_json, refusal=report.USAGE):
        instance = build(find(program), values or [])
        with report.running_own(program):
            explanation = aprover.explain(
                instance, security=security, prefer=prefer.value, zk=zk, memory_limit=memory_limit
            )
        if as_json:
            out: dict[str, Any] = report.jsonable(attrs.asdict(explanation))
            out["air"]["parameters"] = {name: report.jsonable(value) for name, value in explanation.air.parameters}
            print(json.dumps(out))
        else:
            print(explanation)
