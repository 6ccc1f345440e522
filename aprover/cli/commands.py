"""``aprover prove`` and ``aprover verify``."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import trio
import typer

import aprover
from aprover.errors import shown

from . import report
from .app import PROOFS, AsJson, MemoryLimit, OwnProgram, ProgramName, Values, app, optional_program, read_bounded
from .programs import build, find
from .report import security_line

ProofFile = Annotated[Path, typer.Argument(metavar="FILE", help="A file with a proof, or - for standard input.")]


class Backend(StrEnum):
    STARK = "stark"
    TRACE = "trace"


class Preference(StrEnum):
    TIME = "time"
    SIZE = "size"
    FASTEST = "fastest"


@app.command(epilog=report.EXIT_CODES, rich_help_panel=PROOFS)
def prove(
    program: ProgramName,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the proof.")],
    values: Values = None,
    security: Annotated[int, typer.Option(help="Proven bits, 1 to 128.")] = 100,
    backend: Annotated[Backend, typer.Option(help="trace: a commitment, checked by computing again.")] = Backend.STARK,
    prefer: Annotated[
        Preference, typer.Option(help="A proof quick to make, a small one, or the fastest at any size.")
    ] = Preference.TIME,
    zk: Annotated[bool, typer.Option("--zk", help="Hide the private inputs; slower.")] = False,
    check: Annotated[bool, typer.Option("--check", help="First name a broken constraint, if there is one.")] = False,
    memory_limit: MemoryLimit = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prove that PROGRAM with these VALUES was carried out correctly."""
    # A SecurityError here means that the program cannot reach the bits: a wrong option, not a rejected proof.
    with report.reporting(as_json, refusal=report.USAGE):
        instance = build(find(program), values or [])
        if not output.parent.is_dir():
            raise FileNotFoundError(f"no such folder: {output.parent}")  # before the work
        begun = time.perf_counter()
        with report.Progressing(quiet or as_json) as progress:
            proof = trio.run(
                functools.partial(
                    aprover.prove,
                    instance,
                    security=security,
                    backend=backend.value,
                    prefer=prefer.value,
                    zk=zk,
                    check=check,
                    memory_limit=memory_limit,
                    progress=progress,
                )
            )
        seconds = time.perf_counter() - begun
        output.write_bytes(proof.to_bytes())
        facts = proof.security if proof.backend == "stark" else None
        if as_json:
            print(json.dumps({**report.proof_as_json(proof, facts), "file": str(output), "seconds": seconds}))
            return
        claim = f"{instance!r} gives {shown(proof.public_outputs)}"
        report.print_facts(
            [
                ("proved", claim),
                ("time", f"{seconds * 1e3:.1f} ms"),
                ("security", security_line(facts)),
                ("written", f"{len(proof)} bytes to {output}"),
            ]
        )


@app.command(epilog=report.EXIT_CODES, rich_help_panel=PROOFS)
def verify(
    file: ProofFile,
    program: OwnProgram = None,
    reference: Annotated[bool, typer.Option("--reference", help="Use the independent, slow verifier.")] = False,
    min_security: Annotated[int, typer.Option(help="The fewest proven bits to accept, 1 to 128.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Check the proof in FILE, and print the statement that it proves. Compare it with the one that you meant."""
    with report.reporting(as_json):
        data = read_bounded(file)
        cls = optional_program(program)
        begun = time.perf_counter()
        proof = report.read_proof(data)
        verifying: Callable[..., object] = aprover.reference.verify if reference else aprover.verify
        verifying(proof, min_security=min_security, program=cls)
        seconds = time.perf_counter() - begun
        facts = report.security_of(proof, cls)
        if as_json:
            verifier = "reference" if reference else "native"
            out = {"verified": True, "verifier": verifier, "seconds": seconds, **report.proof_as_json(proof, facts)}
            print(json.dumps(out))
            return
        report.print_facts(
            [
                *report.claims_of(proof, "verified"),
                ("time", f"{seconds * 1e3:.1f} ms"),
                ("security", security_line(facts)),
            ]
        )
