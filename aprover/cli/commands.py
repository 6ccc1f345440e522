"""The commands. They know the face of aprover and nothing behind it."""

from __future__ import annotations

import functools
import json
import math
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import trio
import typer

import aprover
from aprover import Proof, SecurityReport, VerificationError
from aprover.errors import shown

from . import report
from .programs import SHIPPED, build, find

app = typer.Typer(
    name="aprover",
    help="Prove that a computation was carried out correctly, and check such proofs.",
    epilog=report.EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Backend(StrEnum):
    STARK = "stark"
    TRACE = "trace"


class Preference(StrEnum):
    TIME = "time"
    SIZE = "size"


ProgramName = Annotated[str, typer.Argument(help=f"One of {', '.join(sorted(SHIPPED))}, or module:Class for your own.")]
ProofFile = Annotated[Path, typer.Argument(help="A file with a proof.")]
OwnProgram = Annotated[
    str | None,
    typer.Option("--program", help="module:Class of your own program, if the proof is about one. Its code is run."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


@app.callback(invoke_without_command=True)
def _app(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        print(aprover.__version__)
        raise typer.Exit


@app.command(epilog=report.EXIT_CODES)
def prove(
    program: ProgramName,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the proof.")],
    values: Annotated[list[str] | None, typer.Argument(help="The inputs: 100, or n=100, or seed=(1,2).")] = None,
    security: Annotated[int, typer.Option(help="Proven bits, 1 to 128.")] = 100,
    backend: Annotated[Backend, typer.Option(help="trace: a commitment, checked by computing again.")] = Backend.STARK,
    prefer: Annotated[Preference, typer.Option(help="A proof quick to make, or a small one.")] = Preference.TIME,
    check: Annotated[bool, typer.Option("--check", help="First name a broken constraint, if there is one.")] = False,
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
                    check=check,
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
                ("security", _security_line(facts)),
                ("written", f"{len(proof)} bytes to {output}"),
            ]
        )


@app.command(epilog=report.EXIT_CODES)
def verify(
    file: ProofFile,
    program: OwnProgram = None,
    reference: Annotated[bool, typer.Option("--reference", help="Use the independent, slow verifier.")] = False,
    min_security: Annotated[int, typer.Option(help="The fewest proven bits to accept, 1 to 128.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Check the proof in FILE, and print the statement that it proves. Compare it with the one that you meant."""
    with report.reporting(as_json):
        data = _read(file)
        cls = None if program is None else find(program)
        begun = time.perf_counter()
        if reference:
            statement = aprover.reference.verify(data, min_security=min_security, program=cls)
        else:
            statement = aprover.verify(data, min_security=min_security, program=cls)
        seconds = time.perf_counter() - begun
        proof = Proof.from_bytes(data)
        facts = (proof.security if cls is None else proof.security_for(cls)) if proof.backend == "stark" else None
        if as_json:
            verifier = "reference" if reference else "native"
            out = {"verified": True, "verifier": verifier, "seconds": seconds, **report.proof_as_json(proof, facts)}
            print(json.dumps(out))
            return
        report.print_facts(
            [
                ("verified", _statement_line(statement)),
                ("time", f"{seconds * 1e3:.1f} ms"),
                ("security", _security_line(facts)),
            ]
        )


@app.command(epilog=report.EXIT_CODES)
def inspect(file: ProofFile, program: OwnProgram = None, as_json: AsJson = False) -> None:
    """Show what the proof in FILE claims and how it is made, without checking it."""
    with report.reporting(as_json):
        proof = Proof.from_bytes(_read(file))
        cls = None if program is None else find(program)
        try:
            facts = proof.security if cls is None else proof.security_for(cls)
        except VerificationError as error:
            facts, why = None, str(error)
        if as_json:
            print(json.dumps({"verified": False, **report.proof_as_json(proof, facts)}))
            return
        lines = [
            ("claims", _statement_line(proof.statement)),
            ("checked", "no (aprover verify does)"),
            ("backend", proof.backend),
            ("bytes", f"{len(proof)}, of which {len(proof.statement.to_bytes())} are the statement"),
            ("sha256", proof.digest),
            ("security", why if facts is None else _security_line(facts)),
        ]
        if facts is not None:
            lines += [(f"  {term.name}", _bits(term.bits)) for term in facts.terms]
        report.print_facts(lines)


def _read(file: Path) -> bytes:
    return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()


def _statement_line(statement: aprover.Statement) -> str:
    return repr(statement).removeprefix("Statement(").removesuffix(")")


def _bits(bits: float) -> str:
    return "never fails" if math.isinf(bits) else f"{bits:.1f} bits"


def _security_line(facts: SecurityReport | None) -> str:
    if facts is None:
        return "a commitment: whoever checks it computes again"
    return (
        f"{facts.proven_bits:.1f} proven bits ({facts.regime}): {facts.queries} queries, blowup {facts.blowup}, "
        f"{facts.grinding_bits} bits of grinding"
    )
