"""What the commands print, and how errors become exit codes."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any, Self

import attrs
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from aprover import ProgramError, Proof, ProveError, SecurityError, SecurityReport, Statement, VerificationError
from aprover.errors import AproverError

DELAY_SECONDS = 0.5
"""Work that is done sooner shows no progress bar."""

REJECTED, USAGE, FILE, FAILED, INTERRUPTED = 1, 2, 3, 4, 130

EXIT_CODES = (
    "Exit codes: 0 done; 1 the proof is rejected; 2 the program, its inputs or an option is wrong; "
    "3 a file cannot be read or written; 4 proving failed; 130 interrupted."
)


def exit_code(error: BaseException, refusal: int = REJECTED) -> int:
    """The documented exit code of an error; `refusal` is that of a VerificationError."""
    if isinstance(error, VerificationError):
        return refusal
    if isinstance(error, ProgramError):
        return USAGE
    if isinstance(error, OSError):
        return FILE
    return FAILED


@contextlib.contextmanager
def reporting(as_json: bool, refusal: int = REJECTED) -> Iterator[None]:
    """Turns errors that are meant for people into a line and an exit code. Others are bugs and keep their traceback."""
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except (AproverError, OSError) as error:
        if as_json:
            print(json.dumps({"error": _as_json(error)}))
        else:
            label = "rejected" if exit_code(error, refusal) == REJECTED else "error"
            print(f"{label}: {_sentence(error)}", file=sys.stderr)
        raise typer.Exit(exit_code(error, refusal)) from None


def _sentence(error: BaseException) -> str:
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


def proof_as_json(proof: Proof, report: SecurityReport | None) -> dict[str, Any]:
    """A proof's facts as plain values, without its bytes."""
    return {
        "backend": proof.backend,
        "statement": statement_as_json(proof.statement),
        "bytes": len(proof),
        "sha256": proof.digest,
        "security": None if report is None else security_as_json(report),
    }


def print_facts(facts: list[tuple[str, str]]) -> None:
    """Two columns, names and values, on standard output."""
    # Not with rich, which would cut long values and read a hostile statement as markup.
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        print(f"{name:<{width}}  {value}")


class Progressing:
    """A progress bar on standard error, for work that takes longer than half a second."""

    def __init__(self, quiet: bool, terminal: bool | None = None) -> None:
        self._begun = time.monotonic()
        self._console = Console(stderr=True, force_terminal=terminal)
        self._quiet = quiet or not self._console.is_terminal
        self._bar: Progress | None = None

    @property
    def shown(self) -> bool:
        """Whether there is a bar."""
        return self._bar is not None

    def __call__(self, phase: str, fraction: float) -> None:
        """The `progress` callback of `aprover.prove`."""
        if self._quiet or time.monotonic() - self._begun < DELAY_SECONDS:
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.add_task(phase, total=1.0)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=phase, completed=fraction)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()
