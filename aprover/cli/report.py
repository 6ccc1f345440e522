"""What the commands print, and how errors become exit codes."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any, Self

import attrs
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from aprover import (
    AggregateProof,
    ConstraintError,
    Program,
    ProgramError,
    Proof,
    ProveError,
    SecurityError,
    SecurityReport,
    Statement,
    VerificationError,
)
from aprover.errors import AproverError
from aprover.proof import AGGREGATE, MAGIC

DELAY_SECONDS = 0.5
"""Work that is done sooner shows no progress bar."""

REJECTED, USAGE, FILE, FAILED, FAULT, INTERRUPTED = 1, 2, 3, 4, 5, 130

EXIT_CODES = (
    "Exit codes: 0 done; 1 the proof is rejected, or a constraint does not hold; 2 the program, its inputs or an "
    "option is wrong; 3 a file cannot be read or written, or is malformed; 4 proving failed; 5 a fault of aprover "
    "itself; 130 interrupted."
)

DEBUG = "APROVER_DEBUG"
"""With this in the environment, faults of aprover itself show their traceback."""


class MalformedFile(OSError):
    """A file that is not of the form that it should have; the message says where."""


def exit_code(error: BaseException, refusal: int = REJECTED) -> int:
    """The documented exit code of an error; `refusal` is that of a VerificationError."""
    if isinstance(error, VerificationError):
        return refusal
    if isinstance(error, ConstraintError):
        return REJECTED
    if isinstance(error, ProgramError):
        return USAGE
    if isinstance(error, OSError):
        return FILE
    if isinstance(error, AproverError):
        return FAILED
    return FAULT


@contextlib.contextmanager
def reporting(as_json: bool, refusal: int = REJECTED) -> Iterator[None]:
    """Turns every error into a line and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except (typer.Exit, BrokenPipeError):
        raise  # of a broken pipe: whoever read the output has enough, and the application ends quietly
    except (AproverError, OSError) as error:
        _report(error, as_json, refusal)
        raise typer.Exit(exit_code(error, refusal)) from None
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody who uses the command
        _report_fault(error, as_json)
        raise typer.Exit(FAULT) from None


@contextlib.contextmanager
def running_own(program: str) -> Iterator[None]:
    """Around code of a user's own program: whatever it raises is that program's fault, and said to be."""
    try:
        yield
    except (AproverError, OSError):
        raise
    except Exception as error:
        raise ProgramError(f"{program} raised {type(error).__name__}: {error}", field="program") from error


def _report(error: BaseException, as_json: bool, refusal: int) -> None:
    if as_json:
        print(json.dumps({"error": _as_json(error)}))
        return
    label = "rejected" if isinstance(error, VerificationError) and refusal == REJECTED else "error"
    print(f"{label}: {_printable(_sentence(error))}", file=sys.stderr)


def _report_fault(error: Exception, as_json: bool) -> None:
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    text = f"a fault of aprover itself: {type(error).__name__}: {error} ({DEBUG}=1 shows where)"
    if as_json:
        print(json.dumps({"error": {"type": type(error).__name__, "message": text}}))
    else:
        print(f"error: {_printable(text)}", file=sys.stderr)


def _printable(text: str) -> str:
    """Without the control characters of a hostile file or name, which a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    text = str(error) or type(error).__name__
    if isinstance(error, ProveError) and error.__cause__ is not None:
        text += f": {error.__cause__}"
    return text


def _as_json(error: BaseException) -> dict[str, Any]:
    out: dict[str, Any] = {"type": type(error).__name__, "message": _sentence(error)}
    if isinstance(error, VerificationError):
        out["code"] = error.code.value
    if isinstance(error, SecurityError):
        out["reachable_bits"] = error.reachable
    if isinstance(error, ProgramError):
        out["field"] = error.field
    if isinstance(error, ConstraintError):
        out["constraint"], out["row"], out["values"] = error.name, error.row, list(error.values)
    return out


def jsonable(value: Any) -> Any:
    """Plain JSON values: bytes as ``{"hex": ...}``, integers that Python cannot print as ``{"int_hex": ...}``."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 10_000:
        return {"int_hex": hex(value)}
    if isinstance(value, tuple | list):
        return [jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return None  # JSON has no infinity
    return value


def statement_as_json(statement: Statement) -> dict[str, Any]:
    """A statement as plain values."""
    return {
        "program": statement.program,
        "parameters": {name: jsonable(value) for name, value in statement.parameters},
        "public_inputs": jsonable(statement.public_inputs),
        "public_outputs": jsonable(statement.public_outputs),
    }


def security_as_json(report: SecurityReport) -> dict[str, Any]:
    """A report as plain values; an infinite number of bits is null."""
    out: dict[str, Any] = jsonable(attrs.asdict(report))
    return out


def read_proof(data: bytes) -> Proof | AggregateProof:
    """Whichever these bytes are.

    Raises:
        VerificationError: As `Proof.from_bytes` and `AggregateProof.from_bytes`.
    """
    if data[:4] == MAGIC and data[5:6] == bytes([AGGREGATE]):
        return AggregateProof.from_bytes(data)
    return Proof.from_bytes(data)


def security_of(proof: Proof | AggregateProof, program: type[Program] | None) -> SecurityReport | None:
    """The report of a proof about a program of one's own, or a shipped one; None of a trace commitment."""
    if isinstance(proof, Proof) and proof.backend == "trace":
        return None
    return proof.security if program is None else proof.security_for(program)


def claims_of(proof: Proof | AggregateProof, name: str) -> list[tuple[str, str]]:
    """The facts that say what is claimed."""
    if isinstance(proof, Proof):
        return [(name, statement_line(proof.statement))]
    numbered = [(f"  {i}", statement_line(statement)) for i, statement in enumerate(proof.statements)]
    return [(name, f"{proof.count} statements together"), *numbered]


def proof_as_json(proof: Proof | AggregateProof, report: SecurityReport | None) -> dict[str, Any]:
    """A proof's facts as plain values, without its bytes. Of an aggregate ``"statement"`` is a list."""
    if isinstance(proof, Proof):
        claim: Any = statement_as_json(proof.statement)
    else:
        claim = [statement_as_json(statement) for statement in proof.statements]
    return {
        "backend": backend_of(proof),
        "statement": claim,
        "bytes": len(proof),
        "sha256": proof.digest,
        "security": None if report is None else security_as_json(report),
    }


def backend_of(proof: Proof | AggregateProof) -> str:
    """Its name; of a whole aggregate as of a member."""
    return proof.backend if isinstance(proof, Proof) else "aggregate"


def print_facts(facts: list[tuple[str, str]]) -> None:
    """Two columns, names and values, on standard output. A name without a value is a heading."""
    # Not with rich, which would cut long values and read a hostile statement as markup.
    width = max(len(name) for name, value in facts if value)
    for name, value in facts:
        print(_printable(f"{name:<{width}}  {value}" if value else name))


def statement_line(statement: Statement) -> str:
    """What is claimed, on one line."""
    return repr(statement).removeprefix("Statement(").removesuffix(")")


def bits_text(bits: float) -> str:
    """How often a round fails, as the negative logarithm to base 2."""
    return "never fails" if math.isinf(bits) else f"{bits:.1f} bits"


def security_line(facts: SecurityReport | None) -> str:
    """The proven bits, and how they come about."""
    if facts is None:
        return "a commitment: whoever checks it computes again"
    return (
        f"{facts.proven_bits:.1f} proven bits ({facts.regime}): {facts.queries} queries, blowup {facts.blowup}, "
        f"{facts.grinding_bits} bits of grinding"
    )


def bar(share: float, width: int) -> str:
    """A share from 0 to 1 as a bar of at most `width` characters, of those that standard output can show."""
    full = round(share * width)
    try:
        "\u2588".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "#" * full
    return "\u2588" * full or "\u258f"


class Progressing:
    """A line for each phase on standard error, for work that takes longer than half a second.

    Used as the `progress` callback of `aprover.prove`, and as a context. A phase that is over keeps its time.
    """

    def __init__(self, quiet: bool, terminal: bool | None = None) -> None:
        self._begun = time.monotonic()
        self._console = Console(stderr=True, force_terminal=terminal)
        self._quiet = quiet or not self._console.is_terminal
        self._bars: Progress | None = None
        self._phase = ""
        self._tasks: dict[str, TaskID] = {}

    @property
    def shown(self) -> bool:
        """Whether there is a bar."""
        return self._bars is not None

    @property
    def phases(self) -> list[str]:
        """Those that are shown, in order."""
        return list(self._tasks)

    def __call__(self, phase: str, fraction: float) -> None:
        """Shows how far the work is.

        Args:
            phase: Its name, of which a new one ends the one before.
            fraction: Of this phase, from 0 to 1.
        """
        if self._quiet or time.monotonic() - self._begun < DELAY_SECONDS:
            return
        if self._bars is None:
            self._bars = Progress(
                TextColumn("{task.description:<8}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                TextColumn("[dim]left"),
                TimeRemainingColumn(compact=True),
                console=self._console,
                transient=True,
            )
            self._bars.start()
        if phase not in self._tasks:
            if self._phase in self._tasks:
                self._bars.update(self._tasks[self._phase], completed=1.0)
                self._bars.stop_task(self._tasks[self._phase])
            self._tasks[phase] = self._bars.add_task(phase, total=1.0)
        self._phase = phase
        self._bars.update(self._tasks[phase], completed=fraction)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bars is not None:
            self._bars.stop()
