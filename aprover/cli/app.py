"""The application that the commands belong to, and what several of them share."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import aprover

from . import report
from .programs import SHIPPED, complete_program, complete_value, find

__all__ = [
    "ENGINE",
    "PROGRAMS",
    "PROOFS",
    "AsJson",
    "MemoryLimit",
    "OwnProgram",
    "ProgramName",
    "Values",
    "app",
    "optional_program",
    "read_bounded",
]

LONGEST_PROOF = 64 * 2**20
"""Bytes of a file that is taken for a proof: the largest that this version makes have a few hundred kilobytes."""


PROOFS, PROGRAMS, ENGINE = "Proofs", "Programs of one's own", "The engine and this machine"
"""The commands' groups in the help."""

ORDER = ("prove", "verify", "inspect", "check", "explain", "stress", "timeline", "bench", "calibrate", "demo")


class Group(TyperGroup):
    """Has the commands in an order of their own, and says in JSON what is wrong with a command line with ``--json``."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        in_json = standalone_mode and "--json" in words
        call = functools.partial(super().main, args, prog_name, complete_var, windows_expand_args=windows_expand_args)
        if not in_json:
            return call(standalone_mode=standalone_mode, **extra)
        try:
            code = call(standalone_mode=False, **extra)
        except Exception as error:
            # Its class is click's, or typer's own copy of it: that depends on the version of typer.
            if not hasattr(error, "format_message"):
                raise
            parameter = getattr(getattr(error, "param", None), "name", None)
            facts = {"type": "UsageError", "message": error.format_message(), "field": parameter}
            print(json.dumps({"error": facts}))
            sys.exit(getattr(error, "exit_code", report.USAGE))
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    name="aprover",
    cls=Group,
    help="Prove that a computation was carried out correctly, and check such proofs.",
    epilog=report.EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ProgramName = Annotated[
    str,
    typer.Argument(
        metavar="PROGRAM",
        help=f"One of {', '.join(sorted(SHIPPED))}, or module:Class for your own.",
        autocompletion=complete_program,
    ),
]
Values = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="VALUES",
        help="The inputs, by position or by name: 100, n=100, seed=(1,2). For bytes: text, hex:00ff, or message=@FILE "
        "for what is in a file. Secrets are better off in files, as command lines are seen by others.",
        autocompletion=complete_value,
    ),
]
OwnProgram = Annotated[
    str | None,
    typer.Option(
        "--program",
        help="module:Class of your own program, if the proof is about one. Its code is run.",
        autocompletion=complete_program,
    ),
]


def _byte_count(text: str) -> int:
    """``1000``, ``512K``, ``700M`` or ``1.5G``, by powers of 1,024."""
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    try:
        return int(float(number) * 1024 ** ("", "K", "M", "G").index(unit))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no number of bytes, as 1000, 512K, 700M or 1.5G") from None


MemoryLimit = Annotated[
    int | None,
    typer.Option(
        parser=_byte_count,
        metavar="BYTES",
        help="The most that making the proof may take, as 700M or 1.5G; slower, the same proof.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text, errors as well.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(aprover.__version__)
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def read_bounded(file: Path, limit: int = LONGEST_PROOF) -> bytes:
    """The bytes of a file, or of standard input for ``-``.

    Raises:
        OSError: It cannot be read, or has more than `limit` bytes, of which no more than that are read.
    """
    if str(file) == "-":
        data = sys.stdin.buffer.read(limit + 1)
    else:
        with file.open("rb") as opened:
            data = opened.read(limit + 1)
    if len(data) > limit:
        raise OSError(f"{file} has more than {limit} bytes, so it is no proof")
    return data


def optional_program(name: str | None) -> type[aprover.Program] | None:
    """The class named by ``--program``, if it is given."""
    return None if name is None else find(name)
