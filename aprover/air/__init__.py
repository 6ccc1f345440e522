"""Constraints as data: expressions over trace columns become checked register bytecode."""

from __future__ import annotations

from .builder import AirBuilder, Bus, Column, Expr, FixedTable, TableBuilder
from .compiled import CompiledAir, CompiledTable
from .program import Form, Params, Program, compile_program, names_of, private, program_from_statement, public

__all__ = [
    "AirBuilder",
    "Bus",
    "Column",
    "CompiledAir",
    "CompiledTable",
    "Expr",
    "FixedTable",
    "Form",
    "Params",
    "Program",
    "TableBuilder",
    "compile_program",
    "names_of",
    "private",
    "program_from_statement",
    "public",
]
