"""Constraints as data: expressions over trace columns become checked register bytecode."""

from __future__ import annotations

from .builder import AirBuilder, Column, Expr
from .compiled import CompiledAir, CompiledTable
from .program import Params, Program, compile_program, private, program_from_statement, public

__all__ = [
    "AirBuilder",
    "Column",
    "CompiledAir",
    "CompiledTable",
    "Expr",
    "Params",
    "Program",
    "compile_program",
    "private",
    "program_from_statement",
    "public",
]
